//! Exceptions: signals for programs, fix-ups and reports for the kernel.
//!
//! The stubs in `entry` call these on the kernel stack of the interrupted task, interrupts off,
//! with the frame and the error code. A fault in ring 3 becomes a signal, with a line in the log if
//! it will end the program. A fault in the kernel is a bug unless the exception table lists it. #PF
//! and #DF have separate files.
//!
//! | vector              | signal  |   | vector                   | signal  |
//! |---------------------|---------|---|--------------------------|---------|
//! | #DE divide error    | SIGFPE  |   | #TS invalid TSS          | SIGSEGV |
//! | #DB debug           | SIGTRAP |   | #NP segment not present  | SIGBUS  |
//! | #BP int3            | SIGTRAP |   | #SS stack segment        | SIGBUS  |
//! | #OF overflow        | SIGSEGV |   | #GP general protection   | SIGSEGV |
//! | #BR bounds          | SIGSEGV |   | #MF x87 error            | SIGFPE  |
//! | #UD invalid opcode  | SIGILL  |   | #AC alignment check      | SIGBUS  |
//! | #NM no FPU: gets it |         |   | #XM SIMD error           | SIGFPE  |
//!
//! Book: ch. 4, "Exception Handling".
//! Linux: 2.6.38 `traps.c` (`do_trap`, `do_debug`, `math_error`, `math_state_restore`).
//! SDM: vol. 3, 6.15 "Exception and Interrupt Reference".

use core::fmt;

use crate::arch::x86::current::current;
use crate::arch::x86::entry::extable::fixup_exception;
use crate::arch::x86::entry::{doublefault, idt, page_fault};
use crate::arch::x86::epitaph;
use crate::arch::x86::irq::nmi_watchdog;
use crate::arch::x86::switch::{io_bitmap, load_sp0, math_state};
use crate::base::insn;
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_SINGLESTEP, current_thread_info, set_flag};
use crate::base::upward::{force_sig_fault, unhandled_signal, watchdog_nmi};
use crate::drivers::printk::PanicConsole;
use crate::hw::cr::Cr4;
use crate::hw::debugreg::{Dr6, Dr7, HBP_NUM};
use crate::hw::eflags::Eflags;
use crate::hw::math_error::MathError;
use crate::sync::PreemptGuard;
use crate::sync::preempt::{NMI_OFFSET, add_preempt_count, preempt_count, sub_preempt_count};

/// The signal that a fault sends, by Linux's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum FaultSig {
    SIGILL = 4,
    SIGTRAP = 5,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGSEGV = 11,
}

// `si_code`: the kind of fault.
pub(super) const SI_KERNEL: i32 = 0x80;
const FPE_INTDIV: i32 = 1;
const ILL_ILLOPN: i32 = 2;
const ILL_BADSTK: i32 = 8;
const BUS_ADRALN: i32 = 1;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const TRAP_HWBKPT: i32 = 4;

/// Prepares this CPU, `cpu`, for exceptions, `int $0x80`, interrupts and `sysenter`.
///
/// # Safety
/// 1. Runs on CPU `cpu`, once, when its per-CPU area and its GDT are in force, on page tables that stay.
pub unsafe fn trap_init(cpu: u32) {
    idt::load_idt();
    // SAFETY: by 1.
    unsafe {
        doublefault::init_doublefault_tss(cpu);
        load_sp0::enable_sep_cpu(cpu);
    }
    fpu_init();
}

/// Lets programs use SSE, and makes the first FPU instruction of every task raise #NM.
fn fpu_init() {
    let cr4 = insn::read_cr4() | (Cr4::OSFXSR | Cr4::OSXMMEXCPT).bits();
    // SAFETY: the boot code has checked for FXSR and SSE.
    unsafe { insn::write_cr4(cr4) };
    insn::clts();
    math_state::mxcsr_feature_mask_init();
    insn::stts();
}

/// The exceptions that only send a signal: vector, Linux's words, signal, `si_code`, and whether
/// the handler gets the address. Without an address `si_code` is SI_KERNEL.
macro_rules! simple_exceptions {
    ($($handler:ident $vector:literal $what:literal $sig:ident $code:ident $at:ident;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $handler(regs: &mut PtRegs, error_code: u32) {
                let told = Told { sig: FaultSig::$sig, code: $code, at: At::$at };
                do_trap(regs, $vector, error_code, $what, told);
            }
        )*
    };
}

simple_exceptions! {
    do_divide_error 0 "divide error" SIGFPE FPE_INTDIV Instruction;
    do_overflow 4 "overflow" SIGSEGV SI_KERNEL Nowhere;
    do_bounds 5 "bounds" SIGSEGV SI_KERNEL Nowhere;
    do_invalid_op 6 "invalid opcode" SIGILL ILL_ILLOPN Instruction;
    do_coprocessor_segment_overrun 9 "coprocessor segment overrun" SIGFPE SI_KERNEL Nowhere;
    do_invalid_TSS 10 "invalid TSS" SIGSEGV SI_KERNEL Nowhere;
    do_segment_not_present 11 "segment not present" SIGBUS SI_KERNEL Nowhere;
    do_stack_segment 12 "stack segment" SIGBUS SI_KERNEL Nowhere;
    do_alignment_check 17 "alignment check" SIGBUS BUS_ADRALN Nowhere;
    do_iret_error 32 "iret exception" SIGILL ILL_BADSTK Nowhere;
    do_reserved_exception 15 "reserved exception" SIGSEGV SI_KERNEL Nowhere;
}

