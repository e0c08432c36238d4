//! Restartable sequences: an interrupted section starts over at its abort handler.
//!
//! A preemption, a signal, or a move to another CPU interrupts it; flags select among these.
//!
//! Linux: rseq(2).
//! Red without: `rseq_preempt`, `rseq_migrate`, `rseq_signal_deliver`; the check of the section on
//! the return to ring 3; `rseq_fork`, `rseq_execve`.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{sleep_ms, switch_counts},
    eq, expect_exit, expect_signal, ktap, machine,
    memory::{PAGE_SIZE, UNMAPPED_ADDRESS, munmap, shared_page},
    ok, println, process,
    rseq::{
        Ending, NO_RESTART_ON_MIGRATE, NO_RESTART_ON_PREEMPT, NO_RESTART_ON_SIGNAL, Rseq,
        SIGNATURE, Section, UNREGISTER, rseq, spin,
    },
    sched::{
        SCHED_FIFO, SCHED_OTHER, get_affinity, sched_setscheduler, set_affinity, stay_on_one_cpu,
    },
    signal::SIGSEGV,
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
    skip, start,
    thread::spawn,
};

const UNSUPPORTED: &str = "flags of sections are gone since Linux 6.1";
const ONE_CPU: &str = "needs two CPUs";

/// The registration of the first thread.
static MINE: Rseq = Rseq::new();
static OTHER: Rseq = Rseq::new();
static WORD: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicU32 = AtomicU32::new(0);

fn has_flags() -> bool {
    machine::kernel_version() < (6, 1)
}

fn errors() {
    let mine = MINE.address();
    let other = OTHER.address();
    let unregister = |address, bytes, flags, sig| rseq(address, bytes, UNREGISTER | flags, sig);
    eq!(
        rseq(mine + 4, 32, 0, SIGNATURE),
        Err(Errno::EINVAL),
        "a bad alignment: EINVAL"
    );
    eq!(
        rseq(mine, 28, 0, SIGNATURE),
        Err(Errno::EINVAL),
        "a bad length: EINVAL"
    );
    eq!(
        rseq(mine, 32, 2, SIGNATURE),
        Err(Errno::EINVAL),
        "an unknown flag: EINVAL"
    );
    let kernels = machine::task_size();
    eq!(
        rseq(kernels, 32, 0, SIGNATURE),
        Err(Errno::EFAULT),
        "the kernel's address: EFAULT"
    );
    eq!(
        MINE.unregister(),
        Err(Errno::EINVAL),
        "not registered: EINVAL"
    );
    eq!(MINE.register(), Ok(()), "registered");
    let cpus = [&MINE.cpu_id_start, &MINE.cpu_id].map(|id| id.load(SeqCst));
    ok!(
        cpus[0] == cpus[1] && cpus[0] < 32 && get_affinity() & 1 << cpus[0] != 0,
        "both numbers are those of a CPU"
    );
    eq!(MINE.register(), Err(Errno::EBUSY), "again: EBUSY");
    eq!(
        rseq(mine, 32, 0, 1),
        Err(Errno::EPERM),
        "with another signature: EPERM"
    );
    eq!(
        OTHER.register(),
        Err(Errno::EINVAL),
        "another structure: EINVAL"
    );
    eq!(
        rseq(mine, 28, 0, SIGNATURE),
        Err(Errno::EINVAL),
        "another length: EINVAL"
    );
    eq!(
        unregister(mine, 32, 2, SIGNATURE),
        Err(Errno::EINVAL),
        "end with a flag: EINVAL"
    );
    eq!(
        unregister(other, 32, 0, SIGNATURE),
        Err(Errno::EINVAL),
        "end of another: EINVAL"
    );
    eq!(
        unregister(mine, 28, 0, SIGNATURE),
        Err(Errno::EINVAL),
        "end of another length: EINVAL"
    );
    eq!(
        unregister(mine, 32, 0, 1),
        Err(Errno::EPERM),
        "end with another signature: EPERM"
    );
    eq!(MINE.unregister(), Ok(()), "the end");
    let cpus = [&MINE.cpu_id_start, &MINE.cpu_id].map(|id| id.load(SeqCst));
    eq!(cpus, [0, u32::MAX], "leaves no CPU behind");
    eq!(
        MINE.unregister(),
        Err(Errno::EINVAL),
        "and comes only once: EINVAL"
    );
    eq!(MINE.register(), Ok(()), "registered again");
}

/// Spins in a section while a child on the same CPU runs in between, does `body` and then tells us
/// to stop; returns how the section ended, and the section.
fn spin_while(flags: u32, body: impl FnOnce()) -> (Ending, Section) {
    let section = Section::of_spin(flags);
    let [turned, stop, ready, ..] = shared_page();
    let child = child(|| {
        sched_setscheduler(0, SCHED_FIFO, 10).expect("SCHED_FIFO");
        ready.store(1, SeqCst);
        while turned.load(SeqCst) == 0 {
            sleep_ms(4);
        }
        body();
        stop.store(1, SeqCst);
        0
    });
    while ready.load(SeqCst) == 0 {
        sleep_ms(1);
    }
    let ending = spin(&MINE, &section, turned, stop);
    child.wait();
    (ending, section)
}

