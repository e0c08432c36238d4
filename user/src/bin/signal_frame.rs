//! The contents of a signal frame, and what sigreturn loads from it: field by field, each with a
//! value of its own.
//!
//! Linux: 2.6.38 `setup_sigcontext`, `restore_sigcontext`. Book: ch. 11, "Setting up the frame".
//! Red without: any word of the frame in its place, with its value, read back from there.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::sync::atomic::Ordering::Relaxed;
use rt::{
    eq,
    frame::*,
    gates::syscall,
    insn, ktap,
    machine::is_i386_kernel,
    ok,
    process::getpid,
    signal::{SIGSEGV, SIGTRAP},
    signals::{Action, SA_SIGINFO, SIGUSR1, kill},
    tls::{UserDesc, ldt_selector, write_ldt},
};

const SYS_RT_SIGPENDING: u32 = 176;

/// Sets up flat segments with four selectors of their own.
fn make_segments() -> [u32; 5] {
    for entry in 1..=5 {
        write_ldt(&UserDesc::data(entry, 0)).expect("modify_ldt");
    }
    core::array::from_fn(|n| ldt_selector(n as u32 + 1).into())
}

fn fault() {
    // SAFETY: the assembly keeps the C convention; WANT has flat segments and stacks of ours.
    unsafe { rt_frame_fault() }
}

fn want(words: &[(usize, u32)]) {
    for &(n, value) in words {
        WANT[n].store(value, Relaxed);
    }
}

/// One round of fault, handler and return: checks the frame, and the registers afterwards.
fn registers(rt: bool) {
    let kind = if rt { "with siginfo" } else { "plain" };
    let [gs, fs, es, ds, ss] = make_segments();
    let at = &raw const rt_frame_at as u32;
    let stack = OTHER_STACK[4000..].as_ptr() as u32;
    handle(SIGSEGV, rt);
    leave_cr2();
    want(&[(GS, gs), (FS, fs), (ES, es), (DS, ds), (SS, ss)]);
    want(&[
        (DI, 0xd1),
        (SI, 0x51),
        (BP, 0xb9),
        (BX, 0xb1),
        (DX, 0xd2),
        (CX, 0xc3),
        (AX, 0xa4),
    ]);
    want(&[(SP, stack), (FLAGS, 2 | ARITHMETIC)]);
    let was_blocked = blocked(Some([0x800, 0x80]));
    let alternate = [OTHER_STACK.as_ptr() as u32 & !0xfff, 0, 0x3000];
    altstack(Some(alternate));

    let sc = sigcontext_at();
    let new_stack = stack - 64;
    let flags = 2 | 0x200 | ARITHMETIC ^ (CF | ZF | DF);
    let mut changes = [(0, 0); 24];
    let values = [
        (GS, ss | 0xaaaa_0000),
        (FS, gs | 0xaaaa_0000),
        (ES, fs | 0xaaaa_0000),
        (DS, es | 0xaaaa_0000),
        (SS, ds | 0xaaaa_0000),
        (DI, 0x1d1),
        (SI, 0x151),
        (BP, 0x1b9),
        (BX, 0x1b1),
        (DX, 0x1d2),
        (CX, 0x1c3),
        (AX, 0x1a4),
        (SP, new_stack),
        (SP_AT_SIGNAL, 0x5ba),
        (TRAPNO, 0x7a),
        (ERR, 0xe5),
        (CR2, 0xc12),
        (IP, at + TRAP_BYTES),
        // IOPL, NT, VM, VIF, VIP, ID: a program may not choose these.
        (FLAGS, flags | 0x1a_7000),
        (OLDMASK, if rt { 0x0f0 } else { 0x200 }),
    ];
    for (slot, (word, value)) in changes.iter_mut().zip(values) {
        *slot = (sc + 4 * word, value);
    }
    let masks = if rt {
        [(252, 0x200), (256, 0x40)]
    } else {
        [(720, 0x40), (720, 0x40)]
    };
    changes[20..22].copy_from_slice(&masks);
    let new_alternate = [0x5000, 0, 0x2800];
    if rt {
        changes[22..].copy_from_slice(&[(152, new_alternate[0]), (160, new_alternate[2])]);
    } else {
        changes[22] = changes[21];
        changes[23] = changes[21];
    }
    change(&changes);
    fault();
    let now_blocked = blocked(Some(was_blocked));
    let now_alternate = altstack(Some([0, 2, 0]));

    let frame = load(&FRAME);
    let mut expected = load(&WANT);
    (expected[TRAPNO], expected[ERR], expected[CR2]) = (13, 0x10a, LAST_FAULT);
    (expected[IP], expected[CS]) = (at, insn::cs().into());
    (expected[SP_AT_SIGNAL], expected[OLDMASK]) = (stack, 0x800);
    expected[FLAGS] |= 0x200;
    let mut shown: [u32; 22] = core::array::from_fn(|n| frame[sc / 4 + n]);
    shown[FLAGS] &= !RF;
    shown[FPSTATE] = 0;
    eq!(
        shown,
        expected,
        "{kind}: the interrupted registers, word by word"
    );
    match rt {
        false => eq!(frame[180], 0x80, "{kind}: the blocked set's upper half"),
        true => eq!(
            [frame[63], frame[64]],
            [0x800, 0x80],
            "{kind}: the blocked set"
        ),
    }

    let entry = load(&ENTRY);
    let at_frame = entry[SP];
    let arguments = if rt {
        [at_frame + 16, at_frame + 144]
    } else {
        [0, 0]
    };
    eq!(
        [entry[AX], entry[DX], entry[CX]],
        [SIGSEGV, arguments[0], arguments[1]],
        "{kind}: eax, edx, ecx of the handler"
    );
    let flat = u32::from(insn::ss());
    let segments = [entry[ES], entry[DS], entry[SS], entry[CS], entry[FS]];
    eq!(
        segments,
        [flat, flat, flat, insn::cs().into(), fs],
        "{kind}: segments of the handler"
    );
    eq!(
        entry[FLAGS] & (DF | TF | RF),
        0,
        "{kind}: flags that no handler has"
    );
    eq!(entry[FLAGS] & CF, CF, "{kind}: and one that it has");
    eq!(
        (at_frame + 4) & 15,
        0,
        "{kind}: the stack is aligned as after a call"
    );
    if rt {
        eq!(
            [frame[1], frame[2], frame[3]],
            [SIGSEGV, at_frame + 16, at_frame + 144],
            "{kind}: the arguments"
        );
        // A 64-bit kernel sets a flag when the state is XSAVE's.
        ok!(!is_i386_kernel() || frame[36] == 0, "{kind}: uc_flags");
        eq!(
            [frame[37], frame[38], frame[39], frame[40]],
            [0, alternate[0], 0, alternate[2]],
            "{kind}: uc_link and uc_stack"
        );
    } else {
        eq!(frame[1], SIGSEGV, "{kind}: the argument");
    }

    let mut got = load(&GOT);
    got[FLAGS] &= !RF;
    let mut expected = [0; 22];
    for (word, value) in values.into_iter().take(13) {
        expected[word] = value;
    }
    for selector in [GS, FS, ES, DS, SS] {
        expected[selector] &= 0xffff;
    }
    expected[FLAGS] = flags;
    eq!(
        got,
        expected,
        "{kind}: the registers that sigreturn takes, word by word"
    );
    eq!(
        now_blocked,
        [0x200, 0x40],
        "{kind}: the blocked set that it takes"
    );
    let expected = if rt { new_alternate } else { alternate };
    eq!(
        now_alternate,
        expected,
        "{kind}: the alternate stack that it takes, or leaves"
    );
}

