//! Kernel stacks, each above a page that is never mapped.
//!
//! ```text
//!   slot + 0x0000 .. 0x2000   nothing: a stack that overflows faults here (a double fault,
//!                             reported on a stack of its own)
//!   slot + 0x2000 .. 0x4000   the stack; thread_info at its foot
//! ```
//! A freed stack goes to a list, still mapped, for the next task. When the list is long enough the
//! stack's frames go back, and the slot is *retired*: a CPU may still know the old mapping. Nobody
//! uses such an address, so that does no harm until the slot gets other frames; before that, every
//! CPU forgets it.
//!
//! Called by fork, in process context with interrupts on, and by `put_task_struct`, with interrupts
//! possibly off.
//!
//! Book: ch. 3, "Process Descriptors Handling" (`alloc_thread_info`).
//! Linux: 2.6.38 `alloc_thread_info`, `__purge_vmap_area_lazy`; guard pages as in 4.9 `VMAP_STACK`.

use core::ptr::NonNull;

use arrayvec::ArrayVec;

use super::frame::{alloc_page, may_alloc, put_page, totalram_pages};
use super::pgtable::{add_kernel_tables, clear_kernel_pte, set_kernel_pte};
use super::slot_set::SlotSet;
use crate::arch::x86::tlb_flush::flush_tlb_kernel_pages;
use crate::base::thread_info::THREAD_SIZE;
use crate::hw::pte::{PAGE_SIZE, PGDIR_SIZE, Pte, PteFlags};
use crate::sync::{IrqSpinLock, LockClass};

/// First address of the slots.
pub const STACK_AREA: u32 = 0xf000_0000;
/// First address after the slots: there is room for 15,360 of them.
const STACK_AREA_END: u32 = 0xff00_0000;
const SLOT: u32 = 2 * THREAD_SIZE as u32;

const SLOTS: usize = ((STACK_AREA_END - STACK_AREA) / SLOT) as usize;
/// Largest number of freed stacks that stay mapped.
pub const KEPT: u32 = 64;
/// Number of retired slots that all CPUs forget at a time.
const BATCH: usize = 32;

type Slots = SlotSet<{ SLOTS / 32 }>;

struct Pool {
    /// Foot of the first free stack, which holds the foot of the next; 0: no stack is free.
    free: u32,
    /// Number of freed stacks in the list.
    nr_free: u32,
    /// Number of mapped stacks.
    nr_mapped: u32,
    /// First slot that has never been used.
    next: u32,
    /// Number of slots that have page tables.
    end: u32,
    /// Unmapped slots that no CPU knows.
    unknown: Slots,
    /// Retired slots: unmapped, but a CPU may still know them.
    retired: Slots,
}

static POOL: IrqSpinLock<Pool> = IrqSpinLock::new(
    LockClass::ThreadStacks,
    Pool {
        free: 0,
        nr_free: 0,
        nr_mapped: 0,
        next: 0,
        end: 0,
        unknown: SlotSet::new(),
        retired: SlotSet::new(),
    },
);

/// Returns the foot of the stack in a slot.
fn foot_of(slot: u32) -> u32 {
    STACK_AREA + slot * SLOT + THREAD_SIZE as u32
}

/// Makes page tables for as many stacks as fit into a quarter of memory. Called once, at boot.
pub fn init() -> bool {
    let stacks = totalram_pages() / 4 / (THREAD_SIZE as u32 / PAGE_SIZE);
    let tables = (stacks * SLOT)
        .div_ceil(PGDIR_SIZE)
        .clamp(1, (STACK_AREA_END - STACK_AREA) / PGDIR_SIZE);
    let end = STACK_AREA + tables * PGDIR_SIZE;
    POOL.lock().end = (end - STACK_AREA) / SLOT;
    add_kernel_tables((STACK_AREA..end).step_by(PGDIR_SIZE as usize))
}

