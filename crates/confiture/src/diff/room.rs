//! Renames as statements. A name has to be free before it is taken: who bears it makes room.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::aside::Aside;
use crate::diff::asked::parts;
use crate::diff::compare::quoted;
use crate::diff::order::{RELATIONS, name_spaces};
use crate::diff::rename::{Rename, Stage, is_part, schema_after, within_of};
use crate::diff::{Hazard, Step, column, twins};
use crate::sql::Sql;

/// The statements for those renames of a stage that `state` still needs.
///
/// Who bears the new name meanwhile gets another one before: it is renamed itself, or goes.
#[must_use]
pub fn steps(state: &Objects, renames: &[Rename], stage: Stage) -> Vec<Step> {
    let columns = stage == Stage::Parts;
    let mut bearers: HashMap<Space, usize> = HashMap::new();
    for (at, object) in state.all.iter().enumerate().filter(|(_, one)| is_part(one.kind) == columns) {
        bearers.extend(spaces(state, object).into_iter().map(|space| (space, at)));
    }
    let mut open: Vec<(&Rename, usize)> = (renames.iter().filter(|rename| rename.stage() == stage))
        .filter_map(|rename| {
            let within =
                if columns { rename.within.1.clone() } else { schema_after(&rename.within.0, renames) };
            let is_it = |object: &Object| {
                object.kind == rename.kind && object.name == rename.from && within_of(object) == within
            };
            Some((rename, state.all.iter().position(is_it)?))
        })
        .collect();
    let moves = open.iter().map(|(rename, _)| rename).filter(|rename| rename.is_move());
    let mut steps = missing_schemas(state, moves.map(|rename| rename.within.1.clone()));
    if columns {
        steps.extend(parents_to_leave(state, &open));
    }
    // Of a circle, one is called otherwise meanwhile.
    let mut meanwhile: BTreeMap<usize, Object> = BTreeMap::new();
    while !open.is_empty() {
        let bearer = |(rename, at): &(&Rename, usize)| {
            let wanted = spaces(state, &renamed(&state.all[*at], rename));
            wanted.iter().find_map(|space| bearers.get(space).copied().filter(|bearer| bearer != at))
        };
        let (at, after, title, note) = if let Some(free) = open.iter().position(|one| bearer(one).is_none()) {
            let (rename, at) = open.remove(free);
            (at, renamed(&state.all[at], rename), rename.title(), rename.reason().to_owned())
        } else {
            let stays = |at: &usize| !open.iter().any(|(_, other)| other == at);
            let bearers_of_names = || open.iter().filter_map(bearer);
            let Some(at) = bearers_of_names().find(stays).or_else(|| bearers_of_names().next()) else {
                break;
            };
            let title = format!("{} makes room", state.all[at].title());
            let after = aside(state, &state.all[at], &bearers);
            (at, after, title, "another one is to have its name".to_owned())
        };
        let object = &meanwhile.remove(&at).unwrap_or_else(|| state.all[at].clone());
        meanwhile.insert(at, known_as(object, after.clone()));
        for space in spaces(state, object) {
            bearers.remove(&space);
        }
        bearers.extend(spaces(state, &after).into_iter().map(|space| (space, at)));
        steps.push(Step {
            hazards: vec![Hazard::Note(note.into())],
            ..Step::plain(title, statements(state, object, &after))
        });
    }
    steps
}

