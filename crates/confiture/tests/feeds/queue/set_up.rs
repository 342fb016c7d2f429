//! Captures made, found broken, mended and removed; by whom, and who is in the way.

use std::time::{Duration, Instant};

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::postgres::feed::queue::{LockPatience, gaps, obstacles, set_up, set_up_statements, tear_down};

use super::source::{Source, connection_as, patience, raw, session_of};

const TWO: &str = "
CREATE TABLE t (id bigint PRIMARY KEY, v int DEFAULT 0); INSERT INTO t SELECT generate_series(1, 20);
CREATE TABLE u (id int, part text, v int, PRIMARY KEY (id, part));
CREATE TABLE p (id bigint PRIMARY KEY, v int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);";

const KEYS: &[(&str, &[&str])] = &[("t", &["id"]), ("u", &["id", "part"]), ("p", &["id"])];

async fn tear_down_all(source: &Source) {
    tear_down(&source.session, None, patience(), &Execution::unattended()).await.unwrap();
}

#[tokio::test]
async fn what_is_captured_stays_as_it_is() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    assert_eq!(source.set_up().await.len(), 3);
    source.run("UPDATE t SET v = 1 WHERE id = 1").await;
    assert!(source.set_up().await.is_empty());
    assert!(set_up_statements(&source.session, &source.tables).await.unwrap().is_empty());
    let mut feed = source.open(None).await;
    assert_eq!(source.next(&mut feed).await, "1");
}

#[tokio::test]
async fn the_statements_that_are_shown_do_it() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    source.run("BEGIN").await;
    for statement in set_up_statements(&source.session, &source.tables).await.unwrap() {
        source.session.batch(&statement).await.unwrap();
    }
    source.run("COMMIT").await;
    assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);
}

/// Not even for looking whether the schema is empty: who writes to another table holds that one's queue.
#[tokio::test]
async fn removing_one_waits_for_nobody_who_writes_to_another() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    source.set_up().await;
    let writer = session_of(&source.database).await;
    writer.batch(&raw("BEGIN; INSERT INTO u VALUES (1, 'a', 1)")).await.unwrap();
    let (one, execution) = ([source.tables[0].oid], Execution::unattended());
    let removed = tear_down(&source.session, Some(&one), patience(), &execution);
    tokio::time::timeout(Duration::from_secs(10), removed).await.expect("it waits").unwrap();
    writer.batch(&raw("COMMIT")).await.unwrap();
}

#[tokio::test]
async fn nothing_of_it_is_left_and_everything_else_is() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    let before = source.database.schema("");
    source.set_up().await;
    assert_ne!(source.database.schema(""), before);
    tear_down_all(&source).await;
    assert_eq!(source.database.schema(""), before);
    tear_down_all(&source).await;
    source.run("UPDATE t SET v = 1; INSERT INTO p VALUES (1)").await;

    let theirs = "CREATE SCHEMA confiture; CREATE TABLE confiture.queue_for_mail (); CREATE SEQUENCE confiture.queue_1_x;
                  CREATE FUNCTION confiture.capture_9() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    source.run(theirs).await;
    let before = source.database.schema("");
    source.set_up().await;
    // One alone, and a table that is gone.
    let oid = source.tables[0].oid;
    tear_down(&source.session, Some(&[oid]), patience(), &Execution::unattended()).await.unwrap();
    assert_eq!(gaps(&source.session, &source.tables[1..]).await.unwrap(), []);
    tear_down_all(&source).await;
    assert_eq!(source.database.schema(""), before);
    source.set_up().await;
    source.run("DROP TABLE t").await;
    tear_down_all(&source).await;
    assert_eq!(
        source.text("SELECT count(*)::text FROM pg_class WHERE relname ~ '^queue_[0-9]+_[01]$'").await,
        "0"
    );
}

