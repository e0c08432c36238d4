//! Cases of the scheduler on several CPUs: tasks move between them, and none runs on two.
//!
//! On a machine with one CPU they are skipped.

extern crate alloc;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, expect, expect_hex, expect_true};
use super::crew::{Crew, Slot, Thread, me, pass, sleep};
use super::probe::{debug_last, hw_tss};
use super::smp::{Rendezvous, cpu, my_sp0, need_cpus, schedule_timeout_uninterruptible, wait_for};
use crate::arch::x86::current::{current, current_by_stack};
use crate::base::percpu::NR_CPUS;
use crate::drivers::tsc::since_boot_us;
use crate::mm::fallible::{try_box, try_collect};
use crate::process::kthread::new_kernel_thread;
use crate::sched::migration::set_cpus_allowed;
use crate::sched::rq::cpu_rq;
use crate::sched::wake_up::{wake_up_new_task, wake_up_process};
use crate::task::sched_entity::SCHED_NORMAL;
use crate::task::state::{TASK_DEAD, TASK_RUNNING, TASK_UNINTERRUPTIBLE};
use crate::task::task_struct::TASKS_LIVE;

pub const CASES: &[Case] = &[
    Case {
        name: "smp_last_is_right_after_running_elsewhere",
        run: last_after_running_elsewhere,
    },
    Case {
        name: "smp_dead_task_reaped_on_another_cpu",
        run: dead_task_reaped_elsewhere,
    },
    Case {
        name: "smp_wake_up_waits_until_context_is_saved",
        run: wake_up_waits_for_on_cpu,
    },
    Case {
        name: "smp_wake_up_waits_until_task_is_pulled",
        run: wake_up_waits_for_migration,
    },
    Case {
        name: "smp_wake_ups_race_with_sleeping",
        run: wake_ups_race_with_sleeping,
    },
    Case {
        name: "smp_setaffinity_moves_a_running_task",
        run: setaffinity_moves_a_running_task,
    },
    Case {
        name: "smp_setaffinity_moves_a_waiting_task",
        run: setaffinity_moves_a_waiting_task,
    },
    Case {
        name: "smp_idle_cpu_pulls_a_waiting_task",
        run: idle_cpu_pulls_a_waiting_task,
    },
    Case {
        name: "smp_new_tasks_spread",
        run: new_tasks_spread,
    },
    Case {
        name: "smp_wake_up_prefers_an_idle_cpu",
        run: wake_up_prefers_an_idle_cpu,
    },
    Case {
        name: "smp_migration_storm",
        run: migration_storm,
    },
    Case {
        name: "smp_no_task_is_on_two_cpus",
        run: no_task_is_on_two_cpus,
    },
];

/// A leaves CPU 0 for B and comes back on CPU 1: its `last` is the task that left CPU 1, not B, the
/// `next` of its own switch, which has run on.
fn last_after_running_elsewhere() -> Outcome {
    need_cpus(2)?;
    let (slot, b_slot, last_of_a) = (Slot::new(), Slot::new(), AtomicU32::new(0));
    let (is_home, moved) = (AtomicBool::new(false), AtomicBool::new(false));
    let a = || {
        slot.enter();
        // To B, which moves us to CPU 1.
        sleep();
        last_of_a.store(debug_last() as u32, Ordering::Relaxed);
        expect("CPU of A", cpu(), 1)?;
        moved.store(true, Ordering::Release);
        Ok(())
    };
    let b = || {
        b_slot.enter();
        let a = slot.task()?;
        // A sleeps, or is about to: the waker may wake it only when it is off its stack.
        wait_for("A left its CPU", || a.on_cpu.load(Ordering::Acquire) == 0)?;
        expect_hex("last in B", debug_last() as u32, a.as_ptr() as u32)?;
        set_cpus_allowed(&a, 1 << 1)?;
        expect_true("A slept", wake_up_process(&a))?;
        wait_for("A went on", || moved.load(Ordering::Acquire))?;
        let idle_1 = cpu_rq(1).idle();
        expect_hex(
            "last in A",
            last_of_a.load(Ordering::Relaxed),
            idle_1 as u32,
        )?;
        is_home.store(true, Ordering::Release);
        Ok(())
    };
    Crew::new().actor_on(0, "a", a).actor_on(0, "b", b).run()
}

