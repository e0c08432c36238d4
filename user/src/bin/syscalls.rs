//! Answers and errors of the system calls: exactly Linux's numbers.
//!
//! Linux: errno(3) and each call's manual page.
//! Red without: the -ENOSYS of an empty table entry; the check of user pointers; the
//! privilege and range checks of each call; registers kept over a call.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    Errno, clock, eq, expect_exit,
    gates::{int80_keeps_registers, raw_int80, syscall},
    ktap,
    memory::{KERNEL_ADDRESS, UNMAPPED_ADDRESS},
    ok, println,
    process::{NOBODY, getpid, setuid},
    sched::{
        SCHED_FIFO, SCHED_OTHER, SCHED_RR, sched_getparam, sched_getscheduler, sched_setscheduler,
        stay_on_one_cpu,
    },
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const CLOSE: u32 = 6;
const EXECVE: u32 = 11;
const GETUID32: u32 = 199;
const GETRUSAGE: u32 = 77;
const WAIT4: u32 = 114;
const UNAME: u32 = 122;
const SCHED_SETSCHEDULER: u32 = 156;
const NANOSLEEP: u32 = 162;
const GET_THREAD_AREA: u32 = 244;
const CLOCK_GETTIME: u32 = 265;

const ENOSYS: i32 = -Errno::ENOSYS.0;
const SYS_SET_ROBUST_LIST: u32 = 311;
const SYS_GET_ROBUST_LIST: u32 = 312;
const SYS_GETCPU: u32 = 318;

fn unknown_numbers() {
    for number in [1000, 0x7fff_ffff, u32::MAX] {
        eq!(
            raw_int80(number, [1, 2, 3]),
            ENOSYS,
            "call {number:#x}: ENOSYS"
        );
    }
    ok!(
        int80_keeps_registers(),
        "int 0x80 changes no register but eax"
    );
}

fn file_descriptors() {
    let byte = b"x".as_ptr() as u32;
    for fd in [99, u32::MAX] {
        eq!(
            syscall(WRITE, [fd, byte, 1]),
            Err(Errno::EBADF),
            "write to fd {fd:#x}: EBADF"
        );
        eq!(
            syscall(READ, [fd, byte, 1]),
            Err(Errno::EBADF),
            "read of fd {fd:#x}: EBADF"
        );
        eq!(
            syscall(CLOSE, [fd]),
            Err(Errno::EBADF),
            "close of fd {fd:#x}: EBADF"
        );
    }
    eq!(
        syscall(WRITE, [1, byte, 0]),
        Ok(0),
        "a write of 0 bytes writes 0"
    );
}

fn bad_pointers() {
    for (what, bad) in [("kernel", KERNEL_ADDRESS), ("unmapped", UNMAPPED_ADDRESS)] {
        let calls: [(&str, u32, [u32; 4]); 8] = [
            ("write", WRITE, [1, bad, 1, 0]),
            ("uname", UNAME, [bad, 0, 0, 0]),
            ("nanosleep", NANOSLEEP, [bad, 0, 0, 0]),
            (
                "clock_gettime",
                CLOCK_GETTIME,
                [clock::CLOCK_MONOTONIC, bad, 0, 0],
            ),
            ("getrusage", GETRUSAGE, [0, bad, 0, 0]),
            (
                "sched_setscheduler",
                SCHED_SETSCHEDULER,
                [0, SCHED_FIFO, bad, 0],
            ),
            ("get_thread_area", GET_THREAD_AREA, [bad, 0, 0, 0]),
            ("execve", EXECVE, [bad, 0, 0, 0]),
        ];
        for (name, number, arguments) in calls {
            eq!(
                syscall(number, arguments),
                Err(Errno::EFAULT),
                "{name}, {what} address: EFAULT"
            );
        }
        let child = rt::child(|| 7);
        let answer = syscall(WAIT4, [child.pid, bad, 0, 0]);
        eq!(answer, Err(Errno::EFAULT), "wait4, {what} address: EFAULT");
    }
    let across = KERNEL_ADDRESS & 0xc000_0000;
    let answer = syscall(WRITE, [1, across - 1, 2]);
    eq!(
        answer,
        Err(Errno::EFAULT),
        "a buffer that ends in the kernel: EFAULT"
    );
    let answer = syscall(WRITE, [1, u32::MAX, 2]);
    eq!(answer, Err(Errno::EFAULT), "a buffer that wraps: EFAULT");
}

