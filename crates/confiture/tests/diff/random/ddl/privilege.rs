//! Privileges, owners and comments.

use crate::random::ddl::Kind;
use crate::random::ddl::relation::phrase;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] = &[
    grant_on_relation,
    grant_on_relation,
    grant_on_column,
    grant_on_other,
    default_privileges,
    owner,
    owner,
    comment,
    comment,
    comment_on_part,
];

/// `GRANT … TO`, or `REVOKE … FROM`.
fn say(scene: &mut Scene<'_>, what: &str, on: &str) -> String {
    let role = if scene.one_in(5) { "PUBLIC" } else { scene.role() };
    match scene.below(4) {
        0 => format!("REVOKE {what} ON {on} FROM {role}{}", scene.one(&["", " CASCADE"])),
        1 if role != "PUBLIC" => format!("GRANT {what} ON {on} TO {role} WITH GRANT OPTION"),
        _ => format!("GRANT {what} ON {on} TO {role}"),
    }
}

fn grant_on_relation(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["table", "view", "materialized view", "foreign table"])?;
    let what = scene.one(&["SELECT", "INSERT, UPDATE", "ALL", "REFERENCES, TRIGGER", "DELETE", "TRUNCATE"]);
    Some(say(scene, what, &one.name))
}

fn grant_on_column(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.relation()?;
    let (column, other) = (&scene.column(&one.name)?.name, &scene.column(&one.name)?.name);
    let what = match scene.below(2) {
        0 => format!("SELECT ({column}, {other}), UPDATE ({column})"),
        _ => format!("{} ({column})", scene.one(&["SELECT", "INSERT", "REFERENCES", "ALL"])),
    };
    Some(say(scene, &what, &one.name))
}

fn grant_on_other(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&[
        "sequence",
        "function",
        "procedure",
        "schema",
        "enum",
        "domain",
        "composite",
        "server",
    ])?;
    let (what, on) = match one.kind.as_str() {
        "sequence" => (scene.one(&["USAGE", "SELECT", "ALL"]), phrase(one)),
        "schema" => (scene.one(&["USAGE", "CREATE", "ALL"]), phrase(one)),
        "function" | "procedure" => ("EXECUTE", phrase(one)),
        "server" => ("USAGE", format!("FOREIGN SERVER {}", one.name)),
        _ => ("USAGE", format!("TYPE {}", one.name)),
    };
    Some(say(scene, what, &on))
}

fn default_privileges(scene: &mut Scene<'_>) -> Option<String> {
    let (schema, role) = (scene.schema(), scene.role());
    let within = if scene.one_in(2) { format!(" IN SCHEMA {schema}") } else { String::new() };
    let of = if scene.one_in(3) { format!(" FOR ROLE {role}") } else { String::new() };
    let what =
        scene.one(&["SELECT ON TABLES", "USAGE ON SEQUENCES", "EXECUTE ON FUNCTIONS", "USAGE ON TYPES"]);
    let to = scene.role();
    Some(match scene.below(4) {
        0 => format!("ALTER DEFAULT PRIVILEGES{of} REVOKE {what} FROM PUBLIC"),
        1 => format!("ALTER DEFAULT PRIVILEGES{of}{within} REVOKE {what} FROM {to}"),
        _ => format!("ALTER DEFAULT PRIVILEGES{of}{within} GRANT {what} TO {to}"),
    })
}

fn owner(scene: &mut Scene<'_>) -> Option<String> {
    let kinds = &[
        "table",
        "table",
        "view",
        "materialized view",
        "sequence",
        "enum",
        "domain",
        "composite",
        "function",
        "schema",
        "publication",
        "statistics",
        "server",
        "foreign table",
    ];
    let (one, role) = (scene.any(kinds)?, scene.role());
    Some(format!("ALTER {} OWNER TO {role}", phrase(one)))
}

fn text(scene: &mut Scene<'_>) -> &'static str {
    scene.one(&["'said'", "'it''s said'", "'Ü\n-- two lines'", "NULL"])
}

fn comment(scene: &mut Scene<'_>) -> Option<String> {
    let kinds = &[
        "table",
        "view",
        "materialized view",
        "sequence",
        "index",
        "enum",
        "domain",
        "composite",
        "function",
        "procedure",
        "aggregate",
        "schema",
        "publication",
        "event trigger",
        "statistics",
        "operator",
        "server",
        "extension",
        "collation",
        "text search configuration",
        "text search dictionary",
        "foreign table",
    ];
    let one = scene.any(kinds)?;
    Some(format!("COMMENT ON {} IS {}", phrase(one), text(scene)))
}

fn comment_on_part(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&[
        "column",
        "column",
        "attribute",
        "constraint",
        "trigger",
        "rule",
        "policy",
        "domain constraint",
        "cast",
    ])?;
    let on = match one.kind.as_str() {
        "column" | "attribute" => format!("COLUMN {}.{}", one.of, one.name),
        "domain constraint" => format!("CONSTRAINT {} ON DOMAIN {}", one.name, one.of),
        "cast" => format!("CAST ({})", one.name),
        kind => format!("{} {} ON {}", kind.to_uppercase(), one.name, one.of),
    };
    Some(format!("COMMENT ON {on} IS {}", text(scene)))
}
