//! What has a new name. Never guessed silently: it was said in the new DDL or on the command line, or there is one single
//! pair that is the same in all but a name that is alike, and then the plan says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::diff::order::name_spaces;
use crate::diff::{Hazard, Step, column};
use crate::error::{Error, Result};
use crate::sql::Sql;

/// What somebody has said: `users.full_name` is now `display_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The old name, with the schema and table that were given.
    pub path: Vec<String>,
    /// The new name.
    pub to: String,
    /// The path holds the new names of schema and table, as the new DDL has them.
    pub in_new: bool,
    /// Who says so.
    pub reason: String,
}

/// An object, or a column, that has a new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    kind: Kind,
    /// The schema, or the table, of old and of new.
    within: (String, String),
    from: String,
    to: String,
    reason: String,
}

impl Asked {
    /// Reads `users.full_name=display_name`; the new name may have the same schema and table in front.
    ///
    /// # Errors
    ///
    /// Text that is not of this form.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("`{text}` does not say what has a new name"))
                .hint("write it as OLD=NEW, for instance: --rename users.full_name=display_name")
        };
        let (from, to) = text.split_once('=').ok_or_else(wrong)?;
        let path = parts(from).filter(|path| path.iter().all(|part| !part.is_empty())).ok_or_else(wrong)?;
        let to =
            parts(to).and_then(|mut parts| parts.pop()).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        Ok(Self { path, to, in_new: false, reason: format!("--rename {text}") })
    }
}

/// The parts of a dotted name; in quotes a dot is no end.
pub(super) fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.trim().chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => parts.last_mut()?.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c => parts.last_mut()?.push(c),
        }
    }
    (!quoted).then_some(parts)
}

/// All renames between two catalogs: those that were asked for, and those that are plain.
///
/// # Errors
///
/// One that was asked for, and that there cannot be.
pub fn renames(old: &Objects, new: &Objects, asked: &[Asked]) -> Result<Vec<Rename>> {
    let mut found: Vec<Rename> = Vec::new();
    // Tables first: their columns are looked for under the new names.
    for tables in [true, false] {
        for one in asked {
            let matches = candidates(old, new, one, &found);
            let matches: Vec<_> =
                matches.into_iter().filter(|rename| (rename.kind != Kind::Column) == tables).collect();
            match matches.as_slice() {
                [] => {}
                [rename] => found.push(rename.clone()),
                [first, ..] => {
                    return Err(Error::usage(format!(
                        "{}: `{}` may mean several things",
                        one.reason, first.from
                    ))
                    .hint("name it with its schema and table"));
                }
            }
        }
        let inferred = if tables { infer_tables(old, new, &found) } else { infer_columns(old, new, &found) };
        found.extend(inferred);
    }
    for one in asked.iter().filter(|one| !one.in_new) {
        if !found.iter().any(|rename| rename.reason == one.reason) {
            return Err(Error::usage(format!(
                "{}: the old schema has no {} that is gone in the new one, where `{}` takes its place",
                one.reason,
                one.path.join("."),
                one.to
            )));
        }
    }
    Ok(found)
}

/// The same renames on the way back.
#[must_use]
pub fn reversed(renames: &[Rename]) -> Vec<Rename> {
    let back = |rename: &Rename| Rename {
        kind: rename.kind,
        within: (rename.within.1.clone(), rename.within.0.clone()),
        from: rename.to.clone(),
        to: rename.from.clone(),
        reason: rename.reason.clone(),
    };
    renames.iter().map(back).collect()
}

impl Rename {
    /// What it says: `column public.users.full_name becomes display_name`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}.{} becomes {}", self.kind.text(), self.within.0, quoted(&self.from), quoted(&self.to))
    }

    /// The names of a table, before and after.
    pub(super) fn of_table(&self) -> Option<(String, String)> {
        let name = |within: &str, name: &str| format!("{within}.{}", quoted(name));
        (self.kind == Kind::Table).then(|| (name(&self.within.0, &self.from), name(&self.within.1, &self.to)))
    }

    /// Who says so.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The statements for those renames that `state` still needs: first of tables and their like, then of columns.
