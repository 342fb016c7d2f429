//! Trees of SQL files: walking them, reading scripts, writing whole files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::text::{canonical, unreadable, unwritable};
use crate::error::{Error, Place, Result};
use crate::sql::Script;

/// Every file below `folder` whose name ends in `.extension`, as paths relative to `folder`, in no order. Hidden files
/// and folders are left out. Symbolic links are followed, but never out of `root`.
///
/// # Errors
///
/// A folder that cannot be read, a link that leads out of `root` or round in a circle.
pub fn list_files(root: &Path, folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let root = canonical(root)?;
    let mut found = Vec::new();
    let mut walk = Walk { root: &root, top: folder, extension, above: Vec::new(), found: &mut found };
    walk.enter(folder)?;
    Ok(found)
}

struct Walk<'a> {
    root: &'a Path,
    top: &'a Path,
    extension: &'a str,
    /// The folders that the walk is in, without links: meeting one again is a circle.
    above: Vec<PathBuf>,
    found: &'a mut Vec<PathBuf>,
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Path) -> Result<()> {
        check_inside(self.root, folder)?;
        let resolved = canonical(folder)?;
        if self.above.contains(&resolved) {
            return Err(Error::config(format!("the link {} leads round in a circle", folder.display()))
                .hint("remove the symbolic link, or exclude it"));
        }
        self.above.push(resolved);
        for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            let path = entry.map_err(|error| unreadable(folder, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                self.enter(&path)?;
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(self.extension))
            {
                check_inside(self.root, &path)?;
                self.found.push(path.strip_prefix(self.top).unwrap_or(&path).to_path_buf());
            }
        }
        self.above.pop();
        Ok(())
    }
}

/// A file's name, size and time of its last change.
pub type Stamp = (PathBuf, u64, Option<std::time::SystemTime>);

/// The SQL files below a folder, from outside, sorted. What cannot be read is left out.
#[must_use]
pub fn stamps_below(folder: &Path) -> Vec<Stamp> {
    let stamp = |path: PathBuf| {
        let about = fs::metadata(&path).ok()?;
        Some((path, about.len(), about.modified().ok()))
    };
    if folder.is_file() {
        return stamp(folder.to_owned()).into_iter().collect();
    }
    let mut files = list_files(folder, folder, "sql").unwrap_or_default();
    files.sort();
    files.into_iter().filter_map(|file| stamp(folder.join(file))).collect()
}

/// Refuses a path that lies, links followed, outside of `root`.
///
/// # Errors
///
/// That, or a path that cannot be reached.
pub fn check_inside(root: &Path, path: &Path) -> Result<()> {
    let (root, resolved) = (canonical(root)?, canonical(path)?);
    if resolved.starts_with(&root) {
        return Ok(());
    }
    Err(Error::config(format!("{} lies outside of the project", path.display())).hint(format!(
        "it is really {}; only files in {} are read",
        resolved.display(),
        root.display()
    )))
}

/// Reads a file as a script.
///
/// # Errors
///
/// A file that cannot be read, or that is not UTF-8 text, with the place of the first wrong byte.
pub fn read_script(path: &Path) -> Result<Script> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    let valid = match std::str::from_utf8(&bytes) {
        Ok(text) => text.find('\0').unwrap_or(text.len()),
        Err(error) => error.valid_up_to(),
    };
    match String::from_utf8(bytes) {
        Ok(text) if valid == text.len() => Ok(Script::new(path, text)),
        Ok(_) => Err(Error::config("the file holds a zero byte, which SQL text cannot")
            .at(place_of_byte(path, valid)?)
            .hint("save the file as UTF-8 text")),
        Err(error)
            if error.as_bytes().starts_with(b"\xff\xfe") || error.as_bytes().starts_with(b"\xfe\xff") =>
        {
            Err(Error::config("the file is UTF-16 text")
                .at(place_of_byte(path, 0)?)
                .hint("save the file as UTF-8"))
        }
        Err(_) => Err(Error::config("the file is not UTF-8 text")
            .at(place_of_byte(path, valid)?)
            .hint("save the file as UTF-8, for instance with `iconv -f LATIN1 -t UTF-8`")),
    }
}

