//! `mm_struct`: an address space.
//!
//! Tasks hold it by raw pointers, as Linux does, because who holds a count is decided by the
//! kind of switch (see [`super::active_mm`]) and not by a scope.
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
    /// CPUs on which this may be loaded, one bit each (Linux: `mm_cpumask`). First, since the
    /// switch addresses it twice.
    pub cpu_vm_mask: AtomicU32,
    /// Physical address of the page directory: what CR3 is loaded with.
    pub pgd: AtomicU32,
    /// The LDT; null without one. Changed with `ldt_lock` held, by [`LdtGuard`].
    ldt: AtomicPtr<LdtStruct>,
    /// See `ldt`.
    ldt_lock: SpinLock<()>,
    /// What a switch from or to it has to do besides CR3: [`MM_CONTEXT_LDT`], and the
    /// MEMBARRIER_STATE_* that its process has registered for.
    pub context_flags: AtomicU32,
    /// Whether only root may look into the programs that run in it: one of them has had other rights.
    pub not_dumpable: AtomicBool,
    /// `mm_users` and `mm_count`.
    pub counts: MmCount,
    /// The mappings.
    pub map: SpinLock<MemoryMap>,
    /// Pages that are there, without the page of zeroes, and the most that they were. Written with
    /// `map` locked.
    rss: AtomicU32,
    /// See `rss`.
    hiwater_rss: AtomicU32,
}

/// `MmStruct::context_flags`: it has an LDT.
pub const MM_CONTEXT_LDT: u32 = 1 << 31;

/// The kernel's own address space: only kernel mappings, never freed.
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
    /// An empty address space with one user and one count, or none when memory is short.
    /// The caller owns that user.
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
    /// The frame at `phys` is mapped: one page more, unless it is the page of zeroes. `map` is locked.
    #[doc(alias = "inc_mm_counter")]
    pub fn count_page(&self, phys: u32) {
        if phys != zero_page() {
            let now = self.rss.load(Ordering::Relaxed).saturating_add(1);
            self.rss.store(now, Ordering::Relaxed);
            self.hiwater_rss.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// It is mapped no more. `map` is locked.
    pub fn uncount_page(&self, phys: u32) {
        if phys != zero_page() {
            self.rss.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Pages that are there.
    pub fn rss(&self) -> u32 {
        self.rss.load(Ordering::Relaxed)
    }

    /// The most pages that were there at a time.
    pub fn hiwater_rss(&self) -> u32 {
        self.hiwater_rss.load(Ordering::Relaxed)
    }
}

impl MmStruct {
    /// Keeps the LDT from being changed by others, and lets the caller look at it and change it.
    pub fn lock_ldt(&self) -> LdtGuard<'_> {
        LdtGuard {
            mm: self,
            _locked: self.ldt_lock.lock(),
        }
    }

    /// The LDT, for a processor that loads it into LDTR.
    ///
    /// # Safety
    /// 1. Interrupts stay off as long as the answer is used: whoever changes the LDT waits for an
    ///    interrupt of this processor before the old one goes.
    pub unsafe fn ldt_to_load(&self) -> Option<&LdtStruct> {
        // SAFETY: by 1.
        unsafe { self.ldt.load(Ordering::Acquire).as_ref() }
    }
}

/// The right to look at an address space's LDT and to change it: its lock is held.
pub struct LdtGuard<'a> {
    mm: &'a MmStruct,
    _locked: SpinLockGuard<'a, ()>,
}

impl LdtGuard<'_> {
    /// The LDT; none if the process never made one.
    pub fn get(&self) -> Option<&LdtStruct> {
        // SAFETY: made by `Box::into_raw` in `replace`, which takes the guard for itself: nothing is
        // replaced as long as this borrow lives.
        unsafe { self.mm.ldt.load(Ordering::Relaxed).as_ref() }
    }

    /// Makes `new` the LDT; returns the old one.
    ///
    /// # Safety
    /// 1. When the old one is dropped no processor has it in LDTR, nor is about to load it.
    pub unsafe fn replace(&mut self, new: Box<LdtStruct>) -> Option<Box<LdtStruct>> {
        self.mm
            .context_flags
            .fetch_or(MM_CONTEXT_LDT, Ordering::SeqCst);
        let old = self.mm.ldt.swap(Box::into_raw(new), Ordering::SeqCst);
        // SAFETY: made by `Box::into_raw` here, and nobody else's: it was swapped out.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }
}

impl Drop for MmStruct {
    /// `destroy_context`: the LDT goes with the address space.
    fn drop(&mut self) {
        let ldt = *self.ldt.get_mut();
        if !ldt.is_null() {
            // SAFETY: made by `Box::into_raw` in `replace`. Nobody else has the address space, so no
            // processor has its LDT.
            drop(unsafe { Box::from_raw(ldt) });
        }
    }
}

/// Address spaces that exist: what a leak test compares.
pub static MM_LIVE: AtomicU32 = AtomicU32::new(0);

/// One more holder of the page directory.
///
/// # Safety
/// 1. `mm` is live.
#[inline(always)]
pub unsafe fn mmgrab(mm: *mut MmStruct) {
    // SAFETY: live by 1.
    unsafe { (*mm).counts.grab() };
}

/// One holder of the page directory less; frees it with the last.
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

/// One user less; with the last the mappings go, and the users' count of the directory.
///
/// # Safety
/// 1. The caller owns one user of `mm` and does not use it again.
pub unsafe fn mmput(mm: *mut MmStruct) {
    // SAFETY: live by 1.
    let m = unsafe { &*mm };
    if m.counts.put_user() {
        super::mmap::exit_mmap(m);
        // SAFETY: the users' common count is ours to drop now; who has the directory in CR3
        // has grabbed it: `exit_mm` holds a count over the switch away.
        unsafe { mmdrop(mm) };
    }
}
