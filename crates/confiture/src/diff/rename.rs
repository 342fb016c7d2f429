//! What has a new name. Never guessed silently: it was said in the new DDL or on the command line, or there is one single
//! pair that is the same in all but a name that is alike, and then the plan says so.

use std::collections::BTreeMap;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::asked::parts;
use crate::diff::compare::quoted;
use crate::diff::data_type::{label_text, labels};
use crate::diff::infer::{
    OTHERS, TYPES, infer_columns, infer_moves, infer_schemas, infer_tables, infer_types,
};
use crate::diff::order::name_spaces;
use crate::diff::{Hazard, Step, column, data_type};
use crate::error::{Error, Result};
use crate::sql::Sql;

pub use crate::diff::asked::Asked;
use crate::diff::room::make_room;
pub use crate::diff::room::{exchanged, moved_extensions, steps};

/// An object, or a column, that has a new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    pub(super) kind: Kind,
    /// The schema, or the table, of old and of new.
    pub(super) within: (String, String),
    pub(super) from: String,
    pub(super) to: String,
    pub(super) reason: String,
}

/// What a rename is about. What holds others is first: they are looked for where they are then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Schemas.
    Schemas,
    /// Tables, types and all else in a schema.
    Objects,
    /// Columns and labels.
    Parts,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Schemas, Self::Objects, Self::Parts];
}

/// Finds what seems to have a new name, beside what is known to.
type Infer = fn(&Objects, &Objects, &[Rename]) -> Vec<Rename>;

/// All renames between two catalogs: those that were asked for, and those that are plain.
///
/// # Errors
///
/// One that was asked for, and that there cannot be.
pub fn renames(old: &Objects, new: &Objects, asked: &[Asked]) -> Result<Vec<Rename>> {
    let mut found: Vec<Rename> = Vec::new();
    let (denials, asked): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|one| one.denied);
    let mut denied: Vec<Rename> = Vec::new();
    for stage in Stage::ALL {
        let fitting = |one: &Asked, found: &[Rename]| -> Vec<Rename> {
            // What a file says stays there when it is done.
            let exchanged =
                !one.in_new && asked.iter().any(|other| !other.in_new && other.takes_place_of(one));
            let matches = candidates(old, new, (one, exchanged), found).into_iter();
            matches.filter(|rename| rename.stage() == stage).collect()
        };
        // A name that another one gives up can be taken then.
        let mut known = None;
        while known != Some(found.len()) {
            known = Some(found.len());
            for one in &asked {
                match fitting(one, &found).as_slice() {
                    [] => {}
                    [rename] => add(&mut found, rename)?,
                    [first, ..] => {
                        return Err(Error::usage(format!(
                            "{}: `{}` may mean several things",
                            one.reason, first.from
                        ))
                        .hint("name it with its schema and table"));
                    }
                }
            }
        }
        denied.extend(denials.iter().flat_map(|one| fitting(one, &found)));
        let infer: &[Infer] = match stage {
            Stage::Schemas => &[infer_schemas],
            Stage::Objects => &[infer_types, infer_tables, infer_moves],
            Stage::Parts => &[infer_columns],
        };
        for infer in infer {
            let (none, some): (Vec<_>, Vec<_>) = infer(old, new, &found)
                .into_iter()
                .partition(|rename| denials.iter().any(|one| one.denies(rename)));
            denied.extend(none);
            found.extend(some);
        }
    }
    for one in &asked {
        let is_done = found.iter().any(|rename| rename.is_from(one));
        if !is_done && (!one.in_new || is_missed(old, new, one, &asked)) {
            let error = Error::usage(format!(
                "{}: the old schema has no {} that is gone in the new one, where `{}` takes its place",
                one.reason,
                one.path.join("."),
                one.to
            ));
            let exchanged = one.in_new && asked.iter().any(|other| other.takes_place_of(one));
            let hint = "a file cannot say whether two names are exchanged already: give both to --rename";
            return Err(if exchanged { error.hint(hint) } else { error });
        }
    }
    for one in denials {
        refuse_empty_denial(one, &denied, &found)?;
    }
    Ok(found)
}

