//! epoll: files that are watched, by level, by edge, and once.
//!
//! Linux: epoll(7). Go's runtime waits for timers by it.
//! Red without: the level; the edge; the end of a watch with its file; a turn for every file.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child,
    clock::{NS_PER_MS, monotonic_ns, sleep_ms},
    eq,
    gates::syscall,
    ktap, ok,
    signals::{Sigcontext, set_handler},
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const OPEN: u32 = 5;
const CLOSE: u32 = 6;
const DUP: u32 = 41;
const PIPE: u32 = 42;
const SETITIMER: u32 = 104;
const EPOLL_CREATE: u32 = 254;
const EPOLL_CTL: u32 = 255;
const EPOLL_WAIT: u32 = 256;
const EPOLL_CREATE1: u32 = 329;
const ADD: u32 = 1;
const DEL: u32 = 2;
const MOD: u32 = 3;
const IN: u32 = 1;
const OUT: u32 = 4;
const ERR: u32 = 8;
const HUP: u32 = 0x10;
const ONESHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
/// An address above all that a process can have, on i386 and in a 32-bit process of x86_64.
const KERNEL_ADDRESS: u32 = 0xffff_e000;
const DATA: [u32; 2] = [0xdead_beef, 0x1234_5678];

fn ctl(list: u32, op: u32, fd: u32, events: u32) -> Result<u32, Errno> {
    let event = [events, DATA[0], DATA[1] + fd];
    syscall(EPOLL_CTL, [list, op, fd, event.as_ptr() as u32])
}

/// Waits for one event; returns its events and its file's number, or `None` if nothing happened.
fn wait(list: u32, ms: u32) -> Result<Option<(u32, u32)>, Errno> {
    let mut event = [0u32; 3];
    let count = syscall(EPOLL_WAIT, [list, event.as_mut_ptr() as u32, 1, ms])?;
    assert!(
        count == 0 || event[1] == DATA[0],
        "the program's own data is given back"
    );
    Ok((count == 1).then(|| (event[0], event[2] - DATA[1])))
}

fn pipe() -> [u32; 2] {
    let mut fds = [0u32; 2];
    syscall(PIPE, [fds.as_mut_ptr() as u32]).expect("pipe");
    fds
}

fn put(fd: u32) {
    syscall(WRITE, [fd, c"x".as_ptr() as u32, 1]).expect("write");
}

fn take(fd: u32) {
    let mut byte = 0u32;
    syscall(READ, [fd, &raw mut byte as u32, 1]).expect("read");
}

fn close(fd: u32) {
    syscall(CLOSE, [fd]).expect("close");
}

fn errors(list: u32) {
    let [reader, _] = pipe();
    eq!(
        syscall(EPOLL_CREATE, [0]),
        Err(Errno::EINVAL),
        "epoll_create(0): EINVAL"
    );
    eq!(
        syscall(EPOLL_CREATE1, [1]),
        Err(Errno::EINVAL),
        "epoll_create1(1): EINVAL"
    );
    eq!(
        ctl(list, ADD, 999, IN),
        Err(Errno::EBADF),
        "not a descriptor: EBADF"
    );
    eq!(
        ctl(reader, ADD, list, IN),
        Err(Errno::EINVAL),
        "not an epoll descriptor: EINVAL"
    );
    eq!(
        ctl(list, ADD, list, IN),
        Err(Errno::EINVAL),
        "itself: EINVAL"
    );
    eq!(
        ctl(list, MOD, reader, IN),
        Err(Errno::ENOENT),
        "one that is not watched: ENOENT"
    );
    eq!(
        ctl(list, DEL, reader, IN),
        Err(Errno::ENOENT),
        "nor can it be removed"
    );
    eq!(
        ctl(list, 9, reader, IN),
        Err(Errno::EINVAL),
        "an unknown operation: EINVAL"
    );
    let file = syscall(OPEN, [c"/".as_ptr() as u32, 0]).expect("open");
    eq!(
        ctl(list, ADD, file, IN),
        Err(Errno::EPERM),
        "a directory is always ready: EPERM"
    );
    let answer = syscall(EPOLL_CTL, [list, ADD, reader, KERNEL_ADDRESS]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "an event at an unmapped address: EFAULT"
    );
    eq!(ctl(list, ADD, reader, IN), Ok(0), "it can be added once");
    eq!(
        ctl(list, ADD, reader, IN),
        Err(Errno::EEXIST),
        "not twice: EEXIST"
    );
    let copy = syscall(DUP, [reader]).expect("dup");
    eq!(
        ctl(list, ADD, copy, IN),
        Ok(0),
        "but under another descriptor"
    );
    let none = syscall(EPOLL_WAIT, [list, 0x1000, 0, 0]);
    eq!(none, Err(Errno::EINVAL), "room for no event: EINVAL");
    let kernel = syscall(EPOLL_WAIT, [list, KERNEL_ADDRESS, 1, 0]);
    eq!(kernel, Err(Errno::EFAULT), "room in the kernel: EFAULT");
    close(copy);
    close(reader);
}

