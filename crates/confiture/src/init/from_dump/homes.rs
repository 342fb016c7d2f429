//! The home of every piece of a dump: the folder and the file where a person would look for it.

use std::collections::{BTreeMap, BTreeSet};

use super::dump::Piece;
use super::names::{Key, first_name, is_routine, name_behind, nth_name};

/// A folder: its number and what is in it.
pub(super) type Folder = (u32, &'static str);

/// A piece's home: the folder of its kind, and the file that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) folder: Folder,
    pub(super) file: String,
    /// The object whose file it is.
    pub(super) owner: Option<Key>,
}

/// The folder of each kind, as people look for it.
fn folder_of(piece: &Piece, early: bool) -> Folder {
    match piece.kind.as_str() {
        "FUNCTION" | "PROCEDURE" | "AGGREGATE" if early => (5, "functions"),
        "FUNCTION" | "PROCEDURE" | "AGGREGATE" => (30, "functions"),
        "SEQUENCE" => (8, "sequences"),
        "TABLE" | "FOREIGN TABLE" => (10, "tables"),
        "VIEW" | "MATERIALIZED VIEW" => (20, "views"),
        "FK CONSTRAINT" => (40, "foreign_keys"),
        "TRIGGER" | "RULE" => (50, "triggers"),
        "POLICY" | "ROW SECURITY" => (60, "policies"),
        kind if kind.starts_with("PUBLICATION") || kind.starts_with("SUBSCRIPTION") => (70, "publications"),
        "DEFAULT ACL" => (80, "default_privileges"),
        "EVENT TRIGGER" => (90, "event_triggers"),
        _ => (0, "common"),
    }
}

/// The file of what has none of its own, in the common folder.
fn common_file(kind: &str) -> String {
    let file = match kind {
        "TYPE" | "SHELL TYPE" | "DOMAIN" => "types",
        "OPERATOR" | "OPERATOR CLASS" | "OPERATOR FAMILY" => "operators",
        "FOREIGN DATA WRAPPER" | "SERVER" | "USER MAPPING" => "foreign_servers",
        kind if kind.starts_with("TEXT SEARCH") => "text_search",
        "PROCEDURAL LANGUAGE" => "languages",
        "EXTENSION" => "extensions",
        "SCHEMA" => "schemas",
        "INDEX" => "indexes",
        other => return format!("{}s", other.to_lowercase().replace(' ', "_")),
    };
    file.to_owned()
}

pub(super) fn find_homes(pieces: &[Piece], mentioned: &[BTreeSet<Key>]) -> Vec<Home> {
    let early = early_routines(pieces, mentioned);
    let mut homes: Vec<Home> = Vec::new();
    // The home of every relation, and of every index: what is about them goes there.
    let mut known: BTreeMap<Key, Home> = BTreeMap::new();
    let owned = owned_sequences(pieces);
    let parents = parents_of_partitions(pieces);
    for (index, piece) in pieces.iter().enumerate() {
        let statement = piece.statements.first().map_or("", String::as_str);
        let about = match piece.kind.as_str() {
            "INDEX ATTACH" | "TABLE ATTACH" => nth_name(statement, 1),
            "INDEX" => name_behind(statement, "ON"),
            "STATISTICS" => name_behind(statement, "FROM"),
            "SEQUENCE" => owned.get(&(piece.schema.clone(), piece.name.clone())).cloned().or_else(|| {
                // An identity column's: ALTER TABLE … ADD GENERATED … AS IDENTITY (SEQUENCE NAME …).
                statement.starts_with("ALTER TABLE").then(|| first_name(statement)).flatten()
            }),
            "TABLE" | "FOREIGN TABLE" => root_of(&parents, &(piece.schema.clone(), piece.name.clone())),
            "SEQUENCE OWNED BY" | "DEFAULT" | "CONSTRAINT" | "CHECK CONSTRAINT" => first_name(statement),
            _ => None,
        };
        let home = match (piece.kind.as_str(), about) {
            // These follow what they are about.
            ("COMMENT" | "ACL" | "SECURITY LABEL", _) => homes.last().cloned(),
            ("SEQUENCE OWNED BY", Some(sequence)) => known.get(&sequence).cloned(),
            ("SEQUENCE" | "TABLE" | "FOREIGN TABLE", Some(table)) => {
                Some(known.get(&table).cloned().unwrap_or_else(|| Home {
                    // It comes later in the dump, and has a file of its own.
                    folder: (10, "tables"),
                    file: file_name(&table.0, &table.1),
                    owner: Some(table),
                }))
            }
            (_, Some(about)) => known.get(&about).cloned(),
            _ => None,
        };
        let home = home.unwrap_or_else(|| own_home(piece, statement, early.contains(&index), &parents));
        if matches!(
            piece.kind.as_str(),
            "TABLE" | "FOREIGN TABLE" | "VIEW" | "MATERIALIZED VIEW" | "SEQUENCE" | "INDEX"
        ) {
            known.entry((piece.schema.clone(), piece.name.clone())).or_insert_with(|| home.clone());
        }
        if let Some(constraint) = constraint_name(piece) {
            known.entry(constraint).or_insert_with(|| home.clone());
        }
        homes.push(home);
    }
    homes
}

