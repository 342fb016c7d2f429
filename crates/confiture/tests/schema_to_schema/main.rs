//! Databases moved to a new schema, on a real server.

mod api;
mod shop;
mod types;
mod world;
