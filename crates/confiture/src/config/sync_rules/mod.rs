//! The rules of a sync: which columns are kept, which are masked and how, where the key is, which rows travel.
//!
//! [`SyncRules::parse`] reads `db/sync_config.yaml`. Nothing is guessed: an unknown key, function or argument is an error at
//! its place. What needs the catalogs (do the columns exist, do the types fit) is checked when the sync is planned.

mod function;
mod path;
mod reader;
mod rule;
mod template;
#[cfg(test)]
mod tests;

pub use function::{FPE_ALPHABETS, FakeKind, Locale, PersonalKind, Truncation};
pub use path::{JsonPath, Step};
pub use template::{MaskTemplate, Piece};

use crate::config::Spanned;
use crate::config::mapping::TableName;
use crate::sql::Identifier;

/// A whole rules file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncRules {
    /// `anonymize`: what was said of tables, in the file's order.
    pub tables: Vec<TableRules>,
    /// `defaults.unclassified`.
    pub unclassified: Option<Unclassified>,
    /// `defaults.kinds`: what `email`, `phone` and their kin mean here.
    pub kinds: Vec<(PersonalKind, Rule)>,
    /// `key`.
    pub key: Option<Spanned<KeySource>>,
    /// `subset`: where rows are chosen from.
    pub subset: Vec<SubsetRule>,
    /// `virtual_fks`: references that the database does not know.
    pub virtual_keys: Vec<VirtualKey>,
    /// `row_keys`: what identifies the rows of a table without a primary key.
    pub row_keys: Vec<(Spanned<TableName>, Vec<Spanned<Identifier>>)>,
    /// `allowed_targets`: hosts that may be written to beside this machine.
    pub allowed_targets: Vec<String>,
    /// `scan.ignore`: columns of the target that may hold what a masked column of the source holds.
    pub scan_ignore: Vec<Spanned<ColumnName>>,
    /// `max_rows`.
    pub max_rows: Option<u64>,
}

/// What was said of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRules {
    /// The table, as written.
    pub name: Spanned<TableName>,
    /// Column and rule, in the file's order.
    pub columns: Vec<(Spanned<Identifier>, Spanned<Rule>)>,
    /// `"*"`: the rule of every column that is not named.
    pub others: Option<Spanned<Rule>>,
}

/// What happens to a column that nobody has classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclassified {
    /// The run stops before it touches the target.
    Fail,
    /// It is emptied.
    Null,
    /// It is masked by its type.
    Mask,
    /// It is copied as it is; loud in the report.
    Keep,
}

/// How one column is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What is done.
    pub method: Method,
    /// `when`: an SQL condition over the row; rows where it is not true are kept.
    pub when: Option<Spanned<String>>,
    /// `nulls: fill`: NULL is masked like a value.
    pub fill_nulls: bool,
    /// `domain`: equal values of one domain get equal masks.
    pub domain: Domain,
    /// `normalize: lower`: case and blanks at the ends make no other value.
    pub normalize: bool,
    /// `allow_duplicates`: the rule may make equal what was not.
    pub allow_duplicates: bool,
}

/// Which values share their masks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Domain {
    /// Those joined by foreign keys, else all of the same rule.
    #[default]
    Shared,
    /// Those of this column alone.
    Column,
    /// Those of every column that names it.
    Named(String),
}

/// What is done with a column's values.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Nothing: the value is copied.
    Keep,
    /// NULL.
    Null,
    /// The same text for all.
    Constant(String),
    /// Text with placeholders.
    Template(MaskTemplate),
    /// So many hexadecimal digits of a keyed hash.
    Hash(u8),
    /// Format-preserving: digits become digits, letters become letters; a number or a UUID another one.
    Fpe,
    /// A word from a list.
    Fake(FakeKind, Locale),
    /// A card number: its length, separators and check digit stay valid.
    Card,
    /// An address from the ranges that are kept for documentation.
    Ip,
    /// A date or timestamp cut to a unit.
    Date(Truncation),
    /// A number rounded down to a multiple.
    Bucket(u64),
    /// A whole number moved by at most this much.
    Noise(u64),
    /// The value of another row.
    Shuffle,
    /// Places in a JSON document, each with its own method.
    Json(Vec<(JsonPath, Method)>),
    /// Free text without e-mail addresses, telephone numbers and their kin.
    Redact(Vec<PersonalKind>),
    /// An SQL expression over the row, computed by the source.
    Sql(Spanned<String>),
    /// What `defaults.kinds` or the built-in table say for this kind.
    Kind(PersonalKind),
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In an environment variable.
    Variable(String),
    /// In a file.
    File(std::path::PathBuf),
    /// On the standard output of a command.
    Command(String),
}

/// Rows of one table that a subset begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetRule {
    /// The table.
    pub table: Spanned<TableName>,
    /// `where`: an SQL condition; none means every row.
    pub filter: Option<Spanned<String>>,
    /// `children`: tables whose rows come along when they refer to a row that does.
    pub children: Vec<Spanned<TableName>>,
}

/// A reference that the database does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualKey {
    /// The referring columns, all of one table.
    pub from: Spanned<ColumnName>,
    /// What they refer to.
    pub to: Spanned<ColumnName>,
    /// `when`: the rows for which it holds (`entity_type = 'order'`).
    pub when: Option<Spanned<String>>,
}

/// `table.column` or `schema.table.column`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnName {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: Identifier,
}

impl std::fmt::Display for ColumnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

impl Rule {
    /// A rule without any option.
    #[must_use]
    pub fn of(method: Method) -> Self {
        Self {
            method,
            when: None,
            fill_nulls: false,
            domain: Domain::Shared,
            normalize: false,
            allow_duplicates: false,
        }
    }
}

impl SyncRules {
    /// What a kind of personal data means here: `defaults.kinds`, else the built-in table.
    #[must_use]
    pub fn rule_of(&self, kind: PersonalKind) -> Rule {
        let written = self.kinds.iter().find(|(of, _)| *of == kind);
        written.map_or_else(|| Rule::of(kind.method()), |(_, rule)| rule.clone())
    }
}
