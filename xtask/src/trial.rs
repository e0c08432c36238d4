//! A test with a name and a time limit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Result, anyhow};
pub use libtest_mimic::{Arguments, Conclusion, Failed, Trial, run};

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

/// As [`run`], for a verb that takes a name: a name that nothing has is an error.
pub fn run_named(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    let ended = run(arguments, trials);
    match &arguments.filter {
        Some(name) if !arguments.list && ended.num_passed + ended.num_failed == 0 => {
            eprintln!("error: none has {name:?} in its name: `--list` shows the names");
            ExitCode::FAILURE
        }
        _ => ended.exit_code(),
    }
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
