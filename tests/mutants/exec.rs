//! A thread that executes a program.

use super::{Edit, Mutant, Run};

/// What makes it the process, and ends all others.
#[rustfmt::skip]
pub const EXEC: &[Mutant] = &[
    Mutant {
        name: "system_ends_with_the_first_thread",
        takes_out: "that init ends with its last thread",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    exit_signals(me);\n", replace: "    exit_signals(me);\n    if me.pid() == INIT_PID {\n        init_exits(code);\n    }\n" },
        ],
        red: Run::init("/tests/exec_thread -- be_init", "init goes on without its first thread"),
    },
    Mutant {
        name: "thread_executes_under_its_own_number",
        takes_out: "that a thread which executes a program becomes the leader",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "if outcome.is_ok() && !is_leader {", replace: "if outcome.is_err() && !is_leader {" },
        ],
        red: Run::ring3("exec_thread", "which leads the process, and has its number"),
    },
    Mutant {
        name: "age_of_the_old_leader_forgotten",
        takes_out: "that a process stays as old as it was",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "            me.start_time.store(born, Ordering::Relaxed);\n", replace: "            let _ = born;\n" },
        ],
        red: Run::ring3("exec_thread", "it began when the process did"),
    },
    Mutant {
        name: "times_of_the_old_leader_forgotten",
        takes_out: "what the old leader has used",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "others.threads + Usage::of(old)", replace: "others.threads + Usage::default()" },
        ],
        red: Run::ring3("exec_thread", "what the old leader used is its process's"),
    },
    Mutant {
        name: "timer_stays_with_the_old_leader",
        takes_out: "that the timer of a process goes to its new leader",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "    move_itimer(me);\n", replace: "    let _ = move_itimer;\n" },
        ],
        red: Run::ring3("exec_thread", "for its new leader: what that has blocked waits, though ignored"),
    },
    Mutant {
        name: "exec_while_others_live",
        takes_out: "the wait for the other threads",
        edits: &[
            Edit { file: "src/process/de_thread.rs", find: "    while !is_last(&TASKLIST.lock(), &me) {\n", replace: "    while false {\n" },
        ],
        red: Run::ring3("exec_thread", "of several that execute at once one does"),
    },
];
