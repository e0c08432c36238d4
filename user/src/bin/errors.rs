//! The order of errors: calls with more than one bad argument, or with an argument that is bad only
//! in part.
//!
//! Linux: errno(3), and the order in which the calls look at their arguments.
//! Red without: that order; the part of mprotect and madvise that is done before a hole; the check
//! of ownership in sched_setscheduler.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::sleep_ms,
    eq, expect_exit, expect_signal,
    gates::syscall,
    insn, ktap,
    memory::{
        MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous,
        munmap,
    },
    ok,
    process::{NOBODY, getpid, getppid, setuid, signal::SIGSEGV},
    sched::{SCHED_FIFO, SCHED_OTHER, sched_setscheduler},
    start,
    thread::{CLONE_NEWNS, CLONE_PARENT, SIGCHLD, SYS_CLONE},
};

const READ: u32 = 3;
const OPEN: u32 = 5;
const EXECVE: u32 = 11;
const KILL: u32 = 37;
const SYMLINK: u32 = 83;
const MPROTECT: u32 = 125;
const SCHED_SETPARAM: u32 = 154;
const PREAD64: u32 = 180;
const MMAP2: u32 = 192;
const MADVISE: u32 = 219;
const TKILL: u32 = 238;
const FUTEX: u32 = 240;
const SCHED_SETAFFINITY: u32 = 241;
const SCHED_GETAFFINITY: u32 = 242;
const TGKILL: u32 = 270;

/// An address above all that a process can have, on i386 and in a 32-bit process of x86_64.
const KERNEL: u32 = 0xffff_e000;
const FIXED: u32 = 0x10;
const GROWSDOWN: u32 = 0x100;
const DONTNEED: u32 = 4;
/// A process number that no task has.
const NOBODYS_PID: u32 = 99_999;

