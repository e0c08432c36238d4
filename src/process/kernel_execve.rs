//! `kernel_execve`: a kernel thread becomes a program.
//!
//! Called by task 1 for init, and by the tour and the stress run for their programs, on the
//! thread's own stack.
//!
//! Book: ch. 20, "The exec Functions". Linux: 2.6.38 `kernel_execve`, `run_init_process`.

use core::convert::Infallible;

use super::exec::do_execve;
use super::initial_stack::Strings;
use super::tasklist::INIT_PID;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::switch::ret_from_fork::ret_from_kernel_execve;
use crate::base::errno::Errno;
use crate::fs::files_struct::{FilesStruct, FsStruct};
use crate::mm::fail_alloc;
use crate::mm::fallible::try_arc;
use crate::task::state::PF_KTHREAD;

/// Turns the running kernel thread into the process of program `argv[0]`, with the console as its
/// files. Returns only on error. From then on `fail_alloc=` takes effect.
///
/// # Errors
/// Those of `do_execve`; the task remains a kernel thread.
pub fn kernel_execve(argv: &[&str]) -> Result<Infallible, Errno> {
    execute(argv)?;
    fail_alloc::start();
    // The strings are gone: `execute` has freed everything it allocated.
    // SAFETY: exec gave us an address space and filled in our `pt_regs`.
    unsafe { ret_from_kernel_execve() }
}

fn execute(argv: &[&str]) -> Result<(), Errno> {
    let me = current();
    let strings = |list: &[&str]| {
        let mut strings = Strings::new();
        list.iter().try_for_each(|s| strings.push(s.as_bytes()))?;
        Ok::<_, Errno>(strings)
    };
    let (args, envp) = (
        strings(argv)?,
        strings(&["HOME=/", "PATH=/bin:/tests", "TERM=linux"])?,
    );
    *me.files.lock() = Some(try_arc(FilesStruct::console()?)?);
    *me.fs.lock() = Some(try_arc(FsStruct::new())?);
    me.flags.remove(PF_KTHREAD);
    if me.pid() == INIT_PID {
        me.signal.make_unkillable();
    }
    let path = argv.first().ok_or(Errno::ENOENT)?;
    // SAFETY: the frame at the top of our own stack, kept free by `kernel_thread_helper`.
    do_execve(path.as_bytes(), || Ok((args, envp)), unsafe {
        &mut *current_pt_regs()
    })
    .inspect_err(|_| me.flags.insert(PF_KTHREAD))
}
