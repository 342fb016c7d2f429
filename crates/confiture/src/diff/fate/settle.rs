//! What is made anew, what has to wait, and what comes along with a parent.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::{Fate, Work, has_rows, is_named_otherwise, is_type};
use crate::diff::{PlanOptions, column, family, not_null};
use crate::sql::Sql;

impl Work<'_> {
    /// What is made anew, what has to wait, and what comes along with a parent.
    pub(super) fn settle(&mut self, options: &PlanOptions) {
        let old = self.sides.old;
        let dependants = old.dependants();
        for at in 0..old.all.len() {
            if matches!(self.fates[at], Fate::Rebuild | Fate::Gone) {
                if let Some(twin) = self.twins[at] {
                    self.made[twin] = true;
                }
                self.set_aside[at] = match old.all[at].kind {
                    Kind::Table if self.fates[at] == Fate::Rebuild => true,
                    kind if is_type(kind) || has_rows(kind) => self.waits_for_columns(at, &dependants),
                    _ => false,
                };
            }
        }
        // A partition goes with the rows of its table, and its name may be needed before.
        for at in 0..old.all.len() {
            let waits = self.whole_of(at).is_some() && is_named_otherwise(self.sides.new, &old.all[at]);
            self.set_aside[at] |= waits;
        }
        self.stays_below = self.columns_that_stay_below();
        self.set_bases_aside(&dependants);
        if options.after_first {
            self.settle_indexes();
            // What a parent gets in this round comes down by itself.
            for (at, object) in old.all.iter().enumerate().filter(|(_, object)| object.kind == Kind::Column) {
                self.old_comes_along[at] =
                    object.inherited && self.fates[at] == Fate::Alter && self.parents_do(at);
            }
        } else {
            let taken_off = self.taken_off();
            self.name_not_null_of(&taken_off);
            for (at, object) in old.all.iter().enumerate() {
                // The triggers of a partition go when it is taken off, and what they are to be is seen when they are there again.
                let is_off = object
                    .parent
                    .is_some_and(|table| taken_off.contains(&table) || self.holds_name_aside(object, table));
                if is_off && object.kind == Kind::Trigger && object.inherited && self.fates[at] == Fate::Alter
                {
                    self.rebuild(at);
                }
                let alone = is_off && object.kind != Kind::Trigger;
                let inherited = object.inherited || self.is_retyped_with_parents(at);
                let apart = alone || self.stays_below.contains(&at);
                let first = if inherited && !apart { self.before_parents(at, options) } else { Vec::new() };
                if !first.is_empty() {
                    self.fates[at] = Fate::Alter;
                    self.changes.entry(at).or_default().statements = first;
                } else {
                    self.old_comes_along[at] = inherited && !apart && self.parents_do(at);
                }
            }
            let new = self.sides.new;
            // A table that is put to its parent afterwards has to have its columns and checks: one that was there before, or one whose columns
            // stand in an order of their own.
            let keys = family::attached_constraints(new);
            let attached: BTreeSet<usize> = (new.all.iter().enumerate())
                .filter(|(at, object)| {
                    matches!(object.kind, Kind::Partition | Kind::Inheritance) && self.made[*at]
                })
                .filter_map(|(at, object)| {
                    let table = object.parent?;
                    let in_one = object.kind == Kind::Inheritance || self.comes_in_one(at, &keys);
                    (!self.made[table] || !in_one).then_some(table)
                })
                .collect();
            let alone = indexes_made_alone(new);
            for (at, object) in new.all.iter().enumerate() {
                // So with the checks: it has to have them, or is not taken. What another parent brings, which it keeps, it has from there.
                let is_needed = || {
                    let is_check = object.kind == Kind::Constraint && object.detail("type") == "c";
                    (object.kind == Kind::Column || is_check)
                        && !family::comes_from_kept_parent(new, &self.made, object)
                };
                let own = object.parent.is_some_and(|table| attached.contains(&table)) && is_needed();
                let apart = alone.contains(object.detail("index_parent")) && object.kind == Kind::Index;
                // What refers to an index waits until those of the partitions are attached to it: before, it is not valid.
                let waits = object.detail("type") == "f"
                    && (object.depends.iter())
                        .any(|on| self.made[*on] && alone.contains(new.all[*on].identity.as_str()));
                self.new_comes_along[at] = object.inherited && !own && !apart || waits;
            }
            // So does the default of a column that comes along; where it has its own, that is seen afterwards. So is one that
            // takes numbers from the identity of such a column.
            for (at, object) in new.all.iter().enumerate() {
                if let (Kind::Default, Some(column)) = (object.kind, object.parent) {
                    let comes_along = |on: usize| self.new_comes_along[on] && self.made[on];
                    let gives_numbers = |on: &&usize| column::identity_sequence(&new.all[**on]).is_some();
                    let waits = object.depends.iter().filter(gives_numbers).any(|on| comes_along(*on));
                    self.new_comes_along[at] = waits || comes_along(column);
                }
            }
        }
    }

    /// True for an index or a key of a table that is set aside: what comes may be to have its name.
    fn holds_name_aside(&self, object: &Object, table: usize) -> bool {
        let is_one = object.kind == Kind::Index || matches!(object.detail("type"), "p" | "u" | "x");
        is_one && self.set_aside[table] && self.fates[table] == Fate::Rebuild
    }

    /// What is still missing after all parents were there is made by itself, but for what comes along with an index or a key.
    fn settle_indexes(&mut self) {
        let new = self.sides.new;
        let alone = indexes_made_alone(new);
        let brings = |above: usize| self.made[above] && new.all[above].is("valid");
        for (at, above) in family::indexes_above(new) {
            let object = &new.all[at];
            let can_come = object.kind == Kind::Index || object.inherited;
            self.new_comes_along[at] =
                can_come && brings(above) && !alone.contains(object.detail("index_parent"));
        }
        for (at, above) in family::foreign_keys_above(new) {
            self.new_comes_along[at] = brings(above);
        }
    }

    /// True for a type that columns, or rows, have to leave before it goes, while another takes its name.
    fn waits_for_columns(&self, at: usize, dependants: &[Vec<usize>]) -> bool {
        let old = self.sides.old;
        let is_typed = |on: usize| old.all[on].kind == Kind::Table && self.fates[on] == Fate::Rebuild;
        let waits = |on: usize| self.waits_with_its_table(on) || is_typed(on);
        let holds =
            |on: usize| old.all[on].kind == Kind::Column && self.fates[on] == Fate::Alter || waits(on);
        if self.fates[at] == Fate::Rebuild {
            return is_used(old, dependants, at, &holds);
        }
        let taken = is_named_otherwise(self.sides.new, &old.all[at]);
        // So has a partition, for another one may take its bounds.
        let is_partition = old.all[at].is("is_partition");
        let leaves = |on: usize| {
            holds(on) && (is_partition || self.keeps_type(on) || taken && self.needs_namesake(on, at))
        };
        is_used(old, dependants, at, &|on| leaves(on) || taken && waits(on))
    }

    /// The table, set aside, whose partition one is that goes: its rows go over with the others there.
    pub(in crate::diff) fn whole_of(&self, at: usize) -> Option<usize> {
        let all = &self.sides.old.all;
        if self.fates[at] != Fate::Gone || all[at].kind != Kind::Table || !all[at].is("is_partition") {
            return None;
        }
        let link = all.iter().find(|link| link.kind == Kind::Partition && link.parent == Some(at))?;
        let whole = *link.depends.iter().find(|on| **on != at && all[**on].kind == Kind::Table)?;
        if self.set_aside[whole] { Some(whole) } else { self.whole_of(whole) }
    }

    /// A type under one that is set aside waits as well: its name is needed, and it cannot go before the other.
    fn set_bases_aside(&mut self, dependants: &[Vec<usize>]) {
        let old = self.sides.old;
        let bases = |at: &usize| {
            is_type(old.all[*at].kind)
                && matches!(self.fates[*at], Fate::Rebuild | Fate::Gone)
                && !self.set_aside[*at]
        };
        let bases: Vec<usize> = (0..old.all.len()).filter(bases).collect();
        loop {
            let waits = |at: &usize| {
                !self.set_aside[*at]
                    && dependants[*at]
                        .iter()
                        .any(|above| self.set_aside[*above] && is_type(old.all[*above].kind))
            };
            let Some(base) = bases.iter().copied().find(waits) else { break };
            self.set_aside[base] = true;
        }
    }

    /// True for a column of a table that is set aside until its rows have moved over.
    pub(in crate::diff) fn waits_with_its_table(&self, at: usize) -> bool {
        let object = &self.sides.old.all[at];
        let table = |table: usize| {
            self.sides.old.all[table].kind == Kind::Table && self.fates[table] == Fate::Rebuild
        };
        object.kind == Kind::Column && object.parent.is_some_and(table)
    }

    /// Tables that are taken off all their parents: they look after themselves.
    pub(super) fn taken_off(&self) -> BTreeSet<usize> {
        let old = self.sides.old;
        let links = |goes: bool| {
            (old.all.iter().enumerate())
                .filter(|(_, object)| family::is_link(object))
                .filter(move |(at, _)| matches!(self.fates[*at], Fate::Gone | Fate::Rebuild) == goes)
                .filter_map(|(_, object)| object.parent)
        };
        let mut taken_off: BTreeSet<usize> =
            links(true).filter(|table| !matches!(self.fates[*table], Fate::Gone | Fate::Rebuild)).collect();
        links(false).for_each(|table| {
            taken_off.remove(&table);
        });
        taken_off
    }

    /// Whatever a parent has named the NOT NULL of these tables, it is theirs to name now that they are taken off.
    fn name_not_null_of(&mut self, tables: &BTreeSet<usize>) {
        let (old, new) = (self.sides.old, self.sides.new);
        let is_of = |at: &usize| old.all[*at].parent.is_some_and(|table| tables.contains(&table));
        for at in (0..old.all.len()).filter(|at| old.all[*at].kind == Kind::Column && is_of(at)) {
            if let Some(twin) = self.twins[at].filter(|_| matches!(self.fates[at], Fate::Keep | Fate::Alter))
            {
                let mut change = self.changes.remove(&at).unwrap_or_default();
                not_null::once_alone(&mut change, self.sides, &old.all[at], &new.all[twin]);
                if !change.is_none() {
                    self.fates[at] = Fate::Alter;
                    self.changes.insert(at, change);
                }
            }
        }
    }

    /// A child's own NOT NULL is made, or given up, before the parents' comes, and what makes an identity of its column is given up before that gets
    /// the parents' type; what else there is to do comes along with them. Where that is refused, a remark tells of the difference.
    fn before_parents(&self, at: usize, options: &PlanOptions) -> Vec<Sql> {
        let (old, new) = (self.sides.old, self.sides.new);
        let stays = matches!(self.fates[at], Fate::Keep | Fate::Alter);
        let is_left = stays && !options.rebuild.contains(&old.all[at].key());
        let Some(twin) = self.twins[at].filter(|_| is_left) else { return Vec::new() };
        let (before, after) = (&old.all[at], &new.all[twin]);
        let is_given_up = self.is_retyped_with_parents(at) && self.gives_up_sequence(at).is_some();
        let identity = column::drop_identity(before).filter(|_| is_given_up);
        let not_null = not_null::before_parents(self.sides, before, after).map(Sql::from_server);
        identity.into_iter().chain(not_null).collect()
    }

    /// Columns that go while those who inherit from the table keep theirs: they are dropped with `ONLY`, and so are those between.
    fn columns_that_stay_below(&self) -> BTreeSet<usize> {
        let old = self.sides.old;
        let mut heirs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for link in old.all.iter().filter(|object| object.kind == Kind::Inheritance) {
            let Some(child) = link.parent else { continue };
            for parent in link.depends.iter().filter(|on| **on != child) {
                heirs.entry(*parent).or_default().push(child);
            }
        }
        let children = if heirs.is_empty() { Vec::new() } else { old.children() };
        let mut found = BTreeSet::new();
        // From the top: what is dropped with ONLY leaves the column to each child.
        for &table in heirs.keys() {
            for &column in children[table].iter().filter(|at| old.all[**at].kind == Kind::Column) {
                let mut open = vec![table];
                let mut below = Vec::new();
                while let Some(table) = open.pop() {
                    for &heir in heirs.get(&table).into_iter().flatten() {
                        let same = |at: &&usize| {
                            let other = &old.all[**at];
                            other.kind == Kind::Column
                                && other.name == old.all[column].name
                                && other.inherited
                        };
                        below.extend(children[heir].iter().find(same));
                        open.push(heir);
                    }
                }
                let goes = |at: &usize| matches!(self.fates[*at], Fate::Gone | Fate::Rebuild);
                if goes(&column) && below.iter().any(|at| !goes(at)) {
                    found.insert(column);
                    found.extend(below.into_iter().filter(goes));
                }
            }
        }
        found
    }

    /// True for a column whose type changes, and which a parent has as well: no child's type is altered by itself.
    fn is_retyped_with_parents(&self, at: usize) -> bool {
        let object = &self.sides.old.all[at];
        object.kind == Kind::Column
            && object.details["inherit_count"].as_i64() > Some(0)
            && self.fates[at] == Fate::Alter
            && self.changes[&at].disturbs
    }

    /// True where work on an inherited object is left to its parent: dropping, making, a type or NOT NULL. A parent that it only joins wants it
    /// as it is to be. A NOT NULL that the child alone demands follows its type.
    fn parents_do(&self, at: usize) -> bool {
        let new = self.sides.new;
        let retyped = self.is_retyped_with_parents(at);
        let comes = |twin: usize| {
            let column = &new.all[twin];
            let changes = |above: &Object| {
                let before = self.sides.old.find(&above.key());
                before.is_none_or(|(at, _)| self.fates[at] != Fate::Keep)
            };
            let demands = |above: &Object| retyped || family::demands_as_much(above, column);
            family::in_kept_parents(new, &self.made, column).any(|above| demands(above) && changes(above))
        };
        match self.fates[at] {
            Fate::Gone | Fate::Rebuild => true,
            Fate::Alter => self.sides.old.all[at].kind == Kind::Column && self.twins[at].is_some_and(comes),
            Fate::Keep => false,
        }
    }
}

/// True where `holds` is so for what has the type, also by way of another type.
fn is_used(objects: &Objects, dependants: &[Vec<usize>], at: usize, holds: &impl Fn(usize) -> bool) -> bool {
    dependants[at]
        .iter()
        .any(|&on| holds(on) || is_type(objects.all[on].kind) && is_used(objects, dependants, on, holds))
}

/// Indexes that do not bring those of partitions along, for a constraint of a partition belongs to them.
fn indexes_made_alone(new: &Objects) -> BTreeSet<&str> {
    let attached = family::attached_constraints(new).into_iter();
    attached.map(|(_, index)| new.all[index].identity.as_str()).collect()
}
