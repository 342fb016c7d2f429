//! The only place that names the driver: sessions, COPY streams, reading the catalog.

mod advisory_lock;
mod catalog;
mod connect;
mod copy_sync;
pub mod database;
mod dump;
pub mod feed;
mod given_settings;
mod labelled;
mod ledgers;
mod lint_ground;
mod login_error;
mod objects;
pub mod outlasting;
pub mod pgbouncer;
mod redact;
mod replication;
pub mod roles;
mod run;
pub mod scratch;
mod server_error;
mod session;
mod socket;
mod statement_locks;
mod tls;

mod warnings;
mod worker_thread;

pub use advisory_lock::{AdvisoryLock, named_lock, session_end};
pub use catalog::{read_catalog, read_catalog_in_transaction};
pub use dump::{DumpOptions, dump_schema};
pub use given_settings::read_given_settings;
pub use ledgers::find_mere_ledgers;
pub(crate) use ledgers::{Tool, find_ledgers, ledger_names};
pub use lint_ground::read_lint_ground;
pub(crate) use objects::rare_objects;
pub use objects::{Reading, read_objects};
pub use run::{Piece, run_pieces, run_pieces_between};
pub use server_error::ServerError;
pub use session::{Parameter, Session};
pub use statement_locks::{LockWatch, SeenLock};
pub use tokio_postgres::Row;
pub(crate) use tokio_postgres::{CopyInSink, Error as DriverError, Statement};
pub(crate) use worker_thread::WorkerThread;
