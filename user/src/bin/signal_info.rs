//! What the kernel tells handlers: which process sent a signal, which exception it was; and how
//! sigreturn treats frames that no kernel has made.
//!
//! Linux: 2.6.38 `copy_siginfo_to_user`, `do_trap`, `math_error`, sigaction(2), "The siginfo_t argument".
//! Red without: the words of siginfo by their source; vector, error code and address of an exception;
//! the checks of sigreturn.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    child, eq, expect_exit, expect_signal,
    frame::*,
    gates::syscall,
    insn, ktap,
    machine::{self, is_i386_kernel},
    memory::KERNEL_ADDRESS,
    process::{self, getpid, getppid},
    sched::sched_yield,
    signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP},
    signals::{Action, SIGUSR1, kill},
    tls::{SEG_NOT_PRESENT, UserDesc, write_ldt},
};

const SYS_PIPE: u32 = 42;
const SYS_WRITE: u32 = 4;
const SYS_CLOSE: u32 = 6;
const SYS_SETITIMER: u32 = 104;
const SYS_TGKILL: u32 = 270;
const SYS_RT_SIGQUEUEINFO: u32 = 178;
const SIGPIPE: u32 = 13;
const SIGALRM: u32 = 14;
const SIGCHLD: u32 = 17;
const SIGNAL: u32 = 34;

/// Returns the words of siginfo that the handler of `signal` finds after `send`.
fn told<const N: usize>(signal: u32, send: impl FnOnce()) -> [u32; N] {
    handle(signal, true);
    change(&[]);
    let calls = CALLS.load(Relaxed);
    send();
    if CALLS.load(Relaxed) == calls {
        rt::println!("# no signal {signal}");
    }
    let frame = load(&FRAME);
    core::array::from_fn(|n| frame[4 + n])
}

fn sources() {
    let me = getpid();
    eq!(
        told(SIGUSR1, || kill(me, SIGUSR1).expect("kill")),
        [SIGUSR1, 0, 0, me, 0, 0],
        "told of kill: SI_USER, pid, uid"
    );
    let tgkill = || _ = syscall(SYS_TGKILL, [me, me, SIGUSR1]).expect("tgkill");
    eq!(
        told(SIGUSR1, tgkill),
        [SIGUSR1, 0, -6i32 as u32, me, 0, 0],
        "told of tgkill: SI_TKILL, pid, uid"
    );
    let info: [u32; 32] = core::array::from_fn(|n| match n {
        0 => 77,
        1..=5 => 0x1000 + n as u32,
        _ => 0,
    });
    let mut queued = info;
    queued[2] = -1i32 as u32;
    let queue = || {
        _ = syscall(SYS_RT_SIGQUEUEINFO, [me, SIGNAL, queued.as_ptr() as u32]).expect("sigqueue")
    };
    eq!(
        told(SIGNAL, queue),
        [SIGNAL, 0x1001, -1i32 as u32, 0x1003, 0x1004, 0x1005, 0],
        "told of sigqueue: all that the sender says"
    );
    let mut pipe = [0u32; 2];
    syscall(SYS_PIPE, [pipe.as_mut_ptr() as u32]).expect("pipe");
    syscall(SYS_CLOSE, [pipe[0]]).expect("close");
    let write = || _ = syscall(SYS_WRITE, [pipe[1], pipe.as_ptr() as u32, 1]);
    eq!(
        told(SIGPIPE, write),
        [SIGPIPE, 0, 0, me, 0],
        "told of a broken pipe: SI_USER, of oneself"
    );
    let alarm = || {
        let soon = [0u32, 0, 0, 1];
        let calls = CALLS.load(Relaxed);
        syscall(SYS_SETITIMER, [0, soon.as_ptr() as u32, 0]).expect("setitimer");
        while CALLS.load(Relaxed) == calls {
            sched_yield();
        }
    };
    eq!(
        told(SIGALRM, alarm),
        [SIGALRM, 0, 0x80, 0, 0],
        "told of an alarm: SI_KERNEL"
    );
    let number = AtomicU32::new(0);
    let end = || {
        let one = child(|| 7);
        number.store(one.pid, Relaxed);
        one.wait();
    };
    let words = told(SIGCHLD, end);
    eq!(
        words,
        [SIGCHLD, 0, 1, number.load(Relaxed), 0, 7],
        "told of a child: CLD_EXITED, pid, uid, status"
    );
    Action::default().set(SIGCHLD).expect("rt_sigaction");
    let parent = getpid();
    expect_exit("told by another process: its pid", 0, || {
        let me = getpid();
        let send = || _ = child(|| i32::from(kill(getppid(), SIGUSR1).is_err())).wait();
        let words: [u32; 5] = told(SIGUSR1, send);
        i32::from(words[3] == me || words[3] == parent || words[2] != 0)
    });
}

