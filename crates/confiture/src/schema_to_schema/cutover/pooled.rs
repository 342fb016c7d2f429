//! An application behind PgBouncer: its clients wait while they are led over, and see no error.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use crate::config::{Connection, Destination};
use crate::error::Result;
use crate::postgres::pgbouncer::{Entry, Paused, PgBouncer};
use crate::schema_to_schema::cutover::application::{Application, Occasion, Pooler};

/// A database of a PgBouncer.
pub struct Pooled {
    /// Its admin console.
    pub console: Connection,
    /// The database, as clients name it.
    pub database: String,
    /// PgBouncer's file, whose entry is rewritten; `None` in one database, where the entry leads to the right place before and
    /// after.
    pub file: Option<PathBuf>,
    paused: Mutex<Option<Paused>>,
}

impl Pooled {
    /// An application whose clients ask the PgBouncer at `console` for `database`.
    #[must_use]
    pub fn new(console: Connection, database: String, file: Option<PathBuf>) -> Self {
        Self { console, database, file, paused: Mutex::new(None) }
    }

    /// Leads clients to a side, where they are led elsewhere.
    async fn lead(&self, to: &Connection) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let bouncer = PgBouncer::connect(&self.console).await?;
        let entry = Entry::read(file, &self.database)?;
        bouncer.lead(&entry, &Destination::of(to)).await
    }

    async fn resume(&self) -> Result<()> {
        match self.paused.lock().await.take() {
            Some(paused) => paused.resume().await,
            // What a process has left that was killed.
            None => PgBouncer::connect(&self.console).await?.resume(&self.database).await.map(drop),
        }
    }
}

impl Application for Pooled {
    fn pooler(&self) -> Option<Pooler> {
        let (console, database) = (self.console.to_dsn(), self.database.clone());
        Some(Pooler { console, database, file: self.file.clone() })
    }

    /// What could fail later fails now: the console, the database's name, the file.
    fn pre_fence<'a>(&'a self, _: &'a Occasion, _: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            PgBouncer::connect(&self.console).await?.resume(&self.database).await?;
            match &self.file {
                Some(file) => Entry::read(file, &self.database).map(drop),
                None => Ok(()),
            }
        })
    }

    fn hold<'a>(&'a self, _: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let bouncer = PgBouncer::connect(&self.console).await?;
            // Clients wait from here on: the rest of the switch needs time too, and giving up ends before the longest stall.
            let left = deadline.saturating_duration_since(Instant::now()) / 2;
            let paused = bouncer.pause(&self.database, left).await?;
            *self.paused.lock().await = Some(paused);
            Ok(())
        })
    }

    fn fenced<'a>(&'a self, occasion: &'a Occasion, _: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.lead(&occasion.entering))
    }

    fn switched<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let led = self.lead(&occasion.entering).await;
            self.resume().await.and(led)
        })
    }

    fn rolled_back<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let led = self.lead(&occasion.leaving).await;
            self.resume().await.and(led)
        })
    }
}
