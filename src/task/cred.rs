#![forbid(unsafe_code)]
//! The credentials of a process, and the rights that they give.
//!
//! Each task has its own copy. There are no separate capabilities: effective user 0 has all of
//! them, every other user has none.
//!
//! Book: ch. 20, "Process Credentials and Capabilities".
//! Linux: 2.6.38 `kernel/sys.c` (`setuid`, `setresuid`), `capability.h`.

use crate::base::errno::Errno;

/// The argument that leaves a number unchanged, in the calls that set several.
pub const KEEP: u32 = u32::MAX;

/// Real, effective, saved and file-system number of a user or a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// The user or group that started the process.
    pub real: u32,
    /// The user or group with whose rights the process acts.
    pub effective: u32,
    /// The user or group to which the process may return.
    pub saved: u32,
    /// The user or group with whose rights the process opens files.
    pub fs: u32,
}

impl Ids {
    fn has(&self, id: u32) -> bool {
        id == KEEP || id == self.real || id == self.effective || id == self.saved
    }

    fn set(&mut self, id: u32, privileged: bool) -> Result<(), Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        if privileged {
            (self.real, self.saved) = (id, id);
        } else if id != self.real && id != self.saved {
            return Err(Errno::EPERM);
        }
        (self.effective, self.fs) = (id, id);
        Ok(())
    }

    fn set_re(&mut self, real: u32, effective: u32, privileged: bool) -> Result<(), Errno> {
        let real_ok = real == KEEP || real == self.real || real == self.effective;
        let allowed = real_ok && self.has(effective);
        if !privileged && !allowed {
            return Err(Errno::EPERM);
        }
        let old_real = self.real;
        keep_or(&mut self.real, real);
        keep_or(&mut self.effective, effective);
        if real != KEEP || effective != KEEP && effective != old_real {
            self.saved = self.effective;
        }
        self.fs = self.effective;
        Ok(())
    }

    fn set_res(&mut self, ids: [u32; 3], privileged: bool) -> Result<(), Errno> {
        if !privileged && !ids.iter().all(|id| self.has(*id)) {
            return Err(Errno::EPERM);
        }
        keep_or(&mut self.real, ids[0]);
        keep_or(&mut self.effective, ids[1]);
        keep_or(&mut self.saved, ids[2]);
        self.fs = self.effective;
        Ok(())
    }

    /// Sets the file-system number if that is allowed, and returns the old one in either case, as
    /// setfsuid(2) does.
    fn set_fs(&mut self, id: u32, privileged: bool) -> u32 {
        let old = self.fs;
        if id != KEEP && (privileged || self.has(id) || id == old) {
            self.fs = id;
        }
        old
    }
}

fn keep_or(slot: &mut u32, id: u32) {
    if id != KEEP {
        *slot = id;
    }
}

/// A task's credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cred {
    /// The four user numbers.
    pub uid: Ids,
    /// The four group numbers.
    pub gid: Ids,
}

impl Cred {
    /// Root's credentials, with which init starts.
    pub const ROOT: Cred = Cred {
        uid: Ids {
            real: 0,
            effective: 0,
            saved: 0,
            fs: 0,
        },
        gid: Ids {
            real: 0,
            effective: 0,
            saved: 0,
            fs: 0,
        },
    };

    /// Returns whether the task has every capability.
    pub fn capable(&self) -> bool {
        self.uid.effective == 0
    }

    /// Returns whether the task may ignore the permissions of files. This depends on the
    /// file-system number: root that has set another by setfsuid(2) has the rights of that user.
    #[doc(alias = "CAP_DAC_OVERRIDE")]
    pub fn overrides_permissions(&self) -> bool {
        self.uid.fs == 0
    }

    /// Returns whether all numbers of `target` are `uid` and `gid`, so that it has only that user's
    /// rights.
    pub fn is_only(target: &Cred, uid: u32, gid: u32) -> bool {
        let all = |ids: Ids, id| [ids.real, ids.effective, ids.saved] == [id; 3];
        all(target.uid, uid) && all(target.gid, gid)
    }

    /// Returns whether the program acts with other rights than those of the user that started it.
    pub fn is_set_id(&self) -> bool {
        self.uid.real != self.uid.effective || self.gid.real != self.gid.effective
    }

    /// Returns whether a task that had `old` acts as another user or group with these credentials.
    /// Then users that could inspect the task before no longer may.
    pub fn acts_otherwise_than(&self, old: &Cred) -> bool {
        let acts = |cred: &Cred| [cred.uid, cred.gid].map(|ids| (ids.effective, ids.fs));
        acts(self) != acts(old)
    }

