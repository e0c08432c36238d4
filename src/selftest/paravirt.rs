//! Cases of the batching back end: no state of next is loaded before the batch ends, all of it
//! after.
//!
//! With `paravirt=native` they are skipped.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_hex, expect_true};
use super::crew::{Crew, pass};
use super::fpu::use_fpu;
use super::probe::{counts, cr3, gdt, hw_tss, my_thread, nr_switches, set_tls, ts};
use super::user::Mm;
use crate::arch::x86::switch::paravirt::{
    arch_enter_lazy_mmu_mode, arch_leave_lazy_mmu_mode, around_last_batch, is_batching, set_pte,
};

pub const CASES: &[Case] = &[
    Case {
        name: "paravirt_nothing_of_next_before_the_batch_ends",
        run: nothing_of_next_before_the_batch_ends,
    },
    Case {
        name: "paravirt_every_switch_is_a_batch",
        run: every_switch_is_a_batch,
    },
    Case {
        name: "paravirt_lazy_mmu_mode_waits_and_survives_a_switch",
        run: lazy_mmu_mode_waits_and_survives_a_switch,
    },
];

fn needs_batch() -> Outcome {
    match is_batching() {
        true => Ok(()),
        false => Err(Verdict::Skipped("needs paravirt=batch")),
    }
}

/// Two tasks differ in everything that a batch holds: CR3, TLS, sp0, CR0.TS.
fn nothing_of_next_before_the_batch_ends() -> Outcome {
    needs_batch()?;
    let theirs = [const { AtomicU32::new(0) }; 3];
    let one = || {
        set_tls(&[(6, 0x1000)])?;
        let own = Mm::move_into_new()?;
        // A slice with the FPU, so that the switch takes it away.
        use_fpu(|| ());
        for (word, value) in theirs.iter().zip([own.pgd(), 0x1000, my_thread(|t| t.sp0)]) {
            word.store(value, Ordering::Relaxed);
        }
        pass();
        Ok(())
    };
    let two = || {
        let Some((before, after)) = around_last_batch() else {
            return expect_true("there was a batch", false);
        };
        let [pgd, tls, sp0] = [0, 1, 2].map(|n: usize| theirs[n].load(Ordering::Relaxed));
        // On our stack, in the middle of the switch to us: the registers are still the other
        // task's.
        expect_hex("CR3 before", before.cr3, pgd)?;
        expect_hex("TLS base before", before.tls.base(), tls)?;
        expect_hex("sp0 before", before.sp0, sp0)?;
        expect("CR0.TS before", before.ts, false)?;
        expect_hex("TLS base after", after.tls.base(), 0)?;
        expect_hex("sp0 after", after.sp0, my_thread(|thread| thread.sp0))?;
        expect("CR0.TS after", after.ts, true)?;
        expect_hex("TLS base now", gdt(6).base(), 0)?;
        expect_hex("sp0 now", hw_tss().sp0, after.sp0)?;
        expect("CR0.TS now", ts(), true)?;
        // We borrow, so CR3 stays. The batch moves it when a user task comes.
        expect_hex("CR3 after", after.cr3, pgd)
    };
    let three = || {
        let own = Mm::move_into_new()?;
        pass();
        let Some((before, after)) = around_last_batch() else {
            return expect_true("there was a batch", false);
        };
        expect_true("CR3 before is another's", before.cr3 != own.pgd())?;
        expect_hex("CR3 after", after.cr3, own.pgd())?;
        // While CR3 is still the other's, flushes of its address space still reach us.
        expect("in the other's mask before", before.is_in_left, true)?;
        expect("in the other's mask after", after.is_in_left, false)?;
        expect_hex("CR3 now", cr3(), own.pgd())
    };
    Crew::new()
        .actor("three", three)
        .actor("one", one)
        .actor("two", two)
        .run()
}

/// Each switch begins one batch and ends it: otherwise the modes would complain.
fn every_switch_is_a_batch() -> Outcome {
    needs_batch()?;
    let play = || {
        let (switches, batches) = (nr_switches(), counts().paravirt_batches);
        for _ in 0..5 {
            pass();
        }
        let switched = nr_switches() - switches;
        expect_true("switches happened", switched >= 5)?;
        expect("batches", counts().paravirt_batches - batches, switched)
    };
    Crew::new().actor("a", play).actor("b", play).run()
}

/// Entries wait until the mode is left; a switch away leaves it, and a switch back enters it.
fn lazy_mmu_mode_waits_and_survives_a_switch() -> Outcome {
    needs_batch()?;
    static ENTRIES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    let entry = |n: usize| ENTRIES[n].load(Ordering::Relaxed);
    ENTRIES
        .iter()
        .for_each(|entry| entry.store(0, Ordering::Relaxed));
    let one = || {
        arch_enter_lazy_mmu_mode();
        set_pte(&ENTRIES[0], 1);
        let waits = entry(0);
        pass();
        set_pte(&ENTRIES[1], 2);
        let waits_again = entry(1);
        arch_leave_lazy_mmu_mode();
        expect("the first, within the mode", waits, 0)?;
        expect("the second, within the mode after a switch", waits_again, 0)?;
        expect("the second, outside", entry(1), 2)
    };
    let two = || {
        let seen = entry(0);
        // Outside the mode: a switch left it, and this task's mode is its own.
        set_pte(&ENTRIES[0], 3);
        expect("the first, after a switch", seen, 1)?;
        expect("one set outside the mode", entry(0), 3)?;
        pass();
        Ok(())
    };
    Crew::new().actor("one", one).actor("two", two).run()
}
