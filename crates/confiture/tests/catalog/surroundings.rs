//! Who reads, while what else happens, and in what kind of database.

use std::process::Command;

use confiture::ErrorKind;
use confiture::config::Connection;
use confiture::postgres::{Session, read_catalog, read_catalog_in_transaction};
use confiture::sql::{Identifier, Sql, sql};
use local_postgres::testing::{Database, shared_server};

use crate::fixture::{connection, database, name, names, relation, rich, session, text};

#[tokio::test]
async fn a_role_without_privileges_reads_the_same() {
    let (database, session, mut catalog) = rich().await;
    let role = Identifier::new(format!("reader_of_{}", database.name()));
    session.batch(&sql!("CREATE ROLE {} LOGIN", role)).await.unwrap();
    let stranger = Connection { user: role.as_str().to_owned(), ..connection(&database) };
    let stranger = Session::connect(&stranger).await.unwrap();
    let seen = read_catalog(&stranger).await.unwrap();
    session.batch(&sql!("DROP ROLE {}", role)).await.unwrap();
    assert_eq!(seen.sequences[&name("app", "used")].last_value, None);
    for sequence in catalog.sequences.values_mut() {
        sequence.last_value = None;
    }
    assert_eq!(format!("{seen:#?}"), format!("{catalog:#?}"));
}

#[tokio::test]
async fn a_transaction_is_read_as_it_stands_and_left_as_it_was() {
    let (_database, session, _catalog) = rich().await;
    session.batch(&Sql::literal("SET search_path = app, public, \"$user\"")).await.unwrap();
    let change = "BEGIN; SET LOCAL quote_all_identifiers = on; CREATE TABLE app.only_here (\"a\" int4 DEFAULT (1 + 2));";
    session.batch(&Sql::literal(change)).await.unwrap();
    for catalog in
        [read_catalog(&session).await.unwrap(), read_catalog_in_transaction(&session).await.unwrap()]
    {
        assert_eq!(names(&catalog.search_path), ["app", "public"]);
        assert_eq!(relation(&catalog, "app", "only_here").columns[0].default.as_deref(), Some("(1 + 2)"));
        let order = relation(&catalog, "app", "order");
        let note = order.indexes.iter().find(|index| index.name.as_str() == "order_note").unwrap();
        assert!(note.definition.starts_with("CREATE INDEX order_note ON app.\"order\" USING btree"));
        assert!(catalog.find(None, &"only_here".into()).is_some());
    }
    assert_eq!(text(&session, "SHOW search_path").await, "app, public, \"$user\"");
    assert_eq!(text(&session, "SHOW quote_all_identifiers").await, "on");
    assert_eq!(text(&session, "SHOW transaction_read_only").await, "off");
    session.batch(&Sql::literal("ROLLBACK")).await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    assert!(!catalog.relations.contains_key(&name("app", "only_here")));
    assert_eq!(text(&session, "SHOW search_path").await, "app, public, \"$user\"");
    assert_eq!(
        text(&session, "SHOW jit").await,
        text(&session, "SELECT reset_val FROM pg_settings WHERE name = 'jit'").await
    );
    // No transaction is left open.
    session.batch(&Sql::literal("VACUUM")).await.unwrap();
    let refused = read_catalog_in_transaction(&session).await.unwrap_err();
    assert_eq!(refused.sqlstate_code(), Some("25P01"));
    assert!(read_catalog(&session).await.is_ok());
}

#[tokio::test]
async fn what_belongs_to_the_system_or_to_extensions_is_left_out() {
    let script = "CREATE TEMPORARY TABLE passing (id serial);
        CREATE EXTENSION pg_stat_statements; CREATE TABLE stays (s pg_stat_statements, h pg_stat_statements[])";
    let database = database("").await;
    let session = session(&database).await;
    session.batch(&Sql::literal(script)).await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    assert_eq!(catalog.relations.keys().collect::<Vec<_>>(), [&name("public", "stays")]);
    assert!(catalog.sequences.is_empty());
    for column in &relation(&catalog, "public", "stays").columns {
        let extension = &catalog.types[&column.data_type.oid].extension;
        assert_eq!(extension.as_ref().map(Identifier::as_str), Some("pg_stat_statements"));
    }
}

#[tokio::test]
async fn ddl_of_others_does_not_disturb() {
    let (database, session, catalog) = rich().await;
    let other = crate::fixture::session(&database).await;
    let ddl = "DROP TABLE IF EXISTS churn; CREATE TABLE churn (id serial PRIMARY KEY, n int4 DEFAULT 1 CHECK (n > 0));
        CREATE INDEX ON churn ((n + 1)) WHERE n > 0;";
    let ddl = Sql::literal(ddl);
    for round in 0..30 {
        // Now and then the table goes away between the snapshot and the rendering of what is on it.
        let churn = async {
            for _ in 0..round % 4 {
                other.batch(&ddl).await.unwrap();
            }
        };
        let (now, ()) = futures_util::join!(read_catalog(&session), churn);
        let now = now.unwrap();
        let churned = usize::from(now.relations.contains_key(&name("public", "churn")));
        assert_eq!(now.relations.len(), catalog.relations.len() + churned);
    }
}

