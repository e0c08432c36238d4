//! Device interrupts: from a vector to its handler.
//!
//! Called by `common_interrupt` on the stack of whatever was interrupted, interrupts off, and
//! they stay off. While a handler runs, the preemption count holds HARDIRQ_OFFSET more; the
//! switch it may have asked for happens on the way out, in the entry code.
//!
//! Book: chapter 4, "Interrupt Handling".
//! Linux: 2.6.38 `do_IRQ`, `irq_enter`, `irq_exit`, `request_irq`.

use spin::Once;

use crate::{
    drivers::{pic, pit},
    hw::gates::{FIRST_EXTERNAL_VECTOR, IDT_ENTRIES},
    sync::preempt::{HARDIRQ_OFFSET, add_preempt_count, sub_preempt_count},
    task::pt_regs::PtRegs,
};

/// What runs when an interrupt comes in: interrupts off, must not sleep.
pub type IrqHandler = fn();

const VECTORS: usize = IDT_ENTRIES - FIRST_EXTERNAL_VECTOR as usize;

/// One handler a vector, from [`FIRST_EXTERNAL_VECTOR`] on.
static HANDLERS: [Once<IrqHandler>; VECTORS] = [const { Once::new() }; VECTORS];

/// Someone else handles that interrupt already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IrqTaken;

/// Sets up the interrupt controllers and the tick. Once, on the boot CPU, before interrupts
/// are first turned on.
#[doc(alias = "init_IRQ")]
pub fn init_irq() {
    pic::init();
    pit::start_tick();
    if request_irq(pit::PIT_IRQ, tick).is_err() {
        log::error!("irq: the timer's line is taken");
    }
}

/// Lets `handler` have line `irq` (0 to 15) and unmasks it.
///
/// # Errors
/// The line has a handler already.
pub fn request_irq(irq: u32, handler: IrqHandler) -> Result<(), IrqTaken> {
    set_intr_handler(pic::FIRST_IRQ_VECTOR + irq as u8, handler)?;
    pic::unmask(irq);
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
    handle(!regs.orig_ax as u8);
    sub_preempt_count(HARDIRQ_OFFSET);
}

fn handle(vector: u8) {
    let irq = u32::from(vector) - u32::from(pic::FIRST_IRQ_VECTOR);
    if irq < pic::NR_IRQS {
        if pic::is_spurious(irq) {
            return;
        }
        // Before the handler: it may switch tasks only after we are gone, but then at once.
        pic::end_of_interrupt(irq);
    }
    match HANDLERS[usize::from(vector - FIRST_EXTERNAL_VECTOR)].get() {
        Some(handler) => handler(),
        None => log::warn!("irq: nobody handles vector {vector:#x}"),
    }
}

unsafe extern "C" {
    /// Upward: `sched::tick`, time slices and timers.
    fn timer_tick();
}

fn tick() {
    // SAFETY: in an interrupt, interrupts off, as it wants it.
    unsafe { timer_tick() };
}
