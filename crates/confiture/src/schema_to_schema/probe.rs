//! Rows that the target would refuse, looked for before anything is written: NULL for NOT NULL, strings and numbers too large
//! for their columns, violated CHECK constraints. One query for each table in which the target is stricter than the source;
//! none for the others. What takes too long is left to the copy, and the plan says so.

use std::time::{Duration, Instant};

use crate::catalog::{Catalog, Column, ConstraintKind, Relation, TypeUse};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::check::located;
use crate::schema_to_schema::plan::{ColumnPlan, PageRange, TablePlan};
use crate::schema_to_schema::volatility::called;
use crate::sql::{Sql, sql};

/// The most that one table gets of the time for all.
const FOR_ONE: Duration = Duration::from_secs(2);

/// A rule of the target, and the condition under which a row breaks it.
struct Rule<'a> {
    broken: Sql,
    message: String,
    hints: Vec<String>,
    column: Option<&'a ColumnPlan>,
    /// The text of a CHECK, which is the target's.
    check: Option<&'a str>,
}

/// What came of looking at one table.
enum Found {
    /// Rows that break each rule.
    Rows(Vec<i64>),
    /// It takes too long.
    TooLong,
    /// A value cannot be computed: the copy will say so, and where.
    Unknown,
}

/// Looks at every table of the plan, for at most `time` in all.
pub(crate) async fn probe(
    tables: &mut [TablePlan],
    session: &Session,
    source: &Catalog,
    target: &Catalog,
    time: Duration,
) -> Result<()> {
    let started = Instant::now();
    for table in tables.iter_mut().filter(|table| table.query.statement.is_none()) {
        let rules = known(rules(table, source, target), table, session).await?;
        if rules.is_empty() || time.is_zero() {
            continue;
        }
        let left = time.saturating_sub(started.elapsed()).min(FOR_ONE);
        let counts = match count(table, &rules, session, left).await? {
            Found::Rows(counts) => counts,
            Found::Unknown => continue,
            Found::TooLong => {
                table.remark(
                    "whether every row fits the target was not found out, for it takes too long: one that does not stops the copy",
                );
                continue;
            }
        };
        if let Some((rule, rows)) = rules.iter().zip(counts).find(|(_, rows)| *rows > 0) {
            let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            let error = Error::config(format!("{} {rows}", rule.message));
            let error = rule.hints.iter().fold(error, Error::hint);
            let place = rule.column.and_then(|column| column.place.as_ref());
            return Err(located(error, place.or(table.place.as_ref())));
        }
    }
    Ok(())
}

/// The rules of the target that the source does not keep by itself.
fn rules<'a>(table: &'a TablePlan, source: &Catalog, target: &'a Catalog) -> Vec<Rule<'a>> {
    let Some(relation) = target.relations.get(&table.target) else { return Vec::new() };
    let driving = table.source.as_ref().and_then(|name| source.relations.get(name));
    let mut rules = Vec::new();
    for planned in &table.columns {
        let Some(column) = relation.column(&planned.target) else { continue };
        let given = planned.source_column.as_ref().and_then(|name| driving?.column(name));
        let named = format!("{}.{}", table.target.short(), planned.target);
        if column.not_null && !given.is_some_and(|given| given.not_null) {
            rules.push(Rule {
                broken: sql!("{} IS NULL", planned.expression),
                message: format!("{named} is NOT NULL, and the mapping gives no value for it in"),
                hints: vec![format!(
                    "give these rows a value (`{}: \"coalesce({}, …)\"`), leave them out with `where`, or mend them in the source",
                    planned.target, planned.shown
                )],
                column: Some(planned),
 check: None,
            });
        }
        rules.extend(too_large(planned, column, given, target).map(|broken| Rule {
            broken,
            message: format!("{named} is {}, which is too small for the value of", column.data_type.text),
            hints: vec![
                "make the column wider in the new schema, or the value smaller in the mapping".to_owned(),
            ],
            column: Some(planned),
            check: None,
        }));
    }
    rules.extend(checks(table, relation));
    rules
}

/// When a value is too large for its column; `None` where that cannot be, or is not known.
fn too_large(planned: &ColumnPlan, column: &Column, given: Option<&Column>, target: &Catalog) -> Option<Sql> {
    let wanted = &column.data_type;
    let data_type = target.data_type(wanted.oid).filter(|data_type| data_type.is_built_in())?;
    let given = given.map(|given| &given.data_type);
    // Built-in types have the same OID everywhere.
    let given_type = given.and_then(|given| target.data_type(given.oid)).filter(|given| given.is_built_in());
    let given_name = given_type.map(|given| given.name.name.as_str());
    let value = &planned.expression;
    match data_type.name.name.as_str() {
        "varchar" | "bpchar" if wanted.modifier >= 4 => {
            let fits = |given: &TypeUse| {
                matches!(given_name, Some("varchar" | "bpchar"))
                    && (4..=wanted.modifier).contains(&given.modifier)
            };
            let (text, length) = (sql!("CAST({} AS pg_catalog.text)", value), i64::from(wanted.modifier - 4));
            // Blanks at the end that are too many go, and are no error.
            (!given.is_some_and(fits))
                .then(|| sql!("pg_catalog.length(pg_catalog.rtrim({}, ' ')) > {}", text, length))
        }
        "numeric" if wanted.modifier >= 4 => {
            let (precision, scale) = numeric(wanted.modifier);
            let digits = precision - scale;
            let fits = match (given_name, given) {
                (Some("int2"), _) => digits >= 5,
                (Some("int4"), _) => digits >= 10,
                (Some("int8"), _) => digits >= 19,
                (Some("numeric"), Some(given)) if given.modifier >= 4 => {
                    let (precision, its_scale) = numeric(given.modifier);
                    precision - its_scale < digits || (precision - its_scale == digits && its_scale <= scale)
                }
                (Some("numeric"), _) => false,
                _ => return None,
            };
            (!fits).then(|| {
                sql!(
                    "{} <> 'NaN' AND pg_catalog.abs(pg_catalog.round({}, {})) >= pg_catalog.power(10::pg_catalog.numeric, {})",
                    value, value, i64::from(scale), i64::from(digits)
                )
            })
        }
        "int2" if matches!(given_name, Some("int4" | "int8")) => {
            Some(sql!("{} NOT BETWEEN -32768 AND 32767", value))
        }
        "int4" if given_name == Some("int8") => {
            Some(sql!("{} NOT BETWEEN -2147483648 AND 2147483647", value))
        }
        _ => None,
    }
}

