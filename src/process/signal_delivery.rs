//! Signals on the way back to ring 3: default actions, handlers, restarted system calls.
//!
//! `do_notify_resume` is called by the entry code on the task's own stack, interrupts on, when
//! TIF_SIGPENDING is set. It takes one signal after the other until one needs the program: then
//! the handler's frame is on the user's stack and the registers lead to the handler, which comes
//! back by `sigreturn`. A signal whose default is to end the process does not return.
//!
//! A system call that a signal interrupted has left ERESTARTSYS, ERESTARTNOHAND or ERESTARTNOINTR in
//! eax: it is run again, or answers EINTR. A thread of a process that is stopped sleeps here: `stop`.
//!
//! Book: chapter 11, "Delivering a Signal", "Reexecution of System Calls".
//! Linux: 2.6.38 `arch/x86/kernel/signal.c`, `get_signal_to_deliver`.

use alloc::boxed::Box;
use core::sync::atomic::Ordering;

use super::exit::{do_exit, do_group_exit};
use super::rseq::rseq_signal_deliver;
use super::sigframe::{
    FPSTATE_BYTES, FPSTATE_FXSAVE, FrameParts, RT_SIGFRAME_BYTES, RT_SIGFRAME_MASK, RT_SIGFRAME_SC,
    RT_SIGFRAME_STACK, SIGCONTEXT_BYTES, SIGFRAME_BYTES, SIGFRAME_EXTRAMASK, SIGFRAME_SC, SigInfo,
    fpstate_header, restore_sigcontext,
};
use super::signal::{
    SI_TKILL, SIG_DFL, SIG_IGN, SS_DISABLE, SigAction, force_sig, force_sigsegv, is_group_exiting,
    recalc_sigpending, set_blocked,
};
use super::sigset::{DefaultAction, SIGKILL, SIGSEGV, SigSet, default_action, name};
use super::stop::{do_signal_stop, join_group_stop};
use super::tasklist::INIT_PID;
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::lazy_gs::{get_user_gs, set_user_gs};
use crate::arch::x86::math_state::{clear_fpu, flush_fpu, load_if_eager, unlazy_fpu};
use crate::arch::x86::uaccess::{copy_to_user, get_user};
use crate::hw::desc::{USER_CS, USER_DS};
use crate::hw::eflags::Eflags;
use crate::hw::fxsave::FxsaveArea;
use crate::syscall::errno::Errno;
use crate::task::pt_regs::PtRegs;
use crate::task::state::PF_USED_MATH;
use crate::task::thread_info::{TIF_IRET, set_flag};

/// `sa_flags`: the handler wants siginfo and ucontext.
pub const SA_SIGINFO: u32 = 0x4;
const SA_RESTORER: u32 = 0x0400_0000;
const SA_ONSTACK: u32 = 0x0800_0000;
const SA_RESTART: u32 = 0x1000_0000;
/// `sa_flags`: the signal is not blocked while its handler runs.
pub const SA_NODEFER: u32 = 0x4000_0000;
/// `sa_flags`: the handler is called once.
pub const SA_RESETHAND: u32 = 0x8000_0000;

/// Upward call of the entry code.
///
/// # Safety
/// `regs` is the frame at the top of the running task's stack, from ring 3.
#[unsafe(no_mangle)]
unsafe extern "C" fn do_notify_resume(regs: *mut PtRegs) {
    // SAFETY: the caller's duty; nobody else uses the frame while we are in the kernel.
    let regs = unsafe { &mut *regs };
    let me = current();
    match get_signal_to_deliver(me) {
        Some((info, action)) => handle_signal(me, info, &action, regs),
        None => {
            restart_system_call(regs, None);
            if let Some(blocked) = { me.signals.lock().saved_blocked.take() } {
                set_blocked(me, blocked);
            }
        }
    }
    recalc_sigpending(me);
}

/// The next signal that has a handler; default actions happen on the way.
fn get_signal_to_deliver(me: Current) -> Option<(SigInfo, SigAction)> {
    loop {
        if is_group_exiting(&me) {
            do_group_exit(SIGKILL as i32);
        }
        let exec_pid = me.signal.exec_pid.load(Ordering::Acquire);
        if exec_pid != 0 && exec_pid != me.pid() {
            do_exit(SIGKILL as i32);
        }
        if join_group_stop(me) {
            continue;
        }
        let blocked = me.signals.lock().blocked;
        let info = dequeue_signal(me, blocked)?;
        let action = me.signal.action(info.signal);
        match action.handler {
            SIG_IGN => {}
            // Nobody but itself ends init: what it had blocked when it was sent is dropped here.
            SIG_DFL if me.tgid == INIT_PID && !is_own_doing(info) => {}
            SIG_DFL => default(me, info.signal),
            _ => {
                if action.flags & SA_RESETHAND != 0 {
                    me.signal.set_default(info.signal);
                }
                return Some((info, action));
            }
        }
    }
}

