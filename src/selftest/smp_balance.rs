//! Cases of load balancing: which tasks a busy and an idle CPU take from others, which CPU a
//! wake-up and a signal interrupt, and the threads that move tasks.
//!
//! On a machine with too few CPUs they are skipped.

use core::sync::atomic::{AtomicBool, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_true, failed};
use super::crew::{Crew, Slot, pass, sleep};
use super::smp::{cpu, need_cpus, wait_for};
use super::smp_mm::counts_of;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::process::signal::send_to_thread;
use crate::process::tasklist::TASKLIST;
use crate::sched::migration::set_cpus_allowed;
use crate::sched::policy::set_scheduler;
use crate::sched::wake_up::wake_up_process;
use crate::task::sched_entity::SCHED_NORMAL;
use crate::task::siginfo::SigInfo;
use crate::task::state::PF_KTHREAD;
use crate::task::task_struct::TaskRef;

pub const CASES: &[Case] = &[
    Case {
        name: "smp_idle_cpu_passes_over_bound_tasks",
        run: idle_cpu_passes_over_bound_tasks,
    },
    Case {
        name: "smp_busy_cpus_even_out",
        run: busy_cpus_even_out,
    },
    Case {
        name: "smp_wake_up_interrupts_an_idle_cpu",
        run: wake_up_interrupts_an_idle_cpu,
    },
    Case {
        name: "smp_signal_interrupts_who_runs",
        run: signal_interrupts_who_runs,
    },
    Case {
        name: "migration_threads_stay_what_they_are",
        run: migration_threads_stay_what_they_are,
    },
];

/// CPU 0 has the most tasks, but all are bound to it; CPU 1 has two that may go to CPU 2.
fn idle_cpu_passes_over_bound_tasks() -> Outcome {
    need_cpus(3)?;
    let pulled = AtomicBool::new(false);
    let until_pulled = || pass_until("one came to CPU 2", || pulled.load(Ordering::Acquire));
    let free = || {
        set_cpus_allowed(&current(), 0b110)?;
        pass_until("one came to CPU 2", || {
            pulled.fetch_or(cpu() == 2, Ordering::AcqRel) || cpu() == 2
        })
    };
    Crew::new()
        .actor_anywhere(0b001, "bound", until_pulled)
        .actor_anywhere(0b001, "bound", until_pulled)
        .actor_anywhere(0b001, "bound", until_pulled)
        .actor_anywhere(0b010, "free", free)
        .actor_anywhere(0b010, "free", free)
        .run()
}

/// Spins until `done`, yielding before each look: slices are long on a host that has little time
/// for the machine.
fn pass_until(what: &str, done: impl Fn() -> bool) -> Outcome {
    wait_for(what, || {
        pass();
        done()
    })
}

/// CPU 1 is never idle, but has two tasks fewer than CPU 0.
fn busy_cpus_even_out() -> Outcome {
    need_cpus(2)?;
    let moved = AtomicBool::new(false);
    let free = || {
        set_cpus_allowed(&current(), 0b11)?;
        pass_until("one moved to CPU 1", || {
            moved.fetch_or(cpu() == 1, Ordering::AcqRel) || cpu() == 1
        })
    };
    Crew::new()
        .actor_anywhere(0b10, "bound", || {
            pass_until("one moved to CPU 1", || moved.load(Ordering::Acquire))
        })
        .actor_anywhere(0b01, "free", free)
        .actor_anywhere(0b01, "free", free)
        .actor_anywhere(0b01, "free", free)
        .run()
}

/// A wake-up interrupts an idle CPU instead of leaving the task to its next tick.
fn wake_up_interrupts_an_idle_cpu() -> Outcome {
    need_cpus(2)?;
    let slot = Slot::new();
    Crew::new()
        .actor_on(1, "sleeper", || {
            slot.enter();
            sleep();
            Ok(())
        })
        .actor_on(0, "waker", || {
            wait_for("the sleeper came", || slot.task().is_ok())?;
            let sleeper = slot.task()?;
            wait_for("it sleeps", || sleeper.on_cpu.load(Ordering::Acquire) == 0)?;
            let ipis = counts_of(1).reschedule_ipis;
            expect_true("it slept", wake_up_process(&sleeper))?;
            wait_for("its CPU was interrupted", || {
                counts_of(1).reschedule_ipis != ipis
            })
        })
        .run()
}

/// A task that runs on another CPU sees its signal without waiting for the tick.
fn signal_interrupts_who_runs() -> Outcome {
    need_cpus(2)?;
    const SIGUSR1: u32 = 10;
    let (slot, is_interrupted) = (Slot::new(), AtomicBool::new(false));
    Crew::new()
        .actor_on(1, "runner", || {
            // Kernel threads get no signals.
            current().flags.remove(PF_KTHREAD);
            slot.enter();
            let seen = wait_for("the sender is content", || {
                is_interrupted.load(Ordering::Acquire)
            });
            current().flags.insert(PF_KTHREAD);
            seen
        })
        .actor_on(0, "sender", || {
            wait_for("the runner came", || slot.task().is_ok())?;
            let runner = slot.task()?;
            let ipis = counts_of(1).reschedule_ipis;
            let info = SigInfo::kernel(SIGUSR1);
            send_to_thread(info, &runner).expect("only real-time signals are refused");
            let seen = wait_for("its CPU was interrupted", || {
                counts_of(1).reschedule_ipis != ipis
            });
            is_interrupted.store(true, Ordering::Release);
            seen
        })
        .run()
}

/// No task can give them another CPU or priority: they could not do their work.
fn migration_threads_stay_what_they_are() -> Outcome {
    let thread = migration_thread()?;
    let moved = set_cpus_allowed(&thread, u32::MAX);
    expect("another CPU", moved, Err(Errno::EINVAL))?;
    let changed = set_scheduler(&thread, SCHED_NORMAL, 0);
    expect("another policy", changed, Err(Errno::EINVAL))
}

fn migration_thread() -> Result<TaskRef, Verdict> {
    let list = TASKLIST.lock();
    let mut tasks = list.pids.all().map(|(_, entry)| &entry.task);
    let found = tasks.find(|task| task.comm.get().0.starts_with(b"migration/0"));
    found
        .cloned()
        .ok_or_else(|| failed(format_args!("CPU 0 has no migration thread")))
}
