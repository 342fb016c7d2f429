//! What seems to have a new name, or another schema: one single pair that is the same in all else.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::column;
use crate::diff::compare::quoted;
use crate::diff::likeness::{are_alike, has_same_letters, share_a_word};
use crate::diff::rename::{Rename, is_part, reversed, table_after, within_of};

/// The columns of each table, and the attributes of each composite type, in order, by whose they are.
pub(super) fn columns(objects: &Objects) -> BTreeMap<String, Vec<&Object>> {
    let mut tables: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
    for object in objects.all.iter().filter(|object| is_part(object.kind)) {
        tables.entry(column::table_of(object)).or_default().push(object);
    }
    for columns in tables.values_mut() {
        columns.sort_by_key(|column| column.details["number"].as_i64());
    }
    tables
}

/// Tables of a type: what their columns are called is up to that.
pub(super) fn of_types(objects: &Objects) -> BTreeSet<&str> {
    let of_types = objects.all.iter().filter(|object| object.kind == Kind::TableType);
    of_types.map(|object| object.identity.as_str()).collect()
}

/// A definition with the names that others have by `found`.
fn under_new_names(text: &str, found: &[Rename]) -> String {
    let replace = |text: String, (from, to): (String, String)| text.replace(&from, &to);
    found.iter().filter_map(Rename::of_text).fold(text.to_owned(), replace)
}

/// The type of a column, under its new name.
pub(super) fn type_after(column: &Object, found: &[Rename]) -> String {
    under_new_names(column.detail("type"), found)
}

/// All of a column but its name; what has a new name by `found` has it.
fn shape(objects: &Objects, object: &Object, found: &[Rename]) -> Vec<String> {
    let default = objects.find(&(Kind::Default, object.identity.clone()));
    let renamed = |text: &str| under_new_names(text, found);
    let detail = |name: &str| match object.details[name].as_str() {
        Some(text) => renamed(text),
        None => object.details[name].to_string(),
    };
    let mut shape: Vec<String> =
        ["type", "collation", "not_null", "generated", "generated_kind", "identity"].map(detail).into();
    let default = default.map_or("", |(_, default)| default.detail("expression"));
    // The sequence of a serial column has the table's name in its own.
    shape.push(if default.starts_with("nextval(") { "nextval".to_owned() } else { renamed(default) });
    shape
}

/// All columns of a table: names, and what else there is of them.
pub(super) fn shape_of(
    objects: &Objects,
    tables: &BTreeMap<String, Vec<&Object>>,
    table: &Object,
    found: &[Rename],
) -> Vec<(String, Vec<String>)> {
    let columns = tables.get(&table.identity).into_iter().flatten();
    columns.map(|column| (column.name.clone(), shape(objects, column, found))).collect()
}

pub(super) fn infer_columns(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (before, after) = (columns(old), columns(new));
    let mut inferred = Vec::new();
    let typed = of_types(old);
    for (table, old_columns) in before.iter().filter(|(table, _)| !typed.contains(table.as_str())) {
        let now = table_after(table, found);
        let Some(new_columns) = after.get(&now) else { continue };
        let said = |object: &&&Object| {
            !found.iter().any(|rename| {
                is_part(rename.kind)
                    && (rename.within.0 == *table && rename.from == object.name
                        || rename.within.1 == now && rename.to == object.name)
            })
        };
        let names =
            |columns: &[&Object]| columns.iter().map(|column| column.name.clone()).collect::<BTreeSet<_>>();
        let (old_names, new_names) = (names(old_columns), names(new_columns));
        let lacks =
            |names: &BTreeSet<String>, column: &&&Object| !names.contains(&column.name) && said(column);
        let mut gone: Vec<_> =
            old_columns.iter().filter(|column| lacks(&new_names, column)).copied().collect();
        let mut come: Vec<_> =
            new_columns.iter().filter(|column| lacks(&old_names, column)).copied().collect();
        let respelt = respelt(&gone, &come, |one, other| {
            !one.inherited && one.details["generated"] == other.details["generated"]
        });
        take_out(&mut gone, &mut come, &respelt);
        let within = (table.clone(), now.clone());
        inferred.extend(respelt.into_iter().map(|(one, other)| one_name(one, other, within.clone())));
        let alike: Vec<_> = (gone.iter())
            .flat_map(|one| come.iter().map(move |other| (*one, *other)))
            .filter(|(one, other)| shape(old, one, found) == shape(new, other, &[]))
            .filter(|(one, other)| are_alike(&one.name, &other.name))
            .filter(|(one, other)| previous(old_columns, one) == previous(new_columns, other))
            .filter(|(one, other)| !lead_elsewhere((old, one), (new, other), found))
            .collect();
        // One may have become several: `full_name` is now `first_name` and `last_name`.
        let is_rival = |one: &&&Object| {
            gone.iter().any(|goes| {
                shape(old, goes, found) == shape(new, one, &[]) && share_a_word(&goes.name, &one.name)
            })
        };
        if let [(one, other)] = alike.as_slice()
            && gone.len() == 1
            && come.iter().filter(is_rival).count() <= 1
            && !one.inherited
        {
            inferred.push(Rename {
                kind: one.kind,
                within: (table.clone(), now),
                from: one.name.clone(),
                to: other.name.clone(),
                reason: format!(
                    "inferred: {} is the only column that goes and {} the only one like it that comes, at the same place, of the same type; where it is another: --no-rename {table}.{}={}",
                    quoted(&one.name),
                    quoted(&other.name),
                    quoted(&one.name),
                    quoted(&other.name)
                ),
            });
        }
    }
    inferred
}

