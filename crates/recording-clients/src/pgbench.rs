//! `pgbench` as one more application, which gives up at its first error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

use crate::record::{Outcome, Record, Write};

/// Ids of one client, from its first on; the same as those of [`Clients`](crate::Clients).
const IDS_OF_A_CLIENT: i64 = 1_000_000_000;

/// What `pgbench` does.
#[derive(Debug, Clone)]
pub struct PgBenchOptions {
    /// The program.
    pub program: PathBuf,
    /// How many clients.
    pub clients: u32,
    /// Transactions a second of all clients together; 0 is as many as go.
    pub rate: u32,
    /// How long.
    pub duration: Duration,
    /// `simple`, `extended` or `prepared`.
    pub protocol: String,
    /// The script: `:id` is the id of this transaction's write, `:client_id` the client's number.
    pub script: String,
    /// The first id.
    pub first_id: i64,
}

/// A `pgbench` at work. Dropping it ends it.
#[derive(Debug)]
pub struct PgBench {
    child: Child,
    folder: tempfile::TempDir,
    options: PgBenchOptions,
}

/// What `pgbench` was told.
#[derive(Debug)]
pub struct PgBenchReport {
    /// Every transaction that its log has; of a client that gave up, one more, which is unknown.
    pub record: Record,
    /// Clients that gave up, and why, as it says.
    pub aborted: Vec<String>,
    /// Its own report.
    pub text: String,
}

impl PgBench {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(url: &str, options: PgBenchOptions) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("script.sql");
        let count = format!(
            "\\set n :n + 1\n\\set id {} + :client_id * {IDS_OF_A_CLIENT} + :n - 1\n{}\n",
            options.first_id, options.script
        );
        std::fs::write(&script, count)?;
        let mut command = Command::new(&options.program);
        command
            .args(["--no-vacuum", "--define", "n=0", "--log", "--log-prefix"])
            .arg(folder.path().join("log"));
        command.args([
            "--client",
            &options.clients.to_string(),
            "--jobs",
            &options.clients.min(2).to_string(),
        ]);
        command.args([
            "--time",
            &options.duration.as_secs().max(1).to_string(),
            "--protocol",
            &options.protocol,
        ]);
        if options.rate > 0 {
            command.args(["--rate", &options.rate.to_string()]);
        }
        command.arg("--file").arg(&script).arg(url);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().with_context(|| options.program.display().to_string())?;
        Ok(Self { child, folder, options })
    }

    /// Waits for its end, and reads its log.
    ///
    /// # Errors
    /// A log that cannot be read, and a `pgbench` that could not do what it was asked.
    pub async fn finish(self) -> Result<PgBenchReport> {
        let output = self.child.wait_with_output().await?;
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // 2 is what it says where clients gave up.
        anyhow::ensure!(
            matches!(output.status.code(), Some(0 | 2)),
            "pgbench ended with {}:\n{complained}",
            output.status
        );
        let aborted: Vec<String> =
            complained.lines().filter(|line| line.contains(" aborted ")).map(str::to_owned).collect();
        let mut log = String::new();
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")) {
                log.push_str(&std::fs::read_to_string(path)?);
            }
        }
        let mut record = read_log(&log, self.options.first_id, (SystemTime::now(), Instant::now()))?;
        add_unknown(&mut record, &aborted, self.options.first_id);
        Ok(PgBenchReport { record, aborted, text: format!("{said}{complained}") })
    }
}

/// One line a transaction: client, number, latency in µs or what failed, script, when it ended.
fn read_log(log: &str, first_id: i64, (system, instant): (SystemTime, Instant)) -> Result<Record> {
    let mut lines: BTreeMap<u32, Vec<(Duration, &str)>> = BTreeMap::new();
    for line in log.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let field =
            |index: usize| fields.get(index).copied().with_context(|| format!("pgbench's log: {line}"));
        let ended = Duration::from_secs(field(4)?.parse()?) + Duration::from_micros(field(5)?.parse()?);
        lines.entry(field(0)?.parse()?).or_default().push((ended, field(2)?));
    }
    let now = system.duration_since(UNIX_EPOCH)?;
    let mut record = Record::default();
    for (client, mut transactions) in lines {
        transactions.sort();
        for (number, (ended, latency)) in (0_i64..).zip(transactions) {
            let ended = instant.checked_sub(now.saturating_sub(ended)).unwrap_or(instant);
            let (latency, outcome) = match latency.parse() {
                Ok(latency) => (Duration::from_micros(latency), Outcome::Acknowledged),
                Err(_) => (Duration::ZERO, Outcome::Failed(latency.to_owned())),
            };
            let begun = ended.checked_sub(latency).unwrap_or(ended);
            let id = first_id + i64::from(client) * IDS_OF_A_CLIENT + number;
            record.writes.push(Write { id, client, asked: begun, sent: begun, ended, outcome });
        }
    }
    Ok(record)
}

/// What a client was at when it gave up: `pgbench: error: client 3 script 0 aborted in command 4 …`.
fn add_unknown(record: &mut Record, aborted: &[String], first_id: i64) {
    for line in aborted {
        let Some(client) = line
            .split("client ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|number| number.parse::<u32>().ok())
        else {
            continue;
        };
        let first = first_id + i64::from(client) * IDS_OF_A_CLIENT;
        let last = record.writes.iter().filter(|write| write.client == client).max_by_key(|write| write.id);
        let (id, since) = last.map_or((first, None), |write| (write.id + 1, Some(write.ended)));
        let sent = since.unwrap_or_else(Instant::now);
        let outcome = Outcome::Unknown(line.clone());
        record.writes.push(Write { id, client, asked: sent, sent, ended: sent, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_who_was_served_when() {
        let log =
            "0 1 1500 0 100 250000\n1 1 900 0 100 100000\n0 2 serialization 0 100 500000\n0 3 100 0 101 0\n";
        let now = Instant::now();
        let system = UNIX_EPOCH + Duration::from_secs(102);
        let mut record = read_log(log, 10, (system, now)).unwrap();
        let first = record.writes.iter().find(|write| write.id == 10).unwrap();
        assert_eq!(now - first.ended, Duration::from_millis(1750));
        assert_eq!(first.ended - first.sent, Duration::from_micros(1500));
        assert_eq!(record.acknowledged().collect::<Vec<_>>(), [10, 12, 10 + IDS_OF_A_CLIENT]);
        assert_eq!(record.errors().into_iter().collect::<Vec<_>>(), [("serialization", 1)]);
        add_unknown(
            &mut record,
            &["pgbench: error: client 0 script 0 aborted in command 2 query 0: x".into()],
            10,
        );
        assert!(
            record.writes.iter().any(|write| write.id == 13 && matches!(write.outcome, Outcome::Unknown(_)))
        );
    }
}
