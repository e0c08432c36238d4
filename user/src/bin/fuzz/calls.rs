//! System calls: any at all, and calls that a program would make.

use crate::{
    guard,
    values::{NEW_FILE, PATHS, Victim, small_or_any},
};
use rt::{
    dice::Dice,
    gates::{raw_int80, raw_vdso, syscall},
    memory::{MAP_ANONYMOUS, PAGE_SIZE, munmap},
    process, thread,
};

const SYS_EXIT: u32 = 1;
const SYS_READ: u32 = 3;
const SYS_WRITE: u32 = 4;
const SYS_OPEN: u32 = 5;
const O_ACCMODE: u32 = 3;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;
const SYS_CLOSE: u32 = 6;
const SYS_PTRACE: u32 = 26;
const SYS_KILL: u32 = 37;
const SYS_PIPE: u32 = 42;
const SYS_SIGRETURN: u32 = 119;
const SYS_RT_SIGRETURN: u32 = 173;
const SYS_SETPGID: u32 = 57;
const SYS_SETSID: u32 = 66;
const SYS_REBOOT: u32 = 88;
const SYS_SETPRIORITY: u32 = 97;
const SYS_IOPERM: u32 = 101;
const SYS_SETITIMER: u32 = 104;
const SYS_IOPL: u32 = 110;
const SYS_CLONE: u32 = 120;
const SYS_MODIFY_LDT: u32 = 123;
const SYS_MPROTECT: u32 = 125;
const SYS_SETPARAM: u32 = 154;
const SYS_SETSCHEDULER: u32 = 156;
const SYS_POLL: u32 = 168;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SYS_SIGALTSTACK: u32 = 186;
const SYS_MMAP2: u32 = 192;
const SYS_TKILL: u32 = 238;
const SYS_FUTEX: u32 = 240;
const SYS_SETAFFINITY: u32 = 241;
const SYS_SET_THREAD_AREA: u32 = 243;
const SYS_TIMER_CREATE: u32 = 259;
const SYS_TIMER_SETTIME: u32 = 260;
const SYS_TIMER_DELETE: u32 = 263;
const SYS_TGKILL: u32 = 270;
const SYS_SET_ROBUST_LIST: u32 = 311;
const SYS_RT_TGSIGQUEUEINFO: u32 = 335;
const SYS_PERF_EVENT_OPEN: u32 = 336;
const SYS_PRLIMIT64: u32 = 340;
const SYS_MEMBARRIER: u32 = 375;
const SYS_RSEQ: u32 = 386;

/// Calls whose first argument is a process.
const OF_A_PROCESS: &[u32] = &[
    SYS_KILL,
    SYS_SETPARAM,
    SYS_SETSCHEDULER,
    SYS_RT_SIGQUEUEINFO,
    SYS_TKILL,
    SYS_SETAFFINITY,
    SYS_TGKILL,
    SYS_RT_TGSIGQUEUEINFO,
    SYS_PRLIMIT64,
];
/// Calls that would let a root victim control the machine, or escape its worker.
const NOT_FOR_ROOT: &[u32] = &[
    SYS_IOPERM,
    SYS_IOPL,
    SYS_SETSID,
    SYS_SETPGID,
    SYS_SETPRIORITY,
];

/// Any system call with any arguments, by either gate.
pub fn random(dice: &mut Dice, victim: &mut Victim) {
    let number = match dice.throw(8) {
        0 => small_or_any(dice),
        1 => 350 + dice.throw(120),
        _ => dice.throw(350),
    };
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = victim.argument(dice);
    }
    if number == SYS_PTRACE {
        // Requests are few, and a task's number comes second.
        arguments[0] = dice.throw(40) + 0x4200 * dice.throw(2);
        arguments[1] = victim.process(dice);
    }
    if OF_A_PROCESS.contains(&number) {
        arguments[0] = victim.process(dice);
        if [SYS_TGKILL, SYS_RT_TGSIGQUEUEINFO].contains(&number) {
            arguments[1] = victim.process(dice);
        }
    }
    let may = match number {
        // `sigreturn` without a handler is tried in `frames`.
        SYS_REBOOT | SYS_SIGRETURN | SYS_RT_SIGRETURN => false,
        // A victim that ends itself does little else.
        SYS_EXIT => dice.once_in(8),
        _ => !(victim.is_root && NOT_FOR_ROOT.contains(&number)),
    };
    if may {
        let _ = match dice.throw(2) {
            0 => raw_int80(number, arguments),
            _ => raw_vdso(number, arguments),
        };
    }
}

