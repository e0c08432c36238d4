//! `__switch_to`, step by step: the rest of the hardware context.
//!
//! Book: ch. 3, "The __switch_to() Function".

use super::guide::Guide;
use crate::arch::x86::current::current;
use crate::arch::x86::switch::io_bitmap;
use crate::arch::x86::switch::lazy_gs::load_user_gs;
use crate::arch::x86::switch::math_state::{
    FPU_PRELOAD_AFTER, clear_used_math, is_eager, math_state_restore,
};
use crate::base::cmdline::IoBitmapMode;
use crate::base::insn;
use crate::hw::cr::Cr4;
use crate::hw::tss::KERNEL_TSS_LIMIT;
use crate::selftest::crew::{Crew, Journal, pass};
use crate::selftest::probe::{counts, gdt, hw_tss, my_thread, set_tls, ts};
use crate::sync::PreemptGuard;
use crate::task::io_bitmap::ioperm;
use crate::task::thread_struct::{TIF_DEBUG, TIF_IO_BITMAP, TIF_NOTSC};

/// Shows that the TSS is per CPU, and only its sp0 belongs to the task.
pub fn sp0(guide: &mut Guide) {
    guide.say("There is one TSS per CPU. At an entry from ring 3 the processor takes the");
    guide.say("stack from its sp0, so load_sp0 writes next's there at every switch.");
    let seen = Journal::new();
    let act = || {
        for _ in 0..2 {
            seen.note((
                current().pid(),
                my_thread(|t| t.sp0),
                hw_tss().sp0,
                insn::str(),
            ));
            pass();
        }
        Ok(())
    };
    guide.ended(Crew::new().actor("a", act).actor("b", act).run());
    for (pid, own, tss, tr) in seen.entries() {
        guide.show(format_args!(
            "pid {pid}: thread.sp0 {own:#010x}, TSS sp0 {tss:#010x}, TR {tr:#x}"
        ));
        guide.check(
            own == tss && tr == 0x80,
            "the TSS has this task's sp0; TR is 0x80 for ever",
        );
    }
}

/// Shows two tasks with the same selector and different bases.
pub fn tls_and_gs(guide: &mut Guide) {
    guide.say("Both tasks have %gs = 0x33, GDT entry 6; each has its own base there. prev's");
    guide.say("%gs is saved before entry 6 changes; next's is loaded if either is not 0,");
    guide.say("for the processor goes on using the old base until %gs is written.");
    let seen = Journal::new();
    let play = |base: u32| {
        let seen = &seen;
        move || {
            set_tls(&[(6, base)])?;
            load_user_gs(0x33);
            for _ in 0..2 {
                pass();
                seen.note((
                    current().pid(),
                    base,
                    gdt(6).base(),
                    insn::read_gs(),
                    counts().gs_loads,
                ));
            }
            load_user_gs(0);
            Ok(())
        }
    };
    guide.ended(
        Crew::new()
            .actor("a", play(0x1000))
            .actor("b", play(0x2000))
            .run(),
    );
    for (pid, base, in_gdt, gs, loads) in seen.entries() {
        guide.show(format_args!(
            "pid {pid}: GDT 6 base {in_gdt:#x}, %gs {gs:#x}, loads of %gs so far {loads}"
        ));
        guide.check(
            base == in_gdt && gs == 0x33,
            "its own base and selector are back",
        );
    }
}

