//! perf_event_open: software events of a task add up.
//!
//! Each count is compared with what another call reports of the same task, or with what the program
//! itself has done.
//!
//! Linux: perf_event_open(2).
//! Red without: perf_event_task_sched_out, perf_event_task_sched_in; the count at a
//! page fault; inheritance; enable_on_exec.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, PATIENCE_NS, monotonic_ns, sleep_ms, switch_counts},
    eq, expect_exit, gates, ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    memory::{munmap, shared_page},
    ok,
    perf::*,
    process,
    sched::{sched_yield, set_affinity, stay_on_one_cpu},
    skip, start,
};

/// Repeats until nothing came in between; returns the task's switches and the result of `look`.
fn at_one_moment<T>(look: impl Fn() -> T) -> (u32, T) {
    let switches = || switch_counts().map(|(own, forced)| own + forced);
    loop {
        let before = switches().expect("getrusage");
        let seen = look();
        if switches() == Ok(before) {
            return (before, seen);
        }
    }
}

fn switches() {
    let event = Event::of_me(CONTEXT_SWITCHES, DISABLED);
    let (before, ()) = at_one_moment(|| {
        event.disable();
        event.reset();
        event.enable();
    });
    let other = child(|| {
        (0..20).for_each(|_| sched_yield());
        0
    });
    (0..20).for_each(|_| sched_yield());
    // A sleep that is over before it begins, on a busy host, is no switch.
    let nvcsw = || switch_counts().expect("getrusage").0;
    let enough = nvcsw() + 5;
    while nvcsw() < enough {
        sleep_ms(4);
    }
    other.wait();
    let (after, counted) = at_one_moment(|| event.read());
    ok!(counted >= 5, "switches are counted");
    eq!(
        counted,
        u64::from(after - before),
        "as many as nvcsw and nivcsw say"
    );
    event.disable();
    let stopped = event.read();
    sleep_ms(4);
    eq!(event.read(), stopped, "disabled, it counts no more");
    event.reset();
    eq!(event.read(), 0, "reset, it begins at 0");
}

/// Counts another task's switches, from its first to the point where it says how many they were.
fn of_another_task() {
    let page = shared_page();
    let other = child(|| {
        while page[0].load(SeqCst) == 0 {
            sleep_ms(4);
        }
        let (before, ()) = at_one_moment(|| page[1].store(1, SeqCst));
        while at_one_moment(|| ()).0 < before + 20 {
            sleep_ms(4);
        }
        let (after, ()) = at_one_moment(|| ());
        page[2].store(after - before, SeqCst);
        0
    });
    let event = Event::open(Attr::software(CONTEXT_SWITCHES, 0), other.pid, NONE);
    page[0].store(1, SeqCst);
    other.wait();
    let counted = event.read();
    let told = u64::from(page[2].load(SeqCst));
    ok!(
        told >= 20 && counted >= told,
        "another task's switches: at least as many as it reports"
    );
    sleep_ms(8);
    eq!(event.read(), counted, "its end ends the counting");
    eq!(
        Attr::software(DUMMY, 0).open(other.pid, NONE, NONE, 0),
        Err(Errno::ESRCH),
        "a task that is gone: ESRCH"
    );
}

fn migrations() {
    const MOVES: u64 = 9;
    if set_affinity(0, 0b10).is_err() {
        skip!("one CPU", "as many migrations as sched_setaffinity made");
        skip!("one CPU", "an event of the other CPU does not count here");
        skip!("one CPU", "but it is enabled");
        skip!("one CPU", "and counts there");
        return;
    }
    set_affinity(0, 0b01).expect("CPU 0");
    let event = Event::of_me(CPU_MIGRATIONS, 0);
    for i in 0..MOVES {
        set_affinity(0, if i % 2 == 0 { 0b10 } else { 0b01 }).expect("CPU 0 or 1");
        sched_yield();
    }
    eq!(
        event.read(),
        MOVES,
        "as many migrations as sched_setaffinity made"
    );
    set_affinity(0, 0b01).expect("CPU 0");
    let mut attr = Attr::software(TASK_CLOCK, 0).format(FORMAT_TIMES_AND_ID);
    let there = Event(attr.open(0, 1, NONE, 0).expect("an event of CPU 1"));
    let [count, enabled, running, _] = there.read_words().expect("read");
    eq!(
        (count, running),
        (0, 0),
        "an event of the other CPU does not count here"
    );
    ok!(enabled > 0, "but it is enabled");
    set_affinity(0, 0b10).expect("CPU 1");
    let [count, enabled, running, _] = there.read_words().expect("read");
    ok!(
        count > 0 && count == running && running < enabled,
        "and counts there"
    );
    set_affinity(0, 0b01).expect("CPU 0");
}

