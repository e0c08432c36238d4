//! `/proc/PID/status` and `/proc/PID/stat`: Linux's lines and fields, with true values.
//!
//! Linux: proc(5).
//! Red without: the counts of pages and their peaks; the addresses that exec keeps; the check of
//! the reader's rights.
#![no_std]
#![no_main]

use core::sync::atomic::AtomicU32;

use rt::{
    eq, expect_exit,
    gates::syscall,
    job::{change_blocked, send_self},
    ktap,
    memory::{MAP_SHARED, PROT_READ, PROT_WRITE, brk, mmap_anonymous},
    ok,
    proc::{field, read, stat_number, status_number, touch},
    process::{NOBODY, child, getpid, getppid, setuid},
    sched::{SCHED_FIFO, sched_setscheduler},
    signals::{Sigcontext, set_handler},
    start,
    thread::{gettid, spawn},
};

const SYS_NICE: u32 = 34;
const SYS_UMASK: u32 = 60;
const SYS_DUP2: u32 = 63;
const SYS_GETPGRP: u32 = 65;
const SYS_PRCTL: u32 = 172;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SYS_SETRESUID32: u32 = 208;
const PR_SET_NAME: u32 = 15;
const SIG_BLOCK: u32 = 0;
const SIG_IGN: u32 = 1;
const SIGUSR1: u32 = 10;
const SIGUSR2: u32 = 12;
const SIG_REAL_TIME: u32 = 40;
const KEEP: u32 = u32::MAX;
const MIB: u32 = 1 << 20;
/// Kilobytes by which Linux's counts of pages may be behind: each CPU keeps some for itself.
const SLACK: u32 = 512;

/// The lines that every process has, in Linux's order.
const LINES: [&str; 49] = [
    "Name",
    "Umask",
    "State",
    "Tgid",
    "Ngid",
    "Pid",
    "PPid",
    "TracerPid",
    "Uid",
    "Gid",
    "FDSize",
    "Groups",
    "NStgid",
    "NSpid",
    "NSpgid",
    "NSsid",
    "VmPeak",
    "VmSize",
    "VmLck",
    "VmPin",
    "VmHWM",
    "VmRSS",
    "RssAnon",
    "RssFile",
    "RssShmem",
    "VmData",
    "VmStk",
    "VmExe",
    "VmLib",
    "VmPTE",
    "VmSwap",
    "Threads",
    "SigQ",
    "SigPnd",
    "ShdPnd",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Cpus_allowed",
    "Cpus_allowed_list",
    "voluntary_ctxt_switches",
    "nonvoluntary_ctxt_switches",
];

/// A word in the initialised data.
static INITIALISED: AtomicU32 = AtomicU32::new(0x5eed);

type Buffer = [u8; 8192];

fn status(buffer: &mut Buffer) -> &str {
    read(buffer, format_args!("/proc/self/status")).expect("status")
}

/// Returns the value of a line of `status`, in kilobytes.
fn kb(name: &str) -> u32 {
    status_number(name).unwrap_or_else(|| {
        rt::println!("# no line {name}");
        0
    })
}

/// Returns a set of bits from `status`.
fn bits(name: &str) -> Option<u64> {
    let mut buffer = [0; 8192];
    u64::from_str_radix(field(status(&mut buffer), name)?, 16).ok()
}

/// Returns a field of our own `stat`.
fn stat(number: usize) -> Option<i64> {
    stat_number(format_args!("/proc/self/stat"), number)
}

fn lines() {
    let mut buffer = [0; 8192];
    let mut wanted = LINES.iter().peekable();
    for line in status(&mut buffer).lines() {
        let name = line.split(':').next();
        wanted.next_if(|wanted| Some(**wanted) == name);
    }
    eq!(
        wanted.next(),
        None,
        "status has Linux's lines in Linux's order"
    );
    let mut kernel = [0; 8192];
    let kernel = read(&mut kernel, format_args!("/proc/2/status")).unwrap_or("");
    eq!(
        (field(kernel, "VmSize"), field(kernel, "Threads")),
        (None, Some("1")),
        "a thread of the kernel has no memory of its own"
    );
    let name = c"a\\b c\nd";
    syscall(SYS_PRCTL, [PR_SET_NAME, name.as_ptr() as u32]).expect("PR_SET_NAME");
    let status_name = field(status(&mut buffer), "Name");
    eq!(
        status_name,
        Some("a\\\\b c\\nd"),
        "Name is one line, whatever it is"
    );
    let comm = read(&mut buffer, format_args!("/proc/self/comm"));
    eq!(comm, Ok("a\\b c\nd\n"), "and comm the name as it is");
    syscall(SYS_PRCTL, [PR_SET_NAME, c"status".as_ptr() as u32]).expect("PR_SET_NAME");
    let before = syscall(SYS_UMASK, [0o27]).expect("umask");
    eq!(field(status(&mut buffer), "Umask"), Some("0027"), "Umask");
    syscall(SYS_UMASK, [before]).expect("umask");
    let pgrp = syscall(SYS_GETPGRP, []).ok();
    eq!(
        (
            status_number("NStgid"),
            status_number("NSpid"),
            status_number("NSpgid")
        ),
        (Some(getpid()), Some(getpid()), pgrp),
        "numbers are the same in the one namespace"
    );
    let size = status_number("FDSize");
    syscall(SYS_DUP2, [1, 600]).expect("dup2");
    ok!(
        size.is_some_and(|size| (3..=600).contains(&size)) && status_number("FDSize") > Some(600),
        "FDSize grows with the descriptors"
    );
}

