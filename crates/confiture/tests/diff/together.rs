//! What goes and comes again is never away: an event trigger of the database notes the transaction of each command.

use std::collections::BTreeMap;

use confiture::postgres::Session;
use confiture::schema_diff::{Plan, render};
use confiture::sql::{Script, Sql, split};
use local_postgres::testing::{Database, shared_server};

use crate::oracle;

const NOTES: &str = "
    CREATE SCHEMA notes;
    CREATE TABLE notes.gone (object text, at xid8);
    CREATE TABLE notes.made (object text, at xid8);
    CREATE FUNCTION notes.gone() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO notes.gone SELECT object_identity, pg_current_xact_id() FROM pg_event_trigger_dropped_objects() WHERE original;
    END $$;
    CREATE FUNCTION notes.made() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO notes.made SELECT object_identity, pg_current_xact_id() FROM pg_event_trigger_ddl_commands();
    END $$;
    CREATE EVENT TRIGGER gone ON sql_drop EXECUTE FUNCTION notes.gone();
    CREATE EVENT TRIGGER made ON ddl_command_end EXECUTE FUNCTION notes.made();";

/// What was dropped and what was made, with the transactions that did so: numbers of its own, from 1 on.
#[derive(Debug)]
pub(crate) struct Seen {
    gone: BTreeMap<String, u64>,
    made: BTreeMap<String, Vec<u64>>,
}

/// Runs the file of a plan as it is written, statement by statement, on a database that is `old`.
pub(crate) async fn run(old: &str, plan: &Plan) -> Seen {
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&oracle::connection(server, database.name())).await.unwrap();
    let text = render(plan, &[]);
    for part in [old, NOTES, &text] {
        for statement in split(Script::new("up.sql", part)).unwrap().statements {
            let statement = &part[statement.span];
            session.batch(&Sql::from_user(statement)).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
    }
    let read = async |table: &str| -> Vec<(String, u64)> {
        let query = Sql::from_user(format!(
            "SELECT object, at::text FROM notes.{table} WHERE object NOT LIKE 'notes.%' ORDER BY at"
        ));
        let rows = session.query(&query, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get::<_, String>(1).parse().unwrap())).collect()
    };
    let gone = read("gone").await.into_iter().collect();
    let mut made: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (object, at) in read("made").await {
        made.entry(object).or_default().push(at);
    }
    Seen { gone, made }
}

pub(crate) async fn online(old: &str, new: &str) -> (Plan, Plan) {
    let options = confiture::schema_diff::DiffOptions { online: true, ..Default::default() };
    let found = oracle::differ_with(shared_server().await, old, new, &options).await.unwrap();
    (found.up, found.down)
}

const OLD: &str = "
    CREATE TABLE users (id int PRIMARY KEY, tenant int NOT NULL, qty int);
    CREATE VIEW v AS SELECT id, qty FROM users;
    CREATE INDEX slow ON users (tenant);
    ALTER TABLE users ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON users USING (true);
    CREATE POLICY own ON users AS RESTRICTIVE USING (tenant = current_setting('app.tenant')::int);
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
    CREATE TRIGGER audit BEFORE UPDATE OF tenant ON users FOR EACH ROW WHEN (new.tenant IS NOT NULL) EXECUTE FUNCTION audit();
    CREATE FUNCTION sec() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION sec() FROM PUBLIC;
    CREATE TABLE posts (id int GENERATED ALWAYS AS IDENTITY, n int);
    CREATE TABLE notes_of (id int, user_id int REFERENCES users);";

