//! Cases of TLS descriptors and of lazy `%gs`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex};
use super::crew::{Crew, Slot, pass};
use super::probe::{counts, gdt, my_thread, set_tls, thread_of};
use crate::arch::x86::probe::read_gs_word;
use crate::arch::x86::switch::forms::All;
use crate::arch::x86::switch::lazy_gs::load_user_gs;
use crate::arch::x86::switch::load_tls::load_tls;
use crate::arch::x86::switch::updates::Now;
use crate::base::insn::read_gs;
use crate::hw::desc::{DescStruct, GDT_ENTRY_TLS_MIN, Selector};

pub const CASES: &[Case] = &[
    Case {
        name: "tls_descriptors_follow_task",
        run: tls_descriptors_follow_task,
    },
    Case {
        name: "tls_second_and_third_slot_follow_task",
        run: tls_second_and_third_slot_follow_task,
    },
    Case {
        name: "new_task_has_its_parents_tls",
        run: new_task_has_its_parents_tls,
    },
    Case {
        name: "gs_saved_before_tls_changes",
        run: gs_saved_before_tls_changes,
    },
    Case {
        name: "gs_reloaded_when_either_nonzero",
        run: gs_reloaded_when_either_nonzero,
    },
    Case {
        name: "gs_same_selector_two_bases",
        run: gs_same_selector_two_bases,
    },
    Case {
        name: "gs_zero_in_both_no_reload",
        run: gs_zero_in_both_no_reload,
    },
    Case {
        name: "gs_bad_selector_falls_back_to_0",
        run: gs_bad_selector_falls_back_to_0,
    },
];

/// Selector of the first TLS entry, which C libraries use.
const TLS_SELECTOR: u16 = Selector::gdt(GDT_ENTRY_TLS_MIN, 3).0;
const _: () = assert!(TLS_SELECTOR == 0x33);

/// Fails unless entries 6, 7 and 8 have these bases; base 0 stands for an empty entry.
fn expect_tls(bases: [u32; 3]) -> Outcome {
    for (n, base) in bases.into_iter().enumerate() {
        let desc = gdt(GDT_ENTRY_TLS_MIN + n);
        let what = [
            "base of GDT entry 6",
            "base of GDT entry 7",
            "base of GDT entry 8",
        ][n];
        expect_hex(what, desc.base(), base)?;
        expect("the entry is empty", desc.is_empty(), base == 0)?;
    }
    Ok(())
}

