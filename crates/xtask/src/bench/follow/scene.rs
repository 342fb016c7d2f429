//! Two servers with what is followed, and the follower.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use local_postgres::{Options, Server};

use super::super::measure::time;
use crate::command::last_lines;
use crate::server::{Psql, with_servers};

/// What pgbench does not make. `heartbeat` tells how far the target is.
const TABLES: &str = "CREATE TABLE heartbeat (id int PRIMARY KEY, at timestamptz NOT NULL, number bigint NOT NULL);
    CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind int NOT NULL, what text NOT NULL);
    CREATE TABLE bulk (id bigint PRIMARY KEY, a int NOT NULL, b text NOT NULL);";

/// The target's `event` is a `happening`, with a column that is computed.
const MAPPED: &str = "ALTER TABLE event RENAME TO happening;
    ALTER TABLE happening RENAME what TO description;
    ALTER TABLE happening ADD title text;";

const MAPPING: &str = "tables:
  happening:
    from: event e
    columns:
      description: e.what
      title: upper(left(e.what, 10))
  heartbeat: {from: heartbeat}
  bulk: {from: bulk}
  pgbench_accounts: {from: pgbench_accounts}
  pgbench_branches: {from: pgbench_branches}
  pgbench_tellers: {from: pgbench_tellers}
";

/// Two servers: the source and the target.
pub(crate) struct Scene<'a> {
    pub(crate) source: Psql<'a>,
    pub(crate) target: Psql<'a>,
    program: PathBuf,
    mapping: PathBuf,
    folder: tempfile::TempDir,
}

