//! The per-CPU area, reached through `%fs`.
//!
//! Each possible CPU has one `PerCpu`, whose address is the base of descriptor 27 in the CPU's GDT.
//! So `%fs:offset` is one instruction, which no migration can split. Assembly takes the offsets
//! from `offset_of!`.
//!
//! Like `task_struct`, this structure may name types of any room, but it calls no function of one.
//!
//! Book: ch. 5, "Per-CPU Variables". Linux: 2.6.38 `setup_per_cpu_areas`, `this_cpu_off`.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::hw::desc::{DescStruct, GDT_ENTRIES, KERNEL_DS};
use crate::hw::tss::{TssStruct, X86HwTss};

/// Number of CPUs that this kernel is built for.
pub const NR_CPUS: usize = 8;

/// Value of `tlb_state`: the CPU uses the address space that CR3 holds.
pub const TLBSTATE_OK: u32 = 1;
/// Value of `tlb_state`: the CPU runs a kernel task on a borrowed address space and need not see
/// its changes.
pub const TLBSTATE_LAZY: u32 = 2;

/// One CPU's area. Assembly reads the first fields.
#[repr(C, align(4096))]
pub struct PerCpu {
    /// This CPU's descriptor table, page-aligned because the area is.
    pub gdt_page: [DescStruct; GDT_ENTRIES],
    /// Address of this area.
    pub this_cpu_off: u32,
    /// Number of this CPU.
    pub cpu_number: u32,
    /// The task that runs here; the last step of `__switch_to` writes it.
    pub current_task: u32,
    /// Address of this CPU's run queue, a `sched::rq::Rq`.
    pub this_rq: u32,
    /// Whether the address space that CR3 holds is in use or only borrowed.
    pub tlb_state: u32,
    /// The address space that CR3 holds (`cpu_tlbstate.active_mm`).
    pub tlb_active_mm: u32,
    /// The task that was last passed to `finish_task_switch`; with debug assertions only.
    pub debug_last: u32,
    /// Number of the I/O bitmap whose bytes the TSS has, or 0. Not with `io_bitmap=copy`.
    pub io_bitmap_sequence: u32,
    /// Number of bytes of the TSS's bitmap that may have zeroes. Not with `io_bitmap=copy`.
    pub io_bitmap_prev_max: u32,
    /// Address of the frame of the present interrupt; 0 outside of one.
    pub irq_regs: u32,
    /// 1 from `prepare_task_switch` to `finish_task_switch`; with debug assertions only.
    pub switch_is_open: u32,
    /// The updates that the paravirtual back end is batching (`PARAVIRT_LAZY_*`).
    pub paravirt_lazy_mode: u32,
    /// The segment of `%gs` in a kernel with the feature `stack_protector`.
    pub stack_canary: StackCanary,
    /// Event counts of this CPU, which tests and the tour read.
    pub count: SwitchCounts,
    /// Interrupts of each line that this CPU took (Linux: `kstat.irqs`).
    pub irqs: [u32; NR_IRQS],
    /// Ticks of this CPU, by what they interrupted.
    pub cpustat: CpuUsageStat,
    /// Hardware TSS and I/O bitmap; one per CPU, not per task.
    pub tss: TssStruct,
    /// The TSS that a double fault switches to, by a task gate.
    pub doublefault_tss: X86HwTss,
}

/// Number of device interrupt lines: those of the two 8259s, which an I/O APIC has too.
pub const NR_IRQS: usize = 16;

/// The segment of `%gs` in a kernel with the feature `stack_protector`: see `canary`.
#[repr(C)]
pub struct StackCanary {
    /// Unused: compilers look for the canary 20 bytes after the segment's start.
    pub gs_base: [u32; 5],
    /// The canary of the task that runs here.
    pub canary: u32,
}

/// Ticks by what they interrupted (Linux: `cpu_usage_stat`).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuUsageStat {
    /// Ticks in ring 3.
    pub user: u32,
    /// Ticks in ring 3 with a nice value above 0.
    pub nice: u32,
    /// Ticks in the kernel, on behalf of a task.
    pub system: u32,
    /// Ticks in the idle task.
    pub idle: u32,
}

