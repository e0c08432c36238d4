//! The last line of the tour, which says how many of its checks hold.

use anyhow::{Context, Result, ensure};

/// The beginning of the line.
const VERDICT: &str = "tour: verdict: ";

/// Fails unless `log` has the tour's verdict, and says that each of its checks holds.
///
/// # Errors
/// Says what the verdict is.
pub fn all_checks_hold(log: &str) -> Result<()> {
    let verdict = log
        .lines()
        .find_map(|line| line.trim().strip_prefix(VERDICT))
        .context("the tour has no verdict")?;
    let words: Vec<&str> = verdict.split(' ').collect();
    ensure!(
        words.len() == 5 && words[0] == words[2] && words[0] != "0",
        "{verdict}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_some() {
        let said = |verdict: &str| all_checks_hold(&format!("x\ntour: verdict: {verdict}\n"));
        assert!(said("32 of 32 checks hold").is_ok());
        assert!(said("31 of 32 checks hold").is_err());
        assert!(said("0 of 0 checks hold").is_err());
        assert!(all_checks_hold("").is_err());
    }
}
