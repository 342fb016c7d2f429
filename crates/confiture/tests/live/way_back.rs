//! The way back: derived from a plan, and gone by a follower that leaves alone what the mapping does not speak of.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::{
    Capture, FeedKind, Migration, Options, ReverseMapping, Severity, clean_up,
};
use confiture::sql::Identifier;
use local_postgres::testing::Database;

use crate::oracle::Same;
use crate::running::{Running, assert_exact};
use crate::world::{World, assert_same, connection, psql};

const PATIENCE: Duration = Duration::from_secs(30);

/// The old side. Whatever is written to it by the application alone would be noticed by its trigger.
const OLD: &str = "
CREATE SCHEMA legacy;
CREATE TABLE legacy.users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(60) UNIQUE, full_name text NOT NULL, age int,
    bio text, deleted_at timestamptz, rank int NOT NULL DEFAULT 7, secret text, upper_name text GENERATED ALWAYS AS (upper(full_name)) STORED);
CREATE TABLE legacy.orders (
    id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES legacy.users ON DELETE CASCADE, cents int NOT NULL, note text);
INSERT INTO legacy.users (email, full_name, age, bio, deleted_at, rank, secret)
    SELECT 'u' || i || '@x', 'First' || i || ' Last' || i, i % 90, CASE WHEN i % 3 = 0 THEN 'bio ' || i END,
        CASE WHEN i % 10 = 0 THEN timestamptz '2020-01-01' END, i, 'secret ' || i
    FROM generate_series(1, 500) i;
INSERT INTO legacy.orders SELECT i, 1 + (i * 7) % 500, i, 'note ' || i FROM generate_series(1, 1000) i WHERE (1 + (i * 7) % 500) % 10 <> 0;
CREATE FUNCTION legacy.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the application is not here any more'; END $$;
CREATE TRIGGER refuse AFTER INSERT OR UPDATE OR DELETE ON legacy.users FOR EACH ROW EXECUTE FUNCTION legacy.refuse();
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (
    id bigint PRIMARY KEY, email text UNIQUE, first_name text NOT NULL, last_name text NOT NULL, age bigint,
    deleted_at timestamptz, avatar text);
CREATE TABLE app.bios (user_id bigint PRIMARY KEY REFERENCES app.people ON DELETE CASCADE, bio text NOT NULL);
CREATE TABLE app.orders (id bigint PRIMARY KEY, person bigint NOT NULL REFERENCES app.people ON DELETE CASCADE, cents int NOT NULL);";

const MAPPING: &str = "
tables:
  app.people:
    from: legacy.users u
    where: u.deleted_at is null
    columns:
      first_name: split_part(u.full_name, ' ', 1)
      last_name: split_part(u.full_name, ' ', 2)
    reverse:
      full_name: first_name || ' ' || last_name
  app.bios:
    from: legacy.users u
    where: u.deleted_at is null and u.bio is not null
    columns: { user_id: u.id, bio: u.bio }
  app.orders:
    from: legacy.orders o
    columns: { person: o.user_id }
";

/// What both sides must have alike, of the rows that were moved; `excluded` are those that the mapping left out.
fn same() -> Vec<Same> {
    let same = |given: &str, held: &str| Same { given: given.into(), held: held.into() };
    vec![
        same(
            "SELECT id, email, first_name || ' ' || last_name, age, bio, deleted_at, upper(first_name || ' ' || last_name)
             FROM app.people LEFT JOIN app.bios ON user_id = id",
            "SELECT id, email, full_name, age, bio, deleted_at, upper_name FROM legacy.users WHERE id > 500 OR id % 10 <> 0",
        ),
        same("SELECT id, person, cents FROM app.orders", "SELECT id, user_id, cents FROM legacy.orders"),
    ]
}

/// Both sides after the way there, whose records are gone.
struct Moved {
    /// The new side; the old one too, where both are one database. The way back begins here.
    world: World,
    there: Options,
}

