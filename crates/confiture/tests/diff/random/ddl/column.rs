//! Columns of tables.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] = &[
    add,
    add_several,
    drop,
    drop_and_add,
    set_type,
    set_type_using,
    set_default,
    null,
    add_identity,
    alter_identity,
    drop_expression,
    storage,
    rename,
    swap,
    several_actions,
];

/// A column as `CREATE TABLE` and `ADD COLUMN` have it.
pub(crate) fn definition(scene: &mut Scene<'_>, name: &str, table: Option<&str>) -> String {
    let mut of = scene.a_type();
    let mut more = String::new();
    match scene.below(14) {
        0 => {
            of = scene.one(&["integer", "bigint", "smallint"]).to_owned();
            let options = scene.one(&["", "", " (START WITH 10 INCREMENT BY 5)", " (MINVALUE 3)"]);
            more = format!(" GENERATED {} AS IDENTITY{options}", scene.one(&["ALWAYS", "BY DEFAULT"]));
        }
        1 => of = scene.one(&["serial", "bigserial", "smallserial"]).to_owned(),
        2 | 3 => {
            if let Some(expression) = table.and_then(|table| scene.expression(table)) {
                more = format!(" GENERATED ALWAYS AS ({expression}) STORED");
            }
        }
        4..=7 => more = format!(" DEFAULT {}", scene.value()),
        8 => {
            of = "text".to_owned();
            let collation = scene.any(&["collation"]).map_or("pg_catalog.\"C\"", |one| &one.name);
            more = format!(" COLLATE {collation}");
        }
        9 => more = format!(" CHECK ({name} IS NOT NULL)"),
        10 => {
            if let Some(other) = scene.table() {
                more = format!(" REFERENCES {}{}", other.name, scene.one(&["", " ON DELETE CASCADE"]));
            }
        }
        _ => {}
    }
    let end = scene.one(&["", "", "", "", " NOT NULL", " UNIQUE"]);
    format!("{name} {of}{more}{end}")
}

fn alter(scene: &mut Scene<'_>, table: &str, action: &str) -> Option<String> {
    let only = if scene.one_in(12) { "ONLY " } else { "" };
    Some(format!("ALTER TABLE {only}{table} {action}"))
}

fn add(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "foreign table"])?.name;
    let name = scene.name();
    let column = definition(scene, &name, Some(table));
    alter(scene, table, &format!("ADD COLUMN {column}"))
}

fn add_several(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let (one, other) = (scene.name(), scene.name());
    let columns = [definition(scene, &one, Some(table)), definition(scene, &other, Some(table))];
    alter(scene, table, &format!("ADD COLUMN {}, ADD {}", columns[0], columns[1]))
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let cascade = scene.one(&["", " CASCADE"]);
    alter(scene, table, &format!("DROP COLUMN {column}{cascade}"))
}

fn drop_and_add(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let again = definition(scene, column, None);
    Some(format!("ALTER TABLE {table} DROP COLUMN {column} CASCADE; ALTER TABLE {table} ADD COLUMN {again}"))
}

fn set_type(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "table", "foreign table"])?.name;
    let (column, of) = (&scene.column(table)?.name, scene.a_type());
    let collate = scene.one(&["", "", "", "", " COLLATE pg_catalog.\"C\""]);
    alter(scene, table, &format!("ALTER COLUMN {column} TYPE {of}{collate}"))
}

fn set_type_using(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let (column, of) = (&scene.column(table)?.name, scene.a_type());
    let value = match scene.below(3) {
        0 => format!("{column}::text::{of}"),
        1 => format!("NULL::{of}"),
        _ => format!("{column}::{of}"),
    };
    let again = scene.value();
    let action = format!("ALTER COLUMN {column} TYPE {of} USING {value}");
    Some(match scene.below(3) {
        0 => format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, {action}"),
        1 => format!(
            "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, {action}, ALTER COLUMN {column} SET DEFAULT {again}"
        ),
        _ => format!("ALTER TABLE {table} {action}"),
    })
}

