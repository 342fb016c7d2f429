//! The plan: what will be moved, how, and why so. Plain data.

use serde::Serialize;

use crate::catalog::Oid;
use crate::config::mapping::{ColumnMapping, Dependency, Validation};
use crate::error::Place;
use crate::schema_to_schema::portion::Portion;
use crate::schema_to_schema::transfer::Compared;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// A whole migration, checked against both catalogs.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The source, without its password.
    pub source: String,
    /// The target, without its password.
    pub target: String,
    /// Whether rows cross from one database to another.
    pub topology: Topology,
    /// The tables in the mapping's order.
    pub tables: Vec<TablePlan>,
    /// Remarks about the whole.
    pub remarks: Vec<Remark>,
    /// Workers in all.
    pub workers: usize,
    /// The mapping's assertions.
    #[serde(skip)]
    pub validations: Vec<Validation>,
    /// SHA-256 over what decides which rows end up where, in hexadecimal: an edited mapping changes it.
    pub fingerprint: String,
}

/// Where the two sides are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Two databases, on one server or two.
    TwoDatabases,
    /// Two schemas of one database.
    OneDatabase,
}

/// Something that the user should know before the migration begins.
#[derive(Debug, Clone, Serialize)]
pub struct Remark {
    /// One sentence.
    pub message: String,
    /// The place in the mapping that it is about.
    #[serde(skip)]
    pub place: Option<Place>,
    /// True where it should be looked at.
    pub warning: bool,
}

/// One target table.
#[derive(Debug, Clone, Serialize)]
pub struct TablePlan {
    /// The table that is filled.
    pub target: QualifiedName,
    /// The table whose rows drive it; `None` for a whole statement whose source we do not know.
    pub source: Option<QualifiedName>,
    /// The columns that are written.
    pub columns: Vec<ColumnPlan>,
    /// Target columns that are not written, each with its reason.
    pub skipped: Vec<(Identifier, String)>,
    /// The target columns that identify a row in verification; empty for none.
    pub key: Vec<Identifier>,
    /// How rows travel.
    pub route: Route,
    /// Why so.
    pub reason: String,
    /// The format on the wire, for [`Route::Copy`].
    pub format: CopyFormat,
    /// Source rows by estimate (before any `where`).
    pub rows: u64,
    /// Source bytes: heap and TOAST.
    pub bytes: u64,
    /// Seconds by estimate, at the throughput that was measured or configured.
    pub estimated_seconds: Option<f64>,
    /// The rows, as parts that copying and verification put together.
    #[serde(skip)]
    pub query: RowQuery,
    /// How changes of other tables find the driving rows, for following.
    #[serde(skip)]
    pub depends: Vec<Dependency>,
    /// Columns of the source's table from expressions over the target's, as the mapping has them: for going back.
    #[serde(skip)]
    pub reverse: Vec<ColumnMapping>,
    /// The part of the target that is filled; `None` where that is all of it.
    #[serde(skip)]
    pub portion: Option<Portion>,
    /// Where the mapping names it.
    #[serde(skip)]
    pub place: Option<Place>,
    /// Remarks about this table.
    pub remarks: Vec<Remark>,
}

/// How the rows of one table travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// COPY from the source through the client into the target.
    Copy,
    /// `INSERT … SELECT` on the target over a foreign table.
    Fdw,
    /// `INSERT … SELECT` within one database.
    Local,
}

/// The format of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyFormat {
    /// Each type's own binary form.
    Binary,
    /// Each type's text form: for types whose binary form means something else on the other side.
    Text,
}

/// A target column and what fills it.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnPlan {
    /// The column that is written.
    pub target: Identifier,
    /// What fills it, as the plan shows it: `u.full_name`.
    pub shown: String,
    /// The same over the `from` clause, as SQL.
    #[serde(skip)]
    pub expression: Sql,
    /// The driving table's column, where it is just that.
    pub source_column: Option<Identifier>,
    /// What the source sends: the expression cast to what the target's receive function takes.
    #[serde(skip)]
    pub sent: Sql,
    /// What `INSERT … SELECT` selects, for the server to assign.
    #[serde(skip)]
    pub inserted: Sql,
    /// How verification reads it on the source.
    #[serde(skip)]
    pub compared_source: Compared,
    /// How verification reads it on the target.
    #[serde(skip)]
    pub compared_target: Compared,
    /// The target's type with its modifier.
    pub data_type: String,
    /// Where the mapping names it.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// The parts of the one SELECT that defines a target table's rows.
