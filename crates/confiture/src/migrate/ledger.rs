//! The ledgers of other tools: what each says is applied.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::config::mapping::TableName;
use crate::error::{Error, Result};
use crate::migrate::file_name::{Kind, parse_file_name};
use crate::migrate::history::{History, applied_in, find_elsewhere};
use crate::migrate::unit::Unit;
use crate::migrate::version::Version;
use crate::postgres::{Session, Tool, find_ledgers, ledger_names};
use crate::sql::{QualifiedName, sql};

/// What a ledger says.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) tool: Tool,
    pub(super) table: QualifiedName,
    pub(super) rows: Vec<Applied>,
    /// Everything up to this one is applied too, although only this one is listed.
    pub(super) up_to: Option<Version>,
    /// What it calls migrations whose versions are no numbers, and which can be none of ours.
    unnumbered: Vec<String>,
}

/// A migration that a ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: Version,
    pub(super) name: String,
    /// As the server reads it.
    pub(super) applied_at: Option<String>,
    /// The digest of the file, where it is one that can be checked: `sha384:…`, `crc32:…`.
    pub(super) digest: Option<String>,
}

/// Finds the ledger of another tool: `asked` by name, else the only one that there is.
pub(super) async fn read_ledger(
    session: &Session,
    asked: Option<&str>,
    history: &QualifiedName,
) -> Result<Ledger> {
    let found = find_other_ledgers(session, asked, history).await?;
    match found.as_slice() {
        [(tool, table)] => {
            let ledger = read(session, *tool, table).await?;
            ledger.unnumbered.first().map_or(Ok(()), |name| Err(unnumbered(&ledger, name)))?;
            Ok(ledger)
        }
        [] => Err(Error::config(match asked {
            Some(name) => format!("there is no ledger {name} of a tool that is known"),
            None => "there is no ledger of another tool in this database".to_owned(),
        })
        .hint(format!(
            "known are {}, in the schemas of the search_path; `--adopt schema.table` names another",
            ledger_names()
        ))),
        several => {
            let names: Vec<_> =
                several.iter().map(|(tool, table)| format!("{table} ({})", tool.name())).collect();
            Err(Error::config(format!("there are several ledgers: {}", names.join(", ")))
                .hint("name the right one: --adopt TABLE"))
        }
    }
}

/// The ledgers that there are, without the history itself.
async fn find_other_ledgers(
    session: &Session,
    asked: Option<&str>,
    history: &QualifiedName,
) -> Result<Vec<(Tool, QualifiedName)>> {
    let found = find_ledgers(session, asked).await?;
    let found = found.into_iter().filter(|ledger| ledger.table != *history);
    Ok(found.map(|ledger| (ledger.tool, ledger.table)).collect())
}

/// Whose a history is that a `search_path` hides.
const OURS: &str = "Confiture";

/// What another tool has applied here, or Confiture itself by a history that is not found any more, of which our history knows nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Unadopted {
    /// Its ledger.
    pub table: String,
    /// Whose that is.
    pub tool: &'static str,
    /// Which of the folder's migrations it has applied: `003_add_users`.
    pub migrations: Vec<String>,
}

/// Looks for a ledger that knows some of these migrations, where nothing was ever recorded by us; or for a history in another schema,
/// where nobody has `asked` for one by its schema. One that knows none of them is somebody else's affair.
pub(super) async fn find_unadopted(
    session: &Session,
    history: &History,
    asked: &TableName,
    units: &[Unit<'_>],
) -> Result<Option<Unadopted>> {
    if !history.records.is_empty() || units.is_empty() {
        return Ok(None);
    }
    let hidden = async {
        let is_known = history.exists || asked.schema.is_some();
        if is_known { Ok(Vec::new()) } else { find_elsewhere(session, &history.table).await }
    };
    let (hidden, ledgers) = tokio::try_join!(hidden, find_other_ledgers(session, None, &history.table))?;
    for table in &hidden {
        let applied = applied_in(session, table).await?;
        // A version alone may be that of another application's history in the same database.
        let is_applied = |unit: &&Unit<'_>| {
            applied.iter().any(|(version, name)| unit.version.as_str() == version && unit.name == *name)
        };
        let migrations: Vec<_> = units.iter().filter(is_applied).map(Unit::called).collect();
        if !migrations.is_empty() {
            return Ok(Some(Unadopted { table: table.to_string(), tool: OURS, migrations }));
        }
    }
    for (tool, table) in ledgers {
        let ledger = read(session, tool, &table).await?;
        let is_applied = |unit: &&Unit<'_>| {
            ledger.up_to.as_ref().is_some_and(|up_to| unit.version <= *up_to)
                || ledger.rows.iter().any(|row| row.version == unit.version)
        };
        let migrations: Vec<_> = units.iter().filter(is_applied).map(Unit::called).collect();
        if !migrations.is_empty() {
            return Ok(Some(Unadopted { table: table.to_string(), tool: tool.name(), migrations }));
        }
    }
    Ok(None)
}

