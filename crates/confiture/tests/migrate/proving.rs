//! Rehearsals and squashes in scratch databases.

use confiture::config::Connection;
use confiture::event::Execution;
use confiture::migrate::{Difference, Finding, Part, plan_squash, read_digest, read_folder, rehearse};
use confiture::postgres::Session;
use confiture::sql::QualifiedName;

use futures_util::StreamExt as _;
use local_postgres::testing::Database;

use crate::ground::{Ground, version};

fn shop() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "001_a.up.sql",
            "SET search_path = app; CREATE SCHEMA app; CREATE TABLE a (id int PRIMARY KEY, n text);",
        ),
        ("001_a.down.sql", "DROP SCHEMA app CASCADE;"),
        (
            "002_b.up.sql",
            "CREATE TABLE b (a int REFERENCES app.a); COPY b FROM stdin;\n\\N\n\\.\nCREATE INDEX CONCURRENTLY b_a ON b (a);",
        ),
        ("002_b.down.sql", "DROP TABLE b;"),
        ("003_c.up.sql", "-- a view\nCREATE VIEW c AS SELECT * FROM b;\nCOMMENT ON VIEW c IS 'it''s;';"),
        ("003_c.down.sql", "DROP VIEW c;"),
    ]
}

async fn findings(ground: &Ground) -> Vec<String> {
    let folder = read_folder(ground.folder.path()).unwrap();
    let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
    Finding::of_rehearsal(&rehearsal)
        .iter()
        .map(|finding| {
            format!("{} {}: {}", finding.migration.as_deref().unwrap(), finding.code, finding.message)
        })
        .collect()
}

fn scratch_databases(ground: &Ground) -> String {
    ground.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'confiture\\_scratch\\_%'")
}

#[tokio::test]
async fn ways_back_that_lead_back_are_told_from_those_that_do_not() {
    let ground = Ground::new(&shop()).await;
    assert_eq!(findings(&ground).await, [""; 0]);
    ground.write(&[("003_c.down.sql", "DROP VIEW c; CREATE TABLE left_over (); DROP INDEX b_a;")]);
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &Execution::unattended()).await;
    let rehearsal = error.unwrap();
    let last = &rehearsal.migrations[2];
    assert_eq!(
        last.after_down,
        [
            Difference::OnlySecond { object: "table public.left_over".into() },
            Difference::OnlyFirst { object: "index public.b_a".into() },
        ]
    );
    assert_eq!(Finding::of_rehearsal(&rehearsal)[0].code, "down_differs");
    assert_eq!(
        ground.psql("SELECT to_regclass('confiture_migrations') IS NULL"),
        "t",
        "nothing here was touched"
    );
}

/// One fault hides no other, and what all migrations make is known all the same.
#[tokio::test]
async fn a_way_back_that_fails_keeps_none_from_being_tried() {
    let ground = Ground::new(&[
        ("1_a.up.sql", "CREATE TABLE a (n int);"),
        ("1_a.down.sql", "DROP TABLE a;\nDROP TABLE aa;"),
        ("2_b.up.sql", "INSERT INTO a VALUES (1); CREATE UNIQUE INDEX i ON a (n); CREATE TABLE b ();"),
        ("2_b.down.sql", "DROP TABLE b;"),
        ("3_c.up.sql", "INSERT INTO a VALUES (2);"),
        ("3_c.down.sql", "SELECT 1;"),
        ("4_d.up.sql", "CREATE TABLE d (); CREATE TABLE e ();"),
        ("4_d.down.sql", "-- confiture: no-transaction\nDROP TABLE d;\nDROP TABLE ee;"),
        ("5_f.up.sql", "ALTER TABLE d ADD f int;"),
        ("5_f.down.sql", "SELECT 1;"),
    ])
    .await;
    let found = findings(&ground).await;
    let begin = [
        "1_a down_fails: its way back fails: table \"aa\" does not exist",
        "2_b down_differs: its way back does not lead back: index public.i stays behind; so it cannot be applied again (duplicate key",
        "3_c redo_fails: after its way back, it cannot be applied again (duplicate key",
        "4_d down_fails: its way back fails: table \"ee\" does not exist",
        "5_f down_differs: its way back does not lead back: column public.d.f stays behind; so it cannot be applied again (column \"f\" of",
    ];
    assert_eq!(found.len(), begin.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begin) {
        assert!(found.starts_with(begin), "{found}");
    }
    assert!(found[0].ends_with("1_a.down.sql:2:1)"), "{}", found[0]);
    ground.apply().await;
    let folder = read_folder(ground.folder.path()).unwrap();
    let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
    let session = Session::connect(&ground.connection()).await.unwrap();
    let history = QualifiedName::new("public", "confiture_migrations");
    assert_eq!(read_digest(&session, Some(&history)).await.unwrap(), rehearsal.digest);
}

