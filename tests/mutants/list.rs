//! The mutants: for each step of the switch a small change that takes it out, and the
//! tests that must notice.

/// One change in one file: text that occurs exactly once, and what stands there instead.
pub struct Edit {
    /// Path in the tree.
    pub file: &'static str,
    /// What is there.
    pub find: &'static str,
    /// What the mutant has.
    pub replace: &'static str,
}

/// A boot of the mutant.
pub struct Run {
    /// Kernel command line.
    pub cmdline: &'static str,
    /// How many processors.
    pub cpus: u32,
    /// KTAP cases that must be red.
    pub tests: &'static [&'static str],
    /// How long it may take.
    pub seconds: u64,
}

impl Run {
    /// A line that every kernel writes when it has come up, whatever is taken out of its switch.
    pub const STARTED: &'static str = "rootfs: initramfs of";
}

/// The tree without one step.
pub struct Mutant {
    /// Its name, and its test's.
    pub name: &'static str,
    /// The step.
    pub takes_out: &'static str,
    /// How.
    pub edits: &'static [Edit],
    /// Who must notice.
    pub runs: &'static [Run],
}

#[rustfmt::skip]
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "eflags_not_saved",
        takes_out: "pushfl and popfl of switch_to",
        edits: &[
            Edit { file: "src/arch/x86/switch_to.rs", find: "    pushfl  ", replace: "    pushl $2  " },
            Edit { file: "src/arch/x86/switch_to.rs", find: "    popfl\n", replace: "    addl $4, %esp\n" },
        ],
        runs: &[Run { cmdline: "selftest=iopl_does_not_leak", cpus: 1, tests: &["iopl_does_not_leak"], seconds: 40 }],
    },
    Mutant {
        name: "sp_not_saved",
        takes_out: "thread.sp of prev",
        edits: &[
            Edit { file: "src/arch/x86/switch_to.rs", find: "    movl  %esp, {SP}(%eax)", replace: "    nop" },
        ],
        runs: &[Run { cmdline: "selftest=last_after_a_b_c_a", cpus: 1, tests: &["last_after_a_b_c_a"], seconds: 40 }],
    },
    Mutant {
        name: "ip_not_saved",
        takes_out: "thread.ip of prev",
        edits: &[
            Edit { file: "src/arch/x86/switch_to.rs", find: "    movl  $switch_to_1, {IP}(%eax)", replace: "    nop" },
        ],
        runs: &[Run { cmdline: "selftest=new_task_returns_through_ret_from_fork", cpus: 1, tests: &["new_task_returns_through_ret_from_fork"], seconds: 40 }],
    },
    Mutant {
        name: "label_1_pushed_for_new_tasks",
        takes_out: "the return address from thread.ip",
        edits: &[
            Edit { file: "src/arch/x86/switch_to.rs", find: "    pushl {IP}(%edx)", replace: "    pushl $switch_to_1" },
        ],
        runs: &[Run { cmdline: "selftest=new_task_returns_through_ret_from_fork", cpus: 1, tests: &["new_task_returns_through_ret_from_fork"], seconds: 40 }],
    },
    Mutant {
        name: "last_is_next",
        takes_out: "the third parameter",
        edits: &[
            Edit { file: "src/arch/x86/__switch_to.rs", find: "    this_cpu_write!(current_task, next_p as u32);\n    prev_p", replace: "    this_cpu_write!(current_task, next_p as u32);\n    next_p" },
        ],
        runs: &[Run { cmdline: "selftest=last_after_a_b_c_a", cpus: 1, tests: &["last_after_a_b_c_a"], seconds: 40 }],
    },
    Mutant {
        name: "new_task_keeps_eflags",
        takes_out: "popfl of ret_from_fork",
        edits: &[
            Edit { file: "src/arch/x86/ret_from_fork.rs", find: "    popfl\n", replace: "    addl $4, %esp\n" },
        ],
        runs: &[Run { cmdline: "selftest=new_task_eflags_are_0x202", cpus: 1, tests: &["new_task_eflags_are_0x202"], seconds: 40 }],
    },
    Mutant {
        name: "current_task_not_written",
        takes_out: "current_task = next",
        edits: &[
            Edit { file: "src/arch/x86/__switch_to.rs", find: "    this_cpu_write!(current_task, next_p as u32);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=current_by_stack_and_per_cpu_agree", cpus: 1, tests: &["current_by_stack_and_per_cpu_agree"], seconds: 40 }],
    },
    Mutant {
        name: "sp0_not_loaded",
        takes_out: "load_sp0",
        edits: &[
            Edit { file: "src/arch/x86/load_sp0.rs", find: "    this_cpu_write!(tss.x86_tss.sp0, next.sp0);", replace: "    let _ = next;" },
        ],
        runs: &[Run { cmdline: "selftest=sp0_is_own_stack", cpus: 1, tests: &["sp0_is_own_stack"], seconds: 40 }],
    },
    Mutant {
        name: "sysenter_cs_not_switched",
        takes_out: "SYSENTER_CS of next",
        edits: &[
            Edit { file: "src/arch/x86/load_sp0.rs", find: "        set_sysenter_cs(next.sysenter_cs);", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=sysenter_cs_cached_in_ss1", cpus: 1, tests: &["sysenter_cs_cached_in_ss1"], seconds: 40 }],
    },
    Mutant {
        name: "tls_not_loaded",
        takes_out: "load_TLS, first slot",
        edits: &[
            Edit { file: "src/arch/x86/load_tls.rs", find: "    write_gdt_entry::<6>(&next.tls_array[0]);", replace: "    let _ = next;" },
        ],
        runs: &[Run { cmdline: "selftest=tls_descriptors_follow_task", cpus: 1, tests: &["tls_descriptors_follow_task"], seconds: 40 }],
    },
    Mutant {
        name: "tls_slot_7_not_loaded",
        takes_out: "load_TLS, second slot",
        edits: &[
            Edit { file: "src/arch/x86/load_tls.rs", find: "    write_gdt_entry::<7>(&next.tls_array[1]);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=tls_second_and_third_slot_follow_task", cpus: 1, tests: &["tls_second_and_third_slot_follow_task"], seconds: 40 }],
    },
    Mutant {
        name: "gs_not_saved",
        takes_out: "lazy_save_gs",
        edits: &[
            Edit { file: "src/arch/x86/__switch_to.rs", find: "    lazy_save_gs(prev);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=gs_reloaded_when_either_nonzero", cpus: 1, tests: &["gs_reloaded_when_either_nonzero"], seconds: 40 }],
    },
    Mutant {
        name: "gs_not_loaded",
        takes_out: "lazy_load_gs",
        edits: &[
            Edit { file: "src/arch/x86/__switch_to.rs", find: "        lazy_load_gs(next);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=gs_same_selector_two_bases", cpus: 1, tests: &["gs_same_selector_two_bases"], seconds: 40 }],
    },
    Mutant {
        name: "gs_loaded_if_different",
        takes_out: "the or of the two selectors",
        edits: &[
            Edit { file: "src/arch/x86/__switch_to.rs", find: "    if prev.gs | next.gs != 0 {", replace: "    if prev.gs != next.gs {" },
        ],
        runs: &[Run { cmdline: "selftest=gs_same_selector_two_bases", cpus: 1, tests: &["gs_same_selector_two_bases"], seconds: 40 }],
    },
    Mutant {
        name: "gs_fault_not_caught",
        takes_out: "the fall-back of the gs load",
        edits: &[
            Edit { file: "src/arch/x86/lazy_gs.rs", find: "\".long 2b, 4b\"", replace: "\".long 4b, 4b\"" },
        ],
        runs: &[Run { cmdline: "selftest=gs_bad_selector_falls_back_to_0", cpus: 1, tests: &["gs_bad_selector_falls_back_to_0"], seconds: 40 }],
    },
    Mutant {
        name: "fpu_not_saved",
        takes_out: "fxsave in __unlazy_fpu",
        edits: &[
            Edit { file: "src/arch/x86/math_state.rs", find: "        unsafe { insn::fxsave((&raw mut *fpu).cast()) };", replace: "        let _ = fpu;" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_registers_of_two_tasks_do_not_mix", cpus: 1, tests: &["fpu_registers_of_two_tasks_do_not_mix"], seconds: 40 }],
    },
    Mutant {
        name: "ts_not_set",
        takes_out: "stts in __unlazy_fpu",
        edits: &[
            Edit { file: "src/arch/x86/math_state.rs", find: "        __save_init_fpu(prev);\n        insn::stts();", replace: "        __save_init_fpu(prev);" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_ts_clear_exactly_with_usedfpu", cpus: 1, tests: &["fpu_ts_clear_exactly_with_usedfpu"], seconds: 40 }],
    },
    Mutant {
        name: "fpu_preloaded_one_slice_early",
        takes_out: "the limit of five slices",
        edits: &[
            Edit { file: "src/arch/x86/math_state.rs", find: "FPU_PRELOAD_AFTER: u32 = 5", replace: "FPU_PRELOAD_AFTER: u32 = 4" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_nm_once_per_slice_then_preload", cpus: 1, tests: &["fpu_nm_once_per_slice_then_preload"], seconds: 40 }],
    },
    Mutant {
        name: "fpu_counter_kept",
        takes_out: "the reset of fpu_counter",
        edits: &[
            Edit { file: "src/arch/x86/math_state.rs", find: "        set_fpu_counter(prev, 0);", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_counter_reset_when_unused", cpus: 1, tests: &["fpu_counter_reset_when_unused"], seconds: 40 }],
    },
    Mutant {
        name: "debug_registers_not_loaded",
        takes_out: "DR0 to DR7 of next",
        edits: &[
            Edit { file: "src/arch/x86/switch_to_xtra.rs", find: "        load_debug_registers(next);\n    }\n\n    if", replace: "    }\n\n    if" },
        ],
        runs: &[Run { cmdline: "selftest=debugreg_of_two_tasks_do_not_mix", cpus: 1, tests: &["debugreg_of_two_tasks_do_not_mix"], seconds: 40 }],
    },
    Mutant {
        name: "tsd_not_switched",
        takes_out: "CR4.TSD",
        edits: &[
            Edit { file: "src/arch/x86/switch_to_xtra.rs", find: "        set_cr4_tsd(next.work & TIF_NOTSC != 0);", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=tsc_disable_follows_task", cpus: 1, tests: &["tsc_disable_follows_task"], seconds: 40 }],
    },
    Mutant {
        name: "bitmap_copies_next_only",
        takes_out: "max(prev, next) bytes",
        edits: &[
            Edit { file: "src/task/io_bitmap.rs", find: "            let len = copy_len(prev_max, next.io_bitmap_max);", replace: "            let len = next.io_bitmap_max;" },
        ],
        runs: &[Run { cmdline: "selftest=io_bitmap_max_of_prev_and_next_copied", cpus: 1, tests: &["io_bitmap_max_of_prev_and_next_copied"], seconds: 40 }],
    },
    Mutant {
        name: "bitmap_not_filled",
        takes_out: "ones when next has no bitmap",
        edits: &[
            Edit { file: "src/task/io_bitmap.rs", find: "            tss_bitmap[..prev_max].fill(0xff);", replace: "            let _ = &tss_bitmap;" },
        ],
        runs: &[Run { cmdline: "selftest=io_bitmap_all_ones_when_next_has_none", cpus: 1, tests: &["io_bitmap_all_ones_when_next_has_none"], seconds: 40 }],
    },
    Mutant {
        name: "exit_keeps_ports_in_tss",
        takes_out: "the fill in exit_thread",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "        switch_to_bitmap(tss, bitmap.io_bitmap_max(), None);", replace: "        let _ = (tss, bitmap);" },
        ],
        runs: &[Run { cmdline: "selftest=io_bitmap_exit_revokes", cpus: 1, tests: &["io_bitmap_exit_revokes"], seconds: 40 }],
    },
    Mutant {
        name: "fork_drops_ports",
        takes_out: "the copy of the I/O bitmap at fork",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "        new.io_bitmap = Some(bitmap.duplicate()?);", replace: "        let _ = bitmap;" },
        ],
        runs: &[Run { cmdline: "selftest=io_bitmap_fork_copies", cpus: 1, tests: &["io_bitmap_fork_copies"], seconds: 40 }],
    },
    Mutant {
        name: "fork_copies_stale_fpu",
        takes_out: "unlazy_fpu before the copy",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "    unlazy_fpu(parent);", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_fork_copies_live_registers", cpus: 1, tests: &["fpu_fork_copies_live_registers"], seconds: 40 }],
    },
    Mutant {
        name: "mm_not_grabbed",
        takes_out: "mmgrab, user to kernel",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            unsafe { mmgrab(oldmm) };\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=user_to_kernel_counts", cpus: 1, tests: &["user_to_kernel_counts"], seconds: 40 }],
    },
    Mutant {
        name: "prev_mm_not_set",
        takes_out: "rq.prev_mm, kernel to user",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            unsafe { (*rq).prev_mm = oldmm };\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=kernel_to_user_counts", cpus: 1, tests: &["kernel_to_user_counts"], seconds: 40 }],
    },
    Mutant {
        name: "borrowed_mm_not_handed_over",
        takes_out: "active_mm of next, kernel to kernel",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            n.active_mm.store(oldmm, Ordering::Relaxed);\n            enter_lazy_tlb();\n            p.active_mm", replace: "            enter_lazy_tlb();\n            p.active_mm" },
        ],
        runs: &[Run { cmdline: "selftest=kernel_to_kernel_counts", cpus: 1, tests: &["kernel_to_kernel_counts"], seconds: 40 }],
    },
    Mutant {
        name: "cr3_written_for_the_same_mm",
        takes_out: "no CR3 write for the same address space",
        edits: &[
            Edit { file: "src/arch/x86/mmu_context.rs", find: "    if !core::ptr::eq(prev, next) {", replace: "    if true {" },
        ],
        runs: &[Run { cmdline: "selftest=same_mm_switch_writes_no_cr3", cpus: 1, tests: &["same_mm_switch_writes_no_cr3"], seconds: 40 }],
    },
    Mutant {
        name: "lazy_tlb_not_entered",
        takes_out: "enter_lazy_tlb",
        edits: &[
            Edit { file: "src/arch/x86/mmu_context.rs", find: "        this_cpu_write!(tlb_state, TLBSTATE_LAZY);", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=user_to_kernel_counts", cpus: 1, tests: &["user_to_kernel_counts"], seconds: 40 }],
    },
    Mutant {
        name: "borrowed_mm_not_dropped",
        takes_out: "mmdrop in finish_task_switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "        unsafe { mmdrop(mm) };", replace: "        let _ = mm;" },
        ],
        runs: &[Run { cmdline: "selftest=page_directory_freed_by_next_task_after_cr3_moved", cpus: 1, tests: &["page_directory_freed_by_next_task_after_cr3_moved"], seconds: 40 }],
    },
    Mutant {
        name: "dead_task_not_dropped",
        takes_out: "put_task_struct in finish_task_switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "        drop(unsafe { TaskRef::from_raw(last) });", replace: "        let _ = last;" },
        ],
        runs: &[Run { cmdline: "selftest=dead_stack_freed_only_in_finish_task_switch", cpus: 1, tests: &["dead_stack_freed_only_in_finish_task_switch"], seconds: 40 }],
    },
    Mutant {
        name: "dying_process_does_not_grab",
        takes_out: "mmgrab in exit_mm",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    unsafe { mmgrab(mm) };\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=page_directory_freed_by_next_task_after_cr3_moved", cpus: 1, tests: &["page_directory_freed_by_next_task_after_cr3_moved"], seconds: 40 }],
    },
    Mutant {
        name: "interrupts_on_in_the_switch",
        takes_out: "interrupts off at the switch",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    let last = unsafe { switch_to(", replace: "    crate::sync::irq::local_irq_enable();\n    // SAFETY: a mutant.\n    let last = unsafe { switch_to(" },
        ],
        runs: &[Run { cmdline: "selftest=interrupts_off_for_the_whole_switch", cpus: 1, tests: &["interrupts_off_for_the_whole_switch"], seconds: 40 }],
    },
    Mutant {
        name: "new_task_count_is_1",
        takes_out: "the preemption count of a new task",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "ThreadInfo::new(p.cast(), smp_processor_id(), 2)", replace: "ThreadInfo::new(p.cast(), smp_processor_id(), 1)" },
        ],
        runs: &[Run { cmdline: "selftest=preemption_count_is_2_at_switch", cpus: 1, tests: &["preemption_count_is_2_at_switch"], seconds: 40 }],
    },
    Mutant {
        name: "voluntary_counted_as_preemption",
        takes_out: "nvcsw",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "        &prev.nvcsw\n", replace: "        &prev.nivcsw\n" },
        ],
        runs: &[Run { cmdline: "selftest=sleeping_counts_nvcsw", cpus: 1, tests: &["sleeping_counts_nvcsw"], seconds: 40 }],
    },
    Mutant {
        name: "need_resched_not_cleared",
        takes_out: "clear_tsk_need_resched",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "    clear_flag(current_thread_info(), TIF_NEED_RESCHED);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=fifo_runs_until_it_yields", cpus: 1, tests: &["fifo_runs_until_it_yields"], seconds: 40 }],
    },
    Mutant {
        name: "no_preemption_at_wakeup",
        takes_out: "check_preempt_curr",
        edits: &[
            Edit { file: "src/sched/wake_up.rs", find: "        set_flag(curr.thread_info(), TIF_NEED_RESCHED);", replace: "        let _ = curr;" },
        ],
        runs: &[Run { cmdline: "selftest=higher_priority_preempts_at_wakeup", cpus: 1, tests: &["higher_priority_preempts_at_wakeup"], seconds: 40 }],
    },
    Mutant {
        name: "slice_end_does_not_requeue",
        takes_out: "requeueing at the end of a slice",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "                q.yield_task(curr);\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=rr_rotates", cpus: 1, tests: &["rr_rotates"], seconds: 40 }],
    },
    Mutant {
        name: "yield_does_not_requeue",
        takes_out: "requeueing in sched_yield",
        edits: &[
            Edit { file: "src/sched/policy.rs", find: "        (*rq).yield_task(current().as_ptr());\n", replace: "" },
        ],
        runs: &[Run { cmdline: "selftest=fifo_runs_until_it_yields", cpus: 1, tests: &["fifo_runs_until_it_yields"], seconds: 40 }],
    },
    Mutant {
        name: "exec_keeps_fpu",
        takes_out: "clear_fpu at exec",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "    clear_fpu(me);\n    let _no_preempt = PreemptGuard::new();", replace: "    let _no_preempt = PreemptGuard::new();" },
        ],
        runs: &[Run { cmdline: "selftest=fpu_exec_discards", cpus: 1, tests: &["fpu_exec_discards"], seconds: 40 }],
    },
    Mutant {
        name: "fork_loses_gs",
        takes_out: "%gs at fork",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "gs: if regs.user_mode() { u32::from(insn::read_gs()) } else { 0 },", replace: "gs: 0," },
        ],
        runs: &[Run { cmdline: "init=/init -- run set_thread_area", cpus: 1, tests: &["set_thread_area"], seconds: 40 }],
    },
    Mutant {
        name: "exec_keeps_tls",
        takes_out: "the clearing of tls_array at exec",
        edits: &[
            Edit { file: "src/arch/x86/copy_thread.rs", find: "    thread.tls_array = [DescStruct::EMPTY; 3];\n", replace: "" },
        ],
        runs: &[Run { cmdline: "init=/init -- run set_thread_area", cpus: 1, tests: &["set_thread_area"], seconds: 40 }],
    },
    Mutant {
        name: "sysenter_keeps_nt",
        takes_out: "the known EFLAGS of the sysenter entry",
        edits: &[
            Edit { file: "src/arch/x86/entry.rs", find: "    pushl   ${KERNEL_EFLAGS}                # NT, AC, TF, DF and IOPL end here\n    popfl\n", replace: "" },
        ],
        runs: &[Run { cmdline: "init=/init -- run eflags", cpus: 1, tests: &["eflags"], seconds: 40 }],
    },
    Mutant {
        name: "iopl_not_set",
        takes_out: "IOPL in the saved EFLAGS",
        edits: &[
            Edit { file: "src/syscall/ioport.rs", find: "    regs.flags = flags.with_iopl(level as u8).bits();\n", replace: "" },
        ],
        runs: &[Run { cmdline: "init=/init -- run iopl", cpus: 1, tests: &["iopl"], seconds: 40 }],
    },
];