impl Moved {
    async fn new(local: bool) -> Self {
        let world = match local {
            true => World::new(&format!("{OLD}{NEW}"), "").await,
            false => World::new(NEW, OLD).await,
        };
        let there = Self::options(&world, local, MAPPING).await;
        world.migrate(there.clone()).await.unwrap();
        let foreign = Identifier::new("old_schema");
        clean_up(
            Some(&there.source),
            &there.target,
            &foreign,
            confiture::schema_to_schema::Cleaning::default(),
            &Execution::unattended(),
        )
        .await
        .unwrap();
        Self { world, there }
    }

    async fn options(world: &World, local: bool, mapping: &str) -> Options {
        let mapped = world.options(mapping).await;
        let (new, old) = (connection(&world.old), connection(&world.new));
        Options { source: if local { new.clone() } else { old }, target: new, ..mapped }
    }

    fn old(&self) -> &Database<'static> {
        if self.there.source.database == self.there.target.database {
            &self.world.old
        } else {
            &self.world.new
        }
    }

    fn new_side(&self) -> &Database<'static> {
        &self.world.old
    }

    async fn reversed(&self) -> ReverseMapping {
        reversed(&self.there).await
    }
}

async fn reversed(there: &Options) -> ReverseMapping {
    Migration::plan(there.clone(), &Execution::unattended()).await.unwrap().reversed()
}

