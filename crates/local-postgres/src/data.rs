//! Making data folders: `initdb` once, then copies of what it made.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Binaries, Error, ErrorKind, Options, Result, SUPERUSER, account::Account, place, supervisor};

/// The file beside `postgresql.conf` with this crate's settings, written anew at each start.
const SETTINGS_FILE: &str = "local.conf";

/// `initdb` takes about a second, a copy of its result a twentieth of that. So each user keeps one pristine data
/// folder per PostgreSQL, and new servers begin with a copy.
pub(crate) fn create_from_pristine(binaries: &Binaries, account: Account, data: &Path) -> Result<()> {
    let Some(cache) = place::cache_folder() else { return initdb(binaries, account, data) };
    let key = format!(
        "{}\n{}\n{}",
        binaries.dir().display(),
        binaries.banner(),
        initdb_arguments("C.UTF-8").join("\n")
    );
    let pristine = cache.join(format!("{}-{:016x}", binaries.version(), place::hash(key.as_bytes())));
    if pristine.is_dir() {
        return copy(&pristine, data, account);
    }
    // One process makes it, the others wait. The system gives the lock back when its holder ends.
    let lock = fs_err::File::create(cache.join("lock"))?;
    lock.file().lock().map_err(|error| Error::system("lock", lock.path(), error))?;
    if pristine.is_dir() {
        return copy(&pristine, data, account);
    }
    initdb(binaries, account, data)?;
    // The rename makes the folder appear whole or not at all.
    let unfinished = cache.join("unfinished");
    let kept = remove_if_there(&unfinished)
        .and_then(|()| copy(data, &unfinished, Account::Own))
        .and_then(|()| Ok(fs_err::rename(&unfinished, &pristine)?));
    if let Err(error) = kept {
        tracing::debug!(?error, "the pristine data folder is not kept");
    }
    Ok(())
}

/// Makes a data folder with PostgreSQL's own program.
pub(crate) fn initdb(binaries: &Binaries, account: Account, data: &Path) -> Result<()> {
    let mut outcome = run_initdb(binaries, account, data, "C.UTF-8");
    if outcome.as_ref().is_err_and(|words| words.contains("invalid locale")) {
        // macOS and old C libraries.
        outcome = run_initdb(binaries, account, data, "C");
    }
    outcome.map_err(|words| {
        Error::new(ErrorKind::Failed, format!("initdb of PostgreSQL {} failed", binaries.version()))
            .because(words)
    })?;
    let configuration = data.join("postgresql.conf");
    let text = fs_err::read_to_string(&configuration)?;
    write(&configuration, &format!("{text}\ninclude_if_exists = '{SETTINGS_FILE}'\n"), account)
}

fn initdb_arguments(locale: &str) -> Vec<String> {
    let locale = format!("--locale={locale}");
    ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions", &locale]
        .map(str::to_owned)
        .to_vec()
}

fn run_initdb(binaries: &Binaries, account: Account, data: &Path, locale: &str) -> Result<(), String> {
    let mut command = Command::new(binaries.dir().join("initdb"));
    command.args(initdb_arguments(locale)).arg("--pgdata").arg(data);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    supervisor::clean_environment(&mut command);
    let output = account.apply(&mut command).output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(words) }
}

/// What a server listens to.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
}

/// Writes settings, `pg_hba.conf` and TLS files for the next start.
pub(crate) fn configure(data: &Path, account: Account, options: &Options, address: &Address) -> Result<()> {
    let listen = if options.tcp_port.is_some() { "127.0.0.1" } else { "" };
    let mut settings = vec![
        // The list of folders has quotes of its own.
        (
            "unix_socket_directories",
            format!("\"{}\"", address.socket_dir.display().to_string().replace('"', "\"\"")),
        ),
        ("unix_socket_permissions", "0700".to_owned()),
        ("port", address.port.to_string()),
        ("listen_addresses", listen.to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        // A thousand tables with their indexes are made in one transaction.
        ("max_locks_per_transaction", "512".to_owned()),
    ];
    if !options.durable {
        settings
            .extend(["fsync", "synchronous_commit", "full_page_writes"].map(|name| (name, "off".to_owned())));
        // In the data folder, so that it goes with it, and containers give /dev/shm little room.
        settings.push(("dynamic_shared_memory_type", "mmap".to_owned()));
    }
    if let Some(tls) = &options.tls {
        settings.push(("ssl", "on".to_owned()));
        write(&data.join("server.crt"), &tls.certificate, account)?;
        write(&data.join("server.key"), &tls.key, account)?;
        if let Some(client_ca) = &tls.client_ca {
            settings.push(("ssl_ca_file", "root.crt".to_owned()));
            write(&data.join("root.crt"), client_ca, account)?;
        }
    }
    let chosen = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let asked = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines: String = chosen.chain(asked).map(|(name, value)| setting(name, value)).collect();
    write(&data.join(SETTINGS_FILE), &lines, account)?;

    let mut hba: String = options.hba.iter().map(|line| format!("{line}\n")).collect();
    hba.push_str("local all all trust\nlocal replication all trust\n");
    for database in ["all", "replication"] {
        for host in ["127.0.0.1/32", "::1/128"] {
            hba.push_str(&format!("host {database} all {host} scram-sha-256\n"));
        }
    }
    write(&data.join("pg_hba.conf"), &hba, account)
}

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// Writes a file that only `account` may read, replacing whatever is there.
pub(crate) fn write(path: &Path, text: &str, account: Account) -> Result<()> {
    fs_err::write(path, text)?;
    fs_err::set_permissions(path, Permissions::from_mode(0o600))?;
    account.give(path)
}

/// Copies a data folder, which holds only folders and plain files, and gives the copy to `account`.
fn copy(from: &Path, to: &Path, account: Account) -> Result<()> {
    place::create_private(to)?;
    account.give(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, account)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
            account.give(&target)?;
        }
    }
    Ok(())
}

pub(crate) fn remove_file_if_there(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system("remove", file, error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn remove_if_there(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system("remove the folder", folder, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted() {
        assert_eq!(setting("a.b", r"it's a \ path"), "a.b = 'it''s a \\\\ path'\n");
    }
}
