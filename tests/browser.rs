//! The book's pages in a headless Chromium, on a light desk and on a dark phone, without an error and
//! without a request beyond localhost.
//!
//! Pictures of the pages are kept in `target/switch_to/browser`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use xtask::trial::{Arguments, Trial, run, trial};
use xtask::web::browser::{Browser, Look, Page};
use xtask::web::server::Server;
use xtask::{book, paths};

/// Pages with nothing to step through.
const PLAIN: &[&str] = &["index.html", "book/versions.html"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let server = book::build().and_then(Server::start);
    let server = match server {
        Ok(server) => Arc::new(server),
        Err(error) => {
            let error = format!("{error:#}");
            let failed = trial("browser::the_book_is_built", limit(), move || {
                Err(anyhow!(error))
            });
            return run(&arguments, vec![failed]).exit_code();
        }
    };
    let trials = PLAIN
        .iter()
        .map(|page| plain(page, Arc::clone(&server)))
        .collect();
    run(&arguments, trials).exit_code()
}

fn limit() -> Duration {
    Duration::from_secs(120)
}

/// Keeps a picture under a name.
fn keep(page: &mut Page, name: &str) -> Result<()> {
    page.picture(&paths::out().join(format!("browser/{name}.png")))
}

/// A page loads, has a heading, and is no wider than the screen.
fn plain(file: &'static str, server: Arc<Server>) -> Trial {
    let name = file.trim_end_matches(".html").replace(['/', '-'], "_");
    trial(format!("browser::pages::{name}"), limit(), move || {
        let mut page = Browser::start()?.open(&server.url(file), Look::WIDE)?;
        keep(&mut page, &format!("{name}-wide"))?;
        page.look(Look::PHONE)?;
        // A page that is opened on a narrow screen has its table of contents closed.
        page.go(&server.url(file))?;
        page.wait_for("document.querySelector('main h1')")?;
        let overhang = page
            .eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
        keep(&mut page, &format!("{name}-phone"))?;
        ensure!(overhang.as_i64() == Some(0), "{overhang} pixels too wide");
        page.no_complaints()
    })
}
