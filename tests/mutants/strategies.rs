//! Steps of the strategies that the command line selects, and of the hooks of a switch.

use super::{Edit, Mutant, Run};

/// I/O bitmap, FPU, batches, `sched_info`, notifiers, then steps that only a long run shows.
#[rustfmt::skip]
pub const STRATEGIES: &[Mutant] = &[
    Mutant {
        name: "lazy_ports_left_to_next",
        takes_out: "the invalid base for a task without ports (lazy)",
        edits: &[
            Edit { file: "src/arch/x86/switch/io_bitmap.rs", find: "                None => INVALID_IO_BITMAP_OFFSET,", replace: "                None => IO_BITMAP_OFFSET," },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=lazy"),
    },
    Mutant {
        name: "gp_does_not_fill",
        takes_out: "the copy at the first #GP (lazy)",
        edits: &[
            Edit { file: "src/arch/x86/entry/traps.rs", find: "error_code == 0 && io_bitmap::fill_lazy_io_bitmap()", replace: "error_code == 0 && false && io_bitmap::fill_lazy_io_bitmap()" },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=lazy"),
    },
    Mutant {
        name: "loaded_ports_not_compared",
        takes_out: "the check whether the TSS has this task's bytes",
        edits: &[
            Edit { file: "src/arch/x86/switch/io_bitmap.rs", find: "    this_cpu_read!(io_bitmap_sequence) == bitmap.sequence()\n", replace: "    let _ = bitmap;\n    this_cpu_read!(io_bitmap_sequence) != 0\n" },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=invalidate"),
    },
    Mutant {
        name: "ports_not_invalidated",
        takes_out: "the invalid base when prev had ports (invalidate)",
        edits: &[
            Edit { file: "src/arch/x86/switch/io_bitmap.rs", find: "            if prev.work.contains(TIF_IO_BITMAP) {", replace: "            if false && prev.work.contains(TIF_IO_BITMAP) {" },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=invalidate"),
    },
    Mutant {
        name: "ports_not_copied_on_return",
        takes_out: "the copy on the way to ring 3 (invalidate)",
        edits: &[
            Edit { file: "src/arch/x86/entry/notify_resume.rs", find: "        tss_update_io_bitmap();\n", replace: "        let _ = tss_update_io_bitmap;\n" },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=invalidate"),
    },
    Mutant {
        name: "return_not_asked_for_ports",
        takes_out: "TIF_NOTIFY_RESUME at the switch to a task with ports (invalidate)",
        edits: &[
            Edit { file: "src/arch/x86/switch/io_bitmap.rs", find: "            if next.work.contains(TIF_IO_BITMAP) {", replace: "            if false && next.work.contains(TIF_IO_BITMAP) {" },
        ],
        red: Run::ring3("ioperm", "ioperm").with("io_bitmap=invalidate"),
    },
    Mutant {
        name: "eager_fpu_is_lazy",
        takes_out: "the threshold below every count (eager)",
        edits: &[
            Edit { file: "src/arch/x86/switch/math_state.rs", find: "next.fpu_counter as i32 > PRELOAD_AFTER.load(Ordering::Relaxed)", replace: "next.fpu_counter as i32 > FPU_PRELOAD_AFTER as i32" },
        ],
        red: Run::selftest("fpu_eager_has_one_nm_in_all").with("fpu=eager"),
    },
    Mutant {
        name: "tls_written_within_the_batch",
        takes_out: "the wait of the TLS descriptors for the end of the batch",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        unsafe { noted() }.tls = Some(*tls);", replace: "        unsafe { Now::load_tls(tls, true) };" },
        ],
        red: Run::selftest("paravirt_nothing_of_next_before_the_batch_ends").with("paravirt=batch"),
    },
    Mutant {
        name: "sp0_written_within_the_batch",
        takes_out: "the wait of sp0 for the end of the batch",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        unsafe { noted() }.sp0 = Some(sp0);", replace: "        unsafe { Now::load_sp0(sp0) };" },
        ],
        red: Run::selftest("paravirt_nothing_of_next_before_the_batch_ends").with("paravirt=batch"),
    },
    Mutant {
        name: "batched_cr3_forgotten",
        takes_out: "CR3 at the end of a batch",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        unsafe { Now::write_cr3(cr3) };", replace: "        let _ = cr3;" },
        ],
        red: Run::selftest("paravirt_nothing_of_next_before_the_batch_ends").with("paravirt=batch"),
    },
    Mutant {
        name: "mask_left_within_the_batch",
        takes_out: "the wait of prev's mm_cpumask for CR3",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        unsafe { noted() }.left = Some(NonNull::from(prev));", replace: "        unsafe { Now::leave(_cpu, prev) };" },
        ],
        red: Run::selftest("paravirt_nothing_of_next_before_the_batch_ends").with("paravirt=batch"),
    },
    Mutant {
        name: "lazy_mmu_mode_not_entered_again",
        takes_out: "the lazy MMU mode of a task that comes back",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        enter_lazy(PARAVIRT_LAZY_MMU);\n    }\n}\n\n/// Returns this CPU's state before", replace: "    }\n}\n\n/// Returns this CPU's state before" },
        ],
        red: Run::selftest("paravirt_lazy_mmu_mode_waits_and_survives_a_switch").with("paravirt=batch"),
    },
    Mutant {
        name: "lazy_mmu_mode_not_left",
        takes_out: "the end of the lazy MMU mode at a switch",
        edits: &[
            Edit { file: "src/arch/x86/switch/paravirt.rs", find: "        arch_leave_lazy_mmu_mode();\n        // SAFETY: by 1 we are prev", replace: "        // SAFETY: by 1 we are prev" },
        ],
        red: Run::selftest("paravirt_lazy_mmu_mode_waits_and_survives_a_switch").with("paravirt=batch"),
    },
    Mutant {
        name: "departure_not_accounted",
        takes_out: "sched_info_depart",
        edits: &[
            Edit { file: "src/sched/hooks/sched_info.rs", find: "        unsafe { (*prev.sched_info.get()).depart(now, is_runnable) };", replace: "        let _ = is_runnable;" },
        ],
        red: Run::selftest("sched_info_adds_up").with("schedstats=on"),
    },
    Mutant {
        name: "waiting_not_accounted",
        takes_out: "the time that a preempted task waits",
        edits: &[
            Edit { file: "src/task/sched_info.rs", find: "        if is_runnable {", replace: "        if false && is_runnable {" },
        ],
        red: Run::selftest("sched_info_counts_slices_and_delay").with("schedstats=on"),
    },
    Mutant {
        name: "notifiers_not_told_of_departure",
        takes_out: "fire_sched_out_preempt_notifiers",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "    unsafe { fire_sched_out_preempt_notifiers(prev, next) };", replace: "    let _ = fire_sched_out_preempt_notifiers;" },
        ],
        red: Run::selftest("preempt_notifiers_are_told_in_pairs"),
    },
    Mutant {
        name: "notifiers_not_told_of_return",
        takes_out: "fire_sched_in_preempt_notifiers",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "    unsafe { fire_sched_in_preempt_notifiers(&me) };", replace: "    let _ = fire_sched_in_preempt_notifiers;" },
        ],
        red: Run::selftest("preempt_notifiers_are_told_in_pairs"),
    },
    Mutant {
        name: "sp0_of_the_first_cpu",
        takes_out: "the CPU's own TSS",
        edits: &[
            Edit { file: "src/arch/x86/switch/load_sp0.rs", find: "    unsafe { F::To::load_sp0(next.sp0) };", replace: "    // SAFETY: a mutant.\n    unsafe { (*crate::base::percpu::per_cpu(0)).tss.x86_tss.sp0 = next.sp0 };" },
        ],
        red: Run::on_two_cpus("smp_two_cpus_two_contexts_at_one_moment"),
    },
    Mutant {
        name: "page_tables_kept_at_exit",
        takes_out: "the release of page tables with their address space",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "    free_pgtables(pgd);", replace: "    let _ = (free_pgtables, pgd);" },
        ],
        red: Run::stress("no_page_is_left"),
    },
    Mutant {
        name: "dead_tasks_pile_up",
        takes_out: "the release of a dead task",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "        drop(unsafe { TaskRef::from_raw(last) });", replace: "        core::mem::forget(unsafe { TaskRef::from_raw(last) });" },
        ],
        red: Run::stress("no_task_is_left"),
    },
];
