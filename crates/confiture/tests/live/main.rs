//! Databases that are moved to a new schema while writers go on.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests that take long say where they are")]

mod crash;
mod few_keys;
mod first;
mod oracle;
mod property;
mod scene;
mod seed;
mod waiting;
mod workload;
#[path = "../schema_to_schema/world.rs"]
#[allow(dead_code, unused_imports, reason = "shared with another test binary")]
mod world;
