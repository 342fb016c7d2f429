//! What becomes of tables above and below each other, and of what they have in common: partitions, and those that inherit.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object};
use crate::diff::family;
use crate::diff::fate::{Fate, Work};

impl Work<'_> {
    /// A check that a child has as well, declared there or not, gets its new name along with the parents'.
    pub(super) fn rename_from_above(&mut self) {
        let (old, new) = (self.sides.old, self.sides.new);
        let renamed = |at: usize| {
            let after = &new.all[self.twins[at]?].name;
            let is_one = old.all[at].kind == Kind::Constraint && self.fates[at] == Fate::Alter;
            (is_one && old.all[at].name != *after).then_some(after)
        };
        let comes_along = |at: &usize| {
            let to = renamed(*at);
            to.is_some() && family::checks_above(old, *at).into_iter().any(|above| renamed(above) == to)
        };
        let along: Vec<usize> = self.changes.keys().copied().filter(comes_along).collect();
        for at in along {
            let Some(change) = self.changes.get_mut(&at) else { continue };
            change.statements.remove(0);
            if change.is_none() {
                self.changes.remove(&at);
                self.fates[at] = Fate::Keep;
            }
        }
    }

    /// Where a child has a column from several tables, none of these gives it another type alone: the child is taken off meanwhile.
    pub(super) fn take_off_shared(&mut self) {
        let old = self.sides.old;
        let shared = |at: &usize| {
            let object = &old.all[*at];
            object.kind == Kind::Column
                && object.details["inherit_count"].as_i64() > Some(1)
                && self.changes[at].disturbs
                && object.parent.is_some_and(|table| family::origins(old, table, &object.name).len() > 1)
        };
        let tables: BTreeSet<Option<usize>> =
            self.changes.keys().filter(|at| shared(at)).map(|at| old.all[*at].parent).collect();
        let is_link =
            |at: &usize| old.all[*at].kind == Kind::Inheritance && tables.contains(&old.all[*at].parent);
        let links: Vec<usize> = (0..old.all.len()).filter(|_| !tables.is_empty()).filter(is_link).collect();
        for link in links {
            self.rebuild(link);
        }
    }

    /// What a child has in a primary key of its own, or as an identity, holds no NULL, and cannot be allowed to along with its parents': it is taken
    /// off meanwhile.
    pub(super) fn take_off_demanding(&mut self) {
        let (old, new) = (self.sides.old, self.sides.new);
        let stays = |at: usize| matches!(self.fates[at], Fate::Keep | Fate::Alter);
        let is_key = |(at, object): &(usize, &Object)| {
            object.kind == Kind::Constraint && object.detail("type") == "p" && stays(*at)
        };
        let keys = old.all.iter().enumerate().filter(is_key);
        let in_keys: BTreeSet<usize> = keys.flat_map(|(_, key)| key.depends.iter().copied()).collect();
        let (mut loosened, mut demanding) = (Vec::new(), Vec::new());
        for (at, column) in old.all.iter().enumerate().filter(|(_, object)| object.kind == Kind::Column) {
            let Some(after) = self.twins[at].filter(|_| stays(at)).map(|twin| &new.all[twin]) else {
                continue;
            };
            if column.is("not_null") && !after.is("not_null") {
                loosened.push(column);
            } else if after.is("not_null") && (in_keys.contains(&at) || !after.detail("identity").is_empty())
            {
                demanding.push(column);
            }
        }
        let is_held = |link: &Object| {
            loosened.iter().any(|above| {
                let same = |below: &&Object| below.parent == link.parent && below.name == above.name;
                above.parent != link.parent
                    && above.parent.is_some_and(|table| link.depends.contains(&table))
                    && demanding.iter().any(same)
            })
        };
        let is_link = |at: &usize| family::is_link(&old.all[*at]) && stays(*at) && is_held(&old.all[*at]);
        let links: Vec<usize> = (0..old.all.len()).filter(is_link).collect();
        for link in links {
            self.rebuild(link);
        }
    }

    /// A new child has the checks of its parents, validated; where its own is not to be, the parents' is made anew after it.
    pub(super) fn unvalidate_from_above(&mut self) {
        let new = self.sides.new;
        let below = |at: &usize| {
            family::is_unvalidated_below(&new.all[*at]) && {
                let old = self.old_of(*at);
                old.map_or(self.made[new.root(*at)], |old| self.fates[old] == Fate::Rebuild)
            }
        };
        let below: Vec<usize> = (0..new.all.len()).filter(below).collect();
        for at in below {
            for above in family::checks_above(new, at) {
                let old = self.old_of(above);
                old.and_then(|old| self.rebuild(old));
            }
        }
    }

    /// True for a partition that one statement makes: to an index that is there, it would bring one of its own, and not its key.
    /// `keys` are all such keys, with those indexes.
    pub(in crate::diff) fn comes_in_one(&self, link: usize, keys: &[(usize, usize)]) -> bool {
        let new = self.sides.new;
        let mut of_it = keys.iter().filter(|(key, _)| new.all[*key].parent == new.all[link].parent);
        of_it.all(|(_, index)| self.made[*index]) && family::same_columns(new, link)
    }

    /// What is attached to an index goes with it, and it with what is attached. What is to be attached otherwise is made anew.
    pub(super) fn tie_attached(&mut self, dependants: &mut [Vec<usize>]) {
        let (old, new) = (self.sides.old, self.sides.new);
        let taken_off = self.taken_off();
        let goes_along = |index: &Object| {
            index.kind == Kind::Index && index.parent.is_some_and(|table| !taken_off.contains(&table))
        };
        for (at, index) in old.all.iter().enumerate().filter(|(_, object)| goes_along(object)) {
            let above = old.by_key.get(&(Kind::Index, index.detail("index_parent").to_owned()));
            above.iter().for_each(|above| dependants[**above].push(at));
        }
        let wanted = family::attached_constraints(new);
        for (constraint, index) in family::attached_constraints(old) {
            if let (Some(one), Some(other)) = (self.twins[constraint], self.twins[index])
                && !wanted.contains(&(one, other))
            {
                self.rebuild(index);
            }
            dependants[index].push(constraint);
            dependants[constraint].push(index);
        }
        self.tie_to_indexes_above(dependants);
        self.tie_to_keys_above(dependants);
        // Where an index of the partition is attached, there is no place for a constraint.
        for (constraint, index) in wanted {
            let above = |object: &Object| {
                let key = (Kind::Index, object.detail("index_parent").to_owned());
                old.by_key.get(&key).copied().filter(|above| self.twins[*above] == Some(index))
            };
            let table = |object: &Object| object.parent.and_then(|table| self.twins[table]);
            let indexes = old.all.iter().filter(|object| object.kind == Kind::Index);
            let mut taken = indexes.filter(|object| table(object) == new.all[constraint].parent);
            if let Some(above) = taken.find_map(above) {
                self.rebuild(above);
            }
        }
    }

    /// As long as a table is a partition, an index of it cannot leave the index that it is attached to: that goes along with it.
    fn tie_to_indexes_above(&mut self, dependants: &mut [Vec<usize>]) {
        let (old, new) = (self.sides.old, self.sides.new);
        let (above, wanted) = (family::indexes_above(old), family::indexes_above(new));
        let stays = |at: &usize| matches!(self.fates[*at], Fate::Keep | Fate::Alter);
        let links = old.all.iter().enumerate().filter(|(at, link)| link.kind == Kind::Partition && stays(at));
        let partitions: BTreeSet<usize> = links.filter_map(|(_, link)| link.parent).collect();
        for (index, parent) in above {
            if old.all[index].parent.is_some_and(|table| partitions.contains(&table)) {
                let leaves = |twin: usize| wanted.get(&twin).copied() != self.twins[parent];
                if self.twins[index].is_some_and(leaves) && self.twins[parent].is_some() {
                    self.rebuild(parent);
                }
                dependants[index].push(parent);
                if old.all[index].inherited {
                    dependants[parent].push(index);
                }
            }
        }
    }

    /// A foreign key that a partition has from its table goes with that one, also where it is to be the partition's own.
    fn tie_to_keys_above(&self, dependants: &mut [Vec<usize>]) {
        let old = self.sides.old;
        let taken_off = self.taken_off();
        for (key, above) in family::foreign_keys_above(old) {
            if old.all[key].parent.is_some_and(|table| !taken_off.contains(&table)) {
                dependants[above].push(key);
            }
        }
    }
}
