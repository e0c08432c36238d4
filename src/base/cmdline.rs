#![forbid(unsafe_code)]
//! The kernel command line: every word that the kernel knows, parsed in one place.
//!
//! | word | meaning | default |
//! |---|---|---|
//! | `tour`, `tour=pause`, `tour=ask` | tell the tour of the switch, then end; with pauses, or after asking | run `init` |
//! | `selftest`, `selftest=GLOB` | run the in-kernel tests whose names match, then end | run `init` |
//! | `stress`, `stress=ROUNDS` | many processes and threads, then a check for leaks | run `init` |
//! | `fuzz=SEED`, `fuzz=SEED,ROUNDS` | random actions of ring-3 programs, then a check for leaks | run `init` |
//! | `init=PATH` | the first program | `/init` |
//! | `console=tty0`, `ttyS0` | the screen or COM1 has messages; the last is the terminal | both |
//! | `fpu=lazy` or `eager` | restore the FPU at #NM, or at each switch | `lazy` |
//! | `io_bitmap=copy`, `lazy` or `invalidate` | the way a switch handles the I/O bitmap | `copy` |
//! | `paravirt=native` or `batch` | apply CR3, TLS and sp0 at once, or in one go | `native` |
//! | `schedstats=off` or `on` | keep run delay and time on CPU of each task | `off` |
//! | `trace=off`, `on` or `live` | record switches and wake-ups for a timeline | `off` |
//! | `norandmaps` | give programs fixed addresses | random addresses |
//! | `fail_alloc=2` … `999999` | every Nth allocation fails, in kernels with debug assertions | |
//! | `maxcpus=0` … `8` | start at most this number of CPUs (0 is 1) | `8` |
//! | `watchdog=0` … `999` | seconds without a switch that count as a lockup (0: never) | `20` |
//! | `loglevel=0` … `7` | log messages up to this severity (0 emergency, 7 debug) | `6` |
//! | `quiet` | the same as `loglevel=4` | |
//! | `panic=exit` or `halt` | after a panic, end the virtual machine or halt | `exit` |
//! | `--` | the words after it are arguments of `init` | |
//!
//! Words are separated by blanks. Blanks within double quotes do not separate, and the character
//! after a backslash stands for itself: GRUB passes on quoted text of its menu in this form. The
//! last of several contradicting words counts. A word that is not in the table, or has a wrong
//! value, changes nothing and appears in the [`Warnings`].
//!
//! The line is parsed once, on the boot stack, without allocating memory.
//!
//! Linux: `Documentation/admin-guide/kernel-parameters.rst`, `kernel/params.c`.

use core::fmt::{self, Write};
use core::{iter, str};

use super::consoles::Chosen;
use super::trace_word::Trace;

/// Rounds of a fuzzer run that gives only a seed.
const FUZZ_ROUNDS: u32 = 20;
/// Rounds of a stress run that gives no number.
const DEFAULT_ROUNDS: u32 = 3;

/// Every word of the table, without its value.
pub const WORDS: &[&str] = &[
    "tour",
    "selftest",
    "stress",
    "fuzz",
    "init",
    "norandmaps",
    "console",
    "fail_alloc",
    "fpu",
    "io_bitmap",
    "paravirt",
    "schedstats",
    "trace",
    "maxcpus",
    "watchdog",
    "loglevel",
    "quiet",
    "panic",
];

/// The job that the kernel does after booting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job<'a> {
    /// Run [`Cmdline::init`] as process 1.
    Init,
    /// Tell the tour, a narrated run.
    Tour(Pauses),
    /// Run the in-kernel tests whose names match this pattern.
    Selftest(Glob<'a>),
    /// Run the stress test, with this number of rounds for each worker.
    Stress(u32),
    /// Run the fuzzer, with this seed and number of rounds.
    Fuzz(u32, u32),
}

/// Whether the tour waits for a key after each step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pauses {
    /// It does not: nobody may be there.
    Never,
    /// It does if somebody presses a key at the beginning.
    Ask,
    /// It does.
    Always,
}

/// When a task gets its FPU registers back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fpu {
    /// At its first FPU instruction, by #NM.
    Lazy,
    /// At the switch.
    Eager,
}

