//! The process dies in the middle of a switch, at every step of it: the application goes on, on one side or the other, and the
//! same command brings it to an end.

use std::env;
use std::process::{self, Command, Output, Stdio};

use confiture::ErrorKind;
use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{
    Policy, SwitchKind, Switching, active, cut_over, roll_back, settle,
};
use confiture::schema_to_schema::{Direction, FeedKind, Options, failpoint};

use crate::between::{MAPPING, NEW, OLD, assert_orders_same, follow, sides};
use crate::bidirectional::{carry, policy};
use crate::clients::{Clients, Side};
use crate::within;
use crate::world::{World, connection, psql};

const CHILD: &str = "CONFITURE_TEST_SWITCH";

/// What a child does that opens the new side to writes, or carries changes both ways.
pub(crate) const BOTH_WAYS: &str = "both ways";

/// Where a switch between two databases passes, in order.
const BETWEEN: [&str; 11] = [
    "switch: armed",
    "switch: fenced",
    "switch: application asked",
    "switch: writers locked out",
    "switch: last batch",
    "switch: other side ready",
    "switch: application led over",
    "switch: about to be decided",
    "switch: decided",
    "switch: opened",
    "switch: application told",
];

/// Where one within a database passes.
const WITHIN: [&str; 8] = [
    "switch: fenced",
    "switch: last batch",
    "switch: tables exchanged",
    "switch: other side ready",
    "switch: application led over",
    "switch: about to be decided",
    "switch: decided",
    "switch: application told",
];

/// From here on it is decided.
const DECIDED: [&str; 3] = ["switch: decided", "switch: opened", "switch: application told"];

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.splitn(6, '\n').collect();
    let [folder, old, new, kind, at, mapping] = what[..] else { panic!("{what:?}") };
    let at = at.to_owned();
    failpoint::on_reached(Box::new(move |name| {
        if name == at {
            process::abort();
        }
    }));
    let connect = |database| Connection::new(Endpoint::new(folder, 5432), "postgres", database);
    let mapping = Mapping::parse(mapping, "mapping.yaml".as_ref()).unwrap();
    let options = Options::new(connect(old), connect(new), mapping);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match kind {
            "cutover" => switch(SwitchKind::Cutover, &options).await.unwrap(),
            "rollback" => switch(SwitchKind::Rollback, &options).await.unwrap(),
            _ => assert!(carry(&options, &policy(Policy::Source)).await.batches >= [0, 0]),
        }
    });
}

pub(crate) async fn switch(kind: SwitchKind, options: &Options) -> confiture::Result<()> {
    let switching = Switching { accept_losses: true, ..Switching::default() };
    let execution = Execution::unattended();
    let mut tries = 0;
    loop {
        let report = match kind {
            SwitchKind::Cutover => cut_over(options.clone(), &switching, &execution).await,
            SwitchKind::Rollback => roll_back(options.clone(), &switching, &execution).await,
        };
        tries += 1;
        match report {
            // On a machine that has more to do, the last marker may have taken longer than the list allows.
            Err(error) if error.kind() == ErrorKind::Found && tries < 20 => println!("{error:?}"),
            report => {
                return report
                    .map(|report| assert!(report.switched && report.afterwards.is_empty(), "{report:#?}"));
            }
        }
    }
}

pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) options: Options,
    pub(crate) mapping: &'static str,
    pub(crate) local: bool,
}

impl Life {
    pub(crate) async fn die(&self, what: &str, at: &'static str) {
        let new = if self.local { &self.world.old } else { &self.world.new };
        let folder = self.world.old.server().socket_dir().to_str().unwrap().to_owned();
        let told = [&folder, self.world.old.name(), new.name(), what, at, self.mapping].join("\n");
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "crash::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, told)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_none(), "{at}: {}\n{said}", String::from_utf8_lossy(&output.stdout));
    }

    async fn direction(&self) -> Direction {
        active(self.options.clone()).await.unwrap().1
    }

