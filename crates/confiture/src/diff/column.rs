//! Columns: how they are written, and how one becomes another without losing what it holds.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::{Change, Sides, quoted};
use crate::diff::composite::Passage;
use crate::diff::hazard::Hazard;
use crate::diff::{aside, fit, not_null, sequence};
use crate::sql::Sql;

/// The sequence behind an identity column.
struct Behind<'a> {
    name: &'a str,
    parameters: &'a str,
    is_plain: bool,
    schema: &'a str,
    bare: &'a str,
    /// A type has its name: it cannot be made under it, but get it.
    beside_type: bool,
}

impl Behind<'_> {
    /// The name under which it is made.
    fn made_as(&self) -> String {
        if self.beside_type {
            return format!("{}.{}", quoted(self.schema), quoted(&aside::with(self.bare, "__made")));
        }
        self.name.to_owned()
    }
}

fn behind(column: &Object) -> Option<Behind<'_>> {
    let row = column.details["sequence"].as_array()?;
    let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default();
    Some(Behind {
        name: text(0),
        parameters: text(1),
        is_plain: row.get(2).and_then(Value::as_bool).unwrap_or_default(),
        schema: text(4),
        bare: text(5),
        beside_type: row.get(10).and_then(Value::as_bool).unwrap_or_default(),
    })
}

/// The name of the sequence of an identity column, quoted and with its schema.
pub(super) fn identity_sequence(column: &Object) -> Option<&str> {
    behind(column).map(|sequence| sequence.name)
}

/// The sequence behind an identity column as an object of its own: whom it belongs to, who may use it, and what is said of it.
pub(super) fn sequence_behind(column: &Object) -> Option<Object> {
    let name = identity_sequence(column)?;
    let row = &column.details["sequence"];
    let texts = |value: &Value| -> Option<Vec<String>> {
        Some(value.as_array()?.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect())
    };
    let mut sequence = column.clone();
    sequence.kind = Kind::Sequence;
    sequence.identity = name.to_owned();
    sequence.name = row[5].as_str().unwrap_or_default().to_owned();
    sequence.phrase = format!("SEQUENCE {name}");
    sequence.owner = row[6].as_str().map(str::to_owned);
    sequence.acl = texts(&row[7]);
    sequence.acl_default = texts(&row[8]);
    sequence.comment = row[9].as_str().map(str::to_owned);
    Some(sequence)
}

/// `GENERATED … AS IDENTITY (…)`.
fn identity(column: &Object) -> Option<String> {
    let sequence = behind(column)?;
    let table = table_of(column);
    let schema = column.schema.as_deref().unwrap_or_default();
    let expected = format!("{}_{}_seq", bare(&table, schema), column.name);
    let mut parts = Vec::new();
    if sequence.bare != expected || sequence.schema != schema || sequence.beside_type {
        parts.push(format!("SEQUENCE NAME {}", sequence.made_as()));
    }
    if !sequence.is_plain {
        parts.push(sequence.parameters.to_owned());
    }
    let list = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(" ")) };
    Some(format!("GENERATED {} AS IDENTITY{list}", column.detail("identity")))
}

/// The table's name without schema and quotes.
fn bare(table: &str, schema: &str) -> String {
    let name = table.strip_prefix(&format!("{}.", quoted(schema))).unwrap_or(table);
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).replace("\"\"", "\"")
}

/// The quoted name of the table that a column is of.
pub(super) fn table_of(column: &Object) -> String {
    let own = format!(".{}", quoted(&column.name));
    let other = format!(".\"{}\"", column.name.replace('"', "\"\""));
    let identity = &column.identity;
    identity.strip_suffix(&own).or_else(|| identity.strip_suffix(&other)).unwrap_or(identity).to_owned()
}

