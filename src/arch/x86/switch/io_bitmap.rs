//! The I/O ports that this CPU's TSS grants, by one of three strategies.
//!
//! | `io_bitmap=`  | at the switch                           | otherwise |
//! |---|---|---|
//! | `copy`        | next's bytes are copied, or ones        | |
//! | `lazy`        | the base is made to point nowhere       | the first #GP copies, and the instruction starts over |
//! | `invalidate`  | if prev had ports, the base is made to point nowhere | the return to ring 3 copies |
//!
//! The last two copy nothing if the TSS still has the right bytes: each bitmap has a unique number
//! that tells. The base that points nowhere lies past the limit, which denies every port.
//!
//! Called by `__switch_to_xtra` on next's stack, by system calls, the #GP handler and the return to
//! ring 3.
//!
//! Part of step 5 of `__switch_to`.
//!
//! Book: ch. 3, "The __switch_to() function", the book's step 8, where the strategy is `lazy`.
//! Linux: 2.6.11 `handle_io_bitmap` (lazy), 2.6.30-5.4 `__switch_to_xtra` (copy), 5.5
//! `tss_invalidate_io_bitmap`, `tss_update_io_bitmap` (invalidate).

use core::sync::atomic::{AtomicU8, Ordering};

use crate::arch::x86::current::current;
use crate::base::cmdline::IoBitmapMode;
use crate::base::percpu::this_cpu;
use crate::base::thread_info::{TIF_NOTIFY_RESUME, current_thread_info, set_flag};
use crate::hw::tss::{
    INVALID_IO_BITMAP_OFFSET, INVALID_IO_BITMAP_OFFSET_LAZY, IO_BITMAP_OFFSET, TssStruct,
};
use crate::sync::PreemptGuard;
use crate::task::io_bitmap::{IoBitmap, switch_to_bitmap};
use crate::task::thread_struct::{TIF_IO_BITMAP, ThreadStruct};
use crate::{this_cpu_add, this_cpu_read, this_cpu_write};

const COPY: u8 = 0;
const LAZY: u8 = 1;
const INVALIDATE: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(COPY);

/// Chooses the strategy. Called at boot, before any task has ports.
pub fn set_mode(mode: IoBitmapMode) {
    let number = match mode {
        IoBitmapMode::Copy => COPY,
        IoBitmapMode::Lazy => LAZY,
        IoBitmapMode::Invalidate => INVALIDATE,
    };
    MODE.store(number, Ordering::Relaxed);
}

/// Returns the strategy in force.
pub fn mode() -> IoBitmapMode {
    match MODE.load(Ordering::Relaxed) {
        COPY => IoBitmapMode::Copy,
        LAZY => IoBitmapMode::Lazy,
        _ => IoBitmapMode::Invalidate,
    }
}

/// Takes the switch's part of the strategy when prev or next has ports. Runs on next's stack.
///
/// # Safety
/// 1. Interrupts are off, and `next` is the context of the task that this CPU switches to.
pub unsafe fn switch_io_bitmap(prev: &ThreadStruct, next: &ThreadStruct) {
    // SAFETY: by 1; the only one in this function.
    let tss = unsafe { tss() };
    match mode() {
        IoBitmapMode::Copy => {
            let bitmap = &mut tss.io_bitmap;
            let bytes = switch_to_bitmap(bitmap, prev.io_bitmap_max(), next.io_bitmap.as_ref());
            this_cpu_add!(count.io_bitmap_bytes, bytes as u32);
        }
        IoBitmapMode::Lazy => {
            tss.x86_tss.io_bitmap_base = match &next.io_bitmap {
                None => INVALID_IO_BITMAP_OFFSET,
                Some(bitmap) if is_loaded(bitmap) => IO_BITMAP_OFFSET,
                Some(_) => INVALID_IO_BITMAP_OFFSET_LAZY,
            };
        }
        IoBitmapMode::Invalidate => {
            if prev.work.contains(TIF_IO_BITMAP) {
                tss.x86_tss.io_bitmap_base = INVALID_IO_BITMAP_OFFSET;
            }
            if next.work.contains(TIF_IO_BITMAP) {
                set_flag(current_thread_info(), TIF_NOTIFY_RESUME);
            }
        }
    }
}

