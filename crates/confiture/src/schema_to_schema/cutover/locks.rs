//! The lock that keeps writers waiting while the last changes cross, taken without ever keeping them waiting for long.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::catalog::Oid;
use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// What a server answers that is there.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// What it answers at once.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(250);

/// A session whose transaction ends by itself where this process, or the network, no longer speaks to it.
pub(crate) async fn connect(connection: &Connection, longest: Duration) -> Result<Session> {
    let session = Session::connect(connection).await?;
    let longest = format!("{}ms", longest.as_millis());
    let set = sql!(
        "SET idle_in_transaction_session_timeout = {}; SET tcp_user_timeout = {}; SET lock_timeout = '300ms';
         SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3",
        Literal(&longest),
        Literal(&longest)
    );
    session.batch(&set).await?;
    give_way(&session).await?;
    // Servers on some platforms cannot, and say so.
    match session.batch(&Sql::literal("SET client_connection_check_interval = '1s'")).await {
        Err(error) if error.kind() != ErrorKind::Server => Err(error),
        _ => Ok(session),
    }
}

/// Has the server end the open transaction by itself at `end`, where it hears nothing of it until then.
pub(crate) fn not_beyond(end: Instant) -> Sql {
    let left = end.saturating_duration_since(Instant::now()).as_millis().max(1);
    sql!("SET LOCAL idle_in_transaction_session_timeout = {}", Literal(&format!("{left}ms")))
}

/// Ends the transaction of a session, whatever it runs, so that everybody goes on. Where the session does not answer another
/// one ends it; where nobody answers, the server does it by itself.
pub(crate) async fn let_go(session: &Session) {
    let rolled_back = async {
        session.cancel().await.ok();
        session.batch(&Sql::literal("ROLLBACK")).await
    };
    if matches!(timeout(AT_ONCE, rolled_back).await, Ok(Ok(()))) {
        return;
    }
    let ended = async { end(&Session::connect(session.connection()).await?, session).await };
    timeout(SOON, ended).await.ok();
}

/// Ends a session from another one; false where it is still there.
pub(crate) async fn end(by: &Session, session: &Session) -> Result<bool> {
    let end = Sql::literal(include_str!("../../postgres/queries/end_sessions.sql"));
    let rows = by.query(&end, &[&[session.backend_pid()].as_slice()]).await?;
    Ok(rows.iter().all(|row| row.get(0)))
}

/// Has a session be the victim of a deadlock before anybody else is, where its role may say so; else a try ends by its timeout.
pub(crate) async fn give_way(session: &Session) -> Result<()> {
    match session.batch(&Sql::literal("SET deadlock_timeout = '50ms'")).await {
        Err(error) if error.kind() != ErrorKind::Server => Err(error),
        _ => Ok(()),
    }
}

/// Begins a transaction that holds all of `tables` against writers, until `end` at the latest; waits no longer than `patience`
/// for all of them, because writers wait behind it.
pub(crate) async fn begin(
    session: &Session,
    tables: &[QualifiedName],
    patience: Duration,
    end: Instant,
) -> Result<()> {
    let patience = format!("{}ms", patience.as_millis().max(1));
    let script = sql!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = {};
         {}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '300ms'; {}",
        Literal(&patience),
        statement(tables, "SHARE ROW EXCLUSIVE"),
        not_beyond(end)
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

/// An error that says who was in the way for so long, and that `nothing` was done.
pub(crate) fn held_up(who: &str, patience: Duration, nothing: &str) -> Error {
    Error::new(ErrorKind::Server, format!("{who}, for {} s and longer; {nothing}", patience.as_secs()))
        .sqlstate("55P03")
        .hint(match who.starts_with("prepared transaction") {
            true => "no session ends it: COMMIT PREPARED or ROLLBACK PREPARED, whichever it was meant to be",
            false => "wait until that session is done, or end it: SELECT pg_terminate_backend(pid)",
        })
}
