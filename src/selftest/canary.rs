//! Cases of the stack canary, in a kernel with the feature `stack_protector`.

extern crate alloc;
use core::hint::black_box;
use core::sync::atomic::Ordering;

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_true, failed};
use super::crew::{Crew, Journal, pass};
use super::smp::schedule_timeout_uninterruptible;
use crate::arch::x86::current::current;
use crate::arch::x86::switch::canary::live_canary;

pub const CASES: &[Case] = &[
    Case {
        name: "canary_differs_and_follows_its_task",
        run: canary_differs_and_follows_its_task,
    },
    Case {
        name: "canary_is_checked_where_a_frame_ends",
        run: canary_is_checked_where_a_frame_ends,
    },
    Case {
        name: "canary_frame_overwritten!",
        run: canary_frame_overwritten,
    },
];

fn live() -> Result<u32, Verdict> {
    live_canary().ok_or(Verdict::Skipped("needs a kernel with stack_protector"))
}

/// Functions read the running task's own word, before and after switches, whichever task woke on
/// whichever CPU; no two tasks share a word.
fn canary_differs_and_follows_its_task() -> Outcome {
    live()?;
    let seen = Journal::new();
    let play = || {
        let own = current().stack_canary.load(Ordering::Relaxed);
        for round in 0..20 {
            expect("the word of this task", live()?, own)?;
            match round % 4 {
                3 => schedule_timeout_uninterruptible(1),
                _ => pass(),
            }
        }
        seen.note(own);
        Ok(())
    };
    Crew::new()
        .actor("a", play)
        .actor("b", play)
        .actor_anywhere(!0, "c", play)
        .actor_anywhere(!0, "d", play)
        .run()?;
    let mut words = seen.entries();
    words.sort_unstable();
    words.dedup();
    expect("different words", words.len(), 4)?;
    expect_true("none is 0", !words.contains(&0))
}

/// The compiler puts the running task's word between the locals and the return address of this
/// frame.
fn canary_is_checked_where_a_frame_ends() -> Outcome {
    let own = live()?;
    let found = with_frame(|local| {
        (0..64).any(|word| {
            // SAFETY: reads upwards from a local of a caller, within this thread's stack.
            own == unsafe { local.add(word).read_volatile() }
        })
    });
    expect_true("the word lies above the locals", found)
}

#[inline(never)]
fn with_frame<R>(look: impl FnOnce(*mut u32) -> R) -> R {
    let mut locals = black_box([0u32; 8]);
    let result = look(black_box(locals.as_mut_ptr()));
    black_box(locals);
    result
}

/// Writes past the end of an array, up to its own return address.
fn canary_frame_overwritten() -> Outcome {
    let own = live()?;
    with_frame(|locals| {
        for word in 8..64 {
            // SAFETY: none; the damage is wanted. The canary check ends the kernel.
            unsafe {
                let at = locals.add(word);
                let is_canary = at.read_volatile() == own;
                at.write_volatile(0x4141_4141);
                if is_canary {
                    break;
                }
            }
        }
    });
    Err(failed(format_args!(
        "expected the end of the kernel, got back"
    )))
}
