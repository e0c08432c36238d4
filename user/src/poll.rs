//! poll: the events of one file.

use crate::gates::syscall;

const SYS_POLL: u32 = 168;

/// Something can be read.
pub const POLLIN: u32 = 1;
/// Something can be written.
pub const POLLOUT: u32 = 4;

/// Returns what poll reports of a file that is asked for both directions.
pub fn poll(fd: u32) -> u32 {
    let mut entry = [fd, POLLIN | POLLOUT];
    syscall(SYS_POLL, [entry.as_mut_ptr() as u32, 1, 0]).expect("poll");
    entry[1] >> 16
}
