//! The rows of some keys, compared on both sides.

use futures_util::future::try_join;

use crate::catalog::{Catalog, Oid, Relation, TypeKind};
use crate::error::{Error, Result};
use crate::postgres::feed::{KeyColumn, KeyPiece, KeySet};
use crate::schema_to_schema::fingerprint::{self, Side};
use crate::schema_to_schema::live::capture::{Captured, key_type};
use crate::schema_to_schema::live::coverage::{Touched, few};
use crate::schema_to_schema::plan::{PageRange, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion::held_query;
use crate::schema_to_schema::verify::{Sides, TableVerification};
use crate::sql::{Identifier, Sql, sql};

/// Keys that one query looks up.
const AT_ONCE: usize = 10_000;

/// How the keys of one table are found on both sides.
pub(crate) struct Keyed<'a> {
    table: &'a TablePlan,
    source: Vec<&'a KeyColumn>,
    target: Vec<KeyColumn>,
    relation: &'a Relation,
    catalog: &'a Catalog,
}

impl<'a> Keyed<'a> {
    /// `None` where a key's text may mean another value on the other side, so that only all rows can be compared.
    pub(crate) fn new(
        migration: &'a Migration,
        captured: &'a Captured,
        catalog: &'a Catalog,
        index: usize,
    ) -> Result<Option<Self>> {
        let table = &migration.plan.tables[index];
        let relation = catalog.relations.get(&table.target).ok_or_else(|| {
            Error::config(format!("the target no longer has the table {}", table.target.short()))
        })?;
        let mut target = Vec::new();
        for name in &table.key {
            let Some(column) = relation.column(name) else { return Ok(None) };
            if !has_exact_text(column.data_type.oid, catalog) {
                return Ok(None);
            }
            let data_type = key_type(column.data_type.oid, catalog);
            target.push(KeyColumn { name: name.clone(), data_type });
        }
        let source = captured.key_columns(&captured.followed[index]);
        Ok(Some(Self { table, source, target, relation, catalog }))
    }

    /// Compares the rows of the keys that were touched; `None` where they differ, or where comparing all rows is less work.
    /// On the way back, it never is.
    pub(crate) async fn compare(
        &self,
        touched: Touched<'_>,
        is_way_back: bool,
        sides: &Sides<'_>,
    ) -> Result<Option<TableVerification>> {
        let mut rows = Some((0, 0));
        let mut compared = 0;
        while let Some((given, held)) = rows {
            let keys = touched.next().await?;
            if keys.is_empty() {
                break;
            }
            compared += keys.len() as u64;
            let is_worth_it = is_way_back || compared <= few(self.table.rows);
            let equal = if is_worth_it { self.compare_keys(&keys, sides).await? } else { None };
            rows = equal.map(|(more_given, more_held)| (given + more_given, held + more_held));
        }
        touched.close().await?;
        let found = |(given, held)| {
            let mut found = TableVerification::new(self.table, given, held, None);
            found.keys = Some(compared);
            found
        };
        Ok(rows.map(found))
    }

    /// How many rows of these keys of the source there are on either side; `None` where they differ.
    async fn compare_keys(&self, keys: &KeySet, sides: &Sides<'_>) -> Result<Option<(i64, i64)>> {
        let Some(driving) = &self.table.source else { return Ok(None) };
        let (source, target) = (&sides.source[0], &sides.target[0]);
        let (mut given_rows, mut held_rows) = (0, 0);
        let alias = &self.table.query.alias;
        for piece in keys.pieces(&self.source, AT_ONCE) {
            let condition = piece.has_key_of(alias);
            let query = self.table.query.from_relation(&sql!("{}", driving), &[condition]);
            let given = Side { derived: Some(query), ..Side::of_source(self.table) };
            let mut wanted = KeySet::default();
            for row in source.query(&self.target_keys(&piece), &[]).await? {
                let key: Vec<Option<&str>> = (0..self.target.len()).map(|column| row.get(column)).collect();
                if let Some(key) = key.into_iter().collect::<Option<Vec<&str>>>() {
                    wanted.insert(&key);
                }
            }
            let columns: Vec<&KeyColumn> = self.target.iter().collect();
            let query = held_query(self.table, self.catalog, self.relation);
            let among: Vec<Sql> = wanted
                .pieces(&columns, usize::MAX)
                .map(|piece| piece.has_key_of(&Identifier::new("t")))
                .collect();
            let conditions = match among.is_empty() {
                true => [Sql::literal("false")],
                false => [sql!("({})", Sql::join(" OR ", among))],
            };
            let only = Sql::literal(match query.storage.as_slice() {
                [storage] if storage.only && storage.relation == self.table.target => "ONLY ",
                _ => "",
            });
            let query = query.from_relation(&sql!("{}{}", only, self.table.target), &conditions);
            let side = Side::of_target(self.table, held_query(self.table, self.catalog, self.relation));
            let held = Side { derived: Some(query), ..side };
            let one = [PageRange { storage: 0, pages: None }];
            let (given, held) = try_join(
                fingerprint::take(&given, &one, std::slice::from_ref(source), sides.lets_go, &|_| {}),
                fingerprint::take(&held, &one, std::slice::from_ref(target), sides.lets_go, &|_| {}),
            )
            .await?;
            given_rows += given.rows();
            held_rows += held.rows();
            if given != held {
                return Ok(None);
            }
        }
        Ok(Some((given_rows, held_rows)))
    }

    /// The texts of the target's keys for keys of the source, as assignment makes them.
    fn target_keys(&self, piece: &KeyPiece<'_>) -> Sql {
        let shown = self.table.key.iter().filter_map(|name| {
            let column = self.table.columns.iter().find(|column| &column.target == name)?;
            Some(sql!("CAST({} AS pg_catalog.text)", column.compared_source.shown))
        });
        let names = Sql::join(", ", self.source.iter().map(|column| &column.name));
        sql!(
            "SELECT DISTINCT {} FROM {} AS {} ({})",
            Sql::join(", ", shown),
            piece.rows(),
            self.table.query.alias,
            names
        )
    }
}

/// True of types whose text is the same on every server, and is read back as the same value.
fn has_exact_text(oid: Oid, catalog: &Catalog) -> bool {
    let Some(data_type) = catalog.data_type(oid) else { return false };
    match &data_type.kind {
        TypeKind::Domain { base, .. } => has_exact_text(base.oid, catalog),
        TypeKind::Enum { .. } => true,
        TypeKind::Base if data_type.is_built_in() => matches!(
            data_type.name.name.as_str(),
            "int2"
                | "int4"
                | "int8"
                | "numeric"
                | "text"
                | "varchar"
                | "bpchar"
                | "uuid"
                | "bool"
                | "date"
                | "timestamp"
                | "timestamptz"
                | "bytea"
                | "inet"
                | "cidr"
        ),
        _ => false,
    }
}
