//! switch_to: an i386 kernel whose process switch is Linux's.
//!
//! The rooms, each using only those above it:
//! - [`base`]: the ground floor: error numbers, instructions, memory layout, the per-CPU area,
//!   `thread_info`; and `upward`, the table of calls to a room above
//! - [`hw`]: formats that Intel defines; no unsafe code
//! - `sync`: locks and guards
//! - [`trace`]: records for a timeline
//! - [`mm`]: address spaces
//! - [`task`]: process descriptors, and the types that they hold
//! - [`arch`]: the machine; `arch::x86::switch` is the process switch
//! - [`sched`]: which task runs next, and what goes on around a switch
//! - `fs`: files, pipes, the archive that programs come from
//! - `process`: fork, exec, exit, wait, signals
//! - [`ptrace`]: the requests of a debugger; the stops of its tasks are in `process`
//! - [`syscall`]: the Linux/i386 system calls
//! - `tour`: the narrated run; `selftest`: the kernel's own tests
//! - `init`: `start_kernel`, one line for each step
//!
//! Besides these there are the [`drivers`], which use only the ground floor.
#![cfg_attr(not(test), no_std)]
// Neither a number that a program chose nor a full counter may end a kernel with overflow checks:
// every sum says how it handles an overflow.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
// Allocation that can fail: `mm::fallible`.
#![feature(allocator_api, vec_push_within_capacity)]

extern crate alloc;

#[expect(
    clippy::arithmetic_side_effects,
    reason = "addresses of the kernel itself and of the machine; what a program gives is checked by `uaccess`"
)]
pub mod arch;
pub mod base;
pub mod boot_info;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "numbers that the machine gives; on the host no driver with sums is compiled"
)]
pub mod drivers;
pub mod fs;
#[cfg(test)]
mod fuzz_tests;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "numbers that the machine gives"
)]
pub mod hw;
#[cfg(target_os = "none")]
pub mod init;
pub mod mm;
pub mod process;
pub mod ptrace;
pub mod sched;
#[expect(clippy::arithmetic_side_effects, reason = "no program reaches it")]
#[cfg(target_os = "none")]
pub mod selftest;
pub mod sync;
pub mod syscall;
pub mod task;
#[expect(clippy::arithmetic_side_effects, reason = "no program reaches it")]
#[cfg(target_os = "none")]
pub mod tour;
pub mod trace;
