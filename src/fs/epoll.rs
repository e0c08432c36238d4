//! epoll: a list of watched files that reports those with events.
//!
//! The list holds weak references: a file that is closed leaves the list by itself, and two lists
//! that watch each other do not keep each other alive. A waiting task looks again at each tick, as
//! in poll.
//!
//! An edge-triggered file (EPOLLET) is reported when it has an event that it lacked at the last
//! look.
//!
//! Called by `syscall::epoll`, in process context with no lock held.
//!
//! Linux: 2.6.38 `fs/eventpoll.c`; epoll(7).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::file::{File, Object};
use super::poll_events::PollEvents;
use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;
use crate::sync::{LockClass, SpinLock};

/// Largest number of files in one list.
const MAX_WATCHES: usize = 4096;
/// Flag of `events`: report only changes.
pub const EPOLLET: u32 = 1 << 31;
/// Flag of `events`: report once, then not until EPOLL_CTL_MOD.
pub const EPOLLONESHOT: u32 = 1 << 30;

/// The events to watch for and the events reported: `struct epoll_event` of i386, 12 bytes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable)]
pub struct EpollEvent {
    /// Bits of [`PollEvents`], EPOLLET, EPOLLONESHOT.
    pub events: u32,
    /// The program's own data; in two words, since i386 aligns it to four bytes.
    pub data: [u32; 2],
}

/// A watched file.
struct Epitem {
    fd: u32,
    file: Weak<File>,
    event: EpollEvent,
    /// Events found at the last look, for EPOLLET.
    seen: PollEvents,
}

impl Epitem {
    fn is(&self, fd: u32, file: &Arc<File>) -> bool {
        self.fd == fd && core::ptr::eq(self.file.as_ptr(), Arc::as_ptr(file))
    }
}

/// The list that `epoll_create` makes.
pub struct EventPoll(SpinLock<Vec<Epitem>>);

impl EventPoll {
    /// Returns a list that watches nothing.
    pub const fn new() -> Self {
        Self(SpinLock::new(LockClass::Epoll, Vec::new()))
    }

    /// Adds a file to the list (EPOLL_CTL_ADD).
    ///
    /// # Errors
    /// EPERM for a file that is always ready, EINVAL for another list, EEXIST, ENOSPC, ENOMEM.
    pub fn add(&self, fd: u32, file: &Arc<File>, event: EpollEvent) -> Result<(), Errno> {
        match file.object {
            Object::Inode(_)
            | Object::Proc(_)
            | Object::Null(_)
            | Object::Zero(_)
            | Object::Full(_) => {
                return Err(Errno::EPERM);
            }
            Object::Epoll(_) => return Err(Errno::EINVAL),
            _ => {}
        }
        let mut items = self.0.lock();
        items.retain(|item| item.file.strong_count() > 0);
        if items.iter().any(|item| item.is(fd, file)) {
            return Err(Errno::EEXIST);
        }
        if items.len() >= MAX_WATCHES {
            return Err(Errno::ENOSPC);
        }
        items.try_push(Epitem {
            fd,
            file: Arc::downgrade(file),
            event,
            seen: PollEvents::empty(),
        })
    }

    /// Changes the events to watch a file for (EPOLL_CTL_MOD).
    ///
    /// # Errors
    /// ENOENT.
    pub fn modify(&self, fd: u32, file: &Arc<File>, event: EpollEvent) -> Result<(), Errno> {
        let mut items = self.0.lock();
        let found = items.iter_mut().find(|item| item.is(fd, file));
        let item = found.ok_or(Errno::ENOENT)?;
        (item.event, item.seen) = (event, PollEvents::empty());
        Ok(())
    }

    /// Removes a file from the list (EPOLL_CTL_DEL).
    ///
    /// # Errors
    /// ENOENT.
    pub fn delete(&self, fd: u32, file: &Arc<File>) -> Result<(), Errno> {
        let mut items = self.0.lock();
        let found = items.iter().position(|item| item.is(fd, file));
        items.remove(found.ok_or(Errno::ENOENT)?);
        Ok(())
    }

    /// Returns the next file with events among the first `left` in the list. Each file that is
    /// looked at moves to the end, so that all get their turn. Counts `left` down.
    pub fn next_ready(&self, left: &mut usize) -> Option<EpollEvent> {
        while *left > 0 {
            *left = left.saturating_sub(1);
            let (fd, file) = {
                let mut items = self.0.lock();
                if items.is_empty() {
                    return None;
                }
                items.rotate_left(1);
                let last = items.last()?;
                (last.fd, last.file.upgrade())
            };
            // Polled with the list unlocked: a file has locks of its own, and this may be its last
            // reference.
            let Some(file) = file else {
                self.0.lock().retain(|item| item.file.strong_count() > 0);
                continue;
            };
            let now = file.poll();
            let told = self.told(fd, &file, now);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    /// Returns the report for a file that has the events `now`, if one is due.
    fn told(&self, fd: u32, file: &Arc<File>, now: PollEvents) -> Option<EpollEvent> {
        let mut items = self.0.lock();
        let item = items.iter_mut().find(|item| item.is(fd, file))?;
        let wanted = PollEvents::from_bits_truncate(item.event.events);
        // EPOLLONESHOT has disarmed it.
        if item.event.events & !(EPOLLET | EPOLLONESHOT) == 0 {
            return None;
        }
        let now = now & (wanted | PollEvents::UNASKED);
        let new = now.difference(item.seen);
        item.seen = now;
        let found = match item.event.events & EPOLLET {
            0 => now,
            _ if new.is_empty() => new,
            _ => now,
        };
        if found.is_empty() {
            return None;
        }
        let data = item.event.data;
        if item.event.events & EPOLLONESHOT != 0 {
            item.event.events &= EPOLLET | EPOLLONESHOT;
        }
        Some(EpollEvent {
            events: found.bits(),
            data,
        })
    }

    /// Returns the number of watched files.
    pub fn nr_watched(&self) -> usize {
        self.0.lock().len()
    }

    /// Returns READABLE if a watched file has events, without reporting those.
    pub fn poll(&self) -> PollEvents {
        let watched = |at: usize| {
            let items = self.0.lock();
            let item = items.get(at)?;
            Some((item.file.upgrade(), item.event.events))
        };
        for (file, events) in (0..).map_while(watched) {
            let wanted = PollEvents::from_bits_truncate(events) | PollEvents::UNASKED;
            let armed = events & !(EPOLLET | EPOLLONESHOT) != 0;
            if armed && file.is_some_and(|file| file.poll().intersects(wanted)) {
                return PollEvents::READABLE;
            }
        }
        PollEvents::empty()
    }
}

impl Default for EventPoll {
    fn default() -> Self {
        Self::new()
    }
}
