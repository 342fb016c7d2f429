//! What is known to be equal: tables that were compared, and the keys that batches have touched since.
//!
//! A batch writes down the keys that it touches in its own transaction, and only of tables that were found equal once. So a
//! snapshot of the target holds exactly the keys that could differ in it, and nobody else's writes: to find those takes a
//! comparison of all rows.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{KeySet, array_text};
use crate::schema_to_schema::live::status::CoverageStatus;
use crate::schema_to_schema::plan::Plan;
use crate::sql::{Literal, QualifiedName, Sql, sql};

/// Keys of one row of the log.
const PIECE: usize = 10_000;

/// Keys that are written down of a table: at least, and at most. In between, a quarter of its rows. So many at least that a
/// small table which is written to fast is still known to be equal when it was compared. Few in tests, where it often is not.
/// While a table is compared, and just after, there may be more: else a large one that is always written to would never be known.
const KEYS: (u64, u64) = if cfg!(feature = "failpoints") { (400, 1000) } else { (100_000, 1_000_000) };

/// How many keys are read back at once. Fewer in tests, so that they come in several pieces.
const AT_ONCE: usize = if cfg!(feature = "failpoints") { 100 } else { 10_000 };

/// What is known of every table of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    tables: Vec<Known>,
    /// On the way back, rows that nobody has touched are as they were, and may hold what the mapping cannot say: however many
    /// were touched, the others are not compared.
    pub(crate) is_way_back: bool,
    /// What the batch at work has touched: by table, texts of keys.
    touched: Vec<(usize, Vec<String>)>,
    /// Tables of which nothing is known any more because of the batch at work.
    lost: Vec<usize>,
}

/// What is known of one table.
#[derive(Debug, Clone, Default)]
struct Known {
    name: Option<QualifiedName>,
    /// The batch since which keys are written down; `None` where they are not.
    since: Option<i64>,
    /// True while it is compared: nothing that is written down is forgotten then.
    compared: bool,
    /// Keys that were written down since, each as often as it was touched.
    keys: u64,
    /// Keys from which on each is written down once; where that leaves more than half of them, all rows are compared again.
    most: u64,
}

