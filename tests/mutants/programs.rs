//! Steps at fork, exec, exit and at the system calls, mostly seen from ring 3.

use super::{Edit, Mutant, Run};

/// In the order in which a switch takes them.
#[rustfmt::skip]
pub const PROGRAMS: &[Mutant] = &[
    Mutant {
        name: "truncation_leaves_mappings",
        takes_out: "the end of mappings beyond a file's new end",
        edits: &[
            Edit { file: "src/fs/tmpfs/pages.rs", find: "        unmap_mapping_range(Arc::as_ptr(pages).cast(), first, u32::MAX);", replace: "        let _ = first;" },
        ],
        red: Run::ring3("files", "a page beyond the new end: SIGBUS"),
    },
    Mutant {
        name: "cut_off_bytes_come_back",
        takes_out: "the zeroes after a file's end",
        edits: &[
            Edit { file: "src/fs/tmpfs/pages.rs", find: "            frame.clone().clear(in_last, PAGE_SIZE as usize);", replace: "            let _ = (frame, in_last);" },
        ],
        red: Run::ring3("files", "what was cut off is zero"),
    },
    Mutant {
        name: "sticky_bit_counts_nothing",
        takes_out: "the owner's right in a sticky directory",
        edits: &[
            Edit { file: "src/fs/tmpfs/namespace.rs", find: "    if is_sticky && !mine && !cred.capable() {", replace: "    if is_sticky && !mine && !cred.capable() && false {" },
        ],
        red: Run::ring3("files", "in a sticky directory, a user removes only files of his own"),
    },
    Mutant {
        name: "listing_goes_by_place",
        takes_out: "the numbers by which a listing goes on",
        edits: &[
            Edit { file: "src/fs/tmpfs/directory.rs", find: "        let at = self.entries.partition_point(|entry| entry.number < number);", replace: "        let at = number.saturating_sub(FIRST) as usize;" },
        ],
        red: Run::ring3("files", "a listing misses nothing while names are removed"),
    },
    Mutant {
        name: "programs_are_at_fixed_places",
        takes_out: "random addresses",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    if !is_random(me.personality.load(Ordering::Relaxed)) {", replace: "    if is_random(0) || !is_random(me.personality.load(Ordering::Relaxed)) {" },
        ],
        red: Run::ring3("randomize", "random places: of the stack"),
    },
    Mutant {
        name: "personality_does_not_fix_places",
        takes_out: "ADDR_NO_RANDOMIZE",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    if !is_random(me.personality.load(Ordering::Relaxed)) {", replace: "    if !is_random(me.personality.load(Ordering::Relaxed) & 0) {" },
        ],
        red: Run::ring3("randomize", "ADDR_NO_RANDOMIZE: the same places in each program"),
    },
    Mutant {
        name: "vm86_frame_is_taken_for_usual",
        takes_out: "the end of a program that QEMU let into virtual-8086 mode",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    NO_VM86\n    pushl   %edx\n", replace: "    pushl   %edx\n" },
        ],
        red: Run::ring3("faults", "iret with VM does not leave protected mode, or ends the program"),
    },
    Mutant {
        name: "exit_keeps_ports_in_tss",
        takes_out: "the fill in exit_thread",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "        ports_gone(bitmap);", replace: "        let _ = bitmap;" },
        ],
        red: Run::selftest("io_bitmap_exit_revokes"),
    },
    Mutant {
        name: "fork_drops_ports",
        takes_out: "the copy of the I/O bitmap at fork",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "    new.io_bitmap = copy_io_bitmap(parent)?;", replace: "    let _ = copy_io_bitmap;" },
        ],
        red: Run::selftest("io_bitmap_fork_copies"),
    },
    Mutant {
        name: "fork_copies_stale_fpu",
        takes_out: "unlazy_fpu before the copy",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "        unsafe { unlazy_fpu(thread) };", replace: "        let _ = unlazy_fpu;" },
        ],
        red: Run::selftest("fpu_fork_copies_live_registers"),
    },
    Mutant {
        name: "dying_process_does_not_grab",
        takes_out: "mmgrab in exit_mm",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    unsafe { mmgrab(mm) };\n", replace: "" },
        ],
        red: Run::selftest("page_directory_freed_by_next_task_after_cr3_moved"),
    },
    Mutant {
        name: "exec_keeps_fpu",
        takes_out: "clear_fpu at exec",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "    fresh_fpu(me);\n", replace: "    let _ = fresh_fpu;\n" },
        ],
        red: Run::selftest("fpu_exec_discards"),
    },
    Mutant {
        name: "fork_loses_gs",
        takes_out: "%gs at fork",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "        new.gs = u32::from(insn::read_gs());", replace: "        new.gs = 0;" },
        ],
        red: Run::ring3("set_thread_area", "set_thread_area"),
    },
    Mutant {
        name: "exec_keeps_tls",
        takes_out: "the clearing of tls_array at exec",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "    thread.tls_array = [DescStruct::EMPTY; 3];\n", replace: "" },
        ],
        red: Run::ring3("set_thread_area", "set_thread_area"),
    },
    Mutant {
        name: "sysenter_keeps_nt",
        takes_out: "the known EFLAGS of the sysenter entry",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    pushl   ${KERNEL_EFLAGS}                # NT, AC, TF, DF and IOPL end here\n    popfl\n", replace: "    pushl   ${KERNEL_EFLAGS}\n    addl    $4, %esp\n" },
        ],
        red: Run::ring3("eflags", "eflags"),
    },
    Mutant {
        name: "iopl_not_set",
        takes_out: "IOPL in the saved EFLAGS",
        edits: &[
            Edit { file: "src/syscall/ioport.rs", find: "    regs.flags = flags.with_iopl(level as u8).bits();\n", replace: "" },
        ],
        red: Run::ring3("iopl", "iopl"),
    },
    Mutant {
        name: "tls_not_in_force_at_once",
        takes_out: "load_TLS in set_thread_area",
        edits: &[
            Edit { file: "src/syscall/thread_area.rs", find: "    unsafe { load_tls::<All<Now>>(thread) };\n", replace: "" },
        ],
        red: Run::ring3("set_thread_area", "the new base is in force at once"),
    },
    Mutant {
        name: "tls_slot_9_accepted",
        takes_out: "the bounds of the TLS slots",
        edits: &[
            Edit { file: "src/task/user_desc.rs", find: "        entry @ GDT_ENTRY_TLS_MIN..=GDT_ENTRY_TLS_MAX => ", replace: "        entry @ GDT_ENTRY_TLS_MIN..=9 => " },
        ],
        red: Run::ring3("set_thread_area", "set slot 9: EINVAL"),
    },
    Mutant {
        name: "exec_drops_ports",
        takes_out: "the I/O bitmap across exec",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "    fresh_fpu(me);\n", replace: "    fresh_fpu(me);\n    exit_thread(me);\n" },
        ],
        red: Run::ring3("ioperm", "exec keeps the bitmap"),
    },
    Mutant {
        name: "eperm_before_einval",
        takes_out: "the order of the checks in ioperm",
        edits: &[
            Edit { file: "src/task/io_bitmap.rs", find: "    match from.checked_add(num) {\n", replace: "    if turn_on && !capable {\n        return Err(Errno::EPERM);\n    }\n    match from.checked_add(num) {\n" },
        ],
        red: Run::ring3("ioperm", "EINVAL comes before EPERM"),
    },
    Mutant {
        name: "new_program_keeps_registers",
        takes_out: "the zeroed registers of a new program",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "        ..PtRegs::default()\n", replace: "        ..*regs\n" },
        ],
        red: Run::ring3("entry_state", "eax ebx ecx edx esi edi ebp are 0"),
    },
    Mutant {
        name: "new_program_keeps_eflags",
        takes_out: "EFLAGS 0x202 of a new program",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "        flags: Eflags::NEW_TASK.bits(),\n", replace: "        flags: Eflags::NEW_TASK.with_iopl(3).bits(),\n" },
        ],
        red: Run::ring3("entry_state", "EFLAGS is 0x202"),
    },
    Mutant {
        name: "robust_locks_kept_by_the_dead",
        takes_out: "exit_robust_list",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    exit_robust_list();\n", replace: "    let _ = exit_robust_list;\n" },
        ],
        red: Run::init("/bin/threads-musl", "and of a process that was killed"),
    },
    Mutant {
        name: "private_futex_known_by_its_page",
        takes_out: "the check whether a word is in private memory",
        edits: &[
            Edit { file: "src/syscall/futex.rs", find: "    if vma.flags.contains(VmFlags::WRITE) && !is_shared {", replace: "    if vma.flags.contains(VmFlags::WRITE) && !is_shared && false {" },
        ],
        red: Run::ring3("futex", "a sleeper in private memory is found though its page was copied"),
    },
    Mutant {
        name: "futex_bits_not_compared",
        takes_out: "the bitset of a wake-up",
        edits: &[
            Edit { file: "src/syscall/futex.rs", find: "        if q.key.get() == key && q.bitset & bitset != 0 {", replace: "        if q.key.get() == key && (q.bitset & bitset != 0 || true) {" },
            Edit { file: "src/syscall/futex.rs", find: "        if count == 1 && q.key.get() == key && q.bitset & bitset != 0 {", replace: "        if count == 1 && q.key.get() == key && (q.bitset & bitset != 0 || true) {" },
        ],
        red: Run::ring3("futex", "a bit wakes the sleeper that waits for it, and no other"),
    },
    Mutant {
        name: "futex_word_not_looked_at",
        takes_out: "the look at the word after queueing",
        edits: &[
            Edit { file: "src/syscall/futex.rs", find: "        Ok(now) if now != val => Err(Errno::EAGAIN),", replace: "        Ok(now) if now != val && false => Err(Errno::EAGAIN)," },
        ],
        red: Run::ring3("futex", "another value: EAGAIN"),
    },
    Mutant {
        name: "alarm_of_the_dead_kept",
        takes_out: "exit_itimers",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    exit_itimers(&leader);", replace: "    let _ = exit_itimers;" },
        ],
        red: Run::stress("no_task_is_left"),
    },
    Mutant {
        name: "gs_of_a_cleared_slot_kept",
        takes_out: "the load of gs in set_thread_area",
        edits: &[
            Edit { file: "src/syscall/thread_area.rs", find: "    if get_user_gs(regs) == selector {", replace: "    if get_user_gs(regs) == selector && false {" },
        ],
        red: Run::ring3("gs_bad", "a TLS slot cleared under %gs: 0 at once"),
    },
    Mutant {
        name: "system_call_shows_the_kernels_esp",
        takes_out: "the return of a system call to a 16-bit stack",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    testl   ${ALLWORK_MASK}, {TI_FLAGS}(%esp)\n    jnz     syscall_work", replace: "    testl   ${WORK_MASK}, {TI_FLAGS}(%esp)\n    jnz     syscall_work" },
        ],
        red: Run::ring3("ldt", "on a 16-bit stack a system call shows nothing of the kernel's esp"),
    },
    Mutant {
        name: "interrupt_shows_the_kernels_esp",
        takes_out: "the return of an interrupt to a 16-bit stack",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    testl   ${ALLWORK_MASK}, {TI_FLAGS}(%esp)\n    jz      restore_all\n    LABEL   work_pending", replace: "    testl   ${WORK_MASK}, {TI_FLAGS}(%esp)\n    jz      restore_all\n    LABEL   work_pending" },
        ],
        red: Run::ring3("ldt", "nor do interrupts"),
    },
    Mutant {
        name: "fault_on_the_espfix_stack",
        takes_out: "the way back from ESPFIX_SS when its iret faults",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    ON_ESPFIX_STACK iret_from_espfix\n", replace: "" },
        ],
        red: Run::ring3("ldt", "so does code that is gone, above a 16-bit stack"),
    },
    Mutant {
        name: "forked_task_forgets_its_ldt",
        takes_out: "TIF_LDT of a forked task",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        set_flag(child.thread_info(), TIF_LDT);", replace: "        let _ = (set_flag, TIF_LDT);" },
        ],
        red: Run::ring3("ldt", "nor switches"),
    },
    Mutant {
        name: "other_threads_not_told_of_the_ldt",
        takes_out: "TIF_LDT of the other threads",
        edits: &[
            Edit { file: "src/syscall/ldt.rs", find: "        if ptr::eq(task.mm.load(Ordering::Relaxed), mm) {", replace: "        if ptr::eq(task.mm.load(Ordering::Relaxed), mm) && task.pid() == current().pid() {" },
        ],
        red: Run::ring3("ldt", "nor one of a thread that was there before"),
    },
    Mutant {
        name: "thread_leaves_nothing",
        takes_out: "the times of an ended thread, in its process",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "            others.threads = others.threads.plus(Usage::of(&me));", replace: "            others.threads = others.threads.plus(Usage::default());" },
        ],
        red: Run::ring3("usage", "its switches are its process's"),
    },
    Mutant {
        name: "child_leaves_nothing",
        takes_out: "the times of a child, in its parent",
        edits: &[
            Edit { file: "src/process/wait4.rs", find: "        others.children = others.children.plus(reaped.usage);", replace: "        others.children = others.children.plus(Usage::default());" },
        ],
        red: Run::ring3("usage", "which are of the children now"),
    },
    Mutant {
        name: "mprotect_of_all_or_nothing",
        takes_out: "the part before a hole that mprotect changes",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "    if address < end {\n        map.protect", replace: "    if address < end && result.is_ok() {\n        map.protect" },
        ],
        red: Run::ring3("errors", "the part before the hole is changed"),
    },
    Mutant {
        name: "shared_file_written",
        takes_out: "the check that a shared file stays read-only",
        edits: &[
            Edit { file: "src/syscall/memory.rs", find: "        true => prot | VmFlags::NEVER_WRITE,", replace: "        true => prot," },
        ],
        red: Run::ring3("errors", "a file that is shared does not become writable: EACCES"),
    },
    Mutant {
        name: "anybodys_policy",
        takes_out: "the check of the task's owner in sched_setscheduler",
        edits: &[
            Edit { file: "src/syscall/sched.rs", find: "        if gains || !mine.check_same_owner(&theirs) {", replace: "        if gains || false && !mine.check_same_owner(&theirs) {" },
        ],
        red: Run::ring3("errors", "the policy of another user's task: EPERM"),
    },
    Mutant {
        name: "no_frames_in_the_vdso",
        takes_out: "the tables by which a stack is unwound",
        edits: &[
            Edit { file: "src/arch/vdso/vdso.lds", find: "PT_GNU_EH_FRAME\tFLAGS(4);", replace: "PT_NULL\tFLAGS(4);" },
        ],
        red: Run::init("/bin/threads-glibc", "and cleans up after itself"),
    },
    Mutant {
        name: "pread_of_any_file",
        takes_out: "the access mode at pread64",
        edits: &[
            Edit { file: "src/fs/file.rs", find: "Object::Proc(_) if self.flags() & O_ACCMODE == O_WRONLY => {", replace: "Object::Proc(_) if self.flags() & O_ACCMODE == !O_WRONLY => {" },
        ],
        red: Run::ring3("errors", "open for writing only, read and pread64: EBADF"),
    },
];
