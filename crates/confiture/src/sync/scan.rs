//! The leak scan: what the target holds now is read back, in the transaction that wrote it, and searched for original
//! values of masked columns and for what looks like personal data.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::catalog::{Catalog, Column, Relation, RelationKind, TypeKind};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::Session;
use crate::sql::{Sql, sql};
use crate::sync::fingerprint::{Frozen, hash};
use crate::sync::mask::kinds_in;
use crate::sync::plan::{Applied, TablePlan};
use crate::sync::planner::Sync;
use crate::sync::report::{Finding, ScanReport};
use crate::sync::tuple::{HEADER, SIGNATURE};
use crate::sync::types::{Family, family};

/// Rows that a searcher gets at once.
const BATCH: usize = 512 * 1024;
/// Threads that search beside the one that reads.
const SEARCHERS: usize = 3;
/// Of this many texts of a column, patterns are looked for in the first.
const PATTERN_SAMPLE: u64 = 20_000;

/// How a column of the target is searched.
#[derive(Debug, Clone)]
struct Searched {
    name: String,
    /// Original values are looked for.
    originals: bool,
    /// Patterns are looked for.
    patterns: bool,
}

/// What is found in one table.
pub(crate) struct TableScan {
    pub(crate) checksum: u64,
    pub(crate) rows: u64,
}

/// Reads one table back, from where it is or waits.
pub(crate) async fn scan_table(
    sync: &Sync,
    index: usize,
    place: &Sql,
    target: &Session,
    originals: &Arc<Frozen>,
    report: &mut ScanReport,
    execution: &Execution,
) -> Result<TableScan> {
    let table = &sync.plan.tables[index];
    let (searched, select) = searched_columns(sync, index, place);
    let searched = Arc::new(searched);
    let (batches, searchers) = start_searchers(&searched, originals);
    let context = |error: Error| error.context(format!("reading {} back", table.table.short()));
    let stream =
        target.copy_out(&sql!("COPY ({}) TO STDOUT (FORMAT binary)", select)).await.map_err(context)?;
    tokio::pin!(stream);
    let (mut batch, mut first, mut next) = (Vec::new(), true, 0);
    let mut rows = 0;
    while let Some(message) = stream.next().await {
        let message: Bytes = message.map_err(|error| target.refused(error)).map_err(context)?;
        let Some(row) = row_in(&message, &mut first) else { continue };
        rows += 1;
        batch.extend((row.len() as u32).to_le_bytes());
        batch.extend_from_slice(row);
        if batch.len() >= BATCH {
            if execution.is_interrupted() {
                return Err(interrupted());
            }
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH + 8192));
            let _ = batches[next % SEARCHERS].send(full).await;
            next += 1;
        }
    }
    let _ = batches[next % SEARCHERS].send(batch).await;
    drop(batches);
    let mut sum = Tally::new(searched.len());
    for searcher in searchers {
        let found =
            searcher.await.map_err(|panic| Error::unexpected("a searcher panicked").because(panic))?;
        sum.add(&found);
    }
    let checksum = sum.checksum;
    sum.tell(&searched, report);
    Ok(TableScan { checksum, rows })
}

/// The error that the user stopped it.
pub(crate) fn interrupted() -> Error {
    Error::interrupted("stopped: nothing was changed, the target is as it was")
}

type Searchers = (Vec<mpsc::Sender<Vec<u8>>>, Vec<tokio::task::JoinHandle<Tally>>);

fn start_searchers(searched: &Arc<Vec<Searched>>, originals: &Arc<Frozen>) -> Searchers {
    let (mut batches, mut searchers) = (Vec::new(), Vec::new());
    for _ in 0..SEARCHERS {
        let (send, mut receive) = mpsc::channel::<Vec<u8>>(2);
        let (searched, originals) = (Arc::clone(searched), Arc::clone(originals));
        batches.push(send);
        searchers.push(tokio::task::spawn_blocking(move || {
            let mut tally = Tally::new(searched.len());
            let mut words = Vec::new();
            while let Some(batch) = receive.blocking_recv() {
                search(&batch, &searched, &originals, &mut tally, &mut words);
            }
            tally
        }));
    }
    (batches, searchers)
}

/// What one searcher has counted.
struct Tally {
    checksum: u64,
    texts: u64,
    /// Per column: texts seen, those with an original value, and how often each kind was seen.
    columns: Vec<(u64, u64, std::collections::BTreeMap<&'static str, u64>)>,
}

impl Tally {
    fn new(columns: usize) -> Self {
        Self { checksum: 0, texts: 0, columns: vec![Default::default(); columns] }
    }