    /// Returns whether the task may send a signal to `target`.
    pub fn may_signal(&self, target: &Cred) -> bool {
        let mine = [self.uid.effective, self.uid.real];
        self.capable() || mine.contains(&target.uid.real) || mine.contains(&target.uid.saved)
    }

    /// Returns whether the task may change the scheduling of `target`.
    pub fn check_same_owner(&self, target: &Cred) -> bool {
        [target.uid.effective, target.uid.real].contains(&self.uid.effective)
    }

    /// Sets the user numbers (setuid(2)). EPERM if that is not allowed.
    pub fn setuid(&mut self, id: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set(id, privileged)
    }

    /// Sets the group numbers (setgid(2)). EPERM if that is not allowed.
    pub fn setgid(&mut self, id: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set(id, privileged)
    }

    /// Sets real and effective user (setreuid(2)). EPERM if that is not allowed.
    pub fn setreuid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set_re(real, effective, privileged)
    }

    /// Sets real and effective group (setregid(2)). EPERM if that is not allowed.
    pub fn setregid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set_re(real, effective, privileged)
    }

    /// Sets real, effective and saved user (setresuid(2)). EPERM if that is not allowed.
    pub fn setresuid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set_res(ids, privileged)
    }

    /// Sets real, effective and saved group (setresgid(2)). EPERM if that is not allowed.
    pub fn setresgid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set_res(ids, privileged)
    }

    /// Sets the file-system user (setfsuid(2)) and returns the old one.
    pub fn setfsuid(&mut self, id: u32) -> u32 {
        let privileged = self.capable();
        self.uid.set_fs(id, privileged)
    }

    /// Sets the file-system group (setfsgid(2)) and returns the old one.
    pub fn setfsgid(&mut self, id: u32) -> u32 {
        let privileged = self.capable();
        self.gid.set_fs(id, privileged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_that_becomes_somebody_stays_somebody() {
        let mut cred = Cred::ROOT;
        cred.setuid(1000).unwrap();
        assert_eq!(
            cred.uid,
            Ids {
                real: 1000,
                effective: 1000,
                saved: 1000,
                fs: 1000
            }
        );
        assert!(!cred.capable());
        assert_eq!(cred.setuid(0), Err(Errno::EPERM));
        assert_eq!(cred.setresuid([KEEP, 0, KEEP]), Err(Errno::EPERM));
        assert_eq!(cred.setuid(KEEP), Err(Errno::EINVAL));
    }

    #[test]
    fn a_saved_number_leads_back() {
        let mut cred = Cred::ROOT;
        cred.setresuid([1000, 1000, 0]).unwrap();
        assert!(!cred.capable());
        cred.setuid(0).unwrap();
        assert!(cred.capable());
        assert_eq!(cred.uid.real, 1000);
    }

    #[test]
    fn exchanging_real_and_effective() {
        let mut cred = Cred::ROOT;
        cred.setreuid(1, 2).unwrap();
        assert_eq!(
            cred.uid,
            Ids {
                real: 1,
                effective: 2,
                saved: 2,
                fs: 2
            }
        );
        cred.setreuid(2, 1).unwrap();
        assert_eq!(cred.setreuid(5, KEEP), Err(Errno::EPERM));
        assert_eq!(
            cred.uid,
            Ids {
                real: 2,
                effective: 1,
                saved: 1,
                fs: 1
            }
        );
        assert_eq!(cred.setfsuid(9), 1);
        assert_eq!(cred.uid.fs, 1);
    }

    #[test]
    fn files_go_by_the_number_that_opens_them() {
        let mut cred = Cred::ROOT;
        assert!(cred.overrides_permissions());
        cred.setfsuid(1000);
        assert!(cred.capable() && !cred.overrides_permissions());
        assert!(cred.acts_otherwise_than(&Cred::ROOT) && !cred.is_set_id());
    }

    #[test]
    fn a_program_with_saved_rights_is_not_only_its_users() {
        let mut cred = Cred::ROOT;
        cred.setresgid([1000; 3]).unwrap();
        cred.setresuid([1000, 1000, 0]).unwrap();
        assert!(!Cred::is_only(&cred, 1000, 1000));
        cred.setuid(0).unwrap();
        assert!(cred.is_set_id());
        cred.setuid(1000).unwrap();
        assert!(Cred::is_only(&cred, 1000, 1000) && !Cred::is_only(&cred, 1000, 5));
    }

    #[test]
    fn signals_go_to_ones_own() {
        let mut other = Cred::ROOT;
        other.setuid(5).unwrap();
        assert!(Cred::ROOT.may_signal(&other));
        assert!(!other.may_signal(&Cred::ROOT));
        assert!(other.may_signal(&other));
    }
}
