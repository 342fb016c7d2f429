//! Both sides compared while writes go on: never a false alarm, always a true one; what differs is repaired, and what does
//! not differ is not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::{
    Capture, FeedKind, FollowReport, Following, Migration, Options, VerificationReport, Verifying, failpoint,
};
use confiture::sql::Sql;
use local_postgres::testing::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{World, assert_same, psql};

const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (id bigserial PRIMARY KEY, name text NOT NULL, email text UNIQUE);
CREATE TABLE app.places (code text, nr int, note text, PRIMARY KEY (code, nr));
CREATE TABLE app.visits (id bigserial, part int NOT NULL, person bigint, cents int, PRIMARY KEY (id, part))
    PARTITION BY LIST (part);
CREATE TABLE app.visits_0 PARTITION OF app.visits FOR VALUES IN (0);
CREATE TABLE app.visits_1 PARTITION OF app.visits FOR VALUES IN (1);
INSERT INTO app.people (name, email) SELECT 'person ' || i, 'p' || i || '@x' FROM generate_series(1, 400) i;
INSERT INTO app.places SELECT 'a,{\"' || i || ' ', i, 'note' FROM generate_series(1, 300) i;
INSERT INTO app.visits (part, person, cents) SELECT i % 2, 1 + i % 400, i FROM generate_series(1, 800) i;
ANALYZE;";

const NEW: &str = "
CREATE SCHEMA new;
CREATE TABLE new.people (id bigint PRIMARY KEY, name text NOT NULL, email text UNIQUE);
CREATE TABLE new.places (code varchar(40), nr bigint, note text, PRIMARY KEY (nr, code));
CREATE TABLE new.visits (id bigint, part int, amount numeric(12,2), visitor text, PRIMARY KEY (id, part));";

const MAPPING: &str = r#"
tables:
  new.people: { from: app.people p, columns: { name: upper(p.name) } }
  new.places: { from: app.places }
  new.visits:
    from: app.visits v left join app.people p on p.id = v.person
    columns: { id: v.id, part: v.part, amount: v.cents / 100.0, visitor: p.name }
    depends:
      - { table: app.people, driving: "select v.id, v.part from app.visits v where v.person = any($keys)" }
validations:
  - name: as many people
    sql: select count(*) from new.people
    expect: same-as-source
    source_sql: select count(*) from app.people
"#;

const SAME: [(&str, &str); 3] = [
    ("SELECT id, upper(name), email FROM app.people", "SELECT id, name, email FROM new.people"),
    ("SELECT code, nr, note FROM app.places", "SELECT code, nr, note FROM new.places"),
    (
        "SELECT v.id, part, round(cents / 100.0, 2), p.name FROM app.visits v LEFT JOIN app.people p ON p.id = person",
        "SELECT id, part, amount, visitor FROM new.visits",
    ),
];

/// Statements of an application that does everything; `n` says which.
fn statement(n: u64, empties: bool) -> String {
    let id = 1 + (n * 7919) % 400;
    let other = 1 + (n * 104_729) % 400;
    // Often enough that comparisons meet it, seldom enough that there is time for one.
    match n % 1000 {
        _ if !empties => {}
        301 => return "TRUNCATE app.places".to_owned(),
        602 => return "TRUNCATE app.visits_1".to_owned(),
        903 => {
            return format!(
                "BEGIN; TRUNCATE app.people; INSERT INTO app.people (id, name) SELECT i, 'again {n}' FROM generate_series(1, 400) i; COMMIT"
            );
        }
        _ => {}
    }
    match n % 16 {
        0 => format!("INSERT INTO app.people (name, email) VALUES ('new {n}', 'n{n}@x')"),
        1 => format!("UPDATE app.people SET name = 'renamed {n}' WHERE id = {id}"),
        2 => format!("DELETE FROM app.people WHERE id = {id}"),
        // Two rows exchange their keys.
        3 => format!(
            "BEGIN; UPDATE app.people SET id = -1 - {n} WHERE id = {id}; UPDATE app.people SET id = {id} WHERE id = {other};
             UPDATE app.people SET id = {other} WHERE id = -1 - {n}; COMMIT"
        ),
        4 => format!("UPDATE app.places SET nr = nr + 1000 WHERE nr = {id}"),
        5 => format!("UPDATE app.visits SET part = 1 - part WHERE id = {id}"),
        6 => format!("INSERT INTO app.visits (part, person, cents) SELECT {n} % 2, id, {n} FROM app.people LIMIT 20"),
        7 => format!("DELETE FROM app.visits WHERE id BETWEEN {id} AND {id} + 3"),
        8 => format!("INSERT INTO app.places VALUES ('\"{n}', {id}, 'x') ON CONFLICT DO NOTHING"),
        9 => format!("BEGIN; UPDATE app.people SET name = 'never' WHERE id = {id}; ROLLBACK"),
        10 => format!("UPDATE app.visits SET cents = cents + 1 WHERE person = {id}"),
        12 => format!("INSERT INTO app.places SELECT 'c' || i, i, '{n}' FROM generate_series({id}, {id} + 30) i ON CONFLICT DO NOTHING"),
        _ => format!("INSERT INTO app.people (id, name) VALUES ({id}, 'back {n}') ON CONFLICT (id) DO UPDATE SET name = excluded.name"),
    }
}

