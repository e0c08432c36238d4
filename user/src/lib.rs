//! `rt`: the runtime of the ring-3 test programs.
//!
//! Static Linux/i386 programs without libc: they run unchanged on switch_to and on Linux, which
//! shows that they demand what Linux does. In reading order:
//!
//! - `start`     `_start`: registers at entry, argv, envp, auxv
//! - `gates`     a system call by `int $0x80`, by the vDSO, by a bare `sysenter`
//! - `errno`     Linux's error numbers
//! - `io`        `print!`, one write a line; the panic handler
//! - `ktap`      the test report
//! - `process`   fork, exec, wait4; `child`, `expect_signal`
//! - `sched`     yield, policies, one CPU for all tasks
//! - `memory`    mmap, brk, a page shared by parent and children
//! - `clock`     time, sleep, usage
//! - `machine`   which kernel and which processor this is
//! - `poll`      the events of a file
//! - `tls`       `set_thread_area` and `%gs`
//! - `ports`     ioperm, iopl
//! - `insn`      single instructions, most of which should fault
//! - `dice`      numbers that look random
//! - `fast`      inline system calls, for measuring
//! - `fpu`       x87 and SSE registers
//! - `signals`   handlers, kill
//! - `frame`     a handler that copies its frame
//! - `job`       processes that are stopped and continue
//! - `string`    memcpy and its like, which the compiler needs
//! - `stack16`   a stack whose segment has 16 bits
//! - `thread`    clone with shared memory
//! - `perf`      perf events
//! - `proc`      files of `/proc`
//! - `rseq`      restartable sequences
//! - `trace`     ptrace
//! - `relay`     two or more tasks that provably alternate
#![cfg(target_os = "none")]
#![no_std]

pub mod clock;
pub mod dice;
pub mod errno;
pub mod fast;
pub mod fpu;
pub mod frame;
pub mod gates;
pub mod good_calls;
pub mod insn;
pub mod io;
pub mod job;
pub mod ktap;
pub mod machine;
pub mod memory;
pub mod perf;
pub mod poll;
pub mod ports;
pub mod posix_timer;
pub mod proc;
pub mod process;
pub mod relay;
pub mod rseq;
pub mod sched;
pub mod signals;
pub mod stack16;
pub mod start;
mod string;
pub mod thread;
pub mod tls;
pub mod trace;

pub use errno::Errno;
pub use process::{WaitStatus, child, expect_exit, expect_signal, segfaults, signal};

/// Names the function `fn() -> i32` at which the program begins; its result is the
/// exit status.
#[macro_export]
macro_rules! main {
    ($function:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn program_main() -> i32 {
            $function()
        }
    };
}
