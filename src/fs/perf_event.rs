//! The file that `perf_event_open` returns: read(2) gives the counts, ioctl(2) controls them.
//!
//! Called by system calls, with no lock held.
//!
//! Linux: 5.4 `perf_read`, `perf_ioctl`, `perf_release`, `perf_copy_attr`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use zerocopy::IntoBytes;

use super::file::{File, Object};
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{
    copy_from_user, copy_to_user, get_user, put_user, strncpy_from_user,
};
use crate::base::errno::Errno;
use crate::drivers::tsc::cycles_to_ns;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fallible::{TryVec, try_collect};
use crate::sched::hooks::perf_event::PerfEvent;
use crate::task::perf_attr::{
    ATTR_SIZE, ATTR_SIZE_VER0, FORMAT_GROUP, FORMAT_ID, FORMAT_TOTAL_TIME_ENABLED,
    FORMAT_TOTAL_TIME_RUNNING, PerfEventAttr,
};
use crate::task::perf_event_context::Counts;

const IOC_ENABLE: u32 = 0x2400;
const IOC_DISABLE: u32 = 0x2401;
const IOC_REFRESH: u32 = 0x2402;
const IOC_RESET: u32 = 0x2403;
const IOC_PERIOD: u32 = 0x4008_2404;
const IOC_SET_OUTPUT: u32 = 0x2405;
// Some of the following commands encode the size of a pointer, 4 bytes.
const IOC_SET_FILTER: u32 = 0x4004_2406;
const IOC_ID: u32 = 0x8004_2407;
const IOC_SET_BPF: u32 = 0x4004_2408;
const IOC_PAUSE_OUTPUT: u32 = 0x4004_2409;
const IOC_QUERY_BPF: u32 = 0xc004_240a;
const IOC_MODIFY_ATTRIBUTES: u32 = 0x4004_240b;
/// Argument of the first commands: act on the whole group.
const IOC_FLAG_GROUP: u32 = 1;

/// An event as a file. The event ends when the file is closed for the last time.
pub struct PerfEventFile(Arc<PerfEvent>);

impl PerfEventFile {
    /// Returns a file for `event`.
    pub fn new(event: Arc<PerfEvent>) -> Self {
        Self(event)
    }

    /// Returns the event, so that it can lead a group.
    pub fn event(&self) -> &Arc<PerfEvent> {
        &self.0
    }

    /// Copies the counts to user address `to`, as the event's `read_format` says.
    ///
    /// # Errors
    /// ENOSPC if `count` is too small, EFAULT.
    pub fn read(&self, to: u32, count: u32) -> Result<u32, Errno> {
        let format = self.0.attr.read_format;
        let words = match format & FORMAT_GROUP {
            0 => read_one(&self.0, format)?,
            _ => read_group(&self.0.group()?, format)?,
        };
        let bytes = (words.len() as u32).saturating_mul(8);
        if count < bytes {
            return Err(Errno::ENOSPC);
        }
        copy_to_user(to, words.as_bytes())?;
        Ok(bytes)
    }