///
/// Who bears the new name meanwhile gets another one before: it is renamed itself, or goes.
#[must_use]
pub fn steps(state: &Objects, renames: &[Rename], columns: bool) -> Vec<Step> {
    let mut bearers: HashMap<Space, usize> = HashMap::new();
    for (at, object) in state.all.iter().enumerate().filter(|(_, one)| (one.kind == Kind::Column) == columns)
    {
        bearers.extend(spaces(state, object, &object.name).into_iter().map(|space| (space, at)));
    }
    let wanted = |rename: &&Rename| (rename.kind == Kind::Column) == columns;
    let mut open: Vec<(&Rename, usize)> = (renames.iter().filter(wanted))
        .filter_map(|rename| {
            let within = if columns { &rename.within.1 } else { &rename.within.0 };
            let is_it = |object: &Object| {
                object.kind == rename.kind && object.name == rename.from && within_of(object) == *within
            };
            Some((rename, state.all.iter().position(is_it)?))
        })
        .collect();
    let mut steps = Vec::new();
    while !open.is_empty() {
        let bearer = |(rename, at): &(&Rename, usize)| {
            let wanted = spaces(state, &state.all[*at], &rename.to);
            wanted.iter().find_map(|space| bearers.get(space).copied().filter(|bearer| bearer != at))
        };
        let (at, name, title, note) = if let Some(free) = open.iter().position(|one| bearer(one).is_none()) {
            let (rename, at) = open.remove(free);
            (at, rename.to.clone(), rename.title(), rename.reason.clone())
        } else {
            let stays = |at: &usize| !open.iter().any(|(_, other)| other == at);
            let Some(at) = open.iter().filter_map(bearer).find(stays) else { break };
            let title = format!("{} makes room", state.all[at].title());
            (at, aside(state, &state.all[at], &bearers), title, "another one is to have its name".to_owned())
        };
        let object = &state.all[at];
        for space in spaces(state, object, &object.name) {
            bearers.remove(&space);
        }
        bearers.extend(spaces(state, object, &name).into_iter().map(|space| (space, at)));
        steps.push(Step {
            hazards: vec![Hazard::Note(note.into())],
            ..Step::plain(title, vec![Sql::from_server(statement(object, &name))])
        });
    }
    steps
}

/// A name and the space in which it is taken.
type Space = (u8, String);

/// The names that an object takes where it is called `name`.
fn spaces(state: &Objects, object: &Object, name: &str) -> Vec<Space> {
    if object.kind == Kind::Column {
        return vec![(u8::MAX, format!("{}.{}", column::table_of(object), quoted(name)))];
    }
    // A routine of the same name may have other arguments.
    if matches!(object.kind, Kind::Function | Kind::Procedure | Kind::Aggregate) {
        return Vec::new();
    }
    let mut object = object.clone();
    name.clone_into(&mut object.name);
    name_spaces(state, &object)
}

/// A name for an object that has to make room.
fn aside(state: &Objects, object: &Object, bearers: &HashMap<Space, usize>) -> String {
    let base: String = object.name.chars().take(14).collect();
    let mut name = format!("{base}__aside");
    let is_taken = |name: &str| spaces(state, object, name).iter().any(|space| bearers.contains_key(space));
    let mut number = 1;
    while is_taken(&name) {
        number += 1;
        name = format!("{base}__aside{number}");
    }
    name
}

fn statement(object: &Object, name: &str) -> String {
    let (from, to) = (quoted(&object.name), quoted(name));
    match object.kind {
        Kind::Column => {
            format!("ALTER TABLE {} RENAME COLUMN {from} TO {to}", column::table_of(object))
        }
        Kind::Constraint => {
            format!("{} RENAME CONSTRAINT {from} TO {to}", object.alter.as_deref().unwrap_or_default())
        }
        _ => format!("ALTER {} RENAME TO {to}", object.phrase),
    }
}

/// Sequences that the same column owns under another name.
#[must_use]
pub fn owned_sequences(state: &Objects, to: &Objects) -> Vec<Step> {
    let owners = |objects: &Objects| -> BTreeMap<String, Vec<usize>> {
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, object) in objects.all.iter().enumerate() {
            if let (Kind::SequenceOwner, Some(column)) = (object.kind, object.parent) {
                owners.entry(objects.all[column].identity.clone()).or_default().push(at);
            }
        }
        owners
    };
    let (before, after) = (owners(state), owners(to));
    let mut steps = Vec::new();
    for (column, owned) in &before {
        let ([old], Some([new])) = (owned.as_slice(), after.get(column).map(Vec::as_slice)) else { continue };
        let (old, new) = (&state.all[*old], &to.all[*new]);
        let free = |objects: &Objects, identity: &String| {
            !objects.by_key.contains_key(&(Kind::Sequence, identity.clone()))
        };
        if old.identity != new.identity
            && old.schema == new.schema
            && free(state, &new.identity)
            && free(to, &old.identity)
        {
            let name = quoted(&new.name);
            steps.push(Step::plain(
                format!("sequence {} becomes {name}", old.identity),
                vec![Sql::from_server(format!("ALTER SEQUENCE {} RENAME TO {name}", old.identity))],
            ));
        }
    }
    steps
}

/// The schema of an object, the table of a column.
fn within_of(object: &Object) -> String {
    match object.kind {
        Kind::Column => column::table_of(object),
        _ => object.schema.as_deref().map(quoted).unwrap_or_default(),
    }
}

