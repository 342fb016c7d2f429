//! The slot and the publication: making, checking, freeing and dropping them.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::thread::Thread;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, FeedState, SnapshotImage};
use crate::postgres::replication::Replication;
use crate::sql::{Identifier, Literal, Sql, hexadecimal, sql};

/// What our publications say about themselves.
const COMMENT: &str = "made by Confiture; it goes with the migration";

/// Kilobytes of changes from which on the server sends a transaction before it has ended; the least that there is in tests.
const DECODING_MEMORY: usize = if cfg!(feature = "failpoints") { 64 } else { 16 << 10 };

/// Between two looks at something that another process does.
const LOOK: Duration = Duration::from_millis(20);

/// How long a walsender whose client is gone may take to notice, before it is ended.
const SHORTLY: Duration = Duration::from_secs(2);

/// How long a walsender that was asked to end may take.
const ENDING: Duration = Duration::from_secs(10);

/// The slot no longer has what was not confirmed: a new one has to be made, and the data compared. The source of an [`Error`]
/// of kind [`ErrorKind::Unsafe`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotLost {
    /// The slot.
    pub slot: String,
}

impl SlotLost {
    /// The lost slot under an error.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error).and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for SlotLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.slot)
    }
}

impl std::error::Error for SlotLost {}

pub(super) fn lost(slot: &Identifier, why: &str) -> Error {
    Error::refused(format!("the replication slot {slot} is lost: {why}"))
        .hint("make the slot again and compare both sides: changes since the last batch are known to no one")
        .because(SlotLost { slot: slot.as_str().to_owned() })
}

/// `confiture_` and the migration, with a digest where letters were changed: slots know few.
pub(super) fn name(migration: &str) -> Identifier {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut name: String = migration.chars().map(|c| c.to_ascii_lowercase()).collect();
    name = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if name != migration || name.len() > 50 {
        let digest = Sha256::digest(migration.as_bytes());
        name.truncate(40);
        name = format!("{name}_{}", hexadecimal(&digest[..4]));
    }
    Identifier::new(format!("confiture_{name}"))
}

/// Publishes the tables, in one transaction with the comment that says that the publication is ours.
///
/// Partitions are published as themselves: as their root, what `TRUNCATE` does to one of them would not be told.
pub(super) async fn publish(
    session: &Session,
    publication: &Identifier,
    tables: &[CapturedTable],
) -> Result<()> {
    let names = Sql::join(", ", tables.iter().map(|table| sql!("ONLY {}", table.name)));
    let what = if tables.is_empty() { Sql::default() } else { sql!("FOR TABLE {}", names) };
    session
        .batch(&sql!(
            "SET LOCAL lock_timeout = '10s'; \
             CREATE PUBLICATION {} {} WITH (publish = 'insert, update, delete, truncate'); \
             COMMENT ON PUBLICATION {} IS {}",
            publication,
            what,
            publication,
            Literal(COMMENT)
        ))
        .await
        .map_err(|error| error.context(format_args!("publishing the tables as {publication}")))
}

/// Makes the slot, and waits until every transaction that it will not deliver is visible to everyone.
///
/// A commit record precedes visibility: a transaction whose record is before the slot's beginning may not be visible yet when
/// the slot is there, as where it waits for a synchronous standby. A copy that begins now would not have it, and the slot will
/// not give it.
pub(super) async fn make(
    session: &Session,
    slot: &Identifier,
    patience: Duration,
    thread: &Thread,
    execution: &Execution,
) -> Result<Replication> {
    let until = Instant::now() + patience;
    let mut replication = thread.within(Replication::connect(session)).await?;
    let pid = single(replication.query(&Sql::literal("SELECT pg_catalog.pg_backend_pid()")).await?, 0)?;
    // The older spelling of the option, which every version takes.
    let command = sql!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT", slot);
    let pid: i32 = pid.parse().unwrap_or_default();
    let made = tokio::select! {
        made = tokio::time::timeout_at(until, replication.query(&command)) => made,
        () = say_who(session, slot, pid, execution) => unreachable!("it is said for as long as it takes"),
    };
    let made = match made {
        Ok(made) => made.map_err(|error| error.context(format_args!("making the slot {slot}")))?,
        Err(_) => return Err(kept_waiting(session, slot, None, pid).await),
    };
    let exported = single(made, 2)?;
    // A session of its own, as the snapshot lives only until the next command of the one that made it.
    let reader = Session::connect(session.connection()).await?;
    reader
        .batch(&sql!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            Literal(&exported)
        ))
        .await?;
    let before = current_snapshot(&reader).await?;
    drop(reader);
    loop {
        let now = current_snapshot(session).await?;
        // Also those that are newer than all that have ended.
        let newer = now.xmax()..before.xmax();
        let open: Vec<u64> =
            now.in_progress().chain(newer).filter(|transaction| before.sees(*transaction)).collect();
        if open.is_empty() {
            return Ok(replication);
        }
        if Instant::now() >= until {
            return Err(kept_waiting(session, slot, Some(&open), 0).await);
        }
        sleep(LOOK).await;
    }
}

