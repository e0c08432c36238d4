//! Small answers: limits, policies, prctl, personality, locks, advice.
//!
//! Linux: getrlimit(2), sched_get_priority_max(2), prctl(2), personality(2), fcntl(2), madvise(2).
//! Red without: each of them.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child, eq, expect_exit,
    gates::syscall,
    insn, ktap,
    memory::{MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    ok,
    process::{NOBODY, setuid},
};

const PIPE: u32 = 42;
const WRITE: u32 = 4;
const OLD_GETRLIMIT: u32 = 76;
const UGETRLIMIT: u32 = 191;
const PERSONALITY: u32 = 136;
const SETSCHEDULER: u32 = 156;
const GETSCHEDULER: u32 = 157;
const GETPARAM: u32 = 155;
const PRIORITY_MAX: u32 = 159;
const PRIORITY_MIN: u32 = 160;
const PRCTL: u32 = 172;
const MADVISE: u32 = 219;
const FCNTL64: u32 = 221;

fn limits() {
    let get = |number: u32, resource: u32| {
        let mut limit = [0u32; 2];
        syscall(number, [resource, limit.as_mut_ptr() as u32]).map(|_| limit)
    };
    eq!(
        get(UGETRLIMIT, 0),
        Ok([u32::MAX; 2]),
        "ugetrlimit of CPU time: no limit"
    );
    eq!(
        get(OLD_GETRLIMIT, 0),
        Ok([0x7fff_ffff; 2]),
        "the old call has 31 bits"
    );
    eq!(
        get(OLD_GETRLIMIT, 7).map(|limit| limit[0]),
        get(UGETRLIMIT, 7).map(|limit| limit[0]),
        "a limit that fits is the same by both"
    );
    eq!(
        get(OLD_GETRLIMIT, 16),
        Err(Errno::EINVAL),
        "an unknown limit: EINVAL"
    );
}

fn policies() {
    for (policy, least, most) in [(0, 0, 0), (1, 1, 99), (2, 1, 99), (3, 0, 0), (5, 0, 0)] {
        let answer = [PRIORITY_MIN, PRIORITY_MAX].map(|number| syscall(number, [policy]));
        eq!(
            answer,
            [Ok(least), Ok(most)],
            "priorities of policy {policy}"
        );
        let had = child(|| {
            let (param, mut read) = ([least], [77u32]);
            let set = syscall(SETSCHEDULER, [0, policy, param.as_ptr() as u32]);
            let get = syscall(GETSCHEDULER, [0]);
            syscall(GETPARAM, [0, read.as_mut_ptr() as u32]).expect("sched_getparam");
            i32::from((set, get, read[0]) != (Ok(0), Ok(policy), least))
        });
        eq!(
            had.wait(),
            WaitStatus::exited(0),
            "policy {policy} can be set"
        );
    }
    for policy in [4, 99, u32::MAX] {
        let answer = [PRIORITY_MIN, PRIORITY_MAX].map(|number| syscall(number, [policy]));
        eq!(answer, [Err(Errno::EINVAL); 2], "policy {policy}: EINVAL");
    }
    expect_exit("a priority for SCHED_BATCH: EINVAL", 0, || {
        i32::from(syscall(SETSCHEDULER, [0, 3, [1u32].as_ptr() as u32]) != Err(Errno::EINVAL))
    });
    expect_exit(
        "SCHED_BATCH and SCHED_IDLE need no privilege, but the latter cannot be left",
        0,
        || {
            setuid(NOBODY).expect("setuid");
            let set = |policy| syscall(SETSCHEDULER, [0, policy, [0u32].as_ptr() as u32]);
            let answers = [3, 0, 5, 0, 3].map(set);
            let eperm = Err(Errno::EPERM);
            i32::from(answers != [Ok(0), Ok(0), Ok(0), eperm, eperm])
        },
    );
}

