//! The tour: the main job, told to its end; and the ISO as it is, started by its menu.

use std::time::Duration;

use anyhow::Result;
use support::image::IsoSpec;
use support::qemu::{Exit, Run};

use super::{as_usual, scenario};
use crate::Scenario;

/// Every scenario of this file.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "tour::ends_with_a_verdict",
            IsoSpec::boot("tour"),
            as_usual,
            told,
        ),
        // The menu waits ten seconds for a key.
        scenario(
            "tour::is_what_the_menu_starts",
            IsoSpec::default(),
            |vm| vm.silence = Duration::from_secs(40),
            told,
        ),
    ]
}

fn told(run: &Run) -> Result<()> {
    run.nowhere("BUG:")?;
    run.line("verdict")?;
    run.ends(Exit::Success)
}
