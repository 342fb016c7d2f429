//! A masked copy beside an unmasked one, and beside what a person would type.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::measure::{cost, in_turns, time, time_pipe};
use super::stage::Stage;
use super::table::{Row, Unit};
use crate::server::{Psql, with_servers};

const SOURCE: &str = "bench_sync_source";
const EMPTY: &str = "bench_sync_empty";
const TARGET: &str = "bench_sync_target";

/// About 250 bytes a row.
const TABLE: &str =
    "CREATE TABLE customer (id bigint NOT NULL, email text, full_name text, phone text, card text, city text,
    note text, score int, balance numeric(12, 2), created_at timestamptz, active boolean)";

const KEYS: &str = "ALTER TABLE customer ADD PRIMARY KEY (id); ALTER TABLE customer ADD UNIQUE (email);
    CREATE INDEX customer_created ON customer (created_at);";

const COPY_OUT: &str = "COPY customer TO STDOUT (FORMAT binary)";

const KEPT: &str = "    id: keep\n    city: keep\n    note: keep\n    score: keep\n    balance: keep\n    created_at: keep\n    active: keep\n";

pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let rules = Rules::write()?;
    prepare(stage)?;
    let (masked, plain) =
        in_turns(stage.runs, || stream(stage, &rules.masked), || stream(stage, &rules.plain))?;
    let (format, also_plain) =
        in_turns(stage.runs, || stream(stage, &rules.format), || stream(stage, &rules.plain))?;
    let (whole, pipe) = in_turns(
        stage.runs,
        || {
            reset(stage)?;
            time(&mut command(stage, &rules.masked))
        },
        || {
            reset(stage)?;
            time_pipe(
                stage.psql.on(SOURCE).args(["--command", COPY_OUT]),
                stage.psql.on(TARGET).args(["--command", "COPY customer FROM STDIN (FORMAT binary)"]),
            )
        },
    )?;
    let (quarantine, also_pipe) = in_turns(
        stage.runs,
        || {
            reset(stage)?;
            time(command(stage, &rules.masked).arg("--quarantine"))
        },
        || {
            reset(stage)?;
            time_pipe(
                stage.psql.on(SOURCE).args(["--command", COPY_OUT]),
                stage.psql.on(TARGET).args(["--command", "COPY customer FROM STDIN (FORMAT binary)"]),
            )
        },
    )?;
    reset(stage)?;
    let memory = cost(&mut command(stage, &rules.masked))?.peak_mebibytes;
    reset(stage)?;
    let also_memory = cost(command(stage, &rules.masked).arg("--quarantine"))?.peak_mebibytes;
    let (source, plain_copy) = source_cost(stage, &rules)?;
    Ok(vec![
        Row::new("sync: the source's processor time / psql", source, plain_copy, Unit::Seconds, 1.1),
        Row::new("sync: --quarantine / psql | psql, indexed", quarantine, also_pipe, Unit::Seconds, 1.6),
        Row::new("sync: --quarantine memory / 64 MiB", also_memory, 64.0, Unit::Mebibytes, 1.0),
        Row::new("sync: stream, four keyed rules / no rule", masked, plain, Unit::Seconds, 1.25),
        Row::new("sync: two of them format-preserving / no rule", format, also_plain, Unit::Seconds, 2.0),
        Row::new("sync: the command / psql | psql, indexed", whole, pipe, Unit::Seconds, 1.6),
        Row::new("sync: client memory / 64 MiB", memory, 64.0, Unit::Mebibytes, 1.0),
    ])
}

/// Two files of rules.
struct Rules {
    _folder: tempfile::TempDir,
    masked: std::path::PathBuf,
    format: std::path::PathBuf,
    plain: std::path::PathBuf,
}

impl Rules {
    fn write() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let write = |name: &str, rules: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("anonymize:\n  customer:\n{KEPT}{rules}"))?;
            anyhow::Ok(file)
        };
        let masked =
            "    email: email\n    full_name: {fake: name}\n    phone: {hash: 20}\n    card: {hash: 20}\n";
        let format =
            "    email: email\n    full_name: {fake: name}\n    phone: {fpe: digits}\n    card: card\n";
        let plain = "    email: keep\n    full_name: keep\n    phone: keep\n    card: keep\n";
        Ok(Self {
            masked: write("masked.yaml", masked)?,
            format: write("format.yaml", format)?,
            plain: write("plain.yaml", plain)?,
            _folder: folder,
        })
    }
}

