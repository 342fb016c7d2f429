//! What became of the writes.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio_postgres::NoTls;

use crate::record::{Outcome, Record};

/// A row that clients wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The write's id.
    pub id: i64,
    /// On which side it was written.
    pub born: String,
}

impl Row {
    /// A row.
    pub fn new(id: i64, born: impl Into<String>) -> Self {
        Self { id, born: born.into() }
    }
}

/// The two sides after a cutover or a rollback, when all is quiet.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// What the side holds that takes the writes now.
    pub open: &'a [Row],
    /// What the side holds that does not any more.
    pub closed: &'a [Row],
    /// The name that rows born there carry.
    pub closed_name: &'a str,
    /// An instant by which it was closed for sure.
    pub closed_since: Option<Instant>,
}

/// What should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Acknowledged, and not on the open side.
    Lost(i64),
    /// On the open side more than once.
    Doubled(i64, usize),
    /// Said to have failed, and on a side all the same.
    Ghost(i64),
    /// Nobody wrote it.
    Stranger(i64),
    /// It reached the closed side and no other.
    LeftBehind(i64),
    /// It was begun that long after the closed side was closed, and reached it.
    AfterTheFence(i64, Duration),
}

impl Record {
    /// Looks for everything that should not be: the acknowledged are on the open side once each, the failed nowhere, the
    /// unknown where they like, and nothing reached the closed side alone or after it was closed.
    #[must_use]
    pub fn judge(&self, ends: &Ends<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut open: HashMap<i64, usize> = HashMap::new();
        for row in ends.open {
            *open.entry(row.id).or_default() += 1;
        }
        let closed: HashSet<i64> = ends.closed.iter().map(|row| row.id).collect();
        let writes: HashMap<i64, &crate::Write> = self.writes.iter().map(|write| (write.id, write)).collect();

        for write in &self.writes {
            let is_there = open.contains_key(&write.id);
            match write.outcome {
                Outcome::Acknowledged if !is_there => faults.push(Fault::Lost(write.id)),
                Outcome::Failed(_) if is_there || closed.contains(&write.id) => {
                    faults.push(Fault::Ghost(write.id));
                }
                _ => {}
            }
        }
        for (id, times) in &open {
            if *times > 1 {
                faults.push(Fault::Doubled(*id, *times));
            }
        }
        let strangers: HashSet<i64> =
            open.keys().chain(&closed).copied().filter(|id| !writes.contains_key(id)).collect();
        faults.extend(strangers.into_iter().map(Fault::Stranger));
        for row in ends.closed.iter().filter(|row| row.born == ends.closed_name) {
            if !open.contains_key(&row.id) {
                faults.push(Fault::LeftBehind(row.id));
            }
            let late = |write: &&crate::Write| write.sent.checked_duration_since(ends.closed_since?);
            if let Some(late) = writes.get(&row.id).and_then(late) {
                faults.push(Fault::AfterTheFence(row.id, late));
            }
        }
        faults
    }
}

/// The rows of one side: `query` gives id (`bigint`) and side (`text`).
///
/// # Errors
/// What the server says.
pub async fn read_rows(url: &str, query: &str) -> Result<Vec<Row>> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("the judge cannot connect")?;
    tokio::spawn(connection);
    let rows = client.query(query, &[]).await.context("the judge cannot read")?;
    rows.iter().map(|row| Ok(Row { id: row.try_get(0)?, born: row.try_get(1)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Write;

    #[test]
    fn every_fault_is_found_and_nothing_else() {
        let (begin, ms) = (Instant::now(), Duration::from_millis);
        let write = |id, sent, outcome| Write {
            id,
            client: 0,
            asked: begin + ms(sent),
            sent: begin + ms(sent),
            ended: begin + ms(sent + 1),
            outcome,
        };
        let failed = || Outcome::Failed("no".into());
        let unknown = || Outcome::Unknown("?".into());
        let record = Record {
            writes: vec![
                write(1, 0, Outcome::Acknowledged),
                write(2, 1, failed()),
                write(3, 2, unknown()),
                write(4, 3, unknown()),
                write(5, 200, Outcome::Acknowledged),
            ],
            unserved: Vec::new(),
        };
        let judge = |open: &[(i64, &str)], closed: &[(i64, &str)]| {
            let rows =
                |rows: &[(i64, &str)]| rows.iter().map(|(id, born)| Row::new(*id, *born)).collect::<Vec<_>>();
            let (open, closed) = (rows(open), rows(closed));
            let since = Some(begin + ms(100));
            record.judge(&Ends { open: &open, closed: &closed, closed_name: "old", closed_since: since })
        };
        let (right, before) = ([(1, "old"), (4, "old"), (5, "new")], [(1, "old"), (4, "old")]);
        assert_eq!(judge(&right, &before), []);
        // What came back from the open side was not written on the closed one.
        assert_eq!(judge(&right, &right), []);
        assert_eq!(judge(&[(1, "old")], &[(1, "old")]), [Fault::Lost(5)]);
        assert_eq!(judge(&[(1, "old"), (1, "old"), (5, "new")], &[]), [Fault::Doubled(1, 2)]);
        assert_eq!(judge(&[(1, "old"), (2, "old"), (5, "new")], &[]), [Fault::Ghost(2)]);
        assert_eq!(judge(&[(1, "old"), (5, "new")], &[(2, "new")]), [Fault::Ghost(2)]);
        assert_eq!(judge(&[(1, "old"), (5, "new"), (9, "new")], &[]), [Fault::Stranger(9)]);
        assert_eq!(judge(&[(1, "old"), (5, "new")], &[(3, "old")]), [Fault::LeftBehind(3)]);
        assert_eq!(judge(&[(1, "old"), (5, "old")], &[(5, "old")]), [Fault::AfterTheFence(5, ms(100))]);
    }
}
