//! uname, sysinfo, usage, random numbers, reboot.
//!
//! Linux: 2.6.38 `kernel/sys.c`.

use core::sync::atomic::Ordering;

use super::SysResult;
use super::process::put_rusage;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{copy_to_user, put_user};
use crate::base::errno::Errno;
use crate::base::exit_value::ExitValue;
use crate::drivers::tsc::since_boot_us;
use crate::fs::random::get_random_bytes;
use crate::hw::pte::PAGE_SHIFT;
use crate::mm::frame::{nr_free_pages, totalram_pages};
use crate::process::randomize::ADDR_NO_RANDOMIZE;
use crate::process::usage::Usage;
use crate::task::task_struct::TASKS_LIVE;

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;

/// Length of each field of `struct new_utsname`.
const UTS_LEN: usize = 65;

/// Stores the name and version of the system.
pub fn sys_uname(buffer: u32) -> SysResult {
    let fields = [
        "Linux",
        "switch-to",
        concat!("2.6.38-switch_to-", env!("CARGO_PKG_VERSION")),
        "#1 SMP PREEMPT",
        "i686",
        "(none)",
    ];
    let mut uts = [0u8; UTS_LEN * 6];
    for (field, room) in fields.iter().zip(uts.chunks_exact_mut(UTS_LEN)) {
        room[..field.len()].copy_from_slice(field.as_bytes());
    }
    copy_to_user(buffer, &uts)?;
    Ok(0)
}

/// Stores a `struct sysinfo` of i386: 64 bytes.
pub fn sys_sysinfo(info: u32) -> SysResult {
    let mut words = [0u32; 16];
    words[0] = (since_boot_us() / 1_000_000) as u32;
    words[4] = totalram_pages() << PAGE_SHIFT;
    words[5] = nr_free_pages() << PAGE_SHIFT;
    words[10] = TASKS_LIVE.load(Ordering::Relaxed) & 0xffff;
    words[13] = 1;
    put_user(info, words)?;
    Ok(0)
}

/// Stores the usage of the calling process (0), of the children that it has waited for (-1), or of
/// the thread (1).
///
/// # Errors
/// EINVAL, EFAULT.
pub fn sys_getrusage(who: u32, usage: u32) -> SysResult {
    let me = current();
    let used = match who as i32 {
        RUSAGE_SELF => Usage::of_process(&me),
        RUSAGE_CHILDREN => me.signal.usage.lock().children,
        RUSAGE_THREAD => Usage::of(&me),
        _ => return Err(Errno::EINVAL),
    };
    put_rusage(usage, used)?;
    Ok(0)
}

/// Sets the caller's personality and returns the former one. `u32::MAX` only reads it.
///
/// # Errors
/// EINVAL for an unsupported personality.
pub fn sys_personality(personality: u32) -> SysResult {
    let mine = &current().personality;
    match personality {
        u32::MAX => Ok(mine.load(Ordering::Relaxed)),
        new if new & !ADDR_NO_RANDOMIZE == 0 => Ok(mine.swap(new, Ordering::Relaxed)),
        _ => Err(Errno::EINVAL),
    }
}

/// Fills a buffer with at most 256 random bytes: see [`get_random_bytes`].
pub fn sys_getrandom(buffer: u32, length: u32, flags: u32) -> SysResult {
    if flags & !3 != 0 {
        return Err(Errno::EINVAL);
    }
    let length = length.min(256);
    let mut bytes = [0u8; 256];
    get_random_bytes(&mut bytes[..length as usize]);
    copy_to_user(buffer, &bytes[..length as usize])?;
    Ok(length)
}

const LINUX_REBOOT_MAGIC1: u32 = 0xfee1_dead;
const LINUX_REBOOT_MAGIC2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
const CMD_RESTART: u32 = 0x0123_4567;
const CMD_HALT: u32 = 0xcdef_0123;
const CMD_POWER_OFF: u32 = 0x4321_fedc;
const CMD_CAD: [u32; 2] = [0, 0x89ab_cdef];

/// Ends QEMU with success, or switches the machine off, for restart, halt and power-off alike.
///
/// # Errors
/// EPERM without privilege, EINVAL for wrong magic numbers or an unknown command.
pub fn sys_reboot(magic1: u32, magic2: u32, command: u32, _argument: u32) -> SysResult {
    if !current().cred().capable() {
        return Err(Errno::EPERM);
    }
    if magic1 != LINUX_REBOOT_MAGIC1 || !LINUX_REBOOT_MAGIC2.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    match command {
        CMD_RESTART | CMD_HALT | CMD_POWER_OFF => {
            log::info!("reboot: by {}[{}]", current().comm.get(), current().pid());
            crate::drivers::exit(ExitValue::Success)
        }
        c if CMD_CAD.contains(&c) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
