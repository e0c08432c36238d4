//! Starting other CPUs, and calling functions on them.
//!
//! CPU numbers follow the MADT's order, with the boot CPU as 0; [`send_ipi`] finds the APIC of
//! each. A call to other CPUs waits until all have run the function, so it must not be made with
//! interrupts off: two CPUs that call each other would wait for ever.
//!
//! Book: ch. 4, "Interprocessor Interrupt Handling".
//! Linux: 2.6.38 `arch/x86/kernel/smpboot.c`, `arch/x86/kernel/smp.c`, `kernel/smp.c`.
//! SDM: vol. 3, 8.4.4.1 "Typical BSP Initialization Sequence".

use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};

use crate::arch::x86::boot::trampoline::{TRAMPOLINE_PAGE, set_secondary};
use crate::arch::x86::irq::do_irq::{IrqTaken, set_intr_handler};
use crate::arch::x86::irq::lapic;
use crate::base::insn;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS, smp_processor_id};
use crate::drivers::tsc;
use crate::hw::apic::{CALL_FUNCTION_VECTOR, Ipi, REBOOT_VECTOR, RESCHEDULE_VECTOR};
use crate::sync::irq::irqs_disabled;
use crate::sync::{LockClass, PreemptGuard, SpinLock};
use crate::this_cpu_inc;

/// APIC number of each CPU.
static APIC_IDS: [AtomicU8; NR_CPUS] = [const { AtomicU8::new(0) }; NR_CPUS];

/// Returns the APIC number of `cpu`, which runs; 0 if it is the only CPU.
pub fn cpu_apic_id(cpu: u32) -> u8 {
    APIC_IDS[cpu as usize].load(Ordering::Relaxed)
}

/// CPUs that have been called out of reset, one bit each. The CPU answers by clearing its bit; the
/// boot CPU clears it when it has waited long enough. The CPU that clears the bit decides for both.
static CPU_CALLOUT_MASK: AtomicU32 = AtomicU32::new(0);

/// Time that a started CPU has to answer, in microseconds, as in Linux 2.6.38.
const CALLIN_TIMEOUT_US: u64 = 5_000_000;
/// Time that INIT takes, in microseconds (SDM: 10 ms; a start-up message is repeated after 200 µs).
const INIT_US: u64 = 10_000;
const STARTUP_US: u64 = 200;

/// The error of a CPU that did not answer in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuStuck;

/// Installs the handlers of the interrupts between CPUs. Called once, on the boot CPU.
pub fn init_ipis() -> Result<(), IrqTaken> {
    APIC_IDS[0].store(lapic::apic_id(), Ordering::Relaxed);
    set_intr_handler(RESCHEDULE_VECTOR, reschedule_interrupt)?;
    set_intr_handler(CALL_FUNCTION_VECTOR, call_function_interrupt)?;
    set_intr_handler(REBOOT_VECTOR, stop_this_cpu)?;
    crate::arch::x86::tlb_flush::init()
}

/// Starts the CPU with APIC number `apic_id` as number `cpu`, on the stack that ends at `sp0`;
/// waits until it has answered.
///
/// # Errors
/// [`CpuStuck`] if it does not answer within five seconds; it will not start later either.
pub fn do_boot_cpu(cpu: u32, apic_id: u8, sp0: u32) -> Result<(), CpuStuck> {
    let bit = 1 << cpu;
    APIC_IDS[cpu as usize].store(apic_id, Ordering::Relaxed);
    set_secondary(cpu, sp0);
    CPU_CALLOUT_MASK.fetch_or(bit, Ordering::AcqRel);
    lapic::send_ipi(apic_id, Ipi::InitAssert);
    udelay(INIT_US);
    lapic::send_ipi(apic_id, Ipi::InitDeassert);
    for _ in 0..2 {
        lapic::send_ipi(apic_id, Ipi::Startup(TRAMPOLINE_PAGE));
        if wait_for(STARTUP_US, || is_called_in(bit)) {
            return Ok(());
        }
    }
    // The CPU may answer just after the last look.
    if wait_for(CALLIN_TIMEOUT_US, || is_called_in(bit)) || !take_callout(bit) {
        return Ok(());
    }
    // It may be starting all the same. Reset it to the state in which it waits for a start-up
    // message; otherwise it would use the stack and the number of the CPU that is started next.
    lapic::send_ipi(apic_id, Ipi::InitAssert);
    udelay(INIT_US);
    lapic::send_ipi(apic_id, Ipi::InitDeassert);
    Err(CpuStuck)
}

/// Announces this started CPU, or halts it if the boot CPU no longer waits for it.
pub fn callin(cpu: u32) {
    if !take_callout(1 << cpu) {
        stop_this_cpu();
    }
}

