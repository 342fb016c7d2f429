//! Incremental migrations against a real server; `psql` is the oracle.

mod adopting;
mod applying;
mod crash;
mod ground;
mod hooks;
mod linting;
mod lock_modes;
mod locks;
mod pooling;
mod proving;
mod refused;
mod rehearsing;
mod reverting;
mod sessions;