/// What Flyway calls `U2__x.sql` is the way back of `V2__x.sql`, and no migration, as it is for refinery.
pub(super) fn refuse_lone_undo(units: &[Unit<'_>]) -> Result<()> {
    let is_undo = |unit: &&Unit<'_>| {
        let name = unit.file().and_then(|file| file.file_name()).unwrap_or_default();
        parse_file_name(&name.to_string_lossy()).is_ok_and(|name| name.kind == Kind::Undo)
    };
    let Some(unit) = units.iter().find(is_undo) else { return Ok(()) };
    let version = &unit.version;
    let error = Error::config(format!("there is Flyway's way back for version {version}, and no V{version} file"))
        .hint("put the V file back, or move this one out of the folder: run as a migration, it would undo what is there");
    Err(match unit.part(true) {
        Some(part) => error.at(part.script.script.place(0)),
        None => error,
    })
}

/// As [`refuse_lone_undo`], where the history was taken over from Flyway's.
pub(super) fn refuse_undo_of_flyway(units: &[Unit<'_>], history: &History) -> Result<()> {
    let is_flyways = |source: &String| source.ends_with("flyway_schema_history");
    if history.records.iter().any(|record| record.source.as_ref().is_some_and(is_flyways)) {
        return refuse_lone_undo(units);
    }
    Ok(())
}

impl Unadopted {
    /// `the ledger public.schema_migrations says that dbmate has applied 3 of these migrations, and …`.
    pub(super) fn sentence(&self) -> String {
        let count = match self.migrations.as_slice() {
            [one] => one.clone(),
            several => format!("{} of these migrations", several.len()),
        };
        if self.tool == OURS {
            let is = if self.migrations.len() == 1 { "is" } else { "are" };
            let table = &self.table;
            return format!(
                "the history {table} says that {count} {is} applied, and search_path does not lead there"
            );
        }
        format!(
            "the ledger {} says that {} has applied {count}, and nothing was taken over from it yet",
            self.table, self.tool
        )
    }

    /// What to do.
    #[must_use]
    pub fn way_out(&self) -> String {
        if self.tool == OURS {
            return format!(
                "write `history_table: {}` into confiture.yaml or the environment's file",
                self.table
            );
        }
        "`confiture migrate baseline --adopt` takes over what it has applied; `up` then applies the rest"
            .to_owned()
    }

    pub(super) fn refusal(&self) -> Error {
        let error = Error::refused(self.sentence()).hint(self.way_out());
        if self.tool == OURS {
            return error
                .hint("where other tables are meant, which this search_path leads to: --ignore-ledger");
        }
        error.hint("where that ledger is about other migrations, which have the same versions by chance: --ignore-ledger")
    }
}

async fn read(session: &Session, tool: Tool, table: &QualifiedName) -> Result<Ledger> {
    let query = sql!("SELECT pg_catalog.to_jsonb(ledger)::pg_catalog.text FROM {} AS ledger", table);
    let mut rows = Vec::new();
    for row in session.query(&query, &[]).await? {
        let text: String = row.get(0);
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::unexpected("a ledger's row is not JSON").because(error))?;
        rows.push(value);
    }
    let mut ledger =
        Ledger { tool, table: table.clone(), rows: Vec::new(), up_to: None, unnumbered: Vec::new() };
    interpret(&mut ledger, &rows)?;
    ledger.rows.sort_by(|one, other| one.version.cmp(&other.version));
    Ok(ledger)
}

