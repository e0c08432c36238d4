//! trace_marker: a program's message appears in the trace between the switches that surround it.
//!
//! The host checks the trace; this program checks the part that a program can see.
//!
//! Linux: Documentation/trace/ftrace.rst, "trace_marker".
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, child, eq,
    gates::syscall,
    ktap,
    memory::{KERNEL_ADDRESS, shared_page},
    println,
    process::getpid,
    sched::{fifo_on_one_cpu, sched_yield},
    skip,
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_OPEN: u32 = 5;
const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
/// Yields of each of two processes between the marks.
const YIELDS: u32 = 50;

const CASES: u32 = 5;

fn open(flags: u32) -> Result<u32, Errno> {
    let path = c"/sys/kernel/tracing/trace_marker";
    syscall(SYS_OPEN, [path.as_ptr() as u32, flags, 0])
}

fn write(fd: u32, text: &[u8]) -> Result<u32, Errno> {
    syscall(SYS_WRITE, [fd, text.as_ptr() as u32, text.len() as u32])
}

fn main() -> i32 {
    ktap::plan(CASES);
    let Ok(fd) = open(O_WRONLY) else {
        for number in 0..CASES {
            skip!("needs trace=on", "mark {number}");
        }
        return ktap::finish();
    };
    eq!(write(fd, b"short\n"), Ok(6), "a text");
    eq!(
        write(
            fd,
            b"a text that is longer than one record, so that it takes three of them"
        ),
        Ok(69),
        "a longer one"
    );
    eq!(
        write(fd, &[b'.'; 1500]),
        Ok(1024),
        "no more than 1024 bytes"
    );
    eq!(
        syscall(SYS_WRITE, [fd, KERNEL_ADDRESS, 4]),
        Err(Errno::EFAULT),
        "memory of the kernel: EFAULT"
    );
    let mut byte = 0u8;
    let readable = open(O_RDWR).expect("open");
    eq!(
        syscall(SYS_READ, [readable, &raw mut byte as u32, 1]),
        Err(Errno::EINVAL),
        "it cannot be read: EINVAL"
    );
    yields(fd);
    ktap::finish()
}

/// Two processes take turns `YIELDS` times, and no other task runs.
fn yields(fd: u32) {
    fifo_on_one_cpu();
    let [stop, ..] = shared_page();
    let other = child(|| {
        while stop.load(SeqCst) == 0 {
            sched_yield();
        }
        0
    });
    println!("# {} and {} take turns", getpid(), other.pid);
    sched_yield();
    write(fd, b"turns begin").expect("write");
    for _ in 0..YIELDS {
        sched_yield();
    }
    write(fd, b"turns end").expect("write");
    stop.store(1, SeqCst);
    other.wait();
}

rt::main!(main);
