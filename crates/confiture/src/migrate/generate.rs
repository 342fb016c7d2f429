//! `generate NAME`: an empty migration, in the style of its folder.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use crate::disk;
use crate::error::{Error, Result};
use crate::migrate::checksum::Checksum;
use crate::migrate::folder::{Folder, Layout};
use crate::migrate::version::next_version;
use crate::sql::{Script, split};

/// Files that were written.
#[derive(Debug, Clone, Serialize)]
pub struct Generated {
    /// The new version.
    pub version: String,
    /// The name, as it stands in the files' names.
    pub name: String,
    /// The files, the way up first.
    pub files: Vec<PathBuf>,
}

/// Writes an empty migration: a pair of files, or one where the folder's tool has both ways in one.
///
/// # Errors
///
/// A name without a letter; a file that cannot be written.
pub fn generate(folder: &Folder, name: &str, now: SystemTime) -> Result<Generated> {
    let (version, name) = (next(folder, now), file_name(name)?);
    let header = header(&version, &name);
    if folder.layout == Layout::Dbmate {
        let text = format!("{header}-- migrate:up\n\n\n-- migrate:down\n\n");
        return write(folder, version, name, &[(".sql", &text)]);
    }
    let up = format!(
        "{header}\n-- Write the way up here. Each migration is one transaction; what cannot be in one, such as\n-- CREATE INDEX CONCURRENTLY, is found and run on its own.\n"
    );
    let down = format!("{header}\n-- Write here what undoes it.\n");
    write(folder, version, name, &[(".up.sql", &up), (".down.sql", &down)])
}

/// Writes a migration whose statements are known, as a pair. `head` stands between its header and the statements: comments,
/// directives.
///
/// # Errors
///
/// As [`generate`]; the last migration says the same.
pub fn write_pair(folder: &Folder, name: &str, now: SystemTime, up: &str, down: &str) -> Result<Generated> {
    refuse_twice(folder, up)?;
    let (version, name) = (next(folder, now), file_name(name)?);
    let header = header(&version, &name);
    let text = |sql: &str| format!("{header}{}{sql}", if sql.starts_with("--") { "" } else { "\n" });
    write(folder, version, name, &[(".up.sql", &text(up)), (".down.sql", &text(down))])
}

/// A difference is made once: whoever asks for it twice would be stopped by the server, on a database that has the first.
fn refuse_twice(folder: &Folder, up: &str) -> Result<()> {
    let Some(last) = folder.migrations.last() else { return Ok(()) };
    let checksum = Checksum::of(&split(Script::new(last.path(), up))?);
    if Checksum::of(&last.up.script) != checksum {
        return Ok(());
    }
    Err(Error::config(format!("{} says the same, and nothing is written", last.path().display()))
        .hint("apply it; or remove it and its way back, to have it made anew"))
}

fn next(folder: &Folder, now: SystemTime) -> String {
    next_version(folder.migrations.last().map(|last| &last.version), now)
}

pub(super) fn header(version: &str, name: &str) -> String {
    format!("-- Migration: {name}\n-- Version: {version}\n")
}

fn write(folder: &Folder, version: String, name: String, files: &[(&str, &str)]) -> Result<Generated> {
    let stem = stem(folder, &version, &name);
    let mut written: Vec<PathBuf> = Vec::new();
    for (suffix, text) in files {
        let path = folder.path.join(format!("{stem}{suffix}"));
        let is_new = disk::write_new_file(&path, text).and_then(|is_new| match is_new {
            true => Ok(()),
            false => Err(Error::config(format!("{} is there already", path.display()))
                .hint("somebody was faster: run this again")),
        });
        if let Err(error) = is_new {
            // Half a migration is none.
            for path in &written {
                drop(disk::remove_file(path));
            }
            return Err(error);
        }
        written.push(path);
    }
    Ok(Generated { version, name, files: written })
}

/// `003_add_bio`, `V3__add_bio`.
pub(super) fn stem(folder: &Folder, version: &str, name: &str) -> String {
    match folder.layout {
        _ if folder.with_letter => format!("V{version}__{name}"),
        _ => format!("{version}_{name}"),
    }
}

/// `Add bio` becomes `add_bio`.
fn file_name(name: &str) -> Result<String> {
    let words: Vec<_> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let joined = words.join("_");
    if !joined.chars().any(char::is_alphabetic) {
        return Err(Error::usage(format!("`{name}` is no name for a migration"))
            .hint("say what it does, as in: confiture migrate generate add_email_index"));
    }
    // The file system's limit is 255 bytes; a version and a suffix want their part of them.
    if joined.len() > 200 {
        return Err(
            Error::usage("the name is longer than a file's name may be").hint("say it in fewer words")
        );
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::folder::read_folder;
    use std::time::{Duration, UNIX_EPOCH};

    fn generated(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let read = read_folder(folder.path()).unwrap();
        let made = generate(&read, "Add e-mail", now).unwrap();
        // What was written is read back as the next one, with nothing in it.
        let again = read_folder(folder.path()).unwrap();
        let last = again.migrations.last().unwrap();
        assert_eq!((last.version.as_str(), last.up.is_empty()), (made.version.as_str(), true));
        made.files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_style_of_the_folder_is_kept() {
        let pair = |stem: &str| vec![format!("{stem}.up.sql"), format!("{stem}.down.sql")];
        assert_eq!(generated(&[]), pair("20260101000000_add_e_mail"));
        assert_eq!(generated(&[("009_a.up.sql", "SELECT 1")]), pair("010_add_e_mail"));
        assert_eq!(generated(&[("V1__a.sql", "SELECT 1")]), pair("V2__add_e_mail"));
        assert_eq!(
            generated(&[("20250101000000_a.sql", "-- migrate:up\nSELECT 1;")]),
            ["20260101000000_add_e_mail.sql"]
        );
    }

    #[test]
    fn both_files_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let read = read_folder(folder.path()).unwrap();
        std::fs::write(folder.path().join("20260101000000_a.down.sql"), "").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        generate(&read, "a", now).unwrap_err();
        assert!(!folder.path().join("20260101000000_a.up.sql").exists());
    }

    #[test]
    fn a_name_says_something() {
        assert!(file_name("--- 1").is_err() && file_name(&"x".repeat(300)).is_err());
        assert_eq!(file_name("Größe ändern").unwrap(), "größe_ändern");
    }
}
