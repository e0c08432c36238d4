//! Device interrupts: from a vector to its handler.
//!
//! Called by `common_interrupt` on the stack of whatever was interrupted, interrupts off, and
//! they stay off. While a handler runs, the preemption count holds HARDIRQ_OFFSET more; the
//! switch it may have asked for happens on the way out, in the entry code.
//!
//! Book: chapter 4, "Interrupt Handling".
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
        gates::{FIRST_EXTERNAL_VECTOR, IDT_ENTRIES},
        madt::Madt,
    },
    sync::{
        PreemptGuard,
        preempt::{HARDIRQ_OFFSET, add_preempt_count, sub_preempt_count},
    },
};
use crate::{this_cpu_inc, this_cpu_read, this_cpu_write};

/// What runs when an interrupt comes in: interrupts off, must not sleep.
pub type IrqHandler = fn();

const VECTORS: usize = IDT_ENTRIES - FIRST_EXTERNAL_VECTOR as usize;

/// One handler a vector, from [`FIRST_EXTERNAL_VECTOR`] on.
static HANDLERS: [Once<IrqHandler>; VECTORS] = [const { Once::new() }; VECTORS];

/// Someone else handles that interrupt already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IrqTaken;

/// Sets up the interrupt controllers and the tick: the APICs that `madt` names, or else the
/// 8259s and the PIT. Once, on the boot CPU, before interrupts are first turned on.
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

/// The local APIC, its tick, and the I/O APIC if there is one. False if there is no local APIC
/// to be used.
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
    // Nobody else installs handlers for these.
    let _installed = set_intr_handler(SPURIOUS_APIC_VECTOR, spurious);
    let _installed = set_intr_handler(ERROR_APIC_VECTOR, apic_error);
    lapic::calibrate_timer(pit::HZ);
    lapic::start_timer();
    true
}

/// Lets `handler` have line `irq` (0 to 15) and unmasks it.
///
/// # Errors
/// The line has a handler already.
pub fn request_irq(irq: u32, handler: IrqHandler) -> Result<(), IrqTaken> {
    set_intr_handler(pic::FIRST_IRQ_VECTOR + irq as u8, handler)?;
    if ioapic::in_use() {
        ioapic::set_masked(irq, false);
    } else {
        pic::unmask(irq);
    }
    Ok(())
}

/// Lets `handler` have `vector`, which is no exception. It tells its device itself.
///
/// # Errors
/// The vector has a handler already.
pub fn set_intr_handler(vector: u8, handler: IrqHandler) -> Result<(), IrqTaken> {
    let slot = &HANDLERS[usize::from(vector - FIRST_EXTERNAL_VECTOR)];
    let mut is_ours = false;
    slot.call_once(|| {
        is_ours = true;
        handler
    });
    if is_ours { Ok(()) } else { Err(IrqTaken) }
}

/// Entry from `common_interrupt`; `orig_ax` holds the complement of the vector.
#[unsafe(no_mangle)]
extern "C" fn do_IRQ(regs: &PtRegs) {
    add_preempt_count(HARDIRQ_OFFSET);
    let before = this_cpu_read!(irq_regs);
    // SAFETY: interrupts are off, so this CPU's; taken back below, before the frame goes.
    unsafe { this_cpu_write!(irq_regs, core::ptr::from_ref(regs) as u32) };
    this_cpu_inc!(count.interrupts);
    handle(!regs.orig_ax as u8);
    // SAFETY: what was there when we came.
    unsafe { this_cpu_write!(irq_regs, before) };
    sub_preempt_count(HARDIRQ_OFFSET);
}

/// What `look` says of the registers that the interrupt which runs on this CPU has interrupted; None
/// outside of an interrupt.
#[doc(alias = "get_irq_regs")]
pub fn with_irq_regs<R>(look: impl FnOnce(Option<&PtRegs>) -> R) -> R {
    let _no_preempt = PreemptGuard::new();
    let regs = this_cpu_read!(irq_regs) as *const PtRegs;
    // SAFETY: stored by `do_IRQ`, which takes it back before its frame goes: in an interrupt it does
    // not return before we do, and outside of one the word is 0. Preemption is off, so it is this
    // CPU's.
    look(unsafe { regs.as_ref() })
}

fn handle(vector: u8) {
    let irq = u32::from(vector) - u32::from(pic::FIRST_IRQ_VECTOR);
    if (irq as usize) < NR_IRQS {
        // SAFETY: this CPU's own word, which nobody else writes: interrupts are off.
        unsafe {
            let count = &raw mut (*this_cpu()).irqs[irq as usize];
            *count = (*count).wrapping_add(1);
        }
    }
    // Before the handler: it may switch tasks only after we are gone, but then at once.
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
