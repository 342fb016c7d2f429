//! What may have a new name, and is not taken for it: a question that the plan asks.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::column::may_go_over;
use crate::diff::compare::quoted;
use crate::diff::data_type::{label_text, labels};
use crate::diff::infer::{
    columns, columns_in_common, is_known, lacking, moved, of_types, previous, schemas, shape_of,
    tables_in_common, take_out, type_after,
};
use crate::diff::likeness::{are_alike, share_a_word, words_in_common};
use crate::diff::rename::{Asked, Rename, table_after, within_of};

/// What goes while something like it comes, as it would have to be said if it were the same.
pub fn questions(old: &Objects, new: &Objects, found: &[Rename], said: &[Asked]) -> Vec<String> {
    let mut asked = of_schemas(old, new, found, said);
    asked.extend(of_columns(old, new, found, said));
    asked.extend(of_tables(old, new, found, said));
    asked.extend(of_labels(old, new, found, said));
    asked
}

/// True where somebody has said that it is not the same.
fn is_denied(said: &[Asked], kind: Kind, within: (&str, &str), from: &str, to: &str) -> bool {
    let rename = Rename {
        kind,
        within: (within.0.to_owned(), within.1.to_owned()),
        from: from.to_owned(),
        to: to.to_owned(),
        reason: String::new(),
    };
    said.iter().any(|one| one.denies(&rename))
}

/// Schemas that have tables of the same names, and then tables that go from one schema while one of the name comes in another.
fn of_schemas(old: &Objects, new: &Objects, found: &[Rename], said: &[Asked]) -> Vec<String> {
    let (gone, come) = (schemas(old, new, found), schemas(new, old, found));
    let renamed = pairs(&gone, &come, |one, other| {
        !tables_in_common((old, one), (new, other)).is_empty()
            && !is_denied(said, Kind::Schema, ("", ""), &one.name, &other.name)
    });
    let say = |(one, other): &(&Object, &Object)| {
        let (from, to) = (quoted(&one.name), quoted(&other.name));
        format!(
            "schema {from} goes and {to} comes, with tables of the same names: where it is the same, say --rename {from}={to}"
        )
    };
    let mut asked: Vec<String> = renamed.iter().map(say).collect();
    let is_asked = |one: &Object, other: &Object| {
        let is_in = |object: &Object, schema: &Object| object.schema.as_deref() == Some(schema.name.as_str());
        renamed.iter().any(|(from, to)| is_in(one, from) && is_in(other, to))
    };
    let (before, after) = (columns(old), columns(new));
    for (one, other) in moved(Kind::Table, old, new, found) {
        let names = |columns: Option<&Vec<&Object>>| -> Vec<String> {
            columns.into_iter().flatten().map(|column| column.name.clone()).collect()
        };
        let (ours, theirs) = (names(before.get(&one.identity)), names(after.get(&other.identity)));
        let within = (within_of(&one), within_of(&other));
        let may_be = one.detail("relkind") == other.detail("relkind")
            && !is_asked(&one, &other)
            && ours.iter().any(|name| theirs.contains(name))
            && !is_denied(said, Kind::Table, (&within.0, &within.1), &one.name, &other.name);
        if may_be {
            let (from, to) = (&one.identity, &other.identity);
            asked.push(format!(
                "table {from} goes and {to} comes, with some of its columns: where it is the same, say --rename {from}={to}"
            ));
        }
    }
    asked
}

