//! Proof: that the target holds what the mapping gives, row by row, and that its foreign keys and assertions hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Constraint, ConstraintKind, Relation, RelationKind};
use crate::config::mapping::{Expectation, Validation};
use crate::error::{Error, Result};
use crate::event::{Event, Execution, TableEstimate};
use crate::postgres::{Session, read_catalog};
use crate::schema_to_schema::chunk::cut;
use crate::schema_to_schema::difference::{self, Differences, Reader};
use crate::schema_to_schema::fingerprint::{self, Side};
use crate::schema_to_schema::plan::{PageRange, RowQuery, Storage, TablePlan, Topology};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::portion::held_query;
use crate::schema_to_schema::sessions::Sessions;
use crate::schema_to_schema::snapshot::Snapshot;
use crate::schema_to_schema::{ledger, live};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// What verification found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerificationReport {
    /// True where nothing at all is wrong.
    pub ok: bool,
    /// Every table, in the plan's order.
    pub tables: Vec<TableVerification>,
    /// Every foreign key of the verified tables.
    pub foreign_keys: Vec<ForeignKeyVerification>,
    /// Every assertion of the mapping.
    pub validations: Vec<ValidationResult>,
    /// From beginning to end.
    #[serde(
        rename = "elapsed_ms",
        serialize_with = "crate::event::as_milliseconds",
        deserialize_with = "crate::event::from_milliseconds"
    )]
    pub elapsed: Duration,
}

/// What verification found of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableVerification {
    /// The target table.
    pub table: QualifiedName,
    /// True where both sides hold the same rows.
    pub ok: bool,
    /// Rows that the mapping gives.
    pub source_rows: i64,
    /// Rows that the target holds.
    pub target_rows: i64,
    /// `target_rows - source_rows`.
    pub difference: i64,
    /// Where they differ; `None` where they do not.
    pub differences: Option<Differences>,
    /// The batch that left both sides as they were compared; `None` where the target does not follow its source.
    pub batch: Option<i64>,
    /// The keys that changed since all rows were found equal, where only those were compared: the rows above are theirs.
    /// `None` where all rows were compared.
    pub keys: Option<u64>,
    /// What differed until it was repaired.
    pub repaired: Option<Differences>,
}

impl VerificationReport {
    /// Leaves out what is said of other tables; of none where `tables` is empty.
    pub(crate) fn keep_only(&mut self, tables: &[QualifiedName]) {
        if tables.is_empty() {
            return;
        }
        self.tables.retain(|found| tables.contains(&found.table));
        self.foreign_keys.retain(|found| tables.contains(&found.table));
        self.ok = self.tables.iter().all(|table| table.ok)
            && self.foreign_keys.iter().all(|key| key.orphans == 0)
            && self.validations.iter().all(|validation| validation.ok);
    }
}

impl TableVerification {
    pub(crate) fn new(
        table: &TablePlan,
        source_rows: i64,
        target_rows: i64,
        differences: Option<Differences>,
    ) -> Self {
        Self {
            table: table.target.clone(),
            ok: differences.is_none(),
            source_rows,
            target_rows,
            difference: target_rows - source_rows,
            differences,
            batch: None,
            keys: None,
            repaired: None,
        }
    }
}

/// Sessions that read both sides, all those of one side in the same snapshot.
pub(crate) struct Sides<'a> {
    pub(crate) source: &'a [Session],
    pub(crate) target: &'a [Session],
    /// Whether they keep no locks; then each has a savepoint [`fingerprint::LOOK`].
    pub(crate) lets_go: bool,
}

/// What verification found of one foreign key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignKeyVerification {
    /// The table that refers.
    pub table: QualifiedName,
    /// The constraint.
    pub name: Identifier,
    /// What it refers to.
    pub references: QualifiedName,
    /// Rows that refer to nothing.
    pub orphans: i64,
    /// True where the server itself vouches for it.
    pub validated: bool,
}

/// What an assertion of the mapping returned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ValidationResult {
    /// Its name.
    pub name: String,
    /// True where it returned what it must.
    pub ok: bool,
    /// What is wrong, without values.
    pub message: Option<String>,
}

