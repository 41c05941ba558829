//! Chromium, driven by its own driver, and the pictures that are taken of it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenkeel_tests::until;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};

/// Time that the page has for whatever a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Size of the window, unless a test wants another.
const WINDOW: (u32, u32) = (1280, 1240);

/// A browser with one page. The browser goes with the test, however that ends.
pub(crate) struct Browser {
    driver: Option<WebDriver>,
    _server: Server,
    _profile: TempDir,
}

impl Browser {
    /// Starts it.
    ///
    /// # Panics
    /// If Chromium or its driver is not installed: a test that did not run has not passed.
    pub(crate) async fn start() -> Browser {
        let profile = tempfile::Builder::new().prefix("evenkeel-browser-").tempdir().expect("a temporary directory");
        let server = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver does not start ({error}): apt-get install chromium chromium-driver")
            });
        let mut server = Server(server);
        let said = BufReader::new(server.0.stdout.take().expect("it is piped"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            line.split_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver says on which port it listens");
        let mut capabilities = DesiredCapabilities::chrome();
        let data = format!("--user-data-dir={}", profile.path().display());
        let size = format!("--window-size={},{}", WINDOW.0, WINDOW.1);
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &data,
            &size,
        ] {
            capabilities.add_arg(argument).expect("an argument");
        }
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let driver = WebDriver::new(&format!("http://127.0.0.1:{port}"), capabilities).await;
        let driver =
            driver.unwrap_or_else(|error| panic!("Chromium does not start ({error}): apt-get install chromium"));
        let browser = Browser { driver: Some(driver), _server: server, _profile: profile };
        // The two themes are those that a test asks for, not the machine's.
        browser.prefers("light").await;
        browser
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it runs until it is dropped")
    }

    /// Opens a page.
    pub(crate) async fn open(&self, url: &str) {
        self.driver().goto(url).await.expect("the page loads");
    }

    /// What a script returns.
    pub(crate) async fn js(&self, script: &str) -> Value {
        let answer = self.driver().execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{error} in {script}")).json().clone()
    }

    /// The same of an expression that is a text.
    pub(crate) async fn text(&self, expression: &str) -> String {
        self.js(&format!("return String({expression})")).await.as_str().unwrap_or_default().to_owned()
    }

    /// What a script promises.
    pub(crate) async fn promised(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)))"
        );
        let answer = self.driver().execute_async(script.as_str(), Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{error} in {script}")).json().clone()
    }

    /// Waits until an expression is true.
    pub(crate) async fn sees(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        until(expression, PATIENCE, async || (self.js(&script).await == Value::Bool(true)).then_some(())).await;
    }

    /// Waits until the node is heard.
    pub(crate) async fn is_live(&self) {
        self.sees("document.querySelector('#link')?.dataset.state === 'live'").await;
    }

    /// Clicks what a selector finds first, as a reader would: it must be there and not be covered.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.driver().find(By::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        found.scroll_into_view().await.expect("it can be shown");
        found.click().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types, into whatever has the focus.
    pub(crate) async fn press(&self, keys: impl AsRef<str>) {
        self.driver().action_chain().send_keys(keys.as_ref()).perform().await.expect("keys can be pressed");
    }

    /// Which theme the system is said to prefer.
    pub(crate) async fn prefers(&self, theme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// The size of a phone, or of the window again.
    pub(crate) async fn phone(&self, phone: bool) {
        let size = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
        let (command, parameters) = if phone {
            ("Emulation.setDeviceMetricsOverride", size)
        } else {
            ("Emulation.clearDeviceMetricsOverride", json!({}))
        };
        self.devtools(command, parameters).await;
    }

    /// A command of the developer tools.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.driver().cdp().send_raw(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Takes a picture of the whole page, for people to look at: `target/page/NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        use base64::Engine;
        // Let what moves come to rest, and a view begin where it begins.
        self.promised("await new Promise((resolve) => setTimeout(resolve, 600))").await;
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.devtools("Page.captureScreenshot", whole).await;
        let data = taken["data"].as_str().expect("a picture");
        let png = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        let directory = target().join("page");
        std::fs::create_dir_all(&directory).expect("the target directory can be written");
        std::fs::write(directory.join(format!("{name}.png")), png).expect("the target directory has room");
    }

    /// What the browser has complained of since it was asked last, but for requests that failed as these words say.
    pub(crate) async fn complaints(&self, expected: &[&str]) -> Vec<String> {
        let log = self.driver().browser_log().await.expect("the driver has a log");
        let messages = log.into_iter().map(|entry| format!("{}: {}", entry.level, entry.message));
        messages.filter(|message| !expected.iter().any(|words| message.contains(words))).collect()
    }

    /// Ends it.
    pub(crate) async fn quit(mut self) {
        let driver = self.driver.take().expect("it runs");
        driver.quit().await.expect("the browser ends");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // In a panic: the session is ended before the driver that does it.
        drop(self.driver.take());
    }
}

/// A running chromedriver; it is killed when this is dropped, also where Chromium did not start.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the system tells where a program is");
    // TARGET/PROFILE/deps/TEST
    test.ancestors().nth(3).expect("cargo puts tests into a directory of a profile").to_owned()
}
