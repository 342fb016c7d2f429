//! `baseline`: migrations that count as applied without being run, because the database has what they make.

use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha384};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::migrate::assess::{Standing, called};
use crate::migrate::checksum::Checksum;
use crate::migrate::history::{Entry, State, record, table_definition};
use crate::migrate::ledger::{Applied, Ledger, flyway_checksum, read_ledger, refuse_lone_undo};
use crate::migrate::migrator::Migrator;
use crate::migrate::part::Part;
use crate::migrate::plan::{Direction, no_such};
use crate::migrate::run::Run;
use crate::migrate::unit::Unit;
use crate::migrate::version::Version;
use crate::postgres::Tool;
use crate::sql::{Sql, hexadecimal, sql};

/// What was recorded as applied.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    /// The history table.
    pub history_table: String,
    /// The ledger that it was taken over from.
    pub adopted_from: Option<String>,
    /// Whose ledger that is.
    pub tool: Option<&'static str>,
    /// The migrations that count as applied from now on.
    pub migrations: Vec<String>,
    /// How many counted as applied before.
    pub already: usize,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// A migration that is to be recorded.
struct Known {
    version: String,
    name: String,
    checksum: Option<Checksum>,
    applied_at: Option<String>,
}

impl Migrator {
    /// Records the migrations up to `to`, or all, as applied. None is run. What has no statements yet is still to be applied when it has.
    ///
    /// # Errors
    ///
    /// A version that does not exist; a migration that was applied in part; another run at work.
    pub async fn baseline(&self, to: Option<&Version>, execution: &Execution) -> Result<Baseline> {
        let units = self.units()?;
        if let Some(to) = to.filter(|to| units.iter().all(|unit| unit.version != **to)) {
            return Err(no_such(to, units.iter().map(|unit| unit.version.as_str())));
        }
        let wanted = units.iter().filter(|unit| to.is_none_or(|to| unit.version <= *to));
        let (empty, written): (Vec<_>, Vec<_>) =
            wanted.partition(|unit| unit.part(true).is_some_and(Part::is_empty));
        let known: Vec<_> = written.into_iter().map(|unit| Known::of(unit, None)).collect();
        let mut report = self.record_all(&units, known, "baseline", execution).await?;
        let note = |unit: &Unit<'_>| format!("{} has no statements yet, and is not recorded", unit.called());
        report.notes.extend(empty.into_iter().map(note));
        Ok(report)
    }

    /// What a database that is built from the schema files is to record: all migrations are in it, for files and migrations are
    /// committed together. It makes the history table, in the first schema of the `search_path` where none is named. `None` where there
    /// are no migrations.
    ///
    /// # Errors
    ///
    /// Two migrations of one version.
    pub fn record_of_build(&self) -> Result<Option<Sql>> {
        let units = self.units()?;
        if units.is_empty() {
            return Ok(None);
        }
        let asked = &self.options.history_table;
        let table = match &asked.schema {
            Some(schema) => sql!("{}.{}", schema, asked.name),
            None => sql!("{}", asked.name),
        };
        let mut statements = table_definition(&table);
        for unit in &units {
            let entry = Entry {
                version: unit.version.as_str(),
                name: &unit.name,
                checksum: Some(&unit.checksum),
                source: Some("build"),
                applied_at: None,
                is_new: false,
            };
            statements.push(&record(&table, &entry, State::Applied, &Sql::literal("NULL")));
            statements.push(&Sql::literal(";"));
        }
        Ok(Some(statements))
    }

    /// Takes over the ledger of another tool: `table`, or the only one that there is. The ledger stays as it is.
    ///
    /// # Errors
    ///
    /// No ledger, or several; one that says that a migration failed; a file that is not the one that was applied, where the ledger can
    /// tell.
    pub async fn adopt(&self, table: Option<&str>, execution: &Execution) -> Result<Baseline> {
        let units = self.units()?;
        let (session, history) = self.connect().await?;
        let ledger = read_ledger(&session, table, &history.table).await?;
        drop(session);
        if ledger.tool == Tool::Flyway {
            refuse_lone_undo(&units)?;
        }
        let (known, notes) = adopted(&ledger, &units)?;
        let source = ledger.table.to_string();
        let mut report = self.record_all(&units, known, &source, execution).await?;
        report.adopted_from = Some(source);
        report.tool = Some(ledger.tool.name());
        report.notes = notes;
        Ok(report)
    }