async fn current_snapshot(session: &Session) -> Result<SnapshotImage> {
    let query = Sql::literal("SELECT pg_catalog.pg_current_snapshot()::text");
    session.query_one(&query, &[]).await?.get::<_, String>(0).parse()
}

fn single(rows: Vec<Vec<Option<String>>>, column: usize) -> Result<String> {
    let row = rows.into_iter().next();
    row.and_then(|row| row.into_iter().nth(column).flatten())
        .ok_or_else(|| Error::unexpected("a replication command was answered with nothing"))
}

/// Says who is waited for, once that takes longer, and again where it is somebody else.
async fn say_who(session: &Session, slot: &Identifier, pid: i32, execution: &Execution) {
    const LONGER: Duration = Duration::from_secs(1);
    let mut said = Vec::new();
    loop {
        sleep(LONGER).await;
        let now = open_writers(session, None, pid).await;
        let is_new = |who: &&String| !said.contains(&pid_of(who));
        if let Some(who) = now.iter().find(is_new) {
            execution
                .note(format!("Making the slot {slot} waits for {who}; it goes on as soon as that ends."));
        }
        said = now.iter().map(|who| pid_of(who)).collect();
    }
}

/// `pid 7` of `pid 7 (role app, for 3 s)`.
fn pid_of(who: &str) -> String {
    who.split(" (").next().unwrap_or_default().to_owned()
}

