//! Numbers at the edges: addresses and lengths that wrap around, times that never end, a handler
//! without a stack. Each call answers as on Linux, and the kernel goes on.
//!
//! Linux: errno(3), sigaltstack(2), mmap(2), nanosleep(2).
//! Red without: sums that wrap in `sigframe.rs`; the bound of a time in `timespec_to_ns`; the
//! offset of a file mapping that grows down.
#![no_std]
#![no_main]

use rt::{
    Errno, eq, expect_exit, expect_signal,
    gates::syscall,
    insn, ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok, process,
    signal::SIGSEGV,
    signals::{Handler, Sigcontext, set_handler_with},
};

const READ: u32 = 3;
const OPEN: u32 = 5;
const EXECVE: u32 = 11;
const NICE: u32 = 34;
const KILL: u32 = 37;
const BRK: u32 = 45;
const MUNMAP: u32 = 91;
const IOPERM: u32 = 101;
const SETITIMER: u32 = 104;
const SIGRETURN: u32 = 119;
const MPROTECT: u32 = 125;
const LLSEEK: u32 = 140;
const SELECT: u32 = 142;
const READV: u32 = 145;
const SCHED_RR_GET_INTERVAL: u32 = 161;
const NANOSLEEP: u32 = 162;
const POLL: u32 = 168;
const RT_SIGRETURN: u32 = 173;
const PREAD64: u32 = 180;
const GETCWD: u32 = 183;
const SIGALTSTACK: u32 = 186;
const MMAP2: u32 = 192;
const MADVISE: u32 = 219;
const GETDENTS64: u32 = 220;
const FUTEX: u32 = 240;
const SCHED_SETAFFINITY: u32 = 241;
const CLOCK_NANOSLEEP: u32 = 267;
const PPOLL: u32 = 309;
const PERF_EVENT_OPEN: u32 = 336;
const CLOCK_NANOSLEEP_TIME64: u32 = 407;

const SIGALRM: u32 = 14;
const SA_SIGINFO: u32 = 4;
const SA_ONSTACK: u32 = 0x0800_0000;
const MOST: u32 = i32::MAX as u32;
const LAST_NS: u32 = 999_999_999;
const LAST_PAGE: u32 = 0xffff_f000;

/// Stack pointers that leave no room for a frame.
const STACKS: &[u32] = &[
    0,
    1,
    4,
    8,
    0x100,
    0x2dc,
    0x2e0,
    0xfff,
    0xc000_1000,
    0xffff_f000,
    0xffff_fffc,
    0xffff_ffff,
];

extern "C" fn handler(_signal: u32, _context: Sigcontext) {}

/// A program with a handler for SIGSEGV faults at each of the stack pointers.
fn no_stack(name: &str, flags: u32, altstack: Option<[u32; 3]>) {
    let mut killed = 0;
    for &sp in STACKS {
        let child = process::child(|| {
            if let Some(stack) = altstack {
                let _refused = syscall(SIGALTSTACK, [stack.as_ptr() as u32, 0]);
            }
            set_handler_with(SIGSEGV, handler as Handler, flags).expect("sigaction");
            insn::hlt_with_esp(sp);
            0
        });
        killed += usize::from(child.wait() == rt::WaitStatus::signaled(SIGSEGV));
    }
    eq!(
        killed,
        STACKS.len(),
        "no stack for the handler, {name}, flags {flags:#x}: SIGSEGV"
    );
}

fn handlers() {
    no_stack("plain", 0, None);
    no_stack("SA_SIGINFO", SA_SIGINFO, None);
    no_stack("SA_ONSTACK without one", SA_ONSTACK, None);
    for (name, stack) in [
        ("an alternate stack at 0", [0, 0, 8192]),
        ("one that covers all addresses", [0, 0, 0xffff_ffff]),
        ("one in the last page", [LAST_PAGE, 0, PAGE_SIZE]),
        ("one that wraps around", [LAST_PAGE, 0, 3 * PAGE_SIZE]),
        ("one in the kernel", [0xc000_0000, 0, 8192]),
    ] {
        no_stack(name, SA_ONSTACK, Some(stack));
        no_stack(name, SA_ONSTACK | SA_SIGINFO, Some(stack));
    }
    let mut killed = 0;
    for &sp in STACKS {
        for call in [SIGRETURN, RT_SIGRETURN] {
            let child = process::child(|| {
                insn::call_with_esp(sp, call);
                0
            });
            killed += usize::from(child.wait() == rt::WaitStatus::signaled(SIGSEGV));
        }
    }
    eq!(
        killed,
        2 * STACKS.len(),
        "sigreturn without a stack: SIGSEGV"
    );
}

