//! SQL text that is safe to send: built from quoted parts, never by pasting.
//!
//! [`Sql`] can only be made from a literal of our own source code, from quoted parts ([`Identifier`],
//! [`QualifiedName`], [`Literal`], numbers), from other [`Sql`], or from text that the *user* wrote as SQL in a file
//! ([`Sql::from_user`]). A `String` does not type-check:
//!
//! ```
//! use confiture::sql::{Identifier, sql};
//! let column = Identifier::new("we\"ird");
//! assert_eq!(sql!("SELECT {} FROM t LIMIT {}", column, 5_i64).as_str(), "SELECT \"we\"\"ird\" FROM t LIMIT 5");
//! ```
//!
//! ```compile_fail
//! let name = String::from("users; DROP TABLE users");
//! confiture::sql::sql!("SELECT * FROM {}", name);
//! ```

mod alone;
mod hexadecimal;
mod identifier;
pub mod lex;
mod lock_mode;
mod psql;
mod script;
mod secret;
mod split;

pub use crate::__sql as sql;
pub use alone::{cannot_run_in_transaction, reaches_beyond_the_database};
pub use hexadecimal::hexadecimal;
pub(crate) use hexadecimal::push_hexadecimal;
pub use identifier::{Identifier, QualifiedName};
pub(crate) use lock_mode::words_of;
pub use lock_mode::{LockMode, strongest_lock};
pub use script::Script;
pub(crate) use secret::{SECRET, masked};
pub use split::{SplitScript, Statement, split};

use std::fmt;

/// SQL text whose parts were all quoted or came from our own source.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Sql(String);

impl Sql {
    /// A literal of our own source code, or a `.sql` file by `include_str!`.
    #[must_use]
    pub fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// Text that the user wrote as SQL in a file of theirs: an expression of a mapping, a statement of a script.
    #[must_use]
    pub fn from_user(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Text that PostgreSQL itself rendered: `pg_get_indexdef`, `format_type` and their kin.
    #[must_use]
    pub fn from_server(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The parts with `separator` in between.
    pub fn join<P: SqlPart>(separator: &'static str, parts: impl IntoIterator<Item = P>) -> Self {
        let mut joined = String::new();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                joined.push_str(separator);
            }
            joined.push_str(&part.render().to_string());
        }
        Self(joined)
    }

    /// Appends another piece.
    pub fn push(&mut self, more: &Sql) {
        self.0.push_str(&more.0);
    }

    /// The text to send.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[doc(hidden)]
    #[must_use]
    pub fn assemble(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A string literal, quoted for the server (`E'…'` where it holds a backslash).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal<'a>(pub &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains('\\') {
            write!(f, " E'{}'", self.0.replace('\\', "\\\\").replace('\'', "''"))
        } else {
            write!(f, "'{}'", self.0.replace('\'', "''"))
        }
    }
}

/// What may stand in an [`sql!`](macro@sql) template.
pub trait SqlPart {
    /// The part, quoted.
    fn render(&self) -> impl fmt::Display;
}

impl<P: SqlPart + ?Sized> SqlPart for &P {
    fn render(&self) -> impl fmt::Display {
        (**self).render()
    }
}

macro_rules! part {
    ($($type:ty),*) => { $(impl SqlPart for $type {
        fn render(&self) -> impl fmt::Display {
            self
        }
    })* };
}
part!(Sql, Identifier, QualifiedName, Literal<'_>, i16, i32, i64, u32, u64, usize, bool);

/// Builds [`Sql`] from a template of ours and quoted parts; `{}` stands for the next part.
#[doc(hidden)]
#[macro_export]
macro_rules! __sql {
    // `concat!` makes the template a macro's result, in which `{name}` cannot capture an unquoted variable.
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::sql::Sql::assemble(format!(concat!($template) $(, $crate::sql::SqlPart::render(&$part))*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_quoted_whatever_they_hold() {
        assert_eq!(Literal("it's").to_string(), "'it''s'");
        assert_eq!(Literal(r"a\b'c").to_string(), r" E'a\\b''c'");
    }

    #[test]
    fn joining_puts_separators_only_in_between() {
        let names = [Identifier::new("a"), Identifier::new("select")];
        assert_eq!(Sql::join(", ", &names).as_str(), "a, \"select\"");
        assert_eq!(Sql::join(", ", &[] as &[Identifier]).as_str(), "");
    }
}
