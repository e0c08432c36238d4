//! Signals from keys: their way from the console to processes.
//!
//! A kernel thread sends them, because the console's interrupt may not use the task list.
//!
//! Linux: 2.6.38 `drivers/char/n_tty.c` (`isig`), which sends them from the interrupt.

use super::kill::kill_pgrp;
use super::kthread::kernel_thread;
use crate::base::errno::Errno;
use crate::fs::tty;

/// Starts the thread that sends them. Called once, at boot.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub fn start() -> Result<(), Errno> {
    kernel_thread(send_keys, 0, "ttysig").map(drop)
}

extern "C" fn send_keys(_: u32) -> i32 {
    loop {
        let (pgrp, keys) = tty::wait_for_keys();
        for signal in (1..32).filter(|signal| keys & 1 << signal != 0) {
            // The group may have gone meanwhile: then no process gets the signal.
            kill_pgrp(pgrp, signal);
        }
    }
}