/// Columns of one type whose names are alike, or that are the only ones, in the same place; then those of types of which one is cast to
/// the other.
fn of_columns(old: &Objects, new: &Objects, found: &[Rename], said: &[Asked]) -> Vec<String> {
    let (before, after) = (columns(old), columns(new));
    let mut asked = Vec::new();
    let typed = of_types(old);
    for (table, ours) in before.iter().filter(|(table, _)| !typed.contains(table.as_str())) {
        let now = table_after(table, found);
        let Some(theirs) = after.get(&now) else { continue };
        // One that becomes generated loses its values.
        let stays = |one: &Object, other: &Object| {
            one.name == other.name
                && (other.details["generated"].is_null() || !one.details["generated"].is_null())
        };
        let goes = |one: &&&Object| {
            !one.inherited
                && !theirs.iter().any(|other| stays(one, other))
                && !is_known(found, one.kind, table, &one.name)
        };
        let comes = |other: &&&Object| {
            !other.inherited
                && !ours.iter().any(|one| one.name == other.name)
                && !is_known(found, other.kind, &now, &other.name)
        };
        let (gone, come): (Vec<_>, Vec<_>) =
            (ours.iter().filter(goes).copied().collect(), theirs.iter().filter(comes).copied().collect());
        // A question may be wrong: it asks more than would be taken for the same.
        let sounds_like = |one: &str, other: &str| are_alike(one, other) || share_a_word(one, other);
        let may_be = |one: &Object, other: &Object| {
            let in_its_place =
                || gone.len() == 1 && come.len() == 1 && previous(ours, one) == previous(theirs, other);
            type_after(one, found) == other.detail("type")
                && (sounds_like(&one.name, &other.name) || in_its_place())
        };
        let is_open =
            |one: &Object, other: &Object| !is_denied(said, one.kind, (table, &now), &one.name, &other.name);
        let goes_over = |one: &Object, other: &Object| {
            let (cast, read) = may_go_over(new, (one.detail("base"), other.detail("base")));
            cast && sounds_like(&one.name, &other.name) || read && are_alike(&one.name, &other.name)
        };
        let same = pairs(&gone, &come, |one, other| is_open(one, other) && may_be(one, other));
        let is_left = |one: &&&Object| !come.iter().any(|other| may_be(one, other));
        let is_new = |other: &&&Object| !gone.iter().any(|one| may_be(one, other));
        let (gone, come): (Vec<_>, Vec<_>) =
            (gone.iter().filter(is_left).copied().collect(), come.iter().filter(is_new).copied().collect());
        let like = pairs(&gone, &come, |one, other| is_open(one, other) && goes_over(one, other));
        for (one, other) in same.into_iter().chain(like) {
            let (from, to) = (format!("{table}.{}", quoted(&one.name)), quoted(&other.name));
            let (before, after) = (type_after(one, found), other.detail("type"));
            let how = match before == after {
                true => "of the same type".to_owned(),
                false => format!("{after} where it was {before}"),
            };
            asked.push(format!(
                "{} {from} goes and {to} comes, {how}: where it is the same, say --rename {from}={to}",
                one.kind.text()
            ));
        }
    }
    asked
}

/// Tables of one schema that have the same columns, or many of them, or whose columns may have new names as well.
fn of_tables(old: &Objects, new: &Objects, found: &[Rename], said: &[Asked]) -> Vec<String> {
    let (before, after) = (columns(old), columns(new));
    let of_old = |one: &Object| shape_of(old, &before, one, found);
    let of_new = |other: &Object| shape_of(new, &after, other, &[]);
    let (mut gone, mut come) = (lacking(Kind::Table, old, new, found), lacking(Kind::Table, new, old, found));
    gone.retain(|one| of_old(one).len() > 1);
    let is_open = |one: &Object, other: &Object| {
        let within = within_of(one);
        one.schema == other.schema
            && !is_denied(said, Kind::Table, (&within, &within), &one.name, &other.name)
    };
    let mut asked = pairs(&gone, &come, |one, other| is_open(one, other) && of_old(one) == of_new(other));
    take_out(&mut gone, &mut come, &asked);
    let is_only = gone.len() == 1 && come.len() == 1;
    let alike = |one: &Object, other: &Object| shapes(&of_old(one)) == shapes(&of_new(other));
    let likely = pairs(&gone, &come, |one, other| {
        let (ours, theirs) = (before.get(&one.identity), after.get(&other.identity));
        let common = ours.zip(theirs).map_or(0, |(ours, theirs)| columns_in_common(ours, theirs));
        let sounds_like = share_a_word(&one.name, &other.name);
        let may_be =
            common >= 75 || common > 50 && sounds_like || (is_only || sounds_like) && alike(one, other);
        may_be && is_open(one, other)
    });
    take_out(&mut gone, &mut come, &likely);
    asked.extend(likely);
    // A number and a name, or nothing but numbers, are the columns of many a table.
    gone.retain(|one| shapes(&of_old(one)).into_iter().collect::<BTreeSet<_>>().len() > 2);
    asked.extend(pairs(&gone, &come, |one, other| is_open(one, other) && alike(one, other)));
    let say = |(one, other): (&Object, &Object)| {
        let (from, to) = (&one.identity, quoted(&other.name));
        let (ours, theirs) = (of_old(one), of_new(other));
        let mut flags = format!("--rename {from}={to}");
        let how = match ours == theirs {
            true => "with the same columns",
            false if shapes(&ours) == shapes(&theirs) => "with columns that are like its own",
            false => "with most of its columns",
        };
        for ((name, shape), (now, its)) in ours.iter().zip(&theirs) {
            let is_other =
                |columns: &[(String, Vec<String>)], name: &str| !columns.iter().any(|(one, _)| one == name);
            if shape == its && is_other(&theirs, name) && is_other(&ours, now) {
                flags.push_str(&format!(" --rename {from}.{}={}", quoted(name), quoted(now)));
            }
        }
        format!("table {from} goes and {to} comes, {how}: where it is the same, say {flags}")
    };
    asked.into_iter().map(say).collect()
}

