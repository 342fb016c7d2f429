//! Configuration: files and text as data. Nothing here opens a file or reads the process's environment.

mod connection;
mod secret;
mod surroundings;

pub use connection::{Connection, Endpoint, SslMode};
pub use secret::Secret;
pub use surroundings::Surroundings;
