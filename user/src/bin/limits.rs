//! Limits and priorities: what a process may use, and who may allow it more.
//!
//! Book: ch. 3, "Process Resource Limits"; ch. 7, "System Calls Related to Scheduling".
//! Linux: getrlimit(2), prlimit(2), getpriority(2), sigsuspend(2).
//! Red without: each limit where it binds; its copy at fork; the rights to raise it.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child,
    clock::clock_gettime,
    eq, expect_exit, expect_signal,
    gates::syscall,
    ktap,
    memory::{MAP_PRIVATE, PROT_READ, PROT_WRITE, brk, mmap_anonymous, munmap, shared_page},
    process::{self, NOBODY, exec_self, getpid, setuid, wait4},
    sched::{SCHED_FIFO, sched_setscheduler},
    signals::{Action, Sigcontext, set_handler},
    start,
};

const WRITE: u32 = 4;
const OPEN: u32 = 5;
const UNLINK: u32 = 10;
const NICE: u32 = 34;
const DUP2: u32 = 63;
const SIGSUSPEND: u32 = 72;
const SIGPENDING: u32 = 73;
const SETRLIMIT: u32 = 75;
const FTRUNCATE: u32 = 93;
const GETPRIORITY: u32 = 96;
const SETPRIORITY: u32 = 97;
const SIGPROCMASK: u32 = 126;
const PRCTL: u32 = 172;
const FCNTL64: u32 = 221;
const PRLIMIT64: u32 = 340;

const PR_SET_PDEATHSIG: u32 = 1;
const CLOCK_PROCESS_CPUTIME_ID: u32 = 2;

const CPU: u32 = 0;
const FSIZE: u32 = 1;
const DATA: u32 = 2;
const STACK: u32 = 3;
const CORE: u32 = 4;
const NOFILE: u32 = 7;
const AS: u32 = 9;
const NICE_LIMIT: u32 = 13;
const RTPRIO: u32 = 14;

const SIGUSR1: u32 = 10;
const SIGKILL: u32 = 9;
const SIGSEGV: u32 = 11;
const SIGXCPU: u32 = 24;
const SIGXFSZ: u32 = 25;
const INFINITY: u64 = u64::MAX;

type Limit = [u64; 2];

fn prlimit(pid: u32, resource: u32, new: Option<Limit>) -> Result<Limit, Errno> {
    let mut old = [77; 2];
    let new = new.as_ref().map_or(0, |new| new.as_ptr() as u32);
    syscall(PRLIMIT64, [pid, resource, new, old.as_mut_ptr() as u32]).map(|_| old)
}

fn get(resource: u32) -> Result<Limit, Errno> {
    prlimit(0, resource, None)
}

fn set(resource: u32, cur: u64, max: u64) -> Result<(), Errno> {
    prlimit(0, resource, Some([cur, max])).map(drop)
}

fn ignore(signal: u32) {
    let ignored = Action {
        handler: 1,
        ..Action::default()
    };
    ignored.set(signal).expect("sigaction");
}

/// 0 if all is as it should be, else the number of the first thing that is not.
fn first_false(all: &[bool]) -> i32 {
    all.iter()
        .position(|good| !good)
        .map_or(0, |at| at as i32 + 1)
}