    fn add(&mut self, other: &Self) {
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self.texts += other.texts;
        for (sum, more) in self.columns.iter_mut().zip(&other.columns) {
            sum.1 += more.1;
            for (kind, count) in &more.2 {
                *sum.2.entry(kind).or_default() += count;
            }
        }
    }

    fn tell(self, searched: &[Searched], report: &mut ScanReport) {
        report.texts += self.texts;
        for (column, (_, leaks, kinds)) in searched.iter().zip(self.columns) {
            let finding =
                |what: &str, values| Finding { column: column.name.clone(), what: what.to_owned(), values };
            if leaks > 0 {
                report.findings.push(finding("an original value of a masked column", leaks));
            }
            report.suspicious.extend(kinds.into_iter().map(|(kind, values)| finding(kind, values)));
        }
    }
}

/// Searches some rows.
fn search(
    batch: &[u8],
    searched: &[Searched],
    originals: &Frozen,
    tally: &mut Tally,
    words: &mut Vec<(usize, usize)>,
) {
    let mut rest = batch;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (row, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        rest = after;
        tally.checksum = tally.checksum.wrapping_add(hash(row, 1));
        let mut fields = row.get(2..).unwrap_or_default();
        for (index, column) in searched.iter().enumerate() {
            let Some((length, after)) = fields.split_first_chunk::<4>() else { break };
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                fields = after;
                continue;
            };
            let (field, after) = after.split_at(length);
            fields = after;
            if !(column.originals || column.patterns) {
                continue;
            }
            tally.texts += 1;
            let seen = &mut tally.columns[index];
            if column.originals && originals.finds(field, words) {
                seen.1 += 1;
            }
            if column.patterns && seen.0 < PATTERN_SAMPLE {
                seen.0 += 1;
                let Ok(text) = std::str::from_utf8(field) else { continue };
                for kind in kinds_in(text) {
                    *seen.2.entry(kind.word()).or_default() += 1;
                }
            }
        }
    }
}

/// Rows and checksum of a table, as a scan after a sync computes them.
pub(crate) async fn checksum_of(
    relation: &Relation,
    catalog: &Catalog,
    session: &Session,
) -> Result<(u64, u64)> {
    let place = match relation.kind {
        RelationKind::PartitionedTable => sql!("{}", relation.name),
        _ => sql!("ONLY {}", relation.name),
    };
    let select = read_back(relation, catalog, &place);
    let stream = session.copy_out(&sql!("COPY ({}) TO STDOUT (FORMAT binary)", select)).await?;
    tokio::pin!(stream);
    let (mut rows, mut sum, mut first) = (0, 0_u64, true);
    while let Some(message) = stream.next().await {
        let message: Bytes = message.map_err(|error| session.refused(error))?;
        let Some(row) = row_in(&message, &mut first) else { continue };
        rows += 1;
        sum = sum.wrapping_add(hash(row, 1));
    }
    Ok((rows, sum))
}

/// The row in a message of COPY's binary format; `None` for the trailer.
fn row_in<'a>(message: &'a [u8], first: &mut bool) -> Option<&'a [u8]> {
    let row = if std::mem::take(first) {
        message.get(HEADER..).filter(|_| message.starts_with(SIGNATURE))?
    } else {
        message
    };
    (!row.is_empty() && !row.starts_with(&[0xff, 0xff])).then_some(row)
}

/// The SELECT that reads a table back: text as it is, everything else as text.
fn read_back(relation: &Relation, catalog: &Catalog, place: &Sql) -> Sql {
    let selected = relation.columns.iter().map(|column| {
        if is_text(column, catalog) {
            sql!("{}", column.name)
        } else {
            sql!("CAST({} AS pg_catalog.text)", column.name)
        }
    });
    sql!("SELECT {} FROM {}", Sql::join(", ", selected), place)
}

