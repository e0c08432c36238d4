//! Barriers on other CPUs, and the part of the switch in them.

use super::{Edit, Mutant, Run};

/// Registration, the switch, then the CPUs that a barrier interrupts.
#[rustfmt::skip]
pub const MEMBARRIER: &[Mutant] = &[
    Mutant {
        name: "membarrier_not_switched",
        takes_out: "membarrier_switch_mm",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "            membarrier_switch_mm(rq, old, mm);\n", replace: "        let _ = rq;" },
        ],
        red: Run::on_two_cpus("smp_membarrier_registration_follows_the_switch"),
    },
    Mutant {
        name: "membarrier_registers_here_only",
        takes_out: "the interrupt that tells every CPU of a registration",
        edits: &[
            Edit { file: "src/sched/hooks/membarrier.rs", find: "    on_each_cpu(&|| ipi_sync_rq_state(mm));", replace: "    let _ = on_each_cpu;\n    ipi_sync_rq_state(mm);" },
        ],
        red: Run::on_two_cpus("smp_membarrier_registration_reaches_a_lazy_cpu"),
    },
    Mutant {
        name: "membarrier_interrupts_nobody",
        takes_out: "the interrupt of the CPUs that run the process",
        edits: &[
            Edit { file: "src/sched/hooks/membarrier.rs", find: "        smp_call_function_many(mask, &ipi_mb);", replace: "        let _ = (mask, smp_call_function_many, ipi_mb);" },
        ],
        red: Run::on_two_cpus("smp_membarrier_interrupts_exactly_its_users").on_cpus(3),
    },
    Mutant {
        name: "membarrier_interrupts_lazy_cpus",
        takes_out: "the check whether a CPU uses the address space or only borrows it",
        edits: &[
            Edit { file: "src/sched/hooks/membarrier.rs", find: "    let mm = unsafe { (*rq.curr()).mm.load(Ordering::Relaxed) };", replace: "    let mm = unsafe { (*rq.curr()).active_mm.load(Ordering::Relaxed) };" },
        ],
        red: Run::on_two_cpus("smp_membarrier_spares_a_lazy_cpu"),
    },
    Mutant {
        name: "core_not_synchronized",
        takes_out: "membarrier_mm_sync_core_before_usermode",
        edits: &[
            Edit { file: "src/sched/finish_task_switch.rs", find: "            membarrier_mm_sync_core_before_usermode(&*mm);\n", replace: "            let _ = membarrier_mm_sync_core_before_usermode;\n" },
        ],
        red: Run::selftest("membarrier_syncs_core_where_no_cr3_is_written"),
    },
    Mutant {
        name: "membarrier_not_forked",
        takes_out: "the copy of a registration at fork",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "    new_mm.context_flags.fetch_or(context, Ordering::Relaxed);", replace: "    let _ = context;" },
        ],
        red: Run::ring3("membarrier", "fork copies the registration"),
    },
    Mutant {
        name: "membarrier_without_permission",
        takes_out: "the check whether the process has registered",
        edits: &[
            Edit { file: "src/syscall/membarrier.rs", find: "    if state & cmd.needs() != cmd.needs() {", replace: "    if state & cmd.needs() != cmd.needs() && false {" },
        ],
        red: Run::ring3("membarrier", "private, not registered: EPERM"),
    },
];