fn level(list: u32) {
    let [reader, writer] = pipe();
    ctl(list, ADD, reader, IN).expect("epoll_ctl");
    eq!(wait(list, 0), Ok(None), "nothing to read");
    put(writer);
    eq!(wait(list, 0), Ok(Some((IN, reader))), "a byte");
    eq!(
        wait(list, 0),
        Ok(Some((IN, reader))),
        "a byte is reported as long as it is there"
    );
    take(reader);
    eq!(wait(list, 0), Ok(None), "and no longer");
    close(writer);
    eq!(
        wait(list, 0),
        Ok(Some((HUP, reader))),
        "a hang-up is reported unasked"
    );
    close(reader);
    eq!(
        wait(list, 0),
        Ok(None),
        "a closed file is no longer watched"
    );
    let [reader, writer] = pipe();
    ctl(list, ADD, writer, IN).expect("epoll_ctl");
    eq!(wait(list, 0), Ok(None), "room to write was not asked for");
    ctl(list, MOD, writer, OUT).expect("epoll_ctl");
    eq!(wait(list, 0), Ok(Some((OUT, writer))), "now it is");
    close(reader);
    eq!(
        wait(list, 0),
        Ok(Some((OUT | ERR, writer))),
        "an error is reported with it"
    );
    ctl(list, DEL, writer, 0).expect("epoll_ctl");
    eq!(wait(list, 0), Ok(None), "but not after removal");
    close(writer);
}

fn edge_and_once(list: u32) {
    let [reader, writer] = pipe();
    ctl(list, ADD, reader, IN | EDGE).expect("epoll_ctl");
    put(writer);
    eq!(wait(list, 0), Ok(Some((IN, reader))), "by edge: reported");
    eq!(wait(list, 0), Ok(None), "and once only");
    take(reader);
    eq!(wait(list, 0), Ok(None), "nothing");
    put(writer);
    eq!(
        wait(list, 0),
        Ok(Some((IN, reader))),
        "and again when it comes again"
    );
    ctl(list, MOD, reader, IN | ONESHOT).expect("epoll_ctl");
    eq!(
        wait(list, 0),
        Ok(Some((IN, reader))),
        "EPOLLONESHOT: reported"
    );
    take(reader);
    put(writer);
    eq!(wait(list, 0), Ok(None), "and then no more");
    ctl(list, MOD, reader, IN).expect("epoll_ctl");
    eq!(
        wait(list, 0),
        Ok(Some((IN, reader))),
        "until it is asked for again"
    );
    close(reader);
    close(writer);
}

fn turns(list: u32) {
    let pipes = [pipe(), pipe(), pipe()];
    for [reader, writer] in pipes {
        ctl(list, ADD, reader, IN).expect("epoll_ctl");
        put(writer);
    }
    let mut seen = [0u32; 3];
    for _ in 0..6 {
        let (_, fd) = wait(list, 0).expect("epoll_wait").expect("one is ready");
        for (count, [reader, _]) in seen.iter_mut().zip(pipes) {
            *count += u32::from(reader == fd);
        }
    }
    eq!(seen, [2; 3], "with room for one event, each has its turn");
    for [reader, writer] in pipes {
        close(reader);
        close(writer);
    }
}

extern "C" fn nothing(_: u32, _: Sigcontext) {}

fn times(list: u32) {
    let [reader, writer] = pipe();
    ctl(list, ADD, reader, IN).expect("epoll_ctl");
    let begun = monotonic_ns();
    eq!(wait(list, 30), Ok(None), "a timeout");
    ok!(monotonic_ns() - begun >= 30 * NS_PER_MS, "wholly");
    let other = child(|| {
        sleep_ms(30);
        put(writer);
        0
    });
    eq!(
        wait(list, u32::MAX),
        Ok(Some((IN, reader))),
        "another process ends the wait"
    );
    eq!(other.wait(), WaitStatus::exited(0), "by writing");
    take(reader);
    set_handler(14, nothing).expect("sigaction");
    let alarm = [0u32, 50_000, 0, 50_000];
    syscall(SETITIMER, [0, alarm.as_ptr() as u32, 0]).expect("setitimer");
    eq!(
        wait(list, u32::MAX),
        Err(Errno::EINTR),
        "so does a signal: EINTR"
    );
    syscall(SETITIMER, [0, [0u32; 4].as_ptr() as u32, 0]).expect("setitimer");
}

fn main() -> i32 {
    ktap::plan(38);
    let list = syscall(EPOLL_CREATE1, [0]).expect("epoll_create1");
    errors(list);
    level(list);
    edge_and_once(list);
    turns(list);
    times(list);
    ktap::finish()
}

rt::main!(main);
