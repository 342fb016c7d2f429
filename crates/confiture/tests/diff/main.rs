//! Old and new DDL, and what `pg_dump` says of it: `testdata/diff/*.sql` holds the cases.
#![allow(clippy::print_stdout, reason = "tests say what they leave out")]

mod case;
mod casts;
mod contents;
mod live;
mod locks;
mod oracle;
mod owners;
mod partitioned;
mod random;
mod scratch;
#[path = "../live/seed.rs"]
#[allow(dead_code, reason = "shared with another test binary")]
mod seed;
mod stopped;
mod together;

use std::path::Path;
use std::sync::Arc;

use confiture::diff::Hazard;
use confiture::postgres::Session;
use confiture::sql::Sql;
use local_postgres::testing::{Database, shared_server};
use tokio::sync::Semaphore;

use case::Case;

/// How many cases run at a time.
const AT_A_TIME: usize = 4;

/// Parts, so that none takes long enough to seem stuck on a busy machine.
macro_rules! in_parts {
    ($($name:ident $part:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                judge(chosen().into_iter().skip($part - 1).step_by(4).collect()).await;
            }
        )*
    };
}

in_parts! {
    every_case_leads_to_the_new_schema_and_back_part_1_of_4 1,
    every_case_leads_to_the_new_schema_and_back_part_2_of_4 2,
    every_case_leads_to_the_new_schema_and_back_part_3_of_4 3,
    every_case_leads_to_the_new_schema_and_back_part_4_of_4 4,
}

/// The cases; of these, one that `CONFITURE_CASE` names.
fn chosen() -> Vec<Case> {
    let only = std::env::var("CONFITURE_CASE").unwrap_or_default();
    cases().into_iter().filter(|case| case.name.contains(&only)).collect()
}

/// The old side of one case and the new side of another have nothing in common but some names: the hardest change of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pairs_that_were_not_made_for_each_other() {
    let number = |name: &str, default: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (pairs, mut state) = (number("CONFITURE_PAIRS", 40), number("CONFITURE_SEED", 7) as u64);
    // Rows would be in the way of what nobody has made for them.
    let fills = |case: &Case| case.old.lines().any(|line| line.starts_with("INSERT INTO "));
    // What is said of new names fits its own old side only.
    let renames = |case: &Case| case.new.contains("confiture: renamed from");
    let cases: Vec<Case> = cases().into_iter().filter(|case| !fills(case) && !renames(case)).collect();
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &cases[(state >> 33) as usize % cases.len()]
    };
    let made = (0..pairs).map(|_| {
        let (one, other) = (next(), next());
        let name = format!("{} then {}", one.name, other.name);
        let since = one.since.max(other.since);
        let until = one.until.into_iter().chain(other.until).min();
        Case { name, old: one.old.clone(), new: other.new.clone(), since, until, ..Case::default() }
    });
    judge(made.collect()).await;
}

/// What a child has inherited can be its own from then on: its values stay, and how it is declared is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_only_a_child_keeps_is_dropped_above_it() {
    let old = "CREATE TABLE a (id int, n text); CREATE TABLE b (x int) INHERITS (a); CREATE TABLE c () INHERITS (b);";
    let new = "CREATE TABLE a (id int); CREATE TABLE b (x int, n text) INHERITS (a); CREATE TABLE c () INHERITS (b);";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(up, ["ALTER TABLE ONLY public.a DROP COLUMN n"]);
    let back = oracle::differ(shared_server().await, new, old).await.unwrap();
    let remark = "the column public.b.n is declared there as well as inherited, other than in the files";
    assert!(back.remarks.iter().any(|line| line == remark), "{:?}", back.remarks);
}

/// What could be the same under another name, and could not, is asked and not guessed.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_a_new_name_is_asked() {
    let old = "CREATE TABLE t (a int, user_id int, order_id int, x text, done date); CREATE TABLE u (id int, n text); CREATE TABLE w (id int, k text);
        CREATE TABLE x (a int, prev_hash text, hash text); CREATE TABLE days (a int, b text); CREATE TABLE days_of_users (a int, b text);
        CREATE TABLE pool_queue (id int PRIMARY KEY); CREATE TABLE queue (id int PRIMARY KEY); CREATE TABLE job (pool_queue_id int REFERENCES pool_queue);
        CREATE TYPE urgency AS ENUM ('low', 'high');";
    let new = "CREATE TABLE t (a int, user_key int, order_key int, y date, ended date, done date GENERATED ALWAYS AS (ended) STORED);
        CREATE TABLE v (id int, n text); CREATE TABLE w (id int, q text);
        CREATE TABLE x (a int, block_hash text, prev_block_hash text); CREATE TABLE day (a int, b text); CREATE TABLE day_of_user (a int, b text);
        CREATE TABLE pool_queue (id int PRIMARY KEY); CREATE TABLE queue (id int PRIMARY KEY); CREATE TABLE job (queue_id int REFERENCES queue);
        CREATE TYPE urgency AS ENUM ('minor', 'critical');";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let asked: Vec<&str> =
        found.remarks.iter().filter_map(|line| Some(line.split_once(", say ")?.1)).collect();
    let wanted = [
        "--rename public.job.pool_queue_id=queue_id",
        "--rename public.t.user_id=user_key",
        "--rename public.t.order_id=order_key",
        "--rename public.w.k=q",
        "--rename public.x.prev_hash=prev_block_hash",
        "--rename public.x.hash=block_hash",
        "--rename public.u=v",
        "--rename public.days=day",
        "--rename public.days_of_users=day_of_user",
        "--rename public.urgency.low=minor",
        "--rename public.urgency.high=critical",
    ];
    assert_eq!(asked, wanted, "{:?}", found.remarks);
}

