//! Work that is done along with other work: what goes with its table, and what is written into the statement that makes it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::family::{self, indexes_above};
use crate::diff::fate::Fate;
use crate::diff::order::{Act, Graph, name_spaces};

impl Graph<'_> {
    /// What goes with its parent needs no statement of its own.
    pub(super) fn merge_drops(&mut self) {
        // What a partition has goes by itself where the partition is taken off before.
        let taken_off: HashSet<Option<usize>> = (self.drop_of.keys())
            .map(|at| &self.old().all[*at])
            .filter(|object| object.kind == Kind::Partition)
            .map(|object| object.parent)
            .collect();
        let attached: HashMap<usize, usize> = indexes_above(self.old())
            .into_iter()
            .filter(|(index, _)| !taken_off.contains(&self.old().all[*index].parent))
            .collect();
        let along = along_with_each(self.old(), |object| match object.kind {
            Kind::Constraint => object.detail("type") != "f",
            kind => matches!(
                kind,
                Kind::Column | Kind::Default | Kind::Index | Kind::Rule | Kind::Trigger | Kind::Policy
            ),
        });
        let drops: Vec<(usize, usize)> = self.drop_of.iter().map(|(at, act)| (*at, *act)).collect();
        for (at, act) in drops {
            let object = &self.old().all[at];
            // The rows of a partition go over with those of its table.
            let partition = object.parent.filter(|_| object.kind == Kind::Partition).unwrap_or(at);
            if let Some(whole) = self.work.whole_of(partition) {
                let with = self.finish_of[&whole];
                self.merged[self.finish_of.get(&at).copied().unwrap_or(act)] = with;
                continue;
            }
            // What leaves a table that is only set aside has to be taken off it, for its name is needed again.
            let stays = |parent: usize| self.work.set_aside[parent] && object.kind != Kind::Column;
            let parent = match object.kind {
                Kind::Sequence => self.owner_of(at),
                Kind::Function => self.type_served_by(object),
                Kind::SequenceOwner if self.sequence_stays(at) => None,
                Kind::Constraint if object.detail("type") == "f" && self.refers_to_dropped(at) => None,
                Kind::Constraint | Kind::Index if attached.contains_key(&at) => attached.get(&at).copied(),
                _ => object.parent,
            };
            if let Some(parent) = parent
                && let Some(&with) = self.drop_of.get(&parent)
                && !stays(self.old().root(parent))
                && !leads_back(self.old(), &along, at, self.old().root(parent), |on| {
                    self.drop_of.contains_key(&on)
                })
            {
                self.merged[act] = with;
            }
        }
    }

    /// The column that owns a sequence.
    fn owner_of(&self, sequence: usize) -> Option<usize> {
        let key = (Kind::SequenceOwner, self.old().all[sequence].identity.clone());
        self.old().find(&key)?.1.parent
    }

    /// The base type, or the range type, that cannot go without a function, nor it without the type.
    fn type_served_by(&self, function: &Object) -> Option<usize> {
        let name = function.detail("base_type");
        let find = |kind: Kind| self.old().by_key.get(&(kind, name.to_owned())).copied();
        find(Kind::BaseType).or_else(|| find(Kind::Range))
    }

    fn sequence_stays(&self, owner: usize) -> bool {
        let key = (Kind::Sequence, self.old().all[owner].identity.clone());
        self.old().find(&key).is_some_and(|(at, _)| !self.drop_of.contains_key(&at))
    }

    /// True for a foreign key to another table that goes as well: then it goes first, so that no circle can be.
    fn refers_to_dropped(&self, at: usize) -> bool {
        let own = self.old().all[at].parent;
        self.old().all[at].depends.iter().any(|on| {
            let root = self.old().root(*on);
            Some(root) != own && self.drop_of.contains_key(&root)
        })
    }

    /// Names of keys of tables that go only when what uses them has gone over to others.
    fn names_kept_by_users(&self) -> HashSet<(u8, String)> {
        let old = self.old();
        let altered = self.acts.iter().filter_map(|act| match act {
            Act::Alter(at, _) => Some(*at),
            _ => None,
        });
        let used: HashSet<usize> =
            altered.flat_map(|at| &old.all[at].depends).map(|on| old.root(*on)).collect();
        let waits = |at: &&usize| {
            let table = old.root(**at);
            used.contains(&table) && self.work.fates[table] == Fate::Gone
        };
        self.drop_of.keys().filter(waits).flat_map(|at| name_spaces(old, &old.all[*at])).collect()
    }

    /// Columns, defaults and most constraints are written into the statement that makes their table.
    pub(super) fn merge_makes(&mut self) {
        let mut makes: Vec<(usize, usize)> = self.make_of.iter().map(|(at, act)| (*at, *act)).collect();
        let along = along_with_each(self.new_side(), |object| match object.kind {
            Kind::Constraint => object.detail("type") != "f",
            kind => matches!(kind, Kind::Column | Kind::Default),
        });
        let (kept, keys) = (self.names_kept_by_users(), family::attached_constraints(self.new_side()));
        // Columns before their defaults: a default follows its column wherever that has gone.
        makes.sort_by_key(|(at, _)| (self.new_side().all[*at].kind, *at));
        for (at, act) in makes {
            let object = &self.new_side().all[at];
            let Some(parent) = object.parent else { continue };
            let Some(&with) = self.make_of.get(&parent) else { continue };
            let fits = match object.kind {
                Kind::Column
                | Kind::SystemColumn
                | Kind::Default
                | Kind::ViewColumn
                | Kind::Attribute
                | Kind::TableType => true,
                Kind::Constraint => {
                    object.detail("type") != "f"
                        && !object.defined().ends_with(" NOT VALID")
                        && object.is("valid")
                        && !is_like_another_key(self.new_side(), at)
                        && name_spaces(self.new_side(), object).iter().all(|name| !kept.contains(name))
                }
                Kind::DomainConstraint => !object.defined().ends_with(" NOT VALID"),
                Kind::Partition => self.work.comes_in_one(at, &keys),
                // Where it computes what the parent holds, PostgreSQL 14 and 15 only let a table join that is there.
                Kind::Inheritance => {
                    let computes = |column: &&Object| {
                        column.kind == Kind::Column
                            && column.parent == Some(parent)
                            && column.is("local")
                            && column.details["inherit_count"].as_i64() > Some(0)
                            && !column.details["generated"].is_null()
                    };
                    self.new_side().server_version >= 160_000
                        || !self.new_side().all.iter().any(|column| computes(&column))
                }
                _ => false,
            };
            let makes_both = matches!((self.acts[act], self.acts[with]), (Act::Make(_), Act::Make(_)));
            let root = self.new_side().root(at);
            if fits
                && makes_both
                && !leads_back(self.new_side(), &along, at, root, |on| self.make_of.contains_key(&on))
            {
                self.merged[act] = self.merged[with];
            }
        }
    }
}

