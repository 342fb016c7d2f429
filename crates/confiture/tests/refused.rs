//! What a refused statement says: never a row's value, always where and what to do.

#[allow(dead_code, reason = "shared by several test programs")]
mod connecting;

use bytes::Bytes;
use confiture::postgres::{ServerError, Session};
use confiture::sql::Sql;
use confiture::{Error, ErrorKind};
use connecting::{connect, everything, surroundings};
use futures_util::SinkExt as _;
use local_postgres::testing::Database;

/// The value that no error may show. Each case below has it in what the server says, which is checked first.
const VALUE: &str = "s3cret-value";

const SETUP: &str = "
    CREATE SCHEMA shop;
    CREATE TYPE shop.mood AS ENUM ('fine');
    CREATE DOMAIN shop.short AS text CONSTRAINT short_enough CHECK (length(value) < 5);
    CREATE TABLE shop.users (
        id integer CONSTRAINT users_id_key UNIQUE, email text NOT NULL CONSTRAINT users_email_key UNIQUE,
        nick varchar(3), mood shop.mood, data jsonb, small shop.short, at date, key uuid,
        CONSTRAINT email_is_no_evil CHECK (email <> 's3cret-value-evil')
    );
    CREATE TABLE shop.orders (email text CONSTRAINT orders_email_fkey REFERENCES shop.users (email));
    CREATE TABLE shop.parts (name text) PARTITION BY LIST (name);
    CREATE VIEW shop.view AS SELECT id, email FROM shop.users WHERE email LIKE 'x%' WITH CHECK OPTION;
    CREATE FUNCTION shop.complain(text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no such thing as \"%\"', $1 USING DETAIL = $1, HINT = 'try \"' || $1 || '\"'; END $$;
    CREATE FUNCTION shop.complain_otherwise(text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION SQLSTATE '42999' USING MESSAGE = format('no ''%s''', $1), DETAIL = $1; END $$;
    INSERT INTO shop.users (email) VALUES ('s3cret-value');
";

async fn refusal(session: &Session, statement: &str) -> Error {
    let error = session.batch(&Sql::from_user(statement)).await.expect_err(statement);
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    error
}

#[tokio::test]
async fn no_row_value_is_ever_shown() {
    let database = Database::create().await.unwrap();
    let session = connect(&database.url(), &surroundings(&[])).await.unwrap();
    session.batch(&Sql::literal(SETUP)).await.unwrap();
    // The statement, its SQLSTATE, and what must be shown.
    let cases: &[(&str, &str, &[&str])] = &[
        ("SELECT 's3cret-value'::text::integer", "22P02", &["invalid input syntax for type integer"]),
        ("SELECT 's3cret-value'::text::uuid", "22P02", &["uuid"]),
        ("SELECT 's3cret-value'::text::date", "22007", &["date"]),
        ("SELECT 's3cret-value'::text::shop.mood", "22P02", &["enum"]),
        ("SELECT '{\"a\": s3cret-value}'::text::jsonb", "22P02", &["json", "JSON data, line 1"]),
        ("SELECT '{s3cret-value'::text::int[]", "22P02", &["malformed array literal"]),
        ("SELECT '\"s3cret-value\" s3cret-value'::text::integer", "22P02", &["integer"]),
        (
            "INSERT INTO shop.users (email) VALUES ('s3cret-value')",
            "23505",
            &["\"users_email_key\"", "shop.users"],
        ),
        ("INSERT INTO shop.users (nick) VALUES ('s3cret-value')", "22001", &["character varying(3)"]),
        (
            "INSERT INTO shop.users (key, small, data) VALUES (NULL, NULL, '\"s3cret-value\"')",
            "23502",
            &["\"email\"", "\"users\"", "column email"],
        ),
        (
            "INSERT INTO shop.users (email) VALUES ('s3cret-value-evil')",
            "23514",
            &["\"email_is_no_evil\"", "\"users\""],
        ),
        (
            "INSERT INTO shop.users (email, small) VALUES ('x', 's3cret-value')",
            "23514",
            &["\"short_enough\""],
        ),
        (
            "INSERT INTO shop.orders VALUES ('s3cret-value-2')",
            "23503",
            &["\"orders_email_fkey\"", "\"orders\""],
        ),
        (
            "INSERT INTO shop.orders VALUES ('s3cret-value'); DELETE FROM shop.users",
            "23503",
            &["on table \"users\"", "\"orders_email_fkey\" on table \"orders\""],
        ),
        ("INSERT INTO shop.parts VALUES ('s3cret-value')", "23514", &["\"parts\""]),
        ("INSERT INTO shop.view VALUES (1, 's3cret-value-3')", "44000", &["check option"]),
        (
            "SELECT shop.complain('s3cret-value')",
            "P0001",
            &["no such thing as …", "shop.complain(text) line 1"],
        ),
        ("SELECT shop.complain_otherwise('s3cret-value')", "42999", &["no …"]),
    ];
    let mut hidden = 0;
    for (statement, sqlstate, shown) in cases {
        let error = refusal(&session, statement).await;
        let all = everything(&error);
        assert!(!all.contains("s3cret"), "{statement}: {all}");
        assert_eq!(error.sqlstate_code(), Some(*sqlstate), "{statement}: {all}");
        for piece in *shown {
            let text = format!("{error} {}", error.server_detail().unwrap_or_default());
            assert!(text.contains(piece), "{statement}: {text} lacks {piece}");
        }
        let raw = connecting::psql(database.server(), &database.url(), &[], statement).unwrap_err();
        hidden += usize::from(raw.contains("s3cret"));
    }
    // psql shows the value in all cases but two, whose messages have none: so there was something to hide.
    assert_eq!(hidden, cases.len() - 2);
}

#[tokio::test]
async fn copy_keeps_the_line_and_the_column() {
    let database = Database::create().await.unwrap();
    let session = connect(&database.url(), &surroundings(&[])).await.unwrap();
    session.batch(&Sql::literal("CREATE TABLE ages (name text, age integer)")).await.unwrap();
    let cases = [
        ("anna\t1\nbert\ts3cret-value\n", "COPY ages, line 2, column age"),
        ("anna\t1\ns3cret-value\n", "COPY ages, line 2"),
        ("anna\t1\textra s3cret-value\n", "COPY ages, line 1"),
        ("anna\ts3cret-value\\nCOPY s3cret-value\n", "COPY ages, line 1, column age"),
    ];
    for (data, place) in cases {
        let mut sink = Box::pin(session.copy_in(&Sql::literal("COPY ages FROM STDIN")).await.unwrap());
        sink.send(Bytes::from_static(data.as_bytes())).await.unwrap();
        let error = session.refused(sink.as_mut().finish().await.unwrap_err());
        let all = everything(&error);
        assert!(!all.contains("s3cret"), "{all}");
        assert_eq!(error.server_detail(), Some(place), "{all}");
    }
    assert!(cases.iter().all(|(data, _)| data.contains(VALUE)));
}

/// Each is refused at another moment: before the COPY has begun, when it has and no row was read, in a row.
#[tokio::test]
async fn after_a_refused_copy_every_answer_is_that_of_its_statement() {
    let database = Database::create().await.unwrap();
    let session = connect(&database.url(), &surroundings(&[])).await.unwrap();
    let other = connect(&database.url(), &surroundings(&[])).await.unwrap();
    session.batch(&Sql::literal(COPIED)).await.unwrap();
    other.batch(&Sql::literal("BEGIN; LOCK TABLE busy")).await.unwrap();
    session.batch(&Sql::literal("BEGIN; SET LOCAL lock_timeout = '1ms'")).await.unwrap();
    for (number, (table, code)) in
        [("nowhere", "42P01"), ("busy", "55P03"), ("view", "42809"), ("raising", "P0001"), ("t", "22P02")]
            .into_iter()
            .cycle()
            .take(20)
            .enumerate()
    {
        session.batch(&Sql::literal("SAVEPOINT a")).await.unwrap();
        let copy = Sql::from_user(format!("COPY {table} FROM STDIN"));
        let error = match session.copy_in(&copy).await {
            Err(error) => error,
            Ok(sink) => {
                let mut sink = Box::pin(sink);
                // The server may have given up already.
                sink.send(Bytes::from_static(b"no number\n")).await.ok();
                session.refused(sink.as_mut().finish().await.unwrap_err())
            }
        };
        assert_eq!(error.sqlstate_code(), Some(code), "{table}");
        session.batch(&Sql::literal("ROLLBACK TO a")).await.unwrap();
        let number = i32::try_from(number).unwrap();
        let row = session.query_one(&Sql::literal("SELECT $1::int"), &[&number]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), number);
        refusal(&session, "SELECT 1 / 0").await;
        session.batch(&Sql::literal("ROLLBACK TO a")).await.unwrap();
    }
    let mut sink = Box::pin(session.copy_in(&Sql::literal("COPY t FROM STDIN")).await.unwrap());
    sink.send(Bytes::from_static(b"7\n")).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
    session.batch(&Sql::literal("COMMIT")).await.unwrap();
    assert_eq!(session.query_one(&Sql::literal("SELECT a FROM t"), &[]).await.unwrap().get::<_, i32>(0), 7);
}

const COPIED: &str = "
    CREATE TABLE t (a integer);
    CREATE TABLE busy (a integer);
    CREATE TABLE raising (a integer);
    CREATE VIEW view AS SELECT 1 AS a;
    CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE TRIGGER complain BEFORE INSERT ON raising FOR EACH STATEMENT EXECUTE FUNCTION complain();
";

#[tokio::test]
async fn the_common_errors_come_with_what_to_do() {
    let database = Database::create().await.unwrap();
    let session = connect(&database.url(), &surroundings(&[])).await.unwrap();
    let other = connect(&database.url(), &surroundings(&[])).await.unwrap();
    session
        .batch(&Sql::literal("CREATE TABLE t (id integer, v varchar(1)); CREATE VIEW w AS SELECT id FROM t"))
        .await
        .unwrap();
    other.batch(&Sql::literal("BEGIN; LOCK TABLE t")).await.unwrap();
    session.batch(&Sql::literal("SET lock_timeout = '1ms'")).await.unwrap();
    let locked = refusal(&session, "SELECT * FROM t").await;
    assert_eq!(locked.sqlstate_code(), Some("55P03"));
    assert!(locked.hints()[0].contains("another transaction holds a lock"), "{locked:?}");
    other.batch(&Sql::literal("ROLLBACK")).await.unwrap();
    let role = format!("nobody_{}", std::process::id());
    let cases = [
        ("SELECT nope FROM t".to_owned(), "42703", "check the spelling"),
        ("SELECT idd FROM t".into(), "42703", "Perhaps you meant to reference the column \"t.id\""),
        ("SELECT * FROM nope".into(), "42P01", "check the spelling, the schema, and search_path"),
        ("CREATE TABLE nope.t ()".into(), "3F000", "create the schema first"),
        ("INSERT INTO t (v) VALUES ('ab')".into(), "22001", "widen the column"),
        ("BEGIN READ ONLY; DELETE FROM t".into(), "25006", "connect to the primary"),
        (
            "ROLLBACK; CREATE EXTENSION no_such_extension".into(),
            "58P01|0A000",
            "install the package with this extension",
        ),
        (
            format!("CREATE ROLE {role}; SET LOCAL ROLE {role}; SELECT * FROM t"),
            "42501",
            "GRANT the privilege",
        ),
        (
            format!("CREATE ROLE {role}; SET LOCAL ROLE {role}; ALTER TABLE t ADD COLUMN n int"),
            "42501",
            "or as a member of that role",
        ),
        (
            "ALTER TABLE t ALTER id SET NOT NULL, ALTER v SET NOT NULL; INSERT INTO t VALUES (1)".into(),
            "23502",
            "give the column a default",
        ),
    ];
    for (statement, sqlstates, hint) in cases {
        let error = refusal(&session, &statement).await;
        assert!(sqlstates.contains(error.sqlstate_code().unwrap()), "{statement}: {error:?}");
        assert!(error.hints().iter().any(|said| said.contains(hint)), "{statement}: {error:?}");
    }
    let error = refusal(&session, "SET lock_timeout = 'soon'").await;
    assert_eq!(error.message(), "invalid value for parameter \"lock_timeout\": \"soon\"");
    // What depends on an object is named in DETAIL, which is safe there.
    let error = refusal(&session, "DROP TABLE t").await;
    assert_eq!(error.server_detail(), Some("view w depends on table t"));
}

#[tokio::test]
async fn the_position_in_the_statement_is_kept() {
    let database = Database::create().await.unwrap();
    let session = connect(&database.url(), &surroundings(&[])).await.unwrap();
    let error = refusal(&session, "SELECT 'é', nope").await;
    let server = ServerError::of(&error).unwrap();
    assert_eq!((server.position, server.sqlstate.as_str()), (Some(13), "42703"));
}