impl Migration {
    /// Compares every table of the plan with what the mapping gives, each side frozen in one snapshot.
    ///
    /// # Errors
    ///
    /// Errors are failures to verify. A difference is no error: the report says it.
    pub async fn verify(&self, execution: &Execution) -> Result<VerificationReport> {
        let sessions = Sessions::default();
        let result = tokio::select! {
            result = Box::pin(self.verify_with(&sessions, execution)) => result,
            () = execution.interrupted() => {
                Err(Error::interrupted("verification was stopped; nothing was changed, run it again"))
            }
        };
        sessions.end(&self.source, &self.target, result.is_err()).await;
        if let Ok(report) = &result {
            self.note_comparison(report).await;
        }
        result
    }

    /// Writes the comparison after a copy into the audit trail. One that somebody asked for by itself changes nothing.
    async fn note_comparison(&self, report: &VerificationReport) {
        if !self.options.as_copied && matches!(ledger::exists(&self.target).await, Ok(true)) {
            let what = format!("compared: {}", live::ledger::outcome(report));
            // What was found is what matters.
            live::ledger::note(&self.target, &what).await.ok();
        }
    }

    async fn verify_with(&self, sessions: &Sessions, execution: &Execution) -> Result<VerificationReport> {
        let options = &self.options;
        let source = Snapshot::export(sessions.open_source(options).await?).await?;
        let session = sessions.open_target(options).await?;
        let target = match self.plan.topology {
            // One database has both sides in one snapshot, while they are written too.
            Topology::OneDatabase => source.beside(session).await?,
            Topology::TwoDatabases => Snapshot::export(session).await?,
        };
        self.verify_between(&source, &target, sessions, execution).await
    }

    /// Compares both sides in these snapshots.
    pub(crate) async fn verify_between(
        &self,
        source: &Snapshot,
        target: &Snapshot,
        sessions: &Sessions,
        execution: &Execution,
    ) -> Result<VerificationReport> {
        let started = Instant::now();
        let options = &self.options;
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for _ in 0..self.plan.workers {
            readers.push(sessions.open_source(options).await?);
            writers.push(sessions.open_target(options).await?);
        }
        try_join_all(readers.iter().map(|reader| source.share(reader))).await?;
        try_join_all(writers.iter().map(|writer| target.share(writer))).await?;
        let catalog = read_catalog(&self.target).await?;
        let expected = |table: &TablePlan| TableEstimate {
            table: table.target.clone(),
            rows: table.rows,
            bytes: table.bytes,
        };
        execution.emit(&Event::TablesPlanned { tables: self.plan.tables.iter().map(expected).collect() });
        let mut tables = Vec::new();
        for table in &self.plan.tables {
            let sides = Sides { source: &readers, target: &writers, lets_go: false };
            tables.push(
                self.verify_table(table, &catalog, &sides, self.options.show_values, execution).await?.0,
            );
        }
        let foreign_keys = self.verify_foreign_keys(&catalog, target.session()).await?;
        let mut validations = Vec::new();
        for validation in &self.plan.validations {
            validations.push(validate(validation, source.session(), target.session()).await?);
        }
        let ok = tables.iter().all(|table| table.ok)
            && foreign_keys.iter().all(|key| key.orphans == 0)
            && validations.iter().all(|validation| validation.ok);
        Ok(VerificationReport { ok, tables, foreign_keys, validations, elapsed: started.elapsed() })
    }

