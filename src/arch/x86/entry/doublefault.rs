//! The double fault: a separate hardware task, because the stack may be unusable.
//!
//! A kernel stack that overflows runs into its guard page; the page fault cannot push its frame
//! there either, and the processor raises #DF. Its gate switches to the hardware task of GDT entry
//! 31, which has its own stack; the interrupted registers are in this CPU's TSS. It ends in a
//! report and never returns.
//!
//! Book: ch. 4, "Exception Handling" ("Double fault" is the one task gate).
//! Linux: 2.6.38 `doublefault_32.c`.
//! SDM: vol. 3, 6.15 "Interrupt 8—Double Fault Exception", 7.3 "Task Switching".

use core::cell::UnsafeCell;

use crate::arch::x86::epitaph;
use crate::arch::x86::switch::canary::KERNEL_GS;
use crate::base::insn;
use crate::base::percpu::{NR_CPUS, per_cpu, this_cpu};
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::THREAD_SIZE;
use crate::hw::desc::{KERNEL_CS, KERNEL_DS, KERNEL_PERCPU, USER_DS};
use crate::hw::eflags::Eflags;
use crate::hw::pte::PAGE_SIZE;
use crate::hw::tss::X86HwTss;
use crate::mm::thread_stack;

/// A kernel stack with room for `thread_info` at its foot, which stays zero.
#[repr(C, align(8192))]
struct Stack(UnsafeCell<[u8; THREAD_SIZE]>);

// SAFETY: each stack belongs to one CPU, and only that CPU uses it.
unsafe impl Sync for Stack {}

static STACKS: [Stack; NR_CPUS] = [const { Stack(UnsafeCell::new([0; THREAD_SIZE])) }; NR_CPUS];

unsafe extern "C" {
    /// The page below the boot stack, which is never mapped.
    static init_stack_guard: u8;
}

/// Sets up the double-fault task of CPU `cpu`, which runs on the page tables now in CR3.
///
/// # Safety
/// Called on that CPU, once, after `setup_per_cpu_areas`, on page tables that stay.
pub unsafe fn init_doublefault_tss(cpu: u32) {
    let ds = USER_DS.bits();
    let tss = X86HwTss {
        sp0: top_of_stack(cpu),
        ss0: KERNEL_DS.bits(),
        cr3: insn::read_cr3(),
        ip: doublefault_fn as *const () as u32,
        flags: Eflags::FIXED.bits(),
        sp: top_of_stack(cpu),
        cs: KERNEL_CS.bits(),
        ss: KERNEL_DS.bits(),
        ds,
        es: ds,
        fs: KERNEL_PERCPU.bits(),
        gs: KERNEL_GS as u16,
        io_bitmap_base: size_of::<X86HwTss>() as u16,
        ..X86HwTss::ZERO
    };
    // SAFETY: by the caller's duty nothing else uses that area's TSS now.
    unsafe { (*per_cpu(cpu)).doublefault_tss = tss };
}

fn top_of_stack(cpu: u32) -> u32 {
    STACKS[cpu as usize].0.get() as u32 + THREAD_SIZE as u32
}

/// Reports the double fault. The hardware task runs only this function.
extern "C" fn doublefault_fn() -> ! {
    // SAFETY: %fs was loaded from the task's TSS. The processor has stored the interrupted
    // registers in the CPU's TSS and will not touch it again.
    let tss = unsafe { (*this_cpu()).tss.x86_tss };
    let cr2 = insn::read_cr2();
    let regs = PtRegs {
        bx: tss.bx,
        cx: tss.cx,
        dx: tss.dx,
        si: tss.si,
        di: tss.di,
        bp: tss.bp,
        ax: tss.ax,
        ds: tss.ds.into(),
        es: tss.es.into(),
        fs: tss.fs.into(),
        gs: tss.gs.into(),
        orig_ax: 0,
        ip: tss.ip,
        cs: tss.cs.into(),
        flags: tss.flags,
        sp: tss.sp,
        ss: tss.ss.into(),
    };
    let is_overflow = is_in_guard(cr2) || is_in_guard(tss.sp);
    let cause = if is_overflow {
        ": kernel stack overflow"
    } else {
        ""
    };
    epitaph::die(format_args!("double fault{cause}"), &regs, tss.sp)
}

fn is_in_guard(address: u32) -> bool {
    let boot_guard = &raw const init_stack_guard as u32;
    thread_stack::guarded_stack(address).is_some()
        || (boot_guard..boot_guard + PAGE_SIZE).contains(&address)
}