#[derive(Debug, Clone, Default)]
pub struct RowQuery {
    /// The driving relation's alias.
    pub alias: Identifier,
    /// Relations of the driving table that have storage: leaves of a partitioned table, inheritance children.
    pub storage: Vec<Storage>,
    /// Joins, as the user wrote them.
    pub joins: Sql,
    /// All conditions, each without parentheses around.
    pub filters: Vec<Sql>,
    /// A whole statement instead: `INSERT INTO … SELECT …`.
    pub statement: Option<Sql>,
}

/// One relation that rows are read from.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its name.
    pub relation: QualifiedName,
    /// Its OID on the source.
    pub oid: Oid,
    /// Pages of its main fork when the plan was made; `None` for what cannot be read by pages (views, foreign tables).
    pub pages: Option<u32>,
    /// True where it has inheritance children, which must not be read with it.
    pub only: bool,
}

/// A range of pages of one relation: what one COPY moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRange {
    /// Which of [`RowQuery::storage`].
    pub storage: usize,
    /// First page, and the page after the last; `None` for the whole relation.
    pub pages: Option<(u32, u32)>,
}

impl RowQuery {
    /// `FROM … WHERE …` over one range.
    #[must_use]
    pub fn from_where(&self, range: &PageRange) -> Sql {
        let storage = &self.storage[range.storage];
        let only = Sql::literal(if storage.only { "ONLY " } else { "" });
        let mut conditions = Vec::new();
        if let Some((first, end)) = range.pages {
            conditions.push(sql!("{}.ctid >= '({},0)'::pg_catalog.tid", self.alias, first));
            // The last range of a relation is open, for rows that were added to its end before the snapshot.
            if end != u32::MAX {
                conditions.push(sql!("{}.ctid < '({},0)'::pg_catalog.tid", self.alias, end));
            }
        }
        self.from_relation(&sql!("{}{}", only, storage.relation), &conditions)
    }

    /// `FROM … WHERE …` with `relation` as the driving one, under more conditions.
    #[must_use]
    pub fn from_relation(&self, relation: &Sql, conditions: &[Sql]) -> Sql {
        let own = self.filters.iter().map(|filter| sql!("({}\n)", filter));
        let all: Vec<Sql> = own.chain(conditions.iter().cloned()).collect();
        let mut text = sql!("FROM {} AS {} {}\n", relation, self.alias, self.joins);
        if !all.is_empty() {
            text.push(&sql!("WHERE {}", Sql::join(" AND ", &all)));
        }
        text
    }

    /// The whole of every relation.
    #[must_use]
    pub fn whole(&self) -> Vec<PageRange> {
        (0..self.storage.len()).map(|storage| PageRange { storage, pages: None }).collect()
    }
}

impl TablePlan {
    /// The rows of one range as the target's COPY takes them.
    #[must_use]
    pub fn select_sent(&self, range: &PageRange) -> Sql {
        let sent = Sql::join(", ", self.columns.iter().map(|column| &column.sent));
        sql!("SELECT {} {}", sent, self.query.from_where(range))
    }

    /// The rows of one range as `INSERT … SELECT` takes them.
    #[must_use]
    pub fn select_inserted(&self, range: &PageRange) -> Sql {
        let inserted = Sql::join(", ", self.columns.iter().map(|column| &column.inserted));
        sql!("SELECT {} {}", inserted, self.query.from_where(range))
    }

    /// The target and the columns that are written: `public.users (id, name)`; without brackets where there are none.
    #[must_use]
    pub fn target_columns(&self) -> Sql {
        match self.columns.is_empty() {
            true => sql!("{}", self.target),
            false => sql!("{} ({})", self.target, self.column_list()),
        }
    }

    /// The written columns, quoted, with commas.
    #[must_use]
    pub fn column_list(&self) -> Sql {
        Sql::join(", ", self.columns.iter().map(|column| &column.target))
    }
}

impl Plan {
    /// The plan of one target table.
    #[must_use]
    pub fn table(&self, target: &QualifiedName) -> Option<&TablePlan> {
        self.tables.iter().find(|table| &table.target == target)
    }
}
