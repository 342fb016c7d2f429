//! The target's tables are complete: keys, indexes, foreign keys, sequences.

use crate::catalog::{ConstraintKind, Relation};
use crate::error::Result;
use crate::schema_to_schema::checklist::{Check, Ground, fail, pass, some};
use crate::schema_to_schema::journal::{self, Entry, EntryKind};
use crate::schema_to_schema::preflight;
use crate::schema_to_schema::{ledger, sequences};

pub(super) async fn look(ground: &Ground<'_>) -> Result<Vec<Check>> {
    Ok(vec![foreign_keys(ground), indexes(ground), left_off(ground).await?, numbers(ground).await?])
}

/// The target's tables, and their partitions.
fn relations<'a>(ground: &'a Ground<'_>) -> Vec<&'a Relation> {
    let catalog = &ground.catalog;
    let mut open: Vec<&Relation> = ground
        .migration
        .plan
        .tables
        .iter()
        .filter_map(|table| catalog.relations.get(&table.target))
        .collect();
    let mut all = Vec::new();
    while let Some(relation) = open.pop() {
        open.extend(catalog.children(&relation.name));
        all.push(relation);
    }
    all
}

fn foreign_keys(ground: &Ground<'_>) -> Check {
    const WHAT: &str = "Foreign keys are validated";
    let relations = relations(ground);
    let keys = || {
        relations.iter().flat_map(|relation| {
            let is_key = |one: &&crate::catalog::Constraint| {
                one.kind == ConstraintKind::ForeignKey && one.enforced && !one.inherited
            };
            relation.constraints.iter().filter(is_key).map(move |key| (relation, key))
        })
    };
    let open: Vec<_> = keys().filter(|(_, key)| !key.validated).collect();
    match open.first() {
        None => pass("foreign-keys", WHAT, format!("{} of them", keys().count())),
        Some((relation, key)) => {
            let names: Vec<String> = open
                .iter()
                .map(|(relation, key)| format!("{} of {}", key.name, relation.name.short()))
                .collect();
            let hint = format!(
                "see which rows refer to nothing, then: ALTER TABLE {} VALIDATE CONSTRAINT {}",
                relation.name, key.name
            );
            fail("foreign-keys", WHAT, format!("not validated: {}", some(&names)), hint)
        }
    }
}

fn indexes(ground: &Ground<'_>) -> Check {
    const WHAT: &str = "Indexes are valid";
    let relations = relations(ground);
    let all =
        || relations.iter().flat_map(|relation| relation.indexes.iter().map(move |index| (relation, index)));
    let broken: Vec<String> = all()
        .filter(|(_, index)| !index.valid)
        .map(|(relation, index)| format!("{}.{}", relation.name.schema, index.name))
        .collect();
    match broken.first() {
        None => pass("indexes", WHAT, format!("{} of them", all().count())),
        Some(first) => fail(
            "indexes",
            WHAT,
            format!("not valid: {}", some(&broken)),
            format!("on the target: REINDEX INDEX CONCURRENTLY {first}"),
        ),
    }
}

async fn left_off(ground: &Ground<'_>) -> Result<Check> {
    const WHAT: &str = "Nothing that was taken off for the load is still off";
    let entries = match ledger::exists(&ground.target).await? {
        true => journal::entries(&ground.target).await?,
        false => Vec::new(),
    };
    // Where the role may not write past them, they stay off until nothing is applied any more.
    let may_wait = !preflight::bypasses(&ground.target).await?;
    let waits = |entry: &&Entry| match entry.kind {
        EntryKind::Index | EntryKind::Constraint => false,
        EntryKind::ForeignKey => may_wait,
        EntryKind::Trigger => true,
    };
    let (waiting, missing): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| waits(entry));
    let shown = |entries: &[&Entry]| {
        let names: Vec<String> =
            entries.iter().map(|entry| format!("{} of {}", entry.name, entry.table.short())).collect();
        some(&names)
    };
    if !missing.is_empty() {
        let evidence = format!("still off: {}", shown(&missing));
        return Ok(fail(
            "left-off",
            WHAT,
            evidence,
            "let it be put back: confiture migrate schema-to-schema sync",
        ));
    }
    Ok(match waiting.is_empty() {
        true => pass("left-off", WHAT, "nothing is off"),
        false => pass("left-off", WHAT, format!("put back at the cutover: {}", shown(&waiting))),
    })
}

async fn numbers(ground: &Ground<'_>) -> Result<Check> {
    const WHAT: &str = "Sequences can be advanced past every number that was given out";
    let Ground { migration, source, target, catalog, standard, .. } = ground;
    let plan = &migration.plan;
    let checked = sequences::check_privileges(plan, &migration.source_catalog, catalog, source, target).await;
    if let Err(error) = checked {
        if error.sqlstate_code() != Some("42501") {
            return Err(error);
        }
        let hint = error.hints().first().map(ToString::to_string).unwrap_or_default();
        return Ok(fail("sequences", WHAT, error.to_string(), hint));
    }
    let gap = i64::from(standard.sequence_gap);
    let (all, full) = sequences::without_room(plan, &migration.source_catalog, catalog, source, gap).await?;
    Ok(match full.first() {
        None => pass("sequences", WHAT, format!("{all} of them")),
        Some(first) => {
            let names: Vec<String> = full.iter().map(crate::sql::QualifiedName::short).collect();
            fail(
                "sequences",
                WHAT,
                format!("the source is further than it can count: {}", some(&names)),
                format!(
                    "on the target: ALTER SEQUENCE {first} AS bigint NO MAXVALUE, and the column's type with it"
                ),
            )
        }
    })
}
