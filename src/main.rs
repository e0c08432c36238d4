#![cfg_attr(target_os = "none", no_std, no_main)]
#[cfg(not(target_os = "none"))]
fn main() { eprintln!("this is a kernel: try `just run`"); }
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
pub extern "C" fn start_kernel() -> ! { loop {} }
