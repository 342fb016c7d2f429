//! Beside pgcopydb, which copies whole databases.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::measure::{in_turns, time};
use super::stage::{INDEXED, SOURCE, Stage, TARGET};
use super::table::{Row, Unit};
use crate::command::find;

/// pgcopydb makes the table and its indexes itself, so its target starts empty.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    if find("pgcopydb").is_none() {
        bail!("pgcopydb is not installed; `--install` installs it");
    }
    let folder = std::env::temp_dir().join(format!("confiture-bench-pgcopydb-{}", std::process::id()));
    let server = stage.psql.server;
    let peer = || {
        stage.reset_target("template0")?;
        let mut pgcopydb = Command::new("pgcopydb");
        pgcopydb.args([
            "clone",
            "--table-jobs",
            "4",
            "--index-jobs",
            "4",
            "--split-tables-larger-than",
            "100MB",
        ]);
        pgcopydb.arg("--source").arg(server.url(SOURCE)).arg("--target").arg(server.url(TARGET));
        pgcopydb.arg("--dir").arg(&folder).arg("--restart");
        time(&mut pgcopydb)
    };
    let ours =
        || stage.timed_migration(INDEXED, ["--strategy", "copy", "--parallel", "4", "--no-verify", "--yes"]);
    let result = in_turns(stage.runs, ours, peer);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (ours, peer) = result?;
    Ok(vec![Row::new("pgcopydb: 4 workers / 4 jobs", ours, peer, Unit::Seconds, 0.95)])
}
