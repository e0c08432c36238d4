//! Interrupts: from devices, from the local timer, from other processors.
//!
//! In reading order:
//! - [`do_irq`]: device interrupts
//! - [`lapic`], [`ioapic`]: the interrupt controllers
//! - [`nmi_watchdog`]: an NMI when the boot CPU's tick does not come
//! - [`irqsoff_report`]: how long interrupts were off at most
//! - [`smp`]: starting other processors and calling them

pub mod do_irq;
pub mod ioapic;
pub mod irqsoff_report;
pub mod lapic;
pub mod nmi_watchdog;
pub mod smp;
