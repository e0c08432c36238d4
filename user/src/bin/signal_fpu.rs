//! The FPU and signals: a handler starts with a fresh state, the frame has the interrupted one, and
//! sigreturn restores it; and all of that in a forked child, or a thread, before its first use.
//!
//! Linux: 2.6.38 `save_i387_xstate`, `restore_i387_xstate`, `dup_task_struct`.
//! Book: ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Red without: copying the state and its flag together at fork; the fresh state; the x87 part of a
//! frame; the restore of the state.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rt::{
    child, eq,
    fpu::{self, FRESH_CWD, FRESH_MXCSR, Xmm},
    gates::syscall,
    ktap,
    machine::is_i386_kernel,
    ok,
    process::{WaitStatus, getpid},
    sched::sched_yield,
    signals::{Action, SA_NODEFER, SA_SIGINFO, SIGUSR1, kill},
    thread::{CLONE_VFORK, gettid, spawn, spawn_process},
};

const SYS_TGKILL: u32 = 270;
const SIGUSR2: u32 = 12;
const MINE: i32 = 41;
/// x87 control word: 53 bits, round up.
const CWD: u16 = 0x0a7f;
/// MXCSR with round down; DAZ is 0x40, an exception flag 0x20.
const MXCSR: u32 = 0x3fa0;
const DAZ: u32 = 0x40;

static CWD_IN_HANDLER: AtomicU32 = AtomicU32::new(0);
static TAGS_IN_HANDLER: AtomicU32 = AtomicU32::new(0);
static MXCSR_IN_HANDLER: AtomicU32 = AtomicU32::new(0);
static XMM_IN_HANDLER: AtomicU32 = AtomicU32::new(0);
/// Address of the FPU state in the last frame; below, the words of it that are compared.
static FPSTATE: AtomicU32 = AtomicU32::new(0);
static SHOWN: [AtomicU32; 156] = [const { AtomicU32::new(0) }; 156];
/// Selects what the handler does with the FPU.
static WHAT: AtomicU32 = AtomicU32::new(0);
const LOOK: u32 = 0;
const USE: u32 = 1;
const LEAVE: u32 = 2;
const CHANGE: u32 = 3;
const NEST: u32 = 4;

extern "C" fn handler(signal: u32, _: *const u32, context: *const u32) {
    // SAFETY: the sigcontext of the frame; `fpstate` is its 20th word.
    let fpstate = unsafe { *context.add(5 + 19) };
    if signal == SIGUSR1 {
        FPSTATE.store(fpstate, Relaxed);
    }
    let state = fpstate as *mut u32;
    if fpstate != 0 && signal == SIGUSR1 {
        for (n, word) in SHOWN.iter().enumerate() {
            // SAFETY: within the 624 bytes of the FPU state in the frame.
            word.store(unsafe { state.add(n).read_volatile() }, Relaxed);
        }
    }
    match WHAT.load(Relaxed) {
        LEAVE => return,
        NEST if signal == SIGUSR1 => {
            fpu::x87_load(900, 0x0c7f);
            fpu::xmm_load(&Xmm::named(90));
            kill(getpid(), SIGUSR2).expect("kill");
            let kept = fpu::x87_holds(900, 0x0c7f) && fpu::xmm_store() == Xmm::named(90);
            XMM_IN_HANDLER.store(kept.into(), Relaxed);
            return;
        }
        CHANGE => {
            // SAFETY: words of the frame: control word of the first format, ST0's lowest, those of the
            // second format, xmm5's first and MXCSR.
            unsafe {
                state.write_volatile(0xffff_0c7f);
                state.add(7).write_volatile(0);
                state.add(28).write_volatile(0x037f_037f);
                state.add(28 + 8).write_volatile(0x7777_7777);
                state.add(28 + 40 + 20).write_volatile(0x5555_5555);
                let mxcsr = if is_i386_kernel() { 0xffff_0000 } else { 0 };
                state.add(28 + 6).write_volatile(mxcsr | 0x5f80 | DAZ);
            }
            return;
        }
        _ => {}
    }
    let (cwd, _, tags) = fpu::x87_environment();
    CWD_IN_HANDLER.store(cwd.into(), Relaxed);
    TAGS_IN_HANDLER.store(tags.into(), Relaxed);
    MXCSR_IN_HANDLER.store(fpu::stmxcsr(), Relaxed);
    XMM_IN_HANDLER.store(fpu::xmm_store().0[0], Relaxed);
    if WHAT.load(Relaxed) == USE {
        fpu::x87_load(700, 0x0e7f);
        fpu::xmm_load(&Xmm::named(70));
        fpu::ldmxcsr(0x7f80);
    }
}

fn raise_with(what: u32) {
    WHAT.store(what, Relaxed);
    FPSTATE.store(1, Relaxed);
    syscall(SYS_TGKILL, [getpid(), gettid(), SIGUSR1]).expect("tgkill");
}

fn load() {
    fpu::x87_load(MINE, CWD);
    fpu::xmm_load(&Xmm::named(7));
    fpu::ldmxcsr(MXCSR);
}