/// The place of the byte at `offset`, up to which the file is UTF-8.
fn place_of_byte(path: &Path, offset: usize) -> Result<Place> {
    let mut bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    bytes.truncate(offset);
    let before = String::from_utf8_lossy(&bytes);
    let (line, last) = before
        .rsplit_once('\n')
        .map_or((1, &*before), |(above, last)| (above.matches('\n').count() + 2, last));
    Ok(Place {
        file: path.to_path_buf(),
        line,
        column: last.trim_start_matches('\u{feff}').chars().count() + 1,
    })
}

/// Writes a file whole or not at all: a reader sees the old text or the new one. Missing folders are made.
///
/// # Errors
///
/// Whatever the disk says.
pub fn write_atomically(path: &Path, text: &str) -> Result<()> {
    if path.is_dir() {
        return Err(
            Error::config(format!("cannot write {}: it is a folder", path.display())).hint("name a file")
        );
    }
    let unwritable = |error| unwritable("write", path, error);
    // What is no file, as /dev/stdout or a named pipe, is written to; a file in its place would break more than this.
    if path.exists() && !path.is_file() {
        return fs::write(path, text).map_err(unwritable);
    }
    // A link stays, and what it leads to is written.
    let target = if path.exists() { canonical(path)? } else { path.to_owned() };
    let path = target.as_path();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(unwritable)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(|| Error::usage(format!("{} is not a file", path.display())))?);
    name.push(format!(".{}.tmp", std::process::id()));
    let aside = folder.join(name);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().map_err(|error| {
        // The first error is the one to tell.
        drop(fs::remove_file(&aside));
        unwritable(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_refused_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sql");
        for (bytes, place, message) in [
            (&b"SELECT 1;\n'\xc3\xa9\xe9'"[..], ":2:3", "the file is not UTF-8 text"),
            (b"a\0", ":1:2", "the file holds a zero byte, which SQL text cannot"),
            (b"\xff\xfea\0", ":1:1", "the file is UTF-16 text"),
        ] {
            fs_err::write(&path, bytes).unwrap();
            let error = read_script(&path).unwrap_err();
            assert_eq!(error.message(), message);
            assert!(error.place().unwrap().to_string().ends_with(place), "{:?}", error.place());
        }
    }

    #[test]
    fn links_may_neither_leave_the_project_nor_go_round() {
        let outside = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let schema = root.path().join("schema");
        fs_err::create_dir_all(schema.join("sub/.hidden")).unwrap();
        for name in ["b.sql", "sub/A.SQL", "sub/.x.sql", "sub/.hidden/y.sql", "note.txt"] {
            fs_err::write(schema.join(name), "").unwrap();
        }
        let mut files = list_files(root.path(), &schema, "sql").unwrap();
        files.sort();
        assert_eq!(files, [Path::new("b.sql"), Path::new("sub/A.SQL")]);

        let link = schema.join("sub/up");
        std::os::unix::fs::symlink("..", &link).unwrap();
        assert!(
            list_files(root.path(), &schema, "sql")
                .unwrap_err()
                .message()
                .ends_with("leads round in a circle")
        );
        fs_err::remove_file(&link).unwrap();
        fs_err::write(outside.path().join("x.sql"), "").unwrap();
        std::os::unix::fs::symlink(outside.path().join("x.sql"), schema.join("x.sql")).unwrap();
        let error = list_files(root.path(), &schema, "sql").unwrap_err();
        assert!(error.message().ends_with("lies outside of the project"), "{error}");
    }

    #[test]
    fn writing_replaces_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out.sql");
        write_atomically(&path, "one").unwrap();
        write_atomically(&path, "two").unwrap();
        let link = folder.path().join("link.sql");
        std::os::unix::fs::symlink("deep/out.sql", &link).unwrap();
        write_atomically(&link, "three").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "three");
        assert!(link.is_symlink());
        write_atomically(&path, "two").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs_err::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }
}
