//! What is read of `pg_catalog`, against what others say of the same database: `information_schema`, `pg_dump`, and the
//! server itself when definitions are run again.

mod again;
mod agreement;
mod fixture;
mod rebuild;
mod surroundings;
mod types;
