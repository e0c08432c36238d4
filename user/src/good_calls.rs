//! System calls that take a pointer, all of whose arguments are good but for that one.

use crate::{
    Errno,
    gates::syscall,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    perf::{Attr, CONTEXT_SWITCHES, NONE},
    process,
};

/// Stands for the pointer in a [`Row`].
pub const POINTER: u32 = 0x5eed_5eed;
/// Number of rows.
pub const ROWS: usize = 149;

/// What the pointer is, the call's number, its arguments.
pub type Row = (&'static str, u32, [u32; 6]);

/// Opens the files that the calls use, and returns the calls.
pub fn rows() -> Result<[Row; ROWS], Errno> {
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE)?;
    let exe = c"/proc/self/exe".as_ptr() as u32;
    let name = c"/tmp/good_calls".as_ptr() as u32;
    let file = syscall(5, [exe, 0])?;
    let root = syscall(5, [c"/".as_ptr() as u32, 0])?;
    let new = syscall(356, [name, 0])?;
    let mut ends = [0_u32; 2];
    syscall(42, [ends.as_mut_ptr() as u32])?;
    let [from, to] = ends;
    syscall(4, [to, exe, 8])?;
    let event = Attr::software(CONTEXT_SWITCHES, 0).open(0, NONE, NONE, 0)?;
    let epoll = syscall(329, [0])?;
    let timer = syscall(322, [1, 0])?;
    // A semaphore, so that what a read takes does not empty it.
    let counter = syscall(328, [100, 1])?;
    let mut watch = [1_u32, 0, 0];
    let at = watch.as_mut_ptr() as u32;
    syscall(255, [epoll, 1, from, at])?;
    // A timer without a signal.
    let mut none = [0_u32; 16];
    none[2] = 1;
    let mut id = 0_u32;
    syscall(259, [1, none.as_ptr() as u32, (&raw mut id) as u32])?;
    // An LDT, so that there is something to read.
    let ldt = [0_u32, 0, 0xf_ffff, 0x51];
    syscall(123, [1, ldt.as_ptr() as u32, 16])?;
    let pid = process::getpid();
    // The calls write below it.
    let zero = page + PAGE_SIZE / 2;
    Ok([
        ("read of a file", 3, [file, POINTER, 16, 0, 0, 0]),
        ("read of a pipe", 3, [from, POINTER, 8, 0, 0, 0]),
        ("read of an event", 3, [event, POINTER, 8, 0, 0, 0]),
        ("read of a counter", 3, [counter, POINTER, 8, 0, 0, 0]),
        ("write of a file", 4, [new, POINTER, 16, 0, 0, 0]),
        ("write of a pipe", 4, [to, POINTER, 16, 0, 0, 0]),
        ("write of a counter", 4, [counter, POINTER, 8, 0, 0, 0]),
        ("readv", 145, [file, POINTER, 1, 0, 0, 0]),
        ("writev", 146, [new, POINTER, 1, 0, 0, 0]),
        ("pread64", 180, [file, POINTER, 16, 0, 0, 0]),
        ("pwrite64", 181, [new, POINTER, 16, 0, 0, 0]),
        ("getdents64", 220, [root, POINTER, 512, 0, 0, 0]),
        ("_llseek", 140, [file, 0, 0, POINTER, 0, 0]),
        ("sendfile", 187, [new, file, POINTER, 1, 0, 0]),
        ("sendfile64", 239, [new, file, POINTER, 1, 0, 0]),
        ("copy_file_range, from", 377, [file, POINTER, new, 0, 1, 0]),
        ("copy_file_range, to", 377, [file, 0, new, POINTER, 1, 0]),
        ("FIONREAD", 54, [from, 0x541b, POINTER, 0, 0, 0]),
        ("F_GETLK", 55, [new, 5, POINTER, 0, 0, 0]),
        ("F_SETLK", 55, [new, 6, POINTER, 0, 0, 0]),
        ("F_GETLK64", 221, [new, 12, POINTER, 0, 0, 0]),
        ("F_SETLK64", 221, [new, 13, POINTER, 0, 0, 0]),
        ("open", 5, [POINTER, 0, 0, 0, 0, 0]),
        ("openat", 295, [root, POINTER, 0, 0, 0, 0]),
        ("creat", 8, [POINTER, 0o600, 0, 0, 0, 0]),
        ("link, from", 9, [POINTER, name, 0, 0, 0, 0]),
        ("link, to", 9, [exe, POINTER, 0, 0, 0, 0]),
        ("unlink", 10, [POINTER, 0, 0, 0, 0, 0]),
        ("symlink, what", 83, [POINTER, name, 0, 0, 0, 0]),
        ("symlink, where", 83, [name, POINTER, 0, 0, 0, 0]),
        ("rename, from", 38, [POINTER, name, 0, 0, 0, 0]),
        ("rename, to", 38, [name, POINTER, 0, 0, 0, 0]),
        ("mkdir", 39, [POINTER, 0o700, 0, 0, 0, 0]),
        ("rmdir", 40, [POINTER, 0, 0, 0, 0, 0]),
        ("mknod", 14, [POINTER, 0o10_600, 0, 0, 0, 0]),
        ("chdir", 12, [POINTER, 0, 0, 0, 0, 0]),
        ("access", 33, [POINTER, 0, 0, 0, 0, 0]),
        ("chmod", 15, [POINTER, 0o600, 0, 0, 0, 0]),
        ("chown", 212, [POINTER, 0, 0, 0, 0, 0]),
        ("truncate", 92, [POINTER, 0, 0, 0, 0, 0]),
        ("truncate64", 193, [POINTER, 0, 0, 0, 0, 0]),
        ("utime, path", 30, [POINTER, 0, 0, 0, 0, 0]),
        ("utime, times", 30, [name, POINTER, 0, 0, 0, 0]),
        ("utimes, times", 271, [name, POINTER, 0, 0, 0, 0]),
        ("utimensat, times", 320, [root, name, POINTER, 0, 0, 0]),
        ("readlink, path", 85, [POINTER, page, 64, 0, 0, 0]),
        ("readlink, buffer", 85, [exe, POINTER, 64, 0, 0, 0]),
        ("getcwd", 183, [POINTER, 64, 0, 0, 0, 0]),
        ("stat64, path", 195, [POINTER, page, 0, 0, 0, 0]),
        ("stat64, buffer", 195, [exe, POINTER, 0, 0, 0, 0]),
        ("lstat64", 196, [exe, POINTER, 0, 0, 0, 0]),
        ("fstat64", 197, [file, POINTER, 0, 0, 0, 0]),
        ("fstatat64", 300, [root, exe, POINTER, 0, 0, 0]),
        ("statfs", 99, [exe, POINTER, 0, 0, 0, 0]),
        ("fstatfs", 100, [file, POINTER, 0, 0, 0, 0]),
        ("statfs64", 268, [exe, 84, POINTER, 0, 0, 0]),
        ("fstatfs64", 269, [file, 84, POINTER, 0, 0, 0]),
        ("execve, path", 11, [POINTER, 0, 0, 0, 0, 0]),
        ("execve, arguments", 11, [exe, POINTER, 0, 0, 0, 0]),
        ("execve, environment", 11, [exe, 0, POINTER, 0, 0, 0]),
        ("pipe", 42, [POINTER, 0, 0, 0, 0, 0]),
        ("pipe2", 331, [POINTER, 0, 0, 0, 0, 0]),
        ("poll", 168, [POINTER, 1, 0, 0, 0, 0]),
        ("ppoll, files", 309, [POINTER, 1, zero, 0, 8, 0]),
        ("ppoll, time", 309, [0, 0, POINTER, 0, 8, 0]),
        ("ppoll, mask", 309, [0, 0, zero, POINTER, 8, 0]),
        ("select, files", 142, [1, POINTER, 0, 0, zero, 0]),
        ("select, time", 142, [0, 0, 0, 0, POINTER, 0]),
        ("pselect6, mask", 308, [0, 0, 0, 0, zero, POINTER]),
        ("epoll_ctl", 255, [epoll, 1, to, POINTER, 0, 0]),
        ("epoll_wait", 256, [epoll, POINTER, 1, 0, 0, 0]),
        ("epoll_pwait, mask", 319, [epoll, page, 1, 0, POINTER, 8]),
        ("signalfd", 321, [NONE, POINTER, 8, 0, 0, 0]),
        ("timerfd_settime, new", 325, [timer, 0, POINTER, 0, 0, 0]),
        ("timerfd_settime, old", 325, [timer, 0, zero, POINTER, 0, 0]),
        ("timerfd_gettime", 326, [timer, POINTER, 0, 0, 0, 0]),
        ("times", 43, [POINTER, 0, 0, 0, 0, 0]),
        ("time", 13, [POINTER, 0, 0, 0, 0, 0]),
        ("gettimeofday, time", 78, [POINTER, 0, 0, 0, 0, 0]),
        ("gettimeofday, zone", 78, [0, POINTER, 0, 0, 0, 0]),
        ("clock_gettime", 265, [0, POINTER, 0, 0, 0, 0]),
        ("clock_gettime64", 403, [0, POINTER, 0, 0, 0, 0]),
        ("clock_getres", 266, [0, POINTER, 0, 0, 0, 0]),
        ("clock_getres64", 406, [0, POINTER, 0, 0, 0, 0]),
        ("nanosleep", 162, [POINTER, 0, 0, 0, 0, 0]),
        ("clock_nanosleep", 267, [0, 0, POINTER, 0, 0, 0]),
        ("clock_nanosleep64", 407, [0, 0, POINTER, 0, 0, 0]),
        ("setitimer, new", 104, [0, POINTER, 0, 0, 0, 0]),
        ("setitimer, old", 104, [0, zero, POINTER, 0, 0, 0]),
        ("getitimer", 105, [0, POINTER, 0, 0, 0, 0]),
        ("timer_create, event", 259, [1, POINTER, page, 0, 0, 0]),
        ("timer_create, number", 259, [1, 0, POINTER, 0, 0, 0]),
        ("timer_settime, new", 260, [id, 0, POINTER, 0, 0, 0]),
        ("timer_settime, old", 260, [id, 0, zero, POINTER, 0, 0]),
        ("timer_gettime", 261, [id, POINTER, 0, 0, 0, 0]),
        ("timer_settime64, old", 409, [id, 0, zero, POINTER, 0, 0]),
        ("timer_gettime64", 408, [id, POINTER, 0, 0, 0, 0]),
        ("uname", 122, [POINTER, 0, 0, 0, 0, 0]),
        ("sysinfo", 116, [POINTER, 0, 0, 0, 0, 0]),
        ("getrandom", 355, [POINTER, 16, 0, 0, 0, 0]),
        ("getrusage", 77, [0, POINTER, 0, 0, 0, 0]),
        ("setrlimit", 75, [7, POINTER, 0, 0, 0, 0]),
        ("old getrlimit", 76, [7, POINTER, 0, 0, 0, 0]),
        ("getrlimit", 191, [7, POINTER, 0, 0, 0, 0]),
        ("prlimit64, new", 340, [0, 7, POINTER, 0, 0, 0]),
        ("prlimit64, old", 340, [0, 7, 0, POINTER, 0, 0]),
        ("getresuid, real", 209, [POINTER, page, page, 0, 0, 0]),
        ("getresuid, effective", 209, [page, POINTER, page, 0, 0, 0]),
        ("getresuid, saved", 209, [page, page, POINTER, 0, 0, 0]),
        ("getresgid, saved", 211, [page, page, POINTER, 0, 0, 0]),
        ("getresuid16, real", 165, [POINTER, page, page, 0, 0, 0]),
        ("getresgid16, saved", 171, [page, page, POINTER, 0, 0, 0]),
        ("sched_setparam", 154, [0, POINTER, 0, 0, 0, 0]),
        ("sched_getparam", 155, [0, POINTER, 0, 0, 0, 0]),
        ("sched_setscheduler", 156, [0, 0, POINTER, 0, 0, 0]),
        ("sched_rr_get_interval", 161, [0, POINTER, 0, 0, 0, 0]),
        ("sched_rr_get_interval64", 423, [0, POINTER, 0, 0, 0, 0]),
        ("sched_setaffinity", 241, [0, 4, POINTER, 0, 0, 0]),
        ("sched_getaffinity", 242, [0, 4, POINTER, 0, 0, 0]),
        ("getcpu", 318, [POINTER, 0, 0, 0, 0, 0]),
        ("PR_SET_NAME", 172, [15, POINTER, 0, 0, 0, 0]),
        ("PR_GET_NAME", 172, [16, POINTER, 0, 0, 0, 0]),
        ("PR_GET_PDEATHSIG", 172, [2, POINTER, 0, 0, 0, 0]),
        ("set_thread_area", 243, [POINTER, 0, 0, 0, 0, 0]),
        ("get_thread_area", 244, [POINTER, 0, 0, 0, 0, 0]),
        ("modify_ldt, read", 123, [0, POINTER, 16, 0, 0, 0]),
        ("modify_ldt, write", 123, [1, POINTER, 16, 0, 0, 0]),
        ("get_robust_list, head", 312, [0, POINTER, page, 0, 0, 0]),
        ("get_robust_list, length", 312, [0, page, POINTER, 0, 0, 0]),
        ("sigaction, new", 67, [10, POINTER, 0, 0, 0, 0]),
        ("sigaction, old", 67, [10, 0, POINTER, 0, 0, 0]),
        ("rt_sigaction, new", 174, [10, POINTER, 0, 8, 0, 0]),
        ("rt_sigaction, old", 174, [10, 0, POINTER, 8, 0, 0]),
        ("sigprocmask, new", 126, [0, POINTER, 0, 0, 0, 0]),
        ("sigprocmask, old", 126, [0, 0, POINTER, 0, 0, 0]),
        ("rt_sigprocmask, new", 175, [0, POINTER, 0, 8, 0, 0]),
        ("rt_sigprocmask, old", 175, [0, 0, POINTER, 8, 0, 0]),
        ("sigpending", 73, [POINTER, 0, 0, 0, 0, 0]),
        ("rt_sigpending", 176, [POINTER, 8, 0, 0, 0, 0]),
        ("rt_sigsuspend", 179, [POINTER, 8, 0, 0, 0, 0]),
        ("rt_sigtimedwait, set", 177, [POINTER, 0, zero, 8, 0, 0]),
        ("rt_sigtimedwait, time", 177, [zero, 0, POINTER, 8, 0, 0]),
        ("rt_sigqueueinfo", 178, [pid, 10, POINTER, 0, 0, 0]),
        ("rt_tgsigqueueinfo", 335, [pid, pid, 10, POINTER, 0, 0]),
        ("sigaltstack, new", 186, [POINTER, 0, 0, 0, 0, 0]),
        ("sigaltstack, old", 186, [0, POINTER, 0, 0, 0, 0]),
        ("perf_event_open", 336, [POINTER, 0, NONE, NONE, 0, 0]),
        ("old mmap", 90, [POINTER, 0, 0, 0, 0, 0]),
        ("FUTEX_WAIT, time", 240, [zero, 0, 0, POINTER, 0, 0]),
    ])
}
