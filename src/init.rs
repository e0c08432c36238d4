//! The list of what happens at boot, one line a step.

use crate::{boot_info::BootInfo, drivers, exit_value::ExitValue};

/// From a checked machine to init. On the boot task's stack, interrupts off.
pub fn start_kernel(boot_info: &BootInfo) -> ! {
    log::info!("boot: {} bytes of command line", boot_info.cmdline.len());
    drivers::exit(ExitValue::Success)
}

/// Until there is a heap: every allocation fails.
#[global_allocator]
static NO_HEAP: NoHeap = NoHeap;

struct NoHeap;

// SAFETY: null means failure, and nothing is ever given out.
unsafe impl core::alloc::GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
}
