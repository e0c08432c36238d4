//! `start_kernel`: the list of what happens at boot, one line a step.
//!
//! On the boot CPU's stack, which becomes its idle task's.
//!
//! Book: appendix A, "The start_kernel() Function". Linux: 2.6.38 `init/main.c`.

use crate::arch::x86::head::fatal;
use crate::arch::x86::{backtrace, gdt, irq, percpu, traps};
use crate::boot_info::BootInfo;
use crate::exit_value::ExitValue;
use crate::mm;
use crate::sched::idle;
use crate::task::thread_info::{THREAD_SIZE, current_thread_info};

/// From a checked machine to the first process. Interrupts are off.
pub fn start_kernel(boot_info: &BootInfo) -> ! {
    let stack = core::ptr::from_ref(current_thread_info()) as usize;

    percpu::setup_per_cpu_areas();
    // SAFETY: the boot CPU, once, interrupts off, areas set up.
    unsafe { gdt::cpu_init(0, (stack + THREAD_SIZE - 8) as u32) };
    traps::trap_init(0);
    mem_init(boot_info);
    boot_info.symbols.iter().for_each(backtrace::use_symbols);
    // SAFETY: the boot CPU, once, on its boot stack, before any other task.
    unsafe { idle::init_idle(0, stack) };
    irq::init_irq();
    idle::cpu_idle()
}

/// Page frames, heap and kernel stacks, or the end.
fn mem_init(boot_info: &BootInfo) {
    let ready = match boot_info.memblock() {
        Ok(mut blocks) => mm::setup::mem_init(&mut blocks).is_ok(),
        Err(_) => false,
    };
    if !ready {
        fatal(ExitValue::TooLittleMemory, format_args!("too little memory for the kernel's tables"));
    }
    log::info!("mm: {} KiB free of {} KiB", mm::frame::nr_free_pages() * 4, mm::frame::totalram_pages() * 4);
}