    async fn record_all(
        &self,
        units: &[Unit<'_>],
        known: Vec<Known>,
        source: &str,
        execution: &Execution,
    ) -> Result<Baseline> {
        let (sessions, _) = self.connect_twice().await?;
        let mut run = Run::begin(sessions, &self.options, execution, Direction::Up, None).await?;
        let outcome = record_in(&mut run, units, &known, source).await;
        let (outcome, report) = match outcome {
            Ok(report) => (Ok(()), Some(report)),
            Err(error) => (Err(error), None),
        };
        run.end(outcome).await?;
        report.ok_or_else(|| Error::unexpected("a baseline without a report"))
    }
}

async fn record_in(run: &mut Run<'_>, units: &[Unit<'_>], known: &[Known], source: &str) -> Result<Baseline> {
    let assessed = run.assess(units);
    let half = |one: &&crate::migrate::Assessment| {
        matches!(one.state, Standing::Interrupted | Standing::RevertInterrupted)
    };
    if let Some(one) = assessed.iter().find(half) {
        return Err(Error::refused(format!("{} is applied in part", one.called()))
            .hint("finish it first, with `confiture migrate up` or `down`"));
    }
    run.prepare().await?;
    let mut report = Baseline {
        history_table: run.history.table.to_string(),
        adopted_from: None,
        tool: None,
        migrations: Vec::new(),
        already: 0,
        notes: Vec::new(),
    };
    let mut statements = Sql::literal("BEGIN;");
    for one in known {
        let version = Version::parse(&one.version);
        let former = version.as_ref().and_then(|version| run.history.record(version));
        if former.is_some_and(|former| former.state == State::Applied) {
            report.already += 1;
            continue;
        }
        let entry = Entry {
            version: former.map_or(one.version.as_str(), |former| former.version.as_str()),
            name: &one.name,
            checksum: one.checksum.as_ref(),
            source: Some(source),
            applied_at: one.applied_at.as_deref(),
            is_new: false,
        };
        statements.push(&record(&run.history.table, &entry, State::Applied, &Sql::literal("NULL")));
        statements.push(&Sql::literal(";"));
        report.migrations.extend(version.map(|version| called(&version, &one.name)));
    }
    statements.push(&Sql::literal("COMMIT"));
    run.lock.session().batch(&statements).await?;
    Ok(report)
}

impl Known {
    fn of(unit: &Unit<'_>, applied_at: Option<String>) -> Self {
        Self {
            version: unit.version.to_string(),
            name: unit.name.clone(),
            checksum: Some(unit.checksum.clone()),
            applied_at,
        }
    }
}

/// What a ledger and the files say together.
fn adopted(ledger: &Ledger, units: &[Unit<'_>]) -> Result<(Vec<Known>, Vec<String>)> {
    let (mut known, mut notes) = (Vec::new(), Vec::new());
    for row in &ledger.rows {
        match units.iter().find(|unit| unit.version == row.version) {
            Some(unit) => {
                check_digest(row, unit, ledger)?;
                known.push(Known::of(unit, row.applied_at.clone()));
            }
            None => {
                notes.push(format!(
                    "{} is applied, and there is no file of it",
                    called(&row.version, &row.name)
                ));
                known.push(Known {
                    version: row.version.to_string(),
                    name: row.name.clone(),
                    checksum: None,
                    applied_at: row.applied_at.clone(),
                });
            }
        }
    }
    if let Some(up_to) = &ledger.up_to {
        let listed = |unit: &&Unit<'_>| ledger.rows.iter().any(|row| row.version == unit.version);
        let below = units.iter().filter(|unit| unit.version <= *up_to && !listed(unit));
        known.extend(below.map(|unit| Known::of(unit, None)));
        if !units.iter().any(|unit| unit.version == *up_to) {
            notes.push(format!("the ledger stands at version {up_to}, and there is no file of it"));
        }
    }
    known.sort_by_key(|one| Version::parse(&one.version));
    Ok((known, notes))
}

/// A ledger that has a digest of the file can tell whether the file is still the one that was applied.
fn check_digest(row: &Applied, unit: &Unit<'_>, ledger: &Ledger) -> Result<()> {
    let (Some(digest), Some(part)) = (&row.digest, unit.part(true)) else { return Ok(()) };
    let text = part.script.script.text();
    let (kind, theirs) = digest.split_once(':').unwrap_or_default();
    let is_same = match kind {
        "crc32" => flyway_checksum(text).to_string() == theirs,
        "sha384" => hexadecimal(&Sha384::digest(text.as_bytes())) == theirs,
        // For Prisma, the ends of lines may have changed.
        _ => {
            let unix = text.replace("\r\n", "\n");
            let windows = unix.replace('\n', "\r\n");
            [text, &unix, &windows].iter().any(|text| hexadecimal(&Sha256::digest(text.as_bytes())) == theirs)
        }
    };
    if is_same {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "{} is not the file that {} has applied: its checksum in {} is another",
            unit.called(),
            ledger.tool.name(),
            ledger.table
        ),
    )
    .at(part.script.script.place(0))
    .hint(format!(
        "put the file back as it was, or let {} repair its ledger, then adopt",
        ledger.tool.name()
    )))
}
