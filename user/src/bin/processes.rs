//! fork, execve, exit and wait4: what a child inherits, and what its parent learns.
//!
//! Book: ch. 3, creating and destroying processes.
//! Red without: `ax = 0` in copy_thread; the exit code in the wait status; reaping in
//! wait4; the new parent of orphans; flush_old_exec.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child, clock, eq, expect_exit,
    gates::syscall,
    ktap,
    memory::{KERNEL_ADDRESS, shared_page},
    ok,
    process::{self, WNOHANG, exec_self, execve, getpid, getppid, wait4},
    sched, start,
};

const SYS_EXECVE: u32 = 11;

fn forking() {
    let page = shared_page();
    let me = getpid();
    let running = child(|| {
        page[0].store(getpid(), SeqCst);
        page[1].store(getppid(), SeqCst);
        0
    });
    eq!(
        running.wait(),
        WaitStatus::exited(0),
        "a child runs and exits"
    );
    eq!(
        page[0].load(SeqCst),
        running.pid,
        "fork gives the parent the child's pid"
    );
    eq!(
        page[1].load(SeqCst),
        me,
        "getppid gives the child its parent's"
    );
    ok!(
        running.pid != me && getpid() == me,
        "two processes, two pids"
    );

    let mut stack = 1u32;
    let changed = child(|| {
        stack = 2;
        core::hint::black_box(&stack);
        stack as i32
    });
    eq!(
        changed.wait(),
        WaitStatus::exited(2),
        "a child writes to its own stack"
    );
    eq!(core::hint::black_box(stack), 1, "which is not its parent's");
}

fn waiting() {
    eq!(
        wait4(-1, 0),
        Err(Errno::ECHILD),
        "wait4 without children: ECHILD"
    );
    eq!(
        wait4(1, 0),
        Err(Errno::ECHILD),
        "wait4 for another's child: ECHILD"
    );
    eq!(
        wait4(-1, 0x1000_0000),
        Err(Errno::EINVAL),
        "wait4 with an unknown option: EINVAL"
    );

    let page = shared_page();
    let sleeper = child(|| {
        while page[0].load(SeqCst) == 0 {
            sched::sched_yield();
        }
        3
    });
    eq!(
        wait4(-1, WNOHANG),
        Ok((0, WaitStatus(0))),
        "WNOHANG while the child lives: 0"
    );
    page[0].store(1, SeqCst);
    let end = wait4(-1, 0);
    eq!(
        end,
        Ok((sleeper.pid, WaitStatus::exited(3))),
        "wait4(-1) waits for it: pid, status"
    );
    eq!(
        wait4(sleeper.pid as i32, 0),
        Err(Errno::ECHILD),
        "a child is reaped once"
    );

    for status in [0, 1, 255] {
        eq!(
            child(|| status as i32).wait(),
            WaitStatus::exited(status),
            "exit status {status}"
        );
    }
    eq!(
        child(|| 0x1234).wait(),
        WaitStatus::exited(0x34),
        "of 0x1234 the low byte counts"
    );
    let exit_group = child(|| process::exit_group(9));
    eq!(
        exit_group.wait(),
        WaitStatus::exited(9),
        "exit_group exits as exit does"
    );

    let (first, second) = (child(|| 1), child(|| 2));
    eq!(
        second.wait(),
        WaitStatus::exited(2),
        "the later child may be waited for first"
    );
    eq!(
        first.wait(),
        WaitStatus::exited(1),
        "and the earlier one then"
    );
}

fn orphans() {
    let page = shared_page();
    let parent = child(|| {
        // The grandchild, for which no process here waits.
        let _ = child(|| {
            while page[0].load(SeqCst) == 0 {
                sched::sched_yield();
            }
            clock::sleep_ms(20);
            page[1].store(getppid(), SeqCst);
            0
        });
        0
    });
    eq!(
        parent.wait(),
        WaitStatus::exited(0),
        "a parent dies before its child"
    );
    page[0].store(1, SeqCst);
    clock::comes_true(|| page[1].load(SeqCst) != 0);
    let new_parent = page[1].load(SeqCst);
    ok!(
        new_parent != 0 && new_parent != parent.pid,
        "the orphan lives on with a new parent"
    );
}

/// Forks and reaps as many processes as fit the test's time: descriptors, stacks and process
/// numbers must all come back.
fn many() {
    let good = (0..500u32).all(|i| child(|| i as i32).wait() == WaitStatus::exited(i & 0xff));
    ok!(good, "500 children, one after another");
    let children: [_; 64] = core::array::from_fn(|i| child(|| i as i32));
    let good = (0..64).all(|i| children[i].wait() == WaitStatus::exited(i as u32));
    ok!(good, "64 children at a time");
}

fn executing() {
    expect_exit("exec runs the program with its arguments", 77, || {
        exec_self(c"77")
    });
    eq!(
        execve(c"/no/such/program", &[]),
        Errno::ENOENT,
        "exec of a missing file: ENOENT"
    );
    let path = start::arg_cstr(0).expect("argv[0]").as_ptr() as u32;
    let argv = [path, KERNEL_ADDRESS, 0];
    let answer = syscall(SYS_EXECVE, [path, argv.as_ptr() as u32, 0]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "exec, an argument in the kernel: EFAULT"
    );
    let answer = syscall(SYS_EXECVE, [path, KERNEL_ADDRESS, 0]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "exec, argv in the kernel: EFAULT"
    );
    expect_exit("a failed exec leaves the caller running", 5, || {
        let errno = execve(c"/no/such/program", &[]);
        if errno == Errno::ENOENT { 5 } else { 6 }
    });
    let same_pid = child(|| exec_self(c"pid"));
    eq!(
        same_pid.wait(),
        WaitStatus::exited(same_pid.pid & 0xff),
        "exec keeps the pid"
    );
}

fn main() -> i32 {
    match start::arg(1) {
        Some("pid") => return (getpid() & 0xff) as i32,
        Some(number) => return number.parse().unwrap_or(99),
        None => (),
    }
    ktap::plan(29);
    forking();
    waiting();
    orphans();
    many();
    executing();
    ktap::finish()
}

rt::main!(main);
