//! The quarantine: a schema of the target that nobody else may use, in which tables wait, loaded and committed one by one,
//! until all are there and searched. Then they are published in one transaction, which also removes it.
//!
//! It remembers what is finished, so a run that was killed can be continued by table. Nothing of it is visible before.

use std::time::Duration;

use crate::config::Connection;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Row, Session};
use crate::sql::{Identifier, QualifiedName, Sql, sql};
use crate::sync::plan::TablePlan;
use crate::sync::planner::Sync;
use crate::sync::stream::Moved;
use crate::sync::tuple::Count;

/// The schema. Names that begin like this are never synced.
pub(crate) const SCHEMA: &str = "confiture_quarantine";

/// What a run that did not finish has left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Remains {
    /// When it began, as the target's clock has it.
    pub since: String,
    /// The tables that it has finished.
    pub tables: Vec<QualifiedName>,
}

/// Where a table waits.
pub(crate) fn place_of(sync: &Sync, table: &TablePlan) -> QualifiedName {
    let oid = sync.target_catalog.relations.get(&table.table).map_or(0, |relation| relation.oid);
    QualifiedName::new(SCHEMA, format!("t{oid}"))
}

/// Makes the schema, or takes over the one of the run that is continued.
pub(crate) async fn open(sync: &Sync, session: &Session, execution: &Execution) -> Result<()> {
    if let Some(remains) = remains(session).await? {
        if sync.options.resume {
            return check_origin(sync, session, &remains).await;
        }
        remove(session).await?;
        execution.note(format!(
            "Threw away what a run of {} had left in quarantine; --resume would have gone on with it",
            remains.since
        ));
    } else if sync.options.resume {
        execution.note("There is nothing to resume: this run begins anew");
    }
    session
        .transaction(async {
            let made = session.batch(&Sql::literal(include_str!("../postgres/queries/quarantine.sql"))).await;
            made.map_err(|error| {
                let missing = error.sqlstate_code() == Some("42501");
                let error = error.context("making the quarantine schema");
                if missing {
                    error.hint("GRANT CREATE ON DATABASE to the role, or sync without --quarantine")
                } else {
                    error
                }
            })?;
            close_to_others(session).await?;
            let origin = "INSERT INTO confiture_quarantine.run (source, key_id) VALUES ($1, $2)";
            session.execute(&Sql::literal(origin), &[&sync.plan.source, &sync.plan.key_id]).await
        })
        .await?;
    crate::failpoint::reached("quarantine made");
    Ok(())
}

/// Default privileges may have opened the schema to others.
async fn close_to_others(session: &Session) -> Result<()> {
    let others =
        "SELECT DISTINCT CASE WHEN grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(grantee)::text END
        FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(nspacl)
        WHERE nspname = 'confiture_quarantine' AND grantee <> nspowner";
    for row in session.query(&Sql::literal(others), &[]).await? {
        let who = match row.get::<_, Option<String>>(0) {
            None => Sql::literal("PUBLIC"),
            Some(role) => sql!("{}", Identifier::new(role)),
        };
        session.batch(&sql!("REVOKE ALL ON SCHEMA confiture_quarantine FROM {}", who)).await?;
    }
    Ok(())
}

/// What is there; `None` where no run has left anything.
pub(crate) async fn remains(session: &Session) -> Result<Option<Remains>> {
    let there = "SELECT pg_catalog.to_regnamespace('confiture_quarantine') IS NOT NULL,
        pg_catalog.to_regclass('confiture_quarantine.run') IS NOT NULL
        AND pg_catalog.to_regclass('confiture_quarantine.loaded') IS NOT NULL";
    let row = session.query_one(&Sql::literal(there), &[]).await?;
    match (row.get(0), row.get(1)) {
        (false, _) => return Ok(None),
        (true, false) => {
            return Err(Error::refused("the target has a schema confiture_quarantine that is not from here")
                .hint("rename it: `sync --quarantine` keeps tables there until all are loaded"));
        }
        (true, true) => {}
    }
    let since = "SELECT pg_catalog.to_char(started, 'YYYY-MM-DD HH24:MI:SS') FROM confiture_quarantine.run";
    let since = session.query_opt(&Sql::literal(since), &[]).await?;
    let tables = "SELECT table_schema, table_name FROM confiture_quarantine.loaded ORDER BY finished";
    let tables = session.query(&Sql::literal(tables), &[]).await?;
    Ok(Some(Remains {
        since: since.map_or_else(|| "an unknown time".to_owned(), |row| row.get(0)),
        tables: tables
            .iter()
            .map(|row| QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1)))
            .collect(),
    }))
}

