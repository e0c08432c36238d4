//! `mm_struct`: an address space.
//!
//! Tasks hold it by raw pointers, as in Linux, because the kind of switch (see
//! [`super::active_mm`]) decides which task holds a count, not a scope.
//!
//! Book: ch. 9, "The Memory Descriptor". Linux: 2.6.38 `struct mm_struct`, `mmput`, `mmdrop`.

extern crate alloc;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use super::frame::zero_page;
use super::ldt_struct::LdtStruct;
use super::mm_count::MmCount;
use super::vma::MemoryMap;
use crate::base::insn::read_cr3;
use crate::mm::fallible::try_box;
use crate::sync::LockClass;
use crate::sync::spinlock::{SpinLock, SpinLockGuard};

/// An address space.
#[repr(C)]
pub struct MmStruct {
    /// CPUs on which this may be loaded, one bit each (Linux: `mm_cpumask`). The first field, since
    /// the switch addresses it twice.
    pub cpu_vm_mask: AtomicU32,
    /// Physical address of the page directory, for CR3.
    pub pgd: AtomicU32,
    /// The LDT; null if there is none. Only [`LdtGuard`] changes it, with `ldt_lock` held.
    ldt: AtomicPtr<LdtStruct>,
    /// Serializes changes of `ldt`.
    ldt_lock: SpinLock<()>,
    /// Extra work for a switch from or to this address space: [`MM_CONTEXT_LDT`], and the
    /// MEMBARRIER_STATE_* bits that its process has registered for.
    pub context_flags: AtomicU32,
    /// Whether only root may inspect the programs that run in it, because one of them has had other
    /// rights.
    pub not_dumpable: AtomicBool,
    /// The reference counts: `mm_users` and `mm_count`.
    pub counts: MmCount,
    /// The areas of the address space.
    pub map: SpinLock<MemoryMap>,
    /// Mapped pages, not counting the zero page. Written with `map` locked.
    rss: AtomicU32,
    /// The largest value that `rss` has had.
    hiwater_rss: AtomicU32,
}

/// Bit of `MmStruct::context_flags`: the address space has an LDT.
pub const MM_CONTEXT_LDT: u32 = 1 << 31;

/// The kernel's own address space: kernel mappings only, never freed.
pub static INIT_MM: MmStruct = MmStruct {
    pgd: AtomicU32::new(0),
    ldt: AtomicPtr::new(core::ptr::null_mut()),
    ldt_lock: SpinLock::new(LockClass::MmLdt, ()),
    cpu_vm_mask: AtomicU32::new(0),
    context_flags: AtomicU32::new(0),
    not_dumpable: AtomicBool::new(false),
    counts: MmCount::new(),
    map: SpinLock::new(LockClass::MmMap, MemoryMap::new()),
    rss: AtomicU32::new(0),
    hiwater_rss: AtomicU32::new(0),
};

impl MmStruct {
    /// Returns an empty address space with one user, which the caller owns, and one count; `None`
    /// if memory is short.
    pub fn alloc() -> Option<*mut MmStruct> {
        let pgd = super::pgtable::pgd_alloc()?;
        let new = try_box(MmStruct {
            pgd: AtomicU32::new(pgd),
            ldt: AtomicPtr::new(core::ptr::null_mut()),
            ldt_lock: SpinLock::new(LockClass::MmLdt, ()),
            cpu_vm_mask: AtomicU32::new(0),
            context_flags: AtomicU32::new(0),
            not_dumpable: AtomicBool::new(false),
            counts: MmCount::new(),
            map: SpinLock::new(LockClass::MmMap, MemoryMap::new()),
            rss: AtomicU32::new(0),
            hiwater_rss: AtomicU32::new(0),
        });
        let Ok(new) = new else {
            super::pgtable::pgd_free(pgd);
            return None;
        };
        MM_LIVE.fetch_add(1, Ordering::Relaxed);
        Some(Box::into_raw(new))
    }
}

