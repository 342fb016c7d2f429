//! An index or a key that is made anew while its table stays: where nobody is to wait, the new one is built under another name
//! before the old one goes. No query is without it meanwhile, and what it keeps out does not come in.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::aside::{MEANWHILE, Taken};
use crate::diff::compare::Change;
use crate::diff::fate::{Fate, Work};
use crate::diff::{PlanOptions, Step, aside, family, online, order, partitioned};
use crate::sql::Sql;

impl Work<'_> {
    /// Finds them: nothing that they stand on, or that stands on them, goes or changes its type.
    pub(super) fn swap(&mut self, options: &PlanOptions, taken: &mut Taken) {
        let dependants = self.sides.old.dependants();
        let all = 0..self.sides.old.all.len();
        let parts = [self.sides.old, self.sides.new].map(family::indexes_above);
        let is_swapped = |at: usize| {
            let apart = dependants[at].is_empty() && self.is_built_apart(at);
            self.is_swapped(at, options) && (apart || self.is_built_by_parts(at, &parts, &dependants))
        };
        let swapped: Vec<bool> = all.map(is_swapped).collect();
        for at in (0..swapped.len()).filter(|at| swapped[*at]) {
            self.fates[at] = Fate::Alter;
            self.changes.entry(at).or_default();
            family::indexes_below(&parts[0], at).iter().for_each(|part| self.old_comes_along[*part] = true);
            let Some(twin) = self.twins[at] else { continue };
            self.made[twin] = false;
            family::indexes_below(&parts[1], twin).iter().for_each(|part| self.new_comes_along[*part] = true);
        }
        let new = self.sides.new;
        for at in (0..swapped.len()).filter(|at| swapped[*at]) {
            let below = self.twins[at].map(|twin| family::indexes_below(&parts[1], twin));
            let below = below.into_iter().flatten().map(|at| aside::place(&new.all[at]));
            let places: Vec<_> = below.chain([aside::place(&self.sides.old.all[at])]).collect();
            self.swapped.insert(at, taken.give(&places, MEANWHILE));
        }
        for (at, object) in new.all.iter().enumerate() {
            let is_key = object.kind == Kind::Constraint && partitioned::is_whole(new, at);
            if self.made[at] && (is_key || online::is_built_apart(object)) {
                let parts = family::indexes_below(&parts[1], at);
                let all = parts.iter().chain([&at]).map(|at| aside::place(&new.all[*at]));
                self.ahead.insert(at, taken.give(&all.collect::<Vec<_>>(), MEANWHILE));
            }
        }
        self.goes_last = self.find_last(&dependants);
    }

    /// Indexes and keys of tables that get another one, which may be to take their place.
    fn find_last(&self, dependants: &[Vec<usize>]) -> BTreeSet<usize> {
        let (old, new) = (self.sides.old, self.sides.new);
        let goes = |at: &usize| self.fates[*at] == Fate::Gone && dependants[*at].is_empty();
        let gone: Vec<usize> =
            (0..dependants.len()).filter(|at| goes(at) && online::is_built_apart(&old.all[*at])).collect();
        if gone.is_empty() {
            return BTreeSet::new();
        }
        let all = new.all.iter().enumerate();
        let comes = all.filter(|(at, object)| self.made[*at] && online::is_built_apart(object));
        let tables: BTreeSet<usize> = comes.filter_map(|(_, object)| object.parent).collect();
        let taken: HashSet<_> = new.all.iter().flat_map(|object| order::name_spaces(new, object)).collect();
        let is_last = |at: &usize| {
            let object = &old.all[*at];
            let table = object.parent.filter(|table| self.stays(object, *table));
            table.and_then(|table| self.twins[table]).is_some_and(|table| {
                tables.contains(&table)
                    && object.depends.iter().all(|on| self.stays(object, *on))
                    && !order::name_spaces(old, object).iter().any(|name| taken.contains(name))
                    && !self.is_referred_to_anew(old.root(*at), table)
            })
        };
        gone.into_iter().filter(is_last).collect()
    }

    /// True where what an index or a key stands on is as it was, or is only altered in a way that it does not notice.
    fn stays(&self, object: &Object, on: usize) -> bool {
        // No column may be NULL while it is in the primary key.
        let is_primary = object.detail("type") == "p";
        match self.fates[on] {
            Fate::Keep => true,
            Fate::Alter if is_primary && self.sides.old.all[on].kind == Kind::Column => false,
            Fate::Alter => !self.changes[&on].disturbs,
            Fate::Gone | Fate::Rebuild => false,
        }
    }

    /// True for what is there before all else begins, as an index that stands on it finds it afterwards.
    pub(super) fn was_there(&self, new: usize) -> bool {
        self.old_of(new).is_some_and(|at| match self.fates[at] {
            Fate::Keep => true,
            Fate::Alter => !self.changes[&at].disturbs,
            Fate::Gone | Fate::Rebuild => false,
        })
    }

    fn is_swapped(&self, at: usize, options: &PlanOptions) -> bool {
        let (old, new) = (self.sides.old, self.sides.new);
        let Some(twin) = self.twins[at].filter(|_| self.fates[at] == Fate::Rebuild) else { return false };
        let (before, after) = (&old.all[at], &new.all[twin]);
        (&before.schema, &before.name) == (&after.schema, &after.name)
            && !options.rebuild.contains(&before.key())
            && before.facet("replica identity").is_none_or(|facet| facet.0 != true)
            && before.depends.iter().all(|on| self.stays(before, *on))
            && !self.is_referred_to_anew(old.root(at), new.root(twin))
    }

    fn is_built_apart(&self, at: usize) -> bool {
        let after = self.twins[at].map(|twin| &self.sides.new.all[twin]);
        online::is_built_apart(&self.sides.old.all[at]) && after.is_some_and(online::is_built_apart)
    }

    /// True for one of a partitioned table where the new one is built partition by partition, and nothing but those of the partitions stands on the
    /// old one.
    fn is_built_by_parts(
        &self,
        at: usize,
        [old, new]: &[BTreeMap<usize, usize>; 2],
        dependants: &[Vec<usize>],
    ) -> bool {
        // A table has one primary key at a time.
        let can_be_two = |twin: &usize| self.sides.new.all[*twin].detail("type") != "p";
        let twin =
            self.twins[at].filter(|twin| partitioned::is_whole(self.sides.new, *twin) && can_be_two(twin));
        let Some(twin) = twin else { return false };
        let (below, come) = (family::indexes_below(old, at), family::indexes_below(new, twin));
        let goes = |part: &usize| matches!(self.fates[*part], Fate::Gone | Fate::Rebuild);
        let is_part = |on: &usize| below.contains(on);
        // What is a part before and not after, or after and not before, is made by itself.
        let twins = self.twins.iter().enumerate();
        let mut changes = twins.filter_map(|(at, twin)| Some((is_part(&at), come.contains(twin.as_ref()?))));
        partitioned::is_whole(self.sides.old, at)
            && self.sides.old.all[at].kind == self.sides.new.all[twin].kind
            && below.iter().all(goes)
            && changes.all(|(before, after)| before == after)
            && below.iter().chain([&at]).all(|part| dependants[*part].iter().all(is_part))
            && !come.is_empty()
            && come.iter().all(|part| self.made[*part])
            && aside::stay_apart(come.iter().chain([&twin]).map(|part| &self.sides.new.all[*part]))
            && partitioned::make(self, twin).is_some()
    }

    /// Of several indexes that would do, a foreign key takes one, and in the database perhaps not the one of the copy.
    fn is_referred_to_anew(&self, old_table: usize, new_table: usize) -> bool {
        let refers = |objects: &Objects, key: &Object, table: usize| {
            let is_there = |on: &usize| {
                let is_key = matches!(objects.all[*on].kind, Kind::Constraint | Kind::Index);
                objects.root(*on) == table && (key.parent != Some(table) || is_key)
            };
            key.kind == Kind::Constraint && key.detail("type") == "f" && key.depends.iter().any(is_there)
        };
        let (old, new) = (self.sides.old, self.sides.new);
        let goes = |at: usize| matches!(self.fates[at], Fate::Gone | Fate::Rebuild);
        let mut before = old.all.iter().enumerate();
        let mut after = new.all.iter().enumerate();
        before.any(|(at, key)| goes(at) && refers(old, key, old_table))
            || after.any(|(at, key)| self.made[at] && refers(new, key, new_table))
    }
}

