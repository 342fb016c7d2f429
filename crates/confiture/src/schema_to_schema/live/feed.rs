//! Which feed a migration follows by: chosen, set up, opened, taken away.

use std::time::Duration;

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::queue::{self, LockPatience, QueueFeed, Reader};
use crate::postgres::feed::wal::WalFeed;
use crate::postgres::feed::{CapturedTable, ChangeFeed, Obstacle, SnapshotImage};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::ledger::{self, FeedKind};
use crate::schema_to_schema::live::run::Capture;
#[cfg(feature = "failpoints")]
use crate::schema_to_schema::mutation::Mutation;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::plan::Topology;
use crate::schema_to_schema::planner::Migration;
use crate::sql::{QualifiedName, Sql};

/// A feed, and why that one.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) kind: FeedKind,
    pub(crate) reason: String,
}

impl Choice {
    /// What an earlier run chose.
    pub(crate) fn again(kind: FeedKind) -> Self {
        Self { kind, reason: "an earlier run chose it".into() }
    }
}

/// Chooses: the WAL where it can be had, because it costs the application least; else the queue.
pub(crate) async fn choose(
    capture: Capture,
    migration: &Migration,
    captured: &Captured,
    execution: &Execution,
) -> Result<Choice> {
    let (source, tables) = (&migration.source, captured.tables.as_slice());
    let only = |kind, reason: &str| Choice { kind, reason: reason.to_owned() };
    let choice = match capture {
        Capture::Only(FeedKind::Wal) if migration.plan.topology == Topology::OneDatabase => {
            return Err(Error::config(
                "both schemas are in one database, where changes are captured by the queue",
            )
            .hint("say --capture queue, or leave it out"));
        }
        Capture::Only(kind) => only(kind, "--capture says so"),
        Capture::Auto if migration.plan.topology == Topology::OneDatabase => {
            only(FeedKind::Queue, "both schemas are in one database: one transaction reads and writes")
        }
        Capture::Auto => match fatal(&obstacles(FeedKind::Wal, source, tables).await?) {
            None => only(FeedKind::Wal, "server and role allow it, and it costs the application least"),
            Some(obstacle) => Choice {
                kind: FeedKind::Queue,
                reason: format!("the WAL cannot tell, because {}", obstacle.message),
            },
        },
    };
    if choice.kind == FeedKind::Queue {
        queue::refuse_others(source, tables, None).await?;
    }
    let found = obstacles(choice.kind, source, tables).await?;
    if let Some(obstacle) = fatal(&found) {
        let what = format!("changes cannot be captured by the {}: {}", shown(choice.kind), obstacle.message);
        return Err(Error::new(ErrorKind::Unsafe, what).hint(obstacle.hint.clone()));
    }
    for obstacle in found {
        execution.warn(format!("{}; {}", obstacle.message, obstacle.hint));
    }
    execution.note(format!("Changes are captured by the {}: {}.", shown(choice.kind), choice.reason));
    if choice.kind == FeedKind::Wal && keeps_all_wal(source).await? {
        execution.note(
            "While no run follows, the source keeps all WAL that is written: max_slot_wal_keep_size is -1, and a disk that it fills stops the server.",
        );
    }
    Ok(choice)
}

/// True where the server keeps WAL for a slot however much it is.
async fn keeps_all_wal(source: &Session) -> Result<bool> {
    let query = Sql::literal("SELECT pg_catalog.current_setting('max_slot_wal_keep_size') = '-1'");
    Ok(source.query_one(&query, &[]).await?.get(0))
}

/// What stands in the way of the feed that would be chosen; empty where it can be set up.
pub(crate) async fn obstacles_of(
    capture: Capture,
    migration: &Migration,
    captured: &Captured,
) -> Result<Vec<Obstacle>> {
    let (source, tables) = (&migration.source, captured.tables.as_slice());
    let kind = match capture {
        Capture::Only(kind) => kind,
        Capture::Auto if migration.plan.topology == Topology::OneDatabase => FeedKind::Queue,
        Capture::Auto => match fatal(&obstacles(FeedKind::Wal, source, tables).await?) {
            None => FeedKind::Wal,
            Some(_) => FeedKind::Queue,
        },
    };
    obstacles(kind, source, tables).await
}

/// What stands in the way of a feed.
async fn obstacles(kind: FeedKind, source: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
    match kind {
        FeedKind::Queue => queue::obstacles(source, tables).await,
        FeedKind::Wal => WalFeed::obstacles(source, tables).await,
    }
}

