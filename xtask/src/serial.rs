//! The serial line of a machine: read to its end, cleaned, and stamped.

use std::io::BufRead;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A log that is longer than this is a kernel that repeats itself.
pub const LOG_LIMIT_BYTES: usize = 8 << 20;

/// The log while it grows.
#[derive(Default)]
pub struct Shared {
    /// Grows by whole lines.
    pub log: Mutex<Log>,
    /// Told of every line.
    pub changed: Condvar,
}

/// Text and time.
#[derive(Default)]
pub struct Log {
    /// What came so far.
    pub text: String,
    /// When each line came.
    pub stamps: Vec<Duration>,
}

impl Shared {
    /// The log, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the serial line to its end.
pub fn listen(mut serial: impl BufRead, shared: &Shared) {
    let started = Instant::now();
    let mut line = Vec::new();
    while matches!(serial.read_until(b'\n', &mut line), Ok(1..)) {
        let clean = clean(&String::from_utf8_lossy(&line));
        line.clear();
        let mut log = shared.lock();
        if log.text.len() > LOG_LIMIT_BYTES {
            continue; // wait() will see it; the pipe must not fill up
        }
        log.text.push_str(&clean);
        log.stamps.push(started.elapsed());
        drop(log);
        shared.changed.notify_all();
    }
}

/// A line without carriage returns and terminal escape sequences, which GRUB sends.
fn clean(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\r' => {}
            '\x1b' if rest.peek() == Some(&'[') => {
                rest.next();
                while rest
                    .next()
                    .is_some_and(|letter| !('\x40'..='\x7e').contains(&letter))
                {}
            }
            '\x1b' => {
                rest.next();
            }
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cleaned_of_what_a_terminal_would_swallow() {
        assert_eq!(
            clean("\x1b[2J\x1b[01;01H[    0.1] a: b\r\n"),
            "[    0.1] a: b\n"
        );
        assert_eq!(clean("\x1bcx\x1b"), "x");
        assert_eq!(clean("\x1b["), "");
    }

    #[test]
    fn lines_are_stamped_one_by_one() {
        let shared = Shared::default();
        listen(&b"one\r\ntwo\nthree"[..], &shared);
        let log = shared.lock();
        assert_eq!(log.text, "one\ntwo\nthree");
        assert_eq!(log.stamps.len(), 3);
    }
}
