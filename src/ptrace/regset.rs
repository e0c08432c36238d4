#![forbid(unsafe_code)]
//! GETREGSET, SETREGSET: registers in the forms that a core file has, named by the type of its note.
//! And GET_SYSCALL_INFO: the call at which a task has stopped.
//!
//! The tracer passes a `struct iovec`; its length comes back as the bytes that were copied.
//!
//! Linux: 2.6.38 `ptrace_regset`, `user_x86_32_view`; 5.3 `ptrace_get_syscall_info`.

use core::sync::atomic::Ordering;

use zerocopy::{FromBytes, IntoBytes};

use super::SysResult;
use super::fpu::{FPREGS_BYTES, FPXREGS_BYTES, fpregs, fpxregs, set_fpregs, set_fpxregs};
use super::held::Held;
use super::regs::{REGS_BYTES, getreg, getregs, setregs};
use super::tls::{get_tls, set_tls};
use crate::arch::x86::entry::uaccess::{copy_from_user, copy_to_user, get_user, put_user};
use crate::base::errno::Errno;
use crate::hw::desc::{GDT_ENTRY_TLS_ENTRIES, GDT_ENTRY_TLS_MIN};
use crate::process::sigset::SIGTRAP;
use crate::process::trace_syscall::{PTRACE_EVENTMSG_SYSCALL_ENTRY, PTRACE_EVENTMSG_SYSCALL_EXIT};
use crate::task::user_desc::UserDesc;

const NT_PRSTATUS: u32 = 1;
const NT_PRFPREG: u32 = 2;
const NT_PRXFPREG: u32 = 0x46e6_2b7f;
const NT_386_TLS: u32 = 0x200;

/// Bytes of a `struct user_desc`.
const DESC_BYTES: usize = size_of::<UserDesc>();

/// A form, with its size and that of its elements, in bytes.
#[derive(Clone, Copy)]
struct Form {
    note: u32,
    size: u32,
    element: u32,
}

/// Returns the form named by `note` and the user's buffer and length for it: `iov` points to a
/// `struct iovec`.
fn form(note: u32, iov: u32) -> Result<(Form, u32, u32), Errno> {
    let (size, element) = match note {
        NT_PRSTATUS => (REGS_BYTES, 4),
        NT_PRFPREG => (FPREGS_BYTES as u32, 4),
        NT_PRXFPREG => (FPXREGS_BYTES as u32, 4),
        NT_386_TLS => (
            (DESC_BYTES * GDT_ENTRY_TLS_ENTRIES) as u32,
            DESC_BYTES as u32,
        ),
        _ => (0, 0),
    };
    let [base, length]: [u32; 2] = get_user(iov)?;
    if element == 0 || !length.is_multiple_of(element) {
        return Err(Errno::EINVAL);
    }
    let form = Form {
        note,
        size,
        element,
    };
    Ok((form, base, length.min(size)))
}

/// Longest form, in bytes.
const LONGEST: usize = FPXREGS_BYTES;

fn read(held: &mut Held, form: Form) -> Result<[u8; LONGEST], Errno> {
    let mut bytes = [0; LONGEST];
    let to = &mut bytes[..form.size as usize];
    match form.note {
        NT_PRSTATUS => to.copy_from_slice(getregs(held).as_bytes()),
        NT_PRFPREG => to.copy_from_slice(&fpregs(held)),
        NT_PRXFPREG => to.copy_from_slice(&fpxregs(held)),
        _ => {
            for (n, to) in to.chunks_exact_mut(DESC_BYTES).enumerate() {
                let entry = GDT_ENTRY_TLS_MIN.saturating_add(n) as u32;
                to.copy_from_slice(&get_tls(held, entry)?.to_bytes());
            }
        }
    }
    Ok(bytes)
}

