//! The order of the work: what is dropped goes after what depends on it, what is made comes after what it depends on.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::family::{
    attached_constraints, checks_above, indexes_above, is_link, is_unvalidated_below, same_columns,
    tables_above,
};
use crate::diff::fate::{Fate, Work};
use crate::diff::persistence;
use crate::diff::{column, family};

/// One piece of work: on an object of the old catalog, of the new, or both, by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Drops it, or sets it aside where something has to move over first.
    Drop(usize),
    /// Makes it.
    Make(usize),
    /// Alters the first into the second.
    Alter(usize, usize),
    /// Drops what was set aside.
    Finish(usize),
}

/// A piece of work and those that are done along with it.
pub(super) struct Group {
    pub(super) act: Act,
    pub(super) members: Vec<Act>,
}

/// Puts all work in order.
pub(super) fn arrange(work: &Work<'_>) -> Vec<Group> {
    let mut graph = Graph::new(work);
    graph.connect_old();
    graph.connect_new();
    graph.connect_both();
    graph.merge_drops();
    graph.merge_makes();
    graph.sort()
}

struct Graph<'a> {
    work: &'a Work<'a>,
    acts: Vec<Act>,
    drop_of: HashMap<usize, usize>,
    make_of: HashMap<usize, usize>,
    finish_of: HashMap<usize, usize>,
    /// First, then second; soft ones give way where they make a circle.
    edges: Vec<(usize, usize, bool)>,
    /// The act that does this one's work along with its own.
    merged: Vec<usize>,
}

impl<'a> Graph<'a> {
    fn new(work: &'a Work<'a>) -> Self {
        let mut graph = Self {
            work,
            acts: Vec::new(),
            drop_of: HashMap::new(),
            make_of: HashMap::new(),
            finish_of: HashMap::new(),
            edges: Vec::new(),
            merged: Vec::new(),
        };
        for (at, fate) in work.fates.iter().enumerate().filter(|(at, _)| !work.old_comes_along[*at]) {
            match (fate, work.twins[at]) {
                (Fate::Gone | Fate::Rebuild, _) => {
                    let act = graph.add(Act::Drop(at));
                    graph.drop_of.insert(at, act);
                    if work.set_aside[at] {
                        let act = graph.add(Act::Finish(at));
                        graph.finish_of.insert(at, act);
                    }
                }
                (Fate::Alter, Some(twin)) => {
                    let act = graph.add(Act::Alter(at, twin));
                    graph.make_of.insert(twin, act);
                }
                _ => {}
            }
        }
        for at in (0..work.made.len()).filter(|at| work.made[*at] && !work.new_comes_along[*at]) {
            let act = graph.add(Act::Make(at));
            graph.make_of.insert(at, act);
        }
        graph.merged = (0..graph.acts.len()).collect();
        graph
    }

    fn add(&mut self, act: Act) -> usize {
        self.acts.push(act);
        self.acts.len() - 1
    }

