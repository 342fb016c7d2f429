//! Cutovers and rollbacks while clients write, each of which remembers what was acknowledged.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests that take long say where they are")]

mod between;
mod bidirectional;
mod bidirectional_crash;
mod bidirectional_harm;
mod bidirectional_others;
mod bidirectional_random;
mod clients;
mod crash;
#[path = "../database/mod.rs"]
mod database;
mod immediate;
mod lossy;
mod network;
mod others;
#[path = "../live/proxy.rs"]
#[allow(dead_code, reason = "shared with another test binary")]
mod proxy;
#[path = "../live/seed.rs"]
#[allow(dead_code, reason = "shared with another test binary")]
mod seed;
mod within;
mod without;
#[path = "../schema_to_schema/world.rs"]
#[allow(dead_code, unused_imports, reason = "shared with another test binary")]
mod world;
