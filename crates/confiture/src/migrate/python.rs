//! Migrations of the Python original, as far as they are literal: a class with `version`, `name`, and methods `up` and `down`
//! that do nothing but `self.execute("…")`. Anything else is refused at its line: nothing here runs Python.

mod token;

use std::path::PathBuf;

use self::token::{Kind, Token, tokens};
use crate::error::{Error, Result};
use crate::migrate::part::{Directives, Part};
use crate::sql::Script;

/// What a class says.
#[derive(Debug)]
pub(super) struct PythonMigration {
    pub(super) version: Option<String>,
    pub(super) name: Option<String>,
    pub(super) up: Part,
    pub(super) down: Option<Part>,
}

/// Reads a file. `script` is Python text.
pub(super) fn parse(script: &Script) -> Result<PythonMigration> {
    let mut reader = Reader { script, tokens: tokens(script)?, at: 0 };
    reader.module()
}

/// A method's SQL, with its lines where they are in the file.
#[derive(Default)]
struct Statements {
    text: String,
    line: usize,
    count: usize,
}

impl Statements {
    /// Adds the text of one call, which begins at `line` and `column` (from 1).
    fn add(&mut self, text: &str, line: usize, column: usize) {
        while self.line + 1 < line {
            self.text.push('\n');
            self.line += 1;
        }
        let here = self.text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.text.push_str(&" ".repeat(column.saturating_sub(here)));
        self.text.push_str(text);
        if !text.trim_end().ends_with(';') {
            self.text.push_str("\n;");
            self.line += 1;
        }
        self.line += text.matches('\n').count();
        self.count += 1;
    }
}

struct Reader<'a> {
    script: &'a Script,
    tokens: Vec<Token>,
    at: usize,
}

impl Reader<'_> {
    fn module(&mut self) -> Result<PythonMigration> {
        let mut class = None;
        while let Some(token) = self.peek() {
            if token.is("class") {
                if class.is_some() {
                    return Err(self.unfit("the file has two classes"));
                }
                class = Some(self.class()?);
            } else if token.kind == Kind::String {
                self.docstring();
            } else if token.is("import") || token.is("from") {
                self.skip_line();
            } else {
                return Err(self.unfit("this is not a literal migration"));
            }
        }
        class.ok_or_else(|| {
            Error::config("the file has no class with a migration").at(self.script.place(0)).hint(HINT)
        })
    }

    fn class(&mut self) -> Result<PythonMigration> {
        let outer = self.tokens[self.at].column;
        self.skip_head();
        let (mut version, mut name, mut transactional) = (None, None, true);
        let (mut up, mut down) = (None, None);
        while let Some(token) = self.peek().filter(|token| token.column > outer || !token.begins_line) {
            if token.kind == Kind::String {
                self.docstring();
            } else if token.is("pass") {
                self.skip_line();
            } else if token.is("def") {
                let method = self.tokens.get(self.at + 1).map(|token| token.text.clone());
                match method.as_deref() {
                    Some("up") => up = Some(self.method()?),
                    Some("down") => down = Some(self.method()?),
                    _ => return Err(self.unfit("only the methods `up` and `down` are read")),
                }
            } else {
                match (token.text.as_str(), self.assigned()?) {
                    ("version", Assigned::Text(text)) => version = Some(text),
                    ("name", Assigned::Text(text)) => name = Some(text),
                    ("transactional", Assigned::Bool(is)) => transactional = is,
                    ("strict_mode", Assigned::Bool(_)) => {}
                    _ => {
                        self.at -= 3;
                        return Err(self.unfit("this attribute is not read"));
                    }
                }
            }
        }
        let part = |statements: Statements| {
            let script = Script::new(PathBuf::from(self.script.file()), statements.text);
            Part::new(script, Directives { no_transaction: !transactional, ..Directives::default() })
        };
        let Some(up) = up else {
            return Err(Error::config("the class has no method `up`").at(self.script.place(0)).hint(HINT));
        };
        let down = down.filter(|down| down.count > 0).map(part).transpose()?;
        Ok(PythonMigration { version, name, up: part(up)?, down })
    }

    /// `name = literal`, and the end of the line.
    fn assigned(&mut self) -> Result<Assigned> {
        let mut at = self.at + 1;
        // An annotation: `version: str = "001"`.
        if self.tokens.get(at).is_some_and(|token| token.is(":")) {
            at += 2;
        }
        let value = match (self.tokens.get(at), self.tokens.get(at + 1)) {
            (Some(sign), Some(value)) if sign.is("=") => match (value.kind, value.text.as_str()) {
                (Kind::String, text) => Assigned::Text(text.to_owned()),
                (_, "True") => Assigned::Bool(true),
                (_, "False") => Assigned::Bool(false),
                _ => return Err(self.unfit("this attribute is not a literal")),
            },
            _ => return Err(self.unfit("this is not a literal migration")),
        };
        self.at = at + 2;
        Ok(value)
    }

    fn method(&mut self) -> Result<Statements> {
        let outer = self.tokens[self.at].column;
        self.skip_head();
        let mut statements = Statements::default();
        while let Some(token) = self.peek().filter(|token| token.column > outer || !token.begins_line) {
            if token.kind == Kind::String {
                self.docstring();
            } else if token.is("pass") {
                self.at += 1;
            } else {
                self.call(&mut statements)?;
            }
        }
        Ok(statements)
    }

    /// `self.execute("…" "…")`
    fn call(&mut self, statements: &mut Statements) -> Result<()> {
        let start = self.at;
        for word in ["self", ".", "execute", "("] {
            if !self.peek().is_some_and(|token| token.is(word)) {
                self.at = start;
                return Err(self.unfit("only `self.execute(\"…\")` is read"));
            }
            self.at += 1;
        }
        let mut text = String::new();
        let mut place = None;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::String) {
            if token.is_formatted {
                return Err(self.unfit("the text of this statement is computed"));
            }
            let (line, column) = (token.inner_line, token.inner_column);
            place.get_or_insert((line, column));
            text.push_str(&token.text.clone());
            self.at += 1;
        }
        if self.peek().is_some_and(|token| token.is(",")) {
            self.at += 1;
        }
        match (place, self.peek()) {
            (Some((line, column)), Some(token)) if token.is(")") => {
                self.at += 1;
                statements.add(&text, line, column);
                Ok(())
            }
            _ => Err(self.unfit("this call's argument is not a literal")),
        }
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).cloned()
    }

    fn docstring(&mut self) {
        while self.peek().is_some_and(|token| token.kind == Kind::String) {
            self.at += 1;
        }
    }

    /// Goes behind the colon of `class A(B):` or `def up(self) -> None:`.
    fn skip_head(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token.text.as_str() {
                "(" | "[" if token.kind == Kind::Plain => depth += 1,
                ")" | "]" if token.kind == Kind::Plain => depth = depth.saturating_sub(1),
                ":" if depth == 0 => break,
                _ => {}
            }
        }
    }

    /// Goes to the next line that is not inside of parentheses.
    fn skip_line(&mut self) {
        self.at += 1;
        while self.tokens.get(self.at).is_some_and(|token| !token.begins_line) {
            self.at += 1;
        }
    }

    fn unfit(&self, what: &str) -> Error {
        let start = self.tokens.get(self.at).map_or(0, |token| token.start);
        let end = self.script.line_start(self.script.place(start).line + 1);
        Error::config(what)
            .at(self.script.place(start))
            .excerpt(self.script.excerpt(start..end.saturating_sub(1).max(start)))
            .hint(HINT)
    }
}

