//! The I/O APIC, which sends all device interrupts to the boot CPU.
//!
//! Lines keep the vectors that the 8259s gave them: 0x20 for line 0 of the ISA bus, and so on.
//!
//! Book: ch. 4, "The Advanced Programmable Interrupt Controller".
//! Linux: 2.6.38 `arch/x86/kernel/apic/io_apic.c`.
//! Intel 82093AA datasheet, 3.1 "Memory Mapped Registers".

use core::ptr::NonNull;

use spin::Once;
use volatile::VolatilePtr;

use crate::drivers::pic::FIRST_IRQ_VECTOR;
use crate::hw::apic::{
    IOAPIC_REGISTER_BYTES, IOAPICVER, IOREDTBL, IOREGSEL, IOWIN, RedirectionEntry, ioapic_lines,
};
use crate::hw::madt::{ISA_IRQS, IsaIrq};
use crate::mm::ioremap::ioremap;
use crate::sync::{IrqSpinLock, LockClass};

struct IoApic {
    /// Linear address of the registers, an index and a window, which only one user may access at a
    /// time.
    registers: IrqSpinLock<u32>,
    lines: u32,
    isa_irqs: [IsaIrq; ISA_IRQS],
    /// APIC number of the CPU that gets the interrupts.
    apic_id: u8,
}

static IOAPIC: Once<IoApic> = Once::new();

/// Maps the registers, which lie at `phys`, and masks all lines. Interrupts will go to the CPU with
/// APIC number `apic_id`. Returns false if there is no room for the mapping.
pub fn init(phys: u32, isa_irqs: &[IsaIrq; ISA_IRQS], apic_id: u8) -> bool {
    let Some(base) = ioremap(phys, IOAPIC_REGISTER_BYTES) else {
        return false;
    };
    let base = base.as_ptr() as u32;
    let lines = ioapic_lines(read(base, IOAPICVER));
    let io_apic = IOAPIC.call_once(|| IoApic {
        registers: IrqSpinLock::new(LockClass::IoApic, base),
        lines,
        isa_irqs: *isa_irqs,
        apic_id,
    });
    for line in 0..lines {
        io_apic.route(line, 0, IsaIrq::default(), true);
    }
    true
}

/// Returns whether device interrupts arrive through the I/O APIC.
pub fn in_use() -> bool {
    IOAPIC.get().is_some()
}

/// Masks or unmasks ISA line `irq`.
pub fn set_masked(irq: u32, masked: bool) {
    let Some(io_apic) = IOAPIC.get() else { return };
    let Some(&line) = io_apic.isa_irqs.get(irq as usize) else {
        return;
    };
    if line.gsi < io_apic.lines {
        io_apic.route(line.gsi, FIRST_IRQ_VECTOR + irq as u8, line, masked);
    }
}

impl IoApic {
    fn route(&self, line: u32, vector: u8, irq: IsaIrq, masked: bool) {
        let entry = RedirectionEntry {
            vector,
            apic_id: self.apic_id,
            trigger: irq.trigger,
            masked,
        };
        let (low, high) = entry.words();
        let base = self.registers.lock();
        // The destination first: the low word may unmask.
        write(*base, IOREDTBL + 2 * line + 1, high);
        write(*base, IOREDTBL + 2 * line, low);
    }
}

fn read(base: u32, index: u32) -> u32 {
    register(base + IOREGSEL).write(index);
    register(base + IOWIN).read()
}

fn write(base: u32, index: u32, value: u32) {
    register(base + IOREGSEL).write(index);
    register(base + IOWIN).write(value);
}

fn register(address: u32) -> VolatilePtr<'static, u32> {
    // SAFETY: `init` mapped both registers for ever; writing them does nothing to memory.
    unsafe { VolatilePtr::new(NonNull::new_unchecked(address as *mut u32)) }
}
