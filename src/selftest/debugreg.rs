//! Cases of the debug registers: loaded for a task that has breakpoints, harmless for others.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_hex};
use super::crew::{Crew, pass};
use super::probe::{counts, my_thread};
use crate::arch::x86::breakpoints::breakpoints_hit;
use crate::arch::x86::switch::switch_to_xtra::load_debug_registers;
use crate::base::insn::get_debugreg;
use crate::hw::debugreg::{BreakLen, BreakOn, DR7_EMPTY, Dr6, Dr7};
use crate::sync::PreemptGuard;
use crate::task::thread_struct::TIF_DEBUG;

pub const CASES: &[Case] = &[
    Case {
        name: "debugreg_load_only_next",
        run: debugreg_load_only_next,
    },
    Case {
        name: "debugreg_of_two_tasks_do_not_mix",
        run: debugreg_of_two_tasks_do_not_mix,
    },
    Case {
        name: "debugreg_stale_dr7_harmless",
        run: debugreg_stale_dr7_harmless,
    },
    Case {
        name: "debugreg_hits_only_in_own_task",
        run: debugreg_hits_only_in_own_task,
    },
];

static WATCHED: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// DR7 with a breakpoint on writes of four bytes at DR0.
const ON_WRITE: u32 = Dr7::empty()
    .enable(0, BreakOn::Write, BreakLen::Four)
    .bits()
    | DR7_EMPTY;

/// Makes the running task watch `word`, as ptrace's POKEUSR would.
fn watch(word: &'static AtomicU32) {
    my_thread(|thread| {
        thread.debugreg = [core::ptr::from_ref(word) as u32, 0, 0, 0];
        thread.debugreg6 = 0;
        thread.debugreg7 = ON_WRITE;
        thread.set_work(TIF_DEBUG, true);
        load_debug_registers(thread);
    });
}

/// Takes the running task's breakpoints away; the registers stay as they are.
fn forget() {
    my_thread(|thread| {
        thread.debugreg7 = 0;
        thread.set_work(TIF_DEBUG, false);
    });
}

/// Writes to `word` and returns, as bits of DR6, the breakpoints that hit the running task since
/// the last call. Preemption is off, so the hit is recorded and sends no signal.
fn hits(word: &'static AtomicU32) -> u32 {
    let _no_preempt = PreemptGuard::new();
    word.fetch_add(1, Ordering::SeqCst);
    my_thread(|thread| core::mem::take(&mut thread.debugreg6)) & 0xf
}

/// Skips a case on a processor that keeps the debug registers and never looks at them.
fn needs_breakpoints() -> Outcome {
    match breakpoints_hit() {
        true => Ok(()),
        false => Err(Verdict::Skipped("breakpoints never hit on this processor")),
    }
}

fn debugreg_load_only_next() -> Outcome {
    let watcher = || {
        watch(&WATCHED[0]);
        for _ in 0..3 {
            let before = counts().debug_loads;
            pass();
            expect(
                "loads of debug registers, there and back",
                counts().debug_loads - before,
                1,
            )?;
            expect_hex("DR0", get_debugreg(0), &raw const WATCHED[0] as u32)?;
            expect_hex("DR7", get_debugreg(7), ON_WRITE)?;
        }
        forget();
        Ok(())
    };
    let other = || {
        for _ in 0..2 {
            let before = counts().debug_loads;
            pass();
            expect(
                "loads of debug registers, there and back",
                counts().debug_loads - before,
                1,
            )?;
        }
        pass();
        Ok(())
    };
    Crew::new()
        .actor("watcher", watcher)
        .actor("other", other)
        .run()
}

fn debugreg_of_two_tasks_do_not_mix() -> Outcome {
    needs_breakpoints()?;
    let play = |n: usize| {
        move || {
            watch(&WATCHED[n]);
            for _ in 0..4 {
                expect_hex("DR0", get_debugreg(0), &raw const WATCHED[n] as u32)?;
                expect_hex("hits of the own word", hits(&WATCHED[n]), Dr6::B0.bits())?;
                expect_hex("hits of the other's word", hits(&WATCHED[1 - n]), 0)?;
                pass();
            }
            forget();
            Ok(())
        }
    };
    Crew::new().actor("a", play(0)).actor("b", play(1)).run()
}

/// The switch never clears DR7 on the way out: the first hit in a task without breakpoints does.
fn debugreg_stale_dr7_harmless() -> Outcome {
    needs_breakpoints()?;
    let watcher = || {
        watch(&WATCHED[0]);
        pass();
        forget();
        Ok(())
    };
    let other = || {
        expect_hex("DR7, left behind", get_debugreg(7), ON_WRITE)?;
        expect_hex("hits", hits(&WATCHED[0]), 0)?;
        expect_hex("DR7 after the hit", get_debugreg(7), DR7_EMPTY)?;
        expect_hex("hits, the second time", hits(&WATCHED[0]), 0)
    };
    Crew::new()
        .actor("watcher", watcher)
        .actor("other", other)
        .run()
}

fn debugreg_hits_only_in_own_task() -> Outcome {
    needs_breakpoints()?;
    let watcher = || {
        watch(&WATCHED[0]);
        for _ in 0..4 {
            expect_hex(
                "hits in the task that watches",
                hits(&WATCHED[0]),
                Dr6::B0.bits(),
            )?;
            pass();
        }
        forget();
        Ok(())
    };
    let other = || {
        for _ in 0..4 {
            expect_hex("hits in another task", hits(&WATCHED[0]), 0)?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("watcher", watcher)
        .actor("other", other)
        .run()
}
