//! Databases moved to a new schema, on a real server.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests that take long say where they are")]

mod api;
mod bad_data;
mod casts;
mod crash;
#[path = "../database/mod.rs"]
mod database;
mod interrupts;
mod locks;
mod mappings;
mod names;
mod privileges;
mod random;
mod resume;
mod servers;
mod shapes;
mod shop;
mod small_disk;
mod standby;
mod types;
mod unreachable;
mod versions;
mod without_fdw;
mod world;
