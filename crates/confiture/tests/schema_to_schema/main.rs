//! Databases moved to a new schema, on a real server.

mod shop;
mod world;
