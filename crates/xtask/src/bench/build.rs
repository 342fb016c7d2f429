//! A schema of 100 tables, beside `psql` in one transaction.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::measure::{in_turns, time};
use super::stage::{Stage, TARGET};
use super::table::{Row, Unit};

const TABLES: usize = 100;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("confiture-bench-build-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let rows = measure_in(stage, &folder);
    fs::remove_dir_all(&folder)?;
    rows
}

fn measure_in(stage: &Stage<'_>, folder: &Path) -> Result<Vec<Row>> {
    let schema = folder.join("db/schema");
    fs::create_dir_all(&schema)?;
    let mut whole = String::new();
    for number in 1..=TABLES {
        let table = table(number);
        fs::write(schema.join(format!("{number:03}_table.sql")), &table)?;
        whole.push_str(&table);
    }
    let script = folder.join("whole.sql");
    fs::write(&script, whole)?;

    // Both sides begin without the database and end with it, so making it counts.
    let ours = |cache: &[&str]| -> Result<Duration> {
        stage.psql.sql("postgres", &format!("DROP DATABASE IF EXISTS {TARGET} WITH (FORCE)"))?;
        let mut build = Command::new(stage.program);
        build.args(["build", "--quiet", "--yes"]).args(cache).arg("--schema-dir").arg(&schema);
        let elapsed = time(build.arg("--env").arg(stage.psql.server.url(TARGET)).current_dir(folder))?;
        let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'table\\_%'";
        let found = stage.psql.sql(TARGET, tables)?;
        if found != TABLES.to_string() {
            bail!("the program reports success, and {found} of {TABLES} tables are there");
        }
        Ok(elapsed)
    };
    let by_hand = || -> Result<Duration> {
        stage.psql.sql("postgres", &format!("DROP DATABASE IF EXISTS {TARGET} WITH (FORCE)"))?;
        let create = format!("CREATE DATABASE {TARGET} TEMPLATE template0");
        let created = time(stage.psql.on("postgres").args(["--command", &create]))?;
        Ok(created + time(stage.psql.on(TARGET).arg("--single-transaction").arg("--file").arg(&script))?)
    };
    let (uncached, peer) = in_turns(stage.runs, || ours(&["--no-cache"]), by_hand)?;
    ours(&[])?;
    let (cached, peer_again) = in_turns(stage.runs, || ours(&[]), by_hand)?;
    Ok(vec![
        Row::new(format!("build: {TABLES} tables / psql -1 -f"), uncached, peer, Unit::Seconds, 1.0),
        Row::new(
            format!("build: {TABLES} tables, cached / psql -1 -f"),
            cached,
            peer_again,
            Unit::Seconds,
            0.5,
        ),
    ])
}

/// A table as schemas have them: a key, a reference to the table before, a check, an index, a comment.
pub(super) fn table(number: usize) -> String {
    let mut sql = format!(
        "CREATE TABLE table_{number:03} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    email text UNIQUE,
    amount numeric(12, 2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX table_{number:03}_created_at ON table_{number:03} (created_at);
COMMENT ON TABLE table_{number:03} IS 'Table number {number}';
"
    );
    if number > 1 {
        let before = number - 1;
        let _ = writeln!(
            sql,
            "ALTER TABLE table_{number:03} ADD COLUMN before_id bigint REFERENCES table_{before:03};"
        );
    }
    sql
}