/// A call that would take years is still running when the alarm comes.
fn takes_years(name: &str, number: u32, arguments: [u32; 6]) {
    expect_signal(name, SIGALRM, || {
        let soon = [0, 0, 0, 20_000];
        syscall(SETITIMER, [0, soon.as_ptr() as u32, 0]).expect("setitimer");
        syscall(number, arguments)
    });
}

fn times() {
    let most = [MOST, LAST_NS];
    let most_us = [MOST, 999_999];
    let most64 = [i64::MAX as u64, u64::from(LAST_NS)];
    let word = 0_u32;
    let at = |pointer: *const u32| pointer as u32;
    let (time, time64) = (at(most.as_ptr()), most64.as_ptr() as u32);
    takes_years("nanosleep", NANOSLEEP, [time, 0, 0, 0, 0, 0]);
    takes_years("clock_nanosleep", CLOCK_NANOSLEEP, [1, 0, time, 0, 0, 0]);
    takes_years(
        "the same until then",
        CLOCK_NANOSLEEP,
        [1, 1, time, 0, 0, 0],
    );
    let long = CLOCK_NANOSLEEP_TIME64;
    takes_years("clock_nanosleep of 64 bits", long, [1, 0, time64, 0, 0, 0]);
    takes_years(
        "the same until then, 64 bits",
        long,
        [0, 1, time64, 0, 0, 0],
    );
    takes_years("poll", POLL, [0, 0, MOST, 0, 0, 0]);
    takes_years("ppoll", PPOLL, [0, 0, time, 0, 0, 0]);
    let time_us = at(most_us.as_ptr());
    takes_years("select", SELECT, [0, 0, 0, 0, time_us, 0]);
    takes_years("futex", FUTEX, [at(&word), 0, 0, time, 0, 0]);
    takes_years("futex until then", FUTEX, [at(&word), 9, 0, time, 0, 1]);
    let longest = [MOST, 999_999, MOST, 999_999];
    eq!(
        syscall(SETITIMER, [0, at(longest.as_ptr()), 0]),
        Ok(0),
        "setitimer for 68 years"
    );
    let off = [0_u32; 4];
    let mut was = [0_u32; 4];
    let answer = syscall(SETITIMER, [0, at(off.as_ptr()), was.as_mut_ptr() as u32]);
    ok!(
        answer == Ok(0) && was[2] >= MOST - 10 && was[..2] == longest[..2],
        "it has as much left"
    );
    for (name, time) in [
        ("-1 s", [u32::MAX, 0]),
        ("10⁹ ns", [0, LAST_NS + 1]),
        ("-1 ns", [0, !0]),
    ] {
        eq!(
            syscall(NANOSLEEP, [at(time.as_ptr()), 0]),
            Err(Errno::EINVAL),
            "nanosleep of {name}: EINVAL"
        );
    }
}

fn refused(name: &str, number: u32, arguments: [u32; 6], errno: Errno) {
    eq!(syscall(number, arguments), Err(errno), "{name}: {errno:?}");
}

