//! A task that is about to sleep is preempted, pulled to another CPU, and woken, all at once.
//!
//! CPU 0 ran the task and preempts it; CPU 1 pulls it to its own queue; CPU 2 wakes it. The wake-up is
//! the kernel's own (`ttwu`), and so are `state`, `on_rq`, `on_cpu` and the queues' locks. Afterwards
//! the task is on one queue, once, and runnable if it was woken.

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::private::Private;
use crate::real::lock_word::{acquire, release};
use crate::sources::in_order;

const ASLEEP: u32 = 1;

/// A run queue: how often the task is on it, and whether the task is the one that runs.
struct Rq {
    lock: AtomicU32,
    queued: Private<u32>,
    runs: Private<bool>,
}

impl Rq {
    fn new(queued: u32, runs: bool) -> Self {
        Self {
            lock: AtomicU32::new(0),
            queued: Private::new(queued),
            runs: Private::new(runs),
        }
    }
}

macro_rules! task {
    ($version:ident) => {
        use crate::$version::on_cpu::{finish_task, prepare_task};
        use crate::$version::state::{OnRq, TaskState};
        use crate::$version::ttwu::{Sleeper, wake_up};

        struct Task {
            pi_lock: Mutex<()>,
            state: TaskState,
            on_rq: OnRq,
            on_cpu: AtomicU32,
            cpu: AtomicU32,
            registers: Private<u32>,
            rqs: [Rq; 2],
        }

        impl Task {
            /// Returns a task on CPU 0 that has set its state and does not sleep yet.
            fn about_to_sleep() -> Arc<Self> {
                let task = Self {
                    pi_lock: Mutex::new(()),
                    state: TaskState::new(),
                    on_rq: OnRq::new(),
                    on_cpu: AtomicU32::new(0),
                    cpu: AtomicU32::new(0),
                    registers: Private::new(0),
                    rqs: [Rq::new(1, true), Rq::new(0, false)],
                };
                task.on_rq.set_queued();
                prepare_task(&task.on_cpu);
                task.state.set_current_state(ASLEEP);
                Arc::new(task)
            }

            /// `try_to_wake_up`.
            fn try_to_wake_up(&self) {
                let _pi = self.pi_lock.lock().unwrap();
                if self.state.is_one_of(ASLEEP) {
                    wake_up(self);
                }
            }

            /// Returns on how many queues the task is in the end.
            fn times_queued(&self) -> u32 {
                self.rqs.iter().map(|rq| rq.queued.get()).sum()
            }
        }

        impl Sleeper for Task {
            fn state(&self) -> &TaskState {
                &self.state
            }
            fn on_rq(&self) -> &OnRq {
                &self.on_rq
            }
            fn on_cpu(&self) -> &AtomicU32 {
                &self.on_cpu
            }
            fn cpu(&self) -> u32 {
                self.cpu.load(Ordering::Relaxed)
            }
            fn lock_rq(&self, cpu: u32) {
                acquire(&self.rqs[cpu as usize].lock);
            }
            fn unlock_rq(&self, cpu: u32) {
                release(&self.rqs[cpu as usize].lock);
            }
            fn check_preempt_curr(&self, _cpu: u32) {}
            /// `ttwu_queue`, on the CPU that the task was on: the registers are loaded there at
            /// once.
            fn queue_on_some_cpu(&self) {
                let cpu = self.cpu();
                self.lock_rq(cpu);
                let rq = &self.rqs[cpu as usize];
                rq.queued.set(rq.queued.get() + 1);
                self.on_rq.set_queued();
                self.state.set_running();
                assert_eq!(self.registers.get(), 7, "it runs with half its registers");
                self.unlock_rq(cpu);
            }
        }
    };
}

macro_rules! preempted_pulled_and_woken {
    ($version:ident) => {{
        task!($version);
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        // A waker waits for the whole of a pull, look by look: there is no end of orders, and this
        // many cover all that matter.
        model.max_branches = 10_000;
        model.max_permutations = Some(20_000);
        model.check(|| {
            let task = Task::about_to_sleep();
            let puller = {
                let task = task.clone();
                // `pull_from` holds the lock of its own queue all the time. It does not wait for
                // the other's; here it looks when the preemption is over, or not at all.
                thread::spawn(move || {
                    let [src, this] = &task.rqs;
                    acquire(&this.lock);
                    acquire(&src.lock);
                    if src.queued.get() != 0 && !src.runs.get() {
                        task.on_rq.set_migrating();
                        src.queued.set(src.queued.get() - 1);
                        task.cpu.store(1, Ordering::Relaxed);
                        this.queued.set(this.queued.get() + 1);
                        task.on_rq.set_queued();
                    }
                    release(&src.lock);
                    release(&this.lock);
                })
            };
            let waker = {
                let task = task.clone();
                thread::spawn(move || task.try_to_wake_up())
            };
            // The preemption: the task stays queued, and the lock passes to the next task.
            let rq = &task.rqs[0];
            acquire(&rq.lock);
            rq.runs.set(false);
            task.registers.set(7);
            finish_task(&task.on_cpu);
            release(&rq.lock);

            puller.join().unwrap();
            waker.join().unwrap();
            assert_eq!(task.times_queued(), 1, "queued twice");
            assert!(!task.state.is_one_of(ASLEEP), "a lost wake-up");
        });
    }};
}

