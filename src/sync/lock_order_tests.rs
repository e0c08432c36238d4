//! Checks that CPUs with random programs and interrupts, which take locks, all reach their end.

use super::*;
use crate::sync::lock_class::LOCK_CLASSES;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// The locks of the model: two contexts, and two locks of a class that may be nested.
const LOCKS: [Lock; 7] = [
    lock(LockClass::FilesTable, 1),
    lock(LockClass::MmMap, 2),
    lock(LockClass::Tasklist, 3),
    lock(LockClass::Cred, 4),
    lock(LockClass::RunQueue, 5),
    lock(LockClass::RunQueue, 6),
    lock(LockClass::Zone, 7),
];

const fn lock(class: LockClass, address: usize) -> Lock {
    Lock { class, address }
}

/// A program of the model: an index takes that lock, `None` releases the last lock taken.
type Program = Vec<Option<usize>>;

/// A CPU of the model: the task, and the interrupt above it, if any.
struct Cpu {
    /// The remaining steps, backwards, and the locks that were taken, or refused (`None`).
    contexts: Vec<(Program, Vec<Option<usize>>)>,
    interrupts: Vec<Program>,
}

impl Cpu {
    fn new(task: Program, interrupts: Vec<Program>) -> Self {
        let mut cpu = Self {
            contexts: vec![],
            interrupts,
        };
        cpu.begin(task);
        cpu
    }

    fn begin(&mut self, mut program: Program) {
        program.reverse();
        self.contexts.push((program, vec![]));
    }

    fn held(&self) -> impl Iterator<Item = Lock> {
        let taken = self.contexts.iter().flat_map(|(_, taken)| taken);
        taken.flatten().map(|&index| LOCKS[index])
    }

    fn interrupts_on(&self) -> bool {
        let none_is_off = self
            .held()
            .all(|lock| lock.class.row().context == Context::Task);
        self.contexts.len() == 1 && none_is_off
    }

    /// Does one step, or takes an interrupt before it; returns false if the CPU can only spin.
    fn step(&mut self, free: &mut [bool; LOCKS.len()], rules: bool, interrupted: bool) -> bool {
        if interrupted
            && self.interrupts_on()
            && let Some(program) = self.interrupts.pop()
        {
            self.begin(program);
        }
        let here = Here {
            interrupts_on: self.interrupts_on(),
            in_nmi: false,
        };
        let held: Vec<Lock> = self.held().collect();
        let Some((program, taken)) = self.contexts.last_mut() else {
            return false;
        };
        match program.last() {
            None => {
                for index in taken.drain(..).flatten() {
                    free[index] = true;
                }
                self.contexts.pop();
            }
            Some(None) => {
                program.pop();
                if let Some(Some(index)) = taken.pop() {
                    free[index] = true;
                }
            }
            Some(&Some(index)) => {
                if rules && may_wait_for(LOCKS[index], here, held.into_iter()).is_err() {
                    // The checker would have ended the kernel: such a program does not exist.
                    taken.push(None);
                } else if free[index] {
                    free[index] = false;
                    taken.push(Some(index));
                } else {
                    return false;
                }
                program.pop();
            }
        }
        true
    }
}

/// Runs all CPUs in the order of `schedule`, then until nothing moves; returns whether all have
/// ended.
fn all_end(cpus: &mut [Cpu], rules: bool, schedule: &[(usize, bool)]) -> bool {
    let mut free = [true; LOCKS.len()];
    for &(cpu, interrupted) in schedule {
        let cpu = cpu % cpus.len();
        cpus[cpu].step(&mut free, rules, interrupted);
    }
    // A CPU that spins with interrupts on still serves one, so an interrupt may always occur.
    while cpus.iter_mut().any(|cpu| cpu.step(&mut free, rules, true)) {}
    cpus.iter().all(|cpu| cpu.contexts.is_empty())
}

const FILES: usize = 0;
const TASKLIST: usize = 2;
const CRED: usize = 3;

#[test]
fn without_the_order_two_cpus_wait_for_each_other() {
    let cpus = || {
        [
            Cpu::new(vec![Some(TASKLIST), Some(CRED)], vec![]),
            Cpu::new(vec![Some(CRED), Some(TASKLIST)], vec![]),
        ]
    };
    let schedule = [(0, false), (1, false)];
    assert!(!all_end(&mut cpus(), false, &schedule));
    assert!(all_end(&mut cpus(), true, &schedule));
}

#[test]
fn without_the_contexts_an_interrupt_waits_for_whom_it_interrupted() {
    let cpus = || [Cpu::new(vec![Some(FILES)], vec![vec![Some(FILES)]])];
    let schedule = [(0, false), (0, true)];
    assert!(!all_end(&mut cpus(), false, &schedule));
    assert!(all_end(&mut cpus(), true, &schedule));
}

/// The interrupt wants another lock, whose holder waits for the interrupted program's lock.
#[test]
fn without_the_contexts_an_interrupt_waits_by_way_of_another_cpu() {
    let cpus = || {
        [
            Cpu::new(vec![Some(FILES)], vec![vec![Some(TASKLIST)]]),
            Cpu::new(vec![Some(TASKLIST), Some(FILES)], vec![]),
        ]
    };
    let schedule = [(0, false), (1, false), (0, true)];
    assert!(!all_end(&mut cpus(), false, &schedule));
    assert!(all_end(&mut cpus(), true, &schedule));
}

#[test]
fn in_an_nmi_no_lock_is_waited_for() {
    for &class in LOCK_CLASSES {
        let here = Here {
            interrupts_on: false,
            in_nmi: true,
        };
        let refused = may_wait_for(lock(class, 1), here, [].into_iter());
        assert_eq!(refused, Err(Misuse::InNmi));
    }
}

#[test]
fn classes_stand_in_the_order_of_their_numbers_and_task_locks_first() {
    for pair in LOCK_CLASSES.windows(2) {
        assert!(pair[0] < pair[1]);
        let contexts = (pair[0].row().context, pair[1].row().context);
        assert_ne!(contexts, (Context::Any, Context::Task));
    }
}

fn program() -> impl Strategy<Value = Program> {
    prop::collection::vec(prop::option::weighted(0.7, 0..LOCKS.len()), 0..8)
}

proptest! {
    #[test]
    fn programs_that_keep_the_rules_come_to_an_end(
        programs in prop::collection::vec((program(), prop::collection::vec(program(), 0..3)), 1..4),
        schedule in prop::collection::vec((0usize..4, any::<bool>()), 0..60),
    ) {
        let mut cpus: Vec<Cpu> = programs
            .into_iter()
            .map(|(task, interrupts)| Cpu::new(task, interrupts))
            .collect();
        prop_assert!(all_end(&mut cpus, true, &schedule));
    }
}
