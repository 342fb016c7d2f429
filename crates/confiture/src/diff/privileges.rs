//! GRANT and REVOKE between two lists of privileges.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::quoted;
use crate::sql::Sql;

/// Who may what, by whom: a role, a privilege's letter, who has granted it, and whether to hand on.
type Grants = BTreeMap<(Grantee, char, Grantee), bool>;

/// The grantees in the order of the list, in which `pg_dump` has them.
type Order = Vec<Grantee>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Grantee {
    Public,
    Owner,
    Role(String),
}

impl Grantee {
    fn new(name: String, owner: Option<&str>) -> Self {
        match name {
            name if name.is_empty() => Self::Public,
            name if Some(name.as_str()) == owner => Self::Owner,
            name => Self::Role(name),
        }
    }
}

/// Who is granted something, in order.
fn order(object: &Object) -> Order {
    let items = object.acl.as_ref().or(object.acl_default.as_ref());
    let grantee = |item: &String| Grantee::new(split_name(item).0, object.owner.as_deref());
    items.into_iter().flatten().map(grantee).collect()
}

/// Reads `"we ird"=arw*/owner` items.
fn parse(items: &[String], owner: Option<&str>) -> Grants {
    let mut grants = Grants::new();
    for item in items {
        let (grantee, rest) = split_name(item);
        let (letters, grantor) = rest.trim_start_matches('=').split_once('/').unwrap_or((rest, ""));
        let grantee = Grantee::new(grantee, owner);
        let grantor = match split_name(grantor).0 {
            name if name.is_empty() || owner.is_none() => Grantee::Owner,
            name => Grantee::new(name, owner),
        };
        let mut letters = letters.chars().peekable();
        while let Some(letter) = letters.next() {
            let handed_on = letters.next_if_eq(&'*').is_some();
            grants.insert((grantee.clone(), letter, grantor.clone()), handed_on);
        }
    }
    grants
}

/// A role's name, quoted or not, and what follows it.
pub(crate) fn split_name(item: &str) -> (String, &str) {
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
    let named = |item: &String| {
        let (grantee, rest) = split_name(item);
        [grantee, rest.split_once('/').map(|(_, grantor)| split_name(grantor).0).unwrap_or_default()]
    };
    object.acl.iter().flatten().flat_map(named).collect()
}

fn of(object: &Object) -> Option<Grants> {
    let default = object.acl_default.as_ref()?;
    Some(parse(object.acl.as_ref().unwrap_or(default), object.owner.as_deref()))
}

fn default_of(object: &Object) -> Grants {
    parse(object.acl_default.as_deref().unwrap_or_default(), object.owner.as_deref())
}

/// The statements from the privileges of `old` to those of `new`.
pub(super) fn change(objects: &Objects, old: &Object, new: &Object) -> Vec<Sql> {
    match (of(old), of(new)) {
        (Some(before), Some(after)) => statements(objects, new, &before, &after),
        _ => Vec::new(),
    }
}

/// The statements for an object that was just made.
pub(super) fn make(objects: &Objects, new: &Object) -> Vec<Sql> {
    of(new).map_or_else(Vec::new, |after| statements(objects, new, &default_of(new), &after))
}

/// The statements that take default privileges back.
pub(super) fn unmake(objects: &Objects, old: &Object) -> Vec<Sql> {
    of(old).map_or_else(Vec::new, |before| statements(objects, old, &before, &default_of(old)))
}

/// How many others have handed on a privilege before it came to who grants it.
fn distance(grants: &Grants, grantor: &Grantee, letter: char) -> usize {
    let mut distance = 0;
    let mut now = grantor.clone();
    while now != Grantee::Owner && distance < grants.len() {
        let had =
            grants.iter().find(|((to, what, _), handed_on)| *to == now && *what == letter && **handed_on);
        let Some(((.., by), _)) = had else { break };
        now = by.clone();
        distance += 1;
    }
    distance
}

/// Who has granted what on a column is not known: where somebody may no longer hand it on, all of it goes, and what stays comes again.
fn granted_anew(object: &Object, before: &Grants, after: &Grants) -> BTreeSet<char> {
    let ends = |(key, handed_on): &(&(Grantee, char, Grantee), &bool)| {
        object.owner.is_none() && **handed_on && after.get(*key) != Some(&true)
    };
    before.iter().filter(ends).map(|((_, letter, _), _)| *letter).collect()
}