/// What the writers are told, and what they tell.
#[derive(Default)]
struct Writers {
    stop: AtomicBool,
    /// Whether tables are emptied, too.
    empty: AtomicBool,
    /// Whether they write so little that what they touch is fewer keys than a table has rows, on any machine.
    seldom: AtomicBool,
    written: AtomicU64,
}

async fn write(options: Options, first: u64, writers: Arc<Writers>) {
    let session = Session::connect(&options.source).await.unwrap();
    let mut n = first;
    while !writers.stop.load(Ordering::SeqCst) {
        let empties = writers.empty.load(Ordering::SeqCst);
        if session.batch(&Sql::from_user(statement(n, empties))).await.is_err() {
            session.batch(&Sql::literal("ROLLBACK")).await.unwrap();
        }
        n += 3;
        writers.written.fetch_add(1, Ordering::SeqCst);
        // Leaves the machine to others, too.
        let rest = if writers.seldom.load(Ordering::SeqCst) { 100 } else { 5 };
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }
}

/// What a run warns of, on stderr.
struct Told;

impl confiture::event::Observer for Told {
    fn observe(&self, event: &confiture::event::Event) {
        use confiture::event::Event;
        if let Event::Warning { message } | Event::Note { message } = event {
            eprintln!("{message}");
        }
    }
}

/// A run at work, that ends with it.
pub(crate) struct Running {
    options: Options,
    interrupt: CancellationToken,
    report: JoinHandle<confiture::Result<FollowReport>>,
}

impl Running {
    /// Starts one, and returns once it follows.
    pub(crate) async fn start(options: &Options, feed: FeedKind, verification: Verifying) -> Self {
        let interrupt = CancellationToken::new();
        let execution = Execution::new(Arc::new(Told), interrupt.clone());
        let following = Following {
            capture: Capture::Only(feed),
            verify: verification.every.is_some(),
            verification,
            ..Following::default()
        };
        let report = {
            let options = options.clone();
            tokio::spawn(async move {
                let planned = Arc::new(Migration::plan(options, &execution).await?);
                let ended = planned.follow(&following, &execution).await;
                ended.inspect_err(|error| eprintln!("the run ended: {error:?}"))
            })
        };
        let running = Self { options: options.clone(), interrupt, report };
        let session = Session::connect(&options.target).await.unwrap();
        let follows = Sql::literal(
            "SELECT pg_catalog.to_regclass('confiture.follow') IS NOT NULL
                AND pg_catalog.query_to_xml('SELECT 1 FROM confiture.follow WHERE phase = ''following'' AND stopped_because IS NULL', false, true, '')::text LIKE '%1%'",
        );
        running.until(&session, &follows).await;
        running
    }

    /// Waits until a query of the target is true.
    pub(crate) async fn until(&self, session: &Session, query: &Sql) {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let is_it = session.query_one(query, &[]).await.is_ok_and(|row| row.get(0));
            if is_it {
                return;
            }
            assert!(!self.report.is_finished(), "the run has ended");
            assert!(Instant::now() < patience, "{query:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn verify(&self, verifying: Verifying) -> VerificationReport {
        verify(&self.options, verifying).await.unwrap()
    }

    pub(crate) async fn stop(self) -> FollowReport {
        self.interrupt.cancel();
        self.report.await.unwrap().unwrap()
    }
}

async fn verify(options: &Options, verifying: Verifying) -> confiture::Result<VerificationReport> {
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(options.clone(), &execution).await?);
    migration.verify_following(verifying, &execution).await
}

pub(crate) const COMPLETE: Verifying = Verifying { every: None, complete: true, repair: false };
pub(crate) const CHANGED: Verifying = Verifying { every: None, complete: false, repair: false };
const REPAIR: Verifying = Verifying { every: None, complete: true, repair: true };

