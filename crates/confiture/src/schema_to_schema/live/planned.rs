//! Whether the source's tables still are those that the plan was made for, once their shapes are known: what was altered
//! between the two no batch would notice.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::postgres::Row;
use crate::postgres::feed::CapturedTable;
use crate::schema_to_schema::live::capture::Captured;
use crate::schema_to_schema::live::follower::ALTERED;
use crate::schema_to_schema::planner::Migration;
use crate::sql::{QualifiedName, Sql};

/// Number, name and type of each column.
type Columns = Vec<(i16, String, u32)>;

/// A relation, as it is now.
struct Now {
    name: QualifiedName,
    is_partitioned: bool,
    columns: Columns,
    /// OIDs of its partitions.
    children: Vec<u32>,
}

impl Migration {
    /// Errs where a source table was altered, renamed, or got or lost a partition since the plan was made.
    pub(super) async fn check_still_planned(&self, captured: &Captured) -> Result<()> {
        let oids: Vec<u32> = captured.tables.iter().flat_map(CapturedTable::oids).collect();
        let query = Sql::literal(include_str!("../../postgres/queries/planned.sql"));
        let rows = self.source.query(&query, &[&oids]).await?;
        let now: BTreeMap<u32, Now> = rows.iter().map(read).collect();
        match captured.tables.iter().find(|table| !self.is_as_planned(table, &now)) {
            None => Ok(()),
            Some(table) => Err(Error::refused(format!(
                "{} was altered while the migration was planned",
                table.name.short()
            ))
            .sqlstate(ALTERED)
            .hint("run the command again")),
        }
    }

    fn is_as_planned(&self, table: &CapturedTable, now: &BTreeMap<u32, Now>) -> bool {
        let Some(found) = now.get(&table.oid) else { return false };
        let relation = self.source_catalog.relations.get(&table.name);
        let mut columns: Columns = relation
            .iter()
            .flat_map(|relation| &relation.columns)
            .map(|column| (column.number, column.name.as_str().to_owned(), column.data_type.oid))
            .collect();
        columns.sort_unstable();
        let mut planned: Vec<u32> = table.partitions.iter().map(|(_, oid)| *oid).collect();
        let mut there: Vec<u32> = match found.is_partitioned {
            true => {
                table.oids().filter_map(|oid| now.get(&oid)).flat_map(|one| one.children.clone()).collect()
            }
            false => Vec::new(),
        };
        planned.sort_unstable();
        there.sort_unstable();
        let are_named =
            table.partitions.iter().all(|(name, oid)| now.get(oid).is_some_and(|one| &one.name == name));
        found.name == table.name && found.columns == columns && there == planned && are_named
    }
}

fn read(row: &Row) -> (u32, Now) {
    let numbers: Vec<i16> = row.get(4);
    let (names, types): (Vec<String>, Vec<u32>) = (row.get(5), row.get(6));
    let now = Now {
        name: QualifiedName::new(row.get::<_, &str>(1), row.get::<_, &str>(2)),
        is_partitioned: row.get(3),
        columns: numbers
            .into_iter()
            .zip(names)
            .zip(types)
            .map(|((number, name), of)| (number, name, of))
            .collect(),
        children: row.get(7),
    };
    (row.get(0), now)
}
