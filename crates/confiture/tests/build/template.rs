//! The cache: a copy is always what the files make, and never half of it.

use std::sync::Arc;

use confiture::ErrorKind;
use confiture::build::{BuildOptions, BuildReport, Way};
use confiture::event::{Event, Execution, Observer};
use confiture::postgres::Session;
use confiture::sql::sql;
use tokio_util::sync::CancellationToken;

use crate::ground::Ground;

async fn build(ground: &Ground, database: &str) -> BuildReport {
    ground.build(database, BuildOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_counts_only_for_the_same_files_role_and_settings() {
    let ground =
        Ground::new(&[("1.sql", "CREATE TABLE t (a int, at timestamptz DEFAULT '2020-01-01 00:00');")]).await;
    assert!(!build(&ground, "a").await.cloned);
    assert!(build(&ground, "b").await.cloned);

    ground.write("1.sql", "CREATE TABLE t (a bigint);");
    assert!(!build(&ground, "changed").await.cloned);
    assert_eq!(ground.psql("changed", "SELECT format_type(atttypid, 0) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'"), "bigint");
    ground.write("2.sql", "");
    assert!(!build(&ground, "one_file_more").await.cloned);

    ground.psql("postgres", "ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo'");
    assert!(!build(&ground, "settings").await.cloned);
    assert!(build(&ground, "settings_again").await.cloned);

    ground.psql("template1", "CREATE TABLE in_all (a int)");
    assert!(!build(&ground, "template1_changed").await.cloned);
    assert_eq!(ground.psql("template1_changed", "SELECT to_regclass('in_all')"), "in_all");

    ground.psql("postgres", "CREATE ROLE other LOGIN CREATEDB");
    assert!(!ground.build_as("other", "theirs", BuildOptions::default()).await.unwrap().cloned);
    assert_eq!(ground.psql("theirs", "SELECT tableowner FROM pg_tables WHERE tablename = 't'"), "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_built_template_is_never_used() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let template = build(&ground, "a").await.template.unwrap();
    // As a build that died on the way would have left it.
    ground.psql("postgres", &format!("DROP DATABASE {template}"));
    ground.psql("postgres", &format!("CREATE DATABASE {template}"));
    let report = build(&ground, "b").await;
    assert!(!report.cloned);
    assert_eq!(report.template, Some(template.clone()));
    assert_eq!(ground.psql("b", "SELECT to_regclass('t')"), "t");
    // Complete by its comment, but open to changes.
    ground.psql("postgres", &format!("ALTER DATABASE {template} ALLOW_CONNECTIONS true"));
    assert!(!build(&ground, "c").await.cloned);
    assert!(build(&ground, "d").await.cloned);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_templates_of_a_tree_are_swept_and_nobody_elses() {
    let ground = Ground::new(&[]).await;
    let foreign = "confiture_template_00000000000000000000000000000000";
    ground.psql("postgres", &format!("CREATE DATABASE {foreign}"));
    ground.psql("postgres", &format!("COMMENT ON DATABASE {foreign} IS 'not by confiture'"));
    for n in 0..5 {
        ground.write("1.sql", &format!("CREATE TABLE t{n} (a int);"));
        build(&ground, &format!("d{n}")).await;
    }
    let templates: Vec<_> =
        ground.databases().into_iter().filter(|name| name.starts_with("confiture_template_")).collect();
    assert_eq!(templates.len(), 4, "three and the foreign one: {templates:?}");
    assert!(templates.contains(&foreign.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_acts_outside_of_its_database_is_not_cached() {
    let ground =
        Ground::new(&[("1.sql", "CREATE TABLE t (a int);\nALTER DATABASE d SET work_mem = '5MB';")]).await;
    let report = build(&ground, "d").await;
    let reason = report.not_cached.unwrap();
    assert!(
        reason.starts_with("ALTER DATABASE reaches beyond the database at ") && reason.ends_with("1.sql:2:1"),
        "{reason}"
    );
    assert_eq!(ground.psql("d", "SHOW work_mem"), "5MB");
    assert_eq!(ground.databases(), ["d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_builds_at_once_share_one_template() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let names: Vec<String> = (0..8).map(|n| format!("d{n}")).collect();
    let builds = names.iter().map(|name| ground.build(name, BuildOptions::default()));
    let reports: Vec<_> =
        futures_util::future::join_all(builds).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(reports.iter().filter(|report| !report.cloned).count(), 1);
    for name in &names {
        assert_eq!(ground.psql(name, "SELECT to_regclass('t')"), "t");
    }
    assert_eq!(ground.databases().len(), 9);
}

/// Interrupts as soon as the build says that it waits.
struct InterruptAtNote(CancellationToken);

impl Observer for InterruptAtNote {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::Note { .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_another_build_is_said_and_can_be_interrupted() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let plan = ground.builder().plan(&ground.connection("d"), BuildOptions::default()).await.unwrap();
    let Way::Template { template, .. } = &plan.way else { panic!("{:?}", plan.way) };
    let digits = template.as_str().rsplit('_').next().unwrap();
    let key = u64::from_str_radix(&digits[..16], 16).unwrap().cast_signed();
    let other = Session::connect(&ground.connection("postgres")).await.unwrap();
    other.batch(&sql!("SELECT pg_advisory_lock({})", key)).await.unwrap();

    let token = CancellationToken::new();
    let execution = Execution::new(Arc::new(InterruptAtNote(token.clone())), token);
    let error = plan.clone().execute(&execution).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(ground.databases(), [] as [&str; 0]);

    other.batch(&sql!("SELECT pg_advisory_unlock({})", key)).await.unwrap();
    assert!(plan.execute(&Execution::unattended()).await.unwrap().created);
}
