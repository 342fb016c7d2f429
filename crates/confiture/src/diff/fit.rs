//! Whether rows that are there fit what is new.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::fate::Work;
use crate::diff::hazard::Hazard;

/// What rows can have against an object that is made.
pub(super) fn against_made(work: &Work<'_>, at: usize, members: &[&Object]) -> Vec<Hazard> {
    let new = work.sides.new;
    let object = &new.all[at];
    let mut hazards = Vec::new();
    let mut may_fail = |why: &'static str| hazards.push(Hazard::MayFail(why.into()));
    if object.kind == Kind::Constraint && matches!(object.detail("type"), "f" | "c")
        || object.kind == Kind::DomainConstraint && !object.defined().ends_with(" NOT VALID")
    {
        may_fail("rows that violate the constraint stop it");
    }
    let link = std::iter::once(&object).chain(members).find(|part| part.kind == Kind::Partition);
    if link.is_some_and(|link| has_default_partition(work, link)) {
        may_fail("rows of the default partition that belong there stop it");
    }
    // A materialized view is filled when it is made.
    let whole = new.root(at);
    if work.made[whole] && new.all[whole].kind != Kind::MaterializedView {
        return hazards;
    }
    let mut may_fail = |why: &'static str| hazards.push(Hazard::MayFail(why.into()));
    let is_unique = match object.kind {
        Kind::Constraint => matches!(object.detail("type"), "p" | "u" | "x"),
        Kind::Index => object.is("unique"),
        _ => false,
    };
    if is_unique {
        may_fail("rows that must not be alike, and are, stop it");
    }
    if object.kind == Kind::Partition {
        may_fail("rows outside of the partition's bounds stop it");
    }
    let computed = match object.kind {
        Kind::Index => object.defined(),
        Kind::Column => object.detail("generated"),
        _ => "",
    };
    if may_refuse(new, object, computed) {
        may_fail("a row for which it cannot be computed stops it");
    }
    hazards
}

/// True where the parent is there already, with a partition for what belongs nowhere else.
fn has_default_partition(work: &Work<'_>, link: &Object) -> bool {
    let new = work.sides.new;
    let is_other = |(at, other): (usize, &Object)| {
        other.kind == Kind::Partition
            && !work.made[at]
            && other.detail("bound") == "DEFAULT"
            && other.detail("parent") == link.detail("parent")
    };
    new.all.iter().enumerate().any(is_other)
}

/// True where an expression calls a function that somebody has written, or casts to what not every text is.
fn may_refuse(objects: &Objects, object: &Object, expression: &str) -> bool {
    let calls = || object.depends.iter().any(|on| objects.all[*on].kind == Kind::Function);
    let takes_all = |cast: &str| {
        ["text", "character varying", "regconfig", "\"char\"", "name"]
            .iter()
            .any(|name| cast.starts_with(name))
    };
    !expression.is_empty() && (calls() || expression.split(")::").skip(1).any(|cast| !takes_all(cast)))
}

/// What values can have against a type that differs from theirs in less than its name: a length, digits, a domain.
pub(super) fn against_type(old: &Object, new: &Object) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if new.detail("typtype") == "d" && old.detail("plain") != new.detail("plain") {
        hazards.push(Hazard::MayFail("a value that the domain refuses stops it".into()));
    }
    if old.detail("base") != new.detail("base") {
        return hazards;
    }
    let (before, after) = (modifiers(old.detail("type")), modifiers(new.detail("type")));
    let base = new.detail("base");
    let less = |before: Option<u32>, after: Option<u32>| match (before, after) {
        (Some(before), Some(after)) => after < before,
        (None, after) => after.is_some(),
        (Some(_), None) => false,
    };
    let (length, digits) = if base.starts_with("numeric") {
        let whole =
            |modifiers: &[u32]| Some(modifiers.first()?.saturating_sub(*modifiers.get(1).unwrap_or(&0)));
        let behind = |modifiers: &[u32]| modifiers.first().map(|_| *modifiers.get(1).unwrap_or(&0));
        (less(whole(&before), whole(&after)), less(behind(&before), behind(&after)))
    } else {
        let is_time = base.starts_with("time") || base.starts_with("interval");
        // Without a number, a time has six digits.
        let length = before.first().copied().or(is_time.then_some(6));
        let less = less(length, after.first().copied());
        (less && !is_time, less && is_time)
    };
    if length {
        hazards.push(Hazard::MayFail("a value that is too long for it stops it".into()));
    }
    if digits {
        hazards.push(Hazard::DataLoss("values are rounded to the digits that it has".into()));
    }
    hazards
}

/// The numbers behind the name of a type: `numeric(10,2)`.
fn modifiers(name: &str) -> Vec<u32> {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or_else(Vec::new, |(inner, _)| {
        inner.split(',').filter_map(|one| one.trim().parse().ok()).collect()
    })
}
