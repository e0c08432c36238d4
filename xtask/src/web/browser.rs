//! A headless Chromium that opens a page, types, clicks, takes pictures, and hears what goes wrong.
//!
//! Chrome DevTools Protocol: domains `Target`, `Page`, `Runtime`, `Log`, `Network`, `Input`,
//! `Emulation`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::pipe::Pipe;
use crate::toolchain::find;

/// Names under which distributions install Chromium.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// The longest time that a page may take to become what is awaited.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without these a browser asks its maker for updates, and root may not run it.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--mute-audio",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the reader's system asks for dark pages.
    pub dark: bool,
    /// Whether the screen is a phone's, which is touched.
    pub phone: bool,
}

impl Look {
    /// A light page on a desk.
    pub const WIDE: Look = Look {
        width: 1280,
        height: 900,
        dark: false,
        phone: false,
    };
    /// A dark page on a phone.
    pub const PHONE: Look = Look {
        width: 390,
        height: 844,
        dark: true,
        phone: true,
    };
}

/// Returns whether this machine has a browser.
pub fn is_installed() -> bool {
    NAMES.iter().any(|name| find(name).is_ok())
}

/// Returns what this machine lacks to open a page, and how to get it.
pub fn lacking() -> Option<String> {
    let why = "there is no Chromium here: apt-get install chromium";
    (!is_installed()).then(|| why.to_owned())
}

/// A browser with a profile of its own.
pub struct Browser {
    pipe: Pipe,
    /// Removed after the browser has ended: fields are dropped in order.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts Chromium.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Browser> {
        let program = NAMES.iter().find_map(|name| find(name).ok());
        let program = program.context("there is no Chromium: Debian's package is chromium")?;
        let profile = tempfile::Builder::new().prefix("switch_to-").tempdir()?;
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|it| (*it).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut pipe = Pipe::start(&program, &arguments)?;
        pipe.call(None, "Browser.getVersion", json!({}))?;
        Ok(Browser {
            pipe,
            _profile: profile,
        })
    }

    /// Opens a page and waits until it has loaded.
    ///
    /// # Errors
    /// The browser refuses, or the page does not load.
    pub fn open(mut self, url: &str, look: Look) -> Result<Page> {
        let target =
            self.pipe
                .call(None, "Target.createTarget", json!({ "url": "about:blank" }))?;
        let attached = self.pipe.call(
            None,
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        )?;
        let session = attached["sessionId"].as_str().context("no session")?;
        let mut page = Page {
            session: session.to_owned(),
            browser: self,
            complaints: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}))?;
        }
        page.look(look)?;
        page.go(url)?;
        Ok(page)
    }
}

/// An open page.
pub struct Page {
    browser: Browser,
    session: String,
    complaints: Vec<String>,
}

