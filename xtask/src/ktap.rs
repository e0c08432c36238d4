//! KTAP version 1, read strictly.
//!
//! The kernel's self-tests and the ring-3 programs report on the serial line,
//! between log lines and each other's output; [`parse`] picks the report out of
//! the log. A log may hold several documents one after another, and a document
//! may hold subtests, which are indented and stand before the line of the parent
//! that names them.
//!
//! ```text
//! KTAP version 1
//! 1..2
//!   KTAP version 1
//!   # Subtest: switch
//!   1..1
//!   # ran 3 tasks
//!   ok 1 last_after_a_b_c_a
//! ok 1 switch
//! ok 2 fpu # SKIP no fxsr
//! ```
//!
//! Strict means: no document, no plan, a plan that is not kept, a number out of
//! turn, two cases of one name, a parent that disagrees with its subtests, a
//! directive other than SKIP, and `Bail out!` are all errors. No input panics.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// What a log reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The cases in the order in which they ended.
    pub cases: Vec<Case>,
    /// What is wrong with the report itself; empty for a complete one.
    pub errors: Vec<Error>,
}

/// One `ok` or `not ok` without subtests of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Names from the outermost subtest to the case: `switch::last_after_a_b_c_a`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The lines of the log, counted from 0, that belong to it: from the end of
    /// the case before it up to its own line.
    pub lines: Range<usize>,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `ok`
    Ok,
    /// `not ok`
    NotOk,
    /// `ok … # SKIP reason`
    Skip(String),
}

/// A fault of the report, and the line of the log, counted from 0, that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which line; for something missing, the number of lines.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line + 1, self.what)
    }
}

/// Reads every KTAP document of a log.
pub fn parse(log: &str) -> Report {
    let mut parser = Parser::default();
    let mut count = 0;
    for (number, line) in log.lines().enumerate() {
        count = number + 1;
        if parser.bailed {
            continue;
        }
        parser.line(number, line);
    }
    parser.end(count);
    parser.report
}

/// A line that KTAP gives a meaning to.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Version(&'a str),
    Plan(u32),
    Subtest(&'a str),
    Result {
        ok: bool,
        number: u32,
        name: &'a str,
        directive: Option<(&'a str, &'a str)>,
    },
    BailOut(&'a str),
}

impl<'a> Line<'a> {
    /// The meaning of a line without its indentation; none for a diagnostic or for noise.
    fn read(text: &'a str) -> Option<Self> {
        if let Some(version) = text.strip_prefix("KTAP version ") {
            return Some(Line::Version(version.trim()));
        }
        if let Some(name) = text.strip_prefix("# Subtest: ") {
            return Some(Line::Subtest(name.trim()));
        }
        if let Some(reason) = text.strip_prefix("Bail out!") {
            return Some(Line::BailOut(reason.trim()));
        }
        if let Some(count) = text.strip_prefix("1..") {
            return count.trim().parse().ok().map(Line::Plan);
        }
        let (ok, rest) = match text.strip_prefix("ok ") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("not ok ")?),
        };
        let (number, rest) = rest
            .trim_start()
            .split_once(' ')
            .unwrap_or((rest.trim(), ""));
        let number = number.parse().ok()?;
        let (name, directive) = match rest.split_once(" # ") {
            Some((name, directive)) => (
                name,
                Some(directive.split_once(' ').unwrap_or((directive, ""))),
            ),
            None => (rest, None),
        };
        let name = name.trim();
        let name = name.strip_prefix("- ").unwrap_or(name);
        Some(Line::Result {
            ok,
            number,
            name,
            directive,
        })
    }
}

/// A document that has begun and not ended.
#[derive(Debug)]
struct Document {
    indent: usize,
    plan: Option<u32>,
    done: u32,
    /// From `# Subtest:`.
    name: Option<String>,
    /// Cases of subtests that are complete but not yet named by our own result line.
    pending: Option<Subtests>,
    /// Our own cases, named relative to us.
    cases: Vec<Case>,
}

/// What a nested document leaves behind.
#[derive(Debug, Default)]
struct Subtests {
    name: Option<String>,
    cases: Vec<Case>,
}

#[derive(Debug, Default)]
struct Parser {
    report: Report,
    stack: Vec<Document>,
    /// The first line that belongs to the next case.
    since: usize,
    /// A `# Subtest:` that stood before its version line.
    subtest: Option<String>,
    seen: bool,
    bailed: bool,
}

impl Parser {
    fn line(&mut self, number: usize, text: &str) {
        let body = text.trim_start_matches(' ');
        let indent = text.len() - body.len();
        let Some(line) = Line::read(body.trim_end()) else {
            return;
        };
        match line {
            Line::Version(version) => self.version(number, indent, version),
            Line::Subtest(name) => match self.stack.last_mut() {
                Some(document) if document.indent == indent && document.plan.is_none() => {
                    document.name = Some(name.to_owned());
                }
                _ => self.subtest = Some(name.to_owned()),
            },
            Line::Plan(count) => self.plan(number, indent, count),
            Line::Result {
                ok,
                number: case,
                name,
                directive,
            } => {
                let outcome = match (ok, directive) {
                    (true, None) => Outcome::Ok,
                    (false, None) => Outcome::NotOk,
                    (true, Some(("SKIP", reason))) => Outcome::Skip(reason.trim().to_owned()),
                    (_, Some((directive, _))) => {
                        self.error(
                            number,
                            format!("directive {directive} is not accepted here"),
                        );
                        Outcome::NotOk
                    }
                };
                self.result(number, indent, case, name, outcome);
            }
            Line::BailOut(reason) => {
                self.error(number, format!("bailed out: {reason}"));
                self.bailed = true;
            }
        }
    }

