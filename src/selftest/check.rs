#![forbid(unsafe_code)]
//! What a case says: it holds, it does not (expected and got), or it cannot be tried here.

extern crate alloc;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

use crate::base::errno::Errno;

/// Why a case did not pass.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It went wrong: what was expected, and what was found.
    Failed(String),
    /// This kernel cannot try it.
    Skipped(&'static str),
}

/// The result of a case, or of one of its actors.
pub type Outcome = Result<(), Verdict>;

impl From<Errno> for Verdict {
    fn from(errno: Errno) -> Self {
        Verdict::Failed(format!("the case could not be set up: {errno:?}"))
    }
}

/// `what` must be `expected`.
pub fn expect<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(Verdict::Failed(format!(
        "{what}: expected {expected:?}, got {got:?}"
    )))
}

/// `what` must be `expected`: an address, a register, flags.
pub fn expect_hex(what: &str, got: u32, expected: u32) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(Verdict::Failed(format!(
        "{what}: expected {expected:#010x}, got {got:#010x}"
    )))
}

/// `what` must lie in `low..=high`.
pub fn expect_within(what: &str, got: u64, low: u64, high: u64) -> Outcome {
    if (low..=high).contains(&got) {
        return Ok(());
    }
    Err(Verdict::Failed(format!(
        "{what}: expected {low} to {high}, got {got}"
    )))
}

/// What `what` says must hold.
pub fn expect_true(what: &str, holds: bool) -> Outcome {
    expect(what, holds, true)
}

/// The checks that are compiled into kernels with debug assertions only.
pub fn needs_debug_assertions() -> Outcome {
    if cfg!(debug_assertions) {
        return Ok(());
    }
    Err(Verdict::Skipped("this kernel has no debug assertions"))
}
