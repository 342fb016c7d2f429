//! Functions, procedures, aggregates, operators and casts.

use crate::random::ddl::Kind;
use crate::random::ddl::scene::{Scene, Thing};

pub(crate) const KINDS: &[Kind] = &[
    create,
    create,
    create_over,
    create_over,
    create_trigger_function,
    procedure,
    replace,
    result,
    alter,
    aggregate,
    operator,
    cast,
    again,
    drop,
];

fn volatile(scene: &mut Scene<'_>) -> &'static str {
    scene.one(&[
        "IMMUTABLE",
        "IMMUTABLE STRICT",
        "STABLE",
        "VOLATILE",
        "IMMUTABLE PARALLEL SAFE COST 5",
        "STABLE SECURITY DEFINER SET search_path = ''",
    ])
}

/// A function that knows no table.
fn definition(scene: &mut Scene<'_>, name: &str) -> String {
    let (argument, result, value, volatile) =
        (scene.a_type(), scene.a_type(), scene.value(), volatile(scene));
    let default = if scene.one_in(3) { format!(" DEFAULT {value}") } else { String::new() };
    match scene.below(8) {
        0 => format!(
            "CREATE FUNCTION {name}() RETURNS {result} LANGUAGE sql {volatile} AS $$ SELECT {value} $$"
        ),
        1 => format!(
            "CREATE FUNCTION {name}(a {argument}{default}) RETURNS {argument} LANGUAGE sql {volatile} RETURN a"
        ),
        2 => format!(
            "CREATE FUNCTION {name}({argument}) RETURNS boolean LANGUAGE sql {volatile} AS 'SELECT $1 IS NOT NULL'"
        ),
        3 => format!(
            "CREATE FUNCTION {name}(a {argument}, b {result}{default}) RETURNS text LANGUAGE plpgsql {volatile} AS 'BEGIN RETURN a::text || b; END'"
        ),
        4 => format!(
            "CREATE FUNCTION {name}(a {argument}, OUT b {result}, OUT c text) LANGUAGE plpgsql AS 'BEGIN END'"
        ),
        5 => format!(
            "CREATE FUNCTION {name}(VARIADIC a {argument}[]) RETURNS integer LANGUAGE sql {volatile} AS 'SELECT cardinality(a)'"
        ),
        6 => format!(
            "CREATE FUNCTION {name}() RETURNS TABLE (a {argument}, b {result}) LANGUAGE plpgsql ROWS 5 AS 'BEGIN END'"
        ),
        _ => format!(
            "CREATE FUNCTION {name}(a {argument}) RETURNS {result} LANGUAGE sql {volatile} RETURN a::{result}"
        ),
    }
}

fn create(scene: &mut Scene<'_>) -> Option<String> {
    let name = scene.full_name();
    Some(definition(scene, &name))
}

/// Functions that know relations.
fn create_over(scene: &mut Scene<'_>) -> Option<String> {
    let (name, relation) = (scene.full_name(), &scene.relation()?.name);
    let (column, condition) = (&scene.column(relation)?.name, scene.condition(relation)?);
    Some(match scene.below(7) {
        0 => format!(
            "CREATE FUNCTION {name}() RETURNS SETOF {relation} LANGUAGE sql STABLE AS $$ SELECT * FROM {relation} $$"
        ),
        1 => format!(
            "CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count({column}) FROM {relation} WHERE {condition}; END"
        ),
        2 => format!(
            "CREATE FUNCTION {name}(x {relation}) RETURNS text LANGUAGE sql STABLE RETURN (x).{column}::text"
        ),
        3 => format!(
            "CREATE FUNCTION {name}() RETURNS TABLE (a {relation}.{column}%TYPE, b integer) LANGUAGE plpgsql AS 'BEGIN END'"
        ),
        4 => format!(
            "CREATE FUNCTION {name}() RETURNS SETOF {relation} LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM {relation}; END"
        ),
        5 => format!(
            "CREATE FUNCTION {name}() RETURNS text LANGUAGE sql STABLE RETURN (SELECT max({column}::text) FROM {relation})"
        ),
        _ => format!(
            "CREATE FUNCTION {name}(a integer) RETURNS {relation} LANGUAGE plpgsql AS $$ DECLARE r {relation}; BEGIN SELECT * INTO r FROM {relation}; RETURN r; END $$"
        ),
    })
}

fn create_trigger_function(scene: &mut Scene<'_>) -> Option<String> {
    let (name, text) = (scene.full_name(), scene.one(&["RETURN new;", "RETURN NULL;", "RETURN old;"]));
    let what = scene.one(&["trigger", "trigger", "trigger", "event_trigger"]);
    Some(format!("CREATE FUNCTION {name}() RETURNS {what} LANGUAGE plpgsql AS $$ BEGIN {text} END $$"))
}

fn procedure(scene: &mut Scene<'_>) -> Option<String> {
    let (name, relation) = (scene.full_name(), &scene.table()?.name);
    let (column, kind) = (&scene.column(relation)?.name, scene.a_type());
    Some(match scene.below(3) {
        0 => format!(
            "CREATE PROCEDURE {name}(a {kind}, INOUT b integer DEFAULT 1) LANGUAGE plpgsql AS 'BEGIN END'"
        ),
        1 => format!(
            "CREATE PROCEDURE {name}() LANGUAGE sql BEGIN ATOMIC DELETE FROM {relation} WHERE {column} IS NULL; INSERT INTO {relation} ({column}) SELECT {column} FROM {relation}; END"
        ),
        _ => format!(
            "CREATE PROCEDURE {name}() LANGUAGE sql BEGIN ATOMIC UPDATE {relation} SET {column} = DEFAULT; END"
        ),
    })
}

/// The same with other words.
fn replace(scene: &mut Scene<'_>) -> Option<String> {
    let text = &scene.any(&["definition"])?.extra;
    Some(match scene.below(4) {
        0 => text.replacen(" LANGUAGE ", " STABLE LANGUAGE ", 1),
        1 => text.replacen("SELECT ", "SELECT 1 + 0, ", 1),
        2 => text.replacen("BEGIN", "BEGIN /* again */", 1),
        _ => text.replacen("AS $", "SET work_mem = '8MB' AS $", 1),
    })
}

/// The same with another result or other names: it is made anew.
fn result(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["definition"])?;
    let kind = scene.a_type();
    let begin = one.extra.find("RETURNS ")?;
    let end = begin + one.extra[begin..].find('\n')?;
    let text = match scene.below(2) {
        0 => format!("{}RETURNS {kind}{}", &one.extra[..begin], &one.extra[end..]),
        _ => one.extra.replacen("(a ", "(renamed ", 1),
    };
    Some(format!("DROP ROUTINE {}({}) CASCADE; {text}", one.name, one.of))
}

