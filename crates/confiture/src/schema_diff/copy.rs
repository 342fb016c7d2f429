//! A scratch copy of a live database's schema, for who wants to try something on it first.

use crate::config::Connection;
use crate::config::mapping::TableName;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::scratch::{Scratch, in_scratch};
use crate::postgres::{Session, read_given_settings};
use crate::schema_diff::compare::{Source, left_out};
use crate::schema_diff::side::{Owners, Side};
use crate::sql::Sql;

/// A database with the schema of another one, and without its rows.
pub struct Copy<'a> {
    scratch: &'a Scratch,
    settings: Vec<Sql>,
    /// What is otherwise than in the database.
    pub remarks: Vec<String>,
}

impl Copy<'_> {
    /// The connection to it.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.scratch.session()
    }

    /// What a session there has to set to be as one of the live database is: its role, its database and its server give it a search
    /// path, and whatever else was given by `ALTER DATABASE … SET` and `ALTER ROLE … SET`.
    #[must_use]
    pub fn settings(&self) -> &[Sql] {
        &self.settings
    }
}

/// Makes a scratch copy of the schema of `live` on the server of `connection`, works in it, and drops it, whatever happens; and
/// the roles that `texts` make.
///
/// # Errors
///
/// A schema that cannot be copied; whatever `work` says; that it was interrupted.
pub async fn with_copy<T>(
    connection: &Connection,
    live: &Connection,
    history_table: &TableName,
    texts: impl Iterator<Item = &str>,
    execution: &Execution,
    work: impl AsyncFnOnce(&Copy<'_>) -> Result<T>,
) -> Result<T> {
    in_scratch(connection, texts, async |scratch| {
        let made_and_used = async {
            let mut copy = Copy { scratch, settings: Vec::new(), remarks: Vec::new() };
            copy.fill(live, history_table).await?;
            work(&copy).await
        };
        tokio::select! {
            outcome = made_and_used => outcome,
            () = execution.interrupted() => Err(Error::interrupted("interrupted; all of this was in a scratch database")),
        }
    })
    .await
}

impl Copy<'_> {
    async fn fill(&mut self, live: &Connection, history_table: &TableName) -> Result<()> {
        let (source, nothing) = (Source::Live(Box::new(live.clone())), Source::Scripts(Vec::new()));
        let (mut side, mut other) =
            (Side::read(&source, Some(history_table)).await?, Side { source: &nothing, live: None });
        self.remarks.extend(side.translate(self.scratch.session().server_version()));
        let owners = Owners::of(&mut side, &mut other, self.scratch.session()).await?;
        let made = owners.build(self.scratch, &side, &other).await?;
        self.remarks.extend(side.unlike(&made));
        let mut left = side.uncovered(&made);
        // These every session there is given.
        left.retain(|(what, _)| !what.starts_with("setting"));
        self.remarks.extend(left_out(&left, "of the database", "not in the copy"));
        self.settings = read_given_settings(&Session::connect(live).await?).await?;
        Ok(())
    }
}