/// Brings the TSS up to date, before the next instruction in ring 3, after the running task's ports
/// have changed; `max` bytes may differ.
///
/// # Safety
/// 1. `thread` is the running task's, and preemption is off.
pub unsafe fn ports_changed(thread: &ThreadStruct, max: usize) {
    // SAFETY: by 1; the only one in this function.
    let tss = unsafe { tss() };
    match mode() {
        IoBitmapMode::Copy => {
            switch_to_bitmap(&mut tss.io_bitmap, max, thread.io_bitmap.as_ref());
        }
        IoBitmapMode::Lazy => tss.x86_tss.io_bitmap_base = INVALID_IO_BITMAP_OFFSET_LAZY,
        IoBitmapMode::Invalidate => {
            tss.x86_tss.io_bitmap_base = INVALID_IO_BITMAP_OFFSET;
            set_flag(current_thread_info(), TIF_NOTIFY_RESUME);
        }
    }
}

/// Takes the ports of `bitmap` out of the TSS: the running task has none any more.
pub fn ports_gone(bitmap: &IoBitmap) {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; the only one in this function.
    let tss = unsafe { tss() };
    match mode() {
        IoBitmapMode::Copy => {
            switch_to_bitmap(&mut tss.io_bitmap, bitmap.io_bitmap_max(), None);
        }
        _ => tss.x86_tss.io_bitmap_base = INVALID_IO_BITMAP_OFFSET,
    }
}

/// Handles #GP in ring 3: returns true if the instruction should start over, because the TSS now
/// has the running task's ports.
#[doc(alias = "handle_io_bitmap")]
pub fn fill_lazy_io_bitmap() -> bool {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; our own context.
    unsafe { io_bitmap_base() == INVALID_IO_BITMAP_OFFSET_LAZY && load(current().thread_mut()) }
}

/// Copies the running task's ports to the TSS on the way to ring 3, if the switch has left them
/// out.
#[inline(always)]
pub fn tss_update_io_bitmap() {
    if MODE.load(Ordering::Relaxed) == INVALIDATE {
        fill_invalid_io_bitmap();
    }
}

#[cold]
#[inline(never)]
fn fill_invalid_io_bitmap() {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; our own context.
    unsafe {
        if io_bitmap_base() != IO_BITMAP_OFFSET {
            load(current().thread_mut());
        }
    }
}

/// Makes the TSS grant the ports that `thread` may use; returns false if it may use no port.
///
/// # Safety
/// 1. `thread` is the running task's, and preemption is off.
unsafe fn load(thread: &ThreadStruct) -> bool {
    let Some(bitmap) = &thread.io_bitmap else {
        return false;
    };
    // SAFETY: by 1; the only one in this function.
    let tss = unsafe { tss() };
    if !is_loaded(bitmap) {
        let prev_max = this_cpu_read!(io_bitmap_prev_max) as usize;
        let bytes = switch_to_bitmap(&mut tss.io_bitmap, prev_max, Some(bitmap));
        this_cpu_add!(count.io_bitmap_bytes, bytes as u32);
        // SAFETY: the TSS has these bytes now.
        unsafe {
            this_cpu_write!(io_bitmap_prev_max, bitmap.io_bitmap_max() as u32);
            this_cpu_write!(io_bitmap_sequence, bitmap.sequence());
        }
    }
    tss.x86_tss.io_bitmap_base = IO_BITMAP_OFFSET;
    true
}

fn is_loaded(bitmap: &IoBitmap) -> bool {
    this_cpu_read!(io_bitmap_sequence) == bitmap.sequence()
}

/// Returns this CPU's TSS.
///
/// # Safety
/// 1. Preemption is off as long as the reference is used, so it stays this CPU's. 2. The caller has
///    no other.
unsafe fn tss<'a>() -> &'a mut TssStruct {
    // SAFETY: by 1 and 2; interrupt handlers do not touch it.
    unsafe { &mut (*this_cpu()).tss }
}

/// Returns the offset of the bitmap from this CPU's TSS.
///
/// # Safety
/// 1. Preemption is off.
unsafe fn io_bitmap_base() -> u16 {
    // SAFETY: a word of this CPU's own TSS.
    unsafe { (*this_cpu()).tss.x86_tss.io_bitmap_base }
}
