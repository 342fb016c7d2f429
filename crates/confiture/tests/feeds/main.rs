//! Change feeds, on a real server.

mod queue;
mod wal;
