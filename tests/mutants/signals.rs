//! Signals: frames, siginfo, the FPU of handlers, their stacks.

use super::{Edit, Mutant, Run};

/// A word of the frame that shows its neighbour's value.
#[rustfmt::skip]
macro_rules! shown {
    ($name:literal, $find:literal, $replace:literal) => {
        Mutant {
            name: $name,
            takes_out: "the value of a word in setup_sigcontext",
            edits: &[Edit { file: "src/process/sigframe.rs", find: $find, replace: $replace }],
            red: Run::ring3("signal_frame", "plain: the interrupted registers, word by word"),
        }
    };
}

/// A register that sigreturn takes from its neighbour's word.
#[rustfmt::skip]
macro_rules! taken {
    ($name:literal, $find:literal, $replace:literal) => {
        Mutant {
            name: $name,
            takes_out: "the word of a register in restore_sigcontext",
            edits: &[Edit { file: "src/process/sigframe.rs", find: $find, replace: $replace }],
            red: Run::ring3("signal_frame", "with siginfo: the registers that sigreturn takes, word by word"),
        }
    };
}

/// Any other step.
#[rustfmt::skip]
macro_rules! step {
    ($name:literal, $takes_out:literal, $file:literal, $find:literal, $replace:literal, $program:literal, $test:literal) => {
        Mutant {
            name: $name,
            takes_out: $takes_out,
            edits: &[Edit { file: $file, find: $find, replace: $replace }],
            red: Run::ring3($program, $test),
        }
    };
}

