//! What a cutover is made of, and cutovers judged by the clients that go through them, against real servers and a real
//! PgBouncer.
#![allow(clippy::print_stdout, reason = "what was measured is worth a line")]

mod clients;
mod console;
#[path = "../database/mod.rs"]
mod database;
mod ground;
mod hooks;
mod pgbouncer;
mod scene;
#[path = "../schema_to_schema/world.rs"]
#[allow(dead_code, unused_imports, reason = "shared with another test binary")]
mod world;
