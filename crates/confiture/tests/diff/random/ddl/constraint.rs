//! Constraints of tables.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::{Scene, bare};
use crate::random::tables::REFERENCES;

pub(crate) const KINDS: &[Kind] = &[
    check,
    key,
    key,
    foreign_key,
    foreign_key,
    exclusion,
    using_index,
    drop,
    validate,
    alter,
    rename,
    again,
];

fn add(scene: &mut Scene<'_>, table: &str, what: &str) -> String {
    let only = if scene.one_in(15) { "ONLY " } else { "" };
    let named = if scene.one_in(2) { format!("CONSTRAINT {} ", scene.name()) } else { String::new() };
    format!("ALTER TABLE {only}{table} ADD {named}{what}")
}

fn timing(scene: &mut Scene<'_>) -> &'static str {
    scene.one(&["", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"])
}

/// One to three columns.
fn list(scene: &mut Scene<'_>, table: &str) -> Option<String> {
    let mut columns: Vec<&str> = Vec::new();
    for _ in 0..=scene.below(3) {
        let column = scene.column(table)?.name.as_str();
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Some(columns.join(", "))
}

fn check(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "table", "foreign table"])?.name;
    let condition = scene.condition(table)?;
    let end = scene.one(&["", "", "", " NOT VALID", " NO INHERIT"]);
    Some(add(scene, table, &format!("CHECK ({condition}){end}")))
}

fn key(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let (columns, timing) = (list(scene, table)?, timing(scene));
    let what = scene.one(&["PRIMARY KEY", "UNIQUE", "UNIQUE", "UNIQUE NULLS NOT DISTINCT"]);
    let include = match scene.column(table) {
        Some(column) if scene.one_in(5) => format!(" INCLUDE ({})", column.name),
        _ => String::new(),
    };
    let with = scene.one(&["", "", "", "", " WITH (fillfactor = 80)"]);
    Some(add(scene, table, &format!("{what} ({columns}){include}{with}{timing}")))
}

fn foreign_key(scene: &mut Scene<'_>) -> Option<String> {
    let (table, other) = (&scene.table()?.name, &scene.table()?.name);
    let column = &scene.column(table)?.name;
    let on = scene.one(REFERENCES);
    let (timing, end) = (timing(scene), scene.one(&["", "", "", " NOT VALID"]));
    let to = match scene.column(other) {
        Some(column) if scene.one_in(3) => format!("{other} ({})", column.name),
        _ => other.clone(),
    };
    Some(add(scene, table, &format!("FOREIGN KEY ({column}) REFERENCES {to}{on}{timing}{end}")))
}

fn exclusion(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let (method, sign) = (scene.one(&["btree", "gist", "hash"]), scene.one(&["=", "&&", "="]));
    let when = if scene.one_in(3) { format!(" WHERE ({})", scene.condition(table)?) } else { String::new() };
    let timing = timing(scene);
    Some(add(scene, table, &format!("EXCLUDE USING {method} ({column} WITH {sign}){when}{timing}")))
}

fn using_index(scene: &mut Scene<'_>) -> Option<String> {
    let index = scene.any(&["index"])?;
    let (what, timing) = (scene.one(&["UNIQUE", "PRIMARY KEY"]), timing(scene));
    Some(add(scene, &index.of, &format!("{what} USING INDEX {}{timing}", bare(&index.name))))
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["constraint"])?;
    let only = if scene.one_in(8) { "ONLY " } else { "" };
    Some(format!("ALTER TABLE {only}{} DROP CONSTRAINT {}{}", one.of, one.name, scene.one(&["", " CASCADE"])))
}

fn validate(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["constraint"])?;
    Some(format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", one.of, one.name))
}

fn alter(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["constraint"])?;
    let timing = scene.one(&["DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED", "NOT DEFERRABLE"]);
    Some(format!("ALTER TABLE {} ALTER CONSTRAINT {} {timing}", one.of, one.name))
}

fn rename(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["constraint"])?;
    Some(format!("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", one.of, one.name, scene.name()))
}

/// Under the name of one that was there, another one.
fn again(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["constraint"])?;
    let condition = scene.condition(&one.of)?;
    let what = match list(scene, &one.of) {
        Some(columns) if scene.one_in(2) => format!("UNIQUE ({columns})"),
        _ => format!("CHECK ({condition})"),
    };
    let (table, name) = (&one.of, &one.name);
    Some(format!(
        "ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE; ALTER TABLE {table} ADD CONSTRAINT {name} {what}"
    ))
}
