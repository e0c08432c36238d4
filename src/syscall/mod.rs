//! The Linux/i386 system-call interface.
//!
//! In reading order:
//! - `table`: the calls by number; [`names`]: the names of all calls
//! - `process`, `sched`, `priority`, `rlimit`: births, deaths, scheduling, limits; `signal`, `signal_wait`
//! - `read_write`, `descriptors`, `paths`, `poll`, `epoll`: files; `namespace`, `attributes`,
//!   `files`, `locks`, `statfs`: changing them; `exec`
//! - `event_files`: eventfd, timerfd, signalfd
//! - `restart`: the end of an interrupted call's time
//! - [`timespec`], `user_time`: times in 32 and 64 bits
//! - `memory`, `membarrier`, `time`, `itimer`, `posix_timer`, `identity`, `identity16`, `misc`
//! - `perf_event`: counting a task's events
//! - `thread_area`, `ldt`, `ioport`, `prctl`: TLS, segments, ports, the time-stamp counter
//! - `rseq`: restartable sequences; `futex`, [`futex_op`], `robust_list`: sleeping locks

#[cfg(target_os = "none")]
pub mod attributes;
#[cfg(target_os = "none")]
pub mod descriptors;
#[cfg(target_os = "none")]
pub mod epoll;
#[cfg(target_os = "none")]
pub mod event_files;
#[cfg(target_os = "none")]
pub mod exec;
#[cfg(target_os = "none")]
pub mod files;
#[cfg(target_os = "none")]
pub mod futex;
pub mod futex_op;
#[cfg(target_os = "none")]
pub mod futex_queue;
#[cfg(target_os = "none")]
pub mod identity;
#[cfg(target_os = "none")]
pub mod identity16;
#[cfg(target_os = "none")]
pub mod ioport;
#[cfg(target_os = "none")]
pub mod itimer;
#[cfg(target_os = "none")]
pub mod ldt;
#[cfg(target_os = "none")]
pub mod locks;
#[cfg(target_os = "none")]
pub mod membarrier;
#[cfg(target_os = "none")]
pub mod memory;
#[cfg(target_os = "none")]
pub mod misc;
pub mod names;
#[cfg(target_os = "none")]
pub mod namespace;
#[cfg(target_os = "none")]
pub mod paths;
#[cfg(target_os = "none")]
pub mod perf_event;
#[cfg(target_os = "none")]
pub mod poll;
#[cfg(target_os = "none")]
pub mod posix_timer;
#[cfg(target_os = "none")]
pub mod prctl;
#[cfg(target_os = "none")]
pub mod priority;
#[cfg(target_os = "none")]
pub mod process;
#[cfg(target_os = "none")]
pub mod read_write;
#[cfg(target_os = "none")]
pub mod restart;
#[cfg(target_os = "none")]
pub mod rlimit;
#[cfg(target_os = "none")]
pub mod robust_list;
#[cfg(target_os = "none")]
pub mod rseq;
#[cfg(target_os = "none")]
pub mod sched;
#[cfg(target_os = "none")]
pub mod signal;
#[cfg(target_os = "none")]
pub mod signal_wait;
#[cfg(target_os = "none")]
pub mod statfs;
#[cfg(target_os = "none")]
pub mod table;
#[cfg(target_os = "none")]
pub mod thread_area;
#[cfg(target_os = "none")]
pub mod time;
pub mod timespec;
#[cfg(target_os = "none")]
pub mod user_time;

/// The result of a system call: a value, or the error number whose negative goes to eax.
pub type SysResult = Result<u32, crate::base::errno::Errno>;
