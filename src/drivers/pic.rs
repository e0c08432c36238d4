//! The pair of 8259 interrupt controllers.
//!
//! Lines 0 to 15 come in at vectors 0x20 to 0x2f, out of the exceptions' way.
//! All lines are masked until someone asks for one. Called with interrupts off.
//!
//! Book: ch. 4, "IRQs and Interrupts".
//! Linux: 2.6.38 `i8259.c`.

use crate::base::port::{inb, outb};
use crate::sync::{IrqSpinLock, LockClass};

/// Vector of line 0.
pub const FIRST_IRQ_VECTOR: u8 = 0x20;
/// Lines of both chips.
pub const NR_IRQS: u32 = 16;

const MASTER_COMMAND: u16 = 0x20;
const MASTER_DATA: u16 = 0x21;
const SLAVE_COMMAND: u16 = 0xa0;
const SLAVE_DATA: u16 = 0xa1;
/// The master's line on which the slave sits.
const CASCADE: u32 = 2;
const EOI: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0b;
/// The next read acknowledges, as the processor would, and tells the line.
const POLL: u8 = 0x0c;

/// Which lines are masked: bit n for line n. What both chips' mask registers hold.
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
        // SAFETY: the chips' own ports, in the order that the data sheet asks for.
        unsafe { outb(port, value) };
    }
}

/// Lets line `irq` through.
pub fn unmask(irq: u32) {
    set_mask(irq, false);
}

/// Holds line `irq` back.
pub fn mask(irq: u32) {
    set_mask(irq, true);
}

/// Holds every line back, for a machine that stops: nobody is waited for.
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

/// Tells the chips that line `irq` has been taken.
pub fn end_of_interrupt(irq: u32) {
    // SAFETY: the chips' own command registers.
    unsafe {
        if irq >= 8 {
            outb(SLAVE_COMMAND, EOI);
        }
        outb(MASTER_COMMAND, EOI);
    }
}

/// Acknowledges what the master asks for just now, where no processor does, since its request comes
/// as an NMI; says which line it was. The request falls, so that the next one is seen.
///
/// On a machine whose interrupts come by the I/O APIC: nobody else talks to the chips there.
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

/// Whether the interrupt on line 7 or 15 is nobody's: a line fell silent before
/// it was asked for. A spurious 15 still owes the master its end of interrupt,
/// which is given here.
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
