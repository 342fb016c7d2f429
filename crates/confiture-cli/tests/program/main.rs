//! The program as a program: arguments in, text and exit status out.

mod build;
mod demo;
mod errors;
mod init;
mod json;
mod meta;
mod migrations;
mod schema_to_schema;
mod server;
mod support;
mod troubles;