enum Assigned {
    Text(String),
    Bool(bool),
}

const HINT: &str = "of Python migrations, those are read that only call self.execute(\"…\") with literal text: write this one as \
                    VERSION_name.up.sql and .down.sql";

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of the original's manual.
    const BIO: &str = r#""""Migration: add_user_bio

Version: 002
"""

from confiture.models.migration import Migration


class AddUserBio(Migration):
    """Add bio field to users."""

    version = "002"
    name: str = "add_user_bio"

    def up(self) -> None:
        """Apply it."""
        self.execute("ALTER TABLE users ADD COLUMN bio TEXT")
        # an index
        self.execute(
            """
            CREATE INDEX users_bio
                ON users (bio);
            """,
        )

    def down(self):
        self.execute('ALTER TABLE users ' 'DROP COLUMN "bio"')
"#;

    fn read(text: &str) -> Result<PythonMigration> {
        parse(&Script::new("m.py", text))
    }

    #[test]
    fn the_literal_ones_are_read_and_keep_their_places() {
        let migration = read(BIO).unwrap();
        assert_eq!(
            (migration.version.as_deref(), migration.name.as_deref()),
            (Some("002"), Some("add_user_bio"))
        );
        let up = &migration.up;
        let places: Vec<_> = up
            .script
            .statements
            .iter()
            .map(|one| (up.script.text_of(one), up.script.script.place(one.span.start).to_string()))
            .collect();
        assert_eq!(places[0], ("ALTER TABLE users ADD COLUMN bio TEXT", "m.py:17:23".to_owned()));
        assert_eq!(places[1].1, "m.py:21:13");
        assert_eq!(places.len(), 2);
        let down = migration.down.unwrap();
        assert_eq!(down.script.text_of(&down.script.statements[0]), "ALTER TABLE users DROP COLUMN \"bio\"");
    }

    #[test]
    fn what_is_computed_is_refused_at_its_line() {
        for (line, message) in [
            ("self.execute(f'DROP TABLE {x}')", "the text of this statement is computed"),
            ("self.execute(sql)", "this call's argument is not a literal"),
            ("self.execute('a' + b)", "this call's argument is not a literal"),
            ("for x in y: self.execute('a')", "only `self.execute(\"…\")` is read"),
            ("os.system('x')", "only `self.execute(\"…\")` is read"),
        ] {
            let text = format!("class A(Migration):\n    def up(self):\n        {line}\n");
            let error = read(&text).unwrap_err();
            assert_eq!((error.message(), error.place().unwrap().line), (message, 3), "{line}");
        }
        assert_eq!(read("x = 1\n").unwrap_err().place().unwrap().line, 1);
        assert_eq!(read("class A:\n    tables = ['a']\n").unwrap_err().place().unwrap().line, 2);
        assert_eq!(read("import os\n").unwrap_err().message(), "the file has no class with a migration");
    }
}
