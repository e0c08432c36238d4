//! The book's pages in a headless Chromium: each stepper is stepped to its end and back, by keys and by
//! mouse, on a light desk and on a dark phone, without an error and without a request beyond localhost.
//!
//! Pictures of the pages are kept in `target/switch_to/browser`.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use xtask::scene::{self, SCENES};
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
    let mut trials: Vec<Trial> = PLAIN
        .iter()
        .map(|page| plain(page, Arc::clone(&server)))
        .collect();
    trials.extend(
        SCENES
            .iter()
            .map(|scene| stepped(scene, Arc::clone(&server))),
    );
    trials.push(pictures(server));
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

/// Each picture of each chapter is there, on a light desk, a dark one and a dark phone; the timeline is kept.
fn pictures(server: Arc<Server>) -> Trial {
    trial("browser::pages::pictures", limit(), move || {
        let mut page = Browser::start()?.open(&server.url("index.html"), Look::WIDE)?;
        let mut count = 0;
        for entry in fs::read_dir(paths::root().join("docs/book"))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if path.extension().is_none_or(|it| it != "md") {
                continue;
            }
            page.go(&server.url(&format!("book/{name}.html")))?;
            page.wait_for("[...document.querySelectorAll('main img')].every(it => it.complete)")?;
            let widths =
                page.eval("[...document.querySelectorAll('main img')].map(it => it.naturalWidth)")?;
            let widths = widths.as_array().context("no list")?;
            ensure!(
                widths.iter().all(|it| it.as_u64() > Some(0)),
                "{name}: a picture is missing: {widths:?}"
            );
            count += widths.len();
        }
        ensure!(count >= 19, "the chapters have {count} pictures");
        let dark = Look {
            dark: true,
            ..Look::WIDE
        };
        for (look, shown) in [(Look::WIDE, "wide"), (dark, "dark"), (Look::PHONE, "phone")] {
            page.look(look)?;
            page.go(&server.url("book/12-address-spaces.html"))?;
            page.wait_for("document.querySelector('img[src$=\"timeline.svg\"]')?.complete")?;
            page.eval("document.querySelector('img[src$=\"timeline.svg\"]').scrollIntoView()")?;
            page.eval("window.scrollBy(0, -60)")?;
            keep(&mut page, &format!("timeline-{shown}"))?;
            let small = page.eval(
                "[...document.querySelectorAll('main img')].some(it => it.width < it.naturalWidth)",
            )?;
            ensure!(small == false, "a picture is shown smaller than it is");
            let overhang = page.eval(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth",
            )?;
            ensure!(overhang.as_i64() == Some(0), "{overhang} pixels too wide");
        }
        page.no_complaints()
    })
}

/// A stepper is stepped to its end and back.
fn stepped(scene: &'static str, server: Arc<Server>) -> Trial {
    trial(format!("browser::stepper::{scene}"), limit(), move || {
        let states = states(&scene::read(scene)?)?;
        let steps = states.len();
        ensure!(steps > 20, "the scene has {steps} steps");
        let chapter = server.url(&chapter_of(scene)?);
        let mut page = Browser::start()?.open(&chapter, Look::WIDE)?;
        let one = format!("switch-stepper[scene={scene}]");
        let mut stepper = Stepper {
            one: &one,
            page: &mut page,
            last: steps - 1,
            states: &states,
        };
        stepper.by_keys()?;
        stepper.by_mouse()?;
        stepper.in_the_middle(scene, "wide")?;
        for (look, name) in [
            (
                Look {
                    dark: true,
                    ..Look::WIDE
                },
                "dark",
            ),
            (
                Look {
                    dark: false,
                    ..Look::PHONE
                },
                "phone-light",
            ),
            (Look::PHONE, "phone"),
        ] {
            stepper.page.look(look)?;
            stepper.page.go(&chapter)?;
            stepper.end_and_back()?;
            stepper.in_the_middle(scene, name)?;
        }
        page.no_complaints()
    })
}

/// Returns the page of the chapter that has a scene.
fn chapter_of(scene: &str) -> Result<String> {
    for entry in fs::read_dir(paths::root().join("docs/book"))? {
        let path = entry?.path();
        let is_chapter = path.extension().is_some_and(|it| it == "md");
        let marked = format!("<switch-stepper scene=\"{scene}\">");
        if is_chapter && fs::read_to_string(&path)?.contains(&marked) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            return Ok(format!("book/{name}.html"));
        }
    }
    Err(anyhow!("no chapter has the stepper of {scene}"))
}

/// A stepper in an open page.
struct Stepper<'a> {
    /// The selector that finds it.
    one: &'a str,
    page: &'a mut Page,
    /// The number of its last step, counted from 0.
    last: usize,
    /// Each step of the recording.
    states: &'a [State],
}

/// What a step of a stepper must show.
struct State {
    /// Parts of its text: the instruction, the source line, each field and each word of a stack.
    parts: Vec<String>,
    /// The fields and words that are marked as changed.
    changed: usize,
    /// The sentence that says why.
    why: String,
}

/// Returns each step of a recording.
fn states(scene: &Value) -> Result<Vec<State>> {
    let mut now = BTreeMap::new();
    let mut states = Vec::new();
    for step in scene["steps"].as_array().context("no steps")? {
        let set = step["set"].as_object().context("nothing is set")?;
        for (name, value) in set {
            let value = value.as_str().context("a value is no text")?;
            now.insert(name.clone(), value.to_owned());
        }
        for gone in step["gone"].as_array().into_iter().flatten() {
            now.remove(gone.as_str().unwrap_or_default());
        }
        // The address of a word of a stack stands beside it, and the name of a field.
        let names = now.keys().filter(|name| !OF_THE_CODE.contains(&&***name));
        let names = names.filter_map(|name| name.rsplit('.').next());
        let values = now.values().flat_map(|value| value.split('|'));
        states.push(State {
            why: one_line(step["why"].as_str().unwrap_or_default()),
            parts: names.chain(values).map(one_line).collect(),
            changed: set
                .keys()
                .filter(|name| !OF_THE_CODE.contains(&&***name))
                .count(),
        });
    }
    Ok(states)
}

