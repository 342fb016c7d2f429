//! The order of the work: what is dropped goes after what depends on it, what is made comes after what it depends on.

mod edges;
mod families;
mod losses;
mod merge;
mod narrow;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::{Fate, Work};
use crate::diff::{column, not_null};

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
    graph.connect_references();
    graph.connect_new();
    graph.connect_both();
    graph.connect_event_triggers();
    graph.merge_drops();
    graph.merge_makes();
    graph.sort()
}

/// The rank of what can wait for all else.
const LAST: u8 = 5;

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

    /// The edges between groups, without wishes that cannot be had: they would hold somebody up.
    fn edges_between(&self, root: impl Fn(usize) -> usize) -> Vec<(usize, usize, bool)> {
        let edges = self.edges.iter().map(|(first, second, soft)| (root(*first), root(*second), *soft));
        let mut edges: Vec<_> = edges.collect();
        let certain: HashSet<(usize, usize)> =
            edges.iter().filter(|edge| !edge.2).map(|(first, second, _)| (*first, *second)).collect();
        edges.retain(|(first, second, soft)| !soft || !certain.contains(&(*second, *first)));
        edges
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
        for (first, second, soft) in self.edges_between(root) {
            // A table is set aside before its partitions go.
            if let (Act::Finish(whole), Act::Drop(aside)) = (self.acts[first], self.acts[second])
                && whole == aside
            {
                continue;
            }
            if first != second && after[first].insert((second, soft)) {
                let wait = &mut waits[second];
                *(if soft { &mut wait.1 } else { &mut wait.0 }) += 1;
            }
        }
        let losses = self.losses(&after, &members);
        let rank = |act: usize| match self.acts[act] {
            Act::Drop(at) if losses.contains(&act) => (LAST, u16::MAX, at),
            other => self.rank(other),
        };
        let mut ready = BinaryHeap::new();
        let mut open: BTreeSet<usize> = (0..count).filter(|act| root(*act) == *act).collect();
        for act in open.iter().filter(|act| waits[**act] == (0, 0)) {
            ready.push(Reverse((rank(*act), *act)));
        }
        let mut sorted = Vec::new();
        while !open.is_empty() {
            let next = match ready.pop() {
                Some(Reverse((_, act))) if !open.contains(&act) => continue,
                Some(Reverse((rank, act))) if rank.0 < LAST => act,
                last => {
                    let last = last.map(|Reverse((_, act))| act);
                    // What can wait does, even for a circle; of a circle, the one that waits for the least that is certain begins.
                    let others = open.iter().copied().filter(|act| rank(*act).0 < LAST);
                    let others: Vec<usize> = others.collect();
                    let held =
                        if others.is_empty() { HashSet::new() } else { behind_last(&open, &after, rank) };
                    let first = |acts: &mut dyn Iterator<Item = usize>| {
                        acts.min_by_key(|act| (waits[*act], rank(*act)))
                    };
                    let other = first(&mut others.into_iter().filter(|act| !held.contains(act)));
                    if let (Some(_), Some(last)) = (other, last) {
                        ready.push(Reverse((rank(last), last)));
                    }
                    match other.or(last).or_else(|| first(&mut open.iter().copied())) {
                        Some(act) => act,
                        None => break,
                    }
                }
            };
            open.remove(&next);
            sorted.push(next);
            for (second, soft) in &after[next] {
                let wait = &mut waits[*second];
                *(if *soft { &mut wait.1 } else { &mut wait.0 }) -= 1;
                if *wait == (0, 0) && open.contains(second) {
                    ready.push(Reverse((rank(*second), *second)));
                }
            }
        }
        let mut place = vec![0; count];
        for (at, act) in sorted.iter().enumerate() {
            place[*act] = at;
        }
        let then = |act: &usize| after[*act].iter().map(|(second, _)| place[*second]).collect();
        let then: Vec<Vec<usize>> = sorted.iter().map(then).collect();
        let can_wait: Vec<bool> = sorted.iter().map(|act| rank(*act).0 == LAST).collect();
        let group = |act: usize| Group { act: self.acts[act], members: std::mem::take(&mut members[act]) };
        narrow::narrow(self.work, sorted.into_iter().map(group).collect(), &then, &can_wait)
    }

    /// True for an index or a constraint that is new on a table that is there.
    fn can_wait(&self, at: usize) -> bool {
        let new = self.new_side();
        let object = &new.all[at];
        let is_new = || self.old().find(&object.key()).is_none();
        let can_wait = match object.kind {
            Kind::Index => !object.is("unique") || is_new(),
            Kind::Constraint => is_new(),
            _ => false,
        };
        can_wait && !object.inherited && !self.work.made[new.root(at)]
    }

    /// Where nothing else decides: first what goes, then what changes, then what comes.
    fn rank(&self, act: Act) -> (u8, u16, usize) {
        match act {
            // What is made before them does not get them, and does not set them off.
            Act::Alter(_, at) | Act::Make(at)
                if matches!(self.new_side().all[at].kind, Kind::DefaultPrivileges | Kind::EventTrigger) =>
            {
                (4, 0, at)
            }
            Act::Drop(at) if self.work.goes_last.contains(&at) => (LAST, u16::MAX, at),
            // What a commit is needed for, or others need not wait for: before and after what belongs together.
            Act::Drop(at) if self.old().all[at].kind == Kind::Index => (0, 0, at),
            Act::Alter(from, at) if self.work.changes.get(&from).is_some_and(|change| change.commits) => {
                (0, 1, at)
            }
            Act::Alter(from, at) if self.work.swapped.contains_key(&from) => {
                (LAST, self.new_side().all[at].kind as u16, at)
            }
            Act::Make(at) if self.can_wait(at) => (LAST, self.new_side().all[at].kind as u16, at),
            Act::Drop(at) => (0, u16::MAX - self.old().all[at].kind as u16, usize::MAX - at),
            Act::Alter(_, at) => (1, self.new_side().all[at].kind as u16, at),
            Act::Make(at) => (2, self.new_side().all[at].kind as u16, at),
            Act::Finish(at) => (3, 0, at),
        }
    }
}

