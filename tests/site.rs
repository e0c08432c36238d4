//! The site: the kernel in v86, under node and on the page in a headless Chromium, with a terminal, a
//! timeline and a kernel that lacks a step; no request leaves localhost.
//!
//! Pictures of the page are kept in `target/switch_to/browser`. Only one of the broken kernels is built.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use xtask::ktap::{self, Outcome};
use xtask::toolchain::find;
use xtask::trial::{Arguments, Trial, run, trial};
use xtask::verdict::all_checks_hold;
use xtask::web::browser::{Browser, Look, Page, is_installed};
use xtask::web::server::Server;
use xtask::{paths, site};

/// Time limit for one trial: an emulated PC on a slow machine.
const LIMIT: Duration = Duration::from_secs(600);
/// Time that a run on the page may take.
const RUN: Duration = Duration::from_secs(240);

/// The self-tests that v86 cannot do, and what they say.
const SKIPPED_IN_V86: &str = "breakpoints never hit on this processor";

type Case = (&'static str, fn(&Site) -> Result<()>);

/// Under node.
const NODE: &[Case] = &[
    ("site::node::tour", tour_in_node),
    ("site::node::selftests", selftests_in_node),
    ("site::node::a_broken_kernel_is_red", broken_in_node),
];
/// In the browser.
const PAGE: &[Case] = &[
    ("site::page::tour", tour_on_the_page),
    ("site::page::shell", shell_on_the_page),
    ("site::page::switches_are_the_kernels", switches_on_the_page),
    ("site::page::a_broken_kernel_is_red", broken_on_the_page),
    ("site::page::fits_on_a_phone", phone),
];

/// The site, and a server that has it.
struct Site {
    folder: PathBuf,
    server: Server,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each trial is an emulated PC.
    arguments.test_threads = Some(1);
    let site = site::build(1).and_then(|folder| {
        let server = Server::start(&folder)?;
        Ok(Arc::new(Site { folder, server }))
    });
    let site = match site {
        Ok(site) => site,
        Err(error) => {
            let error = format!("{error:#}");
            let failed = trial("site::is_built", LIMIT, move || Err(anyhow!(error)));
            return run(&arguments, vec![failed]).exit_code();
        }
    };
    let mut cases: Vec<Case> = Vec::new();
    if find("node").is_ok() {
        cases.extend(NODE);
    }
    if is_installed() {
        cases.extend(PAGE);
    }
    let trials = cases.into_iter().map(|(name, test)| {
        let site = Arc::clone(&site);
        trial(name, LIMIT, move || test(&site))
    });
    let trials: Vec<Trial> = trials.collect();
    run(&arguments, trials).exit_code()
}

/// Boots the site's ISO under node.
fn node(site: &Site, arguments: &[&str]) -> Result<(String, Output)> {
    let output = Command::new(find("node")?)
        .arg(paths::root().join("site/run.mjs"))
        .arg(&site.folder)
        .args(arguments)
        .output()
        .context("cannot start node")?;
    let log = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    Ok((log, output))
}

fn ended_well(log: &str, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n");
    ensure!(output.status.success(), "{said}\n{last}");
    Ok(())
}

fn tour_in_node(site: &Site) -> Result<()> {
    let (log, output) = node(site, &["trace=on tour"])?;
    ended_well(&log, &output)?;
    all_checks_hold(&log)
}

fn selftests_in_node(site: &Site) -> Result<()> {
    let (log, output) = node(site, &["selftest"])?;
    ended_well(&log, &output)?;
    let report = ktap::parse(&log);
    ensure!(report.errors.is_empty(), "{:?}", report.errors);
    let skipped: Vec<&str> = report
        .cases
        .iter()
        .filter(|case| case.outcome == Outcome::Skip(SKIPPED_IN_V86.to_owned()))
        .map(|case| case.name.as_str())
        .collect();
    ensure!(
        skipped.len() == 3,
        "skipped for want of breakpoints: {skipped:?}"
    );
    ensure!(
        log.contains("cpu: breakpoints never hit"),
        "the log does not say what the processor lacks"
    );
    Ok(())
}

fn broken_in_node(site: &Site) -> Result<()> {
    let config = std::fs::read_to_string(site.folder.join("machine/machine.json"))?;
    let config: serde_json::Value = serde_json::from_str(&config)?;
    let broken = &config["broken"][0];
    let word = |key: &str| broken[key].as_str().context("no such word");
    let (log, output) = node(site, &[word("cmdline")?, word("kernel")?])?;
    ensure!(!output.status.success(), "the run ended well");
    let red = format!("not ok 1 {}", word("test")?);
    ensure!(
        log.lines().any(|line| line.trim() == red),
        "no line {red:?}"
    );
    Ok(())
}

/// The page with the machine, ready.
fn open(site: &Site) -> Result<Page> {
    let mut page = Browser::start()?.open(&site.server.url("machine.html"), Look::WIDE)?;
    page.wait_for("document.getElementById('state').textContent == 'ready'")?;
    Ok(page)
}

fn keep(page: &mut Page, name: &str) -> Result<()> {
    page.picture(&paths::out().join(format!("browser/{name}.png")))
}

fn log_of(page: &mut Page) -> Result<String> {
    let log = page.eval("machine.log()")?;
    Ok(log.as_str().context("no log")?.replace('\r', ""))
}

fn tour_on_the_page(site: &Site) -> Result<()> {
    let begun = Instant::now();
    let mut page = open(site)?;
    page.click("[data-cmdline=tour]")?;
    page.wait_longer_for("machine.log().includes(' 1. ')", RUN)?;
    println!(
        "# from opening to the tour's first line: {:?}",
        begun.elapsed()
    );
    page.wait_longer_for("machine.end() == 'success'", RUN)?;
    all_checks_hold(&log_of(&mut page)?)?;
    // The terminal draws a little later.
    page.wait_for(
        "[...document.querySelectorAll('.xterm-rows > div')]\
         .some((row) => row.textContent.includes('checks hold'))",
    )?;
    ensure!(
        page.eval("machine.timeline.switches > 20")? == true,
        "no timeline"
    );
    keep(&mut page, "machine-tour")?;
    page.no_complaints()
}

fn shell_on_the_page(site: &Site) -> Result<()> {
    let mut page = open(site)?;
    page.click("[data-cmdline*='busybox']")?;
    page.wait_longer_for("machine.log().includes('/ # ')", RUN)?;
    page.enter("echo $((6*7)) is the answer")?;
    page.press("Enter")?;
    page.wait_longer_for("machine.log().includes('\\n42 is the answer')", RUN)?;
    // The records of so few switches leave before the run ends.
    page.wait_longer_for("machine.timeline.switches > 0", RUN)?;
    keep(&mut page, "machine-shell")?;
    page.no_complaints()
}

/// The shell reads the kernel's count of switches and writes it into the trace; the timeline has
/// counted as many. Only where no switch came between the reading and the writing the two are the
/// same, so it does so several times.
fn switches_on_the_page(site: &Site) -> Result<()> {
    let mut page = open(site)?;
    page.click("[data-cmdline*='busybox']")?;
    page.wait_longer_for("machine.log().includes('/ # ')", RUN)?;
    page.enter(
        "m=/sys/kernel/tracing/trace_marker; for i in 1 2 3 4 5 6 7 8; do echo a$i > $m; \
         while read a b; do case $a in ctxt) echo b$i.$b > $m;; esac; done < /proc/stat; done; exit",
    )?;
    page.press("Enter")?;
    page.wait_longer_for("machine.end() != null", RUN)?;
    let marks = page.eval("machine.timeline.marks")?;
    let marks = marks.as_array().context("no marks")?;
    let mut same = 0;
    for pair in marks.chunks_exact(2) {
        let counted = |it: &serde_json::Value| it["switches"].as_u64().context("no count");
        let (before, after) = (counted(&pair[0])?, counted(&pair[1])?);
        let text = pair[1]["text"].as_str().context("no text")?.trim();
        let kernels: u64 = text.split('.').nth(1).context("no number")?.parse()?;
        ensure!(
            (before..=after).contains(&kernels),
            "the kernel says {kernels} switches, the timeline {before} to {after}"
        );
        same += u32::from(before == after);
    }
    ensure!(
        same > 0,
        "there was a switch in each of {} readings",
        marks.len() / 2
    );
    page.no_complaints()
}

fn broken_on_the_page(site: &Site) -> Result<()> {
    let mut page = open(site)?;
    page.click("#run-broken")?;
    page.wait_longer_for("document.getElementById('noticed').textContent != ''", RUN)?;
    let noticed = page.eval("document.getElementById('noticed').textContent")?;
    let noticed = noticed.as_str().unwrap_or_default();
    ensure!(noticed.ends_with(": red (not ok)"), "{noticed}");
    keep(&mut page, "machine-broken")?;
    page.no_complaints()
}

fn phone(site: &Site) -> Result<()> {
    let mut page = open(site)?;
    page.look(Look::PHONE)?;
    page.go(&site.server.url("machine.html"))?;
    page.wait_for("document.getElementById('state').textContent == 'ready'")?;
    let overhang =
        page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
    keep(&mut page, "machine-phone")?;
    ensure!(overhang.as_i64() == Some(0), "{overhang} pixels too wide");
    ensure!(
        Path::new(&site.folder).join("index.html").exists(),
        "the book is not there"
    );
    page.no_complaints()
}