/// How a switch handles the I/O bitmap of the TSS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoBitmapMode {
    /// Copies next's bitmap, like Linux 2.6.30 to 5.4.
    Copy,
    /// Makes the base point nowhere; #GP copies, like the book's kernel.
    Lazy,
    /// Makes the base point nowhere; the return to ring 3 copies, like Linux 5.5.
    Invalidate,
}

/// The back end of the paravirtual interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paravirt {
    /// Executes the instructions at once.
    Native,
    /// Queues the updates between `arch_start_context_switch` and `arch_end_context_switch`.
    Batch,
}

/// What the kernel does after a panic's report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnPanic {
    /// The virtual machine ends with an exit status.
    Exit,
    /// The processor halts, for a debugger.
    Halt,
}

/// The parsed command line, with defaults for words that are absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cmdline<'a> {
    /// The job to do.
    pub job: Job<'a>,
    /// Path of the first program.
    pub init: Word<'a>,
    /// Arguments of the first program, without its own name.
    pub init_args: Words<'a>,
    /// The values of `console=`; `None` without the word.
    pub consoles: Option<Chosen>,
    /// The value of `fpu=`.
    pub fpu: Fpu,
    /// The value of `io_bitmap=`.
    pub io_bitmap: IoBitmapMode,
    /// The value of `paravirt=`.
    pub paravirt: Paravirt,
    /// The value of `watchdog=`, in seconds; 0 turns the watchdog off.
    pub watchdog_s: u32,
    /// Whether `schedstats=on` was given.
    pub schedstats: bool,
    /// The value of `trace=`.
    pub trace: Trace,
    /// Whether `norandmaps` was given: programs have fixed addresses.
    pub norandmaps: bool,
    /// The value of `fail_alloc=`: every Nth allocation fails; 0 lets all succeed.
    pub fail_alloc: u32,
    /// The value of `maxcpus=`: CPUs that may run, including the boot CPU.
    pub max_cpus: u32,
    /// Highest severity number that is logged, 0–7.
    pub loglevel: u8,
    /// The value of `panic=`.
    pub panic: OnPanic,
}

/// A word of the command line that had no effect. Displays as
/// `unknown word "foo" ignored`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Warning<'a> {
    /// The word is not in the table.
    Unknown(Word<'a>),
    /// The word is in the table, but takes other values (named second).
    BadValue(Word<'a>, &'static str),
    /// A double quote without its partner: the word runs to the end of the line.
    OpenQuote(Word<'a>),
}

/// Parses `line`. Iterating over the warnings parses the line again, so no warning is lost for lack
/// of memory.
pub fn parse(line: &str) -> (Cmdline<'_>, Warnings<'_>) {
    let warnings = Warnings {
        words: Words { rest: line },
        cmdline: Cmdline::default(),
    };
    let mut all = warnings.clone();
    while all.next().is_some() {}
    (all.cmdline, warnings)
}

/// Iterator over the words that had no effect, in order.
#[derive(Clone, Debug)]
pub struct Warnings<'a> {
    words: Words<'a>,
    cmdline: Cmdline<'a>,
}

impl<'a> Iterator for Warnings<'a> {
    type Item = Warning<'a>;

    fn next(&mut self) -> Option<Warning<'a>> {
        loop {
            let word = self.words.next()?;
            if word.raw == "--" {
                let args = self.words.clone();
                self.cmdline.init_args = args.clone();
                self.words.rest = "";
                return args
                    .into_iter()
                    .find(|arg| !arg.is_closed())
                    .map(Warning::OpenQuote);
            }
            if !word.is_closed() {
                return Some(Warning::OpenQuote(word));
            }
            if let Err(warning) = self.cmdline.apply(word) {
                return Some(warning);
            }
        }
    }
}

impl Default for Cmdline<'_> {
    fn default() -> Self {
        Cmdline {
            job: Job::Init,
            init: Word { raw: "/init" },
            init_args: Words { rest: "" },
            consoles: None,
            fpu: Fpu::Lazy,
            io_bitmap: IoBitmapMode::Copy,
            paravirt: Paravirt::Native,
            watchdog_s: 20,
            schedstats: false,
            trace: Trace::Off,
            norandmaps: false,
            fail_alloc: 0,
            max_cpus: 8,
            loglevel: 6,
            panic: OnPanic::Exit,
        }
    }
}