async fn no_false_alarm(old: &Database<'_>, new: &Database<'_>, feed: FeedKind, options: Options) {
    let told = Arc::new(Writers::default());
    let writers: Vec<_> =
        (0..3).map(|first| tokio::spawn(write(options.clone(), first, Arc::clone(&told)))).collect();
    let running = Running::start(&options, feed, CHANGED).await;
    for round in 0..6 {
        let started = Instant::now();
        told.empty.store(round < 3, Ordering::SeqCst);
        if round == 4 {
            // Each table in a pair of snapshots of its own.
            psql(new, "UPDATE confiture.control SET max_snapshot = '0'").await;
        }
        let found = running.verify(if round % 4 == 0 { COMPLETE } else { CHANGED }).await;
        assert!(found.ok, "round {round}: {found:#?}");
        assert_eq!(found.tables.len(), 3);
        let writes = told.written.load(Ordering::SeqCst);
        eprintln!(
            "round {round}: {:?}, {writes} writes so far, {:?} of comparing",
            started.elapsed(),
            found.elapsed
        );
    }
    told.seldom.store(true, Ordering::SeqCst);
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let found = running.verify(CHANGED).await;
        assert!(found.ok, "{found:#?}");
        if found.tables.iter().any(|table| table.keys.is_some()) {
            break;
        }
        assert!(Instant::now() < patience, "never by keys alone: {found:#?}");
    }
    told.stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(told.written.load(Ordering::SeqCst) > 100);
    running.stop().await;
    let found = verify(&options, COMPLETE).await.unwrap();
    assert!(found.ok, "{found:#?}");
    for (given, held) in SAME {
        let (old, new) = (old, new);
        let empty = psql(old, &format!("SELECT NOT EXISTS ({given})")).await;
        if empty.trim() == "f" {
            assert_same(old, given, new, held).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_false_alarm_by_the_queue() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    no_false_alarm(&world.old, &world.new, FeedKind::Queue, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_false_alarm_by_the_wal() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    no_false_alarm(&world.old, &world.new, FeedKind::Wal, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_false_alarm_in_one_database() {
    let world = World::new(OLD, "").await;
    psql(&world.old, NEW).await;
    let options = world.options(MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    no_false_alarm(&world.old, &world.old, FeedKind::Queue, options).await;
}

/// What somebody does to the target by hand, and what that makes of it: rows missing, extra, different.
const DAMAGE: [(&str, [u64; 3]); 4] = [
    ("UPDATE new.people SET name = 'WRONG' WHERE id = 17", [0, 0, 1]),
    ("DELETE FROM new.places WHERE nr = 5", [1, 0, 0]),
    ("INSERT INTO new.visits VALUES (99999, 0, 1, 'nobody')", [0, 1, 0]),
    (
        "UPDATE new.people SET name = (SELECT name FROM new.people AS o WHERE o.id = 7 - new.people.id) WHERE id IN (3, 4)",
        [0, 0, 2],
    ),
];

fn differences(found: &VerificationReport) -> [u64; 3] {
    let all = found.tables.iter().filter_map(|table| table.differences.as_ref());
    all.fold([0; 3], |sum, found| [sum[0] + found.missing, sum[1] + found.extra, sum[2] + found.different])
}

#[tokio::test(flavor = "multi_thread")]
async fn always_a_true_alarm_and_repaired() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let running = Running::start(&options, FeedKind::Queue, CHANGED).await;
    assert!(running.verify(CHANGED).await.ok);
    for (damage, counts) in DAMAGE {
        psql(&world.new, damage).await;
        // Nobody touched those keys in the source, so only looking at all rows tells.
        let found = running.verify(CHANGED).await;
        assert!(found.ok && found.tables.iter().all(|table| table.keys.is_some()), "{damage}: {found:#?}");
        let found = running.verify(COMPLETE).await;
        assert!(!found.ok, "{damage}");
        assert_eq!(differences(&found), counts, "{damage}: {found:#?}");
        let before = psql(&world.new, "SELECT count(*) FROM new.people").await;
        let writes = "SELECT sum(rows_written + rows_deleted) FROM confiture.batch";
        let written: u64 = psql(&world.new, writes).await.trim().parse().unwrap_or(0);
        let found = running.verify(REPAIR).await;
        assert!(found.ok, "{damage}: {found:#?}");
        let repaired: Vec<_> = found.tables.iter().filter_map(|table| table.repaired.as_ref()).collect();
        assert_eq!(repaired.len(), 1, "{damage}: {found:#?}");
        let after: u64 = psql(&world.new, writes).await.trim().parse().unwrap_or(0);
        assert_eq!(after - written, counts.iter().sum::<u64>(), "{damage}");
        assert_eq!(before, psql(&world.new, "SELECT count(*) FROM new.people").await);
        for (given, held) in SAME {
            world.assert_same(given, held).await;
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_key_that_differs_is_found_by_its_key() {
    let world = World::new(OLD, NEW).await;
    // The target's role changes a row behind our back, whenever it is written.
    let options = world.options(MAPPING).await;
    let running = Running::start(&options, FeedKind::Queue, CHANGED).await;
    assert!(running.verify(CHANGED).await.ok);
    let lie = "
        CREATE FUNCTION new.lie() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'a lie'; RETURN NEW; END $$;
        CREATE TRIGGER lie BEFORE INSERT OR UPDATE ON new.places FOR EACH ROW WHEN (NEW.nr = 9) EXECUTE FUNCTION new.lie();
        ALTER TABLE new.places ENABLE ALWAYS TRIGGER lie;";
    psql(&world.new, lie).await;
    psql(&world.old, "UPDATE app.places SET note = 'the truth' WHERE nr IN (9, 10)").await;
    let session = Session::connect(&options.target).await.unwrap();
    let is_there =
        Sql::literal("SELECT EXISTS (SELECT FROM new.places WHERE nr = 10 AND note = 'the truth')");
    running.until(&session, &is_there).await;
    let found = running.verify(CHANGED).await;
    assert!(!found.ok);
    assert_eq!(differences(&found), [0, 0, 1], "{found:#?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_changed_since_are_all_that_is_compared() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let running = Running::start(&options, FeedKind::Wal, CHANGED).await;
    let keys = |found: &VerificationReport| found.tables.iter().map(|table| table.keys).collect::<Vec<_>>();
    assert_eq!(keys(&running.verify(CHANGED).await), [None, None, None]);
    assert_eq!(keys(&running.verify(CHANGED).await), [Some(0), Some(0), Some(0)]);
    psql(&world.old, "UPDATE app.people SET name = 'x' WHERE id = 5; DELETE FROM app.places WHERE nr < 4")
        .await;
    let session = Session::connect(&options.target).await.unwrap();
    let is_there = Sql::literal("SELECT EXISTS (SELECT FROM new.people WHERE id = 5 AND name = 'X')");
    running.until(&session, &is_there).await;
    // Two visits of that person, too.
    let found = running.verify(CHANGED).await;
    assert!(found.ok);
    assert_eq!(keys(&found), [Some(1), Some(3), Some(2)]);
    // Another run knows it still; but not of a table that was emptied.
    running.stop().await;
    psql(&world.old, "TRUNCATE app.places; INSERT INTO app.places VALUES ('one', 1, 'only')").await;
    let running = Running::start(&options, FeedKind::Wal, CHANGED).await;
    let is_there = Sql::literal("SELECT pg_catalog.count(*) = 1 FROM new.places");
    running.until(&session, &is_there).await;
    let found = running.verify(CHANGED).await;
    assert!(found.ok);
    assert_eq!(keys(&found), [Some(0), None, Some(0)]);
    let status = confiture::schema_to_schema::status(None, &options.target).await.unwrap();
    assert!(status.tables.iter().all(|table| table.coverage.is_some()), "{status:#?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_snapshot_is_held_for_longer_than_told() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let running = Running::start(&options, FeedKind::Queue, CHANGED).await;
    psql(&world.new, "UPDATE confiture.control SET max_snapshot = '0'").await;
    let told = Arc::new(Writers::default());
    let writer = tokio::spawn(write(options.clone(), 0, Arc::clone(&told)));
    let found = running.verify(COMPLETE).await;
    told.stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    assert!(found.ok, "{found:#?}");
    let mut batches: Vec<_> = found.tables.iter().map(|table| table.batch.unwrap()).collect();
    batches.sort_unstable();
    batches.dedup();
    assert_eq!(batches.len(), 3, "each table after a batch of its own: {found:#?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_slot_leaves_what_did_not_change_alone() {
    let old = "
        CREATE SCHEMA app;
        CREATE TABLE app.big (id bigint PRIMARY KEY, name text UNIQUE, amount numeric);
        INSERT INTO app.big SELECT i, 'row ' || i, i / 7.0 FROM generate_series(1, 30000) i;
        ANALYZE;";
    let new =
        "CREATE SCHEMA new; CREATE TABLE new.big (id bigint PRIMARY KEY, name text UNIQUE, amount numeric);";
    let world = World::new(old, new).await;
    let options = world.options("tables:\n  new.big: { from: app.big }\n").await;
    let running = Running::start(&options, FeedKind::Wal, CHANGED).await;
    running.stop().await;
    psql(&world.new, "CREATE TABLE before AS SELECT id, xmin::text AS x FROM new.big").await;
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()";
    let session = Session::connect(&options.source).await.unwrap();
    let active = Sql::literal(
        "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database() AND active)",
    );
    while !session.query_one(&active, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    session.query(&Sql::literal(drop), &[]).await.unwrap();
    psql(
        &world.old,
        "UPDATE app.big SET amount = -1 WHERE id IN (5, 500, 29000); DELETE FROM app.big WHERE id = 77;
         INSERT INTO app.big VALUES (30001, 'new', 1);
         UPDATE app.big SET name = NULL WHERE id = 8; UPDATE app.big SET name = 'row 8' WHERE id = 9;
         UPDATE app.big SET name = 'row 9' WHERE id = 8",
    )
    .await;
    let running = Running::start(&options, FeedKind::Wal, CHANGED).await;
    let session = Session::connect(&options.target).await.unwrap();
    running.until(&session, &Sql::literal("SELECT EXISTS (SELECT FROM new.big WHERE id = 30001)")).await;
    world.assert_same("SELECT * FROM app.big", "SELECT * FROM new.big").await;
    // Two rows have exchanged a unique value: their buckets' rows were deleted and written anew, 30 in each.
    let written = "SELECT count(*) FROM new.big LEFT JOIN before USING (id) WHERE before.x IS DISTINCT FROM new.big.xmin::text";
    let written: u64 = psql(&world.new, written).await.trim().parse().unwrap();
    assert!((6..600).contains(&written), "{written}");
    assert!(running.verify(COMPLETE).await.ok);
    running.stop().await;
}

const CHILD: &str = "CONFITURE_TEST_VERIFY";

/// A process of its own that compares all rows, repairs, and dies at a failpoint.
#[test]
fn the_process_that_dies_while_it_compares() {
    let Ok(what) = std::env::var(CHILD) else {
        assert!(std::env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.split('\n').collect();
    let [folder, old, new, at] = what[..] else { panic!("{what:?}") };
    let at = at.to_owned();
    failpoint::on_reached(Box::new(move |name| {
        if name == at {
            std::process::abort();
        }
    }));
    let connect = |database| Connection::new(Endpoint::new(folder, 5432), "postgres", database);
    let mapping = Mapping::parse(MAPPING, std::path::Path::new("mapping.yaml")).unwrap();
    let options = Options::new(connect(old), connect(new), mapping);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { verify(&options, REPAIR).await.unwrap() });
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_while_comparing_or_repairing_loses_nothing() {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    let running = Running::start(&options, FeedKind::Queue, CHANGED).await;
    assert!(running.verify(CHANGED).await.ok);
    running.stop().await;
    let server = world.old.server();
    let points = [
        ("verification: compared, not recorded", REPAIR),
        ("verification: recorded", REPAIR),
        // What is to be read again waits in the target.
        ("verification: repair deferred", COMPLETE),
        // So does what batches have touched.
        ("batch: recorded, not committed", REPAIR),
        ("batch: committed, not confirmed", REPAIR),
    ];
    for (round, (at, then)) in points.into_iter().enumerate() {
        psql(&world.new, "UPDATE new.people SET name = 'WRONG' WHERE id = 17").await;
        psql(&world.old, &format!("UPDATE app.people SET name = 'round {round}' WHERE id IN (18, 19)")).await;
        let told = [server.socket_dir().to_str().unwrap(), world.old.name(), world.new.name(), at].join("\n");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child
            .args([
                "--exact",
                "verification::the_process_that_dies_while_it_compares",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, told);
        let ended = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
        assert!(ended.status.code().is_none(), "{at}: {}", String::from_utf8_lossy(&ended.stderr));
        let found = verify(&options, then).await.unwrap();
        assert!(found.ok, "{at}: {found:#?}");
        for (given, held) in SAME {
            world.assert_same(given, held).await;
        }
        assert!(verify(&options, CHANGED).await.unwrap().ok, "{at}");
    }
}
