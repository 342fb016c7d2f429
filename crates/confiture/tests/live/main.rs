//! Databases that are moved to a new schema while writers go on.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests that take long say where they are")]

mod checklist;
mod crash;
#[path = "../database/mod.rs"]
mod database;
mod disk;
mod failover;
mod few_keys;
mod first;
mod idle;
mod library;
mod many;
mod mutants;
mod oracle;
mod outrun;
mod property;
mod proxy;
mod readers;
mod running;
mod scene;
mod seed;
mod seed_faults;
mod shapes;
#[path = "../schema_to_schema/small_disk.rs"]
mod small_disk;
#[path = "../schema_to_schema/standby.rs"]
mod standby;
mod there_and_back;
mod verification;
mod waiting;
mod way_back;
mod wire;
mod workload;
#[path = "../schema_to_schema/world.rs"]
#[allow(dead_code, unused_imports, reason = "shared with another test binary")]
mod world;
