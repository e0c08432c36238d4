//! The end of a machine that nothing ends from outside: every CPU stops, and the power goes off.
//!
//! `drivers::qemu_exit` calls this where QEMU's exit device is missing: on a PC.
//!
//! Linux: 2.6.38 `arch/x86/kernel/reboot.c` (`native_machine_power_off`, `stop_other_cpus`),
//! `drivers/acpi/acpica/hwsleep.c` (`acpi_enter_sleep_state`).

use core::fmt::Write;

use spin::Once;

use crate::arch::x86::irq::smp::smp_send_stop;
use crate::base::exit_value::ExitValue;
use crate::base::insn;
use crate::base::port::{inw, outb, outw};
use crate::drivers::printk::PanicConsole;
use crate::drivers::qemu_exit;
use crate::hw::fadt::{PowerOff, SCI_EN, SLP_EN};
use crate::provides_upward;

/// How this machine is switched off; unset if it cannot be.
static POWER_OFF: Once<PowerOff> = Once::new();

/// Number of reads of a register after which a change is given up.
const PATIENCE: usize = 1_000_000;

/// Notes how the machine is switched off. Called once, at boot.
pub fn set_power_off(how: PowerOff) {
    POWER_OFF.call_once(|| how);
}

/// Stops every CPU. A run that ended well also switches the machine off; otherwise, or if that is
/// not possible, what the screen shows can be read, and it says that the machine can be switched
/// off.
#[unsafe(no_mangle)]
fn machine_power_off(value: ExitValue) -> ! {
    insn::cli();
    // Before the task register is loaded there is only one CPU, and %fs leads nowhere.
    if insn::str() != 0 {
        smp_send_stop();
    }
    if value == ExitValue::Success
        && let Some(how) = POWER_OFF.get()
    {
        enter_s5(how);
    }
    // Writing never fails.
    let _ = writeln!(
        PanicConsole,
        "System halted: the machine can be switched off."
    );
    qemu_exit::halt()
}

provides_upward!(machine_power_off);

/// Enters the sleep state S5. Returns only if the machine does not.
fn enter_s5(how: &PowerOff) {
    let fadt = &how.fadt;
    let [first, second] = fadt.pm1_control;
    let is_acpi = || read(first) & SCI_EN != 0;
    if !is_acpi() && fadt.smi_command != 0 {
        // SAFETY: the firmware's table names port and request for this purpose.
        unsafe { outb(fadt.smi_command, fadt.acpi_enable) };
        // If it never is, the machine may go off all the same.
        let _ = (0..PATIENCE).find(|_| is_acpi());
    }
    for (port, sleep_type) in [first, second].into_iter().zip(how.sleep_types) {
        if port != 0 {
            // SAFETY: the firmware's tables name port and value for this purpose. All CPUs have
            // stopped.
            unsafe { outw(port, sleep_type | SLP_EN) };
        }
    }
    // The power does not go at once.
    for _ in 0..PATIENCE {
        core::hint::spin_loop();
    }
}

fn read(port: u16) -> u16 {
    // SAFETY: a PM1 control register, which a read does not change.
    unsafe { inw(port) }
}
