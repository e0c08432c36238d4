//! The NMI watchdog's clock: an NMI on the boot CPU when its tick has not come for 54.7 ms.
//!
//! ```text
//!   8254 channel 0, a one-shot -> line 0 of the 8259s -> LINT0 of the boot CPU's APIC, as an NMI
//! ```
//! Each tick of the boot CPU postpones the shot; so there are no NMIs but when ticks are late, and
//! none at all with `watchdog=0`. The NMI postpones it as well, and has the watchdog look. Only where
//! device interrupts come by the I/O APIC: the 8259s have nothing else to do there.
//!
//! Called by the boot CPU's tick, and by its NMI, anywhere.
//!
//! Book: ch. 6, "Checking the NMI Watchdogs".
//! Linux: 2.6.38 `nmi_watchdog=1` (`check_timer`, `timer_ack`), there with a steady clock.
//! SDM: vol. 3, 10.5.1 "Local Vector Table", 6.7 "Nonmaskable Interrupt (NMI)".

use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::x86::irq::ioapic;
use crate::arch::x86::irq::lapic;
use crate::base::percpu::smp_processor_id;
use crate::drivers::{pic, pit};

/// The shot is wired up.
static IS_WIRED: AtomicBool = AtomicBool::new(false);

/// Wires the one-shot to this CPU, the boot CPU. It waits for the first [`postpone`].
pub fn init() {
    debug_assert!(ioapic::in_use(), "BUG: the 8259s have other work");
    pit::start_one_shot();
    lapic::let_8259s_send_nmis();
    pic::unmask(pit::PIT_IRQ);
    IS_WIRED.store(true, Ordering::Relaxed);
}

/// The boot CPU is alive, as of now.
#[inline]
pub fn postpone() {
    if IS_WIRED.load(Ordering::Relaxed) {
        pit::postpone_one_shot();
    }
}

/// Takes back a shot whose NMI was lost: the NMI's entry drops one that hits the few instructions in
/// which it has no stack. Once in a while, by the boot CPU's tick.
pub fn acknowledge() -> bool {
    IS_WIRED.load(Ordering::Relaxed) && pic::poll() == Some(pit::PIT_IRQ)
}

/// In an NMI: whether it is the shot, which is then postponed.
pub fn is_shot() -> bool {
    let is_shot = smp_processor_id() == 0 && acknowledge();
    if is_shot {
        postpone();
    }
    is_shot
}
