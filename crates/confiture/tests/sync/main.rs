//! Production copied to staging with personal data masked, on a real server.

#[path = "../database/mod.rs"]
mod database;
mod original;
mod proof;
mod property;
mod quarantine;
#[path = "../live/seed.rs"]
#[allow(dead_code, reason = "shared with another test binary")]
mod seed;
mod shapes;
mod subset;
mod world;