/// What a handler learns of an exception: (`si_code`, `si_addr`, trapno, err). [`HERE`] stands for
/// the address of the instruction itself.
type Exception = (i32, u32, u32, u32);
const HERE: u32 = 1;

fn exception(signal: u32, raise: extern "C" fn()) -> Exception {
    handle(signal, true);
    // Continue at the address that `raise` fills in for the value.
    change(&[(164 + 4 * IP, 0)]);
    raise();
    let frame = load(&FRAME);
    let sc = |word: usize| frame[41 + word];
    let address = if frame[7] == sc(IP) { HERE } else { frame[7] };
    (frame[6] as i32, address, sc(TRAPNO), sc(ERR))
}

/// Defines a function that raises an exception and goes on behind it.
macro_rules! raise {
    ($($insn:literal),+) => {{
        extern "C" fn raise() {
            // SAFETY: the instructions change eax, ecx, edx and the FPU's registers only.
            unsafe {
                core::arch::asm!(
                    "pushl %ds",
                    "movl $7f, {changes}+4",
                    $($insn,)+
                    "7:",
                    "popl %ds",
                    changes = sym CHANGES,
                    out("eax") _, out("ecx") _, out("edx") _,
                    options(att_syntax)
                )
            }
        }
        raise as extern "C" fn()
    }};
}

/// An LDT entry that is not present; below, its selector without the two low bits: an error code.
const ABSENT: u32 = 9;
const ABSENT_ERROR: u32 = ABSENT << 3 | 4;

fn exceptions() {
    const SI_KERNEL: i32 = 128;
    let absent = UserDesc {
        flags: UserDesc::data(ABSENT, 0).flags | SEG_NOT_PRESENT,
        ..UserDesc::data(ABSENT, 0)
    };
    write_ldt(&absent).expect("modify_ldt");
    let cases: &[(&str, u32, extern "C" fn(), Exception)] = &[
        ("hlt", SIGSEGV, raise!("hlt"), (SI_KERNEL, 0, 13, 0)),
        (
            "int $0x21",
            SIGSEGV,
            raise!("int $0x21"),
            (SI_KERNEL, 0, 13, 0x10a),
        ),
        (
            "a selector behind the GDT",
            SIGSEGV,
            raise!("movl $0x1238, %eax", "movl %eax, %ds"),
            (SI_KERNEL, 0, 13, 0x1238),
        ),
        ("ud2", SIGILL, raise!("ud2"), (2, HERE, 6, 0)),
        (
            "division by zero",
            SIGFPE,
            raise!(
                "xorl %ecx, %ecx",
                "movl $1, %eax",
                "xorl %edx, %edx",
                "divl %ecx"
            ),
            (1, HERE, 0, 0),
        ),
        ("int3", SIGTRAP, raise!("int3"), (SI_KERNEL, 0, 3, 0)),
        (
            "into",
            SIGSEGV,
            raise!("movb $127, %al", "incb %al", "into"),
            (SI_KERNEL, 0, 4, 0),
        ),
        (
            "bound",
            SIGSEGV,
            raise!(
                "pushl $2",
                "pushl $1",
                "xorl %eax, %eax",
                "movl %esp, %ecx",
                "addl $8, %esp",
                "bound %eax, (%ecx)"
            ),
            (SI_KERNEL, 0, 5, 0),
        ),
        (
            "an absent data segment",
            SIGBUS,
            raise!("movl $0x4f, %eax", "movl %eax, %ds"),
            (SI_KERNEL, 0, 11, ABSENT_ERROR),
        ),
        (
            "an absent stack segment",
            SIGBUS,
            raise!("movl $0x4f, %eax", "movl %eax, %ss"),
            (SI_KERNEL, 0, 12, ABSENT_ERROR),
        ),
        (
            "a read of an unmapped page",
            SIGSEGV,
            raise!("movl 0x20, %eax"),
            (1, 0x20, 14, 4),
        ),
        (
            "a write to an unmapped page",
            SIGSEGV,
            raise!("movl %eax, 0x24"),
            (1, 0x24, 14, 6),
        ),
        (
            "x87 division by zero",
            SIGFPE,
            raise!(
                "fninit",
                "pushl $0x37b",
                "fldcw (%esp)",
                "addl $4, %esp",
                "fld1",
                "fldz",
                "fdivrp",
                "fwait"
            ),
            (3, HERE, 16, 0),
        ),
        (
            "SSE division by zero",
            SIGFPE,
            raise!(
                "pushl $0x1d80",
                "ldmxcsr (%esp)",
                "addl $4, %esp",
                "movl $1, %eax",
                "cvtsi2ss %eax, %xmm0",
                "xorps %xmm1, %xmm1",
                "divss %xmm1, %xmm0"
            ),
            (3, HERE, 19, 0),
        ),
        (
            "SSE invalid",
            SIGFPE,
            raise!(
                "pushl $0x1f00",
                "ldmxcsr (%esp)",
                "addl $4, %esp",
                "xorps %xmm0, %xmm0",
                "divss %xmm0, %xmm0"
            ),
            (7, HERE, 19, 0),
        ),
    ];
    for (name, signal, raise, wanted) in cases {
        if wanted.2 == 19 && machine::is_tcg() {
            rt::skip!(
                "QEMU's TCG raises no #XM",
                "{name}: si_code, si_addr, trapno, err"
            );
            continue;
        }
        eq!(
            exception(*signal, *raise),
            *wanted,
            "{name}: si_code, si_addr, trapno, err"
        );
        rt::fpu::x87_reset();
        rt::fpu::ldmxcsr(rt::fpu::FRESH_MXCSR);
    }
    let wanted = (1, 0xc000_0000, 14, 5);
    match is_i386_kernel() {
        true => eq!(
            exception(SIGSEGV, raise!("movl 0xc0000000, %eax")),
            wanted,
            "a read of the kernel's memory: as if something were there"
        ),
        false => rt::skip!(
            "a 64-bit kernel has none there",
            "a read of the kernel's memory"
        ),
    }
}