/// Rows that the mapping left out, and what of the others it does not write: none of it ever changes.
async fn untouched(old: &Database<'_>) -> String {
    psql(
        old,
        "SELECT md5(string_agg(u::text, ' ' ORDER BY id)) FROM legacy.users u WHERE id <= 500 AND id % 10 = 0;
         SELECT count(*), bool_and(rank = id AND secret = 'secret ' || id) FROM legacy.users WHERE id <= 500 AND id NOT IN (7, 77);
         SELECT count(*), bool_and(note = 'note ' || id) FROM legacy.orders WHERE id <= 1000",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_casts_splits_and_what_is_written_come_back() {
    let moved = Moved::new(false).await;
    let reverse = moved.reversed().await;
    assert!(reverse.is_possible() && reverse.is_lossless(), "{:#?}", reverse.findings);
    insta::assert_snapshot!(reverse.mapping.render(), @"
    others: ignore                 # tables that are not named here are not migrated

    tables:
      legacy.users:
        from: app.people
        columns:
          id: id
          email: email
          full_name: first_name || ' ' || last_name
          age: age
          bio: (SELECT bios.bio FROM app.bios AS bios WHERE bios.user_id = people.id)
          deleted_at: deleted_at
        unnamed: default
        depends:
          - table: app.bios
            driving: SELECT k FROM unnest($keys) AS k
      legacy.orders:
        from: app.orders
        columns:
          id: id
          user_id: person
          cents: cents
        unnamed: default
    ");
    let told: Vec<String> = reverse
        .findings
        .iter()
        .map(|found| {
            let column = found.column.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
            format!("{} {}{column}: {}", found.severity.word(), found.table.short(), found.message)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    note legacy.users.email: text holds longer texts than character varying(60): such a value stops the way back with an error, and is never altered
    note legacy.users.age: bigint holds numbers that integer does not: such a value stops the way back with an error, and is never altered
    note legacy.users.rank: only the old side has it: rows that are there keep its value, new ones take its default
    note legacy.users.secret: only the old side has it: rows that are there keep its value, new ones take its default
    note legacy.users: rows that the mapping of app.people leaves out are neither changed nor deleted; a new row with the key of one of them stops the way back
    note legacy.users: only the new side has avatar of app.people: that has no place to come back to
    note legacy.orders.note: only the old side has it: rows that are there keep its value, new ones take its default
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_queue() {
    goes_back(false, FeedKind::Queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_wal() {
    goes_back(false, FeedKind::Wal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_database() {
    goes_back(true, FeedKind::Queue).await;
}

async fn goes_back(local: bool, feed: FeedKind) {
    let moved = Moved::new(local).await;
    let (new, old) = (moved.new_side(), moved.old());
    let options = moved.reversed().await.options(&moved.there);
    let before = untouched(old).await;
    let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
    run.compared(1).await;
    psql(new, "UPDATE app.people SET first_name = 'Renamed', age = 1 WHERE id < 20;
        INSERT INTO app.people VALUES (501, 'u501@x', 'New', 'Person', 3), (502, NULL, 'Other', 'Person', NULL);
        INSERT INTO app.bios VALUES (501, 'a new bio'), (1, 'another bio');
        UPDATE app.bios SET bio = 'changed' WHERE user_id = 3; DELETE FROM app.bios WHERE user_id = 6;
        INSERT INTO app.orders VALUES (2001, 501, 5); UPDATE app.orders SET cents = -1 WHERE id = 2").await;
    run.compared(1).await;
    // Two rows exchange a value that is unique, so that both have to be deleted first.
    psql(new, "UPDATE app.people SET email = 'x' WHERE id = 21; UPDATE app.people SET email = 'u21@x' WHERE id = 22;
        UPDATE app.people SET email = 'u22@x' WHERE id = 21").await;
    run.compared(1).await;
    // A row that the condition would leave out from now on is still ours.
    psql(new, "UPDATE app.people SET deleted_at = '2030-01-01' WHERE id IN (31, 32, 502)").await;
    run.compared(1).await;
    psql(
        new,
        "UPDATE app.people SET last_name = 'Still' WHERE id = 31; DELETE FROM app.people WHERE id = 502;
        UPDATE app.people SET deleted_at = NULL WHERE id = 32",
    )
    .await;
    run.compared(1).await;
    psql(new, "DELETE FROM app.people WHERE id IN (7, 77)").await;
    run.compared(2).await;
    run.stop().await.unwrap();
    assert_exact_back(&moved, &options).await;
    let expected = psql(old, "SELECT 1 FROM legacy.users WHERE id = 7").await;
    assert_eq!(expected, "");
    // Two hundred old orders less, with their owners.
    let after = untouched(old).await;
    assert_eq!(before.lines().next(), after.lines().next(), "rows that were left out");
    assert_eq!(before.lines().nth(1), after.lines().nth(1), "columns that are not mapped");
    assert!(after.lines().nth(2).unwrap().ends_with("|t"), "{after}");
    assert_eq!(psql(old, "SELECT rank, secret FROM legacy.users WHERE id = 501").await, "7|\n");
    assert_eq!(psql(old, "SELECT count(*) FROM confiture.outside").await, "1\n");
    // All rows at once: those that are left out stay.
    let run = Running::start(&options, feed, PATIENCE, None).await;
    psql(new, "TRUNCATE app.people CASCADE; INSERT INTO app.people VALUES (600, 'only@x', 'Only', 'One', 1)")
        .await;
    run.until(|| run.said.has("planned")).await;
    run.stop().await.ok();
    assert_exact_back(&moved, &options).await;
    assert_eq!(untouched(old).await.lines().next(), before.lines().next());
    assert_eq!(psql(old, "SELECT count(*) FROM legacy.users").await, "51\n");
}

async fn assert_exact_back(moved: &Moved, options: &Options) {
    assert_exact(&moved.world, options, &same()).await;
    assert_same(
        moved.old(),
        "SELECT count(*) FROM legacy.users WHERE id <= 500 AND id % 10 = 0",
        moved.old(),
        "SELECT 50",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_to_be_equal_is_not_read_before_it_changes() {
    let moved = Moved::new(false).await;
    let (new, old) = (moved.new_side(), moved.old());
    // The way back would write it in another way; nobody has changed the row on the new side.
    psql(old, "SET session_replication_role = replica; UPDATE legacy.users SET full_name = '  First5   Last5' WHERE id = 5").await;
    let options = moved.reversed().await.options(&moved.there);
    let execution = Execution::unattended();
    let following = || confiture::schema_to_schema::Following {
        capture: Capture::Only(FeedKind::Queue),
        until: confiture::schema_to_schema::Until::CaughtUp,
        assume_equal: true,
        ..Default::default()
    };
    let plan = async || std::sync::Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
    plan().await.follow(&following(), &execution).await.unwrap();
    psql(new, "UPDATE app.people SET last_name = 'Changed' WHERE id = 4").await;
    plan().await.follow(&following(), &execution).await.unwrap();
    assert_eq!(
        psql(old, "SELECT full_name FROM legacy.users WHERE id IN (4, 5) ORDER BY id").await,
        "First4 Changed\n  First5   Last5\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_row_never_takes_the_place_of_one_that_was_left_out() {
    let moved = Moved::new(false).await;
    let (new, old) = (moved.new_side(), moved.old());
    let options = moved.reversed().await.options(&moved.there);
    let before = untouched(old).await;
    let run = Running::start(&options, FeedKind::Queue, Duration::ZERO, Some(same())).await;
    run.compared(1).await;
    // Made and deleted at once: nothing is to be written, and nothing to be deleted.
    psql(new, "INSERT INTO app.people VALUES (40, 'u@x', 'A', 'B'); DELETE FROM app.people WHERE id = 40; UPDATE app.people SET age = 5 WHERE id = 1").await;
    run.compared(2).await;
    psql(new, "INSERT INTO app.people VALUES (30, 'u@x', 'A', 'B')").await;
    let error = run.fails().await;
    assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
    assert!(error.message().contains("left alone"), "{error}");
    assert_eq!(untouched(old).await, before);
    psql(new, "UPDATE app.people SET id = 503 WHERE id = 30").await;
    assert_exact_back(&moved, &options).await;
    assert_eq!(untouched(old).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_write_past_is_said_before() {
    let moved = Moved::new(false).await;
    let role = format!("back_{}", moved.world.new.name());
    psql(moved.old(), &format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA legacy TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA legacy TO {role}; GRANT ALL ON ALL SEQUENCES IN SCHEMA legacy TO {role}; GRANT CREATE ON DATABASE {} TO {role}", moved.world.new.name())).await;
    let reverse = moved.reversed().await;
    let execution = Execution::unattended();
    let plan = async |options: &Options| {
        let there = Migration::plan(options.clone(), &execution).await.unwrap();
        there
            .plan_reverse(&reverse, &execution)
            .await
            .unwrap()
            .obstacles_of_following(Capture::Auto)
            .await
            .unwrap()
            .into_iter()
            // Transactions of other tests that are open are only told.
            .filter(|obstacle| obstacle.fatal)
            .collect::<Vec<_>>()
    };
    let found = plan(&moved.there).await;
    assert!(found.is_empty(), "{found:?}");
    let mut there = moved.there.clone();
    there.source.user = role.clone();
    let found = plan(&there).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].fatal && found[0].message.contains("may not write past that"), "{found:?}");
    let version: u32 = psql(moved.old(), "SHOW server_version_num").await.trim().parse().unwrap();
    // Before, nobody but a superuser may.
    if version >= 150_000 {
        psql(moved.old(), &format!("GRANT SET ON PARAMETER session_replication_role TO {role}")).await;
        let found = plan(&there).await;
        assert!(found.is_empty(), "{found:?}");
        psql(moved.old(), &format!("REVOKE UPDATE ON legacy.orders FROM {role}")).await;
        let found = plan(&there).await;
        assert!(found[0].hint.contains("GRANT UPDATE ON legacy.orders"), "{found:?}");
    }
    psql(moved.old(), &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    // And the new side must be able to tell what changed.
    psql(moved.new_side(), "DROP TABLE app.orders").await;
    psql(
        moved.new_side(),
        "CREATE TABLE app.orders (id bigint NOT NULL UNIQUE, person bigint NOT NULL, cents int NOT NULL)",
    )
    .await;
    let there = moved.there.clone();
    let again = Migration::plan(there, &execution).await.unwrap();
    psql(moved.new_side(), "ALTER TABLE app.orders DROP CONSTRAINT orders_id_key").await;
    let back = again.plan_reverse(&reverse, &execution).await.unwrap();
    let found = back.obstacles_of_following(Capture::Auto).await.unwrap();
    assert!(found[0].message.contains("no index of"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_back_is_named_with_its_place() {
    let old = "CREATE SCHEMA legacy;
        CREATE TABLE legacy.a (id int PRIMARY KEY, name text, price numeric(10,2), at date, kind text NOT NULL, gone text, must int NOT NULL, doc json);
        CREATE TABLE legacy.c (id int PRIMARY KEY, label text);
        CREATE TABLE legacy.k (id int PRIMARY KEY, x int);
        CREATE TABLE legacy.n (id int PRIMARY KEY, x int NOT NULL, u int UNIQUE, CHECK (x > 0));";
    let new = "CREATE SCHEMA app;
        CREATE TABLE app.a (id bigint PRIMARY KEY, title text, price numeric(12,4), at timestamptz, kind text, doc jsonb, label text, extra text);
        CREATE TABLE app.k (key text PRIMARY KEY, x int);
        CREATE TABLE app.n (id int PRIMARY KEY, x int, u int);";
    let mapping = "
tables:
  app.a:
    from: legacy.a a left join legacy.c c on c.id = a.id
    columns: { id: a.id, title: upper(a.name), price: a.price, at: a.at, kind: a.kind, doc: a.doc, label: c.label }
  app.k:
    from: legacy.k k
    columns: { key: \"'k' || k.id\", x: k.x }
  app.n: { from: legacy.n }
";
    let world = World::new(new, old).await;
    let there = Moved::options(&world, false, mapping).await;
    let reverse = reversed(&there).await;
    assert!(!reverse.is_possible() && !reverse.is_lossless());
    let told: Vec<String> = reverse
        .findings
        .iter()
        .map(|found| {
            let column = found.column.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
            let place = found.place.as_ref().map(ToString::to_string).unwrap_or_default();
            let hint = found.hint.as_deref().unwrap_or_default();
            format!(
                "{place} {} {}{column}: {}\n    {hint}",
                found.severity.word(),
                found.table.short(),
                found.message
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    mapping.yaml:5:20 note legacy.a.id: bigint holds numbers that integer does not: such a value stops the way back with an error, and is never altered
        
    mapping.yaml:5:33 loses legacy.a.name: title of app.a is made of it by an expression, which does not come back by itself
        write under `app.a`: `reverse: { name: <expression over the new columns> }`
    mapping.yaml:5:55 loses legacy.a.price: app.a.price is made of it, and coming back, PostgreSQL rounds (numeric(10,2) and numeric(12,4))
        write under `app.a`: `reverse: { price: <expression over the new columns> }`
    mapping.yaml:5:68 loses legacy.a.at: app.a.at is made of it, and no cast from timestamp with time zone back to date is known to keep every value
        write under `app.a`: `reverse: { at: <expression over the new columns> }`
    mapping.yaml:5:80 note legacy.a.kind: app.a.kind may be null, and kind may not: such a row stops the way back
        
    mapping.yaml:3:3 note legacy.a.gone: only the old side has it: rows that are there keep its value, new ones take its default
        write under `app.a`: `reverse: { gone: <expression over the new columns> }`
    mapping.yaml:3:3 blocks legacy.a.must: it is NOT NULL and has no default, and nothing gives it back, so a row that is made on the new side cannot come back
        write under `app.a`: `reverse: { must: <expression over the new columns> }`
    mapping.yaml:5:93 loses legacy.a.doc: app.a.doc is made of it, and jsonb keeps neither blanks, nor the order of keys, nor keys that are twice
        write under `app.a`: `reverse: { doc: <expression over the new columns> }`
    mapping.yaml:3:3 note legacy.a: only the new side has extra of app.a: that has no place to come back to
        
    mapping.yaml:8:22 blocks legacy.k.id: its key does not come back: key of app.k is made of it by an expression, which does not come back by itself
        write under `app.k`: `reverse: { id: <expression over NOT NULL columns> }`
    mapping.yaml:9:3 note legacy.n.x: app.n.x may be null, and x may not: such a row stops the way back
        
    mapping.yaml:9:3 note legacy.n: u is unique here, and not on the new side: two rows of one value stop the way back
        
    mapping.yaml:9:3 note legacy.n: the new side does not check n_x_check: a row that breaks it stops the way back
        
    mapping.yaml:3:3 loses legacy.c: app.a takes values of it by a join; no new table is made of its rows, so it stays as it is
        map it to a table of its own, where its rows live on the new side
    ");
    assert!(reverse.findings.iter().any(|found| found.severity == Severity::Blocks));
    // Once it is written, nothing is lost.
    let written = mapping
        .replace("label: c.label }\n", "label: c.label }\n    reverse: { name: lower(title), price: price, at: \"at::date\", doc: doc, must: \"42\" }\n")
        .replace("x: k.x }\n", "x: k.x }\n    reverse: { id: \"substr(key, 2)::int\" }\n");
    let there = Moved::options(&world, false, &written).await;
    let reverse = reversed(&there).await;
    assert!(reverse.is_possible(), "{:#?}", reverse.findings);
    let left: Vec<_> = reverse.findings.iter().filter(|found| found.severity == Severity::Loses).collect();
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!(left[0].table.short(), "legacy.c");
    let execution = Execution::unattended();
    let migration = Migration::plan(there, &execution).await.unwrap();
    migration.plan_reverse(&reverse, &execution).await.unwrap();
    // A mistake is shown where it was written.
    let wrong = written.replace("lower(title)", "lower(titel)");
    let there = Moved::options(&world, false, &wrong).await;
    let migration = Migration::plan(there, &execution).await.unwrap();
    let error = migration.plan_reverse(&migration.reversed(), &execution).await.err().unwrap();
    assert_eq!(error.place().unwrap().to_string(), "mapping.yaml:6:28", "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_tried_on_rows_that_are_there() {
    let moved = Moved::new(false).await;
    let execution = Execution::unattended();
    let plan = async || Box::pin(Migration::plan(moved.there.clone(), &execution)).await.unwrap();
    let sampled = async |rows| {
        let migration = plan().await;
        Box::pin(migration.sample_reverse(&migration.reversed(), rows)).await.unwrap()
    };
    assert_eq!(sampled(200).await, []);
    psql(moved.old(), "SET session_replication_role = replica; UPDATE legacy.users SET full_name = ' ' || full_name WHERE id IN (5, 6, 10)").await;
    let found = sampled(10_000).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].severity, Severity::Lossy);
    // Of those that are moved: 10 is left out.
    assert!(found[0].message.starts_with("of 450 rows looked at, 2 come back"), "{found:?}");
    assert_eq!(found[0].place.as_ref().unwrap().to_string(), "mapping.yaml:10:18");
    let broken = MAPPING.replace("first_name || ' ' || last_name", "(length(first_name) / 0)::text");
    let there = Moved::options(&moved.world, false, &broken).await;
    let migration = Box::pin(Migration::plan(there, &execution)).await.unwrap();
    let found = Box::pin(migration.sample_reverse(&migration.reversed(), 10)).await.unwrap();
    assert!(
        found[0].severity == Severity::Loses && found[0].message.contains("division by zero"),
        "{found:?}"
    );
}