/// A thread ends on CPU 1; its last reference is dropped on CPU 0, which frees its stack.
fn dead_task_reaped_elsewhere() -> Outcome {
    need_cpus(2)?;
    let before = TASKS_LIVE.load(Ordering::Relaxed);
    let slot = Slot::new();
    Crew::new()
        .actor_on(1, "dying", || {
            slot.enter();
            Ok(())
        })
        .run()?;
    let dead = slot.task()?;
    expect("its state", dead.state.get(), TASK_DEAD)?;
    expect("CPU on which it died", dead.cpu(), 1)?;
    // Ours and the slot's remain: the reaper's and the scheduler's are gone.
    wait_for("the scheduler gave its reference back", || {
        dead.usage.load(Ordering::Acquire) == 2
    })?;
    drop(slot);
    expect(
        "tasks while a reference is left",
        TASKS_LIVE.load(Ordering::Relaxed),
        before + 1,
    )?;
    drop(dead);
    expect(
        "tasks afterwards",
        TASKS_LIVE.load(Ordering::Relaxed),
        before,
    )
}

/// A task's state says that it sleeps, but it is not off its stack yet: the waker must wait. The
/// case holds the window open by hand.
fn wake_up_waits_for_on_cpu() -> Outcome {
    need_cpus(2)?;
    static RAN: AtomicI32 = AtomicI32::new(0);
    extern "C" fn note_run(_: u32) -> i32 {
        RAN.fetch_add(1, Ordering::AcqRel)
    }
    RAN.store(0, Ordering::Relaxed);
    let task = new_kernel_thread(note_run, 0, "window")?;
    task.state.set_current_state(TASK_UNINTERRUPTIBLE);
    task.on_cpu.store(1, Ordering::Release);
    let (started, woken) = (AtomicBool::new(false), AtomicBool::new(false));
    Crew::new()
        .actor_on(1, "waker", || {
            started.store(true, Ordering::Release);
            expect_true("it slept", wake_up_process(&task))?;
            woken.store(true, Ordering::Release);
            Ok(())
        })
        .actor_on(0, "window", || {
            wait_for("the waker started", || started.load(Ordering::Acquire))?;
            let end = since_boot_us() + 20_000;
            while since_boot_us() < end {
                let early = task.on_rq.is_on_rq() || woken.load(Ordering::Acquire);
                if early {
                    // It must not run with the value that we set.
                    task.on_cpu.store(0, Ordering::Release);
                    return expect_true("the waker waited for on_cpu", false);
                }
            }
            task.on_cpu.store(0, Ordering::Release);
            wait_for("the waker went on", || woken.load(Ordering::Acquire))
        })
        .run()?;
    wait_for_sleeping("it ran", || RAN.load(Ordering::Acquire) == 1)
}

/// A task that was preempted before it slept is on its way from one run queue to another when it is
/// woken: the waker must wait for the new queue, and then only change the state. The case holds the
/// window open by hand; the task is on no queue, so it cannot run with a state of ours.
fn wake_up_waits_for_migration() -> Outcome {
    need_cpus(2)?;
    extern "C" fn end(_: u32) -> i32 {
        0
    }
    let task = new_kernel_thread(end, 0, "pulled")?;
    task.state.set_current_state(TASK_UNINTERRUPTIBLE);
    task.on_rq.set_migrating();
    let (started, woken) = (AtomicBool::new(false), AtomicBool::new(false));
    let crew = Crew::new()
        .actor_on(1, "waker", || {
            started.store(true, Ordering::Release);
            expect_true("it slept", wake_up_process(&task))?;
            woken.store(true, Ordering::Release);
            Ok(())
        })
        .actor_on(0, "puller", || {
            wait_for("the waker started", || started.load(Ordering::Acquire))?;
            let end = since_boot_us() + 20_000;
            let is_early = || woken.load(Ordering::Acquire) || !task.on_rq.is_migrating();
            while since_boot_us() < end && !is_early() {}
            expect_true("the waker waited for the pull", !is_early())?;
            task.on_rq.set_queued();
            wait_for("the waker went on", || woken.load(Ordering::Acquire))
        })
        .run();
    let state = task.state.get();
    crew?;
    task.on_rq.set_dequeued();
    expect("its state", state, TASK_RUNNING)?;
    // Now it runs, and ends.
    wake_up_new_task(&task);
    Ok(())
}

/// As [`wait_for`], but other tasks may use this CPU meanwhile.
fn wait_for_sleeping(what: &str, done: impl Fn() -> bool) -> Outcome {
    wait_for(what, || {
        let is_done = done();
        if !is_done {
            schedule_timeout_uninterruptible(1);
        }
        is_done
    })
}

