//! A first rules file: every column classified by its name, its type and a sample of its values. The file holds no values.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::catalog::{Catalog, Column, Relation};
use crate::config::Connection;
use crate::config::mapping::TableName;
use crate::config::sync_rules::PersonalKind;
use crate::config::yaml::render_key;
use crate::error::Result;
use crate::postgres::{Row, Session, read_catalog};
use crate::sql::{Identifier, QualifiedName, Sql, sql};
use crate::sync::classify::{find_table, is_ours, is_whole_table};
use crate::sync::kind::proposal;
use crate::sync::mask::kinds_in;
use crate::sync::types::{Family, family};

/// Values that are looked at in each column.
const SAMPLE: i64 = 1000;

/// A first rules file.
#[derive(Debug, Clone, Serialize)]
pub struct Suggestion {
    /// The file.
    pub text: String,
    /// The same as data.
    pub columns: Vec<SuggestedColumn>,
}

/// One column of it.
#[derive(Debug, Clone, Serialize)]
pub struct SuggestedColumn {
    /// The table.
    pub table: QualifiedName,
    /// The column.
    pub column: Identifier,
    /// The rule, as it stands in the file.
    pub rule: String,
    /// Why.
    pub because: String,
}

/// Looks at a database and writes a first rules file for `tables`, or for all.
///
/// # Errors
///
/// Where the database cannot be read.
pub async fn suggest(source: &Connection, tables: &[TableName]) -> Result<Suggestion> {
    let session = Session::connect(source).await?;
    session.batch(&Sql::literal("SET default_transaction_read_only = on")).await?;
    let catalog = read_catalog(&session).await?;
    let relations: Vec<&Relation> = if tables.is_empty() {
        catalog
            .relations
            .values()
            .filter(|relation| is_whole_table(relation) && !is_ours(&relation.name))
            .collect()
    } else {
        tables.iter().map(|name| find_table(name, &catalog, "the database")).collect::<Result<_>>()?
    };
    let mut text = String::from(
        "# Written by `confiture sync suggest`: read every line before you rely on it.\n\
         # A column that is not listed stops a sync, so new columns cannot slip through.\n\
         anonymize:\n",
    );
    let mut columns = Vec::new();
    for relation in relations {
        let seen = sample(relation, &catalog, &session).await?;
        text.push_str(&format!("  {}:\n", render_key(&relation.name.short())));
        let mut lines = 0;
        for column in relation.columns.iter().filter(|column| column.generated.is_none()) {
            let (rule, because) = decide(column, seen.get(&column.name), &catalog);
            text.push_str(&format!("    {}: {rule}  # {because}\n", render_key(&column.name.to_string())));
            columns.push(SuggestedColumn {
                table: relation.name.clone(),
                column: column.name.clone(),
                rule,
                because,
            });
            lines += 1;
        }
        if lines == 0 {
            text.push_str("    \"*\": keep\n");
        }
    }
    Ok(Suggestion { text, columns })
}

/// What was seen in the values of a column.
#[derive(Debug, Default)]
struct Seen {
    values: u64,
    /// Values that hold the kind; of those, the ones that are nothing else.
    kinds: BTreeMap<PersonalKind, (u64, u64)>,
    /// Places in documents.
    paths: BTreeMap<String, BTreeMap<PersonalKind, u64>>,
    secrets: u64,
}

async fn sample(
    relation: &Relation,
    catalog: &Catalog,
    session: &Session,
) -> Result<BTreeMap<Identifier, Seen>> {
    let looked_at: Vec<&Column> = relation
        .columns
        .iter()
        .filter(|column| {
            matches!(
                family(&column.data_type, catalog).0,
                Family::Text(_) | Family::Json | Family::TextArray | Family::Other
            )
        })
        .collect();
    let mut seen: BTreeMap<Identifier, Seen> = BTreeMap::new();
    if looked_at.is_empty() {
        return Ok(seen);
    }
    let texts = looked_at
        .iter()
        .map(|column| sql!("pg_catalog.left(CAST({} AS pg_catalog.text), 10000)", column.name));
    // Some pages of a large table, all of a small one.
    let part = match relation.row_estimate {
        Some(rows) if rows > 100_000 && relation.pages > 0 => {
            let tenths = (4000 * 1000 / rows).clamp(1, 1000) as i64;
            sql!(" TABLESAMPLE SYSTEM ({}.0 / 10)", tenths)
        }
        _ => Sql::default(),
    };
    let query = sql!("SELECT {} FROM {}{} LIMIT {}", Sql::join(", ", texts), relation.name, part, SAMPLE);
    for row in session.query(&query, &[]).await? {
        for (index, column) in looked_at.iter().enumerate() {
            look(&row, index, seen.entry(column.name.clone()).or_default());
        }
    }
    Ok(seen)
}

