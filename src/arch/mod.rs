//! The machines: one so far.

pub mod x86;
