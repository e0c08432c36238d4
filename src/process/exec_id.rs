#![forbid(unsafe_code)]
//! `self_exec_id`, `parent_exec_id`: whether parent and child still run the programs they ran at
//! the child's birth.
//!
//! Kept in `SignalStruct`, counted by exec, read by exit: the exit signal was chosen for the
//! programs of that time, and a later program may have other rights.
//!
//! Linux: 2.6.38 `setup_new_exec`, `exit_notify`; 64 bits since 5.6.

use core::sync::atomic::{AtomicU64, Ordering};

/// The exec counts of one process.
pub struct ExecId {
    /// Number of programs that the process has executed. Written by its last thread.
    own: AtomicU64,
    /// The parent's count when it made this process.
    parents: u64,
}

impl ExecId {
    /// Returns the counts of a process that was not forked.
    pub const fn new() -> Self {
        Self {
            own: AtomicU64::new(0),
            parents: 0,
        }
    }

    /// Returns the counts of a forked process; a sibling of the caller has the caller's parent.
    pub fn copy(&self, is_sibling: bool) -> Self {
        let own = self.own.load(Ordering::Relaxed);
        Self {
            own: AtomicU64::new(own),
            parents: if is_sibling { self.parents } else { own },
        }
    }

    /// Counts that the process executes another program.
    pub fn count_exec(&self) {
        self.own.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether neither `parent` nor this child has executed another program since the
    /// birth.
    pub fn is_as_at_birth(&self, parent: &ExecId) -> bool {
        [parent, self].map(|it| it.own.load(Ordering::Relaxed)) == [self.parents; 2]
    }
}

impl Default for ExecId {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_program_counts() {
        let parent = ExecId::new();
        parent.count_exec();
        let child = parent.copy(false);
        let sibling = child.copy(true);
        assert!(child.is_as_at_birth(&parent) && sibling.is_as_at_birth(&parent));
        child.count_exec();
        assert!(!child.is_as_at_birth(&parent));
        parent.count_exec();
        assert!(!sibling.is_as_at_birth(&parent));
    }
}
