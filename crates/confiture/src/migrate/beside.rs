//! Files beside a migration in which its tool is told how to run it: Flyway's `V1__x.sql.conf`, Diesel's `metadata.toml`.

use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};
use crate::migrate::file_name::Kind;
use crate::migrate::part::Part;

/// Has a part run as the file beside it says.
///
/// # Errors
///
/// What would be run otherwise by Confiture than by that tool, at its place.
pub(super) fn heed(part: &mut Part, path: &Path, kind: Kind) -> Result<()> {
    let asked = &mut part.directives;
    match kind {
        Kind::Versioned | Kind::Undo => {
            let mut beside = path.as_os_str().to_owned();
            beside.push(".conf");
            read(beside.as_ref(), "Flyway", |key, value| {
                match (key, value.to_ascii_lowercase().as_str()) {
                    ("executeInTransaction", "false") => asked.no_transaction = true,
                    ("placeholderReplacement", "false") => asked.as_written = true,
                    ("executeInTransaction" | "placeholderReplacement" | "shouldExecute", "true")
                    | ("encoding", "utf-8" | "utf8") => {}
                    _ => return false,
                }
                true
            })
        }
        Kind::FolderUp => read(&path.with_file_name("metadata.toml"), "Diesel", |key, value| {
            asked.no_transaction |= value == "false";
            key == "run_in_transaction" && matches!(value, "true" | "false")
        }),
        _ => Ok(()),
    }
}

/// Prisma's `migration_lock.toml` says which server its files are for.
pub(super) fn check_provider(path: &Path) -> Result<()> {
    read(path, "Prisma", |key, value| key != "provider" || value.starts_with("postgres"))
}

/// Reads lines of `key = value`, of which `heed` says whether they are heeded.
fn read(path: &Path, tool: &str, mut heed: impl FnMut(&str, &str) -> bool) -> Result<()> {
    if !disk::is_file(path) {
        return Ok(());
    }
    let script = disk::read_script(path)?;
    let text = script.text();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, said) = (at, line.trim());
        at += line.len();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        let (key, value) = said.split_once('=').unwrap_or((said, ""));
        let value = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        if !heed(key.trim(), value) {
            return Err(Error::config(format!(
                "`{said}` has {tool} run the migration otherwise than Confiture would"
            ))
            .at(script.place(start))
            .hint("write what it means into the migration, and remove this line"));
        }
    }
    Ok(())
}