/// Of each state only what was made is read, where nothing else has changed. Here everything is changed that other objects show.
const CHANGES: [(&str, &str); 22] = [
    (
        "CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY, n text); COMMENT ON TABLE app.a IS 'x'",
        "DROP SCHEMA app CASCADE",
    ),
    ("CREATE VIEW app.v AS SELECT a.n, a.id FROM app.a", "DROP VIEW app.v"),
    ("CREATE INDEX a_n ON app.a (n)", "DROP INDEX app.a_n"),
    ("ALTER TABLE app.a RENAME n TO m", "ALTER TABLE app.a RENAME m TO n"),
    ("ALTER TABLE app.a RENAME TO b", "ALTER TABLE app.b RENAME TO a"),
    ("CREATE TABLE app.c (b int REFERENCES app.b, at timestamptz DEFAULT now())", "DROP TABLE app.c"),
    ("CREATE TABLE app.d (b int REFERENCES app.b)", "DROP TABLE app.d"),
    (
        "CREATE TYPE app.mood AS ENUM ('x', 'z'); CREATE TABLE app.e (m app.mood DEFAULT 'x')",
        "DROP TABLE app.e; DROP TYPE app.mood",
    ),
    ("-- confiture: no-transaction\nALTER TYPE app.mood ADD VALUE 'y' BEFORE 'z'", ""),
    ("ALTER TYPE app.mood RENAME TO temper", "ALTER TYPE app.temper RENAME TO mood"),
    ("CREATE TABLE app.p (); CREATE TABLE app.q ()", "DROP TABLE app.p, app.q"),
    ("ALTER TABLE app.q INHERIT app.p", "ALTER TABLE app.q NO INHERIT app.p"),
    (
        "CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DROP FUNCTION app.f()",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON app.c FOR EACH ROW EXECUTE FUNCTION app.f()",
        "DROP TRIGGER t ON app.c",
    ),
    (
        "CREATE TRIGGER u BEFORE INSERT ON app.c FOR EACH ROW EXECUTE FUNCTION app.f()",
        "DROP TRIGGER u ON app.c",
    ),
    ("ALTER FUNCTION app.f RENAME TO g", "ALTER FUNCTION app.g RENAME TO f"),
    ("COMMENT ON COLUMN app.c.at IS 'when'", "COMMENT ON COLUMN app.c.at IS NULL"),
    ("CREATE POLICY p ON app.c USING (b > 0)", "DROP POLICY p ON app.c"),
    ("ALTER SCHEMA app RENAME TO apps", "ALTER SCHEMA apps RENAME TO app"),
    ("DROP TABLE apps.d", "CREATE TABLE apps.d (b int REFERENCES apps.b)"),
    ("CREATE EXTENSION citext; CREATE TABLE apps.x (c citext)", "DROP TABLE apps.x; DROP EXTENSION citext"),
    ("INSERT INTO apps.b VALUES (1, 'x')", "DELETE FROM apps.b"),
];

