//! A signal is sent while its receiver checks whether there is one.
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

/// Runs the model; `clear_first` is the kernel's order.
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

/// A thread stops taking signals because it ends or blocks them; `say_first` is the kernel's order.
/// The signal then belongs to another thread: whoever sees that must tell that thread.
fn group_model(say_first: bool) {
    loom::model(move || {
        let waiting = Arc::new(Mutex::new(0));
        let stopped = Arc::new(AtomicU32::new(0));
        let other_told = Arc::new(AtomicU32::new(0));
        let sender = {
            let (waiting, stopped) = (waiting.clone(), stopped.clone());
            let other_told = other_told.clone();
            thread::spawn(move || {
                *waiting.lock().unwrap() = 1;
                if stopped.load(Ordering::SeqCst) == 1 {
                    other_told.fetch_or(1, Ordering::SeqCst);
                }
            })
        };
        if say_first {
            stopped.fetch_or(1, Ordering::SeqCst);
        }
        if *waiting.lock().unwrap() != 0 {
            other_told.fetch_or(1, Ordering::SeqCst);
        }
        if !say_first {
            stopped.fetch_or(1, Ordering::SeqCst);
        }
        sender.join().unwrap();
        assert_eq!(other_told.load(Ordering::SeqCst), 1, "a lost signal");
    });
}

#[test]
fn a_signal_sent_while_its_taker_ends_goes_to_another() {
    group_model(true);
    let group = "src/process/signal_group.rs";
    in_order(
        group,
        &[
            "pub fn exit_signals",
            "fetch_or(PF_EXITING, Ordering::SeqCst)",
            "retarget_shared_pending(me, SigSet(u64::MAX))",
        ],
    );
    in_order(
        "src/process/signal.rs",
        &[
            "pub fn set_blocked",
            "replace(&mut me.signals.lock().blocked, blocked)",
            "retarget_shared_pending(me, newly)",
        ],
    );
    in_order(
        "src/process/signal.rs",
        &[
            "pub fn group_send_sig_info",
            "shared_pending.lock().add(info)",
            "complete_signal(list, task, info.signal)",
        ],
    );
}

#[test]
#[should_panic(expected = "a lost signal")]
fn a_look_before_the_word_loses_it() {
    group_model(false);
}
