//! Interrupts of this CPU: off, on, and back to what they were.
//!
//! Called from anywhere; the flag is this CPU's own EFLAGS.IF.
//!
//! Linux: 2.6.38 `local_irq_save`, `local_irq_restore`.
//! SDM: vol. 2, CLI, STI, POPF.

use crate::base::insn;
use crate::hw::eflags::Eflags;

/// EFLAGS as they were before [`local_irq_save`].
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct IrqFlags(u32);

/// Turns interrupts off and returns EFLAGS as they were.
#[inline(always)]
pub fn local_irq_save() -> IrqFlags {
    let flags = insn::read_eflags();
    insn::cli();
    IrqFlags(flags)
}

/// Puts IF back to what `flags` says.
#[inline(always)]
pub fn local_irq_restore(flags: IrqFlags) {
    if flags.0 & Eflags::IF.bits() != 0 {
        insn::sti();
    }
}

/// Turns interrupts on.
#[inline(always)]
pub fn local_irq_enable() {
    insn::sti();
}

/// Turns interrupts off.
#[inline(always)]
pub fn local_irq_disable() {
    insn::cli();
}

/// Whether interrupts are off on this CPU.
#[inline(always)]
pub fn irqs_disabled() -> bool {
    insn::read_eflags() & Eflags::IF.bits() == 0
}

/// Interrupts stay off while this lives; then they are as they were.
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