impl Page {
    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        let result = self
            .browser
            .pipe
            .call(Some(&self.session), method, parameters);
        for event in std::mem::take(&mut self.browser.pipe.events) {
            self.complaints.extend(complaint(&event));
        }
        result
    }

    /// Goes to an address and waits until the page has loaded.
    pub fn go(&mut self, url: &str) -> Result<()> {
        let gone = self.call("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = gone.get("errorText") {
            bail!("{url}: {error}");
        }
        self.wait_for("document.readyState == 'complete' && location.href != 'about:blank'")
    }

    /// Changes how the page is looked at.
    pub fn look(&mut self, look: Look) -> Result<()> {
        let scheme = if look.dark { "dark" } else { "light" };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": look.width, "height": look.height, "deviceScaleFactor": 1,
                "mobile": look.phone,
            }),
        )?;
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        )?;
        self.call(
            "Emulation.setTouchEmulationEnabled",
            json!({ "enabled": look.phone }),
        )?;
        Ok(())
    }

    /// Returns the value of a JavaScript expression; a promise is awaited.
    ///
    /// # Errors
    /// The expression throws.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let result = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        )?;
        if let Some(thrown) = result.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// Waits until an expression is true, at most half a minute.
    pub fn wait_for(&mut self, expression: &str) -> Result<()> {
        self.wait_longer_for(expression, PATIENCE)
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    /// It is not true within `limit`.
    pub fn wait_longer_for(&mut self, expression: &str, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            if self.eval(&format!("!!({expression})"))? == true {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < limit,
                "after {limit:?} it does not hold that {expression}\n{}",
                self.complaints.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses and releases a key, by the name that JavaScript gives it: `ArrowRight`, `End`, `a`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            " " => 32,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            // The numbers of other characters are those of keys such as Home.
            _ => match key.bytes().next() {
                Some(it) if it.is_ascii_alphanumeric() => it.to_ascii_uppercase(),
                _ => 0,
            },
        };
        let mut event = json!({ "key": key, "code": key, "windowsVirtualKeyCode": code });
        if key == "Enter" {
            event["text"] = "\r".into();
        } else if key.len() == 1 {
            event["text"] = key.into();
        }
        for kind in ["keyDown", "keyUp"] {
            event["type"] = kind.into();
            self.call("Input.dispatchKeyEvent", event.clone())?;
        }
        Ok(())
    }

    /// Types a text, key by key.
    pub fn enter(&mut self, text: &str) -> Result<()> {
        for letter in text.chars() {
            self.press(&letter.to_string())?;
        }
        Ok(())
    }

    /// Clicks the middle of the first element that a CSS selector finds, with the mouse.
    ///
    /// # Errors
    /// There is no such element, or another one lies over its middle.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let quoted = Value::from(selector).to_string();
        let place = self.eval(&format!(
            "(() => {{ const it = document.querySelector({quoted}); if (!it) return null; \
             it.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = it.getBoundingClientRect(); \
             const x = box.x + box.width / 2, y = box.y + box.height / 2; \
             const hit = document.elementFromPoint(x, y); \
             return {{ x, y, hit: it.contains(hit) }}; }})()"
        ))?;
        ensure!(!place.is_null(), "the page has no {selector}");
        ensure!(place["hit"] == true, "something lies over {selector}");
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": place["x"], "y": place["y"], "button": "left",
                        "clickCount": 1 }),
            )?;
        }
        Ok(())
    }

    /// Keeps a picture of the page as a PNG file.
    pub fn picture(&mut self, file: &Path) -> Result<()> {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        let text = taken["data"].as_str().context("no picture")?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(
            file,
            from_base64(text).context("the picture is not base64")?,
        )?;
        Ok(())
    }

    /// Fails if the page wrote an error to its console, threw, or asked for anything that is not on
    /// localhost or not there.
    pub fn no_complaints(&mut self) -> Result<()> {
        // An answer from the page comes after what it has said until now.
        self.eval("0")?;
        ensure!(
            self.complaints.is_empty(),
            "the page complains:\n{}",
            self.complaints.join("\n")
        );
        Ok(())
    }
}

/// Returns what is wrong, if an event of the browser tells it.
fn complaint(event: &Value) -> Option<String> {
    let told = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("thrown: {}", told["exceptionDetails"])),
        "Runtime.consoleAPICalled" if told["type"] == "error" || told["type"] == "assert" => {
            Some(format!("console: {}", told["args"]))
        }
        "Log.entryAdded" if told["entry"]["level"] == "error" => {
            Some(format!("log: {}", told["entry"]))
        }
        "Network.requestWillBeSent" => {
            let url = told["request"]["url"].as_str()?;
            let is_here = ["http://127.0.0.1:", "data:", "blob:", "about:"];
            (!is_here.iter().any(|it| url.starts_with(it)))
                .then(|| format!("a request leaves localhost: {url}"))
        }
        "Network.responseReceived" if told["response"]["status"].as_u64()? >= 400 => {
            Some(format!("not there: {}", told["response"]["url"]))
        }
        _ => None,
    }
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        assert_eq!(from_base64("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(from_base64("/+8A").unwrap(), [0xff, 0xef, 0]);
        assert_eq!(from_base64("a b"), None);
    }

    #[test]
    fn each_complaint_is_heard_and_nothing_else() {
        let url = |url: &str| json!({ "method": "Network.requestWillBeSent", "params": { "request": { "url": url } } });
        let answered = |status: u32| {
            json!({ "method": "Network.responseReceived",
                    "params": { "response": { "status": status, "url": "x" } } })
        };
        let console = |kind: &str| json!({ "method": "Runtime.consoleAPICalled", "params": { "type": kind, "args": [] } });
        let log = |level: &str| json!({ "method": "Log.entryAdded", "params": { "entry": { "level": level } } });
        for bad in [
            url("https://example.org/a.js"),
            answered(404),
            console("error"),
            log("error"),
            json!({ "method": "Runtime.exceptionThrown", "params": { "exceptionDetails": {} } }),
        ] {
            assert!(complaint(&bad).is_some(), "{bad}");
        }
        for good in [
            url("http://127.0.0.1:81/a.js"),
            url("data:image/png;base64,"),
            answered(200),
            console("log"),
            log("warning"),
        ] {
            assert_eq!(complaint(&good), None, "{good}");
        }
    }
}