fn prctls() {
    let prctl = |option: u32, argument: u32| syscall(PRCTL, [option, argument, 0, 0, 0]);
    let get = |option: u32| {
        let mut word = u32::MAX;
        prctl(option, &raw mut word as u32).map(|_| word)
    };
    let (set_signal, get_signal) = (1, 2);
    eq!(prctl(set_signal, 10), Ok(0), "PR_SET_PDEATHSIG");
    eq!(get(get_signal), Ok(10), "PR_GET_PDEATHSIG returns it");
    eq!(
        prctl(set_signal, 65),
        Err(Errno::EINVAL),
        "an unknown signal: EINVAL"
    );
    expect_exit("a child has none", 0, || {
        i32::from(get(get_signal) != Ok(0))
    });
    eq!(prctl(set_signal, 0), Ok(0), "0 is none");
    eq!(
        (prctl(8, 0), prctl(7, 0)),
        (Ok(0), Ok(0)),
        "PR_SET_KEEPCAPS and PR_GET_KEEPCAPS"
    );
    let (set_slack, get_slack) = (29, 30);
    eq!(prctl(get_slack, 0), Ok(50_000), "PR_GET_TIMERSLACK: 50 us");
    eq!(prctl(set_slack, 70_000), Ok(0), "PR_SET_TIMERSLACK");
    eq!(
        prctl(get_slack, 0),
        Ok(70_000),
        "PR_GET_TIMERSLACK returns it"
    );
    expect_exit("a child has it as its default", 0, || {
        prctl(set_slack, 1).expect("prctl");
        let one = prctl(get_slack, 0);
        prctl(set_slack, 0).expect("prctl");
        i32::from((one, prctl(get_slack, 0)) != (Ok(1), Ok(70_000)))
    });
    eq!(prctl(set_slack, 0), Ok(0), "0 is the default");
    eq!(prctl(get_slack, 0), Ok(50_000), "again");
    eq!(
        prctl(12345, 0),
        Err(Errno::EINVAL),
        "an unknown option: EINVAL"
    );
}

fn personality() {
    let set = |personality: u32| syscall(PERSONALITY, [personality]);
    eq!(set(u32::MAX), Ok(0), "personality: Linux's");
    eq!(set(0x4_0000), Ok(0), "ADDR_NO_RANDOMIZE");
    expect_exit("is inherited", 0, || {
        i32::from(set(u32::MAX) != Ok(0x4_0000))
    });
    eq!(set(0), Ok(0x4_0000), "and returned when it is replaced");
}

