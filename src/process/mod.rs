//! The life of a process.
//!
//! In reading order:
//! - [`pid`]: numbers, and the lists of the tasks that share one; `tasklist`: who is whose child
//! - `fork`: a new task; `kthread`: one without user mode
//! - [`initial_stack`]: what a program finds on its stack
//! - `load_elf`, `exec`: how a task becomes another program; [`exec_id`]: that it has; `de_thread`: the only one of its
//!   process; `kernel_execve`: a thread of the kernel, the first
//! - [`sigset`]: signals and their defaults; [`sigpending`]: those that wait; [`siginfo`]: what is told
//!   of one; [`sigframe`], [`fpstate`], [`altstack`]: what a handler finds on the stack, and on which
//! - `signal`, `signal_delivery`: sending one, and what it does; `signal_group`: to which thread;
//!   `tty_signal`: by a key; `kill`: whom it is for
//! - `stop`: what a stop signal does, and SIGCONT; `itimer`, `posix_timer`: a signal after a time
//! - `exit`: the end of one; `wait4`: who hears of it; `usage`: what it has used
//! - `oom_kill`: the end of one when there is no memory for all
//! - `rseq`: restartable sequences on the way back to ring 3
//! - [`proc`]: what `/proc` says of it; `ptrace`: which tasks may look into it
//! - `watchdog`: what all tasks do when switching has stopped

pub mod altstack;
#[cfg(target_os = "none")]
pub mod de_thread;
#[cfg(target_os = "none")]
pub mod exec;
pub mod exec_id;
#[cfg(target_os = "none")]
pub mod exit;
#[cfg(target_os = "none")]
pub mod fork;
pub mod fpstate;
pub mod initial_stack;
#[cfg(target_os = "none")]
pub mod itimer;
#[cfg(target_os = "none")]
pub mod kernel_execve;
#[cfg(target_os = "none")]
pub mod kill;
#[cfg(target_os = "none")]
pub mod kthread;
#[cfg(target_os = "none")]
pub mod load_elf;
#[cfg(target_os = "none")]
pub mod oom_kill;
pub mod pid;
#[cfg(target_os = "none")]
pub mod posix_timer;
pub mod proc;
#[cfg(target_os = "none")]
pub mod ptrace;
#[cfg(target_os = "none")]
pub mod rseq;
pub mod sigframe;
pub mod siginfo;
#[cfg(target_os = "none")]
pub mod signal;
#[cfg(target_os = "none")]
pub mod signal_delivery;
#[cfg(target_os = "none")]
pub mod signal_group;
pub mod sigpending;
pub mod sigset;
#[cfg(target_os = "none")]
pub mod stop;
#[cfg(target_os = "none")]
pub mod tasklist;
#[cfg(target_os = "none")]
pub mod tty_signal;
#[cfg(target_os = "none")]
pub mod usage;
#[cfg(target_os = "none")]
pub mod wait4;
#[cfg(target_os = "none")]
pub mod watchdog;