/// Parses `SEED` or `SEED,ROUNDS`.
fn seed_and_rounds(text: &str) -> Option<(u32, u32)> {
    let (seed, rounds) = match text.split_once(',') {
        Some((seed, rounds)) => (seed, rounds.parse().ok()?),
        None => (text, FUZZ_ROUNDS),
    };
    (1..=100_000)
        .contains(&rounds)
        .then_some((seed.parse().ok()?, rounds))
}

impl<'a> Cmdline<'a> {
    fn apply(&mut self, word: Word<'a>) -> Result<(), Warning<'a>> {
        let bad = |expected| Err(Warning::BadValue(word, expected));
        let (key, value) = word.split();
        let text = value.map_or("", Word::bare);
        match (key, value) {
            ("tour", None) => self.job = Job::Tour(Pauses::Never),
            ("tour", Some(_)) => match text {
                "pause" => self.job = Job::Tour(Pauses::Always),
                "ask" => self.job = Job::Tour(Pauses::Ask),
                _ => return bad("pause, ask or no value"),
            },
            ("selftest", None) => self.job = Job::Selftest(Glob::ALL),
            ("selftest", Some(pattern)) => self.job = Job::Selftest(Glob { pattern }),
            ("stress", None) => self.job = Job::Stress(DEFAULT_ROUNDS),
            ("stress", Some(_)) => match text.parse() {
                Ok(rounds @ 1..=100_000) => self.job = Job::Stress(rounds),
                _ => return bad("1 to 100000"),
            },
            ("fuzz", _) => match seed_and_rounds(text) {
                Some((seed, rounds)) => self.job = Job::Fuzz(seed, rounds),
                None => return bad("a seed, or a seed and 1 to 100000 rounds: 7,100"),
            },
            ("quiet", None) => self.loglevel = 4,
            ("norandmaps", None) => self.norandmaps = true,
            ("quiet" | "norandmaps", _) => return bad("no value"),
            ("init", Some(path)) if path.chars().next() == Some('/') => self.init = path,
            ("init", _) => return bad("a path from the root"),
            ("console", _) => match Chosen::with(self.consoles, text) {
                None => return bad("tty0 or ttyS0"),
                chosen => self.consoles = chosen,
            },
            ("fpu", _) => match text {
                "lazy" => self.fpu = Fpu::Lazy,
                "eager" => self.fpu = Fpu::Eager,
                _ => return bad("lazy or eager"),
            },
            ("io_bitmap", _) => match text {
                "copy" => self.io_bitmap = IoBitmapMode::Copy,
                "lazy" => self.io_bitmap = IoBitmapMode::Lazy,
                "invalidate" => self.io_bitmap = IoBitmapMode::Invalidate,
                _ => return bad("copy, lazy or invalidate"),
            },
            ("paravirt", _) => match text {
                "native" => self.paravirt = Paravirt::Native,
                "batch" => self.paravirt = Paravirt::Batch,
                _ => return bad("native or batch"),
            },
            ("watchdog", _) => match text.parse() {
                Ok(seconds @ 0..=999) => self.watchdog_s = seconds,
                _ => return bad("0 to 999"),
            },
            ("schedstats", _) => match text {
                "on" => self.schedstats = true,
                "off" => self.schedstats = false,
                _ => return bad("on or off"),
            },
            ("trace", _) => match text {
                "on" => self.trace = Trace::On,
                "live" => self.trace = Trace::Live,
                "off" => self.trace = Trace::Off,
                _ => return bad("on, live or off"),
            },
            ("fail_alloc", _) => match text.parse() {
                Ok(interval @ 2..=999_999) => self.fail_alloc = interval,
                _ => return bad("2 to 999999"),
            },
            ("maxcpus", _) => match text.as_bytes() {
                [digit @ b'0'..=b'8'] => self.max_cpus = u32::from(digit & 15),
                _ => return bad("0 to 8"),
            },
            ("loglevel", _) => match text.as_bytes() {
                [digit @ b'0'..=b'7'] => self.loglevel = digit & 15,
                _ => return bad("0 to 7"),
            },
            ("panic", _) => match text {
                "exit" => self.panic = OnPanic::Exit,
                "halt" => self.panic = OnPanic::Halt,
                _ => return bad("exit or halt"),
            },
            _ => return Err(Warning::Unknown(word)),
        }
        Ok(())
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, fault, expected) = match self {
            Warning::Unknown(word) => (word, "unknown word", None),
            Warning::BadValue(word, expected) => (word, "bad value in", Some(expected)),
            Warning::OpenQuote(word) => (word, "no closing quote in", None),
        };
        write!(f, "{fault} \"")?;
        word.chars()
            .flat_map(char::escape_debug)
            .try_for_each(|c| f.write_char(c))?;
        f.write_str("\"")?;
        if let Some(expected) = expected {
            write!(f, ", which takes {expected},")?;
        }
        f.write_str(" ignored")
    }
}

