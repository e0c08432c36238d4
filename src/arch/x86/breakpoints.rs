//! Whether this processor's breakpoints hit: some emulators keep the debug registers, but never
//! compare an address with them.
//!
//! `start_kernel` tries it once. The self-tests of breakpoints ask for the answer.
//!
//! SDM: vol. 3, 17.2 "Debug Registers".

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::base::insn::{get_debugreg, set_debugreg};
use crate::hw::debugreg::{BreakLen, BreakOn, DR7_EMPTY, Dr7};

static HIT: AtomicBool = AtomicBool::new(true);

/// Sets a breakpoint on a word, writes the word, and says in the log if nothing happened.
///
/// Called at boot, on the boot CPU, by a task without breakpoints: `do_debug` then clears DR7 at a
/// hit.
pub fn probe() {
    static WATCHED: AtomicU32 = AtomicU32::new(0);
    const ON_WRITE: Dr7 = Dr7::empty().enable(0, BreakOn::Write, BreakLen::Four);
    set_debugreg(&raw const WATCHED as u32, 0);
    set_debugreg(ON_WRITE.bits() | DR7_EMPTY, 7);
    WATCHED.fetch_add(1, Ordering::SeqCst);
    let hit = get_debugreg(7) == DR7_EMPTY;
    set_debugreg(0, 7);
    set_debugreg(0, 0);
    HIT.store(hit, Ordering::Relaxed);
    if !hit {
        log::warn!("cpu: breakpoints never hit: the processor does not look at DR0 to DR3");
    }
}

/// Returns whether a breakpoint hit at boot.
pub fn breakpoints_hit() -> bool {
    HIT.load(Ordering::Relaxed)
}
