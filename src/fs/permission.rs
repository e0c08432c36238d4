#![forbid(unsafe_code)]
//! Which users may read, write, execute and search a file.
//!
//! Path lookup calls this for each directory on the way; open, exec, access and chdir call it for
//! the file at the end.
//!
//! Book: ch. 1, "Access Rights and File Mode". Linux: 2.6.38 `generic_permission`.

use super::stat::{S_IFMT, S_IFREG, Stat};
use crate::base::errno::Errno;
use crate::task::cred::Cred;

/// Right to read the file.
pub const MAY_READ: u32 = 4;
/// Right to write the file.
pub const MAY_WRITE: u32 = 2;
/// Right to execute the file, or to search the directory.
pub const MAY_EXEC: u32 = 1;

/// Checks that `cred` may do all of `wanted` (MAY_*) with the file.
///
/// Only the first class that fits counts: the owner has the owner's rights even if the group's are
/// wider.
///
/// # Errors
/// EACCES.
pub fn permission(file: &Stat, wanted: u32, cred: &Cred) -> Result<(), Errno> {
    let granted = match () {
        // Root may do anything, but executes only files that somebody may execute.
        () if cred.overrides_permissions() => match file.mode & 0o111 {
            0 if file.mode & S_IFMT == S_IFREG => MAY_READ | MAY_WRITE,
            _ => MAY_READ | MAY_WRITE | MAY_EXEC,
        },
        () if cred.uid.fs == file.uid => file.mode >> 6,
        () if cred.gid.fs == file.gid => file.mode >> 3,
        () => file.mode,
    };
    if wanted & !granted == 0 {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::stat::S_IFDIR;

    fn granted(mode: u32, cred: &Cred) -> u32 {
        let file = Stat {
            mode,
            uid: 1000,
            gid: 100,
            ..Stat::default()
        };
        let may = |wanted: &u32| permission(&file, *wanted, cred).is_ok();
        [MAY_READ, MAY_WRITE, MAY_EXEC]
            .iter()
            .filter(|it| may(it))
            .sum()
    }

    fn user(uid: u32, gid: u32) -> Cred {
        let mut cred = Cred::ROOT;
        cred.setgid(gid).unwrap();
        cred.setuid(uid).unwrap();
        cred
    }

    #[test]
    fn each_class_has_bits_of_its_own() {
        assert_eq!(granted(S_IFREG | 0o421, &user(1000, 100)), 4);
        assert_eq!(granted(S_IFREG | 0o421, &user(1001, 100)), 2);
        assert_eq!(granted(S_IFREG | 0o421, &user(1001, 101)), 1);
        assert_eq!(granted(S_IFREG | 0o077, &user(1000, 100)), 0);
    }

    #[test]
    fn root_executes_only_what_somebody_may() {
        assert_eq!(granted(S_IFREG, &Cred::ROOT), 6);
        assert_eq!(granted(S_IFREG | 0o001, &Cred::ROOT), 7);
        assert_eq!(granted(S_IFDIR, &Cred::ROOT), 7);
        let mut cred = Cred::ROOT;
        cred.setfsuid(1001);
        assert_eq!(granted(S_IFREG | 0o004, &cred), 4);
    }
}
