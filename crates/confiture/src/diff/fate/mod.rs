//! What becomes of each object: it stays, is altered, is made anew, or goes.

mod families;
mod settle;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::aside::{self, Aside};
use crate::diff::compare::{Change, Sides, compare};
use crate::diff::{PlanOptions, column, data_type, family, not_null, persistence, row_type, swap, twins};
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
    /// How they are called meanwhile.
    pub(super) aside: BTreeMap<usize, Aside>,
    /// Old indexes and keys that go when the new ones are built, and how those are called until then.
    pub(super) swapped: BTreeMap<usize, Aside>,
    /// How new indexes are called that are built before their place is free.
    pub(super) ahead: BTreeMap<usize, Aside>,
    /// Old indexes and keys that go when all that comes is there.
    pub(super) goes_last: BTreeSet<usize>,
    /// Columns that are dropped with `ONLY`, because they stay with those who inherit them.
    pub(super) stays_below: BTreeSet<usize>,
    /// Work on a child that the same work on its parent does.
    pub(super) old_comes_along: Vec<bool>,
    pub(super) new_comes_along: Vec<bool>,
    /// Old tables that cannot be rewritten, for columns elsewhere have their row type.
    pub(super) held: BTreeSet<usize>,
    /// Indexes and keys of a partitioned table are made partition by partition in the plain form as well.
    pub(super) by_parts: bool,
    /// Names of NOT NULL constraints that are there, or come for other reasons than by themselves.
    pub(super) not_null_names: BTreeSet<String>,
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
        aside: BTreeMap::new(),
        swapped: BTreeMap::new(),
        ahead: BTreeMap::new(),
        goes_last: BTreeSet::new(),
        stays_below: BTreeSet::new(),
        old_comes_along: vec![false; old.all.len()],
        new_comes_along: vec![false; new.all.len()],
        held: row_type::held(old),
        not_null_names: BTreeSet::new(),
        by_parts: options.by_parts,
        twins,
    };
    for (at, object) in old.all.iter().enumerate() {
        let Some(twin) = work.twins[at] else {
            work.fates[at] = Fate::Gone;
            continue;
        };
        work.made[twin] = false;
        let after = &new.all[twin];
        let is_same_kind = object.kind == after.kind;
        let mut change =
            if is_same_kind { compare(sides, object, after) } else { swap::become_key(object, after) };
        if is_same_kind && object.identity != after.identity && !change.rebuild {
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
    work.rename_from_above();
    for key in persistence::in_circles(&persistence::keys(sides, &work.twins)) {
        work.rebuild(key);
    }
    for table in row_type::rewritten(&work) {
        work.rebuild(table);
    }
    work.take_off_shared();
    work.take_off_demanding();
    work.keep_places_of_types();
    work.unvalidate_from_above();
    work.spread();
    while work.leave_circles() {
        work.spread();
    }
    work.lead_through_text();
    work.settle(options);
    let mut taken = aside::Taken::of(sides);
    work.swap(options, &mut taken);
    let comes = |at: usize| work.made[at] && !work.new_comes_along[at];
    work.not_null_names = not_null::names(sides, comes);
    for at in (0..old.all.len()).filter(|at| work.set_aside[*at]) {
        work.aside.insert(at, taken.give(&aside::all_places(&old.all[at]), "__old"));
    }
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

/// True for what is a type as well: that of its rows.
pub(super) fn has_rows(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
}

/// True where an object of another kind has the name.
fn is_named_otherwise(new: &Objects, object: &Object) -> bool {
    new.all.iter().any(|one| is_namesake(one, object))
}

/// True for an object of the same name and another kind.
fn is_namesake(one: &Object, object: &Object) -> bool {
    let is_other = one.identity == object.identity && one.kind != object.kind;
    is_other && (is_type(one.kind) || is_relation_or_routine(one.kind))
}

/// What can be reached from `open` downwards, by way of what `holds`; a part leads to its whole.
fn reached(objects: &Objects, mut open: Vec<usize>, holds: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    while let Some(at) = open.pop() {
        if holds(at) && found.insert(at) {
            open.extend(&objects.all[at].depends);
        }
        let whole = objects.root(at);
        if whole != at {
            open.push(whole);
        }
    }
    found
}

fn is_relation_or_routine(kind: Kind) -> bool {
    use Kind::{Aggregate, Column, ForeignTable, Function, MaterializedView};
    use Kind::{Procedure, Sequence, Table, View, ViewColumn};
    matches!(kind, Table | ForeignTable | View | MaterializedView | Sequence | Column | ViewColumn)
        || matches!(kind, Function | Procedure | Aggregate)
}

impl Work<'_> {
    /// The old object that a new one is.
    pub(super) fn old_of(&self, new: usize) -> Option<usize> {
        self.twins.iter().position(|twin| *twin == Some(new))
    }

    /// A table of a type has its columns where the type has them: where they would come elsewhere, it is made anew.
    fn keep_places_of_types(&mut self) {
        let (old, new) = (self.sides.old, self.sides.new);
        let of_type: Vec<usize> = (new.all.iter())
            .filter(|object| object.kind == Kind::TableType)
            .filter_map(|object| object.parent)
            .collect();
        for table in of_type {
            let stays = |at: &usize| {
                self.twins[*at] == Some(table) && matches!(self.fates[*at], Fate::Keep | Fate::Alter)
            };
            let Some(before) = (0..old.all.len()).find(stays) else { continue };
            let (is, wanted) = (family::columns(old, before), family::columns(new, table));
            let kept = is.iter().filter(|name| wanted.contains(name));
            let come = wanted.iter().filter(|name| !is.contains(name));
            if !kept.chain(come).eq(wanted.iter()) {
                self.rebuild(before);
            }
        }
    }

    /// What depends on something that goes, is made anew or changes its type has to go for that time.
    fn spread(&mut self) {
        let old = self.sides.old;
        let mut dependants = old.dependants();
        self.tie_attached(&mut dependants);
        let starts = |at: &usize| match self.fates[*at] {
            Fate::Gone | Fate::Rebuild => true,
            Fate::Alter => self.changes[at].disturbs || self.gives_up_sequence(*at).is_some(),
            Fate::Keep => false,
        };
        let mut open: Vec<usize> = (0..old.all.len()).filter(starts).collect();
        while let Some(at) = open.pop() {
            for &dependant in &dependants[at] {
                open.extend(self.touch(at, dependant));
            }
        }
    }

    /// What is altered while something that it used goes would have to wait for what is made anew, which waits until that has gone: it is made
    /// anew as well. True where there was such a one.
    fn leave_circles(&mut self) -> bool {
        let (old, new) = (self.sides.old, self.sides.new);
        // What is altered so that others mind has to be left by them as well.
        let goes = |at: usize| match self.fates[at] {
            Fate::Gone | Fate::Rebuild => true,
            Fate::Alter => self.changes[&at].disturbs,
            Fate::Keep => false,
        };
        let mut comes = self.made.clone();
        for (at, twin) in self.twins.iter().enumerate() {
            twin.iter().for_each(|twin| comes[*twin] |= self.fates[at] != Fate::Keep);
        }
        let waits = |at: &usize| {
            let below =
                old.all[*at].depends.iter().copied().filter(|on| self.fates[*on] == Fate::Gone).collect();
            let gone = reached(old, below, goes);
            let anew: BTreeSet<usize> = gone.into_iter().filter_map(|on| self.twins[on]).collect();
            let twin = self.twins[*at].filter(|_| !anew.is_empty());
            twin.is_some_and(|twin| {
                let needs = reached(new, new.all[twin].depends.iter().copied().collect(), |on| comes[on]);
                needs.into_iter().any(|on| anew.contains(&on))
            })
        };
        let is_free = |kind: Kind| matches!(kind, Kind::View | Kind::Rule | Kind::Policy | Kind::Function);
        let altered =
            (0..old.all.len()).filter(|at| self.fates[*at] == Fate::Alter && is_free(old.all[*at].kind));
        let circular: Vec<usize> = altered.filter(waits).collect();
        for at in &circular {
            self.rebuild(*at);
        }
        !circular.is_empty()
    }

    /// Decides for one that depends on `on`; says whose fate that has changed.
    fn touch(&mut self, on: usize, dependant: usize) -> Option<usize> {
        if matches!(self.fates[dependant], Fate::Gone | Fate::Rebuild) {
            return None;
        }
        let (below, above) = (&self.sides.old.all[on], &self.sides.old.all[dependant]);
        let is_part = above.parent == Some(on);
        match self.fates[on] {
            Fate::Keep => None,
            Fate::Alter if self.must_go_for_alter(on, dependant) => self.rebuild(dependant),
            Fate::Alter => None,
            Fate::Gone
                if self.fates[dependant] == Fate::Alter
                    && !is_part
                    && above.kind != Kind::Column
                    && !self.still_names(on, dependant) =>
            {
                None
            }
            Fate::Gone | Fate::Rebuild => match above.kind {
                _ if is_part => self.rebuild(dependant),
                Kind::Column if above.details["generated"].is_null() => {
                    let follows = (is_type(below.kind) || has_rows(below.kind))
                        && (self.fates[on] == Fate::Rebuild || self.keeps_type(dependant));
                    follows.then(|| self.retype(dependant, below)).flatten()
                }
                // Its rows are elsewhere.
                Kind::ForeignTable if below.kind == Kind::Server => self.rebuild(dependant),
                Kind::Table | Kind::ForeignTable | Kind::Sequence | Kind::Schema | Kind::Extension => None,
                _ => self.rebuild(dependant),
            },
        }
    }

    /// The sequence behind an identity column that goes with its being one.
    pub(super) fn gives_up_sequence(&self, column: usize) -> Option<&str> {
        let sequence = column::identity_sequence(&self.sides.old.all[column])?;
        let after = self.twins[column].and_then(|twin| column::identity_sequence(&self.sides.new.all[twin]));
        after.is_none().then_some(sequence)
    }

    /// True for what uses the sequence of an identity column, and another sequence of that name from now on.
    fn takes_other_sequence(&self, column: usize, dependant: usize) -> bool {
        let new = self.sides.new;
        let (Some(sequence), Some(twin)) = (self.gives_up_sequence(column), self.twins[dependant]) else {
            return false;
        };
        let is_it = |on: &usize| new.all[*on].kind == Kind::Sequence && new.all[*on].identity == sequence;
        new.all[twin].depends.iter().any(is_it)
    }

    /// True for what uses the sequence of an identity column that gives it up, and nothing of the column from now on.
    pub(super) fn leaves_sequence(&self, dependant: usize, column: usize) -> bool {
        let (Some(_), Some(to)) = (self.gives_up_sequence(column), self.twins[column]) else { return false };
        self.twins[dependant].is_some_and(|twin| !self.sides.new.all[twin].depends.contains(&to))
    }

    fn must_go_for_alter(&self, on: usize, dependant: usize) -> bool {
        let takes = self.takes_other_sequence(on, dependant);
        if takes || !self.changes[&on].disturbs {
            return takes;
        }
        let above = &self.sides.old.all[dependant];
        let below = &self.sides.old.all[on];
        let after = self.twins[on].map(|twin| &self.sides.new.all[twin]);
        let other_base = after.is_some_and(|after| below.detail("base") != after.detail("base"));
        match above.kind {
            kind if below.kind == Kind::CompositeType => kind == Kind::TableType,
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
                    || self.goes_through_text(on)
            }
            // Both ends of a key get another type or collation, one after the other.
            Kind::Constraint => {
                let other_collation =
                    after.is_some_and(|after| below.details["collation"] != after.details["collation"]);
                above.detail("type") == "f" && (other_base || other_collation || self.goes_through_text(on))
            }
            _ => false,
        }
    }

    /// True where no cast that needs no word leads from the old type of a column to the new one.
    fn goes_through_text(&self, column: usize) -> bool {
        self.changes[&column].statements.iter().any(|sql| sql.as_str().contains(" USING "))
    }

    fn is_foreign(&self, at: usize) -> bool {
        self.sides.old.all[self.sides.old.root(at)].kind == Kind::ForeignTable
    }

    /// True where an object that is altered goes on using what goes: its definition stays as it is, or means another kind of
    /// object of the same name.
    fn still_names(&self, on: usize, dependant: usize) -> bool {
        let (old, new) = (self.sides.old, self.sides.new);
        let below = &old.all[on];
        let stays =
            self.twins[dependant].is_some_and(|twin| new.all[twin].is_defined_as(&old.all[dependant]));
        stays || is_named_otherwise(new, below)
    }

    fn rebuild(&mut self, at: usize) -> Option<usize> {
        self.changes.remove(&at);
        match self.twins[at] {
            Some(twin) => {
                self.fates[at] = Fate::Rebuild;
                self.made[twin] = true;
            }
            None => self.fates[at] = Fate::Gone,
        }
        Some(at)
    }

    /// True for a column whose type is to have the same name, although another kind of object bears it then.
    fn keeps_type(&self, at: usize) -> bool {
        let old = &self.sides.old.all[at];
        self.twins[at].is_some_and(|twin| self.sides.new.all[twin].detail("type") == old.detail("type"))
    }

    /// True for a column whose new type is, or stands on, what bears the name of `on` then, which is of another kind.
    fn needs_namesake(&self, column: usize, on: usize) -> bool {
        let (new, object) = (self.sides.new, &self.sides.old.all[on]);
        let below = |twin: usize| reached(new, new.all[twin].depends.iter().copied().collect(), |_| true);
        self.twins[column].is_some_and(|twin| below(twin).iter().any(|on| is_namesake(&new.all[*on], object)))
    }

    /// A column whose type or collation is made anew takes the new one over, a type by way of text.
    fn retype(&mut self, at: usize, below: &Object) -> Option<usize> {
        let (before, after) = (&self.sides.old.all[at], &self.sides.new.all[self.twins[at]?]);
        let is_fixed = |table: usize| before.is("in_key") || self.held.contains(&table);
        if before.parent.is_some_and(|table| is_fixed(table) && self.fates[table] != Fate::Gone) {
            return self.rebuild(before.parent?);
        }
        if self.changes.get(&at).is_some_and(|change| change.disturbs) {
            return None;
        }
        let alter = after.alter.as_deref().unwrap_or_default().replacen(" TABLE ONLY ", " TABLE ", 1);
        let mut retyped = Change::default();
        retyped.hazards.push(super::Hazard::Rewrites("every row gets the column's new type".into()));
        if below.kind != Kind::Collation && !data_type::keeps_labels(self.sides, below) {
            let why = "a value that the new type does not have stops it";
            retyped.hazards.push(super::Hazard::MayFail(why.into()));
        }
        // What is in a foreign table is converted elsewhere.
        if below.kind == Kind::Collation || self.is_foreign(at) {
            column::retype(&mut retyped, &alter, after, None);
        } else {
            let passage = column::to_namesake(self.sides, after);
            column::retype(&mut retyped, &alter, after, Some(&passage.expression));
            retyped.hazards.extend(passage.hazards());
            retyped.statements = passage.around(retyped.statements);
        }
        let change = self.changes.entry(at).or_default();
        retyped.statements.append(&mut change.statements);
        *change = retyped;
        self.fates[at] = Fate::Alter;
        Some(at)
    }

    /// Where a column takes another type on the same base, and that is made anew, no cast leads there.
    fn lead_through_text(&mut self) {
        let (old, new) = (self.sides.old, self.sides.new);
        for (at, change) in self.changes.iter_mut().filter(|(at, _)| old.all[**at].kind == Kind::Column) {
            let Some(after) = self.twins[*at].map(|twin| &new.all[twin]) else { continue };
            let base = after.detail("base").trim_end_matches("[]");
            let anew = [Kind::Enum, Kind::CompositeType, Kind::Range].into_iter().any(|kind| {
                let found = old.by_key.get(&(kind, base.to_owned()));
                found.is_some_and(|at| self.fates[*at] == Fate::Rebuild)
            });
            let typed = |sql: &&mut Sql| sql.as_str().contains(" TYPE ") && !sql.as_str().contains(" USING ");
            if let Some(sql) = change.statements.iter_mut().find(typed).filter(|_| anew) {
                *sql = Sql::from_server(format!("{} USING {}", sql.as_str(), column::through_text(after)));
            }
        }
    }
}