/// Makes a call as a program would, with mostly valid arguments.
pub fn well_formed(dice: &mut Dice, victim: &mut Victim) {
    type Deed = fn(&mut Dice, &mut Victim);
    const DEEDS: &[Deed] = &[
        fork,
        clone_anyhow,
        memory,
        memory,
        open,
        pipe,
        ldt,
        tls,
        sigaction,
        alternate_stack,
        timer,
        futex,
        perf,
        scheduling,
        robust_list,
        rseq,
        membarrier,
        execute,
        sysenter,
        ports,
        trace,
    ];
    dice.one_of(DEEDS)(dice, victim);
}

fn fork(dice: &mut Dice, victim: &mut Victim) {
    if let Ok(0) = process::fork() {
        guard::leave();
        for _ in 0..dice.throw(8) {
            random(dice, victim);
        }
        process::exit(dice.word() as i32);
    }
    if dice.once_in(2) {
        let _ = process::wait4(-1, dice.throw(2));
    }
}

/// Traces a child, with any requests at its stops.
fn trace(dice: &mut Dice, victim: &mut Victim) {
    let Ok(child) = process::fork() else { return };
    if child == 0 {
        guard::leave();
        let _ = syscall(SYS_PTRACE, [0, 0, 0, 0]);
        for _ in 0..dice.throw(8) {
            random(dice, victim);
        }
        process::exit(0);
    }
    // PTRACE_SEIZE: it may have become our child's tracer already.
    let options = dice.word() & 0x10_007f;
    let _ = syscall(SYS_PTRACE, [0x4206, child, 0, options]);
    for _ in 0..dice.throw(30) {
        let request = match dice.throw(3) {
            0 => dice.one_of(&[7, 9, 24, 31, 32, 0x4207, 0x4208]),
            1 => 0x4200 + dice.throw(16),
            _ => 1 + dice.throw(32),
        };
        let address = match dice.throw(2) {
            0 => 4 * dice.throw(72),
            _ => victim.argument(dice),
        };
        let data = match dice.throw(3) {
            0 => dice.throw(32),
            _ => victim.argument(dice),
        };
        let _ = syscall(SYS_PTRACE, [request, child, address, data]);
        let _ = process::wait4(child as i32, 0x4000_0001);
    }
    let _ = syscall(SYS_KILL, [child, 9]);
    if dice.once_in(2) {
        let _ = process::wait4(child as i32, 0x4000_0000);
    }
}

/// Calls clone with any flags, on new memory, so that the victim's stack keeps one user.
fn clone_anyhow(dice: &mut Dice, victim: &mut Victim) {
    let flags = dice.word() & dice.word() | dice.one_of(&[0, thread::THREAD, 0x4111]);
    let with_own_stack = flags & !(thread::CLONE_VM | thread::CLONE_VFORK);
    let words = [0, 0, 0].map(|_: u32| victim.address(dice));
    match raw_int80(SYS_CLONE, [with_own_stack, 0, words[0], words[1], words[2]]) {
        0 => {
            guard::leave();
            process::exit(0)
        }
        _ => {
            let _ = thread::spawn(short_thread, dice.word(), None);
        }
    }
}

extern "C" fn short_thread(seed: u32) -> i32 {
    let mut dice = Dice::new(seed);
    let mut victim = Victim::new(true);
    for _ in 0..dice.throw(6) {
        random(&mut dice, &mut victim);
    }
    0
}

fn memory(dice: &mut Dice, victim: &mut Victim) {
    let most = if dice.once_in(8) { 4096 } else { 16 };
    let pages = 1 + dice.throw(most);
    let hint =
        dice.one_of(&[0, 0, 0x4000_0000, 0xbfff_f000, 0x0900_0000]) + PAGE_SIZE * dice.throw(8);
    let flags = dice.one_of(&[1, 2, 2, 0x12, 0x102]) | MAP_ANONYMOUS;
    let prot = dice.throw(8);
    let Ok(at) = syscall(
        SYS_MMAP2,
        [hint, pages * PAGE_SIZE, prot, flags, u32::MAX, 0],
    ) else {
        return;
    };
    for _ in 0..dice.throw(4) {
        let page = at + PAGE_SIZE * dice.throw(pages);
        match dice.throw(3) {
            0 => rt::insn::write(page, rt::insn::read(page) + 1),
            1 => {
                let bytes = PAGE_SIZE * dice.throw(4);
                let _ = syscall(SYS_MPROTECT, [page, bytes, dice.throw(8)]);
            }
            _ => {
                let bytes = victim.argument(dice);
                let _ = raw_int80(SYS_READ, [dice.throw(8), page, bytes]);
            }
        }
    }
    if !dice.once_in(4) {
        let first = at + PAGE_SIZE * dice.throw(pages);
        let _ = munmap(first, PAGE_SIZE * (1 + dice.throw(pages)));
    }
}

