//! `modify_ldt`: a process's own segments, which the switch of address spaces loads.
//!
//! Book: ch. 2, "The Linux LDTs"; ch. 9, `switch_mm`. Linux: modify_ldt(2).
//! Red without: the load of the LDT in `switch_mm`; the load when a CPU comes back from lazy TLB;
//! its copy at fork; the message to other CPUs; the return to a 16-bit stack.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use rt::{
    Errno, WaitStatus, child,
    clock::{PATIENCE_NS, monotonic_ns, sleep_ms},
    eq, expect_exit, expect_signal,
    gates::syscall,
    insn, ktap, machine,
    memory::{
        KERNEL_ADDRESS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap,
    },
    ok,
    process::{exec_self, exit, exit_group, getpid},
    relay::{Role, alternate},
    sched::{get_affinity, sched_yield, set_affinity},
    signal::SIGSEGV,
    signals::{SIGUSR1, Sigcontext, kill, set_handler},
    stack16::Stack,
    start,
    thread::spawn,
    tls::{
        LIMIT_IN_PAGES, SEG_32BIT, SEG_NOT_PRESENT, USEABLE, UserDesc, ldt_selector, modify_ldt,
        write_ldt,
    },
};

const SYS_GETRUSAGE: u32 = 77;
const READ: u32 = 0;
const WRITE_OLD: u32 = 1;
const READ_DEFAULT: u32 = 2;
const WRITE: u32 = 0x11;
const CONFORMING_CODE: u32 = 3 << 1;

static WORDS: [AtomicU32; 3] = [
    AtomicU32::new(100),
    AtomicU32::new(101),
    AtomicU32::new(102),
];

/// Makes entry `entry` begin at word `word`.
fn point(entry: u32, word: usize) -> Result<u32, Errno> {
    write_ldt(&UserDesc::data(entry, WORDS[word].as_ptr() as u32))
}

/// Returns a 16-bit stack segment with base 0.
fn small_stack(entry: u32) -> UserDesc {
    UserDesc {
        flags: LIMIT_IN_PAGES | USEABLE,
        ..UserDesc::data(entry, 0)
    }
}

/// Waits until there is an LDT, and uses a stack segment of it.
extern "C" fn use_stack(_: u32) -> i32 {
    while TURNS.load(SeqCst) == 0 {
        sched_yield();
    }
    let stack = Stack {
        ss: ldt_selector(3),
        esp: 0x5aad_c0de,
    };
    SEEN.store(stack.after_getpid(), SeqCst);
    0
}

/// Returns esp after interrupts: the time in ring 3 grows with each tick that comes there.
fn after_interrupts(stack: Stack) -> u32 {
    let user_ms = || {
        let mut usage = [0u32; 18];
        syscall(SYS_GETRUSAGE, [0, usage.as_mut_ptr() as u32]).expect("getrusage");
        usage[0] * 1000 + usage[1] / 1000
    };
    let (begin, end) = (user_ms(), monotonic_ns() + PATIENCE_NS);
    loop {
        let esp = stack.after_spinning(1_000_000);
        if esp != stack.esp || user_ms() >= begin + 40 || monotonic_ns() > end {
            return esp;
        }
    }
}

fn stacks() {
    const ESP: u32 = 0x5aad_c0de;
    write_ldt(&small_stack(3)).expect("modify_ldt");
    let ss = ldt_selector(3);
    let (one, other) = (Stack { ss, esp: ESP }, Stack { ss, esp: !ESP });
    eq!(
        one.after_getpid(),
        ESP,
        "on a 16-bit stack a system call shows nothing of the kernel's esp"
    );
    eq!(after_interrupts(one), ESP, "nor do interrupts");
    let two = alternate(
        100,
        &[
            Role::new(&|| (), &|_| one.after_yield() == ESP),
            Role::new(&|| (), &|_| other.after_yield() == !ESP),
        ],
    );
    ok!(two.held(0) && two.held(1), "nor switches");
    expect_exit("nor one of a thread that was there before", 0, || {
        exec_self(c"thread-first")
    });
    write_ldt(&UserDesc::data(4, 0)).expect("modify_ldt");
    let large = Stack {
        ss: ldt_selector(4),
        esp: ESP,
    };
    eq!(
        large.after_getpid(),
        ESP,
        "a 32-bit stack of the LDT serves too"
    );
    expect_signal(
        "a stack whose segment is gone ends the program",
        machine::signal_of_bad_iret(),
        || one.after_writing_ldt(&UserDesc::empty(3)),
    );
    expect_signal(
        "so does code that is gone, above a 16-bit stack",
        machine::signal_of_bad_iret(),
        || {
            set_handler(SIGUSR1, return_to_nowhere).expect("sigaction");
            kill(getpid(), SIGUSR1)
        },
    );
}

