//! Configuration: files and text as data. Nothing here opens a file or reads the process's environment.

mod connection;
pub mod mapping;
mod secret;
mod spanned;
mod surroundings;
pub mod yaml;

pub use connection::{Connection, Endpoint, SslMode};
pub use mapping::Mapping;
pub use secret::Secret;
pub use spanned::Spanned;
pub use surroundings::Surroundings;
