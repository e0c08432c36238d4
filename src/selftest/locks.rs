//! Cases of the lock checker: one lock of each class, taken in its context and in its order.

use super::Case;
use super::check::Outcome;
use super::crew::Crew;
use super::smp::{Rendezvous, need_cpus};
use crate::arch::x86::irq::smp::on_each_cpu;
use crate::base::errno::Errno;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::mm::fallible::try_collect;
use crate::sync::lock_class::{Context, LOCK_CLASSES};
use crate::sync::spinlock::{IrqSpinLockGuard, SpinLockGuard};
use crate::sync::{IrqSpinLock, PreemptGuard, SpinLock};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::Ordering;

pub const CASES: &[Case] = &[
    Case {
        name: "locks_in_the_order_of_the_table",
        run: locks_in_the_order_of_the_table,
    },
    Case {
        name: "smp_locks_in_the_order_of_the_table",
        run: smp_locks_in_the_order_of_the_table,
    },
];

const MOST: usize = 64;
const ROUNDS: u32 = 200;

/// A lock of each class.
struct Locks {
    task: Vec<SpinLock<u32>>,
    any: Vec<IrqSpinLock<u32>>,
}

impl Locks {
    fn of_all_classes() -> Result<Self, Errno> {
        let of = |context| {
            let classes = LOCK_CLASSES.iter().copied();
            classes.filter(move |class| class.row().context == context)
        };
        Ok(Self {
            task: try_collect(of(Context::Task).map(|class| SpinLock::new(class, 0)))?,
            any: try_collect(of(Context::Any).map(|class| IrqSpinLock::new(class, 0)))?,
        })
    }

    /// Takes all of them, the outermost first, and counts in each.
    fn take_all(&self) {
        let mut guards = ArrayVec::<SpinLockGuard<'_, u32>, MOST>::new();
        for lock in &self.task {
            guards.push(lock.lock());
            // A tick that comes now takes its own locks in between.
        }
        self.take_those_of_interrupts();
        for guard in &mut guards {
            **guard += 1;
        }
        while guards.pop().is_some() {}
    }

    /// Takes those that an interrupt handler may take, and counts in each.
    fn take_those_of_interrupts(&self) {
        let mut guards = ArrayVec::<IrqSpinLockGuard<'_, u32>, MOST>::new();
        for lock in &self.any {
            guards.push(lock.lock());
        }
        for guard in &mut guards {
            **guard += 1;
        }
        // The last one must be released first: it was the last to turn interrupts off.
        while guards.pop().is_some() {}
    }

    /// Returns the sum of the counts of each of the two kinds of lock.
    fn counts(&self) -> [u32; 2] {
        let task = self.task.iter().map(|lock| *lock.lock());
        let any = self.any.iter().map(|lock| *lock.lock());
        [task.sum::<u32>(), any.sum::<u32>()]
    }

    fn expect(&self, task: u32, any: u32) -> Outcome {
        let wanted = [task * self.task.len() as u32, any * self.any.len() as u32];
        super::check::expect("counts of both kinds", self.counts(), wanted)
    }
}

fn locks_in_the_order_of_the_table() -> Outcome {
    let locks = Locks::of_all_classes()?;
    for _ in 0..ROUNDS {
        locks.take_all();
    }
    locks.expect(ROUNDS, ROUNDS)
}

/// Every CPU takes all locks at once, and takes those of interrupts in an interrupt from another.
fn smp_locks_in_the_order_of_the_table() -> Outcome {
    need_cpus(2)?;
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    let cpus = online.count_ones();
    let locks = Locks::of_all_classes()?;
    let begin = Rendezvous::new(cpus);
    let mut crew = Crew::new();
    for cpu in (0..NR_CPUS as u32).filter(|cpu| online & 1 << cpu != 0) {
        let (begin, locks) = (&begin, &locks);
        crew = crew.actor_on(cpu, "taker", move || {
            begin.meet()?;
            for round in 0..ROUNDS {
                locks.take_all();
                if round % 16 == cpu {
                    in_interrupts(locks);
                }
            }
            Ok(())
        });
    }
    crew.run()?;
    let calls = (0..ROUNDS).filter(|round| round % 16 < cpus).count() as u32;
    locks.expect(cpus * ROUNDS, cpus * ROUNDS + calls * cpus)
}

/// Takes the locks of interrupts in an interrupt on each CPU.
fn in_interrupts(locks: &Locks) {
    let _no_preempt = PreemptGuard::new();
    on_each_cpu(&|| locks.take_those_of_interrupts());
}
