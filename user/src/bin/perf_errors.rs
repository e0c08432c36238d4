//! perf_event_open and its files: the order of errors.
//!
//! Linux: perf_event_open(2), 5.4 `kernel/events/core.c`.
//! Red without: the checks of flags, of the leader and of the ioctl's argument.
#![no_std]
#![no_main]

use rt::{
    Errno, eq, expect_exit, gates, ktap, machine,
    memory::UNMAPPED_ADDRESS,
    ok,
    perf::*,
    process::{self, NOBODY, setuid},
    skip,
};

fn dummy() -> Attr {
    Attr::software(DUMMY, 0)
}

fn refusals() {
    let open = |mut attr: Attr| attr.open(0, NONE, NONE, 0);
    let mut long = dummy().with(0, 4097 << 32 | 1);
    eq!(
        long.open(0, NONE, NONE, 0),
        Err(Errno::E2BIG),
        "attr of more than a page: E2BIG"
    );
    ok!(long.size() >= 112, "and the size that is known");
    let mut short = dummy().with(0, 63 << 32 | 1);
    eq!(
        short.open(0, NONE, NONE, 0),
        Err(Errno::E2BIG),
        "attr of 63 bytes: E2BIG"
    );
    let mut later = [0u64; 32];
    later[..14].copy_from_slice(&dummy().with(0, 256 << 32 | 1).0);
    let mut call = || gates::syscall(336, [later.as_mut_ptr() as u32, 0, NONE, NONE, 0]);
    ok!(
        call().map(|fd| drop(Event(fd))).is_ok(),
        "a later version, its new fields 0"
    );
    later[31] = 1;
    let answer = gates::syscall(336, [later.as_mut_ptr() as u32, 0, NONE, NONE, 0]);
    eq!(answer, Err(Errno::E2BIG), "its new fields set: E2BIG");
    ok!(
        open(dummy().with(0, 1)).map(|fd| drop(Event(fd))).is_ok(),
        "size 0 is the first version's"
    );
    let bad_pointer = gates::syscall(336, [UNMAPPED_ADDRESS, 0, NONE, NONE, 0]);
    eq!(bad_pointer, Err(Errno::EFAULT), "a bad pointer: EFAULT");
    eq!(
        open(dummy().with(0, 112 << 32 | 77)),
        Err(Errno::ENOENT),
        "an unknown type: ENOENT"
    );
    eq!(
        open(Attr::software(1000, 0)),
        Err(Errno::ENOENT),
        "an unknown event: ENOENT"
    );
    eq!(
        open(dummy().format(1 << 20)),
        Err(Errno::EINVAL),
        "an unknown format: EINVAL"
    );
    eq!(
        dummy().open(0, NONE, NONE, 16),
        Err(Errno::EINVAL),
        "an unknown flag: EINVAL"
    );
    eq!(
        dummy().open(NONE, NONE, NONE, 0),
        Err(Errno::EINVAL),
        "neither task nor CPU: EINVAL"
    );
    eq!(
        dummy().open(0, 4000, NONE, 0),
        Err(Errno::EINVAL),
        "an impossible CPU: EINVAL"
    );
    eq!(
        dummy().open(0x7ff0, NONE, NONE, 0),
        Err(Errno::ESRCH),
        "an unused number: ESRCH"
    );
    eq!(
        dummy().open(0, NONE, 99, 0),
        Err(Errno::EBADF),
        "a group that is not open: EBADF"
    );
    eq!(
        dummy().open(0, NONE, 1, 0),
        Err(Errno::EBADF),
        "a group that is no event: EBADF"
    );
    let event = Event::of_me(DUMMY, 0);
    let member = Event::open(dummy(), 0, event.0);
    eq!(
        dummy().open(0, NONE, member.0, 0),
        Err(Errno::EINVAL),
        "a member as leader: EINVAL"
    );
    eq!(
        Attr::software(DUMMY, INHERIT).open(0, NONE, event.0, 0),
        Err(Errno::EINVAL),
        "inherited, its leader not: EINVAL"
    );
    eq!(
        event.ioctl(0x24ff, 0),
        Err(Errno::ENOTTY),
        "an unknown ioctl: ENOTTY"
    );
    eq!(
        event.ioctl(IOC_REFRESH, 1),
        Err(Errno::EINVAL),
        "REFRESH without samples: EINVAL"
    );
    expect_exit("without privilege: not the kernel, not others", 0, || {
        setuid(NOBODY).expect("setuid");
        let kernel = dummy().open(0, NONE, NONE, 0) != Err(Errno::EACCES);
        let mut user = Attr::software(DUMMY, EXCLUDE_KERNEL);
        let other = user.open(process::getppid(), NONE, NONE, 0) != Err(Errno::EACCES);
        let own = user.open(0, NONE, NONE, 0).is_err();
        i32::from(kernel) + 2 * i32::from(other) + 4 * i32::from(own)
    });
}