fn ranges() {
    const E2BIG: Errno = Errno::E2BIG;
    const EFAULT: Errno = Errno::EFAULT;
    const EINVAL: Errno = Errno::EINVAL;
    const ENOMEM: Errno = Errno::ENOMEM;
    let two = 2 * PAGE_SIZE;
    refused(
        "munmap over the end",
        MUNMAP,
        [LAST_PAGE, two, 0, 0, 0, 0],
        EINVAL,
    );
    refused("munmap of all", MUNMAP, [0, !0, 0, 0, 0, 0], EINVAL);
    refused(
        "mprotect over the end",
        MPROTECT,
        [LAST_PAGE, two, 1, 0, 0, 0],
        ENOMEM,
    );
    refused(
        "madvise over the end",
        MADVISE,
        [LAST_PAGE, two, 4, 0, 0, 0],
        EINVAL,
    );
    refused("mmap2 of all", MMAP2, [0, !0, 1, 0x22, !0, 0], ENOMEM);
    refused(
        "mmap2 over the end",
        MMAP2,
        [LAST_PAGE, two, 1, 0x32, !0, 0],
        ENOMEM,
    );
    let end = syscall(BRK, [0]);
    for brk in [1, LAST_PAGE, !0] {
        eq!(syscall(BRK, [brk]), end, "brk({brk:#x}) changes nothing");
    }
    for (from, num) in [
        (!0, 1),
        (!0, 2),
        (1, !0),
        (0, 0x1_0001),
        (0xffff, 2),
        (0, 0),
    ] {
        let arguments = [from, num, 1, 0, 0, 0];
        eq!(
            syscall(IOPERM, arguments),
            Err(EINVAL),
            "ioperm of {num:#x} ports from {from:#x}: EINVAL"
        );
    }
    refused(
        "getcwd to the last byte",
        GETCWD,
        [!0, 4096, 0, 0, 0, 0],
        EFAULT,
    );
    let interval = [0, 0xffff_fffc, 0, 0, 0, 0];
    refused(
        "an interval to the last word",
        SCHED_RR_GET_INTERVAL,
        interval,
        EFAULT,
    );
    refused("poll of too many", POLL, [0, !0, 0, 0, 0, 0], EINVAL);
    refused("select of -1", SELECT, [!0, 0, 0, 0, 0, 0], EINVAL);
    refused("too many pieces", READV, [0, 0, 1025, 0, 0, 0], EINVAL);
    let negative = [0_u32, !0];
    let vector = negative.as_ptr() as u32;
    refused(
        "a piece of -1 bytes",
        READV,
        [0, vector, 1, 0, 0, 0],
        EINVAL,
    );
    let attr = [1_u32, !0, 0, 0];
    let attr = attr.as_ptr() as u32;
    refused(
        "attributes of 4 GiB",
        PERF_EVENT_OPEN,
        [attr, 0, !0, !0, 0, 0],
        E2BIG,
    );
    refused(
        "requeue of -1",
        FUTEX,
        [vector, 3, !0, 0, vector, 0],
        EINVAL,
    );
    let path = c"/proc/self/exe".as_ptr() as u32;
    refused(
        "arguments in the last word",
        EXECVE,
        [path, 0xffff_fffc, 0, 0, 0, 0],
        EFAULT,
    );
    refused("a group -2³¹", KILL, [1 << 31, 0, 0, 0, 0, 0], Errno::ESRCH);
    let nobody = process::wait4(i32::MIN, process::WNOHANG);
    ok!(
        matches!(nobody, Err(Errno::ECHILD | Errno::ESRCH)),
        "and no child of it"
    );
    let mask = [!0_u32; 32];
    let affinity = syscall(SCHED_SETAFFINITY, [0, !0, mask.as_ptr() as u32]);
    eq!(
        affinity,
        Ok(0),
        "a mask of 4 GiB: the kernel reads the part that it knows"
    );
    expect_exit("nice with any increment", 0, || {
        let all = [i32::MAX, i32::MIN, i32::MAX].map(|by| syscall(NICE, [by as u32]));
        i32::from(!all.iter().all(|it| matches!(it, Ok(_) | Err(Errno::EPERM))))
    });
}

fn files() {
    let open = |path: &core::ffi::CStr| syscall(OPEN, [path.as_ptr() as u32, 0, 0]).expect("open");
    let mut buffer = [0_u32; 256];
    let to = buffer.as_mut_ptr() as u32;
    let fd = open(c"/proc/self/exe");
    for (high, low) in [(0, !0), (1, 0), (MOST, 0), (MOST, !0)] {
        let read = syscall(PREAD64, [fd, to, 16, low, high]);
        ok!(
            matches!(read, Ok(0) | Err(Errno::EINVAL)),
            "pread64 at {high:#x}:{low:08x}: nothing is there"
        );
    }
    refused(
        "pread64 at -1",
        PREAD64,
        [fd, to, 16, !0, !0, 0],
        Errno::EINVAL,
    );
    refused(
        "a read over the end",
        READ,
        [fd, LAST_PAGE, 0x2000, 0, 0, 0],
        Errno::EFAULT,
    );
    for (name, path) in [("the root", c"/"), ("/proc", c"/proc")] {
        let fd = open(path);
        for high in [1, MOST] {
            let mut at = 0_u64;
            let sought = syscall(LLSEEK, [fd, high, 0, (&raw mut at) as u32, 0]);
            let read = syscall(GETDENTS64, [fd, to, 1024]);
            // Some file systems refuse such a position.
            let good = sought.is_err() || read == Ok(0) || read == Err(Errno::ENOENT);
            ok!(good, "{name} has nothing at {high:#x}:00000000");
        }
    }
}

/// File mappings that grow down: the page below shows the bytes before in the file, or is not
/// there.
fn growing_down() {
    const AT: u32 = 0x3000_0000;
    const FLAGS: u32 = 0x112; // MAP_GROWSDOWN | MAP_FIXED | MAP_PRIVATE
    let fd = syscall(OPEN, [c"/proc/self/exe".as_ptr() as u32, 0, 0]).expect("open");
    let below = |page: u32| {
        syscall(MMAP2, [AT, PAGE_SIZE, PROT_READ, FLAGS, fd, page]).expect("mmap2");
        insn::read(AT - PAGE_SIZE)
    };
    expect_signal("nothing is before a file's first page", SIGSEGV, || {
        below(0)
    });
    expect_exit("before its second page is its first", 0, || {
        i32::from(below(1) != u32::from_le_bytes(*b"\x7fELF"))
    });
}

fn main() -> i32 {
    ktap::plan(70);
    handlers();
    times();
    ranges();
    files();
    growing_down();
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    ok!(page.is_ok(), "the kernel goes on");
    ktap::finish()
}

rt::main!(main);