/// A table is asked about, too, where its columns have other names as well: dropped and made anew, it would lose its rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_a_new_name_with_its_columns_is_asked() {
    for (old, new, wanted) in [
        (
            "CREATE TABLE a (x int, y text);",
            "CREATE TABLE b (x1 int, y1 text);",
            Some("--rename public.a=b --rename public.a.x=x1 --rename public.a.y=y1"),
        ),
        (
            "CREATE TABLE \"user\" (id int, n text, at date); CREATE TABLE z (i int);",
            "CREATE TABLE \"Üser s\" (id int, \"N\" text, at date, more int); CREATE TABLE y (j date, i int);",
            Some("--rename public.\"user\"=\"Üser s\" --rename public.\"user\".n=\"N\""),
        ),
        ("CREATE TABLE a (x int, y text);", "CREATE TABLE b (x int, z date);", None),
        ("CREATE TABLE a (x int);", "CREATE TABLE b (y int);", None),
    ] {
        let found = oracle::differ(shared_server().await, old, new).await.unwrap();
        assert!(!found.up.losses().is_empty());
        let asked: Vec<&str> =
            found.remarks.iter().filter_map(|line| Some(line.split_once(", say ")?.1)).collect();
        assert_eq!(asked, wanted.into_iter().collect::<Vec<_>>(), "{:?}", found.remarks);
    }
}

/// So is a column that has got another name and another type at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_with_another_name_and_type_is_asked() {
    let old = "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (id int, total int, mood text, user_id int, \"Ürl\" varchar(20), flag bool, country text, note text);
        CREATE TABLE u (price int);";
    let new = "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (id int, total_cents bigint, mood_now mood, user_uuid uuid, \"Ürls\" text, at date, country_id int, notes jsonb);
        CREATE TABLE u (price_net bigint, list_price int);";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let asked: Vec<&str> =
        found.remarks.iter().filter_map(|line| Some(line.split_once("column public.")?.1)).collect();
    let wanted = [
        "t.total goes and total_cents comes, bigint where it was integer: where it is the same, say --rename public.t.total=total_cents",
        "t.mood goes and mood_now comes, public.mood where it was text: where it is the same, say --rename public.t.mood=mood_now",
        "t.\"Ürl\" goes and \"Ürls\" comes, text where it was character varying(20): where it is the same, say --rename public.t.\"Ürl\"=\"Ürls\"",
        "t.note goes and notes comes, jsonb where it was text: where it is the same, say --rename public.t.note=notes",
        "u.price goes and list_price comes, of the same type: where it is the same, say --rename public.u.price=list_price",
    ];
    assert_eq!(asked, wanted, "{:?}", found.remarks);
}

/// A schema that may have a new name is asked about, and a table that may stand in another one: both would lose their rows.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_stand_in_another_schema_is_asked() {
    let old = "CREATE SCHEMA app; CREATE SCHEMA \"T 1\"; CREATE SCHEMA t2; CREATE SCHEMA s;
        CREATE TABLE app.users (id int, a text, b text); CREATE TABLE app.x (id int); CREATE TABLE app.y (id int);
        CREATE TABLE \"T 1\".a (id int, n text); CREATE TABLE t2.a (id int, n text); CREATE TABLE s.\"Less\" (id int, was text);";
    let new = "CREATE SCHEMA apps; CREATE SCHEMA \"T one\"; CREATE SCHEMA t_2; CREATE SCHEMA s;
        CREATE TABLE apps.users (id int, c text, d text); CREATE TABLE apps.z (id int); CREATE TABLE apps.w (id int);
        CREATE TABLE \"T one\".a (id int, n text); CREATE TABLE t_2.a (id int, n text); CREATE TABLE public.\"Less\" (id int, had text);";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let mut asked: Vec<&str> =
        found.remarks.iter().filter_map(|line| Some(line.split_once(", say ")?.1)).collect();
    asked.sort_unstable();
    let wanted = [
        "--rename \"T 1\"=\"T one\"",
        "--rename app=apps",
        "--rename s.\"Less\"=public.\"Less\"",
        "--rename t2=t_2",
    ];
    assert_eq!(asked, wanted, "{:?}", found.remarks);
}