fn look(row: &Row, index: usize, seen: &mut Seen) {
    let Some(text) = row.get::<_, Option<&str>>(index).filter(|text| !text.is_empty()) else { return };
    seen.values += 1;
    for kind in kinds_in(text) {
        let counts = seen.kinds.entry(kind).or_default();
        counts.0 += 1;
        let is_short = text.split_whitespace().count() <= 3 || !text.contains(char::is_alphabetic);
        if is_short && text.len() < 40 {
            counts.1 += 1;
        }
    }
    if ["$2a$", "$2b$", "$2y$", "$argon2", "eyJhbGci", "-----BEGIN "]
        .iter()
        .any(|start| text.starts_with(start))
    {
        seen.secrets += 1;
    }
    if text.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str::<Value>(text)
    {
        walk(&document, "$", seen);
    }
}

fn walk(value: &Value, path: &str, seen: &mut Seen) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            let plain = key.chars().all(|c| c.is_alphanumeric() || c == '_') && !key.is_empty();
            let step = if plain { format!("{path}.{key}") } else { format!("{path}[\"{key}\"]") };
            walk(value, &step, seen);
        }),
        Value::Array(items) => items.iter().for_each(|value| walk(value, &format!("{path}[*]"), seen)),
        Value::String(text) => {
            for kind in kinds_in(text) {
                *seen.paths.entry(path.to_owned()).or_default().entry(kind).or_default() += 1;
            }
        }
        _ => {}
    }
}

/// The rule for a column and why.
fn decide(column: &Column, seen: Option<&Seen>, catalog: &Catalog) -> (String, String) {
    let family = family(&column.data_type, catalog).0;
    let of_type = &column.data_type.text;
    let nothing = Seen::default();
    let seen = seen.unwrap_or(&nothing);
    if family == Family::Json && !seen.paths.is_empty() {
        let paths = seen.paths.iter().filter_map(|(path, kinds)| {
            let (kind, _) = kinds.iter().max_by_key(|(_, count)| **count)?;
            Some(format!("'{}': {}", path.replace('\'', "''"), kind.word()))
        });
        let paths: Vec<String> = paths.collect();
        return (
            format!("{{json: {{{}}}}}", paths.join(", ")),
            format!("{of_type}: personal data seen at these places"),
        );
    }
    if seen.secrets > 0 {
        let rule = if matches!(family, Family::Text(_)) { "secret" } else { "null" };
        return (rule.to_owned(), format!("{of_type}: hashes or keys seen"));
    }
    let often = seen.kinds.iter().filter(|(_, (held, _))| held * 10 >= seen.values);
    if let Some((kind, (held, alone))) = often.max_by_key(|(_, (held, _))| *held)
        && matches!(family, Family::Text(_))
    {
        let because = format!("{of_type}: {} seen in {held} of {} values", kind.word(), seen.values);
        let rule = if alone * 2 >= *held { kind.word().to_owned() } else { "{redact: all}".to_owned() };
        return (rule, because);
    }
    if let Some((kind, (held, _))) = seen.kinds.iter().next() {
        let because = format!("{of_type}: {} seen in {held} of {} values", kind.word(), seen.values);
        match family {
            Family::Text(_) => return ("{redact: all}".to_owned(), because),
            Family::TextArray => return ("{hash: 24}".to_owned(), because),
            _ => {}
        }
    }
    let (word, _) = proposal(column, catalog);
    let because = if family == Family::Json {
        format!("{of_type}: nothing seen, and a document may hold anything")
    } else if word == "keep" {
        of_type.clone()
    } else {
        format!("{of_type}: by its name")
    };
    let must_stay = word == "null" && column.not_null;
    (if must_stay { "keep".to_owned() } else { word.to_owned() }, because)
}
