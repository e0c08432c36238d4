//! The table of all calls from a room to a room above it.
//!
//! A room uses the rooms below it. To call a room above, it calls a function of this table, and the
//! linker finds the definition. The room above writes [`provides_upward!`] beside the definition,
//! so the compiler compares the definition with the table, as it does with each call. Both ends
//! therefore have the signature in the table, and an editor leads from either end to it.
//!
//! `tests/tree` refuses any other call of this kind, and a definition in another place than the
//! table says.

use core::fmt::Debug;
use core::sync::atomic::AtomicU64;

use crate::base::errno::Errno;
use crate::base::pt_regs::PtRegs;

/// Number of return addresses in the back-trace of a [`Misuse`].
pub const TRACE_DEPTH: usize = 8;

/// A back-trace: return addresses, innermost first; 0 after the last.
pub type Trace = [u32; TRACE_DEPTH];

/// A forbidden use of a lock, for the report.
pub struct Misuse<'a> {
    /// The broken rule, in words.
    pub what: &'static str,
    /// Class of the lock.
    pub lock: &'a dyn Debug,
    /// Class of the lock that this CPU already holds, if the rule concerns two locks.
    pub other: Option<&'a dyn Debug>,
    /// Back-trace of the place where the other lock, or this one, was taken; zeros if unknown.
    pub there: Trace,
}

/// Declares that the function `$name` of this file is the one in the table, and checks its type.
#[macro_export]
macro_rules! provides_upward {
    ($name:ident) => {
        const _: $crate::base::upward::signature::$name = $name;
    };
}

/// Makes a declaration for callers and a type for the check of the definition from each row.
macro_rules! upward {
    ($($abi:literal { $($(#[$doc:meta])* $from:path => $to:path:
        $kind:tt fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)* })*) => {
        $(unsafe extern $abi {
            $($(#[$doc])* pub $kind fn $name($($arg: $ty),*) $(-> $ret)?;)*
        })*

        /// The type of each function, under the function's name.
        #[expect(non_camel_case_types, reason = "each has the name of its function")]
        pub mod signature {
            use super::{AtomicU64, Errno, Misuse, PtRegs};
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
        /// Returns the running process's limits of stack, data and address space, in bytes; `u32::MAX`
        /// is no limit.
        mm::rlimit => process::rlimit: safe fn mm_rlimits() -> [u32; 3];
        /// Gives the CPU to another task, unless a preemption count or EFLAGS.IF forbids it.
        sync::preempt => sched::schedule: safe fn preempt_schedule();
        /// Stops every CPU, and switches the machine off if the run ended well.
        drivers::qemu_exit => arch::x86::reboot: safe fn machine_power_off(
            value: crate::base::exit_value::ExitValue) -> !;
        /// Does the work due at a tick of this CPU. Called with interrupts off.
        arch::x86::irq::do_irq => sched::tick: safe fn timer_tick();
        /// Checks whether this CPU or its neighbour has stopped switching. Called first in each
        /// tick.
        sched::tick => process::watchdog: safe fn watchdog_tick();
        /// Checks, in an NMI of the boot CPU, how late the CPU's tick is.
        arch::x86::entry::traps => process::watchdog: safe fn watchdog_nmi(regs: &PtRegs);
        /// Returns whether `sig` would end the running task, which has no handler for it.
        arch::x86::entry::traps => process::signal: safe fn unhandled_signal(sig: i32) -> bool;
        /// Sends `sig` to the running task, which can neither block nor ignore it. `code` and `addr`
        /// are its `si_code` and `si_addr`.
        arch::x86::entry::traps => process::signal:
            safe fn force_sig_fault(sig: i32, code: i32, addr: u32);
        /// Sees to it that there is memory, in process context with interrupts on and no lock held. Returns
        /// whether to repeat the access that found no memory; if not, the running task has to end.
        arch::x86::entry::page_fault => process::oom_kill:
            safe fn pagefault_out_of_memory() -> bool;
        /// Delivers a signal to the running task, or restarts the call that a signal interrupted.
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
        /// Unmaps the pages `first..last` of the file at `object` from all processes.
        fs::tmpfs::pages => process::proc::ops:
            safe fn unmap_mapping_range(object: *const (), first: u32, last: u32);
        /// Takes pending signals of `set` from the running task, which waits for the first unless
        /// `nonblocking`, and stores those that fit into `count` bytes at user address `to`; returns
        /// the number of bytes.
        fs::signalfd => process::signal_wait: safe fn read_signals_of(
            set: &AtomicU64, to: u32, count: u32, nonblocking: bool) -> Result<u32, Errno>;
        /// Returns whether a signal of `set` is pending for the running task.
        fs::signalfd => process::signal_wait: safe fn has_signal_of(set: u64) -> bool;
        /// Stores `pid` at the user address `address`, if that is possible.
        sched::wake_up => syscall::process: safe fn put_child_tid(address: u32, pid: i32);
        /// Gives up the robust futexes that the running thread holds.
        process::exit => syscall::robust_list: safe fn exit_robust_list();
        /// Wakes one thread that waits for the word at the user address `address`.
        process::exit => syscall::futex: safe fn futex_wake_tid(address: u32);
    }
    // Called from assembly: no compiler checks the caller.
    "C" {
        /// Switches to another task before the return to ring 3.
        arch::x86::entry::paths => sched::schedule: safe fn schedule();
        /// Switches to another task before the return to a preempted kernel.
        arch::x86::entry::paths => sched::schedule: safe fn preempt_schedule_irq();
        /// Tells the tracer of the running task that a system call begins; returns the number of the
        /// call to make.
        ///
        /// # Safety
        /// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
        arch::x86::entry::paths => process::trace_syscall:
            unsafe fn syscall_trace_enter(regs: *mut PtRegs) -> u32;
        /// Tells the tracer of the running task that a system call ends.
        ///
        /// # Safety
        /// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
        arch::x86::entry::paths => process::trace_syscall:
            unsafe fn syscall_trace_leave(regs: *mut PtRegs);
        /// Handles a system call whose number has no function.
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
        /// Continues the start of CPU `cpu` after its first instructions.
        ///
        /// # Safety
        /// 1. Runs on CPU `cpu`, once, on the stack of its idle task, with interrupts off.
        arch::x86::boot::trampoline => sched::smp_init: unsafe fn start_secondary(cpu: u32) -> !;
        /// Ends a kernel thread whose function has returned `result`.
        arch::x86::switch::ret_from_fork => process::kthread:
            safe fn kernel_thread_exit(result: i32) -> !;
    }
}
