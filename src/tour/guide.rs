//! The voice of the tour: text, values, checks, and the verdict.
//!
//! Lines go to the consoles without time stamps, at most 80 columns each.

use core::fmt::Arguments;

use crate::base::exit_value::ExitValue;
use crate::drivers::console;
use crate::drivers::vt::colours::NORMAL;
use crate::fs::tty;
use crate::sched::timer::HZ;
use crate::selftest::check::Outcome;
use crate::selftest::check::Verdict;

/// Seconds in which a person can ask for pauses.
const PATIENCE_S: u64 = 5;

/// Prints the tour, and counts the checks that held.
#[derive(Default)]
pub struct Guide {
    held: u32,
    wrong: u32,
}

impl Guide {
    /// Returns a guide that has printed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints the first line.
    pub fn title(&mut self, text: &str) {
        line(format_args!("\n{text}\n\n"));
    }

    /// Prints the heading of a step.
    pub fn heading(&mut self, number: usize, title: &str, book: &str) {
        line(format_args!("\n{number:2}. {title}  [{book}]\n"));
    }

    /// Prints a line of the story.
    pub fn say(&mut self, text: &str) {
        line(format_args!("    {text}\n"));
    }

    /// Prints a line with values read from the machine.
    pub fn show(&mut self, values: Arguments<'_>) {
        line(format_args!("        {values}\n"));
    }

    /// Prints and counts a check: `what` must hold, and `holds` says whether it did.
    pub fn check(&mut self, holds: bool, what: &str) {
        *(if holds {
            &mut self.held
        } else {
            &mut self.wrong
        }) += 1;
        line(format_args!(
            "      {} {what}\n",
            if holds { "ok   " } else { "WRONG" }
        ));
    }

    /// Checks that the actors of a step have reached their end.
    pub fn ended(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) => {}
            Err(Verdict::Failed(why)) => {
                self.wrong += 1;
                line(format_args!("      WRONG the step broke off: {why}\n"));
            }
            Err(Verdict::Skipped(why)) => line(format_args!("      (left out: {why})\n")),
        }
    }

    /// Asks whether a person is at the terminal, and returns whether one presses a key in time.
    pub fn is_somebody_there(&mut self) -> bool {
        line(format_args!(
            "\nA key within {PATIENCE_S} s: the tour waits for a key after each step.\n"
        ));
        tty::wait_for_key(Some(PATIENCE_S * u64::from(HZ))).is_some()
    }

    /// Waits for a key; returns whether the tour goes on: `q` ends it.
    pub fn pause(&mut self) -> bool {
        line(format_args!("\n-- a key goes on, q ends --\n"));
        tty::wait_for_key(None) != Some(b'q')
    }

    /// Prints the last line, and returns the value with which the machine ends.
    pub fn verdict(&self) -> ExitValue {
        let all = self.held + self.wrong;
        line(format_args!(
            "\ntour: verdict: {} of {all} checks hold\n",
            self.held
        ));
        if self.wrong == 0 {
            ExitValue::Success
        } else {
            ExitValue::Failure
        }
    }
}

fn line(text: Arguments<'_>) {
    console::write_line(text, NORMAL);
}
