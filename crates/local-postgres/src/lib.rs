//! Finds PostgreSQL's programs and runs local servers, throwaway or kept.
//!
//! ```no_run
//! # async fn example() -> local_postgres::Result<()> {
//! use local_postgres::{Options, Server};
//!
//! let server = Server::throwaway(Options::default()).await?; // about 100 ms
//! let url = server.url("postgres"); // for psql, libpq and every driver
//! server.stop().await?; // nothing is left; `drop` and even `kill -9` do the same
//! # Ok(())
//! # }
//! ```

mod account;
mod binaries;
mod data;
mod error;
mod kept;
mod options;
mod place;
mod server;
mod supervisor;
pub mod testing;

pub use binaries::{Binaries, Version};
pub use error::{Error, ErrorKind, Result};
pub use options::{Options, Tls};
pub use server::Server;

/// The superuser of every server that this crate makes.
pub(crate) const SUPERUSER: &str = "postgres";
