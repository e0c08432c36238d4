//! COM1: the console, 115200 baud, 8N1.
//!
//! Output is polled: a line is on the wire when the call returns, also in a
//! panic. Input comes by interrupt into a ring, from which the console reads.
//! Called from any stack; each function takes the lock with interrupts off.

use arrayvec::ArrayVec;
use uart_16550::{
    BaudRate, Config, Uart16550,
    backend::PioBackend,
    spec::registers::IER,
};

use crate::sync::IrqSpinLock;

/// I/O port of COM1.
pub const COM1: u16 = 0x3f8;
/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;

/// Bytes that wait to be read, oldest first.
const RX_RING_BYTES: usize = 256;

struct Com1 {
    uart: Uart16550<PioBackend>,
    is_present: bool,
    received: ArrayVec<u8, RX_RING_BYTES>,
}

static PORT: IrqSpinLock<Com1> = IrqSpinLock::new(Com1 {
    uart: com1(),
    is_present: false,
    received: ArrayVec::new_const(),
});

const fn com1() -> Uart16550<PioBackend> {
    // SAFETY: COM1's eight registers are at this port on every PC, and only this file uses them.
    match unsafe { Uart16550::new_port(COM1) } {
        Ok(uart) => uart,
        Err(_) => panic!("COM1 does not fit into the port space"),
    }
}

/// Sets up the port. Without one, output is dropped.
pub fn init() {
    let mut port = PORT.lock();
    let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
    port.is_present = port.uart.init(config).is_ok();
}

/// Lets the port raise its interrupt when a byte arrives. The handler,
/// [`interrupt`], has to be in place.
pub fn enable_receive_interrupt() {
    let mut port = PORT.lock();
    if port.is_present {
        port.uart.enable_interrupts(IER::DATA_READY);
    }
}

/// The handler of [`COM1_IRQ`]: moves what has arrived into the ring. A full
/// ring drops the newest bytes. Returns whether anything can be read.
pub fn interrupt() -> bool {
    let mut port = PORT.lock();
    while let Ok(byte) = port.uart.try_receive_byte() {
        let _ = port.received.try_push(byte);
    }
    !port.received.is_empty()
}

/// Takes up to `buffer.len()` received bytes; returns how many.
pub fn read(buffer: &mut [u8]) -> usize {
    let mut port = PORT.lock();
    let count = buffer.len().min(port.received.len());
    for (slot, byte) in buffer.iter_mut().zip(port.received.drain(..count)) {
        *slot = byte;
    }
    count
}

/// Whether [`read`] would return something.
pub fn has_input() -> bool {
    !PORT.lock().received.is_empty()
}

/// Sends `bytes` as they are.
pub fn write(bytes: &[u8]) {
    let mut port = PORT.lock();
    if port.is_present {
        port.uart.send_bytes_exact(bytes);
    }
}

/// Sends `text`, each line end as CR LF.
pub fn write_text(text: &str) {
    let mut port = PORT.lock();
    if !port.is_present {
        return;
    }
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                port.uart.send_bytes_exact(line.as_bytes());
                port.uart.send_bytes_exact(b"\r\n");
            }
            None => port.uart.send_bytes_exact(line.as_bytes()),
        }
    }
}

/// Sends `text` whoever holds the lock: for a CPU that is about to stop.
pub fn write_text_in_panic(text: &str) {
    if PORT.try_lock().is_some() {
        return write_text(text);
    }
    let mut uart = com1();
    for byte in text.bytes() {
        if byte == b'\n' {
            uart.send_bytes_exact(b"\r");
        }
        uart.send_bytes_exact(&[byte]);
    }
}
