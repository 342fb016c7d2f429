//! What lint has to say.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Excerpt, Place};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; never fails a check.
    Note,
    /// Think about it.
    Warning,
    /// Blocks an application, breaks one, fails on rows that are there, or loses data.
    Error,
}

impl Severity {
    /// In one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that a rule has found.
#[derive(Debug, Clone, Serialize)]
pub struct Remark {
    /// The rule's code.
    pub rule: &'static str,
    /// How bad it is, with what is known of the database.
    pub severity: Severity,
    /// What is there, in one sentence without a full stop.
    pub message: String,
    /// What to do instead.
    pub fix: &'static str,
    /// Where it is explained.
    pub docs: String,
    /// Why the severity is not the rule's own: the live table's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighed: Option<String>,
    /// Where it starts.
    #[serde(serialize_with = "as_object")]
    pub place: Place,
    /// The lines to show, with a mark.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// A remark that a comment has taken back, with its reason.
#[derive(Debug, Clone, Serialize)]
pub struct Allowed {
    /// The rule's code.
    pub rule: &'static str,
    /// Why it is allowed.
    pub reason: String,
    /// Where the remark would have been.
    #[serde(serialize_with = "as_object")]
    pub place: Place,
}

/// A file or statement that no rule could look at.
#[derive(Debug, Clone, Serialize)]
pub struct Unread {
    /// Where.
    #[serde(serialize_with = "as_object")]
    pub place: Place,
    /// Why.
    pub why: String,
}

/// What lint has found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LintReport {
    /// How many files were looked at.
    pub files: usize,
    /// How many statements.
    pub statements: usize,
    /// What was found, by file and place.
    pub remarks: Vec<Remark>,
    /// What comments allow.
    pub allowed: Vec<Allowed>,
    /// What could not be judged: the server decides about it, no rule did.
    pub unread: Vec<Unread>,
}

impl LintReport {
    /// How many remarks are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.remarks.iter().filter(|remark| remark.severity == severity).count()
    }

    /// The files with remarks, in order.
    #[must_use]
    pub fn files_with_remarks(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.remarks.iter().map(|remark| remark.place.file.clone()).collect();
        files.dedup();
        files
    }
}

/// A place as an object of file, line and column.
fn as_object<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct as _;
    let mut object = serializer.serialize_struct("Place", 3)?;
    object.serialize_field("file", &place.file)?;
    object.serialize_field("line", &place.line)?;
    object.serialize_field("column", &place.column)?;
    object.end()
}
