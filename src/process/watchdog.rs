//! The watchdog: reports the state of every CPU when switching has stopped.
//!
//! ```text
//!   soft lockup   a CPU takes its ticks, a switch is due, and none has come for so long
//!   hard lockup   a CPU takes no ticks: its interrupts are off. The next CPU sees it; and the boot
//!                 CPU itself, by NMI, should the others be no better off
//! ```
//! Either ends the kernel, with the registers of every CPU, fetched by NMI, and all tasks.
//! `watchdog=SECONDS` on the command line sets the limit; 0 turns the watchdog off.
//!
//! Called by each CPU's tick, and by the boot CPU's NMI when its tick does not come
//! (`nmi_watchdog`), on the stack of the interrupted task.
//!
//! Book: ch. 6, "Checking the NMI Watchdogs".
//! Linux: 2.6.38 `kernel/watchdog.c` (soft lockup), `nmi_watchdog=1`; 6.5 `watchdog_buddy.c` (the
//! neighbour).

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::tasklist::TASKLIST;
use crate::arch::x86::epitaph;
use crate::arch::x86::irq::nmi_watchdog;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS, per_cpu, smp_processor_id};
use crate::base::pt_regs::PtRegs;
use crate::base::thread_info::{TIF_NEED_RESCHED, current_thread_info, test_flag};
use crate::drivers::printk::PanicConsole;
use crate::drivers::tsc::since_boot_us;
use crate::provides_upward;
use crate::sched::rq::cpu_rq;
use crate::sched::timer::HZ;
use crate::task::state::state_letter;

/// How long a CPU may be stuck, in milliseconds; 0 means for ever, as before the command line is
/// read.
static LIMIT_MS: AtomicU32 = AtomicU32::new(0);
/// Set by the first CPU that finds another, or itself, stuck.
static IS_BARKING: AtomicBool = AtomicBool::new(false);

/// A count that must change, and the time of its last change.
struct Pulse {
    count: AtomicU32,
    since_ms: AtomicU32,
}

impl Pulse {
    const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            since_ms: AtomicU32::new(0),
        }
    }

    /// Returns for how many milliseconds `count` has not changed. Called by one CPU only.
    fn still_for(&self, count: u32, now_ms: u32) -> u32 {
        if self.count.swap(count, Ordering::Relaxed) != count {
            self.since_ms.store(now_ms, Ordering::Relaxed);
        }
        now_ms.wrapping_sub(self.since_ms.load(Ordering::Relaxed))
    }
}

/// Switches of each CPU while one is due; checked by the CPU itself.
static SWITCHES: [Pulse; NR_CPUS] = [const { Pulse::new() }; NR_CPUS];
/// Ticks of each CPU's neighbour; checked by the CPU.
static NEIGHBOUR: [Pulse; NR_CPUS] = [const { Pulse::new() }; NR_CPUS];

/// Ticks of the boot CPU; checked by its NMI.
static BOOT_CPU: Pulse = Pulse::new();
/// Ticks of the boot CPU between its checks for a lost NMI.
const TICKS_TO_ACKNOWLEDGE: u32 = HZ;

/// Sets how long a CPU may be stuck, in seconds; 0 means for ever.
pub fn set_seconds(seconds: u32) {
    LIMIT_MS.store(seconds.saturating_mul(1000), Ordering::Relaxed);
}

/// Returns how long a CPU may be stuck, in seconds; 0 means for ever.
pub fn seconds() -> u32 {
    LIMIT_MS.load(Ordering::Relaxed) / 1000
}

/// Checks this CPU and its neighbour. Called at each tick with interrupts off, before any other
/// work of the tick: a switch that is due now has been due since the last tick.
#[unsafe(no_mangle)]
fn watchdog_tick() {
    let limit_ms = LIMIT_MS.load(Ordering::Relaxed);
    if limit_ms == 0 {
        return;
    }
    let now_ms = (since_boot_us() / 1000) as u32;
    let cpu = smp_processor_id();
    if cpu == 0 {
        nmi_watchdog::postpone();
        if ticks_of(cpu).is_multiple_of(TICKS_TO_ACKNOWLEDGE) {
            nmi_watchdog::acknowledge();
        }
    }
    let me = &SWITCHES[cpu as usize];
    let switches = cpu_rq(cpu).nr_switches.low();
    if !test_flag(current_thread_info(), TIF_NEED_RESCHED) {
        // No switch is due: the time starts anew.
        me.count.store(!switches, Ordering::Relaxed);
    } else if me.still_for(switches, now_ms) >= limit_ms {
        bark("soft", cpu, limit_ms, None);
    }
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    if let Some(next) = neighbour(cpu, online)
        && NEIGHBOUR[cpu as usize].still_for(ticks_of(next), now_ms) >= limit_ms
    {
        bark("hard", next, limit_ms, None);
    }
}

provides_upward!(watchdog_tick);

/// Handles an NMI of the boot CPU, whose tick is late: checks whether it has been late for too
/// long.
#[unsafe(no_mangle)]
fn watchdog_nmi(regs: &PtRegs) {
    let limit_ms = LIMIT_MS.load(Ordering::Relaxed);
    let cpu = smp_processor_id();
    let now_ms = (since_boot_us() / 1000) as u32;
    if limit_ms != 0 && BOOT_CPU.still_for(ticks_of(cpu), now_ms) >= limit_ms {
        bark("hard", cpu, limit_ms, Some(regs));
    }
}

provides_upward!(watchdog_nmi);

/// Returns the number of ticks that a CPU has taken.
fn ticks_of(cpu: u32) -> u32 {
    // SAFETY: one word of a live area, only read.
    unsafe { (&raw const (*per_cpu(cpu)).count.ticks).read_volatile() }
}

/// Returns the CPU after `cpu`, cyclically; `None` if there is no other.
fn neighbour(cpu: u32, online: u32) -> Option<u32> {
    let after = online & (!0 << cpu << 1);
    let mask = if after != 0 { after } else { online };
    Some(mask.trailing_zeros()).filter(|&next| next != cpu)
}

fn bark(kind: &str, cpu: u32, ms: u32, nmi: Option<&PtRegs>) {
    if epitaph::is_dying() || IS_BARKING.swap(true, Ordering::AcqRel) {
        return;
    }
    epitaph::lockup(
        format_args!(
            "{kind} lockup: CPU {cpu} has not switched for {} s",
            ms / 1000
        ),
        nmi,
        show_tasks,
    )
}

/// Shows all tasks, a line each. For a dying kernel: it does not wait for the list's lock.
fn show_tasks() {
    use core::fmt::Write;
    let out = &mut PanicConsole;
    // Writing never fails.
    let _ = writeln!(out, "tasks:");
    let Some(list) = TASKLIST.try_lock() else {
        let _ = writeln!(out, "  (the list is locked)");
        return;
    };
    for (_, entry) in list.pids.all() {
        let task = &entry.task;
        let (pid, cpu) = (task.pid(), task.cpu());
        let state = state_letter(task.state.get());
        // SAFETY: one word of a live task, only read for display.
        let ip = unsafe { (&raw const (*task.thread()).ip).read_volatile() };
        let _ = write!(out, "  {}[{pid}]", task.comm.get());
        let _ = match task.on_cpu.load(Ordering::Relaxed) {
            0 => writeln!(out, " {state}, last on cpu {cpu}, thread.ip {ip:#010x}"),
            _ => writeln!(out, " {state}, runs on cpu {cpu}"),
        };
    }
}
