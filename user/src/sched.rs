//! Scheduling: yield, policies, and one CPU for a whole family of tasks.

use crate::{Errno, gates::syscall};

const SYS_SCHED_GETPARAM: u32 = 155;
const SYS_SCHED_SETSCHEDULER: u32 = 156;
const SYS_SCHED_GETSCHEDULER: u32 = 157;
pub(crate) const SYS_SCHED_YIELD: u32 = 158;
const SYS_SCHED_SETAFFINITY: u32 = 241;
const SYS_SCHED_GETAFFINITY: u32 = 242;

pub const SCHED_OTHER: u32 = 0;
pub const SCHED_FIFO: u32 = 1;
pub const SCHED_RR: u32 = 2;

/// The priority that the tests run at; lower and higher ones are free.
pub const PRIORITY: u32 = 50;

pub fn sched_yield() {
    // `sched_yield` has no way to fail.
    let _ = syscall(SYS_SCHED_YIELD, []);
}

/// Sets policy and priority of a task; `pid` 0 is the caller.
pub fn sched_setscheduler(pid: u32, policy: u32, priority: u32) -> Result<(), Errno> {
    let param = [priority];
    syscall(SYS_SCHED_SETSCHEDULER, [pid, policy, param.as_ptr() as u32]).map(drop)
}

pub fn sched_getscheduler(pid: u32) -> Result<u32, Errno> {
    syscall(SYS_SCHED_GETSCHEDULER, [pid])
}

pub fn sched_getparam(pid: u32) -> Result<u32, Errno> {
    let mut priority = u32::MAX;
    syscall(SYS_SCHED_GETPARAM, [pid, &raw mut priority as u32])?;
    Ok(priority)
}

/// Keeps the caller and its future children on CPU 0: two tasks take turns by being switched, never
/// by running side by side.
pub fn stay_on_one_cpu() {
    let mask = [1u32];
    match syscall(SYS_SCHED_SETAFFINITY, [0, 4, mask.as_ptr() as u32]) {
        Ok(_) | Err(Errno::ENOSYS) => (), // without the call there is one CPU only
        Err(errno) => panic!("sched_setaffinity: {errno:?}"),
    }
}

/// Returns the CPUs that the caller may run on, one bit each, of the first 32.
pub fn get_affinity() -> u32 {
    let mut mask = [0u32; 32];
    match syscall(SYS_SCHED_GETAFFINITY, [0, 128, mask.as_mut_ptr() as u32]) {
        Ok(_) => mask[0],
        Err(_) => 1,
    }
}

/// Sets the CPUs that `pid` may run on; 0 is the caller.
pub fn set_affinity(pid: u32, mask: u32) -> Result<(), Errno> {
    let mask = [mask];
    syscall(SYS_SCHED_SETAFFINITY, [pid, 4, mask.as_ptr() as u32]).map(drop)
}

/// One CPU and SCHED_FIFO: `sched_yield` is then a switch whenever another task is ready.
pub fn fifo_on_one_cpu() {
    stay_on_one_cpu();
    sched_setscheduler(0, SCHED_FIFO, PRIORITY).expect("SCHED_FIFO");
}