const NEW: &str = "
    CREATE TABLE users (id int PRIMARY KEY, tenant bigint NOT NULL, qty bigint CHECK (qty > 0));
    CREATE VIEW v AS SELECT id, qty FROM users;
    CREATE INDEX fast ON users (qty);
    ALTER TABLE users ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON users USING (true);
    CREATE POLICY own ON users AS RESTRICTIVE USING (tenant = current_setting('app.tenant')::int);
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
    CREATE TRIGGER audit BEFORE UPDATE OF tenant ON users FOR EACH ROW WHEN (new.tenant IS NOT NULL) EXECUTE FUNCTION audit();
    CREATE FUNCTION sec() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::bigint';
    REVOKE EXECUTE ON FUNCTION sec() FROM PUBLIC;
    CREATE TABLE posts (id int GENERATED ALWAYS AS IDENTITY, n int) PARTITION BY HASH (id);
    CREATE TABLE posts_0 PARTITION OF posts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE TABLE notes_of (id int, user_id int REFERENCES users ON DELETE CASCADE);";

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_is_never_away() {
    let (up, down) = online(OLD, NEW).await;
    for (plan, old) in [(&up, OLD), (&down, NEW)] {
        let text = render(plan, &[]);
        assert!(text.contains(" INDEX CONCURRENTLY ") && text.contains(" VALIDATE CONSTRAINT "), "{text}");
        let seen = run(old, plan).await;
        for object in ["public.v", "own on public.users", "audit on public.users", "public.sec()"] {
            let gone = seen.gone.get(object).unwrap_or_else(|| panic!("{object} did not go\n{text}"));
            assert_eq!(seen.made[object].first(), Some(gone), "{object}\n{text}");
            // With its owner and privileges.
            assert!(seen.made[object].iter().all(|at| at == gone), "{object}\n{text}");
        }
        let foreign_key = "notes_of_user_id_fkey on public.notes_of";
        assert_eq!(seen.made["public.notes_of"].first(), seen.gone.get(foreign_key), "{text}");
        // The new table has the old one's place and rows at once.
        let aside = seen.gone.iter().find(|(object, _)| object.contains("posts__"));
        let (_, gone) = aside.unwrap_or_else(|| panic!("posts is not set aside\n{text}"));
        assert!(seen.made["public.posts"].contains(gone), "{text}");
        let builds = text.find("CREATE INDEX CONCURRENTLY").unwrap();
        let last = text.rfind("\nCOMMIT;").unwrap();
        assert!(builds > last, "the index is built while others wait\n{text}");
    }
}

/// A label that the plan adds and uses is committed first.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_label_does_not_take_others_apart() {
    let old = "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (a int, b e); CREATE VIEW v AS SELECT a FROM t;";
    let new = "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE t (a bigint, b e CHECK (b <> 'b')); CREATE VIEW v AS SELECT a FROM t;";
    let (up, _) = online(old, new).await;
    let seen = run(old, &up).await;
    assert_eq!(seen.made["public.v"], [seen.gone["public.v"]]);
}

/// A parent takes no child whose check is not validated; one that is made after all have joined is validated at the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_validated_before_its_table_joins_a_parent() {
    let with = |key: &str, other: &str| {
        format!(
            "CREATE TYPE quick AS ENUM ('a', 'b');
            CREATE TYPE slow AS ENUM ('a', 'b');
            CREATE TABLE p (id int NOT NULL, s {key} NOT NULL, CONSTRAINT known CHECK (s <> 'a' OR id > 0)) PARTITION BY LIST (s);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('a');
            {other}"
        )
    };
    let (old, new) = (
        with("quick", "CREATE TABLE apart (a int);"),
        with("slow", "CREATE TABLE apart (a int CHECK (a > 0));"),
    );
    let (up, down) = online(&old, &new).await;
    let text = render(&up, &[]);
    assert!(text.contains(" VALIDATE CONSTRAINT apart_a_check"), "{text}");
    run(&old, &up).await;
    run(&new, &down).await;
}

/// Where an index or a key is another one, the new one stands before the old one goes, and nobody waits until it does.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_the_place_of_an_index_is_built_first() {
    let with = |index: &str, unique: &str, key: &str, primary: &str| {
        format!(
            "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c text NOT NULL, PRIMARY KEY ({primary}), CONSTRAINT k UNIQUE ({key}));
            CREATE INDEX i ON t ({index});
            CREATE UNIQUE INDEX \"Ü ON x\" ON t ({unique});
            COMMENT ON INDEX i IS '{index}';
            COMMENT ON CONSTRAINT k ON t IS '{key}';"
        )
    };
    let (old, new) = (with("a", "a", "b", "a"), with("a DESC, (b + 1)", "a, b", "b, c", "a, b"));
    let (up, down) = online(&old, &new).await;
    for (plan, old) in [(&up, old), (&down, new)] {
        let text = render(plan, &[]);
        assert!(!text.contains("BEGIN;"), "{text}");
        for (builds, goes) in [
            ("CREATE INDEX CONCURRENTLY i__new ", "DROP INDEX CONCURRENTLY public.i;"),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY \"Ü ON x__new\" ",
                "DROP INDEX CONCURRENTLY public.\"Ü ON x\";",
            ),
            ("INDEX CONCURRENTLY k__new ", "DROP CONSTRAINT k, ADD CONSTRAINT k UNIQUE USING INDEX k__new;"),
            ("INDEX CONCURRENTLY t_pkey__new ", "DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey PRIMARY KEY "),
        ] {
            let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}\n{text}"));
            assert!(place(builds) < place(goes), "{text}");
        }
        run(&old, plan).await;
    }
}

