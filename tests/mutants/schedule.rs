//! Steps around the switch: the scheduler, the address spaces and their counts, the end of a task.

use super::{Edit, Mutant, Run};

/// In the order in which a switch takes them.
#[rustfmt::skip]
pub const SCHEDULE: &[Mutant] = &[
    Mutant {
        name: "mm_not_grabbed",
        takes_out: "mmgrab, user to kernel",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "                mmgrab(oldmm);\n", replace: "" },
        ],
        red: Run::selftest("user_to_kernel_counts"),
    },
    Mutant {
        name: "idle_task_borrows_without_a_count",
        takes_out: "the idle task's count of init_mm",
        edits: &[
            Edit { file: "src/sched/idle.rs", find: "    unsafe { mmgrab((&raw const INIT_MM).cast_mut()) };\n", replace: "    let _ = mmgrab;\n" },
        ],
        red: Run::selftest("kernel_to_user_counts"),
    },
    Mutant {
        name: "prev_mm_not_set",
        takes_out: "rq.prev_mm, kernel to user",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            unsafe { rq.set_prev_mm(oldmm) };\n", replace: "" },
        ],
        red: Run::selftest("kernel_to_user_counts"),
    },
    Mutant {
        name: "borrowed_mm_not_handed_over",
        takes_out: "active_mm of next, kernel to kernel",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            n.active_mm.store(oldmm, Ordering::Relaxed);\n            // SAFETY: prev's reference to it", replace: "            // SAFETY: prev's reference to it" },
        ],
        red: Run::selftest("kernel_to_kernel_counts"),
    },
    Mutant {
        name: "cr3_written_for_the_same_mm",
        takes_out: "no CR3 write for the same address space",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "        MmSwitch::Switch if ptr::eq(oldmm, mm) => {}", replace: "        MmSwitch::Switch if false => {}" },
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "    if !core::ptr::eq(prev, next) {", replace: "    if true {" },
        ],
        red: Run::selftest("same_mm_switch_writes_no_cr3"),
    },
    Mutant {
        name: "lazy_tlb_not_entered",
        takes_out: "enter_lazy_tlb",
        edits: &[
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "        unsafe { this_cpu_write!(tlb_state, TLBSTATE_LAZY) };", replace: "" },
        ],
        red: Run::selftest("user_to_kernel_counts"),
    },
    Mutant {
        name: "borrowed_mm_not_dropped",
        takes_out: "mmdrop in finish_task_switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "            mmdrop(mm);", replace: "            let _ = mmdrop;" },
        ],
        red: Run::selftest("page_directory_freed_by_next_task_after_cr3_moved"),
    },
    Mutant {
        name: "dead_task_not_dropped",
        takes_out: "put_task_struct in finish_task_switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "        drop(unsafe { TaskRef::from_raw(last) });", replace: "        let _ = last;" },
        ],
        red: Run::selftest("dead_stack_freed_only_in_finish_task_switch"),
    },
    Mutant {
        name: "interrupts_on_in_the_switch",
        takes_out: "interrupts off at the switch",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    let last = unsafe { switch_to(", replace: "    crate::sync::irq::local_irq_enable();\n    // SAFETY: a mutant.\n    let last = unsafe { switch_to(" },
        ],
        red: Run::selftest("interrupts_off_for_the_whole_switch"),
    },
    Mutant {
        name: "new_task_count_is_1",
        takes_out: "the preemption count of a new task",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "ThreadInfo::new(p.cast(), smp_processor_id(), 2)", replace: "ThreadInfo::new(p.cast(), smp_processor_id(), 1)" },
        ],
        red: Run::selftest("preemption_count_is_2_at_switch"),
    },
    Mutant {
        name: "voluntary_counted_as_preemption",
        takes_out: "nvcsw",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "        &prev.nvcsw\n", replace: "        &prev.nivcsw\n" },
        ],
        red: Run::selftest("sleeping_counts_nvcsw"),
    },
    Mutant {
        name: "need_resched_not_cleared",
        takes_out: "clear_tsk_need_resched",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "    clear_flag(current_thread_info(), TIF_NEED_RESCHED);\n", replace: "" },
        ],
        red: Run::selftest("fifo_runs_until_it_yields"),
    },
    Mutant {
        name: "no_preemption_at_wakeup",
        takes_out: "check_preempt_curr",
        edits: &[
            Edit { file: "src/sched/wake_up.rs", find: "    set_flag(curr.thread_info(), TIF_NEED_RESCHED);", replace: "" },
        ],
        red: Run::selftest("higher_priority_preempts_at_wakeup"),
    },
    Mutant {
        name: "slice_end_does_not_requeue",
        takes_out: "requeueing at the end of a slice",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "                rq.yield_task(curr);\n", replace: "" },
        ],
        red: Run::selftest("rr_rotates"),
    },
    Mutant {
        name: "yield_does_not_requeue",
        takes_out: "requeueing in sched_yield",
        edits: &[
            Edit { file: "src/sched/policy.rs", find: "    unsafe { this_rq().raw_lock().yield_task(current().as_ptr()) };\n", replace: "" },
        ],
        red: Run::selftest("fifo_runs_until_it_yields"),
    },
    Mutant {
        name: "preemption_counted_as_voluntary",
        takes_out: "nivcsw",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "        &prev.nivcsw\n", replace: "        &prev.nvcsw\n" },
        ],
        red: Run::selftest("preemption_counts_nivcsw"),
    },
    Mutant {
        name: "perf_not_told_out",
        takes_out: "perf_event_task_sched_out",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "    perf_event_task_sched_out(prev);\n", replace: "    let _ = perf_event_task_sched_out;\n" },
        ],
        red: Run::selftest("perf_counts_each_switch_of_its_task"),
    },
    Mutant {
        name: "perf_not_told_in",
        takes_out: "perf_event_task_sched_in",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "    perf_event_task_sched_in(&me);\n", replace: "    let _ = perf_event_task_sched_in;\n" },
        ],
        red: Run::selftest("perf_clocks_of_two_tasks_share_the_time"),
    },
    Mutant {
        name: "perf_clocks_never_stand",
        takes_out: "the stop of a task's clock while it is switched out",
        edits: &[
            Edit { file: "src/task/perf_event_context.rs", find: "        self.since = now;\n        self.cpu = Some(cpu);\n", replace: "        self.cpu = Some(cpu);\n        self.update(now);\n" },
        ],
        red: Run::selftest("perf_clocks_of_two_tasks_share_the_time"),
    },
    Mutant {
        name: "perf_stays_in_a_dead_task",
        takes_out: "perf_event_exit_task",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    perf_event_exit_task(me);\n", replace: "    let _ = perf_event_exit_task;\n" },
        ],
        red: Run::selftest("perf_event_leaves_a_dead_task"),
    },
    Mutant {
        name: "perf_faults_not_counted",
        takes_out: "PERF_COUNT_SW_PAGE_FAULTS",
        edits: &[
            Edit { file: "src/arch/x86/entry/page_fault.rs", find: "    perf_sw_event(me, SwEvent::PageFaults, regs.user_mode());\n", replace: "" },
        ],
        red: Run::ring3("perf", "24 pages touched: event 2, flags 0x0"),
    },
    Mutant {
        name: "perf_not_inherited",
        takes_out: "perf_event_task_made",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        perf_event_task_made(&child);\n", replace: "        let _ = perf_event_task_made;\n" },
        ],
        red: Run::ring3("perf", "inherited: faults of both are counted"),
    },
    Mutant {
        name: "perf_not_enabled_by_exec",
        takes_out: "perf_event_enable_on_exec",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    perf_event_enable_on_exec(me);\n", replace: "    let _ = perf_event_enable_on_exec;\n" },
        ],
        red: Run::ring3("perf", "exec enables an event that waits for it"),
    },
    Mutant {
        name: "perf_migrations_not_counted",
        takes_out: "PERF_COUNT_SW_CPU_MIGRATIONS",
        edits: &[
            Edit { file: "src/task/perf_event_context.rs", find: "        self.sw_event(SwEvent::CpuMigrations, u64::from(moved), false);\n", replace: "        let _ = moved;\n" },
        ],
        red: Run::ring3_on_two_cpus("perf", "as many migrations as sched_setaffinity made"),
    },
];
