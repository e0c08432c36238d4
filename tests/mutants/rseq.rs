//! Restartable sequences.

use super::{Edit, Mutant, Run};

/// The steps that make a section start over, and the registration of a new task.
#[rustfmt::skip]
pub const RSEQ: &[Mutant] = &[
    Mutant {
        name: "rseq_not_preempted",
        takes_out: "rseq_preempt",
        edits: &[
            Edit { file: "src/sched/prepare_task_switch.rs", find: "            rseq_preempt(prev);\n", replace: "" },
        ],
        red: Run::ring3("rseq_counter", "one CPU: a counter without a lock is exact"),
    },
    Mutant {
        name: "rseq_section_not_looked_at",
        takes_out: "the check for a section on the short way out",
        edits: &[
            Edit { file: "src/process/rseq.rs", find: "        __user_8_is_zero(rseq.wrapping_add(RSEQ_RSEQ_CS))\n", replace: "        (true || __user_8_is_zero(rseq.wrapping_add(RSEQ_RSEQ_CS)))\n" },
        ],
        red: Run::ring3("rseq_counter", "one CPU: a counter without a lock is exact"),
    },
    Mutant {
        name: "rseq_not_migrated",
        takes_out: "rseq_migrate in set_task_cpu",
        edits: &[
            Edit { file: "src/sched/rq.rs", find: "    rseq_migrate(p);\n", replace: "    let _ = rseq_migrate;\n" },
        ],
        red: Run::ring3_on_two_cpus("rseq", "moved to another CPU, a section aborts, and cpu_id is the new one"),
    },
    Mutant {
        name: "rseq_not_signalled",
        takes_out: "rseq_signal_deliver",
        edits: &[
            Edit { file: "src/process/signal_delivery.rs", find: "    rseq_signal_deliver(me, info.signal, regs);\n", replace: "    let _ = rseq_signal_deliver;\n" },
        ],
        red: Run::ring3("rseq", "before its handler runs, which comes back to the abort handler"),
    },
    Mutant {
        name: "rseq_signature_not_looked_at",
        takes_out: "the signature before the abort handler",
        edits: &[
            Edit { file: "src/process/rseq.rs", find: "    if signature != expected {\n", replace: "    if signature == expected.wrapping_add(1) {\n" },
        ],
        red: Run::ring3("rseq", "no signature before the abort handler: SIGSEGV"),
    },
    Mutant {
        name: "rseq_section_not_forgotten",
        takes_out: "the clearing of rseq_cs",
        edits: &[
            Edit { file: "src/process/rseq.rs", find: "    put_user(rseq.wrapping_add(RSEQ_RSEQ_CS), 0u64)\n", replace: "    put_user(rseq + RSEQ_RSEQ_CS, pointer)\n" },
            Edit { file: "src/process/rseq.rs", find: "    let Some(section) = rseq_get_rseq_cs(me, rseq)? else {\n", replace: "    let pointer: u64 = get_user(rseq + RSEQ_RSEQ_CS)?;\n    let Some(section) = rseq_get_rseq_cs(me, rseq)? else {\n" },
        ],
        red: Run::ring3("rseq", "one that the thread is not in is forgotten"),
    },
    Mutant {
        name: "rseq_not_forked",
        takes_out: "rseq_fork",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "    rseq_fork(me, args.flags, &task);\n", replace: "    let _ = rseq_fork;\n" },
        ],
        red: Run::ring3("rseq", "a forked process is registered as its parent was"),
    },
    Mutant {
        name: "rseq_of_the_creator",
        takes_out: "the new thread's start without its creator's registration",
        edits: &[
            Edit { file: "src/process/rseq.rs", find: "clone_flags & CLONE_VM != 0 || ", replace: "clone_flags & CLONE_VM == u32::MAX || " },
        ],
        red: Run::ring3("rseq", "a thread is not, and registers its own"),
    },
    Mutant {
        name: "rseq_kept_by_exec",
        takes_out: "rseq_execve",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    rseq_execve(me);\n", replace: "    let _ = rseq_execve;\n" },
        ],
        red: Run::ring3("rseq", "a new program is not"),
    },
];
