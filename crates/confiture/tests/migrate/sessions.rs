//! Each migration begins as in a session of its own.

use confiture::config::Environment;

use crate::ground::Ground;

/// All that a file can do to its session, and to its time.
const SPOILS: &str = r"
CREATE TABLE a (a int);
CREATE ROLE spoiler;
CREATE TEMP TABLE t (a int);
PREPARE one AS SELECT 1;
LISTEN something;
DECLARE held CURSOR WITH HOLD FOR SELECT 1;
SELECT pg_advisory_lock(7), pg_advisory_lock(7);
SET default_transaction_read_only = on;
SET default_transaction_isolation = 'serializable';
SET client_encoding = 'LATIN1';
SET standard_conforming_strings = off;
SET search_path = '';
SET lock_timeout = '1ms';
SET ROLE spoiler;
";

/// What a new session would see: one lock is that of the run.
const LOOKS: &str = r"
CREATE TABLE seen AS SELECT current_user = session_user AS role, 'Ü\n' AS text,
    current_setting('transaction_isolation') AS isolation, current_setting('search_path') AS path,
    current_setting('lock_timeout') AS patience,
    to_regclass('pg_temp.t') IS NULL AS no_table,
    (SELECT count(*) FROM pg_prepared_statements WHERE from_sql) AS statements,
    (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
    (SELECT count(*) FROM pg_listening_channels()) AS channels,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks;
";

const NEW: &str = r#"t|Ü\n|read committed|"$user", public|5s|t|0|0|0|1"#;

#[tokio::test]
async fn what_one_sets_the_next_does_not_see() {
    for head in ["", "-- confiture: no-transaction\n"] {
        let spoils = format!("{head}{SPOILS}");
        let ground = Ground::new(&[("1_a.up.sql", &spoils), ("2_b.up.sql", LOOKS)]).await;
        // In steps, a session that may not write could not record the next step.
        if !head.is_empty() {
            let last = SPOILS.replace("SET default_transaction_read_only = on;\n", "");
            ground.write(&[("1_a.up.sql", &format!("{head}{last}"))]);
        }
        assert_eq!(ground.apply().await, ["1", "2"], "{head}");
        ground.psql("DROP ROLE spoiler");
        assert_eq!(ground.psql("SELECT * FROM seen"), NEW, "{head}");
        assert_eq!(ground.standing().await, "1 Applied; 2 Applied");
    }
}

#[tokio::test]
async fn what_a_hook_sets_the_next_migration_does_not_see() {
    let mut ground = Ground::new(&[("1_a.up.sql", "SELECT 1"), ("2_b.up.sql", LOOKS)]).await;
    let yaml = "hooks:\n  after_migration: { sql: \"SET default_transaction_read_only = on; SET client_encoding = LATIN1\" }\n";
    let environment = Environment::parse(yaml, "env.yaml".as_ref(), "".as_ref()).unwrap();
    ground.options.hooks = environment.settings.hooks.unwrap().value;
    assert_eq!(ground.apply().await, ["1", "2"]);
    assert_eq!(ground.psql("SELECT * FROM seen"), NEW);
}

#[tokio::test]
async fn the_record_has_its_own_time() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1")]).await;
    ground.apply().await;
    ground.psql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.6); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON confiture_migrations FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    ground.write(&[("2_b.up.sql", "CREATE TABLE b (); SET statement_timeout = '500ms';")]);
    assert_eq!(ground.apply().await, ["2"]);
}

#[tokio::test]
async fn a_transaction_that_is_read_only_cannot_be_recorded_and_is_told_so() {
    let ground = Ground::new(&[("1_a.up.sql", "SET TRANSACTION READ ONLY; SELECT 1;")]).await;
    let error = ground.up().await.unwrap_err();
    insta::assert_snapshot!(ground.shown(&error), @"
    recording 1_a in public.confiture_migrations: cannot execute INSERT in a read-only transaction
      hint: this server or transaction takes no writes: connect to the primary (target_session_attrs=read-write), or look at default_transaction_read_only
      hint: where the file itself makes its transaction read-only, leave that out: nothing can be recorded in it
    ");
    assert_eq!(ground.standing().await, "1 Pending");
}

/// As the error about `BEGIN ISOLATION LEVEL SERIALIZABLE` says it is to be written.
#[tokio::test]
async fn a_transaction_has_the_modes_that_are_set_first_in_it() {
    let sets = "BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; \
                CREATE TABLE seen AS SELECT current_setting('transaction_isolation') AS isolation; COMMIT;";
    for head in ["", "-- confiture: no-transaction\n"] {
        let ground = Ground::new(&[("1_a.up.sql", &format!("{head}{sets}"))]).await;
        assert_eq!(ground.apply().await, ["1"]);
        assert_eq!(ground.psql("SELECT isolation FROM seen"), "serializable", "{head}");
    }
}
