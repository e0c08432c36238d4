"""One sentence for each step of a scene: what has just happened, and why."""

# By the symbol of the instruction that has just been executed.
BY_SYMBOL = {
    "switch_to": "ebx is prev's, and C code expects it kept over a call: it goes onto prev's stack.",
    "switch_to_save_flags": "pushfl: prev's EFLAGS go onto prev's stack, or prev's NT, AC and IOPL would "
                            "reach next.",
    "switch_to_save_bp": "pushl %ebp: prev's frame pointer is the last word saved, so thread.sp will point "
                         "at a frame that wchan and gdb can walk.",
    "switch_to_save_sp": "prev->thread.sp = esp: from here on prev can be found again.",
    "switch_to_load_sp": "esp = next->thread.sp: this is the process switch. By esp current is next; "
                         "current_task still says prev.",
    "switch_to_save_ip": "prev->thread.ip = label 1: where prev will go on when it runs again.",
    "switch_to_push_ip": "next->thread.ip goes onto next's stack as the return address of __switch_to.",
    "switch_to_jmp": "jmp, not call: a call would push an address of its own, and a new task has another.",
    "switch_to_1": "popl %ebp: next's frame pointer, which next pushed when it left.",
    "switch_to_end": "popl %edi: next's, as next pushed it when it left.",
    "switch_to+31": "popl %esi: next's, as next pushed it when it left.",
    "switch_to+32": "popl %ebx: next's, as next pushed it when it left.",
    "switch_to+33": "ret: next is back where it called switch_to, with last in eax.",
    "switch_to+1": "esi is prev's: for the same reason.",
    "switch_to+2": "edi is prev's: for the same reason.",
    "switch_to+3": "__switch_to takes prev in ecx and next in edx; eax keeps prev, which becomes last.",
    "switch_to_restore_flags": "popfl: next's EFLAGS. Interrupts stay off, since IF was 0 when it left.",
    "ret_from_fork": "A new task never called switch_to: it begins here, with the task that ran before in eax.",
}
# By the instruction.
BY_INSTRUCTION = {
    "fxsave": "Step 1: prev used the FPU in this slice, so its registers go to memory.",
    "fxrstor": "Step 7: next used the FPU in more than five slices in a row, so it gets its registers at once.",
    "clts": "Before step 7: CR0.TS is cleared, or loading the registers would trap.",
}
# By the field that has changed; the first that matches is told.
BY_FIELD = (
    ("run-queue lock", "The run-queue lock, which prev took, is free: next has released it."),
    ("current", "Step 9: current_task is next from here on."),
    ("CR3", "CR3 gets next's page tables: user memory is another from here on, kernel memory the same."),
    ("sp0", "Step 2, load_sp0: the next entry from ring 3 lands on next's stack."),
    ("GDT 6", "Step 4, load_tls: next's descriptor goes into this CPU's GDT."),
    ("GDT 7", "Step 4, load_tls: next's descriptor goes into this CPU's GDT."),
    ("GDT 8", "Step 4, load_tls: next's descriptor goes into this CPU's GDT."),
    ("%gs", "Step 8, lazy_load_gs: the selector is written, since the processor reads the descriptor only then."),
    ("thread.gs", "Step 3, lazy_save_gs: only the register held prev's selector."),
    ("TSS ports", "Step 5: next's ports are copied into the TSS, where the processor looks."),
    ("CR0.TS", "CR0.TS decides whether the next FPU instruction traps: 0 only while its registers are the task's."),
    ("thread.work", "TS_USEDFPU says that the FPU's registers are this task's."),
    ("thread.fpu_counter", "fpu_counter counts the slices in a row in which a task used the FPU; above 5 it is "
                           "loaded ahead of time."),
    ("active_mm.mm_count", "mm_count counts the users together, and each kernel thread that borrows."),
    ("rq.prev_mm", "The run queue carries the borrowed address space over the switch, to be dropped after it."),
    ("active_mm", "active_mm is what a task runs on: its own, or what a kernel thread has borrowed."),
    ("on_cpu", "on_cpu: 1 from before the switch to a task until all its registers are saved after it has left."),
    ("state", "The state that the switch looks at: TASK_DEAD never runs again."),
    ("usage", "References to the descriptor: with the last one it is freed, and its stack."),
    ("IF", "Interrupts: off for the whole switch, on again after it."),
    ("preempt_count", "The preemption count is read at the foot of the stack: it belongs to the task that esp says."),
    ("thread.sp", "The saved stack pointer."),
    ("thread.ip", "The saved address."),
)
# By the file that the instruction comes from.
BY_FILE = {
    "math_state": "Steps 1 and 7, math_state.rs: may the FPU's registers stay, and does next get its own now?",
    "load_sp0": "Step 2, load_sp0.rs: next's sp0 is read.",
    "lazy_gs": "Steps 3 and 8, lazy_gs.rs: %gs is saved and loaded here, as the kernel does not use it.",
    "load_tls": "Step 4, load_tls.rs: three descriptors of 8 bytes.",
    "switch_to_xtra": "Step 5, switch_to_xtra.rs: what few tasks have.",
    "io_bitmap": "Step 5, io_bitmap.rs: as many bytes as the longer of the two bitmaps has.",
    "updates": "A write that goes to the machine at once; a paravirtual kernel would note it for later.",
    "kind": "Which steps does this switch take? One word of bits for prev, one for next.",
    "__switch_to": "__switch_to: the half of the switch that does not concern the stack.",
    "switch_to": "The registers that a compiler would spill around the book's macro.",
}


def sentence(before, after, changed):
    """Returns the sentence of a step: `before` has the instruction that was executed, `changed` the
    fields that are different `after` it."""
    told = BY_SYMBOL.get(before["at"])
    if told:
        return told
    if after["at"] == "switch_to":
        return "call switch_to, on prev's stack: the return address says where prev will go on one day."
    if before["insn"] == "ret" and after["at"] == "switch_to_1":
        return "ret takes the word that was pushed: label 1, where next left."
    if before["insn"] == "ret" and after["at"] == "ret_from_fork":
        return "ret takes the word that was pushed: ret_from_fork, where a new task begins."
    told = BY_INSTRUCTION.get(before["insn"].split(" ")[0])
    if told:
        return told
    bare = {name.split(".", 1)[1] if name[1:2] == "." else name for name in changed}
    for name, text in BY_FIELD:
        if name in bare:
            return text
    if before.get("step"):
        return before["step"]
    file = before.get("line", "").split("/")[-1].split(".")[0]
    return BY_FILE.get(file, "On the way, in %s." % before["at"].split("+")[0])
