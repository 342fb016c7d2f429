//! The only place that names the driver: sessions, COPY streams, reading the catalog.

mod advisory_lock;
mod catalog;
mod connect;
pub mod database;
pub mod feed;
mod login_error;
mod redact;
mod replication;
mod run;
mod server_error;
mod session;
mod tls;

mod worker_thread;

pub use advisory_lock::AdvisoryLock;
pub use catalog::{read_catalog, read_catalog_in_transaction};
pub use run::{Piece, run_pieces};
pub use server_error::ServerError;
pub use session::{Parameter, Session};
pub use tokio_postgres::Row;
pub(crate) use worker_thread::WorkerThread;