fn signals() {
    extern "C" fn nothing(_: u32, _: Sigcontext) {}
    change_blocked(SIG_BLOCK, SIG_REAL_TIME);
    set_handler(SIGUSR1, nothing).expect("sigaction");
    let ignore = [SIG_IGN, 0, 0, 0, 0];
    syscall(SYS_RT_SIGACTION, [SIGUSR2, ignore.as_ptr() as u32, 0, 8]).expect("sigaction");
    let bit = |signal: u32| 1u64 << (signal - 1);
    let has = |name, signal| bits(name).map(|set| set & bit(signal) != 0);
    eq!(
        (
            has("SigBlk", SIG_REAL_TIME),
            has("SigIgn", SIGUSR2),
            has("SigCgt", SIGUSR1)
        ),
        (Some(true), Some(true), Some(true)),
        "signals that are blocked, ignored, handled"
    );
    let stat_sets = [stat(33), stat(34)].map(|set| set.map(|set| set as u64));
    eq!(
        stat_sets,
        [("SigIgn", 0x7fff_ffff), ("SigCgt", 0x7fff_ffff)]
            .map(|(name, mask)| bits(name).map(|set| set & mask)),
        "the first 31 of them in stat"
    );
    let queued = status_number("SigQ");
    for value in 0..3 {
        // si_signo, si_errno, si_code of sigqueue, sender, value.
        let mut info = [0u32; 32];
        (info[0], info[2], info[5]) = (SIG_REAL_TIME, -1i32 as u32, value);
        let call = [getpid(), SIG_REAL_TIME, info.as_ptr() as u32];
        syscall(SYS_RT_SIGQUEUEINFO, call).expect("rt_sigqueueinfo");
    }
    ok!(
        queued.is_some() && status_number("SigQ") >= queued.map(|queued| queued + 3),
        "SigQ counts signals that wait"
    );
    let mut buffer = [0; 8192];
    let limit = field(status(&mut buffer), "SigQ").and_then(|line| line.split('/').nth(1));
    let mut limits = [0u32; 2];
    const SYS_UGETRLIMIT: u32 = 191;
    syscall(SYS_UGETRLIMIT, [11, limits.as_mut_ptr() as u32]).expect("RLIMIT_SIGPENDING");
    let limit = limit.and_then(|limit| limit.parse().ok());
    eq!(
        limit,
        Some(limits[0]),
        "and says how many can, as getrlimit does"
    );
    eq!(
        has("ShdPnd", SIG_REAL_TIME),
        Some(true),
        "ShdPnd: they wait for the process"
    );
    change_blocked(SIG_BLOCK, SIGUSR1);
    send_self(SIGUSR1);
    ok!(
        bits("ShdPnd").is_some_and(|set| set & bit(SIGUSR1) != 0),
        "so does a usual one"
    );
}

fn rights() {
    let (permitted, effective) = (bits("CapPrm"), bits("CapEff"));
    ok!(
        permitted.is_some_and(|all| all & 0x3f == 0x3f) && effective == permitted,
        "root has capabilities"
    );
    expect_exit(
        "a process that only acts as another user keeps them back",
        0,
        || {
            syscall(SYS_SETRESUID32, [KEEP, NOBODY, KEEP]).expect("setresuid");
            i32::from((bits("CapPrm"), bits("CapEff")) != (permitted, Some(0)))
        },
    );
    let bound = bits("CapBnd");
    expect_exit("a process that is another user's has none", 0, || {
        setuid(NOBODY).expect("setuid");
        let caps = (bits("CapPrm"), bits("CapEff"), bits("CapBnd"));
        i32::from(caps != (Some(0), Some(0), bound))
    });
    let child = child(|| {
        setuid(NOBODY).expect("setuid");
        let of_parent = |number| stat_number(format_args!("/proc/{}/stat", getppid()), number);
        let addresses = [26, 28, 45, 48, 51].map(of_parent);
        i32::from(addresses != [1, 0, 0, 0, 0].map(Some))
    });
    eq!(
        child.wait(),
        rt::WaitStatus::exited(0),
        "the addresses of another user's process are not told"
    );
}