/// `pg_dump` writes it behind the query, and other options in their order.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_views_check_option_stands_is_no_difference() {
    let table = "CREATE TABLE t (b bool); CREATE VIEW v";
    let first =
        format!("{table} WITH (check_option = cascaded, security_barrier) AS SELECT b FROM t WHERE b;");
    let last =
        format!("{table} WITH (security_barrier) AS SELECT b FROM t WHERE b WITH CASCADED CHECK OPTION;");
    let found = oracle::differ(shared_server().await, &first, &last).await.unwrap();
    assert_eq!((found.up.statements().count(), found.down.statements().count()), (0, 0));
}

/// One remark for all, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_many_columns_is_said_once() {
    let tables = "CREATE TABLE p (a int, \"B\" int); CREATE TABLE q (a int);";
    let old =
        format!("{tables} CREATE TABLE k (c int, a int, \"B\" int) INHERITS (p); CREATE TABLE l (a int);");
    let new = "CREATE TABLE p (a int, \"B\" int); CREATE TABLE q (n int, a int); CREATE TABLE k (c int) INHERITS (p);
        CREATE TABLE l (n int, a int);";
    let found = oracle::differ(shared_server().await, &old, new).await.unwrap();
    let wanted = [
        "the columns of public.l and public.q stand in another order than in the files: new ones come last",
        "the columns a and \"B\" of public.k are declared there as well as inherited, other than in the files",
    ];
    assert_eq!(found.remarks, wanted);
}

/// Nobody would have a table read, or an index built, for words that mean what is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dump_says_otherwise_is_no_difference() {
    let made = "CREATE TABLE t (s varchar(9) CHECK (s IN ('a', 'it''s')), d timestamp, CHECK (EXTRACT('YEAR' FROM d) > 0));
        CREATE INDEX i ON t (d) WHERE s NOT IN ('a', 'b');";
    let dumped = "CREATE TABLE t (s varchar(9), d timestamp, CONSTRAINT t_s_check CHECK (((s)::text = ANY
            (ARRAY[('a'::character varying)::text, ('it''s'::character varying)::text]))), CHECK (EXTRACT(year FROM d) > 0));
        CREATE INDEX i ON t (d) WHERE s::text <> ALL (ARRAY[('a'::character varying)::text, ('b'::character varying)::text]);";
    let found = oracle::differ(shared_server().await, made, dumped).await.unwrap();
    assert_eq!((found.up.statements().count(), found.down.statements().count()), (0, 0));
    let other = dumped.replace("'it''s'", "'its'");
    let found = oracle::differ(shared_server().await, made, &other).await.unwrap();
    assert!(found.up.statements().any(|sql| sql.as_str().contains("('its'::character varying)::text")));
}

/// A check can be made a child's own, but not taken back: that is said, and so is what the system's own objects have.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_statement_makes_is_said() {
    let table = "CREATE TABLE p (a int, CONSTRAINT c CHECK (a > 0));";
    let inherited = format!("{table} CREATE TABLE k (a int) INHERITS (p);");
    let declared = format!(
        "{table} CREATE TABLE k (a int, CONSTRAINT c CHECK (a > 0)) INHERITS (p);
        REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;"
    );
    let found = oracle::differ(shared_server().await, &inherited, &declared).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(up, ["ALTER TABLE public.k NO INHERIT public.p, INHERIT public.p"]);
    let remark = "on the way back, the constraint public.k.c is declared there as well as inherited, other than in the files";
    assert_eq!(found.remarks, [remark]);
    let privileges = ["privilege on an object of an extension", "system privilege"]
        .map(|what| format!("1 {what} of the new schema is not compared"));
    assert_eq!(found.uncovered, privileges);
}

/// It belongs to a scratch database, which goes with it; but it is not compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_not_in_the_way() {
    let old = "CREATE TABLE t (a int);";
    let options = "WITH (connect = false, enabled = false)";
    let new = format!(
        "CREATE TABLE t (a int, b int); CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION p {options};"
    );
    let found = oracle::differ(shared_server().await, old, &new).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(up, ["ALTER TABLE public.t ADD COLUMN b integer"]);
    assert_eq!(found.uncovered, ["1 subscription of the new schema is not compared"]);
}

/// Rows that nobody has looked at yet may stop a unique index.
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_of_a_new_materialized_view_may_fail() {
    let table = "CREATE TABLE t (a int);";
    let view = "CREATE MATERIALIZED VIEW v AS SELECT a FROM t; CREATE UNIQUE INDEX i ON v (a);";
    let found = oracle::differ(shared_server().await, table, &format!("{table} {view}")).await.unwrap();
    let step = found.up.steps.iter().find(|step| step.title == "index public.i").unwrap();
    assert!(step.hazards.iter().any(|hazard| matches!(hazard, confiture::diff::Hazard::MayFail(_))));
}

