//! Cases of the scheduler: which task runs next, when, and what is counted.

extern crate alloc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_true, expect_within};
use super::crew::{Crew, Journal, Slot, pass, sleep};
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::base::insn::rdtsc;
use crate::mm::fallible::{TryVec, try_box, try_collect};
use crate::sched::policy::set_scheduler;
use crate::sched::prio_array::PrioArray;
use crate::sched::schedule::schedule;
use crate::sched::tick::task_timeslice;
use crate::sched::timer::{jiffies, schedule_timeout};
use crate::sched::wait_queue::WaitQueue;
use crate::sched::wake_up::wake_up_process;
use crate::sync::IrqGuard;
use crate::task::sched_entity::{RunList, SCHED_FIFO, SCHED_NORMAL, SCHED_RR, SchedEntity};
use crate::task::state::{TASK_INTERRUPTIBLE, TASK_RUNNING, TASK_UNINTERRUPTIBLE};
use crate::this_cpu_read;

pub const CASES: &[Case] = &[
    Case {
        name: "preemption_counts_nivcsw",
        run: preemption_counts_nivcsw,
    },
    Case {
        name: "sleeping_counts_nvcsw",
        run: sleeping_counts_nvcsw,
    },
    Case {
        name: "fifo_runs_until_it_yields",
        run: fifo_runs_until_it_yields,
    },
    Case {
        name: "rr_rotates",
        run: rr_rotates,
    },
    Case {
        name: "timeslice_preempts_normal",
        run: timeslice_preempts_normal,
    },
    Case {
        name: "higher_priority_preempts_at_wakeup",
        run: higher_priority_preempts_at_wakeup,
    },
    Case {
        name: "preempted_task_stays_runnable",
        run: preempted_task_stays_runnable,
    },
    Case {
        name: "no_preemption_while_disabled",
        run: no_preemption_while_disabled,
    },
    Case {
        name: "set_scheduler_checks_its_arguments",
        run: set_scheduler_checks_its_arguments,
    },
    Case {
        name: "pick_next_is_constant",
        run: pick_next_is_constant,
    },
    Case {
        name: "wakeup_before_sleep_is_not_lost",
        run: wakeup_before_sleep_is_not_lost,
    },
    Case {
        name: "wait_queue_order",
        run: wait_queue_order,
    },
];

fn switches() -> (u32, u32) {
    let me = current();
    (me.nvcsw.get(), me.nivcsw.get())
}

/// A task that is still runnable when it leaves is counted as preempted, as in Linux.
fn preemption_counts_nivcsw() -> Outcome {
    let play = || {
        expect("(nvcsw, nivcsw) of a new task", switches(), (0, 0))?;
        for turn in 1..=3 {
            pass();
            expect("(nvcsw, nivcsw) after a turn", switches(), (0, turn))?;
        }
        Ok(())
    };
    Crew::new()
        .actor("a", play)
        .actor("b", play)
        .actor("c", || {
            (0..4).for_each(|_| pass());
            Ok(())
        })
        .run()
}

fn sleeping_counts_nvcsw() -> Outcome {
    let slot = Slot::new();
    let sleeper = || {
        slot.enter();
        for turn in 1..=3 {
            sleep();
            expect("(nvcsw, nivcsw) after a sleep", switches(), (turn, 0))?;
        }
        Ok(())
    };
    let waker = || {
        for _ in 0..3 {
            expect_true("the sleeper was asleep", wake_up_process(&*slot.task()?))?;
            pass();
        }
        Ok(())
    };
    Crew::new()
        .actor("sleeper", sleeper)
        .actor("waker", waker)
        .run()
}

/// Spins for three round-robin slices while another task of the same priority waits.
fn fifo_runs_until_it_yields() -> Outcome {
    let other_ran = AtomicBool::new(false);
    let spinner = || {
        let end = jiffies() + 3 * u64::from(rr_slice());
        while jiffies() < end {
            core::hint::spin_loop();
        }
        expect(
            "the other ran meanwhile",
            other_ran.load(Ordering::Relaxed),
            false,
        )?;
        pass();
        expect(
            "the other ran after the yield",
            other_ran.load(Ordering::Relaxed),
            true,
        )
    };
    let other = || {
        other_ran.store(true, Ordering::Relaxed);
        Ok(())
    };
    Crew::new()
        .actor("spinner", spinner)
        .actor("other", other)
        .run()
}

fn rr_slice() -> u32 {
    task_timeslice(&SchedEntity {
        policy: SCHED_RR,
        ..SchedEntity::new()
    })
}

/// Turns of two tasks that spin.
struct Turns {
    /// The task that has the turn: 1 or 2.
    who: AtomicU32,
    /// Each turn's task, and the ticks that the other task has had in all.
    begun: Journal<(u32, u32)>,
    tasks: [Slot; 2],
}

