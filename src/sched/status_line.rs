//! The status line, the last row of the screen: the task of each CPU, and the switches by kind.
//!
//! The boot CPU's tick draws it a few times a second while programs run, never the switch itself.
//! The counts are those of `/proc/switch_to`, summed over the CPUs.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use arrayvec::ArrayString;

use super::rq::cpu_rq;
use super::timer::HZ;
use crate::base::percpu::{CPU_ONLINE_MASK, NR_CPUS, SwitchCounts, per_cpu};
use crate::drivers::vga;
use crate::drivers::vt::colours::STATUS;
use crate::drivers::vt::cp437::glyph;
use crate::drivers::vt::grid::{COLUMNS, cell};
use crate::sync::IrqGuard;
use crate::task::comm::Comm;

/// Ticks from one drawing to the next.
const TICKS: u64 = HZ as u64 / 4;
/// Ticks for which one half is shown where the row is too short for both.
const HALF_TICKS: u64 = 2 * HZ as u64;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// A line of the row's length; what does not fit is cut.
type Line = ArrayString<COLUMNS>;

/// Reserves the row, and begins to draw it.
pub fn start() {
    vga::reserve_last_row();
    IS_ON.store(true, Ordering::Relaxed);
}

/// Draws the line if it is due at tick number `jiffies`. Called by the boot CPU's tick.
pub fn status_tick(jiffies: u64) {
    if !IS_ON.load(Ordering::Relaxed) || !jiffies.is_multiple_of(TICKS) {
        return;
    }
    let (tasks, switches) = (tasks(), switches());
    let mut row = [cell(STATUS, b' '); COLUMNS];
    let mut put = |at: usize, text: &str| {
        for (cell_at, character) in row.iter_mut().skip(at).zip(text.chars()) {
            *cell_at = cell(STATUS, glyph(character));
        }
    };
    let left = COLUMNS.saturating_sub(switches.len());
    if tasks.len() < left {
        put(0, &tasks);
        put(left, &switches);
    } else if (jiffies / HALF_TICKS).is_multiple_of(2) {
        put(0, &tasks);
    } else {
        put(left, &switches);
    }
    vga::set_status(&row);
    vga::flush();
}

/// Returns the CPUs that run, each with the name of its task: `0:sh 1:idle`.
fn tasks() -> Line {
    let online = CPU_ONLINE_MASK.load(Ordering::Relaxed);
    let mut line = Line::new();
    for cpu in (0..NR_CPUS as u32).filter(|cpu| online & 1 << cpu != 0) {
        let blank = if line.is_empty() { "" } else { " " };
        // What does not fit is cut.
        let _ = match running(cpu) {
            Some(name) => write!(line, "{blank}{cpu}:{name}"),
            None => write!(line, "{blank}{cpu}:idle"),
        };
    }
    line
}

/// Returns the name of the task that `cpu` runs; `None` for its idle task.
fn running(cpu: u32) -> Option<Comm> {
    let _irq = IrqGuard::new();
    let rq = cpu_rq(cpu).raw_lock();
    let curr = rq.curr();
    // SAFETY: the lock is held: the task runs there, so it lives.
    (curr != rq.idle()).then(|| unsafe { (*curr).comm.get() })
}

/// Returns the sums of all CPUs' switches, by the kinds of prev and next.
fn switches() -> Line {
    let mut all = 0u64;
    let [mut to_kernel, mut to_user, mut kernel] = [0u64; 3];
    for cpu in 0..NR_CPUS as u32 {
        // SAFETY: plain words of a live area, only read.
        let count: SwitchCounts = unsafe { (&raw const (*per_cpu(cpu)).count).read_volatile() };
        all = all.saturating_add(cpu_rq(cpu).nr_switches.get());
        to_kernel = to_kernel.saturating_add(count.user_to_kernel.into());
        to_user = to_user.saturating_add(count.kernel_to_user.into());
        kernel = kernel.saturating_add(count.kernel_to_kernel.into());
    }
    let others = to_kernel.saturating_add(to_user).saturating_add(kernel);
    let user = all.saturating_sub(others);
    let mut line = Line::new();
    // What does not fit is cut.
    let _ = write!(
        line,
        "{all} switches: u>u {user} u>k {to_kernel} k>u {to_user} k>k {kernel}"
    );
    line
}
