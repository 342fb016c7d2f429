//! A database as text, to see whether two are the same or one is as it was: what `pg_dump` says of it.
//!
//! No `pg_dump` reads a server that is newer than itself. Where there is none that is new enough, queries on the system
//! catalogs say what the database is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::{Binaries, Server};

const SCHEMA: &str = include_str!("schema.sql");
const ROWS: &str = include_str!("rows.sql");

/// Who says what a database is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// A `pg_dump` at least as new as the server.
    PgDump(PathBuf),
    /// Queries on `pg_catalog`, because no `pg_dump` here is new enough.
    Catalog,
}

impl Witness {
    /// The one for this server: its own `pg_dump`, else one of this machine that is new enough, else the catalog.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        static FOUND: Mutex<BTreeMap<PathBuf, Witness>> = Mutex::new(BTreeMap::new());
        let own = server.program("pg_dump");
        // Asking a program for its version takes as long as a small dump.
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        found.entry(own).or_insert_with_key(|own| Self::find(own, server)).clone()
    }

    fn find(own: &Path, server: &Server) -> Self {
        let wanted = server.binaries().version().major;
        let is_new_enough = |program: &PathBuf| major(program).is_some_and(|major| major >= wanted);
        let elsewhere = || {
            let programs = Binaries::all().into_iter().map(|binaries| binaries.dir().join("pg_dump"));
            programs.into_iter().find(is_new_enough)
        };
        Some(own.to_owned()).filter(is_new_enough).or_else(elsewhere).map_or(Self::Catalog, Self::PgDump)
    }

    /// The schema of a database, without the schema called `without` where that is not empty.
    ///
    /// # Panics
    /// When the database cannot be read; a test cannot go on then.
    #[must_use]
    pub fn schema(&self, server: &Server, database: &str, without: &str) -> String {
        match self {
            Self::PgDump(program) => {
                let without = (!without.is_empty()).then(|| format!("--exclude-schema={without}"));
                pg_dump(Command::new(program).arg("--schema-only").args(without), server, database)
            }
            Self::Catalog => psql(server, database, without, SCHEMA),
        }
    }

    /// The schema of a database and its rows.
    ///
    /// # Panics
    /// When the database cannot be read; a test cannot go on then.
    #[must_use]
    pub fn whole(&self, server: &Server, database: &str) -> String {
        match self {
            Self::PgDump(program) => pg_dump(&mut Command::new(program), server, database),
            Self::Catalog => psql(server, database, "", &format!("{SCHEMA}\n{ROWS}")),
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PgDump(program) => write!(f, "{}", program.display()),
            Self::Catalog => f.write_str(
                "a query on pg_catalog (no pg_dump here is new enough), which of operators, casts, languages and text search objects sees only that they exist",
            ),
        }
    }
}

/// `pg_dump (PostgreSQL) 15.14 (Debian …)`: 15.
fn major(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What `pg_dump` says, without the key that it makes up anew each time.
fn pg_dump(command: &mut Command, server: &Server, database: &str) -> String {
    let dump = said(command.arg("--dbname").arg(server.url(database)), "");
    let is_key = |line: &&str| line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ");
    dump.lines().filter(|line| !is_key(line)).map(|line| format!("{line}\n")).collect()
}

fn psql(server: &Server, database: &str, without: &str, script: &str) -> String {
    let mut command = Command::new(server.program("psql"));
    command.args(["-XqAt", "--set=ON_ERROR_STOP=1", "--set"]).arg(format!("without={without}"));
    command.arg("--dbname").arg(server.url(database)).args(["--file", "-"]);
    said(&mut command, script)
}

/// What a program prints when it is given `input`.
fn said(command: &mut Command, input: &str) -> String {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it was asked for");
    // A program that refuses may end before it has read all; its exit status and its words tell.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
