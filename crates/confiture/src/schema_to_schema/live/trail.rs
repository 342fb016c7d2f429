//! The audit trail: who changed what of a migration, and when.

use std::fmt;

use serde::Serialize;

use crate::config::Connection;
use crate::error::Result;
use crate::postgres::Session;
use crate::schema_to_schema::ledger;
use crate::sql::Sql;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrailEntry {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When, in UTC: `2026-01-31T23:59:59.123Z`.
    pub at: String,
    /// The role on the target.
    pub by: String,
    /// Who ran the program, and where: `ada@laptop`; `None` where nobody said.
    pub actor: Option<String>,
    /// The address that the connection came from; `None` over a Unix socket.
    pub client: Option<String>,
    /// What was done, in a sentence; never a value of a row.
    pub what: String,
}

impl TrailEntry {
    /// `postgres (ada@laptop)`.
    #[must_use]
    pub fn who(&self) -> String {
        match self.actor.as_ref().or(self.client.as_ref()) {
            Some(actor) => format!("{} ({actor})", self.by),
            None => self.by.clone(),
        }
    }
}

/// `2026-01-31 23:59:59 postgres (ada@laptop): paused`.
impl fmt::Display for TrailEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.get(..19).unwrap_or(&self.at).replace('T', " ");
        write!(f, "{at} {}: {}", self.who(), self.what)
    }
}

/// The last `most` lines of the audit trail of the migration into `target`, the newest first; none where there is none.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`].
pub async fn trail(target: &Connection, most: u32) -> Result<Vec<TrailEntry>> {
    let session = Session::connect(target).await?;
    match ledger::exists(&session).await? {
        true => trail_of(&session, i64::from(most)).await,
        false => Ok(Vec::new()),
    }
}

/// The same on a session, of a ledger that is there.
pub(crate) async fn trail_of(session: &Session, most: i64) -> Result<Vec<TrailEntry>> {
    // By way of JSON: a ledger that an earlier version made may lack a column.
    let query = Sql::literal(
        "SELECT id, pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), by,
             pg_catalog.to_jsonb(e) ->> 'actor', pg_catalog.to_jsonb(e) ->> 'client', what
         FROM confiture.event AS e ORDER BY id DESC LIMIT $1",
    );
    let entry = |row: &crate::postgres::Row| TrailEntry {
        id: row.get(0),
        at: row.get(1),
        by: row.get(2),
        actor: row.get(3),
        client: row.get(4),
        what: row.get(5),
    };
    Ok(session.query(&query, &[&most]).await?.iter().map(entry).collect())
}