#[tokio::test]
async fn wide_and_many() {
    let script = "DO $$ BEGIN
            EXECUTE (SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s int4 DEFAULT %s', n, n), ', ' ORDER BY n))
                     FROM generate_series(1, 1000) AS n);
            FOR n IN 1 .. 500 LOOP
                EXECUTE format('CREATE TABLE t%s (id int4 PRIMARY KEY, before int4 REFERENCES t%s, note text)', n, greatest(n - 1, 1));
            END LOOP;
        END $$";
    let database = database("").await;
    let session = session(&database).await;
    session.batch(&Sql::literal(script)).await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    assert_eq!(catalog.relations.len(), 501);
    let wide = relation(&catalog, "public", "wide");
    assert_eq!(wide.columns.len(), 1000);
    assert!(wide.columns.iter().zip(1_i16..).all(|(column, n)| {
        column.number == n
            && column.name.as_str() == format!("c{n}")
            && column.default.as_deref() == Some(&n.to_string())
    }));
    for n in 2..=500 {
        let table = relation(&catalog, "public", &format!("t{n}"));
        let references: Vec<_> =
            table.constraints.iter().filter_map(|constraint| constraint.references.clone()).collect();
        assert_eq!(references, [(name("public", &format!("t{}", n - 1)), vec!["id".into()])]);
        assert_eq!((table.columns.len(), table.indexes.len()), (3, 1));
    }
}

/// A database of its own encoding, which `Database` does not make.
async fn sql_ascii() -> (Database<'static>, String) {
    let server = shared_server().await;
    let owner = Database::create_on(server).await.unwrap();
    let name = format!("{}_ascii", owner.name());
    let sql =
        format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'");
    let made =
        Command::new(server.program("psql")).args(["-qXd", &owner.url(), "-c", &sql]).status().unwrap();
    assert!(made.success());
    (owner, name)
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_named_in_the_error() {
    let (owner, ascii) = sql_ascii().await;
    let session = Session::connect(&connection(&owner).with_database(&*ascii)).await.unwrap();
    session.batch(&Sql::literal("CREATE TABLE \"tämlich\" (id int4)")).await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    assert_eq!(catalog.encoding, "SQL_ASCII");
    assert!(catalog.relations.contains_key(&name("public", "tämlich")), "UTF-8 is read");

    let latin = r#"DO $$ BEGIN EXECUTE 'ALTER TABLE "tämlich" RENAME id TO "' || convert_from('\x636166e9', 'SQL_ASCII') || '"'; END $$"#;
    session.batch(&Sql::literal(latin)).await.unwrap();
    let error = read_catalog(&session).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.message(), r#"the name of the column "caf\xe9" is not UTF-8"#);
    // The caller's transaction goes on.
    session.batch(&Sql::literal("BEGIN; CREATE TABLE kept ()")).await.unwrap();
    assert!(read_catalog(&session).await.is_err());
    session.batch(&Sql::literal("COMMIT; DROP TABLE kept")).await.unwrap();

    let check = r#"DO $$ BEGIN
        EXECUTE 'ALTER TABLE "tämlich" RENAME "' || convert_from('\x636166e9', 'SQL_ASCII') || '" TO id';
        EXECUTE 'ALTER TABLE "tämlich" ADD CHECK (id::text <> ''' || convert_from('\xe9', 'SQL_ASCII') || ''')';
        END $$"#;
    session.batch(&Sql::literal(check)).await.unwrap();
    let error = read_catalog(&session).await.unwrap_err();
    assert_eq!(error.message(), "a definition or comment in the catalog holds text that is not UTF-8");
    drop(session);
    let drop = format!("DROP DATABASE {ascii} WITH (FORCE)");
    let dropped =
        Command::new(owner.server().program("psql")).args(["-qXd", &owner.url(), "-c", &drop]).status();
    assert!(dropped.unwrap().success());
}

#[tokio::test]
async fn an_empty_database_is_an_empty_catalog() {
    let database = database("").await;
    let catalog = read_catalog(&session(&database).await).await.unwrap();
    assert!(catalog.relations.is_empty() && catalog.sequences.is_empty() && catalog.types.is_empty());
}

#[tokio::test]
async fn every_query_runs_in_psql() {
    let (database, _session, _catalog) = rich().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/queries/catalog");
    let mut run = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let psql = Command::new(database.server().program("psql"))
            .args(["-qXd", &database.url(), "-v", "ON_ERROR_STOP=1", "-f", file.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(psql.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&psql.stderr));
        run += 1;
    }
    assert!(run > 12);
}