/// Forged and broken frames.
fn bad_frames() {
    // A handler for SIGSEGV would return through a frame that is just as bad.
    Action::default().set(SIGSEGV).expect("rt_sigaction");
    Action::default().set(SIGILL).expect("rt_sigaction");
    let with = |word: usize, value: u32| {
        move || {
            handle(SIGUSR1, true);
            change(&[(164 + 4 * word, value)]);
            kill(getpid(), SIGUSR1)
        }
    };
    expect_signal(
        "an FPU state at an unmapped address ends the program",
        SIGSEGV,
        with(FPSTATE, 0x10),
    );
    expect_signal(
        "so does one of the kernel's",
        SIGSEGV,
        with(FPSTATE, KERNEL_ADDRESS),
    );
    let bad_iret = machine::signal_of_bad_iret();
    expect_signal("so does the kernel's %cs", bad_iret, with(CS, 0x60));
    expect_signal("and its %ss", bad_iret, with(SS, 0x68));
    expect_signal("and an empty %cs", bad_iret, with(CS, 0));
    expect_signal(
        "and an %ip in the kernel",
        SIGSEGV,
        with(IP, KERNEL_ADDRESS),
    );
    expect_signal("a frame at an unmapped address", SIGSEGV, || {
        // SAFETY: the kernel does not return here.
        unsafe {
            core::arch::asm!(
                "movl $0x100, %esp",
                "movl $173, %eax",
                "int $0x80",
                options(att_syntax)
            )
        }
    });
    expect_signal("no stack for the frame", SIGSEGV, || {
        handle(SIGSEGV, false);
        // SAFETY: the kernel does not return here.
        unsafe { core::arch::asm!("movl $0x100, %esp", "hlt", options(att_syntax)) }
    });
    expect_signal("a handler at an unmapped address", SIGSEGV, || {
        Action::new(0x30, 0).set(SIGUSR1).expect("rt_sigaction");
        kill(getpid(), SIGUSR1)
    });
    expect_exit("the kernel's data selectors become 0", 0, || {
        handle(SIGUSR1, true);
        change(&[(164 + 4 * FS, 0x68), (164 + 4 * GS, 0x80)]);
        kill(getpid(), SIGUSR1).expect("kill");
        i32::from(insn::fs() != 0 || insn::gs() != 0)
    });
}

fn main() -> i32 {
    ktap::plan(7 + 16 + 10);
    sources();
    exceptions();
    bad_frames();
    process::wait4(-1, process::WNOHANG).expect_err("no child is left");
    ktap::finish()
}

rt::main!(main);
