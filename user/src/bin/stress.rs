//! Many processes and threads at once, each with its own FPU, TLS, %gs, ports and memory.
//!
//! `stress [ROUNDS [WORKERS]]`; with arguments it prints no report, for the kernel's stress run.
//! Each worker is a process that in every round does one of the things below, chosen by its own
//! dice, and checks that all its own state is still there. A worker that finds foreign state says
//! so, and ends with status 1.
//!
//! Red without: any step of the switch; the locks around run queues and address spaces.
#![no_std]
#![no_main]

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    WaitStatus, child,
    clock::sleep_ms,
    dice::Dice,
    eq,
    fpu::{Xmm, x87_holds, x87_load, xmm_load, xmm_store},
    gates::syscall,
    insn, ktap,
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap, shared_page},
    ok,
    ports::ioperm,
    println, process,
    sched::sched_yield,
    start,
    thread::spawn,
    tls::{UserDesc, ldt_selector, set_thread_area, write_ldt},
};

const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_ALARM: u32 = 27;
const SYS_PIPE: u32 = 42;
const SYS_SETAFFINITY: u32 = 241;
const SYS_GETAFFINITY: u32 = 242;

fn main() -> i32 {
    if start::arg(1) == Some("leaf") {
        return leaf();
    }
    let number = |n, default| {
        start::arg(n)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (rounds, workers) = (number(1, 4), number(2, 24).min(500));
    // The kernel's own stress run makes its report from the status.
    let is_alone = start::argc() == 1;
    if is_alone {
        ktap::plan(2);
    }
    let all = shared_page();
    let mut started = 0;
    for worker in 0..workers {
        match process::fork() {
            Ok(0) => process::exit(work(worker, rounds, all)),
            Ok(_) => started += 1,
            Err(errno) => println!("# fork {worker}: {errno:?}"),
        }
    }
    let mut good = 0;
    while let Ok((_, status)) = process::wait4(-1, 0) {
        good += u32::from(status == WaitStatus::exited(0));
    }
    println!("# {} deeds by {workers} workers", all[0].load(SeqCst));
    if !is_alone {
        return i32::from(good != workers);
    }
    eq!(started, workers, "{workers} workers started");
    ok!(
        good == started,
        "every worker kept its own state ({good} of {started})"
    );
    ktap::finish()
}

/// Runs one worker; returns its exit status.
fn work(worker: u32, rounds: u32, all: &[AtomicU32]) -> i32 {
    let mut dice = Dice::new(worker * 7919 + 1);
    for round in 0..rounds {
        let deed = dice.throw(DEEDS.len() as u32) as usize;
        let (name, act) = DEEDS[deed];
        if !act(&mut dice) {
            println!("# worker {worker}, round {round}: {name} went wrong");
            return 1;
        }
        all[0].fetch_add(1, SeqCst);
    }
    0
}

type Deed = fn(&mut Dice) -> bool;

const DEEDS: &[(&str, Deed)] = &[
    ("registers over yields", registers),
    ("a family of children", family),
    ("exec", execute),
    ("memory", memory),
    ("copy on write", copy_on_write),
    ("threads", threads),
    ("ports", ports),
    ("a pipe", pipe),
    ("sleep", sleep),
    ("affinity", affinity),
    ("an LDT", segments),
    ("an alarm", alarm),
];

/// A task's own state: the FPU, %gs and its descriptor, loaded with `seed`.
struct Own {
    seed: u32,
    word: u32,
}

impl Own {
    fn new(seed: u32) -> Self {
        Self {
            seed,
            word: seed ^ 0x5a5a_5a5a,
        }
    }

    fn load(&self) {
        x87_load(self.seed as i32 & 0xfff, 0x37f);
        xmm_load(&Xmm::named(self.seed));
        let mut area = UserDesc::data(u32::MAX, &raw const self.word as u32);
        // The descriptor that an earlier deed left is just as good.
        if set_thread_area(&mut area).is_err() {
            area.entry_number = rt::machine::tls_min();
            set_thread_area(&mut area).expect("set_thread_area");
        }
        insn::set_gs((area.entry_number * 8 + 3) as u16);
    }

    fn holds(&self) -> bool {
        x87_holds(self.seed as i32 & 0xfff, 0x37f)
            && xmm_store() == Xmm::named(self.seed)
            && insn::gs_word() == self.word
    }
}

fn registers(dice: &mut Dice) -> bool {
    let own = Own::new(dice.throw(1 << 20));
    own.load();
    let held = (0..30).all(|_| {
        sched_yield();
        own.holds()
    });
    insn::set_gs(0);
    held
}

fn family(dice: &mut Dice) -> bool {
    let own = Own::new(dice.throw(1 << 20));
    own.load();
    let brood: [_; 4] = core::array::from_fn(|nth| {
        let theirs = Own::new(own.seed + nth as u32 + 1);
        // A child begins with its parent's registers.
        child(move || {
            let inherited = x87_holds((theirs.seed as i32 - nth as i32 - 1) & 0xfff, 0x37f);
            theirs.load();
            (0..10).for_each(|_| sched_yield());
            i32::from(!(inherited && theirs.holds()))
        })
    });
    let good = brood
        .into_iter()
        .all(|child| child.wait() == WaitStatus::exited(0));
    let held = own.holds();
    insn::set_gs(0);
    good && held
}

const LEAF: &CStr = c"leaf";

fn execute(dice: &mut Dice) -> bool {
    let own = Own::new(dice.throw(1 << 20));
    own.load();
    let status = child(|| process::exec_self(LEAF)).wait();
    let held = own.holds();
    insn::set_gs(0);
    status == WaitStatus::exited(42) && held
}

/// After exec nothing is left of the caller's state.
fn leaf() -> i32 {
    let fresh = insn::gs() == 0 && rt::fpu::x87_environment().0 == 0x37f;
    if fresh { 42 } else { 1 }
}

fn memory(dice: &mut Dice) -> bool {
    let pages = 1 + dice.throw(8);
    let pattern = dice.throw(1 << 20);
    let Ok(at) = mmap_anonymous(pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE) else {
        return false;
    };
    let words = || (0..pages).map(|page| at + page * PAGE_SIZE);
    let zeroed = words().all(|word| insn::read(word) == 0);
    words().for_each(|word| insn::write(word, pattern ^ word));
    sched_yield();
    let kept = words().all(|word| insn::read(word) == pattern ^ word);
    zeroed && kept && munmap(at, pages * PAGE_SIZE).is_ok()
}

fn copy_on_write(dice: &mut Dice) -> bool {
    let mine = dice.throw(1 << 20);
    let Ok(at) = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE) else {
        return false;
    };
    insn::write(at, mine);
    let other = child(|| {
        let inherited = insn::read(at) == mine;
        insn::write(at, !mine);
        sched_yield();
        i32::from(!(inherited && insn::read(at) == !mine))
    });
    insn::write(at + 4, mine);
    let good = other.wait() == WaitStatus::exited(0);
    good && insn::read(at) == mine && munmap(at, PAGE_SIZE).is_ok()
}

