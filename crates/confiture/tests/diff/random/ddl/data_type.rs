//! Types, collations, and their parts.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] = &[
    create,
    create,
    add_label,
    rename_label,
    attribute,
    attribute,
    domain,
    domain_constraint,
    again,
    less_labels,
    take_into_use,
    collation,
];

/// A type of any kind under that name.
fn definition(scene: &mut Scene<'_>, name: &str) -> String {
    let (one, other, value) = (scene.a_type(), scene.a_type(), scene.value());
    match scene.below(6) {
        0 | 1 => format!(
            "CREATE TYPE {name} AS ENUM ({})",
            scene.one(&["'a', 'b', 'c'", "'1', '2'", "'x'", "'a', 'it''s', 'Ü'", ""])
        ),
        2 => format!("CREATE TYPE {name} AS (a {one}, {} {other})", scene.one(&["b", "\"order\"", "c"])),
        3 => format!("CREATE TYPE {name} AS RANGE (SUBTYPE = {one})"),
        _ => {
            let end = match scene.below(5) {
                0 => format!(" DEFAULT {value}"),
                1 => " NOT NULL".to_owned(),
                2 => " CHECK (VALUE IS NOT NULL)".to_owned(),
                3 => " CONSTRAINT named CHECK (VALUE::text <> 'bad')".to_owned(),
                _ => String::new(),
            };
            format!("CREATE DOMAIN {name} AS {one}{end}")
        }
    }
}

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let name = scene.full_name();
    Some(definition(scene, &name))
}

/// Another type under the name of one that was there, perhaps of another kind.
fn again(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["enum", "domain", "composite", "range"])?;
    let what = if one.kind == "domain" { "DOMAIN" } else { "TYPE" };
    let other = definition(scene, &one.name);
    let end = if scene.one_in(3) { String::new() } else { format!("; {other}") };
    Some(format!("DROP {what} {} CASCADE{end}", one.name))
}

fn add_label(scene: &mut Scene<'_>) -> Option<String> {
    let of = &scene.any(&["enum"])?.name;
    let label = scene.one(&["'new'", "'b'", "'it''s'", "'Ü'", "'zz top'"]);
    let place = match scene.of("label", of) {
        Some(other) if scene.one_in(2) => format!(" {} {}", scene.one(&["BEFORE", "AFTER"]), other.name),
        _ => String::new(),
    };
    Some(format!("ALTER TYPE {of} ADD VALUE {label}{place}"))
}

fn rename_label(scene: &mut Scene<'_>) -> Option<String> {
    let label = scene.any(&["label"])?;
    Some(format!(
        "ALTER TYPE {} RENAME VALUE {} TO {}",
        label.of,
        label.name,
        scene.one(&["'other'", "'b'", "'x y'"])
    ))
}

/// The same enumeration without some of its labels, and its columns taken over as a team would.
fn less_labels(scene: &mut Scene<'_>) -> Option<String> {
    let column = scene.any(&["column"])?;
    let of = scene.any(&["enum"]).filter(|of| of.name == column.extra)?;
    let label = scene.of("label", &of.name)?;
    let (table, name) = (&column.of, &column.name);
    Some(format!(
        "ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} TYPE text; DROP TYPE {0} CASCADE; \
         CREATE TYPE {0} AS ENUM ('fresh', {1}); ALTER TABLE {table} ALTER COLUMN {name} TYPE {0} USING {name}::{0}",
        of.name, label.name
    ))
}

fn attribute(scene: &mut Scene<'_>) -> Option<String> {
    let of = &scene.any(&["composite"])?.name;
    let (one, kind, name) = (&scene.column(of)?.name, scene.a_type(), scene.name());
    let cascade = scene.one(&["", " CASCADE"]);
    Some(match scene.below(4) {
        0 => format!("ALTER TYPE {of} ADD ATTRIBUTE {name} {kind}{cascade}"),
        1 => format!("ALTER TYPE {of} DROP ATTRIBUTE {one}{cascade}"),
        2 => format!("ALTER TYPE {of} ALTER ATTRIBUTE {one} TYPE {kind}{cascade}"),
        _ => format!("ALTER TYPE {of} RENAME ATTRIBUTE {one} TO {name}{cascade}"),
    })
}

fn domain(scene: &mut Scene<'_>) -> Option<String> {
    let (of, value) = (&scene.any(&["domain"])?.name, scene.value());
    Some(match scene.below(4) {
        0 => format!("ALTER DOMAIN {of} SET DEFAULT {value}"),
        1 => format!("ALTER DOMAIN {of} DROP DEFAULT"),
        2 => format!("ALTER DOMAIN {of} SET NOT NULL"),
        _ => format!("ALTER DOMAIN {of} DROP NOT NULL"),
    })
}

fn domain_constraint(scene: &mut Scene<'_>) -> Option<String> {
    if scene.one_in(2) {
        let (of, name) = (&scene.any(&["domain"])?.name, scene.name());
        let what = scene.one(&["VALUE IS NOT NULL", "VALUE::text <> 'no'", "length(VALUE::text) < 70"]);
        let end = scene.one(&["", " NOT VALID"]);
        return Some(format!("ALTER DOMAIN {of} ADD CONSTRAINT {name} CHECK ({what}){end}"));
    }
    let one = scene.any(&["domain constraint"])?;
    let action = match scene.below(3) {
        0 => format!("DROP CONSTRAINT {}", one.name),
        1 => format!("VALIDATE CONSTRAINT {}", one.name),
        _ => format!("RENAME CONSTRAINT {} TO {}", one.name, scene.name()),
    };
    Some(format!("ALTER DOMAIN {} {action}", one.of))
}

/// A column that gets a type of the user's.
fn take_into_use(scene: &mut Scene<'_>) -> Option<String> {
    let of = &scene.any(&["enum", "domain", "composite", "range"])?.name;
    let (table, name) = (&scene.table()?.name, scene.name());
    Some(match scene.column(table) {
        Some(column) if scene.one_in(2) => {
            let column = &column.name;
            format!(
                "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} TYPE {of} USING {column}::text::{of}"
            )
        }
        _ => format!("ALTER TABLE {table} ADD COLUMN {name} {of}{}", scene.one(&["", "[]"])),
    })
}

fn collation(scene: &mut Scene<'_>) -> Option<String> {
    let locale = scene.one(&[
        "LOCALE = 'C'",
        "PROVIDER = icu, LOCALE = 'und'",
        "PROVIDER = icu, LOCALE = 'de', DETERMINISTIC = false",
    ]);
    Some(match scene.any(&["collation"]) {
        Some(one) if scene.one_in(2) => match scene.below(2) {
            0 => format!("DROP COLLATION {} CASCADE", one.name),
            _ => format!("ALTER COLLATION {} RENAME TO {}", one.name, scene.name()),
        },
        _ => format!("CREATE COLLATION {} ({locale})", scene.full_name()),
    })
}
