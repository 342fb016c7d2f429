//! A hundred small migrations, beside `psql -f` of the same with a history insert each; and the status of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::measure::{in_turns, time};
use super::stage::{Stage, TARGET};
use super::table::{Row, Unit};

const MIGRATIONS: usize = 100;

const STATUS_LIMIT_SECONDS: f64 = 0.06;

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("confiture-bench-migrations-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let rows = measure_in(stage, &folder);
    fs::remove_dir_all(&folder)?;
    rows
}

fn measure_in(stage: &Stage<'_>, folder: &Path) -> Result<Vec<Row>> {
    let migrations = folder.join("db/migrations");
    fs::create_dir_all(&migrations)?;
    let mut whole =
        String::from("CREATE TABLE history (version text PRIMARY KEY, at timestamptz DEFAULT now());\n");
    for number in 1..=MIGRATIONS {
        let sql = format!(
            "CREATE TABLE t{number} (id bigint PRIMARY KEY, name text NOT NULL);\nALTER TABLE t{number} ADD COLUMN at timestamptz;\n"
        );
        fs::write(migrations.join(format!("{number:03}_t{number}.up.sql")), &sql)?;
        let _ = writeln!(whole, "BEGIN;\n{sql}INSERT INTO history VALUES ('{number:03}');\nCOMMIT;");
    }
    let script = folder.join("whole.sql");
    fs::write(&script, whole)?;

    let confiture = |words: &[&str]| {
        let mut command = Command::new(stage.program);
        command.arg("migrate").args(words).args(["--quiet", "--database-url"]);
        command.arg(stage.psql.server.url(TARGET)).current_dir(folder);
        command
    };
    let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]+$'";
    let (ours, peer) = in_turns(
        stage.runs,
        || {
            stage.psql.database_from(TARGET, "template0")?;
            let elapsed = time(&mut confiture(&["up"]))?;
            let found = stage.psql.sql(TARGET, tables)?;
            if found != MIGRATIONS.to_string() {
                bail!("the program reports success, and {found} of {MIGRATIONS} tables are there");
            }
            Ok(elapsed)
        },
        || {
            stage.psql.database_from(TARGET, "template0")?;
            time(stage.psql.on(TARGET).arg("--file").arg(&script))
        },
    )?;
    stage.psql.database_from(TARGET, "template0")?;
    time(&mut confiture(&["up"]))?;
    let check = || time(&mut confiture(&["status", "--check"]));
    let (status, nothing) = in_turns(stage.runs.max(10), check, || time(&mut Command::new("true")))?;
    let name = format!("migrate status: {MIGRATIONS} applied (`true`: {:.1} ms) / 60 ms", nothing * 1000.0);
    Ok(vec![
        Row::new(format!("migrate up: {MIGRATIONS} small ones / psql -f"), ours, peer, Unit::Seconds, 1.2),
        Row::new(name, status, STATUS_LIMIT_SECONDS, Unit::Seconds, 1.0),
    ])
}
