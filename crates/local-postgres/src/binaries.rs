//! Finding PostgreSQL's programs, which most systems keep out of `PATH`.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Error, ErrorKind, Result};

/// Where one PostgreSQL's server programs are, and which version they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    version: Version,
    banner: String,
}

/// A PostgreSQL version, as in 15.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number that changes once a year.
    pub major: u32,
    /// The number of the bug fix release; 0 in a development version.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Binaries {
    /// The newest PostgreSQL on this machine, or the newest of major version `major`.
    ///
    /// # Errors
    /// [`ErrorKind::NotInstalled`], whose advice names the package to install.
    pub fn find(major: Option<u32>) -> Result<Self> {
        newest(Self::all(), major)
    }

    /// The PostgreSQL in the folder `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::NotInstalled`] when it holds no `initdb` or no `postgres` that runs.
    pub fn in_dir(dir: &Path) -> Result<Self> {
        let missing = |program| {
            Error::new(
                ErrorKind::NotInstalled,
                format!("there is no program `{program}` in {}", dir.display()),
            )
            .hint("name the folder that holds `initdb` and `postgres`, such as /usr/lib/postgresql/17/bin")
        };
        if !dir.join("initdb").is_file() {
            return Err(missing("initdb"));
        }
        let postgres = dir.join("postgres");
        if !postgres.is_file() {
            return Err(missing("postgres"));
        }
        let output = Command::new(&postgres)
            .arg("--version")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Error::system("run", &postgres, error))?;
        let banner = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version = parse_version(&banner).ok_or_else(|| {
            Error::new(ErrorKind::NotInstalled, format!("{} does not tell its version", postgres.display()))
                .because(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        })?;
        Ok(Self { dir: dir.to_owned(), version, banner })
    }

    /// Every PostgreSQL on this machine, the newest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for dir in candidates() {
            // A link in PATH stands for the folder that it points into.
            let home = std::fs::canonicalize(dir.join("postgres"))
                .ok()
                .and_then(|postgres| Some(postgres.parent()?.to_owned()))
                .filter(|home| home.join("initdb").is_file());
            let dir = home.unwrap_or(dir);
            if found.iter().any(|known| known.dir == dir) {
                continue;
            }
            if let Ok(binaries) = Self::in_dir(&dir) {
                found.push(binaries);
            }
        }
        // The sort is stable: among equals, the one that comes first in PATH.
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.version));
        found
    }

    /// The folder of the programs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Their version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// What `postgres --version` says: tells apart two builds of the same version.
    pub(crate) fn banner(&self) -> &str {
        &self.banner
    }

    /// The path of a client program such as `psql` or `pg_dump`: beside the server's, or in `PATH`, where some
    /// systems put the clients. Without either, the bare name, so that running it says what is missing.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        std::iter::once(self.dir.clone())
            .chain(search_path())
            .map(|dir| dir.join(name))
            .find(|program| program.is_file())
            .unwrap_or_else(|| name.into())
    }
}

fn newest(mut found: Vec<Binaries>, major: Option<u32>) -> Result<Binaries> {
    let fitting = found.iter().position(|binaries| major.is_none_or(|major| binaries.version.major == major));
    if let Some(index) = fitting {
        return Ok(found.swap_remove(index));
    }
    let message = match (major, found.is_empty()) {
        (None, _) => "no PostgreSQL server is installed on this machine".to_owned(),
        (Some(major), true) => {
            format!("PostgreSQL {major} is not installed on this machine, nor any other version")
        }
        (Some(major), false) => {
            let others: Vec<_> = found
                .iter()
                .map(|binaries| format!("{} in {}", binaries.version, binaries.dir.display()))
                .collect();
            format!("PostgreSQL {major} is not installed on this machine; there is {}", others.join(", "))
        }
    };
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    Err(Error::new(ErrorKind::NotInstalled, message).hint(advice(env::consts::OS, &system, major)))
}