    /// Compares all rows of one table; also returns the buckets that differ.
    pub(crate) async fn verify_table(
        &self,
        table: &TablePlan,
        catalog: &Catalog,
        sides: &Sides<'_>,
        show_values: bool,
        execution: &Execution,
    ) -> Result<(TableVerification, Vec<i32>)> {
        let (readers, writers) = (sides.source, sides.target);
        let started = Instant::now();
        execution.emit(&Event::TableStarted { table: table.target.clone() });
        let relation = catalog.relations.get(&table.target).ok_or_else(|| {
            Error::config(format!("the target no longer has the table {}", table.target.short()))
        })?;
        let (source, target) =
            (Side::of_source(table), Side::of_target(table, held_query(table, catalog, relation)));
        let one = [PageRange { storage: 0, pages: None }];
        let source_ranges =
            if source.derived.is_some() { one.to_vec() } else { cut(&table.query.storage, readers.len()) };
        let target_ranges = cut(&target.query.storage, writers.len());
        // A statement of the user's reads the source through foreign tables, so it runs on the target.
        let readers = if source.derived.is_some() { writers } else { readers };
        let context = |error: Error| error.context(format!("verifying {}", table.target.short()));
        // A row counts as compared by half when one side has hashed it.
        let halves = AtomicU64::new(0);
        let hashed = |rows: u64| {
            let before = halves.fetch_add(rows, Ordering::Relaxed);
            let (table, rows) = (table.target.clone(), (before + rows) / 2 - before / 2);
            execution.emit(&Event::TableProgress { table, rows, bytes: 0 });
        };
        let (given, held) = tokio::try_join!(
            fingerprint::take(&source, &source_ranges, readers, sides.lets_go, &hashed),
            fingerprint::take(&target, &target_ranges, writers, sides.lets_go, &hashed),
        )
        .map_err(context)?;
        let differing = given.differing(&held);
        let differences = if differing.is_empty() {
            None
        } else {
            let expected = given.rows().max(held.rows()) / fingerprint::BUCKETS;
            let from = Reader { side: &source, ranges: &source_ranges, session: &readers[0] };
            let to = Reader { side: &target, ranges: &target_ranges, session: &writers[writers.len() - 1] };
            let found = difference::find(table, &differing, expected, from, to, show_values);
            Some(found.await.map_err(context)?)
        };
        let (source_rows, target_rows) = (given.rows(), held.rows());
        execution.emit(&Event::TableFinished {
            table: table.target.clone(),
            rows: target_rows.cast_unsigned(),
            bytes: 0,
            elapsed: started.elapsed(),
        });
        let verification = TableVerification::new(table, source_rows, target_rows, differences);
        Ok((verification, differing))
    }

    /// Counts the rows that refer to nothing.
    pub(crate) async fn verify_foreign_keys(
        &self,
        catalog: &Catalog,
        session: &Session,
    ) -> Result<Vec<ForeignKeyVerification>> {
        let mut verified = Vec::new();
        for relation in self.plan.tables.iter().filter_map(|table| catalog.relations.get(&table.target)) {
            for key in relation
                .constraints
                .iter()
                .filter(|key| key.kind == ConstraintKind::ForeignKey && key.enforced && !key.inherited)
            {
                let Some((references, columns)) = &key.references else { continue };
                // A key of an inheritance parent speaks of neither side's children.
                let only = |name: &QualifiedName| {
                    let is_plain =
                        catalog.relations.get(name).is_some_and(|found| found.kind == RelationKind::Table);
                    sql!("{}{}", Sql::literal(if is_plain { "ONLY " } else { "" }), name)
                };
                let query = orphans(&only(&relation.name), key, &only(references), columns);
                verified.push(ForeignKeyVerification {
                    table: relation.name.clone(),
                    name: key.name.clone(),
                    references: references.clone(),
                    orphans: session.query_one(&query, &[]).await?.get(0),
                    validated: key.validated,
                });
            }
        }
        Ok(verified)
    }
}

/// The target's own rows, as a query like that of the mapping.
pub(crate) fn target_query(catalog: &Catalog, relation: &Relation) -> RowQuery {
    // An inheritance parent is filled alone, its children by their own names.
    let relations = match relation.kind {
        RelationKind::PartitionedTable => catalog.storage_of(relation),
        _ => vec![relation],
    };
    let storage = |relation: &Relation| Storage {
        relation: relation.name.clone(),
        oid: relation.oid,
        pages: (relation.kind == RelationKind::Table).then_some(relation.pages),
        only: relation.kind == RelationKind::Table,
    };
    RowQuery {
        alias: Identifier::new("t"),
        storage: relations.into_iter().map(storage).collect(),
        ..RowQuery::default()
    }
}

