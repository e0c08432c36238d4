//! Cases of the lazy FPU. Nothing in the kernel raises #NM: an actor that wants the registers
//! asks for them as the handler would.

extern crate alloc;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_hex, expect_true};
use super::crew::{Crew, pass};
use super::probe::{counts, my_thread, thread_of, ts};
use crate::arch::x86::current::current;
use crate::arch::x86::switch::copy_thread::flush_thread;
use crate::arch::x86::switch::math_state::{FPU_PRELOAD_AFTER, is_eager, math_state_restore};
use crate::base::insn;
use crate::hw::fxsave::{FxsaveArea, INIT_MXCSR};
use crate::mm::fallible::{TryVec, try_box, try_collect};
use crate::sync::PreemptGuard;

pub const CASES: &[Case] = &[
    Case {
        name: "fpu_not_saved_without_use",
        run: fpu_not_saved_without_use,
    },
    Case {
        name: "fpu_ts_clear_exactly_with_usedfpu",
        run: fpu_ts_clear_exactly_with_usedfpu,
    },
    Case {
        name: "fpu_nm_once_per_slice_then_preload",
        run: fpu_nm_once_per_slice_then_preload,
    },
    Case {
        name: "fpu_counter_reset_when_unused",
        run: fpu_counter_reset_when_unused,
    },
    Case {
        name: "fpu_counter_wraps_at_256",
        run: fpu_counter_wraps_at_256,
    },
    Case {
        name: "fpu_registers_of_two_tasks_do_not_mix",
        run: fpu_registers_of_two_tasks_do_not_mix,
    },
    Case {
        name: "fpu_mxcsr_of_two_tasks_do_not_mix",
        run: fpu_mxcsr_of_two_tasks_do_not_mix,
    },
    Case {
        name: "fpu_new_user_gets_initial_state",
        run: fpu_new_user_gets_initial_state,
    },
    Case {
        name: "fpu_fork_copies_live_registers",
        run: fpu_fork_copies_live_registers,
    },
    Case {
        name: "fpu_eager_has_one_nm_in_all",
        run: fpu_eager_has_one_nm_in_all,
    },
    Case {
        name: "fpu_exec_discards",
        run: fpu_exec_discards,
    },
];

/// Calls `f` with the running task's registers in the processor; also returns whether that took
/// an #NM.
pub fn use_fpu<R>(f: impl FnOnce() -> R) -> (bool, R) {
    let _no_preempt = PreemptGuard::new();
    let trapped = ts();
    if trapped {
        assert!(
            math_state_restore(),
            "BUG: no memory for 512 bytes of FPU state"
        );
    }
    (trapped, f())
}

/// Returns an image in which the value of every register depends on `seed`.
fn image(seed: u32) -> Box<FxsaveArea> {
    let mut area = try_box(FxsaveArea::INIT).expect("memory for an image");
    area.cwd = 0x037f ^ (seed as u16 & 0x0c00);
    area.mxcsr = INIT_MXCSR ^ (seed & 0x6000);
    area.twd = 0xff;
    for (n, word) in (0u32..).zip(&mut area.xmm_space[..32]) {
        *word = seed.wrapping_mul(n * 2 + 1);
    }
    for (n, register) in (0u32..).zip(area.st_space.chunks_exact_mut(4)) {
        // A normal number: the top bit of the fraction is set, the exponent is in the middle.
        register[0] = seed ^ n;
        register[1] = 0x8000_0000 | seed.rotate_left(n);
        register[2] = 0x3fff + n;
    }
    area
}

/// Returns the parts of an image that a program can see.
fn visible(area: &FxsaveArea) -> (u16, u32, Vec<u32>) {
    let words = area.st_space.iter().chain(&area.xmm_space[..32]);
    let words = try_collect(words.copied()).expect("memory for the registers of an image");
    (area.cwd, area.mxcsr, words)
}

fn load(area: &FxsaveArea) {
    use_fpu(|| {
        // SAFETY: an image without reserved bits in MXCSR; TS is clear in here.
        unsafe { insn::fxrstor(core::ptr::from_ref(area).cast()) };
    });
}

fn store() -> Box<FxsaveArea> {
    let mut area = try_box(FxsaveArea::INIT).expect("memory for an image");
    use_fpu(|| {
        // SAFETY: 512 bytes of ours, aligned by their type; TS is clear in here.
        unsafe { insn::fxsave((&raw mut *area).cast()) };
    });
    area
}