/// Takes out the next signal that is not in `blocked`: of those that wait for the thread, or else for
/// the process.
pub fn dequeue_signal(me: Current, blocked: SigSet) -> Option<SigInfo> {
    let own = me.signals.lock().pending.dequeue(blocked);
    own.or_else(|| me.signal.shared_pending.lock().dequeue(blocked))
}

/// A fault, or raise(3).
fn is_own_doing(info: SigInfo) -> bool {
    info.code == SI_TKILL || info.code > 0 && SigSet::SYNCHRONOUS.contains(info.signal)
}

fn default(me: Current, signal: u32) {
    match default_action(signal) {
        DefaultAction::Ignore | DefaultAction::Continue => {}
        DefaultAction::Stop => do_signal_stop(me, signal),
        DefaultAction::Terminate | DefaultAction::Core => {
            log::info!(
                "signal: {}[{}]: killed by {}",
                me.comm.get(),
                me.pid(),
                name(signal)
            );
            do_group_exit(signal as i32);
        }
    }
}

/// Makes the registers lead to the handler.
fn handle_signal(me: Current, info: SigInfo, action: &SigAction, regs: &mut PtRegs) {
    restart_system_call(regs, Some(action));
    me.restart_end.store(0, Ordering::Relaxed);
    rseq_signal_deliver(me, info.signal, regs);
    let (blocked, to_restore) = {
        let mut own = me.signals.lock();
        let to_restore = own.saved_blocked.take().unwrap_or(own.blocked);
        (own.blocked, to_restore)
    };
    if setup_frame(me, info, action, to_restore, regs).is_err() {
        log::info!(
            "signal: {}[{}]: no stack for the handler of {}",
            me.comm.get(),
            me.pid(),
            name(info.signal)
        );
        return force_sigsegv(info.signal, me);
    }
    let this = if action.flags & SA_NODEFER != 0 {
        SigSet::EMPTY
    } else {
        SigSet::of(info.signal)
    };
    set_blocked(me, blocked.union(action.mask).union(this));
}

fn setup_frame(
    me: Current,
    info: SigInfo,
    action: &SigAction,
    blocked: SigSet,
    regs: &mut PtRegs,
) -> Result<(), Errno> {
    let altstack = me.signals.lock().altstack;
    let on_altstack =
        regs.sp.wrapping_sub(altstack[0]) <= altstack[2] && altstack[1] & SS_DISABLE == 0;
    let top = match action.flags & SA_ONSTACK != 0 && altstack[1] & SS_DISABLE == 0 && !on_altstack
    {
        true => altstack[0].wrapping_add(altstack[2]),
        false => regs.sp,
    };
    let (fpstate, below) = save_fpu(me, top)?;
    let siginfo = action.flags & SA_SIGINFO != 0;
    let size = if siginfo {
        RT_SIGFRAME_BYTES
    } else {
        SIGFRAME_BYTES
    } as u32;
    // So that (esp + 4) is a multiple of 16 where the handler begins, as after a call.
    let at = (below.wrapping_sub(size).wrapping_add(4) & !15).wrapping_sub(4);
    let state = if altstack[1] & SS_DISABLE != 0 {
        SS_DISABLE
    } else {
        u32::from(on_altstack)
    };
    let parts = FrameParts {
        at,
        restorer: (action.flags & SA_RESTORER != 0).then_some(action.restorer),
        info,
        regs,
        gs: u32::from(get_user_gs(regs)),
        trap: [
            0,
            0,
            if SigSet::SYNCHRONOUS.contains(info.signal) {
                info.fields[0]
            } else {
                0
            },
        ],
        fpstate,
        blocked,
        altstack: [altstack[0], state, altstack[2]],
    };
    let (dx, cx) = match siginfo {
        true => {
            copy_to_user(at, &parts.rt_sigframe())?;
            (
                at.wrapping_add(super::sigframe::RT_SIGFRAME_INFO as u32),
                at.wrapping_add(super::sigframe::RT_SIGFRAME_UC as u32),
            )
        }
        false => {
            copy_to_user(at, &parts.sigframe())?;
            (0, 0)
        }
    };
    let ds = u32::from(USER_DS.0);
    regs.sp = at;
    regs.ip = action.handler;
    (regs.ax, regs.dx, regs.cx) = (info.signal, dx, cx);
    (regs.ds, regs.es, regs.ss, regs.cs) = (ds, ds, ds, u32::from(USER_CS.0));
    regs.flags &= !(Eflags::DF | Eflags::RF | Eflags::TF).bits();
    regs.orig_ax = u32::MAX;
    Ok(())
}

