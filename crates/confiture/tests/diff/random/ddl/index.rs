//! Indexes and extended statistics.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::{Scene, bare};

pub(crate) const KINDS: &[Kind] =
    &[create, create, create, drop, options, attach, cluster, again, create_statistics, alter_statistics];

/// An index under that name.
fn definition(scene: &mut Scene<'_>, name: &str) -> Option<String> {
    let table = &scene.any(&["table", "table", "table", "materialized view"])?.name;
    let unique = if scene.one_in(4) { "UNIQUE " } else { "" };
    let method = scene.one(&["btree", "btree", "btree", "btree", "hash", "gin", "gist", "brin", "spgist"]);
    let (column, other) = (&scene.column(table)?.name, &scene.column(table)?.name);
    let what = match scene.below(8) {
        0 | 1 => format!("({})", scene.expression(table)?),
        2 => format!("{column} DESC NULLS LAST, {other}"),
        3 => format!("{column} COLLATE pg_catalog.\"C\""),
        4 => {
            format!("{column} {}", scene.one(&["text_pattern_ops", "jsonb_path_ops", "varchar_pattern_ops"]))
        }
        5 => format!("({column}::text), {other}"),
        _ => column.clone(),
    };
    let include = if scene.one_in(6) { format!(" INCLUDE ({other})") } else { String::new() };
    let nulls = if scene.one_in(8) { " NULLS NOT DISTINCT" } else { "" };
    let with = scene.one(&["", "", "", " WITH (fillfactor = 75)"]);
    let when = if scene.one_in(4) { format!(" WHERE {}", scene.condition(table)?) } else { String::new() };
    let only = if scene.one_in(8) { "ONLY " } else { "" };
    Some(format!(
        "CREATE {unique}INDEX {name} ON {only}{table} USING {method} ({what}){include}{nulls}{with}{when}"
    ))
}

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let name = if scene.one_in(2) { String::new() } else { scene.name() };
    definition(scene, &name)
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    Some(format!("DROP INDEX {}{}", scene.any(&["index"])?.name, scene.one(&["", " CASCADE"])))
}

fn options(scene: &mut Scene<'_>) -> Option<String> {
    let index = &scene.any(&["index"])?.name;
    let action = scene.one(&[
        "SET (fillfactor = 60)",
        "SET (deduplicate_items = off)",
        "RESET (fillfactor)",
        "ALTER COLUMN 1 SET STATISTICS 300",
        "SET (fastupdate = off)",
    ]);
    Some(format!("ALTER INDEX {index} {action}"))
}

fn attach(scene: &mut Scene<'_>) -> Option<String> {
    Some(format!(
        "ALTER INDEX {} ATTACH PARTITION {}",
        scene.any(&["index"])?.name,
        scene.any(&["index"])?.name
    ))
}

fn cluster(scene: &mut Scene<'_>) -> Option<String> {
    let index = scene.any(&["index"])?;
    Some(format!("ALTER TABLE {} CLUSTER ON {}", index.of, bare(&index.name)))
}

/// Under the name of one that was there, another one.
fn again(scene: &mut Scene<'_>) -> Option<String> {
    let index = scene.any(&["index"])?;
    let other = definition(scene, bare(&index.name))?;
    Some(format!("DROP INDEX {}; {other}", index.name))
}

fn create_statistics(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "materialized view"])?.name;
    let (one, other) = (&scene.column(table)?.name, scene.expression(table)?);
    let kinds = scene.one(&["", "", " (ndistinct)", " (dependencies, mcv)"]);
    let name = scene.full_name();
    Some(format!("CREATE STATISTICS {name}{kinds} ON {one}, ({other}) FROM {table}"))
}

fn alter_statistics(scene: &mut Scene<'_>) -> Option<String> {
    let one = &scene.any(&["statistics"])?.name;
    Some(match scene.below(3) {
        0 => format!("DROP STATISTICS {one}"),
        1 => format!("ALTER STATISTICS {one} SET STATISTICS {}", scene.one(&["40", "-1", "0"])),
        _ => format!("ALTER STATISTICS {one} RENAME TO {}", scene.name()),
    })
}