/// Two tasks of `policy` never yield: the tick gives each a slice in turn.
fn spin_in_turns(policy: u32, prio: i32, slice: u32) -> Outcome {
    let turns = Turns {
        who: AtomicU32::new(0),
        begun: Journal::new(),
        tasks: [Slot::new(), Slot::new()],
    };
    let has_ended = AtomicBool::new(false);
    let play = |me: u32, mine: usize, others: usize| {
        let (turns, has_ended) = (&turns, &has_ended);
        move || {
            turns.tasks[mine].enter();
            let ticks = || u64::from(this_cpu_read!(count.ticks));
            let limit = ticks() + 12 * u64::from(slice);
            while ticks() < limit && !has_ended.load(Ordering::Relaxed) {
                if turns.who.swap(me, Ordering::Relaxed) != me {
                    // The other does not run, so its count stands still, however late this is.
                    let other = turns.tasks[others].task();
                    turns.begun.note((me, other.map_or(0, |it| it.stime.get())));
                    if turns.begun.entries().len() == 5 {
                        has_ended.store(true, Ordering::Relaxed);
                    }
                }
            }
            let (nvcsw, nivcsw) = switches();
            expect("voluntary switches", nvcsw, 0)?;
            expect_true("preempted at least once", nivcsw > 0)
        }
    };
    Crew::new()
        .actor_with("spinner 1", policy, prio, play(1, 0, 1))
        .actor_with("spinner 2", policy, prio, play(2, 1, 0))
        .run()?;
    // A sixth turn may begin before its task sees that five are enough.
    let begun = try_collect(turns.begun.entries().into_iter().take(5))?;
    expect(
        "turns",
        &try_collect(begun.iter().map(|&(who, _)| who))?[..],
        &[1, 2, 1, 2, 1],
    )?;
    // The first turn of each is shorter: it got a part of its parent's slice.
    for (first, second) in [(1, 3), (2, 4)] {
        let ticks = begun[second].1.wrapping_sub(begun[first].1);
        // One more if a tick comes while the spinner holds the journal's lock, or at once.
        let most = u64::from(slice) + 1;
        expect_within("ticks of a turn", ticks.into(), slice.into(), most)?;
    }
    Ok(())
}

fn rr_rotates() -> Outcome {
    expect("ticks of a round-robin slice", rr_slice(), 25)?;
    spin_in_turns(SCHED_RR, 40, rr_slice())
}

fn timeslice_preempts_normal() -> Outcome {
    let slice = task_timeslice(&SchedEntity::new());
    expect("ticks of a slice at nice 0", slice, 25)?;
    spin_in_turns(SCHED_NORMAL, 0, slice)
}

/// A better task runs before the wake-up returns; a worse one has to wait.
fn higher_priority_preempts_at_wakeup() -> Outcome {
    let (better, worse) = (Slot::new(), Slot::new());
    let woken = Journal::new();
    let sleeper = |slot: &'static str, place| {
        let (woken, place): (_, &Slot) = (&woken, place);
        move || {
            place.enter();
            sleep();
            woken.note(slot);
            Ok(())
        }
    };
    let waker = || {
        sleep_until_asleep(&worse);
        let before = switches();
        expect_true("the better one slept", wake_up_process(&*better.task()?))?;
        expect(
            "who ran during the wake-up",
            &woken.entries()[..],
            &["better"],
        )?;
        expect("(nvcsw, nivcsw)", switches(), (before.0, before.1 + 1))?;
        expect_true("the worse one slept", wake_up_process(&*worse.task()?))?;
        expect("who ran by then", &woken.entries()[..], &["better"])
    };
    Crew::new()
        .actor_with("better", SCHED_FIFO, 45, sleeper("better", &better))
        .actor_with("worse", SCHED_FIFO, 35, sleeper("worse", &worse))
        .actor("waker", waker)
        .run()?;
    expect("who ran in all", &woken.entries()[..], &["better", "worse"])
}

/// Lets worse tasks run until the task in `slot` sleeps.
fn sleep_until_asleep(slot: &Slot) {
    while !slot
        .task()
        .is_ok_and(|task| task.state.get() == TASK_UNINTERRUPTIBLE)
    {
        current().state.set_current_state(TASK_UNINTERRUPTIBLE);
        schedule_timeout(1);
    }
}

/// A task preempted between setting its state and calling `schedule` must not count as asleep.
fn preempted_task_stays_runnable() -> Outcome {
    let better = Slot::new();
    let sleeper = || {
        better.enter();
        sleep();
        Ok(())
    };
    let about_to_sleep = || {
        let me = current();
        me.state.set_current_state(TASK_UNINTERRUPTIBLE);
        wake_up_process(&*better.task()?);
        // Nothing will ever wake us: getting here is the test.
        let state = me.state.get();
        me.state.set_running();
        expect("state after the preemption", state, TASK_UNINTERRUPTIBLE)?;
        expect("(nvcsw, nivcsw)", switches(), (0, 1))
    };
    Crew::new()
        .actor_with("better", SCHED_FIFO, 45, sleeper)
        .actor("about to sleep", about_to_sleep)
        .run()
}

