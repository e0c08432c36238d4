//! The NMI watchdog's clock: an NMI on the boot CPU when its tick has not come for 54.7 ms.
//!
//! ```text
//!   8254 channel 0, a one-shot -> line 0 of the 8259s -> LINT0 of the boot CPU's APIC, as an NMI
//! ```
//! Each tick of the boot CPU postpones the shot, so an NMI occurs only when a tick is late, and
//! never with `watchdog=0`. The NMI postpones it as well, and calls the watchdog. This needs device
//! interrupts to arrive through the I/O APIC, so that the 8259s have nothing else to do.
//!
//! The boot CPU's tick and its NMI call this, in any context.
//!
//! Book: ch. 6, "Checking the NMI Watchdogs".
//! Linux: 2.6.38 `nmi_watchdog=1` (`check_timer`, `timer_ack`), which uses a steady clock.
//! SDM: vol. 3, 10.5.1 "Local Vector Table", 6.7 "Nonmaskable Interrupt (NMI)".

use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::x86::irq::ioapic;
use crate::arch::x86::irq::lapic;
use crate::base::percpu::smp_processor_id;
use crate::drivers::{pic, pit};

/// Whether the one-shot is wired up.
static IS_WIRED: AtomicBool = AtomicBool::new(false);

/// Wires the one-shot to this CPU, the boot CPU. It is armed by the first [`postpone`].
pub fn init() {
    debug_assert!(ioapic::in_use(), "BUG: the 8259s have other work");
    pit::start_one_shot();
    lapic::let_8259s_send_nmis();
    // Before the unmasking: a request that the chip has kept raises an NMI at once, and one that is
    // not acknowledged comes again with each change of any line, such as that of COM1.
    IS_WIRED.store(true, Ordering::Relaxed);
    pic::unmask(pit::PIT_IRQ);
}

/// Restarts the one-shot: the boot CPU is alive.
#[inline]
pub fn postpone() {
    if IS_WIRED.load(Ordering::Relaxed) {
        pit::postpone_one_shot();
    }
}

/// Acknowledges a shot whose NMI was lost: the entry code drops an NMI at the few instructions
/// where it has no stack. The boot CPU's tick calls this from time to time.
pub fn acknowledge() -> bool {
    IS_WIRED.load(Ordering::Relaxed) && pic::poll() == Some(pit::PIT_IRQ)
}

/// Returns whether the present NMI is the shot, and then postpones the next.
pub fn is_shot() -> bool {
    let is_shot = smp_processor_id() == 0 && acknowledge();
    if is_shot {
        postpone();
    }
    is_shot
}