/// So it is where the new one has another name, or one of them is a key and the other an index.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_when_others_are_there() {
    let table = "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c text);";
    let old = format!(
        "{table} ALTER TABLE t ADD CONSTRAINT k UNIQUE (b), ADD CONSTRAINT t_a_key UNIQUE (a); CREATE INDEX i ON t (c);
        CREATE UNIQUE INDEX x ON t (a, b) WHERE c = 'x'; COMMENT ON CONSTRAINT k ON t IS 'k';"
    );
    let new = format!(
        "{table} CREATE UNIQUE INDEX k ON t (b); CREATE UNIQUE INDEX \"Ü\" ON t (a); CREATE INDEX j ON t (c, a);
        ALTER TABLE t ADD CONSTRAINT x UNIQUE (b, a); COMMENT ON INDEX k IS 'i';"
    );
    let (up, down) = online(&old, &new).await;
    let there: &[(&str, &str)] = &[
        ("CREATE UNIQUE INDEX CONCURRENTLY k__new ", "DROP CONSTRAINT k;"),
        ("DROP CONSTRAINT k;", "ALTER INDEX public.k__new RENAME TO k;"),
        ("CREATE UNIQUE INDEX CONCURRENTLY \"Ü\" ", "DROP CONSTRAINT t_a_key;"),
        ("CREATE INDEX CONCURRENTLY j ", "DROP INDEX CONCURRENTLY public.i;"),
        ("CREATE UNIQUE INDEX CONCURRENTLY x__new ", "DROP INDEX CONCURRENTLY public.x;"),
        ("DROP INDEX CONCURRENTLY public.x;", "ADD CONSTRAINT x UNIQUE USING INDEX x__new;"),
    ];
    let back: &[(&str, &str)] = &[
        ("CREATE UNIQUE INDEX CONCURRENTLY k__new ", "DROP INDEX CONCURRENTLY public.k;"),
        ("DROP INDEX CONCURRENTLY public.k;", "ADD CONSTRAINT k UNIQUE USING INDEX k__new;"),
        ("ADD CONSTRAINT t_a_key UNIQUE USING INDEX \"Ü\";", "DROP INDEX CONCURRENTLY public.j;"),
        ("CREATE INDEX CONCURRENTLY i ", "DROP INDEX CONCURRENTLY public.j;"),
        ("CREATE UNIQUE INDEX CONCURRENTLY x__new ", "DROP CONSTRAINT x;"),
    ];
    for (plan, old, order) in [(&up, old, there), (&down, new, back)] {
        let text = render(plan, &[]);
        for (first, second) in order {
            let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}\n{text}"));
            assert!(place(first) < place(second), "{text}");
        }
        run(&old, plan).await;
    }
}

/// What tells replication its rows, or what another table refers to, is not taken away outside of a transaction; what takes its place is built before.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_stand_on_goes_and_comes_at_once() {
    let with = |columns: &str| {
        format!(
            "CREATE TABLE t (a int NOT NULL, b int NOT NULL);
            CREATE UNIQUE INDEX i ON t ({columns});
            ALTER TABLE t REPLICA IDENTITY USING INDEX i;
            CREATE TABLE r (a int NOT NULL, b int NOT NULL, CONSTRAINT k UNIQUE ({columns}));
            CREATE TABLE f (a int, b int, FOREIGN KEY ({columns}) REFERENCES r ({columns}));"
        )
    };
    let (old, new) = (with("a"), with("a, b"));
    let (up, down) = online(&old, &new).await;
    for (plan, old) in [(&up, old), (&down, new)] {
        let text = render(plan, &[]);
        let parts: Vec<(&str, &str)> =
            text.split("BEGIN;").filter_map(|part| part.split_once("COMMIT;")).collect();
        let outside =
            text.split("BEGIN;").map(|part| part.split_once("COMMIT;").map_or(part, |(_, then)| then));
        assert!(!outside.collect::<String>().contains("DROP "), "{text}");
        assert!(
            parts.len() == 2 && parts.iter().all(|(together, _)| !together.contains("CONCURRENTLY")),
            "{text}"
        );
        assert!(parts.iter().any(|(together, _)| together.matches("FOREIGN KEY ").count() == 1), "{text}");
        run(&old, plan).await;
    }
}