impl Coverage {
    /// Reads what an earlier run knew.
    pub(crate) async fn read(session: &Session, plan: &Plan, is_way_back: bool) -> Result<Self> {
        // Written down by a run that died before it had compared: nobody knows since when.
        let unknown = Sql::literal(
            "DELETE FROM confiture.touched AS t WHERE NOT EXISTS (SELECT FROM confiture.coverage AS c
                 WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name)",
        );
        session.execute(&unknown, &[]).await?;
        let query = Sql::literal(
            "SELECT table_schema, table_name, batch, rows,
                 (SELECT coalesce(pg_catalog.sum(pg_catalog.cardinality(keys)), 0)::pg_catalog.int8
                  FROM confiture.touched AS t WHERE t.table_schema = c.table_schema AND t.table_name = c.table_name)
             FROM confiture.coverage AS c",
        );
        let mut found = BTreeMap::new();
        for row in session.query(&query, &[]).await? {
            let name = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
            let (since, rows, keys): (i64, i64, i64) = (row.get(2), row.get(3), row.get(4));
            let keys = keys.cast_unsigned();
            found.insert(name, (since, keys, most(rows, keys)));
        }
        let known = |table: &crate::schema_to_schema::plan::TablePlan| {
            let name = Some(table.target.clone());
            match found.get(&table.target) {
                None => Known { name, ..Known::default() },
                Some((since, keys, most)) => {
                    Known { name, since: Some(*since), compared: false, keys: *keys, most: *most }
                }
            }
        };
        let tables = plan.tables.iter().map(known).collect();
        Ok(Self { tables, is_way_back, touched: Vec::new(), lost: Vec::new() })
    }

    /// Writes keys down from `batch` on: the table at `index` is going to be compared as that batch has left it.
    pub(crate) fn begin(&mut self, index: usize, batch: i64) {
        let known = &mut self.tables[index];
        known.compared = true;
        if known.since.is_none() {
            (known.since, known.keys, known.most) = (Some(batch), 0, KEYS.1);
        }
    }

    /// No table is compared any more, nor going to be.
    pub(crate) fn end(&mut self) {
        self.tables.iter_mut().for_each(|known| known.compared = false);
    }

    /// The batch at work touches these keys of the source for the table at `index`.
    pub(crate) fn touch(&mut self, index: usize, keys: &KeySet) {
        let known = &mut self.tables[index];
        if known.since.is_none() || keys.is_empty() {
            return;
        }
        if keys.is_whole() {
            known.since = None;
            self.lost.push(index);
            return;
        }
        let text = |key: Vec<String>| match key.as_slice() {
            [one] => one.clone(),
            several => array_text(several.iter().map(String::as_str)),
        };
        known.keys += keys.len() as u64;
        self.touched.push((index, keys.iter().map(text).collect()));
    }

    /// Writes down what the batch at work has touched, in its transaction.
    pub(crate) async fn write(&mut self, session: &Session, batch: i64) -> Result<()> {
        let (mut schemas, mut names, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let touched = std::mem::take(&mut self.touched);
        for (index, texts) in &touched {
            let Some(name) = &self.tables[*index].name else { continue };
            for piece in texts.chunks(PIECE) {
                schemas.push(name.schema.as_str().to_owned());
                names.push(name.name.as_str().to_owned());
                keys.push(array_text(piece.iter().map(String::as_str)));
            }
        }
        if !keys.is_empty() {
            let insert = Sql::literal(
                "INSERT INTO confiture.touched (table_schema, table_name, batch, keys)
                 SELECT s, n, $1, k::text[] FROM ROWS FROM (pg_catalog.unnest($2::text[]),
                     pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[])) AS touched (s, n, k)",
            );
            session.execute(&insert, &[&batch, &schemas, &names, &keys]).await?;
        }
        for (index, _) in touched {
            if self.tables[index].keys > self.tables[index].most {
                self.condense(session, index).await?;
            }
        }
        for index in std::mem::take(&mut self.lost) {
            self.forget(session, index).await?;
        }
        Ok(())
    }

    /// Keeps each key once, as the last batch that touched it had it; where that is still too many, comparing all rows is no
    /// more work.
    async fn condense(&mut self, session: &Session, index: usize) -> Result<()> {
        let known = &mut self.tables[index];
        let Some(name) = &known.name else { return Ok(()) };
        let condense = Sql::literal(
            "WITH old AS (DELETE FROM confiture.touched WHERE table_schema = $1 AND table_name = $2 RETURNING batch, keys),
                  each AS (SELECT key, pg_catalog.max(batch) AS batch FROM old, pg_catalog.unnest(keys) AS key GROUP BY key),
                  numbered AS (SELECT key, batch,
                      (pg_catalog.row_number() OVER (PARTITION BY batch) - 1) / 10000 AS piece FROM each),
                  written AS (INSERT INTO confiture.touched (table_schema, table_name, batch, keys)
                      SELECT $1, $2, batch, pg_catalog.array_agg(key) FROM numbered GROUP BY batch, piece)
             SELECT pg_catalog.count(*) FROM each",
        );
        let row = session.query_one(&condense, &[&name.schema.as_str(), &name.name.as_str()]).await?;
        known.keys = row.get::<_, i64>(0).cast_unsigned();
        match known.compared || self.is_way_back {
            true => known.most = known.most.max(known.keys * 4),
            false if known.keys > known.most / 2 => self.forget(session, index).await?,
            false => {}
        }
        Ok(())
    }

    /// The table at `index` was found equal after `batch`. False, and nothing becomes of it, where something happened to the
    /// table since of which no keys tell.
    pub(crate) async fn found_equal(
        &mut self,
        session: &Session,
        index: usize,
        batch: i64,
        rows: Option<i64>,
    ) -> Result<bool> {
        let known = &mut self.tables[index];
        let (Some(name), Some(_)) = (&known.name, known.since) else { return Ok(false) };
        let (schema, table) = (name.schema.as_str(), name.name.as_str());
        // In one statement, so that no run finds the one without the other.
        let record = Sql::literal(
            "WITH gone AS (DELETE FROM confiture.touched WHERE table_schema = $1 AND table_name = $2 AND batch <= $3)
             INSERT INTO confiture.coverage AS c (table_schema, table_name, batch, rows)
             VALUES ($1, $2, $3, coalesce($4::pg_catalog.int8, 0))
             ON CONFLICT (table_schema, table_name) DO UPDATE SET batch = excluded.batch, at = excluded.at,
                 rows = coalesce($4::pg_catalog.int8, c.rows),
                 complete_at = CASE WHEN $4::pg_catalog.int8 IS NULL THEN c.complete_at ELSE excluded.complete_at END
             RETURNING rows",
        );
        let row = session.query_one(&record, &[&schema, &table, &batch, &rows]).await?;
        let left = Sql::literal(
            "SELECT coalesce(pg_catalog.sum(pg_catalog.cardinality(keys)), 0)::pg_catalog.int8
             FROM confiture.touched WHERE table_schema = $1 AND table_name = $2",
        );
        let keys = session.query_one(&left, &[&schema, &table]).await?.get::<_, i64>(0).cast_unsigned();
        (known.since, known.keys, known.most) = (Some(batch), keys, most(row.get(0), keys));
        Ok(true)
    }

    /// Nothing is known of the table at `index` any more: all of its rows are compared next.
    pub(crate) async fn forget(&mut self, session: &Session, index: usize) -> Result<()> {
        let known = &mut self.tables[index];
        (known.since, known.keys) = (None, 0);
        let Some(name) = &known.name else { return Ok(()) };
        let forget = Sql::literal(
            "WITH gone AS (DELETE FROM confiture.touched WHERE table_schema = $1 AND table_name = $2)
             DELETE FROM confiture.coverage WHERE table_schema = $1 AND table_name = $2",
        );
        session.execute(&forget, &[&name.schema.as_str(), &name.name.as_str()]).await?;
        Ok(())
    }
}