/// What every kind of object is made beside.
const BESIDE: &str = "CREATE SCHEMA app; CREATE TABLE app.a (id int PRIMARY KEY, n text, at timestamptz) WITH (fillfactor = 80);
    CREATE UNIQUE INDEX a_n ON app.a (n); CREATE INDEX a_lower ON app.a (lower(n)); ALTER TABLE app.a ALTER id SET NOT NULL;
    CREATE TABLE app.p (id int, n text) PARTITION BY LIST (id); CREATE TABLE app.o (id int, n text); CREATE TABLE app.q (id int, n text);
    CREATE TABLE app.r (id int);
    CREATE VIEW app.v AS SELECT id, n FROM app.a; CREATE SEQUENCE app.s; CREATE TYPE app.mood AS ENUM ('x', 'z'); CREATE TYPE app.pair AS (a int, b text);
    CREATE DOMAIN app.few AS int; CREATE TYPE app.pair_too AS (id int, n text);
    CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION app.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE FUNCTION app.less(app.pair, app.pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE FUNCTION app.cmp(app.pair, app.pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
    CREATE FUNCTION app.mood_of(int) RETURNS app.mood LANGUAGE sql IMMUTABLE AS 'SELECT NULL::app.mood';
    CREATE OPERATOR app.<< (FUNCTION = app.less, LEFTARG = app.pair, RIGHTARG = app.pair);
    CREATE OPERATOR FAMILY app.fam USING btree; CREATE OPERATOR FAMILY app.other USING btree;
    CREATE TRIGGER t BEFORE INSERT ON app.a FOR EACH ROW EXECUTE FUNCTION app.f(); CREATE RULE r AS ON INSERT TO app.r DO INSTEAD NOTHING;
    CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE app.g (id int) SERVER far;
    CREATE TEXT SEARCH CONFIGURATION app.conf (COPY = pg_catalog.simple); CREATE PUBLICATION pub; CREATE STATISTICS app.st ON id, n FROM app.a;
    CREATE EVENT TRIGGER off ON sql_drop EXECUTE FUNCTION app.e(); ALTER EVENT TRIGGER off DISABLE;";

/// Something of every kind that `migrate diff` knows, the way back from it, and how it is called where that is forgotten.
const KINDS: &[(&str, &str, &str)] = &[
    ("schema other", "CREATE SCHEMA other", "DROP SCHEMA other"),
    ("extension citext", "CREATE EXTENSION citext", "DROP EXTENSION citext"),
    ("language l", "CREATE LANGUAGE l HANDLER plpgsql_call_handler", "DROP LANGUAGE l"),
    (
        "access method h",
        "CREATE ACCESS METHOD h TYPE TABLE HANDLER heap_tableam_handler",
        "DROP ACCESS METHOD h",
    ),
    ("collation app.c", "CREATE COLLATION app.c (LOCALE = 'C')", "DROP COLLATION app.c"),
    ("enum app.e", "CREATE TYPE app.e AS ENUM ('a')", "DROP TYPE app.e"),
    ("domain app.d", "CREATE DOMAIN app.d AS int", "DROP DOMAIN app.d"),
    ("domain app.few", "ALTER DOMAIN app.few SET NOT NULL", "ALTER DOMAIN app.few DROP NOT NULL"),
    ("default app.few", "ALTER DOMAIN app.few SET DEFAULT 3", "ALTER DOMAIN app.few DROP DEFAULT"),
    (
        "domain constraint app.few.c",
        "ALTER DOMAIN app.few ADD CONSTRAINT c CHECK (VALUE > 0)",
        "ALTER DOMAIN app.few DROP CONSTRAINT c",
    ),
    ("composite type app.two", "CREATE TYPE app.two AS (a int)", "DROP TYPE app.two"),
    (
        "composite type app.pair",
        "ALTER TYPE app.pair ADD ATTRIBUTE c int",
        "ALTER TYPE app.pair DROP ATTRIBUTE c",
    ),
    ("range app.span", "CREATE TYPE app.span AS RANGE (SUBTYPE = float8)", "DROP TYPE app.span"),
    ("shell type app.half", "CREATE TYPE app.half", "DROP TYPE app.half"),
    (
        "base type app.base",
        "CREATE TYPE app.base; CREATE FUNCTION app.i(cstring) RETURNS app.base LANGUAGE internal STRICT IMMUTABLE AS 'textin';
         CREATE FUNCTION app.o(app.base) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'textout';
         CREATE TYPE app.base (INPUT = app.i, OUTPUT = app.o)",
        "DROP TYPE app.base CASCADE",
    ),
    ("sequence app.n", "CREATE SEQUENCE app.n", "DROP SEQUENCE app.n"),
    ("sequence app.s", "ALTER SEQUENCE app.s INCREMENT 5", "ALTER SEQUENCE app.s INCREMENT 1"),
    ("sequence owner app.s", "ALTER SEQUENCE app.s OWNED BY app.a.id", "ALTER SEQUENCE app.s OWNED BY NONE"),
    ("function app.h()", "CREATE FUNCTION app.h() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION app.h()"),
    ("function app.f()", "ALTER FUNCTION app.f COST 7", "ALTER FUNCTION app.f COST 100"),
    ("procedure app.act()", "CREATE PROCEDURE app.act() LANGUAGE sql AS 'SELECT 1'", "DROP PROCEDURE app.act()"),
    (
        "aggregate app.sum(integer)",
        "CREATE AGGREGATE app.sum(int) (SFUNC = int4pl, STYPE = int)",
        "DROP AGGREGATE app.sum(int)",
    ),
    (
        "operator app.>>",
        "CREATE OPERATOR app.>> (FUNCTION = app.less, LEFTARG = app.pair, RIGHTARG = app.pair)",
        "DROP OPERATOR app.>> (app.pair, app.pair)",
    ),
    (
        "operator family app.fam2",
        "CREATE OPERATOR FAMILY app.fam2 USING btree",
        "DROP OPERATOR FAMILY app.fam2 USING btree",
    ),
    (
        "operator family member",
        "ALTER OPERATOR FAMILY app.fam USING btree ADD OPERATOR 1 app.<< (app.pair, app.pair)",
        "ALTER OPERATOR FAMILY app.fam USING btree DROP OPERATOR 1 (app.pair, app.pair)",
    ),
    (
        "operator class app.ops",
        "CREATE OPERATOR CLASS app.ops FOR TYPE app.pair USING btree FAMILY app.other AS OPERATOR 1 app.<<, FUNCTION 1 app.cmp(app.pair, app.pair)",
        "DROP OPERATOR CLASS app.ops USING btree",
    ),
    (
        "cast (integer AS app.mood)",
        "CREATE CAST (int AS app.mood) WITH FUNCTION app.mood_of(int)",
        "DROP CAST (int AS app.mood)",
    ),
    (
        "transform FOR integer LANGUAGE sql",
        "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal))",
        "DROP TRANSFORM FOR int LANGUAGE sql",
    ),
    (
        "conversion app.conv",
        "CREATE CONVERSION app.conv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
        "DROP CONVERSION app.conv",
    ),
    (
        "text search parser app.prs",
        "CREATE TEXT SEARCH PARSER app.prs (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)",
        "DROP TEXT SEARCH PARSER app.prs",
    ),
    (
        "text search template app.tmpl",
        "CREATE TEXT SEARCH TEMPLATE app.tmpl (LEXIZE = dsimple_lexize)",
        "DROP TEXT SEARCH TEMPLATE app.tmpl",
    ),
    (
        "text search dictionary app.dict",
        "CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = pg_catalog.simple)",
        "DROP TEXT SEARCH DICTIONARY app.dict",
    ),
    (
        "text search configuration app.conf2",
        "CREATE TEXT SEARCH CONFIGURATION app.conf2 (PARSER = pg_catalog.default)",
        "DROP TEXT SEARCH CONFIGURATION app.conf2",
    ),
    (
        "text search mapping",
        "ALTER TEXT SEARCH CONFIGURATION app.conf ALTER MAPPING FOR word WITH english_stem",
        "ALTER TEXT SEARCH CONFIGURATION app.conf ALTER MAPPING FOR word WITH simple",
    ),
    ("foreign data wrapper w2", "CREATE FOREIGN DATA WRAPPER w2", "DROP FOREIGN DATA WRAPPER w2"),
    ("server near", "CREATE SERVER near FOREIGN DATA WRAPPER w", "DROP SERVER near"),
    ("server far", "ALTER SERVER far OPTIONS (ADD x '1')", "ALTER SERVER far OPTIONS (DROP x)"),
    (
        "user mapping PUBLIC SERVER far",
        "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (x '1')",
        "DROP USER MAPPING FOR PUBLIC SERVER far",
    ),
    ("table app.t", "CREATE TABLE app.t (id int)", "DROP TABLE app.t"),
    ("foreign table app.ft", "CREATE FOREIGN TABLE app.ft (id int) SERVER far", "DROP FOREIGN TABLE app.ft"),
    (
        "foreign table app.g",
        "ALTER FOREIGN TABLE app.g OPTIONS (ADD x '1')",
        "ALTER FOREIGN TABLE app.g OPTIONS (DROP x)",
    ),
    (
        "column app.g.id",
        "ALTER FOREIGN TABLE app.g ALTER id OPTIONS (ADD x '1')",
        "ALTER FOREIGN TABLE app.g ALTER id OPTIONS (DROP x)",
    ),
    ("column app.a.more", "ALTER TABLE app.a ADD more int", "ALTER TABLE app.a DROP more"),
    ("default app.a.n", "ALTER TABLE app.a ALTER n SET DEFAULT 'x'", "ALTER TABLE app.a ALTER n DROP DEFAULT"),
    ("type of table app.q", "ALTER TABLE app.q OF app.pair_too", "ALTER TABLE app.q NOT OF"),
    ("inheritance app.a in app.r", "ALTER TABLE app.a INHERIT app.r", "ALTER TABLE app.a NO INHERIT app.r"),
    (
        "partition app.o in app.p",
        "ALTER TABLE app.p ATTACH PARTITION app.o FOR VALUES IN (1)",
        "ALTER TABLE app.p DETACH PARTITION app.o",
    ),
    ("constraint app.a.c", "ALTER TABLE app.a ADD CONSTRAINT c CHECK (id > 0)", "ALTER TABLE app.a DROP CONSTRAINT c"),
    ("index app.i", "CREATE INDEX i ON app.a (n)", "DROP INDEX app.i"),
    ("statistics app.st2", "CREATE STATISTICS app.st2 ON id, n FROM app.a", "DROP STATISTICS app.st2"),
    ("statistics app.st", "ALTER STATISTICS app.st SET STATISTICS 7", "ALTER STATISTICS app.st SET STATISTICS -1"),
    ("view app.w", "CREATE VIEW app.w AS SELECT 1 AS x", "DROP VIEW app.w"),
    ("view app.v", "ALTER VIEW app.v SET (security_barrier)", "ALTER VIEW app.v RESET (security_barrier)"),
    ("default app.v.n", "ALTER VIEW app.v ALTER n SET DEFAULT 'x'", "ALTER VIEW app.v ALTER n DROP DEFAULT"),
    ("view column app.v.n", "COMMENT ON COLUMN app.v.n IS 'x'", "COMMENT ON COLUMN app.v.n IS NULL"),
    (
        "materialized view app.m",
        "CREATE MATERIALIZED VIEW app.m AS SELECT 1 AS x",
        "DROP MATERIALIZED VIEW app.m",
    ),
    (
        "rule app.v.u",
        "CREATE RULE u AS ON UPDATE TO app.v DO INSTEAD NOTHING",
        "DROP RULE u ON app.v",
    ),
    ("rule app.r.r", "ALTER TABLE app.r DISABLE RULE r", "ALTER TABLE app.r ENABLE RULE r"),
    (
        "trigger app.a.u",
        "CREATE TRIGGER u BEFORE UPDATE ON app.a FOR EACH ROW EXECUTE FUNCTION app.f()",
        "DROP TRIGGER u ON app.a",
    ),
    ("trigger app.a.t", "ALTER TABLE app.a DISABLE TRIGGER t", "ALTER TABLE app.a ENABLE TRIGGER t"),
    ("policy app.a.p", "CREATE POLICY p ON app.a USING (id > 0)", "DROP POLICY p ON app.a"),
    ("publication pub2", "CREATE PUBLICATION pub2", "DROP PUBLICATION pub2"),
    ("publication pub", "ALTER PUBLICATION pub SET (publish = 'insert')", "ALTER PUBLICATION pub SET (publish = 'insert, update, delete, truncate')"),
    (
        "publication member pub app.a",
        "ALTER PUBLICATION pub ADD TABLE ONLY app.a",
        "ALTER PUBLICATION pub DROP TABLE ONLY app.a",
    ),
    (
        "event trigger ev",
        "CREATE EVENT TRIGGER ev ON ddl_command_end EXECUTE FUNCTION app.e(); ALTER EVENT TRIGGER ev DISABLE",
        "DROP EVENT TRIGGER ev",
    ),
    ("event trigger off", "ALTER EVENT TRIGGER off ENABLE REPLICA", "ALTER EVENT TRIGGER off DISABLE"),
    (
        "default privileges",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE SELECT ON TABLES FROM PUBLIC",
    ),
    // What one object has beside its kind's own statement.
    ("column app.a.n", "ALTER TABLE app.a ALTER n SET STORAGE EXTERNAL", "ALTER TABLE app.a ALTER n SET STORAGE EXTENDED"),
    ("column app.a.n", "ALTER TABLE app.a ALTER n SET COMPRESSION pglz", "ALTER TABLE app.a ALTER n SET COMPRESSION default"),
    ("column app.a.n", "ALTER TABLE app.a ALTER n SET STATISTICS 7", "ALTER TABLE app.a ALTER n SET STATISTICS -1"),
    ("column app.a.n", "ALTER TABLE app.a ALTER n SET (n_distinct = 7)", "ALTER TABLE app.a ALTER n RESET (n_distinct)"),
    ("column app.a.at", "ALTER TABLE app.a ALTER at TYPE timestamptz(3)", "ALTER TABLE app.a ALTER at TYPE timestamptz"),
    ("column app.a.id", "ALTER TABLE app.a ALTER id ADD GENERATED ALWAYS AS IDENTITY", "ALTER TABLE app.a ALTER id DROP IDENTITY"),
    ("column app.q.n", "GRANT SELECT (n) ON app.q TO PUBLIC", "REVOKE SELECT (n) ON app.q FROM PUBLIC"),
    ("table app.a", "GRANT SELECT ON app.a TO PUBLIC", "REVOKE SELECT ON app.a FROM PUBLIC"),
    ("table app.a", "REVOKE DELETE ON app.a FROM CURRENT_USER", "GRANT DELETE ON app.a TO CURRENT_USER"),
    ("schema app", "GRANT USAGE ON SCHEMA app TO PUBLIC", "REVOKE USAGE ON SCHEMA app FROM PUBLIC"),
    ("enum app.mood", "REVOKE USAGE ON TYPE app.mood FROM PUBLIC", "GRANT USAGE ON TYPE app.mood TO PUBLIC"),
    ("schema public", "COMMENT ON SCHEMA public IS 'x'", "COMMENT ON SCHEMA public IS 'standard public schema'"),
    ("table app.a", "ALTER TABLE app.a SET (fillfactor = 70)", "ALTER TABLE app.a SET (fillfactor = 80)"),
    ("table app.a", "ALTER TABLE app.a SET (toast.autovacuum_enabled = off)", "ALTER TABLE app.a RESET (toast.autovacuum_enabled)"),
    ("table app.q", "ALTER TABLE app.q SET UNLOGGED", "ALTER TABLE app.q SET LOGGED"),
    ("table app.a", "ALTER TABLE app.a REPLICA IDENTITY FULL", "ALTER TABLE app.a REPLICA IDENTITY DEFAULT"),
    ("index app.a_lower", "ALTER INDEX app.a_lower ALTER 1 SET STATISTICS 7", "ALTER INDEX app.a_lower ALTER 1 SET STATISTICS -1"),
    ("index app.a_lower", "ALTER TABLE app.a CLUSTER ON a_lower", "ALTER TABLE app.a SET WITHOUT CLUSTER"),
    ("table app.a", "ALTER TABLE app.a ENABLE ROW LEVEL SECURITY", "ALTER TABLE app.a DISABLE ROW LEVEL SECURITY"),
    ("table app.a", "ALTER TABLE app.a FORCE ROW LEVEL SECURITY", "ALTER TABLE app.a NO FORCE ROW LEVEL SECURITY"),
];

#[tokio::test]
async fn ways_back_from_every_kind_of_object_lead_back() {
    let mut changes =
        vec![(BESIDE, "DROP SCHEMA app CASCADE; DROP FOREIGN DATA WRAPPER w CASCADE; DROP PUBLICATION pub")];
    changes.extend(KINDS.iter().map(|(_, up, down)| (*up, *down)));
    let ground = Ground::new(&[]).await;
    for (name, text) in &numbered(&changes) {
        ground.write(&[(name, text)]);
    }
    let folder = read_folder(ground.folder.path()).unwrap();
    let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
    let found: Vec<_> =
        Finding::of_rehearsal(&rehearsal).into_iter().map(|one| (one.migration, one.message)).collect();
    assert!(found.is_empty(), "{found:#?}");
    // State upon state was read in part.
    ground.apply().await;
    let session = Session::connect(&ground.connection()).await.unwrap();
    let history = QualifiedName::new("public", "confiture_migrations");
    assert_eq!(read_digest(&session, Some(&history)).await.unwrap(), rehearsal.digest);
}

#[tokio::test]
async fn a_way_back_that_forgets_an_object_is_found_whatever_kind_it_is() {
    let tried = futures_util::stream::iter(KINDS.iter().map(async |(title, up, _)| {
        let ground =
            Ground::new(&[("1_a.up.sql", BESIDE), ("2_b.up.sql", up), ("2_b.down.sql", "SELECT 1")]).await;
        let found = findings(&ground).await;
        (!found.iter().any(|one| one.starts_with("2_b down_differs: ") && one.contains(title)))
            .then(|| format!("{title}: {found:?}"))
    }));
    let missed: Vec<String> = tried.buffer_unordered(4).filter_map(async |missed| missed).collect().await;
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test]
async fn what_is_granted_and_taken_again_is_no_difference() {
    let ground = Ground::new(&[
        ("1_a.up.sql", "CREATE TABLE a (i int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE m AS ENUM ('x'); CREATE SEQUENCE s"),
        (
            "2_b.up.sql",
            "GRANT SELECT, UPDATE (i) ON a TO PUBLIC; REVOKE ALL ON FUNCTION f() FROM PUBLIC; REVOKE ALL ON TYPE m FROM PUBLIC; GRANT USAGE ON SEQUENCE s TO PUBLIC; REVOKE DELETE ON a FROM CURRENT_USER",
        ),
        (
            "2_b.down.sql",
            "REVOKE SELECT, UPDATE (i) ON a FROM PUBLIC; GRANT EXECUTE ON FUNCTION f() TO PUBLIC; GRANT USAGE ON TYPE m TO PUBLIC; REVOKE USAGE ON SEQUENCE s FROM PUBLIC; GRANT DELETE ON a TO CURRENT_USER",
        ),
    ])
    .await;
    assert_eq!(findings(&ground).await, [""; 0]);
}

fn numbered(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let both = changes.iter().enumerate().flat_map(|(at, (up, down))| {
        let name = |way: &str| format!("{:03}_x.{way}.sql", at + 1);
        let down = (!down.is_empty()).then(|| (name("down"), (*down).to_owned()));
        [(name("up"), (*up).to_owned())].into_iter().chain(down)
    });
    both.collect()
}

#[tokio::test]
async fn a_state_that_was_read_in_part_is_what_is_there() {
    let files = numbered(&CHANGES);
    for count in 1..=CHANGES.len() {
        let ground = Ground::new(&[]).await;
        let upto = |(name, _): &&(String, String)| name[..3].parse::<usize>().unwrap() <= count;
        for (name, text) in files.iter().filter(upto) {
            ground.write(&[(name, text)]);
        }
        let folder = read_folder(ground.folder.path()).unwrap();
        let rehearsal = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
        assert_eq!(Finding::of_rehearsal(&rehearsal).len(), 0, "{:?}", rehearsal.migrations);
        ground.apply().await;
        let session = Session::connect(&ground.connection()).await.unwrap();
        let history = QualifiedName::new("public", "confiture_migrations");
        let there = read_digest(&session, Some(&history)).await.unwrap();
        assert_eq!(there, rehearsal.digest, "after {count}");
    }
}

#[tokio::test]
async fn a_way_back_that_leads_elsewhere_is_found_wherever_it_leads() {
    let wrong = [
        (4, "ALTER TABLE app.a RENAME m TO o", "column app.a.n is gone"),
        (6, "SELECT 1", "so it cannot be applied again"),
        (12, "SELECT 1", "inheritance app.q in app.p stays behind"),
        (
            14,
            "DROP TRIGGER t ON app.c; COMMENT ON TABLE app.c IS 'left'",
            "table app.c is another (what is missing: COMMENT ON TABLE app.c IS NULL)",
        ),
        (17, "SELECT 1", "column app.c.at is another (what is missing: COMMENT ON COLUMN app.c.at IS NULL)"),
        (20, "CREATE TABLE apps.d (b bigint)", "column apps.d.b is another"),
    ];
    for (number, down, said) in wrong {
        let mut changes = CHANGES;
        changes[number - 1].1 = down;
        let ground = Ground::new(&[]).await;
        for (name, text) in &numbered(&changes) {
            ground.write(&[(name, text)]);
        }
        let found = findings(&ground).await;
        let name = format!("{number:03}_x down_differs: ");
        assert!(found.iter().any(|one| one.starts_with(&name) && one.contains(said)), "{number}: {found:?}");
    }
}

#[tokio::test]
async fn what_sessions_begin_with_is_what_the_next_migration_finds() {
    let first = "CREATE SCHEMA app; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database()); END $$";
    let ground =
        Ground::new(&[("1_a.up.sql", first), ("2_b.up.sql", "CREATE TABLE app.b (); SELECT FROM b;")]).await;
    assert_eq!(findings(&ground).await, [""; 0]);
}

#[tokio::test]
async fn a_squash_is_proven_and_stands_for_its_parts() {
    let ground = Ground::new(&shop()).await;
    ground.apply().await;
    let half = Ground::new(&shop()[..4]).await;
    half.apply().await;
    let squash = plan_squash(&read_folder(ground.folder.path()).unwrap(), None, "squashed").unwrap();
    assert!(squash.reversible);
    let text = &squash.texts()[0];
    assert!(text.contains("-- confiture: squashes 001, 002, 003\n-- confiture: no-transaction\n"), "{text}");
    assert!(text.contains("RESET search_path;") && text.contains("-- a view\nCREATE VIEW c"), "{text}");
    assert_eq!(
        squash.prove(&ground.connection(), &ground.connection(), &Execution::unattended()).await.unwrap(),
        []
    );
    squash.write().unwrap();
    // Where all of it is applied, it counts as applied; a new database runs it alone; one in between is told so.
    assert_eq!(ground.standing().await, "003 Applied");
    assert_eq!(ground.apply().await, [""; 0]);
    assert_eq!(ground.standing().await, "003 Applied");
    let new = Ground::new(&[]).await;
    for file in ["003_squashed.up.sql", "003_squashed.down.sql"] {
        let text = std::fs::read_to_string(ground.folder.path().join(file)).unwrap();
        new.write(&[(file, &text)]);
        half.write(&[(file, &text)]);
    }
    for file in ["001_a", "002_b"] {
        half.remove(&format!("{file}.up.sql"));
        half.remove(&format!("{file}.down.sql"));
    }
    assert_eq!(new.apply().await, ["003"]);
    assert_eq!(new.database.schema(""), ground.database.schema(""), "pg_dump agrees");
    assert_eq!(
        half.up().await.unwrap_err().message(),
        "003_squashed takes the place of migrations of which only some are applied here"
    );
    ground.down(1).await.unwrap();
    assert_eq!(
        ground.psql(
            "SELECT to_regclass('b') IS NULL, string_agg(DISTINCT state, ',') FROM confiture_migrations"
        ),
        "t|reverted"
    );
    assert_eq!(ground.apply().await, ["003"]);
}

#[tokio::test]
async fn a_squash_says_nothing_of_its_scratch_database() {
    for (broken, text) in [("001_a.down.sql", "DROP TABLE gone;"), ("001_a.up.sql", "CREATE SCHEMA public;")]
    {
        let ground = Ground::new(&shop()).await;
        ground.write(&[(broken, text)]);
        let squash = plan_squash(&read_folder(ground.folder.path()).unwrap(), None, "squashed").unwrap();
        let proof = squash.prove(&ground.connection(), &ground.connection(), &Execution::unattended()).await;
        let shown = ground.shown(&proof.unwrap_err());
        assert!(!shown.contains("stay so") && !shown.contains("stays so"), "{shown}");
        assert!(!shown.contains("nothing was ever recorded"), "{shown}");
        assert_eq!(shown.contains("mend the way back"), broken.contains("down"), "{shown}");
    }
}

#[tokio::test]
async fn a_rehearsal_that_is_interrupted_waits_for_nobody() {
    let ground = Ground::new(&shop()).await;
    let token = tokio_util::sync::CancellationToken::new();
    token.cancel();
    let execution = Execution::new(std::sync::Arc::new(crate::ground::Heard::default()), token);
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &execution).await.unwrap_err();
    assert_eq!(error.message(), "interrupted; all of this was in a scratch database");
}

#[test]
fn a_squash_asks_where_its_parts_did() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("001_a.up.sql", "CREATE TABLE a (x int, y int);"),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", "-- confiture: loses-data column a.x\nALTER TABLE a DROP COLUMN x;"),
        ("002_b.down.sql", "ALTER TABLE a ADD COLUMN x int;"),
        ("003_c.up.sql", "-- confiture: loses-data column a.y\nALTER TABLE a DROP COLUMN y;"),
        ("003_c.down.sql", "-- confiture: loses-data\nALTER TABLE a ADD COLUMN y int;"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let squash = plan_squash(&read_folder(folder.path()).unwrap(), None, "squashed").unwrap();
    squash.write().unwrap();
    let read = read_folder(folder.path()).unwrap();
    let directives = |part: &Part| part.directives.loses_data.clone();
    let one = &read.migrations[0];
    assert_eq!(directives(&one.up).as_deref(), Some("column a.x; column a.y"));
    assert_eq!(one.down.as_ref().map(directives), Some(Some(String::new())));
}

#[test]
fn a_squash_that_cannot_be_written_leaves_the_files_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("001_a.up.sql", "CREATE TABLE a ();"),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", "CREATE TABLE b ();"),
        ("002_b.down.sql", "DROP TABLE b;"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let squash = plan_squash(&read_folder(folder.path()).unwrap(), None, "squashed").unwrap();
    std::fs::create_dir(folder.path().join("002_squashed.down.sql")).unwrap();
    squash.write().unwrap_err();
    std::fs::remove_dir(folder.path().join("002_squashed.down.sql")).unwrap();
    let read = read_folder(folder.path()).unwrap();
    let names: Vec<_> = read.migrations.iter().map(|one| format!("{}_{}", one.version, one.name)).collect();
    assert_eq!(names, ["001_a", "002_b"]);
}

#[tokio::test]
async fn a_squash_that_would_do_something_else_is_not_written() {
    // The second file reads what the first one has set for its own session only.
    let ground = Ground::new(&[
        ("1_a.up.sql", "SELECT set_config('app.x', 'one', false);"),
        ("2_b.up.sql", "DO $$ BEGIN IF current_setting('app.x', true) = 'one' THEN CREATE TABLE wrong (); END IF; END $$;"),
    ])
    .await;
    let squash = plan_squash(&read_folder(ground.folder.path()).unwrap(), Some(&version("2")), "s").unwrap();
    let differences =
        squash.prove(&ground.connection(), &ground.connection(), &Execution::unattended()).await.unwrap();
    assert!(
        differences.contains(&Difference::OnlySecond { object: "table public.wrong".into() }),
        "{differences:?}"
    );
    let left = scratch_databases(&ground);
    assert!(left.parse::<u32>().is_ok());
}

/// Roles belong to the server: those that nobody makes are made on one of ours, and asked for on another.
#[tokio::test]
async fn roles_that_migrations_name_are_made_on_a_server_of_ours() {
    let name = Database::create().await.unwrap();
    let (plain, stepwise) = (format!("{}_a", name.name()), format!("{}_b", name.name()));
    let first = format!("CREATE TABLE a (i int); GRANT SELECT ON a TO {plain};");
    let second =
        format!("-- confiture: no-transaction\nCREATE TABLE b (i int); GRANT SELECT ON b TO {stepwise};");
    let ground = Ground::new(&[
        ("001_a.up.sql", &first),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", &second),
        ("002_b.down.sql", "DROP TABLE b;"),
    ])
    .await;
    let folder = read_folder(ground.folder.path()).unwrap();
    let theirs = ground.connection();
    let error = rehearse(&theirs, &folder, &Execution::unattended()).await.unwrap_err();
    assert!(error.message().contains(&format!("role \"{plain}\" does not exist")), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("roles belong to the whole server")), "{error:?}");
    let ours = Connection { own_server: true, ..theirs };
    let squash = plan_squash(&folder, None, "squashed").unwrap();
    assert_eq!(squash.prove(&ours, &ours, &Execution::unattended()).await.unwrap(), []);
    let rehearsal = rehearse(&ours, &folder, &Execution::unattended()).await.unwrap();
    assert!(Finding::of_rehearsal(&rehearsal).is_empty());
    ground.psql(&format!("DROP ROLE {plain}, {stepwise}"));
}

