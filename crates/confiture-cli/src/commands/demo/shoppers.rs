//! The shop's application while the demo runs: shoppers who buy, and who remember every order that was confirmed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use confiture::Result;
use confiture::config::Connection;
use confiture::event::{Event, Execution, Observer};
use confiture::postgres::Session;
use confiture::sql::Sql;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Shoppers at a time.
const SHOPPERS: u64 = 4;

/// How long one of them looks around between two purchases.
const PAUSE: Duration = Duration::from_millis(8);

/// Shoppers at work.
pub(super) struct Shoppers {
    stop: Arc<AtomicBool>,
    work: JoinSet<Result<Bought>>,
}

/// What shoppers were told.
#[derive(Debug, Default)]
pub(super) struct Bought {
    /// Orders that the old shop confirmed, by their numbers.
    pub(super) orders: Vec<i64>,
    /// Transactions that it confirmed, orders and others.
    pub(super) transactions: u64,
    /// The longest that a shopper waited for one.
    pub(super) longest: Duration,
}

impl Shoppers {
    /// Opens the doors.
    pub(super) async fn start(shop: &Connection) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = JoinSet::new();
        for shopper in 0..SHOPPERS {
            let session = Session::connect(shop).await?;
            work.spawn(shop_until(session, shopper, Arc::clone(&stop)));
        }
        Ok(Self { stop, work })
    }

    /// Closes the doors, and counts.
    pub(super) async fn stop(mut self) -> Result<Bought> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Bought::default();
        while let Some(ended) = self.work.join_next().await {
            let panicked = |panic| confiture::Error::unexpected("a shopper panicked").because(panic);
            let bought = ended.map_err(panicked)??;
            all.orders.extend(bought.orders);
            all.transactions += bought.transactions;
            all.longest = all.longest.max(bought.longest);
        }
        Ok(all)
    }
}

async fn shop_until(session: Session, shopper: u64, stop: Arc<AtomicBool>) -> Result<Bought> {
    let order = Sql::literal(
        "WITH placed AS (
             INSERT INTO orders (user_id, state, placed_at)
             SELECT id, 'NEW', now() FROM users WHERE id = 1 + $1::int8 % (SELECT max(id) FROM users) RETURNING id
         ), items AS (
             INSERT INTO order_items (order_id, product_id, qty, unit_price)
             SELECT placed.id, products.id, (1 + $1::int8 % 3)::int4, price
             FROM placed, products WHERE products.id IN (1 + $1::int8 % 50, 51 + $1::int8 % 50)
         )
         SELECT id FROM placed",
    );
    let others = [
        "UPDATE orders SET state = 'PAID' WHERE id = (SELECT max(id) - 1 - $1::int8 % 20 FROM orders)",
        "UPDATE users SET bio = 'writes about order ' || $1::int8, newsletter = 'yes' WHERE id = 1 + $1::int8 % (SELECT max(id) FROM users)",
        "UPDATE users SET bio = NULL WHERE id = 1 + ($1::int8 * 31) % (SELECT max(id) FROM users)",
        "DELETE FROM page_views WHERE id = 1 + ($1::int8 * 7919) % (SELECT max(id) FROM page_views)",
    ];
    let others = others.map(Sql::literal);
    let mut bought = Bought::default();
    let mut turn = i64::try_from(shopper).unwrap_or_default();
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        match turn % 8 {
            // Whoever deletes or pays for what is not there is told so, and that is fine too.
            other @ 0..=3 => {
                session.execute(&others[usize::try_from(other).unwrap_or_default()], &[&turn]).await?;
            }
            _ => {
                if let Some(row) = session.query_opt(&order, &[&turn]).await? {
                    bought.orders.push(row.get(0));
                }
            }
        }
        bought.transactions += 1;
        bought.longest = bought.longest.max(began.elapsed());
        turn += i64::try_from(SHOPPERS).unwrap_or(1) + 1;
        sleep(PAUSE).await;
    }
    Ok(bought)
}

/// Passes events on, and remembers what batches said.
pub(super) struct Listener {
    shown: Execution,
    longest_lag: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
}

impl Listener {
    pub(super) fn new(shown: Execution) -> Self {
        let zero = AtomicU64::default;
        Self { shown, longest_lag: zero(), batches: zero(), rows: zero() }
    }

    /// The longest lag of a batch.
    pub(super) fn longest_lag(&self) -> Duration {
        Duration::from_micros(self.longest_lag.load(Ordering::Relaxed))
    }

    /// Batches that wrote something, and the rows that they wrote.
    pub(super) fn applied(&self) -> (u64, u64) {
        (self.batches.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed))
    }
}

impl Observer for Listener {
    fn observe(&self, event: &Event) {
        if let Event::BatchApplied { rows_written, rows_deleted, lag, .. } = event {
            let lag = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
            self.longest_lag.fetch_max(lag, Ordering::Relaxed);
            let rows = rows_written + rows_deleted;
            self.rows.fetch_add(rows, Ordering::Relaxed);
            self.batches.fetch_add(u64::from(rows > 0), Ordering::Relaxed);
        }
        self.shown.emit(event);
    }
}
