//! The mapping: how the target's tables are made from the source's. One canonical form; four older shapes are read into it.
//!
//! [`Mapping::parse`] tells the shapes apart by their root keys, [`Mapping::render`] prints every mapping canonically. What needs
//! the catalogs (do the columns exist, do the types fit) is checked when the migration is planned, with the places kept here.

mod canonical;
mod inline;
mod lexer;
mod older;
mod passages;
mod pieces;
mod reader;
mod render;
#[cfg(test)]
mod tests;

pub use passages::Passages;

use crate::config::Spanned;
use crate::sql::Identifier;

/// A whole mapping file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping {
    /// `migration.name`.
    pub name: Option<String>,
    /// `migration.from_version`.
    pub from_version: Option<String>,
    /// `migration.to_version`.
    pub to_version: Option<String>,
    /// `source`: an environment, URL or DSN, where the command names none.
    pub source: Option<Spanned<String>>,
    /// `target`: likewise.
    pub target: Option<Spanned<String>>,
    /// `strategy` for all tables, or `migration.auto_strategy`.
    pub strategy: Option<Spanned<Strategy>>,
    /// `strategy_config.threshold_rows`.
    pub threshold_rows: Option<u64>,
    /// `strategy_config.fdw_throughput`, rows a second: overrides the measured one.
    pub fdw_throughput: Option<f64>,
    /// `strategy_config.copy_throughput`, rows a second: overrides the measured one.
    pub copy_throughput: Option<f64>,
    /// `parallel`: workers in all.
    pub parallel: Option<u16>,
    /// `sync`: how both sides are kept equal while both are written.
    pub sync: Option<Spanned<SyncMode>>,
    /// The tables, in the file's order.
    pub tables: Vec<TableMapping>,
    /// Column transformations that name no table (the older shape `transformations:`); resolved against the catalogs.
    pub transformations: Vec<Transformation>,
    /// User assertions that verification runs.
    pub validations: Vec<Validation>,
    /// True where tables that the file does not name map to each other by name (`others: same-name`, and the older
    /// shapes whose lists are overrides).
    pub others_by_name: bool,
    /// Where each piece of SQL stands, for errors inside of it: see [`Mapping::place_in`].
    pub passages: Passages,
}

/// How one target table is made.
#[derive(Debug, Clone, PartialEq)]
pub struct TableMapping {
    /// The target table, as written.
    pub target: Spanned<TableName>,
    /// The driving source table and whatever is joined to it.
    pub from: Spanned<FromClause>,
    /// What was said of single columns, in the file's order.
    pub columns: Vec<ColumnMapping>,
    /// What happens to target columns that `columns` does not name.
    pub unnamed_columns: UnnamedColumns,
    /// `where`: an SQL condition over the source.
    pub filter: Option<Spanned<String>>,
    /// `key`: target key column to the expression that gives it; empty where it follows from the columns.
    pub key: Vec<ColumnMapping>,
    /// Other source tables whose changes touch rows of this one.
    pub depends: Vec<Dependency>,
    /// Source column from an expression over the target's columns, for going back.
    pub reverse: Vec<ColumnMapping>,
    /// A whole `INSERT INTO … SELECT …` (`transform`, `custom_sql`), run on the target.
    pub statement: Option<Spanned<String>>,
    /// The strategy for this table.
    pub strategy: Option<Spanned<Strategy>>,
    /// Workers for this table.
    pub parallel: Option<Spanned<u16>>,
}

/// A table's name as a user writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema, where it was written.
    pub schema: Option<Identifier>,
    /// The name.
    pub name: Identifier,
}

/// `old.orders o left join old.customers c on c.id = o.customer_id`, taken apart after the driving table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromClause {
    /// The driving table: its key maps to the target's key.
    pub driving: TableName,
    /// Its alias, or its own name where it has none.
    pub alias: Identifier,
    /// True where the user wrote the alias.
    pub aliased: bool,
    /// The text after the driving table and its alias: joins. Empty for one table.
    pub rest: String,
}

/// A target column and where its values come from.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnMapping {
    /// The column that is written.
    pub column: Spanned<Identifier>,
    /// Where its values come from.
    pub value: Spanned<ColumnValue>,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnValue {
    /// A column of the driving table, by name (the older shapes' `old: new`).
    Column(Identifier),
    /// An SQL expression over the `from` clause.
    Expression(String),
    /// `null` in the file: not written, so that the target's default fills it.
    Default,
}

/// What happens to target columns that the mapping does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnnamedColumns {
    /// Filled from the driving table's column of the same name, where there is one that is not renamed elsewhere.
    #[default]
    SameName,
    /// Left to their defaults: only the named columns are migrated.
    Default,
}

/// `depends`: how a change of another table finds the driving rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependency {
    /// The table that is watched.
    pub table: Spanned<TableName>,
    /// A query that gives driving keys for `$keys`.
    pub driving: Spanned<String>,
}

/// One line of the `transformations:` shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformation {
    /// True under `new_to_old`: for the way back.
    pub reverse: bool,
    /// The column that is read.
    pub column: Spanned<Identifier>,
    /// More arguments of the function (`depends_on`).
    pub depends_on: Vec<Spanned<Identifier>>,
    /// The columns that are written; several take the fields of the function's result of the same names.
    pub targets: Vec<Spanned<Identifier>>,
    /// The function's name, as SQL.
    pub function: Spanned<String>,
}

/// A user's assertion.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// What it is called in the report.
    pub name: Spanned<String>,
    /// The query.
    pub sql: Spanned<String>,
    /// Where it runs and what it must return.
    pub expect: Expectation,
}

/// What a validation must return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// On the target: no row at all.
    NoRows,
    /// On the target: one row with one value, whose text is this.
    Value(String),
    /// On both sides: the same rows in the same order. The text is the query for the source where it differs.
    SameAsSource(Option<String>),
}

/// How rows travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Chosen per table, with a reason.
    Auto,
    /// Below the threshold FDW where it is faster, COPY from there on.
    Hybrid,
    /// COPY through the client.
    Copy,
    /// `INSERT … SELECT` on the target over a foreign table.
    Fdw,
}

/// How both sides are kept equal while both are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SyncMode {
    /// Changes of either side are carried in batches.
    #[default]
    Batches,
    /// Triggers carry each write in its own transaction: two schemas of one database.
    Immediate,
}

impl SyncMode {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 2] = [("batches", Self::Batches), ("immediate", Self::Immediate)];

    /// The word for it in files and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Immediate => "immediate",
        }
    }
}

impl Strategy {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("hybrid", Self::Hybrid), ("copy", Self::Copy), ("fdw", Self::Fdw)];

    /// The word for it in files and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hybrid => "hybrid",
            Self::Copy => "copy",
            Self::Fdw => "fdw",
        }
    }
}
