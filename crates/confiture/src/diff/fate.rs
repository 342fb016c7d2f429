//! What becomes of each object: it stays, is altered, is made anew, or goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object};
use crate::diff::compare::{Change, Sides, compare};
use crate::diff::{PlanOptions, column, order, twins};
use crate::sql::Sql;

/// What becomes of an object of the old catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    Alter,
    Rebuild,
    Gone,
}

/// All that is to be done, in no order yet.
pub(super) struct Work<'a> {
    pub(super) sides: Sides<'a>,
    /// What becomes of each old object.
    pub(super) fates: Vec<Fate>,
    /// For each old object, which new one it becomes.
    pub(super) twins: Vec<Option<usize>>,
    /// For each new object, whether it is made.
    pub(super) made: Vec<bool>,
    /// What happens to those that are altered, and hazards of those that are made anew.
    pub(super) changes: BTreeMap<usize, Change>,
    /// Old types and tables that only go after their columns, or rows, have moved over.
    pub(super) set_aside: Vec<bool>,
    /// Work on a child that the same work on its parent does.
    pub(super) old_comes_along: Vec<bool>,
    pub(super) new_comes_along: Vec<bool>,
}

/// Decides.
pub(super) fn decide<'a>(sides: Sides<'a>, options: &PlanOptions) -> Work<'a> {
    let (old, new) = (sides.old, sides.new);
    let twins = twins::pair(old, new);
    let mut work = Work {
        sides,
        fates: vec![Fate::Keep; old.all.len()],
        made: vec![true; new.all.len()],
        changes: BTreeMap::new(),
        set_aside: vec![false; old.all.len()],
        old_comes_along: vec![false; old.all.len()],
        new_comes_along: vec![false; new.all.len()],
        twins,
    };
    for (at, object) in old.all.iter().enumerate() {
        let Some(twin) = work.twins[at] else {
            work.fates[at] = Fate::Gone;
            continue;
        };
        work.made[twin] = false;
        let after = &new.all[twin];
        let mut change = compare(sides, object, after);
        if object.identity != after.identity && !change.rebuild {
            change.statements.insert(0, Sql::from_server(twins::rename(object, after)));
        }
        if options.rebuild.contains(&object.key()) && !holds_rows(object) {
            change = Change { hazards: change.hazards, ..Change::rebuild() };
        }
        if change.rebuild {
            work.fates[at] = Fate::Rebuild;
            work.changes.insert(at, Change { hazards: change.hazards, ..Change::default() });
        } else if !change.is_none() {
            work.fates[at] = Fate::Alter;
            work.changes.insert(at, change);
        }
    }
    work.spread();
    work.settle(options);
    work
}

fn holds_rows(object: &Object) -> bool {
    match object.kind {
        Kind::Table | Kind::Sequence | Kind::Schema | Kind::Extension => true,
        Kind::Column => object.details["generated"].is_null(),
        _ => false,
    }
}

pub(super) fn is_type(kind: Kind) -> bool {
    matches!(kind, Kind::Enum | Kind::Domain | Kind::CompositeType | Kind::Range | Kind::Collation)
}