/// True where both are foreign keys' and those lead to other tables.
fn lead_elsewhere(
    (old, one): (&Objects, &Object),
    (new, other): (&Objects, &Object),
    found: &[Rename],
) -> bool {
    let before: BTreeSet<String> = led_to(old, one).iter().map(|table| table_after(table, found)).collect();
    let after = led_to(new, other);
    !before.is_empty() && !after.is_empty() && before != after
}

/// The other tables to which foreign keys of this column lead.
fn led_to(objects: &Objects, column: &Object) -> BTreeSet<String> {
    let Some((at, _)) = objects.find(&column.key()) else { return BTreeSet::new() };
    let table = objects.root(at);
    let is_key = |key: &&Object| {
        key.kind == Kind::Constraint && key.detail("type") == "f" && key.parent == Some(table)
    };
    let keys = objects.all.iter().filter(is_key).filter(|key| key.depends.contains(&at));
    let tables = keys.flat_map(|key| &key.depends).map(|on| objects.root(*on)).filter(|on| *on != table);
    tables.map(|on| objects.all[on].identity.clone()).collect()
}

/// Those that go while one comes that is called the same but for case and separators, and no other of either is.
fn respelt<'a>(
    gone: &[&'a Object],
    come: &[&'a Object],
    is_like: impl Fn(&Object, &Object) -> bool,
) -> Vec<(&'a Object, &'a Object)> {
    let called = |objects: &[&'a Object], name: &str| -> Vec<&'a Object> {
        objects.iter().copied().filter(|object| has_same_letters(&object.name, name)).collect()
    };
    let pair =
        |one: &&'a Object| match (called(gone, &one.name).as_slice(), called(come, &one.name).as_slice()) {
            ([_], [other]) if is_like(one, other) => Some((*one, *other)),
            _ => None,
        };
    gone.iter().filter_map(pair).collect()
}

/// Leaves out what has been found.
pub(super) fn take_out(gone: &mut Vec<&Object>, come: &mut Vec<&Object>, found: &[(&Object, &Object)]) {
    gone.retain(|one| found.iter().all(|(from, _)| from.identity != one.identity));
    come.retain(|other| found.iter().all(|(_, to)| to.identity != other.identity));
}

fn one_name(one: &Object, other: &Object, within: (String, String)) -> Rename {
    let [from, to] = [&one.name, &other.name].map(|name| quoted(name));
    let reason = format!("inferred: {from} and {to} are one name, written otherwise");
    Rename { reason, within, ..renamed_to(one, other, "") }
}

/// How many of a hundred columns of the wider table the other one has as well, by the letters of their names; of one alone, none.
pub(super) fn columns_in_common(ours: &[&Object], theirs: &[&Object]) -> usize {
    let is_in = |name: &str, columns: &[&Object]| columns.iter().any(|one| has_same_letters(&one.name, name));
    let common = ours.iter().filter(|one| is_in(&one.name, theirs)).count();
    if common > 1 { 100 * common / ours.len().max(theirs.len()) } else { 0 }
}

/// The column in front.
pub(super) fn previous<'a>(columns: &[&'a Object], of: &Object) -> Option<&'a str> {
    let at = columns.iter().position(|column| column.name == of.name)?;
    columns.get(at.checked_sub(1)?).map(|column| column.name.as_str())
}