/// Every column of the target's table as it is searched, and the SELECT that reads them.
fn searched_columns(sync: &Sync, index: usize, place: &Sql) -> (Vec<Searched>, Sql) {
    let (table, program) = (&sync.plan.tables[index], &sync.programs[index]);
    let catalog = &sync.target_catalog;
    let mut searched = Vec::new();
    let Some(relation) = catalog.relations.get(&table.table) else { return (searched, Sql::default()) };
    for column in &relation.columns {
        let planned = table.columns.iter().position(|planned| planned.name == column.name);
        let name = format!("{}.{}", table.table, column.name);
        let ignored =
            sync.options.rules.scan_ignore.iter().any(|ignored| {
                ignored.value.column == column.name && ignored.value.table.names(&table.table)
            });
        let meets_others = planned
            .and_then(|index| program.columns.get(index)?.mask.as_ref())
            .is_some_and(crate::sync::mask::Mask::may_meet_others);
        let kept = planned.is_none_or(|index| table.columns[index].applied == Applied::Nowhere);
        let textish = holds_text(column, catalog);
        searched.push(Searched {
            name,
            originals: textish && !ignored && !meets_others,
            patterns: textish && !ignored && kept,
        });
    }
    (searched, read_back(relation, catalog, place))
}

fn is_text(column: &Column, catalog: &Catalog) -> bool {
    matches!(family(&column.data_type, catalog).0, Family::Text(_))
}

/// Numbers, dates, UUIDs and enumerations cannot hold somebody's words.
fn holds_text(column: &Column, catalog: &Catalog) -> bool {
    match family(&column.data_type, catalog).0 {
        Family::Text(_) | Family::Json | Family::TextArray | Family::Address => true,
        Family::Integer(_) | Family::Number | Family::Uuid | Family::Date | Family::Enum => false,
        Family::Other => {
            let data_type = catalog.data_type(column.data_type.oid);
            let name = data_type.map(|data_type| data_type.name.name.as_str()).unwrap_or_default();
            let numbers = [
                "bool",
                "time",
                "timetz",
                "interval",
                "bit",
                "varbit",
                "oid",
                "int4range",
                "int8range",
                "numrange",
                "tsrange",
                "tstzrange",
                "daterange",
                "bytea",
            ];
            !numbers.contains(&name)
                && !matches!(data_type.map(|data_type| &data_type.kind), Some(TypeKind::Array { element }) if {
                    let of = crate::catalog::TypeUse { oid: *element, modifier: -1, text: String::new() };
                    matches!(family(&of, catalog).0, Family::Integer(_) | Family::Number | Family::Uuid | Family::Date | Family::Enum)
                })
        }
    }
}

/// What the source alone has masked shows that it was: a date that is cut, a number that is rounded.
pub(crate) async fn check_source_masks(
    sync: &Sync,
    index: usize,
    place: &Sql,
    target: &Session,
) -> Result<()> {
    let (table, program) = (&sync.plan.tables[index], &sync.programs[index]);
    let (mut names, mut counts) = (Vec::new(), Vec::new());
    for (column, compiled) in table.columns.iter().zip(&program.columns) {
        let Some(holds) = &compiled.holds else { continue };
        names.push(&column.name);
        counts.push(sql!("pg_catalog.count(*) FILTER (WHERE NOT ({}))", holds));
    }
    if names.is_empty() {
        return Ok(());
    }
    let row = target.query_one(&sql!("SELECT {} FROM {}", Sql::join(", ", counts), place), &[]).await?;
    for (at, name) in names.iter().enumerate() {
        let values: i64 = row.get(at);
        if values > 0 {
            return Err(Error::new(
                crate::ErrorKind::Found,
                format!("{values} values of {}.{name} are not what its rule makes: nothing was changed in the target", table.table.short()),
            )
            .hint("a trigger, a default or another time zone of the target changes them"));
        }
    }
    Ok(())
}

/// What the in-stream counts say: a mask that changes nothing is no mask.
pub(crate) fn check_changed(sync: &Sync, index: usize, counts: &[crate::sync::tuple::Count]) -> Result<()> {
    let (table, program): (&TablePlan, _) = (&sync.plan.tables[index], &sync.programs[index]);
    for ((column, compiled), count) in table.columns.iter().zip(&program.columns).zip(counts) {
        let Some(mask) = compiled.mask.as_ref().filter(|mask| mask.must_change()) else { continue };
        // A list of names may give a person's own, and digits their own order: rarely.
        let allowed = if mask.may_meet_others() { 2 + count.masked / 20 } else { 0 };
        if count.unchanged > allowed {
            return Err(Error::new(
                crate::ErrorKind::Found,
                format!(
                    "{} of {} values of {}.{} came out as they went in: nothing was changed in the target",
                    count.unchanged,
                    count.masked,
                    table.table.short(),
                    column.name
                ),
            )
            .hint("the values are masked already, or the rule does not fit them"));
        }
    }
    Ok(())
}
