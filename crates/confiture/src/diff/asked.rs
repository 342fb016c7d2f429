//! What somebody says of new names.

use crate::diff::rename::Rename;
use crate::error::{Error, Result};

/// What somebody has said: `users.full_name` is now `display_name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The old name, with the schema and table that were given.
    pub path: Vec<String>,
    /// The new name.
    pub to: String,
    /// What was given in front of it: for a table, its new schema is the last.
    pub to_path: Vec<String>,
    /// The new DDL says so: the path holds the new names of schema and table, unless it says where the thing was.
    pub in_new: bool,
    /// Who says so.
    pub reason: String,
    /// It is said that this is no new name: one goes and the other comes.
    pub denied: bool,
}

impl Asked {
    /// Reads `users.full_name=display_name`; the new name may have the same schema and table in front, and that of a table another
    /// schema.
    ///
    /// # Errors
    ///
    /// Text that is not of this form.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("`{text}` does not say what has a new name"))
                .hint("write it as OLD=NEW, for instance: --rename users.full_name=display_name")
        };
        let is_outside = |(at, _): &(usize, &str)| text[..*at].matches('"').count().is_multiple_of(2);
        let (at, _) = text.match_indices('=').find(is_outside).ok_or_else(wrong)?;
        let (from, to) = (&text[..at], &text[at + 1..]);
        let path = parts(from).filter(|path| path.iter().all(|part| !part.is_empty())).ok_or_else(wrong)?;
        let mut to_path = parts(to).ok_or_else(wrong)?;
        let to = to_path.pop().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        Ok(Self { path, to, to_path, in_new: false, reason: format!("--rename {text}"), denied: false })
    }

    /// Reads the same, said to be no new name.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_denied(text: &str) -> Result<Self> {
        Ok(Self { reason: format!("--no-rename {text}"), denied: true, ..Self::parse(text)? })
    }

    /// True where each gets the other's name.
    pub(super) fn takes_place_of(&self, other: &Self) -> bool {
        let (Some((name, path)), Some((other_name, other_path))) =
            (self.path.split_last(), other.path.split_last())
        else {
            return false;
        };
        path == other_path && *name == other.to && self.to == *other_name
    }

    /// True where it is said that this is none.
    pub(super) fn denies(&self, rename: &Rename) -> bool {
        let within = |within: &str| {
            parts(within).unwrap_or_default().ends_with(&self.path[..self.path.len().saturating_sub(1)])
        };
        self.denied
            && self.path.last() == Some(&rename.from)
            && self.to == rename.to
            && (within(&rename.within.0) || within(&rename.within.1))
    }
}

/// The parts of a dotted name; in quotes a dot is no end.
pub(super) fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.trim().chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => parts.last_mut()?.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c => parts.last_mut()?.push(c),
        }
    }
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_read_with_its_quotes() {
        let asked = Asked::parse(r#"app."Us.ers".full_name=app.users.display_name"#).unwrap();
        assert_eq!(
            (asked.path.join("/"), asked.to.as_str()),
            ("app/Us.ers/full_name".to_owned(), "display_name")
        );
        let label = Asked::parse("app.mood.\"a=b\"=\"c=\"\"d\"").unwrap();
        assert_eq!((label.path.join("/"), label.to.as_str()), ("app/mood/a=b".to_owned(), "c=\"d"));
        assert!(Asked::parse("users").is_err() && Asked::parse("=x").is_err());
    }
}
