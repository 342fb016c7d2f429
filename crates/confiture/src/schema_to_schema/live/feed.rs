//! Which feed a migration follows by: chosen, set up, opened, taken away.

use std::time::Duration;

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::postgres::feed::queue::{self, LockPatience, QueueFeed};
use crate::postgres::feed::wal::WalFeed;
use crate::postgres::feed::{CapturedTable, ChangeFeed, Obstacle, SnapshotImage};
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::ledger::{self, FeedKind};
use crate::schema_to_schema::live::run::Capture;
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
    let found = obstacles(choice.kind, source, tables).await?;
    if let Some(obstacle) = fatal(&found) {
        let what = format!("changes cannot be captured by the {}: {}", shown(choice.kind), obstacle.message);
        return Err(Error::new(ErrorKind::Unsafe, what).hint(obstacle.hint.clone()));
    }
    for obstacle in found {
        execution.warn(format!("{}; {}", obstacle.message, obstacle.hint));
    }
    execution.note(format!("Changes are captured by the {}: {}.", shown(choice.kind), choice.reason));
    Ok(choice)
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

/// Begins to capture: from its end on, no change is missed. What an earlier run left half done is done.
pub(crate) async fn set_up(
    kind: FeedKind,
    id: &str,
    options: &Options,
    captured: &Captured,
    execution: &Execution,
) -> Result<()> {
    let session = Session::connect(&options.source).await?;
    match kind {
        FeedKind::Queue => {
            queue::set_up(&session, &captured.tables, patience(), execution).await?;
            Ok(())
        }
        FeedKind::Wal => {
            WalFeed::create(&options.source, &captured.tables, id, patience().total).await?;
            Ok(())
        }
    }
}

/// Opens the feed where the last confirmed batch was.
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
            Ok(Box::new(WalFeed::open(&options.source, &captured.tables, slot, publication).await?))
        }
    }
}

/// Looks whether changes are still captured, and by what everything is that is not: a sentence each.
pub(crate) async fn gaps(kind: FeedKind, source: &Session, captured: &Captured) -> Result<Vec<String>> {
    if kind == FeedKind::Wal {
        return Ok(Vec::new());
    }
    let gaps = queue::gaps(source, &captured.tables).await?;
    Ok(gaps.iter().map(|gap| format!("{}: {}", gap.table.short(), gap.message)).collect())
}

/// Mends what captures changes, where somebody broke it. Returns the tables of which changes may have been missed and that
/// the feed itself does not give as a whole.
pub(crate) async fn mend(
    options: &Options,
    captured: &Captured,
    execution: &Execution,
) -> Result<Vec<QualifiedName>> {
    let session = Session::connect(&options.source).await?;
    queue::set_up(&session, &captured.tables, patience(), execution).await
}

/// Takes away what captures changes for the migration into `target`. Returns whether there was something.
pub(crate) async fn remove(
    source: Option<&Connection>,
    target: &Session,
    execution: &Execution,
) -> Result<bool> {
    let Some(record) = ledger::read(target).await? else { return Ok(false) };
    let Some(source) = source else {
        return Err(Error::usage(
            "changes of the source are captured, and no source is named to remove that from",
        )
        .hint("name it with --from"));
    };
    let session = Session::connect(source).await?;
    match record.feed {
        FeedKind::Queue => queue::tear_down(&session, None, patience(), execution).await?,
        FeedKind::Wal => {
            let name = WalFeed::name(&record.id);
            WalFeed::drop_slot_and_publication(&session, &name, &name).await?;
        }
    }
    Ok(true)
}

fn patience() -> LockPatience {
    LockPatience { total: Duration::from_secs(30), ..LockPatience::default() }
}