static SUM: AtomicU32 = AtomicU32::new(0);
static FOREIGN: AtomicU32 = AtomicU32::new(0);
static WORDS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

extern "C" fn add(nth: u32) -> i32 {
    insn::set_gs(rt::machine::tls_selector(0));
    x87_load(nth as i32, 0x37f);
    for _ in 0..50 {
        SUM.fetch_add(1, SeqCst);
        sched_yield();
        if insn::gs_word() != 0x1000 + nth || !x87_holds(nth as i32, 0x37f) {
            FOREIGN.fetch_add(1, SeqCst);
        }
    }
    0
}

/// Threads in a process of their own, whose end frees their stacks.
fn threads(_: &mut Dice) -> bool {
    let status = child(|| {
        SUM.store(0, SeqCst);
        let crew: [_; 4] = core::array::from_fn(|nth| {
            WORDS[nth].store(0x1000 + nth as u32, SeqCst);
            let area = UserDesc::data(rt::machine::tls_min(), WORDS[nth].as_ptr() as u32);
            spawn(add, nth as u32, Some(&area)).expect("clone")
        });
        let joined = crew.into_iter().all(|thread| thread.join());
        let good = joined && SUM.load(SeqCst) == 200 && FOREIGN.load(SeqCst) == 0;
        i32::from(!good)
    })
    .wait();
    status == WaitStatus::exited(0)
}

