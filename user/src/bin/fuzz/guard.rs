//! Goes on after a fault: a deed runs under handlers that return to where it began. A timer cuts
//! short a deed that sleeps or does not end, in the same way.
//!
//! Only the first thread of a victim runs its deeds here. A fault outside of a deed ends the
//! victim.

use core::{
    arch::global_asm,
    cell::UnsafeCell,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use rt::{gates::syscall, process};

const SYS_SETITIMER: u32 = 104;
const SYS_RT_SIGACTION: u32 = 174;
const SYS_RT_SIGPROCMASK: u32 = 175;
const SYS_SIGALTSTACK: u32 = 186;
const SA_ONSTACK: u32 = 0x0800_0000;
const SA_NODEFER: u32 = 0x4000_0000;
const SIGALRM: u32 = 14;
/// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGALRM.
const SIGNALS: [u32; 6] = [4, 5, 7, 8, 11, SIGALRM];
/// Microseconds from one alarm to the next: a deed may last twice as long.
const ALARM_US: u32 = 20_000;
/// Faults after which a victim ends.
const MOST_FAULTS: u32 = 4_000;

/// The stack pointer of the deed that runs; 0 while none does. The assembly reads it.
static RT_FUZZ_ESP: AtomicU32 = AtomicU32::new(0);
static FAULTS: AtomicU32 = AtomicU32::new(0);

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; 16384]>);

// SAFETY: only the kernel and the handler, which runs once at a time, use it.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; 16384]));

unsafe extern "C" {
    /// Calls `deed(argument)`; returns even if a signal cuts it short.
    fn rt_fuzz_guarded(deed: extern "C" fn(u32), argument: u32);
    fn rt_fuzz_recover();
}

/// Installs the handlers, their stack and the timer, all of which deeds may have changed.
pub fn install() {
    let stack = [STACK.0.get() as u32, 0, size_of::<Stack>() as u32];
    let _ = syscall(SYS_SIGALTSTACK, [stack.as_ptr() as u32, 0]);
    for signal in SIGNALS {
        let action = [
            handler as *const () as u32,
            SA_ONSTACK | SA_NODEFER,
            0,
            0,
            0,
        ];
        let _ = syscall(SYS_RT_SIGACTION, [signal, action.as_ptr() as u32, 0, 8]);
    }
    let none = 0u64;
    let _ = syscall(SYS_RT_SIGPROCMASK, [2, &raw const none as u32, 0, 8]);
    let alarms = [0, ALARM_US, 0, ALARM_US];
    let _ = syscall(SYS_SETITIMER, [0, alarms.as_ptr() as u32, 0]);
}

/// Runs `deed`; a fault in it, or an alarm, ends it.
pub fn guarded(deed: extern "C" fn(u32), argument: u32) {
    // SAFETY: the stub keeps the C convention; a deed that is cut short leaves nothing behind that
    // other code relies on.
    unsafe { rt_fuzz_guarded(deed, argument) };
}

/// Called in a new process: its parent's deed is not its own.
pub fn leave() {
    RT_FUZZ_ESP.store(0, Relaxed);
}

/// The interrupted registers, which a handler without SA_SIGINFO finds above the signal's number.
#[repr(C)]
struct Context([u32; 22]);

/// Makes `sigreturn` go back to where the deed began, with flat segments and plain flags.
extern "C" fn handler(signal: u32, mut context: Context) {
    let esp = RT_FUZZ_ESP.load(Relaxed);
    if esp == 0 && signal == SIGALRM {
        return;
    }
    if esp == 0 || FAULTS.fetch_add(1, Relaxed) > MOST_FAULTS {
        process::exit_group(3);
    }
    for (word, value) in [
        (0, 0),                                    // gs
        (1, 0),                                    // fs
        (2, 0x7b),                                 // es
        (3, 0x7b),                                 // ds
        (7, esp),                                  // esp
        (14, rt_fuzz_recover as *const () as u32), // eip
        (15, 0x73),                                // cs
        (16, 0x202),                               // eflags
        (18, 0x7b),                                // ss
    ] {
        // SAFETY: a word of the frame; volatile, since only sigreturn reads it.
        unsafe { (&raw mut context.0[word]).write_volatile(value) };
    }
}

global_asm!(
    ".pushsection .text.fuzz, \"ax\", @progbits",
    ".globl rt_fuzz_guarded",
    ".globl rt_fuzz_recover",
    ".type rt_fuzz_guarded, @function",
    "rt_fuzz_guarded:",
    "movl 4(%esp), %eax",   // deed
    "movl 8(%esp), %edx",   // argument
    "pushl %ebp",
    "pushl %ebx",
    "pushl %esi",
    "pushl %edi",
    "movl %esp, {esp}",
    "pushl %edx",
    "call *%eax",
    "rt_fuzz_recover:",
    "movl {esp}, %esp",
    "movl $0, {esp}",
    "popl %edi",
    "popl %esi",
    "popl %ebx",
    "popl %ebp",
    "cld",
    "ret",
    ".size rt_fuzz_guarded, . - rt_fuzz_guarded",
    ".popsection",
    esp = sym RT_FUZZ_ESP,
    options(att_syntax)
);