/// What comes after something that can wait.
fn behind_last(
    open: &BTreeSet<usize>,
    after: &[BTreeSet<(usize, bool)>],
    rank: impl Fn(usize) -> (u8, u16, usize),
) -> HashSet<usize> {
    let mut held = HashSet::new();
    let mut heads: Vec<usize> = open.iter().copied().filter(|act| rank(*act).0 >= LAST).collect();
    while let Some(act) = heads.pop() {
        heads.extend(after[act].iter().map(|(second, _)| *second).filter(|second| held.insert(*second)));
    }
    held
}

/// The name space of relations.
pub(super) const RELATIONS: u8 = 0;

/// The name spaces in which an object takes a name: relations share one in a schema, types another.
pub(super) fn name_spaces(objects: &Objects, object: &Object) -> Vec<(u8, String)> {
    let schema = || super::compare::quoted(object.schema.as_deref().unwrap_or_default());
    let full = || format!("{}.{}", schema(), super::compare::quoted(&object.name));
    match object.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::CompositeType => {
            vec![(RELATIONS, full()), (1, full())]
        }
        // While it is made, no type may have its name.
        Kind::Sequence => vec![(RELATIONS, full()), (1, full())],
        Kind::Index => vec![(RELATIONS, full())],
        Kind::Range => {
            let multirange = object.details["multirange"][0].as_str();
            std::iter::once(full()).chain(multirange.map(str::to_owned)).map(|name| (1, name)).collect()
        }
        Kind::Enum | Kind::Domain | Kind::BaseType | Kind::ShellType => vec![(1, full())],
        Kind::Constraint => {
            let table = object.parent.map(|parent| objects.all[parent].identity.clone()).unwrap_or_default();
            let mut spaces = vec![(2, format!("{table} {}", object.name))];
            if matches!(object.detail("type"), "p" | "u" | "x") {
                spaces.push((RELATIONS, full()));
            }
            if object.detail("type") == "p" {
                spaces.push((3, table));
            }
            spaces
        }
        Kind::Column => {
            let table = object.parent.map(|parent| objects.all[parent].identity.as_str()).unwrap_or_default();
            let sequence = column::identity_sequence(object)
                .map(|name| [(RELATIONS, name.to_owned()), (1, name.to_owned())]);
            let not_null = not_null::own_name(object).map(|name| (2, format!("{table} {name}")));
            sequence.into_iter().flatten().chain(not_null).collect()
        }
        Kind::Function | Kind::Procedure | Kind::Aggregate => vec![(4, object.identity.clone())],
        _ => Vec::new(),
    }
}