/// What there is of columns, without their names.
fn shapes(columns: &[(String, Vec<String>)]) -> Vec<&[String]> {
    columns.iter().map(|(_, shape)| shape.as_slice()).collect()
}

/// Labels of an enumeration that go while others stand in their places.
fn of_labels(old: &Objects, new: &Objects, found: &[Rename], said: &[Asked]) -> Vec<String> {
    let mut asked = Vec::new();
    for one in old.all.iter().filter(|object| object.kind == Kind::Enum) {
        let now = table_after(&one.identity, found);
        let Some((_, other)) = new.find(&(Kind::Enum, now.clone())) else { continue };
        let (before, after) = (labels(one), labels(other));
        let changed: Vec<_> = before.iter().zip(&after).filter(|(label, now)| label != now).collect();
        let is_another = |(label, now): &(&&str, &&str)| !after.contains(*label) && !before.contains(*now);
        if before.len() != after.len() || !changed.iter().all(is_another) {
            continue;
        }
        let is_settled = |(label, to): &(&&str, &&str)| {
            is_known(found, Kind::Label, &one.identity, label)
                || is_denied(said, Kind::Label, (&one.identity, &now), label, to)
        };
        for (label, to) in changed.into_iter().filter(|one| !is_settled(one)) {
            asked.push(format!(
                "label {} of {identity} goes and {} comes in its place: where it is the same, say --rename {identity}.{}={}",
                label_text(label),
                label_text(to),
                quoted(label),
                quoted(to),
                identity = one.identity
            ));
        }
    }
    asked
}

/// Who may be whom: of several the nearest by name, where each of them finds one.
fn pairs<'a>(
    gone: &[&'a Object],
    come: &[&'a Object],
    may_be: impl Fn(&Object, &Object) -> bool,
) -> Vec<(&'a Object, &'a Object)> {
    let mut possible: Vec<(usize, usize)> = (0..gone.len())
        .flat_map(|one| (0..come.len()).map(move |other| (one, other)))
        .filter(|(one, other)| may_be(gone[*one], come[*other]))
        .collect();
    let all = possible.clone();
    possible.sort_by(|(one, other), (rival, its)| {
        let nearness = |one: usize, other: usize| nearness(&gone[one].name, &come[other].name);
        nearness(*rival, *its).partial_cmp(&nearness(*one, *other)).unwrap_or(Ordering::Equal)
    });
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for (one, other) in possible {
        if !found.contains_key(&one) && !found.values().any(|taken| *taken == other) {
            found.insert(one, other);
        }
    }
    // One may have become several, or several one: then nobody knows.
    let is_left = |(one, other): &(usize, usize)| {
        !found.contains_key(one) || !found.values().any(|taken| taken == other)
    };
    let in_doubt =
        |one: usize, other: usize| all.iter().filter(|rival| rival.0 == one || rival.1 == other).any(is_left);
    (found.iter())
        .filter(|(one, other)| !in_doubt(**one, **other))
        .map(|(one, other)| (gone[*one], come[*other]))
        .collect()
}

/// The words that both names have, and how much they look alike.
fn nearness(one: &str, other: &str) -> (usize, f64) {
    (words_in_common(one, other), strsim::normalized_levenshtein(one, other))
}