fn any<'a>(scene: &mut Scene<'a>) -> Option<&'a Thing> {
    scene.any(&["function", "function", "procedure", "aggregate"])
}

fn alter(scene: &mut Scene<'_>) -> Option<String> {
    let one = scene.any(&["function", "function", "procedure"])?;
    let action = scene.one(&[
        "IMMUTABLE",
        "STABLE",
        "STRICT",
        "CALLED ON NULL INPUT",
        "SECURITY DEFINER",
        "SECURITY INVOKER",
        "COST 77",
        "ROWS 9",
        "PARALLEL SAFE",
        "LEAKPROOF",
        "SET search_path = public, \"we\"\"ird\"",
        "SET work_mem = '9MB'",
        "RESET ALL",
    ]);
    Some(format!("ALTER {} {}({}) {action}", one.kind.to_uppercase(), one.name, one.of))
}

fn aggregate(scene: &mut Scene<'_>) -> Option<String> {
    let (name, kind) = (scene.full_name(), scene.one(&["integer", "text", "bigint", "numeric"]));
    let more = scene.one(&["", ", INITCOND = '0'", ", PARALLEL = SAFE"]);
    Some(format!(
        "CREATE FUNCTION {name}({kind}, {kind}) RETURNS {kind} LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)'; \
         CREATE AGGREGATE {name}({kind}) (SFUNC = {name}, STYPE = {kind}{more})"
    ))
}

fn operator(scene: &mut Scene<'_>) -> Option<String> {
    if let Some(one) = scene.any(&["operator"])
        && scene.one_in(3)
    {
        return Some(format!("DROP OPERATOR {} CASCADE", one.name));
    }
    let (name, left, right, schema) = (scene.full_name(), scene.a_type(), scene.a_type(), scene.schema());
    let more = scene.one(&["", ", RESTRICT = eqsel", ", HASHES", ", MERGES"]);
    let sign = scene.one(&["===", "@#", "<~~>"]);
    Some(format!(
        "CREATE FUNCTION {name}({left}, {right}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2::text'; \
         CREATE OPERATOR {schema}.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {name}{more})"
    ))
}

fn cast(scene: &mut Scene<'_>) -> Option<String> {
    if let Some(one) = scene.any(&["cast"])
        && scene.one_in(3)
    {
        return Some(format!("DROP CAST ({}) CASCADE", one.name));
    }
    let (from, to) = (scene.a_type(), scene.a_type());
    let how = scene.one(&["", " AS ASSIGNMENT", " AS IMPLICIT"]);
    if scene.one_in(2) {
        return Some(format!("CREATE CAST ({from} AS {to}) WITH INOUT{how}"));
    }
    let name = scene.full_name();
    Some(format!(
        "CREATE FUNCTION {name}({from}) RETURNS {to} LANGUAGE sql IMMUTABLE AS 'SELECT NULL::{to}'; \
         CREATE CAST ({from} AS {to}) WITH FUNCTION {name}({from}){how}"
    ))
}

/// Under the name of one that was there, another one.
fn again(scene: &mut Scene<'_>) -> Option<String> {
    let one = any(scene)?;
    let other = definition(scene, &one.name);
    Some(format!("DROP {} {}({}) CASCADE; {other}", one.kind.to_uppercase(), one.name, one.of))
}

fn drop(scene: &mut Scene<'_>) -> Option<String> {
    let one = any(scene)?;
    let cascade = scene.one(&["", " CASCADE"]);
    Some(format!("DROP {} {}({}){cascade}", one.kind.to_uppercase(), one.name, one.of))
}
