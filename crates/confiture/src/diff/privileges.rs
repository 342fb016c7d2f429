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
            let handed_on = letters.next_if_eq(&'*').is_some();
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
    match (of(old), of(new)) {
        (Some(before), Some(after)) => statements(new, &before, &after),
        _ => Vec::new(),
    }
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
            Some(false) if *handed_on => {
                keep_to_oneself.entry(grantee).or_default().push(*letter);
            }
            Some(_) => {}
        }
    }
    for ((grantee, letter), handed_on) in after {
        let had = before.get(&(grantee.clone(), *letter));
        if had.is_none() || (had == Some(&false) && *handed_on) {
            grant.entry((place(grantee), *handed_on, grantee)).or_default().push(*letter);
        }
    }
    let (prefix, on) = phrase(object);
    let role = |grantee: &Grantee| match grantee {
        Grantee::Public => "PUBLIC".to_owned(),
        Grantee::Owner => quoted(object.owner.as_deref().unwrap_or_default()),
        Grantee::Role(name) => quoted(name),
    };
    let what = |letters: &[char]| {
        let column = (object.kind == Kind::Column || object.kind == Kind::ViewColumn)
            .then(|| format!(" ({})", quoted(&object.name)));
        let names: BTreeSet<_> = letters.iter().map(|letter| name_of(*letter)).collect();
        let one = |name: &&str| format!("{name}{}", column.as_deref().unwrap_or_default());
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    // Those who have it from them lose it, too; where it is to stay with them, that is seen afterwards.
    let cascade = |grantee: &Grantee, letters: &[char]| {
        let hands_on = |letter: &char| before.get(&(grantee.clone(), *letter)) == Some(&true);
        if letters.iter().any(hands_on) && prefix.is_empty() { " CASCADE" } else { "" }
    };
    let mut all = Vec::new();
    for (grantee, letters) in &revoke {
        let (what, role, cascade) = (what(letters), role(grantee), cascade(grantee, letters));
        all.push(format!("{prefix}REVOKE {what} ON {on} FROM {role}{cascade}"));
    }
    for (grantee, letters) in &keep_to_oneself {
        let (what, role, cascade) = (what(letters), role(grantee), cascade(grantee, letters));
        all.push(format!("{prefix}REVOKE GRANT OPTION FOR {what} ON {on} FROM {role}{cascade}"));
    }
    for ((_, handed_on, grantee), letters) in &grant {
        let option = if *handed_on { " WITH GRANT OPTION" } else { "" };
        all.push(format!("{prefix}GRANT {} ON {on} TO {}{option}", what(letters), role(grantee)));
    }
    all.into_iter().map(Sql::from_server).collect()
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
