//! Signals on the way back to ring 3: default actions, handlers, restarted system calls.
//!
//! `do_notify_resume` is called by the entry code on the task's own stack, with interrupts on, when
//! TIF_SIGPENDING is set. It takes signals one by one until one needs the program: then the
//! handler's frame is on the user's stack and the registers lead to the handler, which returns by
//! `sigreturn`. If a signal's default is to end the process, the call does not return.
//!
//! A system call that a signal interrupted has left ERESTARTSYS, ERESTARTNOHAND or ERESTARTNOINTR
//! in eax: it is run again, or returns EINTR. A thread of a stopped process sleeps here: see
//! `stop`.
//!
//! Book: ch. 11, "Delivering a Signal", "Reexecution of System Calls".
//! Linux: 2.6.38 `arch/x86/kernel/signal.c`, `get_signal_to_deliver`.

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use zerocopy::IntoBytes;

use super::exit::{do_exit, do_group_exit};
use super::fpstate::FpState;
use super::itimer::restart_itimer;
use super::posix_timer::do_schedule_next_timer;
use super::rseq::rseq_signal_deliver;
use super::sigframe::{
    Interrupted, RtSigframe, Sigcontext, Sigframe, StackChoice, Ucontext, sigset,
};
use super::signal::{
    SIG_DFL, SIG_IGN, SigAction, force_sig, force_sigsegv, is_group_exiting, recalc_sigpending,
    set_blocked,
};
use super::sigset::{
    DefaultAction, SIGALRM, SIGKILL, SIGSEGV, SIGTRAP, SigSet, default_action, name,
};
use super::stop::{do_signal_stop, join_group_stop};
use super::trace_stop::{ptrace_notify, ptrace_signal, trap, trap_is_due};
use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::uaccess::{copy_to_user, get_user};
use crate::arch::x86::switch::lazy_gs::{get_user_gs, set_user_gs};
use crate::arch::x86::switch::math_state::{
    current_fpu_state, fresh_fpu, mxcsr_feature_mask, set_fpu_state,
};
use crate::base::errno::Errno;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_IRET, set_flag};
use crate::hw::desc::{USER_CS, USER_DS};
use crate::hw::eflags::Eflags;
use crate::hw::fxsave::FxsaveArea;
use crate::provides_upward;
use crate::sync::PreemptGuard;
use crate::task::siginfo::{SI_TIMER, SigInfo};
use crate::task::thread_struct::TrapInfo;
use crate::task::traced::{PT_FORCED_TF, PT_SINGLESTEP, is_traced};

/// `sa_flags`: the handler takes siginfo and ucontext.
pub const SA_SIGINFO: u32 = 0x4;
const SA_RESTORER: u32 = 0x0400_0000;
const SA_ONSTACK: u32 = 0x0800_0000;
const SA_RESTART: u32 = 0x1000_0000;
/// `sa_flags`: the signal is not blocked while its handler runs.
pub const SA_NODEFER: u32 = 0x4000_0000;
/// `sa_flags`: the handler is reset to the default when it is called.
pub const SA_RESETHAND: u32 = 0x8000_0000;

/// Upward call of the entry code: delivers the running task's pending signals.
///
/// # Safety
/// 1. `regs` is the frame at the top of the running task's stack, from ring 3.
#[unsafe(no_mangle)]
unsafe fn do_notify_resume(regs: *mut PtRegs) {
    let me = current();
    let found = get_signal_to_deliver(me);
    let steps = me.ptrace.has(PT_SINGLESTEP);
    let handled = {
        // SAFETY: by 1; only a tracer uses the frame while we are in the kernel, when we have
        // stopped for it.
        let regs = unsafe { &mut *regs };
        match found {
            Some((info, action)) => handle_signal(me, info, &action, regs),
            None => {
                restart_system_call(regs, None);
                if let Some(blocked) = { me.signals.lock().saved_blocked.take() } {
                    set_blocked(me, blocked);
                }
                false
            }
        }
    };
    if handled && steps {
        // The step ends at the handler's first instruction.
        let _left = ptrace_notify(me, SIGTRAP);
    }
    recalc_sigpending(me);
}

provides_upward!(do_notify_resume);

