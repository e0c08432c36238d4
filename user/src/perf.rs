//! Perf events: `perf_event_open` and the answers of its file.

use crate::{Errno, gates::syscall};

const SYS_READ: u32 = 3;
const SYS_CLOSE: u32 = 6;
const SYS_IOCTL: u32 = 54;
const SYS_PERF_EVENT_OPEN: u32 = 336;

pub const TASK_CLOCK: u64 = 1;
pub const PAGE_FAULTS: u64 = 2;
pub const CONTEXT_SWITCHES: u64 = 3;
pub const CPU_MIGRATIONS: u64 = 4;
pub const PAGE_FAULTS_MIN: u64 = 5;
pub const PAGE_FAULTS_MAJ: u64 = 6;
pub const DUMMY: u64 = 9;

pub const FORMAT_TIMES_AND_ID: u64 = 7;
pub const FORMAT_GROUP: u64 = 8;

pub const DISABLED: u64 = 1 << 0;
pub const INHERIT: u64 = 1 << 1;
pub const EXCLUDE_USER: u64 = 1 << 4;
pub const EXCLUDE_KERNEL: u64 = 1 << 5;
pub const ENABLE_ON_EXEC: u64 = 1 << 12;

pub const IOC_ENABLE: u32 = 0x2400;
pub const IOC_DISABLE: u32 = 0x2401;
pub const IOC_REFRESH: u32 = 0x2402;
pub const IOC_RESET: u32 = 0x2403;
pub const IOC_PERIOD: u32 = 0x4008_2404;
pub const IOC_SET_OUTPUT: u32 = 0x2405;
pub const IOC_SET_FILTER: u32 = 0x4004_2406;
pub const IOC_ID: u32 = 0x8004_2407;
pub const IOC_SET_BPF: u32 = 0x4004_2408;
pub const IOC_PAUSE_OUTPUT: u32 = 0x4004_2409;
pub const IOC_QUERY_BPF: u32 = 0xc004_240a;
pub const IOC_MODIFY_ATTRIBUTES: u32 = 0x4004_240b;
pub const IOC_FLAG_GROUP: u32 = 1;

/// Flags of `perf_event_open`.
pub const FD_NO_GROUP: u32 = 1;
pub const FD_OUTPUT: u32 = 2;
pub const PID_CGROUP: u32 = 4;

/// Stands for "no task", "any CPU" or "no group leader".
pub const NONE: u32 = u32::MAX;

/// `struct perf_event_attr` of 112 bytes, in words of 64 bits.
#[repr(C, align(8))]
#[derive(Clone)]
pub struct Attr(pub [u64; 14]);

impl Attr {
    /// Returns the attributes of a software event.
    pub fn software(config: u64, flags: u64) -> Self {
        let mut words = [0; 14];
        words[0] = 112 << 32 | 1;
        words[1] = config;
        words[5] = flags;
        Self(words)
    }

    pub fn format(mut self, read_format: u64) -> Self {
        self.0[4] = read_format;
        self
    }

    /// Replaces one word.
    pub fn with(mut self, index: usize, word: u64) -> Self {
        self.0[index] = word;
        self
    }

    /// Returns the size in the structure, which the kernel writes with E2BIG.
    pub fn size(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// Calls `perf_event_open` with these attributes.
    pub fn open(&mut self, pid: u32, cpu: u32, group: u32, flags: u32) -> Result<u32, Errno> {
        let attr = self.0.as_mut_ptr() as u32;
        syscall(SYS_PERF_EVENT_OPEN, [attr, pid, cpu, group, flags])
    }
}

/// An open event, which is closed when dropped.
pub struct Event(pub u32);

impl Event {
    /// Opens the event `config` of the caller, on any CPU.
    pub fn of_me(config: u64, flags: u64) -> Self {
        Self::open(Attr::software(config, flags), 0, NONE)
    }

    pub fn open(mut attr: Attr, pid: u32, group: u32) -> Self {
        Self(attr.open(pid, NONE, group, 0).expect("perf_event_open"))
    }

    /// Reads `N` words.
    pub fn read_words<const N: usize>(&self) -> Result<[u64; N], Errno> {
        let mut words = [0; N];
        let read = syscall(SYS_READ, [self.0, words.as_mut_ptr() as u32, 8 * N as u32])?;
        assert!(read as usize == 8 * N, "{read} bytes, not {N} words");
        Ok(words)
    }

    /// Returns the value of an event without a format.
    pub fn read(&self) -> u64 {
        self.read_words::<1>().expect("read of an event")[0]
    }

    pub fn ioctl(&self, command: u32, argument: u32) -> Result<u32, Errno> {
        syscall(SYS_IOCTL, [self.0, command, argument])
    }

    pub fn enable(&self) {
        self.ioctl(IOC_ENABLE, 0).expect("ENABLE");
    }

    pub fn disable(&self) {
        self.ioctl(IOC_DISABLE, 0).expect("DISABLE");
    }

    pub fn reset(&self) {
        self.ioctl(IOC_RESET, 0).expect("RESET");
    }

    /// Returns the number that identifies the event in a group.
    pub fn id(&self) -> u64 {
        let mut id = 0u64;
        self.ioctl(IOC_ID, &raw mut id as u32).expect("ID");
        id
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // Closing an event's file cannot fail.
        let _ = syscall(SYS_CLOSE, [self.0]);
    }
}
