//! kcov: the kernel tells a task which kernel code its system calls ran.
//!
//! Each traced call is made twice and must cover the same code: interrupts and switches that happen
//! meanwhile do not belong to it.
//!
//! Linux: Documentation/dev-tools/kcov.rst.
//! Red without: kcov_prepare_switch, kcov_finish_switch; the check of the interrupt count;
//! KCOV_DISABLE.
#![no_std]
#![no_main]

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use rt::{
    Errno, WaitStatus, child, eq,
    gates::syscall,
    insn::rdtsc,
    ktap,
    memory::{MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, munmap, shared_page},
    ok, perf, println,
    process::getppid,
    sched::{fifo_on_one_cpu, sched_yield},
    skip,
};

const CASES: u32 = 21;
const SYS_OPEN: u32 = 5;
const SYS_CLOSE: u32 = 6;
const SYS_IOCTL: u32 = 54;
const SYS_UMASK: u32 = 60;
const SYS_MMAP2: u32 = 192;
const O_RDWR: u32 = 2;
const KCOV_INIT_TRACE: u32 = 0x8004_6301;
const KCOV_ENABLE: u32 = 0x6364;
const KCOV_DISABLE: u32 = 0x6365;
const ENOTSUPP: Errno = Errno(524);
const EBUSY: Errno = Errno(16);

fn open() -> Result<u32, Errno> {
    let path = c"/sys/kernel/debug/kcov";
    syscall(SYS_OPEN, [path.as_ptr() as u32, O_RDWR, 0])
}

fn ioctl(fd: u32, command: u32, argument: u32) -> Result<u32, Errno> {
    syscall(SYS_IOCTL, [fd, command, argument])
}

fn mmap(fd: u32, words: u32) -> Result<u32, Errno> {
    syscall(
        SYS_MMAP2,
        [0, 4 * words, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0],
    )
}

/// A kcov file and its buffer.
struct Kcov {
    fd: u32,
    words: &'static [AtomicU32],
}

impl Kcov {
    fn new(words: u32) -> Self {
        let fd = open().expect("open");
        ioctl(fd, KCOV_INIT_TRACE, words).expect("KCOV_INIT_TRACE");
        let area = mmap(fd, words).expect("mmap");
        // SAFETY: a mapping of that many words, which stays; the kernel writes there, hence
        // atomics.
        let words =
            unsafe { core::slice::from_raw_parts(area as *const AtomicU32, words as usize) };
        Self { fd, words }
    }

    /// Runs `what` and leaves the covered addresses in the buffer; returns their number.
    fn trace(&self, what: impl FnOnce()) -> usize {
        ioctl(self.fd, KCOV_ENABLE, 0).expect("KCOV_ENABLE");
        self.words[0].store(0, SeqCst);
        what();
        let covered = self.words[0].load(SeqCst);
        ioctl(self.fd, KCOV_DISABLE, 0).expect("KCOV_DISABLE");
        covered as usize
    }

    /// Folds the first `covered` addresses into one number.
    fn fold(&self, covered: usize) -> u32 {
        let addresses = self.words[1..=covered].iter();
        addresses.fold(1, |hash: u32, word| {
            hash.wrapping_mul(0x0100_0193) ^ word.load(Relaxed)
        })
    }

    /// Returns what `what` covers: the number of addresses, and the addresses folded.
    fn of(&self, what: impl FnOnce()) -> (usize, u32) {
        let covered = self.trace(what);
        (covered, self.fold(covered))
    }
}

