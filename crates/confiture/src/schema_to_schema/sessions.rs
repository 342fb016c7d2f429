//! The sessions of one run: what they may wait for, and their end, which is also that of what they run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::{AdvisoryLock, Session, WorkerThread};
use crate::schema_to_schema::options::Options;
use crate::sql::Sql;

/// All sessions that a run has opened.
#[derive(Default)]
pub(crate) struct Sessions {
    source: Mutex<Vec<Session>>,
    target: Mutex<Vec<Session>>,
    threads: Mutex<Vec<WorkerThread>>,
}

/// Those of one worker.
pub(crate) struct Crew {
    /// The thread that reading and writing share.
    pub(crate) thread: Handle,
    /// Reads the source.
    pub(crate) reader: Session,
    /// Writes rows.
    pub(crate) writer: Session,
    /// Builds indexes.
    pub(crate) builder: Session,
}

impl Sessions {
    /// A session of the source.
    pub(crate) async fn open_source(&self, options: &Options) -> Result<Session> {
        let session = connect(&options.source).await?;
        lock(&self.source).push(session.clone());
        Ok(session)
    }

    /// A session of the target.
    pub(crate) async fn open_target(&self, options: &Options) -> Result<Session> {
        let session = connect(&options.target).await?;
        lock(&self.target).push(session.clone());
        Ok(session)
    }

    /// The sessions of one worker, which the next run waits for.
    pub(crate) async fn open_crew(&self, options: &Options) -> Result<Crew> {
        let worker = WorkerThread::start()?;
        let (source, target) = (options.source.clone(), options.target.clone());
        let open = worker.spawn(async move { tokio::try_join!(connect(&source), connect(&target)) });
        let thread = worker.handle().clone();
        lock(&self.threads).push(worker);
        let panicked = |panic| Error::unexpected("connecting a worker panicked").because(panic);
        let (reader, writer) = open.await.map_err(panicked)??;
        lock(&self.source).push(reader.clone());
        lock(&self.target).push(writer.clone());
        let builder = self.open_target(options).await?;
        tokio::try_join!(AdvisoryLock::join(&writer), AdvisoryLock::join(&builder))?;
        Ok(Crew { thread, reader, writer, builder })
    }

