//! Whether the target's server has room: a load that fills the disk stops everything else there, too.

use std::path::Path;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::Sql;
use crate::sync::plan::TablePlan;

/// About what the target needs until the end: the rows that were there stay until the commit, and so does the quarantine.
pub(crate) fn needed(tables: &[TablePlan], quarantine: bool, source: &Catalog) -> u64 {
    let of = |table: &TablePlan| {
        let relation = source.relations.get(&table.table)?;
        let storage = source.storage_of(relation);
        let (rows, indexes) = storage
            .iter()
            .fold((0, 0), |(rows, indexes), part| (rows + part.bytes, indexes + part.index_bytes));
        Some(rows * if quarantine { 2 } else { 1 } + indexes)
    };
    // Of a subset nobody knows before the rows are chosen.
    tables.iter().filter(|table| !table.subset).filter_map(of).sum()
}

/// Refuses where the target's disk is this machine's and has less room than that. Of others, SQL does not tell.
pub(crate) async fn check(target: &Session, needed: u64) -> Result<()> {
    let is_here = target.connection().endpoints.iter().all(|endpoint| endpoint.host.starts_with('/'));
    if !is_here {
        return Ok(());
    }
    let query = "SELECT pg_catalog.current_setting('data_directory', true)
        WHERE pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')";
    let Some(row) = target.query_opt(&Sql::literal(query), &[]).await? else { return Ok(()) };
    let free = row.get::<_, Option<&str>>(0).and_then(|folder| crate::disk::free_bytes(Path::new(folder)));
    match free {
        Some(free) if free < needed => Err(Error::refused(format!(
            "the target's disk has {} free, and the sync needs about {}",
            in_words(free),
            in_words(needed)
        ))
        .hint("free space on it, choose fewer --tables, or a `subset` in the rules")),
        _ => Ok(()),
    }
}

fn in_words(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