fn statements(objects: &Objects, object: &Object, before: &Grants, after: &Grants) -> Vec<Sql> {
    type By<'a> = (usize, &'a Grantee);
    // Who got something from another loses it first, and gets it last.
    let mut revoke: BTreeMap<(Reverse<By<'_>>, bool, &Grantee), Vec<char>> = BTreeMap::new();
    let mut grant: BTreeMap<(By<'_>, usize, bool, &Grantee), Vec<char>> = BTreeMap::new();
    let order = order(object);
    let place = |grantee: &Grantee| order.iter().position(|other| other == grantee).unwrap_or(order.len());
    let all_anew = granted_anew(object, before, after);
    let anew = before.keys().filter(|(_, letter, _)| all_anew.contains(letter));
    // Who has it from one that may no longer hand it on loses it along with that.
    let mut cascades: BTreeSet<(&Grantee, char)> = anew.map(|(to, letter, _)| (to, *letter)).collect();
    let hands_on_no_more = |grantor: &Grantee, letter: char| {
        let from = |(to, what, _): &(Grantee, char, Grantee)| to == grantor && *what == letter;
        let had = before.iter().any(|(key, handed_on)| from(key) && *handed_on);
        *grantor != Grantee::Owner && had && !after.iter().any(|(key, handed_on)| from(key) && *handed_on)
    };
    for (key @ (grantee, letter, grantor), handed_on) in before {
        if hands_on_no_more(grantor, *letter) {
            cascades.insert((grantor, *letter));
            continue;
        }
        let by = Reverse((distance(before, grantor, *letter), grantor));
        match after.get(key).filter(|_| !all_anew.contains(letter)) {
            None => revoke.entry((by, false, grantee)).or_default().push(*letter),
            Some(false) if *handed_on => {
                revoke.entry((by, true, grantee)).or_default().push(*letter);
            }
            Some(_) => {}
        }
    }
    for (key @ (grantee, letter, grantor), handed_on) in after {
        let had = before.get(key).filter(|_| !all_anew.contains(letter));
        if had.is_none() || (had == Some(&false) && *handed_on) {
            let by = (distance(after, grantor, *letter), grantor);
            grant.entry((by, place(grantee), *handed_on, grantee)).or_default().push(*letter);
        }
    }
    let (prefix, on) = phrase(object);
    let role = |grantee: &Grantee| match grantee {
        Grantee::Public => "PUBLIC".to_owned(),
        Grantee::Owner => match object.owner.as_deref().unwrap_or_default() {
            owner if objects.is_own(owner) => "CURRENT_USER".to_owned(),
            owner => quoted(owner),
        },
        Grantee::Role(name) => quoted(name),
    };
    let what = |letters: &[char]| {
        let column = matches!(object.kind, Kind::Column | Kind::SystemColumn | Kind::ViewColumn)
            .then(|| format!(" ({})", quoted(&object.name)));
        let names: BTreeSet<_> = letters.iter().map(|letter| name_of(*letter)).collect();
        let one = |name: &&str| format!("{name}{}", column.as_deref().unwrap_or_default());
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let mut all = Vec::new();
    // Only oneself can grant and revoke in one's own name.
    let mut say = |grantor: &Grantee, text: String| match grantor {
        Grantee::Role(_) => {
            all.extend([format!("SET ROLE {}", role(grantor)), text, "RESET ROLE".to_owned()]);
        }
        _ => all.push(text),
    };
    for ((Reverse((_, by)), only_option, grantee), letters) in &revoke {
        let option = if *only_option { "GRANT OPTION FOR " } else { "" };
        let cascades = letters.iter().any(|letter| cascades.contains(&(*grantee, *letter)));
        let cascade = if cascades { " CASCADE" } else { "" };
        say(by, format!("{prefix}REVOKE {option}{} ON {on} FROM {}{cascade}", what(letters), role(grantee)));
    }
    for (((_, by), _, handed_on, grantee), letters) in &grant {
        let option = if *handed_on { " WITH GRANT OPTION" } else { "" };
        say(by, format!("{prefix}GRANT {} ON {on} TO {}{option}", what(letters), role(grantee)));
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
        Kind::Column | Kind::SystemColumn | Kind::ViewColumn => {
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
