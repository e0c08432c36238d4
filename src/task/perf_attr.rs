#![forbid(unsafe_code)]
//! `perf_event_attr`: what is to be counted, as a program asks for it.
//!
//! Only software events exist here: they are counted by the kernel, not by the processor.
//!
//! Used by `perf_event_open`, in process context.
//!
//! Linux: 5.4 `include/uapi/linux/perf_event.h`, `perf_copy_attr`.

use crate::base::errno::Errno;

/// Bytes of the structure as 5.4 has it (`PERF_ATTR_SIZE_VER5`).
pub const ATTR_SIZE: u32 = 112;
/// Bytes of its first version.
pub const ATTR_SIZE_VER0: u32 = 64;

/// `type` of the events that the kernel counts.
const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_SAMPLE_MAX: u64 = 1 << 20;
const PERF_FORMAT_MAX: u64 = 1 << 4;

/// `read_format`: how long the event was enabled.
pub const FORMAT_TOTAL_TIME_ENABLED: u64 = 1 << 0;
/// `read_format`: how long it counted.
pub const FORMAT_TOTAL_TIME_RUNNING: u64 = 1 << 1;
/// `read_format`: its number.
pub const FORMAT_ID: u64 = 1 << 2;
/// `read_format`: all events of the group at once.
pub const FORMAT_GROUP: u64 = 1 << 3;

/// What is counted (`enum perf_sw_ids`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum SwEvent {
    /// Nanoseconds by the clock of the CPU, while the task runs.
    CpuClock = 0,
    /// Nanoseconds that the task ran.
    TaskClock = 1,
    /// Page faults of both kinds.
    PageFaults = 2,
    /// Times it left a CPU.
    ContextSwitches = 3,
    /// Times it came back on another.
    CpuMigrations = 4,
    /// Faults that needed no device.
    PageFaultsMin = 5,
    /// Faults that did: none, since all files are in memory.
    PageFaultsMaj = 6,
    /// #AC: counted on other processors only, as in Linux.
    AlignmentFaults = 7,
    /// Instructions emulated: none on this processor.
    EmulationFaults = 8,
    /// Nothing.
    Dummy = 9,
}

impl SwEvent {
    /// How many there are.
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

    /// Whether it counts time.
    pub fn is_clock(self) -> bool {
        matches!(self, SwEvent::CpuClock | SwEvent::TaskClock)
    }
}

/// A request, judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerfEventAttr {
    /// `type`.
    pub event_type: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    /// FORMAT_*: what read(2) gives.
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
    /// It begins without counting.
    disabled = 0,
    /// Children to come are counted as well.
    inherit = 1,
    /// Must always count.
    pinned = 2,
    /// No other group may count beside it.
    exclusive = 3,
    /// What happens in ring 3 is not counted.
    exclude_user = 4,
    /// What happens in the kernel is not counted.
    exclude_kernel = 5,
    /// `sample_period` is a frequency.
    freq = 10,
    /// exec enables it.
    enable_on_exec = 12,
}

impl PerfEventAttr {
    /// Reads the structure from `bytes`, which are [`ATTR_SIZE`] with zeroes after what was given.
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

    /// What [`PerfEventAttr::from_bytes`] reads, for an event that the kernel itself wants.
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

    /// Judges the period. EINVAL for one with the highest bit set, if it is no frequency.
    pub fn check_period(&self) -> Result<(), Errno> {
        match !self.freq() && self.sample_period >> 63 != 0 {
            true => Err(Errno::EINVAL),
            false => Ok(()),
        }
    }

    /// What is to be counted.
    ///
    /// # Errors
    /// ENOENT for an event that nobody here counts; EOPNOTSUPP for samples: there is no buffer for
    /// them.
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
