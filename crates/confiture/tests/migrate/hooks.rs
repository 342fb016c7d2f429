//! Commands and SQL before and after.

use confiture::config::{Environment, Hooks};
use confiture::event::Execution;
use confiture::migrate::UpOptions;

use crate::ground::{Ground, Heard};

pub(crate) fn hooks(yaml: &str) -> Hooks {
    let environment = Environment::parse(yaml, "env.yaml".as_ref(), "".as_ref()).unwrap();
    environment.settings.hooks.unwrap().value
}

#[tokio::test]
async fn each_hears_the_event_at_its_moment() {
    let mut ground =
        Ground::new(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")]).await;
    ground.psql("CREATE TABLE heard (n serial, event jsonb)");
    ground.options.folder = ground.folder.path().to_owned();
    ground.options.hooks = hooks(
        "hooks:\n  before_up: cat >> events\n  before_migration:\n    - { sql: \"INSERT INTO heard (event) VALUES (current_setting('confiture.event')::jsonb)\" }\n  after_migration: echo done $CONFITURE_EVENT_MIGRATION_VERSION\n  after_up: echo no >&2; exit 3\n",
    );
    let heard = Heard::default();
    let report = ground.migrator().up(&UpOptions::default(), &heard.execution()).await.unwrap();
    let event: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(ground.folder.path().join("events")).unwrap()).unwrap();
    assert_eq!((&event["event"], &event["direction"]), (&"before_up".into(), &"up".into()));
    let sql = "SELECT event->'migration'->>'version', event->'done' FROM heard ORDER BY n";
    assert_eq!(ground.psql(sql), "1|[]\n2|[\"1\"]");
    assert!(heard.all().contains("done 1") && heard.all().contains("done 2"), "{}", heard.all());
    assert_eq!(report.notes[0], "the hook after_up: its command ended with exit status: 3: no");
}

#[tokio::test]
async fn one_that_fails_before_or_takes_too_long_stops_the_run_and_says_where() {
    let mut ground = Ground::new(&[("1_a.up.sql", "CREATE TABLE a ();")]).await;
    ground.options.hooks =
        hooks("hooks:\n  before_migration: echo no >&2; exit 1\n  on_failure: echo failed\n");
    let heard = Heard::default();
    let error = ground.migrator().up(&UpOptions::default(), &heard.execution()).await.unwrap_err();
    assert_eq!(error.place().unwrap().to_string(), "env.yaml:2:21");
    assert_eq!(error.server_detail(), Some("no"));
    assert!(heard.all().contains("failed"));
    for slow in ["before_up: sleep 600", "before_up: { sql: SELECT pg_sleep(600) }"] {
        ground.options.hooks = hooks(&format!("hooks:\n  timeout: 200ms\n  {slow}\n"));
        let error = ground.migrator().up(&UpOptions::default(), &Execution::unattended()).await.unwrap_err();
        assert!(error.message().contains("it took longer than 200ms"), "{error}");
    }
    assert_eq!(ground.standing().await, "1 Pending");
}