fn touch(address: u32, pages: u32) {
    for page in 0..pages {
        // SAFETY: inside a fresh mapping of at least so many pages.
        unsafe { ((address + page * PAGE_SIZE) as *mut u32).write_volatile(1) };
    }
}

fn faults() {
    const PAGES: u32 = 24;
    let kinds = [
        (PAGE_FAULTS, 0, PAGES),
        (PAGE_FAULTS_MIN, 0, PAGES),
        (PAGE_FAULTS_MAJ, 0, 0),
        (PAGE_FAULTS, EXCLUDE_KERNEL, PAGES),
        (PAGE_FAULTS, EXCLUDE_USER, 0),
    ];
    for (config, flags, wanted) in kinds {
        let event = Event::of_me(config, DISABLED | flags);
        let fresh = mmap_anonymous(PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE)
            .expect("fresh pages");
        event.enable();
        touch(fresh, PAGES);
        event.disable();
        eq!(
            event.read(),
            u64::from(wanted),
            "{PAGES} pages touched: event {config}, flags {flags:#x}"
        );
        munmap(fresh, PAGES * PAGE_SIZE).expect("munmap");
    }
    let event = Event::of_me(PAGE_FAULTS, EXCLUDE_USER | DISABLED);
    let fresh =
        mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("a fresh page");
    event.enable();
    gates::syscall(265, [1, fresh]).expect("clock_gettime");
    event.disable();
    eq!(event.read(), 1, "a page touched by the kernel");
}

fn clocks() {
    let begin = monotonic_ns();
    let event = Event::of_me(TASK_CLOCK, 0);
    let mut last = event.read();
    let mut backwards = 0;
    while last < 10 * NS_PER_MS && monotonic_ns() - begin < PATIENCE_NS {
        let now = event.read();
        backwards += u32::from(now < last);
        last = now;
    }
    let ran = event.read();
    let passed = monotonic_ns() - begin;
    ok!(ran >= 10 * NS_PER_MS, "the task's clock goes while it runs");
    // The clock of the system is read in microseconds.
    ok!(ran <= passed + 2000, "and no faster than the system's");
    eq!(backwards, 0, "and never back");
    // A busy host may take the processor away in between: it may need another look.
    let stands = (0..10).any(|_| {
        let (before, begin) = (event.read(), monotonic_ns());
        sleep_ms(80);
        let (after, end) = (event.read(), monotonic_ns());
        after - before < (end - begin) / 2
    });
    ok!(stands, "it stands while the task sleeps");
    let cpu_clock = Event::of_me(0, 0);
    ok!(cpu_clock.read() > 0, "the clock of the CPU goes as well");
}

