//! The program as a program: arguments in, text and exit status out.

mod audit;
mod both_sides;
mod browser;
mod build;
mod demo;
mod diff;
mod errors;
mod following;
mod full_name;
mod init;
mod json;
mod lint;
mod meta;
mod migrations;
mod monitor;
mod page;
mod runbook;
mod schema_to_schema;
mod seed_commands;
mod server;
mod support;
mod switching;
mod sync;
mod troubles;
mod verifying;
mod watched;
