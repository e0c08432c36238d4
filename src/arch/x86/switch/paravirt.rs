//! `arch_start_context_switch` … `arch_end_context_switch`: hardware updates that a hypervisor's
//! guest applies in one go.
//!
//! With `paravirt=native` the switch writes CR3, TLS, `sp0` and CR0.TS in its steps. With
//! `paravirt=batch` it only notes them and applies all at the end, before it loads `%gs` and the
//! FPU, which need them. Page-table entries can be batched in the same way, in another mode:
//!
//! ```text
//!                arch_enter_lazy_mmu_mode          arch_start_context_switch
//!   LAZY_MMU  <------------------------->  NONE  <------------------------->  LAZY_CPU
//!                arch_leave_lazy_mmu_mode          arch_end_context_switch
//! ```
//! The modes never nest. A switch out of LAZY_MMU leaves it first and sets the task's
//! TIF_LAZY_MMU_UPDATES; the switch back to that task enters the mode again.
//!
//! Step 6 of `__switch_to` is the end of a batch.
//!
//! Called by `context_switch` and `__switch_to` with interrupts off, and by `mm` with preemption off.
//!
//! Linux: 2.6.38 `arch/x86/kernel/paravirt.c` (`paravirt_start_context_switch`,
//! `paravirt_end_context_switch`, `enter_lazy`), `asm/paravirt.h`.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrayvec::ArrayVec;

use crate::arch::x86::switch::updates::{Now, Updates};
use crate::base::cmdline::Paravirt;
use crate::base::insn;
use crate::base::percpu::{NR_CPUS, smp_processor_id};
use crate::hw::desc::DescStruct;
use crate::mm::mm_struct::MmStruct;
use crate::sync::PreemptGuard;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::{TIF_LAZY_MMU_UPDATES, ThreadStruct};
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// Nothing is batched.
const PARAVIRT_LAZY_NONE: u32 = 0;
/// Page-table entries are batched.
const PARAVIRT_LAZY_MMU: u32 = 1;
/// The updates of a switch are batched.
const PARAVIRT_LAZY_CPU: u32 = 2;

/// Greatest number of page-table entries that wait.
const MAX_PTES: usize = 32;

static BATCHING: AtomicBool = AtomicBool::new(false);

/// Chooses the back end. Called at boot, before the first task.
pub fn set_mode(mode: Paravirt) {
    BATCHING.store(mode == Paravirt::Batch, Ordering::Relaxed);
}

/// Returns whether the batching back end is in use.
#[inline(always)]
pub fn is_batching() -> bool {
    BATCHING.load(Ordering::Relaxed)
}

/// The updates that a CPU has noted but not applied.
#[derive(Default)]
struct Noted {
    cr3: Option<u32>,
    /// The address space that this CPU leaves with the batch.
    left: Option<NonNull<MmStruct>>,
    tls: Option<[DescStruct; 3]>,
    sp0: Option<u32>,
    /// The noted value of CR0.TS.
    ts: Option<bool>,
    ptes: ArrayVec<(&'static AtomicU32, u32), MAX_PTES>,
    /// The hardware state before and after the last batch.
    last: Option<(Hardware, Hardware)>,
}

/// The part of this CPU's state that a batch changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hardware {
    /// The page directory's physical address.
    pub cr3: u32,
    /// GDT entry 6.
    pub tls: DescStruct,
    /// `sp0` of the TSS.
    pub sp0: u32,
    /// The bit CR0.TS.
    pub ts: bool,
    /// Whether this CPU is in the mask of the address space that it leaves, if it leaves one.
    pub is_in_left: bool,
}

struct PerCpuNoted(UnsafeCell<Noted>);

// SAFETY: each CPU uses only its own element, with preemption off.
unsafe impl Sync for PerCpuNoted {}

static NOTED: [PerCpuNoted; NR_CPUS] = [const {
    PerCpuNoted(UnsafeCell::new(Noted {
        cr3: None,
        left: None,
        tls: None,
        sp0: None,
        ts: None,
        ptes: ArrayVec::new_const(),
        last: None,
    }))
}; NR_CPUS];

/// Returns the updates that this CPU has noted.
///
/// # Safety
/// 1. Preemption is off as long as the reference is used, so it stays this CPU's. 2. The caller has
///    no other.
unsafe fn noted<'a>() -> &'a mut Noted {
    // SAFETY: by 1 and 2; interrupt handlers batch nothing.
    unsafe { &mut *NOTED[smp_processor_id() as usize].0.get() }
}

fn enter_lazy(mode: u32) {
    let now = this_cpu_read!(paravirt_lazy_mode);
    assert!(
        now == PARAVIRT_LAZY_NONE,
        "BUG: paravirt: lazy mode {mode} entered within lazy mode {now}"
    );
    // SAFETY: the mode begins here.
    unsafe { this_cpu_write!(paravirt_lazy_mode, mode) };
}

fn leave_lazy(mode: u32) {
    let now = this_cpu_read!(paravirt_lazy_mode);
    assert!(
        now == mode,
        "BUG: paravirt: lazy mode {mode} left within lazy mode {now}"
    );
    // SAFETY: the mode ends here.
    unsafe { this_cpu_write!(paravirt_lazy_mode, PARAVIRT_LAZY_NONE) };
}

#[inline(always)]
fn is_lazy(mode: u32) -> bool {
    this_cpu_read!(paravirt_lazy_mode) == mode
}

