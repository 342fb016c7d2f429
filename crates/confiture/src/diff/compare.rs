//! What it takes to turn an object into another of the same name.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use serde_json::Value;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::hazard::Hazard;
use crate::diff::{column, data_type, not_null, options, owner, privileges, sequence};
use crate::sql::Sql;

/// How an object becomes what it is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    /// Statements that alter it in place, in order.
    pub(super) statements: Vec<Sql>,
    /// It cannot be altered: it has to be made anew.
    pub(super) rebuild: bool,
    /// What depends on it has to go for the time of the change.
    pub(super) disturbs: bool,
    /// What there is to be known.
    pub(super) hazards: Vec<Hazard>,
    /// Statements that need a commit before what they add can be used.
    pub(super) commits: bool,
}

impl Change {
    /// True where both are the same.
    pub(super) fn is_none(&self) -> bool {
        self.statements.is_empty() && !self.rebuild
    }

    pub(super) fn push(&mut self, statement: impl Into<String>) {
        self.statements.push(Sql::from_server(statement));
    }

    pub(super) fn rebuild() -> Self {
        Self { rebuild: true, ..Self::default() }
    }
}

/// The two databases that are compared.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) old: &'a Objects,
    pub(super) new: &'a Objects,
    /// All names of both, once somebody has asked for them.
    pub(super) names: &'a OnceLock<HashSet<String>>,
}

/// Compares two objects of one name.
pub(super) fn compare(sides: Sides<'_>, old: &Object, new: &Object) -> Change {
    let mut change = match old.kind {
        Kind::Column => column::compare(sides, old, new),
        Kind::Enum => data_type::compare_enums(old, new),
        Kind::CompositeType => data_type::compare_composites(sides, old, new),
        Kind::Range => data_type::compare_ranges(old, new),
        // A trigger of the parent's takes its name.
        Kind::Trigger if !old.inherited && new.inherited => Change::rebuild(),
        Kind::Constraint if gives_way_to_parents(sides, old, new) => Change::rebuild(),
        Kind::Index if is_attached_elsewhere(sides, old, new) => Change::rebuild(),
        _ if old.is_defined_as(new) => Change::default(),
        Kind::View => replace_if(new, is_prefix(&old.details["columns"], &new.details["columns"])),
        Kind::Function | Kind::Procedure => replace_if(new, is_replaceable_routine(old, new)),
        Kind::Policy => replace_if(new, old.detail("shape") == new.detail("shape")),
        Kind::Constraint | Kind::DomainConstraint => compare_constraints(old, new),
        Kind::Default | Kind::Rule | Kind::SequenceOwner | Kind::TextSearchMapping => replace_if(new, true),
        _ => Change::rebuild(),
    };
    if change.rebuild {
        return change;
    }
    // With another type, a column is stored as that has it.
    let retyped = new.kind == Kind::Column && old.detail("type") != new.detail("type");
    for (name, facet) in new.facets() {
        let same = old.facet(name).is_some_and(|old| old.0 == facet.0);
        let comes_with_type = retyped && matches!(name, "storage" | "compression");
        let initial = facet.2 && (comes_with_type || old.facet(name).is_none());
        let stays = name == "version" && version_stays(old, new);
        if !same && !stays && !facet.1.is_empty() && !initial {
            let mut statement = facet.1.clone();
            if old.kind == Kind::Sequence && name == "parameters" {
                let text = |object: &Object| {
                    object.facet(name).and_then(|facet| facet.0.as_str().map(str::to_owned))
                };
                let (before, after) = (text(old).unwrap_or_default(), text(new).unwrap_or_default());
                statement.push_str(sequence::fit(&mut change, &old.identity, &before, &after));
            }
            if old.kind == Kind::Domain && statement.ends_with(" NOT NULL") && facet.0 == Value::Bool(true) {
                change.hazards.push(Hazard::MayFail("values that are null stop it".into()));
            }
            change.push(statement);
        }
    }
    if new.kind == Kind::Domain {
        not_null::compare_domains(&mut change, old, new);
    }
    options::alter(&mut change, old, new);
    // What is put to a partitioned table brings its indexes along.
    let is_partition = |table: usize| sides.old.all[table].is("is_partition");
    if is_attached_late(old, new) && old.parent.is_some_and(is_partition) {
        change.push(format!(
            "ALTER INDEX {} ATTACH PARTITION {}",
            new.detail("index_parent"),
            index_name(new)
        ));
    }
    change.statements.extend(owner::change((sides.old, old), (sides.new, new)));
    if old.comment != new.comment {
        change.statements.extend(comment(new));
    }
    change.statements.extend(privileges::change(sides.new, old, new));
    if new.kind == Kind::Column
        && old.details["sequence"] != new.details["sequence"]
        && let Some(after) = column::sequence_behind(new)
    {
        match column::sequence_behind(old) {
            Some(before) => {
                change
                    .statements
                    .extend((before.comment != after.comment).then(|| comment(&after)).flatten());
                change.statements.extend(privileges::change(sides.new, &before, &after));
            }
            None => change.statements.extend(make_known(sides.new, &after)),
        }
    }
    change
}

/// What is said of an object that was just made, and who may use it.
pub(super) fn make_known(objects: &Objects, object: &Object) -> Vec<Sql> {
    let comment = object.comment.as_ref().and_then(|_| comment(object));
    comment.into_iter().chain(privileges::make(objects, object)).collect()
}