/// Flags that need another descriptor.
fn flags() {
    let event = Event::of_me(DUMMY, 0);
    let member = Event::open(dummy(), 0, event.0);
    let open = |mut attr: Attr, group: u32, flags: u32| {
        attr.open(0, NONE, group, flags).map(|fd| drop(Event(fd)))
    };
    let ebadf = Err(Errno::EBADF);
    eq!(
        open(dummy(), 99, FD_NO_GROUP),
        ebadf,
        "FD_NO_GROUP, a group that is not open: EBADF"
    );
    eq!(
        open(dummy(), member.0, FD_NO_GROUP),
        Ok(()),
        "a member is no leader then"
    );
    eq!(
        open(Attr::software(DUMMY, INHERIT), event.0, FD_NO_GROUP),
        Ok(()),
        "nor need it be inherited like the other"
    );
    eq!(
        open(dummy(), NONE, FD_OUTPUT),
        Ok(()),
        "FD_OUTPUT without another event"
    );
    eq!(
        open(dummy(), 1, FD_OUTPUT),
        ebadf,
        "to a file that is no event: EBADF"
    );
    eq!(
        open(dummy(), event.0, FD_OUTPUT),
        Err(Errno::EINVAL),
        "to one without a buffer: EINVAL"
    );
    eq!(
        open(dummy(), event.0, FD_OUTPUT | FD_NO_GROUP),
        Err(Errno::EINVAL),
        "and without a group: EINVAL"
    );
    let cgroup = |pid: u32, cpu: u32| dummy().open(pid, cpu, NONE, PID_CGROUP);
    eq!(
        cgroup(1, NONE),
        Err(Errno::EINVAL),
        "PID_CGROUP on any CPU: EINVAL"
    );
    eq!(
        cgroup(NONE, 0),
        Err(Errno::EINVAL),
        "of no descriptor: EINVAL"
    );
    eq!(
        cgroup(99, 4000),
        Err(Errno::EINVAL),
        "on an impossible CPU: EINVAL"
    );
    eq!(
        cgroup(99, 0),
        Err(Errno::EBADF),
        "of a closed descriptor: EBADF"
    );
    eq!(
        cgroup(event.0, 0),
        Err(Errno::EBADF),
        "of a file that is no cgroup: EBADF"
    );
}

fn ioctls() {
    let (event, other) = (Event::of_me(DUMMY, 0), Event::of_me(DUMMY, 0));
    let mut ends = [0u32; 2];
    gates::syscall(42, [ends.as_mut_ptr() as u32]).expect("pipe");
    let (ebadf, einval) = (Err(Errno::EBADF), Err(Errno::EINVAL));
    let output = |fd: u32| event.ioctl(IOC_SET_OUTPUT, fd);
    eq!(
        output(99),
        ebadf,
        "SET_OUTPUT to a closed descriptor: EBADF"
    );
    eq!(output(ends[0]), ebadf, "to a pipe: EBADF");
    eq!(output(event.0), einval, "to itself: EINVAL");
    eq!(
        output(other.0),
        einval,
        "to an event without buffer: EINVAL"
    );
    // With a word of 64 bits, a 32-bit program cannot pass such a number.
    match machine::tls_min() {
        6 => eq!(output(NONE), Ok(0), "to none"),
        _ => skip!("an x86_64 kernel", "to none"),
    }
    let filter = |text: u32| event.ioctl(IOC_SET_FILTER, text);
    eq!(
        filter(UNMAPPED_ADDRESS),
        Err(Errno::EFAULT),
        "SET_FILTER, a bad pointer: EFAULT"
    );
    eq!(
        filter(c"pid == 1".as_ptr() as u32),
        einval,
        "a filter without a trace point: EINVAL"
    );
    let bpf = |fd: u32| event.ioctl(IOC_SET_BPF, fd);
    eq!(bpf(99), ebadf, "SET_BPF of a closed descriptor: EBADF");
    eq!(bpf(ends[0]), einval, "of a file that is no program: EINVAL");
    eq!(
        event.ioctl(IOC_PAUSE_OUTPUT, 1),
        einval,
        "PAUSE_OUTPUT without a buffer: EINVAL"
    );
    let query = [0u32; 4];
    eq!(
        event.ioctl(IOC_QUERY_BPF, query.as_ptr() as u32),
        einval,
        "QUERY_BPF without a trace point: EINVAL"
    );
    expect_exit("without privilege: EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        let answer = event.ioctl(IOC_QUERY_BPF, query.as_ptr() as u32);
        i32::from(answer != Err(Errno::EPERM))
    });
    let modify = |attr: &Attr| event.ioctl(IOC_MODIFY_ATTRIBUTES, attr.0.as_ptr() as u32);
    eq!(
        event.ioctl(IOC_MODIFY_ATTRIBUTES, UNMAPPED_ADDRESS),
        Err(Errno::EFAULT),
        "MODIFY_ATTRIBUTES, a bad pointer: EFAULT"
    );
    eq!(
        modify(&dummy().format(1 << 20)),
        einval,
        "to invalid attributes: EINVAL"
    );
    eq!(
        modify(&dummy().with(0, 112 << 32 | 2)),
        einval,
        "to another type: EINVAL"
    );
    eq!(
        modify(&dummy()),
        Err(Errno::EOPNOTSUPP),
        "of an event that is no breakpoint: EOPNOTSUPP"
    );
    let period = 1u64;
    eq!(
        event.ioctl(IOC_PERIOD, (&raw const period) as u32),
        einval,
        "PERIOD without samples: EINVAL"
    );
}

fn main() -> i32 {
    ktap::plan(50);
    refusals();
    flags();
    ioctls();
    ktap::finish()
}

rt::main!(main);
