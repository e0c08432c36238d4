//! The local APIC: this CPU's tick, its end of interrupt, messages to others.
//!
//! Every CPU finds its own APIC at the same address. Without a MADT there is none, and the
//! 8259s and the PIT serve the one CPU.
//!
//! Book: chapter 4, "The Advanced Programmable Interrupt Controller".
//! Linux: 2.6.38 `arch/x86/kernel/apic/apic.c` (`setup_local_APIC`, `setup_APIC_timer`).
//! SDM: volume 3, 10.4 "Local APIC", 10.5.4 "APIC Timer".

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
/// Timer counts from one tick to the next; measured once.
static TICK_COUNTS: AtomicU32 = AtomicU32::new(0);

/// How long the timer is watched, in milliseconds.
const CALIBRATION_MS: u64 = 10;

/// Maps the registers, which lie at `phys`, and enables the APIC of the boot CPU. Once, on the
/// boot CPU, interrupts off. False if there is no room for the mapping.
pub fn init(phys: u32) -> bool {
    let Some(base) = ioremap(phys, APIC_REGISTER_BYTES) else {
        return false;
    };
    BASE.store(base.as_ptr() as u32, Ordering::Release);
    setup_local_apic();
    true
}

/// Whether interrupts come by way of the APICs.
pub fn in_use() -> bool {
    BASE.load(Ordering::Relaxed) != 0
}

/// Enables this CPU's APIC: nothing is held back, nothing comes in by its own pins but the NMI
/// of the boot CPU.
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
    // Written before it is read: the write latches what has gone wrong so far.
    write(APIC_ESR, 0);
    ack_apic_irq();
}

/// Takes what the 8259s deliver, on a machine without an I/O APIC. On the boot CPU.
pub fn let_8259s_through() {
    write(APIC_LVT0, APIC_MODE_EXTINT);
}

/// Takes what the 8259s ask for as an NMI: for the watchdog. On the boot CPU.
pub fn let_8259s_send_nmis() {
    write(APIC_LVT0, APIC_MODE_NMI);
}

/// Number of this CPU's APIC.
pub fn apic_id() -> u8 {
    (read(APIC_ID) >> 24) as u8
}

/// Tells this CPU's APIC that the interrupt has been taken.
pub fn ack_apic_irq() {
    write(APIC_EOI, 0);
}

/// Errors of this APIC since the last call (SDM: volume 3, 10.5.3).
pub fn take_errors() -> u32 {
    write(APIC_ESR, 0);
    read(APIC_ESR)
}

/// Sends `ipi` to the CPU with APIC number `apic_id`; returns when the message is on its way.
pub fn send_ipi(apic_id: u8, ipi: Ipi) {
    // Two registers, one message: an interrupt between them might send its own.
    let _irq = IrqGuard::new();
    while read(APIC_ICR) & APIC_ICR_BUSY != 0 {
        core::hint::spin_loop();
    }
    write(APIC_ICR2, icr2(apic_id));
    write(APIC_ICR, ipi.icr());
}

/// Measures the timer against the time-stamp counter, for `hz` ticks a second. Once, on the
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
    // SAFETY: `init` mapped the registers for ever, and the offsets are theirs; writing one does
    // nothing to memory.
    unsafe { VolatilePtr::new(NonNull::new_unchecked(address)) }
}