fn read_write(pages: u32) -> u32 {
    mmap_anonymous(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap2")
}

fn mapping() {
    let anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    let map = |address: u32, length: u32, prot: u32, flags: u32, fd: u32| {
        syscall(MMAP2, [address, length, prot, flags, fd, 0])
    };
    let odd = map(0, PAGE_SIZE, 0xf8 | PROT_READ, anonymous, 0);
    eq!(
        odd.map(insn::read),
        Ok(0),
        "mmap2 ignores bits of prot that mean nothing"
    );
    for (name, address) in [("", KERNEL), (", odd", KERNEL + 1)] {
        let answer = map(address, PAGE_SIZE, PROT_READ, anonymous | FIXED, 0);
        eq!(
            answer,
            Err(Errno::ENOMEM),
            "MAP_FIXED in the kernel{name}: ENOMEM"
        );
    }
    let answer = map(0x2000_0001, PAGE_SIZE, PROT_READ, anonymous | FIXED, 0);
    eq!(
        answer,
        Err(Errno::EINVAL),
        "MAP_FIXED at an odd address: EINVAL"
    );
    let answer = map(0, 0, PROT_READ, MAP_PRIVATE, 99);
    eq!(answer, Err(Errno::EBADF), "no length and no file: EBADF");
    let answer = map(
        0,
        PAGE_SIZE,
        PROT_READ,
        MAP_SHARED | MAP_ANONYMOUS | GROWSDOWN,
        0,
    );
    eq!(
        answer,
        Err(Errno::EINVAL),
        "shared memory that grows: EINVAL"
    );
    let low = map(PAGE_SIZE, PAGE_SIZE, PROT_READ, anonymous, 0);
    eq!(
        low,
        Ok(0x1_0000),
        "a hint that is too low means the lowest address"
    );

    let area = read_write(1);
    for length in [0x9000_0000, u32::MAX] {
        eq!(
            munmap(area, length),
            Err(Errno::EINVAL),
            "munmap of {length:#x} bytes: EINVAL"
        );
    }
}

fn protection() {
    let protect = |address: u32, length: u32, prot: u32| syscall(MPROTECT, [address, length, prot]);
    let area = read_write(5);
    eq!(
        protect(area + 1, 0, 1),
        Err(Errno::EINVAL),
        "mprotect at an odd address: EINVAL"
    );
    eq!(
        protect(area, 0, 0x100),
        Ok(0),
        "mprotect of nothing, to nothing that there is"
    );
    eq!(
        protect(area, PAGE_SIZE, 0x100),
        Err(Errno::EINVAL),
        "of something: EINVAL"
    );
    eq!(
        protect(area, PAGE_SIZE, 8 | 3),
        Ok(0),
        "mprotect knows PROT_SEM"
    );
    eq!(
        protect(KERNEL, PAGE_SIZE, 1),
        Err(Errno::ENOMEM),
        "mprotect of the kernel: ENOMEM"
    );
    munmap(area + 2 * PAGE_SIZE, PAGE_SIZE).expect("munmap");
    let answer = protect(area + PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ);
    eq!(answer, Err(Errno::ENOMEM), "mprotect over a hole: ENOMEM");
    expect_signal("the part before the hole is changed", SIGSEGV, || {
        insn::write(area + PAGE_SIZE, 1)
    });
    expect_exit("the part behind it is not", 0, || {
        insn::write(area + 3 * PAGE_SIZE, 1);
        0
    });

    let path = start::arg_cstr(0).expect("argv[0]").as_ptr() as u32;
    let fd = syscall(OPEN, [path, 0]).expect("open");
    let shared = syscall(MMAP2, [0, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0]).expect("mmap2");
    let answer = protect(shared, PAGE_SIZE, PROT_READ | PROT_WRITE);
    eq!(
        answer,
        Err(Errno::EACCES),
        "a file that is shared does not become writable: EACCES"
    );
    let own = syscall(MMAP2, [0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, 0]).expect("mmap2");
    let answer = protect(own, PAGE_SIZE, PROT_READ | PROT_WRITE);
    insn::write(own, 5);
    eq!(
        (answer, insn::read(own)),
        (Ok(0), 5),
        "a private copy of it does"
    );
}

fn advice() {
    let advise =
        |address: u32, length: u32, advice: u32| syscall(MADVISE, [address, length, advice]);
    let area = read_write(3);
    insn::write(area, 1);
    insn::write(area + 2 * PAGE_SIZE, 1);
    eq!(
        advise(area + 1, PAGE_SIZE, 0),
        Err(Errno::EINVAL),
        "madvise at an odd address: EINVAL"
    );
    eq!(
        advise(area, u32::MAX, DONTNEED),
        Err(Errno::EINVAL),
        "madvise too far: EINVAL"
    );
    eq!(
        advise(KERNEL, PAGE_SIZE, 0),
        Err(Errno::ENOMEM),
        "madvise of the kernel: ENOMEM"
    );
    munmap(area + PAGE_SIZE, PAGE_SIZE).expect("munmap");
    let answer = advise(area, 3 * PAGE_SIZE, DONTNEED);
    eq!(answer, Err(Errno::ENOMEM), "madvise over a hole: ENOMEM");
    let both = (insn::read(area), insn::read(area + 2 * PAGE_SIZE));
    eq!(both, (0, 0), "the advice applies on both sides of it");
}

fn signals() {
    const NO_SIGNAL: u32 = 65;
    let me = getpid();
    let esrch = Err(Errno::ESRCH);
    eq!(
        syscall(KILL, [NOBODYS_PID, NO_SIGNAL]),
        esrch,
        "kill: ESRCH before EINVAL"
    );
    eq!(
        syscall(TKILL, [NOBODYS_PID, NO_SIGNAL]),
        esrch,
        "likewise in tkill"
    );
    eq!(
        syscall(TGKILL, [me, NOBODYS_PID, NO_SIGNAL]),
        esrch,
        "and in tgkill"
    );
    eq!(
        syscall(KILL, [me, NO_SIGNAL]),
        Err(Errno::EINVAL),
        "no such signal: EINVAL"
    );
    expect_exit("kill: EINVAL before EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(syscall(KILL, [getppid(), NO_SIGNAL]) != Err(Errno::EINVAL))
    });
    let bystander = child(|| {
        sleep_ms(60_000);
        0
    });
    expect_exit(
        "kill of all: having no permitted receiver is no error",
        0,
        || {
            setuid(NOBODY).expect("setuid");
            i32::from(syscall(KILL, [u32::MAX, 0]) != Ok(0))
        },
    );
    syscall(KILL, [bystander.pid, 9]).expect("kill");
    bystander.wait();
}