/// Reads a ledger's rows as its tool would.
fn interpret(ledger: &mut Ledger, rows: &[Value]) -> Result<()> {
    match ledger.tool {
        Tool::Flyway => return interpret_flyway(ledger, rows),
        Tool::Goose => return interpret_goose(ledger, rows),
        Tool::GolangMigrate => {
            if rows.iter().any(|row| row["dirty"] == true) {
                return Err(unfinished(ledger, rows.first()));
            }
            ledger.up_to = rows.first().map(|row| version_of(ledger, row)).transpose()?;
            return Ok(());
        }
        Tool::Sqlx if rows.iter().any(|row| row["success"] == false) => {
            return Err(unfinished(ledger, rows.iter().find(|row| row["success"] == false)));
        }
        _ => {}
    }
    // What Prisma has marked as rolled back is as if it had never been begun.
    for row in rows.iter().filter(|row| row["rolled_back_at"].is_null()) {
        if ledger.tool == Tool::Prisma && row["finished_at"].is_null() {
            return Err(unfinished(ledger, Some(row)));
        }
        let text = |key: &str| row[key].as_str().map(str::to_owned);
        let digest = text("checksum").and_then(|checksum| match ledger.tool {
            Tool::Sqlx => Some(format!("sha384:{}", checksum.trim_start_matches("\\x"))),
            Tool::Prisma => Some(format!("sha256:{checksum}")),
            _ => None,
        });
        let (version, name) = called(ledger.tool, row);
        let Some(version) = Version::parse(&version) else {
            ledger.unnumbered.push(version);
            continue;
        };
        let at = ["applied_at", "installed_on", "applied_on", "run_on", "finished_at"];
        let applied_at = at.into_iter().find_map(text);
        ledger.rows.push(Applied { version, name, applied_at, digest });
    }
    Ok(())
}

/// goose's log: the last row of a version counts. The first one is about none.
fn interpret_goose(ledger: &mut Ledger, rows: &[Value]) -> Result<()> {
    let mut log: Vec<&Value> = rows.iter().filter(|row| row["version_id"] != 0).collect();
    log.sort_by_key(|row| row["id"].as_i64());
    let mut applied: BTreeMap<Version, Applied> = BTreeMap::new();
    for row in log {
        let version = version_of(ledger, row)?;
        applied.remove(&version);
        if row["is_applied"] == true {
            let applied_at = row["tstamp"].as_str().map(str::to_owned);
            applied
                .insert(version.clone(), Applied { version, name: String::new(), applied_at, digest: None });
        }
    }
    ledger.rows = applied.into_values().collect();
    Ok(())
}

/// Version and name as a row has them; some tools write the name of the file, or of its folder.
fn called(tool: Tool, row: &Value) -> (String, String) {
    let text = |key: &str| match &row[key] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let of_file = match tool {
        Tool::Prisma => text("migration_name"),
        Tool::NodePgMigrate => text("name"),
        Tool::SqlMigrate => text("id").map(|file| file.trim_end_matches(".sql").to_owned()),
        _ => None,
    };
    if let Some(file) = of_file {
        let digits = file.find(|c: char| !c.is_ascii_digit()).unwrap_or(file.len());
        let (version, name) = file.split_at(digits);
        return match version {
            "" => (file, String::new()),
            _ => (version.to_owned(), name.trim_start_matches(['_', '-']).to_owned()),
        };
    }
    let version = text("version").or_else(|| text("version_id")).unwrap_or_default();
    let name = text("name").or_else(|| text("description")).unwrap_or_default();
    (version, name.replace(' ', "_"))
}