/// Event counts from which a test can tell whether the switch took a step.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct SwitchCounts {
    /// Loads of `%gs` from `thread.gs`.
    pub gs_loads: u32,
    /// Bytes of I/O bitmap copied, or set to ones.
    pub io_bitmap_bytes: u32,
    /// Writes of CR3 by `switch_mm`.
    pub cr3_writes: u32,
    /// #NM exceptions that gave a task the FPU.
    pub fpu_nm: u32,
    /// Switches that gave a task the FPU at once.
    pub fpu_preloads: u32,
    /// Saves of x87/SSE state.
    pub fpu_saves: u32,
    /// Switches after which a kernel task borrows an address space.
    pub lazy_entries: u32,
    /// Borrowed address spaces left for the kernel's own.
    pub lazy_leaves: u32,
    /// TLB flushes that this CPU requested from others.
    pub flush_ipis: u32,
    /// TLB flushes that others requested from this CPU.
    pub flushes: u32,
    /// Requests of other CPUs to check need_resched.
    pub reschedule_ipis: u32,
    /// Tasks moved to this CPU.
    pub migrations: u32,
    /// Memory barriers that others requested from this CPU.
    pub membarriers: u32,
    /// Explicit serializations of the instruction stream, which a switch does not serialize.
    pub core_syncs: u32,
    /// Switches that applied their updates in one go.
    pub paravirt_batches: u32,
    /// Ticks taken.
    pub ticks: u32,
    /// Interrupts taken, ticks included.
    pub interrupts: u32,
    /// Loads of the debug registers.
    pub debug_loads: u32,
    /// Writes of SYSENTER_CS.
    pub sysenter_cs_writes: u32,
    /// Checks, before and after a switch, that interrupts are off; with debug assertions only.
    pub checks: u32,
    /// Switches from a kernel task to another, which takes over the borrowed address space.
    pub kernel_to_kernel: u32,
    /// Switches from a task with an address space to a kernel task.
    pub user_to_kernel: u32,
    /// Switches from a kernel task to a task with an address space.
    pub kernel_to_user: u32,
}

/// Offset of `current_task`, for the entry code and gdb.
pub const PERCPU_CURRENT_TASK: usize = offset_of!(PerCpu, current_task);
/// Offset of the hardware TSS's `sp0`.
pub const PERCPU_TSS_SP0: usize = offset_of!(PerCpu, tss) + offset_of!(X86HwTss, sp0);
const _: () = assert!(offset_of!(PerCpu, gdt_page) == 0);

struct Area(UnsafeCell<MaybeUninit<PerCpu>>);
// SAFETY: each area belongs to one CPU; other CPUs read single words of it.
unsafe impl Sync for Area {}

static AREAS: [Area; NR_CPUS] = [const { Area(UnsafeCell::new(MaybeUninit::zeroed())) }; NR_CPUS];

/// The area of each CPU (`__per_cpu_offset`); null before `setup_per_cpu_areas`.
#[unsafe(export_name = "__per_cpu_offset")]
pub static PER_CPU_OFFSET: [AtomicPtr<PerCpu>; NR_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; NR_CPUS];

/// CPUs that run, one bit each.
pub static CPU_ONLINE_MASK: AtomicU32 = AtomicU32::new(0);

/// Gives every possible CPU its area: zero except for its own address, its number and a TSS.
///
/// Linux: 2.6.38 `setup_per_cpu_areas`.
///
/// # Safety
/// 1. Called once, by the boot CPU, before `%fs` is loaded and before another CPU runs.
pub unsafe fn setup_per_cpu_areas() {
    for (cpu, area) in AREAS.iter().enumerate() {
        let p: *mut PerCpu = area.0.get().cast();
        // SAFETY: by 1 nothing else uses the area yet; all-zero bytes are a valid start for every
        // field that is not written here.
        unsafe {
            (*p).this_cpu_off = p as u32;
            (*p).cpu_number = cpu as u32;
            // From a constant: built here, it would take more than the kernel stack.
            (&raw mut (*p).tss).copy_from_nonoverlapping(const { &TssStruct::new(KERNEL_DS.0) }, 1);
            (&raw mut (*p).doublefault_tss).write(X86HwTss::ZERO);
        }
        PER_CPU_OFFSET[cpu].store(p, Ordering::Release);
    }
}

/// Returns the area of CPU `cpu`, for code that reads another CPU's area.
///
/// # Panics
/// Panics if `cpu` is not a possible CPU.
#[inline(always)]
pub fn per_cpu(cpu: u32) -> *mut PerCpu {
    AREAS[cpu as usize].0.get().cast()
}

/// Reads a 4-byte field of this CPU's area by one `%fs` instruction.
#[macro_export]
macro_rules! this_cpu_read {
    ($($field:tt).+) => {
        $crate::base::percpu::read_fs::<{ core::mem::offset_of!($crate::base::percpu::PerCpu, $($field).+) }>()
    };
}

