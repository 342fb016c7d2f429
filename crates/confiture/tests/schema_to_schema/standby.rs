//! A standby of a server, on the same port in a folder of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use local_postgres::Server;
use tempfile::TempDir;

/// A standby; it has to be stopped.
pub(crate) struct Standby<'server> {
    of: &'server Server,
    folder: TempDir,
}

impl<'server> Standby<'server> {
    /// The data of a running server, as they are now.
    pub(crate) fn copy(of: &'server Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_running(of, &folder.path().join("standby"));
        let owned = Command::new("chown").arg("-R").arg("postgres").arg(folder.path()).status().unwrap();
        assert!(owned.success());
        Self { of, folder }
    }

    /// Where it listens.
    pub(crate) fn socket_dir(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    /// Starts it, following its primary.
    pub(crate) fn start(&self) {
        self.start_with("");
    }

    /// Starts it as if its primary were gone.
    #[allow(dead_code, reason = "used by one of the two test binaries that share this file")]
    pub(crate) fn start_alone(&self) {
        self.start_with(" -c primary_conninfo=''");
    }

    fn start_with(&self, more: &str) {
        let here = self.socket_dir();
        let settings = format!(
            "-c unix_socket_directories={here} -c listen_addresses='' -c max_wal_senders=40 \
             -c max_connections=400 -c max_prepared_transactions=40{more}"
        );
        self.control(&["-w", "-o", &settings, "-l", &format!("{here}/log"), "start"]);
    }

    /// Makes it a server that writes, on a timeline of its own, with what had reached it.
    #[allow(dead_code, reason = "used by one of the two test binaries that share this file")]
    pub(crate) fn promote(&self) {
        self.control(&["-w", "promote"]);
    }

    pub(crate) fn stop(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    fn control(&self, arguments: &[&str]) {
        let status = Command::new("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(self.of.program("pg_ctl"))
            .arg("-D")
            .arg(self.folder.path().join("standby"))
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}");
    }
}

/// Copies the data of a running server into a folder, as a standby of it. (`pg_basebackup` wants to be as new as the server.)
fn copy_running(server: &Server, data: &Path) {
    let (start, stop) = match server.binaries().version().major {
        14 => ("pg_start_backup('standby', true, false)", "pg_stop_backup(false)"),
        _ => ("pg_backup_start('standby', true)", "pg_backup_stop(false)"),
    };
    let (from, to) = (server.folder().join("data"), data.to_str().unwrap());
    let script = format!(
        "SELECT {start};
\\! cp -R '{}' '{to}' && rm '{to}/postmaster.pid' && touch '{to}/standby.signal'
\\o '{to}/backup_label'
SELECT labelfile FROM {stop};
\\o
",
        from.display()
    );
    let file = data.with_extension("sql");
    std::fs::write(&file, script).unwrap();
    let mut psql = Command::new(server.program("psql"));
    psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &server.url("postgres"), "-f"]).arg(&file);
    assert!(psql.stdout(std::process::Stdio::null()).status().unwrap().success());
    let conninfo = format!(
        "\nprimary_conninfo = 'host={} port={} user=postgres'\n",
        server.socket_dir().display(),
        server.port()
    );
    let settings = data.join("postgresql.auto.conf");
    std::fs::write(&settings, std::fs::read_to_string(&settings).unwrap() + &conninfo).unwrap();
}
