//! A live database as a tree of DDL files: what `pg_dump --schema-only` says, laid out in folders.
//!
//! `pg_dump` is the honest source: it knows every kind of object of its server's version, and its order is one that
//! runs. So its text is cut at its own headings (`dump.rs`), and each piece is put into the file where a person would
//! look for it (`layout.rs`), unless something that it needs would then run later: then into a later folder. The
//! statements themselves are left as they are.

mod dump;
mod homes;
mod layout;
mod names;

pub use layout::SchemaFiles;

use crate::error::Result;

/// The files that make what the dump makes. `text` is the output of `pg_dump --schema-only`.
///
/// # Errors
///
/// Text that cannot be split into statements.
pub fn plan_files(text: &str) -> Result<SchemaFiles> {
    Ok(layout::lay_out(&dump::parse_dump(text)?))
}