/// Makes sigreturn go to a code segment that is not there, on the 16-bit stack.
extern "C" fn return_to_nowhere(_: u32, mut context: Sigcontext) {
    context.set_cs(ldt_selector(9));
    context.set_ss(ldt_selector(3));
}

fn answers() {
    let mut table = [0xffu8; 64];
    let address = table.as_mut_ptr() as u32;
    eq!(
        modify_ldt(READ, address, 64),
        Ok(0),
        "without an LDT there is nothing to read"
    );
    eq!(
        modify_ldt(READ_DEFAULT, address, 64),
        Ok(40),
        "the default has five entries"
    );
    ok!(
        table[..40].iter().all(|byte| *byte == 0) && table[40] == 0xff,
        "all zero"
    );
    eq!(
        modify_ldt(READ_DEFAULT, address, 7),
        Ok(7),
        "or a part of it"
    );
    eq!(
        modify_ldt(5, address, 16),
        Err(Errno::ENOSYS),
        "an unknown function: ENOSYS"
    );
    eq!(
        modify_ldt(WRITE, address, 15),
        Err(Errno::EINVAL),
        "a request of another size: EINVAL"
    );
    eq!(
        modify_ldt(WRITE, KERNEL_ADDRESS, 16),
        Err(Errno::EFAULT),
        "a request of the kernel's: EFAULT"
    );
    eq!(point(8192, 0), Err(Errno::EINVAL), "entry 8192: EINVAL");
    let conforming = |flags: u32| UserDesc {
        flags: SEG_32BIT | LIMIT_IN_PAGES | CONFORMING_CODE | flags,
        ..UserDesc::data(1, 0)
    };
    eq!(
        write_ldt(&conforming(0)),
        Err(Errno::EINVAL),
        "conforming code that is present: EINVAL"
    );
    eq!(
        write_ldt(&conforming(SEG_NOT_PRESENT)),
        Ok(0),
        "that is not: allowed"
    );
    eq!(
        write_ldt(&UserDesc {
            flags: 0,
            limit: 0,
            ..UserDesc::data(1, 0)
        }),
        Ok(0),
        "all zero is a small segment"
    );
    ok!(insn::segment_exists(ldt_selector(1)), "that is there");
    let old = conforming(SEG_NOT_PRESENT);
    eq!(
        modify_ldt(WRITE_OLD, &raw const old as u32, 16),
        Err(Errno::EINVAL),
        "as old programs ask for it: EINVAL"
    );
}

fn segments() {
    eq!(point(0, 0), Ok(0), "entry 0 is written");
    insn::set_fs(ldt_selector(0));
    eq!(insn::fs_word(), 100, "and %fs leads there");
    insn::set_gs(ldt_selector(0));
    sched_yield();
    eq!(
        (insn::gs(), insn::gs_word()),
        (ldt_selector(0), 100),
        "and %gs, over a switch"
    );
    eq!(point(8191, 1), Ok(0), "the last entry is written");
    insn::set_fs(ldt_selector(8191));
    eq!(insn::fs_word(), 101, "and leads where it says");
    let mut raw = [0u8; 24];
    eq!(
        modify_ldt(READ, raw.as_mut_ptr() as u32, 24),
        Ok(24),
        "the table is read"
    );
    let base = u32::from_le_bytes([raw[2], raw[3], raw[4], raw[7]]);
    eq!(base, WORDS[0].as_ptr() as u32, "entry 0 has its base");
    let old = UserDesc {
        flags: SEG_32BIT | LIMIT_IN_PAGES | USEABLE,
        ..UserDesc::data(0, WORDS[2].as_ptr() as u32)
    };
    eq!(
        modify_ldt(WRITE_OLD, &raw const old as u32, 16),
        Ok(0),
        "an old program writes it"
    );
    let _read = modify_ldt(READ, raw.as_mut_ptr() as u32, 8);
    eq!(raw[6] & 0x10, 0, "which sets no AVL bit");
    insn::set_fs(ldt_selector(0));
    eq!(
        insn::fs_word(),
        102,
        "and is in force when the register is loaded"
    );
    expect_signal("an entry that is cleared cannot be loaded", SIGSEGV, || {
        write_ldt(&UserDesc::empty(0)).expect("modify_ldt");
        insn::set_fs(ldt_selector(0));
    });
    expect_signal("nor one behind the end", SIGSEGV, || {
        insn::set_fs(ldt_selector(2))
    });
}

/// What a thread on another CPU last found through the register, and how often it has loaded it.
static SEEN: AtomicU32 = AtomicU32::new(0);
static TURNS: AtomicU32 = AtomicU32::new(0);

