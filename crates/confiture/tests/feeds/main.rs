//! Change feeds, on a real server.

mod wal;
