//! GRANT and REVOKE between two lists of privileges.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object};
use crate::diff::compare::quoted;
use crate::sql::Sql;

/// Who may what: a role (`None`: everybody; the owner under a name of its own), a privilege's letter, and whether to hand on.
type Grants = BTreeMap<(Grantee, char), bool>;

/// The grantees in the order of the list, in which `pg_dump` has them.
type Order = Vec<Grantee>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Grantee {
    Public,
    Owner,
    Role(String),
}

/// Who is granted something, in order.
fn order(object: &Object) -> Order {
    let items = object.acl.as_ref().or(object.acl_default.as_ref());
    let grantee = |item: &String| match split_name(item).0 {
        name if name.is_empty() => Grantee::Public,
        name if Some(name.as_str()) == object.owner.as_deref() => Grantee::Owner,
        name => Grantee::Role(name),
    };
    items.into_iter().flatten().map(grantee).collect()
}

/// Reads `"we ird"=arw*/owner` items.
fn parse(items: &[String], owner: Option<&str>) -> Grants {
    let mut grants = Grants::new();
    for item in items {
        let (grantee, rest) = split_name(item);
        let letters = rest.trim_start_matches('=').split('/').next().unwrap_or_default();
        let grantee = match grantee {
            name if name.is_empty() => Grantee::Public,
            name if Some(name.as_str()) == owner => Grantee::Owner,
            name => Grantee::Role(name),
        };
        let mut letters = letters.chars().peekable();
        while let Some(letter) = letters.next() {
            // An owner may always hand on, whether the list says so or not.
            let handed_on = letters.next_if_eq(&'*').is_some() && grantee != Grantee::Owner;
            grants.insert((grantee.clone(), letter), handed_on);
        }
    }
    grants
}

/// A role's name, quoted or not, and what follows it.
fn split_name(item: &str) -> (String, &str) {
    let Some(quoted) = item.strip_prefix('"') else {
        let end = item.find('=').unwrap_or(item.len());
        return (item[..end].to_owned(), &item[end..]);
    };
    let mut name = String::new();
    let mut rest = quoted;
    while let Some(end) = rest.find('"') {
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(more) = rest.strip_prefix('"') else { break };
        name.push('"');
        rest = more;
    }
    (name, rest)
}

/// The roles that an object's privileges name.
pub(super) fn grantees(object: &Object) -> Vec<String> {
    object.acl.iter().flatten().map(|item| split_name(item).0).collect()
}

fn of(object: &Object) -> Option<Grants> {
    let default = object.acl_default.as_ref()?;
    Some(parse(object.acl.as_ref().unwrap_or(default), object.owner.as_deref()))
}

fn default_of(object: &Object) -> Grants {
    parse(object.acl_default.as_deref().unwrap_or_default(), object.owner.as_deref())
}

/// The statements from the privileges of `old` to those of `new`.
pub(super) fn change(old: &Object, new: &Object) -> Vec<Sql> {
    let (Some(before), Some(after)) = (of(old), of(new)) else { return Vec::new() };
    let handed_on = grantors(old);
    if before == after || handed_on.is_empty() {
        return statements(new, &before, &after);
    }
    // What others have granted goes with what lets them; whoever is still to have it gets it from the owner.
    let (_, on) = phrase(old);
    let all = format!("ALL{}", of_column(old));
    let mut all: Vec<Sql> = (handed_on.iter())
        .map(|role| Sql::from_server(format!("REVOKE {all} ON {on} FROM {} CASCADE", quoted(role))))
        .collect();
    let stays = |item: &&String| {
        let (grantee, rest) = split_name(item);
        !handed_on.contains(&grantee) && grantor(rest).as_deref() == Some(owner_of(old))
    };
    let left: Vec<String> = old.acl.iter().flatten().filter(stays).cloned().collect();
    let left = parse(&left, old.owner.as_deref());
    let again = statements(new, &left, &after).into_iter().filter(|sql| !sql.as_str().starts_with("REVOKE "));
    // Where the owner has granted the same, nothing has gone yet.
    let revoked = statements(new, &before, &after).into_iter();
    all.extend(revoked.filter(|sql| sql.as_str().starts_with("REVOKE ")).chain(again));
    all
}

/// Who has granted it, in `=arw*/"we ird"`.
fn grantor(rest: &str) -> Option<String> {
    let (_, name) = rest.split_once('/')?;
    Some(split_name(name).0)
}

/// The owner; of a column, that of its table.
fn owner_of(object: &Object) -> &str {
    object.owner.as_deref().unwrap_or_else(|| object.detail("owner"))
}

/// Who beside the owner has granted something.
fn grantors(object: &Object) -> BTreeSet<String> {
    let others = object.acl.iter().flatten().filter_map(|item| grantor(split_name(item).1));
    let owner = owner_of(object);
    others.filter(|role| !owner.is_empty() && role != owner).collect()
}

