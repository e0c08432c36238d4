//! The calls from a room to a room above it, all in one table.
//!
//! A room uses the rooms below it. Where it has to call a room above, it calls a function of this table,
//! and the linker finds the definition. The room above says [`provides_upward!`] beside the definition:
//! that makes the compiler hold the definition against the table, as it does with each call. So both
//! ends have the signature that stands here, and an editor leads from either end to it.
//!
//! `tests/tree` refuses any other call of this kind, and a definition that is not where the table says.

use core::fmt::Debug;

use crate::base::pt_regs::PtRegs;

/// Return addresses that a [`Misuse`] has of a backtrace.
pub const TRACE_DEPTH: usize = 8;

/// Return addresses, innermost first; 0 after the last.
pub type Trace = [u32; TRACE_DEPTH];

/// A lock that is used as it must not be, for the report.
pub struct Misuse<'a> {
    /// The rule that is broken, in words.
    pub what: &'static str,
    /// Class of the lock.
    pub lock: &'a dyn Debug,
    /// Class of the lock that this CPU holds already, if the rule is about two locks.
    pub other: Option<&'a dyn Debug>,
    /// Where the other lock, or this one, was taken; zeros if nowhere.
    pub there: Trace,
}

/// Says that the function `$name`, defined in this file, is the one of the table.
#[macro_export]
macro_rules! provides_upward {
    ($name:ident) => {
        const _: $crate::base::upward::signature::$name = $name;
    };
}

/// Makes of each row a declaration to call, and a type to hold the definition against.
macro_rules! upward {
    ($($abi:literal { $($(#[$doc:meta])* $from:path => $to:path:
        $kind:tt fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)* })*) => {
        $(unsafe extern $abi {
            $($(#[$doc])* pub $kind fn $name($($arg: $ty),*) $(-> $ret)?;)*
        })*

        /// What the definitions have to be: the type of each function, by its name.
        #[expect(non_camel_case_types, reason = "each has the name of its function")]
        pub mod signature {
            use super::{Misuse, PtRegs};
            $($(upward!(@$kind $abi $name($($ty),*) $(-> $ret)?);)*)*
        }
    };
    (@safe $abi:literal $name:ident($($ty:ty),*) $(-> $ret:ty)?) => {
        #[doc = concat!("Type of [`", stringify!($name), "`](super::", stringify!($name), ").")]
        pub type $name = extern $abi fn($($ty),*) $(-> $ret)?;
    };
    (@unsafe $abi:literal $name:ident($($ty:ty),*) $(-> $ret:ty)?) => {
        #[doc = concat!("Type of [`", stringify!($name), "`](super::", stringify!($name), ").")]
        pub type $name = unsafe extern $abi fn($($ty),*) $(-> $ret)?;
    };
}

upward! {
    // Called from Rust.
    "Rust" {
        /// Ends the kernel with a report of `misuse`.
        sync::lockdep => arch::x86::epitaph: safe fn lock_misuse(misuse: &Misuse<'_>) -> !;
        /// Gives the CPU to another task, unless a preemption count or EFLAGS.IF forbids it.
        sync::preempt => sched::schedule: safe fn preempt_schedule();
        /// Does what is due at a tick of this CPU. Called with interrupts off.
        arch::x86::irq::do_irq => sched::tick: safe fn timer_tick();
        /// Looks whether this CPU, or its neighbour, has stood still. Called first in each tick.
        sched::tick => process::watchdog: safe fn watchdog_tick();
        /// Looks, in an NMI of the boot CPU, for how long its tick has been late.
        arch::x86::entry::traps => process::watchdog: safe fn watchdog_nmi(regs: &PtRegs);
        /// Returns whether `sig` would end the running task, which has no handler for it.
        arch::x86::entry::traps => process::signal: safe fn unhandled_signal(sig: i32) -> bool;
        /// Sends `sig` to the running task, which can neither block nor ignore it. `code` and `addr`
        /// are its `si_code` and `si_addr`.
        arch::x86::entry::traps => process::signal:
            safe fn force_sig_fault(sig: i32, code: i32, addr: u32);
        /// Delivers a signal to the running task, or restarts the call that one interrupted.
        ///
        /// # Safety
        /// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
        arch::x86::entry::notify_resume => process::signal_delivery:
            unsafe fn do_notify_resume(regs: *mut PtRegs);
        /// Ends a restartable sequence of the running task that a switch, a signal or a move to
        /// another CPU has interrupted.
        ///
        /// # Safety
        /// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
        arch::x86::entry::notify_resume => process::rseq:
            unsafe fn rseq_handle_notify_resume(regs: *mut PtRegs);
        /// Stores `pid` at the user address `address`; does nothing if nothing can be stored there.
        sched::wake_up => syscall::process: safe fn put_child_tid(address: u32, pid: i32);
        /// Gives up the robust futexes that the running thread holds.
        process::exit => syscall::robust_list: safe fn exit_robust_list();
        /// Wakes one thread that waits for the word at the user address `address`.
        process::exit => syscall::futex: safe fn futex_wake_tid(address: u32);
    }
    // Called from assembly, whose end no compiler checks.
    "C" {
        /// Switches to another task before the return to ring 3.
        arch::x86::entry::paths => sched::schedule: safe fn schedule();
        /// Switches to another task before the return to a preempted kernel.
        arch::x86::entry::paths => sched::schedule: safe fn preempt_schedule_irq();
        /// Answers a call whose number has no function.
        arch::x86::entry::paths => syscall::table: safe fn sys_ni_syscall() -> i32;
        /// Ends a program that is in virtual-8086 mode.
        arch::x86::entry::paths => process::exit: safe fn exit_from_vm86() -> !;
        /// Ends the switch to a task that has never run.
        ///
        /// # Safety
        /// 1. `last` is the `TaskStruct` that the switch left in eax, and nothing has run since on
        ///    this stack.
        arch::x86::switch::ret_from_fork => sched::finish_task_switch:
            unsafe fn schedule_tail(last: *mut ());
        /// Goes on with CPU `cpu`, from its first instructions.
        ///
        /// # Safety
        /// 1. Runs on CPU `cpu`, once, on the stack of its idle task, with interrupts off.
        arch::x86::boot::trampoline => sched::smp_init: unsafe fn start_secondary(cpu: u32) -> !;
        /// Ends a kernel thread whose function has returned `result`.
        arch::x86::switch::ret_from_fork => process::kthread:
            safe fn kernel_thread_exit(result: i32) -> !;
    }
}
