//! Runs hooks: commands get the event as JSON on standard input, SQL reads it from the setting `confiture.event`.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::config::{Action, Hook, Moment};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::migrate::options::Options;
use crate::migrate::plan::{Direction, Planned};
use crate::migrate::run::Done;
use crate::postgres::{Piece, Session, run_pieces};
use crate::sql::{Literal, Script, Sql, split, sql};

/// What has happened, or is about to.
pub(super) struct Occasion<'a> {
    pub(super) moment: Moment,
    pub(super) direction: Direction,
    pub(super) planned: Option<&'a Planned>,
    pub(super) error: Option<&'a Error>,
    pub(super) done: &'a [Done],
}

/// Runs the hooks of an occasion, in their order.
pub(super) async fn run(
    options: &Options,
    session: &Session,
    execution: &Execution,
    occasion: &Occasion<'_>,
) -> Result<()> {
    let mut hooks = options.hooks.of(occasion.moment).peekable();
    if hooks.peek().is_none() {
        return Ok(());
    }
    let event = json!({
        "event": occasion.moment.key(),
        "direction": occasion.direction,
        "database": session.connection().database,
        "migration": occasion.planned.map(|planned| json!({
            "version": planned.version, "name": planned.name, "file": planned.file,
        })),
        "done": occasion.done.iter().map(|done| &done.version).collect::<Vec<_>>(),
        "error": occasion.error.map(|error| json!({
            "code": error.kind().code(), "message": error.message(),
        })),
    })
    .to_string();
    for hook in hooks {
        let work = async {
            match &hook.action {
                Action::Command(command) => run_command(options, execution, command, &event).await,
                Action::Sql(text) => run_sql(session, hook, text, &event).await,
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = tokio::time::sleep(hook.timeout) => {
                drop(session.cancel().await);
                Err(Error::unexpected(format!("it took longer than {:?}", hook.timeout))
                    .hint("`timeout` gives it more time"))
            }
            () = execution.interrupted() => {
                drop(session.cancel().await);
                Err(Error::interrupted("interrupted"))
            }
        };
        outcome.map_err(|error| {
            error.context(format!("the hook {}", occasion.moment.key())).or_at(&hook.place)
        })?;
    }
    Ok(())
}

async fn run_command(options: &Options, execution: &Execution, command: &str, event: &str) -> Result<()> {
    let failed = |error: std::io::Error| Error::unexpected("its command does not start").because(error);
    let mut process = Command::new("sh");
    process.arg("-c").arg(command).kill_on_drop(true);
    if !options.folder.as_os_str().is_empty() {
        process.current_dir(&options.folder);
    }
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not want to know has closed it.
        drop(stdin.write_all(event.as_bytes()).await);
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        execution.note(line);
    }
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    let error = Error::unexpected(format!("its command ended with {}", output.status));
    Err(if said.is_empty() { error } else { error.detail(said) })
}

async fn run_sql(session: &Session, hook: &Hook, text: &str, event: &str) -> Result<()> {
    let script = split(Script::new(&hook.place.file, text))
        .map_err(|error| Error::config(error.message()).at(hook.place.clone()))?;
    let pieces: Vec<_> =
        script.statements.iter().map(|statement| Piece { script: &script, statement }).collect();
    session
        .batch(&sql!(
            "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; BEGIN; SELECT pg_catalog.set_config('confiture.event', {}, true)",
            Literal(event)
        ))
        .await?;
    let outcome = match run_pieces(session, &pieces).await {
        Ok(()) => session.batch(&Sql::literal("COMMIT")).await,
        // The text stands in another file at another line: the hook's place is the right one.
        Err(error) => Err(error.at(hook.place.clone())),
    };
    if outcome.is_err() {
        drop(session.batch(&Sql::literal("ROLLBACK")).await);
    }
    outcome
}