/// True for a key, or an exclusion, that another one of its table is like but for its name: `CREATE TABLE` would make only one of them.
fn is_like_another_key(objects: &Objects, at: usize) -> bool {
    let object = &objects.all[at];
    let on = |object: &Object| {
        let all = object.defined();
        all.strip_prefix("PRIMARY KEY").or_else(|| all.strip_prefix("UNIQUE")).unwrap_or(all).to_owned()
    };
    let is_other = |(position, other): (usize, &Object)| {
        other.kind == Kind::Constraint
            && other.parent == object.parent
            && (other.detail("type") == "p" || position < at)
            && on(other) == on(object)
    };
    matches!(object.detail("type"), "u" | "x") && objects.all.iter().enumerate().any(is_other)
}

/// What each table comes or goes along with: its parents, and those of its parts that are done with it.
fn along_with_each(
    objects: &Objects,
    is_done_with_it: impl Fn(&Object) -> bool,
) -> HashMap<usize, BTreeSet<usize>> {
    let mut along = family::parents(objects);
    for (at, object) in objects.all.iter().enumerate().filter(|(_, object)| is_done_with_it(object)) {
        if let Some(parent) = object.parent {
            along.entry(parent).or_default().insert(at);
        }
    }
    along
}

/// True where something that `at` depends on outside of its table depends on that table, or is below it, or has a part of which that
/// is so: then it cannot be made in one go.
fn leads_back(
    objects: &Objects,
    along: &HashMap<usize, BTreeSet<usize>>,
    at: usize,
    table: usize,
    works: impl Fn(usize) -> bool,
) -> bool {
    let outside = |on: &&usize| objects.root(**on) != table;
    // Columns, and whose they are, cannot stand apart, and need not: what takes something from them does.
    let stands_apart = |at: usize| {
        !matches!(
            objects.all[at].kind,
            Kind::Table | Kind::ForeignTable | Kind::Column | Kind::Partition | Kind::Inheritance
        )
    };
    let is_in_the_way = |on: &&usize| stands_apart(at) || !stands_apart(**on);
    let mut open: Vec<usize> = objects.all[at].depends.iter().filter(outside).copied().collect();
    let mut seen = HashSet::new();
    while let Some(on) = open.pop() {
        if !works(on) && !works(objects.root(on)) || !seen.insert(on) {
            continue;
        }
        if objects.root(on) == table {
            return true;
        }
        open.extend(&objects.all[on].depends);
        open.extend(objects.all[on].parent);
        open.extend(along.get(&on).into_iter().flatten().filter(is_in_the_way));
    }
    false
}
