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

use crate::diff::{holds_secret, without_secrets};
use crate::error::Result;

/// The files that make what the dump makes. `text` is the output of `pg_dump --schema-only`. Passwords are left out, unless `secrets` are
/// wanted.
///
/// # Errors
///
/// Text that cannot be split into statements.
pub fn plan_files(text: &str, secrets: bool) -> Result<SchemaFiles> {
    let mut pieces = dump::parse_dump(text)?;
    let mut left_out = Vec::new();
    for piece in pieces.iter_mut().filter(|_| !secrets) {
        for statement in piece.statements.iter_mut().filter(|statement| holds_secret(statement)) {
            left_out.push(format!("{} {}", piece.kind.to_lowercase(), piece.name));
            *statement = format!("-- Its password is left out.\n{}", without_secrets(statement));
        }
    }
    let mut files = layout::lay_out(&pieces);
    if !left_out.is_empty() {
        files.notes.push(format!(
            "passwords are left out of the files, unless --secrets is given: {}",
            left_out.join(", ")
        ));
    }
    Ok(files)
}