    /// Watches over the sessions, and returns where the run cannot go on: somebody else's lock has kept one of them
    /// waiting for too long, or a connection was lost that nobody is reading from.
    pub(crate) async fn watch(&self, source: &Session, target: &Session, patience: Duration) -> Error {
        let mut ticks =
            interval(patience.div_f32(4.0).clamp(Duration::from_millis(50), Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = [None, None];
        loop {
            ticks.tick().await;
            for (since, (session, open)) in
                waiting.iter_mut().zip([(source, &self.source), (target, &self.target)])
            {
                let open: Vec<Session> = lock(open).clone();
                if open.iter().any(Session::is_closed) {
                    // Whoever runs a statement there says it better; give it time to.
                    sleep(Duration::from_millis(300)).await;
                    return lost(session.connection());
                }
                let pids: Vec<i32> = open.iter().map(Session::backend_pid).collect();
                match blocked(session, &pids).await {
                    Err(error) => return error,
                    Ok(None) => *since = None,
                    Ok(Some((pid, shown))) => match since {
                        Some((known, first)) if *known == pid => {
                            if Instant::now().duration_since(*first) >= patience {
                                return waited(session.connection(), &shown, patience);
                            }
                        }
                        _ => *since = Some((pid, Instant::now())),
                    },
                }
            }
        }
    }

    /// Ends all sessions, and, where the run failed, what they run. Returns when the servers have let go of them, or
    /// soon after where they do not answer.
    pub(crate) async fn end(&self, source: &Session, target: &Session, failed: bool) {
        let sides = [(source, take(&self.source)), (target, take(&self.target))];
        if failed {
            // Also those that this side has closed: their statements may run on.
            let cancelled = join_all(sides.iter().flat_map(|(_, open)| open).map(Session::cancel));
            if timeout(Duration::from_millis(300), cancelled).await.is_err() {
                tracing::warn!("a server does not take requests to cancel");
            }
        }
        let ended = sides.map(|(session, open)| {
            let pids: Vec<i32> = open.iter().map(Session::backend_pid).collect();
            drop(open);
            async move { gone(session, &pids).await }
        });
        if timeout(Duration::from_secs(2), join_all(ended)).await.is_err() {
            tracing::warn!("a server does not let go of this run's sessions");
        }
        take(&self.threads);
    }
}

/// Does `work`, which runs statements on `sessions`; where the user asks to stop, ends those statements and says `stopped`.
pub(crate) async fn unless_interrupted<T>(
    execution: &Execution,
    sessions: &[&Session],
    stopped: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        done = work => return done,
        () = execution.interrupted() => {}
    }
    join_all(sessions.iter().map(|session| stop(session))).await;
    Err(Error::interrupted(stopped))
}

/// Ends what `session` runs, or has sent to be run. What comes after on the same connection is answered only then.
async fn stop(session: &Session) {
    for _ in 0..5 {
        let asked = timeout(Duration::from_millis(300), session.cancel()).await;
        let answered = timeout(Duration::from_millis(100), session.batch(&Sql::literal(""))).await;
        if answered.is_ok() || asked.is_err() {
            return;
        }
    }
    tracing::warn!("a server does not take requests to cancel");
}

/// Lets a session wait for locks for so long, and no longer.
pub(crate) async fn set_lock_timeout(session: &Session, patience: Duration) -> Result<()> {
    let set = Sql::literal("SELECT pg_catalog.set_config('lock_timeout', $1, false)");
    session.query(&set, &[&format!("{}ms", patience.as_millis())]).await?;
    Ok(())
}

/// Says who holds what a statement waited for in vain: another run, or whoever locks a table against everybody.
pub(crate) async fn explain_lock(error: Error, source: &Session, target: &Session) -> Error {
    if let Ok(Some(other)) = AdvisoryLock::holder(target).await {
        return other;
    }
    let query = Sql::literal(include_str!("../postgres/queries/exclusive_locks.sql"));
    for session in [source, target] {
        let Ok(rows) = session.query(&query, &[]).await else { continue };
        if let Some(row) = rows.first() {
            let shown = format!("{} holds a lock on {}", row.get::<_, &str>(0), row.get::<_, &str>(1));
            let connection = session.connection();
            return Error::new(
                ErrorKind::Server,
                format!("{shown}, which this run waited for, on {connection}"),
            )
            .sqlstate("55P03")
            .hint("wait until that session is done, or end it: SELECT pg_terminate_backend(pid)");
        }
    }
    error
}

/// Connects, and has the server notice soon when this process is gone.
async fn connect(connection: &Connection) -> Result<Session> {
    let session = Session::connect(connection).await?;
    session
        .batch(&Sql::literal(
            "SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;
             SET lock_timeout = 0",
        ))
        .await?;
    // Servers on some platforms cannot, and say so.
    match session.batch(&Sql::literal("SET client_connection_check_interval = '2s'")).await {
        Err(error) if error.kind() != ErrorKind::Server => Err(error),
        _ => Ok(session),
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> std::sync::MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut lock(list))
}

/// Who keeps one of `pids` waiting: pid and a line about it.
async fn blocked(session: &Session, pids: &[i32]) -> Result<Option<(i32, String)>> {
    let query = Sql::literal(include_str!("../postgres/queries/blockers.sql"));
    let row = session.query(&query, &[&pids]).await?.into_iter().next();
    Ok(row.map(|row| {
        let relation = row.get::<_, Option<&str>>(2).unwrap_or("an object");
        (row.get(0), format!("{} holds a lock on {relation}", row.get::<_, &str>(1)))
    }))
}

fn waited(connection: &Connection, shown: &str, patience: Duration) -> Error {
    Error::new(
        ErrorKind::Server,
        format!("{shown}, for which this run has waited {} s, on {connection}", patience.as_secs()),
    )
    .sqlstate("55P03")
    .hint("wait until that session is done, or end it: SELECT pg_terminate_backend(pid)")
    .hint("then run the same command again: it continues from here")
}

fn lost(connection: &Connection) -> Error {
    Error::new(ErrorKind::Connect, format!("a connection to {connection} was lost during the migration"))
        .hint("run the same command again: it looks at what is there and continues")
}

/// Waits until the server has let go of `pids`; those that stay are ended.
async fn gone(session: &Session, pids: &[i32]) {
    if pids.is_empty() || session.is_closed() {
        return;
    }
    let left = Sql::literal(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
                        WHERE pid = ANY ($1::pg_catalog.int4[]) AND application_name = 'confiture')",
    );
    let patience = Instant::now() + Duration::from_millis(400);
    while Instant::now() < patience {
        match session.query_one(&left, &[&pids]).await {
            Ok(row) if row.get(0) => sleep(Duration::from_millis(10)).await,
            Ok(_) | Err(_) => return,
        }
    }
    let end = Sql::literal(include_str!("../postgres/queries/end_sessions.sql"));
    if let Err(error) = session.query(&end, &[&pids]).await {
        tracing::warn!(%error, "sessions of this run may be left on the server");
    }
}
