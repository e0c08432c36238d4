//! Device interrupts: from a vector to its handler.
//!
//! `common_interrupt` calls this on the interrupted stack with interrupts off, and they stay off.
//! While a handler runs, the preemption count is higher by HARDIRQ_OFFSET; a switch that it asks
//! for happens on the way out, in the entry code.
//!
//! Book: ch. 4, "Interrupt Handling".
//! Linux: 2.6.38 `do_IRQ`, `irq_enter`, `irq_exit`, `request_irq`.

use spin::Once;

use crate::arch::x86::irq::{ioapic, lapic, nmi_watchdog};
use crate::base::percpu::{NR_IRQS, this_cpu};
use crate::base::upward::timer_tick;
use crate::{
    base::pt_regs::PtRegs,
    drivers::{pic, pit},
    hw::{
        apic::{ERROR_APIC_VECTOR, LOCAL_TIMER_VECTOR, SPURIOUS_APIC_VECTOR},
        eflags::Eflags,
        gates::{FIRST_EXTERNAL_VECTOR, IDT_ENTRIES},
        madt::Madt,
    },
    sync::{
        PreemptGuard,
        irqsoff::{IRQSOFF, trace_hardirqs_off, trace_hardirqs_on},
        preempt::{HARDIRQ_OFFSET, add_preempt_count, sub_preempt_count},
    },
};
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// A function that handles an interrupt; it runs with interrupts off and must not sleep.
pub type IrqHandler = fn();

const VECTORS: usize = IDT_ENTRIES - FIRST_EXTERNAL_VECTOR as usize;

/// One handler for each vector from [`FIRST_EXTERNAL_VECTOR`] on.
static HANDLERS: [Once<IrqHandler>; VECTORS] = [const { Once::new() }; VECTORS];

/// The interrupt already has a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IrqTaken;

/// Sets up the interrupt controllers and the tick: the APICs that `madt` names, or else the 8259s
/// and the PIT. Called once, on the boot CPU, before interrupts are first turned on.
#[doc(alias = "init_IRQ")]
pub fn init_irq(madt: Option<&Madt>) {
    pic::init();
    let has_tick = match madt {
        Some(madt) if init_apics(madt) => set_intr_handler(LOCAL_TIMER_VECTOR, tick),
        _ => {
            pit::start_tick();
            request_irq(pit::PIT_IRQ, tick)
        }
    };
    if has_tick.is_err() {
        log::error!("irq: the timer's vector is taken");
    }
}

/// Sets up the local APIC, its tick, and the I/O APIC if there is one. Returns false if no local
/// APIC can be used.
fn init_apics(madt: &Madt) -> bool {
    if !lapic::init(madt.lapic_phys) {
        return false;
    }
    let has_ioapic = madt
        .ioapic_phys
        .is_some_and(|phys| ioapic::init(phys, &madt.isa_irqs, lapic::apic_id()));
    if !has_ioapic {
        log::warn!("irq: no I/O APIC: device interrupts come by the 8259s");
        lapic::let_8259s_through();
    } else {
        nmi_watchdog::init();
    }
    // Nothing else installs handlers for these.
    let _installed = set_intr_handler(SPURIOUS_APIC_VECTOR, spurious);
    let _installed = set_intr_handler(ERROR_APIC_VECTOR, apic_error);
    lapic::calibrate_timer(pit::HZ);
    lapic::start_timer();
    true
}

/// Installs `handler` for line `irq` (0 to 15) and unmasks the line.
///
/// # Errors
/// [`IrqTaken`] if the line already has a handler.
pub fn request_irq(irq: u32, handler: IrqHandler) -> Result<(), IrqTaken> {
    set_intr_handler(pic::FIRST_IRQ_VECTOR + irq as u8, handler)?;
    if ioapic::in_use() {
        ioapic::set_masked(irq, false);
    } else {
        pic::unmask(irq);
    }
    Ok(())
}

/// Installs `handler` for `vector`, which is not an exception. The handler acknowledges its device
/// itself.
///
/// # Errors
/// [`IrqTaken`] if the vector already has a handler.
pub fn set_intr_handler(vector: u8, handler: IrqHandler) -> Result<(), IrqTaken> {
    let slot = &HANDLERS[usize::from(vector - FIRST_EXTERNAL_VECTOR)];
    let mut is_ours = false;
    slot.call_once(|| {
        is_ours = true;
        handler
    });
    if is_ours { Ok(()) } else { Err(IrqTaken) }
}

/// Handles an interrupt for `common_interrupt`; `orig_ax` holds the complement of the vector.
#[unsafe(no_mangle)]
extern "C" fn do_IRQ(regs: &PtRegs) {
    let had_on = IRQSOFF && regs.flags & Eflags::IF.bits() != 0;
    if had_on {
        trace_hardirqs_off();
    }
    add_preempt_count(HARDIRQ_OFFSET);
    let before = this_cpu_read!(irq_regs);
    // SAFETY: interrupts are off, so the word is this CPU's; it is reset below, before the frame
    // goes.
    unsafe { this_cpu_write!(irq_regs, core::ptr::from_ref(regs) as u32) };
    this_cpu_inc!(count.interrupts);
    handle(!regs.orig_ax as u8);
    // SAFETY: this restores the old value.
    unsafe { this_cpu_write!(irq_regs, before) };
    sub_preempt_count(HARDIRQ_OFFSET);
    if had_on {
        trace_hardirqs_on();
    }
}

/// Calls `look` with the registers that the present interrupt of this CPU interrupted, or with
/// `None` outside of an interrupt, and returns its result.
#[doc(alias = "get_irq_regs")]
pub fn with_irq_regs<R>(look: impl FnOnce(Option<&PtRegs>) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    let regs = this_cpu_read!(irq_regs) as *const PtRegs;
    // SAFETY: `do_IRQ` stores the pointer and resets it before its frame goes: in an interrupt
    // `do_IRQ` does not return before we do, and outside of one the word is 0. Preemption is off,
    // so it is this CPU's.
    look(unsafe { regs.as_ref() })
}

fn handle(vector: u8) {
    let irq = u32::from(vector) - u32::from(pic::FIRST_IRQ_VECTOR);
    if (irq as usize) < NR_IRQS {
        // SAFETY: this CPU's own word, which nothing else writes: interrupts are off.
        unsafe {
            let count = &raw mut (*this_cpu()).irqs[irq as usize];
            *count = (*count).wrapping_add(1);
        }
    }
    // Acknowledge before the handler: a switch may follow at once after we return.
    if irq < pic::NR_IRQS && !ioapic::in_use() {
        if pic::is_spurious(irq) {
            return;
        }
        pic::end_of_interrupt(irq);
    } else if vector != SPURIOUS_APIC_VECTOR && lapic::in_use() {
        lapic::ack_apic_irq();
    }
    match HANDLERS[usize::from(vector - FIRST_EXTERNAL_VECTOR)].get() {
        Some(handler) => handler(),
        None => log::warn!("irq: nobody handles vector {vector:#x}"),
    }
}

fn spurious() {
    log::debug!("irq: spurious interrupt of the local APIC");
}

fn apic_error() {
    log::warn!("irq: local APIC error {:#x}", lapic::take_errors());
}

fn tick() {
    timer_tick();
}