fn layout() {
    let mut buffer = [0; 1024];
    let line = read(&mut buffer, format_args!("/proc/self/stat")).expect("stat");
    let fields = line
        .rsplit_once(')')
        .map_or(0, |(_, rest)| rest.split_whitespace().count());
    eq!(fields + 2, 52, "stat has 52 fields");
    let at = |number| stat(number).unwrap_or(0) as u32;
    let is_between = |address: u32, first, last| (at(first)..at(last)).contains(&address);
    ok!(
        is_between(layout as fn() as usize as u32, 26, 27),
        "code is between startcode and endcode"
    );
    ok!(
        is_between(INITIALISED.as_ptr() as u32, 45, 46),
        "data between start_data and end_data"
    );
    ok!(
        at(28) > &raw const line as u32 && at(28) < at(48),
        "startstack is where the program began"
    );
    let argument = start::arg_cstr(0).map_or(0, |name| name.as_ptr() as u32);
    eq!(
        (at(48), at(50)),
        (argument, at(49)),
        "arguments, and behind them the environment"
    );
    let last = start::envp()
        .last()
        .map(|name| name.as_ptr() as u32 + name.count_bytes() as u32 + 1);
    eq!(at(51), last.unwrap_or(at(50)), "env_end is where it ends");
    eq!(
        (at(29), at(30)),
        (0, 0),
        "esp and eip of a live process are not told"
    );
    let (bytes, pages) = (stat(23).unwrap_or(0), at(24));
    eq!(bytes, i64::from(kb("VmSize")) * 1024, "vsize is VmSize");
    let difference = (pages * 4).abs_diff(kb("VmRSS"));
    ok!(difference <= SLACK, "rss is VmRSS");
}

fn scheduling() {
    expect_exit("nice and priority", 0, || {
        syscall(SYS_NICE, [5]).expect("nice");
        i32::from((stat(18), stat(19)) != (Some(25), Some(5)))
    });
    expect_exit("policy and priority of SCHED_FIFO", 0, || {
        sched_setscheduler(0, SCHED_FIFO, 7).expect("SCHED_FIFO");
        i32::from((stat(18), stat(40), stat(41)) != (Some(-8), Some(7), Some(1)))
    });
    eq!(
        (stat(4), stat(5), stat(38), stat(20)),
        (
            Some(i64::from(getppid())),
            syscall(SYS_GETPGRP, []).ok().map(i64::from),
            Some(17),
            Some(1)
        ),
        "parent, group, exit signal, threads"
    );
    let began = stat(22).unwrap_or(i64::MAX);
    let later = child(|| i32::from(stat(22).unwrap_or(0) < began));
    eq!(
        later.wait(),
        rt::WaitStatus::exited(0),
        "a child began later"
    );
}

extern "C" fn as_a_thread(children: u32) -> i32 {
    let mine = |number| stat_number(format_args!("/proc/self/task/{}/stat", gettid()), number);
    let used = mine(16).zip(mine(17)).map(|(user, system)| user + system);
    i32::from(used != Some(i64::from(children)) || mine(38) != Some(-1) || mine(20) != Some(2))
}

extern "C" fn report_thread(words: u32) -> i32 {
    let words = words as *mut u32;
    // SAFETY: two words of the creator, which waits for us.
    unsafe {
        words
            .add(1)
            .write_volatile(as_a_thread(words.read_volatile()) as u32)
    };
    0
}

fn times() {
    let faults = stat(10).zip(stat(11));
    let worker = child(|| {
        let memory = mmap_anonymous(MIB, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
        touch(memory, MIB, true);
        while stat(14)
            .zip(stat(15))
            .is_some_and(|(user, system)| user + system < 3)
        {
            core::hint::spin_loop();
        }
        0
    });
    worker.wait();
    let used = stat(16)
        .zip(stat(17))
        .map_or(0, |(user, system)| user + system);
    ok!(used >= 3, "cutime and cstime are the children's");
    ok!(
        stat(11) >= faults.map(|(_, of_children)| of_children + 256),
        "cminflt their faults"
    );
    let memory = mmap_anonymous(MIB, PROT_READ | PROT_WRITE, MAP_SHARED).expect("mmap");
    touch(memory, MIB, true);
    ok!(
        stat(10) >= faults.map(|(own, _)| own + 256),
        "minflt our own"
    );
    let mut words = [used as u32, 1];
    let thread = spawn(report_thread, words.as_mut_ptr() as u32, None).expect("clone");
    let joined = thread.join();
    // SAFETY: the thread has written the word and has ended.
    let result = unsafe { (&raw const words[1]).read_volatile() };
    eq!(
        (joined, result),
        (true, 0),
        "a thread's stat counts the process's children"
    );
}

fn main() -> i32 {
    let end = brk(0);
    ktap::plan(35);
    eq!(
        stat(47),
        Some(i64::from(end)),
        "start_brk is where the heap begins"
    );
    lines();
    signals();
    rights();
    layout();
    scheduling();
    times();
    ktap::finish()
}

rt::main!(main);
