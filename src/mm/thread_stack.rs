//! Kernel stacks, each above a page that is never mapped.
//!
//! ```text
//!   slot + 0x0000 .. 0x2000   nothing: a stack that overflows faults here (a double fault,
//!                             reported on a stack of its own)
//!   slot + 0x2000 .. 0x4000   the stack; thread_info at its foot
//! ```
//! A slot keeps its two frames once it has them: a freed stack goes to a list, still mapped,
//! so no other CPU has to forget a translation.
//!
//! Called by fork and `put_task_struct`, interrupts possibly off.
//!
//! Book: chapter 3, "Process Descriptors Handling" (`alloc_thread_info`).
//! Linux: 2.6.38 `alloc_thread_info`; guard pages as in 4.9 `VMAP_STACK`.

use core::ptr::NonNull;

use super::frame::{alloc_page, may_alloc, put_page, totalram_pages};
use super::pgtable::{add_kernel_tables, set_kernel_pte};
use crate::base::thread_info::THREAD_SIZE;
use crate::hw::pte::{PAGE_SIZE, PGDIR_SIZE, Pte, PteFlags};
use crate::sync::{IrqSpinLock, LockClass};

/// Where the slots begin.
pub const STACK_AREA: u32 = 0xf000_0000;
/// Where they may end: room for 15,360 of them.
const STACK_AREA_END: u32 = 0xff00_0000;
const SLOT: u32 = 2 * THREAD_SIZE as u32;

struct Pool {
    /// Foot of the first free stack, which holds the foot of the next; 0: none.
    free: u32,
    /// Freed stacks in the list.
    nr_free: u32,
    /// Slot that was never used yet.
    next: u32,
    /// End of the slots that have page tables.
    end: u32,
}

static POOL: IrqSpinLock<Pool> = IrqSpinLock::new(
    LockClass::ThreadStacks,
    Pool {
        free: 0,
        nr_free: 0,
        next: STACK_AREA,
        end: STACK_AREA,
    },
);

/// Makes page tables for as many stacks as a fourth of memory holds. Once, at boot.
pub fn init() -> bool {
    let stacks = totalram_pages() / 4 / (THREAD_SIZE as u32 / PAGE_SIZE);
    let tables = (stacks * SLOT)
        .div_ceil(PGDIR_SIZE)
        .clamp(1, (STACK_AREA_END - STACK_AREA) / PGDIR_SIZE);
    let end = STACK_AREA + tables * PGDIR_SIZE;
    POOL.lock().end = end;
    add_kernel_tables((STACK_AREA..end).step_by(PGDIR_SIZE as usize))
}

/// A kernel stack: the foot of its 8 KiB, which are aligned to 8 KiB and hold anything. None
/// if memory or slots are short.
#[doc(alias = "alloc_thread_info")]
pub fn alloc_thread_stack() -> Option<NonNull<u8>> {
    let mut pool = POOL.lock();
    if pool.free != 0 {
        let foot = pool.free;
        // SAFETY: a stack in the list is mapped and nobody's; its first word is the link.
        pool.free = unsafe { *(foot as *const u32) };
        pool.nr_free -= 1;
        return NonNull::new(foot as *mut u8);
    }
    let slot = pool.next;
    if slot == pool.end || !may_alloc(THREAD_SIZE as u32 / PAGE_SIZE) {
        return None;
    }
    let (low, high) = (alloc_page()?, alloc_page());
    let Some(high) = high else {
        put_page(low);
        return None;
    };
    pool.next += SLOT;
    let foot = slot + THREAD_SIZE as u32;
    set_kernel_pte(foot, Pte::new(low, PteFlags::KERNEL));
    set_kernel_pte(foot + PAGE_SIZE, Pte::new(high, PteFlags::KERNEL));
    NonNull::new(foot as *mut u8)
}

/// Takes a stack back.
///
/// # Safety
/// 1. `stack` came from [`alloc_thread_stack`] and is not freed yet. 2. No CPU runs on it or
///    will switch to it.
pub unsafe fn free_thread_stack(stack: NonNull<u8>) {
    let mut pool = POOL.lock();
    // SAFETY: by 1 it is mapped and by 2 nobody's from now on.
    unsafe { stack.as_ptr().cast::<u32>().write(pool.free) };
    pool.free = stack.as_ptr() as u32;
    pool.nr_free += 1;
}

/// Stacks made since boot, and how many of them are free: what a leak test compares.
pub fn thread_stack_counts() -> (u32, u32) {
    let pool = POOL.lock();
    ((pool.next - STACK_AREA) / SLOT, pool.nr_free)
}

/// The stack whose guard `address` is in: its foot.
pub fn guarded_stack(address: u32) -> Option<u32> {
    let in_guard =
        (STACK_AREA..STACK_AREA_END).contains(&address) && address % SLOT < THREAD_SIZE as u32;
    in_guard.then(|| address - address % SLOT + THREAD_SIZE as u32)
}