/// Skips cases that count #NM, or look for CR0.TS, unless the kernel is lazy about the FPU.
fn needs_lazy_fpu() -> Outcome {
    match is_eager() {
        false => Ok(()),
        true => Err(Verdict::Skipped("fpu=eager")),
    }
}

/// With `fpu=eager` only the first slice has an #NM, however rarely the task uses the FPU.
fn fpu_eager_has_one_nm_in_all() -> Outcome {
    if !is_eager() {
        return Err(Verdict::Skipped("fpu=lazy"));
    }
    let play = || {
        let (mine, before) = (image(7), counts());
        load(&mine);
        for turn in 0..6 {
            pass();
            expect("TS", ts(), false)?;
            if turn % 3 == 0 {
                expect("registers", visible(&store()), visible(&mine))?;
            }
        }
        let after = counts();
        expect("#NM of both", after.fpu_nm - before.fpu_nm, 2)?;
        Ok(())
    };
    let other = || {
        let theirs = image(9);
        load(&theirs);
        for _ in 0..6 {
            pass();
            expect("registers", visible(&store()), visible(&theirs))?;
        }
        Ok(())
    };
    Crew::new().actor("a", play).actor("b", other).run()
}

/// An actor that only yields, so that the first has a task to switch to.
fn other(turns: usize) -> impl FnOnce() -> Outcome + Send {
    move || {
        for _ in 0..turns {
            pass();
        }
        Ok(())
    }
}

fn fpu_not_saved_without_use() -> Outcome {
    let play = || {
        let before = counts();
        for _ in 0..4 {
            expect_true("TS is set", ts())?;
            pass();
        }
        let after = counts();
        expect("states saved", after.fpu_saves - before.fpu_saves, 0)?;
        expect("states loaded", after.fpu_preloads - before.fpu_preloads, 0)
    };
    Crew::new().actor("a", play).actor("b", play).run()
}

fn fpu_ts_clear_exactly_with_usedfpu() -> Outcome {
    let agree = || expect("TS clear", !ts(), my_thread(|thread| thread.fpu_is_live()));
    let user = || {
        for turn in 0..10 {
            agree()?;
            if turn % 3 != 0 {
                use_fpu(|| ());
                expect_true("TS is clear after #NM", !ts())?;
                agree()?;
            }
            pass();
        }
        Ok(())
    };
    let other = || {
        for _ in 0..10 {
            agree()?;
            expect_true("TS is set for a task that never used the FPU", ts())?;
            pass();
        }
        Ok(())
    };
    Crew::new().actor("user", user).actor("other", other).run()
}

/// Preloading begins when the counter is above 5: six slices trap and the seventh does not.
fn fpu_nm_once_per_slice_then_preload() -> Outcome {
    needs_lazy_fpu()?;
    let user = || {
        let (mut traps, mut preloads, mut saves) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..9 {
            let before = counts();
            let (trapped, ()) = use_fpu(|| ());
            use_fpu(|| ());
            pass();
            let after = counts();
            traps.try_push(u32::from(trapped))?;
            expect("#NM counted", after.fpu_nm - before.fpu_nm, trapped.into())?;
            preloads.try_push(after.fpu_preloads - before.fpu_preloads)?;
            saves.try_push(after.fpu_saves - before.fpu_saves)?;
        }
        expect("slices with #NM", &traps[..], &[1, 1, 1, 1, 1, 1, 0, 0, 0])?;
        // Counted at the end of a slice: this includes the switch back to this task.
        expect(
            "slices that end with a preload",
            &preloads[..],
            &[0, 0, 0, 0, 0, 1, 1, 1, 1],
        )?;
        expect("saves in each slice", &saves[..], &[1; 9])?;
        expect("FPU_PRELOAD_AFTER", FPU_PRELOAD_AFTER, 5)
    };
    Crew::new()
        .actor("user", user)
        .actor("other", other(9))
        .run()
}

fn fpu_counter_reset_when_unused() -> Outcome {
    needs_lazy_fpu()?;
    let counter = || my_thread(|thread| thread.fpu_counter);
    let user = || {
        for slices in 1..=4 {
            use_fpu(|| ());
            expect("fpu_counter", counter(), slices)?;
            pass();
        }
        expect("fpu_counter after four slices", counter(), 4)?;
        pass(); // a slice without FPU instructions
        expect("fpu_counter after a slice without", counter(), 0)?;
        for slices in 1..=6 {
            let (trapped, ()) = use_fpu(|| ());
            expect_true("lazy again", trapped)?;
            expect("fpu_counter from the start", counter(), slices)?;
            pass();
        }
        expect_true("preloaded after six", !ts())
    };
    Crew::new()
        .actor("user", user)
        .actor("other", other(12))
        .run()
}

