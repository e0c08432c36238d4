#![forbid(unsafe_code)]
//! `perf_event_attr`: a program's description of the event to count.
//!
//! Only software events exist here: the kernel counts them, not the processor. `perf_event_open`
//! uses this, in process context.
//!
//! Linux: 5.4 `include/uapi/linux/perf_event.h`, `perf_copy_attr`.

use crate::base::errno::Errno;

/// Size of the structure in Linux 5.4, in bytes (`PERF_ATTR_SIZE_VER5`).
pub const ATTR_SIZE: u32 = 112;
/// Size of the structure's first version, in bytes.
pub const ATTR_SIZE_VER0: u32 = 64;

/// `type` of the events that the kernel counts.
const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_SAMPLE_MAX: u64 = 1 << 20;
const PERF_FORMAT_MAX: u64 = 1 << 4;

/// Bit of `read_format`: the time that the event was enabled.
pub const FORMAT_TOTAL_TIME_ENABLED: u64 = 1 << 0;
/// Bit of `read_format`: the time that the event counted.
pub const FORMAT_TOTAL_TIME_RUNNING: u64 = 1 << 1;
/// Bit of `read_format`: the number of the event.
pub const FORMAT_ID: u64 = 1 << 2;
/// Bit of `read_format`: all events of the group at once.
pub const FORMAT_GROUP: u64 = 1 << 3;

/// The kinds of software events (`enum perf_sw_ids`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum SwEvent {
    /// Nanoseconds by the clock of the CPU, while the task runs.
    CpuClock = 0,
    /// Nanoseconds that the task ran.
    TaskClock = 1,
    /// Page faults of both kinds.
    PageFaults = 2,
    /// Times that the task left a CPU.
    ContextSwitches = 3,
    /// Times that the task came back on another CPU.
    CpuMigrations = 4,
    /// Faults that needed no device.
    PageFaultsMin = 5,
    /// Faults that needed a device: 0, since all files are in memory.
    PageFaultsMaj = 6,
    /// #AC: counted on other processors only, as in Linux.
    AlignmentFaults = 7,
    /// Instructions emulated: 0 on this processor.
    EmulationFaults = 8,
    /// An event that counts nothing.
    Dummy = 9,
}

impl SwEvent {
    /// Number of kinds of events.
    pub const COUNT: usize = Self::ALL.len();

    const ALL: [SwEvent; 10] = [
        SwEvent::CpuClock,
        SwEvent::TaskClock,
        SwEvent::PageFaults,
        SwEvent::ContextSwitches,
        SwEvent::CpuMigrations,
        SwEvent::PageFaultsMin,
        SwEvent::PageFaultsMaj,
        SwEvent::AlignmentFaults,
        SwEvent::EmulationFaults,
        SwEvent::Dummy,
    ];

    /// Returns whether the event counts time.
    pub fn is_clock(self) -> bool {
        matches!(self, SwEvent::CpuClock | SwEvent::TaskClock)
    }
}

/// A checked request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerfEventAttr {
    /// The field `type`.
    pub event_type: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    /// FORMAT_* bits: the values that read(2) returns.
    pub read_format: u64,
    flags: u64,
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl PerfEventAttr {
            $($(#[$doc])* pub fn $name(&self) -> bool { self.flags & 1 << $bit != 0 })*
        }
    };
}

flags! {
    /// The event begins disabled.
    disabled = 0,
    /// The event counts future children too.
    inherit = 1,
    /// The event must always count.
    pinned = 2,
    /// No other group may count at the same time.
    exclusive = 3,
    /// The event does not count in ring 3.
    exclude_user = 4,
    /// The event does not count in the kernel.
    exclude_kernel = 5,
    /// `sample_period` is a frequency.
    freq = 10,
    /// An exec enables the event.
    enable_on_exec = 12,
}

