//! Runs hooks: commands get the event as JSON on standard input, SQL reads it from the setting `confiture.event`.

use serde_json::{Value, json};

use crate::config::{Action, Hook, Moment};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::hook;
use crate::migrate::options::Options;
use crate::migrate::plan::{Direction, Planned};
use crate::migrate::run::Done;
use crate::postgres::{Piece, Session, run_pieces, session_end};
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
    });
    for hook in hooks {
        match &hook.action {
            Action::Command(command) => {
                hook::run_command(hook, command, &event, hook.timeout, &options.folder, execution).await?;
            }
            Action::Sql(text) => {
                let outcome = run_sql_in_time(session, hook, text, &event, execution).await;
                for warning in session.take_warnings() {
                    execution
                        .warn(format!("the hook {}: the server warns: {warning}", occasion.moment.key()));
                }
                outcome.map_err(|error| hook::said_of(hook, error))?;
            }
        }
    }
    Ok(())
}

async fn run_sql_in_time(
    session: &Session,
    hook: &Hook,
    text: &str,
    event: &Value,
    execution: &Execution,
) -> Result<()> {
    let event = event.to_string();
    tokio::select! {
        outcome = run_sql(session, hook, text, &event) => outcome,
        () = tokio::time::sleep(hook.timeout) => {
            drop(session.cancel().await);
            Err(hook::too_long(hook.timeout))
        }
        () = execution.interrupted() => {
            drop(session.cancel().await);
            Err(Error::interrupted("interrupted"))
        }
    }
}

async fn run_sql(session: &Session, hook: &Hook, text: &str, event: &str) -> Result<()> {
    let file = hook.place.as_ref().map(|place| place.file.clone()).unwrap_or_default();
    // The text stands in another file at another line: the hook's place is the right one.
    let at_hook = |error: Error| match &hook.place {
        Some(place) => {
            let within = error.place().filter(|within| within.line > 1 || within.column > 1);
            let within =
                within.map(|within| format!("line {}, column {} of its SQL", within.line, within.column));
            let error = error.without_excerpt().at(place.clone());
            within.into_iter().fold(error, Error::hint)
        }
        None => error,
    };
    let script = split(Script::new(file, text)).map_err(|error| at_hook(Error::config(error.message())))?;
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
        Err(error) => Err(at_hook(error)),
    };
    if outcome.is_err() {
        drop(session.batch(&Sql::literal("ROLLBACK")).await);
    }
    // What it has set is not for the migration that comes.
    outcome.and(session.batch(&Sql::join("; ", session_end())).await)
}
