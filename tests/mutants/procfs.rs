//! The contents of `/proc`, and the time of day.

use super::{Edit, Mutant, Run};

/// In the order of the scenarios.
#[rustfmt::skip]
pub const PROCFS: &[Mutant] = &[
    Mutant {
        name: "wchan_from_the_wrong_word",
        takes_out: "the saved ebp with which wchan begins",
        edits: &[
            Edit { file: "src/process/proc/wchan.rs", find: "    probe_kernel_read(sp)\n", replace: "    probe_kernel_read(sp + 4)\n" },
        ],
        red: Run::selftest("wchan_is_read_from_the_saved_ebp"),
    },
    Mutant {
        name: "wchan_of_runners",
        takes_out: "the check whether the task runs",
        edits: &[
            Edit { file: "src/process/proc/wchan.rs", find: "    if runs {", replace: "    if false && runs {" },
        ],
        red: Run::selftest("wchan_of_who_runs_or_waits_to_run_is_none"),
    },
    Mutant {
        name: "user_time_not_accounted",
        takes_out: "the tick's check of the interrupted mode",
        edits: &[
            Edit { file: "src/sched/tick.rs", find: "is_some_and(PtRegs::user_mode));", replace: "is_some_and(|regs| regs.user_mode() && false));" },
        ],
        red: Run::ring3("proc", "work in ring 3 becomes user time"),
    },
    Mutant {
        name: "proc_shows_the_dead",
        takes_out: "the check that a process exists when its file is read",
        edits: &[
            Edit { file: "src/process/proc/ops.rs", find: "find_task_by_pid(who.tid.unwrap_or(who.pid)).ok_or(Errno::ESRCH)?", replace: "find_task_by_pid(who.tid.unwrap_or(who.pid)).or_else(|| find_task_by_pid(1)).ok_or(Errno::ESRCH)?" },
        ],
        red: Run::ring3("proc", "an open file of a process that is gone: ESRCH"),
    },
    Mutant {
        name: "proc_text_of_several_moments",
        takes_out: "the text that later reads share with the first",
        edits: &[
            Edit { file: "src/fs/proc_file.rs", find: "text.part.clone().filter(|_| goes_on)", replace: "text.part.clone().filter(|_| goes_on && false)" },
        ],
        red: Run::ring3("proc", "pieces are of one text"),
    },
    Mutant {
        name: "most_pages_forgotten",
        takes_out: "hiwater_rss",
        edits: &[
            Edit { file: "src/mm/mm_struct.rs", find: "            self.hiwater_rss.fetch_max(now, Ordering::Relaxed);\n", replace: "            self.hiwater_rss.store(now, Ordering::Relaxed);\n" },
        ],
        red: Run::ring3("proc_memory", "VmHWM remembers the pages"),
    },
    Mutant {
        name: "addresses_told_to_strangers",
        takes_out: "ptrace_may_access",
        edits: &[
            Edit { file: "src/process/ptrace.rs", find: "    if me.tgid == task.tgid {", replace: "    if me.tgid == task.tgid || true {" },
        ],
        red: Run::ring3("proc_status", "the addresses of another user's process are not told"),
    },
    Mutant {
        name: "clock_chip_not_read",
        takes_out: "read_persistent_clock",
        edits: &[
            Edit { file: "src/init.rs", find: "    rtc::read_persistent_clock();\n", replace: "    let _ = rtc::read_persistent_clock;\n" },
        ],
        red: Run::ring3("proc_system", "the calendar does not begin at boot"),
    },
];