/// Dumps of old servers have strings in which a backslash escapes: those that follow are read so, and what is told of them is not.
#[tokio::test(flavor = "multi_thread")]
async fn strings_are_read_as_the_script_says() {
    let new = r"SET standard_conforming_strings = off; CREATE TABLE t (a text DEFAULT 'x\\y');";
    let found = oracle::differ(shared_server().await, "", new).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(up, ["CREATE TABLE public.t (\n    a text DEFAULT 'x\\y'::text\n)"]);
}

/// The rows of a new partition may be in the default one: then it cannot be made.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_beside_the_default_one() {
    let old = "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE d PARTITION OF t DEFAULT;";
    let new = format!("{old} CREATE TABLE p PARTITION OF t FOR VALUES IN (4);");
    let found = oracle::differ(shared_server().await, old, &new).await.unwrap();
    let hazards: Vec<&str> = found.up.steps[0].hazards.iter().map(confiture::diff::Hazard::why).collect();
    assert_eq!(hazards, ["rows of the default partition that belong there stop it"]);
}

/// Extensions are not updated to every version; where none leads back, the others of the plan do not mind.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_of_an_extension() {
    let old = "CREATE EXTENSION hstore VERSION '1.4'; CREATE TABLE t (a hstore);";
    let new = "CREATE EXTENSION hstore VERSION '1.7'; CREATE TABLE t (a hstore, b int);";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let down: Vec<&str> = found.down.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(down, ["ALTER TABLE public.t DROP COLUMN b"]);
    let said = "on the way back, the extension hstore stays at version 1.7: no update leads to 1.4";
    assert!(found.remarks.iter().any(|line| line == said), "{:?}", found.remarks);
}

/// One that is not relocatable would have to be dropped, with all that uses it.
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_cannot_be_moved() {
    let with = |more: &str| format!("CREATE SCHEMA x; CREATE EXTENSION xml2{more};");
    let found = oracle::differ(shared_server().await, &with(""), &with(" SCHEMA x")).await.unwrap();
    assert_eq!((found.up.statements().count(), found.down.statements().count()), (0, 0));
    let said = [
        "the extension xml2 stays in public: it cannot be taken to x",
        "on the way back, the extension xml2 stays in x: it cannot be taken to public",
    ];
    assert_eq!(found.remarks, said);
    let bare = "CREATE EXTENSION xml2";
    let found =
        oracle::differ(shared_server().await, bare, "CREATE SCHEMA x; CREATE EXTENSION xml2 SCHEMA x").await;
    let found = found.unwrap();
    assert_eq!((found.up.statements().count(), found.down.statements().count()), (1, 0));
    let said = "on the way back, the extension xml2 stays in x, and so does that schema: it cannot be taken to public";
    assert_eq!(found.remarks[1], said);
}

/// Who has a privilege from the one that loses it loses it, too, unless it is to stay: then it is the owner's to grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_privilege_that_was_handed_on_can_go() {
    let old = "CREATE TABLE t (i int); GRANT SELECT, INSERT ON t TO pg_monitor WITH GRANT OPTION; SET ROLE pg_monitor;
        GRANT SELECT ON t TO pg_signal_backend";
    let new = "CREATE TABLE t (i int); GRANT SELECT ON t TO pg_signal_backend";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(
        up,
        [
            "REVOKE INSERT, SELECT ON TABLE public.t FROM pg_monitor CASCADE",
            "GRANT SELECT ON TABLE public.t TO pg_signal_backend"
        ]
    );
    assert!(found.uncovered.is_empty());
}

/// Who has handed it on is not known of a column: what is to stay is granted again.
#[tokio::test(flavor = "multi_thread")]
async fn a_privilege_on_a_column_that_was_handed_on_can_go() {
    let old =
        "CREATE TABLE t (i int); GRANT UPDATE (i) ON t TO pg_monitor WITH GRANT OPTION; SET ROLE pg_monitor;
        GRANT UPDATE (i) ON t TO pg_signal_backend";
    let new = "CREATE TABLE t (i int); GRANT UPDATE (i) ON t TO pg_signal_backend";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let up: Vec<&str> = found.up.statements().map(confiture::sql::Sql::as_str).collect();
    assert_eq!(
        up,
        [
            "REVOKE UPDATE (i) ON TABLE public.t FROM pg_monitor CASCADE",
            "REVOKE UPDATE (i) ON TABLE public.t FROM pg_signal_backend CASCADE",
            "GRANT UPDATE (i) ON TABLE public.t TO pg_signal_backend"
        ]
    );
}

