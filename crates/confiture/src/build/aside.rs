//! The database that is replaced waits beside its successor until that is done. A comment marks it as ours, so that a build finishes
//! what one that was killed has left.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{Session, database, named_lock};
use crate::sql::{Identifier, Literal, Sql, sql};

/// The beginning of the comment of a database that is set aside; then comes the one that it had.
const MARK: &str = "set aside by a build of Confiture. ";

/// The name under which a database waits: the same each time, so that a leftover is noticed.
pub(super) fn name_of(database: &Identifier) -> Identifier {
    let room = 63 - "_replaced".len();
    Identifier::new(format!("{}_replaced", &database.as_str()[..database.as_str().floor_char_boundary(room)]))
}

/// How long a build that is only looked at waits for another one of the same name.
const PATIENCE: Duration = Duration::from_secs(10);

/// The statement that waits until no other build makes the same database.
pub(super) fn lock(aside: &Identifier) -> Sql {
    named_lock("pg_advisory_lock", aside.as_str())
}

/// Takes that lock, or says that another build has it: while that one is at work, nobody can say what it leaves.
pub(super) async fn lock_in_time(
    maintenance: &Session,
    database: &Identifier,
    aside: &Identifier,
) -> Result<()> {
    if let Ok(locked) = tokio::time::timeout(PATIENCE, maintenance.batch(&lock(aside))).await {
        return locked;
    }
    drop(maintenance.cancel().await);
    Err(Error::new(ErrorKind::Locked, format!("another build of the database {database} is at work"))
        .hint("wait until it ends, or stop it; then run this command again"))
}

pub(super) async fn unlock(maintenance: &Session, aside: &Identifier) -> Result<()> {
    maintenance.batch(&named_lock("pg_advisory_unlock", aside.as_str())).await
}

/// True where a build that was killed has left the database under its other name.
pub(super) async fn is_left(maintenance: &Session, aside: &Identifier) -> Result<bool> {
    let comment = database::read_comment(maintenance, aside).await?;
    Ok(comment.flatten().is_some_and(|comment| comment.starts_with(MARK)))
}

/// Finishes what a build that was killed has begun: what it set aside comes back, or goes where its successor is there. One is agreed
/// to be lost, and the other was.
pub(super) async fn settle(maintenance: &Session, name: &Identifier, aside: &Identifier) -> Result<()> {
    if !database::exists(maintenance, aside).await? {
        return Ok(());
    }
    if !is_left(maintenance, aside).await? {
        return Err(Error::refused(format!(
            "a database {aside} is there, the name under which {name} would wait until it is replaced"
        ))
        .hint(format!(
            "no build has marked it as its own: look into it, then DROP DATABASE {aside}, or rename it"
        )));
    }
    if database::exists(maintenance, name).await? {
        return database::drop_ours(maintenance, aside).await;
    }
    put_back(maintenance, aside, name).await
}

/// Sets the database aside, with a mark.
pub(super) async fn set(maintenance: &Session, name: &Identifier, aside: &Identifier) -> Result<()> {
    let comment = database::read_comment(maintenance, name).await?.flatten().unwrap_or_default();
    let comment = format!("{MARK}{comment}");
    rename(maintenance, name, aside, &sql!("{}", Literal(&comment))).await
}

/// Gives it its name back, and the comment that it had.
pub(super) async fn put_back(maintenance: &Session, aside: &Identifier, name: &Identifier) -> Result<()> {
    let comment = database::read_comment(maintenance, aside).await?.flatten().unwrap_or_default();
    let comment = match comment.strip_prefix(MARK).unwrap_or(&comment) {
        "" => Sql::literal("NULL"),
        comment => sql!("{}", Literal(comment)),
    };
    rename(maintenance, aside, name, &comment).await
}

/// Both or nothing.
async fn rename(maintenance: &Session, from: &Identifier, to: &Identifier, comment: &Sql) -> Result<()> {
    maintenance
        .batch(&sql!("ALTER DATABASE {} RENAME TO {}; COMMENT ON DATABASE {} IS {}", from, to, to, comment))
        .await
}
