//! execve by a thread that does not lead its process: the program becomes the whole process.
//!
//! Linux: execve(2) ("Effect on a process's other threads").
//! Red without: the leader's number, place, age and times for the thread; the end of all others,
//! the leader among them; one winner where several execute at once.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{monotonic_ns, sleep_ms},
    eq,
    gates::syscall,
    ktap,
    memory::{SharedPage, shared_page},
    ok,
    process::{Child, exec_self, execve, exit_group, getpid, getppid, wait4},
    sched::{SCHED_FIFO, sched_getscheduler, sched_setscheduler},
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
    start,
    thread::{Body, SIGCHLD, gettid, spawn},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_PIPE: u32 = 42;
const SYS_DUP2: u32 = 63;
const SYS_GETRUSAGE: u32 = 77;
const SYS_SETITIMER: u32 = 104;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGPENDING: u32 = 176;
const SIGKILL: u32 = 9;
const SIGALRM: u32 = 14;
const SIG_DFL: u32 = 0;
const SIG_IGN: u32 = 1;

/// CPU time that leader and thread use before the program starts, in milliseconds.
const USED_MS: u32 = 40;
/// The descriptor to which a program reports.
const REPORT_FD: u32 = 9;

/// What a program finds when it starts.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Report {
    pid: u32,
    tid: u32,
    parent: u32,
    blocked: u32,
    policy: u32,
    used_ms: u32,
    /// The number and the status of the child that it waited for.
    waited: [u32; 2],
}

const WORDS: usize = size_of::<Report>() / 4;

/// Returns the CPU time that the threads of a process have used, in milliseconds.
fn used_ms() -> u32 {
    let mut words = [0u32; 18];
    syscall(SYS_GETRUSAGE, [0, words.as_mut_ptr() as u32]).expect("getrusage");
    (words[0] + words[2]) * 1000 + (words[1] + words[3]) / 1000
}

/// Computes until the process has used `ms` milliseconds of CPU time.
fn use_ms(ms: u32) {
    while used_ms() < ms {}
}

fn blocked() -> u32 {
    let mut set = [0u32; 2];
    syscall(SYS_RT_SIGPROCMASK, [0, 0, set.as_mut_ptr() as u32, 8]).expect("rt_sigprocmask");
    set[0]
}

fn block(signal: u32) {
    let set = [1u32 << (signal - 1), 0];
    syscall(SYS_RT_SIGPROCMASK, [0, set.as_ptr() as u32, 0, 8]).expect("rt_sigprocmask");
}

fn set_action(signal: u32, handler: u32) {
    let action = [handler, 0, 0, 0, 0];
    syscall(SYS_RT_SIGACTION, [signal, action.as_ptr() as u32, 0, 8]).expect("rt_sigaction");
}

/// The executed program: reports what it finds, and stays.
fn report() -> i32 {
    let report = Report {
        pid: getpid(),
        tid: gettid(),
        parent: getppid(),
        blocked: blocked(),
        policy: sched_getscheduler(0).expect("sched_getscheduler"),
        used_ms: used_ms(),
        waited: wait4(-1, 0).map_or([0; 2], |(pid, status)| [pid, status.0]),
    };
    let bytes = size_of::<Report>() as u32;
    let written = syscall(SYS_WRITE, [REPORT_FD, &raw const report as u32, bytes]);
    match written == Ok(bytes) {
        true => sleep_on(0),
        false => 1,
    }
}

/// The executed program: waits for SIGALRM, which it ignores and blocks.
fn await_alarm() -> i32 {
    let is_pending = || {
        let mut set = [0u32; 2];
        syscall(SYS_RT_SIGPENDING, [set.as_mut_ptr() as u32, 8]).expect("rt_sigpending");
        set[0] & 1 << (SIGALRM - 1) != 0
    };
    let end = monotonic_ns() + 10_000_000_000;
    while !is_pending() {
        if monotonic_ns() > end {
            return 1;
        }
        sleep_ms(5);
    }
    0
}

fn stat_field(pid: u32, number: usize) -> Option<u64> {
    let mut path = *b"/proc/0000000000/stat\0";
    let digits = (0..10).rev().scan(pid, |rest, at| {
        let digit = *rest % 10;
        *rest /= 10;
        Some((at, b'0' + digit as u8))
    });
    digits.for_each(|(at, digit)| path[6 + at] = digit);
    // Skips the leading zeros.
    let zeros = path[6..].iter().take_while(|byte| **byte == b'0').count();
    path.copy_within(6 + zeros.., 6);
    let fd = syscall(SYS_OPEN, [path.as_ptr() as u32, 0]).ok()?;
    let mut text = [0u8; 512];
    let count = syscall(SYS_READ, [fd, text.as_mut_ptr() as u32, 512]).ok()? as usize;
    syscall(SYS_CLOSE, [fd]).ok()?;
    let text = str::from_utf8(&text[..count]).ok()?;
    // Field 3 follows the name in parentheses.
    text[text.rfind(')')? + 2..]
        .split(' ')
        .nth(number - 3)?
        .parse()
        .ok()
}

