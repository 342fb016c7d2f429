//! What a child table remembers of its parents: which columns it declares itself, and whose child it became first.

use std::collections::BTreeSet;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::{Step, not_null};
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
            vec![Sql::from_server(format!("ALTER TABLE {name} {all}"))],
        ));
    }
    steps
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
    let mut remarks: Vec<String> = declared
        .map(|object| {
            let (what, how) = (
                object.kind.text(),
                if object.is("local") { "only inherited" } else { "declared there as well as inherited" },
            );
            format!("the {what} {} is {how}, other than in the files", object.identity)
        })
        .collect();
    let order = |object: &&Object| object.kind == Kind::Inheritance && differs(old, object, "rank");
    let tables: BTreeSet<usize> = new.all.iter().filter(order).filter_map(|link| link.parent).collect();
    remarks.extend(tables.into_iter().map(|table| {
        format!("the parents of {} stand in another order than in the files", new.all[table].identity)
    }));
    remarks.extend(not_null::others(old, new));
    remarks
}
