//! What stands for a migration's text, so that a change of what it does is noticed and a change of its looks is not.

use sha2::{Digest, Sha256};

use crate::sql::{SplitScript, hexadecimal, lex::lex};

/// What stands for a script: one short digest for each statement, and one for all.
///
/// Blanks between words, line ends, comments, and blanks at the ends of lines do not count. A comment in the body of a function
/// does: the server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// All of it.
    pub whole: String,
    /// The statements, in order.
    pub statements: Vec<String>,
}

impl Checksum {
    /// Of a script's statements.
    #[must_use]
    pub fn of(script: &SplitScript) -> Self {
        let statements: Vec<_> = script
            .statements
            .iter()
            .map(|statement| {
                let data = statement.data.clone().map(|data| &script.script.text()[data]);
                digest(&[&plain(script.text_of(statement)), &normal(data.unwrap_or_default())], 6)
            })
            .collect();
        Self::of_parts(statements)
    }

    /// Of what is no script: a migration written in Rust says itself what stands for it.
    #[must_use]
    pub fn of_code(mark: &str) -> Self {
        Self::of_parts(vec![digest(&[mark], 6)])
    }

    fn of_parts(statements: Vec<String>) -> Self {
        let parts: Vec<_> = statements.iter().map(String::as_str).collect();
        Self { whole: digest(&parts, 16), statements }
    }
}

/// The statement's tokens with one blank in between.
fn plain(statement: &str) -> String {
    let tokens = lex(statement).filter(|token| !token.is_blank());
    let texts: Vec<_> = tokens.map(|token| normal(token.text(statement))).collect();
    texts.join(" ")
}

/// Without blanks at the ends of lines, a carriage return among them.
fn normal(text: &str) -> String {
    if !text.contains('\n') {
        return text.to_owned();
    }
    let lines: Vec<_> = text.split('\n').map(|line| line.trim_end_matches([' ', '\t', '\r'])).collect();
    lines.join("\n")
}

fn digest(parts: &[&str], bytes: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hexadecimal(&hash.finalize()[..bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Script, split};

    fn of(text: &str) -> Checksum {
        Checksum::of(&split(Script::new("a.sql", text)).unwrap())
    }

    #[test]
    fn looks_do_not_count() {
        let one = of("CREATE TABLE t (a int);\nSELECT $$ a\nb $$;");
        assert_eq!(one, of("-- new words\nCREATE  TABLE t ( a int )/* c */ ;\r\n\r\nSELECT $$ a \t\r\nb $$"));
        assert_eq!(one.statements.len(), 2);
    }

    #[test]
    fn what_the_server_sees_counts() {
        for (old, new) in [
            ("SELECT 'a'", "SELECT 'b'"),
            ("SELECT 'a b'", "SELECT 'a  b'"),
            ("SELECT 1", "SELECT 1; SELECT 2"),
            ("COPY t FROM stdin;\n1\n\\.\n", "COPY t FROM stdin;\n2\n\\.\n"),
            ("SELECT a, b", "SELECT ab"),
        ] {
            assert_ne!(of(old).whole, of(new).whole, "{old} / {new}");
        }
        let (old, new) = (of("SELECT 1; SELECT 2; SELECT 3"), of("SELECT 1; SELECT 9; SELECT 3"));
        let changed: Vec<_> = (0..3).filter(|&at| old.statements[at] != new.statements[at]).collect();
        assert_eq!(changed, [1]);
    }
}
