//! Kernel threads: tasks that have no address space.
//!
//! Book: ch. 3, "Kernel Threads". Linux: 2.6.38 `kernel_thread` (function in si, argument in di).

use super::exit::do_exit;
use super::fork::{CloneArgs, copy_process};
use crate::arch::x86::switch::canary::KERNEL_GS;
use crate::arch::x86::switch::ret_from_fork::kernel_thread_helper;
use crate::base::errno::Errno;
use crate::base::pt_regs::PtRegs;
use crate::hw::desc::{KERNEL_CS, KERNEL_PERCPU, USER_DS};
use crate::hw::eflags::Eflags;
use crate::provides_upward;
use crate::sched::wake_up::wake_up_new_task;
use crate::task::clone_flags::CLONE_VM;
use crate::task::task_struct::TaskRef;

/// Starts a kernel thread `name` that calls `function(argument)` and exits with its result.
///
/// # Errors
/// EAGAIN or ENOMEM, as for fork.
pub fn kernel_thread(
    function: extern "C" fn(u32) -> i32,
    argument: u32,
    name: &str,
) -> Result<TaskRef, Errno> {
    let task = new_kernel_thread(function, argument, name)?;
    wake_up_new_task(&task);
    Ok(task)
}

/// Makes a kernel thread as [`kernel_thread`] does, but it does not run until `wake_up_new_task`.
///
/// # Errors
/// EAGAIN or ENOMEM, as for fork.
pub fn new_kernel_thread(
    function: extern "C" fn(u32) -> i32,
    argument: u32,
    name: &str,
) -> Result<TaskRef, Errno> {
    // The registers that `ret_from_fork` "returns" with.
    let regs = PtRegs {
        si: function as *const () as u32,
        di: argument,
        ds: u32::from(USER_DS.0),
        es: u32::from(USER_DS.0),
        fs: u32::from(KERNEL_PERCPU.0),
        gs: KERNEL_GS,
        orig_ax: u32::MAX,
        ip: kernel_thread_helper as *const () as u32,
        cs: u32::from(KERNEL_CS.0),
        flags: Eflags::NEW_TASK.bits(),
        ..PtRegs::default()
    };
    let args = CloneArgs {
        flags: CLONE_VM,
        ..CloneArgs::default()
    };
    copy_process(&args, &regs, Some(name))
}

/// Ends a kernel thread whose function has returned. Called by `kernel_thread_helper`.
#[unsafe(no_mangle)]
extern "C" fn kernel_thread_exit(result: i32) -> ! {
    do_exit((result & 0xff) << 8)
}

provides_upward!(kernel_thread_exit);