fn prepare(stage: &Stage<'_>) -> Result<()> {
    for database in [SOURCE, EMPTY] {
        stage.psql.database_from(database, "template0")?;
        stage.psql.sql(database, TABLE)?;
    }
    let scale = stage.psql.sql(super::stage::SOURCE, "SELECT count(*) FROM account")?;
    let rows = format!(
        "INSERT INTO customer SELECT i, 'customer' || i || '@corp-' || i % 97 || '.com', 'Firstname' || i % 1009 || ' Lastname' || i,
            '+1 202 ' || lpad((i % 10000000)::text, 7, '0'), '4111 1111 ' || lpad((i % 100000000)::text, 8, '0'), 'town ' || i % 500,
            repeat('a note that says nothing ', 4), i % 1000, (i % 100000) / 7.0, timestamptz '2020-01-01' + i * interval '1 second', i % 2 = 0
         FROM generate_series(1, {}) AS i",
        scale.trim()
    );
    stage.psql.sql(SOURCE, &rows)?;
    stage.psql.sql(SOURCE, KEYS)?;
    stage.psql.sql(SOURCE, "VACUUM (ANALYZE, FREEZE) customer")?;
    stage.psql.sql(EMPTY, KEYS)?;
    Ok(())
}

/// Processor time of the source's sessions, in seconds: of a sync to another server, and of a COPY to nowhere.
fn source_cost(stage: &Stage<'_>, rules: &Rules) -> Result<(f64, f64)> {
    let server = stage.psql.server;
    let options =
        local_postgres::Options { bin_dir: Some(server.bin_dir().to_owned()), ..Default::default() };
    with_servers([options], |servers| {
        let other = Psql { program: server.program("psql"), server: &servers[0] };
        let during = |work: &mut dyn FnMut() -> Result<Duration>| {
            let before = stage.server_processor_time()?;
            work()?;
            Ok(stage.server_processor_time()?.saturating_sub(before))
        };
        in_turns(
            stage.runs,
            || {
                other.database_from(TARGET, "template0")?;
                other.sql(TARGET, TABLE)?;
                during(&mut || time(&mut command_to(stage, &servers[0].url(TARGET), &rules.masked)))
            },
            || during(&mut || time(stage.psql.on(SOURCE).args(["--command", COPY_OUT]))),
        )
    })
}

fn reset(stage: &Stage<'_>) -> Result<()> {
    stage.psql.database_from(TARGET, EMPTY)?;
    stage.psql.sql("postgres", "CHECKPOINT")?;
    Ok(())
}

fn command(stage: &Stage<'_>, rules: &std::path::Path) -> Command {
    command_to(stage, &stage.psql.server.url(TARGET), rules)
}

fn command_to(stage: &Stage<'_>, target: &str, rules: &std::path::Path) -> Command {
    let mut command = Command::new(stage.program);
    command.args(["sync", "--quiet", "--yes", "--format", "json"]);
    command.env("CONFITURE_SYNC_KEY", "0123456789abcdef0123456789abcdef");
    command.arg("--from").arg(stage.psql.server.url(SOURCE)).arg("--to").arg(target);
    command.arg("--config").arg(rules).arg("--manifest").arg(rules.with_extension("manifest.json"));
    command
}

/// Syncs into a fresh target; gives what the report says the rows took.
fn stream(stage: &Stage<'_>, rules: &std::path::Path) -> Result<Duration> {
    reset(stage)?;
    let output = command(stage, rules).output().context("cannot run the program")?;
    if !output.status.success() {
        bail!("{} {}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    let count = "SELECT count(*), count(DISTINCT email) FROM customer";
    let [expected, found] = [stage.psql.sql(SOURCE, count)?, stage.psql.sql(TARGET, count)?];
    if expected != found {
        bail!("the program reports success, and {found} of {expected} rows are there");
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("no JSON report")?;
    let elapsed = report["result"]["report"]["tables"][0]["elapsed_ms"].as_f64();
    Ok(Duration::from_secs_f64(elapsed.context("the report does not say how long the table took")? / 1e3))
}
