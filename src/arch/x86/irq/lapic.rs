//! The local APIC: this CPU's tick, its end of interrupt, and messages to other CPUs.
//!
//! Every CPU finds its own APIC at the same address. Without a MADT no APIC is used, and the 8259s
//! and the PIT serve the one CPU.
//!
//! Book: ch. 4, "The Advanced Programmable Interrupt Controller".
//! Linux: 2.6.38 `arch/x86/kernel/apic/apic.c` (`setup_local_APIC`, `setup_APIC_timer`).
//! SDM: vol. 3, 10.4 "Local APIC", 10.5.4 "APIC Timer".

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use volatile::VolatilePtr;

use crate::base::insn;
use crate::drivers::tsc;
use crate::hw::apic::{
    APIC_EOI, APIC_ESR, APIC_ICR, APIC_ICR_BUSY, APIC_ICR2, APIC_ID, APIC_LVT_MASKED,
    APIC_LVT_TIMER_PERIODIC, APIC_LVT0, APIC_LVT1, APIC_LVTERR, APIC_LVTT, APIC_MODE_EXTINT,
    APIC_MODE_NMI, APIC_REGISTER_BYTES, APIC_SPIV, APIC_SPIV_APIC_ENABLED, APIC_TASKPRI, APIC_TDCR,
    APIC_TDR_DIV_16, APIC_TMCCT, APIC_TMICT, ERROR_APIC_VECTOR, Ipi, LOCAL_TIMER_VECTOR,
    SPURIOUS_APIC_VECTOR, icr2,
};
use crate::mm::ioremap::ioremap;
use crate::sync::IrqGuard;

/// Linear address of the registers; 0 without a local APIC.
static BASE: AtomicU32 = AtomicU32::new(0);
/// Timer counts from one tick to the next, measured once.
static TICK_COUNTS: AtomicU32 = AtomicU32::new(0);

/// Time for which the timer is measured, in milliseconds.
const CALIBRATION_MS: u64 = 10;

/// Maps the registers, which lie at `phys`, and enables the APIC of the boot CPU. Called once, on
/// the boot CPU, interrupts off. Returns false if there is no room for the mapping.
pub fn init(phys: u32) -> bool {
    let Some(base) = ioremap(phys, APIC_REGISTER_BYTES) else {
        return false;
    };
    BASE.store(base.as_ptr() as u32, Ordering::Release);
    setup_local_apic();
    true
}

/// Returns whether interrupts arrive through the APICs.
pub fn in_use() -> bool {
    BASE.load(Ordering::Relaxed) != 0
}

/// Enables this CPU's APIC: it accepts all priorities, and its own pins deliver nothing except the
/// NMI of the boot CPU.
pub fn setup_local_apic() {
    let _irq = IrqGuard::new();
    write(APIC_TASKPRI, 0);
    write(
        APIC_SPIV,
        APIC_SPIV_APIC_ENABLED | u32::from(SPURIOUS_APIC_VECTOR),
    );
    write(APIC_LVT0, APIC_LVT_MASKED);
    write(APIC_LVT1, APIC_MODE_NMI);
    write(APIC_LVTERR, u32::from(ERROR_APIC_VECTOR));
    // Written before it is read: the write latches the errors so far.
    write(APIC_ESR, 0);
    ack_apic_irq();
}

/// Makes the boot CPU accept interrupts of the 8259s, on a machine without an I/O APIC.
pub fn let_8259s_through() {
    write(APIC_LVT0, APIC_MODE_EXTINT);
}

/// Makes the boot CPU take interrupts of the 8259s as NMIs, for the watchdog.
pub fn let_8259s_send_nmis() {
    write(APIC_LVT0, APIC_MODE_NMI);
}

/// Returns the number of this CPU's APIC.
pub fn apic_id() -> u8 {
    (read(APIC_ID) >> 24) as u8
}

/// Acknowledges the interrupt to this CPU's APIC.
pub fn ack_apic_irq() {
    write(APIC_EOI, 0);
}

/// Returns the errors of this APIC since the last call (SDM: vol. 3, 10.5.3).
pub fn take_errors() -> u32 {
    write(APIC_ESR, 0);
    read(APIC_ESR)
}

/// Sends `ipi` to the CPU with APIC number `apic_id`; returns when the message is on its way.
pub fn send_ipi(apic_id: u8, ipi: Ipi) {
    // A message takes two registers: an interrupt between the writes might send its own.
    let _irq = IrqGuard::new();
    while read(APIC_ICR) & APIC_ICR_BUSY != 0 {
        core::hint::spin_loop();
    }
    write(APIC_ICR2, icr2(apic_id));
    write(APIC_ICR, ipi.icr());
}

/// Measures the timer against the time-stamp counter, for `hz` ticks a second. Called once, on the
/// boot CPU, interrupts off.
pub fn calibrate_timer(hz: u32) {
    write(APIC_TDCR, APIC_TDR_DIV_16);
    write(APIC_LVTT, APIC_LVT_MASKED);
    write(APIC_TMICT, u32::MAX);
    let wait = u64::from(tsc::khz()) * CALIBRATION_MS;
    let start = insn::rdtsc();
    while insn::rdtsc() - start < wait {
        core::hint::spin_loop();
    }
    let counts = u64::from(u32::MAX - read(APIC_TMCCT));
    write(APIC_TMICT, 0);
    let per_tick = counts * 1000 / (CALIBRATION_MS * u64::from(hz));
    TICK_COUNTS.store((per_tick as u32).max(1), Ordering::Release);
}

/// Starts this CPU's tick.
pub fn start_timer() {
    write(APIC_TDCR, APIC_TDR_DIV_16);
    write(
        APIC_LVTT,
        APIC_LVT_TIMER_PERIODIC | u32::from(LOCAL_TIMER_VECTOR),
    );
    write(APIC_TMICT, TICK_COUNTS.load(Ordering::Acquire));
}

fn read(offset: u32) -> u32 {
    register(offset).read()
}

fn write(offset: u32, value: u32) {
    register(offset).write(value);
}

fn register(offset: u32) -> VolatilePtr<'static, u32> {
    let address = (BASE.load(Ordering::Relaxed) + offset) as *mut u32;
    debug_assert!(in_use(), "BUG: no local APIC");
    // SAFETY: `init` mapped the registers for ever, and the offsets are those of registers; writing
    // one does not affect memory.
    unsafe { VolatilePtr::new(NonNull::new_unchecked(address)) }
}
