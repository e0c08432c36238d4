//! Pipes: carry bytes in order from writers to readers, each of which can wait for the other.
//!
//! A pipe holds 64 KiB unless a program asks for another size. A write of up to [`PIPE_BUF`] bytes
//! goes in as one piece. When the last reader is gone, a write fails with EPIPE and SIGPIPE; when
//! the last writer is gone, a read gets what is left, then 0.
//!
//! Called by read, write and close in process context. Bytes are copied straight between user
//! memory and the pipe, under its lock. If a page is missing, it is brought in without the lock,
//! and the operation starts again.
//!
//! Book: ch. 19, "Pipes". Linux: 2.6.38 `fs/pipe.c`.

use alloc::sync::Arc;

use super::poll_events::PollEvents;
use super::ring::{PIPE_BUF, PIPE_CAPACITY, Ring, buffer};
use crate::arch::x86::entry::uaccess::{
    copy_from_user, copy_to_user, fault_in_readable, fault_in_writeable,
};
use crate::base::errno::Errno;
use crate::mm::fallible::try_arc;
use crate::sched::wait_queue::WaitList;
use crate::sync::spinlock::SpinLockGuard;
use crate::sync::{LockClass, SpinLock};

struct State {
    ring: Ring,
    readers: u32,
    writers: u32,
    /// Readers that wait for bytes.
    not_empty: WaitList,
    /// Writers that wait for room.
    not_full: WaitList,
}

impl State {
    /// Copies the first `count` bytes, which the pipe must hold, to user address `to`. Fails with
    /// EFAULT also if a page is missing, since the lock is held.
    #[inline(always)]
    fn give(&self, to: u32, count: u32) -> Result<(), Errno> {
        let (first, second) = self.ring.filled(count as usize);
        copy_to_user(to, first)?;
        match second {
            [] => Ok(()),
            second => copy_to_user(to.wrapping_add(first.len() as u32), second),
        }
    }

    /// Appends `count` bytes, for which there must be room, from user address `from`. Fails with
    /// EFAULT also if a page is missing, since the lock is held.
    #[inline(always)]
    fn take(&mut self, from: u32, count: u32) -> Result<(), Errno> {
        let (first, second) = self.ring.free(count as usize);
        copy_from_user(first, from)?;
        match second {
            [] => Ok(()),
            second => copy_from_user(second, from.wrapping_add(first.len() as u32)),
        }
    }
}

/// A pipe, which both of its ends share.
pub struct Pipe {
    state: SpinLock<State>,
}

/// Largest number of bytes written while the lock is held once: the usual capacity of a pipe.
const CHUNK: u32 = PIPE_CAPACITY as u32;
/// Largest capacity in bytes that a caller without privilege may ask for (`pipe-max-size`).
const PIPE_MAX_SIZE: u32 = 1 << 20;

impl Pipe {
    /// Gives the ring a buffer of `size` bytes. Fails with ENOMEM.
    #[cold]
    fn give_buffer(&self, size: usize) -> Result<(), Errno> {
        let new = buffer(size)?;
        // Dropped with the lock released.
        let _unused = self.state.lock().ring.give(new);
        Ok(())
    }

    /// Sets the capacity to `size` bytes (F_SETPIPE_SZ), rounded up to a power of two of pages;
    /// returns the new capacity.
    ///
    /// # Errors
    /// EINVAL for more than 2 GiB; EPERM for more than [`PIPE_MAX_SIZE`] without privilege
    /// (`capable`), and ENOMEM with it; EBUSY if the pipe holds more; ENOMEM.
    pub fn set_size(&self, size: u32, capable: bool) -> Result<u32, Errno> {
        if size > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let size = size.max(PIPE_BUF as u32);
        let size = size.checked_next_power_of_two().ok_or(Errno::EINVAL)?;
        match size > PIPE_MAX_SIZE {
            true if !capable => return Err(Errno::EPERM),
            true => return Err(Errno::ENOMEM),
            false => {}
        }
        loop {
            let mut state = self.state.lock();
            let Some(smaller) = state.ring.set_capacity(size as usize)? else {
                state.not_full.wake_up();
                return Ok(size);
            };
            drop(state);
            self.give_buffer(smaller)?;
        }
    }

    /// Returns the capacity in bytes (F_GETPIPE_SZ).
    pub fn size(&self) -> u32 {
        self.state.lock().ring.capacity() as u32
    }

    /// Returns the number of bytes that can be read (FIONREAD).
    pub fn available(&self) -> u32 {
        self.state.lock().ring.len() as u32
    }
}

/// The reading end of a pipe.
pub struct PipeReader(Arc<Pipe>);

/// The writing end of a pipe.
pub struct PipeWriter(Arc<Pipe>);

/// Makes a pipe with one end of each kind.
///
/// # Errors
/// ENOMEM.
pub fn pipe() -> Result<(PipeReader, PipeWriter), Errno> {
    let state = SpinLock::new(
        LockClass::PipeState,
        State {
            ring: Ring::new()?,
            readers: 1,
            writers: 1,
            not_empty: WaitList::new(),
            not_full: WaitList::new(),
        },
    );
    let pipe = try_arc(Pipe { state })?;
    Ok((PipeReader(pipe.clone()), PipeWriter(pipe)))
}