    fn old(&self) -> &'a Objects {
        self.work.sides.old
    }

    fn new_side(&self) -> &'a Objects {
        self.work.sides.new
    }

    /// The work that alters an old object.
    fn alter_of(&self, old: usize) -> Option<usize> {
        let act = *self.make_of.get(&self.work.twins[old]?)?;
        matches!(self.acts[act], Act::Alter(..)).then_some(act)
    }

    fn before(&mut self, first: Option<usize>, second: Option<usize>) {
        if let (Some(first), Some(second)) = (first, second) {
            self.edges.push((first, second, false));
        }
    }

    fn connect_old(&mut self) {
        let children = self.old().children();
        for (at, object) in self.old().all.iter().enumerate() {
            let drop = self.drop_of.get(&at).copied();
            let alter = self.alter_of(at);
            for on in
                &object.depends.iter().flat_map(|on| self.taken_along_by(*on, &children)).collect::<Vec<_>>()
            {
                let goes = self.drop_of.get(on).copied();
                let finish = self.finish_of.get(on).copied();
                let waits = self.work.waits_with_its_table(at).then_some(object.parent).flatten();
                let own_finish = self.finish_of.get(&waits.unwrap_or(at)).copied();
                self.before(own_finish.or(drop), finish.or(goes));
                // What only has a new name meanwhile does not mind what is left on it.
                if let (Some(drop), Some(goes)) = (drop, goes) {
                    let binds = finish.is_none() || names_types(object.kind);
                    self.edges.push((drop, goes, !binds));
                }
                if let (Some(drop), Some(altered)) = (drop, self.alter_of(*on)) {
                    let change = self.work.changes.get(on);
                    let binds = self.old().all[*on].kind == Kind::Column
                        || change.is_some_and(|change| change.disturbs);
                    self.edges.push((drop, altered, !binds));
                }
                // Where it is made anew, the altered one takes the new one over: that is an edge of the new side.
                if self.work.fates[*on] == Fate::Gone || finish.is_some() {
                    self.before(alter, finish.or(goes));
                }
            }
        }
    }

    /// The objects whose work takes an old one along: itself, or, for a column of a child, its table or the parents' columns.
    fn taken_along_by(&self, at: usize, children: &[Vec<usize>]) -> Vec<usize> {
        let old = &self.old().all;
        let table = old[at].parent.filter(|_| self.work.old_comes_along[at] && old[at].kind == Kind::Column);
        let Some(table) = table else { return vec![at] };
        if self.drop_of.contains_key(&table) {
            return vec![table];
        }
        let links = children[table].iter().map(|link| &old[*link]);
        let links = links.filter(|link| matches!(link.kind, Kind::Partition | Kind::Inheritance));
        let parents = links.flat_map(|link| &link.depends).filter(|on| **on != table);
        let same = |column: &&usize| old[**column].kind == Kind::Column && old[**column].name == old[at].name;
        let columns = parents.flat_map(|parent| children[*parent].iter().filter(same));
        columns.flat_map(|column| self.taken_along_by(*column, children)).collect()
    }

    fn connect_new(&mut self) {
        for (at, object) in self.new_side().all.iter().enumerate() {
            let made = self.make_of.get(&at).copied();
            for on in &object.depends {
                let before = self.make_of.get(on).or_else(|| self.make_of.get(&self.new_side().root(*on)));
                let before = before.copied().filter(|before| Some(*before) != made);
                if let (Some(before), Some(made)) = (before, made) {
                    self.edges.push((before, made, self.minds_nobody(before)));
                }
            }
        }
        self.connect_indexes_of_parents();
        self.connect_rows();
        self.connect_table_types();
        self.connect_logged();
        self.connect_mentions();
        self.connect_parents();
    }

    /// True for a column that stays what it is to those who use it.
    fn minds_nobody(&self, act: usize) -> bool {
        let Act::Alter(at, _) = self.acts[act] else { return false };
        let change = self.work.changes.get(&at);
        self.old().all[at].kind == Kind::Column && change.is_some_and(|change| !change.disturbs)
    }

    /// A table is taken off its parent before the columns of either change, and put to it when they fit.
    fn connect_parents(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let children = old.children();
        let mut of_table: HashMap<usize, Vec<usize>> = HashMap::new();
        for (&at, &act) in &self.make_of {
            if let (Kind::Column | Kind::Constraint, Some(table)) = (new.all[at].kind, new.all[at].parent) {
                of_table.entry(table).or_default().push(act);
            }
        }
        let mut edges = Vec::new();
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_link(&new.all[**at])) {
            let above = tables_above(new, &new.all[at].depends);
            let fits = above.iter().filter_map(|table| of_table.get(table)).flatten();
            // The constraints of the parent come down to what is put to it.
            let is_own = |first: &&usize| match self.acts[**first] {
                Act::Make(of) | Act::Alter(_, of) => {
                    new.all[of].kind == Kind::Column || new.all[of].parent == new.all[at].parent
                }
                _ => false,
            };
            edges.extend(fits.filter(is_own).map(|first| (*first, act, true)));
            edges.extend(self.names_from_above(at, &of_table));
            // What the parent loses, the child need not have.
            let parents = new.all[at].depends.iter().filter(|on| Some(**on) != new.all[at].parent);
            let parts = parents.filter_map(|table| old.find(&new.all[*table].key()));
            let lost = parts.flat_map(|(table, _)| &children[table]).filter_map(|part| {
                let drop = self.drop_of.get(part)?;
                (old.all[*part].kind == Kind::Column).then_some(*drop)
            });
            edges.extend(lost.map(|first| (first, act, true)));
        }
        for (&at, &act) in self.drop_of.iter().filter(|(at, _)| is_link(&old.all[**at])) {
            let tables = old.all[at].depends.iter().filter_map(|table| self.work.twins[*table]);
            let columns = tables.filter_map(|table| of_table.get(&table)).flatten();
            edges.extend(columns.map(|second| (act, *second, true)));
            for table in tables_above(old, &old.all[at].depends) {
                let drops = children[table].iter().filter_map(|part| self.drop_of.get(part));
                edges.extend(drops.filter(|second| **second != act).map(|second| (act, *second, true)));
            }
        }
        self.edges.extend(edges);
        self.connect_shared_columns();
    }

    /// What is put to a parent takes the names of the parent's constraints once those are there: two at the same time never get one.
    fn names_from_above(
        &self,
        link: usize,
        of_table: &HashMap<usize, Vec<usize>>,
    ) -> Vec<(usize, usize, bool)> {
        let new = self.new_side();
        let columns = |table: usize| {
            let acts = of_table.get(&table).into_iter().flatten();
            acts.filter_map(|act| match self.acts[*act] {
                Act::Make(at) | Act::Alter(_, at) if new.all[at].kind == Kind::Column => {
                    Some((new.all[at].name.as_str(), *act))
                }
                _ => None,
            })
        };
        let Some(child) = new.all[link].parent else { return Vec::new() };
        let below: HashMap<&str, usize> = columns(child).collect();
        let parents = new.all[link].depends.iter().filter(|on| **on != child);
        let above = parents.flat_map(|parent| columns(*parent));
        above.filter_map(|(name, act)| Some((act, *below.get(name)?, true))).collect()
    }

    /// A column, or a check, that a child declares as well is made there first, so that the parent's joins it, and dropped there last.
    fn connect_shared_columns(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let mut edges = Vec::new();
        for (objects, acts, child_first) in [(new, &self.make_of, true), (old, &self.drop_of, false)] {
            // What a partition gives up, it gives up before the parent's comes.
            let is_shared =
                |link: &Object| link.kind == Kind::Inheritance || child_first && link.kind == Kind::Partition;
            let kept = |at: &usize| !acts.contains_key(at) && is_shared(&objects.all[*at]);
            let children = objects.children();
            for link in (0..objects.all.len()).filter(kept) {
                let Some(child) = objects.all[link].parent else { continue };
                // What a parent gets from its own parents comes with theirs.
                let mut parents = tables_above(objects, &objects.all[link].depends);
                parents.remove(&child);
                for above in parents.iter().flat_map(|parent| &children[*parent]) {
                    let same = |below: &&usize| {
                        let (one, other) = (&objects.all[*above], &objects.all[**below]);
                        let is_check = one.kind == Kind::Constraint && one.detail("type") == "c";
                        (one.kind == Kind::Column || is_check)
                            && other.kind == one.kind
                            && one.name == other.name
                    };
                    let below = children[child].iter().find(same).and_then(|below| acts.get(below));
                    if let (Some(above), Some(below)) = (acts.get(above), below) {
                        let (first, second) = if child_first { (*below, *above) } else { (*above, *below) };
                        edges.push((first, second, false));
                    }
                }
            }
        }
        self.edges.extend(edges);
    }

    /// A partition that comes after an index which partitions lack, or have by way of a constraint, would get one of its own;
    /// and a child that comes after a constraint which is NOT VALID would have it valid.
    fn connect_indexes_of_parents(&mut self) {
        let new = self.new_side();
        let attached: HashSet<usize> =
            attached_constraints(new).into_iter().map(|(_, index)| index).collect();
        let lacks = |at: &usize| {
            let object = &new.all[*at];
            matches!(object.kind, Kind::Index | Kind::Constraint) && object.details["valid"] == false
                || object.kind == Kind::Constraint && object.details["validated"] == false
                || attached.contains(at)
        };
        let links: Vec<usize> = (0..new.all.len()).filter(|at| is_link(&new.all[*at])).collect();
        let mut edges = Vec::new();
        for (&at, &make) in self.make_of.iter().filter(|(at, _)| lacks(at)) {
            let Some(table) = new.all[at].parent else { continue };
            let below = links.iter().filter(|link| {
                new.all[**link].depends.contains(&table) && new.all[**link].parent != Some(table)
            });
            edges.extend(below.filter_map(|link| Some((*self.make_of.get(link)?, make, true))));
        }
        // A check that is not validated comes after those who are to have it so.
        let below = (0..new.all.len()).filter(|at| is_unvalidated_below(&new.all[*at]));
        for (table, at) in below.filter_map(|at| Some((*self.make_of.get(&new.all[at].parent?)?, at))) {
            let above = checks_above(new, at).into_iter().filter_map(|above| self.make_of.get(&above));
            edges.extend(above.map(|above| (table, *above, true)));
        }
        // Nor can an index be attached before it.
        let above = indexes_above(new);
        let to_above = |(at, act): (&usize, &usize)| Some((*self.make_of.get(above.get(at)?)?, *act, true));
        edges.extend(self.make_of.iter().filter_map(to_above));
        self.edges.extend(edges);
    }

    /// A table is of no type while its columns change.
    fn connect_table_types(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let is_typed = |objects: &Objects, at: &usize| objects.all[*at].kind == Kind::TableType;
        let drops: Vec<_> = self.drop_of.iter().filter(|(at, _)| is_typed(old, at)).collect();
        let makes: Vec<_> = self.make_of.iter().filter(|(at, _)| is_typed(new, at)).collect();
        let (mut edges, is_column) = (Vec::new(), |object: &Object| object.kind == Kind::Column);
        for (&at, &act) in self.drop_of.iter().filter(|(at, _)| is_column(&old.all[**at])) {
            let table = old.all[at].parent;
            let twin = table.and_then(|table| self.work.twins[table]);
            edges.extend(
                drops
                    .iter()
                    .filter(|(of, _)| old.all[**of].parent == table)
                    .map(|(_, first)| (**first, act, false)),
            );
            edges.extend(
                makes
                    .iter()
                    .filter(|(of, _)| new.all[**of].parent == twin)
                    .map(|(_, then)| (act, **then, false)),
            );
        }
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_column(&new.all[**at])) {
            let table = new.all[at].parent;
            let is_twin = |of: usize| old.all[of].parent.is_some_and(|of| self.work.twins[of] == table);
            edges
                .extend(drops.iter().filter(|(of, _)| is_twin(**of)).map(|(_, first)| (**first, act, false)));
            edges.extend(
                makes
                    .iter()
                    .filter(|(of, _)| new.all[**of].parent == table)
                    .map(|(_, then)| (act, **then, false)),
            );
        }
        self.edges.extend(edges);
    }

    /// What takes a table's row is read when the row has all its columns, and none too many.
    fn connect_rows(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let mut columns: HashMap<usize, Vec<usize>> = HashMap::new();
        let is_column = |object: &Object| object.kind == Kind::Column;
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_column(&new.all[**at])) {
            columns.entry(new.root(at)).or_default().push(act);
        }
        for (&at, &act) in self.drop_of.iter().filter(|(at, _)| is_column(&old.all[**at])) {
            let table = self.work.twins[old.root(at)].filter(|table| !self.work.made[*table]);
            table.into_iter().for_each(|table| columns.entry(table).or_default().push(act));
        }
        let is_read = |object: &Object| match object.kind {
            Kind::View | Kind::MaterializedView | Kind::Rule => true,
            Kind::Function | Kind::Procedure => object.detail("body").is_empty(),
            _ => false,
        };
        let mut edges = Vec::new();
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_read(&new.all[**at])) {
            let rows = new.all[at].depends.iter().filter_map(|table| columns.get(table));
            edges.extend(rows.flatten().map(|first| (*first, act, true)));
        }
        self.edges.extend(edges);
    }

    /// A table that is logged refers to none that is not: those that are referred to become logged first, and not logged last.
    fn connect_logged(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let persistence = |object: &Object| object.facet("persistence").map(|facet| facet.0.clone());
        let altered: HashMap<usize, (usize, bool)> = (self.make_of.iter())
            .filter_map(|(&twin, &act)| {
                let Act::Alter(at, _) = self.acts[act] else { return None };
                let (before, after) = (persistence(&old.all[at])?, persistence(&new.all[twin])?);
                (new.all[twin].kind == Kind::Table && before != after).then(|| (twin, (act, after == "u")))
            })
            .collect();
        let keys = new.all.iter().filter(|key| key.kind == Kind::Constraint && key.detail("type") == "f");
        let mut edges = Vec::new();
        for (key, referrer) in keys.filter_map(|key| Some((key, key.parent?))) {
            let Some(&(from, is_unlogged)) = altered.get(&referrer) else { continue };
            let referred = key.depends.iter().map(|on| new.root(*on)).filter(|table| *table != referrer);
            for (to, _) in referred.filter_map(|table| altered.get(&table)) {
                edges.push(if is_unlogged { (from, *to, false) } else { (*to, from, false) });
            }
        }
        self.edges.extend(edges);
    }

    /// What the text of a function mentions should be there before the function can be called, by an index or a default.
    fn connect_mentions(&mut self) {
        let is_routine = |object: &Object| matches!(object.kind, Kind::Function | Kind::Procedure);
        let named = |object: &Object| {
            is_routine(object)
                || matches!(object.kind, Kind::Table | Kind::View | Kind::MaterializedView | Kind::Aggregate)
        };
        let objects = &self.new_side().all;
        let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
        for &at in self.make_of.keys() {
            if named(&objects[at]) {
                names.entry(objects[at].name.as_str()).or_default().push(at);
            }
        }
        for (&at, &act) in &self.make_of {
            let object = &objects[at];
            if is_routine(object) && !object.detail("body").is_empty() {
                let words = object.detail("body").split(|c: char| !c.is_alphanumeric() && c != '_');
                let words: HashSet<&str> = words.collect();
                let mentioned = words.iter().filter_map(|word| names.get(word)).flatten();
                let edges: Vec<_> = mentioned.filter(|on| **on != at).map(|on| self.make_of[on]).collect();
                self.edges.extend(edges.into_iter().map(|first| (first, act, true)));
            }
        }
    }

    /// A name is free before it is taken again; what was set aside goes last.
    fn connect_both(&mut self) {
        let mut free: HashMap<(u8, String), Vec<usize>> = HashMap::new();
        for (&at, &drop) in &self.drop_of {
            for space in name_spaces(self.old(), &self.old().all[at]) {
                free.entry(space).or_default().push(drop);
            }
        }
        for (&twin, &act) in &self.make_of {
            if let Act::Alter(at, _) = self.acts[act] {
                // A new name, or an identity's sequence, that the alteration gives up.
                let (before, after) = (&self.old().all[at], &self.new_side().all[twin]);
                let kept = name_spaces(self.new_side(), after);
                for space in name_spaces(self.old(), before).into_iter().filter(|space| !kept.contains(space))
                {
                    free.entry(space).or_default().push(act);
                }
            }
        }
        let keys = persistence::keys(self.work.sides, &self.work.twins);
        for between in &keys {
            if !self.drop_of.contains_key(&between.key) {
                self.before(self.alter_of(between.first), self.alter_of(between.second));
            }
        }
        let mut edges = Vec::new();
        for (&at, &make) in &self.make_of {
            for space in name_spaces(self.new_side(), &self.new_side().all[at]) {
                let firsts = free.get(&space).into_iter().flatten().filter(|first| **first != make);
                edges.extend(firsts.map(|first| (*first, make, matches!(self.acts[*first], Act::Alter(..)))));
            }
        }
        for (at, twin) in self.work.twins.iter().enumerate() {
            if let (Some(&drop), Some(twin)) = (self.drop_of.get(&at), twin) {
                let make = self.make_of.get(twin).copied();
                edges.extend(make.map(|make| (drop, make, false)));
                if let (Some(&finish), Some(make)) = (self.finish_of.get(&at), make) {
                    edges.push((make, finish, false));
                }
            }
        }
        self.edges.extend(edges);
    }

    /// What goes with its parent needs no statement of its own.
    fn merge_drops(&mut self) {
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
        let parents = family::parents(self.old());
        let drops: Vec<(usize, usize)> = self.drop_of.iter().map(|(at, act)| (*at, *act)).collect();
        for (at, act) in drops {
            let object = &self.old().all[at];
            // The rows of a partition go over with those of its table.
            if let Some(finish) = self.finish_of_whole(at) {
                self.merged[act] = finish;
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
                Kind::Index if !taken_off.contains(&object.parent) => {
                    let above = (Kind::Index, object.detail("index_parent").to_owned());
                    let above = self.old().by_key.get(&above).copied();
                    above.filter(|above| self.drop_of.contains_key(above)).or(object.parent)
                }
                Kind::Column | Kind::Default | Kind::SequenceOwner => object.parent,
                _ => object.parent,
            };
            if let Some(parent) = parent
                && let Some(&with) = self.drop_of.get(&parent)
                && !stays(self.old().root(parent))
                && !leads_back(self.old(), &parents, at, self.old().root(parent), |on| {
                    self.drop_of.contains_key(&on)
                })
            {
                self.merged[act] = with;
            }
        }
    }

    /// Where a partition goes whose table is set aside: what is left of that takes it along.
    fn finish_of_whole(&self, at: usize) -> Option<usize> {
        let old = self.old();
        if old.all[at].kind != Kind::Table || !old.all[at].is("is_partition") {
            return None;
        }
        let link = (0..old.all.len())
            .find(|link| old.all[*link].kind == Kind::Partition && old.all[*link].parent == Some(at))?;
        let whole =
            *old.all[link].depends.iter().find(|on| **on != at && old.all[**on].kind == Kind::Table)?;
        let goes = self.drop_of.contains_key(&at) && self.work.fates[at] == Fate::Gone;
        let finish = self.finish_of.get(&whole).copied().or_else(|| self.finish_of_whole(whole));
        finish.filter(|_| goes)
    }

    /// The column that owns a sequence.
    fn owner_of(&self, sequence: usize) -> Option<usize> {
        let key = (Kind::SequenceOwner, self.old().all[sequence].identity.clone());
        self.old().find(&key)?.1.parent
    }

    /// The base type that cannot go without a function, nor it without the type.
    fn type_served_by(&self, function: &Object) -> Option<usize> {
        let name = function.detail("base_type");
        self.old().by_key.get(&(Kind::BaseType, name.to_owned())).copied().filter(|_| !name.is_empty())
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

    /// Columns, defaults and most constraints are written into the statement that makes their table.
    fn merge_makes(&mut self) {
        let mut makes: Vec<(usize, usize)> = self.make_of.iter().map(|(at, act)| (*at, *act)).collect();
        let parents = family::parents(self.new_side());
        // Columns before their defaults: a default follows its column wherever that has gone.
        makes.sort_by_key(|(at, _)| (self.new_side().all[*at].kind, *at));
        for (at, act) in makes {
            let object = &self.new_side().all[at];
            let Some(parent) = object.parent else { continue };
            let Some(&with) = self.make_of.get(&parent) else { continue };
            let fits = match object.kind {
                Kind::Column | Kind::Default | Kind::ViewColumn | Kind::Attribute | Kind::TableType => true,
                Kind::Constraint => {
                    object.detail("type") != "f"
                        && !object.defined().ends_with(" NOT VALID")
                        && object.is("valid")
                }
                Kind::DomainConstraint => !object.defined().ends_with(" NOT VALID"),
                Kind::Partition => same_columns(self.new_side(), at),
                // Where it computes what the parent holds, only a table that is there can join.
                Kind::Inheritance => {
                    let computes = |column: &&Object| {
                        column.kind == Kind::Column
                            && column.parent == Some(parent)
                            && column.is("local")
                            && column.details["inherit_count"].as_i64() > Some(0)
                            && !column.details["generated"].is_null()
                    };
                    !self.new_side().all.iter().any(|column| computes(&column))
                }
                _ => false,
            };
            let makes_both = matches!((self.acts[act], self.acts[with]), (Act::Make(_), Act::Make(_)));
            let root = self.new_side().root(at);
            if fits
                && makes_both
                && !leads_back(self.new_side(), &parents, at, root, |on| self.make_of.contains_key(&on))
            {
                self.merged[act] = self.merged[with];
            }
        }
    }

    fn sort(self) -> Vec<Group> {
        let count = self.acts.len();
        let root = |mut act: usize| {
            while self.merged[act] != act {
                act = self.merged[act];
            }
            act
        };
        let mut members: Vec<Vec<Act>> = vec![Vec::new(); count];
        for act in (0..count).filter(|act| root(*act) != *act) {
            members[root(act)].push(self.acts[act]);
        }
        let mut after: Vec<BTreeSet<(usize, bool)>> = vec![BTreeSet::new(); count];
        let mut waits = vec![(0_usize, 0_usize); count];
        for (first, second, soft) in &self.edges {
            let (first, second) = (root(*first), root(*second));
            // A table is set aside before its partitions go.
            if let (Act::Finish(whole), Act::Drop(aside)) = (self.acts[first], self.acts[second])
                && whole == aside
            {
                continue;
            }
            if first != second && after[first].insert((second, *soft)) {
                let wait = &mut waits[second];
                *(if *soft { &mut wait.1 } else { &mut wait.0 }) += 1;
            }
        }
        let rank = |act: usize| self.rank(self.acts[act]);
        let mut ready = BinaryHeap::new();
        let mut open: BTreeSet<usize> = (0..count).filter(|act| root(*act) == *act).collect();
        for act in open.iter().filter(|act| waits[**act] == (0, 0)) {
            ready.push(Reverse((rank(*act), *act)));
        }
        let mut sorted = Vec::new();
        while !open.is_empty() {
            let next = match ready.pop() {
                Some(Reverse((_, act))) if !open.contains(&act) => continue,
                Some(Reverse((_, act))) => act,
                // A circle: the one that waits for the least that is certain begins.
                None => match open.iter().copied().min_by_key(|act| (waits[*act], rank(*act))) {
                    Some(act) => act,
                    None => break,
                },
            };
            open.remove(&next);
            sorted.push(Group { act: self.acts[next], members: std::mem::take(&mut members[next]) });
            for (second, soft) in &after[next] {
                let wait = &mut waits[*second];
                *(if *soft { &mut wait.1 } else { &mut wait.0 }) -= 1;
                if *wait == (0, 0) && open.contains(second) {
                    ready.push(Reverse((rank(*second), *second)));
                }
            }
        }
        sorted
    }

    /// Where nothing else decides: first what goes, then what changes, then what comes.
    fn rank(&self, act: Act) -> (u8, u16, usize) {
        match act {
            // What is made before them does not get them.
            Act::Alter(_, at) | Act::Make(at) if self.new_side().all[at].kind == Kind::DefaultPrivileges => {
                (4, 0, at)
            }
            Act::Drop(at) => (0, u16::MAX - self.old().all[at].kind as u16, usize::MAX - at),
            Act::Alter(_, at) => (1, self.new_side().all[at].kind as u16, at),
            Act::Make(at) => (2, self.new_side().all[at].kind as u16, at),
            Act::Finish(at) => (3, 0, at),
        }
    }
}