/// True where the new name is known already.
pub(super) fn is_known(found: &[Rename], kind: Kind, within: &str, name: &str) -> bool {
    let is_it = |rename: &Rename| {
        rename.within.0 == within && rename.from == name || rename.within.1 == within && rename.to == name
    };
    found.iter().any(|rename| rename.kind == kind && is_it(rename))
}

/// What one side has of a kind and the other lacks, save what is known to have a new name, and partitions.
pub(super) fn lacking<'a>(
    kind: Kind,
    ours: &'a Objects,
    theirs: &Objects,
    found: &[Rename],
) -> Vec<&'a Object> {
    let lacks = |object: &&Object| {
        object.kind == kind
            && !object.is("is_partition")
            && theirs.find(&object.key()).is_none()
            && !is_known(found, kind, &within_of(object), &object.name)
    };
    ours.all.iter().filter(lacks).collect()
}

/// The new name of an object in its schema, for both have what `alike` says.
fn renamed_to(one: &Object, other: &Object, alike: &str) -> Rename {
    let schema = within_of(one);
    Rename {
        kind: one.kind,
        within: (schema.clone(), schema),
        from: one.name.clone(),
        to: other.name.clone(),
        reason: format!("inferred: {} and {} have {alike}", quoted(&one.name), quoted(&other.name)),
    }
}

pub(super) fn infer_tables(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (before, after) = (columns(old), columns(new));
    let (mut gone, mut come) = (lacking(Kind::Table, old, new, found), lacking(Kind::Table, new, old, found));
    let respelt = respelt(&gone, &come, |one, other| {
        let (ours, theirs) = (before.get(&one.identity), after.get(&other.identity));
        let share = ours.zip(theirs).is_some_and(|(ours, theirs)| columns_in_common(ours, theirs) >= 75);
        share && one.schema == other.schema && one.defined() == other.defined()
    });
    take_out(&mut gone, &mut come, &respelt);
    let within = |one: &Object| (within_of(one), within_of(one));
    let mut inferred: Vec<_> =
        respelt.into_iter().map(|(one, other)| one_name(one, other, within(one))).collect();
    for one in &gone {
        let like = shape_of(old, &before, one, found);
        let fits = |other: &&&Object| other.schema == one.schema && shape_of(new, &after, other, &[]) == like;
        let fitting: Vec<_> = come.iter().filter(fits).collect();
        let rivals = gone.iter().filter(|rival| shape_of(old, &before, rival, found) == like).count();
        if let [other] = fitting.as_slice()
            && rivals == 1
            && like.len() > 1
            && one.defined() == other.defined()
            && are_alike(&one.name, &other.name)
        {
            inferred.push(renamed_to(one, other, "the same columns, and names that are alike"));
        }
    }
    inferred
}

/// Types that are the same: alike in their names, or the one that a column of the same name has in place of the other.
pub(super) fn infer_types(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let types =
        |ours, theirs| TYPES.into_iter().flat_map(|kind| lacking(kind, ours, theirs, found)).collect();
    let (gone, come): (Vec<&Object>, Vec<&Object>) = (types(old, new), types(new, old));
    let takes_its_place = |one: &Object, other: &Object| {
        let of_one = |column: &&Object| column.kind == Kind::Column && column.detail("type") == one.identity;
        old.all.iter().filter(of_one).any(|column| {
            let now = |now: &Object| {
                now.kind == Kind::Column && now.name == column.name && now.detail("type") == other.identity
            };
            // Its table may have a new name, too.
            new.all.iter().any(now)
        })
    };
    let mut inferred = Vec::new();
    for one in &gone {
        let like = what_it_is(old, one);
        let is_like = |objects: &Objects, other: &Object| {
            (other.kind, &other.schema) == (one.kind, &one.schema) && what_it_is(objects, other) == like
        };
        let fitting: Vec<_> = come.iter().filter(|other| is_like(new, other)).collect();
        if let [other] = fitting.as_slice()
            && gone.iter().filter(|rival| is_like(old, rival)).count() == 1
            && like.len() > 1
            && (are_alike(&one.name, &other.name) || takes_its_place(one, other))
        {
            let what = match one.kind {
                Kind::Enum => "the same labels",
                Kind::Domain => "the same type and the same constraints",
                Kind::Range => "the same subtype",
                _ => "the same attributes",
            };
            inferred.push(renamed_to(one, other, what));
        }
    }
    inferred
}

