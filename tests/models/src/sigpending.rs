//! A signal is sent while its receiver looks whether there is one.
//!
//! CPU 0 runs the receiver, in `recalc_sigpending`: whatever is pending must leave TIF_SIGPENDING set.
//! CPU 1 sends: the signal first, then the flag.

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::sources::in_order;

struct Receiver {
    /// A set of signals, and its lock.
    pending: Mutex<u32>,
    sigpending: AtomicU32,
}

/// `clear_first` is the kernel's order.
fn model(clear_first: bool) {
    loom::model(move || {
        let task = Arc::new(Receiver {
            pending: Mutex::new(0),
            sigpending: AtomicU32::new(0),
        });
        let sender = {
            let task = task.clone();
            thread::spawn(move || {
                *task.pending.lock().unwrap() = 1;
                task.sigpending.fetch_or(1, Ordering::SeqCst);
            })
        };
        if clear_first {
            task.sigpending.fetch_and(0, Ordering::SeqCst);
        }
        let seen = *task.pending.lock().unwrap();
        if seen != 0 {
            task.sigpending.fetch_or(1, Ordering::SeqCst);
        } else if !clear_first {
            task.sigpending.fetch_and(0, Ordering::SeqCst);
        }
        sender.join().unwrap();
        assert_eq!(task.sigpending.load(Ordering::SeqCst), 1, "a lost signal");
    });
}

#[test]
fn a_signal_sent_during_the_look_is_not_lost() {
    model(true);
    in_order(
        "src/process/signal.rs",
        &[
            "pub fn recalc_sigpending",
            "clear_flag(me.thread_info(), TIF_SIGPENDING)",
            "shared_pending.lock()",
            "signals.lock()",
            "set_flag(me.thread_info(), TIF_SIGPENDING)",
        ],
    );
}

#[test]
#[should_panic(expected = "a lost signal")]
fn a_flag_cleared_after_the_look_loses_it() {
    model(false);
}