fn open(dice: &mut Dice, victim: &mut Victim) {
    let path = dice.one_of(PATHS);
    let mut flags = dice.throw(3) | dice.throw(2) << dice.throw(20);
    if path != NEW_FILE && path.to_bytes() != b"/dev/null" {
        // What a victim changes stays, and the pages are counted at the end.
        flags &= !(O_ACCMODE | O_CREAT | O_TRUNC);
    }
    let Ok(fd) = syscall(SYS_OPEN, [path.as_ptr() as u32, flags, 0o777]) else {
        return;
    };
    for _ in 0..dice.throw(4) {
        let number = dice.one_of(&[
            SYS_READ, SYS_READ, SYS_WRITE, 19, 54, 55, 108, 140, 145, 146, 180, 197, 220,
        ]);
        let arguments = [
            fd,
            victim.argument(dice),
            victim.argument(dice),
            victim.argument(dice),
            victim.argument(dice),
        ];
        let _ = raw_int80(number, arguments);
    }
    if !dice.once_in(4) {
        let _ = syscall(SYS_CLOSE, [fd]);
    }
}

fn pipe(dice: &mut Dice, victim: &mut Victim) {
    let ends = victim.words(&[0, 0]);
    if syscall(SYS_PIPE, [ends]).is_err() {
        return;
    }
    let (read, write) = (rt::insn::read(ends), rt::insn::read(ends + 4));
    let _ = raw_int80(SYS_WRITE, [write, victim.address(dice), dice.throw(3000)]);
    let _ = raw_int80(SYS_READ, [read, victim.address(dice), 1 + dice.throw(2000)]);
    let polled = victim.words(&[read, dice.word(), write, dice.word()]);
    let _ = raw_int80(SYS_POLL, [polled, dice.throw(3), dice.throw(4)]);
    for fd in [read, write] {
        if !dice.once_in(8) {
            let _ = syscall(SYS_CLOSE, [fd]);
        }
    }
}

/// Returns a descriptor that may well be valid.
fn user_desc(dice: &mut Dice, entry: u32) -> [u32; 4] {
    [
        entry,
        dice.one_of(&[0, 0, 0xc000_0000, 0xffff_f000]) | (dice.throw(2) * dice.word()),
        dice.one_of(&[0, 0xffff, 0xf_ffff, 0x10_0000]),
        dice.throw(128),
    ]
}

fn ldt(dice: &mut Dice, victim: &mut Victim) {
    let entry = dice.one_of(&[0, 1, 2, 3, 4, 5, 6, 511, 512, 8191, 8192]);
    let desc = user_desc(dice, entry);
    let at = victim.words(&desc);
    let function = dice.one_of(&[0x11, 0x11, 1, 0, 2, 3]);
    let _ = raw_int80(
        SYS_MODIFY_LDT,
        [function, at, dice.one_of(&[16, 16, 16, 8, 40, 65536])],
    );
}

fn tls(dice: &mut Dice, victim: &mut Victim) {
    let entry = dice.one_of(&[u32::MAX, 5, 6, 7, 8, 9]);
    let desc = user_desc(dice, entry);
    let at = victim.words(&desc);
    let _ = raw_int80(SYS_SET_THREAD_AREA + dice.throw(2), [at]);
}

fn sigaction(dice: &mut Dice, victim: &mut Victim) {
    let handler = dice.one_of(&[0, 1, 2, 0x0804_8000, 0xc000_0000, 0xffff_ffff]);
    let action = victim.words(&[
        handler,
        dice.word(),
        victim.address(dice),
        dice.word(),
        dice.word(),
    ]);
    let signal = dice.throw(66);
    let _ = raw_int80(SYS_RT_SIGACTION, [signal, action, 0, 8]);
    let _ = raw_int80(
        SYS_RT_SIGPROCMASK,
        [dice.throw(4), victim.address(dice), victim.address(dice), 8],
    );
    if dice.once_in(3) {
        let _ = raw_int80(
            SYS_KILL,
            [
                process::getpid(),
                dice.one_of(&[10, 12, 17, 18, 28, 34, 64]),
            ],
        );
    }
}

fn alternate_stack(dice: &mut Dice, victim: &mut Victim) {
    let stack = victim.words(&[victim.address(dice), dice.throw(4), small_or_any(dice)]);
    let _ = raw_int80(SYS_SIGALTSTACK, [stack, victim.address(dice)]);
}

