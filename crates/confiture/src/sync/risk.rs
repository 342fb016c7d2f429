//! How well rows hide among each other: k-anonymity and l-diversity over columns that others may know.

use serde::Serialize;

use crate::config::Connection;
use crate::config::mapping::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{Session, read_catalog};
use crate::sql::{Identifier, QualifiedName, Sql, sql};
use crate::sync::classify::find_table;

/// More columns have too many combinations to look at.
const MOST_COLUMNS: usize = 6;

/// What is asked.
#[derive(Debug, Clone)]
pub struct RiskQuestion {
    /// The table.
    pub table: TableName,
    /// The columns that somebody may know of a person.
    pub quasi: Vec<Identifier>,
    /// What must not be learnt of a person.
    pub sensitive: Option<Identifier>,
    /// How many rows must be alike.
    pub k: u32,
}

/// What was found. No values: names and counts.
#[derive(Debug, Clone, Serialize)]
pub struct RiskReport {
    /// The table.
    pub table: QualifiedName,
    /// True where this is what a sync would bring, and nothing that is there.
    pub forecast: bool,
    /// How many rows must be alike.
    pub k: u32,
    /// All columns together.
    pub whole: Combination,
    /// Every combination of columns, the riskiest first.
    pub combinations: Vec<Combination>,
}

/// Rows grouped by some columns.
#[derive(Debug, Clone, Serialize)]
pub struct Combination {
    /// The columns.
    pub columns: Vec<Identifier>,
    /// How many different combinations of values there are.
    pub classes: u64,
    /// The smallest group.
    pub smallest: u64,
    /// Groups of fewer than k rows.
    pub small_classes: u64,
    /// Rows in such groups.
    pub rows_at_risk: u64,
    /// Rows in all.
    pub rows: u64,
    /// The fewest different sensitive values in a group.
    pub diversity: Option<u64>,
    /// True where there were too many groups to count all.
    pub estimated: bool,
}

/// Computes how well rows hide among each other.
///
/// # Errors
///
/// Where a table or column does not exist.
pub async fn assess_risk(database: &Connection, question: &RiskQuestion) -> Result<RiskReport> {
    check_question(question)?;
    let session = Session::connect(database).await?;
    let catalog = read_catalog(&session).await?;
    let relation = find_table(&question.table, &catalog, "the database")?;
    for column in question.quasi.iter().chain(&question.sensitive) {
        if relation.column(column).is_none() {
            let known = relation.columns.iter().map(|column| column.name.as_str());
            return Err(Error::config(format!("{} has no column {column}", relation.name.short()))
                .did_you_mean(column.as_str(), known));
        }
    }
    session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
    let mut combinations = Vec::new();
    for chosen in 1_u32..(1 << question.quasi.len()) {
        let columns: Vec<Identifier> = question
            .quasi
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen & (1 << at) != 0)
            .map(|(_, name)| name.clone())
            .collect();
        combinations.push(group(&relation.name, columns, question, &session).await?);
    }
    let whole = combinations.last().cloned().ok_or_else(|| Error::unexpected("no combination of columns"))?;
    combinations.sort_by_key(|found| (std::cmp::Reverse(found.rows_at_risk), found.columns.len()));
    Ok(RiskReport { table: relation.name.clone(), forecast: false, k: question.k, whole, combinations })
}

/// What can be asked.
pub(crate) fn check_question(question: &RiskQuestion) -> Result<()> {
    if question.quasi.is_empty() || question.quasi.len() > MOST_COLUMNS {
        return Err(Error::usage(format!("from 1 to {MOST_COLUMNS} columns can be looked at together")));
    }
    Ok(())
}

async fn group(
    table: &QualifiedName,
    columns: Vec<Identifier>,
    question: &RiskQuestion,
    session: &Session,
) -> Result<Combination> {
    let texts = Sql::join(", ", columns.iter().map(|column| sql!("CAST({} AS pg_catalog.text)", column)));
    let diversity = match &question.sensitive {
        Some(column) => sql!("pg_catalog.count(DISTINCT CAST({} AS pg_catalog.text))", column),
        None => Sql::literal("NULL::pg_catalog.int8"),
    };
    let query = sql!(
        "SELECT pg_catalog.count(*), coalesce(pg_catalog.min(n), 0), pg_catalog.count(*) FILTER (WHERE n < {}),
                CAST(coalesce(pg_catalog.sum(n) FILTER (WHERE n < {}), 0) AS pg_catalog.int8),
                CAST(coalesce(pg_catalog.sum(n), 0) AS pg_catalog.int8), pg_catalog.min(l)
         FROM (SELECT pg_catalog.count(*) AS n, {} AS l FROM {} GROUP BY {}) AS class",
        question.k, question.k, diversity, table, texts
    );
    let row = session.query_one(&query, &[]).await?;
    let count = |index: usize| row.get::<_, i64>(index).unsigned_abs();
    Ok(Combination {
        columns,
        classes: count(0),
        smallest: count(1),
        small_classes: count(2),
        rows_at_risk: count(3),
        rows: count(4),
        diversity: row.get::<_, Option<i64>>(5).map(i64::unsigned_abs),
        estimated: false,
    })
}

impl RiskReport {
    /// The answer no, where rows stand out.
    #[must_use]
    pub fn verdict(&self) -> Option<Error> {
        (self.whole.rows_at_risk > 0).then(|| {
            Error::new(
                ErrorKind::Found,
                format!(
                    "{} of {} rows of {} are alike with fewer than {} in all",
                    self.whole.rows_at_risk,
                    self.whole.rows,
                    self.table.short(),
                    self.k
                ),
            )
            .hint("generalise the columns: `{date: year}`, `{bucket: 10}`, or drop one of them")
        })
    }
}
