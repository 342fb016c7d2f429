//! A run that follows in the background, while a test does something to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use confiture::event::{Event, Execution, Observer};
use confiture::schema_to_schema::{
    Capture, FeedKind, FollowReport, Following, Migration, Options, Until, Witness,
};
use confiture::{Error, Result};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::oracle::{Oracle, Same};
use crate::world::{WorldOn, assert_equal};

/// The longest that anything here takes.
const LONG: Duration = Duration::from_secs(120);

/// Two tables, one of them partitioned.
pub(crate) const OLD: &str = "
CREATE SCHEMA app;
CREATE TABLE app.people (id bigint PRIMARY KEY, name text, nick text, age int) WITH (fillfactor = 10);
CREATE TABLE app.events (id int PRIMARY KEY, what text) PARTITION BY RANGE (id);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM (0) TO (1000);
CREATE TABLE app.events_2 PARTITION OF app.events FOR VALUES FROM (1000) TO (2000);
INSERT INTO app.people SELECT i, 'name ' || i, 'nick ' || i, i % 90 FROM generate_series(1, 9000) i;
INSERT INTO app.events SELECT i, 'event ' || i FROM generate_series(1, 1999) i;
ANALYZE;";

pub(crate) const NEW: &str = "
CREATE SCHEMA new;
CREATE TABLE new.users (id bigint PRIMARY KEY, display text, nick text, age bigint);
CREATE INDEX ON new.users (display);
CREATE TABLE new.events (id int PRIMARY KEY, what text);";

pub(crate) const MAPPING: &str = "
tables:
  new.users: { from: app.people p, columns: { id: p.id, display: upper(p.name), nick: p.nick, age: p.age } }
  new.events: { from: app.events e, columns: { id: e.id, what: e.what } }";

pub(crate) fn same() -> Vec<Same> {
    let same = |given: &str, held: &str| Same { given: given.into(), held: held.into() };
    vec![
        same(
            "SELECT id, upper(name), nick, age FROM app.people",
            "SELECT id, display, nick, age FROM new.users",
        ),
        same("SELECT id, what FROM app.events", "SELECT id, what FROM new.events"),
    ]
}

/// Hears what a run says.
#[derive(Default)]
pub(crate) struct Said(std::sync::Mutex<Vec<String>>);

impl Observer for Said {
    fn observe(&self, event: &Event) {
        if let Event::Warning { message } | Event::Note { message } = event {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}

impl Said {
    /// True where something said holds `words`.
    pub(crate) fn has(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|said| said.contains(words))
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A run in the background.
pub(crate) struct Running {
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) said: Arc<Said>,
    interrupt: CancellationToken,
    follow: JoinHandle<Result<FollowReport>>,
}

impl Running {
    /// Begins, or goes on. `watched` where every batch is compared.
    pub(crate) async fn start(
        options: &Options,
        feed: FeedKind,
        patience: Duration,
        watched: Option<Vec<Same>>,
    ) -> Self {
        Self::through(options, options, feed, patience, watched).await
    }

    /// The same, by another way than that of whoever compares.
    pub(crate) async fn through(
        direct: &Options,
        options: &Options,
        feed: FeedKind,
        patience: Duration,
        watched: Option<Vec<Same>>,
    ) -> Self {
        let is_watched = watched.is_some();
        let oracle = Arc::new(Oracle::new(&direct.source, &direct.target, watched.unwrap_or_default()).await);
        let said = Arc::<Said>::default();
        let interrupt = CancellationToken::new();
        let execution = Execution::new(Arc::clone(&said) as _, interrupt.clone());
        let witness = is_watched.then(|| Arc::clone(&oracle) as Arc<dyn Witness>);
        let following = Following {
            capture: Capture::Only(feed),
            until: Until::Interrupted,
            patience,
            witness,
            ..Following::default()
        };
        let options = options.clone();
        let follow = tokio::spawn(async move {
            let planned = Migration::plan(options, &execution).await;
            let migration = Arc::new(planned.inspect_err(|error| execution.note(format!("{error:?}")))?);
            execution.note("planned");
            let report = migration.follow(&following, &execution).await;
            if let Err(error) = &report {
                execution.note(format!("{error:?}"));
            }
            report
        });
        Self { oracle, said, interrupt, follow }
    }

    /// Waits until so many batches more were compared and found equal.
    pub(crate) async fn compared(&self, more: usize) {
        let before = self.oracle.compared.load(Ordering::SeqCst);
        let is_there = || self.oracle.compared.load(Ordering::SeqCst) >= before + more;
        self.until(is_there).await;
        self.oracle.assert_exact(0);
    }

    /// Waits until something is so, which the run brings about.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            self.goes_on();
            assert!(begun.elapsed() < LONG, "it takes too long: {:?}", self.said.all());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asserts that it has not stopped.
    pub(crate) fn goes_on(&self) {
        assert!(!self.follow.is_finished(), "it stopped: {:?}", self.said.all());
    }

    /// Asks it to stop.
    pub(crate) async fn stop(self) -> Result<FollowReport> {
        self.interrupt.cancel();
        tokio::time::timeout(LONG, self.follow).await.unwrap().unwrap()
    }

    /// Waits until it has stopped by itself, and why.
    pub(crate) async fn fails(self) -> Error {
        tokio::time::timeout(LONG, self.follow).await.unwrap().unwrap().unwrap_err()
    }
}

/// Goes on until both sides are equal, and looks whether they are. Nobody writes.
pub(crate) async fn assert_exact(world: &WorldOn<'_>, options: &Options, same: &[Same]) -> FollowReport {
    let report = follow_exact(options, same).await;
    let local = options.source.database == options.target.database;
    let new = if local { &world.old } else { &world.new };
    for same in same {
        assert_equal(&world.old, &same.given, new, &same.held).await;
    }
    report
}

/// Goes on until both sides are equal, every batch watched.
pub(crate) async fn follow_exact(options: &Options, same: &[Same]) -> FollowReport {
    caught_up(options, Capture::Auto, same).await
}

/// Begins by that feed, and goes on until both sides are equal.
pub(crate) async fn follow_exact_by(options: &Options, feed: FeedKind, same: &[Same]) -> FollowReport {
    caught_up(options, Capture::Only(feed), same).await
}

async fn caught_up(options: &Options, capture: Capture, same: &[Same]) -> FollowReport {
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(options.clone(), &execution).await.unwrap());
    let oracle = Arc::new(Oracle::new(&options.source, &options.target, same.to_vec()).await);
    let following = Following {
        capture,
        until: Until::CaughtUp,
        patience: Duration::from_secs(30),
        witness: Some(Arc::clone(&oracle) as _),
        ..Following::default()
    };
    let report = Box::pin(migration.follow(&following, &execution)).await.unwrap();
    oracle.assert_exact(1);
    report
}
