//! The user's commands at moments of a run: each gets the event as JSON on standard input and as variables, and a deadline.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{Action, Hook, Hooks, Moment};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;

/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_millis(500);

/// How long output is waited for that somebody keeps open whom the command left behind.
const REST_OF_OUTPUT: Duration = Duration::from_millis(100);

/// What an error shows of a command's output.
const LAST_LINES: usize = 10;
const LONGEST_LINE: usize = 400;

/// The hooks of one moment.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// All hooks there are.
    pub hooks: &'a Hooks,
    /// Which of them run.
    pub moment: Moment,
    /// What they are told: an object. Its words and numbers become `CONFITURE_EVENT_NAME`, also those deeper down, and `event`
    /// becomes `CONFITURE_EVENT`.
    pub event: &'a Value,
    /// What they may take together, beside the timeout that each has.
    pub at_most: Duration,
    /// Where they run; the current folder where it is empty.
    pub folder: &'a Path,
}

/// Runs the commands of a moment, one after the other, until one fails.
///
/// # Errors
///
/// A command that fails or takes too long, with its place and its last words; [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
pub async fn run(occasion: &Occasion<'_>, execution: &Execution) -> Result<()> {
    let begin = std::time::Instant::now();
    for hook in occasion.hooks.of(occasion.moment) {
        let Action::Command(command) = &hook.action else { continue };
        let deadline = hook.timeout.min(occasion.at_most.saturating_sub(begin.elapsed()));
        run_command(hook, command, occasion.event, deadline, occasion.folder, execution).await?;
    }
    Ok(())
}

/// Runs one command. What it writes to standard output is noted.
pub(crate) async fn run_command(
    hook: &Hook,
    command: &str,
    event: &Value,
    deadline: Duration,
    folder: &Path,
    execution: &Execution,
) -> Result<()> {
    let outcome = async {
        let mut running = Running::start(command, event, folder)
            .map_err(|error| Error::new(ErrorKind::Hook, "its command does not start").because(error))?;
        let ended = tokio::select! {
            ended = running.end() => {
                Ok(ended.map_err(|error| Error::unexpected("its command was lost").because(error))?)
            }
            () = sleep(deadline) => Err(too_long(deadline)),
            () = execution.interrupted() => Err(Error::interrupted("interrupted")),
        };
        if ended.is_err() {
            running.stop().await;
        }
        let output = std::mem::take(&mut *running.output.lock().unwrap_or_else(PoisonError::into_inner));
        for line in output.said {
            execution.note(line);
        }
        let failed = match ended {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => Error::new(ErrorKind::Hook, format!("its command ended with {status}")),
            Err(failed) => failed,
        };
        Err(if output.last.is_empty() { failed } else { failed.detail(Vec::from(output.last).join("\n")) })
    };
    outcome.await.map_err(|error| said_of(hook, error))
}

/// A hook that took too long.
pub(crate) fn too_long(deadline: Duration) -> Error {
    Error::new(ErrorKind::Hook, format!("it took longer than {deadline:?}"))
        .hint("`timeout` gives it more time")
}

/// The error with the hook that it is of, and where that stands.
pub(crate) fn said_of(hook: &Hook, error: Error) -> Error {
    let error = error.context(format!("the hook {}", hook.moment.key()));
    match &hook.place {
        Some(place) => error.or_at(place),
        None => error,
    }
}

/// A command that runs, in a process group of its own. Dropping it ends the whole group at once.
struct Running {
    child: Child,
    #[cfg(unix)]
    group: Option<Pid>,
    /// Until its end was seen: what it left in the background then is meant to stay.
    is_running: bool,
    output: Arc<Mutex<Output>>,
    /// What reads its two outputs.
    readers: [JoinHandle<()>; 2],
}

/// What a command wrote.
#[derive(Default)]
struct Output {
    /// Standard output.
    said: Vec<String>,
    /// The last lines of both.
    last: VecDeque<String>,
}

impl Running {
    fn start(command: &str, event: &Value, folder: &Path) -> io::Result<Self> {
        let mut process = Command::new("sh");
        process.arg("-c").arg(command).envs(variables(event)).kill_on_drop(true);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !folder.as_os_str().is_empty() {
            process.current_dir(folder);
        }
        #[cfg(unix)]
        process.process_group(0);
        let mut child = process.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let event = event.to_string();
            // One that does not want to know closes it, and one that never reads ends all the same.
            tokio::spawn(async move { stdin.write_all(event.as_bytes()).await.ok() });
        }
        let output = Arc::new(Mutex::new(Output::default()));
        let readers = [
            tokio::spawn(read(child.stdout.take(), Arc::clone(&output), true)),
            tokio::spawn(read(child.stderr.take(), Arc::clone(&output), false)),
        ];
        Ok(Self {
            #[cfg(unix)]
            group: child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
            child,
            is_running: true,
            output,
            readers,
        })
    }

    /// Waits for the command's end. What it left in the background goes on.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.is_running = false;
        let [said, complained] = &mut self.readers;
        drop(timeout(REST_OF_OUTPUT, async { (said.await, complained.await) }).await);
        Ok(status)
    }

    /// Ends the command and all that it started: politely, then not.
    async fn stop(&mut self) {
        #[cfg(unix)]
        {
            self.signal(Signal::TERM);
            drop(timeout(GRACE, self.child.wait()).await);
            self.signal(Signal::KILL);
        }
        drop(self.child.kill().await);
        self.is_running = false;
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Gone already, else.
            kill_process_group(group, signal).ok();
        }
    }
}

/// Whoever stops waiting, on whatever way, leaves nothing behind that goes on without a deadline.
impl Drop for Running {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.is_running {
            self.signal(Signal::KILL);
        }
    }
}

/// The lines of one of a command's outputs.
async fn read(pipe: Option<impl AsyncRead + Unpin>, output: Arc<Mutex<Output>>, is_said: bool) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match pipe.read_until(b'\n', &mut line).await {
            Ok(length) if length > 0 => {}
            _ => return,
        }
        let text: String = String::from_utf8_lossy(&line).trim_end().chars().take(LONGEST_LINE).collect();
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.last.len() == LAST_LINES {
            output.last.pop_front();
        }
        output.last.push_back(text.clone());
        if is_said {
            output.said.push(text);
        }
    }
}

/// `CONFITURE_EVENT=switched`, `CONFITURE_EVENT_MIGRATION_VERSION=002`: what a line of shell can use without a JSON reader.
fn variables(event: &Value) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    gather("CONFITURE_EVENT", event, &mut variables);
    variables
}

fn gather(name: &str, value: &Value, variables: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => variables.push((name.to_owned(), text.replace('\0', ""))),
        Value::Number(_) | Value::Bool(_) => variables.push((name.to_owned(), value.to_string())),
        Value::Object(fields) => {
            for (field, value) in fields {
                match field.as_str() {
                    "event" => gather(name, value, variables),
                    field => gather(&format!("{name}_{}", field.to_uppercase()), value, variables),
                }
            }
        }
        Value::Null | Value::Array(_) => {}
    }
}
