//! Every error at its place, and nothing left behind.

use std::sync::Arc;

use confiture::ErrorKind;
use confiture::build::BuildOptions;
use confiture::event::{Event, Execution, Observer};
use tokio_util::sync::CancellationToken;

use crate::ground::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_file_line_and_column() {
    let ground = Ground::new(&[
        ("1_fine.sql", "CREATE TABLE t (a int);\nCREATE TABLE é (b int)"),
        ("3_after.sql", "SELECT 1;"),
    ])
    .await;
    for (text, place, sqlstate) in [
        // A syntax error, found before anything has run.
        ("SELECT 1;\nSELECT é FRM t;\n", "2.sql:2:14", "42601"),
        ("\n  CREATE TABLE u (", "2.sql:2:19", "42601"),
        // The server points at a name.
        ("-- é\nCREATE VIEW v AS\n  SELECT é, nix FROM t;\n", "2.sql:3:10", "42703"),
        ("INSERT INTO t VALUES ('é'), (nix);", "2.sql:1:23", "22P02"),
        // It does not point: the statement.
        ("SELECT 1; /* x */ CREATE TABLE t (a int);", "2.sql:1:19", "42P07"),
        ("SELECT 1;\n\n DO $$ BEGIN RAISE 'no'; END $$;\nSELECT 2;", "2.sql:3:2", "P0001"),
        ("INSERT INTO t SELECT 1;\nSELECT 1/a - 1/(a-1) FROM t;", "2.sql:2:1", "22012"),
        // In the middle of COPY data, and in the COPY itself.
        ("COPY t FROM stdin;\n1\n2\nx\n\\.\n", "2.sql:4:1", "22P02"),
        ("SELECT 1;\nCOPY nix FROM stdin;\n1\n\\.\n", "2.sql:2:1", "42P01"),
        ("COPY t (a, é) FROM stdin;\n1\n\\.\n", "2.sql:1:1", "42703"),
        // After COPY data, in another batch.
        ("COPY t FROM stdin;\n1\n\\.\nSELECT 1; SELECT nix();", "2.sql:4:18", "42883"),
    ] {
        ground.write("2.sql", text);
        let (at, error) = ground.refusal().await;
        assert_eq!((at.as_str(), error.sqlstate_code()), (place, Some(sqlstate)), "{text}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Server);
        assert!(error.excerpt_of().is_some(), "{text}");
        assert_eq!(ground.databases(), [] as [&str; 0], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_of_megabytes_of_copy_data_is_found() {
    let rows: String =
        (0..400_000).map(|n| if n == 300_000 { "x\n".to_owned() } else { format!("{n}\n") }).collect();
    let ground =
        Ground::new(&[("1.sql", &format!("CREATE TABLE t (a int);\nCOPY t FROM stdin;\n{rows}\\.\n"))]).await;
    let (place, error) = ground.refusal().await;
    assert_eq!((place.as_str(), error.sqlstate_code()), ("1.sql:300003:1", Some("22P02")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_constraint_fails_the_build_and_nothing_stays() {
    let ground = Ground::new(&[(
        "1.sql",
        "CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1, 2);",
    )])
    .await;
    let (_, error) = ground.refusal().await;
    assert_eq!(error.sqlstate_code(), Some("23503"));
    assert!(error.message().starts_with("at the commit of 2 statements"), "{error}");
    assert_eq!(ground.databases(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_database_of_the_user_everything_rolls_back() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);\nSELECT nix;")]).await;
    ground.psql("postgres", "CREATE DATABASE refused");
    ground.refusal().await;
    assert_eq!(ground.psql("refused", "SELECT to_regclass('t') IS NULL"), "t");

    ground.write("1.sql", "CREATE TABLE t (a int);\nCREATE INDEX CONCURRENTLY i ON t (a);\nSELECT nix;");
    let (_, error) = ground.refusal().await;
    assert!(error.hints().iter().any(|hint| hint.contains("CREATE INDEX CONCURRENTLY at")), "{error:?}");
    assert_eq!(ground.psql("refused", "SELECT to_regclass('t')"), "t", "said, for it cannot be undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tables_for_one_transaction_say_which_setting_helps() {
    let tables: String =
        (0..1500).map(|n| format!("CREATE TABLE t{n} (a int PRIMARY KEY, b text);\n")).collect();
    let settings = [
        ("max_locks_per_transaction", "10"),
        ("max_connections", "20"),
        ("max_wal_senders", "2"),
        ("max_prepared_transactions", "0"),
    ];
    let ground = Ground::with_settings(&settings, &[("1.sql", &tables)]).await;
    let (place, error) = ground.refusal().await;
    assert_eq!(error.sqlstate_code(), Some("53200"), "{error:?}");
    assert!(place.starts_with("1.sql:") && place.ends_with(":1"), "{place}");
    assert!(error.hints().iter().any(|hint| hint.contains("max_locks_per_transaction")), "{error:?}");
    assert_eq!(ground.databases(), [] as [&str; 0]);
}

/// Interrupts once the statements have begun to run.
struct InterruptAtStep(CancellationToken);

impl Observer for InterruptAtStep {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::StepStarted { .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_build_leaves_nothing() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int); SELECT pg_sleep(600);")]).await;
    for (database, expected) in [("new", &[] as &[&str]), ("mine", &["mine"])] {
        if database == "mine" {
            ground.psql("postgres", "CREATE DATABASE mine");
        }
        let token = CancellationToken::new();
        let execution = Execution::new(Arc::new(InterruptAtStep(token.clone())), token);
        let outcome =
            ground.builder().execute(&ground.connection(database), BuildOptions::default(), &execution).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
        assert_eq!(ground.databases(), expected);
    }
    assert_eq!(ground.psql("mine", "SELECT to_regclass('t') IS NULL"), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_warns_of_is_said() {
    let ground =
        Ground::new(&[("1.sql", "DO $$ BEGIN RAISE WARNING 'look here'; RAISE NOTICE 'not here'; END $$;")])
            .await;
    let heard = Arc::new(Warned::default());
    let execution = Execution::new(Arc::clone(&heard) as Arc<dyn Observer>, CancellationToken::new());
    let built =
        ground.builder().execute(&ground.connection("warned"), BuildOptions::default(), &execution).await;
    built.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), ["the server warns: look here"]);
}

#[derive(Default)]
struct Warned(std::sync::Mutex<Vec<String>>);

impl Observer for Warned {
    fn observe(&self, event: &Event) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_database_is_a_copy_of_is_not_built() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t ();")]).await;
    let error = ground.build("template1", BuildOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert_eq!(ground.psql("template1", "SELECT to_regclass('t') IS NULL"), "t");
}
