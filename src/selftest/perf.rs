//! Cases of perf events that the switch updates.

extern crate alloc;
use core::sync::atomic::Ordering;

use super::Case;
use super::check::{Outcome, expect, expect_true, expect_within};
use super::crew::{Crew, Slot, pass};
use crate::arch::x86::current::current;
use crate::base::insn::rdtsc;
use crate::sched::hooks::perf_event::PerfEvent;
use crate::task::hooks::HOOK_PERF_EVENTS;
use crate::task::perf_attr::{PerfEventAttr, SwEvent};
use crate::task::state::TASK_DEAD;
use crate::task::task_struct::TaskRef;
use alloc::sync::Arc;

pub const CASES: &[Case] = &[
    Case {
        name: "perf_counts_each_switch_of_its_task",
        run: perf_counts_each_switch_of_its_task,
    },
    Case {
        name: "perf_clocks_of_two_tasks_share_the_time",
        run: perf_clocks_of_two_tasks_share_the_time,
    },
    Case {
        name: "perf_event_leaves_a_dead_task",
        run: perf_event_leaves_a_dead_task,
    },
];

fn open(task: &TaskRef, what: SwEvent) -> Result<Arc<PerfEvent>, super::check::Verdict> {
    let attr = PerfEventAttr::software(what, 0);
    Ok(PerfEvent::open(task, attr, None, None)?)
}

/// An event counts its own task's switches, not another's; a task without events has no hook.
fn perf_counts_each_switch_of_its_task() -> Outcome {
    let one = || {
        let me = current().get_task_struct();
        let switches = || me.nvcsw.get() + me.nivcsw.get();
        let has_hook = || me.hooks.contains(HOOK_PERF_EVENTS);
        let before = switches();
        let event = open(&me, SwEvent::ContextSwitches)?;
        expect_true("a hook with an event", has_hook())?;
        (0..5).for_each(|_| pass());
        let (counted, passed) = (event.read().count, switches() - before);
        event.release();
        expect_true("no hook without one", !has_hook())?;
        pass();
        expect("switches counted", counted, u64::from(passed))?;
        expect_true("the five", passed >= 5)?;
        expect("counted after its end", event.read().count, counted)
    };
    let other = || {
        (0..7).for_each(|_| pass());
        Ok(())
    };
    Crew::new()
        .actor("one", one)
        .actor("other", other)
        .actor("third", other)
        .run()
}

/// Two tasks share a CPU: both clocks run, and their sum is no more than the time that passed.
fn perf_clocks_of_two_tasks_share_the_time() -> Outcome {
    let (a, b) = (Slot::new(), Slot::new());
    let one = || {
        a.enter();
        pass();
        let (first, second) = (a.task()?, b.task()?);
        let mine = open(&first, SwEvent::TaskClock)?;
        let its = open(&second, SwEvent::TaskClock)?;
        let look = || (mine.read(), its.read());
        // The first call takes longest, and would hide time that is counted twice.
        look();
        let begin = rdtsc();
        let (mine_before, its_before) = look();
        (0..6).for_each(|_| pass());
        let (mine_ran, its_ran) = look();
        let passed = rdtsc() - begin;
        mine.release();
        its.release();
        let mine_counted = mine_ran.count - mine_before.count;
        let its_counted = its_ran.count - its_before.count;
        expect_true("mine goes", mine_counted > 0)?;
        expect_true("its goes", its_counted > 0)?;
        expect("its time counting", its_ran.time_running, its_ran.count)?;
        expect_within("together", mine_counted + its_counted, 1, passed)
    };
    let two = || {
        b.enter();
        (0..8).for_each(|_| pass());
        Ok(())
    };
    Crew::new().actor("one", one).actor("two", two).run()
}

/// An event that is still open keeps its count, but does not keep the task.
fn perf_event_leaves_a_dead_task() -> Outcome {
    let dying = Slot::new();
    let one = || {
        dying.enter();
        (0..3).for_each(|_| pass());
        Ok(())
    };
    let two = || {
        let task = dying.task()?;
        let event = open(&task, SwEvent::ContextSwitches)?;
        let references = || task.usage.load(Ordering::Relaxed);
        let before = references();
        while task.state.get() != TASK_DEAD {
            pass();
        }
        expect_true("its switches were counted", event.read().count >= 2)?;
        // The references of the task list, the scheduler and the event are gone.
        expect("references", references(), before - 3)?;
        event.release();
        Ok(())
    };
    Crew::new().actor("one", one).actor("two", two).run()
}