fn formats() {
    let leader = Event::open(
        Attr::software(DUMMY, 0).format(FORMAT_TIMES_AND_ID | FORMAT_GROUP),
        0,
        NONE,
    );
    let clock = Event::open(
        Attr::software(TASK_CLOCK, 0).format(FORMAT_TIMES_AND_ID),
        0,
        leader.0,
    );
    let faults = Event::open(Attr::software(PAGE_FAULTS, 0), 0, leader.0);
    let [count, enabled, running, id] = clock.read_words().expect("read");
    eq!(id, clock.id(), "the number is that of IOC_ID");
    ok!(
        count > 0 && count == running && running == enabled,
        "a clock counts what it is running"
    );
    let [number, enabled, running, zero, a, _, b, _, c] = leader.read_words().expect("read");
    eq!(
        (number, zero, a, b, c),
        (3, 0, leader.id(), clock.id(), faults.id()),
        "a group: how many, then values and numbers, the leader's first"
    );
    ok!(enabled > 0 && enabled == running, "and the leader's times");
    eq!(
        leader.read_words::<8>(),
        Err(Errno::ENOSPC),
        "room for less: ENOSPC"
    );
    leader.disable();
    let stopped = clock.read_words::<4>();
    sched_yield();
    eq!(
        clock.read_words::<4>(),
        stopped,
        "without its leader, none counts"
    );
    leader.enable();
    leader
        .ioctl(IOC_DISABLE, IOC_FLAG_GROUP)
        .expect("DISABLE of a group");
    leader.enable();
    let stopped = clock.read_words::<4>();
    sched_yield();
    eq!(
        clock.read_words::<4>(),
        stopped,
        "IOC_FLAG_GROUP disables each"
    );
    clock.enable();
    let before = clock.read_words::<4>();
    drop(leader);
    sched_yield();
    ok!(
        clock.read_words::<4>() != before,
        "when the leader is closed, the others go on"
    );
}

fn inheritance() {
    const PAGES: u32 = 40;
    let (own, all) = (
        Event::of_me(PAGE_FAULTS, 0),
        Event::of_me(PAGE_FAULTS, INHERIT),
    );
    let touches = || {
        let fresh = mmap_anonymous(PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE)
            .expect("fresh pages");
        touch(fresh, PAGES);
        0
    };
    let nested = child(|| child(touches).wait().0 as i32 + touches());
    eq!(
        nested.wait(),
        WaitStatus::exited(0),
        "a child, and its child"
    );
    let (own, all) = (own.read(), all.read());
    ok!(
        all >= own + 2 * u64::from(PAGES),
        "inherited: faults of both are counted"
    );
    ok!(own < u64::from(PAGES), "not inherited: they are not");
}

/// Runs in the new program: descriptor 3 is an event that exec was to enable.
fn after_exec() -> i32 {
    let event = Event(3);
    i32::from(event.read() == 0)
}

fn exec() {
    expect_exit("exec enables an event that waits for it", 0, || {
        let event = Event::of_me(PAGE_FAULTS, DISABLED | ENABLE_ON_EXEC);
        let fresh = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        touch(fresh.expect("a fresh page"), 1);
        if event.read() != 0 || event.0 != 3 {
            return 50;
        }
        core::mem::forget(event);
        process::exec_self(c"after_exec")
    });
}

/// A task reads the events of another that switches, forks and ends meanwhile.
fn race() {
    static ROUNDS: AtomicU32 = AtomicU32::new(0);
    let mut wrong = 0;
    for _ in 0..10 {
        let other = child(|| {
            (0..10).for_each(|_| sched_yield());
            let grandchild = child(|| 0);
            (0..10).for_each(|_| sched_yield());
            grandchild.wait().0 as i32
        });
        let event = Attr::software(TASK_CLOCK, INHERIT).open(other.pid, NONE, NONE, 0);
        if let Ok(event) = event.map(Event) {
            let mut last = 0;
            for _ in 0..20 {
                let now = event.read();
                wrong += u32::from(now < last);
                last = now;
                sched_yield();
            }
            ROUNDS.fetch_add(1, SeqCst);
        }
        wrong += u32::from(other.wait() != WaitStatus::exited(0));
    }
    eq!(wrong, 0, "read while its task switches, forks and ends");
}

fn main() -> i32 {
    if start::arg(1) == Some("after_exec") {
        return after_exec();
    }
    ktap::plan(35);
    stay_on_one_cpu();
    switches();
    faults();
    clocks();
    formats();
    exec();
    migrations();
    set_affinity(0, u32::MAX).expect("all CPUs");
    of_another_task();
    inheritance();
    race();
    ktap::finish()
}

rt::main!(main);
