//! `set_thread_area`, `get_thread_area`: a task's TLS descriptors.
//!
//! Book: ch. 2, "The Linux GDT". Linux: 2.6.38 `arch/x86/kernel/tls.c`, with the stricter check
//! of descriptors that later kernels have.

use super::SysResult;
use crate::arch::x86::current::{current, current_pt_regs};
use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user};
use crate::arch::x86::switch::forms::All;
use crate::arch::x86::switch::lazy_gs::{get_user_gs, set_user_gs};
use crate::arch::x86::switch::load_tls::load_tls;
use crate::arch::x86::switch::updates::Now;
use crate::hw::desc::Selector;
use crate::sync::PreemptGuard;
use crate::task::thread_struct::TIF_TLS_ALL;
use crate::task::user_desc::{UserDesc, do_get_thread_area, do_set_thread_area};

/// Sets one of the three descriptors; entry -1 picks the first free one and stores its number.
/// Takes effect at once in the table, and in `%gs` if it has this selector (Linux: since 4.7).
///
/// # Errors
/// EFAULT, EINVAL for another entry or a descriptor that is not allowed, ESRCH when -1 finds no
/// free entry.
pub fn sys_set_thread_area(u_info: u32) -> SysResult {
    let mut bytes = [0; 16];
    copy_from_user(&mut bytes, u_info)?;
    let request = UserDesc::from_bytes(&bytes);
    let me = current();
    // SAFETY: our own context, read only, nothing else borrows it.
    let mut tls_array = unsafe { me.thread_mut() }.tls_array;
    let index = do_set_thread_area(&mut tls_array, &request, true)?;
    if request.entry_number != index {
        copy_to_user(u_info, &index.to_le_bytes())?;
    }
    let _no_preempt = PreemptGuard::new();
    // SAFETY: our own context, preemption off.
    let thread = unsafe { me.thread_mut() };
    thread.tls_array = tls_array;
    thread.set_work(TIF_TLS_ALL, tls_array[1..].iter().any(|d| !d.is_empty()));
    // SAFETY: `do_set_thread_area` has checked the descriptors; preemption is off.
    unsafe { load_tls::<All<Now>>(thread) };
    // SAFETY: our own frame, which nothing else borrows.
    let regs = unsafe { &mut *current_pt_regs() };
    let selector = Selector::gdt(index as usize, 3).0;
    if get_user_gs(regs) == selector {
        // The register must not keep the old descriptor.
        set_user_gs(regs, selector);
    }
    Ok(0)
}

/// Stores a TLS descriptor at `u_info`.
///
/// # Errors
/// EFAULT, EINVAL for an entry outside 6 to 8, also for -1.
pub fn sys_get_thread_area(u_info: u32) -> SysResult {
    let mut bytes = [0; 16];
    copy_from_user(&mut bytes, u_info)?;
    let entry = UserDesc::from_bytes(&bytes).entry_number;
    // SAFETY: our own context, read only.
    let desc = do_get_thread_area(&unsafe { current().thread_mut() }.tls_array, entry)?;
    copy_to_user(u_info, &desc.to_bytes())?;
    Ok(0)
}
