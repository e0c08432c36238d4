//! `membarrier`: orders memory on other CPUs by one call instead of many barriers.
//!
//! Linux: 5.4 `kernel/sched/membarrier.c`; membarrier(2).

use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::current;
use crate::base::errno::Errno;
use crate::mm::membarrier::MembarrierCmd;
use crate::sched::hooks::membarrier::{
    membarrier_global, membarrier_global_expedited, membarrier_private_expedited,
    membarrier_private_expedited_sync_core, membarrier_register,
};

/// Orders memory on other CPUs, or registers the process for doing so, by command `number`.
///
/// # Errors
/// EINVAL for any flag and for an unknown command, EPERM for a command that the process has not
/// registered for.
pub fn sys_membarrier(number: u32, flags: u32) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let cmd = MembarrierCmd::from_number(number).ok_or(Errno::EINVAL)?;
    let me = current();
    let mm = me.mm_struct().ok_or(Errno::EINVAL)?;
    let state = mm.context_flags.load(Ordering::Acquire);
    if state & cmd.needs() != cmd.needs() {
        return Err(Errno::EPERM);
    }
    if let Some((set, ready)) = cmd.registers() {
        membarrier_register(mm, set, ready);
        return Ok(0);
    }
    match cmd {
        MembarrierCmd::Query => return Ok(MembarrierCmd::bitmask()),
        MembarrierCmd::Global => membarrier_global(),
        MembarrierCmd::GlobalExpedited => membarrier_global_expedited(),
        MembarrierCmd::PrivateExpedited => membarrier_private_expedited(mm),
        MembarrierCmd::PrivateExpeditedSyncCore => membarrier_private_expedited_sync_core(mm),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
