//! The file that `perf_event_open` gives: read(2) for what was counted, ioctl(2) to steer it.
//!
//! Called by system calls, with no lock held.
//!
//! Linux: 5.4 `perf_read`, `perf_ioctl`, `perf_release`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::arch::x86::uaccess::{copy_to_user, put_user};
use crate::drivers::tsc::cycles_to_ns;
use crate::sched::hooks::perf_event::PerfEvent;
use crate::syscall::errno::Errno;
use crate::task::perf_attr::{
    FORMAT_GROUP, FORMAT_ID, FORMAT_TOTAL_TIME_ENABLED, FORMAT_TOTAL_TIME_RUNNING,
};
use crate::task::perf_event_context::Counts;

const IOC_ENABLE: u32 = 0x2400;
const IOC_DISABLE: u32 = 0x2401;
const IOC_REFRESH: u32 = 0x2402;
const IOC_RESET: u32 = 0x2403;
const IOC_PERIOD: u32 = 0x4008_2404;
/// `_IOR('$', 7, __u64 *)`, with a pointer of 4 bytes.
const IOC_ID: u32 = 0x8004_2407;
/// Argument of the first ones: the whole group.
const IOC_FLAG_GROUP: u32 = 1;

/// An event as a file. The event ends when the file is closed for the last time.
pub struct PerfEventFile(Arc<PerfEvent>);

impl PerfEventFile {
    /// A file around `event`.
    pub fn new(event: Arc<PerfEvent>) -> Self {
        Self(event)
    }

    /// The event, to lead a group.
    pub fn event(&self) -> &Arc<PerfEvent> {
        &self.0
    }

    /// Gives what was counted, as the event's `read_format` says. ENOSPC if `count` is too small.
    pub fn read(&self, to: u32, count: u32) -> Result<u32, Errno> {
        let format = self.0.attr.read_format;
        let words = match format & FORMAT_GROUP {
            0 => read_one(&self.0, format),
            _ => read_group(&self.0.group(), format),
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if (count as usize) < bytes.len() {
            return Err(Errno::ENOSPC);
        }
        copy_to_user(to, &bytes)?;
        Ok(bytes.len() as u32)
    }

    /// Steers it.
    ///
    /// # Errors
    /// ENOTTY; EINVAL for what only samples have; EFAULT.
    pub fn ioctl(&self, command: u32, argument: u32) -> Result<u32, Errno> {
        match command {
            IOC_ENABLE => self.for_each(argument, |event| event.set_enabled(true)),
            IOC_DISABLE => self.for_each(argument, |event| event.set_enabled(false)),
            IOC_RESET => self.for_each(argument, PerfEvent::reset),
            IOC_ID => put_user(argument, self.0.id)?,
            IOC_REFRESH | IOC_PERIOD => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn for_each(&self, argument: u32, steer: impl Fn(&PerfEvent)) {
        match argument & IOC_FLAG_GROUP {
            0 => steer(&self.0),
            _ => self.0.group().iter().for_each(|event| steer(event)),
        }
    }
}

impl Drop for PerfEventFile {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn value(event: &PerfEvent, counts: &Counts) -> u64 {
    match event.is_clock() {
        true => cycles_to_ns(counts.count),
        false => counts.count,
    }
}

fn times(counts: &Counts, format: u64) -> impl Iterator<Item = u64> {
    let enabled = (FORMAT_TOTAL_TIME_ENABLED, counts.time_enabled);
    let running = (FORMAT_TOTAL_TIME_RUNNING, counts.time_running);
    [enabled, running]
        .into_iter()
        .filter(move |(bit, _)| format & bit != 0)
        .map(|(_, cycles)| cycles_to_ns(cycles))
}

/// value, the times, the number: each of the last three if it was asked for.
fn read_one(event: &PerfEvent, format: u64) -> Vec<u64> {
    let counts = event.read();
    let id = (format & FORMAT_ID != 0).then_some(event.id);
    [value(event, &counts)]
        .into_iter()
        .chain(times(&counts, format))
        .chain(id)
        .collect()
}

/// How many, the times of the leader, and of each its value and number.
fn read_group(group: &[Arc<PerfEvent>], format: u64) -> Vec<u64> {
    let counts: Vec<Counts> = group.iter().map(|event| event.read()).collect();
    let mut words = Vec::from([group.len() as u64]);
    words.extend(
        counts
            .iter()
            .take(1)
            .flat_map(|leader| times(leader, format)),
    );
    for (event, counts) in group.iter().zip(&counts) {
        words.push(value(event, counts));
        words.extend((format & FORMAT_ID != 0).then_some(event.id));
    }
    words
}
