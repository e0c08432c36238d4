#![forbid(unsafe_code)]
//! The flags of clone, in one word.
//!
//! Linux: 2.6.38 `linux/sched.h`; clone(2).

/// Mask of the signal that the parent gets at the child's end.
pub const CSIGNAL: u32 = 0xff;
/// Share the address space.
pub const CLONE_VM: u32 = 0x100;
/// Share root and working directory.
pub const CLONE_FS: u32 = 0x200;
/// Share open files.
pub const CLONE_FILES: u32 = 0x400;
/// Share signal handlers.
pub const CLONE_SIGHAND: u32 = 0x800;
/// Block the parent until the child executes a program or exits.
pub const CLONE_VFORK: u32 = 0x4000;
/// Give the child the caller's parent.
pub const CLONE_PARENT: u32 = 0x8000;
/// Put the child into the caller's thread group.
pub const CLONE_THREAD: u32 = 0x1_0000;
/// The child is traced if the caller is.
pub const CLONE_PTRACE: u32 = 0x2000;
/// A tracer cannot make this child traced by its options.
pub const CLONE_UNTRACED: u32 = 0x80_0000;
/// Create a mount namespace: not supported here, and never allowed with CLONE_FS.
pub const CLONE_NEWNS: u32 = 0x2_0000;
/// All flags that create a namespace (CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID,
/// NEWNET).
pub const CLONE_NEW_ANY: u32 = 0x7e02_0000;
/// Load a TLS descriptor.
pub const CLONE_SETTLS: u32 = 0x8_0000;
/// Store the child's number in the parent's memory.
pub const CLONE_PARENT_SETTID: u32 = 0x10_0000;
/// Clear the child's number in its memory when it exits.
pub const CLONE_CHILD_CLEARTID: u32 = 0x20_0000;
/// Store the child's number in its own memory.
pub const CLONE_CHILD_SETTID: u32 = 0x100_0000;
