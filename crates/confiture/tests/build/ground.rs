//! A project folder and a server of its own.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use confiture::Result;
use confiture::build::{BuildOptions, BuildReport, SchemaBuilder, Tree};
use confiture::config::{Connection, Surroundings};
use confiture::disk;
use confiture::event::Execution;
use local_postgres::{Server, testing};

pub(crate) struct Ground {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        Self::with_settings(&[], files).await
    }

    /// A ground whose server has further settings.
    pub(crate) async fn with_settings(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let mut options = testing::options();
        options
            .settings
            .extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let server = Server::throwaway(options).await.unwrap();
        let ground = Self { server, folder: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            ground.write(path, text);
        }
        ground
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join("db/schema").join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    pub(crate) fn root(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn builder(&self) -> SchemaBuilder {
        SchemaBuilder::new(Tree::new(self.folder.path()))
    }

    pub(crate) fn connection(&self, database: &str) -> Connection {
        let request = Connection::parse(&self.server.url("postgres"), &Surroundings::default()).unwrap();
        let connection = disk::resolve_connection(request).unwrap();
        Connection { connect_timeout: Duration::from_secs(10), ..connection.with_database(database) }
    }

    pub(crate) async fn build(&self, database: &str, options: BuildOptions) -> Result<BuildReport> {
        self.builder().execute(&self.connection(database), options, &Execution::unattended()).await
    }

    pub(crate) async fn build_as(
        &self,
        role: &str,
        database: &str,
        options: BuildOptions,
    ) -> Result<BuildReport> {
        let connection = Connection { user: role.to_owned(), ..self.connection(database) };
        self.builder().execute(&connection, options, &Execution::unattended()).await
    }

    /// The error of a build of `files`, as `file:line:column message`, with the file's name below the schema folder.
    pub(crate) async fn refusal(&self) -> (String, confiture::Error) {
        let error = self.build("refused", BuildOptions::default()).await.unwrap_err();
        let schema = self.folder.path().join("db/schema");
        let place = error.place().map_or_else(String::new, |place| {
            let file = place.file.strip_prefix(&schema).unwrap_or(&place.file).display();
            format!("{file}:{}:{}", place.line, place.column)
        });
        (place, error)
    }

    pub(crate) fn client(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.server.program(program));
        command.arg("-h").arg(self.server.socket_dir()).arg("-p").arg(self.server.port().to_string());
        command.arg("-U").arg(self.server.user());
        // `-d` takes a connection string: a name with odd characters must be quoted there.
        command.arg("-d").arg(format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'")));
        command
    }

    /// What psql answers, without frills.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        text_of(
            &self
                .client("psql", database)
                .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql])
                .output()
                .unwrap(),
        )
    }

    /// `psql -1 -f`.
    pub(crate) fn psql_file(&self, database: &str, text: &str) {
        let path = self.folder.path().join("all.sql");
        fs_err::write(&path, text).unwrap();
        let mut psql = self.client("psql", database);
        psql.args(["-Xq1", "-v", "ON_ERROR_STOP=1", "-f"]).arg(path).stdout(Stdio::null());
        text_of(&psql.output().unwrap());
    }

    /// `psql -f`, statement by statement.
    pub(crate) fn psql_script(&self, database: &str, text: &str) {
        let path = self.folder.path().join("all.sql");
        fs_err::write(&path, text).unwrap();
        let mut psql = self.client("psql", database);
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f"]).arg(path).stdout(Stdio::null());
        text_of(&psql.output().unwrap());
    }

    /// The schema and the rows as `pg_dump`, or who stands in for it, says them.
    pub(crate) fn dump(&self, database: &str) -> String {
        testing::Witness::of(&self.server).whole(&self.server, database)
    }

    /// The databases that are there, without those of every server.
    pub(crate) fn databases(&self) -> Vec<String> {
        let names = self.psql("postgres", "SELECT datname FROM pg_database WHERE oid >= 16384 ORDER BY 1");
        names.lines().map(str::to_owned).collect()
    }
}

fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned()
}
