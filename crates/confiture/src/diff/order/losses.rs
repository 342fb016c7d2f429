//! What takes rows and values along goes when all else is done: until then, a plan that rows have stopped has lost none.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::Fate;
use crate::diff::order::{Act, Graph};

impl Graph<'_> {
    /// Drops that lose rows or values, and those that come after them, as far as nothing else waits for any of them. None where
    /// there are event triggers, whose functions run with each statement: what they read nobody knows.
    pub(super) fn losses(&self, after: &[BTreeSet<(usize, bool)>], members: &[Vec<Act>]) -> HashSet<usize> {
        let listens = |objects: &Objects| objects.all.iter().any(|object| object.kind == Kind::EventTrigger);
        if listens(self.old()) || listens(self.new_side()) {
            return HashSet::new();
        }
        let families = self.families();
        let mut wait: HashSet<usize> = (0..self.acts.len())
            .filter(|act| self.merged[*act] == *act)
            .filter(|act| self.goes_by_itself(self.acts[*act], &members[*act], &families))
            .collect();
        loop {
            let free = |act: &usize| after[*act].iter().all(|(then, _)| wait.contains(then));
            let free: HashSet<usize> = wait.iter().copied().filter(free).collect();
            if free.len() == wait.len() {
                break;
            }
            wait = free;
        }
        let loses = |act: &usize| dropped(self.acts[*act]).is_some_and(|at| loses(&self.old().all[at]));
        let mut open: Vec<usize> = wait.iter().copied().filter(loses).collect();
        let mut losses = HashSet::new();
        while let Some(act) = open.pop() {
            if losses.insert(act) {
                open.extend(after[act].iter().map(|(then, _)| *then));
            }
        }
        losses
    }

    /// True for what nobody notices while it is still there: it belongs to no family, and what it stands on does not change.
    fn goes_by_itself(&self, act: Act, members: &[Act], families: &HashSet<usize>) -> bool {
        use Kind::{Column, CompositeType, Default, Domain, Enum, Sequence, SequenceOwner, Table};
        let old = self.old();
        let Some(at) = dropped(act) else { return false };
        let kind = old.all[at].kind;
        matches!(kind, Table | Column | Sequence | SequenceOwner | Default | Enum | Domain | CompositeType)
            && self.work.fates[at] == Fate::Gone
            && !self.work.stays_below.contains(&at)
            && !families.contains(&old.root(at))
            && members.iter().filter_map(|act| dropped(*act)).chain([at]).all(|at| {
                let others = old.all[at].depends.iter().map(|on| (*on, old.root(*on)));
                let mut others = others.filter(|(_, root)| *root != old.root(at));
                // A column with the rows of a table keeps the server from rewriting that.
                let has_rows = |on: usize| old.all[at].kind == Column && old.all[on].kind == Table;
                let changes = |on: usize| matches!(self.work.fates[on], Fate::Alter | Fate::Rebuild);
                others.all(|(on, root)| !has_rows(on) && !changes(root))
            })
    }

    /// Old tables that are, or come to be, parents or children.
    fn families(&self) -> HashSet<usize> {
        let tables = |objects: &Objects| -> Vec<usize> {
            let links =
                objects.all.iter().filter(|one| matches!(one.kind, Kind::Inheritance | Kind::Partition));
            links.flat_map(|link| link.depends.iter().copied().chain(link.parent)).collect()
        };
        let new: HashSet<usize> = tables(self.new_side()).into_iter().collect();
        let twins = self.work.twins.iter().enumerate();
        let joins = twins.filter_map(|(at, twin)| twin.is_some_and(|twin| new.contains(&twin)).then_some(at));
        tables(self.old()).into_iter().chain(joins).collect()
    }
}

fn dropped(act: Act) -> Option<usize> {
    match act {
        Act::Drop(at) => Some(at),
        _ => None,
    }
}

/// True for what holds rows, values, or where it stands.
fn loses(object: &Object) -> bool {
    match object.kind {
        Kind::Table | Kind::Sequence => true,
        Kind::Column => object.details["generated"].is_null(),
        _ => false,
    }
}