/// Moves to the highest CPU; returns the mask of the CPUs that the caller may use.
fn to_another_cpu() -> u32 {
    let allowed = get_affinity();
    set_affinity(0, 1 << (31 - allowed.leading_zeros())).expect("sched_setaffinity");
    allowed
}

fn load() {
    insn::set_fs(ldt_selector(0));
    SEEN.store(insn::fs_word(), SeqCst);
    TURNS.fetch_add(1, SeqCst);
}

extern "C" fn load_over_and_over(_: u32) -> i32 {
    let allowed = to_another_cpu();
    loop {
        load();
        if allowed.is_power_of_two() {
            sched_yield();
        }
    }
}

extern "C" fn load_and_sleep(_: u32) -> i32 {
    to_another_cpu();
    loop {
        load();
        sleep_ms(10);
    }
}

/// Waits until the other thread has loaded it twice from now: one load may be under way already.
fn wait_for_turns() {
    let turns = TURNS.load(SeqCst);
    while TURNS.load(SeqCst) < turns + 2 {
        sched_yield();
    }
}

/// Forces a flush; a CPU that idles then leaves the address space that it borrows.
fn flush() {
    let page = mmap_anonymous(PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).expect("mmap");
    insn::write(page, 1);
    munmap(page, PAGE_SIZE).expect("munmap");
}

fn threads() {
    expect_exit(
        "an entry that one thread writes reaches the others at once",
        0,
        || {
            point(0, 0).expect("modify_ldt");
            let _loads = spawn(load_over_and_over, 0, None).expect("clone");
            let mut wrong = 0;
            for round in 0..50 {
                let word = round % 3;
                point(0, word).expect("modify_ldt");
                wait_for_turns();
                wrong += i32::from(SEEN.load(SeqCst) != 100 + word as u32);
            }
            exit_group(wrong)
        },
    );
    expect_exit("nor is one that slept left with the old", 0, || {
        point(0, 0).expect("modify_ldt");
        let _loads = spawn(load_and_sleep, 0, None).expect("clone");
        let allowed = get_affinity();
        set_affinity(0, allowed & allowed.wrapping_neg()).expect("sched_setaffinity");
        let mut wrong = 0;
        for round in 0..20 {
            let word = round % 3;
            wait_for_turns();
            sleep_ms(3);
            flush();
            point(0, word).expect("modify_ldt");
            wait_for_turns();
            wrong += i32::from(SEEN.load(SeqCst) != 100 + word as u32);
        }
        exit_group(wrong)
    });
}

/// Two processes point the same entry at words of their own.
fn processes() {
    let set = |word: usize| {
        point(0, word).expect("modify_ldt");
        insn::set_gs(ldt_selector(0));
        insn::set_fs(ldt_selector(0));
    };
    let holds = |word: usize| {
        // Load it anew: the register would keep the old table's segment.
        insn::set_fs(ldt_selector(0));
        insn::gs_word() == 100 + word as u32 && insn::fs_word() == 100 + word as u32
    };
    let two = alternate(
        300,
        &[
            Role::new(&|| set(0), &|_| holds(0)),
            Role::new(&|| set(1), &|_| holds(1)),
            Role::new(&|| insn::set_fs(0), &|_| {
                !insn::segment_exists(ldt_selector(2))
            }),
        ],
    );
    ok!(two.held(0), "the first of two processes has its own table");
    ok!(two.held(1), "the second too");
    point(0, 0).expect("modify_ldt");
    let forked = child(|| {
        insn::set_fs(ldt_selector(0));
        let copied = insn::fs_word() == 100;
        point(0, 1).expect("modify_ldt");
        insn::set_fs(ldt_selector(0));
        i32::from(!copied || insn::fs_word() != 101)
    });
    eq!(
        forked.wait(),
        WaitStatus::exited(0),
        "fork copies the table"
    );
    insn::set_fs(ldt_selector(0));
    eq!(insn::fs_word(), 100, "which is the child's own");
    expect_exit("exec drops it", 0, || exec_self(c"after-exec"));
}

fn main() -> i32 {
    if start::arg(1) == Some("after-exec") {
        exit(i32::from(
            modify_ldt(READ, 0, 0) != Ok(0) || insn::segment_exists(ldt_selector(0)),
        ));
    }
    if start::arg(1) == Some("thread-first") {
        let thread = spawn(use_stack, 0, None).expect("clone");
        write_ldt(&small_stack(3)).expect("modify_ldt");
        TURNS.store(1, SeqCst);
        exit(i32::from(
            !thread.join() || SEEN.load(SeqCst) != 0x5aad_c0de,
        ));
    }
    ktap::plan(39);
    answers();
    segments();
    threads();
    stacks();
    processes();
    insn::set_fs(0);
    insn::set_gs(0);
    ktap::finish()
}

rt::main!(main);
