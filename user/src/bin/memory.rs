//! A process's memory: brk, anonymous mmap, copy on write after fork.
//!
//! Book: ch. 9, process address space; ch. 9, copy on write.
//! Red without: zeroed frames; the copy on a write fault; the flush of a page's old
//! translation; the checks of munmap and mmap2.
#![no_std]
#![no_main]

use core::sync::atomic::Ordering::SeqCst;
use rt::{
    Errno, WaitStatus, child, eq, expect_exit, expect_signal, insn, ktap, machine,
    memory::{
        MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, PROT_READ, PROT_WRITE, brk, mmap_anonymous, munmap,
        shared_page,
    },
    ok,
    relay::{Role, alternate},
    signal::SIGSEGV,
};

const READ_WRITE: u32 = PROT_READ | PROT_WRITE;

fn all_words(address: u32, bytes: u32, value: u32) -> bool {
    (address..address + bytes)
        .step_by(4)
        .all(|at| insn::read(at) == value)
}

fn fill(address: u32, bytes: u32, value: u32) {
    (address..address + bytes)
        .step_by(4)
        .for_each(|at| insn::write(at, value));
}

fn data_segment() {
    let end = brk(0);
    ok!(
        end > 0x0804_8000 && end < machine::task_size(),
        "brk(0) is above the program"
    );
    eq!(
        brk(end + 3 * PAGE_SIZE),
        end + 3 * PAGE_SIZE,
        "brk grows by three pages"
    );
    ok!(all_words(end, 2 * PAGE_SIZE, 0), "which are zero");
    fill(end, 3 * PAGE_SIZE, 0x5a5a);
    ok!(all_words(end, 3 * PAGE_SIZE, 0x5a5a), "and can be written");
    eq!(brk(end), end, "brk shrinks again");
    let first_page_above = end.next_multiple_of(PAGE_SIZE) + PAGE_SIZE;
    expect_signal("the pages given back are gone: SIGSEGV", SIGSEGV, || {
        insn::read(first_page_above)
    });
    eq!(brk(end + PAGE_SIZE), end + PAGE_SIZE, "brk grows once more");
    let kept = end.next_multiple_of(PAGE_SIZE) - end; // the rest of a page in use
    ok!(
        all_words(end + kept, PAGE_SIZE - kept, 0),
        "to a page that is zero again"
    );
    eq!(
        brk(machine::task_size()),
        end + PAGE_SIZE,
        "brk into the kernel changes nothing"
    );
}

fn mappings() {
    let bytes = 64 * PAGE_SIZE;
    let area = mmap_anonymous(bytes, READ_WRITE, MAP_PRIVATE).expect("mmap2");
    eq!(area % PAGE_SIZE, 0, "mmap2 gives whole pages");
    ok!(all_words(area, bytes, 0), "and the mapping is zero");
    fill(area, bytes, 7);
    eq!(
        munmap(area + PAGE_SIZE, PAGE_SIZE),
        Ok(()),
        "munmap of the second page"
    );
    expect_signal("which is then gone: SIGSEGV", SIGSEGV, || {
        insn::read(area + PAGE_SIZE)
    });
    let rest = all_words(area, PAGE_SIZE, 7) && all_words(area + 2 * PAGE_SIZE, PAGE_SIZE, 7);
    ok!(rest, "its neighbours are still there");
    eq!(munmap(area, bytes), Ok(()), "munmap over a hole");
    expect_signal("and all is gone: SIGSEGV", SIGSEGV, || insn::read(area));

    let constant = mmap_anonymous(PAGE_SIZE, PROT_READ, MAP_PRIVATE).expect("mmap2");
    eq!(
        insn::read(constant),
        0,
        "a page without PROT_WRITE can be read"
    );
    expect_signal("and not written: SIGSEGV", SIGSEGV, || {
        insn::write(constant, 1)
    });

    let empty = mmap_anonymous(0, READ_WRITE, MAP_PRIVATE);
    eq!(empty, Err(Errno::EINVAL), "mmap2 of 0 bytes: EINVAL");
    eq!(
        mmap_anonymous(PAGE_SIZE, READ_WRITE, 0),
        Err(Errno::EINVAL),
        "neither shared nor private: EINVAL"
    );
    let huge = mmap_anonymous(machine::task_size(), READ_WRITE, MAP_PRIVATE);
    eq!(
        huge,
        Err(Errno::ENOMEM),
        "mmap2 of more than there is: ENOMEM"
    );
    eq!(
        munmap(area + 1, PAGE_SIZE),
        Err(Errno::EINVAL),
        "munmap of half pages: EINVAL"
    );
    eq!(
        munmap(machine::task_size(), PAGE_SIZE),
        Err(Errno::EINVAL),
        "munmap of the kernel: EINVAL"
    );
}

fn copy_on_write() {
    let private = mmap_anonymous(PAGE_SIZE, READ_WRITE, MAP_PRIVATE).expect("mmap2");
    let shared = shared_page();
    insn::write(private, 1);
    expect_exit(
        "a child sees its parent's page, and writes to it",
        0,
        || {
            let inherited = insn::read(private);
            insn::write(private, 2);
            shared[0].store(2, SeqCst);
            i32::from(inherited != 1 || insn::read(private) != 2)
        },
    );
    eq!(insn::read(private), 1, "a private page is copied on write");
    eq!(shared[0].load(SeqCst), 2, "a shared one is not");

    let reader = child(|| {
        while shared[1].load(SeqCst) == 0 {
            rt::sched::sched_yield();
        }
        insn::read(private) as i32
    });
    insn::write(private, 3);
    shared[1].store(1, SeqCst);
    eq!(
        reader.wait(),
        WaitStatus::exited(1),
        "the parent's write does not reach the child"
    );

    let same = mmap_anonymous(4 * PAGE_SIZE, READ_WRITE, MAP_PRIVATE).expect("mmap2");
    let own = |who: u32| move || fill(same, 4 * PAGE_SIZE, who);
    let out = alternate(
        300,
        &[
            Role::new(&own(11), &|_| all_words(same, 4 * PAGE_SIZE, 11)),
            Role::new(&own(22), &|_| all_words(same, 4 * PAGE_SIZE, 22)),
            Role::new(&|| (), &|_| all_words(same, 4 * PAGE_SIZE, 0)),
        ],
    );
    ok!(
        out.held(0) & out.held(1),
        "two tasks keep their own at one address"
    );
    ok!(out.held(2), "and a third the zeroes of the parent");
    let sharing = mmap_anonymous(PAGE_SIZE, READ_WRITE, MAP_SHARED).expect("mmap2");
    let status = child(|| {
        child(|| {
            insn::write(sharing, 9);
            0
        })
        .wait()
        .0 as i32
    })
    .wait();
    eq!(
        (status, insn::read(sharing)),
        (WaitStatus::exited(0), 9),
        "a grandchild shares it too"
    );
}

fn main() -> i32 {
    ktap::plan(30);
    data_segment();
    mappings();
    copy_on_write();
    ktap::finish()
}

rt::main!(main);
