#![forbid(unsafe_code)]
//! Registers and commands of the local APIC and the I/O APIC.
//!
//! Only offsets and bits; `arch::x86::irq::{lapic, ioapic}` access the registers.
//!
//! Book: ch. 4, "The Advanced Programmable Interrupt Controller".
//! Linux: 2.6.38 `asm/apicdef.h`, `asm/io_apic.h`, `asm/irq_vectors.h`.
//! SDM: vol. 3, 10.4 "Local APIC", 10.6 "Issuing Interprocessor Interrupts".
//! Intel 82093AA datasheet, 3.2 "I/O APIC Registers".

/// Offsets of local APIC registers, in bytes.
pub const APIC_ID: u32 = 0x20;
pub const APIC_TASKPRI: u32 = 0x80;
pub const APIC_EOI: u32 = 0xb0;
pub const APIC_SPIV: u32 = 0xf0;
pub const APIC_ESR: u32 = 0x280;
pub const APIC_ICR: u32 = 0x300;
pub const APIC_ICR2: u32 = 0x310;
pub const APIC_LVTT: u32 = 0x320;
pub const APIC_LVT0: u32 = 0x350;
pub const APIC_LVT1: u32 = 0x360;
pub const APIC_LVTERR: u32 = 0x370;
pub const APIC_TMICT: u32 = 0x380;
pub const APIC_TMCCT: u32 = 0x390;
pub const APIC_TDCR: u32 = 0x3e0;
/// Size of the local APIC's registers in bytes.
pub const APIC_REGISTER_BYTES: u32 = 0x400;

/// Spurious-interrupt register: enables the APIC.
pub const APIC_SPIV_APIC_ENABLED: u32 = 1 << 8;
/// Local vector table: masks this source.
pub const APIC_LVT_MASKED: u32 = 1 << 16;
/// Local vector table: the timer restarts by itself.
pub const APIC_LVT_TIMER_PERIODIC: u32 = 1 << 17;
/// Local vector table: delivers an NMI, regardless of the vector.
pub const APIC_MODE_NMI: u32 = 4 << 8;
/// Local vector table: the 8259s supply the vector.
pub const APIC_MODE_EXTINT: u32 = 7 << 8;
/// Timer divider: by 16.
pub const APIC_TDR_DIV_16: u32 = 3;
/// Interrupt command: the message has not been sent yet.
pub const APIC_ICR_BUSY: u32 = 1 << 12;

/// Vector of spurious interrupts (this and the following are Linux's numbers).
pub const SPURIOUS_APIC_VECTOR: u8 = 0xff;
pub const ERROR_APIC_VECTOR: u8 = 0xfe;
/// Vector that makes a CPU check need_resched on the way out.
pub const RESCHEDULE_VECTOR: u8 = 0xfd;
/// Vector that makes a CPU run a function for another.
pub const CALL_FUNCTION_VECTOR: u8 = 0xfc;
/// Vector that halts a CPU: another one is dying.
pub const REBOOT_VECTOR: u8 = 0xf8;
/// First of the TLB flush vectors, one for each slot (Linux has 8).
pub const INVALIDATE_TLB_VECTOR_START: u8 = 0xf0;
/// Vector of each CPU's tick.
pub const LOCAL_TIMER_VECTOR: u8 = 0xef;

const DELIVERY_INIT: u32 = 5 << 8;
const DELIVERY_STARTUP: u32 = 6 << 8;
const LEVEL_ASSERT: u32 = 1 << 14;
const TRIGGER_LEVEL: u32 = 1 << 15;

/// A message from one CPU to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ipi {
    /// An interrupt with this vector.
    Fixed(u8),
    /// A non-maskable interrupt.
    Nmi,
    /// Reset, and wait for a start-up message.
    InitAssert,
    /// End of the INIT message, which old APICs need.
    InitDeassert,
    /// Start in real mode at this page (physical address / 4096).
    Startup(u8),
}

