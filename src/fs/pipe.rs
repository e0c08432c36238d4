//! Pipes: bytes from who writes to who reads, in order, with either waiting for the other.
//!
//! A write of up to [`PIPE_BUF`] bytes goes in as one piece. When the last reader is gone a write
//! is EPIPE and SIGPIPE; when the last writer is gone a read gets what is left, then 0.
//!
//! Called by read, write and close in process context. User memory is touched only outside the
//! lock, since that may fault: the bytes pass through a buffer of the kernel's.
//!
//! Book: chapter 19, "Pipes". Linux: 2.6.38 `fs/pipe.c`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ring::{PIPE_BUF, Ring};
use crate::arch::x86::uaccess::{copy_from_user, copy_to_user};
use crate::sched::wait_queue::WaitQueue;
use crate::sync::SpinLock;
use crate::syscall::errno::Errno;

struct State {
    ring: Ring,
    readers: u32,
    writers: u32,
}

struct Pipe {
    state: SpinLock<State>,
    /// Readers that wait for bytes.
    not_empty: WaitQueue,
    /// Writers that wait for room.
    not_full: WaitQueue,
}

/// The end to read from.
pub struct PipeReader(Arc<Pipe>);

/// The end to write to.
pub struct PipeWriter(Arc<Pipe>);

/// A pipe with one end each. ENOMEM.
pub fn pipe() -> Result<(PipeReader, PipeWriter), Errno> {
    let state = SpinLock::new(State {
        ring: Ring::new()?,
        readers: 1,
        writers: 1,
    });
    let pipe = Arc::new(Pipe {
        state,
        not_empty: WaitQueue::new(),
        not_full: WaitQueue::new(),
    });
    Ok((PipeReader(pipe.clone()), PipeWriter(pipe)))
}

impl PipeReader {
    /// Reads up to `count` bytes to user address `to`: what is there, or what comes first.
    /// EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT, ENOMEM.
    pub fn read(&self, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        if count == 0 {
            return Ok(0);
        }
        let mut buffer = kernel_buffer(count)?;
        let pipe = &*self.0;
        let taken = loop {
            let mut state = pipe.state.lock();
            let taken = state.ring.pop(&mut buffer);
            let writers = state.writers;
            drop(state);
            if taken > 0 || writers == 0 {
                break taken;
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let state = pipe.state.lock();
                !state.ring.is_empty() || state.writers == 0
            };
            pipe.not_empty
                .wait_until(ready)
                .map_err(|_| Errno::ERESTARTSYS)?;
        };
        if taken > 0 {
            pipe.not_full.wake_up();
        }
        copy_to_user(to, &buffer[..taken])?;
        Ok(taken as u32)
    }

    /// Whether a read would not wait, and whether all writers are gone.
    pub fn poll(&self) -> (bool, bool) {
        let state = self.0.state.lock();
        (
            !state.ring.is_empty() || state.writers == 0,
            state.writers == 0,
        )
    }

    /// Bytes that wait to be read.
    pub fn available(&self) -> usize {
        self.0.state.lock().ring.len()
    }
}

impl PipeWriter {
    /// Writes `count` bytes from user address `from`.
    /// EPIPE, EAGAIN (if `nonblocking`), ERESTARTSYS, EFAULT, ENOMEM.
    pub fn write(&self, from: u32, count: u32, nonblocking: bool) -> Result<u32, Errno> {
        let mut buffer = kernel_buffer(count)?;
        let mut written = 0;
        while written < count {
            let chunk = (count - written).min(PIPE_BUF as u32) as usize;
            let result = copy_from_user(&mut buffer[..chunk], from + written).and_then(|()| {
                self.write_kernel(&buffer[..chunk], count <= PIPE_BUF as u32, nonblocking)
            });
            match result {
                Ok(bytes) => written += bytes,
                Err(_) if written > 0 => break,
                Err(errno) => return Err(errno),
            }
            if nonblocking && written < count && self.0.state.lock().ring.room() == 0 {
                break;
            }
        }
        Ok(written)
    }

    /// Puts in what fits of `bytes`, or waits until something (if `whole`: all) does.
    fn write_kernel(&self, bytes: &[u8], whole: bool, nonblocking: bool) -> Result<u32, Errno> {
        let pipe = &*self.0;
        let needed = if whole { bytes.len() } else { 1 };
        loop {
            let mut state = pipe.state.lock();
            if state.readers == 0 {
                return Err(Errno::EPIPE);
            }
            if state.ring.room() >= needed {
                let written = state.ring.push(bytes);
                drop(state);
                pipe.not_empty.wake_up();
                return Ok(written as u32);
            }
            drop(state);
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let state = pipe.state.lock();
                state.ring.room() >= needed || state.readers == 0
            };
            pipe.not_full
                .wait_until(ready)
                .map_err(|_| Errno::ERESTARTSYS)?;
        }
    }

    /// Whether a write would not wait, and whether all readers are gone.
    pub fn poll(&self) -> (bool, bool) {
        let state = self.0.state.lock();
        (
            state.ring.room() > 0 || state.readers == 0,
            state.readers == 0,
        )
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.state.lock().readers -= 1;
        self.0.not_full.wake_up();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.state.lock().writers -= 1;
        self.0.not_empty.wake_up();
    }
}

/// A buffer for up to `count` bytes at a time, at most [`PIPE_BUF`].
fn kernel_buffer(count: u32) -> Result<Vec<u8>, Errno> {
    let length = (count as usize).min(PIPE_BUF);
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(length)
        .map_err(|_| Errno::ENOMEM)?;
    buffer.resize(length, 0);
    Ok(buffer)
}