fn values() {
    expect_exit("a limit is set, and read again", 0, || {
        let was = prlimit(0, CORE, Some([100, 200]));
        first_false(&[
            was.is_ok_and(|[_, max]| max == INFINITY),
            get(CORE) == Ok([100, 200]),
            // A 32-bit kernel keeps no such number.
            set(CORE, 1, 1 << 40).is_ok()
                && [INFINITY, 1 << 40].contains(&get(CORE).unwrap_or_default()[1]),
            syscall(SETRLIMIT, [CORE, [3u32, 4].as_ptr() as u32]) == Ok(0),
            get(CORE) == Ok([3, 4]),
        ])
    });
    eq!(
        set(CORE, 5, 4),
        Err(Errno::EINVAL),
        "a value above its maximum: EINVAL"
    );
    eq!(get(16), Err(Errno::EINVAL), "an unknown limit: EINVAL");
    eq!(
        syscall(SETRLIMIT, [CORE, 8]),
        Err(Errno::EFAULT),
        "a bad address: EFAULT"
    );
    eq!(
        prlimit(0x7fff_fff0, CORE, None),
        Err(Errno::ESRCH),
        "no such process: ESRCH"
    );
    eq!(
        set(NOFILE, 100, 0x7fff_ffff),
        Err(Errno::EPERM),
        "more descriptors than there can be: EPERM, for root too"
    );
    expect_exit("without privilege a maximum only falls", 0, || {
        set(CORE, 10, 20).expect("root may");
        setuid(NOBODY).expect("root may");
        first_false(&[
            set(CORE, 20, 20).is_ok(),
            set(CORE, 5, 21) == Err(Errno::EPERM),
            set(CORE, 5, 15).is_ok(),
            set(CORE, 5, 20) == Err(Errno::EPERM),
        ])
    });
    expect_exit("a fork copies limits, and exec keeps them", 0, || {
        set(CORE, 10, 20).expect("prlimit");
        let child = child(|| exec_self(c"core-is-10"));
        i32::from(child.wait() != WaitStatus::exited(0))
    });
    expect_exit(
        "another process of one's own: yes; of another user: EPERM",
        0,
        || {
            let parent = process::getppid();
            let child = child(|| {
                // It ends with its parent, which may not kill it later.
                let _set = syscall(PRCTL, [PR_SET_PDEATHSIG, SIGKILL]);
                loop {
                    let _slept = syscall(29, []);
                }
            });
            let own = prlimit(child.pid, CORE, Some([1, 2])).is_ok()
                && prlimit(child.pid, CORE, None) == Ok([1, 2]);
            setuid(NOBODY).expect("root may");
            let foreign = prlimit(parent, CORE, None);
            // The child is still root's.
            let of_root = prlimit(child.pid, CORE, None);
            first_false(&[
                own,
                foreign == Err(Errno::EPERM),
                of_root == Err(Errno::EPERM),
            ])
        },
    );
}

fn open(path: &core::ffi::CStr, flags: u32) -> Result<u32, Errno> {
    syscall(OPEN, [path.as_ptr() as u32, flags, 0o600])
}

fn descriptors() {
    expect_exit("RLIMIT_NOFILE: EMFILE, EBADF, EINVAL", 0, || {
        set(NOFILE, 5, 1024).expect("prlimit");
        let null = || open(c"/dev/null", 0);
        let last = core::iter::repeat_with(null).take(6).find(|fd| fd.is_err());
        first_false(&[
            last == Some(Err(Errno::EMFILE)),
            syscall(DUP2, [0, 5]) == Err(Errno::EBADF),
            syscall(FCNTL64, [0, 0, 5]) == Err(Errno::EINVAL),
            set(NOFILE, 6, 1024).is_ok() && syscall(DUP2, [0, 5]) == Ok(5),
            // An open descriptor stays, though the limit falls below it.
            set(NOFILE, 1, 1024).is_ok() && syscall(DUP2, [5, 0]) == Ok(0),
        ])
    });
}

fn sizes() {
    const PATH: &core::ffi::CStr = c"/tmp/limits-of-a-file";
    static BYTES: [u8; 2000] = [7; 2000];
    let (created, write) = (0o102 | 0o1000, |fd| {
        syscall(WRITE, [fd, BYTES.as_ptr() as u32, 2000])
    });
    expect_exit("RLIMIT_FSIZE: a part is written, then EFBIG", 0, || {
        ignore(SIGXFSZ);
        let fd = open(PATH, created).expect("open");
        set(FSIZE, 3000, INFINITY).expect("prlimit");
        first_false(&[
            write(fd) == Ok(2000),
            write(fd) == Ok(1000),
            write(fd) == Err(Errno::EFBIG),
            syscall(FTRUNCATE, [fd, 3001]) == Err(Errno::EFBIG),
            syscall(FTRUNCATE, [fd, 2999]) == Ok(0),
        ])
    });
    expect_signal("and SIGXFSZ", SIGXFSZ, || {
        let fd = open(PATH, created).expect("open");
        set(FSIZE, 0, INFINITY).expect("prlimit");
        write(fd)
    });
    expect_signal("for truncation too", SIGXFSZ, || {
        let fd = open(PATH, created).expect("open");
        set(FSIZE, 10, INFINITY).expect("prlimit");
        syscall(FTRUNCATE, [fd, 11])
    });
    let _gone = syscall(UNLINK, [PATH.as_ptr() as u32]);
}

