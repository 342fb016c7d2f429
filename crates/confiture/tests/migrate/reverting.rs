//! `down` and `redo`.

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::migrate::{DownOptions, Extent};

use crate::ground::{Ground, names, version};

fn pairs() -> Vec<(&'static str, &'static str)> {
    vec![
        ("001_a.up.sql", "CREATE TABLE a (id int);"),
        ("001_a.down.sql", "DROP TABLE a;"),
        ("002_b.up.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id); ALTER TABLE a ADD b int;"),
        ("002_b.down.sql", "ALTER TABLE a DROP b; DROP INDEX CONCURRENTLY a_id;"),
        ("003_c.up.sql", "CREATE VIEW c AS SELECT * FROM a;"),
        ("003_c.down.sql", "DROP VIEW c;"),
    ]
}

#[tokio::test]
async fn one_step_several_or_down_to_a_version() {
    let ground = Ground::new(&pairs()).await;
    ground.apply().await;
    assert_eq!(names(&ground.down(1).await.unwrap()), ["003"]);
    assert_eq!(ground.standing().await, "001 Applied; 002 Applied; 003 Pending");
    assert_eq!(ground.apply().await, ["003"]);
    let to = |text: &str| DownOptions { extent: Extent::To(version(text)), interrupted: None };
    let report = ground.migrator().down(&to("1"), &Execution::unattended()).await.unwrap();
    assert_eq!(names(&report), ["003", "002"]);
    assert_eq!(
        ground.psql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'b'"),
        "0"
    );
    let report = ground.migrator().down(&to("0"), &Execution::unattended()).await.unwrap();
    assert_eq!(names(&report), ["001"]);
    assert_eq!(
        ground.psql(
            "SELECT to_regclass('a') IS NULL, string_agg(DISTINCT state, ',') FROM confiture_migrations"
        ),
        "t|reverted"
    );
    assert_eq!(names(&ground.down(5).await.unwrap()), [""; 0]);
    assert_eq!(ground.apply().await, ["001", "002", "003"]);
}

#[tokio::test]
async fn redo_runs_the_file_as_it_is_now() {
    let ground = Ground::new(&pairs()).await;
    ground.apply().await;
    ground.write(&[("003_c.up.sql", "CREATE VIEW c AS SELECT 1 AS one;")]);
    let report = ground.migrator().redo(1, &Execution::unattended()).await.unwrap();
    assert_eq!(names(&report), ["003", "003"]);
    assert_eq!(ground.psql("SELECT one FROM c"), "1");
    assert_eq!(ground.standing().await, "001 Applied; 002 Applied; 003 Applied");
    // Half of it is done where the new file fails.
    ground.write(&[("003_c.up.sql", "SELECT missing;")]);
    let error = ground.migrator().redo(1, &Execution::unattended()).await.unwrap_err();
    assert_eq!(error.hints().last().map(String::as_str), Some("003_c was reverted before, and stays so"));
    assert_eq!(ground.standing().await, "001 Applied; 002 Applied; 003 Pending");
}

#[tokio::test]
async fn without_a_way_back_nothing_is_touched() {
    let ground = Ground::new(&pairs()).await;
    ground.apply().await;
    ground.remove("002_b.down.sql");
    let error = ground.down(2).await.unwrap_err();
    insta::assert_snapshot!(ground.shown(&error), @r"
    002_b has no way back
      hint: write 002_b.down.sql beside it
    ");
    ground.write(&[("002_b.down.sql", "-- later\n")]);
    assert_eq!(ground.down(2).await.unwrap_err().message(), "002_b has an empty way back");
    ground.remove("003_c.up.sql");
    ground.remove("003_c.down.sql");
    let error = ground.down(1).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Config, "003_c is in the history, and its file is gone")
    );
    assert_eq!(ground.psql("SELECT to_regclass('c')"), "c");
}
