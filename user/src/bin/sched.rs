//! Which task runs next: FIFO order, RR rotation, priorities, preemption, sleeping.
//!
//! All tasks share one CPU. The parent, at the highest priority of the family, prepares each case
//! and then waits, so the children start in the order that the policy says.
//!
//! Book: ch. 7, process scheduling.
//! Red without: the order of the run queue; the RR slice; preemption at a wake-up and
//! by the timer; nvcsw and nivcsw.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    WaitStatus, child,
    clock::{NS_PER_MS, PATIENCE_NS, monotonic_ns, sleep_ms, switch_counts},
    eq, ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::Child,
    relay::{MAX_ROLES, Role, alternate},
    sched::{SCHED_FIFO, SCHED_OTHER, SCHED_RR, sched_setscheduler, stay_on_one_cpu},
};

/// The parent's priority; its children have lower ones and wait until it waits.
const PARENT: u32 = 60;

/// Appends `who` to the log of turns; word 0 is its length.
fn note(page: SharedPage, who: u32) {
    let at = page[0].fetch_add(1, SeqCst) as usize + 1;
    if at < page.len() {
        page[at].store(who, SeqCst);
    }
}

fn noted<const N: usize>(page: SharedPage) -> [u32; N] {
    core::array::from_fn(|i| page[i + 1].load(SeqCst))
}

/// Runs for `ms` milliseconds by the clock; returns how often another task changed `page[0]`
/// meanwhile.
fn spin(ms: u64, page: SharedPage, who: u32) -> u32 {
    let end = monotonic_ns() + ms * NS_PER_MS;
    let mut intruded = 0;
    page[0].store(who, SeqCst);
    while monotonic_ns() < end {
        intruded += u32::from(page[0].swap(who, SeqCst) != who);
    }
    intruded
}

/// Two tasks spin; words 1 and 2 count how often each was interrupted by the other, until both have
/// been `times` times. Returns false if that never happens.
fn spin_until_both(times: u32, page: SharedPage, who: u32) -> bool {
    let end = monotonic_ns() + PATIENCE_NS;
    while monotonic_ns() < end {
        let intruded = u32::from(page[0].swap(who, SeqCst) != who);
        page[who as usize].fetch_add(intruded, SeqCst);
        if [1, 2].iter().all(|&w: &usize| page[w].load(SeqCst) > times) {
            return true;
        }
    }
    false
}

fn start(policy: u32, priority: u32, body: impl FnOnce() -> i32) -> Child {
    let child = child(body);
    sched_setscheduler(child.pid, policy, priority).expect("sched_setscheduler");
    child
}

fn all_well<const N: usize>(children: [Child; N]) -> bool {
    children.map(Child::wait) == [WaitStatus::exited(0); N]
}

/// The children inherit policy and priority: when a priority is lowered, Linux puts the task at the
/// head of its queue since 2.6.39, and at the tail before.
fn fifo() {
    let page = shared_page();
    let children = [1, 2, 3, 4].map(|who| {
        child(|| {
            note(page, who);
            0
        })
    });
    ok!(all_well(children), "four FIFO tasks run and exit");
    eq!(
        noted(page),
        [1, 2, 3, 4],
        "in the order in which they became ready"
    );

    let page = shared_page();
    let spinners = [1, 2].map(|who| child(|| spin(250, page, who) as i32));
    ok!(
        all_well(spinners),
        "FIFO: neither of two spinners is interrupted by the other"
    );
}

fn round_robin() {
    let page = shared_page();
    let spinners =
        [1, 2].map(|who| start(SCHED_RR, 20, || i32::from(!spin_until_both(2, page, who))));
    ok!(
        all_well(spinners),
        "RR: each of two spinners is interrupted, again and again"
    );
}

fn priorities() {
    let page = shared_page();
    let children = [10, 30, 20, 5].map(|priority| {
        start(SCHED_FIFO, priority, || {
            note(page, priority);
            0
        })
    });
    ok!(all_well(children), "four priorities run and exit");
    eq!(noted(page), [30, 20, 10, 5], "the highest first");

    let page = shared_page();
    let high = start(SCHED_FIFO, 30, || {
        sleep_ms(40);
        note(page, 30);
        0
    });
    let low = start(SCHED_FIFO, 10, || {
        let end = monotonic_ns() + PATIENCE_NS;
        while page[0].load(SeqCst) == 0 && monotonic_ns() < end {
            core::hint::spin_loop();
        }
        note(page, 10);
        0
    });
    ok!(
        all_well([high, low]),
        "a sleeper above a spinner: both exit"
    );
    eq!(
        noted(page),
        [30, 10],
        "the sleeper preempts the spinner when it wakes"
    );

    let page = shared_page();
    let normal = start(SCHED_OTHER, 0, || {
        note(page, 0);
        0
    });
    let real_time = start(SCHED_FIFO, 1, || {
        note(page, 1);
        0
    });
    ok!(
        all_well([normal, real_time]),
        "a normal and a real-time task run and exit"
    );
    eq!(
        noted(page),
        [1, 0],
        "the lowest real-time priority is above the normal policy"
    );
}

fn preemption() {
    let page = shared_page();
    let spinners = [1, 2].map(|who| {
        start(SCHED_OTHER, 0, || {
            let shared = spin_until_both(4, page, who);
            let (_, nivcsw) = switch_counts().expect("getrusage");
            i32::from(!shared) | i32::from(nivcsw < 3) << 1
        })
    });
    ok!(
        all_well(spinners),
        "two normal spinners share the CPU: preempted, and counted as nivcsw"
    );

    let sleeper = start(SCHED_FIFO, 20, || {
        // A sleep that is over before it begins, on a busy host, is no switch.
        let is_exact = (0..10).any(|_| {
            let (before, involuntary) = switch_counts().expect("getrusage");
            (0..10).for_each(|_| sleep_ms(10));
            switch_counts() == Ok((before + 10, involuntary))
        });
        i32::from(!is_exact)
    });
    eq!(
        sleeper.wait(),
        WaitStatus::exited(0),
        "ten sleeps are ten voluntary switches, and no other"
    );
}

fn many() {
    let nothing = Role::new(&|| (), &|_| true);
    let out = alternate(50, &[nothing; MAX_ROLES]);
    ok!(
        (0..MAX_ROLES).all(|who| out.held(who)),
        "32 tasks pass a turn round"
    );
    ok!(out.passed() >= 32 * 50 - 1, "50 times");

    // On one CPU, first come, first served: a task that wakes waits until all others sleep.
    let [began, of_the_first, ..] = shared_page();
    let begin = monotonic_ns();
    let sleepers: [_; 32] = core::array::from_fn(|_| {
        child(|| {
            began.fetch_add(1, SeqCst);
            sleep_ms(100);
            let _ = of_the_first.compare_exchange(0, began.load(SeqCst), SeqCst, SeqCst);
            0
        })
    });
    let well = all_well(sleepers);
    let took_ms = (monotonic_ns() - begin) / NS_PER_MS;
    ok!(well && took_ms >= 100, "32 tasks sleep");
    eq!(
        of_the_first.load(SeqCst),
        32,
        "at the same time: all before one wakes"
    );
}

fn main() -> i32 {
    ktap::plan(16);
    stay_on_one_cpu();
    sched_setscheduler(0, SCHED_FIFO, PARENT).expect("SCHED_FIFO");
    fifo();
    round_robin();
    priorities();
    preemption();
    many();
    ktap::finish()
}

rt::main!(main);
