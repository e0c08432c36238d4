//! Kernel threads with an address space of their own, so that a case can make all four kinds of
//! switch without ring 3.
//!
//! To the switch a task is a user task if it has an `mm`. A thread that adopts one keeps it to
//! its end, when `do_exit` gives it up as for any process.
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

/// An address space under observation. Counts are what the switch sees; the case holds none,
/// so it may look only while some task holds one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mm(*mut MmStruct);

// SAFETY: all that is shared of it is atomic.
unsafe impl Send for Mm {}
// SAFETY: as above.
unsafe impl Sync for Mm {}

impl Mm {
    /// The running kernel thread moves into a new address space, as its first user.
    pub fn move_into_new() -> Result<Self, Verdict> {
        let mm = MmStruct::alloc().ok_or(crate::base::errno::Errno::ENOMEM)?;
        // SAFETY: its first user is ours.
        unsafe { adopt(mm) };
        Ok(Self(mm))
    }

    /// The running kernel thread becomes one more user of it.
    pub fn move_into(self) {
        self.get().counts.get_user();
        // SAFETY: the user just counted.
        unsafe { adopt(self.0) };
    }

    fn get(&self) -> &MmStruct {
        // SAFETY: the cases look only while a task holds a count.
        unsafe { &*self.0 }
    }

    /// As a pointer, to compare.
    pub fn as_ptr(self) -> *mut MmStruct {
        self.0
    }

    /// What `f` makes of it.
    pub fn with<R>(self, f: impl FnOnce(&MmStruct) -> R) -> R {
        f(self.get())
    }

    /// CPUs on which it may be loaded, one bit each.
    pub fn cpu_vm_mask(self) -> u32 {
        self.get().cpu_vm_mask.load(Ordering::Acquire)
    }

    /// `mm_count`.
    pub fn count(self) -> u32 {
        self.get().counts.count()
    }

    /// `mm_users`.
    pub fn users(self) -> u32 {
        self.get().counts.users()
    }

    /// Physical address of the page directory.
    pub fn pgd(self) -> u32 {
        self.get().pgd.load(Ordering::Relaxed)
    }
}

/// Gives the running kernel thread the address space `mm`, whose user it takes over, and drops
/// what it had borrowed.
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
        // SAFETY: we hold a count of what we borrowed, and by 1 a user of what we get; interrupts are off.
        unsafe {
            membarrier_switch_mm(this_rq(), &*old, &*mm);
            switch_mm_irqs_off(&*old, &*mm);
        }
        old
    };
    // SAFETY: the count that came with the borrowing; CR3 has moved on.
    unsafe { mmdrop(old) };
}

/// The running kernel thread, whatever it borrows, goes on with the kernel's own address space.
pub fn borrow_init_mm() {
    let me = current();
    let init_mm = (&raw const INIT_MM).cast_mut();
    let old = {
        let _no_preempt = PreemptGuard::new();
        let _irq = IrqGuard::new();
        let old = me.active_mm.swap(init_mm, Ordering::Relaxed);
        // SAFETY: INIT_MM lives for ever, and the count of `old` is ours until below.
        unsafe {
            mmgrab(init_mm);
            membarrier_switch_mm(this_rq(), &*old, &*init_mm);
            switch_mm_irqs_off(&*old, &*init_mm);
            enter_lazy_tlb();
        }
        old
    };
    // SAFETY: the count that came with the borrowing; CR3 has moved on.
    unsafe { mmdrop(old) };
}

/// `active_mm` of a task.
pub fn active_mm(task: &TaskStruct) -> *mut MmStruct {
    task.active_mm.load(Ordering::Relaxed)
}

/// What the running task runs on.
pub fn my_active_mm() -> *mut MmStruct {
    active_mm(&current())
}
