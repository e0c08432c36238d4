//! Memory of threads on two CPUs: a page that one takes away is gone for the other.
//!
//! One thread reads or writes a page again and again, on a CPU of its own: the page is in its TLB,
//! and only a flush removes it. The other thread changes the mapping.
//!
//! Book: ch. 2, "Handling the Hardware Cache and the TLB".
//! Red without: the flush of other CPUs after munmap, mprotect, madvise, and at fork.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{comes_true, sleep_ms},
    expect_exit, expect_signal,
    gates::syscall,
    insn, ktap,
    memory::{
        MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous,
        munmap,
    },
    process::exit_group,
    sched::{get_affinity, sched_yield, set_affinity},
    signal::SIGSEGV,
    thread::spawn,
};

const SYS_MPROTECT: u32 = 125;
const SYS_MMAP2: u32 = 192;
const SYS_MADVISE: u32 = 219;
const MAP_FIXED: u32 = 0x10;
const MADV_DONTNEED: u32 = 4;
const PROT_NONE: u32 = 0;

/// The page that the other thread uses; below, how often it has used it.
static PAGE: AtomicU32 = AtomicU32::new(0);
static TURNS: AtomicU32 = AtomicU32::new(0);
/// The word that it last read.
static SEEN: AtomicU32 = AtomicU32::new(0);

/// Moves the caller to the highest CPU, its creator being on the lowest; on a machine with one CPU
/// they are the same.
fn to_another_cpu() {
    let allowed = get_affinity();
    set_affinity(0, 1 << (31 - allowed.leading_zeros())).expect("sched_setaffinity");
}

extern "C" fn reader(_: u32) -> i32 {
    to_another_cpu();
    loop {
        SEEN.store(insn::read(PAGE.load(SeqCst)), SeqCst);
        TURNS.fetch_add(1, SeqCst);
    }
}

extern "C" fn writer(_: u32) -> i32 {
    to_another_cpu();
    loop {
        let turn = TURNS.fetch_add(1, SeqCst);
        insn::write(PAGE.load(SeqCst), turn);
    }
}

/// Returns the address of a page that another thread uses over and over.
fn page_in_use(by: extern "C" fn(u32) -> i32, sharing: u32) -> u32 {
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, sharing).expect("mmap");
    insn::write(page, 0x1234);
    PAGE.store(page, SeqCst);
    let _runs_on = spawn(by, 0, None).expect("clone");
    let allowed = get_affinity();
    set_affinity(0, allowed & allowed.wrapping_neg()).expect("sched_setaffinity");
    wait_for_turns();
    page
}

/// Waits until the other thread has used the page again from now.
fn wait_for_turns() {
    let turns = TURNS.load(SeqCst);
    while TURNS.load(SeqCst) < turns + 3 {
        sched_yield();
    }
}

fn mprotect(page: u32, prot: u32) -> Result<u32, Errno> {
    syscall(SYS_MPROTECT, [page, PAGE_SIZE, prot])
}

/// Waits until the other thread's fault ends the process.
fn wait_for_the_fault() {
    comes_true(|| false);
    end(false);
}

/// Ends the process with both its threads; the status is 1 if something was wrong.
fn end(is_wrong: bool) -> i32 {
    exit_group(i32::from(is_wrong))
}

fn taken_away() {
    expect_signal(
        "munmap: the other thread's next read faults",
        SIGSEGV,
        || {
            let page = page_in_use(reader, MAP_PRIVATE);
            munmap(page, PAGE_SIZE).expect("munmap");
            wait_for_the_fault();
        },
    );
    expect_signal("and its next write", SIGSEGV, || {
        let page = page_in_use(writer, MAP_PRIVATE);
        munmap(page, PAGE_SIZE).expect("munmap");
        wait_for_the_fault();
    });
    expect_signal("mprotect to nothing: its next read faults", SIGSEGV, || {
        let page = page_in_use(reader, MAP_PRIVATE);
        mprotect(page, PROT_NONE).expect("mprotect");
        wait_for_the_fault();
    });
    expect_signal("mprotect to read: its next write faults", SIGSEGV, || {
        let page = page_in_use(writer, MAP_PRIVATE);
        mprotect(page, PROT_READ).expect("mprotect");
        wait_for_the_fault();
    });
    expect_signal("and in shared memory", SIGSEGV, || {
        let page = page_in_use(writer, MAP_SHARED);
        mprotect(page, PROT_READ).expect("mprotect");
        wait_for_the_fault();
    });
    expect_exit("mprotect to read: its reads go on", 0, || {
        let page = page_in_use(reader, MAP_PRIVATE);
        mprotect(page, PROT_READ).expect("mprotect");
        wait_for_turns();
        end(false)
    });
    expect_exit("mprotect there and back: its writes go on", 0, || {
        let page = page_in_use(reader, MAP_PRIVATE);
        mprotect(page, PROT_READ).expect("mprotect");
        mprotect(page, PROT_READ | PROT_WRITE).expect("mprotect");
        insn::write(page, 77);
        wait_for_turns();
        end(SEEN.load(SeqCst) != 77)
    });
}

fn replaced() {
    expect_exit(
        "a new mapping in its place: the other thread reads zeroes",
        0,
        || {
            let page = page_in_use(reader, MAP_PRIVATE);
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
            let new = syscall(
                SYS_MMAP2,
                [page, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, u32::MAX, 0],
            );
            wait_for_turns();
            end(new != Ok(page) || SEEN.load(SeqCst) != 0)
        },
    );
    expect_exit("MADV_DONTNEED: the other thread reads zeroes", 0, || {
        let page = page_in_use(reader, MAP_PRIVATE);
        let done = syscall(SYS_MADVISE, [page, PAGE_SIZE, MADV_DONTNEED]);
        wait_for_turns();
        end(done != Ok(0) || SEEN.load(SeqCst) != 0)
    });
}

/// Returns whether the word is unchanged after time enough for another task to write it.
fn stays(page: u32) -> bool {
    let first = insn::read(page);
    sleep_ms(200);
    insn::read(page) == first
}

/// Waits until another task writes the word.
fn changes(page: u32) -> bool {
    let first = insn::read(page);
    comes_true(|| insn::read(page) != first)
}

fn forked() {
    expect_exit(
        "fork: the other thread's writes stay in its process",
        0,
        || {
            let page = page_in_use(writer, MAP_PRIVATE);
            let copy = child(|| i32::from(!stays(page)));
            let kept = copy.wait() == WaitStatus::exited(0);
            wait_for_turns();
            end(!kept || !changes(page))
        },
    );
    expect_exit("and in shared memory it is seen by both", 0, || {
        let page = page_in_use(writer, MAP_SHARED);
        let other = child(|| i32::from(!changes(page)));
        end(other.wait() != WaitStatus::exited(0))
    });
    expect_exit("the child's writes stay its own, too", 0, || {
        let page = page_in_use(reader, MAP_PRIVATE);
        let other = child(|| {
            insn::write(page, 99);
            i32::from(insn::read(page) != 99)
        });
        let wrote = other.wait() == WaitStatus::exited(0);
        wait_for_turns();
        end(!wrote || SEEN.load(SeqCst) != 0x1234)
    });
}

fn main() -> i32 {
    ktap::plan(12);
    taken_away();
    replaced();
    forked();
    ktap::finish()
}

rt::main!(main);