/// What a unique index or a key keeps apart, whatever its name.
pub(super) fn rows(object: &Object) -> Option<String> {
    let statements = online::built_as(object, MEANWHILE).filter(|_| online::is_built_apart(object))?;
    let rows = statements.first()?.strip_prefix("CREATE UNIQUE ")?;
    Some(rows.replacen(" USING btree ", " ", 1))
}

/// True where nothing is said of an index that would have to be said of the key anew.
pub(super) fn can_become_key(index: &Object) -> bool {
    index.comment.is_none() && index.facets().all(|(_, facet)| facet.2)
}

/// The key is made from the index as it is, and the index gets its name.
pub(super) fn become_key(index: &Object, key: &Object) -> Change {
    let mut change = Change::default();
    match online::built_as(key, &index.name).as_deref() {
        Some([_, add]) if can_become_key(index) && rows(index) == rows(key) => change.push(add),
        _ => change.rebuild = true,
    }
    change
}

/// Turns the step that makes the new one into one that puts it in the place of the old one.
pub(super) fn replace(step: &mut Step, old: &Object, new: &Object, meanwhile: &str) {
    let rest = step.statements.split_off(1);
    step.statements.insert(0, Sql::from_server(old.drop.clone()));
    let drop = old.drop.replacen("DROP INDEX ", "DROP INDEX CONCURRENTLY ", 1);
    let statements = online::built_as(new, meanwhile).map(|mut statements| match new.kind {
        Kind::Index => [statements, vec![drop, online::renamed(new, meanwhile)]].concat(),
        _ if old.kind == Kind::Index => {
            statements.insert(1, drop);
            statements
        }
        // One statement, so that the table is never without its key.
        _ => {
            let alter = format!("{} ", new.alter.as_deref().unwrap_or_default());
            let over = |text: String| match text.strip_prefix(&alter) {
                Some(adds) => format!("{}, {adds}", old.drop),
                None => text,
            };
            statements.into_iter().map(over).collect()
        }
    });
    let statements = statements.unwrap_or_default().into_iter().map(Sql::from_server);
    step.online = statements.chain(rest.iter().cloned()).collect();
    step.statements.extend(rest);
}