/// Copies a form to the tracer.
///
/// # Errors
/// EINVAL for a form that does not exist, or a length that is no multiple of its elements; EFAULT.
pub fn getregset(held: &mut Held, note: u32, iov: u32) -> SysResult {
    let (form, base, length) = form(note, iov)?;
    let bytes = read(held, form)?;
    copy_to_user(base, &bytes[..length as usize])?;
    put_user(iov.wrapping_add(4), length)?;
    Ok(0)
}

/// Sets a form, or its beginning, from the tracer's bytes.
///
/// # Errors
/// Those of [`getregset`], and those of the registers.
pub fn setregset(held: &mut Held, note: u32, iov: u32) -> SysResult {
    let (form, base, length) = form(note, iov)?;
    let mut bytes = read(held, form)?;
    let given = &mut bytes[..length as usize];
    copy_from_user(given, base)?;
    match form.note {
        NT_PRSTATUS => {
            let words = given.chunks_exact(form.element as usize);
            for (index, word) in words.enumerate() {
                let word = u32::read_from_bytes(word).map_err(|_| Errno::EINVAL)?;
                super::regs::putreg(held, index, word)?;
            }
        }
        NT_PRFPREG => {
            let (all, _) = bytes.split_first_chunk().ok_or(Errno::EINVAL)?;
            set_fpregs(held, all)?;
        }
        NT_PRXFPREG => {
            let (all, _) = bytes.split_first_chunk().ok_or(Errno::EINVAL)?;
            set_fpxregs(held, all)?;
        }
        _ => {
            for (n, desc) in given.as_chunks::<DESC_BYTES>().0.iter().enumerate() {
                let entry = GDT_ENTRY_TLS_MIN.saturating_add(n) as u32;
                set_tls(held, entry, UserDesc::from_bytes(desc))?;
            }
        }
    }
    put_user(iov.wrapping_add(4), length)?;
    Ok(0)
}

/// Copies all registers to user address `to`.
///
/// # Errors
/// EFAULT.
pub fn getregs_request(held: &mut Held, to: u32) -> SysResult {
    put_user(to, getregs(held))?;
    Ok(0)
}

/// Sets all registers from user address `from`.
///
/// # Errors
/// EFAULT; EIO for selectors that are not ring 3's.
pub fn setregs_request(held: &mut Held, from: u32) -> SysResult {
    let values: [u32; 17] = get_user(from)?;
    setregs(held, &values)?;
    Ok(0)
}

/// AUDIT_ARCH_I386.
const ARCH: u32 = 0x4000_0003;

/// Stores a `struct ptrace_syscall_info`, at most `size` bytes, at user address `to`; returns the
/// size of all that is known.
///
/// # Errors
/// EFAULT.
pub fn get_syscall_info(held: &mut Held, size: u32, to: u32) -> SysResult {
    // The operation, then the architecture, ip and sp, all as words of 32 bits; the rest is 64-bit.
    let mut words = [0u32; 20];
    let reg = |held: &mut Held, index| getreg(held, index);
    words[1] = ARCH;
    words[2] = reg(held, 12);
    words[4] = reg(held, 15);
    let code = held
        .task()
        .ptrace
        .siginfo
        .lock()
        .map_or(0, |info| info.code);
    let message = held.task().ptrace.message.load(Ordering::Relaxed);
    let length = match (code as u32 == SIGTRAP | 0x80, message) {
        (true, PTRACE_EVENTMSG_SYSCALL_ENTRY) => {
            words[0] = 1;
            words[6] = reg(held, 11);
            for (argument, word) in words[8..].iter_mut().step_by(2).take(6).enumerate() {
                *word = reg(held, argument);
            }
            80
        }
        (true, PTRACE_EVENTMSG_SYSCALL_EXIT) => {
            words[0] = 2;
            let result = reg(held, 6) as i32;
            words[6] = result as u32;
            words[7] = (result >> 31) as u32;
            words[8] = u32::from((-4095..0).contains(&result));
            33
        }
        _ => 24,
    };
    let given = length.min(size) as usize;
    copy_to_user(to, &words.as_bytes()[..given])?;
    Ok(length)
}