/// Field by field, then step by step.
#[rustfmt::skip]
pub const SIGNALS: &[Mutant] = &[
    shown!("frame_shows_fs_as_gs", "            gs: u32::from(self.gs),", "            gs: r.fs,"),
    shown!("frame_shows_es_as_fs", "            fs: r.fs & 0xffff,", "            fs: r.es,"),
    shown!("frame_shows_ds_as_es", "            es: r.es & 0xffff,", "            es: r.ds,"),
    shown!("frame_shows_es_as_ds", "            ds: r.ds & 0xffff,", "            ds: r.es,"),
    shown!("frame_shows_ds_as_di", "            di: r.di,", "            di: r.ds,"),
    shown!("frame_shows_di_as_si", "            si: r.si,", "            si: r.di,"),
    shown!("frame_shows_si_as_bp", "            bp: r.bp,", "            bp: r.si,"),
    shown!("frame_shows_bp_as_sp", "            sp: r.sp,", "            sp: r.bp,"),
    shown!("frame_shows_sp_as_bx", "            bx: r.bx,", "            bx: r.sp,"),
    shown!("frame_shows_bx_as_dx", "            dx: r.dx,", "            dx: r.bx,"),
    shown!("frame_shows_dx_as_cx", "            cx: r.cx,", "            cx: r.dx,"),
    shown!("frame_shows_cx_as_ax", "            ax: r.ax,", "            ax: r.cx,"),
    shown!("frame_shows_err_as_trapno", "            trapno: self.trap.trap_no,", "            trapno: self.trap.error_code,"),
    shown!("frame_shows_trapno_as_err", "            err: self.trap.error_code,", "            err: self.trap.trap_no,"),
    shown!("frame_shows_err_as_cr2", "            cr2: self.trap.cr2,", "            cr2: self.trap.error_code,"),
    shown!("frame_shows_ss_as_cs", "            cs: r.cs & 0xffff,", "            cs: r.ss & 0xffff,"),
    shown!("frame_shows_cs_as_ss", "            ss: r.ss & 0xffff,\n            fpstate", "            ss: r.cs & 0xffff,\n            fpstate"),
    shown!("frame_shows_sp_as_ip", "            ip: r.ip,", "            ip: r.sp,"),
    shown!("frame_shows_ip_as_sp_at_signal", "            sp_at_signal: r.sp,", "            sp_at_signal: r.ip,"),
    shown!("frame_shows_no_flags", "            flags: r.flags,", "            flags: 0x202,"),
    shown!("frame_shows_upper_half_as_oldmask", "            oldmask: self.blocked.0 as u32,", "            oldmask: upper(self.blocked),"),
    taken!("sigreturn_takes_es_as_fs", "            fs: self.fs & 0xffff,", "            fs: self.es & 0xffff,"),
    taken!("sigreturn_takes_ds_as_es", "            es: self.es & 0xffff,", "            es: self.ds & 0xffff,"),
    taken!("sigreturn_takes_es_as_ds", "            ds: self.ds & 0xffff,", "            ds: self.es & 0xffff,"),
    taken!("sigreturn_takes_ds_as_di", "            di: self.di,", "            di: self.ds,"),
    taken!("sigreturn_takes_di_as_si", "            si: self.si,", "            si: self.di,"),
    taken!("sigreturn_takes_si_as_bp", "            bp: self.bp,", "            bp: self.si,"),
    taken!("sigreturn_takes_bp_as_sp", "            sp: self.sp,", "            sp: self.bp,"),
    taken!("sigreturn_takes_sp_as_bx", "            bx: self.bx,", "            bx: self.sp,"),
    taken!("sigreturn_takes_bx_as_dx", "            dx: self.dx,", "            dx: self.bx,"),
    taken!("sigreturn_takes_dx_as_cx", "            cx: self.cx,", "            cx: self.dx,"),
    taken!("sigreturn_takes_cx_as_ax", "            ax: self.ax,", "            ax: self.cx,"),
    taken!("sigreturn_takes_ds_as_ss", "            ss: self.ss & 0xffff | 3,", "            ss: self.ds & 0xffff | 3,"),
    taken!("sigreturn_leaves_flags", "            flags: now.flags & !user | self.flags & user,", "            flags: now.flags | self.flags & user & 0,"),
    step!("sigreturn_takes_fs_as_gs", "%gs's own word", "src/process/signal_delivery.rs", "    set_user_gs(regs, sc.gs as u16);", "    set_user_gs(regs, sc.fs as u16);", "signal_frame", "plain: the registers that sigreturn takes, word by word"),
    step!("rt_sigreturn_takes_oldmask", "the blocked set of the ucontext", "src/process/signal_delivery.rs", "sigset(uc.sigmask[0], uc.sigmask[1])", "sigset(uc.mcontext.oldmask, uc.sigmask[1])", "signal_frame", "with siginfo: the blocked set that it takes"),
    step!("sigreturn_takes_no_extramask", "the blocked set's upper half", "src/process/signal_delivery.rs", "        Ok((sc, sigset(sc.oldmask, upper)))", "        Ok((sc, sigset(sc.oldmask, { let _: u32 = upper; 0 })))", "signal_frame", "plain: the blocked set that it takes"),
    step!("rt_sigreturn_keeps_altstack", "sigaltstack in rt_sigreturn", "src/process/signal_delivery.rs", "            own.altstack = altstack;", "            let _ = altstack;", "signal_frame", "with siginfo: the alternate stack that it takes, or leaves"),
    step!("handler_keeps_df", "the flags that a handler does not have", "src/process/signal_delivery.rs", "    regs.flags &= !(Eflags::DF | Eflags::RF | Eflags::TF).bits();", "    regs.flags &= !(Eflags::RF | Eflags::TF).bits();", "signal_frame", "plain: flags that no handler has"),
    step!("handler_gets_pinfo_in_ecx", "the order of the handler's registers", "src/process/signal_delivery.rs", "            (frame.pinfo, frame.puc)", "            (frame.puc, frame.pinfo)", "signal_frame", "with siginfo: eax, edx, ecx of the handler"),
    step!("fault_leaves_no_cr2", "the address of a page fault", "src/arch/x86/entry/traps.rs", "            trap.cr2 = fault.address;", "            let _ = &mut trap.cr2;", "signal_frame", "plain: the interrupted registers, word by word"),
    step!("queued_errno_is_lost", "si_errno of sigqueue", "src/syscall/signal_wait.rs", "    Ok(SigInfo { signal, ..info })", "    Ok(SigInfo { signal, errno: 0, ..info })", "signal_info", "told of sigqueue: all that the sender says"),
    step!("int3_has_an_address", "si_addr of int3", "src/arch/x86/entry/traps.rs", "        code: SI_KERNEL,\n        address: 0,\n        trap_no: 3,", "        code: SI_KERNEL,\n        address: regs.ip,\n        trap_no: 3,", "signal_info", "int3: si_code, si_addr, trapno, err"),
    step!("math_error_is_always_invalid", "which x87 exception it was", "src/hw/math_error.rs", "            _ if raised & ZERO_DIVIDE != 0 => FPE_FLTDIV,", "            _ if raised & ZERO_DIVIDE != 0 => FPE_FLTINV,", "signal_info", "x87 division by zero: si_code, si_addr, trapno, err"),
    step!("kernel_pages_can_be_told", "the protection bit for kernel addresses", "src/arch/x86/entry/page_fault.rs", "        false => error_code | PageFaultError::PROT.bits(),", "        false => error_code & !PageFaultError::PROT.bits(),", "signal_info", "a read of the kernel's memory: as if something were there"),
    step!("sigpending_writes_all", "the length of rt_sigpending", "src/syscall/signal.rs", "&pending.to_le_bytes()[..bytes as usize]", "&pending.to_le_bytes()[..bytes.max(8) as usize]", "signal_frame", "four bytes of the pending set"),
    step!("handler_inherits_fpu", "clear_used_math at a frame", "src/process/signal_delivery.rs", "    if fpu.is_some() {\n        fresh_fpu(me);\n    }\n", "    let _ = fpu;\n", "signal_fpu", "a handler starts with a fresh FPU"),
    step!("fork_forgets_fpu", "the FPU state at fork", "src/arch/x86/switch/copy_thread.rs", "        copy_fpu_state(&mut new, &fpu)?;", "        let _ = (copy_fpu_state, fpu);", "signal_fpu", "a fork signalled at once, the handler looks at the FPU"),
    step!("sigreturn_keeps_handlers_fpu", "the FPU state at sigreturn", "src/process/signal_delivery.rs", "    restore_fpu(me, sc.fpstate)?;", "    let _ = restore_fpu;", "signal_fpu", "x87, SSE and MXCSR are back after a handler that uses the FPU"),
    step!("sigreturn_takes_x87_from_fxsave", "the first format of the FPU state", "src/process/fpstate.rs", "            cwd: self.cw as u16,", "            cwd: self.fxsave.cwd,", "signal_fpu", "x87 is taken from the first format of the frame"),
    step!("mxcsr_loses_daz", "the processor's own MXCSR mask", "src/process/signal_delivery.rs", "state.to_fxsave(mxcsr_feature_mask())", "state.to_fxsave(mxcsr_feature_mask() & 0)", "signal_fpu", "denormals-are-zeros is back too"),
    step!("frame_has_empty_tags", "the tag word of the first format", "src/process/fpstate.rs", "            tag: u32::from(full_tags(image)) | ONES_ABOVE,", "            tag: u32::from(full_tags(image)) | u32::MAX,", "signal_fpu", "and were in the frame of one that looks at it"),
    step!("altstack_can_always_change", "EPERM on the alternate stack", "src/process/altstack.rs", "        if self.contains(sp) {", "        if self.contains(sp) && false {", "signal_stack", "a handler on it: SS_ONSTACK, and no other stack"),
    step!("altstack_has_no_end", "the end of the alternate stack", "src/process/sigframe.rs", "        match belongs_on_it && !self.altstack.contains(frame) {", "        match belongs_on_it && false && !self.altstack.contains(frame) {", "signal_stack", "no frame lies below it"),
    step!("vfork_has_no_altstack", "the alternate stack of vfork's child", "src/process/fork.rs", "    if flags & (CLONE_VM | CLONE_VFORK) != CLONE_VM {", "    if flags & CLONE_VM == 0 {", "signal_stack", "vfork's child has it"),
    step!("thread_keeps_altstack", "no alternate stack for CLONE_VM", "src/process/fork.rs", "    if flags & (CLONE_VM | CLONE_VFORK) != CLONE_VM {", "    if flags != u32::MAX {", "signal_stack", "a process in the same memory has none"),
    step!("no_legacy_stack", "the restorer as a stack", "src/process/sigframe.rs", "            StackChoice { legacy, .. } if legacy != 0 && !is_flat => legacy,", "            StackChoice { legacy, .. } if legacy != 0 && !is_flat && false => legacy,", "signal_stack", "code on a segment of its own: the restorer is the stack"),
];
