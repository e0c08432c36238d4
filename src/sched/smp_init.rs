//! The start of the other CPUs, from the boot CPU's call to the idle loop of each.
//!
//! [`smp_init`] runs in the first task; [`start_secondary`] on each new CPU, on the stack of its
//! idle task.
//!
//! Book: appendix A. Linux: 2.6.38 `kernel/smp.c` (`smp_init`), `arch/x86/kernel/smpboot.c`
//! (`start_secondary`).

use core::sync::atomic::Ordering;

use super::idle::{become_idle, cpu_idle, fork_idle};
use super::rq::cpu_rq;
use crate::arch::x86::boot::trampoline;
use crate::arch::x86::entry::traps;
use crate::arch::x86::gdt;
use crate::arch::x86::irq::{lapic, smp};
use crate::arch::x86::switch::canary::boot_init_stack_canary;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS};
use crate::base::thread_info::{STACK_TOP_GAP, THREAD_SIZE, ThreadInfo};
use crate::hw::madt::Madt;
use crate::mm::thread_stack::alloc_thread_stack;
use crate::provides_upward;
use crate::sync::irq::local_irq_enable;

/// Starts the CPUs that `madt` names, up to `max_cpus` including the boot CPU, and returns the
/// number that run. The log names a CPU that does not start.
pub fn smp_init(madt: &Madt, max_cpus: u32) -> u32 {
    if smp::init_ipis().is_err() || !trampoline::install() {
        log::error!("smp: no memory or no vector to start other CPUs with");
        return 1;
    }
    let boot_id = lapic::apic_id();
    let limit = (max_cpus as usize).clamp(1, NR_CPUS);
    let mut cpus = 1_u32;
    for &apic_id in madt.apic_ids.iter().filter(|&&id| id != boot_id) {
        if cpus as usize == limit {
            log::warn!("smp: CPU with APIC id {apic_id} stays off: {limit} run already");
        } else if cpu_up(cpus, apic_id) {
            cpus = cpus.saturating_add(1);
        }
    }
    log::info!("smp: {cpus} of {} CPUs run", madt.apic_ids.len().max(1));
    cpus
}

/// Starts CPU `cpu`; returns false and logs the reason if it does not start.
///
/// # Panics
/// Panics if the CPU already runs.
pub fn cpu_up(cpu: u32, apic_id: u8) -> bool {
    assert!(
        CPU_ONLINE_MASK.load(Ordering::Relaxed) & 1 << cpu == 0,
        "BUG: CPU {cpu} started twice"
    );
    let Some(stack) = alloc_thread_stack() else {
        log::error!("smp: no memory for the stack of CPU {cpu}");
        return false;
    };
    let foot = stack.as_ptr() as usize;
    // SAFETY: nothing else uses the new stack; nothing runs on that CPU yet.
    unsafe {
        stack
            .cast::<ThreadInfo>()
            .write(ThreadInfo::new(core::ptr::null_mut(), cpu, 0));
        fork_idle(cpu, foot);
    }
    let sp0 = foot.saturating_add(THREAD_SIZE - STACK_TOP_GAP) as u32;
    match smp::do_boot_cpu(cpu, apic_id, sp0) {
        Ok(()) => {
            while CPU_ONLINE_MASK.load(Ordering::Acquire) & 1 << cpu == 0 {
                core::hint::spin_loop();
            }
            true
        }
        Err(smp::CpuStuck) => {
            // Stack and task are not freed: that CPU may still use them.
            log::error!("smp: CPU {cpu} (APIC id {apic_id}) did not answer within 5 s");
            false
        }
    }
}

/// Runs first in Rust on a started CPU, from `startup_secondary`, with interrupts off, on its idle
/// task's stack.
///
/// # Safety
/// 1. Runs on CPU `cpu`, once, on the stack that `cpu_up` made for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn start_secondary(cpu: u32) -> ! {
    // SAFETY: by 1.
    unsafe {
        let idle = cpu_rq(cpu).idle();
        gdt::cpu_init(cpu, (*(*idle).thread()).sp0);
        traps::trap_init(cpu);
        lapic::setup_local_apic();
        smp::callin(cpu);
        become_idle(cpu, idle);
    }
    boot_init_stack_canary();
    lapic::start_timer();
    local_irq_enable();
    cpu_idle()
}

provides_upward!(start_secondary);
