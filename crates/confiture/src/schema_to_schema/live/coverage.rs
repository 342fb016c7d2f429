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

/// Keys that are written down of a table, however small it is: so many that one which is written to fast is still known to be
/// equal when it was compared. Few in tests, where it often is not.
const FEW: u64 = if cfg!(feature = "failpoints") { 2_000 } else { 100_000 };

/// What is known of every table of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    tables: Vec<Known>,
    /// On the way back, rows that nobody has touched are known to be as they were, and may hold what the mapping cannot say:
    /// comparing all of them is no way out where many were touched.
    is_way_back: bool,
    /// What the batch at work has touched: by table, texts of keys.
    touched: Vec<(usize, Vec<String>)>,
    /// Tables of which nothing is known any more because of the batch at work.
    lost: Vec<usize>,
}

/// What is known of one table.
#[derive(Debug, Clone)]
struct Known {
    name: Option<QualifiedName>,
    /// The batch since which keys are written down; `None` where they are not.
    since: Option<i64>,
    /// True where it was found equal after a batch, as the ledger says.
    equal: bool,
    /// Keys that were written down since, each as often as it was touched since they were condensed.
    keys: u64,
    /// So many keys are condensed.
    condensed_at: u64,
    /// Different keys from which on all rows are compared again.
    most: u64,
}

impl Known {
    fn new(name: Option<QualifiedName>) -> Self {
        Self { name, since: None, equal: false, keys: 0, condensed_at: FEW, most: u64::MAX }
    }
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
            found.insert(name, (since, rows, keys));
        }
        let mut all = Self { tables: Vec::new(), is_way_back, touched: Vec::new(), lost: Vec::new() };
        for table in &plan.tables {
            let mut known = Known::new(Some(table.target.clone()));
            if let Some((since, rows, keys)) = found.get(&table.target) {
                all.set_equal(&mut known, *since, *rows, *keys);
            }
            all.tables.push(known);
        }
        Ok(all)
    }

    /// It was found equal after a batch, when it had so many rows; so many keys were touched since.
    fn set_equal(&self, known: &mut Known, batch: i64, rows: i64, keys: i64) {
        (known.since, known.equal, known.keys) = (Some(batch), true, keys.cast_unsigned());
        known.condensed_at = FEW.max(2 * known.keys);
        known.most = match self.is_way_back {
            true => u64::MAX,
            false => FEW.max(rows.unsigned_abs() / 4),
        };
    }

    /// Writes keys down from `batch` on: the table at `index` is going to be compared as that batch has left it.
    pub(crate) fn begin(&mut self, index: usize, batch: i64) {
        let known = &mut self.tables[index];
        if known.since.is_none() {
            *known = Known { since: Some(batch), ..Known::new(known.name.take()) };
        }
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
            if self.tables[index].keys > self.tables[index].condensed_at {
                self.condense(session, index, batch).await?;
            }
        }
        for index in std::mem::take(&mut self.lost) {
            self.forget(session, index).await?;
        }
        Ok(())
    }

    /// Keeps each key once; where those are still too many, comparing all rows is no more work.
    async fn condense(&mut self, session: &Session, index: usize, batch: i64) -> Result<()> {
        let known = &mut self.tables[index];
        let Some(name) = &known.name else { return Ok(()) };
        let condense = Sql::literal(
            "WITH old AS (DELETE FROM confiture.touched WHERE table_schema = $1 AND table_name = $2 RETURNING keys),
                  each AS (SELECT DISTINCT key FROM old, pg_catalog.unnest(keys) AS key),
                  numbered AS (SELECT key, (pg_catalog.row_number() OVER () - 1) / 10000 AS piece FROM each),
                  written AS (INSERT INTO confiture.touched (table_schema, table_name, batch, keys)
                      SELECT $1, $2, $3, pg_catalog.array_agg(key) FROM numbered GROUP BY piece)
             SELECT pg_catalog.count(*) FROM each",
        );
        let row = session.query_one(&condense, &[&name.schema.as_str(), &name.name.as_str(), &batch]).await?;
        known.keys = row.get::<_, i64>(0).cast_unsigned();
        known.condensed_at = FEW.max(2 * known.keys);
        if known.keys > known.most {
            self.forget(session, index).await?;
        }
        Ok(())
    }

    /// The table at `index` was found equal after `batch`. False, and nothing becomes of it, where something happened to the
    /// table since of which no keys tell, or of which too many do.
    pub(crate) async fn found_equal(
        &mut self,
        session: &Session,
        index: usize,
        batch: i64,
        rows: Option<i64>,
    ) -> Result<bool> {
        let mut known = self.tables[index].clone();
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
        let keys: i64 = session.query_one(&left, &[&schema, &table]).await?.get(0);
        self.set_equal(&mut known, batch, row.get(0), keys);
        self.tables[index] = known;
        Ok(true)
    }

    /// Nothing is known of the table at `index` any more: all of its rows are compared next.
    pub(crate) async fn forget(&mut self, session: &Session, index: usize) -> Result<()> {
        let known = &mut self.tables[index];
        (known.since, known.equal, known.keys) = (None, false, 0);
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

/// The keys that a session's snapshot of the target has as touched since a table was found equal, each once, some at a time:
/// there may be more than fit into memory.
pub(crate) struct Touched<'a> {
    session: &'a Session,
    /// How many columns a key has.
    columns: usize,
}

impl<'a> Touched<'a> {
    /// `None` where the table was not found equal.
    pub(crate) async fn open(
        session: &'a Session,
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
        let open = sql!(
            "DECLARE confiture_touched NO SCROLL CURSOR FOR
             SELECT DISTINCT key FROM confiture.touched, pg_catalog.unnest(keys) AS key
             WHERE table_schema = {} AND table_name = {}",
            Literal(schema),
            Literal(name)
        );
        session.batch(&open).await?;
        Ok(Some(Self { session, columns }))
    }

    /// The next ones; none where those were all.
    pub(crate) async fn next(&self) -> Result<KeySet> {
        let mut keys = KeySet::default();
        for row in self.session.query(&Sql::literal("FETCH 10000 FROM confiture_touched"), &[]).await? {
            let key: &str = row.get(0);
            match self.columns {
                1 => keys.insert(&[key]),
                _ => keys.insert(&elements(key).iter().map(String::as_str).collect::<Vec<_>>()),
            }
        }
        Ok(keys)
    }

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
