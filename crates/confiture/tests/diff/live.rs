//! What a live database has become, and files make no more.

use confiture::postgres::Session;
use confiture::schema_diff::{self, DiffOptions, Source};
use confiture::sql::{Script, Sql, split};
use local_postgres::testing::{Database, shared_server};

use crate::oracle::connection;

/// A TOAST table outlives the columns that needed it, with its parameters. A copy has none.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_toast_table_that_is_needed_no_more() {
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let connection = connection(server, database.name());
    let session = Session::connect(&connection).await.unwrap();
    let made =
        "CREATE TABLE t (a int, b text) WITH (toast.autovacuum_enabled = off); ALTER TABLE t DROP COLUMN b";
    session.batch(&Sql::literal(made)).await.unwrap();
    let live = Source::Live(Box::new(connection.clone()));
    let files = |text: &str| Source::Scripts(vec![split(Script::new("schema.sql", text)).unwrap()]);
    let options = DiffOptions::default();
    for (new, wanted) in [
        ("CREATE TABLE t (a int)", vec![]),
        (
            "CREATE TABLE t (a int, c text) WITH (toast.autovacuum_enabled = off)",
            vec![
                "ALTER TABLE public.t ADD COLUMN c text",
                "ALTER TABLE public.t SET (toast.autovacuum_enabled='off')",
            ],
        ),
    ] {
        let found = schema_diff::diff(&connection, &live, &files(new), &options).await.unwrap();
        let up: Vec<&str> = found.up.statements().map(Sql::as_str).collect();
        assert_eq!(up, wanted);
        let said =
            "the table public.t keeps toast.autovacuum_enabled, for a TOAST table that no column of it needs";
        assert!(found.remarks.iter().any(|line| line == said), "{:?}", found.remarks);
    }
    let nothing = schema_diff::diff(&connection, &files(""), &files(made), &options).await.unwrap();
    let said = "the table public.t is without toast.autovacuum_enabled, for a TOAST table that no column of it needs";
    assert_eq!(nothing.remarks, [said]);
}
