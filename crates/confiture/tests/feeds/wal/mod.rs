//! The feed that follows the WAL.

mod fixture;
mod statements;
mod visibility;
