//! Every kind of table and type that PostgreSQL has, and the privileges that are missing.

use confiture::sync::Sync;

use crate::world::{World, sync, told};

#[tokio::test]
async fn partitions_heirs_and_tables_without_keys_arrive() {
    let schema = "
        CREATE TABLE event (id int, at date NOT NULL, who text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE event_2 (who text, at date NOT NULL, id int NOT NULL);
        ALTER TABLE event ATTACH PARTITION event_2 DEFAULT;
        CREATE TABLE base (id int, name text); CREATE TABLE heir (extra text) INHERITS (base);
        CREATE TABLE log (line text); CREATE TABLE nothing ();
        CREATE TABLE \"Weird \"\"Table\" (\"select\" text, \"Ü b\" text PRIMARY KEY);";
    let rows = "
        INSERT INTO event SELECT n, date '2020-06-01' + n, 'person ' || n FROM generate_series(1, 500) n;
        INSERT INTO base SELECT n, 'name ' || n FROM generate_series(1, 10) n; INSERT INTO heir SELECT n, 'heir ' || n, 'x' FROM generate_series(1, 5) n;
        INSERT INTO log SELECT E'tab\\tand\\\\' || n FROM generate_series(1, 20) n; INSERT INTO nothing DEFAULT VALUES;
        INSERT INTO \"Weird \"\"Table\" VALUES ('it''s', 'a'), (NULL, 'b');";
    let world = World::new(schema, rows).await;
    world.stage("INSERT INTO heir VALUES (1, 'old', 'old')").await;
    let rules = r#"
anonymize:
  event: {id: keep, at: keep, who: "person-{id}"}
  base: {id: keep, name: {hash: 24}}
  heir: {id: keep, name: {fake: name}, extra: keep}
  log: {line: {fpe: digits}}
  '"Weird ""Table"': {'"select"': {hash: 16}, '"Ü b"': keep}
"#;
    world.sync(rules).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let said = world
        .stage("SELECT (SELECT count(*) FROM event WHERE who = 'person-' || id), (SELECT count(*) FROM event_2), (SELECT count(*) FROM ONLY base), (SELECT count(*) FROM heir),
                (SELECT count(*) FROM log WHERE line LIKE E'___\\t___\\\\\\\\%'), (SELECT count(*) FROM nothing), (SELECT count(\"select\") FROM \"Weird \"\"Table\")")
        .await;
    assert_eq!(
        said,
        format!("500|{}|10|5|20|1|1\n", world.produce("SELECT count(*) FROM event_2").await.trim())
    );
}

#[tokio::test]
async fn types_that_have_no_common_binary_form_cross_as_text() {
    let schema = "
        CREATE DOMAIN mail AS text CHECK (value LIKE '%@%'); CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('ok', 'sad');
        CREATE TABLE t (id int PRIMARY KEY, m mail, p pair, c regclass, r int4range, x xml, ts tsvector, e mood[], big numeric, v varchar(30), f char(8), blank text, u uuid, j json);";
    let rows = "
        INSERT INTO t SELECT n, 'p' || n || '@corp.com', ROW(n, 'b')::pair, 'pg_class', int4range(n, n + 5), '<a>b</a>', 'a b'::tsvector, '{ok,sad,NULL}', 'NaN', 'v' || n, 'f' || n, '', gen_random_uuid(), '{\"a\" :  1.0}'
        FROM generate_series(1, 50) n; INSERT INTO t (id) VALUES (51);";
    let world = World::new(schema, rows).await;
    let rules = r#"
anonymize:
  t: {m: email, v: {hash: 20}, f: {fpe: digits}, blank: {hash: 20}, u: fpe, j: {json: {"$.b": hash}}, "*": keep}
"#;
    let report = world.sync(rules).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(report.tables[0].format, confiture::sync::CopyFormat::Text);
    let kept = "SELECT md5(string_agg(ROW(id, p, c, r, x::text, ts, e, big, j::text)::text, ',' ORDER BY id)) FROM t";
    assert_eq!(world.stage(kept).await, world.produce(kept).await);
    let said = "SELECT count(m), count(*) FILTER (WHERE m LIKE '%@example.com'), count(v), count(*) FILTER (WHERE blank = ''), count(DISTINCT u), count(DISTINCT f) FROM t";
    assert_eq!(world.stage(said).await, "50|50|50|50|50|50\n");
}

#[tokio::test]
async fn types_that_differ_are_an_error_and_can_be_cast() {
    // Both would arrive as garbage in binary, without an error.
    let world = World::new(
        "",
        "CREATE TABLE t (id int PRIMARY KEY, a jsonb, b bigint); INSERT INTO t VALUES (1, '{\"a\": 1}', 5)",
    )
    .await;
    world.stage("CREATE TABLE t (id int PRIMARY KEY, a text, b double precision)").await;
    let refused = world.refusal(world.options("anonymize: {t: {\"*\": keep}}")).await;
    assert!(refused.contains("t.a: the type is jsonb in the source and text in the target"), "{refused}");
    world
        .sync("anonymize: {t: {id: keep, a: {sql: a}, b: {sql: b}}}")
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(world.stage("SELECT a, b FROM t").await, "{\"a\": 1}|5\n");
}

#[tokio::test]
async fn rules_that_would_break_the_table_are_errors_at_plan_time() {
    let schema = "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b varchar(10), m mood, n int, d date, x text UNIQUE, y text, g text GENERATED ALWAYS AS (y) STORED)";
    let world = World::new(schema, "").await;
    for (column, rule, said) in [
        ("a", "null", "t.a: the rule is `null`, and the target's column is NOT NULL"),
        ("b", "{hash: 16}", "t.b: the mask is up to 16 characters long, and the column has room for 10"),
        ("m", "\"okay\"", "the constant is no label of the enumeration"),
        ("n", "{fake: name}", "the rule is for text, and the column is integer"),
        ("n", "{date: year}", "the rule is for a date or a timestamp"),
        ("d", "{bucket: 10}", "the rule is for a number, and the column is date"),
        ("d", "email", "the rule is for text, and the column is date"),
        ("x", "{fpe: digits, when: \"id > 5\"}", "t.x is unique, and a rule with `when`"),
        ("y", "\"{x}\"", "{x} would show the original of a column that is not kept"),
        ("y", "{sql: \"nope(y)\"}", "the source refuses what it would be asked for t"),
        ("y", "{hash: 8, when: \"nope\"}", "the source refuses what it would be asked for t"),
        ("g", "{hash: 8}", "t.g is not written, so the rule matches nothing"),
    ] {
        let others = if column == "y" { "x: {hash: 24}, " } else { "" };
        let refused = world
            .refusal(world.options(&format!("anonymize: {{t: {{{column}: {rule}, {others}\"*\": keep}}}}")))
            .await;
        assert!(refused.contains(said), "{column}: {rule}: {refused}");
    }
}

#[tokio::test]
async fn conditions_decide_row_by_row() {
    let world = World::new(
        "CREATE TABLE t (id int PRIMARY KEY, ref text, mail text, at date)",
        "INSERT INTO t SELECT n, CASE WHEN n % 2 = 0 THEN 'test_' ELSE 'real_' END || n, 'm' || n || '@corp.com', '2020-05-05' FROM generate_series(1, 10) n; INSERT INTO t VALUES (11)",
    )
    .await;
    let rules = r#"
anonymize:
  t:
    id: keep
    ref: {hash: 20, when: "ref NOT LIKE 'test_%'"}
    mail: {template: "u{id}@example.com", when: "id > 5", nulls: keep}
    at: {date: year, when: "id = 3"}
scan: {ignore: [t.mail]}
"#;
    world.sync(rules).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let said = "SELECT count(*) FILTER (WHERE ref LIKE 'test\\_%'), count(*) FILTER (WHERE ref ~ '^[0-9a-f]{20}$'), count(*) FILTER (WHERE mail LIKE '%corp.com'), count(*) FILTER (WHERE mail LIKE 'u%@example.com'), count(*) FILTER (WHERE at = '2020-01-01'), count(*) FILTER (WHERE at = '2020-05-05'), count(*) FILTER (WHERE ref IS NULL) FROM t";
    assert_eq!(world.stage(said).await, "5|5|5|5|1|9|1\n");
}

#[tokio::test]
async fn tables_that_refer_from_outside_keep_their_rows_or_nothing_changes() {
    let schema = "CREATE TABLE users (id int PRIMARY KEY, self int REFERENCES users DEFERRABLE INITIALLY DEFERRED); CREATE TABLE outside (id int PRIMARY KEY, user_id int REFERENCES users);
        CREATE VIEW per_user AS SELECT users.id, self, count(*) FROM users LEFT JOIN outside ON user_id = users.id GROUP BY users.id;
        CREATE MATERIALIZED VIEW mat AS SELECT count(*) AS n FROM users;";
    let world = World::new(schema, "INSERT INTO users SELECT n, n - 1 FROM generate_series(2, 10) n WHERE false; INSERT INTO users SELECT n, nullif(n - 1, 0) FROM generate_series(1, 10) n").await;
    world.stage("INSERT INTO users VALUES (3), (77); INSERT INTO outside VALUES (1, 3)").await;
    let mut options = world.options("anonymize: {users: {\"*\": keep}}");
    options.tables = vec![confiture::config::mapping::TableName::read("users").unwrap()];
    let report = sync(options.clone()).await;
    report.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(
        world
            .stage("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM outside), (SELECT n FROM mat)")
            .await,
        "10|1|10\n"
    );
    world.stage("INSERT INTO users VALUES (99); INSERT INTO outside VALUES (2, 99)").await;
    let refused = world.refusal(options).await;
    assert!(refused.contains("rows of outside refer to rows that are not there"), "{refused}");
}

#[tokio::test]
async fn rows_that_policies_hide_are_an_error_and_not_left_out() {
    let world = World::new("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON t USING (id = 1)").await;
    let role = format!("reader_{}", world.staging.name());
    world.produce(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}")).await;
    let mut options = world.options("anonymize: {t: {\"*\": keep}}");
    options.source.user.clone_from(&role);
    let result = sync(options).await;
    world.produce(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert!(told(&result.unwrap_err()).contains("row-level security"));
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_rule_is_named_by_place_alone() {
    let world = World::new(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t VALUES (1, '12345'), (2, 'Žofie 1')",
    )
    .await;
    let refused = world.refusal(world.options("anonymize: {t: {id: keep, a: {fpe: digits}}}")).await;
    assert!(
        refused.contains("a value of t.a holds letters beyond ASCII") && !refused.contains("ofie"),
        "{refused}"
    );
}

async fn shuffle(extra: &str) {
    let schema = format!(
        "CREATE TABLE t (id int PRIMARY KEY, salary int UNIQUE, born date, name text, tags text[], rare numeric{extra})"
    );
    let rows = "INSERT INTO t SELECT n, 1000 + n, date '1950-01-01' + n, 'name number ' || n, ARRAY['t' || n, 'x'], CASE WHEN n % 100 = 0 THEN n END FROM generate_series(1, 90000) n; INSERT INTO t (id) VALUES (0)";
    let world = World::new(&schema, rows).await;
    let rules = "anonymize: {t: {salary: shuffle, born: shuffle, name: {shuffle: true, when: \"id > 10\"}, tags: shuffle, rare: shuffle, \"*\": keep}}";
    let told = |error: confiture::Error| panic!("{}", told(&error));
    let mut digests = std::collections::BTreeSet::new();
    for (workers, quarantine) in [(1, false), (4, false), (3, true)] {
        let mut options = world.options(rules);
        (options.workers, options.quarantine) = (workers, quarantine);
        sync(options).await.unwrap_or_else(told);
        digests.insert(world.stage("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t").await);
    }
    assert_eq!(digests.len(), 1, "the same whatever the workers");
    // The same values in each column; NULL stays where it was.
    for column in ["salary", "born", "name", "tags", "rare"] {
        let all = format!(
            "SELECT md5(string_agg({column}::text, ',' ORDER BY {column})), sum(id) FILTER (WHERE {column} IS NULL) FROM t"
        );
        assert_eq!(world.stage(&all).await, world.produce(&all).await, "{column}");
    }
    // Nobody keeps their own, and no two columns change places alike.
    let own = "SELECT count(*) FILTER (WHERE salary = 1000 + id), count(*) FILTER (WHERE born = date '1950-01-01' + id),
        count(*) FILTER (WHERE name = 'name number ' || id), count(*) FILTER (WHERE rare = id), count(*) FILTER (WHERE salary - 1000 = born - date '1950-01-01') < 100 FROM t";
    assert_eq!(world.stage(own).await, "0|0|10|0|t\n");
}

#[tokio::test]
async fn shuffled_values_change_their_rows_and_nothing_else_in_binary() {
    shuffle("").await;
}

/// An `xml` column has no common binary form.
#[tokio::test]
async fn shuffled_values_change_their_rows_and_nothing_else_as_text() {
    shuffle(", x xml").await;
}

#[tokio::test]
async fn a_value_that_has_no_other_to_change_places_with_is_not_kept() {
    let world = World::new(
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text NOT NULL)",
        "INSERT INTO t VALUES (1, 'lonely one', 'b')",
    )
    .await;
    let refused = world.refusal(world.options("anonymize: {t: {b: shuffle, \"*\": keep}}")).await;
    assert!(refused.contains("t.b cannot be shuffled"), "{refused}");
    world.sync("anonymize: {t: {a: shuffle, \"*\": keep}}").await.unwrap();
    assert_eq!(world.stage("SELECT * FROM t").await, "1||b\n");
    let preview = Sync::plan(world.options("anonymize: {t: {a: shuffle, \"*\": keep}}"))
        .await
        .unwrap()
        .preview()
        .await
        .unwrap();
    assert!(!format!("{preview:?}").contains("lonely"), "{preview:?}");
}
