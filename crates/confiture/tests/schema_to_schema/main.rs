//! Databases moved to a new schema, on a real server.

mod api;
mod casts;
mod mappings;
mod names;
mod random;
mod shapes;
mod shop;
mod types;
mod versions;
mod world;
