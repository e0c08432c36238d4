#![forbid(unsafe_code)]
//! The debug registers of a stopped task: what its tracer may write into them.
//!
//! DR0–DR3 take addresses of ring 3, DR7 takes what [`check`] allows; both are checked before they
//! reach the processor, at each write. The task's DR6 is a word that #DB writes and the tracer may
//! overwrite; the processor's is never loaded from it.
//!
//! Book: ch. 3, "Performing the Process Switch". Linux: 2.6.38 `ptrace_set_debugreg`,
//! `ptrace_write_dr7`. SDM: vol. 3, 17.2 "Debug Registers".

use core::sync::atomic::Ordering;

use super::held::Held;
use crate::base::errno::Errno;
use crate::hw::debugreg::{Dr7, HBP_NUM, check};
use crate::mm::vma::TASK_SIZE;
use crate::task::thread_struct::TIF_DEBUG;

/// Bits of DR7 that a tracer cannot write: reserved ones, and general detect.
const DR_CONTROL_RESERVED: u32 = 0xfc00;

/// Returns debug register `n`, 0 to 7. DR4 and DR5 read as 0.
pub fn get(held: &mut Held, n: usize) -> u32 {
    let dr7 = held.task().ptrace.dr7.load(Ordering::Relaxed);
    let thread = held.thread();
    match n {
        0..HBP_NUM => thread.debugreg[n],
        6 => thread.debugreg6,
        7 => dr7,
        _ => 0,
    }
}

/// Writes debug register `n`, 0 to 7.
///
/// # Errors
/// EIO for DR4 and DR5; EINVAL for an address beyond ring 3's, an undefined kind or length, an
/// address that is no multiple of the length.
pub fn set(held: &mut Held, n: usize, value: u32) -> Result<(), Errno> {
    let mut addresses = held.thread().debugreg;
    let mut dr7 = held.task().ptrace.dr7.load(Ordering::Relaxed);
    match n {
        0..HBP_NUM if value >= TASK_SIZE => return Err(Errno::EINVAL),
        0..HBP_NUM => addresses[n] = value,
        6 => {
            held.thread().debugreg6 = value;
            return Ok(());
        }
        7 => dr7 = value & !DR_CONTROL_RESERVED,
        _ => return Err(Errno::EIO),
    }
    let real = validate(&addresses, dr7)?;
    held.task().ptrace.dr7.store(dr7, Ordering::Relaxed);
    let thread = held.thread();
    thread.debugreg = addresses;
    thread.debugreg7 = real;
    // The switch to the task loads them; without a breakpoint it has nothing to load.
    thread.set_work(TIF_DEBUG, real != 0);
    Ok(())
}

/// Returns the value for the processor's DR7; 0 if no breakpoint is enabled.
fn validate(addresses: &[u32; HBP_NUM], dr7: u32) -> Result<u32, Errno> {
    let mut wanted = Dr7::from_bits_retain(dr7);
    for (n, address) in addresses.iter().enumerate() {
        if !wanted.enabled(n) {
            // Neither kind nor length count.
            wanted = wanted.disable(n);
        }
        // LEN is the length less one, in the cases that are defined.
        let length = u32::from(wanted.field(n) >> 2);
        if wanted.enabled(n) && address & length != 0 {
            return Err(Errno::EINVAL);
        }
    }
    if !wanted.any_enabled() {
        return Ok(0);
    }
    let real = check(addresses, wanted.bits(), TASK_SIZE).map_err(|_| Errno::EINVAL)?;
    Ok(real.bits())
}
