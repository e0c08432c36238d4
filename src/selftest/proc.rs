//! Cases of what `/proc` reads of tasks: where a task sleeps, found from its saved frame pointer.

extern crate alloc;

use super::Case;
use super::check::{Outcome, expect, expect_true};
use super::crew::{Crew, Slot, me, pass, sleep};
use crate::process::proc::wchan::get_wchan;
use crate::sched::wake_up::wake_up_process;

pub const CASES: &[Case] = &[
    Case {
        name: "wchan_is_read_from_the_saved_ebp",
        run: wchan_is_read_from_the_saved_ebp,
    },
    Case {
        name: "wchan_of_who_runs_or_waits_to_run_is_none",
        run: wchan_of_who_runs_is_none,
    },
];

/// The function in which the sleeper sleeps: it has a frame of its own, so there is one to find.
#[inline(never)]
fn a_place_to_sleep() -> u32 {
    sleep();
    // Work after the call; otherwise the compiler would make it a jump, without a frame.
    core::hint::black_box(1)
}

fn wchan_is_read_from_the_saved_ebp() -> Outcome {
    let slot = Slot::new();
    let sleeper = || {
        slot.enter();
        a_place_to_sleep();
        Ok(())
    };
    let looker = || {
        let task = slot.task()?;
        // Actors and the scheduler share `crew::sleep`; the frame above it is the place to find.
        let wchan = get_wchan(&task)?;
        let is_there = wchan
            .as_deref()
            .is_some_and(|name| ["sleep", "a_place_to_sleep"].contains(&name));
        if !is_there {
            expect(
                "where it sleeps",
                wchan.as_deref(),
                Some("a_place_to_sleep"),
            )?;
        }
        expect_true("it slept", wake_up_process(&task))
    };
    Crew::new()
        .actor("sleeper", sleeper)
        .actor("looker", looker)
        .run()
}

fn wchan_of_who_runs_is_none() -> Outcome {
    let slot = Slot::new();
    let one = || {
        slot.enter();
        // SAFETY: our own descriptor, and we run.
        expect("where who runs sleeps", get_wchan(unsafe { &*me() })?, None)?;
        pass();
        Ok(())
    };
    let other = || {
        expect(
            "where who waits to run sleeps",
            get_wchan(&*slot.task()?)?,
            None,
        )?;
        Ok(())
    };
    Crew::new().actor("one", one).actor("other", other).run()
}