/// Shows that FPU registers move only when they are used, or after five slices of use.
pub fn fpu(guide: &mut Guide) {
    guide.say("FPU registers are saved only if prev used them (TS_USEDFPU), and CR0.TS is");
    guide.say("set; the first use by next faults, #NM, and loads them. A task that used them");
    guide.say("in more than five slices in a row gets them from the switch itself.");
    let at_nm = match is_eager() {
        false => FPU_PRELOAD_AFTER + 1,
        true => {
            guide.say("With fpu=eager every task that has any does.");
            1
        }
    };
    let seen = Journal::new();
    let user = || {
        for slice in 1..=8u32 {
            let preloaded = !ts();
            if !preloaded {
                let _no_preempt = PreemptGuard::new();
                math_state_restore(); // as #NM does
            }
            seen.note((slice, preloaded, counts().fpu_saves));
            pass();
        }
        clear_used_math(current());
        Ok(())
    };
    let other = || {
        for _ in 0..8 {
            pass();
        }
        Ok(())
    };
    guide.ended(Crew::new().actor("user", user).actor("other", other).run());
    let first = seen.entries().first().map_or(0, |e| e.2);
    let mut right = true;
    for (slice, preloaded, saves) in seen.entries() {
        let how = if preloaded {
            "loaded by the switch"
        } else {
            "loaded at #NM"
        };
        guide.show(format_args!(
            "slice {slice}: {how}, saves so far {}",
            saves - first
        ));
        right &= preloaded == (slice > at_nm) && saves - first == slice - 1;
    }
    guide.check(
        right,
        match is_eager() {
            false => "saved after each slice with use; preloaded after more than five",
            true => "saved after each slice with use; preloaded after the first",
        },
    );
}

/// Shows `__switch_to_xtra`, for state that few tasks have.
pub fn xtra(guide: &mut Guide) {
    guide.say("Few tasks have ports of their own, breakpoints, or no time-stamp counter.");
    guide.say("__switch_to_xtra is called when either task has such a flag. Of the bitmap");
    guide.say("max(prev, next) bytes are copied; ones, when next has none.");
    match io_bitmap::mode() {
        IoBitmapMode::Copy => {}
        IoBitmapMode::Lazy => guide.say("With io_bitmap=lazy not here, but at next's first #GP."),
        IoBitmapMode::Invalidate => {
            guide.say("With io_bitmap=invalidate not here, but on next's way to ring 3.");
        }
    }
    let seen = Journal::new();
    let look = || {
        (
            counts().io_bitmap_bytes,
            insn::read_cr4() & Cr4::TSD.bits() != 0,
            insn::get_debugreg(0),
            hw_tss().io_bitmap_base,
        )
    };
    let owner = || {
        my_thread(|t| {
            ioperm(&mut t.io_bitmap, 0x80, 1, true, true)?;
            t.set_work(TIF_IO_BITMAP | TIF_NOTSC | TIF_DEBUG, true);
            t.debugreg[0] = 0xb0b0;
            Ok::<_, crate::base::errno::Errno>(())
        })?;
        seen.note(("start", look()));
        pass();
        seen.note(("owner", look()));
        my_thread(|t| t.set_work(TIF_DEBUG, false));
        Ok(())
    };
    let other = || {
        seen.note(("other", look()));
        Ok(())
    };
    guide.ended(
        Crew::new()
            .actor("owner", owner)
            .actor("other", other)
            .run(),
    );
    let e = seen.entries();
    let [(_, start), (_, other), (_, owner)] = e[..] else {
        return guide.check(false, "both came onto the stage");
    };
    guide.show(format_args!(
        "to other: {} bytes of ones, CR4.TSD {}",
        other.0 - start.0,
        u8::from(other.1)
    ));
    guide.show(format_args!(
        "to owner: {} bytes copied,  CR4.TSD {}, DR0 {:#x}",
        owner.0 - other.0,
        u8::from(owner.1),
        owner.2
    ));
    let (to_other, to_owner) = (other.0 - start.0, owner.0 - other.0);
    match io_bitmap::mode() {
        IoBitmapMode::Copy => guide.check(
            to_other == 20 && to_owner == 20,
            "20 bytes each way: up to port 0x80",
        ),
        IoBitmapMode::Lazy | IoBitmapMode::Invalidate => guide.check(
            to_other + to_owner == 0 && u32::from(owner.3) > KERNEL_TSS_LIMIT,
            "nothing is copied; the TSS says that the bitmap is past its limit",
        ),
    }
    guide.check(!other.1 && owner.1, "RDTSC faults in the owner only");
    guide.check(owner.2 == 0xb0b0, "the owner's DR0 is loaded");
}
