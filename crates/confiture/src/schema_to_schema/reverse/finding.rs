//! What does not come back, or not by itself.

use serde::{Serialize, Serializer};

use crate::error::Place;
use crate::schema_to_schema::plan::TablePlan;
use crate::sql::{Identifier, QualifiedName};

/// Something that the user should know of the way back before there is need of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The old table; the new one where no old one is known.
    pub table: QualifiedName,
    /// The column of it, where it is about one.
    pub column: Option<Identifier>,
    /// How bad it is.
    pub severity: Severity,
    /// What and why, in one sentence.
    pub message: String,
    /// What to write, and under which table of the mapping.
    pub hint: Option<String>,
    /// Where in the mapping: `file:line:column`.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is lost or altered; a write may be refused, or a default taken.
    Note,
    /// Another value comes back for rows that are there: that is what a row gets that is changed on the new side.
    Lossy,
    /// What is written on the new side does not reach the old one, or not as it was.
    Loses,
    /// There is no way back for the table.
    Blocks,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Lossy => "lossy",
            Self::Loses => "loses",
            Self::Blocks => "blocks",
        }
    }
}

fn as_text<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Some(place) => serializer.collect_str(place),
        None => serializer.serialize_none(),
    }
}

impl Finding {
    pub(crate) fn new(table: &QualifiedName, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            table: table.clone(),
            column: None,
            severity,
            message: message.into(),
            hint: None,
            place: None,
        }
    }

    pub(crate) fn of(self, column: &Identifier) -> Self {
        Self { column: Some(column.clone()), ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn at(self, place: Option<&Place>) -> Self {
        Self { place: place.cloned(), ..self }
    }
}

/// `write under `new.users`: reverse: { name: … }`
pub(super) fn write(table: &TablePlan, column: &Identifier, what: &str) -> String {
    format!("write under `{}`: `reverse: {{ {column}: {what} }}`", table.target.short())
}

pub(super) fn unknown_source(table: &TablePlan) -> Finding {
    let message = format!(
        "a whole statement fills {}, and nothing says which old table its rows come from",
        table.target.short()
    );
    Finding::new(&table.target, Severity::Blocks, message)
        .hint("map it by columns (`from`, `columns`), or name the old table in `from` and write `reverse:`")
        .at(table.place.as_ref())
}