/// No statement changes that, so it is said.
#[tokio::test(flavor = "multi_thread")]
async fn whether_a_child_declares_a_check_itself_is_told() {
    let one = "CREATE TABLE t (a int); CREATE TABLE h () INHERITS (t); ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);";
    let other = one.replace("h ()", "h (CONSTRAINT c CHECK (a > 0))");
    let found = oracle::differ(shared_server().await, one, &other).await.unwrap();
    let remark = "the constraint public.h.c is only inherited, other than in the files";
    assert!(found.remarks.iter().any(|line| line == remark), "{:?}", found.remarks);
}

/// A plan can fail on rows that the schema does not tell of, or round them.
#[tokio::test(flavor = "multi_thread")]
async fn what_rows_may_have_against_it_is_said() {
    let whole =
        "CREATE TABLE w (a int, b int) PARTITION BY RANGE (a); CREATE TABLE d PARTITION OF w DEFAULT;";
    let f = "CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1 / $1; END';";
    let domain = "CREATE DOMAIN short AS text CHECK (length(value) < 9);";
    let server = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;";
    let table = |columns: &str| format!("CREATE TABLE t ({columns});");
    let cases = [
        (table("a varchar(9)"), table("a varchar(3)"), "too long"),
        (table("a numeric(9,2)"), table("a numeric(8,2)"), "too long"),
        (table("a numeric(9,2)"), table("a numeric(8,1)"), "rounded"),
        (table("a timestamptz"), table("a timestamptz(3)"), "rounded"),
        (table("a timestamptz"), table("a timestamptz(6)"), ""),
        (table("a interval day to second"), table("a interval day to hour"), "parts of the intervals"),
        (table("a interval hour to minute"), table("a interval day to second(2)"), ""),
        (
            table("a int, CONSTRAINT c CHECK (a > 0)"),
            table("a int") + "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
            "",
        ),
        (
            format!("{server}CREATE FOREIGN TABLE t (a int, b text, c text) SERVER s"),
            format!(
                "{server}CREATE FOREIGN TABLE t (a text NOT NULL, b text CHECK (b > ''), d int NOT NULL) SERVER s"
            ),
            "",
        ),
        (table("a int"), table("a int, b int DEFAULT NULL NOT NULL"), "have no value for it"),
        (table("a varchar(3)[]"), table("a varchar(9)[]"), ""),
        (
            format!("{domain}{}", table("a text")),
            format!("{domain}{}", table("a short")),
            "the domain refuses",
        ),
        (
            format!("{whole}{}", table("a int, b int")),
            format!(
                "{whole}{} ALTER TABLE w ATTACH PARTITION t FOR VALUES FROM (1) TO (2)",
                table("a int, b int")
            ),
            "outside of the partition's bounds",
        ),
        (
            whole.to_owned(),
            format!("{whole}CREATE TABLE t PARTITION OF w FOR VALUES FROM (1) TO (2)"),
            "rows of the default partition",
        ),
        (
            format!("{f}{}", table("a int")),
            format!("{f}{} CREATE INDEX ON t (f(a))", table("a int")),
            "cannot be computed",
        ),
        (
            table("a jsonb"),
            table("a jsonb, b int GENERATED ALWAYS AS ((a -> 'b')::int) STORED"),
            "cannot be computed",
        ),
        (
            "CREATE TABLE r (a int, b int);".to_owned() + &table("r r[]"),
            "CREATE TABLE r (b bigint);".to_owned() + &table("r r[]"),
            "the values of attributes that go",
        ),
        (
            table("a int, gone int"),
            "CREATE TABLE t (a int) PARTITION BY LIST (a)".to_owned(),
            "the values of the column gone",
        ),
        (
            "CREATE TYPE c AS (a int, gone int);".to_owned() + &table("c c"),
            "CREATE TYPE c AS (a int);".to_owned() + &table("c c"),
            "the values of the attribute gone",
        ),
        (table("a text"), table("a text, b text GENERATED ALWAYS AS (lower(a)) STORED"), ""),
    ];
    for (old, new, said) in cases {
        let found = oracle::differ(shared_server().await, &old, &new).await.unwrap();
        let hazards = found.up.steps.iter().flat_map(|step| &step.hazards);
        let hazards: Vec<&Hazard> =
            hazards.filter(|hazard| matches!(hazard, Hazard::MayFail(_) | Hazard::DataLoss(_))).collect();
        match said {
            "" => assert!(hazards.is_empty(), "{new}: {hazards:?}"),
            said => assert!(hazards.iter().any(|one| one.why().contains(said)), "{new}: {hazards:?}"),
        }
    }
}