/// The folders that may hold a server's programs, in the order in which equals are preferred.
fn candidates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = search_path().filter(|dir| dir.join("postgres").is_file()).collect();
    let config =
        Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output();
    if let Ok(output) = config
        && let Ok(dir) = String::from_utf8(output.stdout)
        && !dir.trim().is_empty()
    {
        dirs.push(dir.trim().into());
    }
    // Debian and Ubuntu; the PGDG packages of Fedora and Red Hat; Alpine; SUSE; Homebrew on Apple and Intel
    // processors and on Linux; Postgres.app; the EDB installer.
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/usr/libexec", "postgresql"),
        ("/usr/lib", "postgresql"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
        ("/Library/PostgreSQL", ""),
        ("/usr/local/pgsql", ""),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        {
            dirs.extend([entry.path(), entry.path().join("bin")]);
        }
    }
    dirs.retain(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file());
    dirs
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|dir| dir.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `postgres (PostgreSQL) 19devel`.
fn parse_version(banner: &str) -> Option<Version> {
    let (_, numbers) = banner.split_once("(PostgreSQL) ")?;
    let mut parts = numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some(Version { major: parts.next()?.ok()?, minor: parts.next().and_then(Result::ok).unwrap_or(0) })
}

/// How to install PostgreSQL on the system that `os_release` describes.
fn advice(os: &str, os_release: &str, major: Option<u32>) -> String {
    let is = |names: &[&str]| {
        os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|ids| ids.trim_matches('"').split(' '))
            .any(|id| names.contains(&id))
    };
    let number = major.map(|major| major.to_string()).unwrap_or_default();
    let dashed = major.map(|major| format!("-{major}")).unwrap_or_default();
    let install = match os {
        "macos" => format!("brew install postgresql@{}", major.unwrap_or(17)),
        _ if is(&["debian", "ubuntu"]) => format!("apt install postgresql{dashed}"),
        _ if is(&["fedora", "rhel", "centos"]) && major.is_some() => {
            format!("dnf install postgresql{number}-server")
        }
        _ if is(&["fedora", "rhel", "centos"]) => "dnf install postgresql-server".to_owned(),
        _ if is(&["alpine"]) => format!("apk add postgresql{number}"),
        _ if is(&["arch"]) => "pacman -S postgresql".to_owned(),
        _ if is(&["suse", "opensuse"]) => format!("zypper install postgresql{number}-server"),
        _ => return "install PostgreSQL's server package: https://www.postgresql.org/download/".to_owned(),
    };
    format!("install it: {install}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(dir: &str, major: u32, minor: u32) -> Binaries {
        Binaries { dir: dir.into(), version: Version { major, minor }, banner: String::new() }
    }

    #[test]
    fn versions_are_read_from_what_postgres_says() {
        let debian = parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)");
        assert_eq!(debian, Some(Version { major: 15, minor: 14 }));
        assert_eq!(parse_version("postgres (PostgreSQL) 19devel"), Some(Version { major: 19, minor: 0 }));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta2"), Some(Version { major: 18, minor: 0 }));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn the_version_asked_for_is_taken() {
        let found = vec![binaries("/b", 17, 2), binaries("/a", 15, 3)];
        assert_eq!(newest(found.clone(), None).unwrap().dir(), Path::new("/b"));
        assert_eq!(newest(found, Some(15)).unwrap().dir(), Path::new("/a"));
    }

    #[test]
    fn what_is_missing_and_what_is_there_are_named() {
        let error = newest(vec![binaries("/b", 17, 2)], Some(14)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotInstalled);
        assert_eq!(error.message(), "PostgreSQL 14 is not installed on this machine; there is 17.2 in /b");
        let error = newest(vec![], None).unwrap_err();
        assert_eq!(error.message(), "no PostgreSQL server is installed on this machine");
        assert!(error.advice().is_some_and(|advice| advice.contains("install")));
    }

    #[test]
    fn the_advice_names_the_package_of_the_system() {
        let ubuntu = "NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n";
        assert_eq!(advice("linux", ubuntu, None), "install it: apt install postgresql");
        assert_eq!(advice("linux", ubuntu, Some(16)), "install it: apt install postgresql-16");
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        assert_eq!(advice("linux", rocky, None), "install it: dnf install postgresql-server");
        assert_eq!(advice("linux", "ID=alpine", Some(16)), "install it: apk add postgresql16");
        assert_eq!(advice("macos", "", Some(16)), "install it: brew install postgresql@16");
        assert!(advice("linux", "ID=plan9", None).contains("postgresql.org/download"));
    }
}
