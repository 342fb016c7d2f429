//! One run at a time: an advisory lock, on a connection of its own, that names its holder.

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::sql::Sql;

/// The lock, held for as long as this value lives: closing its connection frees it, also after a crash.
pub struct AdvisoryLock {
    session: Session,
}

/// `confitur` in ASCII: the key of the lock, the same in every database (advisory locks are per database).
const KEY: i64 = 0x636f_6e66_6974_7572;

impl AdvisoryLock {
    /// Takes the lock of one database, or says who holds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] with the holder's pid, address and since when.
    pub async fn take(connection: &Connection) -> Result<Self> {
        let session = Session::connect(connection).await?;
        let taken: bool = session
            .query_one(&Sql::literal("SELECT pg_catalog.pg_try_advisory_lock($1)"), &[&KEY])
            .await?
            .get(0);
        if taken {
            return Ok(Self { session });
        }
        let holder =
            session.query_opt(&Sql::literal(include_str!("queries/lock_holder.sql")), &[&KEY]).await?;
        let who = holder.map_or_else(|| "its holder cannot be seen".to_owned(), |row| row.get(0));
        Err(Error::new(ErrorKind::Locked, format!("another run is at work on {connection}: {who}"))
            .hint("wait until it ends, or stop that process; then run this command again"))
    }

    /// False once the connection was lost, and the lock with it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.session.is_closed()
    }
}
