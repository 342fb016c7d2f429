//! Clients at work.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::error::Severity;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::record::{Outcome, Record, Stall, Write};

/// Ids of one client, from its first on.
const IDS_OF_A_CLIENT: i64 = 1_000_000_000;

/// How long a client waits after an error.
const BACK_OFF: Duration = Duration::from_millis(5);

/// Where to write, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A PostgreSQL URL.
    pub url: String,
    /// One statement: `$1` is the write's id (`bigint`), `$2` the client's number (`int`).
    pub write: String,
}

impl Target {
    /// A URL and the statement that writes there.
    pub fn new(url: impl Into<String>, write: impl Into<String>) -> Self {
        Self { url: url.into(), write: write.into() }
    }
}

/// Where clients read their target: before they begin, and after every error.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// What was told last.
    Told(watch::Receiver<Target>),
    /// A file, its first line the URL, the rest the statement: what a hook can change.
    File(PathBuf),
}

impl From<watch::Receiver<Target>> for Whereabouts {
    fn from(told: watch::Receiver<Target>) -> Self {
        Self::Told(told)
    }
}

impl Whereabouts {
    /// What it says now.
    ///
    /// # Errors
    /// A file that cannot be read or has one line only.
    pub fn now(&self) -> Result<Target> {
        match self {
            Self::Told(told) => Ok(told.borrow().clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
                let (url, write) = text.split_once('\n').context("no statement after the URL")?;
                Ok(Target::new(url.trim(), write.trim()))
            }
        }
    }
}

/// How a client talks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// One statement in one message.
    Simple,
    /// `BEGIN`, the statement, `COMMIT`.
    Transaction,
    /// An unnamed statement with parameters.
    Extended,
    /// A statement that is prepared once per connection. PgBouncer takes it from 1.21 on (`max_prepared_statements`).
    Prepared,
    /// Clients one after the other in the first three.
    #[default]
    Mixed,
}

impl Style {
    fn of(self, client: u32) -> Self {
        match (self, client % 3) {
            (Self::Mixed, 0) => Self::Simple,
            (Self::Mixed, 1) => Self::Transaction,
            (Self::Mixed, _) => Self::Extended,
            (style, _) => style,
        }
    }
}

/// Who writes how much.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many clients.
    pub clients: u32,
    /// Writes a second of all clients together, where the server keeps up.
    pub rate: u32,
    /// How they talk.
    pub style: Style,
    /// How long one attempt may take; then the connection is dropped and the write is unknown.
    pub give_up: Duration,
    /// The first id. The ids of those who write at the same time must be a long way apart.
    pub first_id: i64,
}

/// Five hundred writes a second by eight clients: a slow machine with other work keeps up with them.
impl Default for Options {
    fn default() -> Self {
        Self { clients: 8, rate: 500, style: Style::Mixed, give_up: Duration::from_secs(60), first_id: 1 }
    }
}

/// Clients at work. They stop with [`stop`](Self::stop), and when this is dropped.
#[derive(Debug)]
pub struct Clients {
    stop: watch::Sender<bool>,
    acknowledged: Arc<AtomicU64>,
    work: JoinSet<Record>,
}

impl Clients {
    /// Sends them to work.
    #[must_use]
    pub fn start(options: Options, whereabouts: impl Into<Whereabouts>) -> Self {
        let whereabouts = whereabouts.into();
        let (stop, stopped) = watch::channel(false);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let options = Arc::new(options);
        let mut work = JoinSet::new();
        for client in 0..options.clients {
            let worker = Worker {
                client,
                style: options.style.of(client),
                next_id: options.first_id + i64::from(client) * IDS_OF_A_CLIENT,
                options: Arc::clone(&options),
                whereabouts: whereabouts.clone(),
                acknowledged: Arc::clone(&acknowledged),
                connected: None,
                record: Record::default(),
            };
            work.spawn(worker.work(stopped.clone()));
        }
        Self { stop, acknowledged, work }
    }

