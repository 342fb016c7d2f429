//! Whether the target's server has room: a load that fills the disk stops everything else there, too.

use std::path::Path;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::Sql;
use crate::sync::plan::TablePlan;

/// About what the target needs until the end: the rows that were there stay until the commit, and so does the quarantine. Of
/// a subset nobody knows before the rows are chosen.
pub(crate) fn needed(tables: &[TablePlan], quarantine: bool, source: &Catalog) -> u64 {
    let of = |table: &TablePlan| {
        let (rows, indexes) = held(table, source);
        rows * if quarantine { 2 } else { 1 } + indexes
    };
    tables.iter().filter(|table| !table.subset).map(of).sum()
}

/// What the tables hold on the target now.
pub(crate) fn there(tables: &[TablePlan], target: &Catalog) -> u64 {
    let all = tables.iter().map(|table| held(table, target));
    all.map(|(rows, indexes)| rows + indexes).sum()
}

/// Bytes of a table's rows and of its indexes.
fn held(table: &TablePlan, catalog: &Catalog) -> (u64, u64) {
    let Some(relation) = catalog.relations.get(&table.table) else { return (0, 0) };
    let storage = catalog.storage_of(relation);
    storage.iter().fold((0, 0), |(rows, indexes), part| (rows + part.bytes, indexes + part.index_bytes))
}

/// What the target's disk has free, where it is this machine's and the role may ask where it is. Of others, SQL does not tell.
pub(crate) async fn free(target: &Session) -> Result<Option<u64>> {
    let is_here = target.connection().endpoints.iter().all(|endpoint| endpoint.host.starts_with('/'));
    if !is_here {
        return Ok(None);
    }
    let query = "SELECT pg_catalog.current_setting('data_directory', true)
        WHERE pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')";
    let Some(row) = target.query_opt(&Sql::literal(query), &[]).await? else { return Ok(None) };
    Ok(row.get::<_, Option<&str>>(0).and_then(|folder| crate::disk::free_bytes(Path::new(folder))))
}

/// Refuses where less is known to be free than that.
pub(crate) fn check(needed: u64, free: Option<u64>) -> Result<()> {
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