extern "C" fn sleep_on(_: u32) -> i32 {
    loop {
        sleep_ms(60_000);
    }
}

/// The words in which threads announce their numbers, and a process the number of its child.
#[derive(Clone, Copy)]
struct Words(SharedPage);

impl Words {
    fn of(address: u32) -> Self {
        // SAFETY: whoever passed the address has mapped the page for good.
        Self(unsafe { &*(address as *const [AtomicU32; 1024]) })
    }

    fn address(self) -> u32 {
        self.0.as_ptr() as u32
    }

    fn say(self, word: usize, value: u32) {
        self.0[word].store(value, SeqCst);
    }

    fn hear(self, word: usize) -> u32 {
        loop {
            match self.0[word].load(SeqCst) {
                0 => sleep_ms(1),
                value => return value,
            }
        }
    }
}

const SLEEPER: usize = 0;
const EXECUTING: usize = 1;
const CHILD: usize = 2;
const GO: usize = 3;

extern "C" fn sleeper(page: u32) -> i32 {
    Words::of(page).say(SLEEPER, gettid());
    sleep_on(0)
}

extern "C" fn executing(page: u32) -> i32 {
    let words = Words::of(page);
    block(SIGUSR1);
    sched_setscheduler(0, SCHED_FIFO, 5).expect("SCHED_FIFO");
    words.hear(SLEEPER);
    words.say(EXECUTING, gettid());
    words.hear(GO);
    exec_self(c"report")
}

static TOLD: AtomicU32 = AtomicU32::new(0);

extern "C" fn told(_: u32, _: Sigcontext) {
    TOLD.fetch_add(1, SeqCst);
}

/// Calls wait4 again whenever a signal interrupts it.
fn wait_through_signals(child: Child) -> Result<WaitStatus, Errno> {
    loop {
        match wait4(child.pid as i32, 0) {
            Err(Errno::EINTR) => (),
            other => return other.map(|(_, status)| status),
        }
    }
}

fn becomes_the_process() {
    let words = Words(shared_page());
    let mut ends = [0u32; 2];
    syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).expect("pipe");
    set_handler(SIGCHLD, told).expect("rt_sigaction");
    let process = child(|| {
        set_action(SIGCHLD, SIG_DFL);
        syscall(SYS_DUP2, [ends[1], REPORT_FD]).expect("dup2");
        use_ms(USED_MS);
        words.say(CHILD, child(|| 3).pid);
        spawn(sleeper, words.address(), None).expect("clone");
        spawn(executing, words.address(), None).expect("clone");
        sleep_on(0)
    });
    let thread = words.hear(EXECUTING);
    let began = stat_field(process.pid, 22);
    words.say(GO, 1);
    let mut found = [0u32; WORDS];
    let at = [
        ends[0],
        found.as_mut_ptr() as u32,
        size_of::<Report>() as u32,
    ];
    let read = loop {
        match syscall(SYS_READ, at) {
            Err(Errno::EINTR) => (),
            other => break other,
        }
    };
    ok!(read == Ok(at[2]), "a thread executes a program");
    // SAFETY: a report consists of words, and any bits are a word.
    let found: Report = unsafe { core::mem::transmute(found) };
    eq!(
        (found.pid, found.tid),
        (process.pid, process.pid),
        "which leads the process, and has its number"
    );
    eq!(found.parent, getpid(), "and its parent");
    eq!(
        found.waited,
        [words.hear(CHILD), WaitStatus::exited(3).0],
        "and its children"
    );
    ok!(
        began.is_some() && stat_field(process.pid, 22) == began,
        "it began when the process did"
    );
    ok!(
        found.used_ms >= USED_MS,
        "the old leader's CPU time counts for its process"
    );
    let gone = |tid: u32| kill(tid, 0) == Err(Errno::ESRCH);
    ok!(gone(thread), "the thread's own number is free: ESRCH");
    ok!(
        gone(words.hear(SLEEPER)),
        "nor is there another thread: ESRCH"
    );
    eq!(
        stat_field(process.pid, 20),
        Some(1),
        "/proc also shows one thread"
    );
    ok!(
        found.blocked == 1 << (SIGUSR1 - 1),
        "signals that the thread had blocked stay blocked"
    );
    eq!(found.policy, SCHED_FIFO, "its policy stays");
    eq!(TOLD.load(SeqCst), 0, "no SIGCHLD has reported an end");
    kill(process.pid, SIGKILL).expect("kill");
    eq!(
        wait_through_signals(process),
        Ok(WaitStatus::signaled(SIGKILL)),
        "its end is the process's"
    );
    eq!(TOLD.load(SeqCst), 1, "and is reported once");
    for fd in ends {
        syscall(SYS_CLOSE, [fd]).expect("close");
    }
}

