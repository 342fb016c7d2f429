//! Clients that write all the time and remember what was acknowledged. Like an application with a pool, they look for the
//! other side where a side tells them that it takes no writes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::sql::Sql;
use tokio::task::JoinHandle;

/// What one client has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Numbers that were acknowledged.
    pub(crate) acknowledged: BTreeSet<i64>,
    /// Numbers of which nobody knows: the connection was lost meanwhile.
    pub(crate) unknown: BTreeSet<i64>,
    /// Writes that the other side refused, and that were tried again there.
    pub(crate) moved: u32,
    /// Writes that were a deadlock's victims, and were tried again.
    pub(crate) deadlocks: u32,
    /// The longest time from asking for the first time to the acknowledgement.
    pub(crate) longest: Duration,
}

pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Seen>>,
}

/// Both sides: how to reach them, and the statement that writes a row with the number `$`.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) connection: Connection,
    pub(crate) statement: &'static str,
}

static NEXT: AtomicI64 = AtomicI64::new(1);

/// What a client rests after a write. Each write is carried over, and perhaps found again and compared: with less, a few tests at
/// a time write more than the machine carries, until both sides no longer keep up with each other.
const REST: Duration = Duration::from_millis(10);

impl Clients {
    /// Starts so many clients, which begin at the first side.
    pub(crate) fn start(count: usize, sides: &[Side; 2]) -> Self {
        Self::start_every(REST, count, sides)
    }

    /// The same; each rests for so long after each write.
    pub(crate) fn start_every(rest: Duration, count: usize, sides: &[Side; 2]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let write = |_| tokio::spawn(write(rest, sides.clone(), Arc::clone(&stop), Arc::clone(&written)));
        let tasks = (0..count).map(write).collect();
        Self { stop, written, tasks }
    }

    /// Returns once so many more writes were acknowledged: nobody is left waiting.
    pub(crate) async fn until_more(&self, writes: u64) {
        assert!(self.go_on(writes, Duration::from_secs(15)).await, "the application is left waiting");
    }

    /// True once so many more writes were acknowledged; false where they are not within that time.
    pub(crate) async fn go_on(&self, writes: u64, within: Duration) -> bool {
        let goal = self.written.load(Ordering::SeqCst) + writes;
        let begun = Instant::now();
        while self.written.load(Ordering::SeqCst) < goal {
            if begun.elapsed() > within {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Stops them, and returns what all have seen.
    pub(crate) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for task in self.tasks {
            let seen = task.await.unwrap();
            all.acknowledged.extend(seen.acknowledged);
            all.unknown.extend(seen.unknown);
            all.moved += seen.moved;
            all.deadlocks += seen.deadlocks;
            all.longest = all.longest.max(seen.longest);
        }
        all
    }
}

async fn write(rest: Duration, sides: [Side; 2], stop: Arc<AtomicBool>, written: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    let mut side = 0;
    let mut session = Session::connect(&sides[side].connection).await.unwrap();
    while !stop.load(Ordering::SeqCst) {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let asked = Instant::now();
        loop {
            let statement = sides[side].statement.replace('$', &number.to_string());
            let Err(error) = session.batch(&Sql::from_user(statement)).await else {
                seen.acknowledged.insert(number);
                written.fetch_add(1, Ordering::SeqCst);
                break;
            };
            match error.sqlstate_code() {
                Some("25006") => {
                    session.batch(&Sql::literal("ROLLBACK")).await.ok();
                    seen.moved += 1;
                    side = 1 - side;
                    session = Session::connect(&sides[side].connection).await.unwrap();
                }
                // An application tries again; and the switch is the victim as often.
                Some("40P01" | "40001") => {
                    session.batch(&Sql::literal("ROLLBACK")).await.ok();
                    seen.deadlocks += 1;
                }
                _ if session.is_closed() => {
                    seen.unknown.insert(number);
                    session = Session::connect(&sides[side].connection).await.unwrap();
                    break;
                }
                _ => panic!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        seen.longest = seen.longest.max(asked.elapsed());
        tokio::time::sleep(rest).await;
    }
    seen
}