fn set_default(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "view", "foreign table"])?.name;
    let (column, value) = (&scene.column(table)?.name, scene.value());
    let action = if scene.one_in(3) { "DROP DEFAULT".to_owned() } else { format!("SET DEFAULT {value}") };
    alter(scene, table, &format!("ALTER COLUMN {column} {action}"))
}

fn null(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let action = scene.one(&["SET NOT NULL", "SET NOT NULL", "DROP NOT NULL"]);
    alter(scene, table, &format!("ALTER COLUMN {column} {action}"))
}

fn add_identity(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let how = scene.one(&["ALWAYS", "BY DEFAULT"]);
    // Elsewhere, PostgreSQL would give it to a table of the same name there.
    let schema = table.split('.').next()?;
    let named = format!(" (SEQUENCE NAME {schema}.named CACHE 5)");
    let begin = scene.one(&["", " (START 100)", &named]);
    Some(format!(
        "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} SET NOT NULL; \
         ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {how} AS IDENTITY{begin}"
    ))
}

fn alter_identity(scene: &mut Scene<'_>) -> Option<String> {
    let column = scene.any(&["identity"])?;
    let action = scene.one(&[
        "DROP IDENTITY",
        "SET GENERATED ALWAYS",
        "SET GENERATED BY DEFAULT",
        "SET INCREMENT BY 3",
        "SET GENERATED ALWAYS SET MINVALUE -5 SET START WITH 4 RESTART",
        "SET CYCLE",
    ]);
    alter(scene, &column.of, &format!("ALTER COLUMN {} {action}", column.name))
}

fn drop_expression(scene: &mut Scene<'_>) -> Option<String> {
    let column = scene.any(&["generated"])?;
    alter(scene, &column.of, &format!("ALTER COLUMN {} DROP EXPRESSION", column.name))
}

fn storage(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.any(&["table", "table", "materialized view", "foreign table"])?.name;
    let column = &scene.column(table)?.name;
    let action = scene.one(&[
        "SET STATISTICS 500",
        "SET STATISTICS -1",
        "SET STORAGE EXTERNAL",
        "SET STORAGE MAIN",
        "SET STORAGE PLAIN",
        "SET COMPRESSION lz4",
        "SET COMPRESSION pglz",
        "SET COMPRESSION default",
        "SET (n_distinct = 5, n_distinct_inherited = -0.5)",
        "RESET (n_distinct)",
        "OPTIONS (ADD column_name 'x')",
    ]);
    alter(scene, table, &format!("ALTER COLUMN {column} {action}"))
}

fn rename(scene: &mut Scene<'_>) -> Option<String> {
    let relation = &scene.any(&["table", "table", "table", "view", "materialized view"])?;
    let (column, name) = (&scene.column(&relation.name)?.name, scene.name());
    let what = relation.kind.to_uppercase();
    Some(format!("ALTER {what} {} RENAME COLUMN {column} TO {name}", relation.name))
}

fn swap(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let (one, other) = (&scene.column(table)?.name, &scene.column(table)?.name);
    let rename = |from: &str, to: &str| format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}");
    Some([rename(one, "aside"), rename(other, one), rename("aside", other)].join("; "))
}

fn several_actions(scene: &mut Scene<'_>) -> Option<String> {
    let table = &scene.table()?.name;
    let (one, other) = (&scene.column(table)?.name, &scene.column(table)?.name);
    let (of, value, name) = (scene.a_type(), scene.value(), scene.name());
    let column = definition(scene, &name, None);
    let second = match scene.below(4) {
        0 => format!("DROP COLUMN {other}"),
        1 => format!("ALTER COLUMN {other} SET NOT NULL"),
        2 => format!("ALTER COLUMN {other} SET DEFAULT {value}"),
        _ => format!("ALTER COLUMN {other} TYPE text USING {other}::text"),
    };
    alter(
        scene,
        table,
        &format!("ADD COLUMN {column}, ALTER COLUMN {one} TYPE {of} USING {one}::text::{of}, {second}"),
    )
}