/// Two tasks on two CPUs wake each other as fast as they can, so that wakers often find the other
/// between setting its state and leaving its stack. No wake-up may be lost, and no step done twice.
fn wake_ups_race_with_sleeping() -> Outcome {
    need_cpus(2)?;
    const ROUNDS: u32 = 500;
    let slots = [Slot::new(), Slot::new()];
    let turn = AtomicU32::new(0);
    let ready = Rendezvous::new(2);
    let play = |n: u32| {
        let (slots, turn, ready) = (&slots, &turn, &ready);
        move || {
            slots[n as usize].enter();
            ready.meet()?;
            let other = slots[1 - n as usize].task()?;
            let me = current();
            for round in 0..ROUNDS {
                loop {
                    me.state.set_current_state(TASK_UNINTERRUPTIBLE);
                    if turn.load(Ordering::SeqCst) == 2 * round + n {
                        break;
                    }
                    crate::sched::schedule::schedule();
                }
                me.state.set_running();
                turn.fetch_add(1, Ordering::SeqCst);
                wake_up_process(&other);
            }
            Ok(())
        }
    };
    Crew::new()
        .actor_on(0, "ping", play(0))
        .actor_on(1, "pong", play(1))
        .run()?;
    expect("turns taken", turn.load(Ordering::Relaxed), 2 * ROUNDS)
}

/// When the call returns, the task is on an allowed CPU, though it never yielded its own.
fn setaffinity_moves_a_running_task() -> Outcome {
    need_cpus(2)?;
    let (slot, stop, seen) = (Slot::new(), AtomicBool::new(false), AtomicU32::new(99));
    let spinner = || {
        slot.enter();
        wait_for("it is told to stop", || {
            seen.store(cpu(), Ordering::Release);
            stop.load(Ordering::Acquire)
        })
    };
    let mover = || {
        wait_for("the spinner runs", || seen.load(Ordering::Acquire) == 1)?;
        let spinner = slot.task()?;
        let moves = spinner.nr_migrations.get();
        set_cpus_allowed(&spinner, 1)?;
        expect("its CPU when the call returned", spinner.cpu(), 0)?;
        expect("times it moved", spinner.nr_migrations.get() - moves, 1)?;
        pass();
        expect(
            "its CPU by its own account",
            seen.load(Ordering::Acquire),
            0,
        )?;
        set_cpus_allowed(&spinner, 0b10)?;
        wait_for("it went back", || seen.load(Ordering::Acquire) == 1)?;
        stop.store(true, Ordering::Release);
        Ok(())
    };
    // On CPU 0 the spinner gets its turn when the mover passes. The tick takes the CPU from
    // neither, so nothing may keep the mover out: it is on CPU 0 only from one call to the next.
    Crew::new()
        .actor_on(1, "spinner", || {
            crate::sched::policy::set_scheduler(&current(), 2, super::crew::ACTOR_PRIO)?;
            spinner()
        })
        .actor_on(0, "mover", || {
            crate::sched::policy::set_scheduler(&current(), 2, super::crew::ACTOR_PRIO)?;
            mover()
        })
        .run()
}

/// A task that waits for a CPU is moved as well.
fn setaffinity_moves_a_waiting_task() -> Outcome {
    need_cpus(2)?;
    let (slot, ran_on) = (Slot::new(), AtomicU32::new(99));
    Crew::new()
        .actor("waiting", || {
            slot.enter();
            pass();
            ran_on.store(cpu(), Ordering::Release);
            Ok(())
        })
        .actor("mover", || {
            let other = u32::from(cpu() == 0);
            set_cpus_allowed(&*slot.task()?, 1 << other)?;
            wait_for("it ran elsewhere", || {
                ran_on.load(Ordering::Acquire) == other
            })
        })
        .run()
}

/// Two tasks that could run anywhere wait for one CPU; the other CPU has nothing to do.
fn idle_cpu_pulls_a_waiting_task() -> Outcome {
    need_cpus(2)?;
    let both = 0b11;
    let meeting = AtomicU32::new(0);
    let play = |n: u32| {
        let meeting = &meeting;
        move || {
            set_cpus_allowed(&current(), both)?;
            // Only tasks that run at the same time can meet without a switch between them.
            wait_for("the other runs at the same time", || {
                meeting.fetch_or(1 << (8 * n + cpu()), Ordering::AcqRel);
                let seen = meeting.load(Ordering::Acquire);
                seen & 0b11 != 0 && seen >> 8 & 0b11 != 0 && (seen | seen >> 8) & 0b11 == 0b11
            })
        }
    };
    // Both start on CPU 0.
    Crew::new()
        .actor_anywhere(0b01, "first", play(0))
        .actor_anywhere(0b01, "second", play(1))
        .run()
}

