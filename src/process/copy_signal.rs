//! The signals of a new process: a thread shares its process's, a fork has a copy.
//!
//! Linux: 2.6.38 `copy_sighand`, `copy_signal`.

use alloc::sync::Arc;

use super::signal::{SigHand, SignalStruct, new_sighand};
use crate::base::errno::Errno;
use crate::mm::fallible::try_arc;
use crate::task::clone_flags::{CLONE_PARENT, CLONE_SIGHAND, CLONE_THREAD};

/// Returns the process state of a new task: the parent's own for a thread, else a copy, which
/// shares the actions with CLONE_SIGHAND. ENOMEM when there is no memory.
pub fn copy_signal(parent: &Arc<SignalStruct>, flags: u32) -> Result<Arc<SignalStruct>, Errno> {
    let has = |flag| flags & flag != 0;
    if has(CLONE_THREAD) {
        return Ok(parent.clone());
    }
    let sighand = parent.sighand();
    let sighand = match has(CLONE_SIGHAND) {
        true => sighand,
        false => {
            let mut own = new_sighand()?;
            if let Some(actions) = Arc::get_mut(&mut own) {
                // In place: the stack has no room for another copy.
                actions.get_mut().copy_from_slice(&*sighand.lock());
            }
            own
        }
    };
    copy_struct(parent, sighand, has(CLONE_PARENT))
}

/// Not inlined, so that its values are on the stack only while it runs.
#[inline(never)]
fn copy_struct(
    parent: &SignalStruct,
    sighand: Arc<SigHand>,
    is_sibling: bool,
) -> Result<Arc<SignalStruct>, Errno> {
    try_arc(parent.copy(sighand, is_sibling))
}