/// A new table has no rows that could be in the way, and a sequence none that are written anew; an exclusion constraint keeps
/// everybody out while its index is built.
#[tokio::test(flavor = "multi_thread")]
async fn hazards_are_of_tables_with_rows() {
    let old = "CREATE TABLE p (id int PRIMARY KEY); CREATE SEQUENCE s AS int; CREATE TABLE x (r int4range)";
    let new = "CREATE TABLE p (id int PRIMARY KEY); CREATE SEQUENCE s AS bigint;
        CREATE TABLE c (p int REFERENCES p CHECK (p > 0)); CREATE TABLE x (r int4range, EXCLUDE USING gist (r WITH &&))";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    let hazards: Vec<_> = found.up.steps.iter().flat_map(|step| &step.hazards).map(Hazard::class).collect();
    assert_eq!(hazards, ["may fail on existing rows", "blocks writes"]);
    assert!(found.up.steps.iter().flat_map(|step| &step.locks).all(|lock| !lock.rewrites));
}

/// The bytes in a column are only known to the functions of its type.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_type_does_not_become_another() {
    let base = |like: &str| {
        format!(
            "CREATE TYPE box3;
            CREATE FUNCTION box3_in(cstring) RETURNS box3 LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
            CREATE FUNCTION box3_out(box3) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
            CREATE TYPE box3 (INPUT = box3_in, OUTPUT = box3_out, LIKE = int4, CATEGORY = '{like}');
            CREATE TABLE t (a box3)"
        )
    };
    let error = oracle::differ(shared_server().await, &base("U"), &base("N")).await.unwrap_err();
    assert_eq!(error.message(), "the base type public.box3 differs in what no ALTER TYPE changes");
    assert_eq!(error.place().unwrap().to_string(), "schema.sql:4:13");
    let range = |canonical: &str| {
        format!(
            "CREATE TYPE days;
            CREATE FUNCTION whole(days) RETURNS days LANGUAGE internal IMMUTABLE STRICT AS 'int4range_canonical';
            CREATE TYPE days AS RANGE (SUBTYPE = int{canonical})"
        )
    };
    let error =
        oracle::differ(shared_server().await, &range(", CANONICAL = whole"), &range("")).await.unwrap_err();
    assert_eq!(error.message(), "the range type public.days differs in what no ALTER TYPE changes");
    assert_eq!(error.place().unwrap().to_string(), "schema.sql:3:13");
}

/// A file may be for a newer server than the one that reads it, or simply wrong; where the server knows the words, it is not.
#[tokio::test(flavor = "multi_thread")]
async fn words_that_the_server_does_not_know() {
    let server = shared_server().await;
    let hint = "CONFITURE_SCRATCH_URL";
    for unknown in [
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a) EVER_NEWER)",
        "CREATE VIEW v WITH (ever_newer = true) AS SELECT 1",
    ] {
        let error = oracle::differ(server, "", unknown).await.unwrap_err();
        assert!(error.hints().iter().any(|line| line.contains(hint)), "{error:?}");
    }
    for wrong in ["CREATE TABLE t (a no_such_type)", "CREATE TABLE t (a int DEFAULT 'x')", "SELECT 1 / 0"] {
        let error = oracle::differ(server, "", wrong).await.unwrap_err();
        assert!(!error.hints().iter().any(|line| line.contains(hint)), "{error:?}");
    }
}

/// As it can be in `psql`.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_used_in_the_script_that_adds_it() {
    let old = "CREATE TYPE e AS ENUM ('a')";
    let new =
        "CREATE TYPE e AS ENUM ('a'); VACUUM; ALTER TYPE e ADD VALUE 'b'; CREATE TABLE t (c e DEFAULT 'b')";
    let found = oracle::differ(shared_server().await, old, new).await.unwrap();
    assert!(!found.up.one_transaction);
    // What a script has committed is not run again.
    let committed = new.replace("VACUUM", "BEGIN; CREATE TABLE u (); COMMIT");
    let found = oracle::differ(shared_server().await, old, &committed).await.unwrap();
    assert!(!found.up.one_transaction);
}

