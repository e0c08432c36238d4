//! Signal frames that no kernel made: `sigreturn` and `rt_sigreturn` of whatever a victim wrote.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::values::{Victim, small_or_any};
use rt::{dice::Dice, gates::syscall, process};

const SYS_KILL: u32 = 37;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_SIGRETURN: u32 = 119;
const SYS_RT_SIGRETURN: u32 = 173;
const SA_SIGINFO: u32 = 4;
const SIGUSR2: u32 = 12;

static WORD: AtomicU32 = AtomicU32::new(0);
static VALUE: AtomicU32 = AtomicU32::new(0);

/// Changes a word of the frame of a running handler, or returns from a frame of random words.
pub fn forge(dice: &mut Dice, victim: &Victim) {
    if dice.once_in(3) {
        let frame = victim.filled(dice, 200);
        let number = dice.one_of(&[SYS_SIGRETURN, SYS_RT_SIGRETURN]);
        (if number == SYS_SIGRETURN {
            sigreturn
        } else {
            rt_sigreturn
        })(frame);
        return;
    }
    // Words 0 to 21 are the context; above them are the FPU state, the mask and, with SA_SIGINFO,
    // more.
    let words = dice.one_of(&[22, 200]);
    WORD.store(dice.throw(words), Relaxed);
    let value = match dice.throw(3) {
        0 => victim.address(dice),
        1 => dice.throw(1 << 16),
        _ => small_or_any(dice),
    };
    VALUE.store(value, Relaxed);
    let flags = dice.one_of(&[0, SA_SIGINFO]);
    let action = victim.words(&[handler as *const () as u32, flags, 0, 0, 0]);
    if syscall(SYS_RT_SIGACTION, [SIGUSR2, action, 0, 8]).is_ok() {
        raise(SIGUSR2);
    }
}

extern "C" fn raise(signal: u32) {
    let _ = syscall(SYS_KILL, [process::getpid(), signal]);
}

/// A handler that changes the context to which it returns.
extern "C" fn handler(signal: u32) {
    let above = &raw const signal as u32 + 4;
    rt::insn::write(above + 4 * WORD.load(Relaxed), VALUE.load(Relaxed));
}

extern "C" fn sigreturn(frame: u32) {
    // SAFETY: the kernel loads what lies at `frame`, or ends the victim.
    unsafe {
        asm!("movl {0:e}, %esp; movl $119, %eax; int $0x80; ud2", in(reg) frame, options(att_syntax, noreturn))
    }
}

extern "C" fn rt_sigreturn(frame: u32) {
    // SAFETY: as above.
    unsafe {
        asm!("movl {0:e}, %esp; movl $173, %eax; int $0x80; ud2", in(reg) frame, options(att_syntax, noreturn))
    }
}