/// Writes a 4-byte field of this CPU's area by one `%fs` instruction; `unsafe` like [`write_fs`].
#[macro_export]
macro_rules! this_cpu_write {
    ($($field:tt).+, const $value:expr) => {
        $crate::base::percpu::write_fs_const::<{ core::mem::offset_of!($crate::base::percpu::PerCpu, $($field).+) }, { $value }>()
    };
    ($($field:tt).+, $value:expr) => {
        $crate::base::percpu::write_fs::<{ core::mem::offset_of!($crate::base::percpu::PerCpu, $($field).+) }>($value)
    };
}

/// Adds 1 to a counter of this CPU, one of `count` or `cpustat`, by one `%fs` instruction.
#[macro_export]
macro_rules! this_cpu_inc {
    ($($field:tt).+) => {
        $crate::base::percpu::inc_fs::<{ core::mem::offset_of!($crate::base::percpu::PerCpu, $($field).+) }>()
    };
}

/// Adds to a counter of this CPU, one of `count` or `cpustat`, by one `%fs` instruction.
#[macro_export]
macro_rules! this_cpu_add {
    ($($field:tt).+, $value:expr) => {
        $crate::base::percpu::add_fs::<{ core::mem::offset_of!($crate::base::percpu::PerCpu, $($field).+) }>($value)
    };
}

/// Returns the word at `%fs:OFFSET`; for [`this_cpu_read!`].
#[inline(always)]
pub fn read_fs<const OFFSET: usize>() -> u32 {
    const { assert!(OFFSET <= size_of::<PerCpu>() - 4) };
    let value: u32;
    // SAFETY: %fs covers this CPU's area, in which the word lies; it is only read. Not `pure`: the
    // task may have moved to another CPU since the last read.
    unsafe {
        asm!("movl %fs:{}, {}", const OFFSET, out(reg) value,
             options(att_syntax, nostack, preserves_flags, readonly));
    }
    value
}

/// Stores at `%fs:OFFSET`; for [`this_cpu_write!`].
///
/// # Safety
/// 1. `OFFSET` is a 4-byte field of the area, and `value` keeps the invariant of that field: the
///    task, stack, table or address space that it names is this CPU's.
#[inline(always)]
pub unsafe fn write_fs<const OFFSET: usize>(value: u32) {
    // SAFETY: %fs covers this CPU's area; the rest holds by 1.
    unsafe {
        asm!("movl {}, %fs:{}", in(reg) value, const OFFSET,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Stores a constant at `%fs:OFFSET`; for [`this_cpu_write!`] with `const`.
///
/// # Safety
/// 1. The conditions of [`write_fs`] hold for `VALUE`.
#[inline(always)]
pub unsafe fn write_fs_const<const OFFSET: usize, const VALUE: u32>() {
    // SAFETY: by 1; %fs covers this CPU's area.
    unsafe {
        asm!("movl ${}, %fs:{}", const VALUE, const OFFSET,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Returns whether `offset` is that of a counter, which only statistics read.
const fn is_counter(offset: usize) -> bool {
    let in_count = offset.wrapping_sub(offset_of!(PerCpu, count)) < size_of::<SwitchCounts>();
    let in_cpustat = offset.wrapping_sub(offset_of!(PerCpu, cpustat)) < size_of::<CpuUsageStat>();
    (in_count || in_cpustat) && offset.is_multiple_of(4)
}

/// Adds `value` to the word at `%fs:OFFSET`; for [`this_cpu_add!`].
#[inline(always)]
pub fn add_fs<const OFFSET: usize>(value: u32) {
    const { assert!(is_counter(OFFSET)) };
    // SAFETY: %fs covers this CPU's area, and the word is a counter, for which any value is valid.
    unsafe {
        asm!("addl {}, %fs:{}", in(reg) value, const OFFSET, options(att_syntax, nostack));
    }
}

/// Adds 1 to the word at `%fs:OFFSET`; for [`this_cpu_inc!`].
#[inline(always)]
pub fn inc_fs<const OFFSET: usize>() {
    const { assert!(is_counter(OFFSET)) };
    // SAFETY: %fs covers this CPU's area, and the word is a counter, for which any value is valid.
    unsafe { asm!("incl %fs:{}", const OFFSET, options(att_syntax, nostack)) };
}

/// Returns the number of this CPU. Preemption must be off for the number to stay valid.
#[inline(always)]
pub fn smp_processor_id() -> u32 {
    this_cpu_read!(cpu_number)
}

/// Returns this CPU's area. Preemption must be off for it to stay this CPU's.
#[inline(always)]
pub fn this_cpu() -> *mut PerCpu {
    this_cpu_read!(this_cpu_off) as *mut PerCpu
}