/// Renames are never guessed where one thing may have become several, and what is said of them has to fit.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_new_names_has_to_fit() {
    let server = shared_server().await;
    let old = "CREATE TABLE users (id int, full_name text);";
    let found = oracle::differ(server, old, "CREATE TABLE users (id int, first_name text, last_name text);");
    let found = found.await.unwrap();
    assert!(!found.up.losses().is_empty() && found.remarks.is_empty(), "{:?}", found.remarks);
    let renamed = async |old: &str, new: &str, renames: &[&str]| {
        let options = confiture::schema_diff::DiffOptions {
            renames: renames.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        };
        oracle::differ_with(server, old, new, &options).await
    };
    let (two, one) = ("CREATE TABLE t (a int, b int);", "CREATE TABLE t (c int);");
    for renames in [["t.a=c", "t.b=c"], ["t.a=c", "public.t.b=c"]] {
        let error = renamed(two, one, &renames).await.unwrap_err();
        assert!(error.message().ends_with("one thing has one new name"), "{error}");
    }
    let error =
        renamed("CREATE TABLE t (a int);", "CREATE TABLE t (b int, c int);", &["t.a=b", "t.a=c"]).await;
    assert!(error.unwrap_err().message().ends_with("one thing has one new name"));
    renamed("CREATE TABLE t (a int);", "CREATE TABLE t (b int);", &["t.a=b", "t.a=b"]).await.unwrap();
    for (old, new) in [
        ("CREATE TABLE t (a int);", "CREATE TABLE t (\n  zebra int -- confiture: renamed from aa\n);"),
        (
            "CREATE TABLE t (a int, b text);",
            "CREATE TABLE t (\n  b int, -- confiture: renamed from a\n  a text -- confiture: renamed from b\n);",
        ),
        ("CREATE TABLE old (a int);", "-- confiture: renamed from odl\nCREATE TABLE young (x int);"),
        // The schema where it was is another one.
        (
            "CREATE SCHEMA app; CREATE TABLE app.old (a int);",
            "CREATE SCHEMA app; CREATE SCHEMA crm;\n-- confiture: renamed from ap.old\nCREATE TABLE crm.young (x int);",
        ),
        (
            "CREATE SCHEMA app; CREATE TABLE app.old (a int);",
            "CREATE SCHEMA app;\n-- confiture: renamed from app.old\nCREATE TABLE young (x int);",
        ),
    ] {
        let error = renamed(old, new, &[]).await.unwrap_err();
        assert!(error.message().starts_with("said at schema.sql:"), "{error}");
    }
    // Those of an earlier change stay where they are.
    let new = "CREATE TABLE t (\n  b int, -- confiture: renamed from a\n  c int\n);";
    for old in ["", "CREATE TABLE t (b int);", "CREATE TABLE t (c int);"] {
        renamed(old, new, &[]).await.unwrap();
    }
    let new = "CREATE SCHEMA crm;\n-- confiture: renamed from app.users\nCREATE TABLE crm.users ();";
    for old in ["", "CREATE SCHEMA crm; CREATE TABLE crm.users ();", "CREATE SCHEMA app;"] {
        renamed(old, new, &[]).await.unwrap();
    }
}

/// Both ways, each row has the label that stands for what it had.
#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_a_label_under_its_new_name() {
    let server = shared_server().await;
    let old = "CREATE TYPE mood AS ENUM ('so so', 'bad', 'good'); CREATE TABLE t (id int, m mood DEFAULT 'bad', n mood[]);";
    let new = "CREATE TYPE mood AS ENUM ('fair', 'bäd', 'good'); CREATE TABLE t (id int, m mood DEFAULT 'bäd', n mood[]);";
    let options = confiture::schema_diff::DiffOptions {
        renames: vec!["mood.\"so so\"=fair".to_owned(), "public.mood.bad=bäd".to_owned()],
        ..Default::default()
    };
    let found = oracle::differ_with(server, old, new, &options).await.unwrap();
    assert!(found.up.losses().is_empty() && found.down.losses().is_empty());
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&oracle::connection(server, database.name())).await.unwrap();
    oracle::run(&session, old).await.unwrap();
    oracle::run(&session, "INSERT INTO t VALUES (1, DEFAULT, '{so so,good}'), (2, 'so so', NULL)")
        .await
        .unwrap();
    let rows = async || {
        let rows = Sql::literal("SELECT pg_catalog.string_agg(t::text, ' ' ORDER BY id) FROM public.t");
        session.query_one(&rows, &[]).await.unwrap().get::<_, String>(0)
    };
    oracle::apply(&session, &found.up).await.unwrap();
    assert_eq!(rows().await, "(1,bäd,\"{fair,good}\") (2,fair,)");
    oracle::apply(&session, &found.down).await.unwrap();
    assert_eq!(rows().await, "(1,bad,\"{\"\"so so\"\",good}\") (2,\"so so\",)");
}

/// A slip in what is said to be no new name would have the wrong thing taken for the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_to_be_no_new_name_has_to_fit() {
    let server = shared_server().await;
    let (old, new) =
        ("CREATE TABLE users (id int, full_name text);", "CREATE TABLE users (id int, display_name text);");
    let differ = async |new: &str, renames: &[&str], no_renames: &[&str]| {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        let options = confiture::schema_diff::DiffOptions {
            renames: texts(renames),
            no_renames: texts(no_renames),
            ..Default::default()
        };
        oracle::differ_with(server, old, new, &options).await
    };
    for slip in
        ["users.ful_name=display_name", "user.full_name=display_name", "users.full_name=other", "users.id=id"]
    {
        let error = differ(new, &[], &[slip]).await.unwrap_err();
        assert!(
            error.message().starts_with(&format!("--no-rename {slip}: the old schema has no ")),
            "{error}"
        );
    }
    for wrong in ["users.full_name", "=x", "users.full_name="] {
        let error = differ(new, &[], &[wrong]).await.unwrap_err();
        assert!(error.message().ends_with("does not say what has a new name"), "{error}");
    }
    let error =
        differ(new, &["users.full_name=display_name"], &["users.full_name=display_name"]).await.unwrap_err();
    assert!(
        error.message().contains("is said (--rename users.full_name=display_name), and denied"),
        "{error}"
    );
    let commented = |comment: &str| {
        format!("CREATE TABLE users (id int,\n  display_name text -- confiture: {comment}\n);")
    };
    let error = differ(&commented("not renamed from ful_name"), &[], &[]).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("no users.ful_name goes; column public.users.full_name becomes display_name"),
        "{error}"
    );
    for slip in [
        "not rename from full_name",
        "not-renamed from full_name",
        "Not renamed from full_name",
        "not renamed from",
    ] {
        let said = differ(&commented(slip), &[], &[]).await;
        assert!(said.is_err(), "{slip}");
    }
    // It stays where it is when the change is long done.
    let both = "CREATE TABLE users (id int, full_name text, display_name text -- confiture: not renamed from name\n);";
    differ(both, &[], &[]).await.unwrap();
}