/// The kinds of types whose new names are found.
pub(super) const TYPES: [Kind; 4] = [Kind::Enum, Kind::Domain, Kind::CompositeType, Kind::Range];

/// What else is found in another schema: by its name, where it is the same in all else.
pub(super) const OTHERS: [Kind; 8] = [
    Kind::Collation,
    Kind::TextSearchDictionary,
    Kind::TextSearchConfiguration,
    Kind::Sequence,
    Kind::Function,
    Kind::Procedure,
    Kind::View,
    Kind::MaterializedView,
];

/// All of a type but its name: the labels of an enumeration, the attributes of a composite type, what a domain is of and demands. Of anything
/// else, what it is defined as.
fn what_it_is(objects: &Objects, object: &Object) -> Vec<String> {
    let list = |name: &str| object.details[name].as_array().into_iter().flatten().map(ToString::to_string);
    match object.kind {
        Kind::Domain => {
            let (at, _) = objects.find(&object.key()).unzip();
            let is_part = |part: &&Object| part.parent == at && part.kind == Kind::DomainConstraint;
            let checks: BTreeSet<_> =
                objects.all.iter().filter(is_part).map(|part| part.defined().to_owned()).collect();
            let default = objects.find(&(Kind::Default, object.identity.clone()));
            let default = default.map_or("", |(_, default)| default.detail("expression")).to_owned();
            let not_null = object.facet("not null").map_or(String::new(), |facet| facet.0.to_string());
            [object.defined().to_owned(), default, not_null].into_iter().chain(checks).collect()
        }
        Kind::CompositeType => list("attributes").collect(),
        Kind::Enum => list("labels").collect(),
        Kind::Range => vec![object.kind.text().to_owned(), object.defined().to_owned()],
        _ => {
            let name = format!("{}.{}", within_of(object), quoted(&object.name));
            vec![object.create.replace(&name, "")]
        }
    }
}

/// Schemas that have a new name: one goes, and one comes with most of its tables.
pub(super) fn infer_schemas(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (gone, come) = (schemas(old, new, found), schemas(new, old, found));
    let has_most = |(one, other): &(&Object, &Object)| {
        let common = tables_in_common((old, one), (new, other));
        let most = |objects: &Objects, schema: &Object| 2 * common.len() > tables_of(objects, schema).len();
        let (before, after) = (columns(old), columns(new));
        most(old, one)
            && most(new, other)
            && common.iter().any(|(one, other)| hold_the_same(before.get(*one), after.get(*other)))
    };
    let all: Vec<_> =
        (gone.iter()).flat_map(|one| come.iter().map(move |other| (*one, *other))).filter(has_most).collect();
    let is_single = |pair: &&(&Object, &Object)| {
        all.iter().filter(|rival| rival.0.name == pair.0.name || rival.1.name == pair.1.name).count() == 1
    };
    all.iter().filter(is_single).map(|(one, other)| renamed_to(one, other, "most tables in common")).collect()
}

/// The schemas that one side has and the other lacks. What `public` has of PostgreSQL's own would go along with it to another name.
pub(super) fn schemas<'a>(ours: &'a Objects, theirs: &Objects, found: &[Rename]) -> Vec<&'a Object> {
    let mut schemas = lacking(Kind::Schema, ours, theirs, found);
    schemas.retain(|schema| schema.name != "public");
    schemas
}

fn tables_of<'a>(objects: &'a Objects, schema: &Object) -> Vec<&'a Object> {
    let is_in = |object: &&Object| {
        object.kind == Kind::Table && object.schema.as_deref() == Some(schema.name.as_str())
    };
    objects.all.iter().filter(is_in).collect()
}

/// The tables of two schemas that are called the same.
pub(super) fn tables_in_common<'a>(
    (old, one): (&'a Objects, &Object),
    (new, other): (&'a Objects, &Object),
) -> Vec<(&'a String, &'a String)> {
    let theirs = tables_of(new, other);
    let same = |table: &&'a Object| {
        let its = theirs.iter().find(|other| other.name == table.name)?;
        Some((&table.identity, &its.identity))
    };
    tables_of(old, one).iter().filter_map(same).collect()
}

