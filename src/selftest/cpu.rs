//! Cases of what exists once a CPU: its TSS, its task register, CR4.TSD, the SYSENTER registers.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex};
use super::crew::{Crew, pass};
use super::probe::{area_address, counts, gdt, hw_tss, my_thread, set_tls, tss_address};
use crate::arch::x86::switch::copy_thread::set_tsc_mode;
use crate::arch::x86::switch::forms::All;
use crate::arch::x86::switch::io_bitmap;
use crate::arch::x86::switch::load_sp0::load_sp0;
use crate::arch::x86::switch::updates::Now;
use crate::base::cmdline::IoBitmapMode;
use crate::base::insn;
use crate::base::insn::{
    MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_EIP, MSR_IA32_SYSENTER_ESP, read_cr4,
};
use crate::hw::cr::Cr4;
use crate::hw::desc::{
    GDT_ENTRY_DOUBLEFAULT_TSS, GDT_ENTRY_PERCPU, GDT_ENTRY_TSS, GDT_SIZE, KERNEL_CS, TSS_SELECTOR,
    TYPE_TSS_AVAILABLE, TYPE_TSS_BUSY,
};
use crate::hw::tss::{IO_BITMAP_OFFSET, KERNEL_TSS_LIMIT, TssStruct};
use crate::task::thread_struct::TIF_SYSENTER_CS;

pub const CASES: &[Case] = &[
    Case {
        name: "one_tss_per_cpu_ltr_once",
        run: one_tss_per_cpu_ltr_once,
    },
    Case {
        name: "tsc_disable_follows_task",
        run: tsc_disable_follows_task,
    },
    Case {
        name: "tsc_disable_is_inherited",
        run: tsc_disable_is_inherited,
    },
    Case {
        name: "sysenter_cs_cached_in_ss1",
        run: sysenter_cs_cached_in_ss1,
    },
    Case {
        name: "sysenter_esp_set_once",
        run: sysenter_esp_set_once,
    },
];

