//! `trace_marker`: adds a program's own text to the trace. Exists only with `trace=on`.
//!
//! Linux: `tracing_mark_write` of `kernel/trace/trace.c`; Documentation/trace/ftrace.rst.

use crate::arch::x86::entry::uaccess::copy_from_user;
use crate::base::errno::Errno;
use crate::sched::hooks::trace::trace_print;

/// Largest size of one text, in bytes; a longer one is cut, and the caller learns how much was
/// taken.
const TRACE_BUF_SIZE: u32 = 1024;

/// Adds the `count` bytes at user address `from` to the trace.
///
/// # Errors
/// EFAULT.
pub fn write(from: u32, count: u32) -> Result<u32, Errno> {
    let mut buffer = [0; TRACE_BUF_SIZE as usize];
    let count = count.min(TRACE_BUF_SIZE);
    let bytes = &mut buffer[..count as usize];
    copy_from_user(bytes, from)?;
    trace_print(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    Ok(count)
}