/// While something is away, only what belongs to it is done.
#[tokio::test(flavor = "multi_thread")]
async fn other_work_is_not_done_while_something_is_away() {
    let old = "CREATE TABLE a (id int PRIMARY KEY, x int NOT NULL);
        CREATE TABLE b (n int, m int);
        CREATE TABLE c (k int);
        CREATE VIEW v AS SELECT k FROM c;";
    let new = "CREATE TABLE a (x int PRIMARY KEY);
        CREATE TABLE b (n bigint, m int NOT NULL, l int);
        CREATE TABLE c (k bigint);
        CREATE VIEW v AS SELECT k FROM c;
        CREATE TABLE come (id int);";
    let (up, down) = online(old, new).await;
    for (plan, old) in [(&up, old), (&down, new)] {
        let text = render(plan, &[]);
        let together: Vec<&str> =
            text.split("BEGIN;").skip(1).filter_map(|part| Some(part.split_once("COMMIT;")?.0)).collect();
        assert!(!together.is_empty(), "{text}");
        for part in together {
            let tables = ["a", "b", "c", "come"].into_iter();
            let tables: Vec<&str> = tables.filter(|name| part.contains(&format!(" public.{name}"))).collect();
            assert!(tables == ["a"] || tables == ["c"], "{tables:?} in {text}");
        }
        run(old, plan).await;
    }
}

/// A unique index becomes the key that it will do for, and what refers to it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_becomes_the_key() {
    let table = "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int);";
    let old = format!(
        "{table} CREATE UNIQUE INDEX t_b_key ON t (b); CREATE UNIQUE INDEX \"Ü ON x\" ON t (a) INCLUDE (c);
        CREATE UNIQUE INDEX stays ON t (c) WHERE a > 0; CREATE TABLE f (b int REFERENCES t (b));"
    );
    let new = format!(
        "{table} ALTER TABLE t ADD PRIMARY KEY (a) INCLUDE (c), ADD UNIQUE (b), ADD CONSTRAINT k UNIQUE (c);
        COMMENT ON CONSTRAINT t_b_key ON t IS 'of b'; CREATE UNIQUE INDEX stays ON t (c) WHERE a > 0;
        CREATE TABLE f (b int REFERENCES t (b));"
    );
    let (up, down) = online(&old, &new).await;
    let text = render(&up, &[]);
    assert!(!text.contains("DROP ") && text.matches("CREATE ").count() == 1, "{text}");
    assert!(text.contains("ADD CONSTRAINT t_pkey PRIMARY KEY USING INDEX \"Ü ON x\";"), "{text}");
    run(&old, &up).await;
    run(&new, &down).await;
}

/// A plan that rows stop has lost none of them: what takes rows and values along goes when all else is done.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_goes_last() {
    let old = "CREATE TYPE mood AS ENUM ('ok');
        CREATE TABLE t (id int, gone text NOT NULL, m mood);
        CREATE TABLE \"Übrig\" (x int REFERENCES \"Übrig\" (x), UNIQUE (x));
        CREATE SEQUENCE counted;";
    let new = "CREATE TABLE t (id int NOT NULL, come bigint UNIQUE);";
    let (up, _) = online(old, new).await;
    let text = render(&up, &[]);
    assert_eq!(text.matches("data loss").count(), 4, "{text}");
    let server = shared_server().await;
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&oracle::connection(server, database.name())).await.unwrap();
    session.batch(&Sql::from_user(old)).await.unwrap();
    let rows = "INSERT INTO t VALUES (NULL, 'kept', 'ok'); INSERT INTO \"Übrig\" VALUES (7); SELECT nextval('counted');";
    session.batch(&Sql::literal(rows)).await.unwrap();
    let mut stopped = None;
    for statement in split(Script::new("up.sql", &text)).unwrap().statements {
        if let Err(error) = session.batch(&Sql::from_user(&text[statement.span])).await {
            stopped = Some(error.to_string());
            break;
        }
    }
    assert!(stopped.is_some_and(|error| error.contains("is violated by some row")), "{text}");
    let left = "SELECT gone || m || x || last_value FROM t, \"Übrig\", counted";
    let left: String = session.query_one(&Sql::literal(left), &[]).await.unwrap().get(0);
    assert_eq!(left, "keptok71", "{text}");
}
