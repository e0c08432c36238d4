//! Cases of the hooks of a switch: preempt notifiers, `sched_info`.

use core::sync::atomic::{AtomicU32, Ordering};

use super::Case;
use super::check::{Outcome, Verdict, expect, expect_true, expect_within};
use super::crew::{Crew, Journal, me, pass};
use super::smp::schedule_timeout_uninterruptible;
use crate::base::insn::rdtsc;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS, smp_processor_id};
use crate::mm::fallible::try_collect;
use crate::process::tasklist::TASKLIST;
use crate::sched::hooks::hooks_of_new_task;
use crate::sched::hooks::preempt_notifier::{
    preempt_notifier_register, preempt_notifier_unregister,
};
use crate::sched::hooks::sched_info::sched_info_of;
use crate::sched::rq::cpu_rq;
use crate::task::hooks::HOOK_SCHED_INFO;
use crate::task::preempt_notifier::{PreemptNotifier, PreemptOps};

pub const CASES: &[Case] = &[
    Case {
        name: "preempt_notifiers_are_told_in_pairs",
        run: preempt_notifiers_are_told_in_pairs,
    },
    Case {
        name: "preempt_notifiers_are_the_tasks_own",
        run: preempt_notifiers_are_the_tasks_own,
    },
    Case {
        name: "sched_info_adds_up",
        run: sched_info_adds_up,
    },
    Case {
        name: "sched_info_counts_slices_and_delay",
        run: sched_info_counts_slices_and_delay,
    },
];

/// A client like a hypervisor: it notes when its task is switched in and out.
struct Guest {
    outs: AtomicU32,
    ins: AtomicU32,
    last_next: AtomicU32,
    wrong: AtomicU32,
}

impl Guest {
    const fn new() -> Self {
        Self {
            outs: AtomicU32::new(0),
            ins: AtomicU32::new(0),
            last_next: AtomicU32::new(0),
            wrong: AtomicU32::new(0),
        }
    }
}

fn guest_of(notifier: &PreemptNotifier) -> &Guest {
    // SAFETY: each registration below holds the address of a guest that outlives it.
    unsafe { &*(notifier.data as *const Guest) }
}

static OPS: PreemptOps = PreemptOps {
    sched_out: |notifier, next_pid| {
        let guest = guest_of(notifier);
        let (outs, ins) = (
            guest.outs.fetch_add(1, Ordering::Relaxed),
            guest.ins.load(Ordering::Relaxed),
        );
        guest
            .wrong
            .fetch_add(u32::from(outs != ins), Ordering::Relaxed);
        guest.last_next.store(next_pid as u32, Ordering::Relaxed);
    },
    sched_in: |notifier, cpu| {
        let guest = guest_of(notifier);
        let (ins, outs) = (
            guest.ins.fetch_add(1, Ordering::Relaxed) + 1,
            guest.outs.load(Ordering::Relaxed),
        );
        let is_wrong = ins != outs || cpu != smp_processor_id();
        guest
            .wrong
            .fetch_add(u32::from(is_wrong), Ordering::Relaxed);
    },
};

fn registered<R>(guest: &Guest, f: impl FnOnce() -> R) -> R {
    let mut notifier = PreemptNotifier::new(&OPS, core::ptr::from_ref(guest) as usize);
    // SAFETY: the notifier stays on our stack until it is unregistered below.
    unsafe { preempt_notifier_register(&mut notifier) };
    let result = f();
    // SAFETY: registered above by this task.
    unsafe { preempt_notifier_unregister(&notifier) };
    result
}