#[tokio::test]
async fn a_capture_that_somebody_broke_is_noticed_and_mended() {
    let source = Source::capturing(TWO, KEYS).await;
    let (t, p) = (source.tables[0].oid, source.tables[2].oid);
    for (script, table, said) in [
        (format!("ALTER TABLE t DISABLE TRIGGER confiture_capture_update_{t}"), 0, "is disabled"),
        ("ALTER TABLE t DISABLE TRIGGER ALL".to_owned(), 0, "is disabled"),
        ("ALTER TABLE t DISABLE TRIGGER USER".to_owned(), 0, "is disabled"),
        (format!("ALTER TABLE t ENABLE REPLICA TRIGGER confiture_capture_insert_{t}"), 0, "does not fire"),
        (format!("ALTER TABLE t ENABLE TRIGGER confiture_capture_key_{t}"), 0, "does not fire"),
        (format!("DROP TRIGGER confiture_capture_delete_{t} ON t"), 0, "is gone"),
        (format!("DROP FUNCTION confiture.capture_{t}() CASCADE"), 0, "is gone"),
        (
            format!(
                "CREATE OR REPLACE FUNCTION confiture.capture_{t}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            ),
            0,
            "was changed",
        ),
        (format!("ALTER FUNCTION confiture.capture_{t}_truncate() SECURITY INVOKER"), 0, "was changed"),
        (format!("DROP TABLE confiture.queue_{t}_1"), 0, "is gone"),
        (format!("DROP SEQUENCE confiture.queue_{t}_segment"), 0, "is gone"),
        (format!("ALTER TABLE p1 DISABLE TRIGGER confiture_capture_row_{p}"), 2, "is disabled"),
        (format!("DROP TRIGGER confiture_capture_truncate_{p} ON p1"), 2, "is gone"),
    ] {
        source.run(&script).await;
        let found = gaps(&source.session, &source.tables).await.unwrap();
        assert!(
            !found.is_empty() && found.iter().all(|gap| gap.table == source.tables[table].name),
            "{script}: {found:?}"
        );
        assert!(found.iter().any(|gap| gap.message.contains(said)), "{script}: {found:?}");
        assert_eq!(source.set_up().await, [source.tables[table].name.clone()], "{script}");
        assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), [], "{script}");
        let changes = source.changes(&mut source.open(None).await).await;
        assert_eq!(source.shown(&changes, table).await, "whole", "what was missed: {script}");
    }
    let mut feed = source.open(None).await;
    source.next(&mut feed).await;
    source.run("UPDATE t SET v = 8 WHERE id = 8").await;
    assert_eq!(source.next(&mut feed).await, "8");
}

#[tokio::test]
async fn another_key_makes_another_queue() {
    let mut source = Source::capturing(TWO, KEYS).await;
    source
        .run("ALTER TABLE t ADD COLUMN name text NOT NULL DEFAULT gen_random_uuid(), ADD UNIQUE (name)")
        .await;
    source.describe(&[("t", &["name"]), KEYS[1], KEYS[2]]).await;
    let found = gaps(&source.session, &source.tables).await.unwrap();
    assert!(found.iter().any(|gap| gap.message.contains("the key of")), "{found:?}");
    source.set_up().await;
    let mut feed = source.open(None).await;
    assert_eq!(source.next(&mut feed).await, "whole");
    source.run("UPDATE t SET name = 'me' WHERE id = 1; UPDATE t SET v = 2 WHERE id = 1").await;
    assert!(source.next(&mut feed).await.split(' ').any(|key| key == "me"));
}

#[tokio::test]
async fn partitions_that_come_and_go_are_noticed() {
    let mut source = Source::capturing(TWO, KEYS).await;
    source
        .run("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200); INSERT INTO p VALUES (1), (101)")
        .await;
    let changes = source.changes(&mut source.open(None).await).await;
    assert_eq!(source.shown(&changes, 2).await, "1 101", "its rows at least are captured");
    let found = gaps(&source.session, &source.tables).await.unwrap();
    assert!(found[0].message.contains("p2 has become a partition of"), "{found:?}");
    source.describe(KEYS).await;
    assert_eq!(source.set_up().await.len(), 1);
    source.run("TRUNCATE p2; ALTER TABLE p DETACH PARTITION p2").await;
    let found = gaps(&source.session, &source.tables).await.unwrap();
    assert!(found[0].message.contains("p2 is no longer a partition of"), "{found:?}");
    source.describe(KEYS).await;
    assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);
}

