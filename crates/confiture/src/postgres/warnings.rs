//! What the server warns of while it does what it was told: a `GRANT` that granted nothing is a warning, and no error.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{AsyncMessage, Connection};

use super::server_error::message;

/// The warnings of one session that nobody has asked for yet, free of row values.
#[derive(Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Vec<String>>>);

/// A loop in PL/pgSQL may warn for ever.
const MOST: usize = 50;

impl Warnings {
    /// What was heard since it was asked last.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    fn hear(&self, notice: &DbError) {
        // A `ROLLBACK` to be sure, where nothing was begun, is no news to anybody.
        let is_over = *notice.code() == SqlState::NO_ACTIVE_SQL_TRANSACTION;
        if is_over || !matches!(notice.parsed_severity(), Some(Severity::Warning)) {
            return;
        }
        let (said, mut heard) = (message(notice), self.lock());
        if heard.contains(&said) || heard.len() > MOST {
            return;
        }
        let is_full = heard.len() == MOST;
        heard.push(if is_full { "there are more, in the server's log".to_owned() } else { said });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the driver's side of a connection until it ends. A warning is heard before the end of the statement that it is about.
pub(super) async fn drive<S, T>(
    driver: &mut Connection<S, T>,
    warnings: &Warnings,
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| driver.poll_message(context)).await {
        if let AsyncMessage::Notice(notice) = message? {
            warnings.hear(&notice);
        }
    }
    Ok(())
}
