//! The per-CPU area, reached through `%fs`.
//!
//! Each possible CPU has one `PerCpu`, and descriptor 27 of its own GDT has that area's address
//! as base, so `%fs:offset` is one instruction that no migration can split. Assembly takes the
//! offsets from `offset_of!`.
//!
//! Like `task_struct`, this structure may name types of any room but calls none.
//!
//! Book: ch. 5, "Per-CPU Variables". Linux: 2.6.38 `setup_per_cpu_areas`, `this_cpu_off`.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::{MaybeUninit, offset_of};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::hw::desc::{DescStruct, GDT_ENTRIES, KERNEL_DS};
use crate::hw::tss::{TssStruct, X86HwTss};

/// CPUs that this kernel is built for.
pub const NR_CPUS: usize = 8;

/// What `cpu_tlbstate.state` says.
pub const TLBSTATE_OK: u32 = 1;
/// The CPU runs a kernel task on a borrowed address space: it need not see its changes.
pub const TLBSTATE_LAZY: u32 = 2;

/// One CPU's area. The first fields are read by assembly.
#[repr(C, align(4096))]
pub struct PerCpu {
    /// This CPU's descriptor table, page-aligned because the area is.
    pub gdt_page: [DescStruct; GDT_ENTRIES],
    /// Address of this area.
    pub this_cpu_off: u32,
    /// Number of this CPU.
    pub cpu_number: u32,
    /// The task that runs here; written by `__switch_to`, last of all.
    pub current_task: u32,
    /// Address of this CPU's run queue, a `sched::rq::Rq`.
    pub this_rq: u32,
    /// Whether the address space that CR3 holds is in use or only borrowed.
    pub tlb_state: u32,
    /// The address space that CR3 holds (`cpu_tlbstate.active_mm`).
    pub tlb_active_mm: u32,
    /// The task that `finish_task_switch` was last told of; with debug assertions only.
    pub debug_last: u32,
    /// Number of the I/O bitmap whose bytes the TSS has; 0: nobody's. Not with `io_bitmap=copy`.
    pub io_bitmap_sequence: u32,
    /// Bytes of the TSS's bitmap that may have zeroes. Not with `io_bitmap=copy`.
    pub io_bitmap_prev_max: u32,
    /// The frame of the interrupt that runs here; 0 outside of one.
    pub irq_regs: u32,
    /// 1 from `prepare_task_switch` to `finish_task_switch`; with debug assertions only.
    pub switch_is_open: u32,
    /// What the paravirtual back end batches just now.
    pub paravirt_lazy_mode: u32,
    /// What `%gs` leads to in a kernel with the feature `stack_protector`.
    pub stack_canary: StackCanary,
    /// How often things happened on this CPU; read by tests and the tour.
    pub count: SwitchCounts,
    /// Interrupts of each line that this CPU took (Linux: `kstat.irqs`).
    pub irqs: [u32; NR_IRQS],
    /// Whom the ticks of this CPU found.
    pub cpustat: CpuUsageStat,
    /// Hardware TSS and I/O bitmap. Never per task.
    pub tss: TssStruct,
    /// The TSS that a double fault switches to, by a task gate.
    pub doublefault_tss: X86HwTss,
}

/// Lines of devices: those of the two 8259s, which an I/O APIC has too.
pub const NR_IRQS: usize = 16;

/// What `%gs` leads to in the kernel, if it is built with the feature `stack_protector`: see `canary`.
#[repr(C)]
pub struct StackCanary {
    /// The compiler's choice is 20 bytes after the segment's start.
    pub gs_base: [u32; 5],
    /// That of the task that runs here.
    pub canary: u32,
}

/// Ticks by what they interrupted (Linux: `cpu_usage_stat`).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuUsageStat {
    /// A program.
    pub user: u32,
    /// A program with a nice value above 0.
    pub nice: u32,
    /// The kernel, for a task.
    pub system: u32,
    /// The idle task.
    pub idle: u32,
}

/// Counted in the switch, so that a test can tell that a step was, or was not, taken.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct SwitchCounts {
    /// `%gs` was loaded from `thread.gs`.
    pub gs_loads: u32,
    /// Bytes of I/O bitmap copied, or set to ones.
    pub io_bitmap_bytes: u32,
    /// CR3 was written by `switch_mm`.
    pub cr3_writes: u32,
    /// #NM was taken to give a task the FPU.
    pub fpu_nm: u32,
    /// The FPU was given to a task by the switch itself.
    pub fpu_preloads: u32,
    /// x87/SSE state was saved.
    pub fpu_saves: u32,
    /// A kernel task began to borrow an address space.
    pub lazy_entries: u32,
    /// A borrowed address space was left for the kernel's own.
    pub lazy_leaves: u32,
    /// Flushes that this CPU asked others for.
    pub flush_ipis: u32,
    /// Flushes that others asked this CPU for.
    pub flushes: u32,
    /// Others asked this CPU to look at need_resched.
    pub reschedule_ipis: u32,
    /// Tasks that were moved to this CPU.
    pub migrations: u32,
    /// Memory barriers that others asked this CPU for.
    pub membarriers: u32,
    /// The instruction stream was serialized because a switch does not.
    pub core_syncs: u32,
    /// Switches whose updates were applied in one go.
    pub paravirt_batches: u32,
    /// Ticks taken.
    pub ticks: u32,
    /// Interrupts taken, ticks included.
    pub interrupts: u32,
    /// Debug registers were loaded.
    pub debug_loads: u32,
    /// SYSENTER_CS was written.
    pub sysenter_cs_writes: u32,
    /// Interrupts were found off: before a switch and after it. With debug assertions only.
    pub checks: u32,
}