fn locks() {
    let mut fds = [0u32; 2];
    syscall(PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
    for command in [5, 6, 7, 12, 13, 14] {
        let answer = syscall(FCNTL64, [fds[0], command, 4]);
        eq!(
            answer,
            Err(Errno::EFAULT),
            "fcntl {command} with a bad address: EFAULT"
        );
    }
}

/// Paths that continue behind a file, and times of files that do not exist.
fn paths() {
    let stat = [0u32; 32];
    for path in [
        c"/dev/null/x",
        c"/dev/null/",
        c"/dev/./null/../x",
        c"/proc/self/exe/x",
    ] {
        let (at, name) = (path.as_ptr() as u32, path.to_str().expect("ASCII"));
        let answers = [
            syscall(195, [at, stat.as_ptr() as u32]),
            syscall(5, [at, 0]),
            syscall(12, [at]),
            syscall(33, [at, 0]),
        ];
        eq!(answers, [Err(Errno::ENOTDIR); 4], "{name}: ENOTDIR");
    }
    let roundabout = c"/dev//./null".as_ptr() as u32;
    ok!(
        syscall(5, [roundabout, 0]).is_ok(),
        "/dev//./null is a file"
    );
    let at = c"/dev/null".as_ptr() as u32;
    eq!(
        syscall(12, [at]),
        Err(Errno::ENOTDIR),
        "a file is no working directory: ENOTDIR"
    );
    let utimensat = |fd: u32, path: u32, times: &[u32; 4], flags: u32| {
        syscall(320, [fd, path, times.as_ptr() as u32, flags])
    };
    let behind = c"/dev/null/x".as_ptr() as u32;
    let root = c"/".as_ptr() as u32;
    let (omit, odd) = (0x3fff_fffe, 1_000_000_000);
    eq!(
        utimensat(99, behind, &[0, omit, 0, omit], 0),
        Ok(0),
        "utimensat of nothing: 0"
    );
    eq!(
        utimensat(99, 0, &[0; 4], 0),
        Err(Errno::EBADF),
        "not a descriptor: EBADF"
    );
    eq!(
        utimensat(0, behind, &[0; 4], 0),
        Err(Errno::ENOTDIR),
        "behind a file: ENOTDIR"
    );
    eq!(
        utimensat(0, root, &[0, odd, 0, 0], 0),
        Err(Errno::EINVAL),
        "no time: EINVAL"
    );
    eq!(
        utimensat(0, behind, &[0; 4], 1),
        Err(Errno::EINVAL),
        "an unknown flag: EINVAL"
    );
}

fn advice() {
    let map = |pages: u32, sharing: u32| {
        mmap_anonymous(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, sharing).expect("mmap2")
    };
    let advise = |at: u32, advice: u32| syscall(MADVISE, [at, PAGE_SIZE, advice]);
    let area = map(4, MAP_PRIVATE);
    for page in 0..4 {
        insn::write(area + page * PAGE_SIZE, 1 + page);
    }
    let (dont, wiped, kept) = (area + PAGE_SIZE, area + 2 * PAGE_SIZE, area + 3 * PAGE_SIZE);
    eq!(advise(dont, 10), Ok(0), "MADV_DONTFORK");
    eq!(advise(wiped, 18), Ok(0), "MADV_WIPEONFORK");
    advise(kept, 10).expect("DONTFORK");
    advise(kept, 18).expect("WIPEONFORK");
    advise(kept, 11).expect("DOFORK");
    advise(kept, 19).expect("KEEPONFORK");
    let mut fds = [0u32; 2];
    syscall(PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
    let there = |at: u32| syscall(WRITE, [fds[1], at, 1]).is_ok();
    let seen =
        |body: &dyn Fn() -> bool| child(|| i32::from(!body())).wait() == WaitStatus::exited(0);
    ok!(
        seen(&|| !there(dont)),
        "a child has no page where it was not to be copied"
    );
    ok!(
        seen(&|| there(wiped) && insn::read(wiped) == 0),
        "and zeroes where it was to be wiped"
    );
    ok!(
        seen(&|| seen(&|| there(wiped) && insn::read(wiped) == 0)),
        "its own child too"
    );
    ok!(
        seen(&|| insn::read(area) == 1 && insn::read(kept) == 4),
        "the rest is copied, also where the advice was taken back"
    );
    eq!(
        [area, dont, wiped, kept].map(insn::read),
        [1, 2, 3, 4],
        "the parent has it all"
    );
    let shared = map(1, MAP_SHARED);
    eq!(
        advise(shared, 18),
        Err(Errno::EINVAL),
        "shared memory is not wiped: EINVAL"
    );
    eq!(advise(shared, 10), Ok(0), "but can be left out");
    ok!(seen(&|| !there(shared)), "and is");
    for (name, number) in [
        ("MADV_REMOVE of private memory", 9),
        ("5", 5),
        ("6", 6),
        ("7", 7),
    ] {
        eq!(advise(area, number), Err(Errno::EINVAL), "{name}: EINVAL");
    }
    munmap(wiped, PAGE_SIZE).expect("munmap");
    let answer = syscall(MADVISE, [area, 4 * PAGE_SIZE, 10]);
    eq!(answer, Err(Errno::ENOMEM), "over a hole: ENOMEM");
    ok!(
        seen(&|| !there(area) && !there(kept)),
        "after it was applied on both sides"
    );
}

fn main() -> i32 {
    ktap::plan(69);
    limits();
    policies();
    prctls();
    personality();
    locks();
    paths();
    advice();
    ktap::finish()
}

rt::main!(main);
