//! PostgreSQL and PgBouncer from the distribution, where they are missing.
//!
//! Only what is missing is installed, and nothing is upgraded: an upgrade would restart the clusters of this machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use local_postgres::{Binaries, PgBouncer};

use crate::command::{find, output, run};

const PROGRAMS: &[&str] = &["psql", "pg_dump", "pgbench"];

/// The pooler, which cutovers go through.
const PGBOUNCER: &str = "PgBouncer";

/// The newest PostgreSQL of this machine with its clients and extensions; installs what is missing where it can.
pub(crate) fn postgresql() -> Result<Binaries> {
    let missing = missing(Binaries::find(None).ok().as_ref());
    if !missing.is_empty() {
        if find("apt-get").is_none() {
            bail!("PostgreSQL is missing or incomplete on this machine.\n{}", advice());
        }
        let mut packages = Vec::new();
        if Binaries::all().is_empty() {
            packages.push("postgresql");
        }
        if missing != [PGBOUNCER] {
            packages.push("postgresql-contrib");
        }
        if missing.contains(&PGBOUNCER) {
            packages.push("pgbouncer");
        }
        eprintln!("Missing: {}. Installing {}.", missing.join(", "), packages.join(" and "));
        apt_get_install(&packages)?;
    }
    let binaries = Binaries::find(None).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let still = self::missing(Some(&binaries));
    if !still.is_empty() {
        bail!("PostgreSQL {} in {} lacks {}", binaries.version(), binaries.dir().display(), still.join(", "));
    }
    Ok(binaries)
}

/// What Chromium is called.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Chromium for the tests of the page; installs it where it can.
pub(crate) fn chromium() -> Result<()> {
    if CHROMIUM.iter().any(|name| find(name).is_some()) {
        return Ok(());
    }
    if find("apt-get").is_none() {
        bail!("Chromium is missing: install chromium or google-chrome so that it is in PATH.");
    }
    eprintln!("Missing: Chromium. Installing chromium.");
    apt_get_install(&["chromium"])
}

/// Installs Debian packages, through `sudo` where that is needed.
pub(crate) fn apt_get_install(packages: &[&str]) -> Result<()> {
    let root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !root && find("sudo").is_none() {
        bail!("this needs root: run `apt-get install {}` as root, then try again", packages.join(" "));
    }
    let apt_get = || {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        if !root {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    run(apt_get().args(["update", "--quiet"])).context("the lists of packages cannot be fetched")?;
    run(apt_get()
        .args(["install", "--quiet", "--yes", "--no-upgrade", "--no-install-recommends"])
        .args(packages))?;
    Ok(())
}

/// What of a whole PostgreSQL is not there.
fn missing(binaries: Option<&Binaries>) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if PgBouncer::program().is_none() {
        missing.push(PGBOUNCER);
    }
    let Some(binaries) = binaries else {
        missing.push("the PostgreSQL server");
        return missing;
    };
    missing.extend(PROGRAMS.iter().copied().filter(|name| !binaries.program(name).is_file()));
    if !has_extension(binaries.dir(), "postgres_fdw") {
        missing.push("the extension postgres_fdw");
    }
    missing
}

/// Whether the library of an extension lies where the known builds of PostgreSQL put it, seen from `bin`: beside it
/// (Debian, EDB), one folder deeper (Homebrew, npm packages), in a library folder of the system (Fedora).
pub(crate) fn has_extension(bin: &Path, name: &str) -> bool {
    let beside = bin.parent().unwrap_or(bin);
    let folders = ["lib", "lib/postgresql", "lib64/pgsql", "lib/pgsql", "lib64"];
    folders
        .iter()
        .flat_map(|folder| ["so", "dylib"].map(|end| beside.join(folder).join(format!("{name}.{end}"))))
        .any(|library| library.is_file())
}

/// What to type on a system whose packages this chore does not install.
fn advice() -> String {
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let known = [
        ("fedora", "sudo dnf install postgresql-server postgresql-contrib pgbouncer"),
        ("rhel", "sudo dnf install postgresql-server postgresql-contrib pgbouncer"),
        ("arch", "sudo pacman -S postgresql pgbouncer"),
        ("alpine", "sudo apk add postgresql postgresql-client postgresql-contrib pgbouncer"),
        ("suse", "sudo zypper install postgresql-server postgresql-contrib pgbouncer"),
    ];
    let command = if cfg!(target_os = "macos") {
        Some("brew install postgresql@17 pgbouncer")
    } else {
        known.iter().find(|(name, _)| is_like(&os_release, name)).map(|(_, command)| *command)
    };
    command.map_or_else(
        || {
            "Install its server, its clients (psql, pg_dump, pgbench), its contrib extensions, and PgBouncer."
                .to_owned()
        },
        |command| format!("Install it with: {command}"),
    )
}

fn is_like(os_release: &str, name: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|ids| ids.trim_matches('"').split([' ', '-']))
        .any(|id| id == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_known_by_their_kin() {
        assert!(is_like("NAME=x\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "fedora"));
        assert!(is_like("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "suse"));
        assert!(!is_like("ID=debian\nHOME_URL=\"https://fedora.example\"\n", "fedora"));
    }

    #[test]
    fn without_a_server_the_server_is_what_is_missing() {
        assert_eq!(missing(None).last(), Some(&"the PostgreSQL server"));
    }
}
