//! The signed record of a sync: what was done to which column, how many rows, what the scan saw. It holds no values.

use serde::{Deserialize, Serialize};

use crate::config::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{Session, read_catalog};
use crate::sql::{Identifier, QualifiedName};
use crate::sync::mask::{LISTS_VERSION, MasterKey};
use crate::sync::plan::Plan;
use crate::sync::report::{ColumnReport, Report, ScanReport};
use crate::sync::scan::checksum_of;

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Counted up when the record's form changes.
    pub version: u32,
    /// This program's version.
    pub tool: String,
    /// Where rows came from.
    pub source: String,
    /// Where they went.
    pub target: String,
    /// The source's snapshot.
    pub snapshot: String,
    /// Of the tables, columns, types and rules.
    pub rules_digest: String,
    /// Which key; nothing where none was needed.
    pub key_id: Option<String>,
    /// True where the key is gone.
    pub ephemeral_key: bool,
    /// Of the lists that fakes come from.
    pub lists_version: u32,
    /// The tables.
    pub tables: Vec<ManifestTable>,
    /// What the scan saw.
    pub scan: ScanReport,
    /// What kind of data this is, in words.
    pub label: String,
    /// HMAC-SHA256 of all the rest by the key; nothing where there is no lasting key.
    pub signature: Option<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows that were written.
    pub rows: u64,
    /// The source's snapshot that they are of.
    pub snapshot: String,
    /// The sum of all rows' hashes.
    pub checksum: String,
    /// Its columns.
    pub columns: Vec<ColumnReport>,
}

/// What comparing a target with its manifest gave.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestCheck {
    /// `valid`, `invalid`, or `unsigned`.
    pub signature: Signature,
    /// The tables.
    pub tables: Vec<TableCheck>,
}

/// Whether a signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// It is the key's.
    Valid,
    /// The record was changed, or another key signed it.
    Invalid,
    /// The key was that run's alone.
    Unsigned,
}

/// One table of the target beside its record.
#[derive(Debug, Clone, Serialize)]
pub struct TableCheck {
    /// The table.
    pub table: QualifiedName,
    /// Rows in the record.
    pub recorded: u64,
    /// Rows now; nothing where the table is gone.
    pub found: Option<u64>,
    /// True where every row is the one that was written.
    pub unchanged: bool,
}

impl Manifest {
    /// The record of a run.
    #[must_use]
    pub fn of(plan: &Plan, report: &Report, key: Option<&MasterKey>) -> Self {
        let table = |table: &crate::sync::report::TableReport| ManifestTable {
            schema: table.table.schema.as_str().to_owned(),
            name: table.table.name.as_str().to_owned(),
            rows: table.rows,
            snapshot: table.snapshot.clone(),
            checksum: table.checksum.clone(),
            columns: table.columns.clone(),
        };
        let label = match (plan.masked_columns(), &plan.key_id, plan.ephemeral_key) {
            (0, ..) => "a plain copy: nothing was masked",
            (_, Some(_), false) => "pseudonymised: whoever has the key can link values to persons",
            _ => "masked with a key that is gone: masks cannot be computed again",
        };
        let mut manifest = Self {
            version: 2,
            tool: format!("confiture {}", env!("CARGO_PKG_VERSION")),
            source: plan.source.clone(),
            target: plan.target.clone(),
            snapshot: report.snapshot.clone(),
            rules_digest: plan.digest.clone(),
            key_id: plan.key_id.clone(),
            ephemeral_key: plan.ephemeral_key,
            lists_version: LISTS_VERSION,
            tables: report.tables.iter().map(table).collect(),
            scan: report.scan.clone(),
            label: label.to_owned(),
            signature: None,
        };
        manifest.signature = key.filter(|_| !plan.ephemeral_key).map(|key| key.sign(&manifest.signed()));
        manifest
    }

    /// What the signature is of: the record without it.
    fn signed(&self) -> Vec<u8> {
        let unsigned = Self { signature: None, ..self.clone() };
        serde_json::to_vec(&unsigned).unwrap_or_default()
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::config(format!("this is no manifest of a sync: {error}"))
                .hint("`confiture sync` writes one at its end")
        })
    }

    /// The record as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Compares the record with its signature, and the target with the record.
    ///
    /// # Errors
    ///
    /// Where the target cannot be read.
    pub async fn check(&self, target: &Connection, key: Option<&MasterKey>) -> Result<ManifestCheck> {
        let signature = match (&self.signature, key) {
            (None, _) => Signature::Unsigned,
            (Some(signature), Some(key)) if key.sign(&self.signed()) == *signature => Signature::Valid,
            (Some(_), Some(_)) => Signature::Invalid,
            (Some(_), None) => {
                return Err(Error::config("the manifest is signed, and there is no key to check it with")
                    .hint("give the key of that run: CONFITURE_SYNC_KEY, or `key:` in the rules"));
            }
        };
        let session = Session::connect(target).await?;
        let catalog = read_catalog(&session).await?;
        let mut tables = Vec::new();
        for table in &self.tables {
            let name = QualifiedName::new(Identifier::new(&*table.schema), Identifier::new(&*table.name));
            let (found, unchanged) = match catalog.relations.get(&name) {
                None => (None, false),
                Some(relation) => {
                    let (rows, checksum) = checksum_of(relation, &catalog, &session).await?;
                    (Some(rows), rows == table.rows && format!("{checksum:016x}") == table.checksum)
                }
            };
            tables.push(TableCheck { table: name, recorded: table.rows, found, unchanged });
        }
        Ok(ManifestCheck { signature, tables })
    }
}

impl ManifestCheck {
    /// The answer no, where it is one.
    #[must_use]
    pub fn verdict(&self) -> Option<Error> {
        if self.signature == Signature::Invalid {
            return Some(
                Error::new(ErrorKind::Found, "the signature is not that of this manifest and key")
                    .hint("the file was changed, or another key signed it"),
            );
        }
        let changed: Vec<String> =
            self.tables.iter().filter(|table| !table.unchanged).map(|table| table.table.short()).collect();
        if changed.is_empty() {
            return None;
        }
        Some(Error::new(
            ErrorKind::Found,
            format!("the target is no longer what was synced: {}", changed.join(", ")),
        ))
    }
}
