//! `trace_marker`: a program's own words in the trace. Exists with `trace=on` only.
//!
//! Linux: `tracing_mark_write` of `kernel/trace/trace.c`; Documentation/trace/ftrace.rst.

use crate::arch::x86::entry::uaccess::copy_from_user;
use crate::base::errno::Errno;
use crate::sched::hooks::trace::trace_print;

/// Bytes of one text; more are cut off, and the caller is told how many were taken.
const TRACE_BUF_SIZE: u32 = 1024;

/// Puts `count` bytes at user address `from` into the trace.
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