/// The information that a program gets about an exception.
struct Told {
    sig: FaultSig,
    code: i32,
    at: At,
}

/// The address that a program gets for an exception.
enum At {
    /// `si_addr` is the address of the instruction.
    Instruction,
    /// `si_addr` is 0.
    Nowhere,
}

/// Handles #GP. The cause may be that the TSS does not have the running task's ports yet.
#[unsafe(no_mangle)]
extern "C" fn do_general_protection(regs: &mut PtRegs, error_code: u32) {
    if !(regs.user_mode() && error_code == 0 && io_bitmap::fill_lazy_io_bitmap()) {
        let told = Told {
            sig: FaultSig::SIGSEGV,
            code: SI_KERNEL,
            at: At::Nowhere,
        };
        do_trap(regs, 13, error_code, "general protection", told);
    }
}

fn do_trap(regs: &mut PtRegs, trap_no: u32, error_code: u32, what: &str, told: Told) {
    if regs.user_mode() {
        conditional_sti(regs);
        let fault = UserFault {
            what: format_args!("{what}"),
            sig: told.sig,
            code: told.code,
            address: match told.at {
                At::Instruction => regs.ip,
                At::Nowhere => 0,
            },
            trap_no,
        };
        send_fault(regs, error_code, &fault);
    } else if !fixup_exception(regs) {
        die(format_args!("{what}"), regs, error_code);
    }
}

#[unsafe(no_mangle)]
extern "C" fn do_coprocessor_error(regs: &mut PtRegs, error_code: u32) {
    math_error(regs, error_code, MathError::X87);
}

#[unsafe(no_mangle)]
extern "C" fn do_simd_coprocessor_error(regs: &mut PtRegs, error_code: u32) {
    math_error(regs, error_code, MathError::Simd);
}

/// Handles #MF and #XM. The FPU's registers name the exception; one that they no longer show is
/// ignored.
fn math_error(regs: &mut PtRegs, error_code: u32, error: MathError) {
    let what = match error {
        MathError::X87 => "fpu exception",
        MathError::Simd => "simd exception",
    };
    if !regs.user_mode() {
        if !fixup_exception(regs) {
            die(format_args!("{what}"), regs, error_code);
        }
        return;
    }
    conditional_sti(regs);
    let state = math_state::current_fpu_state(current());
    let Some(code) = state.and_then(|state| error.si_code(&state)) else {
        return;
    };
    let fault = UserFault {
        what: format_args!("{what}"),
        sig: FaultSig::SIGFPE,
        code,
        address: regs.ip,
        trap_no: error.vector(),
    };
    send_fault(regs, error_code, &fault);
}

/// A fault of a program, on its way to becoming a signal.
pub struct UserFault<'a> {
    /// Linux's words for the fault.
    pub what: fmt::Arguments<'a>,
    pub sig: FaultSig,
    /// The signal's `si_code`.
    pub code: i32,
    /// The signal's `si_addr`.
    pub address: u32,
    /// The vector of the exception.
    pub trap_no: u32,
}

/// Vector of #PF.
pub(super) const PAGE_FAULT: u32 = 14;

/// Logs a fault that will end the program, notes it for the signal frame, and sends its signal.
/// Called with interrupts on.
pub fn send_fault(regs: &PtRegs, error_code: u32, fault: &UserFault<'_>) {
    let sig = fault.sig as i32;
    {
        let _no_preempt = PreemptGuard::new();
        // SAFETY: our own context, preemption off.
        let trap = &mut unsafe { current().thread_mut() }.trap;
        (trap.trap_no, trap.error_code) = (fault.trap_no, error_code);
        if fault.trap_no == PAGE_FAULT {
            trap.cr2 = fault.address;
        }
    }
    if unhandled_signal(sig) {
        let task = current();
        log::info!(
            "traps: {}[{}]: {} ip:{:08x} sp:{:08x} error:{error_code:x} ({:?})",
            task.comm.get(),
            task.pid(),
            fault.what,
            regs.ip,
            regs.sp,
            fault.sig
        );
    }
    force_sig_fault(sig, fault.code, fault.address);
}

/// Reports an unexpected fault in the kernel and ends the run.
pub fn die(what: fmt::Arguments<'_>, regs: &PtRegs, error_code: u32) -> ! {
    // A frame from ring 0 has no esp: the stack ended where that slot would be.
    let esp = if regs.user_mode() {
        regs.sp
    } else {
        &raw const regs.sp as u32
    };
    epitaph::die(
        format_args!("{what}, error code {error_code:04x}"),
        regs,
        esp,
    )
}