impl Work<'_> {
    /// What depends on something that goes, is made anew or changes its type has to go for that time.
    fn spread(&mut self) {
        let old = self.sides.old;
        let dependants = old.dependants();
        let starts = |at: &usize| match self.fates[*at] {
            Fate::Gone | Fate::Rebuild => true,
            Fate::Alter => self.changes[at].disturbs,
            Fate::Keep => false,
        };
        let mut open: Vec<usize> = (0..old.all.len()).filter(starts).collect();
        while let Some(at) = open.pop() {
            for &dependant in &dependants[at] {
                if self.touch(at, dependant) {
                    open.push(dependant);
                }
            }
        }
    }

    /// Decides for one that depends on `on`; true where that has changed its fate.
    fn touch(&mut self, on: usize, dependant: usize) -> bool {
        if matches!(self.fates[dependant], Fate::Gone | Fate::Rebuild) {
            return false;
        }
        let (below, above) = (&self.sides.old.all[on], &self.sides.old.all[dependant]);
        let is_part = above.parent == Some(on);
        match self.fates[on] {
            Fate::Keep => false,
            Fate::Alter if self.must_go_for_alter(on, dependant) => self.rebuild(dependant),
            Fate::Alter => false,
            Fate::Gone if self.fates[dependant] == Fate::Alter && !is_part && above.kind != Kind::Column => {
                false
            }
            Fate::Gone | Fate::Rebuild => match above.kind {
                _ if is_part => self.rebuild(dependant),
                Kind::Column if above.details["generated"].is_null() => {
                    is_type(below.kind)
                        && (self.fates[on] == Fate::Rebuild || self.keeps_type(dependant))
                        && self.retype(dependant, below.kind == Kind::Collation)
                }
                // Its rows are elsewhere.
                Kind::ForeignTable if below.kind == Kind::Server => self.rebuild(dependant),
                Kind::Table | Kind::ForeignTable | Kind::Sequence | Kind::Schema | Kind::Extension => false,
                _ => self.rebuild(dependant),
            },
        }
    }

    fn must_go_for_alter(&self, on: usize, dependant: usize) -> bool {
        let above = &self.sides.old.all[dependant];
        let below = &self.sides.old.all[on];
        let after = self.twins[on].map(|twin| &self.sides.new.all[twin]);
        let other_base = after.is_some_and(|after| below.detail("base") != after.detail("base"));
        match above.kind {
            Kind::View
            | Kind::MaterializedView
            | Kind::Rule
            | Kind::Policy
            | Kind::Function
            | Kind::Procedure
            | Kind::Trigger
            | Kind::PublicationMember => true,
            Kind::Column => !above.details["generated"].is_null(),
            Kind::Default => {
                other_base && (self.is_foreign(on) || self.fates[dependant] != Fate::Keep)
                    || self.changes[&on].statements.iter().any(|sql| sql.as_str().contains(" USING "))
            }
            Kind::Constraint => above.detail("type") == "f" && other_base,
            _ => false,
        }
    }

    fn is_foreign(&self, at: usize) -> bool {
        self.sides.old.all[self.sides.old.root(at)].kind == Kind::ForeignTable
    }

    fn rebuild(&mut self, at: usize) -> bool {
        self.changes.remove(&at);
        match self.twins[at] {
            Some(twin) => {
                self.fates[at] = Fate::Rebuild;
                self.made[twin] = true;
            }
            None => self.fates[at] = Fate::Gone,
        }
        true
    }

    /// True for a column whose type is to have the same name, although another kind of object bears it then.
    fn keeps_type(&self, at: usize) -> bool {
        let old = &self.sides.old.all[at];
        self.twins[at].is_some_and(|twin| self.sides.new.all[twin].detail("type") == old.detail("type"))
    }

    /// A column whose type or collation is made anew takes the new one over, a type by way of text.
    fn retype(&mut self, at: usize, only_collation: bool) -> bool {
        let Some(twin) = self.twins[at] else { return false };
        let after = &self.sides.new.all[twin];
        let change = self.changes.entry(at).or_default();
        if change.disturbs {
            return false;
        }
        let alter = after.alter.as_deref().unwrap_or_default().replacen(" TABLE ONLY ", " TABLE ", 1);
        let using = column::through_text(after);
        let mut retyped = Change::default();
        column::retype(&mut retyped, &alter, after, (!only_collation).then_some(using.as_str()));
        retyped.statements.append(&mut change.statements);
        retyped.hazards.push(super::Hazard::Rewrites("every row gets the column's new type".into()));
        retyped
            .hazards
            .push(super::Hazard::MayFail("a value that the new type does not have stops it".into()));
        *change = retyped;
        self.fates[at] = Fate::Alter;
        true
    }

    /// What is made anew, what has to wait, and what comes along with a parent.
    fn settle(&mut self, options: &PlanOptions) {
        let old = self.sides.old;
        let dependants = old.dependants();
        for (at, dependants) in dependants.iter().enumerate() {
            if matches!(self.fates[at], Fate::Rebuild | Fate::Gone) {
                if let Some(twin) = self.twins[at] {
                    self.made[twin] = true;
                }
                let holds = |on: &usize| old.all[*on].kind == Kind::Column && self.fates[*on] == Fate::Alter;
                let holds = |on: &usize| holds(on) || self.waits_with_its_table(*on);
                let retyped = |on: &usize| holds(on) && self.keeps_type(*on);
                self.set_aside[at] = if self.fates[at] == Fate::Rebuild {
                    is_type(old.all[at].kind) && dependants.iter().any(holds)
                        || old.all[at].kind == Kind::Table
                } else {
                    is_type(old.all[at].kind) && dependants.iter().any(retyped)
                };
            }
        }
        self.set_bases_aside(&dependants);
        if !options.after_first {
            // What is taken off its parent looks after itself.
            let taken_off: BTreeSet<usize> = (old.all.iter().enumerate())
                .filter(|(at, object)| {
                    matches!(object.kind, Kind::Partition | Kind::Inheritance)
                        && matches!(self.fates[*at], Fate::Gone | Fate::Rebuild)
                })
                .filter_map(|(_, object)| object.parent)
                .filter(|table| !matches!(self.fates[*table], Fate::Gone | Fate::Rebuild))
                .collect();
            for (at, object) in old.all.iter().enumerate() {
                let alone = object.parent.is_some_and(|table| taken_off.contains(&table));
                let inherited = object.inherited || self.is_retyped_with_parents(at);
                self.old_comes_along[at] = inherited && !alone && self.parents_do(at);
            }
            let new = self.sides.new;
            // A table that is put to its parent afterwards has to have its columns: one that was there before, or one whose columns
            // stand in an order of their own.
            let attached: BTreeSet<usize> = (new.all.iter().enumerate())
                .filter(|(at, object)| {
                    matches!(object.kind, Kind::Partition | Kind::Inheritance) && self.made[*at]
                })
                .filter_map(|(at, object)| {
                    let table = object.parent?;
                    let in_one = object.kind == Kind::Inheritance || order::same_columns(new, at);
                    (!self.made[table] || !in_one).then_some(table)
                })
                .collect();
            for (at, object) in new.all.iter().enumerate() {
                let own = object.kind == Kind::Column
                    && object.parent.is_some_and(|table| attached.contains(&table));
                self.new_comes_along[at] = object.inherited && !own;
            }
            // So does the default of a column that comes along; where it has its own, that is seen afterwards.
            for (at, object) in new.all.iter().enumerate() {
                if let (Kind::Default, Some(column)) = (object.kind, object.parent) {
                    self.new_comes_along[at] = self.new_comes_along[column] && self.made[column];
                }
            }
        }
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
    pub(super) fn waits_with_its_table(&self, at: usize) -> bool {
        let object = &self.sides.old.all[at];
        let table = |table: usize| {
            self.sides.old.all[table].kind == Kind::Table && self.fates[table] == Fate::Rebuild
        };
        object.kind == Kind::Column && object.parent.is_some_and(table)
    }

    /// True for a column whose type changes, and which a parent has as well: no child's type is altered by itself.
    fn is_retyped_with_parents(&self, at: usize) -> bool {
        let object = &self.sides.old.all[at];
        object.kind == Kind::Column
            && object.details["inherit_count"].as_i64() > Some(0)
            && self.fates[at] == Fate::Alter
            && self.changes[&at].disturbs
    }

    /// True where work on an inherited object is left to its parent: dropping, making, a type or NOT NULL.
    fn parents_do(&self, at: usize) -> bool {
        match self.fates[at] {
            Fate::Gone | Fate::Rebuild => true,
            Fate::Alter => self.sides.old.all[at].kind == Kind::Column,
            Fate::Keep => false,
        }
    }
}
