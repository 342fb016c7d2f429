//! The faults of the example that this was asked for with: `full_name` split by triggers in both directions. Each is numbered,
//! and guarded by a test: here, or by one that [`GUARDS`] names.

use std::path::{Path, PathBuf};

use confiture::event::Execution;
use confiture::schema_to_schema::{FeedKind, Options, Topology, Until, clean_up, status};
use confiture::sql::Identifier;

use crate::first::follow;
use crate::world::{World, assert_same, plan, psql, verify};

/// Guarded elsewhere: the fault, and the tests whose failure would show it.
const GUARDS: [(u8, &[&str]); 18] = [
    // A query of the statistics that names columns they do not have.
    (7, &["estimates_follow_the_configured_throughput_and_else_a_measured_one"]),
    // Copying beside writers: a deleted row comes back, an old one covers a new one.
    (10, &["one_database", "two_databases_by_the_queue", "in_one_database"]),
    // Triggers off during the load: what is written meanwhile is lost.
    (15, &["one_database", "every_step_of_the_readme_works_with_a_writer_at_work"]),
    // No catching up after the copy.
    (16, &["two_databases_by_the_queue", "two_databases_by_the_wal"]),
    // Sequences stay where they were.
    (18, &["every_row_arrives_as_the_mapping_says_and_the_schema_is_as_it_was"]),
    // Comparing counts.
    (
        19,
        &[
            "a_changed_a_missing_and_an_extra_row_are_found_by_key",
            "a_difference_is_seen_even_where_the_counts_agree",
        ],
    ),
    // Workers that read different moments.
    (
        20,
        &[
            "rows_changed_removed_or_added_at_the_source_are_seen",
            "the_source_cannot_be_emptied_under_the_snapshot",
        ],
    ),
    // Binary COPY between types that only look alike; `SELECT *` in another order.
    (21, &["what_postgresql_assigns_arrives_with_copy", "every_type_crosses_with_copy"]),
    // COPY that is said to transform nothing.
    (22, &["joins_splits_and_subqueries_give_the_same_by_both_ways"]),
    // Estimates from fixed figures.
    (23, &["estimates_follow_the_configured_throughput_and_else_a_measured_one"]),
    // Renames guessed from names.
    (24, &["what_is_said_of_new_names_has_to_fit"]),
    // Masks by `random()`.
    (
        25,
        &[
            "equal_keys_give_equal_masks_whatever_the_workers",
            "a_unique_column_stays_unique_or_the_plan_refuses",
        ],
    ),
    // A database's name where a schema's belongs.
    (26, &["a_mapping_that_the_command_names"]),
    // One condition for all tables.
    (27, &["a_condition_on_all_tables_leaves_no_row_without_what_it_refers_to"]),
    // What is left unsaid: exit statuses, JSON, where files are looked for.
    (
        28,
        &[
            "the_help_names_every_command_and_every_exit_status",
            "every_schema_is_listed_and_says_no_more_than_is_checked",
        ],
    ),
    // The sign of a difference.
    (29, &["a_table_at_a_time_through_foreign_tables_and_through_copy"]),
    // Foreign tables whose schema and user are missing, once only.
    (30, &["a_table_at_a_time_through_foreign_tables_and_through_copy"]),
    // Passwords in sight.
    (31, &["a_password_is_found_again_and_kept_nowhere", "no_error_shows_a_piece_of_a_password"]),
];

/// Of the cutover and the way back, which are not there yet: this list only becomes shorter. The tables are swapped (the rest
/// of 8); the way back brings changes along (13), in an order that shows nobody old rows (14), without losing a write (17).
const LATER: [u8; 3] = [13, 14, 17];

