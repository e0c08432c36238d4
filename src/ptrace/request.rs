//! The system call ptrace: a request, a task's number, and two arguments.
//!
//! A request other than TRACEME, ATTACH, SEIZE, INTERRUPT and KILL needs a task that has stopped for
//! the caller: else ESRCH.
//!
//! Linux: 2.6.38 `sys_ptrace`, `ptrace_request`, `arch_ptrace`.

use core::sync::atomic::Ordering;

use super::held::Held;
use super::{SysResult, attach, fpu, memory, regset, resume, signals, tls, user_area};
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{get_user, put_user};
use crate::base::errno::Errno;
use crate::process::signal::kill_thread;
use crate::process::tasklist::{TASKLIST, find_task_by_pid};
use crate::process::trace_link::traceme;
use crate::task::task_struct::TaskRef;
use crate::task::traced::{
    PT_OPTIONS, PT_SINGLESTEP, PT_SYSCALL_EMU, PT_SYSCALL_TRACE, PtraceFlags,
};

const PTRACE_TRACEME: u32 = 0;
const PTRACE_PEEKTEXT: u32 = 1;
const PTRACE_PEEKDATA: u32 = 2;
const PTRACE_PEEKUSR: u32 = 3;
const PTRACE_POKETEXT: u32 = 4;
const PTRACE_POKEDATA: u32 = 5;
const PTRACE_POKEUSR: u32 = 6;
const PTRACE_CONT: u32 = 7;
const PTRACE_KILL: u32 = 8;
const PTRACE_SINGLESTEP: u32 = 9;
const PTRACE_GETREGS: u32 = 12;
const PTRACE_SETREGS: u32 = 13;
const PTRACE_GETFPREGS: u32 = 14;
const PTRACE_SETFPREGS: u32 = 15;
const PTRACE_ATTACH: u32 = 16;
const PTRACE_DETACH: u32 = 17;
const PTRACE_GETFPXREGS: u32 = 18;
const PTRACE_SETFPXREGS: u32 = 19;
const PTRACE_OLDSETOPTIONS: u32 = 21;
const PTRACE_SYSCALL: u32 = 24;
const PTRACE_GET_THREAD_AREA: u32 = 25;
const PTRACE_SET_THREAD_AREA: u32 = 26;
const PTRACE_SYSEMU: u32 = 31;
const PTRACE_SYSEMU_SINGLESTEP: u32 = 32;
const PTRACE_SETOPTIONS: u32 = 0x4200;
const PTRACE_GETEVENTMSG: u32 = 0x4201;
const PTRACE_GETSIGINFO: u32 = 0x4202;
const PTRACE_SETSIGINFO: u32 = 0x4203;
const PTRACE_GETREGSET: u32 = 0x4204;
const PTRACE_SETREGSET: u32 = 0x4205;
const PTRACE_SEIZE: u32 = 0x4206;
const PTRACE_INTERRUPT: u32 = 0x4207;
const PTRACE_LISTEN: u32 = 0x4208;
const PTRACE_PEEKSIGINFO: u32 = 0x4209;
const PTRACE_GETSIGMASK: u32 = 0x420a;
const PTRACE_SETSIGMASK: u32 = 0x420b;
const PTRACE_GET_SYSCALL_INFO: u32 = 0x420e;

/// Handles a request to task `pid`.
///
/// # Errors
/// ESRCH: no such task, not traced by the caller, or not stopped; EPERM; EIO for an unknown request
/// and for bad arguments of most; EINVAL; EFAULT.
pub fn sys_ptrace(request: u32, pid: u32, address: u32, data: u32) -> SysResult {
    let me = current();
    if request == PTRACE_TRACEME {
        return traceme(me).map(|()| 0);
    }
    let task = find_task_by_pid(pid as i32).ok_or(Errno::ESRCH)?;
    match request {
        PTRACE_ATTACH => return attach::attach(me, &task, None),
        PTRACE_SEIZE => {
            let options = PtraceFlags::from_bits_retain(data);
            if address != 0 || !PT_OPTIONS.contains(options) {
                return Err(Errno::EIO);
            }
            return attach::attach(me, &task, Some(options));
        }
        PTRACE_INTERRUPT => {
            traced_by(me, &task)?;
            return attach::interrupt(&task);
        }
        PTRACE_KILL => return kill(me, &task),
        _ => drop(task),
    }
    of_stopped(Held::hold(me, pid as i32)?, request, address, data)
}

