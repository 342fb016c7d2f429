//! Sequences of the target, advanced so that the next number collides with nothing; those that number the same rows on both sides, while both
//! are written, take turns.

pub(crate) mod turns;

use crate::catalog::{Catalog, Column, Sequence, TypeKind};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::schema_to_schema::plan::{Plan, Topology};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// A sequence that was advanced.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AdvancedSequence {
    /// The target's sequence.
    pub sequence: QualifiedName,
    /// The last value that counts as handed out.
    pub last_value: i64,
}

/// A target sequence, the column it numbers, and the source's sequence behind the same column.
struct Pair<'a> {
    target: &'a QualifiedName,
    column: Option<(&'a QualifiedName, &'a Identifier)>,
    source: Option<&'a QualifiedName>,
}

/// Advances every sequence behind a migrated table to where the source's stands, or past the largest value there is,
/// whichever is further. `source` is any session of the source: sequences know no snapshot.
pub(crate) async fn advance(
    plan: &Plan,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    source: &Session,
    target: &Session,
) -> Result<Vec<AdvancedSequence>> {
    advance_by(plan, source_catalog, target_catalog, source, target, 0).await
}

/// The same, and `gap` steps past where the source's stand: no lock keeps anybody from drawing numbers there, to write them
/// here later.
pub(crate) async fn advance_by(
    plan: &Plan,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    source: &Session,
    target: &Session,
    gap: u32,
) -> Result<Vec<AdvancedSequence>> {
    let mut advanced = Vec::new();
    for pair in pairs(plan, source_catalog, target_catalog) {
        let Sequence { increment, min, max, .. } = target_catalog.sequences[pair.target];
        let handed_out = match pair.source {
            Some(name) => last_value(source, name).await?,
            None => None,
        };
        let ahead =
            |value: i64| value.saturating_add(increment.saturating_mul(i64::from(gap))).clamp(min, max);
        let handed_out = handed_out.map(ahead);
        let largest = match pair.column {
            Some((table, column)) if is_integer(table, column, target_catalog) => {
                extreme(target, table, column, increment).await?
            }
            _ => None,
        };
        let stands_at = stands_at(target, pair.target).await?;
        // What the sequence never gives, such as a row 0 that someone wrote by hand, does not move it.
        let reached = [handed_out, largest].into_iter().flatten().filter(|value| (min..=max).contains(value));
        let goal = if increment > 0 { reached.max() } else { reached.min() };
        let is_further = |goal: &i64| if increment > 0 { *goal > stands_at } else { *goal < stands_at };
        if let Some(goal) = goal.filter(is_further) {
            let set = sql!("SELECT pg_catalog.setval($1::text::pg_catalog.regclass, {}, true)", goal);
            target
                .query(&set, &[&pair.target.to_string()])
                .await
                .map_err(|error| error.context(pair.target.short()))?;
            advanced.push(AdvancedSequence { sequence: pair.target.clone(), last_value: goal });
        }
    }
    Ok(advanced)
}

/// Checks that every sequence can be read and set, before anything is written.
pub(crate) async fn check_privileges(
    plan: &Plan,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    source: &Session,
    target: &Session,
) -> Result<()> {
    for pair in pairs(plan, source_catalog, target_catalog) {
        if let Some(name) = pair.source {
            last_value(source, name).await?;
        }
        last_value(target, pair.target).await?;
        let may_set =
            Sql::literal("SELECT pg_catalog.has_sequence_privilege($1::text::pg_catalog.regclass, 'UPDATE')");
        if !target.query_one(&may_set, &[&pair.target.to_string()]).await?.get::<_, bool>(0) {
            let user = &target.connection().user;
            let message =
                format!("the target's role {user} may not advance the sequence {}", pair.target.short());
            return Err(Error::new(ErrorKind::Server, message).sqlstate("42501").hint(format!(
                "on the target: GRANT UPDATE ON SEQUENCE {} TO {}",
                pair.target,
                Identifier::new(user.as_str())
            )));
        }
    }
    Ok(())
}

/// Sequences of the target that cannot count to `gap` beyond where the source's stand; and how many there are in all.
pub(crate) async fn without_room(
    plan: &Plan,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    source: &Session,
    gap: i64,
) -> Result<(usize, Vec<QualifiedName>)> {
    let pairs = pairs(plan, source_catalog, target_catalog);
    let mut full = Vec::new();
    for pair in &pairs {
        let Some(name) = pair.source else { continue };
        let Sequence { increment, min, max, cycle, .. } = target_catalog.sequences[pair.target];
        let Some(reached) = last_value(source, name).await? else { continue };
        let steps = gap.saturating_mul(increment);
        let next = reached.saturating_add(steps);
        if !cycle && !(min..=max).contains(&next) {
            full.push(pair.target.clone());
        }
    }
    Ok((pairs.len(), full))
}