/// A new task goes to an idle CPU at once; with as many new tasks as CPUs, each CPU gets one.
fn new_tasks_spread() -> Outcome {
    let online = need_cpus(2)?;
    const TRIES: u32 = 8;
    let mut elsewhere = 0;
    for _ in 0..TRIES {
        let thread = Thread::start("spread", SCHED_NORMAL, 0, online, try_box(|| Ok(()))?)?;
        elsewhere += u32::from(thread.task.cpu() != cpu());
        thread.join()?;
    }
    // The other CPU may have had work of its own, but not each time.
    expect_true("most went to another CPU", elsewhere > TRIES / 2)?;
    let wanted = online.count_ones();
    let (seen, ready) = (AtomicU32::new(0), Rendezvous::new(wanted));
    let mut crew = Crew::new();
    for _ in 0..wanted {
        crew = crew.actor_anywhere(online, "spread", || {
            // No task ends before all run, so none can inherit the CPU of another.
            ready.meet()?;
            seen.fetch_or(1 << cpu(), Ordering::AcqRel);
            ready.meet()
        });
    }
    crew.run()?;
    expect_hex("CPUs that ran one", seen.load(Ordering::Relaxed), online)
}

/// A task wakes while its own CPU is busy and another is idle.
fn wake_up_prefers_an_idle_cpu() -> Outcome {
    let online = need_cpus(2)?;
    let (slot, woke_on) = (Slot::new(), AtomicU32::new(99));
    Crew::new()
        .actor("sleeper", || {
            slot.enter();
            set_cpus_allowed(&current(), online)?;
            sleep();
            woke_on.store(cpu(), Ordering::Release);
            Ok(())
        })
        .actor("busy", || {
            let sleeper = slot.task()?;
            wait_for("it sleeps", || sleeper.on_cpu.load(Ordering::Acquire) == 0)?;
            expect_true("it slept", wake_up_process(&sleeper))?;
            // It must be there at once, before an idle CPU looks for work.
            expect_true("the wake-up chose another", sleeper.cpu() != cpu())?;
            wait_for("it went on while its CPU is busy", || {
                woke_on.load(Ordering::Acquire) != 99
            })?;
            expect_true("on another CPU", woke_on.load(Ordering::Relaxed) != cpu())
        })
        .run()
}

/// Tasks move themselves from CPU to CPU: each time the call returns they must be there.
fn migration_storm() -> Outcome {
    let online = need_cpus(2)?;
    let cpus = try_collect((0..NR_CPUS as u32).filter(|n| online & 1 << n != 0))?;
    let mut crew = Crew::new();
    for seed in 0..2 * cpus.len() {
        let cpus = &cpus;
        crew = crew.actor_anywhere(online, "storm", move || {
            let mut n = seed;
            for _ in 0..40 {
                n = (n * 5 + 3) % 251;
                let to = cpus[n % cpus.len()];
                set_cpus_allowed(&current(), 1 << to)?;
                expect("CPU after the call", cpu(), to)?;
                expect_hex("current per CPU", current().as_ptr() as u32, me() as u32)?;
                expect_hex("current by stack", current_by_stack() as u32, me() as u32)?;
                expect_hex("sp0", hw_tss().sp0, my_sp0())?;
            }
            Ok(())
        });
    }
    crew.run()
}

/// Each task holds a word while it runs; a second CPU that ran the task would find the word taken.
fn no_task_is_on_two_cpus() -> Outcome {
    let online = need_cpus(2)?;
    let tasks = 3 * online.count_ones();
    let mut crew = Crew::new();
    for _ in 0..tasks {
        crew = crew.actor_anywhere(online, "single", || {
            let inside = AtomicU32::new(0);
            for round in 0..60 {
                expect(
                    "others in this task",
                    inside.fetch_add(1, Ordering::AcqRel),
                    0,
                )?;
                // Long enough to be preempted in now and then.
                for _ in 0..200 {
                    core::hint::spin_loop();
                }
                expect(
                    "others in this task",
                    inside.fetch_sub(1, Ordering::AcqRel),
                    1,
                )?;
                if round % 3 == 0 {
                    schedule_timeout_uninterruptible(1);
                } else {
                    pass();
                }
            }
            Ok(())
        });
    }
    crew.run()
}