    /// Handles ioctl(2): enables, disables or resets the event, for example.
    ///
    /// # Errors
    /// ENOTTY for an unknown command; EINVAL for commands that apply only to samples, trace points
    /// and breakpoints; EOPNOTSUPP for changing the event's attributes; before that EFAULT, EBADF,
    /// EPERM, and the errors of [`perf_copy_attr`].
    pub fn ioctl(&self, command: u32, argument: u32) -> Result<u32, Errno> {
        match command {
            IOC_ENABLE => self.for_each(argument, |event| event.set_enabled(true))?,
            IOC_DISABLE => self.for_each(argument, |event| event.set_enabled(false))?,
            IOC_RESET => self.for_each(argument, PerfEvent::reset)?,
            IOC_ID => put_user(argument, self.0.id)?,
            IOC_SET_OUTPUT if argument == u32::MAX => self.set_output(None)?,
            IOC_SET_OUTPUT => self.set_output(Some(&*fget(argument)?))?,
            IOC_SET_FILTER => set_filter(argument)?,
            // No file holds a BPF program.
            IOC_SET_BPF => return fget(argument).and(Err(Errno::EINVAL)),
            IOC_QUERY_BPF if !current().cred().capable() => return Err(Errno::EPERM),
            IOC_REFRESH | IOC_PERIOD | IOC_PAUSE_OUTPUT | IOC_QUERY_BPF => {
                return Err(Errno::EINVAL);
            }
            IOC_MODIFY_ATTRIBUTES => self.modify_attributes(argument)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    /// Directs samples to the buffer of the event in `file`; `None` asks for no redirection.
    ///
    /// # Errors
    /// EBADF for a file that is not an event, EINVAL otherwise, since no event has a buffer.
    pub fn set_output(&self, file: Option<&File>) -> Result<(), Errno> {
        match file.map(|file| &file.object) {
            None => Ok(()),
            Some(Object::PerfEvent(_)) => Err(Errno::EINVAL),
            Some(_) => Err(Errno::EBADF),
        }
    }

    /// Checks the attributes, then refuses: only breakpoints can be modified, which do not exist.
    fn modify_attributes(&self, address: u32) -> Result<(), Errno> {
        let new = perf_copy_attr(address)?;
        match new.event_type == self.0.attr.event_type {
            true => Err(Errno::EOPNOTSUPP),
            false => Err(Errno::EINVAL),
        }
    }

    fn for_each(&self, argument: u32, steer: impl Fn(&PerfEvent)) -> Result<(), Errno> {
        match argument & IOC_FLAG_GROUP {
            0 => steer(&self.0),
            _ => self.0.group()?.iter().for_each(|event| steer(event)),
        }
        Ok(())
    }
}

impl Drop for PerfEventFile {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Copies the attributes of an event from user memory, in whatever version the caller uses.
///
/// # Errors
/// E2BIG, after writing the known size to the structure; EFAULT; those of
/// [`PerfEventAttr::from_bytes`].
pub fn perf_copy_attr(address: u32) -> Result<PerfEventAttr, Errno> {
    let size_at = address.wrapping_add(4);
    let size = match get_user::<u32>(size_at)? {
        0 => ATTR_SIZE_VER0,
        size => size,
    };
    let known = size.min(ATTR_SIZE);
    let mut fits = (ATTR_SIZE_VER0..=PAGE_SIZE).contains(&size);
    let mut bytes = [0; ATTR_SIZE as usize];
    if fits {
        // A later version is accepted as long as it asks for nothing new.
        for at in known..size {
            fits &= get_user::<u8>(address.wrapping_add(at))? == 0;
        }
    }
    if !fits {
        put_user(size_at, ATTR_SIZE)?;
        return Err(Errno::E2BIG);
    }
    copy_from_user(&mut bytes[..known as usize], address)?;
    PerfEventAttr::from_bytes(&bytes)
}

/// Reads the text of a filter, then refuses it, since only trace points have filters. Fails with
/// EFAULT or EINVAL.
fn set_filter(text: u32) -> Result<(), Errno> {
    match strncpy_from_user(text, PAGE_SIZE) {
        Err(errno @ (Errno::EFAULT | Errno::ENOMEM)) => Err(errno),
        _ => Err(Errno::EINVAL),
    }
}

fn fget(fd: u32) -> Result<Arc<File>, Errno> {
    let files = current().files.lock().clone();
    files.ok_or(Errno::EBADF)?.get(fd)
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

/// Returns the value, the two times and the number; each of the last three only if requested.
fn read_one(event: &PerfEvent, format: u64) -> Result<Vec<u64>, Errno> {
    let counts = event.read();
    let id = (format & FORMAT_ID != 0).then_some(event.id);
    let value = [value(event, &counts)].into_iter();
    try_collect(value.chain(times(&counts, format)).chain(id))
}

/// Returns the group's size, the leader's times, and the value and number of each member.
fn read_group(group: &[Arc<PerfEvent>], format: u64) -> Result<Vec<u64>, Errno> {
    let counts = try_collect(group.iter().map(|event| event.read()))?;
    let mut words = Vec::new();
    words.try_push(group.len() as u64)?;
    let leader = counts.iter().take(1);
    words.try_extend(leader.flat_map(|leader| times(leader, format)))?;
    for (event, counts) in group.iter().zip(&counts) {
        words.try_push(value(event, counts))?;
        words.try_extend((format & FORMAT_ID != 0).then_some(event.id))?;
    }
    Ok(words)
}