fn scheduling() {
    let cases = [
        ("an unknown policy", 0, 77, 1, Errno::EINVAL),
        (
            "SCHED_FIFO with priority 0",
            0,
            SCHED_FIFO,
            0,
            Errno::EINVAL,
        ),
        (
            "SCHED_RR with priority 100",
            0,
            SCHED_RR,
            100,
            Errno::EINVAL,
        ),
        (
            "SCHED_OTHER with priority 1",
            0,
            SCHED_OTHER,
            1,
            Errno::EINVAL,
        ),
        ("pid -1", u32::MAX, SCHED_FIFO, 1, Errno::EINVAL),
        (
            "a pid that is not there",
            0x3f_ffff,
            SCHED_FIFO,
            1,
            Errno::ESRCH,
        ),
    ];
    for (name, pid, policy, priority, errno) in cases {
        let answer = sched_setscheduler(pid, policy, priority);
        eq!(answer, Err(errno), "sched_setscheduler, {name}: {errno:?}");
    }
    let no_param = syscall(SCHED_SETSCHEDULER, [0, SCHED_FIFO, 0]);
    eq!(
        no_param,
        Err(Errno::EINVAL),
        "sched_setscheduler, no param: EINVAL"
    );
    expect_exit("sched_setscheduler(FIFO), unprivileged: EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(sched_setscheduler(0, SCHED_FIFO, 1) != Err(Errno::EPERM))
    });
    eq!(
        sched_getscheduler(0),
        Ok(SCHED_OTHER),
        "a new program is SCHED_OTHER"
    );
    expect_exit(
        "policy and priority read back, and a child inherits them",
        0,
        || {
            sched_setscheduler(0, SCHED_RR, 7).expect("SCHED_RR");
            let child = rt::child(|| {
                let is_same = sched_getscheduler(0) == Ok(SCHED_RR) && sched_getparam(0) == Ok(7);
                i32::from(!is_same)
            });
            i32::from(child.wait() != rt::WaitStatus::exited(0))
        },
    );
    eq!(
        sched_getscheduler(0x3f_ffff),
        Err(Errno::ESRCH),
        "sched_getscheduler: ESRCH"
    );
    eq!(
        sched_getscheduler(u32::MAX),
        Err(Errno::EINVAL),
        "sched_getscheduler, pid -1: EINVAL"
    );
    eq!(
        sched_getscheduler(getpid()),
        Ok(SCHED_OTHER),
        "one's own pid serves as well as 0"
    );
}

fn time() {
    eq!(
        clock::clock_gettime(99),
        Err(Errno::EINVAL),
        "clock_gettime, clock 99: EINVAL"
    );
    eq!(
        clock::nanosleep(0, 1_000_000_000),
        Err(Errno::EINVAL),
        "nanosleep, 10^9 ns: EINVAL"
    );
    eq!(
        clock::nanosleep(u32::MAX, 0),
        Err(Errno::EINVAL),
        "nanosleep, -1 s: EINVAL"
    );
    eq!(clock::nanosleep(0, 0), Ok(()), "nanosleep of 0 comes back");
    for ms in [1, 35] {
        let start = clock::monotonic_ns();
        clock::sleep_ms(ms);
        let slept = clock::monotonic_ns() - start;
        let wanted = u64::from(ms) * clock::NS_PER_MS;
        let in_time = slept >= wanted && slept < wanted + 5000 * clock::NS_PER_MS;
        if !in_time {
            println!("# slept for {slept} ns");
        }
        ok!(
            in_time,
            "nanosleep of {ms} ms takes that long, and not 5 s more"
        );
    }
}

fn identity() {
    let uid = || syscall(GETUID32, []);
    eq!(uid(), Ok(0), "the programs run as root");
    expect_exit(
        "setuid to nobody: getuid says so, and there is no way back",
        0,
        || {
            setuid(NOBODY).expect("setuid");
            i32::from(uid() != Ok(NOBODY) || setuid(0) != Err(Errno::EPERM))
        },
    );
}

fn robust_list() {
    let head = [0u32; 3];
    let address = head.as_ptr() as u32;
    let (mut got, mut length) = (0u32, 0u32);
    let mut get = |pid: u32| {
        let result = syscall(
            SYS_GET_ROBUST_LIST,
            [pid, &raw mut got as u32, &raw mut length as u32],
        );
        result.map(|_| (got, length))
    };
    eq!(
        syscall(SYS_SET_ROBUST_LIST, [address, 16]),
        Err(Errno::EINVAL),
        "set_robust_list of another length: EINVAL"
    );
    eq!(
        syscall(SYS_SET_ROBUST_LIST, [address, 12]),
        Ok(0),
        "set_robust_list"
    );
    eq!(get(0), Ok((address, 12)), "get_robust_list gives it back");
    eq!(
        get(getpid()),
        Ok((address, 12)),
        "to a caller that gives its own number"
    );
    eq!(get(32_767), Err(Errno::ESRCH), "of no task: ESRCH");
    // A task whose list leads nowhere, or round in a circle, simply ends.
    expect_exit("a list that cannot be read", 5, || {
        let _set = syscall(SYS_SET_ROBUST_LIST, [0xbfff_0000, 12]);
        5
    });
    expect_exit("a list without an end", 6, || {
        let circle = AtomicU32::new(0);
        circle.store(circle.as_ptr() as u32, Relaxed);
        let head = [circle.as_ptr() as u32, 0, 0];
        let _set = syscall(SYS_SET_ROBUST_LIST, [head.as_ptr() as u32, 12]);
        6
    });
    syscall(SYS_SET_ROBUST_LIST, [0, 12]).expect("set_robust_list");
}

fn getcpu() {
    stay_on_one_cpu();
    let (mut cpu, mut node) = (7u32, 7u32);
    let result = syscall(SYS_GETCPU, [&raw mut cpu as u32, &raw mut node as u32, 0]);
    eq!((result, cpu, node), (Ok(0), 0, 0), "getcpu");
    eq!(syscall(SYS_GETCPU, [0, 0, 0]), Ok(0), "getcpu of nothing");
    eq!(
        syscall(SYS_GETCPU, [0xc000_0000, 0, 0]),
        Err(Errno::EFAULT),
        "getcpu to kernel memory: EFAULT"
    );
}

fn main() -> i32 {
    ktap::plan(62);
    unknown_numbers();
    file_descriptors();
    bad_pointers();
    scheduling();
    time();
    identity();
    robust_list();
    getcpu();
    ktap::finish()
}

rt::main!(main);
