//! The trace: what the CPUs did, as records that a tool on the host makes a timeline of.
//!
//! In reading order:
//! - [`record`]: one record
//! - [`ring`]: one CPU's records
//! - `rings`: those of all CPUs
//! - `debugcon`: the port through which they leave the machine
//!
//! With `trace=on`. A switch only writes a record into its CPU's ring; the records leave later: when
//! a ring is a quarter full the tick wakes the CPU's kernel thread `trace/N`, and the end of the run
//! takes the rest. So a short run is not disturbed at all. In a long one the thread is seen at work;
//! while it is, nothing else runs on that CPU that could fill the ring.
//!
//! What is worth a record is decided in `sched::hooks::trace`.
//!
//! Linux: `kernel/trace/ring_buffer.c`, for the same reasons.

#[cfg(target_os = "none")]
mod debugcon;
pub mod record;
pub mod ring;
#[cfg(target_os = "none")]
pub mod rings;
