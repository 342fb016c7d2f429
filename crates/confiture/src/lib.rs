//! Confiture: builds databases from DDL files, moves them forward, and moves a database to a new schema with proof.
//!
//! Every feature is one flow:
//!
//! ```text
//! configuration -> catalog(s) -> plan (data) -> execution -> report (data)
//! ```
//!
//! A plan is a value that can be printed, serialised and compared. Execution takes a plan and emits [`event::Event`]s.
//! Nothing changes a database outside the execution of a plan. The library never prints and never reads the process's
//! environment: whoever calls it passes a [`config::Surroundings`] in.

// Floor 0: text that is safe to send; errors; progress.
pub mod error;
pub mod event;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
pub mod sql;

// Floor 1: files and database objects as data.
pub mod catalog;
pub mod config;

// Floor 2: scripts to remarks.
pub mod lint;
// Floor 2: two catalogs compared.
pub mod diff;

// Floor 3: the world outside.
pub mod disk;
pub mod hook;
pub mod postgres;

// Floor 4: the features. They never import each other.
pub mod build;
pub mod init;
pub mod migrate;
pub mod project;
pub mod schema_diff;
pub mod schema_to_schema;
pub mod sync;

pub use error::{Error, ErrorKind, Place, Result};