/// The column as `CREATE TABLE` and `ADD COLUMN` take it; `taken` are the names of the NOT NULL constraints that are there.
pub(super) fn render(column: &Object, default: Option<&str>, taken: &BTreeSet<String>) -> String {
    let mut text = format!("{} {}", column.create, column.detail("type"));
    text.push_str(&super::options::foreign(column));
    if let Some(collation) = column.details["collation"].as_str() {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(expression) = column.details["generated"].as_str() {
        text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {}", column.detail("generated_kind")));
    }
    if let Some(default) = default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if let Some(identity) = identity(column) {
        text.push_str(&format!(" {identity}"));
    }
    if let Some(not_null) = not_null::within(column, taken) {
        text.push_str(&not_null);
    }
    text
}

/// Compares two columns of one name.
pub(super) fn compare(sides: Sides<'_>, old: &Object, new: &Object) -> Change {
    let mut change = Change::default();
    // Types and NOT NULL go down to partitions and children; ONLY would be refused.
    let alter = new.alter.as_deref().unwrap_or_default().replacen(" TABLE ONLY ", " TABLE ", 1);
    match (old.details["generated"].as_str(), new.details["generated"].as_str()) {
        (None, None) => {}
        (Some(before), Some(after))
            if before == after && old.detail("generated_kind") == new.detail("generated_kind") => {}
        (Some(_), None) if old.detail("generated_kind") == "STORED" => {
            change.push(format!("{alter} DROP EXPRESSION"));
        }
        (Some(_), Some(after))
            if sides.old.server_version >= 170_000
                && old.detail("generated_kind") == new.detail("generated_kind") =>
        {
            change.push(format!("{alter} SET EXPRESSION AS ({after})"));
            change.disturbs = true;
            change.hazards.push(Hazard::Rewrites("the column is computed anew".into()));
            if is_constrained(sides.old, old) {
                change
                    .hazards
                    .push(Hazard::MayFail("a value that a constraint does not take stops it".into()));
            }
        }
        _ => {
            let mut change = Change::rebuild();
            change.hazards.push(Hazard::Note(
                "the column is generated: it is made anew, and then stands behind the others".into(),
            ));
            if old.details["generated"].is_null() {
                change
                    .hazards
                    .push(Hazard::DataLoss("the values of the column give way to generated ones".into()));
            }
            return change;
        }
    }
    // What a partition has from its table, it gets and loses with that.
    if behind(new).is_none() {
        change.statements.extend(drop_identity(old));
    }
    // PostgreSQL 18 cannot give another type to a column with a constraint of its own below one of a parent's: what goes, goes before.
    let loosens = old.is("not_null") && !new.is("not_null");
    if loosens {
        not_null::compare(&mut change, sides, &alter, old, new);
    }
    let retyped = old.detail("type") != new.detail("type");
    // A smaller type does not take the bounds of a larger one.
    let shrinks = size(old) > size(new);
    if shrinks {
        fit_identity(&mut change, &alter, old, new, retyped);
    }
    if retyped || old.details["collation"] != new.details["collation"] {
        // What is in a foreign table is converted elsewhere.
        let is_foreign = alter.starts_with("ALTER FOREIGN ");
        let using = if retyped && !is_foreign { using(sides, old, new) } else { None };
        retype(&mut change, &alter, new, using.as_deref());
        if !is_foreign && !is_cheap(old, new) {
            change.hazards.push(Hazard::Rewrites("every row gets the column's new type".into()));
        }
        if !is_foreign {
            let by_text = using.is_some_and(|using| using.contains("::text"));
            change.hazards.extend(fit::against_type(sides.old, old, new, by_text));
        }
    }
    if !loosens {
        not_null::compare(&mut change, sides, &alter, old, new);
    }
    if !shrinks {
        fit_identity(&mut change, &alter, old, new, retyped);
    }
    compare_identities(&mut change, &alter, sides, (old, new));
    change
}

/// What makes a plain column of an identity.
pub(super) fn drop_identity(column: &Object) -> Option<Sql> {
    behind(column)?;
    let alter = column.alter.as_deref()?.replacen(" TABLE ONLY ", " TABLE ", 1);
    Some(Sql::from_server(format!("{alter} DROP IDENTITY")))
}

/// True for a column that a constraint is about.
fn is_constrained(objects: &Objects, column: &Object) -> bool {
    let Some((at, _)) = objects.find(&column.key()) else { return false };
    let is_about = |object: &Object| object.kind == Kind::Constraint && object.depends.contains(&at);
    column.is("not_null") || objects.all.iter().any(is_about)
}

/// How many bytes an integer has.
fn size(column: &Object) -> Option<u8> {
    match column.detail("base") {
        "smallint" => Some(2),
        "integer" => Some(4),
        "bigint" => Some(8),
        _ => None,
    }
}

/// Gives a column the type of `new`.
pub(super) fn retype(change: &mut Change, alter: &str, new: &Object, using: Option<&str>) {
    let collation = match new.details["collation"].as_str() {
        Some(collation) => format!(" COLLATE {collation}"),
        None => String::new(),
    };
    let using = using.map_or_else(String::new, |using| format!(" USING {using}"));
    change.push(format!("{alter} TYPE {}{collation}{using}", new.detail("type")));
    change.disturbs = true;
}

/// Makes an identity of a column that has numbers, from the sequence `former`, where there is one.
fn become_identity(alter: &str, new: &Object, after: &Behind<'_>, former: Option<&Object>) -> Vec<String> {
    let mut statements = vec![format!("{alter} ADD {}", identity(new).unwrap_or_default())];
    if after.beside_type {
        statements.push(format!("ALTER SEQUENCE {} RENAME TO {}", after.made_as(), quoted(after.bare)));
    }
    // The rows that are there have numbers already. Where nobody knows their sequence, the highest of them tells where to go on.
    if let Some(former) = former {
        let name = after.name.replace('\'', "''");
        let bounds = sequence::bounds(after.parameters).filter(|_| !after.is_plain);
        let within = bounds
            .map_or_else(String::new, |(low, high)| format!(" WHERE last_value BETWEEN {low} AND {high}"));
        let from = &former.identity;
        statements
            .push(format!("SELECT pg_catalog.setval('{name}', last_value, is_called) FROM {from}{within}"));
    } else if !after.parameters.contains("INCREMENT BY -") {
        statements.push(go_on(after.name, new).as_str().to_owned());
    }
    statements
}

/// The only sequence of a column that becomes an identity, which goes: the identity's goes on where it stands.
pub(super) fn former_sequence(sides: Sides<'_>, old: usize, new: &Object) -> Option<usize> {
    let (objects, after) = (sides.old, behind(new)?);
    if identity_sequence(&objects.all[old]).is_some() {
        return None;
    }
    let is_owner = |object: &&Object| object.kind == Kind::SequenceOwner && object.parent == Some(old);
    let mut owners = objects.all.iter().filter(is_owner);
    let (owner, None) = (owners.next()?, owners.next()) else { return None };
    let (at, sequence) = objects.find(&(Kind::Sequence, owner.identity.clone()))?;
    let descends = |parameters: &str| parameters.contains("INCREMENT BY -");
    let goes = sides.new.find(&sequence.key()).is_none();
    (goes && descends(after.parameters) == descends(&sequence.create)).then_some(at)
}

/// Has a sequence go on after the highest number of a column.
pub(super) fn go_on(sequence: &str, column: &Object) -> Sql {
    Sql::from_server(format!(
        "SELECT pg_catalog.setval('{}', pg_catalog.max({column}), true) FROM {} HAVING pg_catalog.max({column}) >= 1",
        sequence.replace('\'', "''"),
        table_of(column),
        column = quoted(&column.name),
    ))
}

/// Adds an identity column to a table with children, which `ADD COLUMN` refuses: numbers first, then what gives them.
pub(super) fn add_identity_apart(sides: Sides<'_>, column: &Object, taken: &BTreeSet<String>) -> Vec<String> {
    let (Some(after), Some(alter)) = (behind(column), column.alter.as_deref()) else { return Vec::new() };
    let table = table_of(column);
    let numbers = format!(
        "{}.{}",
        quoted(column.schema.as_deref().unwrap_or_default()),
        quoted(&aside::passing(sides, &column.name, "__numbers"))
    );
    let default = format!("pg_catalog.nextval('{}')", numbers.replace('\'', "''"));
    let mut plain = column.clone();
    plain.details["sequence"] = Value::Null;
    let alter = alter.replacen(" TABLE ONLY ", " TABLE ", 1);
    let mut statements = vec![
        format!("CREATE SEQUENCE {numbers} {}", after.parameters),
        format!("ALTER TABLE {table} ADD COLUMN {}", render(&plain, Some(&default), taken)),
        format!("{alter} DROP DEFAULT"),
        format!("DROP SEQUENCE {numbers}"),
    ];
    statements.extend(become_identity(&alter, column, &after, None));
    statements
}

/// Gives the sequence behind a column its new bounds, where both have one.
fn fit_identity(change: &mut Change, alter: &str, old: &Object, new: &Object, retyped: bool) {
    let (Some(before), Some(after)) = (behind(old), behind(new)) else { return };
    if before.parameters == after.parameters || retyped && before.is_plain && after.is_plain {
        return;
    }
    let words = ["INCREMENT BY", "MINVALUE", "MAXVALUE", "START WITH", "CACHE", "NO CYCLE"];
    let mut text = after.parameters.to_owned();
    let counts_in = |column: &Object| column.facet("identity sequence").map(|facet| facet.0.clone());
    if counts_in(old) != counts_in(new)
        && let (Some(from), Some(to)) = (text.find("MINVALUE"), text.find("START WITH"))
    {
        // They are given together with its type.
        text.replace_range(from..to, "");
    }
    for word in words {
        text = text.replacen(word, &format!("SET {word}"), 1);
    }
    if !text.contains("NO CYCLE") {
        text = text.replacen("CYCLE", "SET CYCLE", 1);
    }
    let restart = sequence::fit(change, before.name, before.parameters, after.parameters);
    change.push(format!("{alter} {text}{restart}"));
}

fn compare_identities(change: &mut Change, alter: &str, sides: Sides<'_>, (old, new): (&Object, &Object)) {
    let (kind, now) = (old.detail("identity"), new.detail("identity"));
    let Some(after) = behind(new) else { return };
    let Some(before) = behind(old) else {
        let at = sides.old.by_key.get(&old.key());
        let former = at.and_then(|at| former_sequence(sides, *at, new)).map(|at| &sides.old.all[at]);
        change
            .statements
            .extend(become_identity(alter, new, &after, former).into_iter().map(Sql::from_server));
        return;
    };
    if kind != now {
        change.push(format!("{alter} SET GENERATED {now}"));
    }
    if before.name != after.name {
        change.push(format!("ALTER SEQUENCE {} RENAME TO {}", before.name, quoted(after.bare)));
    }
}

/// The expression that turns old values into new ones, where no assignment cast does.
pub(super) fn using(sides: Sides<'_>, old: &Object, new: &Object) -> Option<String> {
    cast(sides, &quoted(&new.name), (old.detail("base"), new.detail("base")), new.detail("type"))
}

/// A value of the first type as one of the second, `target`, where that is not assigned without a word.
pub(super) fn cast(sides: Sides<'_>, value: &str, (from, to): (&str, &str), target: &str) -> Option<String> {
    if from == to {
        return None;
    }
    // As it is printed: its cast writes `10.0.0.1/32` for what a text had as `10.0.0.1`.
    if from == "inet" && is_text(to) && to != "\"char\"" {
        return Some(format!("pg_catalog.abbrev({value})"));
    }
    let pair = (from.to_owned(), to.to_owned());
    let arrays = (from.strip_suffix("[]"), to.strip_suffix("[]"));
    let elements = match arrays {
        (Some(from), Some(to)) => Some((from.to_owned(), to.to_owned())),
        _ => None,
    };
    // One that only one side has is there as well: what uses it comes before it goes, or after it comes.
    let has_cast = |pair: &(String, String)| {
        [sides.old, sides.new].iter().any(|side| side.casts.contains(pair) || side.assignments.contains(pair))
    };
    let assigns = |pair: &(String, String)| {
        // Every type can be assigned to a string; "char" is none.
        let to_string = is_text(&pair.1) && pair.1 != "\"char\"";
        let Sides { old, new, .. } = sides;
        old.assignments.contains(pair) && new.assignments.contains(pair) || to_string && !has_cast(pair)
    };
    if assigns(&pair) || elements.as_ref().is_some_and(|pair| pair.0 == pair.1 || assigns(pair)) {
        return None;
    }
    let explicit = |pair: &(String, String)| has_cast(pair) || is_text(&pair.0) && pair.0 != "\"char\"";
    if explicit(&pair) || elements.as_ref().is_some_and(explicit) {
        return Some(format!("{value}::{target}"));
    }
    // An amount is written as no number is, and neither is what is true.
    let through = match from.trim_end_matches("[]") {
        "money" => "numeric",
        "boolean" => "integer",
        _ => "text",
    };
    let number = (through.to_owned(), to.trim_end_matches("[]").to_owned());
    let through = if assigns(&number) || explicit(&number) { through } else { "text" };
    Some(match arrays {
        // Nothing is no list of nothing.
        (None, Some(_)) => {
            format!("CASE WHEN {value} IS DISTINCT FROM NULL THEN ARRAY[{value}]::{through}[]::{target} END")
        }
        // A list of one is that one; what is another list stops it.
        (Some(_), None) => format!(
            "(CASE WHEN pg_catalog.array_ndims({value}) = 1 AND pg_catalog.cardinality({value}) = 1 \
             THEN ({value}::text[])[pg_catalog.array_lower({value}, 1)] ELSE {value}::text END)::{target}"
        ),
        (Some(_), Some(_)) => format!("{value}::{through}[]::{target}"),
        _ => format!("{value}::{through}::{target}"),
    })
}

/// How a value goes from a type to another of the same name.
pub(super) fn to_namesake(sides: Sides<'_>, column: &Object) -> Passage {
    Passage::of(sides, &quoted(&column.name), column.detail("type"))
}

/// By way of text.
pub(super) fn through_text(column: &Object) -> String {
    let through = if column.detail("plain").ends_with("[]") { "text[]" } else { "text" };
    format!("{}::{through}::{}", quoted(&column.name), column.detail("type"))
}

/// True where values of one of the types are cast to the other, or are of one type with other limits; and where they are read as such.
pub(super) fn may_go_over(objects: &Objects, (from, to): (&str, &str)) -> (bool, bool) {
    let casts = |from: &str, to: &str| {
        let pair = (from.to_owned(), to.to_owned());
        objects.casts.contains(&pair) || objects.assignments.contains(&pair)
    };
    (from == to || casts(from, to) || casts(to, from), is_text(from) || is_text(to))
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "character varying" | "character" | "\"char\"" | "name" | "bpchar")
}

/// Type changes that leave the rows as they are: a longer or no limit, `varchar` to `text`.
fn is_cheap(old: &Object, new: &Object) -> bool {
    let (before, after) = (old.detail("type"), new.detail("type"));
    let limit =
        |text: &str| text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')?.parse::<u32>().ok());
    let varying = |text: &str| text.starts_with("character varying") && !text.ends_with(']');
    match (varying(before), varying(after)) {
        (true, true) => match (limit(before), limit(after)) {
            (_, None) => true,
            (Some(before), Some(after)) => after >= before,
            (None, Some(_)) => false,
        },
        (true, false) => after == "text",
        (false, true) => before == "text" && limit(after).is_none(),
        _ => false,
    }
}
