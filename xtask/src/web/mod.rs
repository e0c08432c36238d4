//! Pages for tests: files served on localhost, and a headless Chromium that looks at them.
//!
//! ```no_run
//! # use xtask::web::{browser::{Browser, Look}, server::Server};
//! # fn main() -> anyhow::Result<()> {
//! let server = Server::start("target/book")?;
//! let mut page = Browser::start()?.open(&server.url("index.html"), Look::WIDE)?;
//! page.wait_for("document.title != ''")?;
//! page.press("ArrowRight")?;
//! page.click("main a")?;
//! page.no_complaints()?;
//! # Ok(())
//! # }
//! ```

pub mod browser;
mod pipe;
pub mod server;
