//! How a process with several threads ends, and what other processes see of it.
//!
//! Linux: exit(2), exit_group(2), wait(2), clone(2), sigaction(2) (SA_NOCLDWAIT).
//! Book: ch. 3, "Destroying Processes".
//! Red without: the end of a process with its last thread; the choice of a live thread for a
//! signal; a queue of its own for a task that waits in vfork; descriptors and handlers of its own
//! for a program that is executed.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{comes_true, sleep_ms},
    eq,
    gates::syscall,
    job::{hears, state_of},
    ktap,
    memory::shared_page,
    process::{Child, WNOHANG, exec_self, exit, exit_group, getpid, wait4},
    signals::{Sigcontext, kill, set_handler, set_handler_with},
    start,
    thread::{
        Body, CLONE_FILES, CLONE_SIGHAND, CLONE_VFORK, SIGCHLD, SYS_CLONE, spawn, spawn_process,
    },
};

const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_SETITIMER: u32 = 104;
const SYS_NANOSLEEP: u32 = 162;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_SET_TID_ADDRESS: u32 = 258;
const O_CLOEXEC: u32 = 0o2_000_000;
const SA_NOCLDWAIT: u32 = 2;
const SIGUSR2: u32 = 12;
const SIGALRM: u32 = 14;
const SIGTERM: u32 = 15;
const WCLONE: u32 = 0x8000_0000;
const WALL: u32 = 0x4000_0000;

/// How often a handler was told of a child's end.
static TOLD: AtomicU32 = AtomicU32::new(0);

extern "C" fn told(_signal: u32, _context: Sigcontext) {
    TOLD.fetch_add(1, SeqCst);
}

/// Calls wait4 again whenever a signal interrupts it.
fn wait_through_signals(pid: u32) -> Result<(u32, WaitStatus), Errno> {
    loop {
        match wait4(pid as i32, 0) {
            Err(Errno::EINTR) => (),
            other => return other,
        }
    }
}

/// Sleeps for 30 ms, or until a signal comes.
fn pause() {
    let _ = syscall(SYS_NANOSLEEP, [[0u32, 30_000_000].as_ptr() as u32, 0]);
}

/// Returns the word at address `at` of a shared page.
fn word(at: u32) -> &'static AtomicU32 {
    // SAFETY: the callers' pages stay for good.
    unsafe { &*(at as *const AtomicU32) }
}

extern "C" fn exit_group_when_told(told: u32) -> i32 {
    comes_true(|| word(told).load(SeqCst) != 0);
    exit_group(7)
}

extern "C" fn sleep_on(_: u32) -> i32 {
    loop {
        sleep_ms(60_000);
    }
}

/// Ends the process if no timer does.
extern "C" fn outlive_the_timer(_: u32) -> i32 {
    sleep_ms(5_000);
    exit_group(8)
}

/// Waits for the process's child, which the leader has left behind.
extern "C" fn wait_for_it(may_end: u32) -> i32 {
    wait_for_leader(getpid());
    word(may_end).store(1, SeqCst);
    let status = wait4(-1, 0).map(|(_, status)| status);
    exit_group(i32::from(status != Ok(WaitStatus::exited(3))))
}

/// Waits until the first thread of a process has ended while others still run.
fn wait_for_leader(pid: u32) {
    comes_true(|| state_of(pid) == 'Z');
}

/// Starts a process whose first thread ends at once, with status 5, while another runs `body`.
fn without_leader(body: extern "C" fn(u32) -> i32, argument: u32) -> Child {
    child(|| {
        spawn(body, argument, None).expect("clone");
        5
    })
}