/// The statements for an object that was just made.
pub(super) fn make(new: &Object) -> Vec<Sql> {
    of(new).map_or_else(Vec::new, |after| statements(new, &default_of(new), &after))
}

/// The statements that take default privileges back.
pub(super) fn unmake(old: &Object) -> Vec<Sql> {
    of(old).map_or_else(Vec::new, |before| statements(old, &before, &default_of(old)))
}

fn statements(object: &Object, before: &Grants, after: &Grants) -> Vec<Sql> {
    let mut revoke: BTreeMap<&Grantee, Vec<char>> = BTreeMap::new();
    let mut keep_to_oneself: BTreeMap<&Grantee, Vec<char>> = BTreeMap::new();
    let mut grant: BTreeMap<(usize, bool, &Grantee), Vec<char>> = BTreeMap::new();
    let order = order(object);
    let place = |grantee: &Grantee| order.iter().position(|other| other == grantee).unwrap_or(order.len());
    for ((grantee, letter), handed_on) in before {
        match after.get(&(grantee.clone(), *letter)) {
            None => revoke.entry(grantee).or_default().push(*letter),
            Some(false) if *handed_on && *grantee != Grantee::Owner => {
                keep_to_oneself.entry(grantee).or_default().push(*letter);
            }
            Some(_) => {}
        }
    }
    for ((grantee, letter), handed_on) in after {
        let had = before.get(&(grantee.clone(), *letter));
        if had.is_none() || (had == Some(&false) && *handed_on) {
            grant
                .entry((place(grantee), *handed_on && *grantee != Grantee::Owner, grantee))
                .or_default()
                .push(*letter);
        }
    }
    let (prefix, on) = phrase(object);
    let role = |grantee: &Grantee| match grantee {
        Grantee::Public => "PUBLIC".to_owned(),
        Grantee::Owner => quoted(object.owner.as_deref().unwrap_or_default()),
        Grantee::Role(name) => quoted(name),
    };
    let what = |letters: &[char]| {
        let names: BTreeSet<_> = letters.iter().map(|letter| name_of(*letter)).collect();
        let one = |name: &&str| format!("{name}{}", of_column(object));
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let mut all = Vec::new();
    for (grantee, letters) in &revoke {
        all.push(format!("{prefix}REVOKE {} ON {on} FROM {}", what(letters), role(grantee)));
    }
    for (grantee, letters) in &keep_to_oneself {
        all.push(format!("{prefix}REVOKE GRANT OPTION FOR {} ON {on} FROM {}", what(letters), role(grantee)));
    }
    for ((_, handed_on, grantee), letters) in &grant {
        let option = if *handed_on { " WITH GRANT OPTION" } else { "" };
        all.push(format!("{prefix}GRANT {} ON {on} TO {}{option}", what(letters), role(grantee)));
    }
    all.into_iter().map(Sql::from_server).collect()
}

/// ` (a)` behind the privilege on a column.
fn of_column(object: &Object) -> String {
    match object.kind {
        Kind::Column | Kind::ViewColumn => format!(" ({})", quoted(&object.name)),
        _ => String::new(),
    }
}

/// What stands in front of GRANT, and how it names the object.
fn phrase(object: &Object) -> (String, String) {
    let on = match object.kind {
        Kind::DefaultPrivileges => {
            return (format!("{} ", object.detail("alter")), object.detail("what").to_owned());
        }
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            format!("TABLE {}", object.identity)
        }
        Kind::Column | Kind::ViewColumn => {
            let column = format!(".{}", quoted(&object.name));
            let identity = &object.identity;
            // The identity is quoted by the server, which may quote a name that needs none.
            let table =
                identity.strip_suffix(&column).or_else(|| identity.rsplit_once('.').map(|(table, _)| table));
            format!("TABLE {}", table.unwrap_or(identity))
        }
        Kind::Aggregate => format!("FUNCTION {}", object.detail("granted")),
        Kind::Domain => format!("TYPE {}", object.identity),
        Kind::Server => format!("FOREIGN SERVER {}", object.identity),
        _ => object.phrase.clone(),
    };
    (String::new(), on)
}

fn name_of(letter: char) -> &'static str {
    match letter {
        'r' => "SELECT",
        'a' => "INSERT",
        'w' => "UPDATE",
        'd' => "DELETE",
        'D' => "TRUNCATE",
        'x' => "REFERENCES",
        't' => "TRIGGER",
        'm' => "MAINTAIN",
        'X' => "EXECUTE",
        'U' => "USAGE",
        'C' => "CREATE",
        'T' => "TEMPORARY",
        _ => "ALL",
    }
}