/// The counter has eight bits: a task that uses the FPU in every slice is lazy again after 256.
fn fpu_counter_wraps_at_256() -> Outcome {
    needs_lazy_fpu()?;
    let user = || {
        let mut traps = Vec::new();
        for slice in 1..=300u32 {
            let (trapped, ()) = use_fpu(|| ());
            if trapped {
                traps.try_push(slice)?;
            }
            pass();
        }
        let expected = try_collect((1..=6).chain(257..=262))?;
        expect("slices with #NM", traps, expected)
    };
    Crew::new()
        .actor("user", user)
        .actor("other", other(300))
        .run()
}

/// Two tasks keep their own x87, MMX and SSE registers and control words over many slices.
fn fpu_registers_of_two_tasks_do_not_mix() -> Outcome {
    let play = |seed: u32| {
        move || {
            for round in 0..12 {
                let wanted = image(seed + round);
                load(&wanted);
                pass();
                expect(
                    "registers after a switch",
                    visible(&store()),
                    visible(&wanted),
                )?;
                pass();
                expect(
                    "registers after another",
                    visible(&store()),
                    visible(&wanted),
                )?;
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(0x1234_5670))
        .actor("b", play(0x9abc_def0))
        .actor("none", other(24))
        .run()
}

fn fpu_mxcsr_of_two_tasks_do_not_mix() -> Outcome {
    let play = |mxcsr: u32| {
        move || {
            // SAFETY: no reserved bits; TS is clear in here.
            use_fpu(|| unsafe { insn::ldmxcsr(mxcsr) });
            for _ in 0..8 {
                pass();
                expect_hex("MXCSR", store().mxcsr, mxcsr)?;
            }
            Ok(())
        }
    };
    Crew::new()
        .actor("a", play(0x3f80))
        .actor("b", play(0x5f80))
        .run()
}

/// The first use of the FPU begins with the state after reset, whichever task used it before.
fn fpu_new_user_gets_initial_state() -> Outcome {
    let before = || {
        load(&image(0x7777_7770));
        pass();
        Ok(())
    };
    let new = || {
        let found = store();
        expect_hex("FCW", found.cwd.into(), 0x37f)?;
        expect_hex("MXCSR", found.mxcsr, INIT_MXCSR)?;
        expect_hex("registers in use", found.twd.into(), 0)?;
        expect("xmm0 to xmm7", &found.xmm_space[..32], &[0; 32])
    };
    Crew::new().actor("before", before).actor("new", new).run()
}

/// When the parent forks, the registers are newer than its copy in memory; the child gets them.
fn fpu_fork_copies_live_registers() -> Outcome {
    needs_lazy_fpu()?;
    let parent = || {
        let wanted = image(0x0f0f_0f00);
        load(&wanted);
        let child = crate::process::kthread::new_kernel_thread(nothing, 0, "child")?;
        let (copy, own) = thread_of(&child, |thread| {
            (thread.saved_fpu().map(visible), thread.fpu_is_live())
        });
        crate::sched::wake_up::wake_up_new_task(&child);
        expect("registers of the child", copy, Some(visible(&wanted)))?;
        expect("TS_USEDFPU of the child", own, false)?;
        expect_true("TS is set once the state is in memory", ts())?;
        expect(
            "registers of the parent",
            visible(&store()),
            visible(&wanted),
        )
    };
    Crew::new().actor("parent", parent).run()
}

extern "C" fn nothing(_: u32) -> i32 {
    0
}

/// After exec the program has no FPU state, and its first use traps.
fn fpu_exec_discards() -> Outcome {
    needs_lazy_fpu()?;
    let saves = AtomicU32::new(0);
    let user = || {
        load(&image(0x1111_1110));
        saves.store(counts().fpu_saves, Ordering::Relaxed);
        flush_thread(current());
        expect_true("TS is set", ts())?;
        expect("used_math", my_thread(|thread| thread.used_math()), false)?;
        expect("fpu_counter", my_thread(|thread| thread.fpu_counter), 0)?;
        pass();
        expect(
            "states saved",
            counts().fpu_saves - saves.load(Ordering::Relaxed),
            0,
        )?;
        expect_hex("MXCSR of the new program", store().mxcsr, INIT_MXCSR)
    };
    Crew::new()
        .actor("user", user)
        .actor("other", other(1))
        .run()
}
