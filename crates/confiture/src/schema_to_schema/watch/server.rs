//! How a server is: connections, who waits for whom, what takes long. Never the text of a statement, which may hold values.

use serde::Serialize;

use super::Side;
use crate::config::Connection;
use crate::error::Result;
use crate::postgres::{Row, Session};
use crate::sql::Sql;

/// A server, as it was found.
#[derive(Debug, Clone, Serialize)]
pub struct ServerSight {
    /// Which of both.
    pub side: Side,
    /// `user@host:port/database`.
    pub address: String,
    /// Why it does not answer; `None` where it does.
    pub error: Option<String>,
    /// Its version, as `15.18`.
    pub version: Option<String>,
    /// Connections by database.
    pub databases: Vec<DatabaseConnections>,
    /// Who waits for a lock in this database, the longest first.
    pub lock_waits: Vec<LockWait>,
    /// Statements of this database that have been running for more than five seconds.
    pub slow_statements: Vec<SlowStatement>,
    /// What replication slots keep; of the source.
    pub retained: Vec<Retained>,
    /// What would keep a cutover waiting; of the source.
    pub obstacles: Option<Obstacles>,
}

/// Connections to one database.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseConnections {
    /// The database.
    pub database: String,
    /// All of them.
    pub connections: i64,
    /// Those that run a statement.
    pub active: i64,
    /// Those that do nothing.
    pub idle: i64,
    /// Those that do nothing within a transaction.
    pub idle_in_transaction: i64,
    /// Those that wait for a lock.
    pub waiting_for_a_lock: i64,
    /// Seconds since its oldest transaction began.
    pub oldest_transaction_seconds: f64,
    /// How many the server allows in all.
    pub allowed: i64,
}

/// A session that waits for a lock.
#[derive(Debug, Clone, Serialize)]
pub struct LockWait {
    /// Who waits.
    pub pid: i32,
    /// For how long.
    pub waits_seconds: f64,
    /// Its role.
    pub role: Option<String>,
    /// What it calls itself.
    pub application: Option<String>,
    /// The lock that it wants: `RowExclusiveLock on orders`.
    pub wants: Option<String>,
    /// Who is in the way.
    pub blocked_by: Option<String>,
}

/// A statement that runs for long.
#[derive(Debug, Clone, Serialize)]
pub struct SlowStatement {
    /// Who runs it.
    pub pid: i32,
    /// For how long.
    pub runs_seconds: f64,
    /// Its role.
    pub role: Option<String>,
    /// What it calls itself.
    pub application: Option<String>,
    /// What it waits for: `IO: DataFileRead`.
    pub waits_for: Option<String>,
}

/// What a replication slot keeps.
#[derive(Debug, Clone, Serialize)]
pub struct Retained {
    /// The slot.
    pub slot: String,
    /// True while somebody reads it.
    pub active: bool,
    /// Whether its WAL is still there: `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: Option<String>,
    /// Bytes of WAL.
    pub bytes_kept: Option<i64>,
}

/// What would keep a cutover waiting.
#[derive(Debug, Clone, Serialize)]
pub struct Obstacles {
    /// Transactions that were prepared and neither committed nor rolled back.
    pub prepared_transactions: i64,
    /// Seconds since the oldest transaction began that has written.
    pub oldest_writer_seconds: f64,
}

impl ServerSight {
    /// One that does not answer.
    pub(super) fn away(side: Side, connection: &Connection, why: &str) -> Self {
        Self { error: Some(why.to_owned()), ..Self::new(side, connection) }
    }

    fn new(side: Side, connection: &Connection) -> Self {
        Self {
            side,
            address: connection.to_string(),
            error: None,
            version: None,
            databases: Vec::new(),
            lock_waits: Vec::new(),
            slow_statements: Vec::new(),
            retained: Vec::new(),
            obstacles: None,
        }
    }
}

/// Looks at a server.
pub(super) async fn read(side: Side, session: &Session) -> Result<ServerSight> {
    let mut seen = ServerSight::new(side, session.connection());
    let version = session.server_version();
    seen.version = Some(format!("{}.{}", version / 10_000, version % 10_000));
    let connections = rows(session, include_str!("../../postgres/queries/monitoring/connections.sql"));
    let waits = rows(session, include_str!("../../postgres/queries/monitoring/lock_waits.sql"));
    let slow = rows(session, include_str!("../../postgres/queries/monitoring/slow_statements.sql"));
    let (connections, waits, slow) = tokio::try_join!(connections, waits, slow)?;
    seen.databases = connections.iter().map(database).collect();
    seen.lock_waits = waits.iter().map(lock_wait).collect();
    seen.slow_statements = slow.iter().map(slow_statement).collect();
    if side == Side::Source {
        let retained = rows(session, include_str!("../../postgres/queries/monitoring/retained.sql")).await?;
        seen.retained = retained.iter().map(slot).collect();
        let obstacles = include_str!("../../postgres/queries/monitoring/source_obstacles.sql");
        let row = session.query_one(&Sql::literal(obstacles), &[]).await?;
        seen.obstacles =
            Some(Obstacles { prepared_transactions: row.get(0), oldest_writer_seconds: row.get(1) });
    }
    Ok(seen)
}

async fn rows(session: &Session, query: &'static str) -> Result<Vec<Row>> {
    session.query(&Sql::literal(query), &[]).await
}

fn database(row: &Row) -> DatabaseConnections {
    DatabaseConnections {
        database: row.get(0),
        connections: row.get(1),
        active: row.get(2),
        idle: row.get(3),
        idle_in_transaction: row.get(4),
        waiting_for_a_lock: row.get(5),
        oldest_transaction_seconds: row.get(6),
        allowed: row.get(7),
    }
}

fn lock_wait(row: &Row) -> LockWait {
    LockWait {
        pid: row.get(0),
        waits_seconds: row.get(1),
        role: row.get(2),
        application: row.get(3),
        wants: row.get(4),
        blocked_by: row.get(5),
    }
}

fn slow_statement(row: &Row) -> SlowStatement {
    SlowStatement {
        pid: row.get(0),
        runs_seconds: row.get(1),
        role: row.get(2),
        application: row.get(3),
        waits_for: row.get(4),
    }
}

fn slot(row: &Row) -> Retained {
    Retained { slot: row.get(0), active: row.get(1), wal_status: row.get(2), bytes_kept: row.get(3) }
}
