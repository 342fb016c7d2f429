//! Whether rows that are there fit what is new.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::data_type::labels;
use crate::diff::fate::Work;
use crate::diff::hazard::Hazard;

/// What rows can have against an object that is made.
pub(super) fn against_made(work: &Work<'_>, at: usize, members: &[&Object]) -> Vec<Hazard> {
    let new = work.sides.new;
    let object = &new.all[at];
    let mut hazards = Vec::new();
    let mut may_fail = |why: &'static str| hazards.push(Hazard::MayFail(why.into()));
    let is_checked = ![" NOT VALID", " NOT ENFORCED"].iter().any(|end| object.defined().ends_with(end));
    let checks = object.kind == Kind::Constraint
        && matches!(object.detail("type"), "f" | "c")
        && has_rows(work, new.root(at))
        || object.kind == Kind::DomainConstraint;
    if checks && is_checked {
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
    if object.kind == Kind::Partition && new.all[whole].kind != Kind::ForeignTable {
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
    // An empty copy takes any.
    let has_default = members.iter().any(|member| member.kind == Kind::Default);
    if object.kind == Kind::Column && has_default && has_checked_domain(new, at) {
        may_fail("rows stop it where the domain does not take its default");
    }
    hazards
}

/// True for a table that is there, that takes the rows of another, or that gets a partition or a child with rows.
fn has_rows(work: &Work<'_>, table: usize) -> bool {
    let objects = &work.sides.new.all;
    let below = |link: &Object| {
        matches!(link.kind, Kind::Partition | Kind::Inheritance) && link.depends.contains(&table)
    };
    let mut children = objects.iter().filter(|link| below(link)).filter_map(|link| link.parent);
    !work.made[table]
        || work.twins.contains(&Some(table))
        || children.any(|child| child != table && has_rows(work, child))
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

/// True where what an object is of is a domain with checks, maybe by way of another.
fn has_checked_domain(objects: &Objects, at: usize) -> bool {
    let is_check =
        |one: &Object, domain: usize| one.kind == Kind::DomainConstraint && one.parent == Some(domain);
    let mut domains = objects.all[at].depends.iter().filter(|on| objects.all[**on].kind == Kind::Domain);
    domains.any(|on| objects.all.iter().any(|one| is_check(one, *on)) || has_checked_domain(objects, *on))
}

/// What is lost when values get a type of another name. PostgreSQL rounds and cuts without a word where it assigns.
fn against_conversion(objects: &Objects, old: &Object, new: &Object, by_text: bool) -> Option<Hazard> {
    let (from, to) = (old.detail("base"), new.detail("base"));
    if from.ends_with("[]") != to.ends_with("[]") {
        return Some(cannot_hold());
    }
    let name = |base: &str| base.trim_end_matches("[]").replace(" without time zone", "");
    let (from, to) = (name(from), name(to));
    let lost = match (from.as_str(), to.as_str()) {
        ("numeric" | "real" | "double precision" | "money", "smallint" | "integer" | "bigint") => {
            "values are rounded to whole numbers, and one that is too large stops it"
        }
        ("numeric" | "double precision", "real")
        | ("numeric" | "bigint", "double precision")
        | ("integer" | "bigint", "real")
        | ("real" | "double precision", "numeric" | "money")
        | ("numeric", "money") => "values are rounded to the digits that it has",
        ("timestamp" | "timestamp with time zone", "date") => "the time of day is lost",
        ("timestamp" | "timestamp with time zone", "time" | "time with time zone") => "the date is lost",
        ("interval", "time") => "whole days are lost",
        ("time with time zone", "time") => "the time zone is lost",
        ("json", "jsonb") => "the order of keys, repeated keys and spaces are lost",
        ("character", "text" | "character varying") => "spaces at the end are lost",
        ("integer", "boolean") => "every number but 0 becomes true",
        ("inet", "cidr") => "the part of the address that is the host's is lost",
        (_, "name") if is_text(&from) => "all beyond 63 bytes is cut off",
        (_, "\"char\"") if is_text(&from) => "all but the first byte is lost",
        (_, "bit" | "bit varying") if is_text(&from) && !(to == "bit varying" && is_free(new)) => {
            "bits beyond its length are cut off, and a value of anything else stops it"
        }
        ("integer" | "bigint", "bit") => "bits beyond its length are cut off",
        ("date", "timestamp with time zone") | ("time", "time with time zone") => {
            return Some(Hazard::Note("the time zone is that of whoever runs it".into()));
        }
        // A scratch database is in UTC, where the server leaves the rows as they are.
        ("timestamp", "timestamp with time zone") | ("timestamp with time zone", "timestamp") => {
            let note =
                "the time zone is that of whoever runs it; where it is not UTC, every row is written anew";
            return Some(Hazard::Note(note.into()));
        }
        _ if by_text && never_fits(&from, &to) => {
            return Some(Hazard::MayFail(
                format!("no value goes from {from} to {to}: any row that has one stops it").into(),
            ));
        }
        // Neither is an object written as the other one is.
        ("json" | "jsonb", to) if to.rsplit('.').next() == Some("hstore") => {
            return Some(Hazard::MayFail(
                "no object is read as hstore: any row that has one stops it".into(),
            ));
        }
        _ => return (!always_fits(objects, &from, &to, new)).then(cannot_hold),
    };
    Some(Hazard::DataLoss(lost.into()))
}

fn cannot_hold() -> Hazard {
    Hazard::MayFail("a value that the new type cannot hold stops it".into())
}

/// True where every value has one of the other type that says the same.
fn always_fits(objects: &Objects, from: &str, to: &str, new: &Object) -> bool {
    const NUMBERS: [&str; 4] = ["smallint", "integer", "bigint", "numeric"];
    let place = |name: &str| NUMBERS.iter().position(|number| *number == name);
    let is_free = is_free(new);
    match (place(from), place(to)) {
        (Some(before), Some(after)) => before < after && is_free,
        (None, Some(_)) if from == "boolean" => is_free,
        _ => match to {
            "text" => true,
            "character varying" if is_free => true,
            "character varying" | "character" => {
                let length =
                    modifiers(new.detail("type")).first().and_then(|length| usize::try_from(*length).ok());
                longest_text(objects, from).zip(length).is_some_and(|(longest, length)| longest <= length)
            }
            "double precision" => matches!(from, "smallint" | "integer" | "real" | "boolean"),
            "real" => matches!(from, "smallint" | "boolean"),
            "inet" => from == "cidr",
            "timestamp" => from == "date",
            "json" => from == "jsonb",
            "interval" => from == "time",
            _ => false,
        },
    }
}

/// How long the longest text is that a value of a type is printed as, where it has one.
fn longest_text(objects: &Objects, name: &str) -> Option<usize> {
    match name {
        "boolean" => Some(5),
        "smallint" => Some(6),
        "integer" => Some(11),
        "bigint" => Some(20),
        "uuid" => Some(36),
        name => {
            let (_, of_labels) = objects.find(&(Kind::Enum, name.to_owned()))?;
            Some(labels(of_labels).iter().map(|label| label.chars().count()).max().unwrap_or_default())
        }
    }
}

/// True where the type has no limit.
fn is_free(column: &Object) -> bool {
    modifiers(column.detail("type")).is_empty()
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "character varying" | "character")
}

/// True where nothing that is written as one type can be read as the other.
fn never_fits(from: &str, to: &str) -> bool {
    let is_count = |name: &str| matches!(name, "smallint" | "integer" | "bigint");
    let is_day = |name: &str| matches!(name, "date" | "timestamp" | "timestamp with time zone");
    let is_time = |name: &str| matches!(name, "time" | "time with time zone" | "interval");
    let is_address = |name: &str| matches!(name, "inet" | "cidr" | "macaddr");
    let is_json = |name: &str| matches!(name, "json" | "jsonb");
    let is_plain = |name: &str| is_count(name) || matches!(name, "boolean" | "uuid");
    match from {
        "uuid" => {
            to != "uuid" && (is_plain(to) || is_day(to) || is_time(to) || is_address(to) || is_json(to))
        }
        "boolean" => to == "uuid" || is_day(to) || is_time(to) || is_address(to),
        _ if is_count(from) => to == "uuid",
        // `2024-01-01` can be a `macaddr`.
        _ if is_day(from) => is_plain(to) || matches!(to, "inet" | "cidr") || is_json(to),
        _ if is_time(from) => is_plain(to) || is_json(to),
        _ if is_address(from) => is_plain(to) || is_json(to),
        _ => false,
    }
}

/// What values can have against a type that differs from theirs in less than its name: a length, digits, a domain.
/// `by_text` is true where they are written and read again. `objects` has the old one.
pub(super) fn against_type(objects: &Objects, old: &Object, new: &Object, by_text: bool) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if new.detail("typtype") == "d" && old.detail("plain") != new.detail("plain") {
        hazards.push(Hazard::MayFail("a value that the domain refuses stops it".into()));
    }
    if old.detail("base") != new.detail("base") {
        hazards.extend(against_conversion(objects, old, new, by_text));
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
    let (unit, other_unit) = (smallest_unit(old.detail("type")), smallest_unit(new.detail("type")));
    let is_interval = base.starts_with("interval");
    // `interval day to second` into `interval year`.
    if is_interval && other_unit < unit {
        hazards.push(Hazard::DataLoss("parts of the intervals are lost".into()));
    }
    if length {
        hazards.push(Hazard::MayFail("a value that is too long for it stops it".into()));
    }
    if digits && !(is_interval && unit.min(other_unit) < SECOND) {
        hazards.push(Hazard::DataLoss("values are rounded to the digits that it has".into()));
    }
    hazards
}

const SECOND: usize = 5;

/// Which is the smallest unit that an interval holds, the larger ones first: `interval day to minute`.
fn smallest_unit(name: &str) -> usize {
    let units = ["year", "month", "day", "hour", "minute"];
    let name = name.trim_end_matches("[]");
    units.iter().position(|unit| name.ends_with(unit)).unwrap_or(SECOND)
}

/// The numbers behind the name of a type: `numeric(10,2)`.
fn modifiers(name: &str) -> Vec<u32> {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or_else(Vec::new, |(inner, _)| {
        inner.split(',').filter_map(|one| one.trim().parse().ok()).collect()
    })
}