    /// Dies there, looks at the application, and calls the command again.
    async fn die_and_go_on(&self, kind: SwitchKind, at: &'static str, clients: &Clients) {
        let is_decided = DECIDED.contains(&at);
        let (before, after) = match kind {
            SwitchKind::Cutover => (Direction::Forward, Direction::Reverse),
            SwitchKind::Rollback => (Direction::Reverse, Direction::Forward),
        };
        self.die(kind.word(), at).await;
        assert_eq!(self.direction().await, if is_decided { after } else { before }, "{kind:?} {at}");
        if at == "switch: decided" && !self.local {
            // Both sides are fenced, never none: the next command opens the one, whichever command it is.
            settle(&self.options, &Execution::unattended()).await.unwrap();
        }
        clients.until_more(20).await;
        match switch(kind, &self.options).await {
            Ok(()) => assert!(!is_decided, "{kind:?} {at}: switched twice"),
            Err(error) if is_decided && error.kind() == ErrorKind::Unsafe => {}
            Err(error) => panic!("{kind:?} {at}: {error:?}"),
        }
        assert_eq!(self.direction().await, after, "{kind:?} {at}");
        clients.until_more(20).await;
    }

    async fn die_everywhere(&self, places: &[&'static str], sides: &[Side; 2]) {
        for at in places {
            let clients = Clients::start(4, sides);
            self.die_and_go_on(SwitchKind::Cutover, at, &clients).await;
            self.die_and_go_on(SwitchKind::Rollback, at, &clients).await;
            let seen = clients.stop().await;
            let numbers = psql(&self.world.old, "SELECT number FROM app.orders WHERE number > 0").await;
            let there: std::collections::BTreeSet<i64> =
                numbers.lines().map(|line| line.parse().unwrap()).collect();
            let lost: Vec<_> = seen.acknowledged.difference(&there).collect();
            assert!(lost.is_empty(), "{at}: {} of {} lost: {lost:?}", lost.len(), seen.acknowledged.len());
        }
        // The other side too, once more.
        let clients = Clients::start(4, sides);
        clients.until_more(20).await;
        switch(SwitchKind::Cutover, &self.options).await.unwrap();
        clients.until_more(20).await;
        clients.stop().await;
        let (back, _) = active(self.options.clone()).await.unwrap();
        follow(&back, FeedKind::Queue).await;
    }
}

/// Every third of the places, each a migration of its own: they run beside each other.
const PARTS: usize = 3;

fn part_of(places: &[&'static str], part: usize) -> Vec<&'static str> {
    places.iter().copied().skip(part).step_by(PARTS).collect()
}

async fn between(feed: FeedKind, part: usize) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    follow(&options, feed).await;
    let both = sides(&world);
    let life = Life { world, options, mapping: MAPPING, local: false };
    life.die_everywhere(&part_of(&BETWEEN, part), &both).await;
    let world = &life.world;
    assert_orders_same(world).await;
    let slots =
        psql(&world.old, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()")
            .await;
    assert_eq!(slots.trim(), "0", "nothing captures on the side that is left");
}

async fn within(part: usize) {
    let world = World::new(within::BOTH, "").await;
    let options = world.options(within::MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    follow(&options, FeedKind::Queue).await;
    let side = || Side { connection: connection(&world.old), statement: within::WRITE };
    let both = [side(), side()];
    let life = Life { world, options, mapping: within::MAPPING, local: true };
    life.die_everywhere(&part_of(&WITHIN, part), &both).await;
    let old = &life.world.old;
    crate::world::assert_same(
        old,
        "SELECT id, name FROM app_old.people",
        old,
        "SELECT id, name FROM app.people",
    )
    .await;
    let queues = psql(old, "SELECT count(*) FROM pg_class WHERE relname ~ '^queue_.*_0$'").await;
    assert_eq!(queues.trim(), "3", "one direction captures");
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_queue_part_1_of_3() {
    between(FeedKind::Queue, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_queue_part_2_of_3() {
    between(FeedKind::Queue, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_queue_part_3_of_3() {
    between(FeedKind::Queue, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_wal_part_1_of_3() {
    between(FeedKind::Wal, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_wal_part_2_of_3() {
    between(FeedKind::Wal, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_databases_by_the_wal_part_3_of_3() {
    between(FeedKind::Wal, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_database_part_1_of_3() {
    within(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_database_part_2_of_3() {
    within(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_database_part_3_of_3() {
    within(2).await;
}
