//! The pair of 8259 interrupt controllers.
//!
//! Lines 0 to 15 arrive at vectors 0x20 to 0x2f, which no exception uses. Each line is masked until
//! a driver requests it. Callers have interrupts off.
//!
//! Book: ch. 4, "IRQs and Interrupts".
//! Linux: 2.6.38 `i8259.c`.

use crate::base::port::{inb, outb};
use crate::sync::{IrqSpinLock, LockClass};

/// Vector of line 0.
pub const FIRST_IRQ_VECTOR: u8 = 0x20;
/// Number of lines of both chips.
pub const NR_IRQS: u32 = 16;

const MASTER_COMMAND: u16 = 0x20;
const MASTER_DATA: u16 = 0x21;
const SLAVE_COMMAND: u16 = 0xa0;
const SLAVE_DATA: u16 = 0xa1;
/// The master's line to which the slave is connected.
const CASCADE: u32 = 2;
const EOI: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0b;
/// Command: the next read acknowledges the request like the processor, and returns the line.
const POLL: u8 = 0x0c;

/// The contents of both chips' mask registers: bit n is set while line n is masked.
static MASK: IrqSpinLock<u16> = IrqSpinLock::new(LockClass::Pic, !(1 << CASCADE));

/// Sets both chips up; every line is masked afterwards.
pub fn init() {
    let mask = MASK.lock();
    let [low, high] = mask.to_le_bytes();
    let slave_vector = FIRST_IRQ_VECTOR + 8;
    // ICW1 (edge triggered, cascaded, ICW4 follows), ICW2 vector, ICW3 wiring, ICW4 8086 mode.
    let commands = [
        (MASTER_COMMAND, 0x11),
        (SLAVE_COMMAND, 0x11),
        (MASTER_DATA, FIRST_IRQ_VECTOR),
        (SLAVE_DATA, slave_vector),
        (MASTER_DATA, 1 << CASCADE),
        (SLAVE_DATA, CASCADE as u8),
        (MASTER_DATA, 1),
        (SLAVE_DATA, 1),
        (MASTER_DATA, low),
        (SLAVE_DATA, high),
    ];
    for (port, value) in commands {
        // SAFETY: the chips' own ports, in the order that the data sheet requires.
        unsafe { outb(port, value) };
    }
}

/// Unmasks line `irq`.
pub fn unmask(irq: u32) {
    set_mask(irq, false);
}

/// Masks line `irq`.
pub fn mask(irq: u32) {
    set_mask(irq, true);
}

/// Masks every line, for a machine that stops. Waits for no lock.
pub fn mask_all() {
    // SAFETY: the chips' own mask registers.
    unsafe {
        outb(MASTER_DATA, 0xff);
        outb(SLAVE_DATA, 0xff);
    }
}

fn set_mask(irq: u32, is_masked: bool) {
    debug_assert!(irq < NR_IRQS);
    let mut mask = MASK.lock();
    *mask = *mask & !(1 << irq) | u16::from(is_masked) << irq;
    let [low, high] = mask.to_le_bytes();
    // SAFETY: the chips' own mask registers.
    unsafe {
        if irq < 8 {
            outb(MASTER_DATA, low);
        } else {
            outb(SLAVE_DATA, high);
        }
    }
}

/// Tells the chips that the interrupt of line `irq` has been taken.
pub fn end_of_interrupt(irq: u32) {
    // SAFETY: the chips' own command registers.
    unsafe {
        if irq >= 8 {
            outb(SLAVE_COMMAND, EOI);
        }
        outb(MASTER_COMMAND, EOI);
    }
}

/// Acknowledges the master's present request and returns its line. No processor acknowledges it,
/// since the request arrives as an NMI. The output goes low, so the next request is seen.
///
/// Used only on a machine whose interrupts arrive through the I/O APIC, where nothing else accesses
/// the chips.
pub fn poll() -> Option<u32> {
    // SAFETY: the master's own command register.
    let answer = unsafe {
        outb(MASTER_COMMAND, POLL);
        inb(MASTER_COMMAND)
    };
    (answer & 0x80 != 0).then(|| {
        let irq = u32::from(answer & 7);
        end_of_interrupt(irq);
        irq
    })
}

/// Returns whether the interrupt on line 7 or 15 is spurious: a line went low before it was
/// acknowledged. For a spurious 15 the master still needs an end of interrupt, which this sends.
pub fn is_spurious(irq: u32) -> bool {
    if irq != 7 && irq != 15 {
        return false;
    }
    let command = if irq == 7 {
        MASTER_COMMAND
    } else {
        SLAVE_COMMAND
    };
    // SAFETY: the chips' own command registers.
    let in_service = unsafe {
        outb(command, READ_IN_SERVICE);
        inb(command)
    };
    let is_spurious = in_service & 0x80 == 0;
    if is_spurious && irq == 15 {
        end_of_interrupt(CASCADE);
    }
    is_spurious
}