#[tokio::test]
async fn whoever_writes_for_long_is_named_and_nobody_waits_behind() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    let (holder, application) = tokio::join!(session_of(&source.database), session_of(&source.database));
    holder.batch(&raw("BEGIN; INSERT INTO u VALUES (1, 'a', 1)")).await.unwrap();
    let started = Instant::now();
    let execution = Execution::unattended();
    let error = set_up(&source.session, &source.tables, patience(), &execution).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!((error.kind(), error.sqlstate_code()), (ErrorKind::Server, Some("55P03")), "{error:?}");
    assert!(error.message().contains(&format!("pid {} ", holder.backend_pid())), "{error:?}");
    assert!(error.message().contains("public.u"), "{error:?}");
    let waiting = "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'u'::regclass";
    assert_eq!(source.text(waiting).await, "0");
    application.batch(&raw("SET lock_timeout = 1; INSERT INTO u VALUES (2, 'b', 1)")).await.unwrap();
    let half = gaps(&source.session, &source.tables[..1]).await.unwrap();
    assert_eq!(half, [], "the table before it is captured");
    holder.batch(&raw("COMMIT")).await.unwrap();
    assert_eq!(source.set_up().await.len(), 2, "the rest");
    assert_eq!(gaps(&source.session, &source.tables).await.unwrap(), []);

    holder.batch(&raw("BEGIN; SELECT FROM u")).await.unwrap();
    let error = tear_down(&source.session, None, patience(), &execution).await.unwrap_err();
    assert!(error.message().contains(&format!("pid {} ", holder.backend_pid())), "{error:?}");
    holder.batch(&raw("COMMIT")).await.unwrap();
    tear_down_all(&source).await;
}

#[tokio::test]
async fn a_lock_that_is_let_go_is_waited_for() {
    let mut source = Source::new(TWO).await;
    source.describe(KEYS).await;
    let holder = session_of(&source.database).await;
    holder.batch(&raw("BEGIN; INSERT INTO u VALUES (1, 'a', 1)")).await.unwrap();
    let patience = LockPatience { timeout: Duration::from_millis(50), total: Duration::from_secs(60) };
    let execution = Execution::unattended();
    let (made, ()) = tokio::join!(set_up(&source.session, &source.tables, patience, &execution), async {
        let waits = "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'u'::regclass";
        let watcher = session_of(&source.database).await;
        while watcher.query_one(&raw(waits), &[]).await.unwrap().get::<_, &str>(0) == "0" {}
        holder.batch(&raw("COMMIT")).await.unwrap();
    });
    assert_eq!(made.unwrap().len(), 3);
}

/// Roles are the server's, so they are named after the test's database, and go with it.
struct Roles {
    source: Source,
    owner: String,
    application: String,
}

impl Roles {
    async fn new() -> Self {
        let mut source = Source::new(TWO).await;
        let (owner, application) =
            (format!("{}_o", source.database.name()), format!("{}_a", source.database.name()));
        source
            .run(&format!(
                "CREATE ROLE {owner} LOGIN; CREATE ROLE {application} LOGIN;
                 ALTER TABLE t OWNER TO {owner}; ALTER TABLE u OWNER TO {owner}; ALTER TABLE p OWNER TO {owner};
                 ALTER TABLE p1 OWNER TO {owner};
                 GRANT SELECT, INSERT, UPDATE, DELETE ON t, u, p TO {application};
                 GRANT CREATE ON DATABASE {} TO {owner}",
                source.database.name()
            ))
            .await;
        source.describe(KEYS).await;
        Self { source, owner, application }
    }

    async fn as_role(&self, role: &str) -> Session {
        Session::connect(&connection_as(&self.source.database, role)).await.unwrap()
    }

    async fn drop(self) {
        for role in [&self.owner, &self.application] {
            self.source.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
        }
    }
}