/// Precision and scale of a `numeric`'s modifier; a scale has eleven bits and a sign since PostgreSQL 15.
fn numeric(modifier: i32) -> (i32, i32) {
    let packed = modifier - 4;
    ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024)
}

/// CHECK constraints whose columns are all mapped, over the mapped values.
fn checks<'a>(table: &'a TablePlan, relation: &'a Relation) -> Vec<Rule<'a>> {
    let planned = |name| table.columns.iter().find(|column| &column.target == name);
    let mut rules = Vec::new();
    for check in
        relation.constraints.iter().filter(|check| check.kind == ConstraintKind::Check && check.enforced)
    {
        let columns: Option<Vec<&ColumnPlan>> = check.columns.iter().map(planned).collect();
        let Some(columns) = columns.filter(|columns| !columns.is_empty()) else { continue };
        let text = check.definition.trim_start_matches("CHECK ");
        let text = text.trim_end_matches(" NOT VALID").trim_end_matches(" NO INHERIT");
        let values =
            Sql::join(", ", columns.iter().map(|column| sql!("{} AS {}", column.sent, column.target)));
        rules.push(Rule {
            broken: sql!(
                "NOT (SELECT {} FROM (SELECT {}) AS {})",
                Sql::from_server(text),
                values,
                relation.name.name
            ),
            message: format!("{}: its constraint {} refuses", table.target.short(), check.name),
            hints: vec![format!(
                "it says {}; mend these rows in the mapping or in the source",
                check.definition
            )],
            column: (columns.len() == 1).then(|| columns[0]),
            check: Some(&check.definition),
        });
    }
    rules
}

/// The rules that mean on the source what they mean on the target: of CHECK constraints those that call nothing but
/// built-in functions, and whose types the source knows.
async fn known<'a>(rules: Vec<Rule<'a>>, table: &TablePlan, session: &Session) -> Result<Vec<Rule<'a>>> {
    let names: Vec<String> = rules.iter().filter_map(|rule| rule.check).flat_map(called).collect();
    if rules.iter().all(|rule| rule.check.is_none()) {
        return Ok(rules);
    }
    let own = Sql::literal(
        "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc
         WHERE proname = ANY ($1::pg_catalog.text[]) AND pronamespace <> 'pg_catalog'::pg_catalog.regnamespace",
    );
    let own: Vec<String> = session.query(&own, &[&names]).await?.iter().map(|row| row.get(0)).collect();
    let mut known = Vec::new();
    for rule in rules {
        let is_known = match rule.check {
            None => true,
            Some(check) if called(check).any(|name| own.contains(&name)) => false,
            Some(_) => {
                let range = PageRange { storage: 0, pages: None };
                session
                    .prepare(&sql!("SELECT {} {}", rule.broken, table.query.from_where(&range)))
                    .await
                    .is_ok()
            }
        };
        if is_known {
            known.push(rule);
        }
    }
    Ok(known)
}

/// How many rows break each rule.
async fn count(table: &TablePlan, rules: &[Rule<'_>], session: &Session, time: Duration) -> Result<Found> {
    let started = Instant::now();
    let counted =
        Sql::join(", ", rules.iter().map(|rule| sql!("pg_catalog.count(*) FILTER (WHERE {})", rule.broken)));
    let mut totals = vec![0_i64; rules.len()];
    for range in table.query.whole() {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(Found::TooLong);
        }
        let timeout = i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1);
        session.batch(&sql!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", timeout)).await?;
        let query = sql!("SELECT {} {}", counted, table.query.from_where(&range));
        let result = session.query_one(&query, &[]).await;
        if session.is_closed() {
            result?;
            continue;
        }
        session.batch(&Sql::literal("ROLLBACK")).await?;
        match result {
            Ok(row) => totals.iter_mut().enumerate().for_each(|(at, total)| *total += row.get::<_, i64>(at)),
            Err(error) if error.sqlstate_code() == Some("57014") => return Ok(Found::TooLong),
            Err(_) => return Ok(Found::Unknown),
        }
    }
    Ok(Found::Rows(totals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_of_numeric_has_a_scale_with_a_sign() {
        assert_eq!(numeric(((12 << 16) | 2) + 4), (12, 2));
        assert_eq!(numeric(((3 << 16) | 0x7fe) + 4), (3, -2));
    }
}
