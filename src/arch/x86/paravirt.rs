//! `arch_start_context_switch` … `arch_end_context_switch`: what a hypervisor's guest does in one go.
//!
//! With `paravirt=native` the switch writes CR3, TLS, `sp0` and CR0.TS as it comes to them. With
//! `paravirt=batch` it only notes them, and all is applied at the end, before `%gs` and the FPU are
//! loaded, which need them. Page-table entries can be batched in the same way, in another mode:
//!
//! ```text
//!                arch_enter_lazy_mmu_mode          arch_start_context_switch
//!   LAZY_MMU  <------------------------->  NONE  <------------------------->  LAZY_CPU
//!                arch_leave_lazy_mmu_mode          arch_end_context_switch
//! ```
//! The modes never nest. A switch out of LAZY_MMU leaves it first and has the task remember it
//! (TIF_LAZY_MMU_UPDATES); the switch back to that task enters it again.
//!
//! Called by `context_switch` and `__switch_to` with interrupts off, and by `mm` with preemption off.
//!
//! Linux: 2.6.38 `arch/x86/kernel/paravirt.c` (`paravirt_start_context_switch`,
//! `paravirt_end_context_switch`, `enter_lazy`), `asm/paravirt.h`.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrayvec::ArrayVec;

use super::bitops::clear_bit;
use super::insn;
use super::load_tls;
use super::percpu::{NR_CPUS, smp_processor_id};
use crate::cmdline::Paravirt;
use crate::hw::desc::DescStruct;
use crate::mm::mm_struct::MmStruct;
use crate::sync::PreemptGuard;
use crate::task::task_struct::TaskStruct;
use crate::task::thread_struct::{TIF_LAZY_MMU_UPDATES, ThreadStruct};
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// Nothing is batched.
const PARAVIRT_LAZY_NONE: u32 = 0;
/// Page-table entries are.
const PARAVIRT_LAZY_MMU: u32 = 1;
/// The updates of a switch are.
const PARAVIRT_LAZY_CPU: u32 = 2;

/// Page-table entries that wait at most.
const MAX_PTES: usize = 32;

static BATCHING: AtomicBool = AtomicBool::new(false);

/// Chooses the back end. At boot, before the first task.
pub fn set_mode(mode: Paravirt) {
    BATCHING.store(mode == Paravirt::Batch, Ordering::Relaxed);
}

/// Whether the batching back end is in use.
#[inline(always)]
pub fn is_batching() -> bool {
    BATCHING.load(Ordering::Relaxed)
}

/// What a CPU has noted but not done.
#[derive(Default)]
struct Batch {
    cr3: Option<u32>,
    /// The address space that this CPU leaves with it.
    left: Option<NonNull<MmStruct>>,
    tls: Option<[DescStruct; 3]>,
    sp0: Option<u32>,
    /// CR0.TS.
    ts: Option<bool>,
    ptes: ArrayVec<(&'static AtomicU32, u32), MAX_PTES>,
    /// The machine around the last batch.
    last: Option<(Hardware, Hardware)>,
}

/// What of this CPU a batch changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hardware {
    /// The page directory.
    pub cr3: u32,
    /// GDT entry 6.
    pub tls: DescStruct,
    /// `sp0` of the TSS.
    pub sp0: u32,
    /// CR0.TS.
    pub ts: bool,
    /// This CPU is in the mask of the address space that it leaves, if it leaves one.
    pub is_in_left: bool,
}

struct PerCpuBatch(UnsafeCell<Batch>);

// SAFETY: each CPU has its own, and uses it with preemption off.
unsafe impl Sync for PerCpuBatch {}

static BATCHES: [PerCpuBatch; NR_CPUS] = [const {
    PerCpuBatch(UnsafeCell::new(Batch {
        cr3: None,
        left: None,
        tls: None,
        sp0: None,
        ts: None,
        ptes: ArrayVec::new_const(),
        last: None,
    }))
}; NR_CPUS];