#[tokio::test]
async fn the_owner_captures_and_the_application_needs_nothing_more() {
    let roles = Roles::new().await;
    let (owner, application) = (roles.as_role(&roles.owner).await, roles.as_role(&roles.application).await);
    let tables = &roles.source.tables;
    let found = obstacles(&owner, tables).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    set_up(&owner, tables, patience(), &Execution::unattended()).await.unwrap();
    assert_eq!(gaps(&owner, tables).await.unwrap(), []);
    // Settings that would lead names astray, if there were any that are not qualified.
    roles.source.run("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC").await;
    application
        .batch(&raw("
            CREATE FUNCTION evil.pg_sequence_last_value(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT 1/0';
            CREATE FUNCTION evil.no(bigint, integer) RETURNS boolean LANGUAGE sql AS 'SELECT (1/0)::boolean';
            CREATE OPERATOR evil.= (FUNCTION = evil.no, LEFTARG = bigint, RIGHTARG = integer);
            CREATE TEMPORARY TABLE changed (id bigint, part text); INSERT INTO changed VALUES (999, 'x');
            CREATE TABLE evil.changed (id text);
            SET search_path = evil, pg_temp, pg_catalog, public;
            SET row_security = off; SET plpgsql.variable_conflict = 'error'; SET check_function_bodies = off;
            INSERT INTO public.t VALUES (30); UPDATE public.t SET v = 1 WHERE id OPERATOR(pg_catalog.=) 1; UPDATE public.t SET id = 300 WHERE id OPERATOR(pg_catalog.=) 3;
            DELETE FROM public.t WHERE id OPERATOR(pg_catalog.=) 2; INSERT INTO public.u VALUES (1, 'a', 1); INSERT INTO public.p VALUES (5)"))
        .await
        .unwrap();
    let changes = roles.source.changes(&mut roles.source.open(None).await).await;
    assert_eq!(roles.source.shown(&changes, 0).await, "1 2 3 30 300");
    assert_eq!(roles.source.shown(&changes, 1).await, "1,a");
    assert_eq!(roles.source.shown(&changes, 2).await, "5");
    // Nor can it write what is no key.
    let t = tables[0].oid;
    for script in [
        format!("INSERT INTO confiture.queue_{t}_0 VALUES (1)"),
        format!(
            "CREATE TABLE evil.mine (id bigint); CREATE TRIGGER x AFTER INSERT ON evil.mine REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION confiture.capture_{t}()"
        ),
    ] {
        let error = application.batch(&raw(&script)).await.unwrap_err();
        assert_eq!(error.sqlstate_code(), Some("42501"), "{error:?}");
    }
    tear_down(&owner, None, patience(), &Execution::unattended()).await.unwrap();
    roles.drop().await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_first() {
    let roles = Roles::new().await;
    let application = roles.as_role(&roles.application).await;
    let found = obstacles(&application, &roles.source.tables[..1]).await.unwrap();
    let said = format!("{found:?}");
    assert!(found.iter().all(|obstacle| obstacle.fatal), "{said}");
    assert!(
        said.contains("may not make the schema confiture") && said.contains("does not own public.t"),
        "{said}"
    );
    roles.source.run("CREATE SCHEMA confiture").await;
    let said = format!("{:?}", obstacles(&application, &roles.source.tables[..1]).await.unwrap());
    assert!(said.contains("GRANT USAGE, CREATE ON SCHEMA confiture TO"), "{said}");
    let execution = Execution::unattended();
    let error = set_up(&application, &roles.source.tables[..1], patience(), &execution).await.unwrap_err();
    assert_eq!(error.sqlstate_code(), Some("42501"), "{error:?}");
    assert_eq!(
        roles.source.text("SELECT count(*)::text FROM pg_locks WHERE relation = 't'::regclass").await,
        "0"
    );
    roles.drop().await;
}

#[tokio::test]
async fn relations_that_cannot_be_captured_are_refused() {
    let mut source = Source::new(
        "CREATE VIEW v AS SELECT 1 AS id; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;
         CREATE TABLE parent (id bigint PRIMARY KEY); CREATE TABLE child () INHERITS (parent);
         CREATE UNLOGGED TABLE fine (id bigint PRIMARY KEY)",
    )
    .await;
    for (name, said) in
        [("v", "is a view"), ("m", "is a materialized view"), ("parent", "tables inherit from")]
    {
        source.describe(&[(name, &["id"])]).await;
        let found = obstacles(&source.session, &source.tables).await.unwrap();
        assert!(found.len() == 1 && found[0].fatal && found[0].message.contains(said), "{found:?}");
    }
    source.describe(&[("fine", &["id"])]).await;
    assert!(obstacles(&source.session, &source.tables).await.unwrap().is_empty());
    source.run("CREATE PUBLICATION everything FOR ALL TABLES").await;
    let found = obstacles(&source.session, &source.tables).await.unwrap();
    assert!(found.len() == 1 && found[0].fatal && found[0].message.contains("FOR ALL TABLES"), "{found:?}");
}
