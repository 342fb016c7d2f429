//! What all that has a name has in common: it gets another one, goes elsewhere, or goes.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::{Scene, Thing, bare};
use crate::random::others::SEQUENCE_OPTIONS;

pub(crate) const KINDS: &[Kind] = &[
    rename,
    rename,
    move_away,
    move_away,
    drop,
    drop_cascade,
    swap,
    swap,
    take_the_name,
    schema,
    sequence,
    alter_sequence,
    alter_sequence,
    own,
];

const KIND: &[&str] = &[
    "table",
    "table",
    "view",
    "materialized view",
    "sequence",
    "index",
    "enum",
    "domain",
    "composite",
    "range",
    "function",
    "procedure",
    "foreign table",
];

/// How `ALTER` and `DROP` call it.
pub(crate) fn phrase(thing: &Thing) -> String {
    match thing.kind.as_str() {
        "enum" | "composite" | "range" => format!("TYPE {}", thing.name),
        "function" | "procedure" | "aggregate" => {
            format!(
                "{} {}({})",
                thing.kind.to_uppercase(),
                thing.name,
                if thing.of.is_empty() && thing.kind == "aggregate" { "*" } else { &thing.of }
            )
        }
        kind => format!("{} {}", kind.to_uppercase(), thing.name),
    }
}

fn rename(scene: &mut Scene<'_>) -> Option<String> {
    let (one, name) = (scene.any(KIND)?, scene.name());
    Some(format!("ALTER {} RENAME TO {name}", phrase(one)))
}

fn move_away(scene: &mut Scene<'_>) -> Option<String> {
    let kinds = &[
        "table",
        "table",
        "view",
        "materialized view",
        "sequence",
        "enum",
        "domain",
        "composite",
        "range",
        "function",
        "statistics",
        "collation",
    ];
    let (one, schema) = (scene.any(kinds)?, scene.schema());
    let alter = format!("ALTER {} SET SCHEMA {schema}", phrase(one));
    Some(if scene.one_in(3) { format!("CREATE SCHEMA IF NOT EXISTS {schema}2; {alter}2") } else { alter })
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    Some(format!("DROP {}", phrase(scene.any(KIND)?)))
}

fn drop_cascade(scene: &mut Scene<'_>) -> Option<String> {
    Some(format!("DROP {} CASCADE", phrase(scene.any(KIND)?)))
}

/// Two take each other's names.
fn swap(scene: &mut Scene<'_>) -> Option<String> {
    let kinds: &[&str] = match scene.below(5) {
        0 => &["view", "table"],
        1 => &["enum", "domain", "composite"],
        2 => &["sequence", "index"],
        3 => &["function"],
        _ => &["table"],
    };
    let (one, other) = (scene.any(kinds)?, scene.any(kinds)?);
    let at = |thing: &Thing, name: &str| {
        let schema = thing.name.strip_suffix(bare(&thing.name)).unwrap_or_default();
        phrase(thing).replacen(&thing.name, &format!("{schema}{name}"), 1)
    };
    let (first, second) = (bare(&one.name), bare(&other.name));
    Some(format!(
        "ALTER {} RENAME TO aside; ALTER {} RENAME TO {first}; ALTER {} RENAME TO {second}",
        phrase(one),
        phrase(other),
        at(one, "aside")
    ))
}

/// One gets another name, and something else has its old one at once.
fn take_the_name(scene: &mut Scene<'_>) -> Option<String> {
    let (one, other, name) = (scene.any(&["table", "view", "sequence"])?, scene.relation()?, scene.name());
    let old = &one.name;
    let alter = format!("ALTER {} RENAME TO {name}", phrase(one));
    let schema = old.strip_suffix(bare(old)).unwrap_or_default();
    let then = match scene.below(4) {
        0 => format!("CREATE VIEW {old} AS SELECT * FROM {schema}{name}"),
        1 => format!("CREATE TABLE {old} (id integer PRIMARY KEY, of text)"),
        2 => format!("CREATE TYPE {old} AS ENUM ('a')"),
        _ => format!("CREATE VIEW {old} AS SELECT * FROM {}", other.name),
    };
    Some(format!("{alter}; {then}"))
}

fn schema(scene: &mut Scene<'_>) -> Option<String> {
    let one = &scene.any(&["schema"])?.name;
    let name = scene.name();
    Some(match scene.below(4) {
        // What `pg_dump` says of `public` depends on where it comes from.
        0 if one != "public" => format!("ALTER SCHEMA {one} RENAME TO {name}"),
        1 => format!("DROP SCHEMA {one} CASCADE"),
        _ => format!("CREATE SCHEMA {name}"),
    })
}

fn sequence(scene: &mut Scene<'_>) -> Option<String> {
    let (name, kind) = (scene.full_name(), scene.one(&["", "", " AS integer", " AS smallint"]));
    let more = scene.one(SEQUENCE_OPTIONS);
    let unlogged = scene.one(&["", "", "", " UNLOGGED"]);
    Some(format!("CREATE{unlogged} SEQUENCE {name}{kind}{more}"))
}

fn alter_sequence(scene: &mut Scene<'_>) -> Option<String> {
    let one = &scene.any(&["sequence"])?.name;
    let action = scene.one(&[
        "AS bigint",
        "AS smallint",
        "INCREMENT 7",
        "MAXVALUE 9000",
        "NO MAXVALUE",
        "MINVALUE -9",
        "START 12 RESTART",
        "CACHE 3",
        "CYCLE",
        "NO CYCLE",
        "OWNED BY NONE",
        "SET UNLOGGED",
        "SET LOGGED",
    ]);
    Some(format!("ALTER SEQUENCE {one} {action}"))
}

fn own(scene: &mut Scene<'_>) -> Option<String> {
    let (sequence, table) = (&scene.any(&["sequence"])?.name, &scene.table()?.name);
    let column = &scene.column(table)?.name;
    let text = sequence.replace('\'', "''");
    Some(match scene.below(3) {
        0 => format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{column}"),
        1 => format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{text}')"),
        _ => format!(
            "ALTER SEQUENCE {sequence} OWNED BY {table}.{column}; ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{text}')"
        ),
    })
}
