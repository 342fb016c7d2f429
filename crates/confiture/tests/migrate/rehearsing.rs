//! What is pending, run on a copy of a live database's schema.

use confiture::Result;
use confiture::config::Connection;
use confiture::event::Execution;
use confiture::migrate::{self, Plan, UpOptions, WayBack};
use confiture::schema_diff::with_copy;

use crate::ground::Ground;

/// A table with rows in a schema that only the database's own search path leads to.
const LIVE: &str = "CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY, state text);
    INSERT INTO app.orders SELECT n, 'new' FROM generate_series(1, 20000) AS n; ANALYZE app.orders;";

async fn live(files: &[(&str, &str)]) -> Ground {
    let ground = Ground::new(files).await;
    ground.psql(LIVE);
    let named = format!("ALTER DATABASE \"{}\" SET search_path = app, public", ground.database.name());
    ground.psql(&named);
    ground
}

async fn rehearse(ground: &Ground) -> Result<Plan> {
    let (migrator, execution) = (ground.migrator(), Execution::unattended());
    let mut plan = migrator.plan_up(&UpOptions::default()).await?;
    let server = Connection { own_server: true, ..ground.connection() };
    let (texts, history) = (migrator.folder().texts(), &ground.options.history_table);
    with_copy(&server, &ground.connection(), history, texts, &execution, async |copy| {
        migrator.rehearse(&mut plan, copy.session(), copy.settings(), &execution).await
    })
    .await?;
    Ok(plan)
}

/// Each statement's first word, with what it locks.
fn seen(plan: &Plan) -> Vec<String> {
    let statements = plan.migrations.iter().flat_map(|migration| &migration.statements);
    let line = |statement: &confiture::migrate::PlannedStatement| {
        let locks = statement.seen.iter().flatten().map(confiture::diff::Lock::in_words);
        format!("{}: {}", statement.text, locks.collect::<Vec<_>>().join("; "))
    };
    statements.map(line).collect()
}

fn everything(ground: &Ground) -> String {
    format!("{}{}", ground.database.schema(""), ground.psql("SELECT count(*) FROM app.orders"))
}

#[tokio::test]
async fn what_is_pending_is_run_on_a_copy_and_nothing_is_written() {
    let ground = live(&[
        ("1_a.up.sql", "ALTER TABLE orders ALTER id TYPE bigint;\nALTER TABLE orders ADD note text;"),
        ("1_a.down.sql", "ALTER TABLE orders DROP note, ALTER id TYPE int;"),
        (
            "2_b.up.sql",
            "CREATE INDEX CONCURRENTLY orders_state ON orders (state);\nSELECT 1, 2, 3, 4, 5;\nCREATE TABLE tag (n int);\nCOPY tag FROM stdin;\n1\n\\.\n",
        ),
        ("2_b.down.sql", "DROP TABLE tag;\nDROP INDEX CONCURRENTLY orders_state;"),
    ])
    .await;
    let before = everything(&ground);
    let plan = rehearse(&ground).await.unwrap();
    assert_eq!(everything(&ground), before);
    assert_eq!(
        seen(&plan),
        [
            "ALTER TABLE orders ALTER id TYPE bigint: locks app.orders (about 20000 rows, 744 kB): ACCESS EXCLUSIVE, \
             nobody reads or writes while every row is written anew",
            "ALTER TABLE orders ADD note text: ",
            "CREATE INDEX CONCURRENTLY orders_state ON orders (state): locks app.orders (about 20000 rows, 744 kB): SHARE UPDATE EXCLUSIVE, \
             others read and write while every row is read",
            "SELECT 1, 2, 3, 4, 5: ",
            "CREATE TABLE tag (n int): ",
            "COPY tag FROM stdin: ",
        ]
    );
    assert_eq!(plan.way_back, Some(WayBack::LeadsBack));
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'confiture\\_scratch\\_%'";
    assert_eq!(ground.psql(left), "0");
    assert_eq!(ground.apply().await, ["1", "2"], "it is still to be applied, and can be");
}

#[tokio::test]
async fn what_the_way_back_leaves_is_said_and_what_has_none_is_named() {
    let ground = live(&[
        ("1_a.up.sql", "CREATE TABLE a (); CREATE TABLE b ()"),
        ("1_a.down.sql", "DROP TABLE a"),
        ("2_c.up.sql", "CREATE TABLE c ()"),
    ])
    .await;
    let none = rehearse(&ground).await.unwrap().way_back.unwrap();
    assert_eq!(none.in_words(), "there is no way back for 2_c, so none was tried");
    ground.write(&[("2_c.down.sql", "DROP TABLE c")]);
    let left = WayBack::Differs(vec!["table app.b is there, and should not be".to_owned()]);
    assert_eq!(rehearse(&ground).await.unwrap().way_back, Some(left));
}

#[tokio::test]
async fn an_error_has_its_place_and_leaves_nothing() {
    let ground = live(&[
        ("1_a.up.sql", "SET search_path = public; CREATE TABLE a (id int)"),
        ("2_b.up.sql", "CREATE TABLE b (id int);\nALTER TABLE orders ADD state int;"),
    ])
    .await;
    let before = everything(&ground);
    let error = rehearse(&ground).await.unwrap_err();
    assert_eq!(
        ground.shown(&error),
        "2_b.up.sql:2:1: in the rehearsal on a copy of the schema: column \"state\" of relation \"orders\" already exists"
    );
    assert_eq!(everything(&ground), before);
    // What would be done to the server itself is not.
    ground.write(&[("1_a.up.sql", "CREATE TABLE a (id int);\nDROP DATABASE postgres;")]);
    let said = "1_a.up.sql:2:1: DROP DATABASE reaches beyond the schema, and is not run in a scratch database\n  \
                hint: Remove the statement: a schema is what one database holds";
    assert_eq!(ground.shown(&rehearse(&ground).await.unwrap_err()), said);
    let (migrator, execution) = (ground.migrator(), Execution::unattended());
    let all = migrate::rehearse(&ground.connection(), migrator.folder(), &execution).await;
    assert_eq!(ground.shown(&all.unwrap_err()), said, "nor where all are tried");
}

#[tokio::test]
async fn roles_that_are_missing_on_the_server_of_the_copy_are_made() {
    let ground = live(&[
        ("1_a.up.sql", "GRANT SELECT ON orders TO \"rehearsing role\""),
        ("1_a.down.sql", "REVOKE SELECT ON orders FROM \"rehearsing role\""),
    ])
    .await;
    let plan = rehearse(&ground).await.unwrap();
    assert_eq!(plan.way_back, Some(WayBack::LeadsBack));
    ground.psql("DROP ROLE \"rehearsing role\"");
}

/// A run that died between two steps goes on behind them, with the settings that they have made.
#[tokio::test]
async fn what_an_earlier_run_has_done_is_not_done_again() {
    let ground = live(&[(
        "1_a.up.sql",
        "SET search_path = public; CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\nALTER TABLE a ADD b int, ADD FOREIGN KEY (b) REFERENCES missing;",
    )])
    .await;
    ground.up().await.unwrap_err();
    ground.write(&[(
        "1_a.up.sql",
        "SET search_path = public; CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\nALTER TABLE a ADD b int;",
    )]);
    let plan = rehearse(&ground).await.unwrap();
    let statements = &plan.migrations[0].statements;
    assert!(statements[..3].iter().all(|statement| statement.seen.is_none()));
    assert_eq!(statements[3].seen.as_ref().unwrap()[0].relation, "public.a");
}
