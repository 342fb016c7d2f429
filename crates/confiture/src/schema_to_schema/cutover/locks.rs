//! The lock that keeps writers waiting while the last changes cross, taken without ever keeping them waiting for long.

use std::time::Duration;

use crate::catalog::Oid;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// A session whose transaction ends by itself where this process, or the network, no longer speaks to it.
pub(crate) async fn connect(connection: &Connection, longest: Duration) -> Result<Session> {
    let session = Session::connect(connection).await?;
    let idle = format!("{}ms", (longest + Duration::from_secs(1)).as_millis());
    let set = sql!(
        "SET idle_in_transaction_session_timeout = {}; SET lock_timeout = '300ms';
         SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3",
        Literal(&idle)
    );
    session.batch(&set).await?;
    give_way(&session).await?;
    // Servers on some platforms cannot, and say so.
    match session.batch(&Sql::literal("SET client_connection_check_interval = '1s'")).await {
        Err(error) if error.kind() != ErrorKind::Server => Err(error),
        _ => Ok(session),
    }
}

/// Has a session be the victim of a deadlock before anybody else is, where its role may say so; else a try ends by its timeout.
pub(crate) async fn give_way(session: &Session) -> Result<()> {
    match session.batch(&Sql::literal("SET deadlock_timeout = '50ms'")).await {
        Err(error) if error.kind() != ErrorKind::Server => Err(error),
        _ => Ok(()),
    }
}

/// Begins a transaction that holds all of `tables` against writers; waits no longer than `patience` for all of them, because
/// writers wait behind it.
pub(crate) async fn begin(session: &Session, tables: &[QualifiedName], patience: Duration) -> Result<()> {
    let patience = format!("{}ms", patience.as_millis().max(1));
    let script = sql!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = {};
         {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '300ms'",
        Literal(&patience),
        statement(tables, "SHARE ROW EXCLUSIVE")
    );
    let taken = session.batch(&script).await;
    if taken.is_err() {
        session.batch(&Sql::literal("ROLLBACK")).await.ok();
    }
    taken
}

/// `LOCK TABLE a, b IN … MODE`, with their partitions.
pub(crate) fn statement(tables: &[QualifiedName], mode: &'static str) -> Sql {
    sql!("LOCK TABLE {} IN {} MODE", Sql::join(", ", tables), Sql::literal(mode))
}

/// True of an error that another try may not meet: a lock that somebody holds, a deadlock.
pub(crate) fn is_in_the_way(error: &Error) -> bool {
    matches!(error.sqlstate_code(), Some("55P03" | "57014" | "40P01"))
}

/// Who holds a lock on one of the relations that writers, or with `any` also readers, would hold.
pub(crate) async fn holder(session: &Session, relations: &[Oid], any: bool) -> Option<String> {
    let query = Sql::literal(include_str!("../../postgres/queries/queue/lock_holders.sql"));
    let rows = session.query(&query, &[&relations, &any]).await.ok()?;
    let row = rows.first()?;
    Some(format!("{} holds a lock on {}", row.get::<_, &str>(0), row.get::<_, &str>(1)))
}
