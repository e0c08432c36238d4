#![forbid(unsafe_code)]
//! Error numbers: why a system call was refused.
//!
//! Inside the kernel an error is an [`Errno`] in a `Result`; its sign is flipped once,
//! by [`to_ret`], on the way into the caller's `eax`. Every room may use these names.
//!
//! Linux: `asm-generic/errno-base.h`, `asm-generic/errno.h`, numbers of i386.

use core::fmt;
use core::hint::cold_path;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A Linux error number, by its Linux name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Errno {
            $($(#[$doc])* $name = $number,)*
        }

        impl Errno {
            /// The symbol, as the manual pages spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name),)*
                }
            }
        }
    };
}

errnos! {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory.
    ENOENT = 2,
    /// No such process, or no free TLS entry.
    ESRCH = 3,
    /// A signal came while the call slept.
    EINTR = 4,
    /// Input or output failed.
    EIO = 5,
    /// No such device.
    ENXIO = 6,
    /// Arguments and environment are too long.
    E2BIG = 7,
    /// Not a program that can be loaded.
    ENOEXEC = 8,
    /// No such descriptor, or opened the other way.
    EBADF = 9,
    /// No child to wait for.
    ECHILD = 10,
    /// Would have to wait (`EWOULDBLOCK` is the same number).
    EAGAIN = 11,
    /// No memory.
    ENOMEM = 12,
    /// File permissions forbid it.
    EACCES = 13,
    /// A pointer leads nowhere.
    EFAULT = 14,
    /// In use.
    EBUSY = 16,
    /// Exists already.
    EEXIST = 17,
    /// No such device.
    ENODEV = 19,
    /// A part of the path is not a directory.
    ENOTDIR = 20,
    /// Is a directory.
    EISDIR = 21,
    /// An argument makes no sense.
    EINVAL = 22,
    /// No descriptor left in the system.
    ENFILE = 23,
    /// No descriptor left in this process.
    EMFILE = 24,
    /// Not a terminal.
    ENOTTY = 25,
    /// File too big.
    EFBIG = 27,
    /// No space.
    ENOSPC = 28,
    /// A pipe cannot seek.
    ESPIPE = 29,
    /// The file system is read-only.
    EROFS = 30,
    /// Nobody reads the other end of the pipe.
    EPIPE = 32,
    /// Out of the result's range.
    ERANGE = 34,
    /// Path or name too long.
    ENAMETOOLONG = 36,
    /// No such system call.
    ENOSYS = 38,
    /// Too many symbolic links.
    ELOOP = 40,
    /// Does not fit the caller's structure.
    EOVERFLOW = 75,
    /// Not a socket.
    ENOTSOCK = 88,
    /// Not supported for this object.
    EOPNOTSUPP = 95,
    /// The time is over.
    ETIMEDOUT = 110,
    /// Kernel-internal: run the system call again after the signal (with `SA_RESTART` only).
    ERESTARTSYS = 512,
    /// Not supported, where a program should not see it but does (`KCOV_ENABLE`).
    ENOTSUPP = 524,
    /// Kernel-internal: run the system call again, after whatever handler.
    ERESTARTNOINTR = 513,
    /// Kernel-internal: run the system call again unless a handler ran.
    ERESTARTNOHAND = 514,
}

impl Errno {
    /// The value a system call returns in `eax` for this error.
    pub const fn to_ret(self) -> i32 {
        (self as i32).wrapping_neg()
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The one place where the sign of an error is flipped: `Ok` as it is, an error negative.
#[inline(always)]
pub fn to_ret(result: Result<u32, Errno>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => {
            // So that a call which went well need not find that out again.
            cold_path();
            errno.to_ret()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_negative_and_small() {
        assert_eq!(to_ret(Err(Errno::EFAULT)), -14);
        assert_eq!(to_ret(Err(Errno::ETIMEDOUT)), -110);
        assert_eq!(to_ret(Ok(0xbfff_f000)), 0xbfff_f000u32 as i32);
    }

    #[test]
    fn names_are_the_manuals() {
        assert_eq!(format!("{}", Errno::EINVAL), "EINVAL");
        assert_eq!(format!("{:?}", Errno::ESRCH), "ESRCH");
    }
}
