//! The limits with which init starts, and those that bind an address space.
//!
//! Linux: 2.6.38 `INIT_RLIMITS`.

use super::sigpending::MAX_QUEUED;
use crate::arch::x86::current::current;
use crate::fs::fd_table::NR_OPEN;
use crate::mm::vma::STACK_LIMIT;
use crate::provides_upward;
use crate::task::rlimit::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, Rlimits};

/// Returns the limits with which init starts.
pub fn init_rlimits() -> Rlimits {
    Rlimits::new(NR_OPEN, STACK_LIMIT, MAX_QUEUED as u32)
}

/// Upward call of `mm`: the running process's limits of stack, data and address space.
#[unsafe(no_mangle)]
fn mm_rlimits() -> [u32; 3] {
    let rlim = &current().signal.rlim;
    [RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS].map(|resource| rlim.cur(resource))
}

provides_upward!(mm_rlimits);
