//! The ground floor, which every room may use and which uses no other room.
//!
//! - [`errno`]: error numbers, and the place where their sign is flipped
//! - [`exit_value`]: the exit values that QEMU gets
//! - [`cmdline`]: the kernel's command line
//! - [`consoles`]: the serial line and the screen, and the word that chooses
//! - [`thread_info`]: the foot of the kernel stack
//! - [`layout`]: where the kernel and a program lie
//! - `pt_regs`: the user's registers at the top of the kernel stack
//! - `upward`: the calls from a room to a room above it
//! - [`trace_word`]: the value of `trace=`
//! - [`hrtimer`]: the next expiry of a timer with an interval
//! - [`flags`]: a word of flags of one kind
//! - `insn`: one wrapper for each privileged instruction
//! - `port`: I/O ports
//! - `bitops`: bits of a word that several processors change
//! - `percpu`: the per-CPU area behind `%fs`

#[cfg(target_os = "none")]
pub mod bitops;
pub mod cmdline;
pub mod consoles;
pub mod errno;
pub mod exit_value;
pub mod flags;
pub mod hrtimer;
#[cfg(target_os = "none")]
pub mod insn;
pub mod layout;
#[cfg(target_os = "none")]
pub mod percpu;
#[cfg(target_os = "none")]
pub mod port;
pub mod pt_regs;
pub mod thread_info;
pub mod trace_word;
#[cfg(target_os = "none")]
pub mod upward;
