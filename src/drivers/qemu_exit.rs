//! QEMU's `isa-debug-exit` device, which ends a run with a value.
//!
//! The last call of a run, from any stack. On a machine without the device the write has no effect,
//! and `arch::x86::reboot` stops the machine.

use super::{pic, serial};
use crate::base::exit_value::ExitValue;
use crate::base::insn;
use crate::base::port::outl;
use crate::base::upward::machine_power_off;
use crate::trace::rings;

/// I/O port of the device (`iobase=0xf4,iosize=4`).
pub const ISA_DEBUG_EXIT_PORT: u16 = 0xf4;

/// Ends QEMU with status `(value << 1) | 1`, or stops the machine outside of QEMU.
pub fn exit(value: ExitValue) -> ! {
    rings::flush();
    serial::flush();
    // SAFETY: on a PC without the device nothing answers at this port.
    unsafe { outl(ISA_DEBUG_EXIT_PORT, value as u32) };
    machine_power_off(value)
}

/// Stops this CPU for ever; the watchdog's NMI must not wake it.
pub fn halt() -> ! {
    pic::mask_all();
    loop {
        insn::cli();
        insn::hlt();
    }
}

/// Ends a panic: stops this CPU for a debugger if `is_halt`, otherwise ends QEMU.
pub fn halt_or_exit(is_halt: bool, value: ExitValue) -> ! {
    if is_halt { halt() } else { exit(value) }
}