fn ports(_: &mut Dice) -> bool {
    if ioperm(0x80, 1, true).is_err() {
        return false;
    }
    for _ in 0..5 {
        insn::outb(0x80, 0);
        sched_yield();
    }
    let inherits = child(|| {
        insn::outb(0x80, 0);
        0
    });
    let neighbour_faults = rt::segfaults(|| insn::outb(0x81, 0));
    ioperm(0x80, 1, false).is_ok()
        && inherits.wait() == WaitStatus::exited(0)
        && neighbour_faults
        && rt::segfaults(|| insn::outb(0x80, 0))
}

fn pipe(dice: &mut Dice) -> bool {
    let mut ends = [0u32; 2];
    if syscall(SYS_PIPE, [ends.as_mut_ptr() as u32]).is_err() {
        return false;
    }
    let [read, write] = ends;
    let first = dice.throw(1 << 20);
    let writer = child(move || {
        for n in 0..20 {
            let word = first + n;
            if syscall(SYS_WRITE, [write, &raw const word as u32, 4]) != Ok(4) {
                return 1;
            }
        }
        0
    });
    let close = |end| syscall(SYS_CLOSE, [end]).is_ok();
    let mut good = close(write);
    for n in 0..20 {
        let mut word = 0u32;
        let got = syscall(SYS_READ, [read, &raw mut word as u32, 4]);
        good &= got == Ok(4) && word == first + n;
    }
    good && writer.wait() == WaitStatus::exited(0) && close(read)
}

/// A segment of the worker's own survives yields. Children have a copy of the table.
fn segments(dice: &mut Dice) -> bool {
    let word = dice.throw(1 << 20);
    let entry = dice.throw(40);
    if write_ldt(&UserDesc::data(entry, &raw const word as u32)).is_err() {
        return false;
    }
    insn::set_gs(ldt_selector(entry));
    let held = (0..10).all(|_| {
        sched_yield();
        insn::gs_word() == word
    });
    insn::set_gs(0);
    held
}

/// A child ends long before its alarm would ring.
fn alarm(dice: &mut Dice) -> bool {
    let seconds = 3600 + dice.throw(100);
    child(|| i32::from(syscall(SYS_ALARM, [seconds]) != Ok(0))).wait() == WaitStatus::exited(0)
}

fn sleep(dice: &mut Dice) -> bool {
    let own = Own::new(dice.throw(1 << 20));
    own.load();
    sleep_ms(1 + dice.throw(10));
    let held = own.holds();
    insn::set_gs(0);
    held
}

fn affinity(dice: &mut Dice) -> bool {
    let mut all = 0u32;
    let pointer = &raw mut all as u32;
    if syscall(SYS_GETAFFINITY, [0, 4, pointer]).is_err() || all == 0 {
        return false;
    }
    let own = Own::new(dice.throw(1 << 20));
    own.load();
    let mut good = true;
    for _ in 0..4 {
        let one = 1u32 << dice.throw(8);
        let answer = syscall(SYS_SETAFFINITY, [0, 4, &raw const one as u32]);
        good &= answer.is_ok() == (all & one != 0);
        good &= own.holds();
    }
    good &= syscall(SYS_SETAFFINITY, [0, 4, pointer]).is_ok();
    insn::set_gs(0);
    good
}

rt::main!(main);
