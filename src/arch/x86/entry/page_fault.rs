//! #PF: an access to a page that is missing, or that does not allow the access.
//!
//! The stub in `entry` calls this on the kernel stack of the interrupted task, interrupts off.
//! `mm::fault` handles a user address, whether ring 3 touched it or the kernel on its behalf. A
//! fault that cannot be resolved becomes a signal for a program, leads to the fix-up of a copy to
//! or from user memory, and is a bug otherwise.
//!
//! Book: ch. 9, "Page Fault Exception Handler".
//! Linux: 2.6.38 `arch/x86/mm/fault.c` (`do_page_fault`, `no_context`, `bad_area`).
//! SDM: vol. 3, 4.7 "Page-Fault Exceptions".

use crate::arch::x86::current::{Current, current};
use crate::arch::x86::entry::extable::fixup_exception;
use crate::arch::x86::entry::traps::{
    FaultSig, PAGE_FAULT, UserFault, conditional_sti, die, send_fault,
};
use crate::base::insn;
use crate::base::layout::PAGE_OFFSET;
use crate::base::pt_regs::PtRegs;
use crate::base::upward::pagefault_out_of_memory;
use crate::hw::pte::{PAGE_SIZE, PageFaultError};
use crate::mm::fault::{FaultSignal, handle_mm_fault};
use crate::sync::preempt::preempt_count;
use crate::task::hooks::HOOK_PERF_EVENTS;
use crate::task::perf_attr::SwEvent;

const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRERR: i32 = 2;

#[unsafe(no_mangle)]
extern "C" fn do_page_fault(regs: &mut PtRegs, error_code: u32) {
    // Read before interrupts are on: another fault would overwrite it.
    let address = insn::read_cr2();
    // A program that raised its IOPL may have interrupts off, but the code below may wait for other
    // CPUs.
    if regs.user_mode() {
        insn::sti();
    } else {
        conditional_sti(regs);
    }
    match resolve(
        regs,
        address,
        PageFaultError::from_bits_truncate(error_code),
    ) {
        Ok(()) => {}
        // Tried again when we return, but by a task that is to end; it does so on its way to ring 3.
        // In process context with interrupts on: `resolve` has asked.
        Err(FaultSignal::OutOfMemory) if pagefault_out_of_memory() => {}
        Err(FaultSignal::OutOfMemory) if regs.user_mode() => {}
        Err(signal) if regs.user_mode() => bad_area(regs, error_code, address, signal),
        Err(_) => no_context(regs, error_code, address),
    }
}

/// An exception of ring 3 other than #PF found no memory for what it needs: sees to it that there is some.
/// In process context with interrupts on, no lock held.
pub(super) fn no_memory() {
    let _again = pagefault_out_of_memory();
}

fn resolve(regs: &PtRegs, address: u32, error: PageFaultError) -> Result<(), FaultSignal> {
    // Kernel memory is always mapped, and code that may not sleep must not touch user memory.
    let is_user_address = address < PAGE_OFFSET;
    if !is_user_address || !(regs.user_mode() || may_sleep()) {
        return Err(FaultSignal::NotMapped);
    }
    let me = current();
    let mm = me.mm_struct().ok_or(FaultSignal::NotMapped)?;
    if !me.hooks.contains(HOOK_PERF_EVENTS) {
        handle_mm_fault(mm, address, error)?;
        me.min_flt.inc();
        return Ok(());
    }
    perf_sw_event(me, SwEvent::PageFaults, regs.user_mode());
    handle_mm_fault(mm, address, error).inspect(|()| {
        me.min_flt.inc();
        perf_sw_event(me, SwEvent::PageFaultsMin, regs.user_mode());
    })
}

/// Counts a fault for performance events.
#[cold]
fn perf_sw_event(me: Current, what: SwEvent, user: bool) {
    me.perf_events.lock().sw_event(what, 1, user);
}

/// Returns whether this is process context in which a lock may be waited for. Before the first task
/// there is no such context.
fn may_sleep() -> bool {
    insn::str() != 0 && !current().as_ptr().is_null() && preempt_count() == 0
}

fn bad_area(regs: &PtRegs, error_code: u32, address: u32, signal: FaultSignal) {
    let (sig, code) = match signal {
        FaultSignal::NotMapped => (FaultSig::SIGSEGV, SEGV_MAPERR),
        FaultSignal::NotAllowed => (FaultSig::SIGSEGV, SEGV_ACCERR),
        FaultSignal::BeyondFile => (FaultSig::SIGBUS, BUS_ADRERR),
        FaultSignal::OutOfMemory => unreachable!("BUG: no memory is no fault of the program"),
    };
    let fault = match signal {
        FaultSignal::BeyondFile => format_args!("access beyond the file at {address:08x}"),
        _ => format_args!("segfault at {address:08x}"),
    };
    // For a kernel address always report "not allowed": programs do not learn what is mapped there.
    let told = match address < PAGE_OFFSET {
        true => error_code,
        false => error_code | PageFaultError::PROT.bits(),
    };
    send_fault(
        regs,
        told,
        &UserFault {
            what: fault,
            sig,
            code,
            address,
            trap_no: PAGE_FAULT,
        },
    );
}

fn no_context(regs: &mut PtRegs, error_code: u32, address: u32) {
    if fixup_exception(regs) {
        return;
    }
    let cause = if address < PAGE_SIZE {
        " (NULL pointer)"
    } else {
        ""
    };
    die(
        format_args!("page fault at {address:08x}{cause}"),
        regs,
        error_code,
    );
}