impl PerfEventAttr {
    /// Parses the structure from `bytes`, which has zeroes after the program's bytes.
    ///
    /// # Errors
    /// EINVAL for reserved bits, and for formats and samples that 5.4 does not have.
    pub fn from_bytes(bytes: &[u8; ATTR_SIZE as usize]) -> Result<Self, Errno> {
        let u64_at = |at: usize| {
            let mut word = [0; 8];
            if let Some(field) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
                word = *field;
            }
            u64::from_le_bytes(word)
        };
        let attr = Self {
            event_type: u64_at(0) as u32,
            config: u64_at(8),
            sample_period: u64_at(16),
            sample_type: u64_at(24),
            read_format: u64_at(32),
            flags: u64_at(40),
        };
        let reserved = attr.flags >> 32 != 0 || u64_at(104) >> 48 != 0;
        if reserved || attr.sample_type >= PERF_SAMPLE_MAX || attr.read_format >= PERF_FORMAT_MAX {
            return Err(Errno::EINVAL);
        }
        Ok(attr)
    }

    /// Returns the attributes of an event that the kernel itself wants.
    pub const fn software(event: SwEvent, read_format: u64) -> Self {
        Self {
            event_type: PERF_TYPE_SOFTWARE,
            config: event as u64,
            sample_period: 0,
            sample_type: 0,
            read_format,
            flags: 0,
        }
    }

    /// Checks the period; returns EINVAL for one with the highest bit set that is not a frequency.
    pub fn check_period(&self) -> Result<(), Errno> {
        match !self.freq() && self.sample_period >> 63 != 0 {
            true => Err(Errno::EINVAL),
            false => Ok(()),
        }
    }

    /// Returns the event to count.
    ///
    /// # Errors
    /// ENOENT for an event that this kernel does not count; EOPNOTSUPP for samples, since there is
    /// no buffer for them.
    pub fn event(&self) -> Result<SwEvent, Errno> {
        let known = SwEvent::ALL
            .into_iter()
            .find(|event| *event as u64 == self.config)
            .filter(|_| self.event_type == PERF_TYPE_SOFTWARE)
            .ok_or(Errno::ENOENT)?;
        match self.sample_period {
            0 => Ok(known),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[(usize, u64)]) -> [u8; ATTR_SIZE as usize] {
        let mut bytes = [0; ATTR_SIZE as usize];
        for (at, word) in words {
            bytes[*at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn fields_lie_where_linux_has_them() {
        let attr = bytes(&[(0, 112 << 32 | 1), (8, 3), (32, 7), (40, 1 << 12 | 1)]);
        let attr = PerfEventAttr::from_bytes(&attr).unwrap();
        assert_eq!(attr.event(), Ok(SwEvent::ContextSwitches));
        assert_eq!(attr.read_format, 7);
        assert!(attr.disabled() && attr.enable_on_exec() && !attr.inherit());
    }

    #[test]
    fn what_nobody_counts_is_refused() {
        let event = |words: &[(usize, u64)]| {
            PerfEventAttr::from_bytes(&bytes(words)).and_then(|attr| attr.event())
        };
        for event_type in [0, 2, 3, 4, 5, 77] {
            assert_eq!(event(&[(0, event_type)]), Err(Errno::ENOENT));
        }
        assert_eq!(event(&[(0, 1), (8, 10)]), Err(Errno::ENOENT));
        assert_eq!(event(&[(0, 1), (8, 1 << 40)]), Err(Errno::ENOENT));
        assert_eq!(event(&[(0, 1), (16, 1000)]), Err(Errno::EOPNOTSUPP));
        for wrong in [(40, 1 << 32), (24, 1 << 20), (32, 1 << 4), (104, 1 << 48)] {
            assert_eq!(event(&[(0, 1), wrong]), Err(Errno::EINVAL));
        }
        let all: Vec<_> = (0..10).map(|id| event(&[(0, 1), (8, id)])).collect();
        assert_eq!(all, SwEvent::ALL.map(Ok));
    }

    #[test]
    fn the_highest_bit_of_a_period_is_refused() {
        let check = |flags| {
            PerfEventAttr::from_bytes(&bytes(&[(16, 1 << 63), (40, flags)]))
                .unwrap()
                .check_period()
        };
        assert_eq!((check(0), check(1 << 10)), (Err(Errno::EINVAL), Ok(())));
    }
}
