//! What a child table remembers of its parents: which columns it declares itself, and whose child it became first.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::diff::{Step, listed, not_null};
use crate::sql::Sql;

/// Has tables leave their parents and join them again, where that makes them as they are in `new`: what is inherited is then
/// declared by the child as well, and the parents have the order in which they were joined. In one statement, for a
/// parent's rows without those of its children are somebody else's wrong answer.
///
/// Both sides are the same otherwise.
#[must_use]
pub fn inherit_again(old: &Objects, new: &Objects) -> Vec<Step> {
    let mut steps = Vec::new();
    let links = |objects: &Objects| -> BTreeSet<usize> {
        let links = objects.all.iter().filter(|object| object.kind == Kind::Inheritance);
        links.filter_map(|link| link.parent).collect()
    };
    for table in links(new) {
        let of_table =
            |kind| new.all.iter().filter(move |object| object.kind == kind && object.parent == Some(table));
        let stays_inherited = |object: &Object| match object.kind {
            Kind::Column => {
                object.details["inherit_count"].as_i64() > Some(0)
                    && !(object.is("local") && object.details["not_null_constraint"].is_null())
            }
            _ => object.inherited,
        };
        if of_table(Kind::Column).chain(of_table(Kind::Constraint)).any(stays_inherited)
            || !of_table(Kind::Column)
                .chain(of_table(Kind::Constraint))
                .any(|object| differs(old, object, "local"))
                && !of_table(Kind::Inheritance).any(|link| differs(old, link, "rank"))
        {
            continue;
        }
        let mut parents: Vec<&Object> = of_table(Kind::Inheritance).collect();
        parents.sort_by_key(|link| link.details["rank"].as_i64());
        let each = |word: &str| -> Vec<String> {
            parents.iter().map(|link| format!("{word} {}", link.detail("parent"))).collect()
        };
        let name = &new.all[table].identity;
        let all = [each("NO INHERIT"), each("INHERIT")].concat().join(", ");
        steps.push(Step::plain(
            format!("inheritance of table {name}"),
            while_parents_are_lax(new, &parents, Sql::from_server(format!("ALTER TABLE {name} {all}"))),
        ));
    }
    steps
}

/// A child becomes one of its parent.
pub(super) fn join(new: &Objects, link: &Object) -> Vec<Sql> {
    while_parents_are_lax(new, &[link], Sql::from_server(link.create.clone()))
}

/// Before PostgreSQL 18 a child's column may hold NULL where its parent's may not. The server takes such a child only while the parent's may, too.
fn while_parents_are_lax(new: &Objects, links: &[&Object], join: Sql) -> Vec<Sql> {
    let all = |verb: &str| -> Vec<Sql> {
        let one = |link: &&Object| {
            let each: Vec<String> = (laxer_columns(new, link).iter())
                .map(|column| format!("ALTER COLUMN {} {verb} NOT NULL", quoted(&column.name)))
                .collect();
            let text = format!("ALTER TABLE ONLY {} {}", link.detail("parent"), each.join(", "));
            (!each.is_empty()).then(|| Sql::from_server(text))
        };
        links.iter().filter_map(one).collect()
    };
    [all("DROP"), vec![join], all("SET")].concat()
}

fn laxer_columns<'a>(new: &'a Objects, link: &Object) -> Vec<&'a Object> {
    let of_table =
        |table| new.all.iter().filter(move |object| object.kind == Kind::Column && object.parent == table);
    let parent = link.depends.iter().copied().find(|on| Some(*on) != link.parent);
    let is_laxer = |column: &&Object| {
        let above = of_table(parent).find(|above| above.name == column.name);
        !column.is("not_null") && above.is_some_and(|above| above.is("not_null"))
    };
    of_table(link.parent).filter(is_laxer).collect()
}

fn differs(old: &Objects, object: &Object, what: &str) -> bool {
    old.find(&object.key()).is_some_and(|(_, before)| before.details[what] != object.details[what])
}

/// What of inheritance is other than in `new`, where no `ALTER TABLE` makes it so: which columns and checks a child declares itself, how its NOT NULL
/// constraints are named, and the order of its parents.
#[must_use]
pub fn other_inheritance(old: &Objects, new: &Objects) -> Vec<String> {
    let declared = new.all.iter().filter(|object| {
        let is_check = object.kind == Kind::Constraint && object.detail("type") == "c";
        (object.kind == Kind::Column || is_check)
            && object.details["inherit_count"].as_i64() > Some(0)
            && differs(old, object, "local")
    });
    let mut together: BTreeMap<(usize, Kind, bool), Vec<&Object>> = BTreeMap::new();
    for object in declared {
        let Some(table) = object.parent else { continue };
        together.entry((table, object.kind, object.is("local"))).or_default().push(object);
    }
    let mut remarks = Vec::new();
    for ((table, kind, is_local), objects) in together {
        let what = kind.text();
        let how = if is_local { "only inherited" } else { "declared there as well as inherited" };
        remarks.push(match objects.as_slice() {
            [one] => format!("the {what} {} is {how}, other than in the files", one.identity),
            all => {
                let names: Vec<String> = all.iter().map(|one| quoted(&one.name)).collect();
                let table = &new.all[table].identity;
                format!("the {what}s {} of {table} are {how}, other than in the files", listed(&names))
            }
        });
    }
    let order = |object: &&Object| object.kind == Kind::Inheritance && differs(old, object, "rank");
    let tables: BTreeSet<usize> = new.all.iter().filter(order).filter_map(|link| link.parent).collect();
    remarks.extend(tables.into_iter().map(|table| {
        format!("the parents of {} stand in another order than in the files", new.all[table].identity)
    }));
    remarks.extend(not_null::others(old, new));
    remarks
}