/// While a lock is held no switch comes; it comes when the lock is released.
fn no_preemption_while_disabled() -> Outcome {
    let better = Slot::new();
    let ran = AtomicBool::new(false);
    let sleeper = || {
        better.enter();
        sleep();
        ran.store(true, Ordering::Relaxed);
        Ok(())
    };
    let waker = || {
        let task = better.task()?;
        let guard = crate::sync::PreemptGuard::new();
        let woken = wake_up_process(&task);
        let early = ran.load(Ordering::Relaxed);
        drop(guard);
        expect_true("the better one slept", woken)?;
        expect("it ran while preemption was off", early, false)?;
        expect(
            "it ran when preemption came on",
            ran.load(Ordering::Relaxed),
            true,
        )
    };
    Crew::new()
        .actor_with("better", SCHED_FIFO, 45, sleeper)
        .actor("waker", waker)
        .run()
}

fn set_scheduler_checks_its_arguments() -> Outcome {
    let bad = [
        (SCHED_FIFO, 0),
        (SCHED_FIFO, 100),
        (SCHED_RR, -1),
        (SCHED_NORMAL, 1),
        (4, 0),
        (u32::MAX, 1),
    ];
    for (policy, prio) in bad {
        expect(
            "an impossible policy or priority",
            set_scheduler(&current(), policy, prio),
            Err(Errno::EINVAL),
        )?;
    }
    Ok(())
}

/// With one runnable task or five thousand, the best is found in the same time, within a wide
/// margin
/// (walking a list of them all would take a thousand times as long).
fn pick_next_is_constant() -> Outcome {
    const TASKS: usize = 5000;
    let mut array = try_box(PrioArray::new())?;
    let mut links = Vec::new();
    links.try_resize_with(TASKS, RunList::new)?;
    let first: *mut RunList = &raw mut links[0];
    let mut queue = |array: &mut PrioArray, n: usize, prio: u32| {
        // SAFETY: the entry stays in `links`, which is not moved from here on, and is on no list.
        unsafe { array.enqueue_task(&raw mut links[n], prio) };
    };
    queue(&mut array, 0, 139);
    expect("the best of one", array.first(), first)?;
    let alone = cost(&array);
    for n in 1..TASKS {
        queue(&mut array, n, 139 - n as u32 % 100);
    }
    let crowded = cost(&array);
    expect("tasks on the array", array.nr_active as usize, TASKS)?;
    let percent = crowded * 100 / alone.max(1);
    expect_within("time to pick, in percent of that for one", percent, 0, 400)
}

/// Returns the cycles of a thousand picks: the minimum of several tries, since the host may take
/// time away.
fn cost(array: &PrioArray) -> u64 {
    let try_once = || {
        let _irq = IrqGuard::new();
        let start = rdtsc();
        for _ in 0..1000 {
            core::hint::black_box(core::hint::black_box(array).first());
        }
        rdtsc() - start
    };
    (0..7).map(|_| try_once()).min().unwrap_or(u64::MAX)
}

/// A wake-up between the test of the condition and `schedule` is not lost.
fn wakeup_before_sleep_is_not_lost() -> Outcome {
    let (slot, better) = (Slot::new(), Slot::new());
    let waker = || {
        better.enter();
        sleep();
        expect_true(
            "somebody was about to sleep",
            wake_up_process(&*slot.task()?),
        )
    };
    let sleeper = || {
        slot.enter();
        let me = current();
        me.state.set_current_state(TASK_INTERRUPTIBLE);
        wake_up_process(&*better.task()?); // preempts us, and wakes us before we sleep
        expect("state", me.state.get(), TASK_RUNNING)?;
        let before = switches();
        schedule();
        expect("(nvcsw, nivcsw) after schedule", switches(), before)
    };
    Crew::new()
        .actor_with("waker", SCHED_FIFO, 45, waker)
        .actor("sleeper", sleeper)
        .run()
}

/// Waiters are woken one at a time in the order in which they came; then all at once, in that order
/// too.
fn wait_queue_order() -> Outcome {
    let queue = WaitQueue::new();
    let tickets = AtomicU32::new(0);
    let woken = Journal::new();
    let take = || {
        tickets
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
    };
    let waiter = |n: u32| {
        let (queue, woken, take) = (&queue, &woken, &take);
        move || {
            for _ in 0..2 {
                queue.wait_uninterruptible(take);
                woken.note(n);
            }
            Ok(())
        }
    };
    let waker = || {
        expect("waiters woken without a ticket", woken.entries().len(), 0)?;
        for _ in 0..3 {
            tickets.fetch_add(1, Ordering::SeqCst);
            expect_true("somebody slept", queue.wake_up_one())?;
        }
        expect("who was woken one by one", &woken.entries()[..], &[1, 2, 3])?;
        tickets.fetch_add(3, Ordering::SeqCst);
        queue.wake_up();
        pass();
        expect(
            "who was woken in all",
            &woken.entries()[..],
            &[1, 2, 3, 1, 2, 3],
        )?;
        expect("wake-ups of an empty queue", queue.wake_up_one(), false)
    };
    Crew::new()
        .actor_with("waiter 1", SCHED_FIFO, 45, waiter(1))
        .actor_with("waiter 2", SCHED_FIFO, 45, waiter(2))
        .actor_with("waiter 3", SCHED_FIFO, 45, waiter(3))
        .actor("waker", waker)
        .run()
}
