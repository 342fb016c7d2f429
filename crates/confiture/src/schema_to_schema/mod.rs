//! A database moved to a new schema.
