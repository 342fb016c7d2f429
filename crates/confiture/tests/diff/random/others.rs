//! Everything but tables.

use crate::random::dice::Dice;
use crate::random::tables::{a_column, a_table, schema, table_name};
use crate::random::world::What;

/// How a sequence may count.
pub(crate) const SEQUENCE_OPTIONS: &[&str] =
    &["", "", " START 100", " INCREMENT 10", " MINVALUE 5 MAXVALUE 500 CYCLE", " CACHE 20", " INCREMENT -1"];

fn a_type(dice: &mut Dice<'_>) -> &'static str {
    dice.pick(&[
        "int",
        "text",
        "bigint",
        "public.e0",
        "app.e1",
        "public.d0",
        "public.k0",
        "text[]",
        "public.t1",
        "app.d1",
        "numeric",
        "public.r0",
        "public.v0",
    ])
}

/// A table or a view.
fn a_relation(dice: &mut Dice<'_>) -> String {
    match dice.below(10) {
        0..=5 => a_table(dice),
        6 => format!("app.p{}", dice.below(6)),
        number => {
            let at = dice.below(3);
            format!("{}.{}{at}", schema(at), ["v", "v", "mv", "v"][number % 4])
        }
    }
}

fn a_role(dice: &mut Dice<'_>) -> &'static str {
    dice.pick(&["random_a", "random_b", "\"random C\"", "PUBLIC"])
}

pub(crate) fn other(what: What, number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    match what {
        What::Schema => {
            all.push(format!("CREATE SCHEMA {}", schema(number)));
            if dice.one_in(6) {
                all.push(format!("GRANT USAGE ON SCHEMA {} TO {}", schema(number), a_role(dice)));
            }
        }
        What::Extension => {
            let name = dice.pick(&["btree_gist", "citext", "hstore", "pg_trgm"]);
            all.push(format!("CREATE EXTENSION {name} WITH SCHEMA {}", dice.pick(&["public", "app"])));
        }
        What::Collation => {
            let locale = dice.pick(&[
                "LOCALE = 'C'",
                "PROVIDER = icu, LOCALE = 'und'",
                "PROVIDER = icu, LOCALE = 'de'",
                "PROVIDER = icu, LOCALE = 'und', DETERMINISTIC = false",
            ]);
            all.push(format!("CREATE COLLATION {}.co{number} ({locale})", schema(number)));
        }
        What::Enum | What::Domain | What::Composite | What::Range => data_type(what, number, dice, all),
        What::Sequence => {
            let kind = dice.pick(&["", "", " AS int", " AS smallint"]);
            let more = dice.pick(SEQUENCE_OPTIONS);
            all.push(format!("CREATE SEQUENCE {}.sq{number}{kind}{more}", schema(number)));
        }
        What::Routine => routine(number, dice, all),
        What::Aggregate => {
            let kind = dice.pick(&["int", "text", "bigint"]);
            let name = format!("{}.ag{number}", schema(number));
            let more = dice.pick(&["", ", INITCOND = '0'", ", PARALLEL = SAFE", ", FINALFUNC = public.f4"]);
            all.push(format!("CREATE FUNCTION {name}_step({kind}, {kind}) RETURNS {kind} LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)'"));
            all.push(format!("CREATE AGGREGATE {name}({kind}) (SFUNC = {name}_step, STYPE = {kind}{more})"));
        }
        What::Operator => {
            let (left, right) = (
                dice.pick(&["text", "int", "public.e0", "public.k0"]),
                dice.pick(&["int", "text", "public.d0"]),
            );
            let sign = ["===", "#>#"][number % 2];
            all.push(format!("CREATE FUNCTION public.op{number}({left}, {right}) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2::text'"));
            all.push(format!("CREATE OPERATOR public.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.op{number}{})", dice.pick(&["", ", RESTRICT = eqsel", ", NEGATOR = OPERATOR(public.!==)", ", COMMUTATOR = OPERATOR(public.=#=)"])));
            if dice.one_in(3) {
                all.push(format!(
                    "COMMENT ON OPERATOR public.{sign} ({left}, {right}) IS 'one {}'",
                    dice.below(2)
                ));
            }
            if dice.one_in(3) {
                all.push(format!("CREATE OPERATOR FAMILY public.fam{number} USING btree"));
                all.push(format!("CREATE OPERATOR CLASS public.cls{number} FOR TYPE int USING btree FAMILY public.fam{number} AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)"));
                all.push(format!("CREATE INDEX ON public.t0 (id public.cls{number})"));
            }
        }
        What::TextSearch => text_search(number, dice, all),
        What::Foreign => foreign(number, dice, all),
        What::Statistics => {
            let kinds = dice.pick(&["", "", " (ndistinct)", " (dependencies, mcv)"]);
            let columns =
                dice.pick(&["id, c1", "c1, c2", "id, c2, c3", "(lower(c1::text))", "id, (c2::text)"]);
            all.push(format!(
                "CREATE STATISTICS {}.st{number}{kinds} ON {columns} FROM {}",
                schema(number),
                a_table(dice)
            ));
            if dice.one_in(3) {
                all.push(format!(
                    "ALTER STATISTICS {}.st{number} SET STATISTICS {}",
                    schema(number),
                    dice.pick(&["50", "0"])
                ));
            }
        }
        What::View | What::LateView => {
            let number = if what == What::LateView { number + 6 } else { number };
            view(number, dice, all);
        }
        What::LateRoutine => late_routine(number, dice, all),
        What::Trigger => trigger(number, dice, all),
        What::Rule => {
            let on = a_relation(dice);
            let event = dice.pick(&["INSERT", "UPDATE", "DELETE"]);
            let action = dice.pick(&[
                "NOTHING",
                "ALSO NOTIFY rule_x",
                "INSTEAD NOTHING",
                "INSTEAD DELETE FROM public.t0 WHERE id IS NULL",
            ]);
            all.push(format!(
                "CREATE RULE ru{number} AS ON {event} TO {on} {} DO {action}",
                dice.pick(&["", "WHERE OLD.id IS NOT NULL", "WHERE NEW.id IS NOT NULL"])
            ));
        }
        What::Policy => {
            let (table, command) =
                (a_table(dice), dice.pick(&["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"]));
            let qual = dice.pick(&[
                "id IS NOT NULL",
                "c1::text = CURRENT_USER",
                "true",
                "public.f3(c1::text)",
                "id IN (SELECT id FROM public.t0)",
                "EXISTS (SELECT FROM app.t1 x WHERE x.id::text = c2::text)",
            ]);
            let using = if command == "INSERT" { String::new() } else { format!(" USING ({qual})") };
            let check = if matches!(command, "SELECT" | "DELETE") || dice.one_in(2) {
                String::new()
            } else {
                format!(" WITH CHECK ({qual})")
            };
            all.push(format!(
                "CREATE POLICY po{number} ON {table}{} FOR {command} TO {}{using}{check}",
                dice.pick(&["", " AS RESTRICTIVE"]),
                a_role(dice)
            ));
        }
        What::Publication => {
            let what = match dice.below(5) {
                0 => "FOR ALL TABLES".to_owned(),
                1 => format!("FOR TABLES IN SCHEMA {}", dice.pick(&["app", "public"])),
                2 => format!("FOR TABLE {} (id, c1)", a_table(dice)),
                3 => format!("FOR TABLE {} WHERE (id IS NOT NULL)", a_table(dice)),
                _ => format!("FOR TABLE {}, ONLY {}", a_table(dice), a_table(dice)),
            };
            all.push(format!(
                "CREATE PUBLICATION pub{number} {what}{}",
                dice.pick(&["", " WITH (publish = 'insert, update')", " WITH (publish_via_partition_root)"])
            ));
        }
        What::Privileges => privileges(dice, all),
        What::DefaultPrivileges => {
            // What an extension makes gets them too, and is not compared: extensions are in other schemas.
            let (within, what) = match dice.below(3) {
                0 => (" IN SCHEMA \"S 2\"", dice.pick(&["EXECUTE ON FUNCTIONS", "USAGE ON TYPES"])),
                1 => (" IN SCHEMA app", dice.pick(&["SELECT ON TABLES", "INSERT, UPDATE ON TABLES"])),
                _ => ("", dice.pick(&["SELECT ON TABLES", "TRIGGER ON TABLES"])),
            };
            let verb = if dice.one_in(5) {
                format!("REVOKE {what} FROM PUBLIC")
            } else {
                format!("GRANT {what} TO {}", a_role(dice))
            };
            let role = dice.pick(&["", " FOR ROLE random_a"]);
            all.push(format!("ALTER DEFAULT PRIVILEGES{role}{within} {verb}"));
        }
        What::Comment => comment(dice, all),
        What::EventTrigger => {
            all.push(
                "CREATE FUNCTION public.et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
                    .to_owned(),
            );
            let when = dice.pick(&[
                "",
                " WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')",
                " WHEN TAG IN ('CREATE VIEW')",
            ]);
            let event = dice.pick(&["ddl_command_end", "ddl_command_start", "sql_drop"]);
            all.push(format!("CREATE EVENT TRIGGER evt ON {event}{when} EXECUTE FUNCTION public.et()"));
            if dice.one_in(3) {
                all.push(format!(
                    "ALTER EVENT TRIGGER evt {}",
                    dice.pick(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
                ));
            }
        }
        What::Cast => {
            let (from, to) = (
                dice.pick(&["public.e0", "public.k0", "app.e1", "public.t0"]),
                dice.pick(&["int", "text", "app.e1", "app.k1"]),
            );
            let how = dice.pick(&["", " AS ASSIGNMENT", " AS IMPLICIT"]);
            all.push(format!("CREATE FUNCTION public.cast{number}({from}) RETURNS {to} LANGUAGE sql IMMUTABLE AS 'SELECT NULL::{to}'"));
            all.push(format!(
                "CREATE CAST ({from} AS {to}) WITH {}{how}",
                if dice.one_in(3) {
                    "INOUT".to_owned()
                } else {
                    format!("FUNCTION public.cast{number}({from})")
                }
            ));
        }
        What::Owner => {
            let thing = match dice.below(8) {
                0 => "TYPE public.e0".to_owned(),
                1 => "FUNCTION public.f0()".to_owned(),
                2 => "VIEW public.v0".to_owned(),
                3 => "SCHEMA app".to_owned(),
                4 => "SEQUENCE public.sq0".to_owned(),
                5 => "DOMAIN app.d1".to_owned(),
                _ => format!("TABLE {}", a_table(dice)),
            };
            all.push(format!(
                "ALTER {thing} OWNER TO {}",
                dice.pick(&["random_a", "random_b", "\"random C\""])
            ));
        }
        _ => {}
    }
}

fn data_type(what: What, number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let within = schema(number);
    match what {
        What::Enum => {
            let labels = dice.pick(&[
                "'a', 'b', 'c'",
                "'a', 'b', 'c', '1', '2', '3'",
                "'1', '2', '3', '4', 'a'",
                "'a', 'x', 'b', 'c', '1', '2'",
                "'c', 'b', 'a'",
                "'a', 'b', 'c', '1', '2', '3', '4', '5'",
                "'a', 'b', 'it''s', 'Ü'",
            ]);
            all.push(format!("CREATE TYPE {within}.e{number} AS ENUM ({labels})"));
        }
        What::Domain => {
            let base = dice.pick(&[
                "int",
                "text",
                "varchar(30)",
                "bigint",
                "public.e0",
                "numeric(8,2)",
                "text[]",
                "public.d0",
            ]);
            let default = dice.pick(&["", "", "", " DEFAULT '1'", " DEFAULT '3'"]);
            let null = dice.pick(&["", "", "", " NOT NULL"]);
            let check = dice.pick(&[
                "",
                "",
                " CHECK (VALUE IS NOT NULL)",
                " CHECK (VALUE::text <> 'bad')",
                " CONSTRAINT named CHECK (public.f3(VALUE::text))",
                " CHECK (VALUE IN ('1', '2', '3', '4', 'a'))",
            ]);
            all.push(format!("CREATE DOMAIN {within}.d{number} AS {base}{default}{null}{check}"));
            if dice.one_in(5) {
                all.push(format!(
                    "ALTER DOMAIN {within}.d{number} ADD CONSTRAINT late CHECK (length(VALUE::text) < 50){}",
                    dice.pick(&["", " NOT VALID"])
                ));
            }
        }
        What::Composite => {
            let second = dice.pick(&[
                "b text",
                "b varchar(10)",
                "b text COLLATE \"C\"",
                "c text",
                "b text, c int",
                "b int",
            ]);
            let first = dice.pick(&["a int", "a bigint", "a int", "a public.e0", "a public.d0"]);
            all.push(format!("CREATE TYPE {within}.k{number} AS ({first}, {second})"));
            if dice.one_in(4) {
                all.push(format!("COMMENT ON COLUMN {within}.k{number}.a IS 'one {}'", dice.below(3)));
            }
        }
        _ => {
            let of = dice.pick(&["int", "text", "date", "float8", "public.e0"]);
            let more = dice.pick(&[
                "",
                ", SUBTYPE_DIFF = float8mi",
                ", COLLATION = \"C\"",
                ", MULTIRANGE_TYPE_NAME = public.mr",
            ]);
            all.push(format!("CREATE TYPE {within}.r{number} AS RANGE (SUBTYPE = {of}{more})"));
            all.push(format!("CREATE TYPE {within}.r{number} AS RANGE (SUBTYPE = {of})"));
        }
    }
}

fn routine(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let within = schema(number);
    let volatile = dice.pick(&[
        "IMMUTABLE",
        "IMMUTABLE",
        "STABLE",
        "VOLATILE",
        "IMMUTABLE STRICT",
        "IMMUTABLE PARALLEL SAFE COST 5",
    ]);
    let value = dice.pick(&["1", "2", "3"]);
    let set = dice.pick(&[
        "",
        "",
        "",
        " SET search_path = app, public",
        " SET work_mem = '8MB'",
        " SECURITY DEFINER",
    ]);
    let name = dice.pick(&["a", "a", "b"]);
    let returns = a_type(dice);
    let argument = a_type(dice);
    let default = dice.pick(&["", "", " DEFAULT NULL"]);
    all.push(match number {
        0 => format!("CREATE FUNCTION public.f0() RETURNS {} LANGUAGE sql {volatile}{set} AS 'SELECT {value}'", dice.pick(&["int", "bigint", "int", "numeric"])),
        1 => format!("CREATE FUNCTION app.f1({name} text{default}) RETURNS text LANGUAGE plpgsql {volatile}{set} AS 'BEGIN RETURN {name} || {value}; END'"),
        2 => format!("CREATE FUNCTION public.f2({name} int) RETURNS {} LANGUAGE sql {volatile}{}", dice.pick(&["int", "bigint", "text"]), dice.pick(&[" AS 'SELECT $1'", " RETURN $1", " AS 'SELECT $1 + 1'", " RETURN public.f5($1)"])),
        3 => format!("CREATE FUNCTION public.f3({name} text{default}) RETURNS boolean LANGUAGE sql {volatile}{set} AS 'SELECT $1 IS NULL OR $1 <> ''bad{value}'''"),
        4 => format!("CREATE FUNCTION public.f4({name} {argument}{default}) RETURNS {returns} LANGUAGE sql {volatile}{set} AS 'SELECT NULL::{returns}'"),
        _ => format!("CREATE {} AS 'BEGIN END'", dice.pick(&["PROCEDURE public.pr5(a int) LANGUAGE plpgsql", "PROCEDURE public.pr5(INOUT a int, b text DEFAULT 'x') LANGUAGE plpgsql", "FUNCTION public.f5(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE", "FUNCTION public.f5(a int, OUT b int, OUT c text) LANGUAGE plpgsql"])),
    });
    if dice.one_in(5) {
        all.push(format!("COMMENT ON FUNCTION {within}.f0() IS 'one {}'", dice.below(3)));
    }
}

/// Routines that know tables.
fn late_routine(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let (relation, column) = (a_relation(dice), a_column(dice));
    let name = format!("{}.lf{number}", schema(number));
    all.push(match dice.below(9) {
        0 => format!("CREATE FUNCTION {name}() RETURNS SETOF {relation} LANGUAGE sql STABLE AS 'SELECT * FROM {relation}'"),
        1 => format!("CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count({column}) FROM {relation}; END"),
        2 => format!("CREATE FUNCTION {name}(x {relation}) RETURNS text LANGUAGE sql STABLE AS 'SELECT ($1).{column}::text'"),
        3 => format!("CREATE FUNCTION {name}() RETURNS TABLE (a {relation}.{column}%TYPE, b int) LANGUAGE plpgsql AS 'BEGIN END'"),
        4 => format!("CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS 'DECLARE r {relation}%ROWTYPE; BEGIN PERFORM {column} FROM {relation}; END'"),
        5 => format!("CREATE PROCEDURE {name}() LANGUAGE sql BEGIN ATOMIC DELETE FROM {relation} WHERE {column} IS NULL; INSERT INTO {relation} (id) SELECT id FROM public.t0; END"),
        6 => format!("CREATE FUNCTION {name}() RETURNS text LANGUAGE sql STABLE RETURN (SELECT max({column}::text) FROM {relation})"),
        7 => format!("CREATE FUNCTION {name}(VARIADIC x text[]) RETURNS text LANGUAGE sql AS 'SELECT ''{}'''", dice.below(3)),
        _ => format!("CREATE FUNCTION {name}(a int, b text DEFAULT '{}') RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM {relation}'", dice.below(3)),
    });
}

fn view(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let (one, other) = (a_relation(dice), a_relation(dice));
    let (column, second) = (a_column(dice), a_column(dice));
    let query = match dice.below(16) {
        0 => format!("SELECT id, {column} FROM {one}"),
        1 => format!("SELECT * FROM {one}"),
        2 => format!("SELECT a.id, b.{column} FROM {one} a JOIN {other} b ON a.id::text = b.id::text"),
        3 => format!("SELECT {column} AS id, count(*) AS n FROM {one} GROUP BY {column}"),
        4 => format!("SELECT id, {column} FROM {one} GROUP BY id"),
        5 => format!(
            "SELECT id::text, {column}::text AS c1 FROM {one} UNION ALL SELECT id::text, {second}::text FROM {other}"
        ),
        6 => format!("SELECT id, public.f2({column}::int) AS c1 FROM {one}"),
        7 => format!("SELECT id, {column} = 'a' AS c1 FROM {one} WHERE {second}::text = '1'"),
        8 => format!(
            "WITH x AS (SELECT * FROM {one}) SELECT id, {column}, row_number() OVER (ORDER BY id) AS c2 FROM x"
        ),
        9 => format!("SELECT x, (x).{column} FROM {one} x"),
        10 => format!("SELECT 1 AS id, {}::text AS c1", dice.below(3)),
        11 => format!("SELECT id, coalesce({column}::text, app.f1({second}::text)) AS c1 FROM {one}"),
        12 => format!("SELECT * FROM {one} NATURAL JOIN {other}"),
        13 => format!("SELECT id, {column} FROM {one} ORDER BY {second} LIMIT {}", dice.below(5) + 1),
        14 => format!("SELECT DISTINCT ON (id) id, {column}, {second} AS z FROM {one}"),
        _ => format!("SELECT id, (SELECT max({column}::text) FROM {other}) AS c1 FROM {one}"),
    };
    let names = if number > 5 { number - 3 } else { number };
    let materialized = number % 6 > 3;
    let name = format!("{}.{}{}", schema(names % 3), if materialized { "mv" } else { "v" }, names % 3);
    let name = if number > 5 { format!("{name}_late") } else { name };
    if materialized {
        all.push(format!(
            "CREATE MATERIALIZED VIEW {name}{} AS {query}{}",
            dice.pick(&["", "", " WITH (fillfactor=70)"]),
            dice.pick(&["", " WITH NO DATA"])
        ));
        if dice.one_in(3) {
            all.push(format!("CREATE UNIQUE INDEX mvi{number} ON {name} (id)"));
        }
    } else {
        all.push(format!(
            "CREATE VIEW {name}{} AS {query}{}",
            dice.pick(&["", "", "", " WITH (security_barrier)", " WITH (security_invoker=true)"]),
            dice.pick(&["", "", "", " WITH CASCADED CHECK OPTION"])
        ));
        match dice.below(8) {
            0 => all.push(format!("ALTER VIEW {name} ALTER id SET DEFAULT 7")),
            1 => all.push(format!("COMMENT ON COLUMN {name}.id IS 'one {}'", dice.below(3))),
            _ => {}
        }
    }
    match dice.below(8) {
        0 => all.push(format!("GRANT SELECT ON {name} TO {}", a_role(dice))),
        1 => all.push(format!("GRANT SELECT (id) ON {name} TO {}", a_role(dice))),
        2 => all.push(format!(
            "COMMENT ON {} {name} IS 'one'",
            if materialized { "MATERIALIZED VIEW" } else { "VIEW" }
        )),
        _ => {}
    }
}

fn trigger(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let body = dice.pick(&["RETURN NEW;", "RETURN NULL;", "RETURN coalesce(NEW, OLD);"]);
    all.push(format!(
        "CREATE FUNCTION app.tf{number}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'"
    ));
    let on = a_relation(dice);
    let column = a_column(dice);
    let call = format!("EXECUTE FUNCTION app.tf{number}({})", dice.pick(&["", "'x'", "1, 'y'"]));
    all.push(match dice.below(9) {
        0 => format!("CREATE CONSTRAINT TRIGGER tg{number} AFTER INSERT OR UPDATE ON {on} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {call}"),
        1 => format!("CREATE TRIGGER tg{number} AFTER UPDATE ON {on} REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT {call}"),
        2 => format!("CREATE TRIGGER tg{number} AFTER UPDATE OF {column} ON {on} FOR EACH ROW WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) {call}"),
        3 => format!("CREATE TRIGGER tg{number} INSTEAD OF INSERT ON {on} FOR EACH ROW {call}"),
        4 => format!("CREATE TRIGGER tg{number} BEFORE TRUNCATE ON {on} {call}"),
        5 => format!("CREATE TRIGGER tg{number} AFTER DELETE ON {on} FOR EACH ROW WHEN (OLD.{column} IS NOT NULL) {call}"),
        _ => format!("CREATE TRIGGER tg{number} AFTER INSERT OR DELETE ON {on} FOR EACH {} {call}", dice.pick(&["ROW", "STATEMENT"])),
    });
    if dice.one_in(4) {
        all.push(format!(
            "ALTER TABLE {on} {} TRIGGER tg{number}",
            dice.pick(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"])
        ));
    }
    if dice.one_in(6) {
        all.push(format!("COMMENT ON TRIGGER tg{number} ON {on} IS 'one {}'", dice.below(3)));
    }
}

fn text_search(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let within = schema(number);
    all.push(format!(
        "CREATE TEXT SEARCH DICTIONARY {within}.dic{number} (TEMPLATE = {})",
        dice.pick(&[
            "pg_catalog.simple",
            "pg_catalog.snowball, LANGUAGE = german",
            "pg_catalog.simple, STOPWORDS = english",
            "pg_catalog.simple, ACCEPT = false"
        ])
    ));
    all.push(format!(
        "CREATE TEXT SEARCH CONFIGURATION {within}.cfg{number} ({})",
        dice.pick(&["COPY = pg_catalog.english", "PARSER = pg_catalog.default", "COPY = pg_catalog.simple"])
    ));
    all.push(format!(
        "ALTER TEXT SEARCH CONFIGURATION {within}.cfg{number} {} MAPPING FOR {} WITH {within}.dic{number}{}",
        dice.pick(&["ALTER", "ADD"]),
        dice.pick(&["asciiword", "word, asciihword", "email"]),
        dice.pick(&["", ", pg_catalog.simple", ", english_stem"])
    ));
    if dice.one_in(3) {
        let table = table_name(number);
        all.push(format!(
            "CREATE INDEX ts{number} ON {table} USING gin (to_tsvector('{within}.cfg{number}', {}::text))",
            a_column(dice)
        ));
    }
}

fn foreign(number: usize, dice: &mut Dice<'_>, all: &mut Vec<String>) {
    all.push(format!(
        "CREATE FOREIGN DATA WRAPPER w{number}{}",
        dice.pick(&["", " OPTIONS (debug 'true')", " OPTIONS (debug 'false', other 'x=y')"])
    ));
    all.push(format!(
        "CREATE SERVER srv{number}{} FOREIGN DATA WRAPPER w{number}{}",
        dice.pick(&["", " TYPE 'x'", " VERSION '2'"]),
        dice.pick(&["", " OPTIONS (host 'a')", " OPTIONS (host 'b', port '5')"])
    ));
    all.push(format!(
        "CREATE USER MAPPING FOR {} SERVER srv{number}{}",
        dice.pick(&["random_a", "PUBLIC", "random_b"]),
        dice.pick(&["", " OPTIONS (\"user\" 'me', password 'it''s')", " OPTIONS (\"user\" 'you')"])
    ));
    let kind = dice.pick(&["int", "text", "bigint"]);
    all.push(format!(
        "CREATE FOREIGN TABLE app.ft{number} (id {kind}{}, c1 text{}) SERVER srv{number}{}",
        dice.pick(&["", " NOT NULL"]),
        dice.pick(&["", " OPTIONS (column_name 'x')", " DEFAULT 'x'"]),
        dice.pick(&["", " OPTIONS (table_name 'y')"])
    ));
    if dice.one_in(3) {
        all.push(format!("ALTER FOREIGN TABLE app.ft{number} ADD CONSTRAINT fc CHECK (id IS NOT NULL)"));
    }
    if dice.one_in(4) {
        all.push(format!("GRANT USAGE ON FOREIGN SERVER srv{number} TO {}", a_role(dice)));
    }
}

fn privileges(dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let table = a_relation(dice);
    let role = a_role(dice);
    let on = match dice.below(12) {
        0..=4 => {
            format!("{} ON {table}", dice.pick(&["SELECT", "ALL", "INSERT, UPDATE", "TRUNCATE", "SELECT"]))
        }
        5 => format!("{} ({}) ON {table}", dice.pick(&["SELECT", "UPDATE"]), a_column(dice)),
        6 => "USAGE ON SEQUENCE public.sq0".to_owned(),
        7 => "EXECUTE ON FUNCTION public.f0()".to_owned(),
        8 => "USAGE ON TYPE public.e0".to_owned(),
        9 => "CREATE, USAGE ON SCHEMA app".to_owned(),
        10 => "ALL ON ALL TABLES IN SCHEMA app".to_owned(),
        _ => "USAGE ON TYPE app.d1".to_owned(),
    };
    all.push(if dice.one_in(4) {
        format!("REVOKE {on} FROM {role}")
    } else {
        // Not to a role that may become the owner: who owns has the option anyway.
        let (role, option) = if dice.one_in(5) { ("random_d", " WITH GRANT OPTION") } else { (role, "") };
        format!("GRANT {on} TO {role}{option}")
    });
}

fn comment(dice: &mut Dice<'_>, all: &mut Vec<String>) {
    let table = a_table(dice);
    let on = match dice.below(16) {
        0..=2 => format!("TABLE {table}"),
        3..=6 => format!("COLUMN {table}.{}", a_column(dice)),
        7 => "TYPE public.e0".to_owned(),
        8 => "DOMAIN public.d0".to_owned(),
        9 => format!("INDEX public.i{}", dice.below(10)),
        10 => "SCHEMA app".to_owned(),
        11 => "SEQUENCE public.sq0".to_owned(),
        12 => format!("POLICY po{} ON {table}", dice.below(4)),
        13 => "SERVER srv0".to_owned(),
        14 => "STATISTICS public.st0".to_owned(),
        _ => "INDEX public.t0_pkey".to_owned(),
    };
    all.push(format!("COMMENT ON {on} IS 'it''s comment {}'", dice.below(3)));
}