/// Kinds whose statements name the types of their arguments.
fn names_types(kind: Kind) -> bool {
    use Kind::{Aggregate, Cast, Function, Operator, OperatorFamilyMember, Procedure, Transform};
    matches!(kind, Aggregate | Cast | Function | Operator | OperatorFamilyMember | Procedure | Transform)
}

/// True where something that `at` depends on outside of its table depends on that table, or is below it: then it cannot be made
/// in one go.
fn leads_back(
    objects: &Objects,
    parents: &HashMap<usize, BTreeSet<usize>>,
    at: usize,
    table: usize,
    works: impl Fn(usize) -> bool,
) -> bool {
    let outside = |on: &&usize| objects.root(**on) != table;
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
        open.extend(parents.get(&on).into_iter().flatten());
    }
    false
}

/// The name spaces in which an object takes a name: relations share one in a schema, types another.
pub(super) fn name_spaces(objects: &Objects, object: &Object) -> Vec<(u8, String)> {
    let schema = || super::compare::quoted(object.schema.as_deref().unwrap_or_default());
    let full = || format!("{}.{}", schema(), super::compare::quoted(&object.name));
    match object.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::CompositeType => {
            vec![(0, full()), (1, full())]
        }
        Kind::Sequence | Kind::Index => vec![(0, full())],
        Kind::Range => {
            let multirange = object.details["multirange"][0].as_str();
            std::iter::once(full()).chain(multirange.map(str::to_owned)).map(|name| (1, name)).collect()
        }
        Kind::Enum | Kind::Domain | Kind::BaseType | Kind::ShellType => vec![(1, full())],
        Kind::Constraint => {
            let table = object.parent.map(|parent| objects.all[parent].identity.clone()).unwrap_or_default();
            let mut spaces = vec![(2, format!("{table} {}", object.name))];
            if matches!(object.detail("type"), "p" | "u" | "x") {
                spaces.push((0, full()));
            }
            if object.detail("type") == "p" {
                spaces.push((3, table));
            }
            spaces
        }
        Kind::Column => {
            column::identity_sequence(object).map(|name| (0, name.to_owned())).into_iter().collect()
        }
        Kind::Function | Kind::Procedure | Kind::Aggregate => vec![(4, object.identity.clone())],
        _ => Vec::new(),
    }
}