/// What is shown of the instruction, and not as a field.
const OF_THE_CODE: &[&str] = &["at", "insn", "line", "source"];

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Stepper<'_> {
    /// Evaluates an expression in which `it` is the stepper.
    fn eval(&mut self, expression: &str) -> Result<serde_json::Value> {
        let one = self.one;
        self.page.eval(&format!(
            "(it => {expression})(document.querySelector(\"{one}\"))"
        ))
    }

    fn is_at(&mut self, step: usize) -> Result<()> {
        let at = self.eval("it.dataset.at")?;
        let at = at.as_str().context("the stepper has not begun")?;
        ensure!(at == step.to_string(), "at step {at}, not {step}");
        let why = self.eval("it.querySelector('[aria-live=polite]').innerText")?;
        let begins = format!("Step {} of {}", step + 1, self.last + 1);
        let why = why.as_str().unwrap_or_default();
        let sentence = &self.states[step].why;
        ensure!(
            why.starts_with(&begins) && one_line(why).ends_with(sentence),
            "step {step} tells {why:?}"
        );
        ensure!(sentence.ends_with('.'), "step {step} has no sentence");
        let slider = self.eval("Number(it.querySelector('input').value)")?;
        ensure!(slider == step, "the slider is at {slider}");
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let one = self.one;
        self.page.wait_for(&format!(
            "document.querySelector(\"{one}\")?.dataset.at !== undefined"
        ))
    }

    /// To the end and back, by the arrow keys, `End` and `Home`; the page stays the same.
    fn by_keys(&mut self) -> Result<()> {
        self.begin()?;
        let place = self.page.eval("location.href")?;
        self.page.click(&format!("{} .title", self.one))?;
        self.is_at(0)?;
        let mut shown = vec![self.eval("it.innerText")?];
        for step in 1..=self.last {
            self.page.press("ArrowRight")?;
            self.is_at(step)?;
            shown.push(self.eval("it.innerText")?);
            let marks = self.eval(
                "[it.querySelectorAll('.changed').length, it.querySelectorAll('.spoken').length]",
            )?;
            let changed = self.states[step].changed;
            ensure!(
                marks[0] == changed && marks[1] == changed,
                "step {step} marks and tells {marks} changes, not {changed}"
            );
            let text = one_line(self.eval("it.innerText")?.as_str().unwrap_or_default());
            let missing = self.states[step]
                .parts
                .iter()
                .find(|part| !text.contains(*part));
            ensure!(missing.is_none(), "step {step} does not show {missing:?}");
        }
        self.page.press("ArrowRight")?;
        self.is_at(self.last)?;
        // The first step has no step before it; any other is the same on the way back.
        for step in (0..self.last).rev() {
            self.page.press("ArrowLeft")?;
            self.is_at(step)?;
            ensure!(
                self.eval("it.innerText")? == shown[step],
                "step {step} is another on the way back"
            );
        }
        self.page.press("End")?;
        self.is_at(self.last)?;
        self.page.press("Home")?;
        self.is_at(0)?;
        ensure!(self.page.eval("location.href")? == place, "another page");
        Ok(())
    }

    /// To the end and back, by the buttons; then to the middle by the slider.
    fn by_mouse(&mut self) -> Result<()> {
        self.begin()?;
        self.is_at(0)?;
        let button = |name: &str| format!("{} button.{name}", self.one);
        let (forward, back, first) = (button("forward"), button("back"), button("first"));
        for step in 1..=self.last {
            self.page.click(&forward)?;
            self.is_at(step)?;
        }
        for step in (0..self.last).rev() {
            self.page.click(&back)?;
            self.is_at(step)?;
        }
        let slider = format!("{} input", self.one);
        self.page.click(&slider)?;
        let at = self.eval("Number(it.dataset.at)")?.as_u64().unwrap_or(0) as usize;
        let middle = self.last / 2;
        ensure!(at.abs_diff(middle) <= 2, "the slider's middle is step {at}");
        self.page.click(&first)?;
        self.is_at(0)
    }

    /// To the end and back, by the outer buttons.
    fn end_and_back(&mut self) -> Result<()> {
        self.begin()?;
        let (first, last) = (
            format!("{} .first", self.one),
            format!("{} .last", self.one),
        );
        self.page.click(&last)?;
        self.is_at(self.last)?;
        self.page.click(&first)?;
        self.is_at(0)
    }

    /// A step in the middle is legible, no wider than the screen, and kept as a picture.
    fn in_the_middle(&mut self, scene: &str, look: &str) -> Result<()> {
        let slider = format!("{} input", self.one);
        self.page.click(&slider)?;
        let overhang = self
            .eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
        ensure!(overhang.as_i64() == Some(0), "{overhang} pixels too wide");
        let contrast = self.eval(CONTRAST)?.as_f64().context("no contrast")?;
        ensure!(contrast >= 4.5, "the contrast is {contrast} to 1");
        keep(self.page, &format!("{scene}-{look}"))
    }
}

/// The least contrast of a text of the stepper with what is behind it, as WCAG 2.1 calculates it.
const CONTRAST: &str = "(() => {
    const parts = text => text.match(/[0-9.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const color = parts(getComputedStyle(element).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    const of = element => {
        const [a, b] = [parts(getComputedStyle(element).color), behind(element)].map(light);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    return Math.min(...[...it.querySelectorAll('td, th, p, code, caption')].map(of));
})()";