/// A denial of what is nothing may be a slip, after which the wrong thing is taken for the same.
fn refuse_empty_denial(one: &Asked, denied: &[Rename], found: &[Rename]) -> Result<()> {
    if let Some(said) = found.iter().find(|rename| one.denies(rename)) {
        return Err(Error::usage(format!(
            "{} is said ({}), and denied ({})",
            said.title(),
            said.reason,
            one.reason
        )));
    }
    if denied.iter().any(|rename| one.denies(rename)) {
        return Ok(());
    }
    let path = &one.path[..one.path.len().saturating_sub(1)];
    let is_about =
        |rename: &&Rename| rename.to == one.to && parts(&rename.within.1).unwrap_or_default().ends_with(path);
    // What a file says stays there for good: it is looked at as long as what it is about comes.
    match found.iter().find(is_about) {
        Some(rename) if one.in_new => Err(Error::usage(format!(
            "{}: no {} goes; {} ({})",
            one.reason,
            one.path.join("."),
            rename.title(),
            rename.reason
        ))),
        _ if one.in_new => Ok(()),
        _ => Err(Error::usage(format!(
            "{}: the old schema has no {} that is gone in the new one, where `{}` comes",
            one.reason,
            one.path.join("."),
            one.to
        ))),
    }
}

/// Takes a rename up; the same may be said twice.
fn add(found: &mut Vec<Rename>, rename: &Rename) -> Result<()> {
    let same_kind = |other: &&Rename| other.kind == rename.kind;
    let is_from = |other: &Rename| (&other.within.0, &other.from) == (&rename.within.0, &rename.from);
    let is_to = |other: &Rename| (&other.within.1, &other.to) == (&rename.within.1, &rename.to);
    match found.iter().filter(same_kind).find(|other| is_from(other) || is_to(other)) {
        Some(other) if is_from(other) && is_to(other) => {}
        // Routines of one name are told apart by their arguments, but all may have a new one.
        Some(other) if !matches!(rename.kind, Kind::Function | Kind::Procedure) || !is_to(other) => {
            return Err(Error::usage(format!(
                "{} ({}) and {} ({}): one thing has one new name",
                other.title(),
                other.reason,
                rename.title(),
                rename.reason
            )));
        }
        _ => found.push(rename.clone()),
    }
    Ok(())
}

/// True for words of the new DDL that fit nothing, and that are hardly of an earlier change: something like it goes, or two
/// names are exchanged.
fn is_missed(old: &Objects, new: &Objects, one: &Asked, asked: &[&Asked]) -> bool {
    let Some(name) = one.path.last() else { return false };
    let is_back = |other: &&Asked| other.in_new && one.to != *name && other.takes_place_of(one);
    let target = new.all.iter().find(|object| {
        can_be_renamed(object.kind) && object.name == one.to && {
            let is_within = parts(&within_of(object)).unwrap_or_default().ends_with(&one.to_path);
            is_within && (!is_part(object.kind) || !one.to_path.is_empty())
        }
    });
    let Some(target) = target else { return false };
    let goes = |object: &Object| {
        object.kind == target.kind
            && (within_of(object) == within_of(target) || !is_part(object.kind) && object.name == *name)
            && new.find(&object.key()).is_none()
    };
    let is_there = old.find(&target.key()).is_some();
    is_there && asked.iter().any(is_back) || !is_there && old.all.iter().any(goes)
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
        if self.is_move() {
            let (from, to) = &self.within;
            let renamed = match self.from == self.to {
                true => String::new(),
                false => format!(" and becomes {}", quoted(&self.to)),
            };
            return format!("{} {from}.{} moves to {to}{renamed}", self.kind.text(), quoted(&self.from));
        }
        if self.kind == Kind::Schema {
            return format!("schema {} becomes {}", quoted(&self.from), quoted(&self.to));
        }
        if self.kind == Kind::Label {
            let [from, to] = [&self.from, &self.to].map(|label| label_text(label));
            return format!("label {from} of {} becomes {to}", self.within.0);
        }
        format!("{} {}.{} becomes {}", self.kind.text(), self.within.0, quoted(&self.from), quoted(&self.to))
    }

    pub(super) fn stage(&self) -> Stage {
        match self.kind {
            Kind::Schema => Stage::Schemas,
            Kind::Column | Kind::Attribute | Kind::Label => Stage::Parts,
            _ => Stage::Objects,
        }
    }

    /// True where something has another schema.
    pub(super) fn is_move(&self) -> bool {
        can_move(self.kind) && self.within.0 != self.within.1
    }

    /// The names before and after of what definitions name, or what is in front of all names of a schema.
    pub(super) fn of_text(&self) -> Option<(String, String)> {
        match self.kind {
            kind if TYPES.contains(&kind) || OTHERS.contains(&kind) => {
                let name = |within: &str, name: &str| format!("{within}.{}", quoted(name));
                Some((name(&self.within.0, &self.from), name(&self.within.1, &self.to)))
            }
            Kind::Schema => Some((format!("{}.", quoted(&self.from)), format!("{}.", quoted(&self.to)))),
            _ => None,
        }
    }

    /// True for the new name of this object.
    fn is_of(&self, object: &Object) -> bool {
        self.kind == object.kind && self.from == object.name && self.within.0 == within_of(object)
    }

    /// True for what somebody has said, here or with the same words elsewhere.
    fn is_from(&self, asked: &Asked) -> bool {
        self.reason == asked.reason
            || asked.path.last() == Some(&self.from) && asked.to == self.to && !asked.in_new
    }

    /// Who says so.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Range types whose multiranges and constructors have other names, which those of the type do not change. Where a name is taken, the plan sees to it.