fn traced_by(me: Current, task: &TaskRef) -> Result<(), Errno> {
    match task.ptrace.is_tracer(me.as_ptr()) {
        true => Ok(()),
        false => Err(Errno::ESRCH),
    }
}

/// Kills a task that the caller traces, stopped or not.
fn kill(me: Current, task: &TaskRef) -> SysResult {
    traced_by(me, task)?;
    let _list = TASKLIST.lock();
    if task.exit_state.load(Ordering::Relaxed) == 0 {
        kill_thread(task);
    }
    Ok(0)
}

fn of_stopped(mut held: Held, request: u32, address: u32, data: u32) -> SysResult {
    let h = &mut held;
    match request {
        PTRACE_PEEKTEXT | PTRACE_PEEKDATA => stored(data, memory::peek(h, address)?),
        PTRACE_PEEKUSR => stored(data, user_area::peek(h, address)?),
        PTRACE_POKETEXT | PTRACE_POKEDATA => memory::poke(h, address, data),
        PTRACE_POKEUSR => user_area::poke(h, address, data).map(|()| 0),
        PTRACE_GETREGS => regset::getregs_request(h, data),
        PTRACE_SETREGS => regset::setregs_request(h, data),
        PTRACE_GETFPREGS => stored(data, fpu::fpregs(h)),
        PTRACE_SETFPREGS => fpu::set_fpregs(h, &get_user(data)?).map(|()| 0),
        PTRACE_GETFPXREGS => stored(data, fpu::fpxregs(h)),
        PTRACE_SETFPXREGS => fpu::set_fpxregs(h, &get_user(data)?).map(|()| 0),
        PTRACE_GETREGSET => regset::getregset(h, address, data),
        PTRACE_SETREGSET => regset::setregset(h, address, data),
        PTRACE_GET_SYSCALL_INFO => regset::get_syscall_info(h, address, data),
        PTRACE_GET_THREAD_AREA => tls::get_thread_area(h, address, data),
        PTRACE_SET_THREAD_AREA => tls::set_thread_area(h, address, data),
        PTRACE_SETOPTIONS | PTRACE_OLDSETOPTIONS => set_options(h, data),
        PTRACE_GETEVENTMSG => stored(data, h.task().ptrace.message.load(Ordering::Relaxed)),
        PTRACE_GETSIGINFO => signals::getsiginfo(h, data),
        PTRACE_SETSIGINFO => signals::setsiginfo(h, data),
        PTRACE_PEEKSIGINFO => signals::peeksiginfo(h, address, data),
        PTRACE_GETSIGMASK => signals::getsigmask(h, address, data),
        PTRACE_SETSIGMASK => signals::setsigmask(h, address, data),
        PTRACE_LISTEN => attach::listen(held),
        PTRACE_DETACH => attach::detach_request(held, data),
        PTRACE_CONT => resume::resume(held, PtraceFlags::empty(), data),
        PTRACE_SYSCALL => resume::resume(held, PT_SYSCALL_TRACE, data),
        PTRACE_SINGLESTEP => resume::resume(held, PT_SINGLESTEP, data),
        PTRACE_SYSEMU => resume::resume(held, PT_SYSCALL_EMU, data),
        PTRACE_SYSEMU_SINGLESTEP => resume::resume(held, PT_SYSCALL_EMU.union(PT_SINGLESTEP), data),
        _ => Err(Errno::EIO),
    }
}

fn stored<T: crate::arch::x86::entry::uaccess::Pod>(to: u32, value: T) -> SysResult {
    put_user(to, value)?;
    Ok(0)
}

fn set_options(held: &Held, bits: u32) -> SysResult {
    let options = attach::options(bits)?;
    let flags = &held.task().ptrace.flags;
    flags.remove(PT_OPTIONS);
    flags.insert(options);
    Ok(0)
}
