//! The ground floor: open to every room, and using none of them.
//!
//! - [`errno`]: error numbers, and where their sign is flipped
//! - [`exit_value`]: how QEMU is told that the kernel has ended
//! - [`cmdline`]: the kernel's command line
//! - [`thread_info`]: the foot of the kernel stack
//! - [`layout`]: where the kernel and a program lie
//! - `pt_regs`: the user's registers at the top of the kernel stack
//! - `upward`: the calls from a room to a room above it
//! - [`flags`]: a word of flags of one kind
//! - `insn`: each privileged instruction, once, wrapped
//! - `bitops`: bits of a word that several processors change
//! - `percpu`: the per-CPU area behind `%fs`

#[cfg(target_os = "none")]
pub mod bitops;
pub mod cmdline;
pub mod errno;
pub mod exit_value;
pub mod flags;
#[cfg(target_os = "none")]
pub mod insn;
pub mod layout;
#[cfg(target_os = "none")]
pub mod percpu;
pub mod pt_regs;
pub mod thread_info;
#[cfg(target_os = "none")]
pub mod upward;