/// Returns the next signal that has a handler, and performs default actions on the way.
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
        if trap_is_due(&me) {
            trap(me);
            continue;
        }
        let blocked = me.signals.lock().blocked;
        let mut info = dequeue_signal(me, blocked)?;
        if is_traced(&me) && info.signal != SIGKILL {
            info = match ptrace_signal(me, info) {
                Some(info) => info,
                None => continue,
            };
        }
        let action = me.signal.action(info.signal);
        match action.handler {
            SIG_IGN => {}
            // A signal that init had blocked when it was sent is dropped here. SIGKILL and SIGSTOP
            // from others were dropped when they were sent.
            SIG_DFL if me.signal.is_unkillable() && !is_kernel_only(info.signal) => {}
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

/// Takes the next signal that is not in `blocked` from the thread's pending signals, or else from
/// the process's.
///
/// If a timer sent it, the timer goes on: see `itimer` and `posix_timer`.
pub fn dequeue_signal(me: Current, blocked: SigSet) -> Option<SigInfo> {
    let own = me.signals.lock().pending.dequeue(blocked);
    let mut info = match own {
        Some(info) => info,
        None => {
            let shared = me.signal.shared_pending.lock().dequeue(blocked)?;
            if shared.signal == SIGALRM {
                restart_itimer(me);
            }
            shared
        }
    };
    if info.code == SI_TIMER {
        do_schedule_next_timer(me, &mut info);
    }
    Some(info)
}

/// Returns whether programs cannot change the action of `signal`.
#[doc(alias = "sig_kernel_only")]
fn is_kernel_only(signal: u32) -> bool {
    SigSet::UNBLOCKABLE.contains(signal)
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

/// Builds the handler's frame, makes the registers lead to the handler, and blocks its signals.
/// Returns false if there is no room for the frame: then SIGSEGV is pending.
fn handle_signal(me: Current, info: SigInfo, action: &SigAction, regs: &mut PtRegs) -> bool {
    restart_system_call(regs, Some(action));
    me.restart_end.store(0, Ordering::Relaxed);
    rseq_signal_deliver(me, info.signal, regs);
    if me.ptrace.has(PT_FORCED_TF) {
        // The frame holds the program's flags.
        me.ptrace.flags.remove(PT_FORCED_TF);
        regs.flags &= !Eflags::TF.bits();
    }
    let (blocked, to_restore) = {
        let own = me.signals.lock();
        (own.blocked, own.saved_blocked.unwrap_or(own.blocked))
    };
    if setup_frame(me, &info, action, to_restore, regs).is_err() {
        log::info!(
            "signal: {}[{}]: no stack for the handler of {}",
            me.comm.get(),
            me.pid(),
            name(info.signal)
        );
        force_sigsegv(info.signal, me);
        return false;
    }
    // Cleared only now: the frame holds the set to restore.
    me.signals.lock().saved_blocked = None;
    let this = if action.flags & SA_NODEFER != 0 {
        SigSet::EMPTY
    } else {
        SigSet::of(info.signal)
    };
    set_blocked(me, blocked.union(action.mask).union(this));
    true
}

/// Builds the frame and makes the registers lead to the handler, which starts with a fresh FPU.
///
/// # Errors
/// EFAULT when there is no room for the frame; all registers, including the FPU's, are then
/// unchanged.
fn setup_frame(
    me: Current,
    info: &SigInfo,
    action: &SigAction,
    blocked: SigSet,
    regs: &mut PtRegs,
) -> Result<(), Errno> {
    let siginfo = action.flags & SA_SIGINFO != 0;
    let restorer = (action.flags & SA_RESTORER != 0).then_some(action.restorer);
    let interrupted = Interrupted {
        regs,
        gs: get_user_gs(regs),
        trap: trap_info(me),
        blocked,
        altstack: me.signals.lock().altstack,
    };
    let choice = StackChoice {
        onstack: action.flags & SA_ONSTACK != 0,
        legacy: if restorer.is_none() {
            action.restorer
        } else {
            0
        },
    };
    let size = match siginfo {
        true => size_of::<RtSigframe>(),
        false => size_of::<Sigframe>(),
    };
    let fpu = current_fpu_state(me);
    let place = interrupted.place(choice, fpu.is_some(), size as u32);
    let place = place.ok_or(Errno::EFAULT)?;
    if let Some(fpu) = &fpu {
        save_fpu(place.fpstate, fpu)?;
    }
    let (dx, cx) = match siginfo {
        true => {
            let frame = interrupted.rt_sigframe(place, restorer, info);
            copy_to_user(place.frame, frame.as_bytes())?;
            (frame.pinfo, frame.puc)
        }
        false => {
            let frame = interrupted.sigframe(place, restorer, info.signal);
            copy_to_user(place.frame, frame.as_bytes())?;
            (0, 0)
        }
    };
    if fpu.is_some() {
        fresh_fpu(me);
    }
    let ds = u32::from(USER_DS.0);
    regs.sp = place.frame;
    regs.ip = action.handler;
    (regs.ax, regs.dx, regs.cx) = (info.signal, dx, cx);
    (regs.ds, regs.es, regs.ss, regs.cs) = (ds, ds, ds, u32::from(USER_CS.0));
    regs.flags &= !(Eflags::DF | Eflags::RF | Eflags::TF).bits();
    regs.orig_ax = u32::MAX;
    Ok(())
}

/// Stores the FPU state of a frame. Not inlined: only here do the two formats need the stack.
#[inline(never)]
fn save_fpu(to: u32, fpu: &FxsaveArea) -> Result<(), Errno> {
    copy_to_user(to, FpState::from_fxsave(fpu).as_bytes())
}

/// Returns the facts of the running task's last exception.
fn trap_info(me: Current) -> TrapInfo {
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    unsafe { me.thread_mut() }.trap
}

/// Loads the state that `save_fpu` stored at `fpstate`; 0 means that the interrupted code had no
/// state.
#[inline(never)]
fn restore_fpu(me: Current, fpstate: u32) -> Result<(), Errno> {
    if fpstate == 0 {
        // With `fpu=eager` too: the handler's registers are not the program's.
        fresh_fpu(me);
        return Ok(());
    }
    let state: FpState = get_user(fpstate)?;
    set_fpu_state(me, &state.to_fxsave(mxcsr_feature_mask()))
}

/// Returns to the code that the signal interrupted, as sigreturn(2). The result is the eax to go on
/// with. The restorer has popped the return address and the signal.
pub fn sigreturn(me: Current, regs: &mut PtRegs) -> i32 {
    let frame = regs.sp.wrapping_sub(8);
    let field = |offset: usize| frame.wrapping_add(offset as u32);
    let read = || {
        let sc: Sigcontext = get_user(field(offset_of!(Sigframe, sc)))?;
        let upper = get_user(field(offset_of!(Sigframe, extramask)))?;
        Ok((sc, sigset(sc.oldmask, upper)))
    };
    let result = read().and_then(|(sc, blocked)| restore_sigcontext(me, regs, &sc, blocked));
    result.unwrap_or_else(|_: Errno| bad_frame(me))
}

/// Returns from a handler with `SA_SIGINFO`, as rt_sigreturn(2): only the return address was
/// popped. Sets the alternate stack as sigaltstack(2) would.
pub fn rt_sigreturn(me: Current, regs: &mut PtRegs) -> i32 {
    let frame = regs.sp.wrapping_sub(4);
    let uc = get_user(frame.wrapping_add(offset_of!(RtSigframe, uc) as u32));
    let result = uc.and_then(|uc: Ucontext| {
        let blocked = sigset(uc.sigmask[0], uc.sigmask[1]);
        let ax = restore_sigcontext(me, regs, &uc.mcontext, blocked)?;
        let mut own = me.signals.lock();
        // A program that put an invalid stack there keeps the old one.
        if let Ok(altstack) = own.altstack.changed_to(&uc.stack, regs.sp) {
            own.altstack = altstack;
        }
        Ok(ax)
    });
    result.unwrap_or_else(|_: Errno| bad_frame(me))
}

/// Loads the registers and the blocked set of a frame into the running task. Returns eax.
///
/// # Errors
/// EFAULT for an FPU state that cannot be read; everything else has then been restored.
fn restore_sigcontext(
    me: Current,
    regs: &mut PtRegs,
    sc: &Sigcontext,
    blocked: SigSet,
) -> Result<i32, Errno> {
    set_flag(me.thread_info(), TIF_IRET);
    me.restart_end.store(0, Ordering::Relaxed);
    set_blocked(me, blocked);
    *regs = sc.restore(regs);
    set_user_gs(regs, sc.gs as u16);
    restore_fpu(me, sc.fpstate)?;
    Ok(regs.ax as i32)
}

fn bad_frame(me: Current) -> i32 {
    force_sig(SIGSEGV, me);
    0
}

/// Decides whether an interrupted system call runs again or returns EINTR. `handler` is the action
/// of the handler about to run, if any.
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
        // Both `int $0x80` and the vDSO's instruction before the return address are two bytes long.
        regs.ip = regs.ip.wrapping_sub(2);
    } else {
        regs.ax = Errno::EINTR.to_ret() as u32;
    }
    regs.orig_ax = u32::MAX;
}