fn scheduling() {
    let mask = [1u32];
    let at = mask.as_ptr() as u32;
    let nobody = -1i32 as u32;
    eq!(
        syscall(SCHED_SETAFFINITY, [nobody, 4, at]),
        Err(Errno::ESRCH),
        "sched_setaffinity(-1): ESRCH"
    );
    eq!(
        syscall(SCHED_GETAFFINITY, [nobody, 4, at]),
        Err(Errno::ESRCH),
        "sched_getaffinity(-1): ESRCH"
    );
    eq!(
        sched_setscheduler(nobody, SCHED_OTHER, 0),
        Err(Errno::EINVAL),
        "sched_setscheduler(-1): EINVAL"
    );
    let as_nobody = |body: fn(u32) -> Result<(), Errno>| {
        let parent = getpid();
        child(|| {
            setuid(NOBODY).expect("setuid");
            body(parent).map_or_else(|errno| errno.0, |()| 0)
        })
        .wait()
    };
    let eperm = WaitStatus::exited(Errno::EPERM.0 as u32);
    let status = as_nobody(|parent| sched_setscheduler(parent, SCHED_OTHER, 0));
    eq!(status, eperm, "the policy of another user's task: EPERM");
    let status = as_nobody(|parent| {
        let param = [0u32];
        syscall(SCHED_SETPARAM, [parent, param.as_ptr() as u32]).map(drop)
    });
    eq!(status, eperm, "likewise its priority");
    let status = as_nobody(|_| sched_setscheduler(0, SCHED_FIFO, 1));
    eq!(status, eperm, "the caller's own policy to FIFO: EPERM");
    let status = as_nobody(|parent| sched_setscheduler(parent, SCHED_FIFO, 100));
    eq!(
        status,
        WaitStatus::exited(Errno::EINVAL.0 as u32),
        "EINVAL comes before EPERM"
    );
    let status = child(|| {
        sched_setscheduler(0, SCHED_FIFO, 5).expect("SCHED_FIFO");
        setuid(NOBODY).expect("setuid");
        let less = sched_setscheduler(0, SCHED_FIFO, 4);
        let more = sched_setscheduler(0, SCHED_FIFO, 5);
        i32::from((less, more) != (Ok(()), Err(Errno::EPERM)))
    });
    eq!(
        status.wait(),
        WaitStatus::exited(0),
        "a FIFO priority may be lowered without privilege"
    );
}

fn futexes() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    const REALTIME: u32 = 256;
    const PRIVATE: u32 = 128;
    let [wait, wake, requeue, wait_bitset] = [0, 1, 3, 9];
    let word = WORD.as_ptr() as u32;
    let futex = |at: u32, op: u32, rest: [u32; 4]| {
        let [val, timeout, word2, val3] = rest;
        syscall(FUTEX, [at, op, val, timeout, word2, val3])
    };
    WORD.store(1, SeqCst);
    let answer = futex(word + 1, wait, [0, KERNEL, 0, 0]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "futex: a bad time comes before a bad address"
    );
    let answer = futex(word, wake | REALTIME, [1, 0, 0, 0]);
    eq!(answer, Err(Errno::ENOSYS), "a clock for a wake-up: ENOSYS");
    let answer = futex(word, wait_bitset | REALTIME, [0, 0, 0, 1]);
    eq!(
        answer,
        Err(Errno::EAGAIN),
        "a clock for a wait with bits is accepted"
    );
    let answer = futex(0, requeue, [u32::MAX, 0, word, 0]);
    eq!(
        answer,
        Err(Errno::EINVAL),
        "a negative number comes before a bad address"
    );
    let answer = futex(0x2000_0000, wake | PRIVATE, [1, 0, 0, 0]);
    eq!(answer, Ok(0), "a private wake-up does not read memory");
}

fn programs() {
    let execve =
        |path: &core::ffi::CStr, argv: u32| syscall(EXECVE, [path.as_ptr() as u32, argv, 0]);
    eq!(
        execve(c"/no/such/program", KERNEL),
        Err(Errno::ENOENT),
        "execve: ENOENT before EFAULT"
    );
    eq!(execve(c"/", KERNEL), Err(Errno::EACCES), "so EACCES");
    let path = start::arg_cstr(0).expect("argv[0]");
    eq!(
        execve(path, KERNEL),
        Err(Errno::EFAULT),
        "with a program: EFAULT"
    );
    expect_exit("clone: a namespace without privilege: EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        let answer = syscall(SYS_CLONE, [CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0]);
        i32::from(answer != Err(Errno::EPERM))
    });
    if getpid() == 1 {
        let answer = syscall(SYS_CLONE, [CLONE_PARENT | SIGCHLD, 0, 0, 0, 0]);
        eq!(answer, Err(Errno::EINVAL), "init has no siblings: EINVAL");
    } else {
        rt::skip!("not init", "init has no siblings: EINVAL");
    }
}