/// Counts the rows of `table` that refer to nothing.
fn orphans(table: &Sql, key: &Constraint, references: &Sql, keys: &[Identifier]) -> Sql {
    let columns = &key.columns;
    // PERIOD, from PostgreSQL 18: the last column is a range, covered by those of all rows that it refers to.
    let period = key.definition.contains(", PERIOD ").then(|| columns.len() - 1);
    let equal = columns.iter().zip(keys).enumerate().filter(|(index, _)| Some(*index) != period);
    let equal = Sql::join(" AND ", equal.map(|(_, (column, key))| sql!("parent.{} = child.{}", key, column)));
    let found = match period {
        None => sql!("EXISTS (SELECT FROM {} AS parent WHERE {})", references, equal),
        Some(last) => sql!(
            "coalesce(child.{} OPERATOR(pg_catalog.<@) (SELECT pg_catalog.range_agg(parent.{}) FROM {} AS parent WHERE {}), false)",
            columns[last],
            keys[last],
            references,
            equal
        ),
    };
    let nulls = |words: &'static str, between: &'static str| {
        Sql::join(between, columns.iter().map(|column| sql!("child.{} {}", column, Sql::literal(words))))
    };
    let broken = match key.definition.contains(" MATCH FULL") {
        false => sql!("({}) AND NOT {}", nulls("IS NOT NULL", " AND "), found),
        // All columns are null, or none.
        true => {
            sql!("({}) AND (({}) OR NOT {})", nulls("IS NOT NULL", " OR "), nulls("IS NULL", " OR "), found)
        }
    };
    sql!("SELECT pg_catalog.count(*) FROM {} AS child WHERE {}", table, broken)
}

/// Runs an assertion of the mapping.
pub(crate) async fn validate(
    validation: &Validation,
    source: &Session,
    target: &Session,
) -> Result<ValidationResult> {
    let query = Sql::from_user(validation.sql.value.trim().trim_end_matches(';'));
    let rows_of = async |session: &Session, query: &Sql| {
        let context = |error: Error| {
            validation.sql.locate(error.context(format!("the validation {}", validation.name.value)))
        };
        texts(session, query).await.map_err(context)
    };
    let found = rows_of(target, &query).await?;
    let message = match &validation.expect {
        Expectation::NoRows if found.is_empty() => None,
        Expectation::NoRows => Some(format!("returned {} rows, and none is allowed", found.len())),
        Expectation::Value(wanted) => match found.as_slice() {
            [row] => match row.as_slice() {
                [value] if value.as_ref() == Some(wanted) => None,
                [_] => Some(format!("did not return {wanted}")),
                values => Some(format!("returned {} columns instead of one", values.len())),
            },
            rows => Some(format!("returned {} rows instead of one", rows.len())),
        },
        Expectation::SameAsSource(other) => {
            let other = other
                .as_ref()
                .map_or_else(|| query.clone(), |text| Sql::from_user(text.trim().trim_end_matches(';')));
            let given = rows_of(source, &other).await?;
            (given != found).then(|| {
                format!(
                    "what it returns differs between source and target (rows: {} and {})",
                    given.len(),
                    found.len()
                )
            })
        }
    };
    Ok(ValidationResult { name: validation.name.value.clone(), ok: message.is_none(), message })
}

/// The rows of a query, every value as text.
async fn texts(session: &Session, query: &Sql) -> Result<Vec<Vec<Option<String>>>> {
    let columns = session.prepare(query).await?.columns().len();
    let names: Vec<Identifier> = (0..columns).map(|column| Identifier::new(format!("c{column}"))).collect();
    let texts = Sql::join(", ", names.iter().map(|name| sql!("CAST({} AS pg_catalog.text)", name)));
    let columns = if names.is_empty() { Sql::default() } else { sql!("({})", Sql::join(", ", &names)) };
    let all = sql!("SELECT ARRAY[{}]::pg_catalog.text[] FROM ({}\n) AS result {}", texts, query, columns);
    Ok(session.query(&all, &[]).await?.iter().map(|row| row.get(0)).collect())
}
