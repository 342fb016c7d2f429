//! Publications, foreign data, extensions and text search.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] =
    &[publication, alter_publication, extension, foreign_data, foreign_table, text_search, alter_text_search];

/// What a publication is of.
fn members(scene: &mut Scene<'_>) -> Option<String> {
    let (table, other) = (&scene.table()?.name, &scene.table()?.name);
    Some(match scene.below(5) {
        0 => format!("TABLES IN SCHEMA {}", scene.schema()),
        1 => format!("TABLE {table} ({})", scene.columns(table).join(", ")),
        2 => format!("TABLE {table} WHERE ({})", scene.condition(table)?),
        3 => format!("TABLE ONLY {table}, {other}"),
        _ => format!("TABLE {table}"),
    })
}

fn publication(scene: &mut Scene<'_>) -> Option<String> {
    let of = if scene.one_in(5) { "ALL TABLES".to_owned() } else { members(scene)? };
    let with =
        scene.one(&["", "", " WITH (publish = 'insert, update')", " WITH (publish_via_partition_root)"]);
    Some(format!("CREATE PUBLICATION {} FOR {of}{with}", scene.name()))
}

fn alter_publication(scene: &mut Scene<'_>) -> Option<String> {
    let one = &scene.any(&["publication"])?.name;
    let action = match scene.below(5) {
        0 => format!("ADD {}", members(scene)?),
        1 => format!("SET {}", members(scene)?),
        2 => format!("DROP TABLE {}", scene.table()?.name),
        3 => "SET (publish = 'delete, truncate')".to_owned(),
        _ => "SET (publish_via_partition_root = true)".to_owned(),
    };
    Some(format!("ALTER PUBLICATION {one} {action}"))
}

fn extension(scene: &mut Scene<'_>) -> Option<String> {
    let schema = scene.schema();
    Some(match scene.any(&["extension"]) {
        Some(one) if scene.one_in(2) => match scene.below(2) {
            0 => format!("DROP EXTENSION {} CASCADE", one.name),
            _ => format!("ALTER EXTENSION {} SET SCHEMA {schema}", one.name),
        },
        _ => format!(
            "CREATE EXTENSION {} WITH SCHEMA {schema}",
            scene.one(&["citext", "hstore", "btree_gist", "pg_trgm", "ltree"])
        ),
    })
}

fn foreign_data(scene: &mut Scene<'_>) -> Option<String> {
    if let Some(server) = scene.any(&["server"]) {
        let role = scene.role();
        return Some(match scene.below(5) {
            0 => format!("CREATE USER MAPPING FOR {role} SERVER {}", server.name),
            1 => format!("ALTER SERVER {} VERSION '2'", server.name),
            2 => format!("ALTER SERVER {} OPTIONS (ADD host 'x')", server.name),
            3 => format!("DROP SERVER {} CASCADE", server.name),
            _ => format!("ALTER SERVER {} RENAME TO {}", server.name, scene.name()),
        });
    }
    Some(
        "CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far OPTIONS (host 'y')"
            .to_owned(),
    )
}

fn foreign_table(scene: &mut Scene<'_>) -> Option<String> {
    let (server, name, kind) = (&scene.any(&["server"])?.name, scene.full_name(), scene.a_type());
    if let Some(one) = scene.any(&["foreign table"])
        && scene.one_in(2)
    {
        return Some(format!(
            "ALTER FOREIGN TABLE {} {}",
            one.name,
            scene.one(&[
                "OPTIONS (ADD t 'x')",
                "OPTIONS (SET t 'y')",
                "ADD COLUMN more text OPTIONS (c 'd')"
            ])
        ));
    }
    Some(format!(
        "CREATE FOREIGN TABLE {name} (id integer NOT NULL, a {kind}) SERVER {server} OPTIONS (t 'a')"
    ))
}

fn text_search(scene: &mut Scene<'_>) -> Option<String> {
    let name = scene.full_name();
    Some(match scene.below(2) {
        0 => format!(
            "CREATE TEXT SEARCH CONFIGURATION {name} (COPY = pg_catalog.{})",
            scene.one(&["english", "simple"])
        ),
        _ => format!(
            "CREATE TEXT SEARCH DICTIONARY {name} (TEMPLATE = pg_catalog.simple{})",
            scene.one(&["", ", ACCEPT = false"])
        ),
    })
}

fn alter_text_search(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["text search configuration", "text search dictionary"])?;
    if one.kind == "text search dictionary" {
        return Some(format!(
            "ALTER TEXT SEARCH DICTIONARY {} ({})",
            one.name,
            scene.one(&["ACCEPT = true", "ACCEPT"])
        ));
    }
    let dictionary = scene.any(&["text search dictionary"]).map_or("pg_catalog.simple", |one| &one.name);
    Some(match scene.below(3) {
        0 => format!(
            "ALTER TEXT SEARCH CONFIGURATION {} ALTER MAPPING FOR word, asciiword WITH {dictionary}, pg_catalog.simple",
            one.name
        ),
        1 => format!("ALTER TEXT SEARCH CONFIGURATION {} DROP MAPPING FOR email", one.name),
        _ => format!("DROP TEXT SEARCH CONFIGURATION {}", one.name),
    })
}