#[test]
fn a_task_pulled_before_it_slept_is_woken_once() {
    preempted_pulled_and_woken!(real);
    in_order(
        "src/sched/rq_locked.rs",
        &[
            "pub unsafe fn detach_task",
            "set_migrating()",
            "self.dequeue_task(p)",
            "pub unsafe fn attach_task",
            "self.activate_task(p)",
        ],
    );
    in_order(
        "src/sched/balance.rs",
        &[
            "src.trylock()",
            "src.detach_task(p)",
            "set_task_cpu(p",
            "this.attach_task(p",
        ],
    );
}

#[test]
#[should_panic(expected = "twice")]
fn a_pull_that_says_nothing_has_it_queued_twice() {
    preempted_pulled_and_woken!(no_migrating);
}

macro_rules! falls_asleep_and_is_woken {
    ($version:ident) => {{
        task!($version);
        loom::model(|| {
            let task = Task::about_to_sleep();
            let waker = {
                let task = task.clone();
                thread::spawn(move || task.try_to_wake_up())
            };
            // `schedule`: dequeues the task unless it has been woken, then switches.
            let rq = &task.rqs[0];
            acquire(&rq.lock);
            if task.state.is_one_of(ASLEEP) {
                rq.queued.set(rq.queued.get() - 1);
                task.on_rq.set_dequeued();
            }
            rq.runs.set(false);
            release(&rq.lock);
            task.registers.set(7);
            finish_task(&task.on_cpu);

            waker.join().unwrap();
            assert_eq!(task.times_queued(), 1, "queued once");
            assert!(!task.state.is_one_of(ASLEEP), "a lost wake-up");
        });
    }};
}

#[test]
fn a_task_woken_while_it_falls_asleep_runs_with_all_its_registers() {
    falls_asleep_and_is_woken!(real);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_wait_for_on_cpu_it_runs_with_half_of_them() {
    falls_asleep_and_is_woken!(no_wait);
}

/// A task has slept, finds its condition true itself, and ends; the waker of that sleep comes late.
fn ends(under_pi_lock: bool) {
    task!(real);
    const DEAD: u32 = 64;
    loom::model(move || {
        let task = Task::about_to_sleep();
        let waker = {
            let task = task.clone();
            thread::spawn(move || task.try_to_wake_up())
        };
        // finish_wait, then do_exit.
        task.state.set_running();
        let held = under_pi_lock.then(|| task.pi_lock.lock().unwrap());
        task.state.set_special_state(DEAD);
        drop(held);
        let finished = &task.on_cpu;
        // `schedule` looks with the lock of its queue held.
        acquire(&task.rqs[0].lock);
        assert!(task.state.is_one_of(DEAD), "a dead task runs");
        finish_task(finished);
        release(&task.rqs[0].lock);
        waker.join().unwrap();
        assert_eq!(task.times_queued(), 1, "still on its queue");
    });
}

#[test]
fn a_late_wake_up_does_not_call_back_the_dead() {
    ends(true);
    let special = &[
        "pub fn set_special_state",
        "self.pi_lock.lock()",
        "self.state.set_special_state(state)",
    ];
    in_order("src/task/task_struct.rs", special);
    in_order(
        "src/process/exit.rs",
        &["local_irq_disable();", "me.set_special_state(TASK_DEAD)"],
    );
    in_order(
        "src/process/stop.rs",
        &["me.set_special_state(TASK_STOPPED)", "is_killed(&me)"],
    );
    in_order(
        "src/process/trace_stop.rs",
        &["me.set_special_state(TASK_TRACED)", "is_killed(&me)"],
    );
}

#[test]
#[should_panic(expected = "a dead task runs")]
fn without_the_pi_lock_it_does() {
    ends(false);
}
