//! A test with a name and a time limit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Result, anyhow};
pub use libtest_mimic::{Arguments, Conclusion, Failed, Trial, run};

use crate::paths;
use crate::words::{matches, nearest};

/// A test that fails if it has not ended within `limit`. Its thread is then left behind; the
/// test process ends without it.
pub fn trial(
    name: impl Into<String>,
    limit: Duration,
    test: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        within(limit, test).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Returns `count` of a long list of tests, others for each commit.
pub fn few_of_commit<T: Copy>(all: &[T], count: usize) -> Vec<T> {
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(paths::root())
        .output();
    let hash = head
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .unwrap_or_default();
    let start = usize::from_str_radix(hash.get(..6).unwrap_or("0"), 16).unwrap_or(0);
    (0..count)
        .map(|i| all[(start + i * all.len() / count) % all.len()])
        .collect()
}

/// As [`run`], for a verb that takes a name, a part of one, or a pattern with `*` and `?`: one that
/// nothing matches is an error before anything runs.
pub fn run_named(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let mut arguments = arguments.clone();
    let Some(pattern) = arguments.filter.take() else {
        return run(&arguments, trials).exit_code();
    };
    let wanted = |trial: &Trial| match arguments.exact {
        true => trial.name() == pattern,
        false => matches(&pattern, trial.name()),
    };
    if !trials.iter().any(wanted) {
        let names: Vec<&str> = trials.iter().map(Trial::name).collect();
        eprintln!(
            "error: no name matches {pattern:?} (`--list` shows the names){}",
            match nearest(&pattern, &names) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => String::new(),
            }
        );
        return ExitCode::FAILURE;
    }
    let chosen = trials.into_iter().filter(wanted).collect();
    arguments.exact = false;
    run(&arguments, chosen).exit_code()
}

fn within(limit: Duration, test: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(test)).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(anyhow!("panicked: {}", text.unwrap_or("without words")))
        });
        // Nobody listens any more if the limit has passed.
        let _ = send.send(result);
    });
    match receive.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(anyhow!("still running after {limit:?}")),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("the test's thread is gone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_does_not_end_fails() {
        let limit = Duration::from_millis(20);
        let error = within(limit, || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        assert!(error.unwrap_err().to_string().contains("still running"));
    }

    #[test]
    fn a_name_that_nothing_has_is_an_error_and_runs_nothing() {
        let named = |filter: &str| {
            let arguments = Arguments {
                filter: Some(filter.to_owned()),
                // The report of these trials is no part of ours.
                logfile: Some("/dev/null".to_owned()),
                ..Arguments::default()
            };
            let trials = vec![
                Trial::test("fpu_kept", || Ok(())),
                Trial::test("gs_kept", || Err(Failed::from("ran"))),
            ];
            run_named(&arguments, trials)
        };
        for good in ["fpu", "f*t", "?pu_kept"] {
            assert_eq!(named(good), ExitCode::SUCCESS, "{good}");
        }
        // The second one fails: with it something ran.
        for ran in ["gs", "*kept"] {
            assert_eq!(named(ran), ExitCode::from(101), "{ran}");
        }
        for none in ["nosuch", "f*x", "kep*"] {
            assert_eq!(named(none), ExitCode::FAILURE, "{none}");
        }
    }

    #[test]
    fn results_and_panics_come_through() {
        let limit = Duration::from_secs(10);
        assert!(within(limit, || Ok(())).is_ok());
        assert_eq!(
            within(limit, || Err(anyhow!("no")))
                .unwrap_err()
                .to_string(),
            "no"
        );
        let panic = within(limit, || panic!("at {}", 7))
            .unwrap_err()
            .to_string();
        assert_eq!(panic, "panicked: at 7");
    }
}