/// Copies the FPU state, if the task has any, below `top`; returns its address, or 0, and the
/// lowest address used.
fn save_fpu(me: Current, top: u32) -> Result<(u32, u32), Errno> {
    if !me.has_flags(PF_USED_MATH) {
        return Ok((0, top));
    }
    unlazy_fpu(me);
    let mut image = [0; 512];
    // SAFETY: our own context; nothing else borrows it here.
    if let Some(fpu) = unsafe { me.thread_mut() }.fpu.as_deref() {
        // SAFETY: an FxsaveArea is 512 bytes without padding.
        image = unsafe { core::ptr::from_ref(fpu).cast::<[u8; 512]>().read() };
    }
    let at = top.wrapping_sub(FPSTATE_BYTES as u32) & !15;
    copy_to_user(at, &fpstate_header(&image))?;
    copy_to_user(at.wrapping_add(FPSTATE_FXSAVE as u32), &image)?;
    Ok((at, at))
}

/// Loads what `save_fpu` stored at `fpstate`; 0: the handler's caller had none.
fn restore_fpu(me: Current, fpstate: u32) -> Result<(), Errno> {
    if fpstate == 0 {
        flush_fpu(me);
        return Ok(());
    }
    let image = get_user::<[u8; 512]>(fpstate.wrapping_add(FPSTATE_FXSAVE as u32))?;
    let mut area = Box::new(FxsaveArea::INIT);
    // SAFETY: the area is 512 bytes, any bytes are one, and `sanitize` takes out what FXRSTOR
    // would refuse.
    unsafe {
        core::ptr::from_mut(&mut *area)
            .cast::<[u8; 512]>()
            .write(image)
    };
    area.sanitize(0);
    clear_fpu(me);
    // SAFETY: our own context; the live registers are nobody's now.
    unsafe { me.thread_mut() }.fpu = Some(area);
    me.flags.fetch_or(PF_USED_MATH, Ordering::Relaxed);
    load_if_eager(me);
    Ok(())
}

/// sigreturn(2), rt_sigreturn(2): back to where the signal came. Returns the eax to go on with.
pub fn sigreturn(me: Current, regs: &mut PtRegs, rt: bool) -> i32 {
    let result = if rt {
        rt_frame(regs.sp)
    } else {
        old_frame(regs.sp)
    };
    let result = result.and_then(|(sigcontext, mask, altstack)| {
        let restored = restore_sigcontext(&sigcontext, regs);
        restore_fpu(me, restored.fpstate)?;
        Ok((restored, mask, altstack))
    });
    let Ok((restored, upper, altstack)) = result else {
        force_sig(SIGSEGV, me);
        return 0;
    };
    set_flag(me.thread_info(), TIF_IRET);
    if let Some(altstack) = altstack {
        me.signals.lock().altstack = altstack;
    }
    set_blocked(
        me,
        SigSet(u64::from(restored.oldmask) | u64::from(upper) << 32),
    );
    *regs = restored.regs;
    set_user_gs(regs, restored.gs);
    regs.ax as i32
}

/// Sigcontext, upper half of the blocked set, alternate stack.
type Frame = ([u8; SIGCONTEXT_BYTES], u32, Option<[u32; 3]>);

/// The frame that the restorer left: it has popped the return address and the signal.
fn old_frame(sp: u32) -> Result<Frame, Errno> {
    let at = sp.wrapping_sub(8);
    let sigcontext = get_user(at.wrapping_add(SIGFRAME_SC as u32))?;
    Ok((
        sigcontext,
        get_user(at.wrapping_add(SIGFRAME_EXTRAMASK as u32))?,
        None,
    ))
}

/// The same with siginfo: only the return address was popped.
fn rt_frame(sp: u32) -> Result<Frame, Errno> {
    let at = sp.wrapping_sub(4);
    let sigcontext = get_user(at.wrapping_add(RT_SIGFRAME_SC as u32))?;
    let upper = get_user(at.wrapping_add(RT_SIGFRAME_MASK as u32).wrapping_add(4))?;
    let mut altstack = get_user::<[u32; 3]>(at.wrapping_add(RT_SIGFRAME_STACK as u32))?;
    altstack[1] &= SS_DISABLE;
    Ok((sigcontext, upper, Some(altstack)))
}

/// Decides what an interrupted system call does: run again, or answer EINTR. `handler`: one is
/// about to run.
fn restart_system_call(regs: &mut PtRegs, handler: Option<&SigAction>) {
    if (regs.orig_ax as i32) < 0 {
        return;
    }
    let again = match regs.ax as i32 {
        code if code == Errno::ERESTARTSYS.to_ret() => {
            handler.is_none_or(|action| action.flags & SA_RESTART != 0)
        }
        code if code == Errno::ERESTARTNOHAND.to_ret() => handler.is_none(),
        code if code == Errno::ERESTARTNOINTR.to_ret() => true,
        _ => return,
    };
    if again {
        regs.ax = regs.orig_ax;
        // Both `int $0x80` and what the vDSO has before the return address are two bytes long.
        regs.ip = regs.ip.wrapping_sub(2);
    } else {
        regs.ax = Errno::EINTR.to_ret() as u32;
    }
    regs.orig_ax = u32::MAX;
}