/// Whose transactions are open, a line each.
async fn open_writers(session: &Session, open: Option<&[u64]>, pid: i32) -> Vec<String> {
    let query = Sql::literal(include_str!("../../queries/open_writers.sql"));
    let numbers: Option<Vec<String>> =
        open.map(|open| open.iter().map(|one| (one & 0xffff_ffff).to_string()).collect());
    let rows = session.query(&query, &[&numbers, &pid]).await.unwrap_or_default();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The error that names the transactions that do not end.
async fn kept_waiting(session: &Session, slot: &Identifier, open: Option<&[u64]>, pid: i32) -> Error {
    let shown = open_writers(session, open, pid).await;
    let who = if shown.is_empty() { "transactions of other roles".to_owned() } else { shown.join("; ") };
    Error::new(ErrorKind::Server, format!("the slot {slot} waits for transactions that are open: {who}"))
        .sqlstate("55P03")
        .hint(
            "wait until they end, or end them (pg_terminate_backend, ROLLBACK PREPARED); then run this again",
        )
}

/// Starts the stream, from what was last confirmed.
pub(super) async fn start(
    session: &Session,
    replication: &mut Replication,
    slot: &Identifier,
    publication: &Identifier,
) -> Result<()> {
    // A list of names, quoted as such, within a literal.
    let publications = publication.to_string();
    let command = sql!(
        "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '2', streaming 'on', publication_names {}, messages 'true')",
        slot,
        Literal(&publications)
    );
    replication.query(&sql!("SET logical_decoding_work_mem = {}", DECODING_MEMORY)).await?;
    let until = Instant::now() + ENDING;
    loop {
        match replication.start(&command).await {
            // In use: by one whose client has just gone.
            Err(error) if error.sqlstate_code() == Some("55006") && Instant::now() < until => {
                free(session, slot).await?;
            }
            Err(error) => {
                check(session, slot).await?;
                return Err(error.context(format_args!("reading the slot {slot}")));
            }
            Ok(()) => return Ok(()),
        }
    }
}

/// The slot as `pg_replication_slots` has it.
async fn read(session: &Session, slot: &Identifier) -> Result<Option<tokio_postgres::Row>> {
    session
        .query_opt(&Sql::literal(include_str!("../../queries/replication_slot.sql")), &[&slot.as_str()])
        .await
}

/// Errs where the slot is gone, or its WAL is.
pub(super) async fn check(session: &Session, slot: &Identifier) -> Result<()> {
    let Some(row) = read(session, slot).await? else {
        return Err(lost(slot, "somebody dropped it"));
    };
    let status: Option<&str> = row.get("wal_status");
    let reason: Option<&str> = row.get("reason");
    match (status, reason) {
        (_, Some("wal_removed")) | (Some("lost"), None) => Err(lost(
            slot,
            "the server removed WAL that it still needed, as there was more than max_slot_wal_keep_size",
        )),
        (_, Some(reason)) => Err(lost(slot, &format!("the server invalidated it ({reason})"))),
        _ => Ok(()),
    }
}

/// Waits until nobody reads the slot: shortly by itself, then its walsender is ended.
pub(super) async fn free(session: &Session, slot: &Identifier) -> Result<()> {
    let begun = Instant::now();
    let mut asked = false;
    loop {
        let Some(row) = read(session, slot).await? else { return Ok(()) };
        let Some(pid) = row.get::<_, Option<i32>>("active_pid") else { return Ok(()) };
        if begun.elapsed() > ENDING {
            return Err(in_use(slot, pid));
        }
        if !asked && begun.elapsed() > SHORTLY {
            asked = true;
            end(session, slot, pid).await?;
        }
        sleep(LOOK).await;
    }
}

/// Lets go of everything that a slot has captured until now, once nobody reads it.
pub(super) async fn skip(session: &Session, slot: &Identifier) -> Result<()> {
    let skip = Sql::literal(
        "SELECT pg_catalog.pg_replication_slot_advance($1::pg_catalog.name, pg_catalog.pg_current_wal_insert_lsn())",
    );
    let until = Instant::now() + ENDING;
    loop {
        // The walsender of whoever has just read it may still be there.
        free(session, slot).await?;
        match session.query(&skip, &[&slot.as_str()]).await {
            Err(error) if error.sqlstate_code() == Some("55006") && Instant::now() < until => {}
            skipped => return skipped.map(|_| ()),
        }
    }
}

async fn end(session: &Session, slot: &Identifier, pid: i32) -> Result<()> {
    session
        .query(&Sql::literal("SELECT pg_catalog.pg_terminate_backend($1)"), &[&pid])
        .await
        .map(|_| ())
        .map_err(|error| match error.sqlstate_code() {
            Some("42501") => in_use(slot, pid),
            _ => error,
        })
}

fn in_use(slot: &Identifier, pid: i32) -> Error {
    Error::new(
        ErrorKind::Locked,
        format!("the replication slot {slot} is being read by another process, pid {pid}"),
    )
    .hint(format!(
        "stop the program that reads it, or end it: SELECT pg_terminate_backend({pid}); then run this again"
    ))
}

/// Drops both, where they are there and ours.
pub(super) async fn drop_both(session: &Session, slot: &Identifier, publication: &Identifier) -> Result<()> {
    let described = Sql::literal(
        "SELECT pg_catalog.obj_description(oid, 'pg_publication') IS NOT DISTINCT FROM $2::text \
         FROM pg_catalog.pg_publication WHERE pubname::text = $1::text",
    );
    let published = session.query_opt(&described, &[&publication.as_str(), &COMMENT]).await?;
    let foreign = |what: &str, name: &Identifier| {
        Error::refused(format!("the {what} {name} was not made by Confiture"))
            .hint(format!("drop or rename the {what} yourself, if nobody needs it"))
    };
    if published.as_ref().is_some_and(|row| !row.get::<_, bool>(0)) {
        return Err(foreign("publication", publication));
    }
    let begun = Instant::now();
    let mut ended = None;
    while let Some(row) = read(session, slot).await? {
        if !row.get::<_, Option<bool>>("ours").unwrap_or_default() {
            return Err(foreign("replication slot", slot));
        }
        let active: Option<i32> = row.get("active_pid");
        match active {
            Some(pid) if begun.elapsed() > ENDING => return Err(in_use(slot, pid)),
            Some(pid) => {
                if ended != active {
                    end(session, slot, pid).await?;
                    ended = active;
                }
                sleep(LOOK).await;
            }
            None => {
                let drop = Sql::literal("SELECT pg_catalog.pg_drop_replication_slot($1::text::name)");
                match session.query(&drop, &[&slot.as_str()]).await {
                    // Gone meanwhile, or taken by somebody.
                    Err(error) if matches!(error.sqlstate_code(), Some("42704" | "55006")) => {}
                    outcome => outcome.map(|_| ())?,
                }
            }
        }
    }
    if published.is_some() {
        session.batch(&sql!("DROP PUBLICATION IF EXISTS {}", publication)).await?;
    }
    Ok(())
}

/// What the server keeps for the slot.
pub(super) async fn state(session: &Session, slot: &Identifier) -> Result<FeedState> {
    check(session, slot).await?;
    let Some(row) = read(session, slot).await? else { return Ok(FeedState::default()) };
    let retained: Option<i64> = row.get("retained");
    let safe: Option<i64> = row.get("safe_wal_size");
    let mut warnings = Vec::new();
    if row.get::<_, Option<&str>>("wal_status") == Some("unreserved") {
        warnings.push(format!(
            "The replication slot {slot} is about to be lost: the server may remove the WAL that it needs at the next \
             checkpoint. Raise max_slot_wal_keep_size now."
        ));
    } else if let (Some(safe), Some(retained)) = (safe, retained)
        && safe < retained
    {
        warnings.push(format!(
            "The replication slot {slot} has used more than half of max_slot_wal_keep_size: {} MB are left before it is lost.",
            safe.max(0) >> 20
        ));
    }
    Ok(FeedState { retained_bytes: retained.unwrap_or_default().max(0).unsigned_abs(), warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_has_a_name_of_its_own_that_slots_take() {
        assert_eq!(name("20261121_users").as_str(), "confiture_20261121_users");
        let long = "x".repeat(200);
        let odd = ["Users", "users ", "ü'\"", "", long.as_str()];
        let names: std::collections::BTreeSet<String> =
            odd.iter().map(|migration| name(migration).as_str().to_owned()).collect();
        assert_eq!(names.len(), odd.len());
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(names.iter().all(|name| name.len() <= 63 && name.chars().all(fits)), "{names:?}");
    }
}