#[test]
fn every_fault_has_a_guard() {
    let mut sources = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut sources);
    let text: String = sources
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a source"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut known = Vec::from(LATER);
    for (fault, tests) in GUARDS {
        known.push(fault);
        for test in tests {
            assert!(
                text.contains(&format!("fn {test}(")),
                "B-{fault} is guarded by {test}, which is not there"
            );
        }
    }
    let here: String = include_str!("seed_faults.rs").into();
    for fault in 1..=31 {
        let is_here = here.contains(&format!("async fn b_{fault:02}_"));
        assert!(is_here || known.contains(&fault), "nobody guards B-{fault}");
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            collect(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

const FUNCTIONS: &str = include_str!("../../../../examples/full-name/new/functions.sql");
const VECTORS: &str = include_str!("../../../../examples/full-name/new/vectors.sql");
const NEW: &str = include_str!("../../../../examples/full-name/new/schema.sql");
const MAPPING: &str = include_str!("../../../../examples/full-name/mapping.yaml");

/// The example, in one database, with fewer users.
struct Names {
    world: World,
    options: Options,
}

impl Names {
    async fn new() -> Self {
        let old = include_str!("../../../../examples/full-name/old/schema.sql").replace("20000", "300");
        let world = World::new(&old, "").await;
        psql(&world.old, &format!("{NEW}{FUNCTIONS}")).await;
        let options = world.options(MAPPING).await;
        let options = Options { target: options.source.clone(), ..options };
        Self { world, options }
    }

    async fn psql(&self, script: &str) -> String {
        psql(&self.world.old, script).await.trim().to_owned()
    }

    /// Follows until both sides are equal, by statements that are not ours too.
    async fn catch_up(&self) {
        let options = self.options.clone();
        let execution = Execution::unattended();
        let run = async move { follow(options, FeedKind::Queue, Until::CaughtUp, &execution, None).await };
        tokio::spawn(run).await.unwrap().unwrap();
        assert_same(
            &self.world.old,
            "SELECT id, email, btrim(regexp_replace(full_name, '\\s+', ' ', 'g')), bio, created_at, updated_at FROM public.users",
            &self.world.old,
            "SELECT id, email, btrim(first_name || ' ' || last_name), bio, created_at, updated_at FROM new_users.users",
        )
        .await;
    }
}

/// A write to one side is applied to the other, and that is the end of it.
#[tokio::test(flavor = "multi_thread")]
async fn b_01_a_write_does_not_come_back() {
    let names = Names::new().await;
    names.catch_up().await;
    names.psql("UPDATE public.users SET full_name = 'Once Only' WHERE id = 1").await;
    names.catch_up().await;
    let counted = "SELECT batches || ' ' || row_changes FROM confiture.follow";
    let before = names.psql(counted).await;
    names.catch_up().await;
    names.catch_up().await;
    assert_eq!(names.psql(counted).await, before, "what was applied was captured as a change");
    names.psql("UPDATE new_users.users SET bio = 'from the new side' WHERE id = 2").await;
    assert_eq!(names.psql("SELECT count(*) FROM public.users WHERE bio = 'from the new side'").await, "0");
}

/// One row, all rows of a condition, and a row that was never copied.
#[tokio::test(flavor = "multi_thread")]
async fn b_02_deleted_rows_go() {
    let names = Names::new().await;
    names.catch_up().await;
    names
        .psql(
            "DELETE FROM public.users WHERE id = 1; DELETE FROM public.users WHERE id BETWEEN 10 AND 20;
             WITH new AS (INSERT INTO public.users (email, full_name) VALUES ('short@lived', 'x') RETURNING id)
             SELECT count(*) FROM new; DELETE FROM public.users WHERE email = 'short@lived'",
        )
        .await;
    names.catch_up().await;
    assert_eq!(names.psql("SELECT count(*) FROM new_users.users").await, "288");
}

/// The vectors are held against the functions, and would catch both of the document's own.
#[tokio::test(flavor = "multi_thread")]
async fn b_03_names_are_split_as_the_vectors_say() {
    let names = Names::new().await;
    names.psql(VECTORS).await;
    let head = "CREATE OR REPLACE FUNCTION new_users.split_full_name(full_name text, OUT first_name text, OUT last_name text)
                LANGUAGE plpgsql IMMUTABLE AS";
    let at_the_first_space = "$$ BEGIN
        full_name := trim(coalesce(full_name, ''));
        first_name := split_part(full_name, ' ', 1);
        last_name := trim(substr(full_name, length(first_name) + 1));
    END $$";
    let at_the_last_space = "$$ BEGIN
        first_name := coalesce(substring(full_name FROM '^(.+) [^ ]+$'), full_name);
        last_name := CASE WHEN full_name ~ ' ' THEN substring(full_name FROM '[^ ]+$') ELSE '' END;
    END $$";
    for body in [at_the_first_space, at_the_last_space] {
        names.psql(&format!("{head} {body}")).await;
        let mut check = std::process::Command::new(names.world.old.server().program("psql"));
        check.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", VECTORS, &names.world.old.url()]);
        let said = check.output().unwrap();
        assert!(!said.status.success(), "{body}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("do not give what they must"), "{said:?}");
    }
}

/// No setting of the application's session switches capturing off.
#[tokio::test(flavor = "multi_thread")]
async fn b_04_no_session_setting_hides_a_change() {
    let names = Names::new().await;
    names.catch_up().await;
    for (id, setting) in
        [(1, "app.syncing = 'true'"), (2, "session_replication_role = replica"), (3, "search_path = ''")]
    {
        names
            .psql(&format!(
                "SET {setting}; UPDATE public.users SET full_name = 'Hidden {id}' WHERE id = {id}"
            ))
            .await;
    }
    names.catch_up().await;
    assert_eq!(names.psql("SELECT count(*) FROM new_users.users WHERE first_name = 'Hidden'").await, "3");
}

/// The new side's sequence is past every number that the old side has given.
#[tokio::test(flavor = "multi_thread")]
async fn b_05_ids_are_not_handed_out_twice() {
    let names = Names::new().await;
    names.catch_up().await;
    let given = names
        .psql(
            "INSERT INTO public.users (email, full_name) VALUES ('a@late', 'A'), ('b@late', 'B');
             DELETE FROM public.users WHERE email = 'b@late';
             SELECT last_value FROM public.users_id_seq",
        )
        .await;
    names.catch_up().await;
    let next = names.psql("SELECT nextval(pg_get_serial_sequence('new_users.users', 'id'))").await;
    assert!(next.parse::<i64>().unwrap() > given.parse::<i64>().unwrap(), "{next} after {given}");
    // No row of the old side was written to.
    assert_eq!(names.psql("SELECT count(*) FROM public.users WHERE email = 'a@late'").await, "1");
}

/// Changed keys, TRUNCATE, exchanged unique values; and the application meets no error of ours.
#[tokio::test(flavor = "multi_thread")]
async fn b_06_every_kind_of_change_arrives() {
    let names = Names::new().await;
    names.catch_up().await;
    names
        .psql(
            "UPDATE public.users SET id = id + 1000 WHERE id IN (300, 1);
             UPDATE public.users SET created_at = '2001-01-01', updated_at = '2002-02-02' WHERE id = 2;
             UPDATE public.users SET email = 'parked' WHERE id = 3;
             UPDATE public.users SET email = (SELECT email FROM public.users WHERE id = 4) || '.old' WHERE id = 3;
             UPDATE public.users SET email = 'user3@example.com' WHERE id = 4;
             UPDATE public.users SET email = 'user4@example.com' WHERE id = 3;
             UPDATE public.users SET full_name = 'Eve   van  Der' WHERE id = 5",
        )
        .await;
    names.catch_up().await;
    // What a column of the new side says never rewrites a name of the old one.
    assert_eq!(names.psql("SELECT full_name FROM public.users WHERE id = 5").await, "Eve   van  Der");
    names
        .psql("TRUNCATE public.users; INSERT INTO public.users (id, email, full_name) VALUES (7, 'only@one', 'Only One')")
        .await;
    names.catch_up().await;
    assert_eq!(names.psql("SELECT id, last_name FROM new_users.users").await, "7|One");
    // A unique value that the new side holds already, by somebody else's hand, is the migration's trouble, not the application's.
    names
        .psql("INSERT INTO new_users.users (id, email, first_name, last_name) VALUES (99, 'taken@x', '', '')")
        .await;
    names.psql("INSERT INTO public.users (id, email, full_name) VALUES (8, 'taken@x', 'Taken By')").await;
}

/// Cleaning up removes what Confiture made, and nothing beside it.
#[tokio::test(flavor = "multi_thread")]
async fn b_08_nothing_of_others_is_removed() {
    let names = Names::new().await;
    names
        .psql(
            "CREATE TABLE public.orders (id int PRIMARY KEY, user_id bigint REFERENCES public.users);
             INSERT INTO public.orders VALUES (1, 1);
             CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER mine BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.mine();
             CREATE VIEW new_users.mine AS SELECT * FROM new_users.users",
        )
        .await;
    let before = names.world.old.schema("nothing");
    names.catch_up().await;
    names.psql("CREATE TABLE confiture.kept AS SELECT 1 AS one").await;
    let (options, execution) = (&names.options, Execution::unattended());
    let schema = Identifier::new("old_schema");
    let cleaning = clean_up(
        Some(&options.source),
        &options.target,
        &schema,
        confiture::schema_to_schema::Cleaning::default(),
        &execution,
    );
    Box::pin(cleaning).await.unwrap();
    assert_eq!(names.psql("SELECT one FROM confiture.kept").await, "1");
    names.psql("DROP SCHEMA confiture CASCADE").await;
    assert_eq!(names.world.old.schema("nothing"), before);
    assert_eq!(names.psql("SELECT count(*) FROM new_users.users").await, "300");
}

/// One database takes one transaction, and no connection to itself.
#[tokio::test(flavor = "multi_thread")]
async fn b_09_one_database_needs_no_foreign_table() {
    let names = Names::new().await;
    assert_eq!(plan(names.options.clone()).await.topology, Topology::OneDatabase);
    names.catch_up().await;
    assert_eq!(names.psql("SELECT count(*) FROM pg_extension WHERE extname = 'postgres_fdw'").await, "0");
}

/// A quiet night is no lag, and nobody's `updated_at` is asked.
#[tokio::test(flavor = "multi_thread")]
async fn b_11_a_quiet_source_is_not_behind() {
    let names = Names::new().await;
    names.psql("UPDATE public.users SET updated_at = '2001-01-01', created_at = '2001-01-01'").await;
    names.catch_up().await;
    let found = status(Some(&names.options.source), &names.options.target).await.unwrap().following.unwrap();
    assert!(found.lag.is_some_and(|lag| lag < 10_000.0), "{found:?}");
    assert!(found.seen_seconds_ago.is_some_and(|seconds| seconds < 60.0), "{found:?}");
}

/// Every row is compared, both ways: none is drawn by lot, and an empty table is no division by zero.
#[tokio::test(flavor = "multi_thread")]
async fn b_12_one_wrong_row_is_found() {
    let names = Names::new().await;
    names.catch_up().await;
    for (script, missing, different, extra) in [
        ("DELETE FROM new_users.users WHERE id = 17", 1, 0, 0),
        ("UPDATE new_users.users SET last_name = last_name || ' ' WHERE id = 18", 1, 1, 0),
        (
            "INSERT INTO new_users.users (id, email, first_name, last_name) VALUES (5000, 'x', '', '')",
            1,
            1,
            1,
        ),
    ] {
        names.psql(script).await;
        let verified = verify(names.options.clone()).await;
        let found = verified.tables[0].differences.as_ref().unwrap();
        assert_eq!((found.missing, found.different, found.extra), (missing, different, extra), "{script}");
    }
    names.psql("TRUNCATE public.users, new_users.users").await;
    assert!(verify(names.options.clone()).await.tables[0].ok);
}