/// True for tables of one name with the same columns, by their names, or with most of them: with half, where one lacks none of the other's.
fn hold_the_same(ours: Option<&Vec<&Object>>, theirs: Option<&Vec<&Object>>) -> bool {
    let names = |columns: &[&Object]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    ours.zip(theirs).is_some_and(|(ours, theirs)| {
        let common = columns_in_common(ours, theirs);
        let (ours, theirs) = (names(ours), names(theirs));
        let lacks_none =
            |one: &[String], other: &[String]| one.len() > 1 && one.iter().all(|name| other.contains(name));
        ours == theirs
            || common >= 75
            || common >= 50 && (lacks_none(&ours, &theirs) || lacks_none(&theirs, &ours))
    })
}

/// What goes of a kind while one of the name comes in another schema, and no other of either.
pub(super) fn moved(kind: Kind, old: &Objects, new: &Objects, found: &[Rename]) -> Vec<(Object, Object)> {
    let only_in = |one: &Objects, other: &Objects, found: &[Rename]| -> BTreeMap<String, Vec<Object>> {
        let mut tables: BTreeMap<String, Vec<Object>> = BTreeMap::new();
        for object in one.all.iter().filter(|object| object.kind == kind) {
            if other.find(&(kind, table_after(&object.identity, found))).is_none() {
                tables.entry(object.name.clone()).or_default().push(object.clone());
            }
        }
        tables
    };
    let (gone, come) = (only_in(old, new, found), only_in(new, old, &reversed(found)));
    let single = |(name, gone): (&String, &Vec<Object>)| match (gone.as_slice(), come.get(name)?.as_slice()) {
        ([one], [other]) => Some((one.clone(), other.clone())),
        _ => None,
    };
    gone.iter().filter_map(single).collect()
}

/// True for what has a schema of its own, and a name that tells it from all others: a sequence of a column goes where that goes.
fn stands_alone(objects: &Objects, object: &Object) -> bool {
    let is_named_so = |other: &&Object| (other.kind, &other.name) == (object.kind, &object.name);
    objects.all.iter().filter(is_named_so).count() == 1
        && objects.find(&(Kind::SequenceOwner, object.identity.clone())).is_none()
}

/// Tables that stand in another schema, with the same columns or most of them, types that are the same in all else, or have most labels, and others
/// that are the same.
pub(super) fn infer_moves(old: &Objects, new: &Objects, found: &[Rename]) -> Vec<Rename> {
    let (before, after) = (columns(old), columns(new));
    let is_same = |(one, other): &(Object, Object)| {
        one.detail("relkind") == other.detail("relkind")
            && hold_the_same(before.get(&one.identity), after.get(&other.identity))
    };
    let rename = |(one, other): (Object, Object), alike: &str| Rename {
        kind: one.kind,
        within: (within_of(&one), within_of(&other)),
        from: one.name.clone(),
        to: other.name.clone(),
        reason: format!("inferred: {} and {} have the same name, and {alike}", one.identity, other.identity),
    };
    let mut all = found.to_vec();
    for kind in TYPES.into_iter().chain(OTHERS) {
        let alike = if kind == Kind::Enum { "most labels" } else { "are the same in all else" };
        // What one uses may have moved along with it.
        loop {
            let is_same = |(one, other): &(Object, Object)| {
                let stays = one.schema == other.schema;
                if stays
                    || is_known(&all, kind, &within_of(one), &one.name)
                    || OTHERS.contains(&kind) && !(stands_alone(old, one) && stands_alone(new, other))
                {
                    return false;
                }
                let before = what_it_is(old, one);
                let before: Vec<_> = before.iter().map(|text| under_new_names(text, &all)).collect();
                let after = what_it_is(new, other);
                let common = before.iter().filter(|label| after.contains(label)).count();
                !before.is_empty() && before == after
                    || kind == Kind::Enum && 2 * common > before.len().max(after.len())
            };
            let same: Vec<_> = moved(kind, old, new, &all).into_iter().filter(is_same).collect();
            if same.is_empty() {
                break;
            }
            all.extend(same.into_iter().map(|pair| rename(pair, alike)));
        }
    }
    let tables = moved(Kind::Table, old, new, found).into_iter().filter(is_same);
    all.extend(tables.map(|pair| rename(pair, "the same columns or most of them")));
    all.split_off(found.len())
}