fn leaders() {
    set_handler(SIGCHLD, told).expect("sigaction");
    let page = shared_page();
    let process = without_leader(exit_group_when_told, page[0].as_ptr() as u32);
    wait_for_leader(process.pid);
    let early = (TOLD.load(SeqCst), wait4(process.pid as i32, WNOHANG));
    eq!(
        early,
        (0, Ok((0, WaitStatus(0)))),
        "while a thread lives its process has not ended"
    );
    page[0].store(1, SeqCst);
    let end = wait_through_signals(process.pid);
    eq!(
        end,
        Ok((process.pid, WaitStatus::exited(7))),
        "its status is that of the thread that ends it"
    );
    eq!(TOLD.load(SeqCst), 1, "and its end is reported once");

    let process = without_leader(sleep_on, 0);
    wait_for_leader(process.pid);
    kill(process.pid, SIGTERM).expect("kill");
    eq!(
        hears(process, 0),
        Ok(WaitStatus::signaled(SIGTERM)),
        "a signal for the process finds the thread that lives"
    );

    let process = child(|| {
        // `hears` has left a handler.
        set_default(SIGALRM).expect("sigaction");
        let soon = [0, 0, 0, 50_000];
        syscall(SYS_SETITIMER, [0, soon.as_ptr() as u32, 0]).expect("setitimer");
        spawn(outlive_the_timer, 0, None).expect("clone");
        5
    });
    eq!(
        wait_through_signals(process.pid),
        Ok((process.pid, WaitStatus::signaled(SIGALRM))),
        "a timer of the process goes on without its first thread"
    );

    let process = child(|| {
        let _ = child(|| {
            comes_true(|| page[1].load(SeqCst) != 0);
            3
        });
        spawn(wait_for_it, page[1].as_ptr() as u32, None).expect("clone");
        5
    });
    eq!(
        wait_through_signals(process.pid),
        Ok((process.pid, WaitStatus::exited(0))),
        "its children stay its children"
    );
}

fn set_sigchld(handler: u32) {
    let action = [handler, 0, 0, 0, 0];
    syscall(SYS_RT_SIGACTION, [SIGCHLD, action.as_ptr() as u32, 0, 8]).expect("sigaction");
}

fn unwanted() {
    let ends = || {
        let ended = child(|| 0);
        pause();
        wait_through_signals(ended.pid)
    };
    TOLD.store(0, SeqCst);
    set_sigchld(1);
    eq!(
        ends(),
        Err(Errno::ECHILD),
        "a parent that ignores SIGCHLD has no child to wait for"
    );
    let sleeper = child(|| {
        sleep_ms(40);
        0
    });
    let answer = wait4(sleeper.pid as i32, 0);
    eq!(answer, Err(Errno::ECHILD), "not even while the child runs");
    set_handler_with(SIGCHLD, told, SA_NOCLDWAIT).expect("sigaction");
    let answer = (ends(), TOLD.load(SeqCst));
    eq!(
        answer,
        (Err(Errno::ECHILD), 1),
        "so has one with SA_NOCLDWAIT, but it is told"
    );
    set_sigchld(0);
}

fn clones() {
    let clone = |flags: u32| match syscall(SYS_CLONE, [flags, 0, 0, 0, 0]) {
        Ok(0) => exit(0),
        Ok(pid) => pid,
        Err(errno) => panic!("clone: {errno:?}"),
    };
    let answer = |wanted: Result<(u32, WaitStatus), Errno>| wanted.map(|(pid, _)| pid);
    let silent = clone(0);
    sleep_ms(20);
    eq!(
        answer(wait4(-1, 0)),
        Err(Errno::ECHILD),
        "a child that ends without SIGCHLD is not waited for"
    );
    eq!(answer(wait4(-1, WCLONE)), Ok(silent), "unless by __WCLONE");
    let plain = clone(SIGCHLD);
    eq!(
        answer(wait4(-1, WCLONE)),
        Err(Errno::ECHILD),
        "and __WCLONE waits for no others"
    );
    eq!(answer(wait4(-1, WALL)), Ok(plain), "__WALL waits for all");
}

fn set_default(signal: u32) -> Result<(), Errno> {
    syscall(SYS_RT_SIGACTION, [signal, [0u32; 5].as_ptr() as u32, 0, 8]).map(drop)
}

/// Sets or removes a handler of SIGUSR2.
extern "C" fn set_usr2(with_handler: u32) -> i32 {
    match with_handler {
        0 => set_default(SIGUSR2),
        _ => set_handler(SIGUSR2, told),
    }
    .map_or(1, |()| 0)
}

extern "C" fn execute(_: u32) -> i32 {
    exec_self(c"end")
}