/// A constraint's index is called as the constraint: `users users_pkey`.
pub(super) fn constraint_name(piece: &Piece) -> Option<Key> {
    if piece.kind != "CONSTRAINT" {
        return None;
    }
    let statement = piece.statements.first()?;
    let (_, rest) = statement.split_once("ADD CONSTRAINT ")?;
    let name = crate::sql::lex::lex(rest).next()?.identifier(rest)?;
    Some((piece.schema.clone(), name.as_str().to_owned()))
}

fn own_home(piece: &Piece, statement: &str, early: bool, parents: &BTreeMap<Key, Key>) -> Home {
    let folder = folder_of(piece, early);
    let (file, owner) = match folder.1 {
        "common" => (common_file(&piece.kind), None),
        "foreign_keys" | "triggers" | "policies" => {
            let table = match piece.kind.as_str() {
                // ALTER TABLE … DISABLE TRIGGER goes down to partitions: what is said of those comes after it, in the order of the dump.
                "TRIGGER" => name_behind(statement, "ON")
                    .or_else(|| first_name(statement))
                    .map(|table| root_of(parents, &table).unwrap_or(table)),
                "POLICY" => name_behind(statement, "ON"),
                "RULE" => name_behind(statement, "TO").or_else(|| first_name(statement)),
                _ => first_name(statement),
            };
            let (schema, name) = table.unwrap_or_else(|| (piece.schema.clone(), piece.name.clone()));
            (file_name(&schema, &name), None)
        }
        "functions" => {
            let name = piece.name.split('(').next().unwrap_or_default();
            (file_name(&piece.schema, name), None)
        }
        "publications" | "default_privileges" | "event_triggers" => (folder.1.to_owned(), None),
        _ => {
            let owner = (piece.schema.clone(), piece.name.clone());
            (file_name(&piece.schema, &piece.name), Some(owner))
        }
    };
    Home { folder, file, owner }
}

/// `users`, and `app.users` for what is not in `public`; what is no plain letter becomes `_`, as does a name of nothing but dots.
fn file_name(schema: &str, name: &str) -> String {
    let whole =
        if schema == "public" || schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") };
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
    let plain: String = whole.chars().map(plain).collect();
    let end = plain.floor_char_boundary(120);
    // A name with a dot in front would be that of a hidden file.
    let visible = plain[..end].trim_start_matches('.');
    if visible.is_empty() { "_".to_owned() } else { visible.to_owned() }
}

/// Sequences that belong to a column, and its table.
fn owned_sequences(pieces: &[Piece]) -> BTreeMap<Key, Key> {
    let owned = pieces.iter().filter(|piece| piece.kind == "SEQUENCE OWNED BY");
    owned
        .filter_map(|piece| {
            let statement = piece.statements.first()?;
            Some((first_name(statement)?, nth_name(statement, 1)?))
        })
        .collect()
}

/// Partitions, and the table of each.
fn parents_of_partitions(pieces: &[Piece]) -> BTreeMap<Key, Key> {
    let attached = pieces.iter().filter(|piece| piece.kind == "TABLE ATTACH");
    attached
        .filter_map(|piece| {
            let statement = piece.statements.first()?;
            Some((nth_name(statement, 1)?, first_name(statement)?))
        })
        .collect()
}

/// The table of which `table` is a partition, at the top; `None` where it is none.
fn root_of(parents: &BTreeMap<Key, Key>, table: &Key) -> Option<Key> {
    let mut root = parents.get(table)?;
    while let Some(above) = parents.get(root) {
        root = above;
    }
    Some(root.clone())
}

/// Routines that something else than a routine or a trigger needs, directly or through another routine.
fn early_routines(pieces: &[Piece], mentioned: &[BTreeSet<Key>]) -> BTreeSet<usize> {
    let is_function = |piece: &Piece| is_routine(piece) || piece.kind == "AGGREGATE";
    let key =
        |piece: &Piece| (piece.schema.clone(), piece.name.split('(').next().unwrap_or_default().to_owned());
    let late = ["TRIGGER", "EVENT TRIGGER", "POLICY", "RULE", "COMMENT", "ACL", "SECURITY LABEL"];
    let mut needed: BTreeSet<&Key> = BTreeSet::new();
    for (piece, names) in pieces.iter().zip(mentioned) {
        if !is_function(piece) && !late.contains(&piece.kind.as_str()) {
            needed.extend(names);
        }
    }
    let mut early = BTreeSet::new();
    // Backwards: a routine comes after those that it needs.
    for (index, piece) in pieces.iter().enumerate().rev().filter(|(_, piece)| is_function(piece)) {
        if needed.contains(&key(piece)) {
            early.insert(index);
            needed.extend(&mentioned[index]);
        }
    }
    early
}