fn fatal(obstacles: &[Obstacle]) -> Option<&Obstacle> {
    obstacles.iter().find(|obstacle| obstacle.fatal)
}

fn shown(kind: FeedKind) -> &'static str {
    match kind {
        FeedKind::Wal => "WAL",
        FeedKind::Queue => "queue",
    }
}

/// A new migration's name on the source.
pub(crate) async fn new_id(target: &Session) -> Result<String> {
    let draw = Sql::literal("SELECT pg_catalog.substr(pg_catalog.md5(pg_catalog.random()::text), 1, 8)");
    Ok(target.query_one(&draw, &[]).await?.get(0))
}

/// How long to wait for transactions that are open, where nobody says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Begins to capture: from its end on, no change is missed. What an earlier run left half done is done. Waits so long for open
/// transactions, and nobody else for it.
pub(crate) async fn set_up(
    kind: FeedKind,
    id: &str,
    options: &Options,
    captured: &Captured,
    longest: Duration,
    execution: &Execution,
) -> Result<()> {
    let session = Session::connect(&options.source).await?;
    match kind {
        FeedKind::Queue => {
            queue::refuse_others(&session, &captured.tables, Some(id)).await?;
            let patience = LockPatience { total: longest, ..patience() };
            queue::set_up(&session, &captured.tables, patience, execution).await?;
            queue::claim(&session, &captured.tables, &reader(id, options)).await
        }
        FeedKind::Wal => {
            WalFeed::create_for(&options.source, &captured.tables, id, longest, execution).await?;
            Ok(())
        }
    }
}

/// Statements that capture `tables` by queues that the migration `id` reads, for a transaction in which nobody else writes to
/// them.
pub(crate) async fn queue_statements(
    session: &Session,
    tables: &[CapturedTable],
    id: &str,
    options: &Options,
) -> Result<Sql> {
    let mut statements = queue::set_up_statements(session, tables).await?;
    let reader = reader(id, options);
    statements.extend(tables.iter().map(|table| queue::claim_statement(table, &reader)));
    let ended = statements.iter().map(|statement| crate::sql::sql!("{};\n", statement));
    Ok(Sql::join("", ended))
}

/// Opens the feed where the last committed batch was, whose snapshot was `since`.
pub(crate) async fn open(
    kind: FeedKind,
    id: &str,
    options: &Options,
    captured: &Captured,
    since: Option<SnapshotImage>,
) -> Result<Box<dyn ChangeFeed + Sync>> {
    match kind {
        FeedKind::Queue => {
            Ok(Box::new(QueueFeed::open(&options.source, captured.tables.clone(), since).await?))
        }
        FeedKind::Wal => {
            let name = WalFeed::name(id);
            let (slot, publication) = (name.as_str(), name.as_str());
            let feed =
                WalFeed::open(&options.source, &captured.tables, slot, publication).await?.after(since);
            #[cfg(feature = "failpoints")]
            let feed = erring(feed);
            Ok(Box::new(feed))
        }
    }
}

/// The same feed, with the fault of this process.
#[cfg(feature = "failpoints")]
fn erring(mut feed: WalFeed) -> WalFeed {
    if let Some(fault) = crate::schema_to_schema::mutation::chosen().and_then(Mutation::of_wal) {
        feed.mutate(fault);
    }
    feed
}

/// Looks whether changes are still captured, and by what everything is that is not: a sentence each.
pub(crate) async fn gaps(
    kind: FeedKind,
    id: &str,
    source: &Session,
    captured: &Captured,
) -> Result<Vec<String>> {
    if kind == FeedKind::Wal {
        let table = WalFeed::unpublished(source, &captured.tables, &WalFeed::name(id)).await?;
        let shown = |table: &CapturedTable| format!("{}: it is no longer published", table.name.short());
        return Ok(table.map(shown).into_iter().collect());
    }
    let gaps = queue::gaps(source, &captured.tables).await?;
    Ok(gaps.iter().map(|gap| format!("{}: {}", gap.table.short(), gap.message)).collect())
}

/// Looks whether changes are captured for this migration.
pub(crate) async fn refuse_others(
    kind: FeedKind,
    id: &str,
    source: &Session,
    captured: &Captured,
) -> Result<()> {
    match kind {
        FeedKind::Wal => Ok(()),
        FeedKind::Queue => queue::refuse_others(source, &captured.tables, Some(id)).await,
    }
}

