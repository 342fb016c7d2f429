//! Configuration: files and text as data. Nothing here opens a file or reads the process's environment.

mod connection;
mod connection_parameter;
mod connection_request;
mod connection_string;
mod connection_text;
mod database_name;
mod environment;
mod hooks;
pub mod mapping;
mod password_file;
mod pgbouncer_file;
mod project_file;
mod resolve;
mod secret;
mod service_file;
mod settings;
mod settings_file;
mod spanned;
mod surroundings;
pub mod sync_rules;
mod template;
pub mod yaml;

pub use connection::{
    ChannelBinding, ClientCertificate, Connection, Endpoint, Keepalive, SslMode, TargetServer,
};
pub use connection_request::{ConnectionFile, ConnectionFiles, ConnectionRequest};
pub use database_name::DatabaseName;
pub use environment::{Database, DatabaseAddress, Environment};
pub use hooks::{Action, Hook, Hooks, Moment};
pub use mapping::Mapping;
pub use pgbouncer_file::Destination;
pub(crate) use pgbouncer_file::{EntryLine, Piece, Pieces};
pub use project_file::ProjectFile;
pub use resolve::{DEFAULT_LOCK_TIMEOUT, Flags, resolve_database_name, resolve_settings};
pub use secret::Secret;
pub use settings::{BuildOrder, Layer, Origin, Setting, Settings};
pub use spanned::Spanned;
pub use surroundings::Surroundings;
pub use sync_rules::SyncRules;
pub use template::Template;
