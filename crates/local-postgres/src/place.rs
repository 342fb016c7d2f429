//! Where on the disk things go.

use std::{
    collections::hash_map::RandomState,
    env,
    fs::File,
    hash::{BuildHasher, Hasher},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Result, account::Account};

/// Room that memory must have before a server's data may go there.
const ROOMY: u64 = 1 << 30;

/// The longest folder for a socket: macOS allows 103 bytes for the whole path, Linux 107.
const SOCKET_DIR_LIMIT: usize = 103 - "/.s.PGSQL.65535".len();

/// Makes the folder of a throwaway server: in memory when there is room, because such data need not reach a disk.
///
/// The file that comes with it is a lock: the folder is somebody's until all copies of it are closed.
pub(crate) fn new_throwaway_folder(account: Account) -> Result<(PathBuf, File)> {
    let memory = Path::new("/dev/shm");
    remove_orphans(memory);
    if free_bytes(memory).is_some_and(|free| free >= ROOMY)
        && let Ok(folder) = new_folder(memory, account)
    {
        return Ok(folder);
    }
    let temporary = env::temp_dir();
    let longest = temporary.join(format!("{NAME}0123456789abcdef"));
    if temporary.is_absolute() && fits_socket(&longest) && account.can_enter(&temporary) {
        remove_orphans(&temporary);
        return new_folder(&temporary, account);
    }
    new_folder(Path::new("/tmp"), account)
}

/// The file in a throwaway server's folder that is locked while its owner or its shell lives.
const LOCK: &str = "lock";
const NAME: &str = "local-postgres-";

/// The folder of a throwaway server, and its lock.
fn new_folder(parent: &Path, account: Account) -> Result<(PathBuf, File)> {
    let folder = parent.join(format!("{NAME}{:016x}", random()));
    create_private(&folder)?;
    account.give(&folder)?;
    // Locked before it appears under its name: whoever sees the file sees it locked.
    let unfinished = folder.join("unfinished-lock");
    let lock = fs_err::File::create_new(&unfinished)?.into_file();
    lock.lock().map_err(|error| Error::system("lock", &unfinished, error))?;
    fs_err::rename(&unfinished, folder.join(LOCK))?;
    Ok((folder, lock))
}

/// Removes the folders of throwaway servers that died together with their owner and their shell, as when the machine
/// or everything in its session is killed at once.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for folder in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(NAME)) {
        let folder = folder.path();
        // Other users' folders cannot be opened, and new ones have no lock yet.
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        let listened_to = || {
            std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| UnixStream::connect(entry.path()).is_ok())
        };
        if lock.try_lock().is_ok() && !listened_to() {
            tracing::debug!(folder = %folder.display(), "removing what is left of a throwaway server");
            drop(std::fs::remove_dir_all(&folder));
        }
    }
}

/// Makes a folder that only its owner may enter. An error when it exists.
pub(crate) fn create_private(folder: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .map_err(|error| Error::system("create the folder", folder, error))
}

/// Whether a server can put its socket into `folder`.
pub(crate) fn fits_socket(folder: &Path) -> bool {
    folder.as_os_str().len() <= SOCKET_DIR_LIMIT && folder.to_str().is_some()
}

/// The folder of this user's pristine data folders; none when there is no safe place for one.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = absolute("XDG_CACHE_HOME").or_else(|| {
        let cache = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        absolute("HOME").map(|home| home.join(cache))
    })?;
    let folder = parent.join("local-postgres");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    // Whoever can write here could plant a data folder.
    let metadata = std::fs::metadata(&folder).ok()?;
    let own = crate::account::own_uid().ok()?;
    (metadata.uid() == own && metadata.mode() & 0o022 == 0).then_some(folder)
}

/// A number that no other process comes up with. The standard library seeds its hash maps from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// FNV-1a: short, and the same in every version of this program, which the standard library does not promise.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn hash_of_path(path: &Path) -> u64 {
    hash(path.as_os_str().as_bytes())
}

/// What `df` says is free; the standard library cannot ask.
fn free_bytes(folder: &Path) -> Option<u64> {
    if !folder.is_dir() {
        return None;
    }
    let output = Command::new("df").arg("-Pk").arg(folder).env("LC_ALL", "C").output().ok()?;
    parse_free(str::from_utf8(&output.stdout).ok()?)
}

fn parse_free(df: &str) -> Option<u64> {
    let kilobytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_room_is_the_fourth_column() {
        let df =
            "Filesystem     1024-blocks  Used Available Capacity Mounted on\ntmpfs 24 20 4 83% /dev/shm\n";
        assert_eq!(parse_free(df), Some(4096));
        assert_eq!(parse_free(""), None);
    }

    #[test]
    fn a_socket_folder_may_be_88_bytes_long() {
        assert!(fits_socket(Path::new(&"x".repeat(88))));
        assert!(!fits_socket(Path::new(&"x".repeat(89))));
    }

    #[test]
    fn the_hash_stays_the_same() {
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
