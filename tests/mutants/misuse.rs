//! Misuse of the switch that the compiler refuses, tried on the functions themselves.
//!
//! Each mutant adds a line to the kernel that uses something which the switch has taken.

use super::{Edit, Mutant, Run};

/// In the order of the hand-over.
#[rustfmt::skip]
pub const MISUSE: &[Mutant] = &[
    Mutant {
        name: "misuse_stale_prev",
        takes_out: "the move of prev into the switch",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    // We are the task that made this call;", replace: "    let _ = prev.pid();\n    // We are the task that made this call;" },
        ],
        red: Run::refused("E0382"),
    },
    Mutant {
        name: "misuse_borrow_of_stale_prev",
        takes_out: "the end of every borrow of prev at the switch",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    prepare_lock_switch(rq);\n", replace: "    let borrowed: &TaskStruct = &prev;\n    prepare_lock_switch(rq);\n" },
            Edit { file: "src/sched/context_switch.rs", find: "    // We are the task that made this call;", replace: "    let _ = borrowed.pid();\n    // We are the task that made this call;" },
        ],
        red: Run::refused("E0505"),
    },
    Mutant {
        name: "misuse_stale_next",
        takes_out: "the move of next into the switch",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    // We are the task that made this call;", replace: "    let _ = next.pid();\n    // We are the task that made this call;" },
        ],
        red: Run::refused("E0382"),
    },
    Mutant {
        name: "misuse_stale_run_queue",
        takes_out: "the hand-over of the run queue's lock",
        edits: &[
            Edit { file: "src/sched/context_switch.rs", find: "    // We are the task that made this call;", replace: "    drop(rq);\n    // We are the task that made this call;" },
        ],
        red: Run::refused("E0382"),
    },
    Mutant {
        name: "misuse_prev_after_schedule",
        takes_out: "the move of prev out of `schedule`",
        edits: &[
            Edit { file: "src/sched/schedule.rs", find: "            context_switch(rq, prev, Next::new(next));\n", replace: "            context_switch(rq, prev, Next::new(next));\n            let _ = prev.pid();\n" },
        ],
        red: Run::refused("E0382"),
    },
    Mutant {
        name: "misuse_lock_sent_to_another_cpu",
        takes_out: "the bond of a held lock to its CPU",
        edits: &[
            Edit { file: "src/sched/rq.rs", find: "/// Takes the locks of two different run queues,", replace: "fn _is_send<T: Send>() {}\nconst _: fn() = _is_send::<RqLocked>;\n\n/// Takes the locks of two different run queues," },
        ],
        red: Run::refused("E0277"),
    },
    Mutant {
        name: "misuse_flag_of_another_word",
        takes_out: "the type that each word of flags has of its own",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "    test_flag(task.thread_info(), TIF_SIGPENDING)\n", replace: "    test_flag(task.thread_info(), crate::task::state::PF_KTHREAD)\n" },
        ],
        red: Run::refused("E0308"),
    },
];