/// `sched_out` and `sched_in` alternate; the first names the next task, the second the CPU; after
/// the registration ends neither is called.
fn preempt_notifiers_are_told_in_pairs() -> Outcome {
    let other_pid = AtomicU32::new(0);
    let one = || {
        let (guest, second) = (Guest::new(), Guest::new());
        registered(&guest, || {
            registered(&second, || (0..5).for_each(|_| pass()));
            pass();
        });
        let told = guest.outs.load(Ordering::Relaxed);
        pass();
        expect("times told", told, 6)?;
        expect(
            "times told after the end",
            guest.outs.load(Ordering::Relaxed),
            told,
        )?;
        expect("returns told", guest.ins.load(Ordering::Relaxed), told)?;
        expect(
            "out of turn, or of a wrong CPU",
            guest.wrong.load(Ordering::Relaxed),
            0,
        )?;
        expect(
            "times the second was told",
            second.outs.load(Ordering::Relaxed),
            5,
        )?;
        let next = guest.last_next.load(Ordering::Relaxed);
        expect("who came", next, other_pid.load(Ordering::Relaxed))
    };
    let other = || {
        // SAFETY: our own descriptor, and we run.
        other_pid.store(unsafe { (*me()).pid() } as u32, Ordering::Relaxed);
        (0..7).for_each(|_| pass());
        Ok(())
    };
    Crew::new().actor("one", one).actor("other", other).run()
}

/// A child does not inherit the notifiers, and another task's switches do not call them.
fn preempt_notifiers_are_the_tasks_own() -> Outcome {
    let seen = Journal::new();
    let one = || {
        let guest = Guest::new();
        registered(&guest, pass);
        seen.note(guest.outs.load(Ordering::Relaxed));
        Ok(())
    };
    let others = || {
        (0..4).for_each(|_| pass());
        Ok(())
    };
    Crew::new()
        .actor("one", one)
        .actor("b", others)
        .actor("c", others)
        .run()?;
    expect(
        "times told, with others switching",
        &seen.entries()[..],
        &[1],
    )
}

fn needs_schedstats() -> Outcome {
    match hooks_of_new_task().contains(HOOK_SCHED_INFO) {
        false => Err(Verdict::Skipped("needs schedstats=on")),
        true => Ok(()),
    }
}

/// The time that all tasks ran, idle tasks included, is the number of CPUs times the time that
/// passed.
fn sched_info_adds_up() -> Outcome {
    needs_schedstats()?;
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    let total = || -> u64 {
        let tasks = try_collect(TASKLIST.lock().pids.all().map(|(_, e)| e.task.clone()))
            .expect("memory for a list of all tasks");
        let listed: u64 = tasks.iter().map(|task| sched_info_of(task).cpu_time).sum();
        let idle = |cpu| {
            // SAFETY: idle tasks live for ever.
            sched_info_of(unsafe { &*cpu_rq(cpu).idle() }).cpu_time
        };
        let cpus = (0..NR_CPUS as u32).filter(|cpu| online & 1 << cpu != 0);
        listed + cpus.map(idle).sum::<u64>()
    };
    // Reading takes a while, during which some totals have moved and others have not: the time that
    // passed lies between the first and the last look of each reading.
    let look = || (rdtsc(), total(), rdtsc());
    let (begin_1, before, end_1) = look();
    for _ in 0..10 {
        schedule_timeout_uninterruptible(2);
    }
    let (begin_2, after, end_2) = look();
    let cpus = u64::from(online.count_ones());
    let (least, most) = (cpus * (begin_2 - end_1), cpus * (end_2 - begin_1));
    expect_within("time of all tasks", after - before, least, most)
}

/// Two tasks share a CPU: each waits while the other runs.
fn sched_info_counts_slices_and_delay() -> Outcome {
    needs_schedstats()?;
    let play = || {
        // SAFETY: we run, and no other task writes the fields that are read.
        let mine = || sched_info_of(unsafe { &*me() });
        let before = mine();
        for _ in 0..4 {
            pass();
        }
        let after = mine();
        expect("slices", after.pcount - before.pcount, 4)?;
        expect_true("it waited", after.run_delay > before.run_delay)?;
        expect_true("it ran", after.cpu_time > before.cpu_time)
    };
    Crew::new().actor("a", play).actor("b", play).run()
}
