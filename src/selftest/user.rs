//! Kernel threads with an address space of their own: with them a case can make all four kinds of
//! switch without ring 3.
//!
//! To the switch, a task with an `mm` is a user task. A thread that adopts one keeps it to its end,
//! when `do_exit` gives it up as for any process.
//!
//! Linux: 2.6.38 `use_mm`.

use core::sync::atomic::Ordering;

use super::check::Verdict;
use crate::arch::x86::current::current;
use crate::arch::x86::switch::mmu_context::{enter_lazy_tlb, switch_mm_irqs_off};
use crate::mm::mm_struct::{INIT_MM, MmStruct, mmdrop, mmgrab};
use crate::sched::hooks::membarrier::membarrier_switch_mm;
use crate::sched::rq::this_rq;
use crate::sync::{IrqGuard, PreemptGuard};
use crate::task::task_struct::TaskStruct;

/// An address space under observation. It counts as no user, so the counts are those that the
/// switch sees; a case may look only while some task holds one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mm(*mut MmStruct);

// SAFETY: every part of it that is shared is atomic.
unsafe impl Send for Mm {}
// SAFETY: as above.
unsafe impl Sync for Mm {}

impl Mm {
    /// Moves the running kernel thread into a new address space, as its first user.
    pub fn move_into_new() -> Result<Self, Verdict> {
        let mm = MmStruct::alloc().ok_or(crate::base::errno::Errno::ENOMEM)?;
        // SAFETY: the new address space has one user, which is ours to give.
        unsafe { adopt(mm) };
        Ok(Self(mm))
    }

    /// Makes the running kernel thread one more user of this address space.
    pub fn move_into(self) {
        self.get().counts.get_user();
        // SAFETY: the user counted just above is ours to give.
        unsafe { adopt(self.0) };
    }

    fn get(&self) -> &MmStruct {
        // SAFETY: the cases look only while a task holds a count.
        unsafe { &*self.0 }
    }

    /// Returns its address, for comparison.
    pub fn as_ptr(self) -> *mut MmStruct {
        self.0
    }

    /// Calls `f` on the address space.
    pub fn with<R>(self, f: impl FnOnce(&MmStruct) -> R) -> R {
        f(self.get())
    }

    /// Returns the CPUs on which it may be loaded, one bit each.
    pub fn cpu_vm_mask(self) -> u32 {
        self.get().cpu_vm_mask.load(Ordering::Acquire)
    }

    /// Returns `mm_count`.
    pub fn count(self) -> u32 {
        self.get().counts.count()
    }

    /// Returns `mm_users`.
    pub fn users(self) -> u32 {
        self.get().counts.users()
    }

    /// Returns the physical address of the page directory.
    pub fn pgd(self) -> u32 {
        self.get().pgd.load(Ordering::Relaxed)
    }
}

/// Gives the running kernel thread the address space `mm`, taking over one of its users, and drops
/// the one that the thread had borrowed.
///
/// # Safety
/// 1. `mm` is live by a user that is the caller's to give.
unsafe fn adopt(mm: *mut MmStruct) {
    let me = current();
    assert!(
        me.mm.load(Ordering::Relaxed).is_null(),
        "BUG: an actor moves twice"
    );
    let old = {
        let _no_preempt = PreemptGuard::new();
        let _irq = IrqGuard::new();
        let old = me.active_mm.load(Ordering::Relaxed);
        me.mm.store(mm, Ordering::Relaxed);
        me.active_mm.store(mm, Ordering::Relaxed);
        // SAFETY: we hold a count of what we borrowed, and by 1 a user of `mm`; interrupts are off.
        unsafe {
            membarrier_switch_mm(this_rq(), &*old, &*mm);
            switch_mm_irqs_off(&*old, &*mm);
        }
        old
    };
    // SAFETY: the count is the one that came with the borrowing, and CR3 has moved on.
    unsafe { mmdrop(old) };
}

/// Makes the running kernel thread borrow the kernel's own address space instead of its present
/// one.
pub fn borrow_init_mm() {
    let me = current();
    let init_mm = (&raw const INIT_MM).cast_mut();
    let old = {
        let _no_preempt = PreemptGuard::new();
        let _irq = IrqGuard::new();
        let old = me.active_mm.swap(init_mm, Ordering::Relaxed);
        // SAFETY: INIT_MM lives for ever, and the count of `old` is ours until it is dropped below.
        unsafe {
            mmgrab(init_mm);
            membarrier_switch_mm(this_rq(), &*old, &*init_mm);
            switch_mm_irqs_off(&*old, &*init_mm);
            enter_lazy_tlb();
        }
        old
    };
    // SAFETY: the count is the one that came with the borrowing, and CR3 has moved on.
    unsafe { mmdrop(old) };
}

/// Returns the `active_mm` of a task.
pub fn active_mm(task: &TaskStruct) -> *mut MmStruct {
    task.active_mm.load(Ordering::Relaxed)
}

/// Returns the `active_mm` of the running task.
pub fn my_active_mm() -> *mut MmStruct {
    active_mm(&current())
}