fn abi() {
    let fd = open().expect("open");
    let init = |words| ioctl(fd, KCOV_INIT_TRACE, words);
    eq!(init(1), Err(Errno::EINVAL), "a buffer of one word: EINVAL");
    eq!(init(u32::MAX), Err(Errno::EINVAL), "one too big: EINVAL");
    eq!(
        mmap(fd, 1024),
        Err(Errno::EINVAL),
        "mmap before INIT: EINVAL"
    );
    eq!(init(2048), Ok(0), "INIT_TRACE");
    eq!(init(2048), Err(EBUSY), "INIT_TRACE again: EBUSY");
    let enable = |mode| ioctl(fd, KCOV_ENABLE, mode);
    eq!(
        enable(0),
        Err(Errno::EINVAL),
        "ENABLE without a buffer: EINVAL"
    );
    eq!(mmap(fd, 1024), Err(Errno::EINVAL), "mmap of a part: EINVAL");
    let area = mmap(fd, 2048).expect("mmap");
    eq!(enable(7), Err(Errno::EINVAL), "an unknown mode: EINVAL");
    eq!(enable(1), Err(ENOTSUPP), "comparisons: ENOTSUPP");
    eq!(enable(0), Ok(0), "ENABLE");
    eq!(enable(0), Err(Errno::EINVAL), "ENABLE again: EINVAL");
    let disable = |argument| ioctl(fd, KCOV_DISABLE, argument);
    eq!(
        disable(1),
        Err(Errno::EINVAL),
        "DISABLE with an argument: EINVAL"
    );
    eq!(disable(0), Ok(0), "DISABLE");
    eq!(disable(0), Err(Errno::EINVAL), "DISABLE again: EINVAL");
    eq!(
        ioctl(fd, 0x6399, 0),
        Err(Errno::ENOTTY),
        "an unknown ioctl: ENOTTY"
    );
    munmap(area, 2 * PAGE_SIZE).expect("munmap");
    // Closing cannot fail here.
    let _ = syscall(SYS_CLOSE, [fd]);
}

fn call_umask() {
    // `umask` cannot fail.
    let _ = syscall(SYS_UMASK, [0o022]);
}

fn getppid_once() {
    getppid();
}

fn main() -> i32 {
    ktap::plan(CASES);
    match open() {
        Ok(fd) => drop(syscall(SYS_CLOSE, [fd])),
        Err(_) => {
            (1..=CASES).for_each(|case| skip!("needs a kernel with kcov", "kcov {case}"));
            return ktap::finish();
        }
    }
    abi();
    fifo_on_one_cpu();
    let kcov = Kcov::new(16 * 1024);

    let first = kcov.of(getppid_once);
    ok!(first.0 > 0, "a call covers something");
    let again = kcov.of(getppid_once);
    let other = kcov.of(call_umask);
    ok!(
        first == again && first != other,
        "the same call covers the same, another does not"
    );

    // With an event, a switch runs instrumented code.
    let _event = perf::Event::of_me(perf::CONTEXT_SWITCHES, 0);
    let alone = kcov.of(|| (0..8).for_each(|_| sched_yield()));
    let page = shared_page();
    let busy = child(|| {
        while page[0].load(SeqCst) == 0 {
            call_umask();
            sched_yield();
        }
        0
    });
    let in_turns = kcov.of(|| (0..8).for_each(|_| sched_yield()));
    ok!(alone.0 >= 8, "recording goes on after a switch");
    eq!(
        in_turns,
        alone,
        "a switch, and the task that runs meanwhile, add nothing"
    );
    page[0].store(1, SeqCst);
    assert!(busy.wait() == WaitStatus::exited(0));

    let quiet = kcov.of(|| {
        let begin = rdtsc();
        while rdtsc().wrapping_sub(begin) < 200_000_000 {}
    });
    eq!(quiet.0, 0, "interrupts add nothing");

    let small = Kcov::new(1024);
    let covered = small.trace(|| (0..2000).for_each(|_| getppid_once()));
    eq!(covered, 1023, "a full buffer stays as it is");

    // Printed for a person who can read addresses: all that a page fault, a fork and a wait cover.
    let covered = kcov.trace(|| {
        child(|| 0).wait();
    });
    for word in &kcov.words[1..=covered.min(2000)] {
        println!("# pc {:08x}", word.load(Relaxed));
    }
    ktap::finish()
}

rt::main!(main);