#[must_use]
pub fn ranges(state: &Objects, to: &Objects) -> Vec<Step> {
    let takes = |object: &Object, name: &(u8, String)| name_spaces(state, object).contains(name);
    let follow = |object: &Object| {
        let after = to.find(&object.key())?.1;
        let wanted: Vec<_> = name_spaces(to, after).into_iter().filter(|name| !takes(object, name)).collect();
        if state.all.iter().any(|other| wanted.iter().any(|name| takes(other, name))) {
            return None;
        }
        let statements = data_type::compare_ranges(object, after).statements;
        (!statements.is_empty()).then(|| Step::plain(object.title(), statements))
    };
    state.all.iter().filter(|object| object.kind == Kind::Range).filter_map(follow).collect()
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
    let mut renames = Vec::new();
    for (column, owned) in &before {
        let ([old], Some([new])) = (owned.as_slice(), after.get(column).map(Vec::as_slice)) else { continue };
        let (old, new) = (&state.all[*old], &to.all[*new]);
        if old.identity != new.identity && old.schema == new.schema {
            renames.push(Rename {
                kind: Kind::Sequence,
                within: (within_of(old), within_of(new)),
                from: old.name.clone(),
                to: new.name.clone(),
                reason: format!("it belongs to {column} as before"),
            });
        }
    }
    // A name is free, or another one of them gives it up; and nobody else is to have it.
    let is_in = |objects: &Objects, schema: &str, name: &str| {
        objects.by_key.contains_key(&(Kind::Sequence, format!("{schema}.{}", quoted(name))))
    };
    let mut known = None;
    while known != Some(renames.len()) {
        known = Some(renames.len());
        let all = renames.clone();
        renames.retain(|one| {
            let schema = &one.within.0;
            let others = || all.iter().filter(|other| other.within.0 == *schema);
            (!is_in(state, schema, &one.to) || others().any(|other| other.from == one.to))
                && (!is_in(to, schema, &one.from) || others().any(|other| other.to == one.from))
        });
    }
    // An identity's sequence that bears such a name goes, or gets another one.
    let takes = |sequence: &Object| {
        renames.iter().any(|rename| {
            sequence.name == rename.to
                && sequence.schema.as_deref().map(quoted).as_ref() == Some(&rename.within.1)
        })
    };
    let behind: Vec<Object> = state.all.iter().filter_map(column::sequence_behind).filter(takes).collect();
    let mut room = make_room(state, &behind.iter().collect::<Vec<_>>());
    room.extend(steps(state, &renames, Stage::Objects));
    room
}

/// True for what is renamed within its table, or its type.
pub(super) fn is_part(kind: Kind) -> bool {
    matches!(kind, Kind::Column | Kind::Attribute)
}

/// The schema of an object, the table of a column, the type of an attribute.
pub(super) fn within_of(object: &Object) -> String {
    match object.kind {
        kind if is_part(kind) => column::table_of(object),
        _ => object.schema.as_deref().map(quoted).unwrap_or_default(),
    }
}

/// The name of a table, or of its like, in the new schema.
pub(super) fn table_after(table: &str, found: &[Rename]) -> String {
    let renamed =
        found.iter().find(|rename| format!("{}.{}", rename.within.0, quoted(&rename.from)) == table);
    if let Some(rename) = renamed {
        return format!("{}.{}", rename.within.1, quoted(&rename.to));
    }
    let mut schemas = found.iter().filter(|rename| rename.kind == Kind::Schema);
    let moved = schemas.find_map(|rename| {
        let rest = table.strip_prefix(&quoted(&rename.from))?.strip_prefix('.')?;
        Some(format!("{}.{rest}", quoted(&rename.to)))
    });
    moved.unwrap_or_else(|| table.to_owned())
}

