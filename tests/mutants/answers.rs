//! Answers of system calls, seen from ring 3.

use super::{Edit, Mutant, Run};

/// By the call.
#[rustfmt::skip]
pub const ANSWERS: &[Mutant] = &[
    Mutant {
        name: "hung_up_pipe_is_readable",
        takes_out: "the difference between a pipe that has bytes and one that has hung up",
        edits: &[
            Edit { file: "src/fs/pipe.rs", find: "PollEvents::READABLE, !state.ring.is_empty());", replace: "PollEvents::READABLE, !state.ring.is_empty() || state.writers == 0);" },
        ],
        red: Run::ring3("pipe", "no writer, and no bytes: POLLHUP alone"),
    },
    Mutant {
        name: "pipe_does_not_grow",
        takes_out: "the buffer for bytes that fit into a pipe, but not into its memory",
        edits: &[
            Edit { file: "src/fs/ring.rs", find: "            capacity: PIPE_CAPACITY,", replace: "            capacity: PIPE_BUF," },
        ],
        red: Run::ring3("pipe", "a pipe holds 64 KiB in pieces of 4096"),
    },
    Mutant {
        name: "futex_op_wakes_one_word",
        takes_out: "the sleepers of FUTEX_WAKE_OP's second word",
        edits: &[
            Edit { file: "src/syscall/futex.rs", find: "    if both {\n        let others", replace: "    if both && false {\n        let others" },
        ],
        red: Run::ring3("futex_wake_op", "one of the first word and two of the second wake, shared"),
    },
    Mutant {
        name: "time_left_in_32_bits",
        takes_out: "the 64-bit form of the time left in clock_nanosleep",
        edits: &[
            Edit { file: "src/syscall/time.rs", find: "    do_nanosleep(taken, ticks(wait_ns), remaining, put_us::<T>)", replace: "    do_nanosleep(taken, ticks(wait_ns), remaining, put_us::<Timespec32>)" },
        ],
        red: Run::ring3("times", "clock_nanosleep returns the time left"),
    },
    Mutant {
        name: "memory_not_wiped_at_fork",
        takes_out: "MADV_WIPEONFORK in dup_mmap",
        edits: &[
            Edit { file: "src/mm/mmap.rs", find: "    let not_copied = VmFlags::DONTCOPY | VmFlags::WIPEONFORK;", replace: "    let not_copied = VmFlags::DONTCOPY;" },
        ],
        red: Run::ring3("small_answers", "and zeroes where it was to be wiped"),
    },
    Mutant {
        name: "vtime_not_waited_for",
        takes_out: "the time that a read with VMIN 0 waits for a byte",
        edits: &[
            Edit { file: "src/fs/tty.rs", find: "        (false, 0) => (0, Some(time_ticks), None),", replace: "        (false, 0) => (0, Some(time_ticks.min(0)), None)," },
        ],
        red: Run::ring3("tty", "after 5 tenths of a second"),
    },
    Mutant {
        name: "output_never_stops",
        takes_out: "the check whether output is stopped",
        edits: &[
            Edit { file: "src/fs/tty.rs", find: "        if !tty.is_stopped() {", replace: "        if true || !tty.is_stopped() {" },
        ],
        red: Run::ring3("tty", "output is stopped: EAGAIN"),
    },
    Mutant {
        name: "edge_told_again",
        takes_out: "the difference between a level and an edge",
        edits: &[
            Edit { file: "src/fs/epoll.rs", find: "            _ if new.is_empty() => new,\n", replace: "" },
        ],
        red: Run::ring3("epoll", "and once only"),
    },
    Mutant {
        name: "vdso_without_its_version",
        takes_out: "the version of the vDSO's symbols",
        edits: &[
            Edit { file: "src/arch/vdso/vdso.lds", find: "\tLINUX_2.5 {", replace: "\tLINUX_0.0 {" },
        ],
        red: Run::ring3("vdso", "a version is LINUX_2.5"),
    },
    Mutant {
        name: "semaphore_gives_all",
        takes_out: "the semaphore of eventfd",
        edits: &[
            Edit { file: "src/fs/eventfd.rs", find: "if self.is_semaphore { 1 } else { state.count }", replace: "if self.is_semaphore && false { 1 } else { state.count }" },
        ],
        red: Run::ring3("event_files", "a semaphore gives 1 a read"),
    },
    Mutant {
        name: "eventfd_reader_not_woken",
        takes_out: "the wake-up of an eventfd's readers",
        edits: &[
            Edit { file: "src/fs/eventfd.rs", find: "                state.count = sum;\n                state.not_zero.wake_up();", replace: "                state.count = sum;" },
        ],
        red: Run::ring3("event_files", "a reader sleeps until there is a value"),
    },
    Mutant {
        name: "timerfd_forgets_missed_expiries",
        takes_out: "the expiries of a timerfd between two looks",
        edits: &[
            Edit { file: "src/fs/countdown.rs", find: "next.map_or(1, |(_, intervals)| intervals)", replace: "next.map_or(1, |(_, intervals)| intervals.min(1))" },
        ],
        red: Run::ring3("event_files", "an interval: all expiries are counted"),
    },
    Mutant {
        name: "timerfd_reader_keeps_old_time",
        takes_out: "the wake-up of a timerfd's readers when it is set anew",
        edits: &[
            Edit { file: "src/fs/timerfd.rs", find: "        state.readers.wake_up();\n", replace: "" },
        ],
        red: Run::ring3("event_files", "a reader of a stopped timer sleeps until it is set"),
    },
    Mutant {
        name: "signalfd_gives_any_signal",
        takes_out: "the set of signals of a signalfd",
        edits: &[
            Edit { file: "src/process/signal_wait.rs", find: "dequeue_signal(me, SigSet(!wanted.0))", replace: "dequeue_signal(me, SigSet(!wanted.0 & 0))" },
        ],
        red: Run::ring3("signalfd", "a signal outside of the set: EAGAIN"),
    },
    Mutant {
        name: "signalfd_loses_the_value",
        takes_out: "the value of a queued signal in signalfd's message",
        edits: &[
            Edit { file: "src/process/signalfd_siginfo.rs", find: "(_, ..SI_USER) => value(sender),", replace: "(_, ..SI_USER) => { let _ = &value; sender }" },
        ],
        red: Run::ring3("signalfd", "and its value"),
    },
    Mutant {
        name: "locks_do_not_join",
        takes_out: "the merge of neighbouring locks on a file",
        edits: &[
            Edit { file: "src/fs/range_lock.rs", find: "let touches = other.touches(&lock);", replace: "let touches = other.touches(&lock) && false;" },
        ],
        red: Run::ring3("file_locks", "with the bytes in between it is one lock"),
    },
    Mutant {
        name: "lock_circle_not_found",
        takes_out: "the search for a circle of owners that wait for locks",
        edits: &[
            Edit { file: "src/fs/locks.rs", find: "            if at == wait.waiter {", replace: "            if at == wait.waiter && false {" },
        ],
        red: Run::ring3("file_locks", "whoever closes the circle gets EDEADLK"),
    },
    Mutant {
        name: "close_keeps_locks",
        takes_out: "the end of a process's locks on a file that it closes",
        edits: &[
            Edit { file: "src/fs/files_struct.rs", find: "            self.remove_locks(&file);\n        }\n        drop(file);", replace: "        }\n        drop(file);" },
        ],
        red: Run::ring3("file_locks", "any close of the file by its owner ends all its locks"),
    },
    Mutant {
        name: "lock_waiter_not_woken",
        takes_out: "the wake-up of tasks that wait for a lock on a file",
        edits: &[
            Edit { file: "src/fs/locks.rs", find: "        WAITS.lock().retain(|wait| wait.file != file);\n        self.waiters.wake_up();", replace: "        WAITS.lock().retain(|wait| wait.file != file);" },
        ],
        red: Run::ring3("file_locks", "F_SETLKW sleeps until the bytes are free"),
    },
];