fn preempted() {
    let (ending, _) = spin_while(0, || ());
    eq!(
        ending,
        Ending::Aborted,
        "preempted, a section goes on at its abort handler"
    );
    eq!(MINE.section(), 0, "and is none any more");
    eq!(
        spin(&MINE, &Section::of_spin(0), &WORD, &AtomicU32::new(1)),
        Ending::Committed,
        "not interrupted, it commits"
    );
    let done_elsewhere = Section::of_spin(0);
    MINE.rseq_cs[0].store(&raw const done_elsewhere as u32, SeqCst);
    sleep_ms(1);
    eq!(
        MINE.section(),
        0,
        "one that the thread is not in is forgotten"
    );
    if !has_flags() {
        skip!(UNSUPPORTED, "NO_RESTART_ON_PREEMPT: it commits");
        skip!(UNSUPPORTED, "the same in struct rseq");
        return;
    }
    let switches = || switch_counts().expect("getrusage").1;
    let before = switches();
    let (ending, _) = spin_while(NO_RESTART_ON_PREEMPT, || ());
    ok!(
        ending == Ending::Committed && switches() > before,
        "NO_RESTART_ON_PREEMPT: it commits"
    );
    MINE.flags.store(NO_RESTART_ON_PREEMPT, SeqCst);
    let (ending, _) = spin_while(0, || ());
    MINE.flags.store(0, SeqCst);
    eq!(ending, Ending::Committed, "the same in struct rseq");
}

static INTERRUPTED_AT: AtomicU32 = AtomicU32::new(0);

extern "C" fn note_ip(_: u32, context: Sigcontext) {
    INTERRUPTED_AT.store(context.ip(), SeqCst);
}

extern "C" fn give_up(_: u32, _: Sigcontext) {
    process::exit(33)
}

fn signalled() {
    set_handler(SIGUSR1, note_ip).expect("rt_sigaction");
    let me = process::getpid();
    let send = || kill(me, SIGUSR1).expect("kill");
    if !has_flags() {
        skip!(UNSUPPORTED, "a signal aborts");
        skip!(
            UNSUPPORTED,
            "before its handler runs, which comes back to the abort handler"
        );
        skip!(UNSUPPORTED, "with all three flags it commits");
        skip!(UNSUPPORTED, "and the handler comes back into the section");
        skip!(UNSUPPORTED, "NO_RESTART_ON_SIGNAL alone: SIGSEGV");
        return;
    }
    let only_signals = NO_RESTART_ON_PREEMPT | NO_RESTART_ON_MIGRATE;
    let (ending, section) = spin_while(only_signals, send);
    eq!(ending, Ending::Aborted, "a signal aborts");
    eq!(
        u64::from(INTERRUPTED_AT.load(SeqCst)),
        section.abort_ip,
        "before its handler runs, which comes back to the abort handler"
    );
    let (ending, section) = spin_while(only_signals | NO_RESTART_ON_SIGNAL, send);
    eq!(ending, Ending::Committed, "with all three flags it commits");
    ok!(
        section.contains(INTERRUPTED_AT.load(SeqCst)),
        "and the handler comes back into the section"
    );
    expect_signal("NO_RESTART_ON_SIGNAL alone: SIGSEGV", SIGSEGV, || {
        spin_while(NO_RESTART_ON_SIGNAL, || ())
    });
}

/// Registers `section` and sleeps in it.
fn sleep_in(section: &Section) {
    MINE.rseq_cs[0].store(section as *const Section as u32, SeqCst);
    sleep_ms(1);
}

