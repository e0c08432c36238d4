//! Steps that matter with several processors.

use super::{Edit, Mutant, Run};

/// In the order in which a switch takes them.
#[rustfmt::skip]
pub const SEVERAL_CPUS: &[Mutant] = &[
    Mutant {
        name: "on_cpu_not_waited_for",
        takes_out: "the wait for on_cpu in try_to_wake_up",
        edits: &[
            Edit { file: "src/sched/ttwu.rs", find: "    wait_until_off_cpu(p.on_cpu());", replace: "" },
        ],
        red: Run::on_two_cpus("smp_wake_up_waits_until_context_is_saved"),
    },
    Mutant {
        name: "migrating_is_on_no_queue",
        takes_out: "TASK_ON_RQ_MIGRATING as a waker sees it",
        edits: &[
            Edit { file: "src/task/state.rs", find: "        self.0.load(Ordering::Acquire) != 0\n", replace: "        self.0.load(Ordering::Acquire) == QUEUED\n" },
        ],
        red: Run::on_two_cpus("smp_wake_up_waits_until_task_is_pulled"),
    },
    Mutant {
        name: "waker_takes_the_queue_that_a_task_leaves",
        takes_out: "the wait for the end of a pull in __task_rq_lock",
        edits: &[
            Edit { file: "src/sched/ttwu.rs", find: " && !p.on_rq().is_migrating()", replace: "" },
        ],
        red: Run::on_two_cpus("smp_wake_up_waits_until_task_is_pulled"),
    },
    Mutant {
        name: "on_cpu_not_set",
        takes_out: "prepare_task",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "    super::on_cpu::prepare_task(&next.on_cpu);", replace: "    let _ = next;" },
        ],
        red: Run::on_two_cpus("on_cpu_says_who_runs"),
    },
    Mutant {
        name: "run_queue_of_the_call_that_left",
        takes_out: "the new lookup of the run queue after the switch",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "pub unsafe fn finish_task_switch(last: Last<TaskStruct>) {", replace: "pub unsafe fn finish_task_switch(last: Last<TaskStruct>, stale: &'static super::rq::Rq) {" },
            Edit { file: "src/sched/finish_task_switch.rs", find: "    let mut rq = unsafe { RqLocked::inherit(&last) };", replace: "    let mut rq = unsafe { RqLocked::of_held(stale) };" },
            Edit { file: "src/sched/finish_task_switch.rs", find: "    unsafe { finish_task_switch(Last::from_eax(last.cast())) };", replace: "    unsafe { finish_task_switch(Last::from_eax(last.cast()), super::rq::this_rq()) };" },
            Edit { file: "src/sched/context_switch.rs", find: "    prepare_lock_switch(rq);\n", replace: "    let stale = this_rq();\n    prepare_lock_switch(rq);\n" },
            Edit { file: "src/sched/context_switch.rs", find: "    unsafe { finish_task_switch(last) };", replace: "    unsafe { finish_task_switch(last, stale) };" },
            Edit { file: "src/selftest/switch.rs", find: "    unsafe { finish_task_switch(last) };", replace: "    unsafe { finish_task_switch(last, this_rq()) };" },
        ],
        red: Run::on_two_cpus("smp_migration_storm"),
    },
    Mutant {
        name: "flush_not_sent",
        takes_out: "the interrupt of a TLB flush",
        edits: &[
            Edit { file: "src/arch/x86/tlb_flush.rs", find: "    if others != 0 {", replace: "    if others == u32::MAX {" },
        ],
        red: Run::on_two_cpus("smp_flush_reaches_the_other_user"),
    },
    Mutant {
        name: "lazy_cpu_does_not_leave",
        takes_out: "leave_mm at a flush of a borrowed address space",
        edits: &[
            Edit { file: "src/arch/x86/tlb_flush.rs", find: "        unsafe { leave_mm(mm) };\n", replace: "" },
        ],
        red: Run::on_two_cpus("smp_flush_of_a_borrowed_mm_makes_it_leave"),
    },
    Mutant {
        name: "lazy_cpu_comes_back_to_the_wrong_tables",
        takes_out: "CR3 after leave_mm",
        edits: &[
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "        if next.cpu_vm_mask.fetch_or(bit, Ordering::Relaxed) & bit == 0 {", replace: "        if next.cpu_vm_mask.fetch_or(bit, Ordering::Relaxed) == 0 {" },
        ],
        red: Run::on_two_cpus("smp_flush_of_a_borrowed_mm_makes_it_leave"),
    },
    Mutant {
        name: "cpu_stays_in_prevs_mask",
        takes_out: "the CPU's bit in prev's mm_cpumask",
        edits: &[
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "            To::leave(cpu, prev);\n", replace: "" },
        ],
        red: Run::on_two_cpus("smp_switched_away_cpu_gets_no_flush"),
    },
    Mutant {
        name: "affinity_moves_nobody",
        takes_out: "the migration of a running task",
        edits: &[
            Edit { file: "src/sched/migration.rs", find: "        stop_one_cpu(cpu, p);", replace: "        let _ = cpu;" },
        ],
        red: Run::on_two_cpus("smp_setaffinity_moves_a_running_task"),
    },
    Mutant {
        name: "one_double_fault_stack",
        takes_out: "a double-fault stack for each CPU",
        edits: &[
            Edit { file: "src/arch/x86/entry/doublefault.rs", find: "STACKS[cpu as usize].0.get() as u32", replace: "STACKS[cpu as usize & 0].0.get() as u32" },
        ],
        red: Run::on_two_cpus("smp_each_cpu_has_its_own_tables"),
    },
    Mutant {
        name: "one_sysenter_stack",
        takes_out: "SYSENTER_ESP of each CPU",
        edits: &[
            Edit { file: "src/arch/x86/switch/load_sp0.rs", find: "u64::from(sysenter_stack(cpu))", replace: "u64::from(sysenter_stack(cpu & 0))" },
        ],
        red: Run::on_two_cpus("smp_each_cpu_has_its_own_tables"),
    },
    Mutant {
        name: "idle_cpu_does_not_pull",
        takes_out: "the pull by an idle CPU",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "        pull_task(this, 2);", replace: "        let _ = this;" },
        ],
        red: Run::on_two_cpus("smp_idle_cpu_pulls_a_waiting_task"),
    },
    Mutant {
        name: "bound_tasks_hide_others",
        takes_out: "the search of the next CPU when the tasks of the busiest are bound",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "        others &= !(1 << busiest);", replace: "        others = 0;" },
        ],
        red: Run::on_two_cpus("smp_idle_cpu_passes_over_bound_tasks").on_cpus(3),
    },
    Mutant {
        name: "busy_cpus_do_not_pull",
        takes_out: "the periodic balance",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "        pull_task(this, mine.saturating_add(2));", replace: "" },
        ],
        red: Run::on_two_cpus("smp_busy_cpus_even_out"),
    },
    Mutant {
        name: "idle_cpu_not_interrupted",
        takes_out: "the interrupt of the CPU for which a task was woken",
        edits: &[
            Edit { file: "src/sched/wake_up.rs", find: "    if cpu != smp_processor_id() {", replace: "    if cpu != smp_processor_id() && false {" },
        ],
        red: Run::on_two_cpus("smp_wake_up_interrupts_an_idle_cpu"),
    },
    Mutant {
        name: "signal_waits_for_the_tick",
        takes_out: "kick_process",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "        kick_process(task);", replace: "        let _ = kick_process;" },
        ],
        red: Run::on_two_cpus("smp_signal_interrupts_who_runs"),
    },
    Mutant {
        name: "migration_thread_is_anybodys",
        takes_out: "the CPU of a migration thread",
        edits: &[
            Edit { file: "src/sched/migration.rs", find: "    if mask & online == 0 || p.has_flags(PF_THREAD_BOUND) {", replace: "    if mask & online == 0 {" },
        ],
        red: Run::selftest("migration_threads_stay_what_they_are"),
    },
    Mutant {
        name: "migration_thread_has_any_priority",
        takes_out: "the priority of a migration thread",
        edits: &[
            Edit { file: "src/sched/policy.rs", find: "    if p.has_flags(PF_THREAD_BOUND) {", replace: "    if p.has_flags(PF_THREAD_BOUND) && false {" },
        ],
        red: Run::selftest("migration_threads_stay_what_they_are"),
    },
    Mutant {
        name: "affinity_forgotten_at_a_wake_up",
        takes_out: "affinity when a CPU is chosen for a task",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "    if allowed == 0 { online } else { allowed }", replace: "    let _ = allowed;\n    online" },
        ],
        red: Run::on_two_cpus("smp_migration_storm"),
    },
    Mutant {
        name: "migration_thread_waits_for_others",
        takes_out: "the migration thread's priority above all others",
        edits: &[
            Edit { file: "src/sched/policy.rs", find: "        se.prio = (MAX_RT_PRIO - 1).saturating_sub(rt_priority);", replace: "        se.prio = MAX_RT_PRIO - rt_priority;" },
        ],
        red: Run::ring3_on_two_cpus("affinity", "of the best priority, too").on_cpus(3),
    },
    Mutant {
        name: "late_cpu_is_not_sent_back",
        takes_out: "INIT for a processor that did not answer",
        edits: &[
            Edit { file: "src/arch/x86/irq/smp.rs", find: "that is started next.\n    lapic::send_ipi(apic_id, Ipi::InitAssert);", replace: "that is started next." },
        ],
        red: Run::on_two_cpus("cpu_that_comes_too_late!").with("maxcpus=1"),
    },
    Mutant {
        name: "new_tasks_stay",
        takes_out: "the choice of a CPU at fork",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "    least_loaded(allowed(p, CPU_ONLINE_MASK.load(Ordering::Relaxed)))", replace: "    p.cpu()" },
        ],
        red: Run::on_two_cpus("smp_new_tasks_spread"),
    },
    Mutant {
        name: "wake_up_stays",
        takes_out: "the choice of an idle CPU at a wake-up",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "        Some(idle) => idle,", replace: "        Some(_) => prev_cpu," },
        ],
        red: Run::on_two_cpus("smp_wake_up_prefers_an_idle_cpu"),
    },
    Mutant {
        name: "affinity_forgotten_at_a_pull",
        takes_out: "affinity of a task that is pulled",
        edits: &[
            Edit { file: "src/sched/balance.rs", find: "let may_come = |p: *mut TaskStruct| (*(*p).se.get()).cpus_allowed & 1 << this_cpu != 0;", replace: "let may_come = |_: *mut TaskStruct| true;" },
        ],
        red: Run::on_two_cpus("smp_migration_storm"),
    },
    Mutant {
        name: "threads_keep_what_was_unmapped",
        takes_out: "the flush of other CPUs, seen from ring 3",
        edits: &[
            Edit { file: "src/arch/x86/tlb_flush.rs", find: "    if others != 0 {\n        flush_tlb_others", replace: "    if others != 0 && false {\n        flush_tlb_others" },
        ],
        red: Run::ring3_on_two_cpus("tlb", "munmap: the other thread's next read faults"),
    },
    Mutant {
        name: "fork_leaves_writable_pages_in_tlbs",
        takes_out: "the flush when a fork makes pages read-only",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "    if protected {", replace: "    if protected && false {" },
        ],
        red: Run::ring3_on_two_cpus("tlb", "fork: the other thread's writes stay in its process"),
    },
    Mutant {
        name: "ldt_not_switched",
        takes_out: "the load of the LDT in switch_mm",
        edits: &[
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "            To::leave(cpu, prev);\n            if LDT {", replace: "            To::leave(cpu, prev);\n            if LDT && false {" },
        ],
        red: Run::ring3("ldt", "the first of two processes has its own table"),
    },
    Mutant {
        name: "ldt_not_loaded_after_leave_mm",
        takes_out: "the load of the LDT when the owner comes back after leave_mm",
        edits: &[
            Edit { file: "src/arch/x86/switch/mmu_context.rs", find: "                if LDT {\n                    load_ldt(next);", replace: "                if LDT && false {\n                    load_ldt(next);" },
        ],
        red: Run::ring3_on_two_cpus("ldt", "nor is one that slept left with the old"),
    },
    Mutant {
        name: "ldt_not_copied",
        takes_out: "the copy of the LDT at fork",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "    drop(unsafe { new.lock_ldt().replace(copy) });", replace: "    let _ = (copy, new);" },
        ],
        red: Run::ring3("ldt", "fork copies the table"),
    },
    Mutant {
        name: "ldt_of_other_cpus_stays",
        takes_out: "the message to other CPUs that the LDT has changed",
        edits: &[
            Edit { file: "src/arch/x86/switch/ldt.rs", find: "    on_each_cpu(&|| flush_ldt(mm));", replace: "    let _ = on_each_cpu;\n    flush_ldt(mm);" },
        ],
        red: Run::ring3_on_two_cpus("ldt", "an entry that one thread writes reaches the others at once"),
    },
    Mutant {
        name: "thread_made_at_the_end_lives_on",
        takes_out: "the check, when a thread is made, whether its process is ending",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "    if is_thread && is_being_ended(me) {", replace: "    if is_thread && is_being_ended(me) && false {" },
        ],
        red: Run::ring3_on_two_cpus("threads", "and those that are just being made"),
    },
    Mutant {
        name: "vfork_waits_where_the_leader_does",
        takes_out: "the child's own wait queue for its parent after vfork",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        child\n            .wait_chldexit", replace: "        current()\n            .wait_chldexit" },
            Edit { file: "src/process/exit.rs", find: "    me.wait_chldexit.wake_up();\n", replace: "    let parent = me.ppid.load(Ordering::Relaxed);\n    if let Some(parent) = super::tasklist::find_task_by_pid(parent) {\n        parent.wait_chldexit.wake_up();\n    }\n" },
        ],
        red: Run::ring3("clone", "CLONE_VFORK in a thread: it goes on when its child is gone"),
    },
    Mutant {
        name: "system_call_keeps_interrupts_off",
        takes_out: "interrupts on in a system call of a program that has them off",
        edits: &[
            Edit { file: "src/arch/x86/entry/paths.rs", find: "    sti                                     # on already, unless", replace: "    # on already, unless" },
        ],
        red: Run::ring3_on_two_cpus("iopl", "after cli memory changes under another thread all the same"),
    },
    Mutant {
        name: "page_fault_keeps_interrupts_off",
        takes_out: "interrupts on in a page fault of a program that has them off",
        edits: &[
            Edit { file: "src/arch/x86/entry/page_fault.rs", find: "    if regs.user_mode() {\n        insn::sti();", replace: "    if false {\n        insn::sti();" },
        ],
        red: Run::ring3_on_two_cpus("iopl", "after cli memory changes under another thread all the same"),
    },
    Mutant {
        name: "timers_are_all_of_the_first_cpu",
        takes_out: "each CPU's own timers",
        edits: &[
            Edit { file: "src/sched/timer.rs", find: "    let cpu = smp_processor_id();", replace: "    let cpu = 0;" },
        ],
        red: Run::on_two_cpus("smp_timers_end_on_their_cpu"),
    },
];
