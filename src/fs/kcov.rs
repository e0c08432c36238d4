//! `/sys/kernel/debug/kcov`: tells a task which kernel code it runs.
//!
//! Only in kernels built with the feature `kcov`. A program opens the file, sets the number of
//! words in its buffer, maps the buffer, and enables recording for itself. The first word counts
//! the others; each of those is the address of an edge that was passed.
//!
//! ```text
//!   disabled --KCOV_INIT_TRACE--> init --mmap--> init, with a buffer --KCOV_ENABLE--> traces
//!                                                        ^------KCOV_DISABLE, exit------'
//! ```
//! Called by system calls and by exit, in process context.
//!
//! Linux: 5.4 `kernel/kcov.c`, Documentation/dev-tools/kcov.rst.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use crate::arch::x86::current::{Current, current};
use crate::arch::x86::kcov::KCOV_USERS;
use crate::base::errno::Errno;
use crate::hw::pte::PAGE_SIZE;
use crate::mm::fallible::{TryVec, try_arc};
use crate::mm::frame::{alloc_user_page, clear_page, phys_to_virt, put_page, totalram_pages};
use crate::mm::shared_pages::SharedPages;
use crate::mm::vma::Backing;
use crate::sync::{LockClass, PreemptGuard, SpinLock};
use crate::task::hooks::HOOK_KCOV;
use crate::task::kcov::KCOV_MODE_TRACE_PC;

/// `_IOR('c', 1, unsigned long)`.
const KCOV_INIT_TRACE: u32 = 0x8004_6301;
const KCOV_ENABLE: u32 = 0x6364;
const KCOV_DISABLE: u32 = 0x6365;
/// Argument of KCOV_ENABLE: record addresses.
const KCOV_TRACE_PC: u32 = 0;
/// Argument of KCOV_ENABLE: record comparisons, which this kernel cannot do.
const KCOV_TRACE_CMP: u32 = 1;

/// An open kcov file.
pub struct Kcov {
    state: SpinLock<State>,
}

#[derive(Default)]
struct State {
    /// Number of words in the buffer; 0 before KCOV_INIT_TRACE.
    size: u32,
    area: Option<Area>,
    /// Whether a task records into the buffer.
    traces: bool,
}

struct Area {
    pages: Arc<SharedPages>,
    /// Kernel address of each page. It does not change while the file exists, and the recording
    /// task holds the file.
    table: Vec<*mut u32>,
}

// SAFETY: the pointers lead to frames that `pages` holds; the recording task owns the file.
unsafe impl Send for Area {}

impl Kcov {
    /// Opens a file on which recording is disabled.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open() -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            state: SpinLock::new(LockClass::KcovState, State::default()),
        })
    }

    /// Handles ioctl(2).
    ///
    /// # Errors
    /// EBUSY: the buffer already has a size, or the caller already records. EINVAL: a size below 2
    /// or above 2 GiB, no buffer yet, an unknown mode, nothing to disable. ENOTSUPP: comparisons.
    /// ENOTTY: an unknown command.
    pub fn ioctl(self: &Arc<Self>, command: u32, argument: u32) -> Result<u32, Errno> {
        match command {
            KCOV_INIT_TRACE => self.init_trace(argument)?,
            KCOV_ENABLE => self.enable(argument)?,
            KCOV_DISABLE => self.disable(argument)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn init_trace(&self, size: u32) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.size != 0 {
            return Err(Errno::EBUSY);
        }
        if !(2..=i32::MAX as u32 / 4).contains(&size) {
            return Err(Errno::EINVAL);
        }
        state.size = size;
        Ok(())
    }

    fn enable(self: &Arc<Self>, mode: u32) -> Result<(), Errno> {
        let me = current();
        let mut state = self.state.lock();
        if state.traces {
            return Err(Errno::EINVAL);
        }
        let table = state.area.as_ref().ok_or(Errno::EINVAL)?.table.as_ptr();
        let mut mine = me.kcov.lock();
        if mine.is_some() {
            return Err(Errno::EBUSY);
        }
        match mode {
            KCOV_TRACE_PC => {}
            KCOV_TRACE_CMP => return Err(Errno::ENOTSUPP),
            _ => return Err(Errno::EINVAL),
        }
        *mine = Some(self.clone());
        state.traces = true;
        let task = &me.kcov_task;
        task.size.store(state.size, Ordering::Relaxed);
        task.area.store(table.cast_mut(), Ordering::Relaxed);
        drop((mine, state));
        let _no_preempt = PreemptGuard::new();
        KCOV_USERS.fetch_add(1, Ordering::Relaxed);
        me.hooks.insert(HOOK_KCOV);
        task.mode.store(KCOV_MODE_TRACE_PC, Ordering::Release);
        Ok(())
    }

    fn disable(self: &Arc<Self>, argument: u32) -> Result<(), Errno> {
        let me = current();
        let is_mine = me
            .kcov
            .lock()
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, self));
        if argument != 0 || !is_mine {
            return Err(Errno::EINVAL);
        }
        kcov_task_exit(me);
        Ok(())
    }

    /// Returns the backing of `length` bytes: the whole buffer, made on the first call.
    ///
    /// # Errors
    /// EINVAL without a size, with another length, or while a task records; ENOMEM.
    pub fn mmap(&self, length: u32) -> Result<Backing, Errno> {
        let mut state = self.state.lock();
        if state.size == 0
            || state.traces
            || Some(length) != state.size.checked_mul(4)
            || !length.is_multiple_of(PAGE_SIZE)
        {
            return Err(Errno::EINVAL);
        }
        let area = match state.area.take() {
            Some(area) => area,
            None => Area::new(length / PAGE_SIZE)?,
        };
        let object = area.pages.clone();
        state.area = Some(area);
        Ok(Backing::Shared { object, first: 0 })
    }
}

impl Area {
    fn new(pages: u32) -> Result<Self, Errno> {
        if pages > totalram_pages() {
            return Err(Errno::ENOMEM);
        }
        let object = SharedPages::new(pages as usize, put_page)?;
        let mut table = Vec::new();
        table.try_room(pages as usize)?;
        for index in 0..pages as usize {
            let frame = alloc_user_page().ok_or(Errno::ENOMEM)?;
            clear_page(frame);
            let is_first = object.set(index, frame).is_ok();
            assert!(is_first, "BUG: a page of a new buffer is there already");
            table.try_push(phys_to_virt(frame).cast())?;
        }
        Ok(Self {
            pages: try_arc(object)?,
            table,
        })
    }
}

/// Stops the running task's recording, if there is any.
pub fn kcov_task_exit(me: Current) {
    let Some(kcov) = me.kcov.lock().take() else {
        return;
    };
    {
        let _no_preempt = PreemptGuard::new();
        me.kcov_task.mode.store(0, Ordering::Relaxed);
        me.hooks.remove(HOOK_KCOV);
        KCOV_USERS.fetch_sub(1, Ordering::Relaxed);
    }
    kcov.state.lock().traces = false;
}