/// A run is continued from the same source and with the same key, or masks would not match.
async fn check_origin(sync: &Sync, session: &Session, remains: &Remains) -> Result<()> {
    let query = "SELECT source, key_id FROM confiture_quarantine.run";
    let row = session.query_one(&Sql::literal(query), &[]).await?;
    let (source, key): (String, Option<String>) = (row.get(0), row.get(1));
    let differs = match () {
        () if source != sync.plan.source => format!("came from {source}"),
        () if key != sync.plan.key_id => "had another key, so equal values would get other masks".to_owned(),
        () => return Ok(()),
    };
    Err(Error::refused(format!("the run of {} that --resume would go on with {differs}", remains.since))
        .hint("leave --resume out to begin anew, or `--repair` to throw its tables away"))
}

/// Removes the schema and what is in it, by name and without CASCADE. Runs within a transaction too.
pub(crate) async fn remove(session: &Session) -> Result<()> {
    let query = "SELECT relname::text FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.to_regnamespace('confiture_quarantine') AND relkind = 'r' ORDER BY 1";
    let rows = session.query(&Sql::literal(query), &[]).await?;
    let names: Vec<QualifiedName> =
        rows.iter().map(|row| QualifiedName::new(SCHEMA, row.get::<_, String>(0))).collect();
    let tables = sql!("DROP TABLE {}; DROP SCHEMA confiture_quarantine RESTRICT", Sql::join(", ", &names));
    session.batch(&tables).await.map_err(|error| error.context("removing the quarantine schema"))
}

/// The table as an earlier run has finished it; `None` where it has not, or by other rules, or where a crash of the server
/// has emptied it (unlogged tables are).
pub(crate) async fn finished(sync: &Sync, index: usize, session: &Session) -> Result<Option<Moved>> {
    let table = &sync.plan.tables[index];
    let query = "SELECT rows, bytes, snapshot, masked, unchanged, milliseconds FROM confiture_quarantine.loaded
        WHERE place = $1 AND identity = $2
        AND pg_catalog.to_regclass('confiture_quarantine.' || place) IS NOT NULL
        AND (rows = 0 OR pg_catalog.pg_relation_size(pg_catalog.to_regclass('confiture_quarantine.' || place)) > 0)";
    let place = place_of(sync, table);
    let row = session.query_opt(&Sql::literal(query), &[&place.name.as_str(), &table.identity]).await?;
    Ok(row.map(|row| moved(&row)))
}

fn moved(row: &Row) -> Moved {
    let (masked, unchanged): (Vec<i64>, Vec<i64>) = (row.get(3), row.get(4));
    let counts = masked.iter().zip(&unchanged).map(|(masked, unchanged)| Count {
        masked: masked.unsigned_abs(),
        unchanged: unchanged.unsigned_abs(),
    });
    Moved {
        rows: row.get::<_, i64>(0).unsigned_abs(),
        bytes: row.get::<_, i64>(1).unsigned_abs(),
        counts: counts.collect(),
        elapsed: Duration::from_millis(row.get::<_, i64>(5).unsigned_abs()),
        snapshot: row.get(2),
        earlier: true,
    }
}

/// Makes the table's place, empty. Unlogged: what a crash loses is loaded again.
pub(crate) async fn make_place(sync: &Sync, table: &TablePlan, session: &Session) -> Result<QualifiedName> {
    let place = place_of(sync, table);
    let forget = "DELETE FROM confiture_quarantine.loaded WHERE place = $1";
    session.execute(&Sql::literal(forget), &[&place.name.as_str()]).await?;
    let make = sql!(
        "DROP TABLE IF EXISTS {}; CREATE UNLOGGED TABLE {} (LIKE {} INCLUDING GENERATED INCLUDING CONSTRAINTS) WITH (autovacuum_enabled = off)",
        place,
        place,
        table.table
    );
    session.transaction(session.batch(&make)).await.map_err(|error| {
        error.context(format!("making a place for {} in quarantine", table.table.short()))
    })?;
    Ok(place)
}

