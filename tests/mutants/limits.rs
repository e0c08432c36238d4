//! Limits, priorities, waits: each binds the process that has it.

use super::{Edit, Mutant, Run};

#[rustfmt::skip]
pub const LIMITS: &[Mutant] = &[
    Mutant {
        name: "limits_not_copied",
        takes_out: "the limits of a forked process",
        edits: &[
            Edit { file: "src/process/signal.rs", find: "self.rlim.copy()", replace: "init_rlimits()" },
        ],
        red: Run::ring3("limits", "a fork copies limits, and exec keeps them"),
    },
    Mutant {
        name: "cpu_limit_of_the_parent_only",
        takes_out: "the timer of a forked process's CPU limit",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "        update_rlimit_cpu(&child);\n", replace: "        let _ = update_rlimit_cpu;\n" },
        ],
        red: Run::ring3("limits", "RLIMIT_CPU: SIGKILL at its maximum"),
    },
    Mutant {
        name: "cpu_limit_kills_at_once",
        takes_out: "SIGXCPU before SIGKILL",
        edits: &[
            Edit { file: "src/process/itimer_cpu.rs", find: "signal = if is_over { SIGKILL }", replace: "signal = if is_over || !is_over { SIGKILL }" },
        ],
        red: Run::ring3("limits", "and SIGXCPU a second before"),
    },
    Mutant {
        name: "maximum_rises_for_all",
        takes_out: "the privilege to raise a maximum",
        edits: &[
            Edit { file: "src/task/rlimit.rs", find: "max > self.max && !is_privileged", replace: "max > self.max && !is_privileged && false" },
        ],
        red: Run::ring3("limits", "without privilege a maximum only falls"),
    },
    Mutant {
        name: "descriptors_without_limit",
        takes_out: "RLIMIT_NOFILE at open",
        edits: &[
            Edit { file: "src/fs/fd_table.rs", find: "let limit = limit.min(NR_OPEN);", replace: "let limit = limit.max(NR_OPEN);" },
        ],
        red: Run::ring3("limits", "RLIMIT_NOFILE: EMFILE, EBADF, EINVAL"),
    },
    Mutant {
        name: "files_without_limit",
        takes_out: "RLIMIT_FSIZE at write",
        edits: &[
            Edit { file: "src/fs/tmpfs/file_io.rs", find: "    let room = max_size().checked_sub(at)", replace: "    let room = MAX_LFS_FILESIZE.checked_sub(at)" },
        ],
        red: Run::ring3("limits", "RLIMIT_FSIZE: a part is written, then EFBIG"),
    },
    Mutant {
        name: "address_space_without_limit",
        takes_out: "RLIMIT_AS at mmap",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "may_expand_vm(&map, length) {", replace: "may_expand_vm(&map, length.min(0)) {" },
        ],
        red: Run::ring3("limits", "RLIMIT_AS: mmap and brk fail"),
    },
    Mutant {
        name: "nice_of_others",
        takes_out: "the owner's check of setpriority",
        edits: &[
            Edit { file: "src/syscall/priority.rs", find: "    if !mine.capable() && !mine.check_same_owner(&theirs) {", replace: "    if !mine.capable() && !mine.check_same_owner(&theirs) && nice < 0 {" },
        ],
        red: Run::ring3("limits", "without privilege only worse, and only one's own"),
    },
    Mutant {
        name: "wnowait_takes_the_child",
        takes_out: "WNOWAIT",
        edits: &[
            Edit { file: "src/process/wait4.rs", find: "        match self.has(WNOWAIT) {", replace: "        match self.has(WNOWAIT) && false {" },
        ],
        red: Run::ring3("waits", "and again, the last time"),
    },
    Mutant {
        name: "group_1_is_any_child",
        takes_out: "the group of waitid",
        edits: &[
            Edit { file: "src/syscall/process.rs", find: "(P_PGID, pgrp @ 1..) => Which::Group(pgrp),", replace: "(P_PGID, pgrp @ 1..) => if pgrp == 1 { Which::Any } else { Which::Group(pgrp) }," },
        ],
        red: Run::ring3("waits", "P_PGID: a process group"),
    },
    Mutant {
        name: "only_init_adopts",
        takes_out: "the reaper among the ancestors",
        edits: &[
            Edit { file: "src/process/tasklist.rs", find: "const GENERATIONS: usize = 256;", replace: "const GENERATIONS: usize = 0;" },
        ],
        red: Run::ring3("waits", "an orphan goes to the nearest of its ancestors that asks"),
    },
    Mutant {
        name: "adopted_zombie_not_told",
        takes_out: "SIGCHLD for a zombie that is adopted",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "                notify_parent(&reaper, zombie, SIGCHLD);\n", replace: "                let _ = (zombie, SIGCHLD, notify_parent as fn(_, _, _));\n" },
        ],
        red: Run::ring3("waits", "SIGCHLD tells of a zombie that is adopted"),
    },
];