/// What is known of every table, for whoever looks.
pub(crate) async fn status(session: &Session) -> Result<BTreeMap<QualifiedName, CoverageStatus>> {
    let query = Sql::literal(
        "SELECT table_schema, table_name, batch,
             extract(epoch FROM pg_catalog.clock_timestamp() - at)::pg_catalog.float8,
             extract(epoch FROM pg_catalog.clock_timestamp() - complete_at)::pg_catalog.float8,
             (SELECT coalesce(pg_catalog.sum(pg_catalog.cardinality(keys)), 0)::pg_catalog.int8
              FROM confiture.touched AS t WHERE t.table_schema = c.table_schema AND t.table_name = c.table_name)
         FROM confiture.coverage AS c",
    );
    let status = |row: &crate::postgres::Row| {
        let name = QualifiedName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let (batch, seconds_ago, complete_seconds_ago, touched_keys) =
            (row.get(2), row.get(3), row.get(4), row.get(5));
        (name, CoverageStatus { batch, seconds_ago, complete_seconds_ago, touched_keys })
    };
    Ok(session.query(&query, &[]).await?.iter().map(status).collect())
}

/// So many keys may be written down of a table of so many rows. Where more were while it was compared, the next comparison
/// has time to come to them.
fn most(rows: i64, written: u64) -> u64 {
    few(rows.unsigned_abs()).min(KEYS.1).max(written * 4)
}

/// So many keys of a table of so many rows are compared sooner than all of its rows.
pub(crate) fn few(rows: u64) -> u64 {
    (rows / 4).max(KEYS.0)
}

/// The keys that a snapshot of the target has as touched since a table was found equal, piece by piece: they may be many.
pub(crate) struct Touched<'session> {
    session: &'session Session,
    /// How many columns a key has.
    columns: usize,
}

impl<'session> Touched<'session> {
    /// Opens them; `None` where the table was not found equal.
    pub(crate) async fn open(
        session: &'session Session,
        table: &QualifiedName,
        columns: usize,
    ) -> Result<Option<Self>> {
        let (schema, name) = (table.schema.as_str(), table.name.as_str());
        let is_known = Sql::literal(
            "SELECT EXISTS (SELECT FROM confiture.coverage WHERE table_schema = $1 AND table_name = $2)",
        );
        if !session.query_one(&is_known, &[&schema, &name]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        // Each once; whole numbers in their order, so that an index is read from one end to the other.
        let open = sql!(
            "DECLARE confiture_touched NO SCROLL CURSOR FOR
             SELECT key FROM confiture.touched, pg_catalog.unnest(keys) AS key
             WHERE table_schema = {} AND table_name = {}
             GROUP BY key ORDER BY pg_catalog.length(key), key COLLATE pg_catalog.\"C\"",
            Literal(schema),
            Literal(name)
        );
        session.batch(&open).await?;
        Ok(Some(Self { session, columns }))
    }

    /// Some more of them; none where that were all.
    pub(crate) async fn next(&self) -> Result<KeySet> {
        let fetch = sql!("FETCH {} FROM confiture_touched", AT_ONCE);
        let mut keys = KeySet::default();
        for row in self.session.query(&fetch, &[]).await? {
            let key: &str = row.get(0);
            match self.columns {
                1 => keys.insert(&[key]),
                _ => keys.insert(&elements(key).iter().map(String::as_str).collect::<Vec<_>>()),
            }
        }
        Ok(keys)
    }

    /// Lets go of them.
    pub(crate) async fn close(self) -> Result<()> {
        self.session.batch(&Sql::literal("CLOSE confiture_touched")).await
    }
}

/// The elements of an array's text form, as [`array_text`] writes it.
fn elements(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in
        text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().chars()
    {
        let last = found.last_mut().expect("never empty");
        match character {
            _ if escaped => {
                last.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            _ => last.push(character),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_those_of_the_array() {
        for key in [vec!["1", "a"], vec!["", "null"], vec!["{a,b}", "c\"d\\e"], vec!["}", "it's, so"]] {
            assert_eq!(elements(&array_text(key.iter().copied())), key);
        }
    }
}