/// Offset of `current_task`, for the entry code and gdb.
pub const PERCPU_CURRENT_TASK: usize = offset_of!(PerCpu, current_task);
/// Offset of the hardware TSS's `sp0`.
pub const PERCPU_TSS_SP0: usize = offset_of!(PerCpu, tss) + offset_of!(X86HwTss, sp0);
const _: () = assert!(offset_of!(PerCpu, gdt_page) == 0);

struct Area(UnsafeCell<MaybeUninit<PerCpu>>);
// SAFETY: each area belongs to one CPU; what others read of it are single words.
unsafe impl Sync for Area {}

static AREAS: [Area; NR_CPUS] = [const { Area(UnsafeCell::new(MaybeUninit::zeroed())) }; NR_CPUS];

/// `__per_cpu_offset`: the area of each CPU; null before `setup_per_cpu_areas`.
#[unsafe(export_name = "__per_cpu_offset")]
pub static PER_CPU_OFFSET: [AtomicPtr<PerCpu>; NR_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; NR_CPUS];

/// CPUs that run, one bit each.
pub static CPU_ONLINE_MASK: AtomicU32 = AtomicU32::new(0);

/// Gives every possible CPU its area: zero but for its own address, its number and a TSS.
///
/// Linux: 2.6.38 `setup_per_cpu_areas`.
///
/// # Safety
/// 1. Called once, by the boot CPU, before `%fs` is loaded and before another CPU runs.
pub unsafe fn setup_per_cpu_areas() {
    for (cpu, area) in AREAS.iter().enumerate() {
        let p: *mut PerCpu = area.0.get().cast();
        // SAFETY: by 1 nobody else uses the area yet; all-zero bytes are a valid start for every
        // field that is not written here.
        unsafe {
            (*p).this_cpu_off = p as u32;
            (*p).cpu_number = cpu as u32;
            (&raw mut (*p).tss).write(TssStruct::new(KERNEL_DS.0));
            (&raw mut (*p).doublefault_tss).write(X86HwTss::ZERO);
        }
        PER_CPU_OFFSET[cpu].store(p, Ordering::Release);
    }
}

/// The area of CPU `cpu`, for who must look at another's.
///
/// # Panics
/// When `cpu` is not a possible CPU.
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

/// Writes a 4-byte field of this CPU's area by one `%fs` instruction: `unsafe`, as [`write_fs`].
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

/// The word at `%fs:OFFSET`; for [`this_cpu_read!`].
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
/// 1. `OFFSET` is a 4-byte field of the area, and `value` keeps what the rest of the kernel relies on
///    of that field: the task, stack, table or address space that it names is this CPU's.
#[inline(always)]
pub unsafe fn write_fs<const OFFSET: usize>(value: u32) {
    // SAFETY: %fs covers this CPU's area; the rest is 1.
    unsafe {
        asm!("movl {}, %fs:{}", in(reg) value, const OFFSET,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Stores a constant at `%fs:OFFSET`; for [`this_cpu_write!`] with `const`.
///
/// # Safety
/// 1. As [`write_fs`].
#[inline(always)]
pub unsafe fn write_fs_const<const OFFSET: usize, const VALUE: u32>() {
    // SAFETY: by 1; %fs covers this CPU's area.
    unsafe {
        asm!("movl ${}, %fs:{}", const VALUE, const OFFSET,
             options(att_syntax, nostack, preserves_flags));
    }
}

/// Whether `offset` is that of a counter, which only statistics read.
const fn is_counter(offset: usize) -> bool {
    let in_count = offset.wrapping_sub(offset_of!(PerCpu, count)) < size_of::<SwitchCounts>();
    let in_cpustat = offset.wrapping_sub(offset_of!(PerCpu, cpustat)) < size_of::<CpuUsageStat>();
    (in_count || in_cpustat) && offset.is_multiple_of(4)
}

/// Adds at `%fs:OFFSET`; for [`this_cpu_add!`].
#[inline(always)]
pub fn add_fs<const OFFSET: usize>(value: u32) {
    const { assert!(is_counter(OFFSET)) };
    // SAFETY: %fs covers this CPU's area, and the word is a counter: any value is one.
    unsafe {
        asm!("addl {}, %fs:{}", in(reg) value, const OFFSET, options(att_syntax, nostack));
    }
}

/// Adds 1 at `%fs:OFFSET`; for [`this_cpu_inc!`].
#[inline(always)]
pub fn inc_fs<const OFFSET: usize>() {
    const { assert!(is_counter(OFFSET)) };
    // SAFETY: %fs covers this CPU's area, and the word is a counter: any value is one.
    unsafe { asm!("incl %fs:{}", const OFFSET, options(att_syntax, nostack)) };
}

/// Number of this CPU. Preemption must be off for the answer to stay true.
#[inline(always)]
pub fn smp_processor_id() -> u32 {
    this_cpu_read!(cpu_number)
}

/// This CPU's area. Preemption must be off for it to stay this CPU's.
#[inline(always)]
pub fn this_cpu() -> *mut PerCpu {
    this_cpu_read!(this_cpu_off) as *mut PerCpu
}
