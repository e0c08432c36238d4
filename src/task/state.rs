#![forbid(unsafe_code)]
//! States and flags of a task, with Linux's numbers.
//!
//! Book: ch. 3, "Process State". Linux: 2.6.38 `include/linux/sched.h`.

/// Runs or waits for a CPU.
pub const TASK_RUNNING: u32 = 0;
/// Sleeps; a signal wakes it.
pub const TASK_INTERRUPTIBLE: u32 = 1;
/// Sleeps; only its event wakes it.
pub const TASK_UNINTERRUPTIBLE: u32 = 2;
/// Is stopped by a signal; SIGCONT and SIGKILL wake it.
pub const TASK_STOPPED: u32 = 4;
/// Has run its last instruction but one: `schedule` never comes back to it.
pub const TASK_DEAD: u32 = 64;

/// Is being woken: it is on no run queue, and who wakes it chooses its CPU.
pub const TASK_WAKING: u32 = 256;

/// Value of `exit_state` while the parent has not waited yet.
pub const EXIT_ZOMBIE: u32 = 16;
/// Value of `exit_state` once nobody will wait any more.
pub const EXIT_DEAD: u32 = 32;

/// Is going away.
pub const PF_EXITING: u32 = 0x4;
/// Has not executed a program since it was forked.
pub const PF_FORKNOEXEC: u32 = 0x40;
/// Is a kernel thread: has no address space of its own.
pub const PF_KTHREAD: u32 = 0x20_0000;
/// Bound to its CPU for good, at its priority.
pub const PF_THREAD_BOUND: u32 = 0x400_0000;

/// The letter that `ps` shows for a state.
pub const fn state_letter(state: u32) -> char {
    match state {
        TASK_RUNNING => 'R',
        TASK_WAKING => 'W',
        TASK_INTERRUPTIBLE => 'S',
        TASK_UNINTERRUPTIBLE => 'D',
        TASK_STOPPED => 'T',
        TASK_DEAD => 'x',
        _ => '?',
    }
}