/// Two tasks have one descriptor each, a third has none: each finds its own in this CPU's table.
fn tls_descriptors_follow_task() -> Outcome {
    let play = |base: u32| {
        move || {
            if base != 0 {
                set_tls(&[(6, base)])?;
            }
            for _ in 0..3 {
                expect_tls([base, 0, 0])?;
                pass();
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(0x000a_0000))
        .actor("b", play(0x000b_0000))
        .actor("c", play(0))
        .run()
}

/// The second and third entry, which few tasks have, are loaded and cleared with their task too.
fn tls_second_and_third_slot_follow_task() -> Outcome {
    let play = |bases: [u32; 3]| {
        move || {
            for (entry, base) in (6..).zip(bases).filter(|&(_, base)| base != 0) {
                set_tls(&[(entry, base)])?;
            }
            for _ in 0..3 {
                expect_tls(bases)?;
                pass();
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("all", play([0x1000, 0x2000, 0x3000]))
        .actor("none", play([0; 3]))
        .actor("eighth", play([0, 0, 0x4000]))
        .actor("sixth", play([0x5000, 0, 0]))
        .run()
}

/// The new task has a copy of its parent's descriptors, the third entry included.
fn new_task_has_its_parents_tls() -> Outcome {
    let play = || {
        set_tls(&[(6, 0x6000), (8, 0x8000)])?;
        let child = crate::process::kthread::new_kernel_thread(look_at_tls, 0, "child")?;
        crate::sched::wake_up::wake_up_new_task(&child);
        pass();
        expect(
            "what the child found",
            CHILD_FOUND.swap(0, Ordering::Relaxed),
            0x6000 + 0x8000,
        )
    };
    Crew::new().actor("parent", play).run()
}

static CHILD_FOUND: AtomicU32 = AtomicU32::new(0);

extern "C" fn look_at_tls(_: u32) -> i32 {
    CHILD_FOUND.store(gdt(6).base() + gdt(8).base(), Ordering::Relaxed);
    0
}

/// Though next has no descriptors, prev's context keeps the selector of its own.
fn gs_saved_before_tls_changes() -> Outcome {
    let slot = Slot::new();
    let holder = || {
        slot.enter();
        set_tls(&[(6, 0x1000)])?;
        load_user_gs(TLS_SELECTOR);
        my_thread(|thread| thread.gs = 0);
        pass();
        expect_hex(
            "%gs when the turn is back",
            read_gs().into(),
            TLS_SELECTOR.into(),
        )?;
        load_user_gs(0);
        Ok(())
    };
    let other = || {
        expect_tls([0; 3])?;
        expect_hex("%gs of a task without one", read_gs().into(), 0)?;
        let saved = thread_of(&*slot.task()?, |thread| thread.gs);
        expect_hex("thread.gs of the last task", saved, TLS_SELECTOR.into())
    };
    Crew::new()
        .actor("holder", holder)
        .actor("other", other)
        .run()
}

/// `%gs` is in use in prev alone, in neither, in both, and in next alone.
fn gs_reloaded_when_either_nonzero() -> Outcome {
    let before = AtomicU32::new(0);
    let mark = || before.store(counts().gs_loads, Ordering::Relaxed);
    let loads = || counts().gs_loads - before.load(Ordering::Relaxed);
    let holder = || {
        set_tls(&[(6, 0x1000)])?;
        load_user_gs(TLS_SELECTOR);
        mark();
        pass();
        expect("loads when both have %gs", loads(), 1)?;
        expect_hex("%gs", read_gs().into(), TLS_SELECTOR.into())?;
        load_user_gs(0);
        Ok(())
    };
    let zero = || {
        expect("loads when prev alone has %gs", loads(), 1)?;
        expect_hex("%gs of a task without one", read_gs().into(), 0)?;
        mark();
        pass();
        mark();
        Ok(())
    };
    let second = || {
        expect("loads when neither has %gs", loads(), 0)?;
        set_tls(&[(6, 0x2000)])?;
        load_user_gs(TLS_SELECTOR);
        mark();
        pass();
        expect("loads when next alone has %gs", loads(), 1)?;
        expect_hex("%gs", read_gs().into(), TLS_SELECTOR.into())?;
        load_user_gs(0);
        Ok(())
    };
    Crew::new()
        .actor("holder", holder)
        .actor("zero", zero)
        .actor("second", second)
        .run()
}

/// Both tasks have 0x33, each with its own base: the processor keeps a base until the selector is
/// loaded again.
fn gs_same_selector_two_bases() -> Outcome {
    static WORDS: [AtomicU32; 2] = [AtomicU32::new(0xaaaa_0001), AtomicU32::new(0xbbbb_0002)];
    let play = |word: &'static AtomicU32| {
        move || {
            set_tls(&[(6, core::ptr::from_ref(word) as u32)])?;
            load_user_gs(TLS_SELECTOR);
            for _ in 0..4 {
                expect_hex("%gs", read_gs().into(), TLS_SELECTOR.into())?;
                // SAFETY: the segment that this task itself set up begins at a static word.
                let found = unsafe { read_gs_word() };
                expect_hex("the word at %gs:0", found, word.load(Ordering::Relaxed))?;
                pass();
            }
            load_user_gs(0);
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(&WORDS[0]))
        .actor("b", play(&WORDS[1]))
        .run()
}

fn gs_zero_in_both_no_reload() -> Outcome {
    let play = || {
        load_user_gs(0);
        pass();
        for _ in 0..4 {
            let before = counts().gs_loads;
            pass();
            expect("loads of %gs", counts().gs_loads - before, 0)?;
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", play).run()
}

/// One task's descriptor was removed while it was away; another's never existed.
fn gs_bad_selector_falls_back_to_0() -> Outcome {
    let slot = Slot::new();
    let holder = || {
        slot.enter();
        set_tls(&[(6, 0x1000)])?;
        load_user_gs(TLS_SELECTOR);
        pass();
        expect_hex("%gs whose descriptor is empty", read_gs().into(), 0)?;
        pass();
        expect_hex("%gs beyond the table", read_gs().into(), 0)?;
        pass();
        expect_hex("%gs of a system segment", read_gs().into(), 0)?;
        set_tls(&[(6, 0x1000)])?;
        load_user_gs(TLS_SELECTOR);
        expect_hex(
            "%gs of a good descriptor",
            read_gs().into(),
            TLS_SELECTOR.into(),
        )?;
        my_thread(|thread| {
            thread.tls_array[0] = DescStruct::EMPTY;
            // SAFETY: descriptors that `do_set_thread_area` made, or empty ones; preemption is off.
            unsafe { load_tls::<All<Now>>(thread) };
        });
        load_user_gs(0);
        Ok(())
    };
    let spoiler = || {
        let task = slot.task()?;
        thread_of(&task, |thread| thread.tls_array[0] = DescStruct::EMPTY);
        pass();
        thread_of(&task, |thread| thread.gs = 0xfff3);
        pass();
        thread_of(&task, |thread| thread.gs = 0x83);
        pass();
        Ok(())
    };
    Crew::new()
        .actor("holder", holder)
        .actor("spoiler", spoiler)
        .run()
}
