//! The test report, in KTAP version 1.
//!
//! Only the program's first process reports; children answer by their exit status.
//! Under init, whose subtest the program is, $KTAP_INDENT spaces precede each line.

use crate::{println, start};
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

static INDENT: AtomicU32 = AtomicU32::new(0);
static PLANNED: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);
static FAILED: AtomicU32 = AtomicU32::new(0);

/// Announces `count` cases.
pub fn plan(count: u32) {
    let indent = start::env("KTAP_INDENT").and_then(|spaces| spaces.parse().ok());
    INDENT.store(indent.unwrap_or(0), Relaxed);
    PLANNED.store(count, Relaxed);
    line(format_args!("KTAP version 1"));
    line(format_args!("1..{count}"));
}

fn line(text: fmt::Arguments<'_>) {
    let indent = INDENT.load(Relaxed) as usize;
    println!("{:indent$}{text}", "");
}

/// Reports one case; use [`ok!`](crate::ok) and [`eq!`](crate::eq).
pub fn report(good: bool, name: fmt::Arguments<'_>) {
    let number = DONE.fetch_add(1, Relaxed) + 1;
    if good {
        line(format_args!("ok {number} {name}"));
    } else {
        FAILED.fetch_add(1, Relaxed);
        line(format_args!("not ok {number} {name}"));
    }
}

/// Reports a case that cannot be decided on this kernel or processor.
pub fn skip(name: fmt::Arguments<'_>, reason: &str) {
    let number = DONE.fetch_add(1, Relaxed) + 1;
    line(format_args!("ok {number} {name} # SKIP {reason}"));
}

/// Returns the number of cases so far: (good, bad).
pub fn totals() -> (u32, u32) {
    let bad = FAILED.load(Relaxed);
    (DONE.load(Relaxed) - bad, bad)
}

/// Returns the exit status: 0 if the plan was kept and every case was good, otherwise 1.
#[must_use = "this is the program's exit status"]
pub fn finish() -> i32 {
    let (planned, done, failed) = (
        PLANNED.load(Relaxed),
        DONE.load(Relaxed),
        FAILED.load(Relaxed),
    );
    if done != planned {
        println!("# planned {planned} cases, ran {done}");
    }
    i32::from(failed != 0 || done != planned)
}

/// `ok!(condition, "name {}", ..)`: one case.
#[macro_export]
macro_rules! ok {
    ($condition:expr, $($name:tt)+) => {
        $crate::ktap::report($condition, format_args!($($name)+))
    };
}

/// `eq!(got, wanted, "name {}", ..)`: one case, which prints both values if they differ.
#[macro_export]
macro_rules! eq {
    ($got:expr, $wanted:expr, $($name:tt)+) => {{
        let (got, wanted) = ($got, $wanted);
        if got != wanted {
            $crate::println!("# got {:x?}, wanted {:x?}", got, wanted);
        }
        $crate::ktap::report(got == wanted, format_args!($($name)+))
    }};
}

/// `skip!(reason, "name {}", ..)`: a case that this kernel or processor cannot decide.
#[macro_export]
macro_rules! skip {
    ($reason:expr, $($name:tt)+) => {
        $crate::ktap::skip(format_args!($($name)+), $reason)
    };
}
