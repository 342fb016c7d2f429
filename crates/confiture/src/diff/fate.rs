//! What becomes of each object: it stays, is altered, is made anew, or goes.

use std::collections::BTreeMap;

use crate::catalog::{Kind, Object};
use crate::diff::compare::{Change, Sides, compare};
use crate::diff::{PlanOptions, column, twins};
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
    matches!(kind, Kind::Enum | Kind::Domain | Kind::CompositeType | Kind::Range)
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
            Fate::Gone if self.fates[dependant] == Fate::Alter && !is_part => false,
            Fate::Gone | Fate::Rebuild => match above.kind {
                _ if is_part => self.rebuild(dependant),
                Kind::Column if above.details["generated"].is_null() => {
                    (is_type(below.kind) || below.kind == Kind::Collation)
                        && self.fates[on] == Fate::Rebuild
                        && self.retype(dependant)
                }
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
                other_base && self.fates[dependant] != Fate::Keep
                    || self.changes[&on].statements.iter().any(|sql| sql.as_str().contains(" USING "))
            }
            Kind::Constraint => above.detail("type") == "f" && other_base,
            _ => false,
        }
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

    /// A column whose type is made anew takes the new one over, by way of text.
    fn retype(&mut self, at: usize) -> bool {
        let Some(twin) = self.twins[at] else { return false };
        let after = &self.sides.new.all[twin];
        let change = self.changes.entry(at).or_default();
        if change.disturbs {
            return false;
        }
        let alter = after.alter.as_deref().unwrap_or_default().replacen(" TABLE ONLY ", " TABLE ", 1);
        let name = super::compare::quoted(&after.name);
        let through = if after.detail("plain").ends_with("[]") { "text[]" } else { "text" };
        let using = format!("{name}::{through}::{}", after.detail("type"));
        let mut retyped = Change::default();
        column::retype(&mut retyped, &alter, after, Some(&using));
        retyped.statements.append(&mut change.statements);
        retyped.hazards.push(super::Hazard::Rewrites("every row gets the column's new type"));
        retyped.hazards.push(super::Hazard::MayFail("a value that the new type does not have stops it"));
        *change = retyped;
        self.fates[at] = Fate::Alter;
        true
    }

    /// What is made anew, what has to wait, and what comes along with a parent.
    fn settle(&mut self, options: &PlanOptions) {
        let old = self.sides.old;
        let dependants = old.dependants();
        for at in 0..old.all.len() {
            if self.fates[at] == Fate::Rebuild
                && let Some(twin) = self.twins[at]
            {
                self.made[twin] = true;
                let holds = |on: &usize| old.all[*on].kind == Kind::Column && self.fates[*on] == Fate::Alter;
                self.set_aside[at] = is_type(old.all[at].kind) && dependants[at].iter().any(holds)
                    || old.all[at].kind == Kind::Table;
            }
        }
        if !options.after_first {
            for (at, object) in old.all.iter().enumerate() {
                self.old_comes_along[at] = object.inherited && self.parents_do(at);
            }
            for (at, object) in self.sides.new.all.iter().enumerate() {
                self.new_comes_along[at] = object.inherited;
            }
        }
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
