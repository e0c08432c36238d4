//! Cases of counters that are about to overflow: the tasks that count go on.

use super::Case;
use super::check::{Outcome, expect, expect_true};
use super::crew::{Crew, pass};
use crate::arch::x86::current::current;
use crate::sched::rq::cpu_rq;
use crate::sched::timer::schedule_timeout;
use crate::sync::counter::Counter64;
use crate::task::state::TASK_UNINTERRUPTIBLE;

pub const CASES: &[Case] = &[Case {
    name: "switch_counters_wrap_around",
    run: switch_counters_wrap_around,
}];

/// Two tasks yield to each other while each counter of a switch, and of a task, passes its end;
/// then the tick carries the overflow into the upper half.
fn switch_counters_wrap_around() -> Outcome {
    let full = || {
        let me = current();
        me.nivcsw.set(u32::MAX - 1);
        me.nvcsw.set(u32::MAX);
        me.utime.set(u32::MAX);
        me.stime.set(u32::MAX);
        me.nr_migrations.set(u32::MAX);
        me.min_flt.set(u32::MAX);
        // SAFETY: guarded by the run-queue lock, which no other CPU takes for a task of this one; a
        // tick only adds to it.
        let info = unsafe { &mut *me.sched_info.get() };
        (info.pcount, info.run_delay, info.cpu_time) = (u32::MAX, u64::MAX, u64::MAX);
        for turn in [u32::MAX, 0, 1] {
            pass();
            expect("nivcsw", me.nivcsw.get(), turn)?;
        }
        me.state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(2);
        expect("nvcsw after a sleep", me.nvcsw.get(), 0)
    };
    let counter = || -> &'static Counter64 { &cpu_rq(0).nr_switches };
    let of_cpu = || {
        counter().set(u64::from(u32::MAX) - 2);
        Ok(())
    };
    Crew::new()
        .actor_on(0, "cpu", of_cpu)
        .actor_on(0, "a", full)
        .actor_on(0, "b", full)
        .run()?;
    let after = counter().get();
    expect_true("nr_switches has passed 2³²", after > 1 << 32)?;
    expect_true("and counts on", after < (1 << 32) + 1000)
}
