//! `prctl`: the time-stamp counter, a task's name, and other settings of a task.
//!
//! A setting that would have no effect here is refused, not accepted and forgotten. A timer's slack
//! is accepted: it allows a timer to be late, and every timer here is late by up to a tick.
//!
//! Linux: 2.6.38 `kernel/sys.c`; PR_SET_TSC since 2.6.26.

use core::sync::atomic::Ordering;

use super::SysResult;
use crate::arch::x86::current::current;
use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user, put_user};
use crate::arch::x86::switch::copy_thread::{set_tsc_mode, tsc_allowed};
use crate::base::errno::Errno;
use crate::process::sigset::NSIG;

const PR_SET_PDEATHSIG: u32 = 1;
const PR_GET_PDEATHSIG: u32 = 2;
const PR_GET_KEEPCAPS: u32 = 7;
const PR_SET_KEEPCAPS: u32 = 8;
const PR_GET_TIMING: u32 = 13;
const PR_SET_TIMING: u32 = 14;
const PR_SET_TIMERSLACK: u32 = 29;
const PR_GET_TIMERSLACK: u32 = 30;
const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_GET_TSC: u32 = 25;
const PR_SET_TSC: u32 = 26;
const PR_SET_CHILD_SUBREAPER: u32 = 36;
const PR_GET_CHILD_SUBREAPER: u32 = 37;
const PR_TSC_ENABLE: u32 = 1;
const PR_TSC_SIGSEGV: u32 = 2;

/// Reads or changes the setting `option` of the running task.
///
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
        PR_SET_PDEATHSIG => match arg2 {
            0..=NSIG => current().pdeath_signal.store(arg2, Ordering::Relaxed),
            _ => return Err(Errno::EINVAL),
        },
        PR_GET_PDEATHSIG => put_user(arg2, current().pdeath_signal.load(Ordering::Relaxed))?,
        // Users other than 0 have no capabilities that could be kept.
        PR_GET_KEEPCAPS | PR_GET_TIMING => {}
        PR_SET_KEEPCAPS | PR_SET_TIMING if arg2 == 0 => {}
        PR_SET_TIMERSLACK => {
            let me = current();
            let slack_ns = match arg2 as i32 {
                ..=0 => me.default_timer_slack_ns.load(Ordering::Relaxed),
                _ => arg2,
            };
            me.timer_slack_ns.store(slack_ns, Ordering::Relaxed);
        }
        PR_GET_TIMERSLACK => return Ok(current().timer_slack_ns.load(Ordering::Relaxed)),
        PR_SET_CHILD_SUBREAPER => {
            let adopts = &current().signal.is_child_subreaper;
            adopts.store(arg2 != 0, Ordering::Relaxed);
        }
        PR_GET_CHILD_SUBREAPER => {
            let adopts = &current().signal.is_child_subreaper;
            put_user(arg2, u32::from(adopts.load(Ordering::Relaxed)))?;
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
