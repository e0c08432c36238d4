//! Rights: signals to a parent and to init, directories, access to other processes, time, ports.

use super::{Edit, Mutant, Run};

/// In the order of `docs/scenarios.md`.
#[rustfmt::skip]
pub const RIGHTS: &[Mutant] = &[
    Mutant {
        name: "sibling_chooses_its_exit_signal",
        takes_out: "the caller's own exit signal for a sibling",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        () if flags & CLONE_PARENT != 0 => list", replace: "        () if flags & CLONE_PARENT == u32::MAX => list" },
        ],
        red: Run::ring3("rights", "clone(CLONE_PARENT | 9) by a user: its parent lives"),
    },
    Mutant {
        name: "exit_signal_outlives_exec",
        takes_out: "self_exec_id",
        edits: &[
            Edit { file: "src/process/exec.rs", find: "    me.signal.exec_id.count_exec();\n", replace: "" },
        ],
        red: Run::ring3("rights", "a signal chosen for the end of a child does not reach the program executed since"),
    },
    Mutant {
        name: "init_takes_sigkill",
        takes_out: "SIGNAL_UNKILLABLE where a signal is sent",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "self.is_unkillable() && handler == SIG_DFL || without_effect", replace: "without_effect" },
        ],
        red: Run::ring3("rights", "SIGKILL and SIGSTOP by kill: init neither ends nor stops"),
    },
    Mutant {
        name: "rights_of_the_past_do_not_count",
        takes_out: "set_dumpable in commit_creds",
        edits: &[
            Edit { file: "src/syscall/identity.rs", find: "        set_not_dumpable(me);", replace: "        let _ = (me, set_not_dumpable);" },
        ],
        red: Run::ring3("rights", "has been root"),
    },
    Mutant {
        name: "secure_only_if_exec_changes_rights",
        takes_out: "the comparison behind AT_SECURE",
        edits: &[
            Edit { file: "src/process/exec.rs", find: ", new_cred.is_set_id());", replace: ", new_cred.uid.effective != cred.uid.effective);" },
        ],
        red: Run::ring3("rights", "of one with another's rights 1, though exec changes none"),
    },
    Mutant {
        name: "nobody_asks_for_search",
        takes_out: "the search permission of a directory on the way",
        edits: &[
            Edit { file: "src/fs/namei.rs", find: "        permission(&at.stat(), MAY_EXEC, cred)?;\n", replace: "" },
        ],
        red: Run::ring3("search", "stat in a closed directory: EACCES"),
    },
    Mutant {
        name: "proc_is_reached_through_closed_directories",
        takes_out: "the search permission of a directory that the walk leaves by ..",
        edits: &[
            Edit { file: "src/fs/namei.rs", find: "        permission(&at.stat(), MAY_EXEC, cred)?;\n", replace: "        if name != b\"..\" { permission(&at.stat(), MAY_EXEC, cred)?; }\n" },
        ],
        red: Run::ring3("search", "through it to /proc: EACCES"),
    },
    Mutant {
        name: "links_without_limit",
        takes_out: "the limit on symbolic links in a walk",
        edits: &[
            Edit { file: "src/fs/namei.rs", find: "if links > MAX_LINKS {", replace: "if links > 10 * MAX_LINKS {" },
        ],
        red: Run::ring3("search", "one more: ELOOP"),
    },
    Mutant {
        name: "access_walks_as_the_effective_user",
        takes_out: "the real user's search in access(2)",
        edits: &[
            Edit { file: "src/syscall/paths.rs", find: "    let inode = lookup_as(dirfd, path, true, &cred)?;", replace: "    let inode = lookup(dirfd, path, true)?;" },
        ],
        red: Run::ring3("search", "access asks for the real user: EACCES for one with root's rights"),
    },
    Mutant {
        name: "setfsuid_keeps_the_rights_over_files",
        takes_out: "CAP_DAC_OVERRIDE following the file-system user",
        edits: &[
            Edit { file: "src/task/cred.rs", find: "        self.uid.fs == 0\n", replace: "        self.capable()\n" },
        ],
        red: Run::ring3("search", "setfsuid: root has the user's rights over files"),
    },
    Mutant {
        name: "policy_brings_a_new_slice",
        takes_out: "the tick as the only source of time slices",
        edits: &[
            Edit { file: "src/sched/policy.rs", find: "        se.rt_priority = rt_priority as u32;\n", replace: "        se.rt_priority = rt_priority as u32;\n        se.time_slice = crate::sched::tick::task_timeslice(se);\n" },
        ],
        red: Run::ring3("starve", "sched_setscheduler(0, SCHED_OTHER, 0)"),
    },
    Mutant {
        name: "policy_brings_back_from_the_expired",
        takes_out: "the array of a task whose priority changes",
        edits: &[
            Edit { file: "src/sched/rq_locked.rs", find: "                false => array,", replace: "                false => self.lists().active," },
        ],
        red: Run::ring3("starve", "two that call sched_setparam for each other"),
    },
    Mutant {
        name: "fork_makes_time",
        takes_out: "the expiry of a parent without time",
        edits: &[
            Edit { file: "src/sched/sched_fork.rs", find: "        mine.time_slice /= 2;", replace: "        mine.time_slice = (mine.time_slice / 2).max(1);" },
        ],
        red: Run::ring3("starve", "a chain of forks"),
    },
    Mutant {
        name: "ports_of_the_dying_go_later",
        takes_out: "preemption off from the bitmap to the TSS in exit_thread",
        edits: &[
            Edit { file: "src/arch/x86/switch/copy_thread.rs", find: "        let old = thread.io_bitmap.take();\n", replace: "        let old = thread.io_bitmap.take();\n        drop(_no_preempt);\n        crate::sched::policy::yield_current();\n        let _no_preempt = PreemptGuard::new();\n" },
        ],
        red: Run::ring3("ioperm", "and the next task on the CPU does not have it"),
    },
];