/// This CPU's batch.
///
/// # Safety
/// 1. Preemption is off as long as the answer is used: it stays this CPU's. 2. The caller has no other.
unsafe fn batch<'a>() -> &'a mut Batch {
    // SAFETY: by 1 and 2; interrupt handlers batch nothing.
    unsafe { &mut *BATCHES[smp_processor_id() as usize].0.get() }
}

fn enter_lazy(mode: u32) {
    let now = this_cpu_read!(paravirt_lazy_mode);
    assert!(
        now == PARAVIRT_LAZY_NONE,
        "BUG: paravirt: lazy mode {mode} entered within lazy mode {now}"
    );
    // SAFETY: the mode that begins.
    unsafe { this_cpu_write!(paravirt_lazy_mode, mode) };
}

fn leave_lazy(mode: u32) {
    let now = this_cpu_read!(paravirt_lazy_mode);
    assert!(
        now == mode,
        "BUG: paravirt: lazy mode {mode} left within lazy mode {now}"
    );
    // SAFETY: the mode that was has ended.
    unsafe { this_cpu_write!(paravirt_lazy_mode, PARAVIRT_LAZY_NONE) };
}

#[inline(always)]
fn is_lazy(mode: u32) -> bool {
    this_cpu_read!(paravirt_lazy_mode) == mode
}

/// From here to [`arch_end_context_switch`] nothing is written to the hardware.
///
/// # Safety
/// 1. `prev` is the running task, which is about to be switched away from; interrupts are off.
#[cold]
pub unsafe fn arch_start_context_switch(prev: &TaskStruct) {
    if is_lazy(PARAVIRT_LAZY_MMU) {
        arch_leave_lazy_mmu_mode();
        // SAFETY: by 1 prev is us, and nobody else writes it.
        unsafe { (*prev.thread()).set_work(TIF_LAZY_MMU_UPDATES, true) };
    }
    enter_lazy(PARAVIRT_LAZY_CPU);
}

