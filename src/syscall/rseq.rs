//! rseq: registers the running thread for restartable sequences.
//!
//! Linux: 5.4 `kernel/rseq.c` (`sys_rseq`).

use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::access_ok;
use crate::base::errno::Errno;
use crate::process::rseq::{rseq_reset_rseq_cpu_id, set_rseq};
use crate::task::rseq::RSEQ_BYTES;

const RSEQ_FLAG_UNREGISTER: u32 = 1;

/// Registers the `struct rseq` of `length` bytes at `rseq`, or unregisters it with
/// RSEQ_FLAG_UNREGISTER. `signature` is the word before every abort handler.
///
/// # Errors
/// EINVAL for unknown flags, a bad address or length, or a structure other than the registered one;
/// EPERM for another signature; EBUSY when it is registered already; EFAULT.
pub fn sys_rseq(rseq: u32, length: u32, flags: u32, signature: u32) -> SysResult {
    let me = current();
    let registered = me.rseq.load(Ordering::Relaxed);
    let unregister = flags == RSEQ_FLAG_UNREGISTER;
    if flags != 0 && !unregister {
        return Err(Errno::EINVAL);
    }
    if registered != 0 || unregister {
        if registered == 0 || registered != rseq || length != RSEQ_BYTES {
            return Err(Errno::EINVAL);
        }
        if me.rseq_sig.load(Ordering::Relaxed) != signature {
            return Err(Errno::EPERM);
        }
        if !unregister {
            return Err(Errno::EBUSY);
        }
        rseq_reset_rseq_cpu_id(rseq)?;
        set_rseq(me, 0, 0);
        return Ok(0);
    }
    if !rseq.is_multiple_of(RSEQ_BYTES) || length != RSEQ_BYTES {
        return Err(Errno::EINVAL);
    }
    access_ok(rseq, length)?;
    set_rseq(me, rseq, signature);
    Ok(0)
}