fn timer(dice: &mut Dice, victim: &mut Victim) {
    let value = [
        small_or_any(dice),
        dice.throw(1_100_000),
        dice.throw(2),
        dice.throw(1_100_000),
    ];
    if dice.once_in(2) {
        let at = victim.words(&value);
        let _ = raw_int80(SYS_SETITIMER, [1 + dice.throw(3), at, 0]);
        return;
    }
    let event = victim.words(&[
        dice.word(),
        dice.one_of(&[10, 14, 28, 40]),
        dice.one_of(&[0, 1, 2, 4]),
        process::getpid(),
    ]);
    let id = victim.words(&[0; 8]) + 64;
    for _ in 0..1 + dice.throw(8) {
        if raw_int80(SYS_TIMER_CREATE, [dice.throw(4), event, id]) < 0 {
            return;
        }
        let timer = rt::insn::read(id);
        let at = victim.words(&value);
        let _ = raw_int80(SYS_TIMER_SETTIME, [timer, dice.throw(2), at, 0]);
        if dice.once_in(2) {
            let _ = raw_int80(SYS_TIMER_DELETE, [timer]);
        }
    }
}

fn futex(dice: &mut Dice, victim: &mut Victim) {
    let word = victim.address(dice);
    let timeout = victim.words(&[0, dice.throw(2_000_000)]);
    let (operation, value) = (dice.throw(14) | dice.one_of(&[0, 128, 256]), dice.throw(3));
    let other = victim.address(dice);
    // Operations without a timeout take a count there.
    let fourth = dice.one_of(&[timeout, timeout, timeout, 1]);
    let _ = raw_int80(
        SYS_FUTEX,
        [word, operation, value, fourth, other, dice.word()],
    );
}

fn perf(dice: &mut Dice, victim: &mut Victim) {
    let attr = victim.words(&[
        dice.throw(3),
        dice.one_of(&[64, 72, 96, 112, 120]),
        dice.throw(12),
        0,
        small_or_any(dice),
        0,
        dice.throw(512),
        0,
        dice.throw(32),
        0,
    ]);
    let _ = raw_int80(
        SYS_PERF_EVENT_OPEN,
        [
            attr,
            victim.process(dice),
            dice.one_of(&[u32::MAX, 0, 1, 9]),
            dice.one_of(&[u32::MAX, 3, 4]),
            dice.throw(16),
        ],
    );
}

fn scheduling(dice: &mut Dice, victim: &mut Victim) {
    // A real-time priority for root could keep the workers from ever running.
    let priority = dice.one_of(&[0, 0, 1, 10, 100, u32::MAX]);
    let param = victim.words(&[priority, dice.word()]);
    let policy = dice.one_of(&[0, 0, 3, 5, 6, if victim.is_root { 2 } else { 1 }]);
    let _ = raw_int80(SYS_SETSCHEDULER, [0, policy, param]);
    let mask = victim.words(&[dice.word(), dice.word()]);
    let _ = raw_int80(SYS_SETAFFINITY, [0, dice.throw(9), mask]);
    let _ = raw_int80(158, []);
    let back = victim.words(&[0]);
    let _ = raw_int80(SYS_SETSCHEDULER, [0, 0, back]);
}

fn robust_list(dice: &mut Dice, victim: &mut Victim) {
    let head = victim.filled(dice, 3);
    let elsewhere = victim.address(dice);
    let next = dice.one_of(&[head, elsewhere]);
    rt::insn::write(head, next);
    let _ = raw_int80(SYS_SET_ROBUST_LIST, [head, 12]);
}

fn rseq(dice: &mut Dice, victim: &mut Victim) {
    let area = victim.filled(dice, 16) & !31;
    let _ = raw_int80(SYS_RSEQ, [area, 32, dice.throw(3), 0x5305_3053]);
}

fn membarrier(dice: &mut Dice, victim: &mut Victim) {
    let _ = raw_int80(
        SYS_MEMBARRIER,
        [1 << dice.throw(9), victim.argument(dice) * dice.throw(2)],
    );
}

fn execute(dice: &mut Dice, victim: &mut Victim) {
    if !dice.once_in(4) {
        return;
    }
    if let Ok(0) = process::fork() {
        guard::leave();
        let path = c"/tests/fuzz".as_ptr() as u32;
        let argv = victim.words(&[
            path,
            c"leaf".as_ptr() as u32,
            dice.throw(2) * victim.address(dice),
            0,
        ]);
        let address = victim.address(dice);
        let envp = dice.one_of(&[0, 0, address]);
        let _ = raw_int80(11, [path, argv, envp]);
        process::exit(1);
    }
}

/// Executes the bare `sysenter`, with a stack that may not be there.
fn sysenter(dice: &mut Dice, victim: &mut Victim) {
    let stack = victim.address(dice);
    crate::segments::bare_sysenter(stack);
}

/// Accesses ports at which the machine has no device.
fn ports(dice: &mut Dice, victim: &mut Victim) {
    let from = 0x1000 + dice.throw(0xf000);
    let count = dice.one_of(&[1, 8, 100, 0x1_0000 - from, 0x1_0001 - from, 0, u32::MAX]);
    let _ = raw_int80(SYS_IOPERM, [from, count, dice.throw(2)]);
    let _ = victim;
    crate::segments::read_port(from);
}
