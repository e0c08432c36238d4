//! The kernel's image: the first function in Rust, and the panic handler.
//!
//! Everything else is in the library. On a host this is a program that only prints a hint.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use core::panic::PanicInfo;

#[cfg(target_os = "none")]
use switch_to::{arch::x86, init};

/// Starts the kernel. `boot/head.S` enters it once, on the boot task's stack, interrupts off.
/// `magic` is the loader's value of eax, `mbi_phys` the physical address of its data.
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
extern "C" fn x86_start_kernel(magic: u32, mbi_phys: u32) -> ! {
    // SAFETY: `head.S` calls this once, with the loader's registers.
    unsafe { init::start_kernel(x86::boot::head::prepare(magic, mbi_phys)) }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    x86::epitaph::panic(info)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("switch_to is a kernel: try `just run`");
}