/// Returns one bit for each part that is still as `load` set it: x87, SSE, MXCSR.
fn kept() -> u32 {
    u32::from(fpu::x87_holds(MINE, CWD))
        | u32::from(fpu::xmm_store() == Xmm::named(7)) << 1
        | u32::from(fpu::stmxcsr() == MXCSR) << 2
}

/// Returns whether the frame had the state of `load`: control word and ST0 twice, MXCSR, xmm5.
fn shown() -> bool {
    let word = |n: usize| SHOWN[n].load(Relaxed);
    let xmm = Xmm::named(7);
    word(0) == 0xffff_0000 | u32::from(CWD)
        && word(2) & 0xffff == 0
        && word(28) as u16 == CWD
        && word(28 + 6) == MXCSR
        && word(28 + 40 + 20) == xmm.0[20]
        && word(7) == word(28 + 8)
        && word(27) >> 16 == 0
}

/// Signals a new task whose maker has used the FPU; returns 0 if nothing is lost.
fn signalled(pause: bool, what: u32) -> i32 {
    if pause {
        sched_yield();
    }
    raise_with(what);
    let there = FPSTATE.load(Relaxed) > 1 && shown();
    (kept() ^ 7) as i32 | i32::from(!there) << 3
}

extern "C" fn in_thread(argument: u32) -> i32 {
    RESULT.store(signalled(argument & 1 != 0, argument >> 1) as u32, Relaxed);
    0
}

static RESULT: AtomicU32 = AtomicU32::new(0);

fn new_tasks() {
    for (name, what) in [("looks at", LOOK), ("uses", USE), ("leaves", LEAVE)] {
        for pause in [false, true] {
            let when = if pause { "later" } else { "at once" };
            load();
            let status = child(|| signalled(pause, what)).wait();
            eq!(
                status,
                WaitStatus::exited(0),
                "a fork signalled {when}, the handler {name} the FPU"
            );
            let argument = u32::from(pause) | what << 1;
            load();
            RESULT.store(99, Relaxed);
            ok!(
                spawn(in_thread, argument, None).expect("clone").join(),
                "a thread signalled {when}, whose handler {name} the FPU, ends"
            );
            eq!(
                RESULT.load(Relaxed),
                0,
                "a thread signalled {when}, the handler {name} the FPU"
            );
            load();
            RESULT.store(99, Relaxed);
            let pid = spawn_process(CLONE_VFORK, in_thread, argument).expect("clone");
            rt::process::Child { pid }.wait();
            eq!(
                RESULT.load(Relaxed),
                0,
                "a vfork signalled {when}, the handler {name} the FPU"
            );
        }
    }
}

fn handlers() {
    // With `fpu=eager`, and in newer kernels, every task has a state.
    let unused = child(|| {
        raise_with(LEAVE);
        let fresh = 0xffff_0000 | u32::from(FRESH_CWD);
        i32::from(FPSTATE.load(Relaxed) != 0 && SHOWN[0].load(Relaxed) != fresh)
    });
    eq!(
        unused.wait(),
        WaitStatus::exited(0),
        "without state there is none in the frame, or a fresh one"
    );
    for (name, what) in [("looks at", LOOK), ("uses", USE), ("leaves", LEAVE)] {
        load();
        raise_with(what);
        eq!(
            kept(),
            7,
            "x87, SSE and MXCSR are back after a handler that {name} the FPU"
        );
        ok!(shown(), "and were in the frame of one that {name} it");
    }
    load();
    raise_with(LOOK);
    let fresh = [
        CWD_IN_HANDLER.load(Relaxed),
        TAGS_IN_HANDLER.load(Relaxed),
        MXCSR_IN_HANDLER.load(Relaxed),
        XMM_IN_HANDLER.load(Relaxed),
    ];
    eq!(
        fresh,
        [FRESH_CWD.into(), 0xffff, FRESH_MXCSR, 0],
        "a handler starts with a fresh FPU"
    );
    load();
    raise_with(NEST);
    eq!(
        XMM_IN_HANDLER.load(Relaxed),
        1,
        "a handler's own state is back after a nested one"
    );
    eq!(kept(), 7, "and the program's after both");

    load();
    fpu::ldmxcsr(MXCSR | DAZ);
    raise_with(LEAVE);
    eq!(
        fpu::stmxcsr(),
        MXCSR | DAZ,
        "denormals-are-zeros is back too"
    );
    load();
    raise_with(CHANGE);
    let (cwd, _, _) = fpu::x87_environment();
    eq!(
        cwd,
        0x0c7f,
        "x87 is taken from the first format of the frame"
    );
    let mut xmm = Xmm::named(7);
    xmm.0[20] = 0x5555_5555;
    ok!(fpu::xmm_store() == xmm, "SSE from the second");
    eq!(
        fpu::stmxcsr(),
        0x5f80 | DAZ,
        "MXCSR without the bits that the processor refuses"
    );
    fpu::x87_reset();
    fpu::ldmxcsr(FRESH_MXCSR);
}

fn main() -> i32 {
    ktap::plan(1 + 6 + 3 + 4 + 24);
    for signal in [SIGUSR1, SIGUSR2] {
        Action::new(handler as *const () as u32, SA_SIGINFO | SA_NODEFER)
            .set(signal)
            .expect("rt_sigaction");
    }
    handlers();
    new_tasks();
    ktap::finish()
}

rt::main!(main);
