//! Pointers to memory that no program has, one in each place of each call that takes one: EFAULT,
//! and the kernel goes on.
//!
//! Linux: errno(2).
//! Red without: the end of the walk through the arguments of execve.
#![no_std]
#![no_main]

use rt::{
    Errno, eq,
    gates::syscall,
    good_calls::{POINTER, ROWS, Row, rows},
    ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, mmap_anonymous},
    ok,
    process::{self, WNOHANG},
};

/// Addresses at the ends of the kernel's part; what is written there would reach beyond the last
/// address, or nothing.
const ADDRESSES: &[u32] = &[
    0xc000_0000,
    0xc000_0001,
    0xc010_0000,
    0xffff_f000,
    0xffff_ff00,
    0xffff_fff0,
    0xffff_fff4,
    0xffff_fff8,
    0xffff_fffc,
    0xffff_fffe,
    0xffff_ffff,
];

/// Makes the call with each of the addresses; it answers EFAULT each time.
fn refuses(row: &Row) {
    let (name, number, arguments) = *row;
    for &address in ADDRESSES {
        let with = arguments.map(|it| if it == POINTER { address } else { it });
        let answer = syscall(number, with);
        if answer != Err(Errno::EFAULT) {
            eq!(answer, Err(Errno::EFAULT), "{name} at {address:#x}: EFAULT");
            return;
        }
    }
    ok!(true, "{name}: EFAULT at every bad address");
}

fn main() -> i32 {
    let rows = rows().expect("good calls");
    ktap::plan(ROWS as u32 + 4);
    rows.iter().for_each(refuses);
    pieces();
    children();
    ok!(
        mmap_anonymous(PAGE_SIZE, PROT_READ, MAP_PRIVATE).is_ok(),
        "the kernel goes on after bad pointers"
    );
    ktap::finish()
}

/// The pieces of readv and writev.
fn pieces() {
    let path = c"/proc/self/exe".as_ptr() as u32;
    let file = syscall(5, [path, 0]).expect("open");
    let new = syscall(356, [path, 0]).expect("memfd_create");
    for (name, number, fd) in [("readv", 145, file), ("writev", 146, new)] {
        let mut good = 0;
        for &address in ADDRESSES {
            let piece = [address, 8];
            let answer = syscall(number, [fd, piece.as_ptr() as u32, 1]);
            good += usize::from(answer == Err(Errno::EFAULT));
        }
        eq!(good, ADDRESSES.len(), "{name}: a piece at a bad address");
    }
}

/// Calls that wait for a child: it is gone after them.
fn children() {
    let mut good = 0;
    for &address in ADDRESSES {
        let child = process::child(|| 0);
        let answer = syscall(114, [child.pid, address, 0, 0]);
        good += usize::from(answer == Err(Errno::EFAULT));
        let gone = process::wait4(-1, WNOHANG);
        good += usize::from(gone == Err(Errno::ECHILD));
    }
    eq!(
        good,
        2 * ADDRESSES.len(),
        "wait4: EFAULT, and the child is gone"
    );
}

rt::main!(main);
