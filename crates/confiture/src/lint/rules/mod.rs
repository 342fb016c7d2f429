//! The rules, one file each: a code that stays, why it matters, what to do instead, and the check.
//!
//! Codes are a contract: comments in users' files name them. A rule that goes leaves its code unused.

mod add_check;
mod add_exclusion_constraint;
mod add_foreign_key;
mod add_not_null_column;
mod add_serial_column;
mod add_stored_column;
mod add_unique_constraint;
mod add_volatile_default;
pub(super) mod allow_unknown;
pub(super) mod allow_unused;
pub(super) mod allow_without_reason;
mod alter_domain;
mod attach_partition;
mod backfill_with_schema_change;
mod change_type;
mod char_type;
mod concurrently_in_transaction;
mod concurrently_on_partitioned;
mod create_index;
mod create_rule;
mod detach_partition;
mod drop_cascade;
mod drop_column;
mod drop_database;
mod drop_index;
mod drop_not_null;
mod drop_schema;
mod drop_table;
mod enum_value_in_same_transaction;
mod foreign_key_without_index;
mod grant_all;
mod integer_primary_key;
mod json_type;
mod lock_table;
mod missing_lock_timeout;
mod money_type;
mod policy_without_row_security;
mod refresh_materialized_view;
mod reindex;
mod rename_column;
mod rename_table;
mod rewrite_table;
mod row_security_disabled;
mod security_definer_search_path;
mod serial_column;
mod set_not_null;
mod several_alter_table;
mod table_inheritance;
mod table_without_primary_key;
mod time_with_time_zone;
mod timestamp_without_time_zone;
mod transaction_control;
mod truncate;
mod update_without_where;
mod vacuum_full;
mod validate_in_same_transaction;
mod varchar_length;

use std::ops::Range;

use super::remark::Remark;
pub use super::remark::Severity;
use super::shape::{Column, Shape, What};
use super::subject::Subject;
use super::{DOCS, Found};
use crate::sql::Script;

/// For which scripts a rule is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// What happens to a database in use: locks, rewrites, losses.
    Running,
    /// What the schema will be: types, keys, privileges.
    Design,
}

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its stable name.
    pub code: &'static str,
    /// For which scripts it is meant.
    pub concern: Concern,
    /// How bad what it finds is.
    pub severity: Severity,
    /// What it finds, in half a sentence.
    pub summary: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do instead.
    pub fix: &'static str,
    /// Where it finds something; empty where it takes a database to see it.
    pub bad: &'static str,
    /// Where it does not.
    pub good: &'static str,
    pub(super) check: fn(&Subject<'_>, &mut Found<'_>),
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)
    }
}

/// Every rule, in the order of the documentation.
pub static RULES: &[&Rule] = &[
    &add_volatile_default::RULE,
    &add_serial_column::RULE,
    &add_stored_column::RULE,
    &add_not_null_column::RULE,
    &add_foreign_key::RULE,
    &add_check::RULE,
    &validate_in_same_transaction::RULE,
    &add_unique_constraint::RULE,
    &add_exclusion_constraint::RULE,
    &alter_domain::RULE,
    &create_index::RULE,
    &concurrently_on_partitioned::RULE,
    &drop_index::RULE,
    &reindex::RULE,
    &concurrently_in_transaction::RULE,
    &transaction_control::RULE,
    &change_type::RULE,
    &set_not_null::RULE,
    &rewrite_table::RULE,
    &vacuum_full::RULE,
    &refresh_materialized_view::RULE,
    &attach_partition::RULE,
    &detach_partition::RULE,
    &lock_table::RULE,
    &missing_lock_timeout::RULE,
    &several_alter_table::RULE,
    &update_without_where::RULE,
    &backfill_with_schema_change::RULE,
    &drop_column::RULE,
    &drop_table::RULE,
    &drop_schema::RULE,
    &drop_database::RULE,
    &drop_cascade::RULE,
    &truncate::RULE,
    &rename_column::RULE,
    &rename_table::RULE,
    &drop_not_null::RULE,
    &enum_value_in_same_transaction::RULE,
    &char_type::RULE,
    &timestamp_without_time_zone::RULE,
    &time_with_time_zone::RULE,
    &varchar_length::RULE,
    &money_type::RULE,
    &json_type::RULE,
    &serial_column::RULE,
    &integer_primary_key::RULE,
    &table_without_primary_key::RULE,
    &foreign_key_without_index::RULE,
    &table_inheritance::RULE,
    &create_rule::RULE,
    &grant_all::RULE,
    &security_definer_search_path::RULE,
    &row_security_disabled::RULE,
    &policy_without_row_security::RULE,
    &allow_without_reason::RULE,
    &allow_unknown::RULE,
    &allow_unused::RULE,
];

/// The rule with this code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}

impl Rule {
    /// Where it is explained: a page and an anchor of it.
    #[must_use]
    pub fn docs(&self) -> String {
        format!("{DOCS}#{}", self.code)
    }

    pub(super) fn remark(&self, script: &Script, span: &Range<usize>, message: String) -> Remark {
        Remark {
            rule: self.code,
            severity: self.severity,
            message,
            fix: self.fix,
            docs: self.docs(),
            weighed: None,
            place: script.place(span.start),
            excerpt: script.excerpt(span.clone()),
        }
    }
}

/// The check of rules about the comments themselves, which are looked at elsewhere.
fn silent(_: &Subject<'_>, _: &mut Found<'_>) {}

/// The columns that a statement defines or gives a new type, with the place of the type.
fn columns_of<'a>(subject: &Subject<'a>) -> Vec<(std::borrow::Cow<'a, Column>, Range<usize>)> {
    use std::borrow::Cow;
    let of = |column: &'a Column| (Cow::Borrowed(column), column.data_type.span.clone());
    match subject.shape {
        Shape::CreateTable(table) => table.columns.iter().map(of).collect(),
        Shape::AlterTable(alter) => {
            let columns = alter.actions.iter().filter_map(|action| match &action.what {
                What::AddColumn(column) => Some(of(column)),
                What::AlterType { column, data_type, .. } => {
                    let span = data_type.span.clone();
                    let column = Column::of_type(column.clone(), data_type.clone());
                    Some((Cow::Owned(column), span))
                }
                _ => None,
            });
            columns.collect()
        }
        _ => Vec::new(),
    }
}
