#![forbid(unsafe_code)]
//! What poll and select can tell of a file, as bits with Linux's values.
//!
//! Linux: 2.6.38 `include/asm-generic/poll.h`; poll(2).

use bitflags::bitflags;

bitflags! {
    /// `POLL*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct PollEvents: u32 {
        /// Something can be read without waiting.
        const POLLIN = 0x1;
        /// Something can be written without waiting.
        const POLLOUT = 0x4;
        /// An error: nobody reads this pipe any more. Told unasked.
        const POLLERR = 0x8;
        /// The other end has hung up. Told unasked.
        const POLLHUP = 0x10;
        /// The descriptor is not open. Told unasked.
        const POLLNVAL = 0x20;
        /// As POLLIN.
        const POLLRDNORM = 0x40;
        /// As POLLOUT.
        const POLLWRNORM = 0x100;
    }
}

impl PollEvents {
    /// A read would not wait.
    pub const READABLE: Self = Self::POLLIN.union(Self::POLLRDNORM);
    /// A write would not wait.
    pub const WRITABLE: Self = Self::POLLOUT.union(Self::POLLWRNORM);
    /// Told whether or not anybody asks.
    pub const UNASKED: Self = Self::POLLERR.union(Self::POLLHUP);
    /// A file that never lets anybody wait (`DEFAULT_POLLMASK`).
    pub const ALWAYS: Self = Self::READABLE.union(Self::WRITABLE);
}