/// PostgreSQL rounds and cuts without a word: only consent makes such a change.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_rounded_or_cut_are_lost() {
    let pairs = [
        ("numeric", "int", true),
        ("numeric[]", "int[]", true),
        ("timestamptz", "date", true),
        ("timestamp", "time", true),
        ("interval", "time", true),
        ("interval", "interval year", true),
        ("float8", "real", true),
        ("json", "jsonb", true),
        ("int", "bigint", false),
        ("int", "numeric", false),
        ("real", "float8", false),
        ("date", "timestamp", false),
        ("int", "text", false),
    ];
    let side = |of: fn(&(&str, &str, bool)) -> String| -> String {
        let columns: Vec<String> =
            pairs.iter().enumerate().map(|(at, pair)| format!("c{at} {}", of(pair))).collect();
        format!("CREATE TABLE t ({});", columns.join(", "))
    };
    let (old, new) = (side(|pair| pair.0.to_owned()), side(|pair| pair.1.to_owned()));
    let found = oracle::differ(shared_server().await, &old, &new).await.unwrap();
    for (at, (from, to, lost)) in pairs.iter().enumerate() {
        let is_of = |hazard: &&Hazard| {
            let columns = hazard.why().split_once(": ").map_or("", |(columns, _)| columns);
            columns.split(", ").any(|column| column == format!("c{at}"))
        };
        let told: Vec<&Hazard> = found.up.steps.iter().flat_map(|step| &step.hazards).filter(is_of).collect();
        let loses = told.iter().any(|hazard| matches!(hazard, Hazard::DataLoss(_)));
        let may_fail = told.iter().any(|hazard| matches!(hazard, Hazard::MayFail(_)));
        assert_eq!((loses, may_fail), (*lost, false), "{from} to {to}: {told:?}");
    }
}

/// `pg_dump` of a thousand tables runs in `psql`, statement by statement: it need not fit into one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn more_tables_than_a_transaction_can_lock() {
    let mut options = local_postgres::Options::default();
    for (name, value) in [
        ("max_locks_per_transaction", "40"),
        ("max_connections", "20"),
        ("max_wal_senders", "2"),
        ("max_prepared_transactions", "0"),
    ] {
        options.settings.push((name.to_owned(), value.to_owned()));
    }
    let server = local_postgres::Server::throwaway(options).await.unwrap();
    let tables = |count: usize| -> String {
        (0..count).map(|n| format!("CREATE TABLE t{n} (a int PRIMARY KEY, b text);\n")).collect()
    };
    let old = "CREATE TABLE t1 (a int PRIMARY KEY, b text)";
    // Both ways are tried at the same time, and have to share that place.
    let found = oracle::differ(&server, old, &tables(280)).await.unwrap();
    assert!(found.up.one_transaction && found.down.one_transaction);
    let found = oracle::differ(&server, old, &tables(1200)).await.unwrap();
    assert_eq!(found.up.steps.len(), 1199);
    assert!(!found.up.one_transaction, "this server has no place for all these locks");
    server.stop().await.unwrap();
}

fn cases() -> Vec<Case> {
    let cases = case::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/diff"));
    assert!(!cases.is_empty(), "there are no cases");
    cases
}

async fn judge(cases: Vec<Case>) {
    let server = shared_server().await;
    let major = server.binaries().version().major;
    let (cases, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.is_for(major));
    for case in others {
        println!("left out: {} is for PostgreSQL {} to {:?}", case.name, case.since, case.until);
    }
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let count = cases.len();
    let running: Vec<_> = cases
        .into_iter()
        .map(|case| {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let name = case.name.clone();
                oracle::judge(server, &case).await.map_err(|why| format!("== {name}\n{why}"))
            })
        })
        .collect();
    let mut failures = Vec::new();
    for one in running {
        match one.await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => failures.push(why),
            Err(error) => failures.push(error.to_string()),
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases fail\n{}", failures.len(), failures.join("\n"));
}
