//! The keyboard controller of a PC, with a keyboard at its first port.
//!
//! The controller translates to scan-code set 1. Its interrupt, line 1, calls [`interrupt`].
//!
//! Linux: 2.6.38 `drivers/input/serio/i8042.c`.

use arrayvec::ArrayVec;

use super::keyboard::{KEY_BYTES, Keyboard};
use crate::base::port::{inb, outb};
use crate::sync::{IrqSpinLock, LockClass};

/// Interrupt line of the keyboard.
pub const KEYBOARD_IRQ: u32 = 1;

const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;
const COMMAND: u16 = 0x64;
/// Status: the controller has a byte for us.
const OUTPUT_FULL: u8 = 1;
/// Status: the controller has not yet taken our last byte.
const INPUT_FULL: u8 = 2;
/// Status: the byte is the mouse's.
const FROM_MOUSE: u8 = 0x20;
const READ_CONFIGURATION: u8 = 0x20;
const WRITE_CONFIGURATION: u8 = 0x60;
const ENABLE_FIRST_PORT: u8 = 0xae;
/// Configuration: the first port raises its interrupt.
const FIRST_INTERRUPT: u8 = 1;
/// Configuration: the first port is off.
const FIRST_OFF: u8 = 0x10;
/// Configuration: the codes are translated to set 1.
const TRANSLATE: u8 = 0x40;

/// Number of reads of the status after which a controller is given up.
const PATIENCE: usize = 10_000;
/// Largest number of bytes that one interrupt takes.
const AT_ONCE: usize = 16;

static KEYBOARD: IrqSpinLock<Keyboard> = IrqSpinLock::new(LockClass::Keyboard, Keyboard::new());

/// Makes the controller raise an interrupt for each key. The handler must be installed. Returns
/// whether there is a controller.
pub fn init() -> bool {
    let _one_at_a_time = KEYBOARD.lock();
    // Keys of the boot menu.
    for _ in 0..AT_ONCE {
        let _old = take_byte();
    }
    set_up().is_some()
}

fn set_up() -> Option<()> {
    send(COMMAND, READ_CONFIGURATION)?;
    let configuration = wait_for_byte()? & !FIRST_OFF | FIRST_INTERRUPT | TRANSLATE;
    send(COMMAND, WRITE_CONFIGURATION)?;
    send(DATA, configuration)?;
    send(COMMAND, ENABLE_FIRST_PORT)
}

/// Takes the codes that have arrived and calls `receive` with the bytes of each key.
pub fn interrupt(mut receive: impl FnMut(&[u8])) {
    for _ in 0..AT_ONCE {
        let bytes: ArrayVec<u8, KEY_BYTES> = {
            let mut keyboard = KEYBOARD.lock();
            match take_byte() {
                Some((code, false)) => keyboard.receive(code),
                Some((_, true)) => continue,
                None => return,
            }
        };
        if !bytes.is_empty() {
            receive(&bytes);
        }
    }
}

/// Takes the byte that the controller has for us, and whether it is the mouse's.
fn take_byte() -> Option<(u8, bool)> {
    let status = read(STATUS);
    // All bits set: there is no controller.
    (status & OUTPUT_FULL != 0 && status != 0xff).then(|| (read(DATA), status & FROM_MOUSE != 0))
}

fn wait_for_byte() -> Option<u8> {
    let (byte, _) = (0..PATIENCE).find_map(|_| take_byte())?;
    Some(byte)
}

/// Sends a byte as soon as the controller takes it; `None` if it does not.
fn send(port: u16, byte: u8) -> Option<()> {
    (0..PATIENCE).find(|_| read(STATUS) & INPUT_FULL == 0)?;
    // SAFETY: the controller's own ports; it interprets commands and data of these functions only.
    unsafe { outb(port, byte) };
    Some(())
}

fn read(port: u16) -> u8 {
    // SAFETY: the controller's own ports; to read the data takes a byte from its buffer, no more.
    unsafe { inb(port) }
}