/// Clears a bit of [`CPU_CALLOUT_MASK`] and returns whether it was set.
fn take_callout(bit: u32) -> bool {
    CPU_CALLOUT_MASK.fetch_and(!bit, Ordering::AcqRel) & bit != 0
}

fn is_called_in(bit: u32) -> bool {
    CPU_CALLOUT_MASK.load(Ordering::Acquire) & bit == 0
}

/// Waits at most `us` microseconds for `done` and returns whether it became true.
fn wait_for(us: u64, mut done: impl FnMut() -> bool) -> bool {
    let end = insn::rdtsc() + us * u64::from(tsc::khz()) / 1000;
    loop {
        if done() {
            return true;
        }
        if insn::rdtsc() >= end {
            return false;
        }
        core::hint::spin_loop();
    }
}

fn udelay(us: u64) {
    wait_for(us, || false);
}

/// Returns the running CPUs other than this one. Preemption is off.
pub fn other_cpus() -> u32 {
    CPU_ONLINE_MASK.load(Ordering::Relaxed) & !(1 << smp_processor_id())
}

/// Makes CPU `cpu` look at `TIF_NEED_RESCHED` of the task that it runs.
pub fn smp_send_reschedule(cpu: u32) {
    send_ipi(1 << cpu, RESCHEDULE_VECTOR);
}

/// Sends `vector` to each CPU of `mask`.
pub fn send_ipi(mask: u32, vector: u8) {
    send(mask, Ipi::Fixed(vector));
}

/// Sends an NMI to each CPU of `mask`.
pub fn send_nmi(mask: u32) {
    send(mask, Ipi::Nmi);
}

fn send(mask: u32, ipi: Ipi) {
    if !lapic::in_use() {
        return;
    }
    for cpu in (0..NR_CPUS).filter(|cpu| mask & 1 << cpu != 0) {
        lapic::send_ipi(APIC_IDS[cpu].load(Ordering::Relaxed), ipi);
    }
}

/// Halts all other CPUs: this one is dying, or ends the run.
pub fn smp_send_stop() {
    send_ipi(other_cpus(), REBOOT_VECTOR);
}

fn reschedule_interrupt() {
    // The flag is already set: the way out of this interrupt checks it.
    this_cpu_inc!(count.reschedule_ipis);
}

fn stop_this_cpu() {
    crate::drivers::qemu_exit::halt()
}

// ------------------------------------------------------------- function calls

/// A function that other CPUs run, in an interrupt, so it must not sleep.
pub type SmpFunction<'a> = &'a (dyn Fn() + Sync);

/// Allows one call at a time; `PENDING` has the CPUs that have not run it yet.
static CALL: SpinLock<()> = SpinLock::new(LockClass::SmpCall, ());
/// Address of the [`SmpFunction`], on the caller's stack.
static FUNCTION: AtomicPtr<SmpFunction<'static>> = AtomicPtr::new(core::ptr::null_mut());
static PENDING: AtomicU32 = AtomicU32::new(0);

/// Runs `function` on the running CPUs of `mask` except this one; returns when all have run it.
///
/// # Panics
/// Panics, with debug assertions, if interrupts are off.
pub fn smp_call_function_many(mask: u32, function: SmpFunction<'_>) {
    let _no_preempt = PreemptGuard::new();
    if mask & other_cpus() == 0 {
        return;
    }
    debug_assert!(
        !irqs_disabled(),
        "BUG: smp_call_function with interrupts off"
    );
    let _one_at_a_time = CALL.lock();
    FUNCTION.store((&raw const function).cast_mut().cast(), Ordering::Relaxed);
    let mask = mask & other_cpus();
    PENDING.store(mask, Ordering::Release);
    send_ipi(mask, CALL_FUNCTION_VECTOR);
    while PENDING.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// Runs `function` on every running CPU, including this one, with interrupts off.
pub fn on_each_cpu(function: SmpFunction<'_>) {
    let _no_preempt = PreemptGuard::new();
    smp_call_function_many(u32::MAX, function);
    let _irq = crate::sync::IrqGuard::new();
    function();
}

fn call_function_interrupt() {
    let bit = 1 << smp_processor_id();
    if PENDING.load(Ordering::Acquire) & bit == 0 {
        return;
    }
    // SAFETY: our bit was set after the pointer was stored, by `smp_call_function_many`, which keeps
    // the function, and all that it borrows, until we clear the bit below.
    let function = unsafe { *FUNCTION.load(Ordering::Relaxed) };
    function();
    PENDING.fetch_and(!bit, Ordering::AcqRel);
}