fn handlers() {
    let has_handler = || {
        let mut action = [0u32; 5];
        syscall(
            SYS_RT_SIGACTION,
            [SIGUSR2, 0, action.as_mut_ptr() as u32, 8],
        )
        .expect("sigaction");
        action[0] != 0
    };
    let run = |flags: u32, body: Body, argument: u32| {
        let pid = spawn_process(flags, body, argument).expect("clone");
        wait4(pid as i32, 0).expect("wait4");
        has_handler()
    };
    eq!(
        run(0, set_usr2, 1),
        false,
        "CLONE_VM alone shares no handlers"
    );
    eq!(
        run(CLONE_SIGHAND, set_usr2, 1),
        true,
        "with CLONE_SIGHAND they are shared"
    );
    eq!(
        run(CLONE_SIGHAND, execute, 0),
        true,
        "until one executes another program"
    );
    eq!(
        run(CLONE_SIGHAND, set_usr2, 0),
        false,
        "they are removed for both, too"
    );
}

/// CLONE_VFORK by a thread that does not lead its process.
extern "C" fn vfork(_: u32) -> i32 {
    match syscall(SYS_CLONE, [CLONE_VFORK | SIGCHLD, 0, 0, 0, 0]) {
        Ok(0) => {
            sleep_ms(20);
            exit(0)
        }
        Ok(pid) => i32::from(wait4(pid as i32, 0).is_err()),
        Err(_) => 1,
    }
}

fn vforks() {
    let process = child(|| {
        let thread = spawn(vfork, 0, None).expect("clone");
        i32::from(!thread.join())
    });
    // A task that sleeps in vfork for ever cannot even be killed.
    let mut end = Ok((0, WaitStatus(0)));
    comes_true(|| {
        end = wait4(process.pid as i32, WNOHANG);
        end != Ok((0, WaitStatus(0)))
    });
    eq!(
        end,
        Ok((process.pid, WaitStatus::exited(0))),
        "a thread goes on after its vfork"
    );
}

fn numbers() {
    let page = shared_page();
    let at = page[0].as_ptr() as u32;
    page[0].store(55, SeqCst);
    let own = child(|| {
        syscall(SYS_SET_TID_ADDRESS, [at]).expect("set_tid_address");
        0
    });
    own.wait();
    eq!(
        page[0].load(SeqCst),
        55,
        "the number is not cleared in memory that is not shared"
    );
    // The number of a task that shares its memory is cleared; otherwise no thread could be joined.
}

fn executing() {
    let open = syscall(SYS_OPEN, [c"/".as_ptr() as u32, O_CLOEXEC]);
    let fd = open.expect("open");
    match syscall(SYS_CLONE, [CLONE_FILES | SIGCHLD, 0, 0, 0, 0]) {
        Ok(0) => exec_self(c"end"),
        other => other.and_then(|pid| wait4(pid as i32, 0)).expect("clone"),
    };
    eq!(
        syscall(SYS_CLOSE, [fd]),
        Ok(0),
        "a descriptor that exec closes stays open for a task that shared it"
    );
    // Without a handler SIGUSR2, the signal of the child's end, would kill us. The parent goes on
    // once the child executes its program.
    set_handler(SIGUSR2, told).expect("sigaction");
    let pid = match syscall(SYS_CLONE, [CLONE_VFORK | SIGUSR2, 0, 0, 0, 0]) {
        Ok(0) => exec_self(c"live"),
        other => other.expect("clone"),
    };
    // While the program runs it is found only by its signal.
    let alive = wait4(-1, WNOHANG).map(|(pid, _)| pid);
    kill(pid, SIGTERM).expect("kill");
    let status = wait4(-1, 0).map(|(_, status)| status);
    eq!(
        (alive, status),
        (Ok(0), Ok(WaitStatus::signaled(SIGTERM))),
        "SIGCHLD reports a program's end, whatever clone said"
    );
}

fn main() -> i32 {
    match start::arg(1) {
        None => {}
        Some("live") => sleep_ms(60_000),
        Some(_) => return 0,
    }
    ktap::plan(21);
    leaders();
    unwanted();
    clones();
    handlers();
    vforks();
    numbers();
    executing();
    ktap::finish()
}

rt::main!(main);
