//! Cases of the tick: whose timers it ends, and what the watchdog takes for a lockup.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect};
use super::crew::Crew;
use super::smp::{cpu, need_cpus, wait_for};
use crate::arch::x86::current::current;
use crate::drivers::tsc::since_boot_us;
use crate::process::watchdog;
use crate::sched::policy::{set_scheduler, set_user_nice};
use crate::sched::timer::{TimerList, add_timer};
use crate::task::sched_entity::SCHED_NORMAL;
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
            SLOW_MOST.load(Ordering::Relaxed) <= SLOW / 4,
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