/// Makes a page fault that becomes a signal: later frames show its address.
fn leave_cr2() {
    let pass_over = [(sigcontext_at() + 4 * IP, rt_after_read())];
    change(&pass_over);
    // SAFETY: reads an unmapped address; the handler skips the instruction.
    unsafe { rt_read_last_fault() };
}

unsafe extern "C" {
    fn rt_read_last_fault();
    static rt_read_last_fault_end: u8;
}

fn rt_after_read() -> u32 {
    &raw const rt_read_last_fault_end as u32
}

global_asm!(
    ".pushsection .text.frame, \"ax\", @progbits",
    ".globl rt_read_last_fault, rt_read_last_fault_end",
    "rt_read_last_fault:",
    "movl {at}, %eax",
    "rt_read_last_fault_end:",
    "ret",
    ".popsection",
    at = const LAST_FAULT,
    options(att_syntax)
);

/// With TF in a frame the program goes on for one instruction.
fn single_step() {
    let calls = CALLS.load(Relaxed);
    handle(SIGUSR1, true);
    change(&[(164 + 4 * FLAGS, 0x302)]);
    let me = getpid();
    // The first step ends in the handler of SIGTRAP, which clears TF and must not trap itself.
    let trap = Action::new(step_handler as *const () as u32, SA_SIGINFO);
    trap.set(SIGTRAP).expect("rt_sigaction");
    kill(me, SIGUSR1).expect("kill");
    eq!(
        CALLS.load(Relaxed) - calls,
        2,
        "TF in a frame: one step, then a handler without TF"
    );
}

extern "C" fn step_handler(_: u32, info: *const u32, context: *mut u32) {
    // SAFETY: reads words that the kernel has put there.
    unsafe {
        if *info.add(2) == 2 && *context.add(5 + FLAGS) & TF != 0 {
            CALLS.fetch_add(1, Relaxed);
        }
        let flags = context.add(5 + FLAGS);
        flags.write_volatile(flags.read_volatile() & !TF);
    }
}

fn pending() {
    let mut set = [0x1111_1111u32, 0x2222_2222];
    let was = blocked(Some([0x800, 0x80]));
    kill(getpid(), 12).expect("kill");
    kill(getpid(), 40).expect("kill");
    let ask =
        |set: &mut [u32; 2], bytes| syscall(SYS_RT_SIGPENDING, [set.as_mut_ptr() as u32, bytes]);
    ask(&mut set, 4).expect("rt_sigpending");
    eq!(set, [0x800, 0x2222_2222], "four bytes of the pending set");
    ask(&mut set, 8).expect("rt_sigpending");
    eq!(set, [0x800, 0x80], "all of the pending set");
    eq!(
        ask(&mut set, 9),
        Err(rt::Errno::EINVAL),
        "more than there is: EINVAL"
    );
    handle(12, true);
    handle(40, true);
    change(&[]);
    blocked(Some(was));
}

fn main() -> i32 {
    ktap::plan(11 + 13 + 1 + 3);
    registers(false);
    registers(true);
    single_step();
    pending();
    ktap::finish()
}

rt::main!(main);
