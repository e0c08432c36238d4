//! `/proc/PID/wchan`: the function in which a task sleeps, by a name that a reader of Linux knows.
//!
//! Linux: proc(5).
//! Red without: the frame pointer that `wchan` is read from; the check of the reader's rights.
#![no_std]
#![no_main]

use rt::{
    WaitStatus, eq,
    gates::syscall,
    job::state_of,
    ktap,
    machine::is_i386_kernel,
    ok,
    proc::{SYS_READ, close, read},
    process::{NOBODY, child, setuid},
    sched::sched_yield,
    skip,
};

const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_POLL: u32 = 168;
const SYS_RT_SIGTIMEDWAIT: u32 = 177;
const SYS_FUTEX: u32 = 240;
const SIGKILL: u32 = 9;

/// Waits until the task sleeps in a function whose name contains `part`, as it does sooner or
/// later; returns whether the file holds a plain name.
fn waits_in(pid: u32, part: &str) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let wchan = read(&mut buffer, format_args!("/proc/{pid}/wchan")).unwrap_or("");
        if wchan.contains(part) {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            return wchan.chars().all(plain);
        }
        sched_yield();
    }
}

/// Returns whether the kernel is not i386 and hides the names from everybody.
fn is_hidden(pid: u32) -> bool {
    let mut buffer = [0; 64];
    if is_i386_kernel() {
        return false;
    }
    while state_of(pid) != 'S' {
        sched_yield();
    }
    read(&mut buffer, format_args!("/proc/{pid}/wchan")) == Ok("0")
}

extern "C" fn futex_wait(_: u32) -> i32 {
    let word = 0u32;
    i32::from(syscall(SYS_FUTEX, [&raw const word as u32, 0, 0, 0]).is_ok())
}

fn sleepers() {
    let bodies: [(&str, fn()); 6] = [
        ("pipe_", || {
            let mut fds = [0u32; 2];
            syscall(SYS_PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
            let mut byte = 0u8;
            let _ = syscall(SYS_READ, [fds[0], &raw mut byte as u32, 1]);
        }),
        ("nanosleep", || rt::clock::sleep_ms(1_000_000)),
        ("futex_wait", || _ = futex_wait(0)),
        ("do_wait", || {
            // The child ends when we do.
            let mut fds = [0u32; 2];
            syscall(SYS_PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
            child(|| {
                close(fds[1]);
                let mut byte = 0u8;
                let _ = syscall(SYS_READ, [fds[0], &raw mut byte as u32, 1]);
                0
            })
            .wait();
        }),
        ("poll", || _ = syscall(SYS_POLL, [0, 0, 1_000_000])),
        ("sigtimedwait", || {
            let set = [1u32 << 9, 0];
            let _ = syscall(SYS_RT_SIGTIMEDWAIT, [set.as_ptr() as u32, 0, 0, 8]);
        }),
    ];
    for (part, body) in bodies {
        let sleeper = child(|| {
            body();
            0
        });
        if is_hidden(sleeper.pid) {
            skip!(
                "this kernel hides it from everybody",
                "wchan of a task that sleeps in {part}"
            );
            skip!(
                "this kernel hides it from everybody",
                "but other users are not told of {part}"
            );
            syscall(SYS_KILL, [sleeper.pid, SIGKILL]).expect("kill");
            sleeper.wait();
            continue;
        }
        ok!(
            waits_in(sleeper.pid, part),
            "wchan of a task that sleeps in {part}"
        );
        let of_stranger = child(|| {
            setuid(NOBODY).expect("setuid");
            let mut buffer = [0; 64];
            let wchan = read(&mut buffer, format_args!("/proc/{}/wchan", sleeper.pid));
            i32::from(wchan != Ok("0"))
        });
        eq!(
            of_stranger.wait(),
            WaitStatus::exited(0),
            "but other users are not told of {part}"
        );
        syscall(SYS_KILL, [sleeper.pid, SIGKILL]).expect("kill");
        sleeper.wait();
    }
}

fn main() -> i32 {
    ktap::plan(12);
    sleepers();
    ktap::finish()
}

rt::main!(main);
