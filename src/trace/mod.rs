//! The trace: records of the CPUs' activity, from which a tool on the host makes a timeline.
//!
//! In reading order:
//! - [`record`]: one record
//! - [`ring`]: one CPU's records
//! - `rings`: the rings of all CPUs
//! - `debugcon`: the port through which they leave the machine
//!
//! It is on with `trace=on`. A switch only writes a record into its CPU's ring; the records leave
//! later. When a ring is a quarter full, the tick wakes the CPU's kernel thread `trace/N`; the end
//! of the run takes the rest. So a short run is not disturbed at all. A trace of a long run shows
//! the thread; while it runs, nothing else on that CPU can fill the ring.
//!
//! `sched::hooks::trace` decides which events get a record.
//!
//! Linux: `kernel/trace/ring_buffer.c`, for the same reasons.

#[cfg(target_os = "none")]
mod debugcon;
pub mod record;
pub mod ring;
#[cfg(target_os = "none")]
pub mod rings;
