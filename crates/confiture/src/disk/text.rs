//! Small text files: configuration, and what `init` writes.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind as IoKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Reads a text file.
///
/// # Errors
///
/// A file that is not there, cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

/// Reads a text file, or nothing where there is none.
///
/// # Errors
///
/// A file that cannot be read, or is not UTF-8.
pub fn read_text_if_present(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// True where there is anything at `path`.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// As [`exists`], but a folder that may not be entered is an error and not an absence.
///
/// # Errors
///
/// That one.
pub fn try_exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| unreadable(path, error))
}

/// True where `path` is a file that can be seen.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// True where `path` is a folder that can be seen.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The files of a folder and of the folders in it, as paths relative to it, sorted. None where there is no such folder.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        let path = folder.join(&inside);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(unreadable(&path, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&path, error))?;
            let name = inside.join(entry.file_name());
            // A link to a folder is not followed: it may lead back up.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { &mut folders } else { &mut files }.push(name);
        }
    }
    files.sort();
    Ok(files)
}

/// The path from the root of the disk on, with links followed.
///
/// # Errors
///
/// A path that is not there.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::canonicalize(path).map_err(|error| unreadable(path, error))
}

/// Makes a folder, and those above it.
///
/// # Errors
///
/// A folder that cannot be made.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| unwritable("create the folder", folder, error))
}

/// Writes a file that is not there yet, and the folders above it. False where there is one: it stays as it is. What the disk has no
/// room for is not left half written.
///
/// # Errors
///
/// A file or a folder that cannot be written.
pub fn write_new_file(path: &Path, contents: &str) -> Result<bool> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(unwritable("write", path, error)),
    };
    match file.write_all(contents.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) => {
            // The first error is the one to tell.
            drop(fs::remove_file(path));
            Err(unwritable("write", path, error))
        }
    }
}

/// Removes a file.
///
/// # Errors
///
/// One that is not there, or cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| unwritable("remove", path, error))
}

/// Moves a file into a folder, which is made where it is missing. One of the same name there stays, and is an error.
///
/// # Errors
///
/// That, and a file that cannot be moved.
pub fn move_into(file: &Path, folder: &Path) -> Result<()> {
    create_folder(folder)?;
    let target = folder.join(file.file_name().unwrap_or_default());
    if target.exists() {
        return Err(
            Error::config(format!("{} is there already", target.display())).hint("move it away first")
        );
    }
    fs::rename(file, &target).map_err(|error| unwritable("move", file, error))
}

/// Adds text at the end of a file, which is made where there is none.
///
/// # Errors
///
/// A file that cannot be written.
pub fn append_text(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| unwritable("write", path, error))
}

/// True where the error says that there is no such file; a file where a folder should be says so too.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory)
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let wrong = Error::config(format!("cannot read {}: {}", path.display(), reason(&error)));
    let wrong = match error.kind() {
        IoKind::PermissionDenied => {
            wrong.hint("give this user the right to read it, and to enter the folders above")
        }
        _ => wrong,
    };
    wrong.because(error)
}

pub(super) fn unwritable(what: &str, path: &Path, error: io::Error) -> Error {
    let wrong = Error::config(format!("cannot {what} {}: {}", path.display(), reason(&error)));
    let wrong = match error.kind() {
        IoKind::PermissionDenied => {
            wrong.hint("choose a folder that you may write to, or change its permissions")
        }
        IoKind::AlreadyExists | IoKind::NotADirectory => {
            wrong.hint("there is a file where a folder should be: move it away, or choose another folder")
        }
        _ => wrong,
    };
    wrong.because(error)
}

/// What the system says, without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        IoKind::NotFound => "there is no such file or folder".to_owned(),
        IoKind::PermissionDenied => "permission denied".to_owned(),
        IoKind::AlreadyExists | IoKind::NotADirectory => "it is not a folder".to_owned(),
        IoKind::InvalidData => "it is not UTF-8".to_owned(),
        IoKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        IoKind::StorageFull => "the disk is full".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}