/// Remembers that a table is whole.
pub(crate) async fn record(sync: &Sync, index: usize, moved: &Moved, session: &Session) -> Result<()> {
    let table = &sync.plan.tables[index];
    let numbers = |of: fn(&Count) -> u64| -> Vec<i64> {
        moved.counts.iter().map(|count| of(count).cast_signed()).collect()
    };
    let insert = "INSERT INTO confiture_quarantine.loaded
        (place, table_schema, table_name, identity, snapshot, rows, bytes, masked, unchanged, milliseconds)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    crate::failpoint::reached("table loaded");
    session
        .execute(
            &Sql::literal(insert),
            &[
                &place_of(sync, table).name.as_str(),
                &table.table.schema.as_str(),
                &table.table.name.as_str(),
                &table.identity,
                &moved.snapshot,
                &moved.rows.cast_signed(),
                &moved.bytes.cast_signed(),
                &numbers(|count| count.masked),
                &numbers(|count| count.unchanged),
                &i64::try_from(moved.elapsed.as_millis()).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    crate::failpoint::reached("table remembered");
    Ok(())
}

/// Moves one table's rows from its place to where they belong, within the publishing transaction.
pub(crate) async fn publish(sync: &Sync, index: usize, rows: u64, session: &Session) -> Result<()> {
    let table = &sync.plan.tables[index];
    let columns = Sql::join(", ", table.columns.iter().map(|column| &column.name));
    let place = place_of(sync, table);
    let insert = if table.columns.is_empty() {
        // A table without columns has rows all the same.
        sql!("INSERT INTO {} SELECT FROM {}", table.table, place)
    } else {
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
            table.table,
            columns,
            columns,
            place
        )
    };
    let context = |error: Error| error.context(format!("publishing {}", table.table.short()));
    let published = session.execute(&insert, &[]).await.map_err(context)?;
    if published == rows {
        return Ok(());
    }
    Err(Error::new(
        crate::ErrorKind::Found,
        format!(
            "{rows} rows of {} were loaded, and {published} could be published: nothing was changed",
            table.table.short()
        ),
    )
    .hint("a rule or a trigger of the target takes rows away"))
}

/// INSERT obeys rewrite rules where COPY does not: a table with one cannot be published from here.
pub(crate) async fn check_rules(sync: &Sync, session: &Session) -> Result<()> {
    let query = "SELECT rulename::text, ev_class::pg_catalog.regclass::text FROM pg_catalog.pg_rewrite
        WHERE ev_class = ANY($1) AND ev_type = '3' AND ev_enabled <> 'D' LIMIT 1";
    match session.query_opt(&Sql::literal(query), &[&sync.target_oids()]).await? {
        None => Ok(()),
        Some(row) => Err(Error::refused(format!(
            "{} has the rule {} on INSERT, which would change what --quarantine publishes",
            row.get::<_, String>(1),
            row.get::<_, String>(0)
        ))
        .hint("sync without --quarantine: COPY passes rules by")),
    }
}

/// Throws away what a run that was stopped has left in quarantine; `None` where there is nothing.
///
/// # Errors
///
/// [`ErrorKind::Locked`](crate::ErrorKind::Locked) where a run is at work.
pub async fn repair(target: &Connection) -> Result<Option<Remains>> {
    let lock = AdvisoryLock::take(target).await?;
    let session = lock.session();
    let removed = async {
        let remains = remains(session).await?;
        if remains.is_some() {
            session.transaction(remove(session)).await?;
        }
        Ok(remains)
    };
    let removed = removed.await;
    // Free when this returns: a connection that is closed frees it a moment later, and the next run would meet it.
    let released = lock.release().await;
    let remains = removed?;
    released.map(|()| remains)
}