/// Names that are exchanged: of the sequences of identity columns, where tables take each other's place, of the indexes of partitions, where
/// columns do, and of whatever index or key has another name. Of each circle, one gets another name meanwhile. So does the sequence of a column that becomes an identity, until that knows where to
/// go on.
#[must_use]
pub fn exchanged(state: &Objects, to: &Objects) -> Vec<Step> {
    let sequence = |object: &Object| {
        let after = to.find(&object.key()).and_then(|(_, after)| column::sequence_behind(after))?;
        Some((column::sequence_behind(object)?, after.identity))
    };
    let relation = |objects: &Objects, at: usize| {
        let spaces = name_spaces(objects, &objects.all[at]).into_iter();
        spaces.filter(|(space, _)| *space == RELATIONS).map(|(_, name)| name).next()
    };
    let index = |(at, twin): (usize, Option<usize>)| {
        let object = &state.all[at];
        let is_one = matches!(object.kind, Kind::Constraint | Kind::Index);
        let (from, to) = (relation(state, at).filter(|_| is_one)?, relation(to, twin?)?);
        Some((from, (object.clone(), to)))
    };
    let indexes = twins::pair(state, to).into_iter().enumerate().filter_map(index);
    let sequences = state.all.iter().filter_map(sequence);
    let all: BTreeMap<String, (Object, String)> =
        sequences.map(|(object, to)| (object.identity.clone(), (object, to))).chain(indexes).collect();
    let is_first_of_circle = |start: &&String| {
        let mut at = &all[*start].1;
        while at != *start && at > *start {
            let Some((_, next)) = all.get(at).filter(|(_, next)| next != at) else { return false };
            at = next;
        }
        at == *start && all[*start].1 != **start
    };
    let gives_its_name = |owner: &Object| {
        let column = &state.all[owner.parent.filter(|_| owner.kind == Kind::SequenceOwner)?];
        let after = to.find(&column.key()).and_then(|(_, after)| column::identity_sequence(after))?;
        let (_, sequence) = state.find(&(Kind::Sequence, owner.identity.clone()))?;
        (after == sequence.identity).then_some(sequence)
    };
    let mut firsts: Vec<&Object> = all.keys().filter(is_first_of_circle).map(|from| &all[from].0).collect();
    firsts.extend(state.all.iter().filter_map(gives_its_name));
    make_room(state, &firsts)
}

/// Gives relations names that nobody has, for others are to have theirs.
pub(super) fn make_room(state: &Objects, relations: &[&Object]) -> Vec<Step> {
    if relations.is_empty() {
        return Vec::new();
    }
    let mut bearers: HashMap<Space, usize> = HashMap::new();
    for (at, object) in state.all.iter().enumerate() {
        bearers.extend(name_spaces(state, object).into_iter().map(|space| (space, at)));
    }
    let make_room = |before: &&Object| {
        let statements = statements(state, before, &aside(state, before, &bearers));
        Step {
            hazards: vec![Hazard::Note("another one is to have its name".into())],
            ..Step::plain(format!("{} makes room", before.title()), statements)
        }
    };
    relations.iter().map(make_room).collect()
}

/// A name and the space in which it is taken.
type Space = (u8, String);

/// The schemas into which something moves, and which are not there yet.
fn missing_schemas(state: &Objects, wanted: impl Iterator<Item = String>) -> Vec<Step> {
    let there = |schema: &str| {
        state.all.iter().any(|object| object.kind == Kind::Schema && quoted(&object.name) == *schema)
    };
    let make = |schema: &String| {
        Step::plain(format!("schema {schema}"), vec![Sql::from_server(format!("CREATE SCHEMA {schema}"))])
    };
    let wanted: BTreeSet<String> = wanted.collect();
    wanted.iter().filter(|schema| !there(schema)).map(make).collect()
}

/// Extensions that stand in another schema: what uses them goes on doing so, and is seen under their new names then.
#[must_use]
pub fn moved_extensions(state: &Objects, to: &Objects) -> Vec<Step> {
    let schema = |object: &Object| {
        object.facet("schema").and_then(|facet| facet.0.as_str().map(quoted).zip(Some(facet.1.clone())))
    };
    let moves = |object: &&Object| {
        let ((before, _), (after, set)) = (schema(object)?, schema(to.find(&object.key())?.1)?);
        (before != after).then(|| (after, Step::plain(object.title(), vec![Sql::from_server(set)])))
    };
    let extensions = state.all.iter().filter(|object| object.kind == Kind::Extension);
    let (schemas, moves): (Vec<_>, Vec<_>) = extensions.filter_map(|object| moves(&object)).unzip();
    missing_schemas(state, schemas.into_iter()).into_iter().chain(moves).collect()
}

