//! The labs in which a step is missing or wrong: each begins with a mutant of `tests/mutants`.
#![forbid(unsafe_code)]

use super::lab::{Check, Lab, Level, Start};
use crate::mutants::Run;

/// From easy to hard.
pub const MEND: &[Lab] = &[
    Lab {
        name: "flags",
        title: "Somebody else's privilege",
        chapter: "05-the-sequence",
        level: Level::Easy,
        start: Start::Mutants(&["eflags_not_saved"]),
        text: "A task that raises its I/O privilege level loses it at the next switch, and with a little luck \
               another task has it instead. `just lab check flags` runs iopl_does_not_leak: the setter's EFLAGS \
               are 0x3000 before it sleeps and 0 when it is back. Find what a switch should do with EFLAGS and \
               does not, and put it back.",
        hints: &[
            "Nothing in __switch_to knows about EFLAGS. Where can they be kept, if not in thread_struct?",
            "Draw prev's stack at the moment when thread.sp is stored. Which two words should lie on top?",
            "src/arch/x86/switch/switch_to.rs: look at switch_to_save_flags and switch_to_restore_flags.",
        ],
        checks: &[
            Check::Run(Run::selftest("iopl_does_not_leak")),
            Check::AllSelftests,
        ],
        reason: "flags of the setter when it is back: expected 0x00003000",
    },
    Lab {
        name: "sp0",
        title: "The wrong kernel stack",
        chapter: "08-sp0-and-sysenter",
        level: Level::Easy,
        start: Start::Mutants(&["sp0_not_loaded"]),
        text: "An interrupt from ring 3 lands on the stack that the TSS names. In this kernel it is always the same \
               stack, whichever task runs: sp0_is_own_stack compares the word with the running task's stack. \
               Mend step 2 of __switch_to.",
        hints: &[
            "Which field of the TSS does the processor read when an interrupt changes the privilege level?",
            "Step 2 has a file of its own, and F::To is the way in which this switch changes the machine.",
            "src/arch/x86/switch/load_sp0.rs has next.sp0 in its hands and does nothing with it.",
        ],
        checks: &[
            Check::Run(Run::selftest("sp0_is_own_stack")),
            Check::AllSelftests,
        ],
        reason: "sp0 of the TSS: expected",
    },
    Lab {
        name: "current",
        title: "Two answers to one question",
        chapter: "02-stack-and-current",
        level: Level::Easy,
        start: Start::Mutants(&["current_task_not_written"]),
        text: "There are two ways to find the running task: through the stack, and through a word of this CPU. In \
               this kernel they disagree after the first switch, and the kernel stops with both values on the \
               console. Make them agree.",
        hints: &[
            "The stack changes with esp. Which step changes the other answer?",
            "The table at the head of src/arch/x86/switch/__switch_to.rs numbers the steps. One of them has no code.",
            "this_cpu_write! writes a word of this CPU's area; the field is current_task.",
        ],
        checks: &[
            Check::Run(Run::selftest("current_by_stack_and_per_cpu_agree")),
            Check::AllSelftests,
        ],
        reason: "current by stack",
    },
    Lab {
        name: "counts",
        title: "Sleep that counts as preemption",
        chapter: "13-schedule",
        level: Level::Easy,
        start: Start::Mutants(&["voluntary_counted_as_preemption"]),
        text: "`time` on Linux tells voluntary from involuntary context switches. In this kernel a task that goes to \
               sleep is counted as preempted: sleeping_counts_nvcsw finds nvcsw unchanged. Find where the two \
               counters are chosen.",
        hints: &[
            "At the beginning of schedule() one condition says whether prev leaves by its own will.",
            "The same condition that takes prev off its run queue chooses the counter.",
            "src/sched/schedule.rs, before context_switch is called: nvcsw is for the voluntary one.",
        ],
        checks: &[
            Check::Run(Run::selftest("sleeping_counts_nvcsw")),
            Check::AllSelftests,
        ],
        reason: "sleeping_counts_nvcsw",
    },
    Lab {
        name: "tls",
        title: "A neighbour's errno",
        chapter: "09-tls-and-gs",
        level: Level::Easy,
        start: Start::Mutants(&["tls_not_loaded"]),
        text: "Each thread's C library finds errno through a descriptor in GDT entry 6. In this kernel the entry keeps \
               whatever the last caller of set_thread_area put there: tls_descriptors_follow_task reads the entry \
               after a switch. Give each task its descriptor.",
        hints: &[
            "The GDT belongs to the CPU, not to the task. Which step copies thread.tls_array into it?",
            "Step 4 is called for every switch; follow it through the trait Updates to the ordinary way, Now.",
            "src/arch/x86/switch/updates.rs: entries 7 and 8 are written there, and 6 is not.",
        ],
        checks: &[
            Check::Run(Run::selftest("tls_descriptors_follow_task")),
            Check::AllSelftests,
        ],
        reason: "tls_descriptors_follow_task",
    },
    Lab {
        name: "eager-bitmap",
        title: "Ports that do not follow",
        chapter: "11-rare-state",
        level: Level::Medium,
        start: Start::Mutants(&["bitmap_not_switched"]),
        text: "A task that called ioperm owns a bitmap, but the processor looks at the one in this CPU's TSS. The \
               strategy `copy` is eager: the switch itself copies. Here it does nothing, so a task can lose its \
               ports or find those of another. Write the arm IoBitmapMode::Copy of switch_io_bitmap, and count \
               the bytes that it writes in count.io_bitmap_bytes. The tests say how many bytes are enough.",
        hints: &[
            "If prev could use ports that next must not use, which bytes of the TSS have to change, even if next's \
             bitmap is short?",
            "task::io_bitmap::switch_to_bitmap writes max(prev, next) bytes, or ones, and returns how many.",
            "It takes the TSS's bitmap, prev.io_bitmap_max() and next.io_bitmap.as_ref(); this_cpu_add! counts.",
        ],
        checks: &[
            Check::Run(Run::selftest("io_bitmap_follows_task")),
            Check::AllSelftests,
        ],
        reason: "io_bitmap_follows_task",
    },
    Lab {
        name: "frame-pointer",
        title: "A sleeper without a frame",
        chapter: "05-the-sequence",
        level: Level::Medium,
        start: Start::Mutants(&["bp_not_saved"]),
        text: "gdb and /proc/PID/wchan follow a sleeping task's frames from the word at thread.sp. In this kernel that \
               word is 0: sleeping_task_words_are_ebp_and_eflags_if_0 looks at it. Which register belongs there, \
               and why is it pushed last?",
        hints: &[
            "The word at thread.sp is the last one pushed before esp is stored.",
            "A chain of frames is a chain of saved ebp. Where would a debugger begin it?",
            "src/arch/x86/switch/switch_to.rs: switch_to_save_bp pushes a number.",
        ],
        checks: &[
            Check::Run(Run::selftest("sleeping_task_words_are_ebp_and_eflags_if_0")),
            Check::AllSelftests,
        ],
        reason: "sleeping_task_words_are_ebp_and_eflags_if_0",
    },
    Lab {
        name: "last",
        title: "The task that ran before",
        chapter: "04-three-parameters",
        level: Level::Medium,
        start: Start::Mutants(&["last_is_next"]),
        text: "A switches to B, B to C, and C back to A. A asks who ran just before it and is told: A. \
               last_after_a_b_c_a prints what each turn was told. Mend the third parameter of the switch without \
               changing the first two.",
        hints: &[
            "When A wakes, its own stack still says next = B. Which register survives the change of stacks?",
            "eax carries the answer from __switch_to to finish_task_switch. Whose descriptor should it hold?",
            "src/arch/x86/switch/__switch_to.rs: look at what steps() returns.",
        ],
        checks: &[
            Check::Run(Run::selftest("last_after_a_b_c_a")),
            Check::AllSelftests,
        ],
        reason: "(actor, last) of each turn",
    },
    Lab {
        name: "first-return",
        title: "Where a new task comes out",
        chapter: "06-jmp-not-call",
        level: Level::Medium,
        start: Start::Mutants(&["label_1_pushed_for_new_tasks"]),
        text: "This kernel pushes the same return address for every task, as a `call` would. It dies before its first \
               test: the first new task returns to address 0. Read chapter 6, explain which words the new task pops, \
               and mend the push.",
        hints: &[
            "A task that has never run has no label 1 to go back to. What did copy_thread put into thread.ip?",
            "The address must come from next's descriptor, and next is in edx.",
            "src/arch/x86/switch/switch_to.rs: switch_to_push_ip should push {IP}(%edx).",
        ],
        checks: &[
            Check::Run(Run::selftest("new_task_returns_through_ret_from_fork")),
            Check::AllSelftests,
        ],
        reason: "BUG: page fault at 00000000",
    },
    Lab {
        name: "fpu-save",
        title: "Two tasks, one set of registers",
        chapter: "10-lazy-fpu",
        level: Level::Medium,
        start: Start::Mutants(&["fpu_not_saved"]),
        text: "Two tasks compute with the FPU in turns, and each finds the other's numbers: \
               fpu_registers_of_two_tasks_do_not_mix prints the registers. The switch is lazy, but it must not be \
               that lazy. Save what has to be saved, when it has to be.",
        hints: &[
            "Only prev can have live registers in the FPU. How does the switch know whether it used them?",
            "TS_USEDFPU says so. If it is set, the registers must be in memory before next may touch the FPU.",
            "src/arch/x86/switch/math_state.rs: __unlazy_fpu looks at the flag, and then saves nothing. insn::fxsave \
             takes the address of the save area.",
        ],
        checks: &[
            Check::Run(Run::selftest("fpu_registers_of_two_tasks_do_not_mix")),
            Check::AllSelftests,
        ],
        reason: "registers after a switch",
    },
    Lab {
        name: "ports",
        title: "Ports left open",
        chapter: "11-rare-state",
        level: Level::Medium,
        start: Start::Mutants(&["bitmap_copies_next_only"]),
        text: "prev may use the serial port, next only port 0x80. After the switch next can use the serial port too: \
               io_bitmap_max_of_prev_and_next_copied sees 20 bytes copied where 128 are owed. Find the length.",
        hints: &[
            "Every byte of the TSS's bitmap beyond the running task's maximum is ones. What makes them ones?",
            "The switch owes the larger of two lengths.",
            "src/task/io_bitmap.rs: switch_to_bitmap has prev_max; copy_len is beside it.",
        ],
        checks: &[
            Check::Run(Run::selftest("io_bitmap_max_of_prev_and_next_copied")),
            Check::AllSelftests,
        ],
        reason: "bytes copied by the switch to this task: expected 128, got 20",
    },
    Lab {
        name: "gs-bases",
        title: "One selector, two bases",
        chapter: "09-tls-and-gs",
        level: Level::Hard,
        start: Start::Mutants(&["gs_loaded_if_different"]),
        text: "A colleague has made the switch faster: it loads %gs only if the two selectors differ. All threads of \
               all C libraries have the selector 0x33. gs_same_selector_two_bases reads the word at %gs:0 after a \
               switch between two of them. Explain what the processor keeps, and take the optimisation back \
               without loading %gs where neither task uses it.",
        hints: &[
            "What does the processor remember of a segment register besides the selector?",
            "The base is read from the GDT when the selector is written, not when it is used.",
            "src/arch/x86/switch/__switch_to.rs, step 8: the condition is about 0, not about equality.",
        ],
        checks: &[
            Check::Run(Run::selftest("gs_same_selector_two_bases")),
            Check::AllSelftests,
        ],
        reason: "the word at %gs:0",
    },
    Lab {
        name: "borrowed",
        title: "A page directory that goes too early",
        chapter: "12-address-spaces",
        level: Level::Hard,
        start: Start::Mutants(&["mm_not_grabbed"]),
        text: "A kernel thread has no address space: it goes on with the one that is loaded. In this kernel it does \
               not count as a user of it, and the owner's exit frees a page directory that CR3 still holds; the kernel \
               notices and stops. Count the loan.",
        hints: &[
            "There are two counts in an mm_struct: users, and references. Which one does a borrower hold?",
            "The loan begins in context_switch and ends in finish_task_switch, which still gives it back.",
            "src/sched/context_switch.rs, next without mm: mmgrab(oldmm).",
        ],
        checks: &[
            Check::Run(Run::selftest("user_to_kernel_counts")),
            Check::AllSelftests,
        ],
        reason: "page directory dropped while CR3 holds it",
    },
    Lab {
        name: "death",
        title: "The dead that stay",
        chapter: "14-finish-and-death",
        level: Level::Hard,
        start: Start::Mutants(&["dead_task_not_dropped"]),
        text: "A task cannot free the stack that it stands on. Here no task does: each dead one leaves a stack behind, \
               and dead_stack_freed_only_in_finish_task_switch counts them. Which task is the first that can free \
               it, and how does it know which task it replaced?",
        hints: &[
            "The scheduler itself holds one reference to every task. When may it let go?",
            "finish_task_switch reads prev's state before on_cpu becomes 0. What is the state for?",
            "src/sched/finish_task_switch.rs: TaskRef::from_raw(last) takes the reference over; dropping it frees.",
        ],
        checks: &[
            Check::Run(Run::selftest("dead_stack_freed_only_in_finish_task_switch")),
            Check::AllSelftests,
        ],
        reason: "free stacks after the switch: expected 1, got 0",
    },
    Lab {
        name: "on-cpu",
        title: "Woken while still on its stack",
        chapter: "13-schedule",
        level: Level::Hard,
        start: Start::Mutants(&["on_cpu_not_waited_for"]),
        text: "CPU 1 wakes a task that is just going to sleep on CPU 0: it is off the run queue, but its registers are \
               not saved yet. If CPU 1 runs it now, two processors stand on one stack. \
               smp_wake_up_waits_until_context_is_saved (with two CPUs) checks that the waker waited. Find the word \
               to wait for, and the place where waiting is needed.",
        hints: &[
            "Which word does finish_task_switch clear when all of prev's registers are saved?",
            "try_to_wake_up has found that the task is on no run queue. What must be true before it chooses a CPU?",
            "src/sched/ttwu.rs: wait_until_off_cpu(p.on_cpu()) belongs where a task leaves its old CPU.",
        ],
        checks: &[
            Check::Run(Run::on_two_cpus("smp_wake_up_waits_until_context_is_saved")),
            Check::Run(Run::on_two_cpus("smp_*")),
        ],
        reason: "the waker waited for on_cpu: expected true, got false",
    },
];