fn bad_sections() {
    let good = Section::of_spin(0);
    let cases = [
        ("a version that is not 0", Section { version: 1, ..good }),
        (
            "no signature before the abort handler",
            Section {
                abort_ip: good.abort_ip + 1,
                ..good
            },
        ),
        (
            "an abort handler within the section",
            Section {
                abort_ip: good.start_ip + 1,
                ..good
            },
        ),
        (
            "an abort handler that is the kernel's",
            Section {
                abort_ip: u64::from(machine::task_size()),
                ..good
            },
        ),
        (
            "a section that wraps round",
            Section {
                post_commit_offset: u64::from(u32::MAX),
                ..good
            },
        ),
    ];
    for (name, section) in cases {
        let killed = child(|| {
            sleep_in(&section);
            0
        });
        eq!(
            killed.wait(),
            WaitStatus::signaled(SIGSEGV),
            "{name}: SIGSEGV"
        );
    }
    let pointer = |name, words: [u32; 2]| {
        expect_signal(name, SIGSEGV, || {
            let [low, high] = &MINE.rseq_cs;
            low.store(words[0], SeqCst);
            high.store(words[1], SeqCst);
            sleep_ms(1);
        });
    };
    pointer(
        "a section where nothing is mapped: SIGSEGV",
        [UNMAPPED_ADDRESS, 0],
    );
    pointer(
        "a section that is the kernel's: SIGSEGV",
        [machine::task_size(), 0],
    );
    pointer(
        "a pointer of more than 32 bits: SIGSEGV",
        [&raw const good as u32, 1],
    );
    expect_signal("a handler runs, but comes back to SIGSEGV", SIGSEGV, || {
        set_handler(SIGSEGV, note_ip).expect("rt_sigaction");
        sleep_in(&Section { version: 1, ..good });
    });
    expect_exit("and can end the program", 33, || {
        set_handler(SIGSEGV, give_up).expect("rt_sigaction");
        sleep_in(&Section { version: 1, ..good });
        0
    });
    expect_signal("struct rseq unmapped: SIGSEGV", SIGSEGV, || {
        let page = shared_page().as_ptr() as u32;
        MINE.unregister().expect("unregister");
        rseq(page, 32, 0, SIGNATURE).expect("rseq");
        munmap(page, PAGE_SIZE).expect("munmap");
        sleep_ms(1);
    });
}

extern "C" fn register_in_thread(_: u32) -> i32 {
    let answer = match MINE.unregister() {
        Err(Errno::EINVAL) => OTHER.register().and_then(|()| OTHER.unregister()),
        other => other.and(Err(Errno::EAGAIN)),
    };
    WORD.store(u32::from(answer == Ok(())), SeqCst);
    0
}

fn births() {
    expect_exit(
        "a forked process is registered as its parent was",
        0,
        || {
            let again = MINE.register() == Err(Errno::EBUSY);
            let (ending, _) = spin_while(0, || ());
            i32::from(!(again && ending == Ending::Aborted))
        },
    );
    WORD.store(0, SeqCst);
    let joined = spawn(register_in_thread, 0, None).expect("clone").join();
    ok!(
        joined && WORD.load(SeqCst) == 1,
        "a thread is not, and registers its own"
    );
    expect_exit("a new program is not", 0, || {
        process::exec_self(c"executed")
    });
    eq!(
        MINE.register(),
        Err(Errno::EBUSY),
        "none of it is the parent's: EBUSY"
    );
}

/// Runs in the new program: reports what it finds.
fn executed() -> i32 {
    let none = MINE.unregister() == Err(Errno::EINVAL);
    i32::from(!(none && MINE.register() == Ok(())))
}

static TID: AtomicU32 = AtomicU32::new(0);
static RESULT: AtomicU32 = AtomicU32::new(0);

/// Spins on the first CPU until it is moved to another.
extern "C" fn be_moved(cpu: u32) -> i32 {
    set_affinity(0, 1 << cpu).expect("sched_setaffinity");
    OTHER.register().expect("rseq");
    let flags = if has_flags() {
        NO_RESTART_ON_PREEMPT
    } else {
        0
    };
    let section = Section::of_spin(flags);
    let before = OTHER.cpu_id.load(SeqCst);
    TID.store(rt::thread::gettid(), SeqCst);
    let ending = spin(&OTHER, &section, &WORD, &STOP);
    let after = OTHER.cpu_id.load(SeqCst);
    let good = ending == Ending::Aborted && before == cpu && after != cpu;
    if !good {
        println!("# {ending:?}, from CPU {before} to CPU {after}");
    }
    OTHER.unregister().expect("unregister");
    RESULT.store(u32::from(good), SeqCst);
    0
}

fn migrated(all: u32) {
    if all.count_ones() < 2 {
        skip!(
            ONE_CPU,
            "moved to another CPU, a section aborts, and cpu_id is the new one"
        );
        return;
    }
    let first = all.trailing_zeros();
    let others = all & !(1 << first);
    set_affinity(0, others).expect("sched_setaffinity");
    WORD.store(0, SeqCst);
    let thread = spawn(be_moved, first, None).expect("clone");
    while WORD.load(SeqCst) == 0 {
        sleep_ms(1);
    }
    set_affinity(TID.load(SeqCst), others).expect("sched_setaffinity");
    STOP.store(1, SeqCst);
    ok!(
        thread.join() && RESULT.load(SeqCst) == 1,
        "moved to another CPU, a section aborts, and cpu_id is the new one"
    );
}

fn main() -> i32 {
    if start::arg(1) == Some("executed") {
        return executed();
    }
    ktap::plan(46);
    let all = get_affinity();
    stay_on_one_cpu();
    sched_setscheduler(0, SCHED_OTHER, 0).expect("SCHED_OTHER");
    errors();
    preempted();
    signalled();
    bad_sections();
    births();
    MINE.unregister().expect("unregister");
    migrated(all);
    ktap::finish()
}

rt::main!(main);