/// The table's name in the new schema.
fn table_after(table: &str, found: &[Rename]) -> String {
    let renamed =
        found.iter().find(|rename| format!("{}.{}", rename.within.0, quoted(&rename.from)) == table);
    renamed.map_or_else(|| table.to_owned(), |rename| format!("{}.{}", rename.within.1, quoted(&rename.to)))
}

fn candidates(old: &Objects, new: &Objects, asked: &Asked, found: &[Rename]) -> Vec<Rename> {
    let mut all = Vec::new();
    for object in old.all.iter().filter(|object| can_be_renamed(object.kind)) {
        let Some(name) = asked.path.last().filter(|name| **name == object.name) else { continue };
        let before = within_of(object);
        let after = if object.kind == Kind::Column { table_after(&before, found) } else { before.clone() };
        let given = &asked.path[..asked.path.len() - 1];
        let full = parts(if asked.in_new { &after } else { &before }).unwrap_or_default();
        let other = parts(if asked.in_new { &before } else { &after }).unwrap_or_default();
        if !full.ends_with(given) && !other.ends_with(given)
            || object.kind == Kind::Column && given.is_empty()
        {
            continue;
        }
        let target = new
            .all
            .iter()
            .any(|other| other.kind == object.kind && other.name == asked.to && within_of(other) == after);
        let stays = new
            .all
            .iter()
            .any(|other| other.kind == object.kind && other.name == *name && within_of(other) == after);
        // The old name may be another one's: that is not done as long as nothing has the new one.
        let there = |other: &Object| {
            other.kind == object.kind && other.name == asked.to && within_of(other) == before
        };
        if target && (!stays || !old.all.iter().any(there)) {
            all.push(Rename {
                kind: object.kind,
                within: (before, after),
                from: object.name.clone(),
                to: asked.to.clone(),
                reason: asked.reason.clone(),
            });
        }
    }
    all
}

fn can_be_renamed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Schema
            | Kind::Table
            | Kind::Column
            | Kind::View
            | Kind::MaterializedView
            | Kind::Sequence
            | Kind::Enum
            | Kind::Domain
            | Kind::CompositeType
            | Kind::Range
            | Kind::Function
            | Kind::Procedure
            | Kind::Collation
    )
}

/// The columns of each table, in order, by the table's identity.
fn columns(objects: &Objects) -> BTreeMap<String, Vec<&Object>> {
    let mut tables: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
    for object in objects.all.iter().filter(|object| object.kind == Kind::Column) {
        tables.entry(column::table_of(object)).or_default().push(object);
    }
    for columns in tables.values_mut() {
        columns.sort_by_key(|column| column.details["number"].as_i64());
    }
    tables
}

/// All of a column but its name.
fn shape(objects: &Objects, object: &Object) -> Vec<String> {
    let default = objects.find(&(Kind::Default, object.identity.clone()));
    let detail = |name: &str| object.details[name].to_string();
    let mut shape: Vec<String> =
        ["type", "collation", "not_null", "generated", "generated_kind", "identity"].map(detail).into();
    let default = default.map_or("", |(_, default)| default.detail("expression"));
    // The sequence of a serial column has the table's name in its own.
    shape.push(if default.starts_with("nextval(") { "nextval".to_owned() } else { default.to_owned() });
    shape
}

fn infer_columns(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (before, after) = (columns(old), columns(new));
    let mut inferred = Vec::new();
    for (table, old_columns) in &before {
        let now = table_after(table, found);
        let Some(new_columns) = after.get(&now) else { continue };
        let said = |object: &&&Object| {
            !found.iter().any(|rename| {
                rename.kind == Kind::Column
                    && (rename.within.0 == *table && rename.from == object.name
                        || rename.within.1 == now && rename.to == object.name)
            })
        };
        let names =
            |columns: &[&Object]| columns.iter().map(|column| column.name.clone()).collect::<BTreeSet<_>>();
        let (old_names, new_names) = (names(old_columns), names(new_columns));
        let gone: Vec<_> =
            old_columns.iter().filter(|column| !new_names.contains(&column.name)).filter(said).collect();
        let come: Vec<_> =
            new_columns.iter().filter(|column| !old_names.contains(&column.name)).filter(said).collect();
        let alike: Vec<_> = (gone.iter())
            .flat_map(|one| come.iter().map(move |other| (*one, *other)))
            .filter(|(one, other)| shape(old, one) == shape(new, other))
            .filter(|(one, other)| are_alike(&one.name, &other.name))
            .filter(|(one, other)| previous(old_columns, one) == previous(new_columns, other))
            .collect();
        if let [(one, other)] = alike.as_slice()
            && gone.len() == 1
            && !one.inherited
        {
            inferred.push(Rename {
                kind: Kind::Column,
                within: (table.clone(), now),
                from: one.name.clone(),
                to: other.name.clone(),
                reason: format!(
                    "inferred: {} is the only column that goes and {} the only one like it that comes, at the same place, of the same type; say otherwise by two migrations",
                    quoted(&one.name),
                    quoted(&other.name)
                ),
            });
        }
    }
    inferred
}