/// On a server of somebody else's no role stays, however it was made.
#[tokio::test]
async fn roles_that_migrations_make_go_with_the_scratch_database() {
    let name = Database::create().await.unwrap();
    let (one, other) = (format!("{}_a", name.name()), format!("{}_b", name.name()));
    let first = format!("CREATE ROLE {one}; CREATE TABLE a (i int); GRANT SELECT ON a TO {one};");
    let second = format!("DO $$ BEGIN CREATE ROLE {other} LOGIN; END $$;");
    let ground = Ground::new(&[("001_a.up.sql", &first), ("002_b.up.sql", &second)]).await;
    let folder = read_folder(ground.folder.path()).unwrap();
    for _ in 0..2 {
        rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap();
        assert_eq!(
            ground.psql(&format!("SELECT count(*) FROM pg_roles WHERE rolname IN ('{one}', '{other}')")),
            "0"
        );
    }
}

#[tokio::test]
async fn a_subscription_is_not_tried() {
    let text = "SELECT 1;\nCREATE SUBSCRIPTION s CONNECTION 'host=/x' PUBLICATION p WITH (connect = false);";
    let ground = Ground::new(&[("001_a.up.sql", text)]).await;
    let folder = read_folder(ground.folder.path()).unwrap();
    let error = rehearse(&ground.connection(), &folder, &Execution::unattended()).await.unwrap_err();
    assert!(ground.shown(&error).starts_with("001_a.up.sql:2:1: a subscription is not tried"), "{error:?}");
}