/// Mends the queue's triggers, where somebody broke it. Returns the tables of which changes may have been missed and that
/// the feed itself does not give as a whole.
pub(crate) async fn mend(
    id: &str,
    options: &Options,
    captured: &Captured,
    execution: &Execution,
) -> Result<Vec<QualifiedName>> {
    let session = Session::connect(&options.source).await?;
    let anew = queue::set_up(&session, &captured.tables, patience(), execution).await?;
    queue::claim(&session, &captured.tables, &reader(id, options)).await?;
    Ok(anew)
}

/// The migration, as its queues name it.
fn reader(id: &str, options: &Options) -> Reader {
    Reader { migration: id.to_owned(), target: options.target.to_string() }
}

/// Takes away what captures changes for the migration into `target`, and nothing that another one reads. Returns whether
/// there was something.
///
/// Where the target remembers no migration, because it was made anew, that is a queue which says that it is read into it.
pub(crate) async fn remove(
    source: Option<&Connection>,
    target: &Session,
    execution: &Execution,
) -> Result<bool> {
    let record = ledger::read(target).await?;
    let Some(source) = source else {
        return match record {
            None => Ok(false),
            Some(_) => Err(Error::usage(
                "changes of the source are captured, and no source is named to remove that from",
            )
            .hint("name it with --from")),
        };
    };
    let session = Session::connect(source).await?;
    if let Some(record) = record.as_ref().filter(|record| record.feed == FeedKind::Wal) {
        let name = WalFeed::name(&record.id);
        WalFeed::drop_slot_and_publication(&session, &name, &name).await?;
        return Ok(true);
    }
    let shown = target.connection().to_string();
    let is_ours = |reader: Option<&Reader>| match (&record, reader) {
        (Some(record), Some(reader)) => reader.migration == record.id,
        // Made, and cut short before anybody said who reads it.
        (Some(_), None) => true,
        (None, reader) => reader.is_some_and(|reader| reader.target == shown),
    };
    let queues = queue::queues(&session).await?;
    let ours: Vec<_> =
        queues.iter().filter(|queue| is_ours(queue.reader.as_ref())).map(|queue| queue.table).collect();
    if record.is_some() || !ours.is_empty() {
        queue::tear_down(&session, Some(&ours), patience(), execution).await?;
    }
    Ok(record.is_some() || !ours.is_empty())
}

/// What the slot and the publication of the migration `id` are called.
pub(crate) fn name(id: &str) -> String {
    WalFeed::name(id).as_str().to_owned()
}

/// The publication by which the migration `id` captures; empty where triggers do.
pub(crate) fn publication(kind: FeedKind, id: &str) -> String {
    match kind {
        FeedKind::Wal => name(id),
        FeedKind::Queue => String::new(),
    }
}

/// Lets go of everything that the slot of the migration `id`, which nobody reads, has captured until now.
pub(crate) async fn skip(id: &str, source: &Session) -> Result<()> {
    WalFeed::skip(source, &WalFeed::name(id)).await
}

/// Takes away, in one database, queues of a direction that has ended: everything that is read into the database itself, but
/// not by `id`.
pub(crate) async fn tear_down_ended(id: &str, database: &Connection, execution: &Execution) -> Result<()> {
    let session = Session::connect(database).await?;
    let shown = database.to_string();
    let has_ended = |reader: &Reader| reader.migration != id && reader.target == shown;
    let queues = queue::queues(&session).await?;
    let ended: Vec<_> = queues
        .iter()
        .filter(|queue| queue.reader.as_ref().is_some_and(has_ended))
        .map(|queue| queue.table)
        .collect();
    match ended.is_empty() {
        true => Ok(()),
        false => queue::tear_down(&session, Some(&ended), patience(), execution).await,
    }
}

/// Takes away what captured changes for the migration `id`, once nobody reads them any more.
pub(crate) async fn tear_down(
    kind: FeedKind,
    id: &str,
    source: &Connection,
    execution: &Execution,
) -> Result<()> {
    let session = Session::connect(source).await?;
    match kind {
        FeedKind::Wal => {
            let name = WalFeed::name(id);
            WalFeed::drop_slot_and_publication(&session, &name, &name).await
        }
        FeedKind::Queue => {
            let is_ours = |reader: &Reader| reader.migration == id;
            let queues = queue::queues(&session).await?;
            let ours: Vec<_> = queues
                .iter()
                .filter(|queue| queue.reader.as_ref().is_some_and(is_ours))
                .map(|queue| queue.table)
                .collect();
            match ours.is_empty() {
                true => Ok(()),
                false => queue::tear_down(&session, Some(&ours), patience(), execution).await,
            }
        }
    }
}

fn patience() -> LockPatience {
    LockPatience { total: PATIENCE, ..LockPatience::default() }
}
