#![forbid(unsafe_code)]
//! The verdict of a case: it holds, it does not (expected and got), or it cannot be tried here.

extern crate alloc;
use alloc::string::String;
use core::fmt::{Arguments, Debug};

use crate::base::errno::Errno;
use crate::mm::fallible::try_to_string;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Verdict {
    /// It failed: the text says what was expected and what was found.
    Failed(String),
    /// This kernel or machine cannot try it; the text says why.
    Skipped(&'static str),
}

/// The result of a case, or of one of its actors.
pub type Outcome = Result<(), Verdict>;

impl From<Errno> for Verdict {
    fn from(errno: Errno) -> Self {
        failed(format_args!("the case could not be set up: {errno:?}"))
    }
}

/// The verdict of a case that failed: `what` says how.
///
/// # Panics
/// Without memory for the text.
pub fn failed(what: Arguments<'_>) -> Verdict {
    Verdict::Failed(try_to_string(what).expect("memory for a verdict"))
}

/// Fails unless `got`, which `what` names, equals `expected`.
pub fn expect<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(failed(format_args!(
        "{what}: expected {expected:?}, got {got:?}"
    )))
}

/// As [`expect`], for an address, a register or flags: a failure shows them in hexadecimal.
pub fn expect_hex(what: &str, got: u32, expected: u32) -> Outcome {
    if got == expected {
        return Ok(());
    }
    Err(failed(format_args!(
        "{what}: expected {expected:#010x}, got {got:#010x}"
    )))
}

/// Fails unless `got`, which `what` names, lies in `low..=high`.
pub fn expect_within(what: &str, got: u64, low: u64, high: u64) -> Outcome {
    if (low..=high).contains(&got) {
        return Ok(());
    }
    Err(failed(format_args!(
        "{what}: expected {low} to {high}, got {got}"
    )))
}

/// Fails unless the statement `what` holds.
pub fn expect_true(what: &str, holds: bool) -> Outcome {
    expect(what, holds, true)
}

/// Skips the case in a kernel without debug assertions, which lacks the checks that it tests.
pub fn needs_debug_assertions() -> Outcome {
    if cfg!(debug_assertions) {
        return Ok(());
    }
    Err(Verdict::Skipped("this kernel has no debug assertions"))
}
