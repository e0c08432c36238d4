//! getrusage, times and wait4: what processes have used, and to whom they leave it.
//!
//! Linux: getrusage(2), times(2), wait4(2).
//! Red without: the sums that a thread leaves to its process and a child to its parent; the groups that
//! wait4 tells apart.
#![no_std]
#![no_main]

use rt::{
    Errno, child,
    clock::{monotonic_ns, sleep_ms},
    eq,
    gates::syscall,
    insn, ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous},
    ok,
    process::wait4,
    thread::spawn,
};

const SYS_TIMES: u32 = 43;
const SYS_SETPGID: u32 = 57;
const SYS_GETRUSAGE: u32 = 77;
const SYS_WAIT4: u32 = 114;
const SELF: u32 = 0;
const CHILDREN: u32 = u32::MAX;
const THREAD: u32 = 1;

/// The fields that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    user_ms: u32,
    min_flt: u32,
    nvcsw: u32,
}

impl Usage {
    fn of(words: [u32; 18]) -> Self {
        Self {
            user_ms: words[0] * 1000 + words[1] / 1000,
            min_flt: words[8],
            nvcsw: words[16],
        }
    }
}

fn getrusage(who: u32) -> Result<Usage, Errno> {
    let mut words = [0u32; 18];
    syscall(SYS_GETRUSAGE, [who, words.as_mut_ptr() as u32]).map(|_| Usage::of(words))
}

fn used(who: u32) -> Usage {
    getrusage(who).expect("getrusage")
}

/// Computes until it has been given so much time.
fn compute_ms(ms: u32) {
    let begin = used(THREAD).user_ms;
    while used(THREAD).user_ms < begin + ms {
        let until = monotonic_ns() + 1_000_000;
        while monotonic_ns() < until {
            for _ in 0..1000 {
                core::hint::spin_loop();
            }
        }
    }
}

fn touch(pages: u32) {
    let memory =
        mmap_anonymous(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    for page in 0..pages {
        insn::write(memory + page * PAGE_SIZE, 1);
    }
}

#[inline(never)]
fn faults_of_touching(pages: u32) -> u32 {
    let before = used(THREAD).min_flt;
    touch(pages);
    used(THREAD).min_flt - before
}

extern "C" fn sleeper(_: u32) -> i32 {
    // A sleep that is over before it has begun, on a busy host, is no switch.
    while used(THREAD).nvcsw < 20 {
        sleep_ms(1);
    }
    0
}

fn own() {
    eq!(getrusage(2), Err(Errno::EINVAL), "of whom? EINVAL");
    eq!(
        syscall(SYS_GETRUSAGE, [SELF, 8]),
        Err(Errno::EFAULT),
        "to where? EFAULT"
    );
    // The code and the stack of it come with the first.
    let _first = faults_of_touching(1);
    eq!(faults_of_touching(32), 32, "each new page is a fault");
    let before = used(THREAD);
    sleep_ms(2);
    ok!(used(THREAD).nvcsw > before.nvcsw, "a sleep is a switch");
    compute_ms(20);
    ok!(
        used(SELF).user_ms >= before.user_ms + 20,
        "work is time of the process"
    );
    let before = (used(SELF), used(THREAD));
    let thread = spawn(sleeper, 0, None).expect("clone");
    ok!(thread.join(), "a thread sleeps twenty times, and ends");
    let after = (used(SELF), used(THREAD));
    let others = (after.0.nvcsw - before.0.nvcsw) - (after.1.nvcsw - before.1.nvcsw);
    ok!(others >= 20, "its switches are its process's");
    ok!(
        after.1.nvcsw - before.1.nvcsw < 20,
        "and not another thread's"
    );
}

fn of_children() {
    eq!(
        used(CHILDREN),
        Usage {
            user_ms: 0,
            min_flt: 0,
            nvcsw: 0
        },
        "no child has ended"
    );
    let worker = child(|| {
        compute_ms(24);
        touch(50);
        let grandchild = child(|| {
            compute_ms(24);
            0
        });
        grandchild.wait();
        sleep_ms(1);
        0
    });
    let mut status = 0u32;
    let mut words = [0u32; 18];
    let waited = syscall(
        SYS_WAIT4,
        [
            worker.pid,
            &raw mut status as u32,
            0,
            words.as_mut_ptr() as u32,
        ],
    );
    eq!((waited, status), (Ok(worker.pid), 0), "one ends");
    let told = Usage::of(words);
    ok!(told.user_ms >= 48, "wait4 tells its time and its child's");
    ok!(told.min_flt >= 50 && told.nvcsw >= 2, "faults, switches");
    eq!(used(CHILDREN), told, "which are of the children now");
    let mut times = [0u32; 4];
    ok!(
        syscall(SYS_TIMES, [times.as_mut_ptr() as u32]).is_ok() && times[2] >= 4,
        "for times too"
    );
}

fn groups() {
    let leader = child(|| 3);
    let in_group = child(|| 4);
    let _of_ours = child(|| 5);
    for pid in [leader.pid, in_group.pid] {
        syscall(SYS_SETPGID, [pid, leader.pid]).expect("setpgid");
    }
    let one_of = |which: i32| wait4(which, 0).map(|(_, status)| status.0 >> 8);
    eq!(one_of(0), Ok(5), "wait4(0): one of the caller's group");
    eq!(one_of(0), Err(Errno::ECHILD), "there is no other");
    let group = -(leader.pid as i32);
    let both = [one_of(group), one_of(group)];
    ok!(
        both == [Ok(3), Ok(4)] || both == [Ok(4), Ok(3)],
        "wait4(-group): those of the group"
    );
    eq!(one_of(group), Err(Errno::ECHILD), "and then none");
}

fn main() -> i32 {
    ktap::plan(18);
    own();
    of_children();
    groups();
    ktap::finish()
}

rt::main!(main);
