//! Headless Chromium, driven by its own protocol over two pipes: no port, no driver program, no library.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

/// What Chromium is called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page; it ends with the test.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// The page.
    session: String,
    number: u64,
    /// What the page said besides.
    events: VecDeque<Value>,
    _profile: tempfile::TempDir,
}

/// Chromium, where it is installed. Where `CONFITURE_CHROMIUM` is `required` and it is not, the test fails.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let found = files.into_iter().find(|file| file.is_file());
    const HOW: &str = "Chromium is not installed. `cargo xtask page` installs it on Debian and its kin (apt-get install chromium) and runs \
         the tests of the page; elsewhere install chromium or google-chrome so that it is in PATH";
    let required = std::env::var("CONFITURE_CHROMIUM").is_ok_and(|wanted| wanted == "required");
    assert!(found.is_some() || !required, "{HOW}");
    #[expect(clippy::print_stderr, reason = "whoever runs the tests is to know what was left out")]
    if found.is_none() {
        eprintln!("NOT TESTED: {HOW}.");
    }
    found
}

impl Browser {
    /// Starts it.
    pub(crate) fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // Chromium reads from 3 and writes to 4.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#]);
        command.arg(program).args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            number: 0,
            events: VecDeque::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made for the call")]
    /// Says something to it and waits for the answer.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() && !method.starts_with("Target.") {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("Chromium listens");
        loop {
            let mut text = Vec::new();
            let read = self.from.read_until(0, &mut text).expect("Chromium answers");
            assert!(read > 0, "Chromium has ended");
            text.pop();
            let answer: Value = serde_json::from_slice(&text).expect("JSON");
            if answer["id"] == json!(self.number) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, address: &str) {
        let opened = self.call("Page.navigate", json!({ "url": address }));
        assert!(opened.get("errorText").is_none(), "{opened}");
    }

    /// The window's size, and which colours it prefers.
    pub(crate) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let mobile = width < 500;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", feature);
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", ask);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page, a minute at most.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) {
        let wait = format!(
            "new Promise((done) => {{ const began = Date.now(); const look = () => {{
                 let is = false; try {{ is = Boolean({expression}); }} catch {{}}
                 if (is) done(true); else if (Date.now() - began > 60000) done(document.body.innerText); else setTimeout(look, 50);
             }}; look(); }})"
        );
        let found = self.value(&wait);
        assert_eq!(found, json!(true), "never: {expression}\n{found}");
    }

    /// The text of what a selector finds.
    #[track_caller]
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let selector = json!(selector);
        let found = self.value(&format!("document.querySelector({selector}).textContent"));
        found.as_str().expect("text").to_owned()
    }

    /// A picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) -> Vec<u8> {
        let height = self.value("document.documentElement.scrollHeight").as_f64().expect("a number");
        let width = self.value("innerWidth").as_f64().expect("a number");
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.call("Page.captureScreenshot", shot);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(shot["data"].as_str().expect("a picture"))
            .expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, &bytes).expect("a file");
        bytes
    }

    /// What went wrong in the page since this was asked last: on the console, thrown, or refused by the page's policy.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.value("1");
        let is_complaint = |event: &Value| match event["method"].as_str() {
            Some("Runtime.consoleAPICalled") => {
                matches!(event["params"]["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] != json!("verbose"),
            _ => false,
        };
        let found = self.events.iter().filter(|event| is_complaint(event)).map(ToString::to_string).collect();
        self.events.retain(|event| event["method"] == json!("Network.requestWillBeSent"));
        found
    }

    /// Every address that was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let address = |event: &Value| event["params"]["request"]["url"].as_str().map(str::to_owned);
        self.events
            .iter()
            .filter(|event| event["method"] == json!("Network.requestWillBeSent"))
            .filter_map(address)
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