    /// How many writes were acknowledged until now.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Returns once that many more writes than now were acknowledged.
    pub async fn until_acknowledged(&self, more: u64) {
        let wanted = self.acknowledged() + more;
        while self.acknowledged() < wanted {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Has them end what they do, and returns what they were told.
    ///
    /// # Panics
    /// When a client panicked.
    pub async fn stop(mut self) -> Record {
        self.stop.send_replace(true);
        let mut record = Record::default();
        while let Some(ended) = self.work.join_next().await {
            record = record.and(ended.expect("a client panicked"));
        }
        record
    }
}

struct Connected {
    client: Client,
    write: String,
    /// Where it is prepared once.
    statement: Option<Statement>,
}

struct Worker {
    client: u32,
    style: Style,
    next_id: i64,
    options: Arc<Options>,
    whereabouts: Whereabouts,
    acknowledged: Arc<AtomicU64>,
    connected: Option<Connected>,
    record: Record,
}

impl Worker {
    async fn work(mut self, mut stopped: watch::Receiver<bool>) -> Record {
        let period = Duration::from_secs(1) * self.options.clients / self.options.rate.max(1);
        // One after the other, and not all at once.
        sleep(period * self.client / self.options.clients).await;
        let mut ticks = interval(period.max(Duration::from_micros(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return self.record,
                _ = ticks.tick() => {}
            }
            let asked = Instant::now();
            while !self.attempt(asked).await {
                if *stopped.borrow() {
                    let stall = Stall { client: self.client, since: asked, duration: asked.elapsed() };
                    self.record.unserved.push(stall);
                    return self.record;
                }
                sleep(BACK_OFF).await;
            }
        }
    }

    /// One attempt; true where it was acknowledged.
    async fn attempt(&mut self, asked: Instant) -> bool {
        let id = self.next_id;
        self.next_id += 1;
        let sent = Instant::now();
        let outcome = match timeout(self.options.give_up, self.write(id)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown("no answer".into()),
        };
        let is_acknowledged = outcome == Outcome::Acknowledged;
        if is_acknowledged {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
        } else {
            // As a pool does: the connection goes, and the next one goes where the application is told by then.
            self.connected = None;
        }
        self.record.writes.push(Write {
            id,
            client: self.client,
            asked,
            sent,
            ended: Instant::now(),
            outcome,
        });
        is_acknowledged
    }

    async fn write(&mut self, id: i64) -> Outcome {
        if self.connected.is_none() {
            match self.connect().await {
                Ok(connected) => self.connected = Some(connected),
                Err(error) => return Outcome::Failed(format!("connect: {error:#}")),
            }
        }
        let Some(connected) = &self.connected else { return Outcome::Failed("not connected".into()) };
        let client = i32::try_from(self.client).unwrap_or(i32::MAX);
        let (session, write) = (&connected.client, connected.write.as_str());
        let as_text = || write.replace("$1", &id.to_string()).replace("$2", &client.to_string());
        let written = match (self.style, &connected.statement) {
            (Style::Transaction, _) => {
                // Without a COMMIT nothing is committed, whatever becomes of the connection.
                for statement in ["BEGIN", &as_text()] {
                    if let Err(error) = session.batch_execute(statement).await {
                        return Outcome::Failed(said(&error));
                    }
                }
                session.batch_execute("COMMIT").await
            }
            (Style::Extended, _) => {
                session.execute_typed(write, &[(&id, Type::INT8), (&client, Type::INT4)]).await.map(drop)
            }
            (Style::Prepared, Some(statement)) => session.execute(statement, &[&id, &client]).await.map(drop),
            _ => session.batch_execute(&as_text()).await,
        };
        match written {
            Ok(()) => Outcome::Acknowledged,
            Err(error) if is_refused(&error) => Outcome::Failed(said(&error)),
            Err(error) => Outcome::Unknown(said(&error)),
        }
    }

    async fn connect(&self) -> Result<Connected> {
        let target = self.whereabouts.now()?;
        let mut config: Config = target.url.parse()?;
        config.application_name(format!("client {}", self.client));
        let (client, connection) =
            config.connect(NoTls).await.map_err(|error| anyhow::anyhow!("{}", said(&error)))?;
        tokio::spawn(connection);
        let statement = match self.style {
            Style::Prepared => Some(
                client
                    .prepare_typed(&target.write, &[Type::INT8, Type::INT4])
                    .await
                    .map_err(|error| anyhow::anyhow!("{}", said(&error)))?,
            ),
            _ => None,
        };
        Ok(Connected { client, write: target.write, statement })
    }
}

/// The server refused the statement, and the connection is well: nothing was committed.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|server| server.parsed_severity() == Some(Severity::Error))
}

fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => format!("{} {}: {}", server.severity(), server.code().code(), server.message()),
        None if error.is_closed() => "connection closed".into(),
        None => match std::error::Error::source(error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        },
    }
}