fn memory() {
    const MIB: u32 = 1 << 20;
    let map = |bytes| mmap_anonymous(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    expect_exit("RLIMIT_AS: mmap and brk fail", 0, || {
        let end = brk(0);
        // All that the program has, and less than 2 MiB more.
        let size = rt::proc::status_number("VmSize").expect("VmSize") * 1024;
        set(AS, u64::from(size + MIB), INFINITY).expect("prlimit");
        let small = map(MIB / 2);
        first_false(&[
            small.is_ok(),
            map(2 * MIB) == Err(Errno::ENOMEM),
            brk(end + 2 * MIB) == end,
            munmap(small.unwrap_or(0), MIB / 2).is_ok() && map(MIB / 2).is_ok(),
        ])
    });
    expect_exit("RLIMIT_DATA: brk fails", 0, || {
        let end = brk(0);
        let grown = brk(end + 0x1000) == end + 0x1000;
        set(DATA, 0x1000, INFINITY).expect("prlimit");
        first_false(&[grown, brk(end + MIB) == end + 0x1000, brk(end) == end])
    });
    expect_signal("RLIMIT_STACK: the stack grows no further", SIGSEGV, || {
        set(STACK, 256 << 10, INFINITY).expect("prlimit");
        deeper(300)
    });
    expect_exit("but so far", 0, || {
        set(STACK, 512 << 10, INFINITY).expect("prlimit");
        i32::from(deeper(200) == 0)
    });
}

/// Uses `kib` KiB of stack.
#[inline(never)]
fn deeper(kib: u32) -> u32 {
    let room = core::hint::black_box([1u8; 1024]);
    match kib {
        0 => 1,
        _ => deeper(kib - 1).wrapping_add(u32::from(core::hint::black_box(room)[0]) - 1),
    }
}

extern "C" fn note(_: u32, _: Sigcontext) {
    NOTED.fetch_add(1, SeqCst);
}

static NOTED: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// The limit is the parent's, and binds the child by the time of its own.
fn cpu_time() {
    let page = shared_page();
    let outer = child(|| {
        set(CPU, 1, 2).expect("prlimit");
        let inner = child(|| {
            set_handler(SIGXCPU, note).expect("sigaction");
            // Twice what it may use.
            while clock_gettime(CLOCK_PROCESS_CPUTIME_ID).is_ok_and(|[seconds, _]| seconds < 4) {
                page[0].store(NOTED.load(SeqCst), SeqCst);
                for n in 0..10_000 {
                    core::hint::black_box(n);
                }
            }
            0
        });
        i32::from(inner.wait() != WaitStatus::signaled(SIGKILL))
    });
    eq!(
        outer.wait(),
        WaitStatus::exited(0),
        "RLIMIT_CPU: SIGKILL at its maximum"
    );
    eq!(page[0].load(SeqCst), 1, "and SIGXCPU a second before");
}

fn priority(which: u32, who: u32) -> Result<u32, Errno> {
    syscall(GETPRIORITY, [which, who])
}

fn renice(which: u32, who: u32, nice: i32) -> Result<u32, Errno> {
    syscall(SETPRIORITY, [which, who, nice as u32])
}

fn priorities() {
    expect_exit("setpriority and getpriority, of a process", 0, || {
        first_false(&[
            priority(0, 0) == Ok(20),
            renice(0, 0, 5) == Ok(0) && priority(0, getpid()) == Ok(15),
            // Beyond the range is its end.
            renice(0, getpid(), 100) == Ok(0) && priority(0, 0) == Ok(1),
            renice(0, 0, -100) == Ok(0) && priority(0, 0) == Ok(40),
            syscall(NICE, [3]) == Ok(0) && priority(0, 0) == Ok(37),
        ])
    });
    expect_exit("of a group: the best of its processes", 0, || {
        let _own = syscall(57, [0, 0]);
        let child = child(|| {
            loop {
                let _slept = syscall(29, []);
            }
        });
        let good = first_false(&[
            renice(0, child.pid, 7) == Ok(0) && priority(1, 0) == Ok(20),
            renice(1, 0, 9) == Ok(0) && priority(0, child.pid) == Ok(11),
            priority(1, getpid()) == Ok(11),
        ]);
        let _killed = syscall(37, [child.pid, SIGKILL]);
        let _reaped = wait4(child.pid as i32, 0);
        good
    });
    expect_exit("of a user", 0, || {
        setuid(54321).expect("root may");
        first_false(&[
            renice(2, 0, 4) == Ok(0) && priority(2, 54321) == Ok(16),
            priority(2, 54322) == Err(Errno::ESRCH),
        ])
    });
    eq!(
        [priority(3, 0), priority(0, 0x7fff_fff0), renice(3, 0, 0)],
        [Err(Errno::EINVAL), Err(Errno::ESRCH), Err(Errno::EINVAL)],
        "unknown kinds and processes: EINVAL, ESRCH"
    );
    expect_exit(
        "without privilege only worse, and only one's own",
        0,
        || {
            let parent = process::getppid();
            setuid(NOBODY).expect("root may");
            first_false(&[
                renice(0, 0, 3) == Ok(0),
                renice(0, 0, 2) == Err(Errno::EACCES),
                syscall(NICE, [-1i32 as u32]) == Err(Errno::EPERM),
                renice(0, parent, 5) == Err(Errno::EPERM),
            ])
        },
    );
    expect_exit("RLIMIT_NICE allows a better value", 0, || {
        set(NICE_LIMIT, 25, 25).expect("root may");
        setuid(NOBODY).expect("root may");
        first_false(&[
            renice(0, 0, -5) == Ok(0),
            renice(0, 0, -6) == Err(Errno::EACCES),
            syscall(NICE, [-1i32 as u32]) == Err(Errno::EPERM),
        ])
    });
    expect_exit("RLIMIT_RTPRIO allows a real-time priority", 0, || {
        set(RTPRIO, 5, 5).expect("root may");
        setuid(NOBODY).expect("root may");
        let fifo = |priority| sched_setscheduler(0, SCHED_FIFO, priority);
        first_false(&[
            fifo(6) == Err(Errno::EPERM),
            fifo(5) == Ok(()),
            fifo(6) == Err(Errno::EPERM),
        ])
    });
}

/// The calls with a set of 32 signals.
fn old_sets() {
    expect_exit("sigpending and sigsuspend, of 32 signals", 0, || {
        set_handler(SIGUSR1, note).expect("sigaction");
        let usr1 = [1u32 << (SIGUSR1 - 1)];
        syscall(SIGPROCMASK, [0, usr1.as_ptr() as u32, 0]).expect("sigprocmask");
        let _sent = syscall(37, [getpid(), SIGUSR1]);
        let mut pending = [0u32, 77];
        let stored = syscall(SIGPENDING, [pending.as_mut_ptr() as u32]);
        let before = NOTED.load(SeqCst);
        let woken = syscall(SIGSUSPEND, [0, 0, 0]);
        let mut mask = [0u32];
        syscall(SIGPROCMASK, [0, 0, mask.as_mut_ptr() as u32]).expect("sigprocmask");
        first_false(&[
            stored == Ok(0) && pending == [usr1[0], 77],
            before == 0 && woken == Err(Errno::EINTR) && NOTED.load(SeqCst) == 1,
            // The former set is back.
            mask == usr1,
        ])
    });
}

fn main() -> i32 {
    if start::arg(1) == Some("core-is-10") {
        return i32::from(get(CORE) != Ok([10, 20]));
    }
    ktap::plan(27);
    values();
    descriptors();
    sizes();
    memory();
    cpu_time();
    priorities();
    old_sets();
    ktap::finish()
}

rt::main!(main);
