//! Production copied to staging with personal data masked, on a real server.

#[path = "../database/mod.rs"]
mod database;
mod original;
mod proof;
mod quarantine;
mod shapes;
mod subset;
mod world;
