#![forbid(unsafe_code)]
//! `Trace`: the value of `trace=` on the command line.

/// Whether switches and wake-ups are recorded, and when the records leave the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trace {
    /// Nothing is recorded.
    Off,
    /// They leave when there are many, and at the end of the run.
    On,
    /// They leave several times a second, for a reader that draws them meanwhile.
    Live,
}
