//! COM1: the serial line, 115200 baud, 8N1.
//!
//! Output is polled: a line is on the wire when the call returns, even in a panic. An interrupt
//! moves input into a ring, from which the console reads. Any stack may call these functions; each
//! takes the lock with interrupts off.

use core::fmt;

use arrayvec::ArrayVec;
use uart_16550::{
    BaudRate, Config, Uart16550,
    backend::PioBackend,
    spec::registers::{IER, LSR},
};

use crate::sync::{IrqSpinLock, LockClass, spinlock::IrqSpinLockGuard};

/// I/O port of COM1.
pub const COM1: u16 = 0x3f8;
/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;

/// Size of the ring of received bytes.
const RX_RING_BYTES: usize = 256;

/// The data that the lock guards.
struct Com1 {
    uart: Uart16550<PioBackend>,
    is_present: bool,
    /// Whether the last byte sent ended a line.
    is_at_line_start: bool,
    received: ArrayVec<u8, RX_RING_BYTES>,
}

static PORT: IrqSpinLock<Com1> = IrqSpinLock::new(
    LockClass::Port,
    Com1 {
        uart: com1(),
        is_present: false,
        is_at_line_start: true,
        received: ArrayVec::new_const(),
    },
);

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
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::DEFAULT
    };
    port.is_present = port.uart.init(config).is_ok();
}

/// Makes the port raise its interrupt when a byte arrives. The handler, [`interrupt`], must be
/// installed.
pub fn enable_receive_interrupt() {
    let mut port = PORT.lock();
    if port.is_present {
        port.uart.enable_interrupts(IER::DATA_READY);
    }
}

/// Handles [`COM1_IRQ`]: moves received bytes into the ring, and drops those that do not fit.
/// Returns whether the ring has bytes to read.
pub fn interrupt() -> bool {
    let mut port = PORT.lock();
    while let Ok(byte) = port.uart.try_receive_byte() {
        let _ = port.received.try_push(byte);
    }
    !port.received.is_empty()
}

/// Takes up to `buffer.len()` received bytes; returns their number.
pub fn read(buffer: &mut [u8]) -> usize {
    let mut port = PORT.lock();
    let count = buffer.len().min(port.received.len());
    for (slot, byte) in buffer.iter_mut().zip(port.received.drain(..count)) {
        *slot = byte;
    }
    count
}

/// Sends `bytes` unchanged.
pub fn write(bytes: &[u8]) {
    PORT.lock().send(bytes);
}

/// Waits until all bytes sent are on the wire, for a CPU that is about to stop. Does not wait if
/// another CPU holds the port.
pub fn flush() {
    if let Some(mut port) = PORT.try_lock() {
        while port.is_present && !port.uart.lsr().contains(LSR::TRANSMITTER_EMPTY) {}
    }
}

/// Locks the port for one line of the log, which no other output can break.
pub fn lock_for_line() -> Line {
    let mut port = PORT.lock();
    if !port.is_at_line_start {
        port.send(b"\r\n");
    }
    Line(port)
}

/// The port locked by [`lock_for_line`]. It sends each line end as CR LF.
pub struct Line(IrqSpinLockGuard<'static, Com1>);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.0.send(line.as_bytes());
                    self.0.send(b"\r\n");
                }
                None => self.0.send(line.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Ends an unfinished line, so a report begins on a new one.
pub fn finish_line_in_panic() {
    if let Some(mut port) = PORT.try_lock()
        && !port.is_at_line_start
    {
        port.send(b"\r\n");
    }
}

/// Sends `text` even if another CPU holds the lock, for a CPU that is about to stop.
pub fn write_text_in_panic(text: &str) {
    let mut port = PORT.try_lock();
    let mut of_our_own = com1();
    let uart = port.as_mut().map_or(&mut of_our_own, |port| &mut port.uart);
    for byte in text.bytes() {
        if byte == b'\n' {
            uart.send_bytes_exact(b"\r");
        }
        uart.send_bytes_exact(&[byte]);
    }
}

impl Com1 {
    fn send(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.is_at_line_start = *last == b'\n';
        if self.is_present {
            self.uart.send_bytes_exact(bytes);
        }
    }
}
