//! Who reads a queue: what one migration has confirmed is gone for every other, so a queue has one reader, and says which.
//!
//! It stands in the comment of the queue's sequence, which every role may read, and its maker write.

use super::capture::{qualified, sequence};
use crate::catalog::Oid;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::feed::CapturedTable;
use crate::sql::{Literal, Sql, sql};

/// A migration that reads queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub migration: String,
    /// Where it takes the rows, for people; never with a password.
    pub target: String,
}

/// A queue that is there.
#[derive(Debug, Clone)]
pub struct KnownQueue {
    /// The captured table.
    pub table: Oid,
    /// Its name as SQL has it.
    pub name: String,
    /// Who reads it; `None` where nobody has said so yet.
    pub reader: Option<Reader>,
}

/// The key of the lock under which readers say that they are: two at the same time must not both find nobody.
const CLAIMING: i64 = 0x636f_6e66_6974_7574;

const BEFORE: &str = "Confiture: read by migration ";

impl Reader {
    fn comment(&self) -> String {
        format!("{BEFORE}{} into {}", self.migration, self.target)
    }

    fn of_comment(comment: &str) -> Option<Self> {
        let (migration, target) = comment.strip_prefix(BEFORE)?.split_once(" into ")?;
        Some(Self { migration: migration.to_owned(), target: target.to_owned() })
    }
}

/// All queues of the database.
///
/// # Errors
///
/// Where the connection is lost.
pub async fn queues(session: &Session) -> Result<Vec<KnownQueue>> {
    let query = Sql::literal(include_str!("../../queries/queue/readers.sql"));
    let queue = |row: &crate::postgres::Row| KnownQueue {
        table: row.get(0),
        name: row.get(1),
        reader: row.get::<_, Option<&str>>(2).and_then(Reader::of_comment),
    };
    Ok(session.query(&query, &[]).await?.iter().map(queue).collect())
}

/// Refuses where a queue of `tables` is read by another migration than `migration`.
///
/// # Errors
///
/// [`crate::ErrorKind::Unsafe`], saying who reads it and what to do.
pub async fn refuse_others(
    session: &Session,
    tables: &[CapturedTable],
    migration: Option<&str>,
) -> Result<()> {
    for queue in
        queues(session).await?.into_iter().filter(|queue| tables.iter().any(|t| t.oid == queue.table))
    {
        let Some(reader) = queue.reader.filter(|reader| Some(reader.migration.as_str()) != migration) else {
            continue;
        };
        let Reader { migration, target } = reader;
        let claimed = qualified(sequence(queue.table));
        return Err(Error::refused(format!(
            "the queue of {} is read by another migration, {migration} into {target}, and a queue has one reader",
            queue.name
        ))
        .hint("between two databases, --capture wal lets any number of migrations follow one source")
        .hint("else let that one finish first, and end it: confiture migrate schema-to-schema cleanup --from … --to …")
        .hint(format!(
            "where its target is gone for good, let go of the queue, on the source: COMMENT ON SEQUENCE {claimed} IS NULL"
        )));
    }
    Ok(())
}

/// Says that `reader` reads the queues of `tables` from now on.
///
/// # Errors
///
/// Those of [`refuse_others`].
pub async fn claim(session: &Session, tables: &[CapturedTable], reader: &Reader) -> Result<()> {
    session.batch(&Sql::literal("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")).await?;
    let done = claim_in_transaction(session, tables, reader).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.batch(&Sql::literal(end)).await;
    done.and(ended)
}

async fn claim_in_transaction(session: &Session, tables: &[CapturedTable], reader: &Reader) -> Result<()> {
    let lock = Sql::literal("SELECT pg_catalog.pg_advisory_xact_lock($1)");
    session.query(&lock, &[&CLAIMING]).await?;
    refuse_others(session, tables, Some(&reader.migration)).await?;
    let comment = reader.comment();
    let known = queues(session).await?;
    for table in tables {
        let is_claimed =
            |queue: &KnownQueue| queue.table == table.oid && queue.reader.as_ref() == Some(reader);
        if !known.iter().any(is_claimed) {
            let name = qualified(sequence(table.oid));
            session.batch(&sql!("COMMENT ON SEQUENCE {} IS {}", name, Literal(&comment))).await?;
        }
    }
    Ok(())
}

/// Says that `reader` reads the queue of `table`, for a transaction in which nobody else can.
#[must_use]
pub fn claim_statement(table: &CapturedTable, reader: &Reader) -> Sql {
    sql!("COMMENT ON SEQUENCE {} IS {}", qualified(sequence(table.oid)), Literal(&reader.comment()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_says_who_reads() {
        let reader = Reader { migration: "1a2b3c4d".into(), target: "me@host:5432/a into b".into() };
        assert_eq!(Reader::of_comment(&reader.comment()), Some(reader));
        assert_eq!(Reader::of_comment("the application's own remark"), None);
    }
}
