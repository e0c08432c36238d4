//! The lock of a run queue passes from prev to next.
//!
//! CPU 0 switches away from a task that stays runnable: prev takes the lock, and next releases it
//! after the switch. CPU 1 is idle and pulls a queued task that does not run. It must find prev
//! either running or with its registers saved.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread;

use crate::private::Private;

/// The data that the lock guards, and prev's registers.
struct Queue {
    lock: AtomicU32,
    /// Whether prev is the task that runs; below, whether it is on the queue.
    prev_runs: Private<bool>,
    queued: Private<bool>,
    registers: Private<u32>,
}

macro_rules! model {
    ($version:ident, $handed_over:expr) => {{
        use crate::$version::lock_word::{acquire, release};
        loom::model(|| {
            let rq = Arc::new(Queue {
                lock: AtomicU32::new(0),
                prev_runs: Private::new(true),
                queued: Private::new(true),
                registers: Private::new(0),
            });
            let puller = {
                let rq = rq.clone();
                thread::spawn(move || {
                    acquire(&rq.lock);
                    let may_pull = rq.queued.get() && !rq.prev_runs.get();
                    if may_pull {
                        rq.queued.set(false);
                    }
                    release(&rq.lock);
                    if may_pull {
                        assert_eq!(rq.registers.get(), 7);
                    }
                })
            };
            // prev, in schedule.
            acquire(&rq.lock);
            rq.prev_runs.set(false);
            if !$handed_over {
                release(&rq.lock);
            }
            // switch_to.
            rq.registers.set(7);
            // next, in finish_task_switch.
            if $handed_over {
                release(&rq.lock);
            }
            puller.join().unwrap();
        });
    }};
}

#[test]
fn a_pulled_task_has_left_its_cpu() {
    model!(real, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn released_by_prev_it_is_pulled_from_under_the_switch() {
    model!(real, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_release_the_queue_is_not_guarded() {
    model!(weak, true);
}