/// Applies what was noted since [`arch_start_context_switch`]. On next's stack.
///
/// # Safety
/// 1. `next` is the context of the task that comes onto this CPU; interrupts are off since
///    [`arch_start_context_switch`].
#[inline(never)]
#[unsafe(link_section = ".sched.text")]
pub unsafe fn arch_end_context_switch(next: &mut ThreadStruct) {
    if !is_lazy(PARAVIRT_LAZY_CPU) {
        return;
    }
    // SAFETY: by 1; the only one here.
    let batch = unsafe { batch() };
    let left = batch.left.take();
    // SAFETY: who ran in `left` before us holds it until `finish_task_switch`.
    let before = unsafe { hardware(left) };
    if let Some(cr3) = batch.cr3.take() {
        // SAFETY: the page directory of next's address space, which next holds.
        unsafe { insn::write_cr3(cr3) };
    }
    if let Some(left) = left {
        // SAFETY: as above; a CPU's number is below 32.
        unsafe { clear_bit(smp_processor_id(), &left.as_ref().cpu_vm_mask) };
    }
    if let Some(tls) = batch.tls.take() {
        // SAFETY: noted by `load_tls`, whose caller vouched for them.
        unsafe { load_tls::write_tls(&tls) };
    }
    if let Some(sp0) = batch.sp0.take() {
        // SAFETY: noted by `load_sp0`: next's.
        unsafe { this_cpu_write!(tss.x86_tss.sp0, sp0) };
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
    if next.work & TIF_LAZY_MMU_UPDATES != 0 {
        next.set_work(TIF_LAZY_MMU_UPDATES, false);
        enter_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// This CPU before and after the last batch was applied; none if there was none.
pub fn around_last_batch() -> Option<(Hardware, Hardware)> {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; the only one here.
    unsafe { batch() }.last
}

/// What this CPU has now.
///
/// # Safety
/// 1. `left` is live.
unsafe fn hardware(left: Option<NonNull<MmStruct>>) -> Hardware {
    // SAFETY: by 1.
    let mask = left.map_or(0, |mm| unsafe {
        mm.as_ref().cpu_vm_mask.load(Ordering::Relaxed)
    });
    // SAFETY: one descriptor of this CPU's own table.
    let tls = unsafe { (&raw const (*super::percpu::this_cpu()).gdt_page[6]).read_volatile() };
    Hardware {
        cr3: insn::read_cr3() & !0xfff,
        tls,
        sp0: this_cpu_read!(tss.x86_tss.sp0),
        ts: insn::read_cr0() & crate::hw::cr::Cr0::TS.bits() != 0,
        is_in_left: mask & 1 << smp_processor_id() != 0,
    }
}

// ------------------------------------------------------------ the switch's updates

/// CR3 gets this page directory with the batch.
///
/// # Safety
/// 1. Within a batch of this CPU: interrupts are off. 2. `pgd` is a page directory, and stays one as long
///    as this CPU has it.
pub unsafe fn note_cr3(pgd: u32) {
    debug_assert!(
        is_lazy(PARAVIRT_LAZY_CPU),
        "BUG: paravirt: CR3 noted outside a batch"
    );
    // SAFETY: by 1; the only one here.
    unsafe { batch() }.cr3 = Some(pgd);
}

/// This CPU's bit goes from the mask of `prev` when CR3 is no longer `prev`'s: with the batch.
///
/// # Safety
/// 1. Within a batch of this CPU: interrupts are off. 2. `prev` stays live to the end of the batch.
pub unsafe fn note_left(prev: &MmStruct) {
    // SAFETY: by 1; the only one here.
    unsafe { batch() }.left = Some(NonNull::from(prev));
}

/// For the switch of tasks with work to do: all of these are.
///
/// # Safety
/// 1. As [`super::load_sp0::load_sp0`].
pub unsafe fn load_sp0(next: &ThreadStruct) {
    // SAFETY: by 1; the only batch here.
    unsafe {
        if is_lazy(PARAVIRT_LAZY_CPU) {
            batch().sp0 = Some(next.sp0);
        } else {
            super::load_sp0::load_sp0(next);
        }
    }
}

/// TLS descriptors of next.
///
/// # Safety
/// 1. As [`load_tls::load_tls`].
pub unsafe fn load_tls(next: &ThreadStruct) {
    // SAFETY: by 1; the only batch here.
    unsafe {
        if is_lazy(PARAVIRT_LAZY_CPU) {
            batch().tls = Some(next.tls_array);
        } else {
            load_tls::load_tls(next);
        }
    }
}

/// CR0.TS is cleared; `BATCH`: a batch may have begun.
#[inline(always)]
pub fn clts<const BATCH: bool>() {
    if BATCH && is_lazy(PARAVIRT_LAZY_CPU) {
        // SAFETY: within a batch interrupts are off; the only one here.
        unsafe { batch() }.ts = Some(false);
    } else {
        insn::clts();
    }
}

/// CR0.TS is set; `BATCH` as above.
#[inline(always)]
pub fn stts<const BATCH: bool>() {
    if BATCH && is_lazy(PARAVIRT_LAZY_CPU) {
        // SAFETY: within a batch interrupts are off; the only one here.
        unsafe { batch() }.ts = Some(true);
    } else {
        insn::stts();
    }
}

// ------------------------------------------------------------ page-table entries

/// From here on [`set_pte`] notes its updates. Preemption is off, or the switch takes care of it.
pub fn arch_enter_lazy_mmu_mode() {
    if is_batching() {
        enter_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// Writes what [`set_pte`] has noted.
pub fn arch_leave_lazy_mmu_mode() {
    if is_batching() {
        let _no_preempt = PreemptGuard::new();
        // SAFETY: preemption is off; the only one here.
        write_ptes(&mut unsafe { batch() }.ptes);
        leave_lazy(PARAVIRT_LAZY_MMU);
    }
}

/// Stores a page-table entry that no processor walks yet, now or with the batch.
pub fn set_pte(slot: &'static AtomicU32, value: u32) {
    if !is_lazy(PARAVIRT_LAZY_MMU) {
        slot.store(value, Ordering::Relaxed);
        return;
    }
    let _no_preempt = PreemptGuard::new();
    // SAFETY: preemption is off; the only one here.
    let ptes = &mut unsafe { batch() }.ptes;
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
