//! A monitor at work beside a migration, and a client for it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::schema_to_schema::Shop;

pub(crate) const TOKEN: &str = "0123456789abcdef-a-test";

pub(crate) const ENDS: &str = "--from production --to production_new --mapping db/mapping.yaml";

/// A program at work in the background; it ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A monitor, and where it listens.
pub(crate) struct Monitor {
    _child: Running,
    pub(crate) address: String,
}

/// What an HTTP server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `sync` in the background.
pub(crate) fn sync(shop: &Shop, more: &[&str]) -> Running {
    let words: Vec<&str> =
        ["migrate", "schema-to-schema", "sync", "--yes", "-q"].into_iter().chain(ENDS.split(' ')).collect();
    let mut command = shop.project.command(&[&words, more].concat());
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
}

/// psql in the background, with statements to run.
pub(crate) fn psql_beside(database: &local_postgres::testing::Database<'_>, sql: &str) -> Running {
    let psql = database.server().program("psql");
    let mut command = Command::new(psql);
    command.args(["-XAtq", "-c", sql, &database.url()]).stdin(Stdio::null());
    Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("psql starts"))
}

impl Monitor {
    /// Starts it on a port that is free.
    pub(crate) fn start(shop: &Shop, more: &[&str]) -> Self {
        let words =
            ["migrate", "schema-to-schema", "monitor", "--from", "production", "--to", "production_new"];
        let words = [&words[..], &["--listen", "127.0.0.1:0"], more].concat();
        let mut command = shop.project.command(&words);
        command.env("CONFITURE_MONITOR_TOKEN", TOKEN);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let address = line.trim().trim_start_matches("http://").trim_end_matches("/ until Ctrl-C").to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Self { _child: Running(child), address }
    }

    /// One request with these lines in its head, and the answer.
    pub(crate) fn ask(&self, request: &str, head: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let host = match head.iter().any(|line| line.starts_with("Host:")) {
            true => String::new(),
            false => format!("Host: {}\r\n", self.address),
        };
        let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\n{host}{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "")
    }

    /// `/status.json`.
    pub(crate) fn status(&self) -> Value {
        let answer = self.get("/status.json");
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// Waits until `/status.json` is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if is_it(&status) {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "never {what}: {status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The sentence at the top.
pub(crate) fn headline(status: &Value) -> &str {
    status["headline"]["text"].as_str().unwrap_or_default()
}
