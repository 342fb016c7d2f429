//! Databases from DDL files.
