//! Two trees of 500 tables, server start and proof included, beside `psql` of one of them; and two small ones.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::build::table;
use super::measure::{in_turns, median, time};
use super::stage::{Stage, TARGET};
use super::table::{Row, Unit};

const TABLES: usize = 500;

/// Small trees on a server that runs, and with a server of their own.
const WARM_LIMIT_SECONDS: f64 = 0.15;
const COLD_LIMIT_SECONDS: f64 = 0.4;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("confiture-bench-diff-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let rows = measure_in(stage, &folder);
    fs::remove_dir_all(&folder)?;
    rows
}

fn measure_in(stage: &Stage<'_>, folder: &Path) -> Result<Vec<Row>> {
    write_trees(folder, "large", TABLES)?;
    write_trees(folder, "small", 3)?;
    let diff = |size: &str, more: &[&str]| -> Result<Duration> {
        let (old, new) = (format!("{size}-old.sql"), format!("{size}-new.sql"));
        let out = folder.join("plan.sql");
        let mut command = Command::new(stage.program);
        command.args(["migrate", "diff", "--quiet", &old, &new]).args(more).current_dir(folder);
        let mut shown = Command::new(stage.program);
        shown.args(["migrate", "diff", &old, &new]).args(more).current_dir(folder);
        if !out.exists() {
            fs::write(&out, shown.output()?.stdout)?;
            if !fs::read_to_string(&out)?.contains("ADD COLUMN bio") {
                bail!("the program reports success, and the plan has not what differs");
            }
        }
        time(&mut command)
    };
    let script = folder.join("large-old.sql");
    let by_hand = || -> Result<Duration> {
        stage.psql.database_from(TARGET, "template0")?;
        time(stage.psql.on(TARGET).arg("--single-transaction").arg("--file").arg(&script))
    };
    let (large, psql) = in_turns(stage.runs, || diff("large", &[]), by_hand)?;
    // What everybody has to do who compares by way of the catalogs: build both, and read both once.
    let floor = || -> Result<Duration> {
        let built = by_hand()?;
        let mut dump = Command::new(stage.psql.server.program("pg_dump"));
        Ok((built + time(dump.args(["-s", "--dbname"]).arg(stage.psql.server.url(TARGET)))?) * 2)
    };
    let mut floors = Vec::new();
    for _ in 0..stage.runs {
        floors.push(floor()?.as_secs_f64());
    }
    let floor = median(&mut floors);
    let url = stage.psql.server.url("postgres");
    let runs = stage.runs.max(10);
    let (warm, cold) = in_turns(runs, || diff("small", &["--scratch-url", &url]), || diff("small", &[]))?;
    Ok(vec![
        Row::new(
            format!("diff: {TABLES} tables / psql -1 -f of one side (both sides and pg_dump: {floor:.2} s)"),
            large,
            psql,
            Unit::Seconds,
            3.0,
        ),
        Row::new("diff: 3 tables, server warm / 150 ms", warm, WARM_LIMIT_SECONDS, Unit::Seconds, 1.0),
        Row::new("diff: 3 tables, server cold / 400 ms", cold, COLD_LIMIT_SECONDS, Unit::Seconds, 1.0),
    ])
}

/// A schema, and the same with a column and an index more, a longer type and a table less.
fn write_trees(folder: &Path, size: &str, tables: usize) -> Result<()> {
    let old: String = (1..=tables).map(table).collect();
    let new: String = (1..tables).map(table).collect();
    let new = new.replacen("    email text UNIQUE,", "    email text UNIQUE,\n    bio text,", 1)
        + "CREATE INDEX table_001_name ON table_001 (name);\nALTER TABLE table_002 ALTER amount TYPE numeric(14, 2);\n";
    fs::write(folder.join(format!("{size}-old.sql")), old)?;
    fs::write(folder.join(format!("{size}-new.sql")), new)?;
    Ok(())
}
