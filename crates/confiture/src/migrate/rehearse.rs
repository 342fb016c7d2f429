//! Migrations run in a scratch database, up, down and up again, and compared.

use serde::Serialize;

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::migrate::digest::{Difference, Digest, read_digest};
use crate::migrate::folder::Folder;
use crate::migrate::migrator::Migrator;
use crate::migrate::options::{DownOptions, Extent, Options, UpOptions};
use crate::postgres::scratch::{self, Scratch};
use crate::postgres::{Session, roles};
use crate::sql::QualifiedName;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Each migration.
    pub migrations: Vec<Rehearsed>,
    /// The database that all of them make.
    #[serde(skip)]
    pub result: Digest,
}

impl Rehearsal {
    /// True where every migration was tried.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.migrations.iter().all(|one| one.not_again.is_none())
    }
}

/// One migration, tried.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Which: `003_add_users`.
    pub migration: String,
    /// It has a way back, which was tried.
    pub reverted: bool,
    /// What the way back does not bring back, or leaves behind.
    pub after_down: Vec<Difference>,
    /// What is different when it is applied again.
    pub after_redo: Vec<Difference>,
    /// Why it cannot be applied again: its way back has left something. What comes behind it is not tried then.
    pub not_again: Option<String>,
}

/// Makes a database on the server of `connection`, works in it, and drops it, whatever happens; and the roles that `texts` make.
///
/// # Errors
///
/// A server that makes no databases; whatever `work` says.
pub async fn in_scratch<T>(
    connection: &Connection,
    texts: impl IntoIterator<Item = &str>,
    work: impl AsyncFnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    scratch::sweep(connection).await?;
    let scratch = Scratch::create(connection).await.map_err(|error| {
        error.context("making a scratch database").hint("scratch_url names a server where this role may")
    })?;
    let outcome = match scratch.note_roles(texts.into_iter()).await {
        Ok(()) => work(scratch.session().connection()).await,
        Err(error) => Err(error),
    };
    let dropped = scratch.close().await;
    let outcome = outcome?;
    dropped.map(|()| outcome)
}

/// Runs every migration of a folder in a scratch database on the server of `connection`: up, then, where there is a way back, down
/// and up again.
///
/// # Errors
///
/// What the server refuses, at its place, with the direction in front.
pub async fn rehearse(connection: &Connection, folder: &Folder, execution: &Execution) -> Result<Rehearsal> {
    scratch::refuse_what_outlasts(folder.scripts())?;
    in_scratch(connection, folder.texts(), async |scratch| {
        let options = Options { lint: false, ..Options::default() };
        let migrator = Migrator::new(scratch.clone(), folder.clone(), options);
        let session = Session::connect(scratch).await?;
        let (_, history) = migrator.connect().await?;
        let table = history.table;
        let mut before = read_digest(&session, Some(&table)).await?;
        let mut migrations = Vec::new();
        let quiet = &execution.unwatched();
        for file in &folder.migrations {
            if execution.is_interrupted() {
                return Err(Error::interrupted("interrupted; all of this was in a scratch database"));
            }
            let called = super::assess::called(&file.version, &file.name);
            let up = UpOptions { target: Some(file.version.clone()), ..UpOptions::default() };
            let rehearsed = execution
                .step(&format!("Trying {called}"), async {
                    up_with_roles(&migrator, &session, &up, quiet).await.map_err(say_empty)?;
                    let after = read_digest(&session, Some(&table)).await?;
                    let has_down = file.down.as_ref().is_some_and(|down| !down.is_empty());
                    let mut one = Rehearsed {
                        migration: called.clone(),
                        reverted: has_down,
                        after_down: Vec::new(),
                        after_redo: Vec::new(),
                        not_again: None,
                    };
                    if has_down {
                        try_down(&migrator, &session, &table, (&before, &after), &up, &mut one, quiet)
                            .await?;
                    }
                    Ok((one, after))
                })
                .await?;
            before = rehearsed.1;
            let is_end = rehearsed.0.not_again.is_some();
            migrations.push(rehearsed.0);
            if is_end {
                break;
            }
        }
        Ok(Rehearsal { migrations, result: before })
    })
    .await
}

/// Applies migrations; roles that they lack are made, where the server is our own.
pub(super) async fn up_with_roles(
    migrator: &Migrator,
    session: &Session,
    up: &UpOptions,
    execution: &Execution,
) -> Result<()> {
    roles::with_roles(session, async || migrator.up(up, execution).await.map(drop)).await
}

/// Says of an error in an empty database that what is missing may be in every real one, where no migration has made it.
#[must_use]
pub fn say_empty(error: Error) -> Error {
    match error.sqlstate_code() {
        _ if roles::missing_role(&error).is_some() => error,
        Some("42P01" | "42704" | "42883" | "3F000" | "42703") => error.hint(
            "all migrations are tried in an empty database: together they must make all that they use. Where the first of them takes \
             something for granted, put a migration in front that makes it, and mark that one as applied: confiture migrate baseline VERSION",
        ),
        _ => error,
    }
}

async fn try_down(
    migrator: &Migrator,
    session: &Session,
    table: &QualifiedName,
    (before, after): (&Digest, &Digest),
    up: &UpOptions,
    one: &mut Rehearsed,
    execution: &Execution,
) -> Result<()> {
    let way = |what: &'static str| move |error: Error| error.context(what);
    let down = DownOptions { extent: Extent::Steps(1), interrupted: None };
    migrator.down(&down, execution).await.map_err(way("on the way back"))?;
    one.after_down = before.differences(&read_digest(session, Some(table)).await?);
    match up_with_roles(migrator, session, up, execution).await {
        Ok(()) => {}
        // What is in its way is what the way back has left.
        Err(error) if error.kind() == ErrorKind::Server && !one.after_down.is_empty() => {
            one.not_again = Some(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(error.context("on the way up again, after the way back")),
    }
    one.after_redo = after.differences(&read_digest(session, Some(table)).await?);
    Ok(())
}
