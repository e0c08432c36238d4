//! What a test binary prints, read as it comes: how far it is, its failures, its result.
#![forbid(unsafe_code)]

/// Tests that passed and tests that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They passed.
    pub passed: u32,
    /// They failed.
    pub failed: u32,
}

impl Tally {
    /// The sum of both.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Adds what a line of a test's output says, if it is a result line.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (
                words.next().and_then(|n| n.parse::<u32>().ok()),
                words.next(),
            ) {
                (Some(n), Some("passed")) => self.passed += n,
                (Some(n), Some("failed")) => self.failed += n,
                _ => {}
            }
        }
    }
}

/// The output of one run of `cargo test` so far.
#[derive(Debug, Default)]
pub struct Output {
    /// From the result lines.
    pub tally: Tally,
    /// What the failed tests had to say.
    pub failures: Vec<String>,
    /// Lines that are of no test: what is left to look at if the process died.
    pub others: Vec<String>,
    /// Tests that were announced, and begun.
    total: u32,
    begun: u32,
    telling: bool,
}

impl Output {
    /// Takes the next line.
    pub fn read(&mut self, line: &str) {
        self.tally.read(line);
        if line.starts_with("test result: ") {
            self.telling = false;
        } else if self.telling || line == "failures:" {
            self.telling = true;
            self.failures.push(line.to_owned());
        } else if let Some(number) = announced(line) {
            self.total += number;
        } else if line.starts_with("test ") && line.contains(" ... ") {
            self.begun += 1;
        } else {
            self.others.push(line.to_owned());
        }
    }

    /// ": 12 of 34"; nothing before the number of tests is known.
    pub fn progress(&self) -> String {
        match self.total {
            0 => String::new(),
            total => format!(": {} of {total}", self.begun),
        }
    }
}

/// The number in "running 12 tests".
fn announced(line: &str) -> Option<u32> {
    let (number, what) = line.strip_prefix("running ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    ["test", "tests"].contains(&what).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: &str) -> Output {
        let mut output = Output::default();
        lines.lines().for_each(|line| output.read(line));
        output
    }

    #[test]
    fn result_lines_are_added_up() {
        let seen = output(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s\n\
             test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\
             a program says: 7 failed",
        );
        let sum = Tally {
            passed: 15,
            failed: 2,
        };
        assert_eq!(seen.tally, sum);
    }

    #[test]
    fn failures_are_kept_and_the_rest_is_counted() {
        let seen = output(
            "\nrunning 3 tests\ntest a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n---- b::c ----\n\
             running late\ntest it ... yourself\n\n\nfailures:\n    b::c\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
             error: test failed",
        );
        assert_eq!(seen.progress(), ": 2 of 3");
        assert_eq!(
            output("   Compiling switch-to\nrunning 0 tests").progress(),
            ""
        );
        let told = seen.failures.join("\n");
        assert!(told.contains("---- b::c ----") && told.contains("running late"));
        assert!(!told.contains("test a") && !told.contains("result"));
        assert_eq!(
            seen.others.last().map(String::as_str),
            Some("error: test failed")
        );
    }
}
