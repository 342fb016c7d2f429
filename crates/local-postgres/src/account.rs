//! The account that a server runs under.
//!
//! PostgreSQL refuses to run as root, and containers and CI jobs are root more often than not. Then the server runs
//! as `postgres` when there is such a user and as `nobody` otherwise, and its files are given to that user.

use std::{
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::{Error, ErrorKind, Result};

/// The user that a server runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this program.
    Own,
    /// Another user, because this program runs as root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// The account for new servers.
    pub(crate) fn for_server() -> Result<Self> {
        if own_uid()? != 0 {
            return Ok(Self::Own);
        }
        static UNPRIVILEGED: OnceLock<Option<(u32, u32)>> = OnceLock::new();
        let found = UNPRIVILEGED.get_or_init(|| {
            ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)))
        });
        match *found {
            Some((uid, gid)) => Ok(Self::Other { uid, gid }),
            None => Err(Error::new(
                ErrorKind::Unusable,
                "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`",
            )
            .hint("run as an ordinary user, or create one: useradd --system postgres")),
        }
    }

    /// The account for a server in a folder that exists: its owner, who alone may start a server on its data. Root's
    /// folders, and those of users that this system does not know (a container may see such), go to
    /// [`for_server`](Self::for_server).
    pub(crate) fn of_owner(folder: &Path) -> Result<Self> {
        let metadata = fs_err::metadata(folder)?;
        let own = own_uid()?;
        match (own, metadata.uid()) {
            (0, 0) => Self::for_server(),
            (0, uid) if id("-u", &uid.to_string()).is_none() => Self::for_server(),
            (0, uid) => Ok(Self::Other { uid, gid: metadata.gid() }),
            (own, uid) if own == uid => Ok(Self::Own),
            (_, uid) => Err(Error::new(
                ErrorKind::Unusable,
                format!("the server in {} belongs to another user (uid {uid})", folder.display()),
            )
            .hint("run as that user or as root, or delete the folder")),
        }
    }

    /// Makes `command` run under this account. The standard library also drops root's supplementary groups.
    pub(crate) fn apply(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Own => command,
            Self::Other { uid, gid } => command.uid(uid).gid(gid),
        }
    }

    /// Gives one file or folder to this account.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(uid), Some(gid))
                .map_err(|error| Error::system("change the owner of", path, error)),
        }
    }

    /// Whether the account can enter `folder`. Asked of the system rather than of mode bits, which know nothing of
    /// access control lists.
    pub(crate) fn can_enter(self, folder: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd \"$1\"", "sh"]).arg(folder).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command).status().is_ok_and(|status| status.success())
    }
}

/// The user of this program. The standard library cannot ask, but on Linux the kernel tells who owns this process.
pub(crate) fn own_uid() -> Result<u32> {
    static OWN: OnceLock<Option<u32>> = OnceLock::new();
    OWN.get_or_init(|| match std::fs::metadata("/proc/self") {
        Ok(metadata) => Some(metadata.uid()),
        Err(_) => id("-u", ""),
    })
    .ok_or_else(|| Error::new(ErrorKind::System, "the program `id` does not tell which user this is"))
}

fn id(what: &str, name: &str) -> Option<u32> {
    let arguments = [what, name];
    let arguments = if name.is_empty() { &arguments[..1] } else { &arguments };
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    // macOS writes `nobody` as -2.
    let number: i64 = str::from_utf8(&output.stdout).ok()?.trim().parse().ok()?;
    u32::try_from(number).ok().or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
}
