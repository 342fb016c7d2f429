//! A pause that cannot be forgotten.

use super::PgBouncer;
use crate::error::{Error, Result};

/// A database whose clients are held back. Dropping it lets them go on, on whatever way a function is left.
#[must_use = "dropping it resumes at once"]
pub struct Paused {
    bouncer: PgBouncer,
    database: String,
    is_over: bool,
}

impl Paused {
    pub(super) fn new(bouncer: PgBouncer, database: &str) -> Self {
        Self { bouncer, database: database.to_owned(), is_over: false }
    }

    /// The database, as clients name it.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Lets the clients go on. Where this connection is lost, over a new one.
    ///
    /// # Errors
    ///
    /// Where the console cannot be reached: then PgBouncer is gone, and with it the pause, or the error says what to type.
    pub async fn resume(mut self) -> Result<()> {
        self.is_over = true;
        resume(&self.bouncer, &self.database).await
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // `drop` cannot wait for the runtime that it may be called on: so another, on a thread of its own.
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime
                .block_on(async {
                    let anew = PgBouncer::connect(self.bouncer.connection()).await?;
                    anew.resume(&self.database).await
                })
                .ok()
        };
        std::thread::scope(|scope| {
            if scope.spawn(work).join().ok().flatten().is_none() {
                tracing::error!(database = self.database, "PgBouncer may still hold back the clients");
            }
        });
    }
}

async fn resume(bouncer: &PgBouncer, database: &str) -> Result<()> {
    let Err(first) = bouncer.resume(database).await else { return Ok(()) };
    let again = async { PgBouncer::connect(bouncer.connection()).await?.resume(database).await };
    match again.await {
        Ok(_) => Ok(()),
        Err(error) => Err(unfinished(error, bouncer, database).because(first)),
    }
}

fn unfinished(error: Error, bouncer: &PgBouncer, database: &str) -> Error {
    error.context(format!("PgBouncer may still hold back the clients of \"{database}\"")).hint(format!(
        "type RESUME {} at the console: psql -h … -p … -U {} pgbouncer",
        crate::sql::Identifier::new(database),
        bouncer.connection().user
    ))
}