/// A pattern for names: `*` stands for any characters, `?` for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glob<'a> {
    pattern: Word<'a>,
}

impl<'a> Glob<'a> {
    /// A pattern as it stands in a command line: a backslash takes the next character as it is.
    pub const fn new(pattern: &'a str) -> Glob<'a> {
        Glob {
            pattern: Word { raw: pattern },
        }
    }
}

impl Glob<'_> {
    /// Matches every name.
    pub const ALL: Glob<'static> = Glob::new("*");

    /// Returns whether the pattern is exactly `name`, without wildcards.
    pub fn is_exactly(&self, name: &str) -> bool {
        self.pattern == *name
    }

    /// Returns whether the pattern matches all of `name`. Takes at most as many steps as the
    /// product of their lengths.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.pattern.chars(), name.chars());
        let mut star = None;
        loop {
            let at = name.clone();
            match (pattern.next(), name.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    name = at;
                    star = Some((pattern.clone(), name.clone()));
                    continue;
                }
                (Some('?'), Some(_)) => continue,
                (Some(wanted), Some(found)) if wanted == found => continue,
                _ => {}
            }
            // Let the last star match one more character.
            let Some((after_star, from)) = &mut star else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (pattern, name) = (after_star.clone(), from.clone());
        }
    }
}

/// One word as it stands in the line, including quotes and backslashes. `Display` leaves them out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'a> {
    raw: &'a str,
}

impl<'a> Word<'a> {
    /// Returns the characters of the word without quotes and backslashes.
    pub fn chars(self) -> impl Iterator<Item = char> + Clone + use<'a> {
        let mut raw = self.raw.chars();
        iter::from_fn(move || match raw.find(|&c| c != '"')? {
            '\\' => raw.next().or(Some('\\')),
            c => Some(c),
        })
    }

    /// Returns the key and the value around the first `=`.
    fn split(self) -> (&'a str, Option<Word<'a>>) {
        match self.raw.split_once('=') {
            Some((key, raw)) => (Word { raw: key }.bare(), Some(Word { raw })),
            None => (self.bare(), None),
        }
    }

    /// Returns the word without surrounding quotes. Quotes elsewhere make it an unknown word.
    fn bare(self) -> &'a str {
        self.raw.trim_matches('"')
    }

    fn is_closed(self) -> bool {
        Words { rest: self.raw }.take_word().1
    }
}

impl PartialEq<str> for Word<'_> {
    fn eq(&self, text: &str) -> bool {
        self.chars().eq(text.chars())
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| f.write_char(c))
    }
}

/// Iterator over the words of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Cuts off everything up to the next blank outside quotes, and returns it with whether all
    /// quotes were closed.
    fn take_word(&mut self) -> (&'a str, bool) {
        let (mut quoted, mut escaped) = (false, false);
        let end = self.rest.find(|c: char| {
            let plain = !escaped;
            escaped = plain && c == '\\';
            quoted ^= plain && c == '"';
            plain && !quoted && c.is_ascii_whitespace()
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (word, !quoted)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() {
            return None;
        }
        Some(Word {
            raw: self.take_word().0,
        })
    }
}

#[cfg(test)]
#[path = "cmdline_tests.rs"]
mod tests;
