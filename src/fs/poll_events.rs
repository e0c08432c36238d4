#![forbid(unsafe_code)]
//! The events that poll and select report for a file, as bits with Linux's values.
//!
//! Linux: 2.6.38 `include/asm-generic/poll.h`; poll(2).

use bitflags::bitflags;

bitflags! {
    /// The event bits `POLL*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct PollEvents: u32 {
        /// Something can be read without waiting.
        const POLLIN = 0x1;
        /// Something can be written without waiting.
        const POLLOUT = 0x4;
        /// An error: nobody reads this pipe any more. Reported even if not requested.
        const POLLERR = 0x8;
        /// The other end has hung up. Reported even if not requested.
        const POLLHUP = 0x10;
        /// The descriptor is not open. Reported even if not requested.
        const POLLNVAL = 0x20;
        /// Same as POLLIN.
        const POLLRDNORM = 0x40;
        /// Same as POLLOUT.
        const POLLWRNORM = 0x100;
    }
}

impl PollEvents {
    /// Events of a file that can be read without waiting.
    pub const READABLE: Self = Self::POLLIN.union(Self::POLLRDNORM);
    /// Events of a file that can be written without waiting.
    pub const WRITABLE: Self = Self::POLLOUT.union(Self::POLLWRNORM);
    /// Events that are reported even if nobody requests them.
    pub const UNASKED: Self = Self::POLLERR.union(Self::POLLHUP);
    /// Events of a file that never makes anybody wait (`DEFAULT_POLLMASK`).
    pub const ALWAYS: Self = Self::READABLE.union(Self::WRITABLE);
}
