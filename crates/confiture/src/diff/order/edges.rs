//! What has to come before what, and why.

use std::collections::{HashMap, HashSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::Fate;
use crate::diff::order::{Act, Graph, name_spaces};
use crate::diff::{column, family, persistence};

impl Graph<'_> {
    pub(super) fn connect_old(&mut self) {
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
                if self.work.leaves_sequence(at, *on) {
                    self.before(alter, self.alter_of(*on));
                }
            }
        }
    }

    /// A foreign key goes before whatever is unique in the table that it refers to: of several such indexes it may use another one in the database than
    /// in the copy.
    pub(super) fn connect_references(&mut self) {
        let old = self.old();
        let drops = |wanted: fn(&Object) -> bool| -> Vec<(usize, usize)> {
            let those = self.drop_of.iter().filter(|(at, _)| wanted(&old.all[**at]));
            those.map(|(at, act)| (*at, *act)).collect()
        };
        let keys = drops(|object| object.kind == Kind::Constraint && object.detail("type") == "f");
        let unique = drops(|object| match object.kind {
            Kind::Constraint => matches!(object.detail("type"), "p" | "u"),
            Kind::Index => object.is("unique"),
            _ => false,
        });
        for (key, first) in keys {
            let tables: HashSet<usize> = old.all[key].depends.iter().map(|on| old.root(*on)).collect();
            let refers = |(at, _): &&(usize, usize)| tables.contains(&old.root(*at));
            self.edges.extend(unique.iter().filter(refers).map(|(_, then)| (first, *then, true)));
        }
    }

    /// The function of an event trigger runs whatever is done: it is replaced when what it is to find is there, and what it was to find as
    /// well.
    pub(super) fn connect_event_triggers(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let triggers = old.all.iter().filter(|object| object.kind == Kind::EventTrigger);
        let functions: Vec<usize> =
            triggers.flat_map(|trigger| &trigger.depends).filter_map(|on| self.alter_of(*on)).collect();
        let is_found = |object: &Object| {
            use Kind::{Column, Function, MaterializedView, Sequence, Table, View};
            matches!(object.kind, Table | Column | View | MaterializedView | Sequence | Function)
        };
        let edges = self.acts.iter().enumerate().flat_map(|(act, what)| {
            functions.iter().filter_map(move |function| match *what {
                Act::Make(at) if is_found(&new.all[at]) => Some((act, *function, true)),
                Act::Drop(at) if is_found(&old.all[at]) => Some((*function, act, true)),
                _ => None,
            })
        });
        let edges: Vec<_> = edges.collect();
        self.edges.extend(edges);
    }

    /// The objects whose work takes an old one along: itself, or, for a column of a child, its table or the parents' columns.
    fn taken_along_by(&self, at: usize, children: &[Vec<usize>]) -> Vec<usize> {
        let old = &self.old().all;
        let table = old[at].parent.filter(|_| self.work.old_comes_along[at] && old[at].kind == Kind::Column);
        let Some(table) = table else { return vec![at] };
        if self.drop_of.contains_key(&table) {
            return vec![table];
        }
        let above = family::columns_above(self.old(), children, at);
        above.into_iter().flat_map(|column| self.taken_along_by(column, children)).collect()
    }

    pub(super) fn connect_new(&mut self) {
        let children = self.new_side().children();
        for (at, object) in self.new_side().all.iter().enumerate() {
            let Some(made) = self.make_of.get(&at).copied() else { continue };
            let brought = object.depends.iter().flat_map(|on| self.brought_by(*on, &children));
            let edges = brought.filter(|before| *before != made);
            let edges: Vec<_> = edges.map(|before| (before, made, self.minds_nobody(before))).collect();
            self.edges.extend(edges);
        }
        self.connect_indexes_of_parents();
        let columns = self.work_on_columns();
        self.connect_rows(&columns);
        self.connect_table_types(&columns);
        self.connect_mentions();
        self.connect_parents();
    }

    /// The work that brings a new object: on itself, on its table, or, for a column of a child, on the parents' columns.
    fn brought_by(&self, at: usize, children: &[Vec<usize>]) -> Vec<usize> {
        let new = self.new_side();
        if let Some(act) = self.make_of.get(&at).or_else(|| self.make_of.get(&new.root(at))) {
            return vec![*act];
        }
        // Also where the child declares it as well.
        if new.all[at].kind != Kind::Column || new.all[at].details["inherit_count"].as_i64() == Some(0) {
            return Vec::new();
        }
        let above = family::columns_above(new, children, at);
        above.into_iter().flat_map(|column| self.brought_by(column, children)).collect()
    }

    /// True for a column that stays what it is to those who use it.
    fn minds_nobody(&self, act: usize) -> bool {
        let Act::Alter(at, _) = self.acts[act] else { return false };
        let change = self.work.changes.get(&at);
        self.old().all[at].kind == Kind::Column && change.is_some_and(|change| !change.disturbs)
    }

    /// The work on columns, by the new table.
    fn work_on_columns(&self) -> HashMap<usize, Vec<usize>> {
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
        columns
    }

    /// A table is of no type while its columns change.
    fn connect_table_types(&mut self, columns: &HashMap<usize, Vec<usize>>) {
        let (old, new) = (self.old(), self.new_side());
        let of = |table: Option<usize>| table.and_then(|table| columns.get(&table)).into_iter().flatten();
        let is_typed = |objects: &Objects, at: &usize| objects.all[*at].kind == Kind::TableType;
        let mut edges = Vec::new();
        for (&at, &act) in self.drop_of.iter().filter(|(at, _)| is_typed(old, at)) {
            let table = old.all[at].parent.and_then(|table| self.work.twins[table]);
            edges.extend(of(table).map(|then| (act, *then, false)));
        }
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_typed(new, at)) {
            edges.extend(of(new.all[at].parent).map(|first| (*first, act, false)));
        }
        self.edges.extend(edges);
    }

    /// What takes a table's row is read when the row has all its columns, and none too many. A column of its type, maybe within
    /// another type, would keep the server from rewriting the table.
    fn connect_rows(&mut self, columns: &HashMap<usize, Vec<usize>>) {
        let new = self.new_side();
        let is_read = |object: &Object| match object.kind {
            Kind::View | Kind::MaterializedView | Kind::Rule => true,
            Kind::Column | Kind::CompositeType | Kind::Domain => true,
            Kind::Function | Kind::Procedure => object.detail("body").is_empty(),
            _ => false,
        };
        let mut edges = Vec::new();
        for (&at, &act) in self.make_of.iter().filter(|(at, _)| is_read(&new.all[**at])) {
            let others = new.all[at].depends.iter().filter(|table| Some(**table) != new.all[at].parent);
            let rows = others.filter_map(|table| columns.get(table));
            edges.extend(rows.flatten().map(|first| (*first, act, true)));
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
    pub(super) fn connect_both(&mut self) {
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
        for (&twin, &act) in &self.make_of {
            if let Act::Alter(at, _) = self.acts[act]
                && let Some(former) = column::former_sequence(self.work.sides, at, &self.new_side().all[twin])
                && let Some(drop) = self.drop_of.get(&former)
            {
                self.edges.push((act, *drop, false));
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
                edges.extend(self.made_ready(at, *twin).map(|column| (column, drop, true)));
            }
        }
        // A partition that only has another name goes with its table.
        let set_aside =
            self.finish_of.iter().filter_map(|(at, finish)| Some((*self.drop_of.get(at)?, *finish, false)));
        edges.extend(set_aside);
        self.edges.extend(edges);
        self.connect_rows_that_go_over();
        self.connect_casts();
    }

    /// What makes columns ready for a key that takes the place of one which does not stand on them: the table need not be without any
    /// meanwhile.
    fn made_ready(&self, before: usize, after: usize) -> impl Iterator<Item = usize> {
        let (old, new) = (self.old(), self.new_side());
        let columns = new.all[after].depends.iter().filter_map(|on| self.work.old_of(*on));
        let stands_on = &old.all[before].depends;
        let is_other = |column: &usize| !stands_on.contains(column);
        let is_key = old.all[before].kind == Kind::Constraint;
        let columns = columns.filter(move |column| is_key && is_other(column));
        columns.filter_map(|column| self.alter_of(column)).filter(|act| self.minds_nobody(*act))
    }

    /// A column gets another type while the cast that leads there is still there, or when it has come.
    fn connect_casts(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let mut edges = Vec::new();
        for (&twin, &act) in &self.make_of {
            let Act::Alter(at, _) = self.acts[act] else { continue };
            if old.all[at].kind != Kind::Column {
                continue;
            }
            let [from, to] = [&old.all[at], &new.all[twin]].map(|column| column.detail("base"));
            let [one, other] = [from, to].map(|base| base.trim_end_matches("[]"));
            let key = (Kind::Cast, format!("({one} AS {other})"));
            let goes = old.by_key.get(&key).and_then(|cast| self.drop_of.get(cast));
            let comes = new.by_key.get(&key).and_then(|cast| self.make_of.get(cast));
            match (goes, comes) {
                (Some(goes), _) => edges.push((act, *goes, true)),
                (None, Some(comes)) => edges.push((*comes, act, true)),
                (None, None) => {}
            }
        }
        self.edges.extend(edges);
    }

    /// Rows that go over to a table which takes the place of another meet no trigger and no rule there, and are all there when a foreign key
    /// or a materialized view looks for them.
    fn connect_rows_that_go_over(&mut self) {
        let (old, new) = (self.old(), self.new_side());
        let tables = self.finish_of.iter().filter(|(at, _)| old.all[**at].kind == Kind::Table);
        let finishes: Vec<usize> = tables.map(|(_, act)| *act).collect();
        let acts = |at: usize| match new.all[at].kind {
            Kind::Trigger | Kind::Rule | Kind::MaterializedView => true,
            Kind::Constraint => new.all[at].detail("type") == "f",
            _ => false,
        };
        let is_on_made = |at: usize| {
            let made = |on: usize| self.work.made[new.root(on)];
            made(at) || new.all[at].depends.iter().any(|on| made(*on))
        };
        let makes = self.make_of.iter().filter(|(at, _)| acts(**at) && is_on_made(**at));
        let after: Vec<usize> = makes.map(|(_, act)| *act).collect();
        for finish in finishes {
            self.edges.extend(after.iter().map(|make| (finish, *make, true)));
        }
    }
}

/// Kinds whose statements name the types of their arguments.
fn names_types(kind: Kind) -> bool {
    use Kind::{Aggregate, Cast, Function, Operator, OperatorFamilyMember, Procedure, Transform};
    matches!(kind, Aggregate | Cast | Function | Operator | OperatorFamilyMember | Procedure | Transform)
}
