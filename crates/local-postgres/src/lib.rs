//! Finds PostgreSQL's programs and runs local servers, throwaway or kept.
//!
//! ```no_run
//! # async fn example() -> local_postgres::Result<()> {
//! use local_postgres::{Options, Server};
//!
//! // For a test: starts within a tenth of a second, in memory, and leaves nothing behind.
//! let server = Server::throwaway(Options::default()).await?;
//! let url = server.url("postgres"); // for psql, libpq and every driver
//! drop(server); // stopped and removed; a panic, Ctrl-C and `kill -9` do the same
//!
//! // For a project: the data stays in a folder, and programs that run at the same time share the server.
//! let server = Server::keep("project/server", Options::default()).await?;
//! let server = server.keep_running().await?; // not only as long as this program
//! server.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it takes care of
//!
//! - **Finding the programs.** Most systems keep `initdb` and `postgres` out of `PATH`. [`Binaries::find`] knows where,
//!   takes the newest version or the one asked for, and when there is none names the package to install.
//! - **Nothing is left behind.** A server's parent is a small shell script that reads a pipe. The system closes our
//!   end of the pipe however this program ends, and then the script stops the server and removes its folder. When the
//!   script was killed as well, the next throwaway server removes the folder.
//! - **Speed.** `initdb` runs once per user and PostgreSQL; servers begin with a copy of its result, which is in the
//!   user's cache folder. Throwaway servers do not wait for disks, and keep their data in memory when there is room.
//! - **Nobody else gets in.** A server listens on a Unix socket in a folder that only its user may enter. TCP is there
//!   when asked for, on 127.0.0.1 only, and wants a password.
//! - **Root.** PostgreSQL refuses to run as root. Root's servers run as the user `postgres` or `nobody`, and when that
//!   user cannot enter the folder of a kept server, it moves below `/var/lib/local-postgres`.
//! - **Many programs at once** may start servers, also the same one: one starts it and the others find it.
//!
//! Linux and macOS only: elsewhere, run PostgreSQL yourself.

mod account;
mod binaries;
mod data;
mod error;
mod kept;
mod options;
mod pgbouncer;
mod place;
mod server;
mod supervisor;
pub mod testing;

pub use binaries::{Binaries, Version};
pub use error::{Error, ErrorKind, Result};
pub use options::{Options, Tls};
pub use pgbouncer::{PgBouncer, PgBouncerOptions};
pub use server::Server;

/// The superuser of every server that this crate makes.
pub(crate) const SUPERUSER: &str = "postgres";
