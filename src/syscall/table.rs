//! `sys_call_table`: the system calls by number.
//!
//! The entry code calls `sys_call_table[eax]` with `pt_regs` as its arguments and puts the result
//! into the user's eax. An unknown number returns -ENOSYS, and is named in the log the first time.
//!
//! Book: ch. 10, "System Call Handler and Service Routines".
//! Linux: 2.6.38 `arch/x86/kernel/syscall_table_32.S`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{
    attributes, descriptors, epoll, event_files, exec, files, futex, identity, identity16, ioport,
    itimer, ldt, locks, membarrier, memory, misc, names, namespace, paths, perf_event, poll,
    posix_timer, prctl, priority, process, read_write, rlimit, robust_list, rseq, sched, signal,
    signal_wait, statfs, thread_area, time,
};
use crate::arch::x86::current::{current, current_pt_regs};
use crate::base::errno::{Errno, to_ret};
use crate::provides_upward;
use crate::ptrace::request;

/// Size of the table: the highest number plus one.
pub use crate::arch::x86::entry::paths::NR_SYSCALLS;

/// One entry: takes the six argument registers, returns the value for eax.
pub type SysCall = extern "C" fn(u32, u32, u32, u32, u32, u32) -> i32;

/// Turns a handler with fewer arguments and a `SysResult` into a [`SysCall`].
macro_rules! entry {
    ($handler:path, 0) => {{
        extern "C" fn call(_: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> i32 {
            to_ret($handler())
        }
        call
    }};
    ($handler:path, 1) => {{
        extern "C" fn call(a: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> i32 {
            to_ret($handler(a))
        }
        call
    }};
    ($handler:path, 2) => {{
        extern "C" fn call(a: u32, b: u32, _: u32, _: u32, _: u32, _: u32) -> i32 {
            to_ret($handler(a, b))
        }
        call
    }};
    ($handler:path, 3) => {{
        extern "C" fn call(a: u32, b: u32, c: u32, _: u32, _: u32, _: u32) -> i32 {
            to_ret($handler(a, b, c))
        }
        call
    }};
    ($handler:path, 4) => {{
        extern "C" fn call(a: u32, b: u32, c: u32, d: u32, _: u32, _: u32) -> i32 {
            to_ret($handler(a, b, c, d))
        }
        call
    }};
    ($handler:path, 5) => {{
        extern "C" fn call(a: u32, b: u32, c: u32, d: u32, e: u32, _: u32) -> i32 {
            to_ret($handler(a, b, c, d, e))
        }
        call
    }};
    ($handler:path, 6) => {{
        extern "C" fn call(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32) -> i32 {
            to_ret($handler(a, b, c, d, e, f))
        }
        call
    }};
}

macro_rules! table {
    ($($number:literal $handler:path, $arguments:tt;)*) => {{
        let mut table: [SysCall; NR_SYSCALLS] = [not_implemented; NR_SYSCALLS];
        $(table[$number] = entry!($handler, $arguments);)*
        table
    }};
}

#[unsafe(no_mangle)]
static sys_call_table: [SysCall; NR_SYSCALLS] = table! {
    1   process::sys_exit, 1;
    2   process::sys_fork, 0;
    3   read_write::sys_read, 3;
    4   read_write::sys_write, 3;
    5   descriptors::sys_open, 3;
    6   descriptors::sys_close, 1;
    7   process::sys_waitpid, 3;
    8   descriptors::sys_creat, 2;
    9   namespace::sys_link, 2;
    10  namespace::sys_unlink, 1;
    11  exec::sys_execve, 3;
    12  paths::sys_chdir, 1;
    13  time::sys_time, 1;
    14  namespace::sys_mknod, 3;
    15  attributes::sys_chmod, 2;
    16  attributes::sys_lchown16, 3;
    19  read_write::sys_lseek, 3;
    20  identity::sys_getpid, 0;
    23  identity16::sys_setuid16, 1;
    24  identity16::sys_getuid16, 0;
    26  request::sys_ptrace, 4;
    27  itimer::sys_alarm, 1;
    29  signal::sys_pause, 0;
    30  attributes::sys_utime, 2;
    33  paths::sys_access, 2;
    34  priority::sys_nice, 1;
    36  paths::sys_sync, 0;
    37  signal::sys_kill, 2;
    38  namespace::sys_rename, 2;
    39  namespace::sys_mkdir, 2;
    40  namespace::sys_rmdir, 1;
    41  descriptors::sys_dup, 1;
    42  descriptors::sys_pipe, 1;
    43  time::sys_times, 1;
    45  memory::sys_brk, 1;
    46  identity16::sys_setgid16, 1;
    47  identity16::sys_getgid16, 0;
    48  signal::sys_signal, 2;
    49  identity16::sys_geteuid16, 0;
    50  identity16::sys_getegid16, 0;
    54  descriptors::sys_ioctl, 3;
    55  descriptors::sys_fcntl, 3;
    57  identity::sys_setpgid, 2;
    60  paths::sys_umask, 1;
    63  descriptors::sys_dup2, 2;
    64  identity::sys_getppid, 0;
    65  identity::sys_getpgrp, 0;
    66  identity::sys_setsid, 0;
    67  signal::sys_sigaction, 3;
    70  identity16::sys_setreuid16, 2;
    71  identity16::sys_setregid16, 2;
    72  signal::sys_sigsuspend, 3;
    73  signal::sys_sigpending, 1;
    75  rlimit::sys_setrlimit, 2;
    76  rlimit::sys_old_getrlimit, 2;
    77  misc::sys_getrusage, 2;
    78  time::sys_gettimeofday, 2;
    83  namespace::sys_symlink, 2;
    85  paths::sys_readlink, 3;
    88  misc::sys_reboot, 4;
    90  memory::sys_old_mmap, 1;
    91  memory::sys_munmap, 2;
    92  attributes::sys_truncate, 2;
    93  attributes::sys_ftruncate, 2;
    94  attributes::sys_fchmod, 2;
    95  attributes::sys_fchown16, 3;
    96  priority::sys_getpriority, 2;
    97  priority::sys_setpriority, 3;
    99  statfs::sys_statfs, 2;
    100 statfs::sys_fstatfs, 2;
    101 ioport::sys_ioperm, 3;
    104 itimer::sys_setitimer, 3;
    105 itimer::sys_getitimer, 2;
    110 ioport::sys_iopl, 1;
    114 process::sys_wait4, 4;
    116 misc::sys_sysinfo, 1;
    118 paths::sys_fsync, 1;
    119 signal::sys_sigreturn, 0;
    120 process::sys_clone, 5;
    122 misc::sys_uname, 1;
    123 ldt::sys_modify_ldt, 3;
    125 memory::sys_mprotect, 3;
    126 signal::sys_sigprocmask, 3;
    132 identity::sys_getpgid, 1;
    133 paths::sys_fchdir, 1;
    136 misc::sys_personality, 1;
    138 identity16::sys_setfsuid16, 1;
    139 identity16::sys_setfsgid16, 1;
    140 read_write::sys_llseek, 5;
    142 poll::sys_newselect, 5;
    143 locks::sys_flock, 2;
    144 memory::sys_msync, 3;
    145 read_write::sys_readv, 3;
    146 read_write::sys_writev, 3;
    147 identity::sys_getsid, 1;
    148 paths::sys_fsync, 1;
    154 sched::sys_sched_setparam, 2;
    155 sched::sys_sched_getparam, 2;
    156 sched::sys_sched_setscheduler, 3;
    157 sched::sys_sched_getscheduler, 1;
    158 sched::sys_sched_yield, 0;
    159 sched::sys_sched_get_priority_max, 1;
    160 sched::sys_sched_get_priority_min, 1;
    161 sched::sys_sched_rr_get_interval, 2;
    162 sched::sys_nanosleep, 2;
    164 identity16::sys_setresuid16, 3;
    165 identity16::sys_getresuid16, 3;
    168 poll::sys_poll, 3;
    170 identity16::sys_setresgid16, 3;
    171 identity16::sys_getresgid16, 3;
    172 prctl::sys_prctl, 2;
    173 signal::sys_rt_sigreturn, 0;
    174 signal::sys_rt_sigaction, 4;
    175 signal::sys_rt_sigprocmask, 4;
    176 signal::sys_rt_sigpending, 2;
    177 signal_wait::sys_rt_sigtimedwait, 4;
    178 signal_wait::sys_rt_sigqueueinfo, 3;
    179 signal::sys_rt_sigsuspend, 2;
    180 read_write::sys_pread64, 5;
    181 read_write::sys_pwrite64, 5;
    182 attributes::sys_chown16, 3;
    183 paths::sys_getcwd, 2;
    186 signal::sys_sigaltstack, 2;
    187 files::sys_sendfile, 4;
    190 process::sys_vfork, 0;
    191 rlimit::sys_getrlimit, 2;
    192 memory::sys_mmap2, 6;
    193 attributes::sys_truncate64, 3;
    194 attributes::sys_ftruncate64, 3;
    195 paths::sys_stat64, 2;
    196 paths::sys_lstat64, 2;
    197 paths::sys_fstat64, 2;
    198 attributes::sys_lchown, 3;
    199 identity::sys_getuid, 0;
    200 identity::sys_getgid, 0;
    201 identity::sys_geteuid, 0;
    202 identity::sys_getegid, 0;
    203 identity::sys_setreuid, 2;
    204 identity::sys_setregid, 2;
    207 attributes::sys_fchown, 3;
    208 identity::sys_setresuid, 3;
    209 identity::sys_getresuid, 3;
    210 identity::sys_setresgid, 3;
    211 identity::sys_getresgid, 3;
    212 attributes::sys_chown, 3;
    213 identity::sys_setuid, 1;
    214 identity::sys_setgid, 1;
    215 identity::sys_setfsuid, 1;
    216 identity::sys_setfsgid, 1;
    219 memory::sys_madvise, 3;
    220 paths::sys_getdents64, 3;
    221 descriptors::sys_fcntl64, 3;
    224 identity::sys_gettid, 0;
    239 files::sys_sendfile64, 4;
    238 signal::sys_tkill, 2;
    240 futex::sys_futex, 6;
    241 sched::sys_sched_setaffinity, 3;
    242 sched::sys_sched_getaffinity, 3;
    243 thread_area::sys_set_thread_area, 1;
    244 thread_area::sys_get_thread_area, 1;
    252 process::sys_exit_group, 1;
    254 epoll::sys_epoll_create, 1;
    255 epoll::sys_epoll_ctl, 4;
    256 epoll::sys_epoll_wait, 4;
    258 process::sys_set_tid_address, 1;
    259 posix_timer::sys_timer_create, 3;
    260 posix_timer::sys_timer_settime, 4;
    261 posix_timer::sys_timer_gettime, 2;
    262 posix_timer::sys_timer_getoverrun, 1;
    263 posix_timer::sys_timer_delete, 1;
    265 time::sys_clock_gettime, 2;
    266 time::sys_clock_getres, 2;
    267 time::sys_clock_nanosleep, 4;
    268 statfs::sys_statfs64, 3;
    269 statfs::sys_fstatfs64, 3;
    270 signal::sys_tgkill, 3;
    271 attributes::sys_utimes, 2;
    284 process::sys_waitid, 5;
    295 descriptors::sys_openat, 4;
    296 namespace::sys_mkdirat, 3;
    297 namespace::sys_mknodat, 4;
    298 attributes::sys_fchownat, 5;
    299 attributes::sys_futimesat, 3;
    300 paths::sys_fstatat64, 4;
    301 namespace::sys_unlinkat, 3;
    302 namespace::sys_renameat, 4;
    303 namespace::sys_linkat, 5;
    304 namespace::sys_symlinkat, 3;
    305 paths::sys_readlinkat, 4;
    306 attributes::sys_fchmodat, 3;
    307 paths::sys_faccessat, 3;
    308 poll::sys_pselect6, 6;
    309 poll::sys_ppoll, 5;
    311 robust_list::sys_set_robust_list, 2;
    312 robust_list::sys_get_robust_list, 3;
    318 sched::sys_getcpu, 3;
    319 epoll::sys_epoll_pwait, 6;
    320 attributes::sys_utimensat, 4;
    321 event_files::sys_signalfd, 3;
    322 event_files::sys_timerfd_create, 2;
    323 event_files::sys_eventfd, 1;
    324 files::sys_fallocate, 6;
    325 event_files::sys_timerfd_settime, 4;
    326 event_files::sys_timerfd_gettime, 2;
    327 event_files::sys_signalfd4, 4;
    328 event_files::sys_eventfd2, 2;
    329 epoll::sys_epoll_create1, 1;
    330 descriptors::sys_dup3, 3;
    331 descriptors::sys_pipe2, 2;
    335 signal_wait::sys_rt_tgsigqueueinfo, 4;
    336 perf_event::sys_perf_event_open, 5;
    340 rlimit::sys_prlimit64, 4;
    353 namespace::sys_renameat2, 5;
    355 misc::sys_getrandom, 3;
    356 files::sys_memfd_create, 2;
    386 rseq::sys_rseq, 4;
    375 membarrier::sys_membarrier, 2;
    377 files::sys_copy_file_range, 6;
    403 time::sys_clock_gettime64, 2;
    406 time::sys_clock_getres64, 2;
    407 time::sys_clock_nanosleep64, 4;
    408 posix_timer::sys_timer_gettime64, 2;
    409 posix_timer::sys_timer_settime64, 4;
    410 event_files::sys_timerfd_gettime64, 2;
    411 event_files::sys_timerfd_settime64, 4;
    412 attributes::sys_utimensat64, 4;
    413 poll::sys_pselect6_64, 6;
    414 poll::sys_ppoll64, 5;
    421 signal_wait::sys_rt_sigtimedwait64, 4;
    422 futex::sys_futex64, 6;
    423 sched::sys_sched_rr_get_interval64, 2;
};

/// Numbers that have been named in the log.
static NAMED: [AtomicU32; NR_SYSCALLS.div_ceil(32)] =
    [const { AtomicU32::new(0) }; NR_SYSCALLS.div_ceil(32)];
static NAMED_BEYOND: AtomicU32 = AtomicU32::new(0);

extern "C" fn not_implemented(_: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> i32 {
    sys_ni_syscall()
}

/// Answers a call that is not implemented: for the table, and for the entry code if the number is
/// beyond it.
#[unsafe(no_mangle)]
extern "C" fn sys_ni_syscall() -> i32 {
    // SAFETY: the frame of the system call that we are in; only read.
    let number = unsafe { (*current_pt_regs()).orig_ax };
    let (word, bit) = match NAMED.get(number as usize / 32) {
        Some(word) => (word, 1 << (number % 32)),
        None => (&NAMED_BEYOND, 1),
    };
    if word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        let me = current();
        log::info!(
            "syscall: {number} ({}) is not implemented, asked for by {}[{}]",
            names::name(number).unwrap_or("no such call"),
            me.comm.get(),
            me.pid()
        );
    }
    Errno::ENOSYS.to_ret()
}

provides_upward!(sys_ni_syscall);
