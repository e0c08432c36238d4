//! Signals: sent, handled, or waited for.
//!
//! Linux: sigaction(2), sigreturn(2). Book: ch. 11, "Catching the Signal".

use crate::{Errno, gates::syscall};
use core::arch::global_asm;

const SYS_KILL: u32 = 37;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_RT_SIGTIMEDWAIT: u32 = 177;
const SA_RESTORER: u32 = 0x0400_0000;

/// The handler gets a `siginfo`, and a `ucontext` to return through.
pub const SA_SIGINFO: u32 = 0x4;
/// The handler runs on the alternate stack.
pub const SA_ONSTACK: u32 = 0x0800_0000;
/// The signal is not blocked while its handler runs.
pub const SA_NODEFER: u32 = 0x4000_0000;

/// Calls that the signal interrupts continue after it.
pub const SA_RESTART: u32 = 0x1000_0000;

pub const SIGUSR1: u32 = 10;

/// The interrupted registers, which a handler finds above its argument.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sigcontext {
    words: [u32; 22],
}

impl Sigcontext {
    /// Returns the address at which the program was interrupted.
    pub fn ip(&self) -> u32 {
        self.words[14]
    }

    /// Makes sigreturn load another %cs.
    pub fn set_cs(&mut self, selector: u16) {
        self.set(15, u32::from(selector));
    }

    /// Makes sigreturn load another %ss.
    pub fn set_ss(&mut self, selector: u16) {
        self.set(18, u32::from(selector));
    }

    fn set(&mut self, word: usize, value: u32) {
        // SAFETY: a word of ours; volatile, since only sigreturn reads it.
        unsafe { (&raw mut self.words[word]).write_volatile(value) };
    }
}

/// A signal handler.
pub type Handler = extern "C" fn(signal: u32, context: Sigcontext);

/// Makes `handler` the handler of `signal`.
pub fn set_handler(signal: u32, handler: Handler) -> Result<(), Errno> {
    set_handler_with(signal, handler, 0)
}

/// An action in the form of rt_sigaction.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Action {
    /// Address of the handler.
    pub handler: u32,
    pub flags: u32,
    /// The address to which the handler returns, with SA_RESTORER.
    pub restorer: u32,
    /// Signals blocked while the handler runs: 1 to 32, 33 to 64.
    pub mask: [u32; 2],
}

impl Action {
    /// Returns an action with `handler`, `flags` and the restorer for them.
    pub fn new(handler: u32, flags: u32) -> Self {
        let restorer = match flags & SA_SIGINFO {
            0 => rt_restorer as *const () as u32,
            _ => rt_restorer_siginfo as *const () as u32,
        };
        Self {
            handler,
            flags: flags | SA_RESTORER,
            restorer,
            mask: [0; 2],
        }
    }

    /// Makes this the action of `signal`.
    pub fn set(&self, signal: u32) -> Result<(), Errno> {
        let action = core::ptr::from_ref(self) as u32;
        syscall(SYS_RT_SIGACTION, [signal, action, 0, 8]).map(drop)
    }
}

/// As [`set_handler`], with flags.
pub fn set_handler_with(signal: u32, handler: Handler, flags: u32) -> Result<(), Errno> {
    Action::new(handler as usize as u32, flags).set(signal)
}

pub fn kill(pid: u32, signal: u32) -> Result<(), Errno> {
    syscall(SYS_KILL, [pid, signal]).map(drop)
}

/// Blocks `signals`, so that they stay pending.
pub fn block(signals: &[u32]) {
    let bit = |set, signal: &u32| set | 1u64 << (signal - 1);
    let set = signals.iter().fold(0, bit);
    syscall(SYS_RT_SIGPROCMASK, [0, &raw const set as u32, 0, 8]).expect("rt_sigprocmask");
}

/// Waits for `signal`, which is blocked; returns its code and three words: the timer, its overruns
/// and the value, or the sender's process, its user and the value.
pub fn wait_ms(signal: u32, ms: u32) -> Result<[u32; 4], Errno> {
    let set = 1u64 << (signal - 1);
    let (mut info, time) = ([0u32; 32], [ms / 1000, ms % 1000 * 1_000_000]);
    let at = [
        &raw const set as u32,
        info.as_mut_ptr() as u32,
        time.as_ptr() as u32,
        8,
    ];
    syscall(SYS_RT_SIGTIMEDWAIT, at)?;
    Ok([info[2], info[3], info[4], info[5]])
}

unsafe extern "C" {
    fn rt_restorer();
    fn rt_restorer_siginfo();
}

global_asm!(
    ".pushsection .text.signals, \"ax\", @progbits",
    ".globl rt_restorer",
    ".type rt_restorer, @function",
    "rt_restorer:",
    "popl %eax",       // the signal
    "movl $119, %eax", // sigreturn
    "int $0x80",
    "ud2",
    ".size rt_restorer, . - rt_restorer",
    ".globl rt_restorer_siginfo",
    ".type rt_restorer_siginfo, @function",
    "rt_restorer_siginfo:",
    "movl $173, %eax", // rt_sigreturn
    "int $0x80",
    "ud2",
    ".size rt_restorer_siginfo, . - rt_restorer_siginfo",
    ".popsection",
    options(att_syntax)
);