impl PipeReader {
    /// Reads up to `count` bytes to user address `to`; waits for bytes if there are none.
    ///
    /// # Errors
    /// EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT.
    #[inline(always)]
    pub fn read(&self, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        if count == 0 {
            return Ok(0);
        }
        loop {
            let mut state = self.0.state.lock();
            if state.ring.is_empty() {
                if state.writers == 0 {
                    return Ok(0);
                }
                if nonblocking {
                    return Err(Errno::EAGAIN);
                }
                self.pipe_wait(state)?;
                continue;
            }
            // The common case: the bytes lie in one piece, and the page is present.
            if let Some(bytes) = state.ring.front(count as usize) {
                let taken = bytes.len();
                if copy_to_user(to, bytes).is_ok() {
                    state.ring.consume(taken);
                    state.not_full.wake_up();
                    return Ok(taken as u32);
                }
            }
            if let Some(taken) = self.read_slowly(state, to, count)? {
                return Ok(taken);
            }
        }
    }

    /// Reads bytes that wrap around the end of the ring. Or brings in a missing page and reads
    /// nothing; then the read starts again, since the bytes may be gone.
    #[cold]
    #[inline(never)]
    fn read_slowly<'a>(
        &'a self,
        mut state: SpinLockGuard<'a, State>,
        to: u32,
        count: u32,
    ) -> Result<Option<u32>, Errno> {
        let taken = (count as usize).min(state.ring.len()) as u32;
        if state.give(to, taken).is_ok() {
            state.ring.consume(taken as usize);
            state.not_full.wake_up();
            return Ok(Some(taken));
        }
        drop(state);
        fault_in_writeable(to, taken)?;
        Ok(None)
    }

    /// Waits for bytes, or until the last writer is gone. A function of its own, since `wchan` names
    /// it.
    #[inline(never)]
    fn pipe_wait(&self, state: SpinLockGuard<'_, State>) -> Result<(), Errno> {
        WaitList::sleep_on(&self.0.state, state, |state| &mut state.not_empty)
            .map_err(|_| Errno::ERESTARTSYS)
    }

    /// Returns READABLE if the pipe holds bytes, and POLLHUP if all writers are gone.
    pub fn poll(&self) -> PollEvents {
        let state = self.0.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE, !state.ring.is_empty());
        events.set(PollEvents::POLLHUP, state.writers == 0);
        events
    }

    /// Returns the pipe of this reading end.
    pub fn pipe(&self) -> &Pipe {
        &self.0
    }
}

impl PipeWriter {
    /// Writes `count` bytes from user address `from`.
    ///
    /// # Errors
    /// EPIPE, EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT, ENOMEM.
    #[inline(always)]
    pub fn write(&self, from: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        let mut state = self.0.state.lock();
        // The common case: there is room in one piece.
        if state.readers != 0
            && let Some(room) = state.ring.back(count as usize)
            && copy_from_user(room, from).is_ok()
        {
            state.ring.commit(count as usize);
            state.not_empty.wake_up();
            return Ok(count);
        }
        drop(state);
        self.write_slowly(from, count, nonblocking)
    }

    /// Writes with waiting, missing pages, or several pieces.
    #[cold]
    #[inline(never)]
    fn write_slowly(&self, from: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        let mut written = 0_u32;
        while written < count {
            let rest = count.saturating_sub(written);
            // Bytes that fit into the pipe go in as one piece.
            let needed = if count <= PIPE_BUF as u32 { rest } else { 1 };
            match self.write_some(from.wrapping_add(written), rest, needed, nonblocking) {
                Ok(bytes) => written = written.saturating_add(bytes),
                Err(_) if written > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(written)
    }

    /// Writes as many of `rest` bytes at user address `from` as fit, or waits until `needed` of
    /// them fit.
    #[inline(always)]
    fn write_some(
        &self,
        from: u32,
        rest: u32,
        needed: u32,
        nonblocking: bool,
    ) -> Result<u32, Errno> {
        loop {
            let mut state = self.0.state.lock();
            if state.readers == 0 {
                return Err(Errno::EPIPE);
            }
            let room = state.ring.room() as u32;
            let bytes = rest.min(room).min(CHUNK);
            if room < needed {
                self.pipe_wait(state, nonblocking)?;
            } else if let Some(size) = state.ring.wants(bytes as usize) {
                drop(state);
                self.0.give_buffer(size)?;
            } else if state.take(from, bytes).is_ok() {
                state.ring.commit(bytes as usize);
                state.not_empty.wake_up();
                return Ok(bytes);
            } else {
                drop(state);
                fault_in_readable(from, bytes)?;
            }
        }
    }

    /// Waits for room, or until the last reader is gone.
    #[inline(never)]
    fn pipe_wait(&self, state: SpinLockGuard<'_, State>, nonblocking: bool) -> Result<(), Errno> {
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        WaitList::sleep_on(&self.0.state, state, |state| &mut state.not_full)
            .map_err(|_| Errno::ERESTARTSYS)
    }

    /// Returns WRITABLE if a write of [`PIPE_BUF`] bytes fits, and POLLERR if all readers are gone.
    pub fn poll(&self) -> PollEvents {
        let state = self.0.state.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::WRITABLE, state.ring.room() >= PIPE_BUF);
        events.set(PollEvents::POLLERR, state.readers == 0);
        events
    }

    /// Returns the pipe of this writing end.
    pub fn pipe(&self) -> &Pipe {
        &self.0
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.readers = state.readers.saturating_sub(1);
        state.not_full.wake_up();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.writers = state.writers.saturating_sub(1);
        state.not_empty.wake_up();
    }
}
