//! The order among tables above and below each other: partitions, and those that inherit.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::family::{
    self, attached_constraints, checks_above, indexes_above, is_link, is_unvalidated_below, tables_above,
};
use crate::diff::not_null;
use crate::diff::order::{Act, Graph, name_spaces};

/// However long the names of a table and a column are, the name of an index has at least as much of the table's.
const SHORTEST: usize = 28;

impl Graph<'_> {
    /// A table is taken off its parent before the columns of either change, and put to it when they fit.
    pub(super) fn connect_parents(&mut self) {
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
                        let child_first = child_first && !self.gives_up_not_null(*below);
                        let (first, second) = if child_first { (*below, *above) } else { (*above, *below) };
                        edges.push((first, second, false));
                    }
                }
            }
        }
        self.edges.extend(edges);
    }

    /// True where a column gives up a NOT NULL that only a parent has brought: while the parent has it, the child cannot.
    fn gives_up_not_null(&self, act: usize) -> bool {
        let Act::Alter(before, after) = self.acts[act] else { return false };
        not_null::is_only_inherited(&self.old().all[before]) && !self.new_side().all[after].is("not_null")
    }

    /// A partition that comes after an index which partitions lack, or have by way of a constraint, would get one of its own.
    pub(super) fn connect_indexes_of_parents(&mut self) {
        let new = self.new_side();
        let attached: HashSet<usize> =
            attached_constraints(new).into_iter().map(|(_, index)| index).collect();
        let lacks = |at: &usize| {
            let object = &new.all[*at];
            matches!(object.kind, Kind::Index | Kind::Constraint) && object.details["valid"] == false
                || attached.contains(at)
        };
        let is_partition = |at: &usize| new.all[*at].kind == Kind::Partition;
        let links: Vec<usize> = (0..new.all.len()).filter(is_partition).collect();
        let mut edges = Vec::new();
        // On a table that is there, those that come are built with the others, without keeping anybody out.
        let is_built_after =
            |at: &usize| lacks(at) || is_of_partitioned(&new.all[*at]) && !self.work.made[new.root(*at)];
        for (&at, &make) in self.make_of.iter().filter(|(at, _)| is_built_after(at)) {
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
        // Nor can an index be attached before it. A key that is new is there first, maybe with its partition, and attached later.
        let above = indexes_above(new);
        let to_above = |(at, act): (&usize, &usize)| {
            let is_key = new.all[*at].kind == Kind::Constraint && matches!(self.acts[*act], Act::Make(_));
            Some((*self.make_of.get(above.get(at).filter(|_| !is_key)?)?, *act, true))
        };
        edges.extend(self.make_of.iter().filter_map(to_above));
        self.edges.extend(edges);
        self.connect_names_of_indexes();
        self.connect_references_to(&above);
    }

    /// The server names the indexes of partitions by itself, `partition_column_idx`, and takes no name that is there already.
    fn connect_names_of_indexes(&mut self) {
        let new = self.new_side();
        let links = new.all.iter().filter(|link| link.kind == Kind::Partition);
        let partitions: HashSet<usize> = links.filter_map(|link| link.parent).collect();
        let mut relations: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        let mut named: Vec<(usize, Vec<usize>)> = Vec::new();
        // What is there takes its name from nobody.
        let has_it = |at: &usize, act: &usize| match self.acts[*act] {
            Act::Alter(before, _) => self.old().all[before].name == new.all[*at].name,
            _ => false,
        };
        for (&at, &act) in self.make_of.iter().filter(|_| !partitions.is_empty()) {
            let object = &new.all[at];
            if is_of_partitioned(object) {
                named.push((act, family::partitions_below(new, new.root(at))));
            } else if object.kind == Kind::Partition {
                named.push((act, object.parent.into_iter().collect()));
            } else if !object.inherited
                && !partitions.contains(&at)
                && !has_it(&at, &act)
                && takes_relation_name(new, object)
            {
                relations.insert((&object.name, at), act);
            }
        }
        let mut edges = Vec::new();
        for (act, partition) in named.iter().flat_map(|(act, all)| all.iter().map(|one| (*act, *one))) {
            let name = &new.all[partition].name;
            // Of a long name, it takes the beginning.
            let head = match name.len() < SHORTEST {
                true => format!("{name}_"),
                false => name[..name.floor_char_boundary(SHORTEST)].to_owned(),
            };
            let alike = relations.range((head.as_str(), 0)..);
            let alike = alike.take_while(|((name, _), _)| name.starts_with(&head));
            edges.extend(alike.map(|(_, first)| (*first, act, true)));
        }
        self.edges.extend(edges);
    }

    /// What refers to an index of a partitioned table comes once those of the partitions are attached to it: until then it is not valid.
    fn connect_references_to(&mut self, above: &BTreeMap<usize, usize>) {
        let new = self.new_side();
        let mut keys: HashMap<usize, Vec<usize>> = HashMap::new();
        for (&at, &key) in self.make_of.iter().filter(|(at, _)| new.all[**at].detail("type") == "f") {
            new.all[at].depends.iter().for_each(|on| keys.entry(*on).or_default().push(key));
        }
        let mut edges = Vec::new();
        for (&at, &act) in &self.make_of {
            let all_above = std::iter::successors(above.get(&at), |index| above.get(index));
            let referring = all_above.filter_map(|index| keys.get(index)).flatten();
            edges.extend(referring.map(|key| (act, *key, false)));
        }
        self.edges.extend(edges);
    }
}

fn takes_relation_name(objects: &Objects, object: &Object) -> bool {
    name_spaces(objects, object).iter().any(|(space, _)| *space == 0)
}

/// True for an index, a key or an exclusion of a partitioned table.
fn is_of_partitioned(object: &Object) -> bool {
    let is_index = object.kind == Kind::Index || matches!(object.detail("type"), "p" | "u" | "x");
    is_index && family::is_of_partitioned(object)
}
