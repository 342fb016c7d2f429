//! Disk access, all of it.

mod replace;
mod text;
mod tree;

pub use tree::{Stamp, stamps_below};

pub use replace::replace_text;
pub use text::{
    append_text, canonical, create_folder, exists, files_below, is_file, is_folder, move_into, read_text,
    read_text_if_present, remove_file, try_exists, write_new_file,
};
pub use tree::{check_inside, list_files, read_script, write_atomically};

use std::io;
use std::path::Path;

use crate::config::{Connection, ConnectionFile, ConnectionFiles, ConnectionRequest};
use crate::error::{Error, Result};

/// The disk, for [`ConnectionRequest::resolve`].
struct Disk;

impl ConnectionFiles for Disk {
    fn read(&self, path: &Path) -> Result<Option<ConnectionFile>> {
        let read = fs_err::read_to_string(path).and_then(|text| {
            #[cfg(unix)]
            let mode = Some(std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(path)?.permissions()));
            #[cfg(not(unix))]
            let mode = None;
            Ok(ConnectionFile { text, mode })
        });
        match read {
            Ok(file) => Ok(Some(file)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(text::unreadable(path, error)),
        }
    }
}

/// Resolves a connection with the password and service files that are on this machine's disk.
///
/// # Errors
///
/// Those of [`ConnectionRequest::resolve`], and a file that exists but cannot be read.
pub fn resolve_connection(request: ConnectionRequest) -> Result<Connection> {
    request.resolve(&Disk)
}

/// The bytes of a certificate or key file that the connection parameter `parameter` names.
pub(crate) fn read_certificates(path: &Path, parameter: &str) -> Result<Vec<u8>> {
    fs_err::read(path).map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("the file {} ({parameter}) does not exist", path.display()),
            _ => format!("cannot read {} ({parameter})", path.display()),
        };
        let hint = match parameter {
            "sslrootcert" => "it is a PEM file with the certificates to trust; sslrootcert=system trusts those of the system",
            _ => "it is a PEM file that this user may read",
        };
        Error::config(message).hint(hint).because(error)
    })
}

/// What is free on the file system of a folder, for those who are no superusers; `None` where that cannot be known.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    #[cfg(not(unix))]
    return None;
}
