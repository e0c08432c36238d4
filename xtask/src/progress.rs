//! One line about what goes on: written over on a terminal, lines of its own where there is none.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Where no line is written over, a count is told no more often.
const PAUSE: Duration = Duration::from_secs(10);

/// The progress of one thing that takes its time, on standard error.
pub struct Progress {
    terminal: bool,
    /// Whether a line stands there that the next one overwrites.
    shown: bool,
    last: Instant,
}

impl Progress {
    /// Says what begins.
    pub fn begin(what: &str) -> Progress {
        let mut progress = Progress {
            terminal: stderr().is_terminal(),
            shown: false,
            last: Instant::now(),
        };
        progress.show(what);
        progress
    }

    /// Says how far it is.
    pub fn tell(&mut self, text: &str) {
        if self.terminal || self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.show(text);
        }
    }

    /// Leaves the terminal's line empty for what comes next.
    pub fn clear(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
            self.shown = false;
        }
    }

    fn show(&mut self, text: &str) {
        if self.terminal {
            // Without the end, which would wrap: such a line is not written over.
            let text: String = text.chars().take(78).collect();
            eprint!("\r\x1b[K{text}");
            // An error of the terminal's is no error of ours.
            let _ = stderr().flush();
            self.shown = true;
        } else {
            eprintln!("{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