/// Begins a batch: up to [`arch_end_context_switch`] nothing is written to the hardware.
///
/// # Safety
/// 1. `prev` is the running task, which is about to be switched away from; interrupts are off.
#[cold]
pub unsafe fn arch_start_context_switch(prev: &TaskStruct) {
    if is_lazy(PARAVIRT_LAZY_MMU) {
        arch_leave_lazy_mmu_mode();
        // SAFETY: by 1 we are prev, and nothing else writes its context.
        unsafe { (*prev.thread()).set_work(TIF_LAZY_MMU_UPDATES, true) };
    }
    enter_lazy(PARAVIRT_LAZY_CPU);
}

/// Applies the updates noted since [`arch_start_context_switch`]. Runs on next's stack.
///
/// # Safety
/// 1. `next` is the context of the task that this CPU switches to; interrupts have been off since
///    [`arch_start_context_switch`].
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
pub unsafe fn arch_end_context_switch(next: &mut ThreadStruct) {
    // SAFETY: by 1; the only reference here.
    let batch = unsafe { noted() };
    let left = batch.left.take();
    // SAFETY: the task that ran in `left` before us holds it until `finish_task_switch`.
    let before = unsafe { hardware(left) };
    if let Some(cr3) = batch.cr3.take() {
        // SAFETY: the page directory of next's address space, which next holds.
        unsafe { Now::write_cr3(cr3) };
    }
    if let Some(left) = left {
        // SAFETY: as above; CR3 is the new one.
        unsafe { Now::leave(smp_processor_id(), left.as_ref()) };
    }
    if let Some(tls) = batch.tls.take() {
        // SAFETY: noted by `load_tls`, whose caller vouched for the descriptors.
        unsafe { Now::load_tls(&tls, true) };
    }
    if let Some(sp0) = batch.sp0.take() {
        // SAFETY: noted by `load_sp0`; it is next's.
        unsafe { Now::load_sp0(sp0) };
    }
    match batch.ts.take() {
        Some(true) => insn::stts(),
        Some(false) => insn::clts(),
        None => {}
    }
    // SAFETY: as above.
    batch.last = Some((before, unsafe { hardware(left) }));
    this_cpu_inc!(count.paravirt_batches);
    leave_lazy(PARAVIRT_LAZY_CPU);
    if next.work.contains(TIF_LAZY_MMU_UPDATES) {
        next.set_work(TIF_LAZY_MMU_UPDATES, false);
        enter_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// Returns this CPU's state before and after the last batch, or `None` if there was no batch.
pub fn around_last_batch() -> Option<(Hardware, Hardware)> {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; the only reference here.
    unsafe { noted() }.last
}

/// Reads this CPU's present state.
///
/// # Safety
/// 1. `left` is live.
unsafe fn hardware(left: Option<NonNull<MmStruct>>) -> Hardware {
    // SAFETY: by 1.
    let mask = left.map_or(0, |mm| unsafe {
        mm.as_ref().cpu_vm_mask.load(Ordering::Relaxed)
    });
    // SAFETY: one descriptor of this CPU's own table.
    let tls =
        unsafe { (&raw const (*crate::base::percpu::this_cpu()).gdt_page[6]).read_volatile() };
    Hardware {
        cr3: insn::read_cr3() & !0xfff,
        tls,
        sp0: this_cpu_read!(tss.x86_tss.sp0),
        ts: insn::read_cr0() & crate::hw::cr::Cr0::TS.bits() != 0,
        is_in_left: mask & 1 << smp_processor_id() != 0,
    }
}

// ------------------------------------------------------------ the switch's updates

/// Updates are noted; [`arch_end_context_switch`] applies them in the order of
/// [`Now`](crate::arch::x86::switch::updates::Now).
pub struct Batch;

impl Updates for Batch {
    unsafe fn load_sp0(sp0: u32) {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.sp0 = Some(sp0);
    }

    unsafe fn load_tls(tls: &[DescStruct; 3], _all: bool) {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.tls = Some(*tls);
    }

    unsafe fn write_cr3(pgd: u32) {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.cr3 = Some(pgd);
    }

    unsafe fn leave(_cpu: u32, prev: &MmStruct) {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.left = Some(NonNull::from(prev));
    }

    unsafe fn stts() {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.ts = Some(true);
    }

    unsafe fn clts() {
        // SAFETY: by 1; the only reference here.
        unsafe { noted() }.ts = Some(false);
    }

    unsafe fn end(next: &mut ThreadStruct) {
        // SAFETY: the caller vouches for it.
        unsafe { arch_end_context_switch(next) };
    }
}

// ------------------------------------------------------------ page-table entries

/// Makes [`set_pte`] note its updates from now on. Preemption is off, or the switch leaves the mode
/// and enters it again.
pub fn arch_enter_lazy_mmu_mode() {
    if is_batching() {
        enter_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// Writes the entries that [`set_pte`] has noted.
pub fn arch_leave_lazy_mmu_mode() {
    if is_batching() {
        let _no_preempt = PreemptGuard::new();
        // SAFETY: preemption is off; the only reference here.
        write_ptes(&mut unsafe { noted() }.ptes);
        leave_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// Stores a page-table entry that no processor walks yet, at once or with the batch.
#[inline(always)]
pub fn set_pte(slot: &'static AtomicU32, value: u32) {
    if is_lazy(PARAVIRT_LAZY_MMU) {
        note_pte(slot, value);
    } else {
        slot.store(value, Ordering::Relaxed);
    }
}

#[cold]
#[inline(never)]
fn note_pte(slot: &'static AtomicU32, value: u32) {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; the only reference here.
    let ptes = &mut unsafe { noted() }.ptes;
    if ptes.is_full() {
        write_ptes(ptes);
    }
    ptes.push((slot, value));
}

fn write_ptes(ptes: &mut ArrayVec<(&'static AtomicU32, u32), MAX_PTES>) {
    for (slot, value) in ptes.drain(..) {
        slot.store(value, Ordering::Relaxed);
    }
}
