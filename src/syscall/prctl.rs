//! `prctl`: the time-stamp counter, and a task's name.
//!
//! Linux: 2.6.38 `kernel/sys.c`; PR_SET_TSC since 2.6.26.

use super::SysResult;
use super::errno::Errno;
use crate::arch::x86::copy_thread::{set_tsc_mode, tsc_allowed};
use crate::arch::x86::current::current;
use crate::arch::x86::uaccess::{copy_from_user, copy_to_user, put_user};

const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_TSC: u32 = 25;
const PR_SET_TSC: u32 = 26;
const PR_TSC_ENABLE: u32 = 1;
const PR_TSC_SIGSEGV: u32 = 2;

/// # Errors
/// EINVAL for an unknown option or value, EFAULT.
pub fn sys_prctl(option: u32, arg2: u32) -> SysResult {
    match option {
        PR_SET_TSC => match arg2 {
            PR_TSC_ENABLE => set_tsc_mode(true),
            PR_TSC_SIGSEGV => set_tsc_mode(false),
            _ => return Err(Errno::EINVAL),
        },
        PR_GET_TSC => {
            put_user(
                arg2,
                if tsc_allowed() {
                    PR_TSC_ENABLE
                } else {
                    PR_TSC_SIGSEGV
                },
            )?;
        }
        PR_SET_NAME => {
            let mut name = [0u8; 16];
            for (i, byte) in name[..15].iter_mut().enumerate() {
                copy_from_user(core::slice::from_mut(byte), arg2.wrapping_add(i as u32))?;
                if *byte == 0 {
                    break;
                }
            }
            current().comm.set(&name);
        }
        PR_GET_NAME => {
            let name = current().comm.get().0;
            copy_to_user(arg2, &name)?;
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
