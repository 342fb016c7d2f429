//! Tables that become `UNLOGGED`, or cease to be: no table that is logged may refer to one that is not, at any time.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Objects};
use crate::diff::compare::Sides;

/// A foreign key between two tables of the old catalog that both change.
pub(super) struct Between {
    pub(super) key: usize,
    /// Whose turn it is first: who refers becomes unlogged before what it refers to, and logged after it.
    pub(super) first: usize,
    pub(super) second: usize,
}

/// The foreign keys between tables that change.
pub(super) fn keys(sides: Sides<'_>, twins: &[Option<usize>]) -> Vec<Between> {
    let after = |table: usize| {
        let (old, new) = (&sides.old.all[table], &sides.new.all[twins[table]?]);
        let (before, after) = (old.facet("persistence")?, new.facet("persistence")?);
        (before.0 != after.0).then(|| after.0.as_str() == Some("u"))
    };
    let keys = (sides.old.all.iter().enumerate())
        .filter(|(_, object)| object.kind == Kind::Constraint && object.detail("type") == "f");
    let between = |(key, object): (usize, &crate::catalog::Object)| {
        let from = object.parent?;
        let unlogged = after(from)?;
        let to = referred(sides.old, key).into_iter().find(|table| after(*table) == Some(unlogged))?;
        let (first, second) = if unlogged { (from, to) } else { (to, from) };
        Some(Between { key, first, second })
    };
    keys.filter_map(between).collect()
}

fn referred(objects: &Objects, key: usize) -> BTreeSet<usize> {
    let object = &objects.all[key];
    let tables = object.depends.iter().map(|on| objects.root(*on));
    tables.filter(|on| Some(*on) != object.parent && objects.all[*on].kind == Kind::Table).collect()
}

/// Those of the keys that make a circle: they cannot stay meanwhile.
pub(super) fn in_circles(keys: &[Between]) -> Vec<usize> {
    let leads_back = |between: &&Between| {
        let (mut open, mut seen) = (vec![between.second], BTreeSet::new());
        while let Some(table) = open.pop() {
            if table == between.first {
                return true;
            }
            if seen.insert(table) {
                open.extend(keys.iter().filter(|key| key.first == table).map(|key| key.second));
            }
        }
        false
    };
    keys.iter().filter(leads_back).map(|between| between.key).collect()
}
