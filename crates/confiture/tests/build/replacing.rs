//! A database that holds something is never lost unasked, and never to a build that fails.

use confiture::ErrorKind;
use confiture::build::{BuildOptions, SchemaBuilder, Tree};
use confiture::config::{BuildOrder, Connection};
use confiture::event::Execution;

use crate::ground::Ground;

const REPLACE: BuildOptions = BuildOptions {
    drop_existing: true,
    loss_confirmed: true,
    cache: true,
    disconnect: false,
    production: false,
};

async fn occupied(tree: &[(&str, &str)]) -> Ground {
    let ground = Ground::new(tree).await;
    ground.psql("postgres", "CREATE DATABASE mine");
    ground.psql("mine", "CREATE TABLE precious (a int)");
    ground
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_empty_is_refused_by_name_of_what_is_there() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    for (sql, named) in [
        ("CREATE TABLE precious (a int)", "table precious"),
        ("CREATE TYPE mood AS ENUM ('a')", "type mood"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function f()"),
        ("CREATE SCHEMA app", "schema app"),
        ("CREATE EXTENSION citext; CREATE SEQUENCE s", "sequence s"),
        ("SELECT lo_create(0)", "large object"),
        ("CREATE PUBLICATION p", "publication p"),
    ] {
        ground.psql("postgres", "CREATE DATABASE refused");
        ground.psql("refused", sql);
        let (_, error) = ground.refusal().await;
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
        assert!(error.message().contains(named), "{error}");
        ground.psql("postgres", "DROP DATABASE refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_needs_consent_and_says_what_is_lost() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let unconfirmed = BuildOptions { loss_confirmed: false, ..REPLACE };
    let plan = ground.builder().plan(&ground.connection("mine"), unconfirmed).await.unwrap();
    assert_eq!(
        plan.loses().unwrap(),
        "dropping the database mine with table precious, all rows, and the database's own settings and privileges"
    );
    for production in [false, true] {
        let error = ground.build("mine", BuildOptions { production, ..unconfirmed }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe);
    }
    assert_eq!(ground.psql("mine", "SELECT to_regclass('precious')"), "precious");

    let report = ground.build("mine", BuildOptions { production: true, ..REPLACE }).await.unwrap();
    assert!(report.replaced && report.template.is_none());
    assert_eq!(ground.psql("mine", "SELECT to_regclass('precious') IS NULL, to_regclass('t')"), "t|t");
    assert_eq!(ground.databases(), ["mine"], "nothing else is left on a production server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_gives_the_old_database_back() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int); SELECT nix;")]).await;
    for cache in [false, true] {
        let error = ground.build("mine", BuildOptions { cache, ..REPLACE }).await.unwrap_err();
        assert_eq!(error.sqlstate_code(), Some("42703"));
        assert_eq!(ground.psql("mine", "SELECT to_regclass('precious')"), "precious");
        assert_eq!(ground.databases(), ["mine"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_not_replaced_and_its_users_are_named() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let other = confiture::postgres::Session::connect(&ground.connection("mine")).await.unwrap();
    let error = ground.build("mine", REPLACE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(
        error.hints()[0].starts_with("connected: confiture of postgres from this machine (pid "),
        "{error:?}"
    );
    drop(other);
}

/// A build that was killed leaves the database under its other name, and perhaps half a successor.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_build_has_left_is_finished_with_consent() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let killed = "ALTER DATABASE mine RENAME TO mine_replaced;
        COMMENT ON DATABASE mine_replaced IS 'set aside by a build of Confiture. the shop'";
    for successor in ["SELECT 1", "CREATE DATABASE mine", "CREATE DATABASE mine TEMPLATE mine_replaced"] {
        ground.psql("postgres", killed);
        ground.psql("postgres", successor);
        let careful = BuildOptions { loss_confirmed: false, ..REPLACE };
        let plan = ground.builder().plan(&ground.connection("mine"), careful).await.unwrap();
        assert!(plan.loses().unwrap().contains("the database mine_replaced, which a build"), "{plan:?}");
        assert!(ground.build("mine", careful).await.is_err());
        assert_eq!(ground.psql("mine_replaced", "SELECT to_regclass('precious')"), "precious");
        let report = ground.build("mine", BuildOptions { cache: false, ..REPLACE }).await.unwrap();
        assert!(report.replaced);
        assert_eq!(ground.psql("mine", "SELECT to_regclass('precious') IS NULL, to_regclass('t')"), "t|t");
        assert_eq!(ground.databases(), ["mine"]);
        ground.psql("mine", "DROP TABLE t; CREATE TABLE precious (a int)");
    }
    // One that fails puts back what another has set aside, as it was.
    ground.psql("postgres", killed);
    ground.write("2.sql", "SELECT nix;");
    ground.build("mine", BuildOptions { cache: false, ..REPLACE }).await.unwrap_err();
    assert_eq!(ground.psql("mine", "SELECT to_regclass('precious')"), "precious");
    assert_eq!(
        ground.psql(
            "mine",
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'mine'"
        ),
        "the shop"
    );
    assert_eq!(ground.databases(), ["mine"]);
}

/// What nobody has marked is somebody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_that_name_that_no_build_has_set_aside_stays() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    ground.psql("postgres", "CREATE DATABASE mine_replaced");
    let error = ground.build("mine", BuildOptions { cache: false, ..REPLACE }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(error.hints()[0].contains("DROP DATABASE mine_replaced"), "{error:?}");
    assert_eq!(ground.databases(), ["mine", "mine_replaced"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_builds_of_one_name_take_turns() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let plain = BuildOptions { cache: false, disconnect: true, ..REPLACE };
    for _ in 0..8 {
        let (one, other) = tokio::join!(ground.build("mine", plain), ground.build("mine", plain));
        one.unwrap();
        other.unwrap();
    }
    assert_eq!(ground.databases(), ["mine"]);
}

/// Nobody has agreed to lose what another build has just made, and it is not built into twice.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_builds_of_a_new_name_the_second_says_that_the_first_has_made_it() {
    let ground = Ground::new(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    for is_there in [false, true] {
        for cache in [false, true] {
            if is_there {
                ground.psql("postgres", "CREATE DATABASE made");
            }
            let options = BuildOptions { cache, ..BuildOptions::default() };
            let plans = tokio::join!(
                async { ground.builder().plan(&ground.connection("made"), options).await.unwrap() },
                async { ground.builder().plan(&ground.connection("made"), options).await.unwrap() },
            );
            let execution = Execution::unattended();
            let (one, other) = tokio::join!(plans.0.execute(&execution), plans.1.execute(&execution));
            assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
            let error = one.and(other).unwrap_err();
            assert_eq!(error.message(), "another build has made the database made meanwhile");
            assert_eq!(ground.psql("made", "SELECT to_regclass('t')"), "t");
            ground.psql("postgres", "DROP DATABASE made");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_while_another_build_is_at_work_is_told_so() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    let other = confiture::postgres::Session::connect(&ground.connection("postgres")).await.unwrap();
    other
        .batch(&confiture::sql::Sql::literal("SELECT pg_advisory_lock(hashtextextended('mine_replaced', 0))"))
        .await
        .unwrap();
    let error = ground.builder().plan(&ground.connection("mine"), REPLACE).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Locked, "another build of the database mine is at work")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_a_subscription_is_not_replaced() {
    let ground = occupied(&[("1.sql", "CREATE TABLE t (a int);")]).await;
    ground.psql(
        "mine",
        "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)",
    );
    let error = ground.build("mine", BuildOptions { cache: false, ..REPLACE }).await.unwrap_err();
    assert!(error.message().contains("has the subscription s"), "{error:?}");
    assert_eq!(ground.databases(), ["mine"]);
    ground.psql("mine", "DROP SUBSCRIPTION s");
}

/// Roles belong to the server: those that no file makes are made where the server is ours.
#[tokio::test(flavor = "multi_thread")]
async fn roles_that_files_name_are_made_on_a_server_of_ours() {
    let ground = Ground::new(&[(
        "1.sql",
        "CREATE TABLE t (a int); GRANT SELECT ON t TO app, reader;\n\
         CREATE FOREIGN DATA WRAPPER w;  ALTER FOREIGN DATA WRAPPER w OWNER TO \"Boss\";",
    )])
    .await;
    let error = ground.build("granted", BuildOptions::default()).await.unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.contains("CREATE ROLE it there")), "{error:?}");
    let ours = Connection { own_server: true, ..ground.connection("granted") };
    for order in [BuildOrder::Names, BuildOrder::Dependencies] {
        let builder = SchemaBuilder::new(Tree { order, ..Tree::new(ground.root()) });
        builder.files_by_need(&ours, &Execution::unattended()).await.unwrap();
        builder.execute(&ours, BuildOptions::default(), &Execution::unattended()).await.unwrap();
        assert_eq!(ground.psql("granted", "SELECT has_table_privilege('reader', 't', 'select')"), "t");
        // Only a superuser may own one.
        let supers = "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolsuper AND oid >= 16384";
        assert_eq!(ground.psql("granted", supers), "Boss");
        ground.psql("postgres", "DROP DATABASE granted");
        for template in ground.databases() {
            ground.psql("postgres", &format!("DROP DATABASE {template} WITH (FORCE)"));
        }
        ground.psql("postgres", "DROP ROLE app, reader, \"Boss\"");
    }
}