/// Turns interrupts on if they were on where the exception happened.
pub fn conditional_sti(regs: &PtRegs) {
    if regs.flags & Eflags::IF.bits() != 0 {
        insn::sti();
    }
}

#[unsafe(no_mangle)]
extern "C" fn do_int3(regs: &mut PtRegs, error_code: u32) {
    if !regs.user_mode() {
        die(format_args!("int3"), regs, error_code);
    }
    conditional_sti(regs);
    let fault = UserFault {
        what: format_args!("int3"),
        sig: FaultSig::SIGTRAP,
        code: SI_KERNEL,
        address: 0,
        trap_no: 3,
    };
    send_fault(regs, error_code, &fault);
}

/// The conditions of the four breakpoints.
const HITS: Dr6 = Dr6::B0.union(Dr6::B1).union(Dr6::B2).union(Dr6::B3);

/// Returns the breakpoints of `dr6` that `dr7` enables: the processor may report others too (SDM: vol.
/// 3, 17.2.3).
fn own_hits(dr6: Dr6, dr7: u32) -> Dr6 {
    let dr7 = Dr7::from_bits_retain(dr7);
    let is_own = |n: &usize| dr7.enabled(*n) && dr6.bits() & 1 << n != 0;
    let bits = (0..HBP_NUM).filter(is_own).map(|n| 1 << n);
    Dr6::from_bits_truncate(bits.sum())
}

/// Handles #DB. It clears DR6 first, since the processor never does.
#[unsafe(no_mangle)]
extern "C" fn do_debug(regs: &mut PtRegs, error_code: u32) {
    let dr6 = Dr6::from_bits_truncate(insn::get_debugreg(6));
    insn::set_debugreg(0, 6);

    if dr6.contains(Dr6::BS) && !regs.user_mode() {
        // `sysenter` with TF set: the step belongs to the user, who gets it on return.
        regs.flags &= !Eflags::TF.bits();
        set_flag(current_thread_info(), TIF_SINGLESTEP);
    }
    let from_user = regs.user_mode();
    // SAFETY: our own context, which no interrupt touches; this is the only borrow.
    let thread = unsafe { current().thread_mut() };
    let hits = own_hits(dr6, thread.debugreg7);
    if dr6.intersects(HITS) && thread.debugreg7 == 0 {
        // A task with breakpoints left it behind: the switch does not clear it.
        insn::set_debugreg(0, 7);
    }
    let stepped = from_user && dr6.contains(Dr6::BS);
    if dr6.intersects(HITS) && hits.is_empty() && !stepped {
        return;
    }
    if stepped || !hits.is_empty() {
        // The task's own DR6, which the processor's is never loaded from.
        thread.debugreg6 = (dr6.difference(HITS) | hits).bits();
    }
    if !hits.is_empty() {
        // An instruction breakpoint traps before its instruction: let the instruction run this
        // time.
        regs.flags |= Eflags::RF.bits();
    }
    let in_copy = !hits.is_empty() && preempt_count() == 0 && regs.flags & Eflags::IF.bits() != 0;
    if !from_user && !in_copy {
        return;
    }
    conditional_sti(regs);
    let code = match (stepped, !hits.is_empty()) {
        (true, _) => TRAP_TRACE,
        (false, true) => TRAP_HWBKPT,
        (false, false) => TRAP_BRKPT,
    };
    let fault = UserFault {
        what: format_args!("debug"),
        sig: FaultSig::SIGTRAP,
        code,
        // The kernel may hit a breakpoint on user memory; a program must not learn the kernel's
        // address.
        address: if from_user { regs.ip } else { 0 },
        trap_no: 1,
    };
    send_fault(regs, error_code, &fault);
}

/// Handles #NM: CR0.TS is set because the FPU registers do not belong to this task.
#[unsafe(no_mangle)]
extern "C" fn do_device_not_available(regs: &mut PtRegs, error_code: u32) {
    if !regs.user_mode() {
        die(format_args!("device not available"), regs, error_code);
    }
    if !math_state::math_state_restore() {
        insn::sti();
        // The instruction is tried again when we return, but by a task that is to end.
        page_fault::no_memory();
    }
}

/// Handles an NMI, which may interrupt anything, even the holder of a lock: it is reported without
/// waiting.
#[unsafe(no_mangle)]
extern "C" fn do_nmi(regs: &mut PtRegs) {
    use core::fmt::Write;
    // No preemption and no lock: this CPU may be in the middle of anything.
    add_preempt_count(NMI_OFFSET);
    let is_asked_for = epitaph::nmi_report(regs);
    let is_shot = nmi_watchdog::is_shot();
    if is_shot {
        watchdog_nmi(regs);
    }
    sub_preempt_count(NMI_OFFSET);
    if is_asked_for || is_shot {
        return;
    }
    // Writing never fails.
    let _ = writeln!(
        PanicConsole,
        "traps: NMI at {:04x}:{:08x}",
        regs.cs & 0xffff,
        regs.ip
    );
}

#[unsafe(no_mangle)]
extern "C" fn do_machine_check(regs: &mut PtRegs, error_code: u32) {
    die(format_args!("machine check"), regs, error_code);
}