/// Allocates a kernel stack and returns the foot of its 8 KiB, which are aligned to 8 KiB and have
/// arbitrary contents. Returns `None` if memory or slots are short.
#[doc(alias = "alloc_thread_info")]
pub fn alloc_thread_stack() -> Option<NonNull<u8>> {
    let mut pool = POOL.lock();
    if pool.free != 0 {
        let foot = pool.free;
        // SAFETY: a stack in the list is mapped and unused; its first word is the link.
        pool.free = unsafe { *(foot as *const u32) };
        pool.nr_free -= 1;
        return NonNull::new(foot as *mut u8);
    }
    if !may_alloc(THREAD_SIZE as u32 / PAGE_SIZE) {
        return None;
    }
    let slot = match pool.unknown.take_first() {
        Some(slot) => slot,
        None if pool.next < pool.end => {
            pool.next += 1;
            pool.next - 1
        }
        None => {
            drop(pool);
            let slot = forget_retired()?;
            pool = POOL.lock();
            slot
        }
    };
    let (low, high) = (alloc_page(), alloc_page());
    let (Some(low), Some(high)) = (low, high) else {
        pool.unknown.insert(slot);
        drop(pool);
        low.into_iter().chain(high).for_each(put_page);
        return None;
    };
    pool.nr_mapped += 1;
    let foot = foot_of(slot);
    set_kernel_pte(foot, Pte::new(low, PteFlags::KERNEL));
    set_kernel_pte(foot + PAGE_SIZE, Pte::new(high, PteFlags::KERNEL));
    NonNull::new(foot as *mut u8)
}

/// Makes every CPU forget some retired slots; returns one of them, which the caller then owns.
fn forget_retired() -> Option<u32> {
    let mut slots = ArrayVec::<u32, BATCH>::new();
    {
        let mut pool = POOL.lock();
        slots.extend(core::iter::from_fn(|| pool.retired.take_first()).take(BATCH));
    }
    let pages = slots.iter().map(|slot| foot_of(*slot));
    let pages = pages.flat_map(|foot| [foot, foot + PAGE_SIZE]);
    flush_tlb_kernel_pages(&pages.collect::<ArrayVec<u32, { 2 * BATCH }>>());
    let first = slots.pop()?;
    let mut pool = POOL.lock();
    slots.iter().for_each(|slot| pool.unknown.insert(*slot));
    Some(first)
}

/// Frees a stack.
///
/// # Safety
/// 1. `stack` came from [`alloc_thread_stack`] and has not been freed since.
/// 2. No CPU runs on it or will switch to it.
pub unsafe fn free_thread_stack(stack: NonNull<u8>) {
    let foot = stack.as_ptr() as u32;
    let mut pool = POOL.lock();
    if pool.nr_free < KEPT {
        // SAFETY: by 1 it is mapped and by 2 nobody uses it from now on.
        unsafe { stack.as_ptr().cast::<u32>().write(pool.free) };
        pool.free = foot;
        pool.nr_free += 1;
        return;
    }
    pool.nr_mapped -= 1;
    let frames = [foot, foot + PAGE_SIZE].map(clear_kernel_pte);
    pool.retired.insert((foot - STACK_AREA) / SLOT);
    drop(pool);
    frames.into_iter().for_each(|pte| put_page(pte.phys()));
}

/// Returns the numbers of mapped stacks and of free ones among them, which leak tests compare.
pub fn thread_stack_counts() -> (u32, u32) {
    let pool = POOL.lock();
    (pool.nr_mapped, pool.nr_free)
}

/// Returns the foot of the stack whose guard page contains `address`.
pub fn guarded_stack(address: u32) -> Option<u32> {
    let in_guard =
        (STACK_AREA..STACK_AREA_END).contains(&address) && address % SLOT < THREAD_SIZE as u32;
    in_guard.then(|| address - address % SLOT + THREAD_SIZE as u32)
}
