//! A database and a folder of migrations.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use confiture::config::{Connection, Surroundings};
use confiture::disk;
use confiture::event::{Event, Execution, Observer};
use confiture::migrate::{
    DownOptions, Extent, Migrator, Options, Report, Status, UpOptions, Version, read_folder,
};
use confiture::{Error, Result};
use local_postgres::testing::Database;

pub(crate) struct Ground {
    pub(crate) database: Database<'static>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) options: Options,
}

impl Ground {
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let options = Options { wait_for_run: Duration::ZERO, ..Options::default() };
        let ground = Self {
            database: Database::create().await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
            options,
        };
        ground.write(files);
        ground
    }

    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    pub(crate) fn connection(&self) -> Connection {
        let request = Connection::parse(&self.database.url(), &Surroundings::default()).unwrap();
        disk::resolve_connection(request).unwrap()
    }

    pub(crate) fn migrator(&self) -> Migrator {
        Migrator::new(self.connection(), read_folder(self.folder.path()).unwrap(), self.options.clone())
    }

    pub(crate) async fn up(&self) -> Result<Report> {
        self.migrator().up(&UpOptions::default(), &Execution::unattended()).await
    }

    /// Applies what must apply, and says which.
    pub(crate) async fn apply(&self) -> Vec<String> {
        names(&self.up().await.unwrap())
    }

    pub(crate) async fn down(&self, steps: usize) -> Result<Report> {
        let options = DownOptions { extent: Extent::Steps(steps), interrupted: None };
        self.migrator().down(&options, &Execution::unattended()).await
    }

    pub(crate) async fn status(&self) -> Status {
        self.migrator().status().await.unwrap()
    }

    /// `001 Applied; 002 Pending`.
    pub(crate) async fn standing(&self) -> String {
        let status = self.status().await;
        let shown: Vec<_> =
            status.migrations.iter().map(|one| format!("{} {:?}", one.version, one.state)).collect();
        shown.join("; ")
    }

    /// What psql answers.
    pub(crate) fn psql(&self, sql: &str) -> String {
        psql(&self.database.url(), sql)
    }

    /// Place (with the file's name alone), message and hints.
    pub(crate) fn shown(&self, error: &Error) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let place = error.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let mut lines = vec![format!("{place}{error}")];
        lines.extend(error.server_detail().map(|detail| format!("  detail: {detail}")));
        lines.extend(error.hints().iter().map(|hint| format!("  hint: {hint}")));
        lines.join("\n").replace(&folder, "")
    }
}

pub(crate) fn psql(url: &str, sql: &str) -> String {
    let output =
        Command::new("psql").args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]).output().unwrap();
    assert!(output.status.success(), "{}\n{sql}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(crate) fn names(report: &Report) -> Vec<String> {
    report.migrations.iter().map(|done| done.version.to_string()).collect()
}

pub(crate) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// Everything that a run says.
#[derive(Clone, Default)]
pub(crate) struct Heard(pub(crate) Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn execution(&self) -> Execution {
        Execution::new(Arc::new(self.clone()), tokio_util::sync::CancellationToken::new())
    }

    pub(crate) fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        if let Event::Note { message } | Event::Warning { message } = event {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}