/// True for an extension that has another version than it is to have, and no way there: mostly back to an older one.
pub(super) fn version_stays(old: &Object, new: &Object) -> bool {
    let version = |object: &Object| object.facet("version").map(|facet| facet.0.clone());
    let updates = old.details["updates"].as_array();
    old.kind == Kind::Extension
        && version(old) != version(new)
        && !updates.is_some_and(|updates| version(new).is_some_and(|version| updates.contains(&version)))
}

pub(super) fn quoted(name: &str) -> String {
    crate::sql::Identifier::new(name).to_string()
}

/// `COMMENT ON …`, also to remove one.
pub(super) fn comment(object: &Object) -> Option<Sql> {
    if object.phrase.is_empty() {
        return None;
    }
    let text = match &object.comment {
        Some(comment) => crate::sql::Literal(comment).to_string(),
        None => "NULL".to_owned(),
    };
    Some(Sql::from_server(format!("COMMENT ON {} IS {}", object.phrase, text.trim_start())))
}

fn replace_if(new: &Object, possible: bool) -> Change {
    let mut change = Change::default();
    match &new.replace {
        Some(replace) if possible => change.push(replace.clone()),
        _ => change.rebuild = true,
    }
    change
}

/// A view keeps its columns when it is replaced, and may get more behind them.
fn is_prefix(old: &Value, new: &Value) -> bool {
    match (old.as_array(), new.as_array()) {
        (Some(old), Some(new)) => new.starts_with(old),
        (None, _) => true,
        _ => false,
    }
}

/// What `CREATE OR REPLACE FUNCTION` may not change: the result, the kind, names of arguments, and defaults taken away.
fn is_replaceable_routine(old: &Object, new: &Object) -> bool {
    let same = |name: &str| old.details[name] == new.details[name];
    let named = |object: &Object| -> Vec<String> {
        let names = object.details["all_names"].as_array().into_iter().flatten();
        names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
    };
    let (before, after) = (named(old), named(new));
    let names_kept =
        before.iter().enumerate().all(|(at, name)| name.is_empty() || after.get(at) == Some(name));
    let fewer_defaults = old.details["defaults"].as_i64() > new.details["defaults"].as_i64();
    same("result") && same("kind") && same("modes") && same("arguments") && names_kept && !fewer_defaults
}

fn compare_constraints(old: &Object, new: &Object) -> Change {
    let mut change = Change::default();
    let alter = new.alter.as_deref().unwrap_or_default();
    let name = quoted(&new.name);
    let (before, after) = (old.defined(), new.defined());
    if before.strip_suffix(" NOT VALID") == Some(after) {
        change.push(format!("{alter} VALIDATE CONSTRAINT {name}"));
        change.hazards.push(Hazard::MayFail("rows that violate the constraint stop it".into()));
    } else if new.detail("type") == "f" && without_timing(before) == without_timing(after) {
        let timing = match timing_of(after) {
            "" => "NOT DEFERRABLE",
            timing => timing,
        };
        change.push(format!("{alter} ALTER CONSTRAINT {name} {timing}"));
    } else {
        change.rebuild = true;
    }
    change
}

/// A check that a child has had alone and is to have from its parents only: it goes, for theirs would join it.
fn gives_way_to_parents(sides: Sides<'_>, old: &Object, new: &Object) -> bool {
    let alone = old.detail("type") == "c" && old.details["inherit_count"].as_i64() == Some(0);
    alone && new.inherited && {
        // Where it is put to them only now, it has to have the check before.
        let links = |objects: &Objects, object: &Object| -> BTreeSet<String> {
            let links = objects.all.iter().filter(|link| link.kind == Kind::Inheritance);
            links.filter(|link| link.parent == object.parent).map(|link| link.identity.clone()).collect()
        };
        let (before, after) = (links(sides.old, old), links(sides.new, new));
        !after.is_empty() && after.is_subset(&before)
    }
}

const TIMINGS: [&str; 2] = ["DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE"];

fn timing_of(definition: &str) -> &str {
    TIMINGS.into_iter().find(|timing| definition.ends_with(timing)).unwrap_or_default()
}

fn without_timing(definition: &str) -> &str {
    definition.strip_suffix(timing_of(definition)).unwrap_or(definition).trim_end()
}

/// An index that stood alone and is to belong to the index of the partitioned table.
pub(super) fn is_attached_late(old: &Object, new: &Object) -> bool {
    old.detail("index_parent").is_empty() && !new.detail("index_parent").is_empty()
}

/// An index of a partition that leaves the index it is attached to, while that stays. One that only has another name is none that it leaves.
fn is_attached_elsewhere(sides: Sides<'_>, old: &Object, new: &Object) -> bool {
    let (before, after) = (old.detail("index_parent"), new.detail("index_parent"));
    let is_partition = |table: usize| sides.new.all[table].is("is_partition");
    let table = |objects: &Objects, index: &str| {
        let (_, index) = objects.find(&(Kind::Index, index.to_owned()))?;
        Some(objects.all[index.parent?].identity.clone())
    };
    let is_same = || {
        old.detail("index_root") == new.detail("index_root")
            && table(sides.old, before) == table(sides.new, after)
    };
    before != after
        && !is_same()
        && new.parent.is_some_and(is_partition)
        && sides.new.by_key.contains_key(&(Kind::Index, before.to_owned()))
}

/// The name of an index, or of the one behind a key, with its schema.
pub(super) fn index_name(object: &Object) -> String {
    format!("{}.{}", quoted(object.schema.as_deref().unwrap_or_default()), quoted(&object.name))
}
