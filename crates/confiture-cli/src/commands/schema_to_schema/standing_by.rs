//! The second process of a switch: it lives on where the first one dies, and lets PgBouncer's clients go on.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use confiture::event::Execution;
use confiture::schema_to_schema::Options;
use confiture::schema_to_schema::cutover::{Application, stand_by};
use confiture::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::invocation::Invocation;
use crate::output::Reply;

/// How long it may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// What the first process says when it needs nobody any more.
const DONE: &[u8] = b"done";

/// The second process, as the first one sees it.
pub(super) struct StandingBy(Child);

impl StandingBy {
    /// Starts it: this program with the same arguments and one more. `None`, and a warning, where that fails.
    pub(super) async fn start(invocation: &Invocation, execution: &Execution) -> Option<Self> {
        let started = async {
            let mut command = Command::new(std::env::current_exe().ok()?);
            command.args(std::env::args_os().skip(1)).arg("--stand-by");
            if let Some(folder) = &invocation.began_in {
                command.current_dir(folder);
            }
            // What ends this one, as Ctrl-C in a terminal, is not for that one.
            #[cfg(unix)]
            command.process_group(0);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().ok()?;
            let mut ready = [0];
            timeout(READY, child.stdout.take()?.read_exact(&mut ready)).await.ok()?.ok()?;
            Some(Self(child))
        };
        let started = started.await;
        if started.is_none() {
            execution.warn(
                "no second process stands by: should this one be killed in the middle, run the command again at once",
            );
        }
        started
    }

    /// Tells it that nobody is needed any more.
    pub(super) async fn dismiss(mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            // One that is gone needs not be told.
            pipe.write_all(DONE).await.ok();
        }
        timeout(READY, self.0.wait()).await.ok();
    }
}

/// What the second process does.
pub(super) async fn wait(
    told: &Options,
    application: &dyn Application,
    execution: &Execution,
) -> Result<Reply> {
    let ready = |error| Error::unexpected("nobody waits for this process").because(error);
    let mut stdout = std::io::stdout();
    stdout.write_all(b"\n").and_then(|()| stdout.flush()).map_err(ready)?;
    let died = async {
        let read = tokio::task::spawn_blocking(|| {
            let mut said = Vec::new();
            // A pipe that breaks is one that has ended.
            std::io::stdin().read_to_end(&mut said).ok();
            !said.starts_with(DONE)
        });
        read.await.unwrap_or(true)
    };
    let found = stand_by(told, application, died, execution).await?;
    Reply::new(&serde_json::json!({ "brought_to_its_end": found.is_some() }), String::new())
}
