#![forbid(unsafe_code)]
//! Error numbers: the reasons for which a system call fails.
//!
//! Inside the kernel an error is an [`Errno`] in a `Result`. [`to_ret`] alone flips its sign, on
//! the way into the caller's `eax`. Every room may use these names.
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
            /// Returns the symbol as the manual pages spell it.
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
    /// A signal arrived while the call slept.
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
    /// The object is in use.
    EBUSY = 16,
    /// The file already exists.
    EEXIST = 17,
    /// The two names are in different file systems.
    EXDEV = 18,
    /// No such device.
    ENODEV = 19,
    /// A part of the path is not a directory.
    ENOTDIR = 20,
    /// The file is a directory.
    EISDIR = 21,
    /// An argument is invalid.
    EINVAL = 22,
    /// No file structure left in the system.
    ENFILE = 23,
    /// No descriptor left in this process.
    EMFILE = 24,
    /// The file is not a terminal.
    ENOTTY = 25,
    /// A program runs from the file, or the file is open for writing.
    ETXTBSY = 26,
    /// The file would become too big.
    EFBIG = 27,
    /// No space left in the file system.
    ENOSPC = 28,
    /// The file cannot seek (a pipe, for example).
    ESPIPE = 29,
    /// The file system is read-only.
    EROFS = 30,
    /// No process reads from the other end of the pipe.
    EPIPE = 32,
    /// The result is out of range.
    ERANGE = 34,
    /// Path or name too long.
    ENAMETOOLONG = 36,
    /// Two tasks would wait for each other's lock.
    EDEADLK = 35,
    /// No more locks on files, or no memory for one.
    ENOLCK = 37,
    /// No such system call.
    ENOSYS = 38,
    /// The directory is not empty.
    ENOTEMPTY = 39,
    /// Too many symbolic links.
    ELOOP = 40,
    /// The dynamic linker is not one that can be loaded.
    ELIBBAD = 80,
    /// The value does not fit in the caller's structure.
    EOVERFLOW = 75,
    /// Not a socket.
    ENOTSOCK = 88,
    /// Not supported for this object.
    EOPNOTSUPP = 95,
    /// The time limit has expired.
    ETIMEDOUT = 110,
    /// Kernel-internal: run the system call again after the signal (with `SA_RESTART` only).
    ERESTARTSYS = 512,
    /// Not supported. Kernel-internal, but `KCOV_ENABLE` returns it to programs all the same.
    ENOTSUPP = 524,
    /// Kernel-internal: run the system call again, after any handler.
    ERESTARTNOINTR = 513,
    /// Kernel-internal: run the system call again unless a handler ran.
    ERESTARTNOHAND = 514,
}

impl Errno {
    /// Returns the value that a system call returns in `eax` for this error.
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

/// Returns the value for `eax`: the value of `Ok` unchanged, an error as a negative number. The
/// sign of an error is flipped only here.
#[inline(always)]
pub fn to_ret(result: Result<u32, Errno>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => {
            // The compiler then moves the failing case out of the path of a successful call.
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
