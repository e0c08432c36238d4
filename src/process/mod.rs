//! The life of a process.
//!
//! In reading order:
//! - [`pid`]: numbers, and the lists of tasks that share one; `tasklist`: parents and children
//! - `fork`, `copy_signal`: a new task; `kthread`: a task without user mode
//! - [`initial_stack`]: the contents of a new program's stack
//! - [`randomize`], `exec_file`, `load_elf`, `exec`: how a task becomes another program; [`exec_id`]: how often it
//!   has; `de_thread`: how it becomes the only task of its process; `kernel_execve`: the first
//!   program
//! - [`sigset`]: signals and their defaults; [`sigpending`]: pending signals; [`sigframe`],
//!   [`fpstate`], [`altstack`]: the stack frame of a handler
//! - `signal`, `signal_delivery`: sending a signal, and its effect; `signal_group`: which thread
//!   gets it; `tty_signal`: signals from keys; `kill`: which processes get it
//! - `signal_wait`: sleeping until a signal comes, for rt_sigtimedwait and signalfd;
//!   [`signalfd_siginfo`]: the facts about it
//! - `stop`: stop signals and SIGCONT; `itimer`, `itimer_cpu`, `posix_timer`: a signal after a
//!   time; `process_timers`: all of a process; `cpu_clock`: the time that it has used
//! - `exit`: the end of a task; `wait4`: how its parent learns of it; `usage`: the time it has used
//! - `rlimit`: the limits with which init starts
//! - `oom_kill`: the end of a process when memory runs out
//! - `rseq`: restartable sequences on the way back to ring 3
//! - [`proc`]: the files of `/proc`; `ptrace`: which tasks may look into another
//! - `trace_link`: the tracer of a task; `trace_stop`: its stops; `trace_syscall`: its system
//!   calls; `trace_wait`: how the tracer learns of it
//! - `release`: the last traces of a task, and the news of its end
//! - `watchdog`: a report of all tasks when switching has stopped

pub mod altstack;
#[cfg(target_os = "none")]
pub mod copy_signal;
#[cfg(target_os = "none")]
pub mod cpu_clock;
#[cfg(target_os = "none")]
pub mod de_thread;
#[cfg(target_os = "none")]
pub mod exec;
#[cfg(target_os = "none")]
pub mod exec_file;
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
pub mod itimer_cpu;
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
pub mod process_timers;
#[cfg(target_os = "none")]
pub mod ptrace;
pub mod randomize;
#[cfg(target_os = "none")]
pub mod release;
#[cfg(target_os = "none")]
pub mod rlimit;
#[cfg(target_os = "none")]
pub mod rseq;
pub mod sigframe;
#[cfg(target_os = "none")]
pub mod signal;
#[cfg(target_os = "none")]
pub mod signal_delivery;
#[cfg(target_os = "none")]
pub mod signal_group;
#[cfg(target_os = "none")]
pub mod signal_wait;
pub mod signalfd_siginfo;
pub mod sigpending;
pub mod sigset;
#[cfg(target_os = "none")]
pub mod stop;
#[cfg(target_os = "none")]
pub mod tasklist;
#[cfg(target_os = "none")]
pub mod trace_link;
#[cfg(target_os = "none")]
pub mod trace_stop;
#[cfg(target_os = "none")]
pub mod trace_syscall;
#[cfg(target_os = "none")]
pub mod trace_wait;
#[cfg(target_os = "none")]
pub mod tty_signal;
#[cfg(target_os = "none")]
pub mod usage;
#[cfg(target_os = "none")]
pub mod wait4;
#[cfg(target_os = "none")]
pub mod watchdog;