    fn version(&mut self, line: usize, indent: usize, version: &str) {
        self.seen = true;
        if version != "1" {
            self.error(line, format!("KTAP version {version} is unknown"));
        }
        while self
            .stack
            .last()
            .is_some_and(|document| document.indent >= indent)
        {
            self.close(line);
        }
        if self.stack.is_empty() && indent != 0 {
            self.error(line, "a subtest without a parent".to_owned());
        }
        if self
            .stack
            .last()
            .is_some_and(|document| document.pending.is_some())
        {
            self.error(
                line,
                "the subtests before these were never named".to_owned(),
            );
        }
        self.since = self.since.max(line);
        self.stack.push(Document {
            indent,
            plan: None,
            done: 0,
            name: self.subtest.take(),
            pending: None,
            cases: Vec::new(),
        });
    }

    fn plan(&mut self, line: usize, indent: usize, count: u32) {
        // Before any document it is a program's own output.
        let Some(document) = self.stack.last_mut() else {
            return;
        };
        if document.indent != indent {
            self.error(line, "a plan that belongs to no document".to_owned());
        } else if document.plan.is_some() {
            self.error(line, "a second plan".to_owned());
        } else {
            document.plan = Some(count);
            if count == 0 {
                self.error(line, "a plan of no cases tests nothing".to_owned());
            }
        }
    }

    fn result(&mut self, line: usize, indent: usize, case: u32, name: &str, outcome: Outcome) {
        if self.stack.is_empty() {
            return; // a program's own output
        }
        while self
            .stack
            .last()
            .is_some_and(|document| document.indent > indent)
        {
            self.close(line);
        }
        let Some(document) = self
            .stack
            .last_mut()
            .filter(|document| document.indent == indent)
        else {
            return self.error(line, "a result that belongs to no document".to_owned());
        };
        let mut errors = Vec::new();
        match document.plan {
            None => errors.push("a result before the plan".to_owned()),
            Some(plan) if case > plan => errors.push(format!("case {case} of a plan of {plan}")),
            Some(_) => {}
        }
        let expected = document.done.saturating_add(1);
        if case != expected {
            errors.push(format!("case {case} where {expected} is due"));
        }
        document.done = case;
        if name.is_empty() {
            errors.push(format!("case {case} has no name"));
        }
        let lines = self.since.min(line)..line + 1;
        self.since = line + 1;
        match document.pending.take() {
            None => document.cases.push(Case {
                name: name.to_owned(),
                outcome,
                lines,
            }),
            Some(subtests) => {
                if subtests.name.is_some_and(|subtest| subtest != name) {
                    errors.push(format!("result {name} does not carry its subtest's name"));
                }
                let failed = subtests
                    .cases
                    .iter()
                    .any(|case| case.outcome == Outcome::NotOk);
                match (&outcome, failed) {
                    (Outcome::NotOk, true) | (Outcome::Ok | Outcome::Skip(_), false) => {}
                    (_, true) => errors.push(format!("{name} is ok, but a subtest is not")),
                    (_, false) => document.cases.push(Case {
                        name: name.to_owned(),
                        outcome,
                        lines,
                    }),
                }
                document
                    .cases
                    .extend(subtests.cases.into_iter().map(|mut case| {
                        case.name = format!("{name}::{}", case.name);
                        case
                    }));
            }
        }
        for what in errors {
            self.error(line, what);
        }
    }

    /// The innermost document has ended; checks that it did what it planned.
    fn close(&mut self, line: usize) {
        let Some(document) = self.stack.pop() else {
            return;
        };
        let name = document
            .name
            .clone()
            .map_or_else(String::new, |name| format!("{name}: "));
        match document.plan {
            None => self.error(line, format!("{name}no plan")),
            Some(plan) if document.done < plan => {
                self.error(
                    line,
                    format!("{name}{} of {plan} cases were reported", document.done),
                );
            }
            Some(_) => {}
        }
        let mut cases = document.cases;
        if let Some(subtests) = document.pending {
            self.error(line, format!("{name}subtests that were never named"));
            cases.extend(subtests.cases);
        }
        match self.stack.last_mut() {
            Some(parent) => match &mut parent.pending {
                None => {
                    parent.pending = Some(Subtests {
                        name: document.name,
                        cases,
                    })
                }
                Some(pending) => pending.cases.extend(cases),
            },
            // A name above the outermost document tells several of them apart.
            None => self.report.cases.extend(cases.into_iter().map(|mut case| {
                if let Some(name) = &document.name {
                    case.name = format!("{name}::{}", case.name);
                }
                case
            })),
        }
    }

    fn end(&mut self, lines: usize) {
        while !self.stack.is_empty() {
            self.close(lines);
        }
        if !self.seen {
            self.error(lines, "no KTAP document".to_owned());
        }
        let mut names = HashSet::new();
        for case in &self.report.cases {
            if !names.insert(case.name.as_str()) {
                let what = format!("a second case called {}", case.name);
                self.report.errors.push(Error {
                    line: case.lines.end.saturating_sub(1),
                    what,
                });
            }
        }
    }

    fn error(&mut self, line: usize, what: String) {
        self.report.errors.push(Error { line, what });
    }
}

#[cfg(test)]
#[path = "ktap_tests.rs"]
mod tests;
