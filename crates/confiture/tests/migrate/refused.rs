//! What stands in the way of applying anything.

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::migrate::{Interrupted, UpOptions};

use crate::ground::{Ground, names, version};

#[tokio::test]
async fn a_changed_file_is_an_error_that_shows_what_changed() {
    let ground = Ground::new(&[("1_a.up.sql", "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n")]).await;
    ground.apply().await;
    ground.write(&[("1_a.up.sql", "-- only looks\r\nCREATE  TABLE a (id int);\r\nCREATE TABLE b (id int);")]);
    assert_eq!(ground.apply().await, [""; 0]);
    ground.write(&[
        ("1_a.up.sql", "CREATE TABLE a (id int);\nCREATE TABLE b (id bigint);\n"),
        ("2_b.up.sql", "SELECT 1;"),
    ]);
    let error = ground.up().await.unwrap_err();
    let shown = ground.shown(&error);
    insta::assert_snapshot!(shown.lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    1_a.up.sql:2:1: 1_a has changed since it was applied
      detail: statement 2 (1_a.up.sql:2:1) is new or changed
    1 statement of what was applied is gone
    ");
    assert_eq!(error.kind(), ErrorKind::Config);
    let repair = UpOptions { repair: true, ..UpOptions::default() };
    let report = ground.migrator().up(&repair, &Execution::unattended()).await.unwrap();
    assert_eq!(
        (report.repaired.as_slice(), names(&report)),
        (["1_a".to_owned()].as_slice(), vec!["2".to_owned()])
    );
    assert_eq!(ground.standing().await, "1 Applied; 2 Applied");
    assert_eq!(ground.psql("SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'b'::regclass AND attname = 'id'"), "integer");
}

#[tokio::test]
async fn what_comes_too_late_is_refused_unless_it_is_allowed() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;"), ("3_c.up.sql", "SELECT 3;")]).await;
    ground.apply().await;
    ground.write(&[("2_b.up.sql", "SELECT 2;")]);
    let error = ground.up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert_eq!(error.message(), "2_b is pending, and 3_c, which comes later, is applied");
    let target = UpOptions { target: Some(version("1")), ..UpOptions::default() };
    ground.migrator().up(&target, &Execution::unattended()).await.unwrap();
    let allow = UpOptions { allow_out_of_order: true, ..UpOptions::default() };
    assert_eq!(names(&ground.migrator().up(&allow, &Execution::unattended()).await.unwrap()), ["2"]);
}

#[tokio::test]
async fn what_is_unfit_is_refused_before_anything_is_touched() {
    for (text, message) in [
        ("-- nothing yet\n", "2_b has nothing to apply"),
        ("SELECT 1; ROLLBACK;", "a migration cannot be rolled back from within"),
        ("SELECT 'x", "this string is never closed"),
        ("-- confiture: no-transactoin\nSELECT 1;", "`no-transactoin` is no directive of a migration"),
    ] {
        let ground = Ground::new(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", text)]).await;
        let error = match confiture::migrate::read_folder(ground.folder.path()) {
            Ok(_) => ground.up().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!((error.message(), error.kind()), (message, ErrorKind::Config), "{text}");
        assert!(error.place().is_some(), "{text}");
        assert_eq!(
            ground.psql("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'confiture_migrations')"),
            "0"
        );
    }
}

#[tokio::test]
async fn a_table_of_that_name_that_is_not_ours_is_left_alone() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;")]).await;
    ground.psql("CREATE TABLE confiture_migrations (version text, something text)");
    let error = ground.up().await.unwrap_err();
    assert!(
        error.message().starts_with("the table public.confiture_migrations is no history of Confiture"),
        "{error}"
    );
}

#[tokio::test]
async fn a_target_that_does_not_exist() {
    let ground = Ground::new(&[("001_a.up.sql", "SELECT 1;")]).await;
    let target = UpOptions {
        target: Some(version("7")),
        interrupted: Some(Interrupted::Done),
        ..UpOptions::default()
    };
    let error = ground.migrator().up(&target, &Execution::unattended()).await.unwrap_err();
    assert_eq!(
        (error.message(), error.hints()),
        ("there is no migration 7", ["the last ones are 001".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn a_history_that_the_search_path_hides_is_not_begun_again() {
    let ground =
        Ground::new(&[("001_a.up.sql", "CREATE TABLE a ();"), ("002_b.up.sql", "CREATE TABLE b ();")]).await;
    ground.apply().await;
    let database = ground.psql("SELECT current_database()");
    ground.psql(&format!("CREATE SCHEMA app; ALTER DATABASE \"{database}\" SET search_path = app"));
    let error = ground.up().await.unwrap_err();
    insta::assert_snapshot!(ground.shown(&error), @"
    the history public.confiture_migrations says that 2 of these migrations are applied, and search_path does not lead there
      hint: write `history_table: public.confiture_migrations` into confiture.yaml or the environment's file
      hint: where other tables are meant, which this search_path leads to: --ignore-ledger
    ");
    assert!(ground.migrator().plan_up(&UpOptions::default()).await.is_err());
    assert!(ground.status().await.unadopted.is_some());
    // Somebody else's migrations of the same numbers are none of ours.
    let other = Ground { folder: tempfile::tempdir().unwrap(), ..ground };
    other.write(&[("001_users.up.sql", "CREATE TABLE users ();")]);
    assert_eq!(other.apply().await, ["001"]);
    assert_eq!(other.psql("SELECT count(*) FROM app.confiture_migrations"), "1");
}
