//! An application that remembers every write that was acknowledged to it, and a judge who looks afterwards for each of
//! them.
//!
//! ```no_run
//! # async fn example(old: &str, new: &str) -> anyhow::Result<()> {
//! use recording_clients::{Clients, Ends, Options, Target, read_rows};
//!
//! let write = "INSERT INTO orders (id, client) VALUES ($1, $2)";
//! let (told, target) = tokio::sync::watch::channel(Target::new(old, write));
//! let clients = Clients::start(Options::default(), target);
//! clients.until_acknowledged(1000).await;
//! // … the cutover, whose hook does this:
//! told.send(Target::new(new, write))?;
//! let fenced = std::time::Instant::now();
//! clients.until_acknowledged(2000).await;
//! let record = clients.stop().await;
//!
//! // `born` says on which side a row was written: a column that has another default there.
//! let query = "SELECT id, born FROM orders";
//! let (open, closed) = (read_rows(new, query).await?, read_rows(old, query).await?);
//! let faults = record.judge(&Ends { open: &open, closed: &closed, closed_name: "old", closed_since: Some(fenced) });
//! assert!(faults.is_empty(), "{faults:?}");
//! println!("{}", record.summary());
//! # Ok(())
//! # }
//! ```
//!
//! The clients are those of an ordinary application with a pool: who gets an error drops the connection, reads again where
//! the database is, and tries once more, with another id. A write is *acknowledged* when its commit returned, *failed* when
//! the server said so before it could have been committed, and *unknown* when the answer is missing.
//!
//! This crate knows nothing of Confiture: it judges it.

mod clients;
mod judge;
mod pgbench;
mod record;

pub use clients::{Clients, Options, Style, Target, Whereabouts};
pub use judge::{Ends, Fault, Row, read_rows};
pub use pgbench::{PgBench, PgBenchOptions, PgBenchReport};
pub use record::{Outcome, Record, Stall, Write};