impl<'a> Scene<'a> {
    /// Starts both servers for as long as `work` takes.
    pub(crate) fn play<T>(
        program: &Path,
        bin_dir: &Path,
        work: impl FnOnce(&Scene<'_>) -> Result<T>,
    ) -> Result<T> {
        let options = || Options {
            bin_dir: Some(bin_dir.to_owned()),
            settings: [
                ("wal_level", "logical"),
                ("shared_buffers", "256MB"),
                ("max_wal_size", "8GB"),
                ("max_connections", "100"),
                ("autovacuum", "off"),
                ("wal_sender_timeout", "10min"),
                // A subscription that is switched on again begins at once.
                ("wal_retrieve_retry_interval", "100ms"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..Options::default()
        };
        with_servers([options(), options()], |servers| {
            let [source, target] = [&servers[0], &servers[1]]
                .map(|server: &Server| Psql { program: server.program("psql"), server });
            let folder = tempfile::tempdir()?;
            let mapping = folder.path().join("mapping.yaml");
            fs::write(&mapping, MAPPING)?;
            work(&Scene { source, target, program: program.to_owned(), mapping, folder })
        })
    }

    /// A source `name` with pgbench's tables at `scale` and `bulk` rows beside them, and a target of the same name.
    pub(crate) fn databases(&self, name: &str, scale: u32, bulk: u64) -> Result<()> {
        self.target_database(name, scale)?;
        self.source.database_from(name, "template0")?;
        initialize(&self.source, name, "dtgp", scale)?;
        self.source.sql(
            name,
            &format!(
                "INSERT INTO heartbeat VALUES (1, clock_timestamp(), 0);
                 INSERT INTO bulk SELECT i, i % 100, 'row ' || i FROM generate_series(1, {bulk}) AS i"
            ),
        )?;
        self.source.sql(name, "VACUUM ANALYZE")?;
        Ok(())
    }

    /// An empty target.
    pub(super) fn target_database(&self, name: &str, scale: u32) -> Result<()> {
        self.target.database_from(name, "template0")?;
        initialize(&self.target, name, "dtp", scale)?;
        // pgbench's history has no key to be followed by.
        self.target.sql(name, "DROP TABLE pgbench_history")?;
        self.target.sql(name, MAPPED)?;
        Ok(())
    }

    /// A database on the target's server that holds what the source's holds, by the source's names.
    pub(super) fn native_copy(&self, from: &str, name: &str) -> Result<()> {
        self.target.database_from(name, "template0")?;
        let dump = self.source.server.program("pg_dump");
        let mut dump = Command::new(dump).arg(self.source.server.url(from)).stdout(Stdio::piped()).spawn()?;
        let pipe = dump.stdout.take().context("a pipe was asked for")?;
        let restored = self.target.on(name).stdin(pipe).stdout(Stdio::null()).status()?;
        if !restored.success() || !dump.wait()?.success() {
            bail!("the copy for the subscription failed");
        }
        Ok(())
    }

    /// Removes what following has left on the source, so that the database can be made anew.
    pub(super) fn clean_up(&self, database: &str) -> Result<()> {
        let slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
        self.source.sql(database, slots).map(|_| ())
    }

    /// A file for pgbench.
    pub(super) fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// The program with a step of the migration of a database.
    pub(crate) fn step(&self, step: &str, database: &str, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["migrate", "schema-to-schema", step]);
        command.arg("--from").arg(self.source.server.url(database));
        command.arg("--to").arg(self.target.server.url(target));
        command.arg("--mapping").arg(&self.mapping);
        command.current_dir(self.folder.path());
        command
    }

    /// The follower of a database, into the target of the same name.
    pub(crate) fn follow(&self, database: &str, feed: &str) -> Result<Follower> {
        self.follow_into(database, database, feed)
    }

    /// The follower of a database.
    pub(super) fn follow_into(&self, database: &str, target: &str, feed: &str) -> Result<Follower> {
        let mut command = self.step("sync", database, target);
        command.args(["--yes", "--no-verify", "--quiet", "--capture", feed]);
        self.start(command, target)
    }

    /// Starts what follows, with a log of this name.
    pub(super) fn start(&self, mut command: Command, name: &str) -> Result<Follower> {
        let log = self.folder.path().join(format!("{name}.log"));
        let file = fs::File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Follower { child, log })
    }

    /// Writes a heartbeat on the source; gives its number.
    pub(crate) fn beat(&self, database: &str) -> Result<String> {
        let beat =
            "UPDATE heartbeat SET at = clock_timestamp(), number = number + 1 WHERE id = 1 RETURNING number";
        self.source.sql(database, beat)
    }

    /// Returns when the target's database has that heartbeat.
    pub(crate) fn wait_for_beat(&self, database: &str, number: &str) -> Result<()> {
        // The server waits, not this program: a connection for each look would cost what is measured.
        let wait = format!(
            "SET statement_timeout = '5min';
             DO $$ BEGIN
                 WHILE NOT EXISTS (SELECT FROM heartbeat WHERE id = 1 AND number >= {number}) LOOP
                     PERFORM pg_sleep(0.005);
                 END LOOP;
             END $$"
        );
        self.target.sql(database, &wait).map(|_| ())
    }

    /// Follows until the target is there, and stops: from then on changes are kept.
    pub(crate) fn set_up(&self, database: &str, feed: &str) -> Result<()> {
        self.set_up_into(database, database, feed)
    }

    /// The same of a target of another name.
    pub(super) fn set_up_into(&self, database: &str, target: &str, feed: &str) -> Result<()> {
        let follower = self.follow_into(database, target, feed)?;
        self.settle_into(database, target, &follower)?;
        follower.stop()
    }

    /// Waits until the follower's target follows.
    pub(crate) fn settle(&self, database: &str, follower: &Follower) -> Result<()> {
        self.settle_into(database, database, follower)
    }

    fn settle_into(&self, database: &str, target: &str, follower: &Follower) -> Result<()> {
        let phase = "SELECT coalesce((SELECT phase FROM confiture.follow), '')";
        let start = Instant::now();
        while !matches!(self.target.sql(target, phase).as_deref(), Ok("following")) {
            if start.elapsed() > Duration::from_secs(120) || !follower.is_running() {
                bail!("the follower does not follow: {}", follower.said());
            }
            sleep(Duration::from_millis(100));
        }
        let number = self.beat(database)?;
        self.wait_for_beat(target, &number)
    }
}

/// Makes pgbench's tables and those beside them.
fn initialize(side: &Psql<'_>, name: &str, steps: &str, scale: u32) -> Result<()> {
    let mut pgbench = pgbench(side, name);
    time(pgbench.args(["--initialize", "--init-steps", steps, "--scale", &scale.to_string()]))?;
    side.sql(name, TABLES).map(|_| ())
}

/// pgbench on a database.
pub(super) fn pgbench(psql: &Psql<'_>, database: &str) -> Command {
    let mut command = Command::new(psql.server.program("pgbench"));
    command.env("PGHOST", psql.server.socket_dir()).env("PGPORT", psql.server.port().to_string());
    command.env("PGUSER", psql.server.user()).env("PGDATABASE", database);
    command
}

/// What the processes of this machine ask of it: the load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// The program, or another one, following.
pub(crate) struct Follower {
    child: Child,
    log: PathBuf,
}

impl Follower {
    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    pub(crate) fn said(&self) -> String {
        last_lines(&fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// Asks it to stop, as Ctrl-C does, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        time(Command::new("kill").args(["-INT", &self.child.id().to_string()]))?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Where it has stopped, there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
