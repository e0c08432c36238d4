//! Cases of the tick: whose timers and sleeps it ends, and what the watchdog takes for a lockup.

use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_true, expect_within};
use super::crew::{Crew, Journal};
use super::smp::{PATIENCE_US, cpu, need_cpus, wait_for};
use crate::arch::x86::current::current;
use crate::drivers::tsc::since_boot_us;
use crate::process::watchdog;
use crate::sched::policy::{set_scheduler, set_user_nice};
use crate::sched::timer::{HZ, TICK_US, TimerList, add_timer, schedule_timeout};
use crate::task::sched_entity::SCHED_NORMAL;
use crate::task::state::TASK_UNINTERRUPTIBLE;
use crate::task::task_struct::TaskRef;
use crate::this_cpu_read;

pub const CASES: &[Case] = &[
    Case {
        name: "smp_timers_end_on_their_cpu",
        run: timers_end_on_their_cpu,
    },
    Case {
        name: "timers_leave_time_to_tasks",
        run: timers_leave_time_to_tasks,
    },
    Case {
        name: "nice_spinner_is_no_lockup",
        run: nice_spinner_is_no_lockup,
    },
    Case {
        name: "sleep_ticks",
        run: sleep_ticks,
    },
];

static TIMER: TimerList = TimerList::new();
/// One more than the CPU whose tick ended the timer.
static ENDED_ON: AtomicU32 = AtomicU32::new(0);

/// A CPU ends only the timers that began on it: a task that starts too many slows down its own CPU
/// and no other.
fn timers_end_on_their_cpu() -> Outcome {
    need_cpus(2)?;
    let on = |wanted| {
        move || {
            ENDED_ON.store(0, Ordering::Release);
            let end = |_: &TaskRef, _| ENDED_ON.store(cpu() + 1, Ordering::Release);
            let task = current().get_task_struct();
            // SAFETY: a static, which one case at a time sets, and waits for.
            unsafe { add_timer(&TIMER, since_boot_us(), task, 0, end) };
            wait_for("it ended", || ENDED_ON.load(Ordering::Acquire) != 0)?;
            expect("its CPU", ENDED_ON.load(Ordering::Acquire) - 1, wanted)
        }
    };
    Crew::new().actor_on(0, "first", on(0)).run()?;
    Crew::new().actor_on(1, "second", on(1)).run()
}

/// Timers that take longer than the tick.
const SLOW: u32 = 100;
/// What each takes, in microseconds.
const SLOW_US: u64 = 200;
/// Slow timers that have ended; the tick of the last of them, and how many have in that one.
static SLOW_ENDED: AtomicU32 = AtomicU32::new(0);
static SLOW_TICK: AtomicU32 = AtomicU32::new(0);
static SLOW_IN_TICK: AtomicU32 = AtomicU32::new(0);
/// The timers.
static SLOW_TIMERS: [TimerList; SLOW as usize] = [const { TimerList::new() }; SLOW as usize];
/// The most in one tick.
static SLOW_MOST: AtomicU32 = AtomicU32::new(0);

/// A hundred timers that are due at once, and take five ticks, end in several: tasks run in between.
fn timers_leave_time_to_tasks() -> Outcome {
    for count in [&SLOW_ENDED, &SLOW_IN_TICK, &SLOW_MOST] {
        count.store(0, Ordering::Relaxed);
    }
    let on_one_cpu = || {
        let due_us = since_boot_us() + 20_000;
        for timer in &SLOW_TIMERS {
            let end = |_: &TaskRef, _| {
                let end_us = since_boot_us() + SLOW_US;
                while since_boot_us() < end_us {
                    core::hint::spin_loop();
                }
                let tick = this_cpu_read!(count.ticks);
                let in_tick = match SLOW_TICK.swap(tick, Ordering::Relaxed) == tick {
                    true => SLOW_IN_TICK.fetch_add(1, Ordering::Relaxed) + 1,
                    false => {
                        SLOW_IN_TICK.store(1, Ordering::Relaxed);
                        1
                    }
                };
                SLOW_MOST.fetch_max(in_tick, Ordering::Relaxed);
                SLOW_ENDED.fetch_add(1, Ordering::Release);
            };
            // SAFETY: statics, which this case sets once, and waits for.
            unsafe { add_timer(timer, due_us, current().get_task_struct(), 0, end) };
        }
        wait_for("all ended", || SLOW_ENDED.load(Ordering::Acquire) == SLOW)?;
        expect(
            "no tick ended more than its share",
            u64::from(SLOW_MOST.load(Ordering::Relaxed)) <= TICK_US / 4 / SLOW_US,
            true,
        )
    };
    Crew::new().actor_on(0, "slow timers", on_one_cpu).run()
}

/// A spinner whose time slice is one tick: a switch is due at every tick, and each time there is no
/// other task to switch to.
fn nice_spinner_is_no_lockup() -> Outcome {
    if watchdog::seconds() != 1 {
        return Err(Verdict::Skipped("needs watchdog=1"));
    }
    Crew::new()
        .actor("nice", || {
            set_scheduler(&current(), SCHED_NORMAL, 0)?;
            set_user_nice(&current(), 19);
            let end_us = since_boot_us() + 3_000_000;
            while since_boot_us() < end_us {
                core::hint::spin_loop();
            }
            Ok(())
        })
        .run()
}

/// Sleeps last as long as asked, and of those that began together the shortest ends first: a busy
/// host may stop the machine between two beginnings.
fn sleep_ticks() -> Outcome {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        let ends = three_sleeps()?;
        let begun = || ends.iter().map(|end| end.0);
        if begun().max() < begun().min().map(|first_us| first_us + 4 * TICK_US) {
            let order: ArrayVec<u64, 3> = ends.iter().map(|end| end.1).collect();
            return expect("ends of the sleeps", &order[..], &[5, 10, 15]);
        }
    }
    expect_true("three sleeps begin together", false)
}

/// Sleeps for 15, 5 and 10 ticks in three tasks; returns the beginning and the length of each, in
/// the order of their ends.
fn three_sleeps() -> Result<Vec<(u64, u64)>, Verdict> {
    let woken = Journal::new();
    let play = |ticks: u64| {
        let woken = &woken;
        move || {
            let start_us = since_boot_us();
            current().state.set_current_state(TASK_UNINTERRUPTIBLE);
            let left = schedule_timeout(ticks);
            woken.note((start_us, ticks));
            expect("ticks left", left, 0)?;
            // By the clock: on a busy host the virtual machine loses ticks.
            let slept_us = since_boot_us() - start_us;
            let asked_us = ticks * 1_000_000 / u64::from(HZ);
            let most = asked_us + PATIENCE_US;
            expect_within("microseconds slept", slept_us, asked_us, most)
        }
    };
    Crew::new()
        .actor("15", play(15))
        .actor("5", play(5))
        .actor("10", play(10))
        .run()?;
    Ok(woken.entries())
}
