//! A database that holds something is never lost unasked, and never to a build that fails.

use confiture::ErrorKind;
use confiture::build::BuildOptions;

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