/// Flyway's log: a version may be applied, undone and applied again; a baseline stands for all below it.
fn interpret_flyway(ledger: &mut Ledger, rows: &[Value]) -> Result<()> {
    let mut log: Vec<&Value> = rows.iter().collect();
    log.sort_by_key(|row| row["installed_rank"].as_i64());
    let mut applied: BTreeMap<Version, Applied> = BTreeMap::new();
    for row in log {
        // Repeatable ones, and the row that says that schemas were made.
        if row["version"].is_null() {
            continue;
        }
        if row["success"] == false {
            return Err(unfinished(ledger, Some(row)));
        }
        let version = version_of(ledger, row)?;
        match row["type"].as_str().unwrap_or_default() {
            kind if kind.starts_with("UNDO") || kind == "DELETE" => drop(applied.remove(&version)),
            "SCHEMA" => {}
            kind => {
                if kind == "BASELINE" {
                    ledger.up_to = Some(version.clone());
                }
                let text = |key: &str| row[key].as_str().map(str::to_owned);
                let digest =
                    row["checksum"].as_i64().filter(|_| kind == "SQL").map(|crc| format!("crc32:{crc}"));
                let name = text("description").unwrap_or_default().replace(' ', "_");
                let applied_at = text("installed_on");
                applied.insert(version.clone(), Applied { version, name, applied_at, digest });
            }
        }
    }
    ledger.rows = applied.into_values().collect();
    Ok(())
}

fn version_of(ledger: &Ledger, row: &Value) -> Result<Version> {
    let text = called(ledger.tool, row).0;
    Version::parse(&text).ok_or_else(|| unnumbered(ledger, &text))
}

fn unnumbered(ledger: &Ledger, name: &str) -> Error {
    Error::config(format!("{} has a row whose version is not a number: {name}", ledger.table))
        .hint("Confiture's versions are digits: give that migration one, in its file and in the ledger")
}

fn unfinished(ledger: &Ledger, row: Option<&Value>) -> Error {
    let version = row.map(|row| called(ledger.tool, row).0).unwrap_or_default();
    Error::config(format!("{} says that its migration {} failed half-way", ledger.table, version))
        .hint(format!("finish or undo it with {}, then adopt", ledger.tool.name()))
}

/// Flyway's checksum of a file: CRC-32 of its lines without their ends.
pub(super) fn flyway_checksum(text: &str) -> i32 {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut crc = u32::MAX;
    for line in text.lines() {
        for byte in line.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
    }
    (!crc).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(tool: Tool, rows: &[Value]) -> Result<String> {
        let mut ledger = Ledger {
            tool,
            table: QualifiedName::new("public", "l"),
            rows: Vec::new(),
            up_to: None,
            unnumbered: Vec::new(),
        };
        interpret(&mut ledger, rows)?;
        let rows: Vec<_> = ledger.rows.iter().map(|row| format!("{} {}", row.version, row.name)).collect();
        Ok(format!(
            "{}|{}",
            rows.join(","),
            ledger.up_to.map_or(String::new(), |version| version.to_string())
        ))
    }

    #[test]
    fn flyways_log_is_read_to_its_end() {
        let row = |rank: i32, version: Option<&str>, kind: &str, success: bool| {
            json!({ "installed_rank": rank, "version": version, "type": kind, "success": success,
                    "description": "add users", "checksum": 5, "installed_on": "2026-01-01T00:00:00" })
        };
        let log = [
            row(4, Some("2.1"), "SQL", true),
            row(1, Some("1"), "BASELINE", true),
            row(2, Some("2"), "SQL", true),
            row(3, None, "SQL", true),
            row(5, Some("2.1"), "UNDO_SQL", true),
        ];
        assert_eq!(read(Tool::Flyway, &log).unwrap(), "1 add_users,2 add_users|1");
        let error = read(Tool::Flyway, &[row(1, Some("3"), "SQL", false)]).unwrap_err();
        assert_eq!(error.message(), "public.l says that its migration 3 failed half-way");
    }

    #[test]
    fn a_single_row_stands_for_all_below() {
        assert_eq!(read(Tool::GolangMigrate, &[json!({ "version": 7, "dirty": false })]).unwrap(), "|7");
        assert!(read(Tool::GolangMigrate, &[json!({ "version": 7, "dirty": true })]).is_err());
    }

    /// From Flyway's own documentation of the algorithm: CRC-32 over the lines.
    #[test]
    fn flyways_checksum() {
        assert_eq!(flyway_checksum("123456789"), 0xCBF4_3926_u32.cast_signed());
        assert_eq!(flyway_checksum("1234\r\n56789\n"), flyway_checksum("123456789"));
    }
}