/// The name of a schema, quoted, after those that schemas get.
pub(super) fn schema_after(schema: &str, found: &[Rename]) -> String {
    let is_it = |rename: &&Rename| rename.kind == Kind::Schema && quoted(&rename.from) == schema;
    found.iter().find(is_it).map_or_else(|| schema.to_owned(), |rename| quoted(&rename.to))
}

/// What may be meant; with `exchanged`, the new name is given up as well.
fn candidates(
    old: &Objects,
    new: &Objects,
    (asked, exchanged): (&Asked, bool),
    found: &[Rename],
) -> Vec<Rename> {
    let mut all = label_candidates(old, new, asked, found);
    for object in old.all.iter().filter(|object| can_be_renamed(object.kind)) {
        let Some(name) = asked.path.last().filter(|name| **name == object.name) else { continue };
        let before = within_of(object);
        let home = match object.kind {
            kind if is_part(kind) => table_after(&before, found),
            _ => schema_after(&before, found),
        };
        let schema = asked.to_path.last().filter(|_| can_move(object.kind)).map(|name| quoted(name));
        let after = schema.unwrap_or_else(|| home.clone());
        let moves = after != home;
        let given = &asked.path[..asked.path.len() - 1];
        let full = parts(if asked.in_new { &after } else { &before }).unwrap_or_default();
        let other = parts(if asked.in_new { &before } else { &after }).unwrap_or_default();
        if !full.ends_with(given) && !other.ends_with(given) || is_part(object.kind) && given.is_empty() {
            continue;
        }
        let target = new
            .all
            .iter()
            .any(|other| other.kind == object.kind && other.name == asked.to && within_of(other) == after);
        let stays = new
            .all
            .iter()
            .any(|other| other.kind == object.kind && other.name == *name && within_of(other) == home);
        // The old name may be another one's: that is not done as long as nothing has the new one.
        let there = |other: &Object| {
            let within = if moves { &after } else { &before };
            other.kind == object.kind
                && other.name == asked.to
                && within_of(other) == *within
                && !found.iter().any(|rename| rename.is_of(other))
        };
        if target && (!stays || exchanged || !old.all.iter().any(there)) {
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

/// A label that goes from an enumeration to which the other one comes.
fn label_candidates(old: &Objects, new: &Objects, asked: &Asked, found: &[Rename]) -> Vec<Rename> {
    let Some((name, given)) = asked.path.split_last().filter(|(_, given)| !given.is_empty()) else {
        return Vec::new();
    };
    let has = |object: &Object, label: &str| labels(object).contains(&label);
    let of = |object: &Object| {
        let after = table_after(&object.identity, found);
        let (_, other) = new.find(&(Kind::Enum, after.clone()))?;
        let is_meant =
            [&object.identity, &after].iter().any(|path| parts(path).unwrap_or_default().ends_with(given));
        let goes = has(object, name) && !has(other, name) && has(other, &asked.to) && !has(object, &asked.to);
        (is_meant && goes).then(|| Rename {
            kind: Kind::Label,
            within: (object.identity.clone(), after),
            from: name.clone(),
            to: asked.to.clone(),
            reason: asked.reason.clone(),
        })
    };
    old.all.iter().filter(|object| object.kind == Kind::Enum).filter_map(of).collect()
}

/// The statements for those labels that still have their old names.
#[must_use]
pub fn label_steps(state: &Objects, renames: &[Rename]) -> Vec<Step> {
    let has_old = |rename: &&Rename| {
        let object = state.find(&(Kind::Enum, rename.within.1.clone()));
        rename.kind == Kind::Label
            && object.is_some_and(|(_, object)| labels(object).contains(&rename.from.as_str()))
    };
    let step = |rename: &Rename| {
        let [from, to] = [&rename.from, &rename.to].map(|label| label_text(label));
        let statement = format!("ALTER TYPE {} RENAME VALUE {from} TO {to}", rename.within.1);
        Step {
            hazards: vec![Hazard::Note(rename.reason.clone().into())],
            ..Step::plain(rename.title(), vec![Sql::from_server(statement)])
        }
    };
    renames.iter().filter(has_old).map(step).collect()
}

/// Kinds that are taken to another schema.
fn can_move(kind: Kind) -> bool {
    kind == Kind::Table || TYPES.contains(&kind) || OTHERS.contains(&kind)
}

fn can_be_renamed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Schema
            | Kind::Table
            | Kind::Column
            | Kind::Attribute
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
