//! The shop's application while the demo runs: shoppers who buy, and who remember every order that was confirmed to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use confiture::Result;
use confiture::config::Connection;
use confiture::event::{Event, Execution, Observer};
use confiture::postgres::Session;
use confiture::sql::{Sql, sql};
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
    /// Orders that the shop confirmed, by their numbers.
    pub(super) orders: Vec<i64>,
    /// Transactions that it confirmed, orders and others.
    pub(super) transactions: u64,
    /// Transactions that failed.
    pub(super) failed: u64,
    /// The longest that a shopper waited for one.
    pub(super) longest: Duration,
}

impl Shoppers {
    /// Opens the doors. `users` of the shop go shopping.
    pub(super) async fn start(shop: &Connection, users: u32) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = JoinSet::new();
        for shopper in 0..SHOPPERS {
            let session = Session::connect(shop).await?;
            work.spawn(shop_until(session, shopper, i64::from(users), Arc::clone(&stop)));
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
            all.failed += bought.failed;
            all.longest = all.longest.max(bought.longest);
        }
        Ok(all)
    }
}

/// The application knows both schemas, and looks in each transaction which one it has: so it was deployed before the cutover.
const ORDER: [&str; 2] = [
    "INSERT INTO orders (id, user_id, state, placed_at) VALUES (turn, who, 'NEW', now());
     INSERT INTO order_items (order_id, product_id, qty, unit_price)
         SELECT turn, id, 1 + turn % 3, price FROM products WHERE id IN (1 + turn % 50, 51 + turn % 50);",
    "INSERT INTO orders (id, customer_id, status, placed_at) VALUES (turn, who, 'new', now());
     INSERT INTO order_lines (order_id, product_id, product_name, quantity, unit_price)
         SELECT turn, id, name, 1 + turn % 3, price FROM products WHERE id IN (1 + turn % 50, 51 + turn % 50);",
];
const PAY: [&str; 2] = [
    "UPDATE orders SET state = 'PAID' WHERE id = turn - 6;",
    "UPDATE orders SET status = 'paid' WHERE id = turn - 6;",
];
const WRITE: [&str; 2] = [
    "UPDATE users SET bio = 'writes about order ' || turn, newsletter = 'yes' WHERE id = who;",
    "INSERT INTO customer_profiles (customer_id, bio) VALUES (who, 'writes about order ' || turn)
         ON CONFLICT (customer_id) DO UPDATE SET bio = excluded.bio;
     UPDATE customers SET wants_newsletter = true WHERE id = who;",
];
const FORGET: [&str; 2] =
    ["UPDATE users SET bio = NULL WHERE id = who;", "DELETE FROM customer_profiles WHERE customer_id = who;"];
const UNSEE: [&str; 2] = ["DELETE FROM page_views WHERE id = turn % 1000000;"; 2];

/// Numbers of orders begin here: an application may draw them itself.
const FIRST_ORDER: i64 = 1_000_000_000;

async fn shop_until(session: Session, shopper: u64, users: i64, stop: Arc<AtomicBool>) -> Result<Bought> {
    let mut bought = Bought::default();
    let mut turn = FIRST_ORDER + i64::try_from(shopper).unwrap_or_default();
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let (does, is_order) = match turn % 8 {
            0 => (PAY, false),
            1 => (WRITE, false),
            2 => (FORGET, false),
            3 => (UNSEE, false),
            _ => (ORDER, true),
        };
        let [old, new] = does.map(Sql::literal);
        let transaction = sql!(
            "DO $do$ DECLARE turn bigint := {}; who bigint := {}; BEGIN
                 IF to_regclass('customers') IS NULL THEN {} ELSE {} END IF;
             END $do$",
            turn,
            1 + turn * 31 % users,
            old,
            new
        );
        match session.batch(&transaction).await {
            Ok(()) => {
                bought.transactions += 1;
                bought.orders.extend(is_order.then_some(turn));
            }
            Err(error) if session.is_closed() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a shopper was turned away");
                bought.failed += 1;
            }
        }
        bought.longest = bought.longest.max(began.elapsed());
        turn += i64::try_from(SHOPPERS).unwrap_or(1);
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