impl Ipi {
    /// Returns the low word of the interrupt command register, for a destination by number.
    pub const fn icr(self) -> u32 {
        match self {
            Ipi::Fixed(vector) => LEVEL_ASSERT | vector as u32,
            Ipi::Nmi => LEVEL_ASSERT | APIC_MODE_NMI,
            Ipi::InitAssert => TRIGGER_LEVEL | LEVEL_ASSERT | DELIVERY_INIT,
            Ipi::InitDeassert => TRIGGER_LEVEL | DELIVERY_INIT,
            Ipi::Startup(page) => DELIVERY_STARTUP | page as u32,
        }
    }
}

/// Returns the high word of the interrupt command: the destination.
pub const fn icr2(apic_id: u8) -> u32 {
    (apic_id as u32) << 24
}

/// Offsets of the I/O APIC's index register, and of its data window.
pub const IOREGSEL: u32 = 0x00;
pub const IOWIN: u32 = 0x10;
/// Size of the I/O APIC's registers in bytes.
pub const IOAPIC_REGISTER_BYTES: u32 = 0x20;
/// Register with the version and the number of lines.
pub const IOAPICVER: u32 = 1;
/// First of the two registers for line 0.
pub const IOREDTBL: u32 = 0x10;

/// Polarity and trigger mode of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trigger {
    /// Whether the line is low while it requests an interrupt.
    pub active_low: bool,
    /// Whether the line requests as long as it is active, not only at the edge.
    pub level: bool,
}

/// The routing of one line of the I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RedirectionEntry {
    pub vector: u8,
    /// The local APIC that gets the interrupt.
    pub apic_id: u8,
    pub trigger: Trigger,
    pub masked: bool,
}

impl RedirectionEntry {
    /// Returns the low and the high word of the entry.
    pub const fn words(self) -> (u32, u32) {
        let low = self.vector as u32
            | (self.trigger.active_low as u32) << 13
            | (self.trigger.level as u32) << 15
            | (self.masked as u32) << 16;
        (low, (self.apic_id as u32) << 24)
    }
}

/// Returns the number of lines, from the version register.
pub const fn ioapic_lines(version: u32) -> u32 {
    (version >> 16 & 0xff) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_words_of_the_manual() {
        // SDM: vol. 3, 8.4.4.1: broadcasts there use 000C4500H and 000C46xxH; to one CPU the
        // shorthand bits are 0, and a level INIT has its trigger bit.
        assert_eq!(Ipi::InitAssert.icr(), 0xc500);
        assert_eq!(Ipi::InitDeassert.icr(), 0x8500);
        assert_eq!(Ipi::Startup(0x08).icr(), 0x0608);
        assert_eq!(Ipi::Fixed(RESCHEDULE_VECTOR).icr(), 0x40fd);
        assert_eq!(Ipi::Nmi.icr(), 0x4400);
        assert_eq!(icr2(3), 0x0300_0000);
    }

    #[test]
    fn a_redirection_entry_has_its_bits() {
        let entry = RedirectionEntry {
            vector: 0x24,
            apic_id: 2,
            trigger: Trigger {
                active_low: true,
                level: true,
            },
            masked: true,
        };
        assert_eq!(entry.words(), (0x1_a024, 0x0200_0000));
        assert_eq!(ioapic_lines(0x0017_0011), 24);
    }

    #[test]
    fn vectors_are_apart() {
        let all = [
            SPURIOUS_APIC_VECTOR,
            ERROR_APIC_VECTOR,
            RESCHEDULE_VECTOR,
            CALL_FUNCTION_VECTOR,
            REBOOT_VECTOR,
            INVALIDATE_TLB_VECTOR_START,
            LOCAL_TIMER_VECTOR,
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(!all[..i].contains(a));
        }
        // SDM: vol. 3, 10.9: the low four bits of the spurious vector are ones on old CPUs.
        assert_eq!(SPURIOUS_APIC_VECTOR & 0xf, 0xf);
    }
}
