//! The one error of the library: a kind, a message, a place in the user's file, and what to do next.
//!
//! `Display` is the message alone: it never repeats the source, never holds a row's values and never a password.

use std::fmt;
use std::path::PathBuf;

/// What a fallible function of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller would act on it. Each kind has one exit code in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something that should not happen: a fault of ours, or of the machine.
    Unexpected,
    /// The command was called wrongly.
    Usage,
    /// No connection could be made, or it was cut.
    Connect,
    /// The server refused a statement.
    Server,
    /// A configuration or mapping file, or the DDL tree, is wrong.
    Config,
    /// Another run holds the lock.
    Locked,
    /// A check found something: the command worked, the answer is no.
    Found,
    /// Refused, because data could be lost.
    Unsafe,
    /// A hook of the user's failed, took too long, or could not be started.
    Hook,
    /// Interrupted by the user.
    Interrupted,
}

impl ErrorKind {
    /// The stable name that JSON output carries as `error.code`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::Connect => "cannot_connect",
            Self::Server => "server_refused",
            Self::Config => "configuration",
            Self::Locked => "locked",
            Self::Found => "check_failed",
            Self::Unsafe => "refused_as_unsafe",
            Self::Hook => "hook_failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A place in a user's file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A piece of the user's file to show under a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Whole lines of the file.
    pub text: String,
    /// The line number of the first line in `text`, from 1.
    pub first_line: usize,
    /// What to mark: a byte range of `text`.
    pub mark: std::ops::Range<usize>,
}

/// An error that says what went wrong, where, and what to do next.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    excerpt: Option<Excerpt>,
    hints: Vec<String>,
    detail: Option<String>,
    sqlstate: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is one sentence without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            place: None,
            excerpt: None,
            hints: Vec::new(),
            detail: None,
            sqlstate: None,
            source: None,
        }))
    }

    /// A configuration, mapping or DDL error.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// A fault that should not happen.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unexpected, message)
    }

    /// A refusal to do what could lose data.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsafe, message)
    }

    /// The command was called wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The user interrupted; `message` says where it stopped.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Interrupted, message)
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds `did you mean …?`, where one of the words that would have been right looks like `word`.
    #[must_use]
    pub fn did_you_mean<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match did_you_mean(word, candidates) {
            Some(candidate) => self.hint(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    /// Adds the place in the user's file.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    /// Adds the place, where none is known yet.
    #[must_use]
    pub fn or_at(mut self, place: &Place) -> Self {
        self.0.place.get_or_insert_with(|| place.clone());
        self
    }

    /// Adds the lines to show under a caret.
    #[must_use]
    pub fn excerpt(mut self, excerpt: Excerpt) -> Self {
        self.0.excerpt = Some(excerpt);
        self
    }

    /// Takes away the lines: they are of another text than the place.
    #[must_use]
    pub(crate) fn without_excerpt(mut self) -> Self {
        self.0.excerpt = None;
        self
    }

    /// Adds more of what the server said, already free of row values.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the server's SQLSTATE.
    #[must_use]
    pub fn sqlstate(mut self, sqlstate: impl Into<String>) -> Self {
        self.0.sqlstate = Some(sqlstate.into());
        self
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts what was being done in front of the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What went wrong, as a caller would act on it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place in the user's file.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// The lines to show under a caret.
    #[must_use]
    pub fn excerpt_of(&self) -> Option<&Excerpt> {
        self.0.excerpt.as_ref()
    }

    /// What the user can do next.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// More of what the server said.
    #[must_use]
    pub fn server_detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The server's SQLSTATE.
    #[must_use]
    pub fn sqlstate_code(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &inner.message)
            .field("place", &inner.place)
            .field("hints", &inner.hints)
            .field("detail", &inner.detail)
            .field("sqlstate", &inner.sqlstate)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The candidate that `word` was probably meant to be. Case, `_` and `-` do not count: `schemaDirs` finds `schema_dirs`.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_a_stranger_is_not() {
        let keys = ["strategy", "schema_dirs", "sslmode", "to"];
        assert_eq!(did_you_mean("strategey", keys), Some("strategy"));
        assert_eq!(did_you_mean("startegy", keys), Some("strategy"));
        assert_eq!(did_you_mean("schemaDirs", keys), Some("schema_dirs"));
        assert_eq!(did_you_mean("schema-dir", keys), Some("schema_dirs"));
        assert_eq!(did_you_mean("of", keys), None);
        assert_eq!(did_you_mean("password", keys), None);
    }
}