/// A column that a parent has as well gets its new name when its table has left the parent, unless the parent's gets the same.
fn parents_to_leave(state: &Objects, open: &[(&Rename, usize)]) -> Vec<Step> {
    let goes_along = |at: usize, to: &str| open.iter().any(|(rename, other)| *other == at && rename.to == to);
    let brings = |link: &Object, name: &str, to: &str| {
        state.all.iter().enumerate().any(|(at, column)| {
            column.kind == Kind::Column
                && column.name == name
                && column.parent != link.parent
                && column.parent.is_some_and(|table| link.depends.contains(&table))
                && !goes_along(at, to)
        })
    };
    let leaves = |link: &&Object| {
        matches!(link.kind, Kind::Inheritance | Kind::Partition)
            && open.iter().any(|(rename, at)| {
                state.all[*at].parent == link.parent && brings(link, &rename.from, &rename.to)
            })
    };
    let leave = |link: &Object| Step::plain(link.title(), vec![Sql::from_server(link.drop.clone())]);
    state.all.iter().filter(leaves).map(leave).collect()
}

/// The object under its new name.
fn renamed(object: &Object, rename: &Rename) -> Object {
    let mut object = object.clone();
    rename.to.clone_into(&mut object.name);
    if rename.is_move() {
        object.schema = parts(&rename.within.1).and_then(|mut parts| parts.pop());
    }
    object
}

/// The object as it is called after it got the name that `after` has.
fn known_as(before: &Object, mut after: Object) -> Object {
    if let Some(within) = before.identity.strip_suffix(&quoted(&before.name)) {
        after.identity = format!("{within}{}", quoted(&after.name));
        after.phrase = before.phrase.replacen(&before.identity, &after.identity, 1);
    }
    after
}

/// The names that an object takes.
fn spaces(state: &Objects, object: &Object) -> Vec<Space> {
    match object.kind {
        Kind::Column | Kind::Attribute => {
            let own = format!(".{}", quoted(&object.name));
            vec![(u8::MAX, format!("{:?}{own}", object.parent))]
        }
        // A routine of the same name may have other arguments.
        Kind::Function | Kind::Procedure | Kind::Aggregate => Vec::new(),
        _ => name_spaces(state, object),
    }
}

/// An object that makes room, under a name that nobody has.
fn aside(state: &Objects, object: &Object, bearers: &HashMap<Space, usize>) -> Object {
    let called = |aside: &Aside| {
        let mut after = object.clone();
        after.name = aside.of(&object.name);
        after
    };
    // A table has one primary key, whatever that is called.
    let own = spaces(state, object);
    let is_taken = |space: &Space| bearers.contains_key(space) && !own.contains(space);
    let is_free = |aside: &Aside| !spaces(state, &called(aside)).iter().any(is_taken);
    called(&Aside::free("__aside", is_free))
}

fn statements(state: &Objects, before: &Object, after: &Object) -> Vec<Sql> {
    let (from, to) = (quoted(&before.name), quoted(&after.name));
    let schema = within_of(after);
    let mut statements = Vec::new();
    match before.kind {
        Kind::Column => {
            statements.push(format!("ALTER TABLE {} RENAME COLUMN {from} TO {to}", column::table_of(before)));
        }
        // Tables of the type have it from there.
        Kind::Attribute => {
            let of = column::table_of(before);
            let is_used = state.all.iter().any(|object| {
                object.kind == Kind::TableType && object.depends.iter().any(|on| Some(*on) == before.parent)
            });
            let cascade = if is_used { " CASCADE" } else { "" };
            statements.push(format!("ALTER TYPE {of} RENAME ATTRIBUTE {from} TO {to}{cascade}"));
        }
        Kind::Constraint => statements.push(format!(
            "{} RENAME CONSTRAINT {from} TO {to}",
            before.alter.as_deref().unwrap_or_default()
        )),
        _ => {
            let mut phrase = before.phrase.clone();
            if before.schema != after.schema {
                statements.push(format!("ALTER {phrase} SET SCHEMA {schema}"));
                phrase =
                    phrase.replacen(&format!("{}.{from}", within_of(before)), &format!("{schema}.{from}"), 1);
            }
            if from != to {
                statements.push(format!("ALTER {phrase} RENAME TO {to}"));
            }
        }
    }
    statements.into_iter().map(Sql::from_server).collect()
}
