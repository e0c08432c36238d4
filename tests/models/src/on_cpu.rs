//! A task is woken while it is still on its way off a CPU.
//!
//! CPU 0 puts the task to sleep: off the queue, the switch saves its registers, then
//! `finish_task_switch` says that it has left. CPU 1 wakes it, and runs it at once.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::private::Private;

/// The words that a waker reads, and the registers.
struct Task {
    on_rq: AtomicU32,
    on_cpu: AtomicU32,
    registers: Private<u32>,
}

macro_rules! model {
    ($version:ident, $wait:expr) => {{
        use crate::$version::on_cpu::{finish_task, prepare_task, wait_until_off_cpu};
        loom::model(|| {
            let task = Arc::new(Task {
                on_rq: AtomicU32::new(1),
                on_cpu: AtomicU32::new(0),
                registers: Private::new(0),
            });
            prepare_task(&task.on_cpu);
            let waker = {
                let task = task.clone();
                thread::spawn(move || {
                    // Still queued: changing its state is enough, and it goes on running where it
                    // is.
                    if task.on_rq.load(Ordering::Acquire) != 0 {
                        return;
                    }
                    if $wait {
                        wait_until_off_cpu(&task.on_cpu);
                    }
                    prepare_task(&task.on_cpu);
                    assert_eq!(task.registers.get(), 7);
                })
            };
            // deactivate_task, then the switch, then next in finish_task_switch.
            task.on_rq.store(0, Ordering::Release);
            task.registers.set(7);
            finish_task(&task.on_cpu);
            waker.join().unwrap();
        });
    }};
}

#[test]
fn a_woken_task_runs_after_its_registers_were_saved() {
    model!(real, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_wait_it_runs_with_half_of_them() {
    model!(real, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_release_it_may_see_old_ones() {
    model!(weak, true);
}

/// Two processors finish a switch away from the same task, one after the other: it slept on CPU 0,
/// was woken, ran on CPU 1 and ended there. The scheduler has one reference to drop.
fn reaped(state_read_first: bool) {
    use crate::real::on_cpu::{finish_task, prepare_task, wait_until_off_cpu};
    const ASLEEP: u32 = 1;
    const DEAD: u32 = 64;
    loom::model(move || {
        let task = Arc::new((
            AtomicU32::new(ASLEEP),
            AtomicU32::new(1),
            Private::new("task"),
        ));
        let other = {
            let task = task.clone();
            thread::spawn(move || {
                let (state, on_cpu, memory) = &*task;
                wait_until_off_cpu(on_cpu);
                prepare_task(on_cpu);
                state.store(DEAD, Ordering::Relaxed);
                finish_task(on_cpu);
                memory.set("free");
            })
        };
        let (state, on_cpu, memory) = &*task;
        let mut last = state.load(Ordering::Relaxed);
        finish_task(on_cpu);
        if !state_read_first {
            last = state.load(Ordering::Relaxed);
        }
        if last == DEAD {
            memory.set("free");
        }
        other.join().unwrap();
    });
}

#[test]
fn a_task_that_dies_elsewhere_is_freed_once() {
    reaped(true);
    crate::sources::in_order(
        "src/sched/finish_task_switch.rs",
        &[
            "pub unsafe fn finish_task_switch",
            "RqLocked::inherit(&last)",
            "(*last).state.get()",
            "finish_task(last)",
            "mmdrop(mm)",
            "if state == TASK_DEAD",
        ],
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn with_its_state_read_late_it_is_freed_twice() {
    reaped(false);
}
