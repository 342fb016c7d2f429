//! The feed that follows the WAL.

mod breaks;
mod fixture;
mod logins;
mod shapes;
mod statements;
mod visibility;
