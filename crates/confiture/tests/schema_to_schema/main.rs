//! Databases moved to a new schema, on a real server.

mod api;
mod crash;
mod interrupts;
mod locks;
mod resume;
mod shop;
mod world;
