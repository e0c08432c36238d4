//! Tells the longest stretch with interrupts off, with the names of both its ends.
//!
//! Called at the end of a run, in a kernel that measures it: see `sync::irqsoff`.
//!
//! Linux: 2.6.38 `tracing_max_latency`.

use crate::arch::x86::backtrace::lookup;
use crate::base::percpu::NR_CPUS;
use crate::drivers::tsc::khz;
use crate::sync::irqsoff::{IRQSOFF, longest};

/// Logs the longest stretch of all CPUs; nothing in a kernel that does not measure it.
pub fn irqsoff_report() {
    if !IRQSOFF {
        return;
    }
    let all = (0..NR_CPUS).map(|cpu| (longest(cpu), cpu));
    let Some((stretch, cpu)) = all.max_by_key(|(stretch, _)| stretch.counts) else {
        return;
    };
    let us = stretch.counts.saturating_mul(1000) / u64::from(khz()).max(1);
    let place = |address: u32| lookup(address).unwrap_or(("?", 0));
    let ((from, from_offset), (to, to_offset)) = (place(stretch.from), place(stretch.to));
    log::warn!(
        "irqsoff: longest stretch {us} us on CPU {cpu}, from {:#}+{from_offset:#x} to {:#}+{to_offset:#x}",
        rustc_demangle::demangle(from),
        rustc_demangle::demangle(to),
    );
}
