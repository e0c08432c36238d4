#![forbid(unsafe_code)]
//! Whose a process is, and what it may therefore do.
//!
//! Each task has its own copy. There are no capabilities beside the user number: effective user
//! 0 has all of them, everybody else none.
//!
//! Book: ch. 20, "Process Credentials and Capabilities".
//! Linux: 2.6.38 `kernel/sys.c` (`setuid`, `setresuid`), `capability.h`.

use crate::base::errno::Errno;

/// "Leave it as it is", in the calls that set several numbers.
pub const KEEP: u32 = u32::MAX;

/// Real, effective, saved and file-system number of a user or a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// Who started the process.
    pub real: u32,
    /// With whose rights it acts.
    pub effective: u32,
    /// What it may go back to.
    pub saved: u32,
    /// With whose rights it opens files.
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

    /// Returns the old number, whether it worked or not, as setfsuid(2) does.
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
    /// User.
    pub uid: Ids,
    /// Group.
    pub gid: Ids,
}

impl Cred {
    /// Root's, which init starts with.
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

    /// Whether it has every capability.
    pub fn capable(&self) -> bool {
        self.uid.effective == 0
    }

    /// Whether the permissions of files do not bind it. These rights go by the number that opens files:
    /// root that has taken another one by setfsuid(2) has the rights of that user.
    #[doc(alias = "CAP_DAC_OVERRIDE")]
    pub fn overrides_permissions(&self) -> bool {
        self.uid.fs == 0
    }

    /// Whether all numbers of `target` are `uid` and `gid`: it has no rights but that user's.
    pub fn is_only(target: &Cred, uid: u32, gid: u32) -> bool {
        let all = |ids: Ids, id| [ids.real, ids.effective, ids.saved] == [id; 3];
        all(target.uid, uid) && all(target.gid, gid)
    }

    /// Whether its program acts with other rights than those of whoever started it.
    pub fn is_set_id(&self) -> bool {
        self.uid.real != self.uid.effective || self.gid.real != self.gid.effective
    }

    /// Whether a task that had `old` acts as another user or group with it: then the users that could look
    /// into the task before may not any more.
    pub fn acts_otherwise_than(&self, old: &Cred) -> bool {
        let acts = |cred: &Cred| [cred.uid, cred.gid].map(|ids| (ids.effective, ids.fs));
        acts(self) != acts(old)
    }

    /// Whether it may send a signal to `target`.
    pub fn may_signal(&self, target: &Cred) -> bool {
        let mine = [self.uid.effective, self.uid.real];
        self.capable() || mine.contains(&target.uid.real) || mine.contains(&target.uid.saved)
    }

    /// Whether `target`'s scheduling is its own affair.
    pub fn check_same_owner(&self, target: &Cred) -> bool {
        [target.uid.effective, target.uid.real].contains(&self.uid.effective)
    }

    /// setuid(2).
    pub fn setuid(&mut self, id: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set(id, privileged)
    }

    /// setgid(2).
    pub fn setgid(&mut self, id: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set(id, privileged)
    }

    /// setreuid(2).
    pub fn setreuid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set_re(real, effective, privileged)
    }

    /// setregid(2).
    pub fn setregid(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set_re(real, effective, privileged)
    }

    /// setresuid(2).
    pub fn setresuid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.capable();
        self.uid.set_res(ids, privileged)
    }

    /// setresgid(2).
    pub fn setresgid(&mut self, ids: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.capable();
        self.gid.set_res(ids, privileged)
    }

    /// setfsuid(2).
    pub fn setfsuid(&mut self, id: u32) -> u32 {
        let privileged = self.capable();
        self.uid.set_fs(id, privileged)
    }

    /// setfsgid(2).
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
