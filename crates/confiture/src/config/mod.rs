//! Configuration: files and text as data. Nothing here opens a file or reads the process's environment.

mod connection;
mod connection_parameter;
mod connection_request;
mod connection_string;
pub mod mapping;
mod password_file;
mod secret;
mod service_file;
mod spanned;
mod surroundings;
pub mod yaml;

pub use connection::{ChannelBinding, Connection, Endpoint, Keepalive, SslMode, TargetServer};
pub use connection_request::{ConnectionFile, ConnectionFiles, ConnectionRequest};
pub use mapping::Mapping;
pub use secret::Secret;
pub use spanned::Spanned;
pub use surroundings::Surroundings;
