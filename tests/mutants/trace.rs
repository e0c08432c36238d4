//! The trace: writing its records and draining them.

use super::{Edit, Mutant, Run};

/// In the order of a record's way.
#[rustfmt::skip]
pub const TRACE: &[Mutant] = &[
    Mutant {
        name: "switch_not_traced",
        takes_out: "trace_sched_switch",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "    trace_sched_switch(prev, next);\n", replace: "" },
            Edit { file: "src/sched/prepare_task_switch.rs", find: "use super::hooks::trace::trace_sched_switch;\n", replace: "" },
        ],
        red: Run::traced("init=/init -- run sched", " runs, "),
    },
    Mutant {
        name: "migration_not_traced",
        takes_out: "trace_sched_migrate_task",
        edits: &[
            Edit { file: "src/sched/rq.rs", find: "    trace_sched_migrate_task(p, cpu);\n", replace: "" },
            Edit { file: "src/sched/rq.rs", find: "use super::hooks::trace::trace_sched_migrate_task;\n", replace: "" },
        ],
        red: Run::traced("init=/init -- run rseq perf", "queued on CPU"),
    },
    Mutant {
        name: "full_ring_not_taken",
        takes_out: "trace_tick",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "    trace_tick();\n", replace: "" },
            Edit { file: "src/sched/tick.rs", find: "use super::trace_thread::trace_tick;\n", replace: "" },
        ],
        red: Run::traced("init=/tests/bench", "events lost"),
    },
    Mutant {
        name: "rest_of_the_trace_kept",
        takes_out: "rings::flush at the end of a run",
        edits: &[
            Edit { file: "src/drivers/qemu_exit.rs", find: "    rings::flush();\n", replace: "" },
            Edit { file: "src/drivers/qemu_exit.rs", find: "use crate::trace::rings;\n", replace: "" },
        ],
        red: Run::traced("init=/init -- run clone", "nothing happened"),
    },
];