/// Names of more than 255 bytes, and paths of more than 4095.
fn paths() {
    const CALLS: &[(&str, u32)] = &[
        ("open", OPEN),
        ("creat", 8),
        ("link", 9),
        ("unlink", 10),
        ("execve", EXECVE),
        ("chdir", 12),
        ("mknod", 14),
        ("chmod", 15),
        ("lchown", 16),
        ("access", 33),
        ("rename", 38),
        ("mkdir", 39),
        ("rmdir", 40),
        ("readlink", 85),
        ("truncate", 92),
        ("stat64", 195),
        ("lstat64", 196),
    ];
    let mut buffer = [0u8; 4200];
    let mut path = |before: &str, byte: u8, count: usize| {
        let text = before.bytes().chain(core::iter::repeat_n(byte, count));
        let zero = core::iter::once(0);
        buffer
            .iter_mut()
            .zip(text.chain(zero))
            .for_each(|(to, from)| *to = from);
        buffer.as_ptr() as u32
    };
    let too_long = Err(Errno::ENAMETOOLONG);
    let name = path("/", b'x', 256);
    let room = [0u32; 32];
    // The second argument is a mode, an empty argument vector, a path, or where to store an answer.
    for &(call, number) in CALLS {
        let second = match call {
            "readlink" | "stat64" | "lstat64" => room.as_ptr() as u32,
            "rename" => c"/x".as_ptr() as u32,
            _ => 0,
        };
        eq!(
            syscall(number, [name, second, 128]),
            too_long,
            "{call}, a name of 256 bytes: ENAMETOOLONG"
        );
    }
    let root = c"/".as_ptr() as u32;
    eq!(
        syscall(38, [c"/proc".as_ptr() as u32, name]),
        too_long,
        "rename to such a name: ENAMETOOLONG"
    );
    eq!(
        syscall(38, [name, 0]),
        Err(Errno::EFAULT),
        "rename reads both paths first: EFAULT"
    );
    eq!(
        syscall(OPEN, [path("/", b'x', 255), 0]),
        Err(Errno::ENOENT),
        "a name of 255 bytes is valid"
    );
    let open = |path: u32| syscall(OPEN, [path, 0]);
    eq!(
        open(path("/no/such/", b'x', 256)),
        Err(Errno::ENOENT),
        "the path before it is looked up first"
    );
    let mut file = [0u8; 300];
    let argv0 = start::arg(0).expect("argv[0]").bytes().chain(*b"/");
    let text = argv0.chain(core::iter::repeat_n(b'x', 256));
    file[..299]
        .iter_mut()
        .zip(text)
        .for_each(|(to, from)| *to = from);
    eq!(
        open(file.as_ptr() as u32),
        Err(Errno::ENOTDIR),
        "and must be a directory"
    );
    eq!(
        open(path("/proc/", b'x', 256)),
        Err(Errno::ENOENT),
        "/proc has no limit on names"
    );
    let long = path("/", b'/', 4095);
    eq!(open(long), too_long, "a path of 4096 bytes: ENAMETOOLONG");
    eq!(
        syscall(SYMLINK, [long, name]),
        too_long,
        "likewise the target of a link"
    );
    let empty = c"".as_ptr() as u32;
    eq!(
        syscall(SYMLINK, [empty, root]),
        Err(Errno::ENOENT),
        "an empty one: ENOENT before EEXIST"
    );
    let answer = open(path("/", b'/', 4094));
    ok!(answer.is_ok(), "a path of 4095 bytes is valid");
}

/// A file that is open for writing only is not read, from a place of its own either.
fn access() {
    let fd = syscall(OPEN, [c"/tmp/errors".as_ptr() as u32, 0o101, 0o600]).expect("open");
    let room = [0u8; 4];
    eq!(
        [READ, PREAD64].map(|read| syscall(read, [fd, room.as_ptr() as u32, 4, 0, 0])),
        [Err(Errno::EBADF); 2],
        "open for writing only, read and pread64: EBADF"
    );
}

fn main() -> i32 {
    ktap::plan(76);
    mapping();
    protection();
    advice();
    signals();
    scheduling();
    futexes();
    programs();
    paths();
    access();
    ktap::finish()
}

rt::main!(main);
