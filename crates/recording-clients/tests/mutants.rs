//! Cutovers made by hand, right and wrong: what is wrong must be found, and what is right must not be blamed.

use std::path::Path;
use std::time::{Duration, Instant};

use local_postgres::testing::Database;
use recording_clients::{
    Clients, Ends, Fault, Options, PgBench, PgBenchOptions, Record, Style, Target, Whereabouts, read_rows,
};
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls};

const WRITE: &str = "INSERT INTO orders (id, client) VALUES ($1, $2)";
const ROWS: &str = "SELECT id, born FROM orders";

/// What is wrong with a cutover.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mutant {
    Honest,
    /// It copies before it locks.
    DropsWrites,
    /// The old side stays open, and half of the clients there.
    NoFence,
    /// As that, but what went there is brought over afterwards.
    LateFence,
    /// It brings rows twice.
    Twice,
    /// It takes its time.
    Slow,
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn side(name: &str) -> Database<'static> {
    let database = Database::create().await.unwrap();
    let create = format!("CREATE TABLE orders (id bigint NOT NULL, client int, born text DEFAULT '{name}')");
    connect(&database.url()).await.batch_execute(&create).await.unwrap();
    database
}

/// Brings what is not there yet, or everything.
async fn bring(old: &Client, new: &Client, all: bool) {
    let there: Vec<i64> = match all {
        true => Vec::new(),
        false => {
            new.query("SELECT id FROM orders", &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
        }
    };
    let rows =
        old.query("SELECT id, client, born FROM orders WHERE id <> ALL ($1)", &[&there]).await.unwrap();
    let (mut ids, mut clients, mut born) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        ids.push(row.get::<_, i64>(0));
        clients.push(row.get::<_, i32>(1));
        born.push(row.get::<_, String>(2));
    }
    let insert = "INSERT INTO orders SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[])";
    new.execute(insert, &[&ids, &clients, &born]).await.unwrap();
}

const FENCE: &str =
    "CREATE FUNCTION fence() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'target switched'; END$$;
    CREATE TRIGGER fence BEFORE INSERT ON orders EXECUTE FUNCTION fence()";

/// Moves the writers from the old side to the new, and returns when nobody should write to the old any more.
async fn cut_over(
    mutant: Mutant,
    (old, new): (&Database<'_>, &Database<'_>),
    clients: &Clients,
    switch: impl AsyncFnOnce(),
) -> Instant {
    let (from, to) = (connect(&old.url()).await, connect(&new.url()).await);
    if mutant == Mutant::DropsWrites {
        bring(&from, &to, false).await;
        clients.until_acknowledged(20).await;
    }
    from.batch_execute("BEGIN; LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    if mutant != Mutant::DropsWrites {
        bring(&from, &to, false).await;
    }
    if mutant == Mutant::Twice {
        bring(&from, &to, true).await;
    }
    if mutant == Mutant::Slow {
        from.execute("SELECT pg_sleep(0.7)", &[]).await.unwrap();
    }
    let is_open = matches!(mutant, Mutant::NoFence | Mutant::LateFence);
    if !is_open {
        from.batch_execute(FENCE).await.unwrap();
    }
    switch().await;
    from.batch_execute("COMMIT").await.unwrap();
    let fenced = Instant::now();
    if is_open {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name IN ('client 0', 'client 1')";
        from.execute(end, &[]).await.unwrap();
    }
    fenced
}

struct Judged {
    record: Record,
    faults: Vec<Fault>,
}

