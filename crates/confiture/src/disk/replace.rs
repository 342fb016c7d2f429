//! Changing a file that belongs to another program.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::text::{canonical, read_text, unwritable};
use crate::error::{Error, Result};

/// Puts `after` in the place of `before`, all of a file's text: a reader sees the one or the other, whenever this process
/// ends. The file keeps its owner and its permissions; a link stays, and what it leads to is changed.
///
/// # Errors
///
/// A file that says something else than `before` by now, and whatever the disk says; the file is as it was then.
pub fn replace_text(path: &Path, before: &str, after: &str) -> Result<()> {
    let target = canonical(path)?;
    if read_text(&target)? != before {
        return Err(Error::refused(format!("{} was changed by somebody else meanwhile", path.display()))
            .hint("run this again: it reads the file anew"));
    }
    if before == after {
        return Ok(());
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".confiture");
    let aside = folder.join(name);
    let write = || -> io::Result<()> {
        // What is left of a run that was killed here.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let about = fs::metadata(&target)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // It may hold passwords: nobody else reads it while it is not the owner's.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&aside)?;
        file.write_all(after.as_bytes())?;
        #[cfg(unix)]
        give(&file, &about)?;
        file.set_permissions(about.permissions())?;
        file.sync_all()?;
        fs::rename(&aside, &target)?;
        // The new name itself; where folders cannot be synced, the old file is what a crash of the machine leaves.
        fs::File::open(folder).and_then(|folder| folder.sync_all()).ok();
        Ok(())
    };
    write().map_err(|error| {
        // The first error is the one to tell.
        drop(fs::remove_file(&aside));
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        let error = unwritable("replace", path, error);
        if is_denied {
            return error
                .hint("run as the file's owner, or as root: the file beside it becomes the file itself");
        }
        error
    })
}

/// Makes the new file its owner's, where that is another.
#[cfg(unix)]
fn give(file: &fs::File, like: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn a_file_keeps_its_owner_and_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ini");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root may give files away.
        let owner =
            chown(&path, Some(12345), Some(54321)).map_or(fs::metadata(&path).unwrap().uid(), |()| 12345);
        let link = folder.path().join("link.ini");
        std::os::unix::fs::symlink("a.ini", &link).unwrap();
        // A run that was killed before.
        fs::write(folder.path().join(".a.ini.confiture"), "half").unwrap();
        replace_text(&link, "one", "two").unwrap();
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.permissions().mode() & 0o777), (owner, 0o640));
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ini");
        fs::write(&path, "theirs").unwrap();
        let error = replace_text(&path, "one", "two").unwrap_err();
        assert!(error.message().ends_with("was changed by somebody else meanwhile"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }
}