impl MmStruct {
    /// Counts the frame at `phys` as mapped, unless it is the zero page. The caller holds the lock
    /// of `map`.
    #[doc(alias = "inc_mm_counter")]
    pub fn count_page(&self, phys: u32) {
        if phys != zero_page() {
            let now = self.rss.load(Ordering::Relaxed).saturating_add(1);
            self.rss.store(now, Ordering::Relaxed);
            self.hiwater_rss.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// Counts the frame at `phys` as unmapped. The caller holds the lock of `map`.
    pub fn uncount_page(&self, phys: u32) {
        if phys != zero_page() {
            self.rss.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of mapped pages.
    pub fn rss(&self) -> u32 {
        self.rss.load(Ordering::Relaxed)
    }

    /// Returns the largest number of pages that were mapped at a time.
    pub fn hiwater_rss(&self) -> u32 {
        self.hiwater_rss.load(Ordering::Relaxed)
    }
}

impl MmStruct {
    /// Locks the LDT against changes by others and gives access to it.
    pub fn lock_ldt(&self) -> LdtGuard<'_> {
        LdtGuard {
            mm: self,
            _locked: self.ldt_lock.lock(),
        }
    }

    /// Returns the LDT, for a processor that loads it into LDTR.
    ///
    /// # Safety
    /// 1. Interrupts stay off while the result is in use: whoever changes the LDT waits for an
    ///    interrupt on this processor before it frees the old one.
    pub unsafe fn ldt_to_load(&self) -> Option<&LdtStruct> {
        // SAFETY: by 1.
        unsafe { self.ldt.load(Ordering::Acquire).as_ref() }
    }
}

/// Access to an address space's LDT; its lock is held.
pub struct LdtGuard<'a> {
    mm: &'a MmStruct,
    _locked: SpinLockGuard<'a, ()>,
}

impl LdtGuard<'_> {
    /// Returns the LDT; `None` if the process never made one.
    pub fn get(&self) -> Option<&LdtStruct> {
        // SAFETY: `replace` made the pointer by `Box::into_raw`. It borrows the guard mutably, so
        // nothing is replaced while this borrow lives.
        unsafe { self.mm.ldt.load(Ordering::Relaxed).as_ref() }
    }

    /// Makes `new` the LDT and returns the old one.
    ///
    /// # Safety
    /// 1. When the caller drops the old one, no processor has it in LDTR or is about to load it.
    pub unsafe fn replace(&mut self, new: Box<LdtStruct>) -> Option<Box<LdtStruct>> {
        self.mm
            .context_flags
            .fetch_or(MM_CONTEXT_LDT, Ordering::SeqCst);
        let old = self.mm.ldt.swap(Box::into_raw(new), Ordering::SeqCst);
        // SAFETY: this function made the pointer by `Box::into_raw`; it was swapped out, so it is
        // ours alone.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }
}

impl Drop for MmStruct {
    /// Frees the LDT with the address space (`destroy_context`).
    fn drop(&mut self) {
        let ldt = *self.ldt.get_mut();
        if !ldt.is_null() {
            // SAFETY: `replace` made the pointer by `Box::into_raw`. Nobody else has the address
            // space, so no processor has its LDT.
            drop(unsafe { Box::from_raw(ldt) });
        }
    }
}

/// Number of address spaces, which leak tests compare.
pub static MM_LIVE: AtomicU32 = AtomicU32::new(0);

/// Adds a holder of the page directory.
///
/// # Safety
/// 1. `mm` is live.
#[inline(always)]
pub unsafe fn mmgrab(mm: *mut MmStruct) {
    // SAFETY: live by 1.
    unsafe { (*mm).counts.grab() };
}

/// Removes a holder of the page directory; the last one frees it.
///
/// # Safety
/// 1. The caller owns one count of `mm` and does not use it again.
/// 2. If that is the last, no CPU has its directory in CR3.
#[inline(always)]
pub unsafe fn mmdrop(mm: *mut MmStruct) {
    // SAFETY: live by 1.
    if unsafe { (*mm).counts.drop_count() } {
        // SAFETY: that was the last count, and by 2 no CR3 holds it.
        unsafe { __mmdrop(mm) };
    }
}

#[cold]
#[inline(never)]
unsafe fn __mmdrop(mm: *mut MmStruct) {
    assert!(
        !core::ptr::eq(mm, &raw const INIT_MM),
        "BUG: init_mm dropped"
    );
    // SAFETY: the caller had the last count; `alloc` made the box.
    let mm = unsafe { Box::from_raw(mm) };
    debug_assert!(
        read_cr3() & !0xfff != mm.pgd.load(Ordering::Relaxed),
        "BUG: page directory dropped while CR3 holds it"
    );
    super::pgtable::pgd_free(mm.pgd.load(Ordering::Relaxed));
    MM_LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Removes a user. The last one removes the mappings and drops the users' count of the directory.
///
/// # Safety
/// 1. The caller owns one user of `mm` and does not use it again.
pub unsafe fn mmput(mm: *mut MmStruct) {
    // SAFETY: live by 1.
    let m = unsafe { &*mm };
    if m.counts.put_user() {
        super::mmap::exit_mmap(m);
        // SAFETY: the users' common count is ours to drop now. Any CPU that still has the directory
        // in CR3 has grabbed it: `exit_mm` holds a count until the switch away is over.
        unsafe { mmdrop(mm) };
    }
}