fn pairs<'a>(plan: &'a Plan, source: &'a Catalog, target: &'a Catalog) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for table in &plan.tables {
        let Some(relation) = target.relations.get(&table.target) else { continue };
        for column in &relation.columns {
            let Some(sequence) = numbering(column, target) else { continue };
            let from = table.columns.iter().find(|planned| planned.target == column.name);
            let source_column = from.and_then(|planned| planned.source_column.as_ref());
            let source_sequence =
                table.source.as_ref().and_then(|name| source.relations.get(name)).and_then(|relation| {
                    numbering(relation.column(source_column.unwrap_or(&column.name))?, source)
                });
            pairs.push(Pair {
                target: sequence,
                column: Some((&table.target, &column.name)),
                source: source_sequence,
            });
        }
    }
    // Sequences that no column owns: those of the same name, which applications call.
    let free = target.sequences.values().filter(|sequence| sequence.owned_by.is_none());
    for sequence in free.filter(|sequence| sequence.name.schema.as_str() != "confiture") {
        if let Some((name, _)) = source.sequences.get_key_value(&sequence.name) {
            pairs.push(Pair { target: &sequence.name, column: None, source: Some(name) });
        }
    }
    pairs
}

/// The sequence that a column owns, or the one that its default calls.
fn numbering<'a>(column: &Column, catalog: &'a Catalog) -> Option<&'a QualifiedName> {
    if let Some(owned) = &column.sequence {
        return catalog.sequences.get_key_value(owned).map(|(name, _)| name);
    }
    // As the catalog shows it.
    let called = column.default.as_ref()?.strip_prefix("nextval(")?.strip_suffix("::regclass)")?;
    catalog.sequences.keys().find(|name| Literal(&name.to_string()).to_string().trim_start() == called)
}

/// A sequence, and whether it is the target's.
pub(crate) type Sided<'a> = (bool, &'a QualifiedName);

/// Groups of sequences that number the same rows, directly or by way of another one of the group: the source's first.
pub(crate) fn shared<'a>(plan: &'a Plan, source: &'a Catalog, target: &'a Catalog) -> Vec<Vec<Sided<'a>>> {
    // In one database a name is one sequence, whichever side has it.
    let is_apart = plan.topology != Topology::OneDatabase;
    let holds = |group: &[Sided<'_>], one: Sided<'_>| {
        group.iter().any(|known| known.1 == one.1 && (!is_apart || known.0 == one.0))
    };
    let mut groups: Vec<Vec<Sided<'a>>> = Vec::new();
    for pair in pairs(plan, source, target) {
        let Some(from) = pair.source else { continue };
        let pair = [(false, from), (true, pair.target)];
        let (joined, others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| pair.iter().any(|one| holds(group, *one)));
        let mut group: Vec<Sided<'a>> = Vec::new();
        for one in joined.into_iter().flatten().chain(pair) {
            if !holds(&group, one) {
                group.push(one);
            }
        }
        group.sort();
        groups = others;
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The last value handed out; `None` where none was. The row of the sequence itself says it to whoever may select.
async fn last_value(session: &Session, sequence: &QualifiedName) -> Result<Option<i64>> {
    let query = sql!("SELECT CASE WHEN is_called THEN last_value END FROM {}", sequence);
    let row = session.query_one(&query, &[]).await.map_err(|error| {
        error
            .context(format!("reading the sequence {}", sequence.short()))
            .hint("the role needs SELECT on the sequence, to hand its position on")
    })?;
    Ok(row.get(0))
}

/// The last value handed out, or where it would stand just before its first: it is never moved back behind that.
pub(crate) async fn stands_at(session: &Session, sequence: &QualifiedName) -> Result<i64> {
    let query = sql!(
        "SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - q.seqincrement END
         FROM {} AS s, pg_catalog.pg_sequence AS q WHERE q.seqrelid = {}::pg_catalog.regclass",
        sequence,
        Literal(&sequence.to_string())
    );
    session.query_one(&query, &[]).await.map(|row| row.get(0)).map_err(|error| {
        error
            .context(format!("reading the sequence {}", sequence.short()))
            .hint("the role needs SELECT on the sequence, to see where it stands")
    })
}

/// True for a column whose values are those of its sequence; `'A' || nextval(…)` has others.
fn is_integer(table: &QualifiedName, column: &Identifier, catalog: &Catalog) -> bool {
    let column = catalog.relations.get(table).and_then(|relation| relation.column(column));
    let mut oid = column.map(|column| column.data_type.oid);
    while let Some(data_type) = oid.and_then(|oid| catalog.data_type(oid)) {
        match &data_type.kind {
            TypeKind::Domain { base, .. } => oid = Some(base.oid),
            _ => return matches!(data_type.text.as_str(), "smallint" | "integer" | "bigint"),
        }
    }
    false
}

async fn extreme(
    session: &Session,
    table: &QualifiedName,
    column: &Identifier,
    increment: i64,
) -> Result<Option<i64>> {
    let aggregate = Sql::literal(if increment > 0 { "max" } else { "min" });
    let query = sql!("SELECT CAST(pg_catalog.{}({}) AS pg_catalog.int8) FROM {}", aggregate, column, table);
    Ok(session.query_one(&query, &[]).await?.get(0))
}