extern "C" fn execute_end(page: u32) -> i32 {
    if page != 0 {
        Words::of(page).hear(GO);
    }
    exec_self(c"end")
}

/// Executes the program once the first thread is a zombie.
extern "C" fn execute_without_leader(_: u32) -> i32 {
    let is_zombie = || {
        let mut text = [0u8; 64];
        let path = c"/proc/self/stat";
        let fd = syscall(SYS_OPEN, [path.as_ptr() as u32, 0]).expect("open");
        syscall(SYS_READ, [fd, text.as_mut_ptr() as u32, 64]).expect("read");
        syscall(SYS_CLOSE, [fd]).expect("close");
        text.windows(4).any(|it| it == b") Z ")
    };
    while !is_zombie() {
        sleep_ms(1);
    }
    exec_self(c"end")
}

extern "C" fn execute_nothing(page: u32) -> i32 {
    let path = c"/no/such/program";
    let errno = execve(path, &[path]);
    Words::of(page).say(GO, 1 + u32::from(errno == Errno::ENOENT));
    sleep_on(0)
}

extern "C" fn end_all(page: u32) -> i32 {
    Words::of(page).hear(GO);
    exit_group(7)
}

extern "C" fn execute_await_alarm(_: u32) -> i32 {
    block(SIGALRM);
    exec_self(c"await_alarm")
}

/// Asks for SIGALRM after `ms` milliseconds, and then again and again.
fn set_alarm(ms: u32) {
    let time = [ms / 1000, ms % 1000 * 1000];
    let it = [time, time];
    syscall(SYS_SETITIMER, [0, it.as_ptr() as u32, 0]).expect("setitimer");
}

/// Returns how a process ends whose first thread starts `bodies` and sleeps.
fn process_of(bodies: &[Body], before: impl FnOnce(), words: Option<Words>) -> WaitStatus {
    let process = child(|| {
        before();
        let argument = words.map_or(0, Words::address);
        for body in bodies {
            spawn(*body, argument, None).expect("clone");
        }
        if let Some(words) = words {
            words.say(GO, 1);
        }
        sleep_on(0)
    });
    process.wait()
}

fn ends_of_others() {
    let process = child(|| {
        spawn(execute_without_leader, 0, None).expect("clone");
        5
    });
    eq!(
        process.wait(),
        WaitStatus::exited(33),
        "a leader that has ended before is replaced"
    );
    let process = child(|| {
        let words = Words(shared_page());
        spawn(execute_nothing, words.address(), None).expect("clone");
        exit_group(words.hear(GO) as i32)
    });
    eq!(
        process.wait(),
        WaitStatus::exited(2),
        "a program that cannot be executed ends no thread: ENOENT"
    );
    let all = |bodies: &[Body], good: fn(WaitStatus) -> bool| {
        (0..20).all(|_| good(process_of(bodies, || (), Some(Words(shared_page())))))
    };
    ok!(
        all(&[execute_end as Body; 3], |end| end
            == WaitStatus::exited(33)),
        "of several threads that execute at once one succeeds"
    );
    ok!(
        all(&[execute_end, end_all, execute_end], |end| {
            end == WaitStatus::exited(33) || end == WaitStatus::exited(7)
        }),
        "one that ends them all may come first, or late"
    );
}

fn timers() {
    let alarmed = process_of(&[execute_sleep], || set_alarm(100), None);
    eq!(
        alarmed,
        WaitStatus::signaled(SIGALRM),
        "the timer of the process runs on"
    );
    let ignore = || {
        set_action(SIGALRM, SIG_IGN);
        set_alarm(100);
    };
    eq!(
        process_of(&[execute_await_alarm], ignore, None),
        WaitStatus::exited(0),
        "for its new leader: a blocked signal waits, though ignored"
    );
}

extern "C" fn execute_sleep(_: u32) -> i32 {
    exec_self(c"sleep")
}

/// Plays the first process of all: its first thread ends, and the system does not.
fn be_init() -> i32 {
    spawn(execute_without_leader, 0, None).expect("clone");
    5
}

/// The program that the other thread of [`be_init`] executes.
fn as_init() -> i32 {
    ktap::plan(1);
    eq!(
        (gettid(), getppid()),
        (1, 0),
        "init goes on without its first thread"
    );
    ktap::finish()
}

fn main() -> i32 {
    match start::arg(1) {
        Some("report") => return report(),
        Some("await_alarm") => return await_alarm(),
        Some("sleep") => return sleep_on(0),
        Some("end") if getpid() == 1 => return as_init(),
        Some("end") => return 33,
        Some("be_init") => return be_init(),
        _ => (),
    }
    ktap::plan(20);
    becomes_the_process();
    ends_of_others();
    timers();
    ktap::finish()
}

rt::main!(main);