async fn judged(mutant: Mutant, style: Style) -> Judged {
    let (old, new) = (side("old").await, side("new").await);
    let (told, target) = watch::channel(Target::new(old.url(), WRITE));
    let clients = Clients::start(Options { clients: 4, style, ..Options::default() }, target);
    clients.until_acknowledged(200).await;
    let to = Target::new(new.url(), WRITE);
    let fenced = cut_over(mutant, (&old, &new), &clients, async || drop(told.send(to))).await;
    clients.until_acknowledged(200).await;
    if mutant == Mutant::LateFence {
        let (from, to) = (connect(&old.url()).await, connect(&new.url()).await);
        from.batch_execute("BEGIN; LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
        bring(&from, &to, false).await;
        from.batch_execute(FENCE).await.unwrap();
        from.batch_execute("COMMIT").await.unwrap();
        clients.until_acknowledged(50).await;
    }
    let record = clients.stop().await;
    let faults = judge(&record, &old, &new, fenced).await;
    Judged { record, faults }
}

async fn judge(record: &Record, old: &Database<'_>, new: &Database<'_>, fenced: Instant) -> Vec<Fault> {
    let (open, closed) =
        (read_rows(&new.url(), ROWS).await.unwrap(), read_rows(&old.url(), ROWS).await.unwrap());
    assert!(!open.is_empty() && !closed.is_empty());
    record.judge(&Ends { open: &open, closed: &closed, closed_name: "old", closed_since: Some(fenced) })
}

impl Judged {
    fn has(&self, fault: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(fault)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_cutover_is_not_blamed() {
    for style in [Style::Mixed, Style::Prepared] {
        let honest = judged(Mutant::Honest, style).await;
        assert_eq!(honest.faults, [], "{}", honest.record.summary());
        // Every client heard of it, once or, while it came too early, more than once.
        let errors = honest.record.errors();
        assert_eq!(errors.keys().collect::<Vec<_>>(), [&"ERROR P0001: target switched"], "{errors:?}");
        assert!(errors.values().sum::<usize>() >= 4, "{errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cutover_that_drops_writes_is_found() {
    let judged = judged(Mutant::DropsWrites, Style::Mixed).await;
    assert!(judged.has(|fault| matches!(fault, Fault::Lost(_))), "{}", judged.record.summary());
    assert!(judged.has(|fault| matches!(fault, Fault::LeftBehind(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_side_that_stays_open_is_found() {
    let left = judged(Mutant::NoFence, Style::Mixed).await;
    assert!(left.has(|fault| matches!(fault, Fault::Lost(_))), "{}", left.record.summary());
    assert!(left.has(|fault| matches!(fault, Fault::LeftBehind(_))));
    assert!(left.has(|fault| matches!(fault, Fault::AfterTheFence(..))));
    // Also where nothing is missing in the end.
    let late = judged(Mutant::LateFence, Style::Mixed).await;
    assert!(late.has(|fault| matches!(fault, Fault::AfterTheFence(..))), "{}", late.record.summary());
    assert!(!late.has(|fault| !matches!(fault, Fault::AfterTheFence(..))), "{:?}", late.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_twice_are_found() {
    let judged = judged(Mutant::Twice, Style::Mixed).await;
    assert!(judged.has(|fault| matches!(fault, Fault::Doubled(_, 2))), "{}", judged.record.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_measured_from_the_clients() {
    let slow = judged(Mutant::Slow, Style::Mixed).await;
    assert_eq!(slow.faults, []);
    let (stall, silence) = (slow.record.longest_stall().unwrap(), slow.record.longest_silence());
    assert!(stall.duration >= Duration::from_millis(690), "{}", slow.record.summary());
    assert!(silence >= Duration::from_millis(650), "{}", slow.record.summary());
    // Most do not notice.
    assert!(slow.record.latency(50.0) < stall.duration / 2, "{}", slow.record.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_leads_the_clients_and_an_unserved_client_is_a_stall() {
    let old = side("old").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("target");
    std::fs::write(&file, format!("{}\n{WRITE}\n", old.url())).unwrap();
    let options = Options { clients: 2, rate: 500, ..Options::default() };
    let clients = Clients::start(options, Whereabouts::File(file.clone()));
    clients.until_acknowledged(100).await;
    // Nobody is there any more.
    std::fs::write(&file, format!("postgresql://x@/x?host={}\n{WRITE}\n", folder.path().display())).unwrap();
    connect(&old.url()).await.batch_execute(FENCE).await.unwrap();
    // So long nobody is served: that is what is measured.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let record = clients.stop().await;
    assert_eq!(record.unserved.len(), 2, "{}", record.summary());
    assert!(record.longest_stall().unwrap().duration >= Duration::from_millis(100));
    assert!(record.errors().keys().any(|error| error.starts_with("connect: ")), "{:?}", record.errors());
}

fn pgbench(seconds: u64, program: &Path) -> PgBenchOptions {
    PgBenchOptions {
        program: program.to_owned(),
        clients: 8,
        rate: 400,
        duration: Duration::from_secs(seconds),
        protocol: "extended".into(),
        script: "INSERT INTO orders (id, client) VALUES (:id, :client_id);".into(),
        first_id: 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_is_a_witness_too() {
    let old = side("old").await;
    let program = old.server().program("pgbench");
    let report = PgBench::start(&old.url(), pgbench(2, &program)).unwrap().finish().await.unwrap();
    assert_eq!(report.aborted, [""; 0], "{}", report.text);
    let rows = read_rows(&old.url(), ROWS).await.unwrap();
    assert!(rows.len() > 200, "{}", report.text);
    let nothing = Ends { open: &rows, closed: &[], closed_name: "old", closed_since: None };
    assert_eq!(report.record.judge(&nothing), []);
    // Its own count is the number of rows, and of its log's lines.
    assert!(report.text.contains(&format!("number of transactions actually processed: {}", rows.len())));
    assert_eq!(report.record.acknowledged().count(), rows.len());
    let lost = Ends { open: &rows[1..], ..nothing };
    assert_eq!(report.record.judge(&lost), [Fault::Lost(rows[0].id)]);

    // Every client gives up at the fence.
    let running =
        PgBench::start(&old.url(), PgBenchOptions { first_id: 1_000_000, ..pgbench(60, &program) }).unwrap();
    let client = connect(&old.url()).await;
    let more = |client: Client| async move {
        while client
            .query_one("SELECT count(*) FROM orders WHERE id % 1000000000 >= 1000000", &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            < 50
        {}
        client
    };
    more(client).await.batch_execute(FENCE).await.unwrap();
    let stopped = running.finish().await.unwrap();
    assert_eq!(stopped.aborted.len(), 8, "{}", stopped.text);
    assert!(
        stopped.aborted[0].contains("target switched") || stopped.text.contains("target switched"),
        "{}",
        stopped.text
    );
    let record = report.record.and(stopped.record);
    let rows = read_rows(&old.url(), ROWS).await.unwrap();
    assert_eq!(record.judge(&Ends { open: &rows, closed: &[], closed_name: "old", closed_since: None }), []);
}
