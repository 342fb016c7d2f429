//! Views, materialized ones, and views over both.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::Scene;

pub(crate) const KINDS: &[Kind] = &[
    create,
    create,
    create,
    create_materialized,
    replace,
    replace,
    longer,
    options,
    to_materialized,
    to_table,
    data,
];

fn query(scene: &mut Scene<'_>) -> Option<String> {
    let (one, other) = (&scene.relation()?.name, &scene.relation()?.name);
    let (column, second) = (&scene.column(one)?.name, &scene.column(one)?.name);
    let theirs = &scene.column(other)?.name;
    let (expression, condition) = (scene.expression(one)?, scene.condition(one)?);
    Some(match scene.below(17) {
        0 => format!("SELECT * FROM {one}"),
        1 => format!("SELECT {column} FROM {one} WHERE {condition}"),
        2 => format!("SELECT {column} AS k, {expression} AS x FROM {one}"),
        3 => format!(
            "SELECT a.{column} AS k, b.{theirs} AS x FROM {one} a JOIN {other} b ON a.{column}::text = b.{theirs}::text"
        ),
        4 => format!(
            "SELECT {column} AS k, count(*) AS n, max({second}::text) FROM {one} GROUP BY {column} HAVING count(*) > 1"
        ),
        5 => format!("SELECT * FROM {one} GROUP BY {column}"),
        6 => format!("SELECT {column}::text AS k FROM {one} UNION ALL SELECT {theirs}::text FROM {other}"),
        7 => format!(
            "WITH w AS (SELECT * FROM {one}) SELECT {column} AS k, row_number() OVER (ORDER BY {second}) AS n FROM w"
        ),
        8 => format!("SELECT x, (x).{column} AS k FROM {one} x"),
        9 => format!("SELECT * FROM {one} NATURAL LEFT JOIN {other}"),
        10 => format!(
            "SELECT DISTINCT ON ({column}) {column} AS k, {second} AS x FROM {one} ORDER BY {column}, {second} LIMIT 5"
        ),
        11 => format!(
            "SELECT {column} AS k, (SELECT max({theirs}::text) FROM {other}) AS x FROM {one} WHERE EXISTS (SELECT FROM {other})"
        ),
        12 => format!("SELECT {column} AS k, l.* FROM {one} CROSS JOIN LATERAL (SELECT {expression} AS x) l"),
        13 => format!(
            "SELECT array_agg({column}) AS k, row_to_json({bare}) AS x FROM {one} AS {bare} GROUP BY {bare}",
            bare = "r"
        ),
        14 => format!(
            "SELECT a.* FROM {one} a FULL JOIN {one} b USING ({column}) WHERE a.{column} IS DISTINCT FROM b.{column}"
        ),
        15 => format!(
            "WITH RECURSIVE w(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w WHERE n < 3) SELECT n, {column} FROM w, {one}"
        ),
        _ => {
            let function = scene.any(&["function"])?;
            format!("SELECT f.*, 1 AS one FROM {}() AS f", function.name)
        }
    })
}

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let (name, query) = (scene.full_name(), query(scene)?);
    let with = scene.one(&["", "", "", " WITH (security_barrier)", " WITH (security_invoker = true)"]);
    let end = scene.one(&["", "", "", "", " WITH CHECK OPTION", " WITH LOCAL CHECK OPTION"]);
    Some(format!("CREATE VIEW {name}{with} AS {query}{end}"))
}

fn create_materialized(scene: &mut Scene<'_>) -> Option<String> {
    let (name, query) = (scene.full_name(), query(scene)?);
    let with = scene.one(&["", "", " WITH (fillfactor = 70)"]);
    Some(format!("CREATE MATERIALIZED VIEW {name}{with} AS {query}{}", scene.one(&["", " WITH NO DATA"])))
}

/// The same columns from other words.
fn replace(scene: &mut Scene<'_>) -> Option<String> {
    let view = scene.any(&["view"])?;
    let columns = scene.columns(&view.name);
    let end = match scene.below(4) {
        0 => " WHERE true".to_owned(),
        1 => format!(" WHERE {} IS NOT NULL", columns.first()?),
        2 => format!(" ORDER BY {}", columns.first()?),
        _ => ", (SELECT 1) AS other".to_owned(),
    };
    Some(format!("CREATE OR REPLACE VIEW {} AS SELECT q.* FROM ({}) AS q{end}", view.name, view.extra))
}

fn longer(scene: &mut Scene<'_>) -> Option<String> {
    let (view, value, name) = (scene.any(&["view"])?, scene.value(), scene.name());
    Some(format!(
        "CREATE OR REPLACE VIEW {} AS SELECT q.*, {value} AS {name} FROM ({}) AS q",
        view.name, view.extra
    ))
}

fn options(scene: &mut Scene<'_>) -> Option<String> {
    let view = &scene.any(&["view"])?.name;
    let action = scene.one(&[
        "SET (security_barrier = true)",
        "SET (security_invoker = true)",
        "SET (check_option = local)",
        "RESET (security_barrier, check_option)",
    ]);
    Some(format!("ALTER VIEW {view} {action}"))
}

/// A view that becomes a materialized one, or the other way round, with all that stood on it gone.
fn to_materialized(scene: &mut Scene<'_>) -> Option<String> {
    let view = scene.any(&["view", "materialized view"])?;
    let (from, to) = match view.kind.as_str() {
        "view" => ("VIEW", "MATERIALIZED VIEW"),
        _ => ("MATERIALIZED VIEW", "VIEW"),
    };
    Some(format!("DROP {from} {} CASCADE; CREATE {to} {0} AS {}", view.name, view.extra))
}

/// A view that becomes a table of its columns, or a table that becomes a view of another one.
fn to_table(scene: &mut Scene<'_>) -> Option<String> {
    if scene.one_in(2) {
        let view = scene.any(&["view", "materialized view"])?;
        let name = &view.name;
        return Some(format!(
            "DROP {} {name} CASCADE; CREATE TABLE {name} AS {} WITH NO DATA",
            view.kind.to_uppercase(),
            view.extra
        ));
    }
    let table = &scene.table()?.name;
    let column = &scene.column(table)?.name;
    let aside = scene.full_name();
    Some(match scene.below(2) {
        0 => format!("DROP TABLE {table} CASCADE; CREATE VIEW {table} AS SELECT 1 AS {column}"),
        _ => format!(
            "CREATE TABLE {aside} (LIKE {table} INCLUDING ALL); DROP TABLE {table} CASCADE; CREATE VIEW {table} AS SELECT * FROM {aside}"
        ),
    })
}

fn data(scene: &mut Scene<'_>) -> Option<String> {
    let view = &scene.any(&["materialized view"])?.name;
    Some(format!("REFRESH MATERIALIZED VIEW {view}{}", scene.one(&["", " WITH NO DATA"])))
}
