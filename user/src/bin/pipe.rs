//! Pipes: how much one holds, which writes stay in one piece, what poll reports of its ends.
//!
//! Linux: pipe(7), poll(2), fcntl(2) F_SETPIPE_SZ, ioctl(2) FIONREAD.
//! Red without: 64 KiB of room; the memory that grows with the contents; one piece up to 4096
//! bytes;
//! POLLHUP without POLLIN; POLLERR without POLLOUT; the sizes.
#![no_std]
#![no_main]

use rt::{
    Errno, WaitStatus, child,
    clock::{comes_true, sleep_ms},
    eq, expect_exit,
    gates::syscall,
    ktap,
    memory::{MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok,
    process::{NOBODY, setuid},
};

const READ: u32 = 3;
const WRITE: u32 = 4;
const CLOSE: u32 = 6;
const IOCTL: u32 = 54;
const POLL: u32 = 168;
const FCNTL64: u32 = 221;
const PIPE2: u32 = 331;
const O_NONBLOCK: u32 = 0o4000;
const F_SETFL: u32 = 4;
const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
const FIONREAD: u32 = 0x541b;
const POLLIN: u32 = 0x41;
const POLLOUT: u32 = 0x104;
const POLLERR: u32 = 8;
const POLLHUP: u32 = 0x10;
const POLLNVAL: u32 = 0x20;
const PIPE: u32 = 65536;
const BUFFER: u32 = 2 * PIPE;

#[derive(Clone, Copy)]
struct Ends {
    reader: u32,
    writer: u32,
    buffer: u32,
}

impl Ends {
    fn new(flags: u32) -> Self {
        let mut fds = [0u32; 2];
        syscall(PIPE2, [fds.as_mut_ptr() as u32, flags]).expect("pipe2");
        let buffer = mmap_anonymous(BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap2");
        for i in 0..BUFFER / 4 {
            rt::insn::write(buffer + 4 * i, i);
        }
        let [reader, writer] = fds;
        Self {
            reader,
            writer,
            buffer,
        }
    }

    fn write(self, count: u32) -> Result<u32, Errno> {
        syscall(WRITE, [self.writer, self.buffer, count])
    }

    fn read(self, count: u32) -> Result<u32, Errno> {
        syscall(READ, [self.reader, self.buffer, count])
    }

    /// Writes pieces until one does not fit whole; returns the bytes written.
    fn fill(self, piece: u32) -> u32 {
        let mut total = 0;
        while let Ok(count) = self.write(piece) {
            total += count;
            if count < piece {
                break;
            }
        }
        total
    }

    fn waiting(self, fd: u32) -> Result<u32, Errno> {
        let mut count = u32::MAX;
        syscall(IOCTL, [fd, FIONREAD, &raw mut count as u32]).map(|_| count)
    }

    fn close(self) {
        for fd in [self.reader, self.writer] {
            let _may_be_closed = syscall(CLOSE, [fd]);
        }
    }
}

fn fcntl(fd: u32, command: u32, argument: u32) -> Result<u32, Errno> {
    syscall(FCNTL64, [fd, command, argument])
}

/// Returns all that poll reports of a descriptor when asked for `events`.
fn poll(fd: u32, events: u32) -> u32 {
    let mut entry = [fd, events];
    let ready = syscall(POLL, [entry.as_mut_ptr() as u32, 1, 0]).expect("poll");
    let revents = entry[1] >> 16;
    assert_eq!(
        ready,
        u32::from(revents != 0),
        "poll counts what it reports"
    );
    revents
}

fn capacity() {
    for (piece, least) in [(4096, PIPE), (1000, 64000), (1, PIPE), (PIPE, PIPE)] {
        let ends = Ends::new(O_NONBLOCK);
        let total = ends.fill(piece);
        ok!(
            (least..=PIPE).contains(&total),
            "a pipe holds 64 KiB in pieces of {piece}"
        );
        eq!(
            ends.waiting(ends.reader),
            Ok(total),
            "FIONREAD at the end to read, pieces of {piece}"
        );
        eq!(
            ends.waiting(ends.writer),
            Ok(total),
            "and at the other, pieces of {piece}"
        );
        ends.close();
    }
    let ends = Ends::new(O_NONBLOCK);
    eq!(
        ends.write(BUFFER),
        Ok(PIPE),
        "of more than fits a part goes in"
    );
    eq!(ends.write(1), Err(Errno::EAGAIN), "then nothing: EAGAIN");
    eq!(ends.read(BUFFER), Ok(PIPE), "a read gets it all");
    let right = (0..PIPE / 4).all(|i| rt::insn::read(ends.buffer + 4 * i) == i);
    ok!(right, "and every byte is in its place");
    eq!(ends.read(1), Err(Errno::EAGAIN), "an empty pipe: EAGAIN");
    ends.close();
    let ends = Ends::new(0);
    eq!(
        ends.write(60000),
        Ok(60000),
        "60000 bytes go in without a reader"
    );
    ends.close();
}

/// Bytes wrap around the end of the pipe's buffer while it grows.
fn order() {
    let ends = Ends::new(O_NONBLOCK);
    let (mut put, mut got, mut wrong) = (0u32, 0u32, 0u32);
    for (round, count) in [3000, 4000, 9000, 20000, 500, 30000, 60000]
        .into_iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        for i in 0..count / 4 {
            rt::insn::write(ends.buffer + 4 * i, put + i);
        }
        if let Ok(bytes) = ends.write(count) {
            // A piece that was written in part ends at a word: all counts are multiples of a word.
            put += bytes / 4;
        }
        let bytes = ends.read(if round % 3 == 0 { 2000 } else { 40000 });
        for i in 0..bytes.unwrap_or(0) / 4 {
            wrong += u32::from(rt::insn::read(ends.buffer + 4 * i) != got + i);
        }
        got += bytes.unwrap_or(0) / 4;
    }
    ok!(
        got > 100_000 && wrong == 0,
        "bytes come out as they went in"
    );
    ends.close();
}

fn pieces() {
    let ends = Ends::new(O_NONBLOCK);
    let total = ends.fill(4096);
    ends.read(4096 + 100).expect("read");
    let answer = ends.write(4097);
    ok!(
        matches!(answer, Ok(4096..=4097)),
        "more than PIPE_BUF goes in in part"
    );
    ends.read(100).expect("read");
    eq!(
        ends.write(4096),
        Err(Errno::EAGAIN),
        "PIPE_BUF does not: EAGAIN"
    );
    eq!(total, PIPE, "and not more than 64 KiB ever");
    ends.close();

    let ends = Ends::new(0);
    ends.write(PIPE).expect("write");
    let writer = child(|| i32::from(ends.write(4096) != Ok(4096)));
    sleep_ms(30);
    ends.read(4096).expect("read");
    let status = writer.wait();
    eq!(
        status,
        WaitStatus::exited(0),
        "a writer waits for room for its piece"
    );
    ends.close();
}

fn polled() {
    let ends = Ends::new(O_NONBLOCK);
    let both = POLLIN | POLLOUT;
    eq!(poll(ends.reader, both), 0, "an empty pipe: nothing to read");
    eq!(poll(ends.writer, both), POLLOUT, "and room to write");
    ends.write(1).expect("write");
    eq!(poll(ends.reader, both), POLLIN, "a byte: POLLIN");
    ends.read(1).expect("read");
    ends.fill(4096);
    eq!(poll(ends.writer, both), 0, "a full one: no POLLOUT");
    ends.read(10).expect("read");
    eq!(poll(ends.writer, both), 0, "nor with less than a page free");
    ends.read(4096 + 4096).expect("read");
    eq!(poll(ends.writer, both), POLLOUT, "but with a page");
    syscall(CLOSE, [ends.writer]).expect("close");
    eq!(
        poll(ends.reader, both),
        POLLIN | POLLHUP,
        "no writer, and bytes: both"
    );
    eq!(poll(ends.reader, 0), POLLHUP, "POLLHUP is reported unasked");
    while ends.read(BUFFER) != Ok(0) {}
    eq!(
        poll(ends.reader, both),
        POLLHUP,
        "no writer, and no bytes: POLLHUP alone"
    );
    ends.close();
    eq!(
        poll(ends.reader, both),
        POLLNVAL,
        "a closed descriptor: POLLNVAL"
    );

    let ends = Ends::new(O_NONBLOCK);
    syscall(CLOSE, [ends.reader]).expect("close");
    eq!(
        poll(ends.writer, both),
        POLLOUT | POLLERR,
        "no reader, and room: both"
    );
    eq!(poll(ends.writer, 0), POLLERR, "POLLERR is reported unasked");
    ends.close();

    let ends = Ends::new(O_NONBLOCK);
    ends.fill(4096);
    ends.fill(1);
    syscall(CLOSE, [ends.reader]).expect("close");
    eq!(
        poll(ends.writer, both),
        POLLERR,
        "no reader, and no room: POLLERR alone"
    );
    ends.close();
}

fn sizes() {
    let ends = Ends::new(O_NONBLOCK);
    let set = |size| fcntl(ends.writer, F_SETPIPE_SZ, size);
    for (name, end) in [("read", ends.reader), ("write", ends.writer)] {
        eq!(
            fcntl(end, F_GETPIPE_SZ, 0),
            Ok(PIPE),
            "F_GETPIPE_SZ at the end to {name}: 65536"
        );
    }
    eq!(
        set(5000),
        Ok(8192),
        "F_SETPIPE_SZ rounds up to pages, and to a power of two"
    );
    eq!(
        fcntl(ends.reader, F_GETPIPE_SZ, 0),
        Ok(8192),
        "both ends know"
    );
    eq!(ends.fill(4096), 8192, "and it holds so much");
    eq!(set(4096), Err(Errno::EBUSY), "less than is in it: EBUSY");
    eq!(set(1 << 17), Ok(1 << 17), "more is more");
    eq!(ends.fill(4096), (1 << 17) - 8192, "room at once");
    ends.read(BUFFER).expect("read");
    eq!(set(1), Ok(4096), "a page at least");
    eq!(ends.fill(4096), 4096, "which is all that it holds");
    eq!(set(1 << 20), Ok(1 << 20), "a megabyte");
    eq!(set(u32::MAX), Err(Errno::EINVAL), "more than 2 GiB: EINVAL");
    expect_exit("more than a megabyte without privilege: EPERM", 0, || {
        setuid(NOBODY).expect("setuid");
        i32::from(set((1 << 20) + 1) != Err(Errno::EPERM))
    });
    ends.close();
    let file = syscall(5, [c"/proc/self/stat".as_ptr() as u32, 0]).expect("open");
    for command in [F_GETPIPE_SZ, F_SETPIPE_SZ] {
        let answer = fcntl(file, command, 4096);
        eq!(
            answer,
            Err(Errno::EBADF),
            "{command} of a file that is no pipe: EBADF"
        );
    }

    let ends = Ends::new(O_NONBLOCK);
    ends.fill(4096);
    fcntl(ends.writer, F_SETFL, 0).expect("F_SETFL");
    let writer = child(|| i32::from(ends.write(1) != Ok(1)));
    sleep_ms(30);
    fcntl(ends.reader, F_SETPIPE_SZ, 2 * PIPE).expect("F_SETPIPE_SZ");
    ok!(
        comes_true(|| ends.waiting(ends.reader) == Ok(PIPE + 1)),
        "a writer that waits gets the new room"
    );
    writer.wait();
    ends.close();
}

fn main() -> i32 {
    ktap::plan(52);
    capacity();
    order();
    pieces();
    polled();
    sizes();
    ktap::finish()
}

rt::main!(main);
