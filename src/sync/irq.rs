//! The interrupt flag of this CPU: off, on, and restored.
//!
//! Any context may call these; the flag is this CPU's own EFLAGS.IF.
//!
//! Linux: 2.6.38 `local_irq_save`, `local_irq_restore`.
//! SDM: vol. 2, CLI, STI, POPF.

use crate::base::insn;
use crate::hw::eflags::Eflags;
use crate::sync::irqsoff::{IRQSOFF, trace_hardirqs_off, trace_hardirqs_on};

/// The value of EFLAGS before [`local_irq_save`].
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct IrqFlags(u32);

/// Turns interrupts off and returns the old EFLAGS.
#[inline(always)]
pub fn local_irq_save() -> IrqFlags {
    let flags = insn::read_eflags();
    insn::cli();
    if IRQSOFF && flags & Eflags::IF.bits() != 0 {
        trace_hardirqs_off();
    }
    IrqFlags(flags)
}

/// Restores IF from `flags`.
#[inline(always)]
pub fn local_irq_restore(flags: IrqFlags) {
    if flags.0 & Eflags::IF.bits() != 0 {
        trace_hardirqs_on();
        insn::sti();
    }
}

/// Turns interrupts on.
#[inline(always)]
pub fn local_irq_enable() {
    trace_hardirqs_on();
    insn::sti();
}

/// Turns interrupts off.
#[inline(always)]
pub fn local_irq_disable() {
    let were_on = IRQSOFF && !irqs_disabled();
    insn::cli();
    if were_on {
        trace_hardirqs_off();
    }
}

/// Turns interrupts on and stops, so that none can fall between the two.
#[inline(always)]
#[doc(alias = "safe_halt")]
pub fn local_irq_enable_and_halt() {
    trace_hardirqs_on();
    insn::sti_hlt();
}

/// Turns interrupts off for the entry code, which is about to return to where they are as they were.
#[inline(always)]
pub fn local_irq_disable_to_return() {
    insn::cli();
}

/// Returns whether interrupts are off on this CPU.
#[inline(always)]
pub fn irqs_disabled() -> bool {
    insn::read_eflags() & Eflags::IF.bits() == 0
}

/// Keeps interrupts off while it lives; its drop restores them.
pub struct IrqGuard {
    flags: IrqFlags,
    _not_send: core::marker::PhantomData<*mut ()>,
}

impl IrqGuard {
    /// Saves EFLAGS.IF and clears it.
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            flags: local_irq_save(),
            _not_send: core::marker::PhantomData,
        }
    }
}

impl Default for IrqGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for IrqGuard {
    #[inline(always)]
    fn drop(&mut self) {
        local_irq_restore(self.flags);
    }
}
