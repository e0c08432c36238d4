//! execve: the running process executes another program.
//!
//! Book: ch. 20, "The exec Functions". Linux: 2.6.38 `sys_execve`.

use super::SysResult;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::entry::uaccess::{elements, get_user, getname, strncpy_from_user};
use crate::base::errno::Errno;
use crate::process::exec::do_execve;
use crate::process::initial_stack::{MAX_ARG_STRLEN, Strings};
use crate::process::trace_stop::ptrace_exec;

/// Executes the program at `path`. On success the caller's registers are those of the new program.
pub fn sys_execve(path: u32, argv: u32, envp: u32) -> SysResult {
    let path = getname(path)?;
    // SAFETY: the frame of the system call that we are in; nothing else uses it meanwhile.
    let regs = unsafe { &mut *current_pt_regs() };
    let strings = || Ok((strings(argv)?, strings(envp)?));
    let me = current();
    let old_pid = me.pid();
    do_execve(&path, strings, regs)?;
    drop(path);
    ptrace_exec(me, old_pid);
    Ok(0)
}

/// Returns the strings that an array of pointers, ended by 0, points to. A null array is empty.
fn strings(array: u32) -> Result<Strings, Errno> {
    let mut strings = Strings::new();
    if array == 0 {
        return Ok(strings);
    }
    for at in elements(array, 4) {
        match get_user::<u32>(at)? {
            0 => break,
            pointer => {
                let string =
                    strncpy_from_user(pointer, MAX_ARG_STRLEN).map_err(|errno| match errno {
                        Errno::ENAMETOOLONG => Errno::E2BIG,
                        other => other,
                    })?;
                strings.push(&string)?;
            }
        }
    }
    Ok(strings)
}