/// The column in front.
fn previous<'a>(columns: &[&'a Object], of: &Object) -> Option<&'a str> {
    let at = columns.iter().position(|column| column.name == of.name)?;
    columns.get(at.checked_sub(1)?).map(|column| column.name.as_str())
}

fn infer_tables(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (before, after) = (columns(old), columns(new));
    let tables = |one: &Objects, other: &Objects| -> Vec<Object> {
        let missing = |object: &&Object| {
            object.kind == Kind::Table
                && !object.is("is_partition")
                && other.find(&object.key()).is_none()
                && !found.iter().any(|rename| {
                    rename.kind == Kind::Table && (rename.from == object.name || rename.to == object.name)
                })
        };
        one.all.iter().filter(missing).cloned().collect()
    };
    let (gone, come) = (tables(old, new), tables(new, old));
    let shape_of = |objects: &Objects, tables: &BTreeMap<String, Vec<&Object>>, table: &Object| {
        let columns = tables.get(&table.identity).cloned().unwrap_or_default();
        columns.iter().map(|column| (column.name.clone(), shape(objects, column))).collect::<Vec<_>>()
    };
    let mut inferred = Vec::new();
    for one in &gone {
        let like = shape_of(old, &before, one);
        let fits = |other: &&Object| other.schema == one.schema && shape_of(new, &after, other) == like;
        let fitting: Vec<_> = come.iter().filter(fits).collect();
        let rivals = gone.iter().filter(|rival| shape_of(old, &before, rival) == like).count();
        if let [other] = fitting.as_slice()
            && rivals == 1
            && like.len() > 1
            && one.defined() == other.defined()
            && are_alike(&one.name, &other.name)
        {
            let schema = within_of(one);
            inferred.push(Rename {
                kind: Kind::Table,
                within: (schema.clone(), schema),
                from: one.name.clone(),
                to: other.name.clone(),
                reason: format!(
                    "inferred: {} and {} have the same columns, and names that are alike",
                    quoted(&one.name),
                    quoted(&other.name)
                ),
            });
        }
    }
    inferred
}

/// Words that say nothing alone.
const EMPTY_WORDS: [&str; 16] = [
    "at", "on", "by", "id", "no", "of", "is", "has", "date", "time", "count", "num", "number", "flag",
    "type", "the",
];

/// Words that stand for different things of one kind: what is called by one is not what is called by another.
const OPPOSITES: [&str; 42] = [
    "first",
    "last",
    "middle",
    "next",
    "previous",
    "created",
    "updated",
    "deleted",
    "modified",
    "archived",
    "start",
    "end",
    "begin",
    "min",
    "max",
    "from",
    "to",
    "old",
    "new",
    "in",
    "out",
    "billing",
    "shipping",
    "source",
    "target",
    "parent",
    "child",
    "home",
    "work",
    "primary",
    "secondary",
    "sent",
    "received",
    "paid",
    "due",
    "left",
    "right",
    "upper",
    "lower",
    "given",
    "family",
    "backup",
];

/// True for names that may well be one: they share a word that says something, and differ in none that tells things apart.
fn are_alike(one: &str, other: &str) -> bool {
    let words = |name: &str| -> BTreeSet<String> {
        name.to_lowercase().split('_').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (ours, theirs) = (words(one), words(other));
    let apart = |word: &String| OPPOSITES.contains(&word.as_str());
    if ours.difference(&theirs).any(apart) && theirs.difference(&ours).any(apart) {
        return false;
    }
    let telling = |word: &&String| !EMPTY_WORDS.contains(&word.as_str()) && word.chars().count() > 2;
    ours.intersection(&theirs).any(|word| telling(&word)) || strsim::jaro_winkler(one, other) > 0.9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_may_mean_one_thing_are_alike() {
        for (one, other) in
            [("full_name", "display_name"), ("email", "email_address"), ("descripton", "description")]
        {
            assert!(are_alike(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("created_at", "deleted_at"),
            ("first_name", "last_name"),
            ("shipping_zip", "billing_zip"),
            ("user_id", "team_id"),
            ("price", "name"),
            ("start_date", "end_date"),
        ] {
            assert!(!are_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_rename_is_read_with_its_quotes() {
        let asked = Asked::parse(r#"app."Us.ers".full_name=app.users.display_name"#).unwrap();
        assert_eq!(
            (asked.path.join("/"), asked.to.as_str()),
            ("app/Us.ers/full_name".to_owned(), "display_name")
        );
        assert!(Asked::parse("users").is_err() && Asked::parse("=x").is_err());
    }
}
