//! System calls: the arguments that they refuse, and how interrupted calls go on.

use super::{Edit, Mutant, Run};

/// In the order of the tests.
#[rustfmt::skip]
pub const CALLS: &[Mutant] = &[
    Mutant {
        name: "signal_falls_between_parent_and_child",
        takes_out: "the restart of fork after a signal to several processes",
        edits: &[
            Edit { file: "src/process/fork.rs", find: "    let pid = match is_late && !kthread {", replace: "    let pid = match is_late && !kthread && false {" },
        ],
        red: Run::ring3("restart", "a signal to a group reaches a child that is just being made"),
    },
    Mutant {
        name: "poll_begins_its_time_anew",
        takes_out: "the deadline of an interrupted poll",
        edits: &[
            Edit { file: "src/syscall/poll.rs", find: "                keep_end(end_us);", replace: "                let _ = (keep_end, end_us);" },
        ],
        red: Run::ring3("restart", "poll ends at its time, however often it was stopped"),
    },
    Mutant {
        name: "time_left_to_the_next_call",
        takes_out: "the order in select: take the time left, then fail",
        edits: &[
            Edit { file: "src/syscall/poll.rs", find: "    let taken = take_end();\n    Ok(get_ticks::<T>(address)?.map(|ticks| end_us(taken, ticks)))", replace: "    Ok(get_ticks::<T>(address)?.map(|ticks| end_us(take_end(), ticks)))" },
        ],
        red: Run::ring3("restart", "select, its time unmapped: EFAULT, and forgotten"),
    },
    Mutant {
        name: "select_waits_on_untold",
        takes_out: "EINTR of a call that could not write its remaining time",
        edits: &[
            Edit { file: "src/syscall/poll.rs", find: "        (Err(_), Err(Errno::ERESTARTNOHAND)) => {", replace: "        (Err(_), Err(Errno::ERESTARTNOHAND)) if false => {" },
        ],
        red: Run::ring3("restart", "select, its time read-only: EINTR"),
    },
    Mutant {
        name: "orphaned_jobs_stay_stopped",
        takes_out: "the signals to an orphaned group",
        edits: &[
            Edit { file: "src/process/exit.rs", find: "    kill_orphaned_pgrps();", replace: "    let _ = kill_orphaned_pgrps;" },
        ],
        red: Run::ring3("orphans", "when its parent ends, a stopped job gets SIGHUP and goes on"),
    },
    Mutant {
        name: "orphaned_groups_all_hang_up",
        takes_out: "the check for stopped members",
        edits: &[
            Edit { file: "src/process/stop.rs", find: "if has_stopped.is_some() {", replace: "if has_stopped.is_some() || true {" },
        ],
        red: Run::ring3("orphans", "a group without stopped members is not told"),
    },
    Mutant {
        name: "read_only_futex_of_ones_own",
        takes_out: "the check whether a word can be written",
        edits: &[
            Edit { file: "src/syscall/futex.rs", find: "    if vma.flags.contains(VmFlags::WRITE) && !is_shared {", replace: "    if !is_shared {" },
        ],
        red: Run::ring3("futex", "private memory that cannot be written, untouched: EFAULT"),
    },
    Mutant {
        name: "fork_cleans_pages",
        takes_out: "the dirty bit of a copied page that was written",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "            let clean = if private {\n", replace: "            let clean = if false {\n" },
        ],
        red: Run::ring3("futex", "nor is a fork's copy of it"),
    },
    Mutant {
        name: "perf_output_to_any_file",
        takes_out: "the check of the file that is to receive samples",
        edits: &[
            Edit { file: "src/fs/perf_event.rs", find: "            Some(_) => Err(Errno::EBADF),", replace: "            Some(_) => Ok(())," },
        ],
        red: Run::ring3("perf_errors", "to a pipe: EBADF"),
    },
    Mutant {
        name: "names_of_any_length",
        takes_out: "the limit on the length of names",
        edits: &[
            Edit { file: "src/fs/namei.rs", find: "            name if name.len() > NAME_MAX && matches!", replace: "            name if name.len() > NAME_MAX && false && matches!" },
        ],
        red: Run::ring3("errors", "open, a name of 256 bytes: ENAMETOOLONG"),
    },
];