/// The task register is the same in every task, and its descriptor is busy since the one `ltr`:
/// a second one would have faulted.
fn one_tss_per_cpu_ltr_once() -> Outcome {
    let play = || {
        for _ in 0..3 {
            let gdtr = insn::sgdt();
            expect_hex("base of GDTR", gdtr.base, area_address())?;
            expect_hex("limit of GDTR", gdtr.limit.into(), GDT_SIZE as u32 - 1)?;
            expect_hex("task register", insn::str().into(), TSS_SELECTOR.0.into())?;
            let tss = gdt(GDT_ENTRY_TSS);
            expect_hex("base of GDT entry 16", tss.base(), tss_address())?;
            expect("limit of GDT entry 16", tss.limit_bytes(), KERNEL_TSS_LIMIT)?;
            expect("type of GDT entry 16", tss.segment_type(), TYPE_TSS_BUSY)?;
            // The other strategies change the base at the switch.
            if io_bitmap::mode() == IoBitmapMode::Copy {
                let base = hw_tss().io_bitmap_base;
                expect_hex("I/O map base", base.into(), IO_BITMAP_OFFSET.into())?;
            }
            expect_hex(
                "base of GDT entry 27",
                gdt(GDT_ENTRY_PERCPU).base(),
                area_address(),
            )?;
            let doublefault = gdt(GDT_ENTRY_DOUBLEFAULT_TSS).segment_type();
            expect("type of GDT entry 31", doublefault, TYPE_TSS_AVAILABLE)?;
            pass();
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", play).run()
}

fn tsd() -> bool {
    read_cr4() & Cr4::TSD.bits() != 0
}

fn tsc_disable_follows_task() -> Outcome {
    let without = || {
        set_tsc_mode(false);
        for _ in 0..3 {
            expect("CR4.TSD of the task without the counter", tsd(), true)?;
            pass();
        }
        set_tsc_mode(true);
        expect("CR4.TSD once it is allowed", tsd(), false)
    };
    let with = || {
        for _ in 0..3 {
            expect("CR4.TSD of another task", tsd(), false)?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("without", without)
        .actor("with", with)
        .actor("with too", with)
        .run()
}

/// What the child found of CR4.TSD: 1 for clear, 2 for set, 0 before it has looked.
static CHILD_TSD: AtomicU32 = AtomicU32::new(0);

extern "C" fn look_at_tsd(_: u32) -> i32 {
    CHILD_TSD.store(1 + u32::from(tsd()), Ordering::Relaxed);
    0
}

fn tsc_disable_is_inherited() -> Outcome {
    let parent = || {
        set_tsc_mode(false);
        let child = crate::process::kthread::new_kernel_thread(look_at_tsd, 0, "child")?;
        set_tsc_mode(true);
        crate::sched::wake_up::wake_up_new_task(&child);
        pass();
        expect(
            "what the child found",
            CHILD_TSD.swap(0, Ordering::Relaxed),
            2,
        )?;
        expect("CR4.TSD of the parent", tsd(), false)
    };
    Crew::new().actor("parent", parent).run()
}

fn sysenter_cs() -> u32 {
    // SAFETY: the CPU has SEP, which the boot code asked for.
    unsafe { insn::rdmsr(MSR_IA32_SYSENTER_CS) as u32 }
}

/// The switch writes the register only when next wants a value other than the one in `ss1`.
fn sysenter_cs_cached_in_ss1() -> Outcome {
    let writes = AtomicU32::new(0);
    let mark = || writes.store(counts().sysenter_cs_writes, Ordering::Relaxed);
    let written = || counts().sysenter_cs_writes - writes.load(Ordering::Relaxed);
    let agree = |cs: u32| {
        expect_hex("SYSENTER_CS", sysenter_cs(), cs)?;
        expect_hex("ss1 of the TSS", hw_tss().ss1.into(), cs)
    };
    let kernel_cs = u32::from(KERNEL_CS.0);
    let without = || {
        agree(kernel_cs)?;
        my_thread(|thread| {
            thread.sysenter_cs = 0;
            thread.set_work(TIF_SYSENTER_CS, true);
            // SAFETY: our own context, whose `sp0` is the switch's; preemption is off.
            unsafe { load_sp0::<All<Now>>(thread) };
        });
        for _ in 0..2 {
            agree(0)?;
            mark();
            pass();
            expect("writes of a switch to another value", written(), 1)?;
        }
        my_thread(|thread| {
            thread.sysenter_cs = kernel_cs;
            // SAFETY: our own context, whose `sp0` is the switch's; preemption is off.
            unsafe { load_sp0::<All<Now>>(thread) };
            thread.set_work(TIF_SYSENTER_CS, false);
        });
        Ok(())
    };
    // Both have the second TLS entry: otherwise the switch between them would not even look.
    let first = || {
        set_tls(&[(7, 0x1000)])?;
        for _ in 0..2 {
            expect("writes of a switch to another value", written(), 1)?;
            agree(kernel_cs)?;
            mark();
            pass();
        }
        Ok(())
    };
    let second = || {
        set_tls(&[(7, 0x2000)])?;
        for _ in 0..2 {
            expect("writes of a switch to the same value", written(), 0)?;
            agree(kernel_cs)?;
            mark();
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("without", without)
        .actor("first", first)
        .actor("second", second)
        .run()
}

/// SYSENTER_ESP is the end of this CPU's TSS, whichever task runs: the entry code fetches `sp0`
/// from there.
fn sysenter_esp_set_once() -> Outcome {
    unsafe extern "C" {
        fn sysenter_entry();
    }
    let play = || {
        for _ in 0..3 {
            // SAFETY: the CPU has SEP, which the boot code asked for.
            let (esp, eip) = unsafe {
                (
                    insn::rdmsr(MSR_IA32_SYSENTER_ESP) as u32,
                    insn::rdmsr(MSR_IA32_SYSENTER_EIP) as u32,
                )
            };
            expect_hex(
                "SYSENTER_ESP",
                esp,
                tss_address() + size_of::<TssStruct>() as u32,
            )?;
            expect_hex("SYSENTER_EIP", eip, sysenter_entry as *const () as u32)?;
            pass();
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", play).run()
}
