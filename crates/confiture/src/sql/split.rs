//! A script's statements, found with psql's rules: what psql would send one by one, with the bytes of each.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::sql::lex::{Lexer, Token, TokenKind, Unclosed, lex};
use crate::sql::{Script, psql};

/// One statement of a script, as bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Blanks and comments in front of it: where annotations stand.
    pub lead: Range<usize>,
    /// From its first token to its last, without the semicolon.
    pub span: Range<usize>,
    /// True where a semicolon follows: only the last statement of a script may lack it.
    pub is_terminated: bool,
    /// The rows of a `COPY … FROM stdin`, without the `\.` line.
    pub data: Option<Range<usize>>,
}

/// A script and its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitScript {
    /// The text.
    pub script: Script,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

impl SplitScript {
    /// The text of one of its statements.
    #[must_use]
    pub fn text_of(&self, statement: &Statement) -> &str {
        &self.script.text()[statement.span.clone()]
    }
}

/// Splits a script into its statements. Empty ones are dropped; nothing else is.
///
/// # Errors
///
/// A quote or comment that is never closed (at its start), a command to psql, `COPY` data without an end.
pub fn split(script: Script) -> Result<SplitScript> {
    let statements = Splitter::new(&script).run()?;
    Ok(SplitScript { script, statements })
}

struct Splitter<'a> {
    script: &'a Script,
    tokens: Lexer<'a>,
    statements: Vec<Statement>,
    /// Where the lead of the next statement starts.
    lead: usize,
    current: Option<Current>,
}

/// The statement that is being read.
struct Current {
    span: Range<usize>,
    parentheses: usize,
    copy: CopyClause,
    body: AtomicBody,
}

impl<'a> Splitter<'a> {
    fn new(script: &'a Script) -> Self {
        Self { script, tokens: lex(script.text()), statements: Vec::new(), lead: 0, current: None }
    }

    fn run(mut self) -> Result<Vec<Statement>> {
        while let Some(token) = self.tokens.next() {
            match token.kind {
                TokenKind::Unclosed(what) => return Err(unclosed(self.script, what, &token)),
                TokenKind::Command => self.command(&token)?,
                TokenKind::Semicolon if self.current.as_ref().is_none_or(Current::may_end) => {
                    self.end(&token)?;
                }
                _ if token.is_blank() => {}
                _ => self
                    .current
                    .get_or_insert_with(|| Current::starting(token.span.start))
                    .take(self.script, &token),
            }
        }
        let end = self.script.text().len();
        if let Some(current) = self.current.take() {
            let data = current.copy.is_from_stdin().then_some(end..end);
            self.push(&current, false, data);
        }
        Ok(self.statements)
    }

    /// `\restrict` and `\unrestrict`, with which newer `pg_dump`s frame their output, only bind psql: they are skipped. So is what
    /// only says how psql shows things.
    fn command(&mut self, token: &Token) -> Result<()> {
        let command = token.text(self.script.text());
        if self.current.is_none() && psql::is_about_psql_only(command) {
            return Ok(());
        }
        Err(Error::config(format!("`{}` is a command to psql, not SQL", psql::name_of(command)))
            .at(self.script.place(token.span.start))
            .excerpt(self.script.excerpt(token.span.clone()))
            .hint(psql::instead_of(command)))
    }

    fn end(&mut self, semicolon: &Token) -> Result<()> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        if let Some(to_standard) = conforms(&self.script.text()[current.span.clone()]) {
            self.tokens.conform(to_standard);
        }
        let mut next = semicolon.span.end;
        let data = if current.copy.is_from_stdin() {
            let (data, after) = self.copy_data(&current, next)?;
            next = after;
            Some(data)
        } else {
            None
        };
        self.push(&current, true, data);
        self.lead = next;
        self.tokens.jump(next);
        Ok(())
    }

    fn push(&mut self, current: &Current, is_terminated: bool, data: Option<Range<usize>>) {
        let span = current.span.clone();
        self.statements.push(Statement { lead: self.lead..span.start, span, is_terminated, data });
    }

    /// The data that starts on the line after `from`, and where the script goes on after its `\.` line.
    fn copy_data(&self, current: &Current, from: usize) -> Result<(Range<usize>, usize)> {
        let text = self.script.text();
        let line_end = text[from..].find('\n').map_or(text.len(), |length| from + length + 1);
        if let Some(stray) = lex(&text[from..line_end]).find(|token| !token.is_blank()) {
            return Err(Error::config("the rows of a COPY … FROM stdin start on the next line")
                .at(self.script.place(from + stray.span.start))
                .hint("move what stands behind the semicolon below the line `\\.` that ends the rows"));
        }
        let mut at = line_end;
        for line in text[line_end..].split_inclusive('\n') {
            if matches!(line, "\\.\n" | "\\.\r\n" | "\\.") {
                return Ok((line_end..at, at + line.len()));
            }
            at += line.len();
        }
        Err(Error::config("the rows of this COPY … FROM stdin have no end")
            .at(self.script.place(current.span.start))
            .excerpt(self.script.excerpt(current.span.clone()))
            .hint("end the rows with a line that holds only `\\.`"))
    }
}

/// What a statement says of `standard_conforming_strings`, which decides where the strings behind it end.
fn conforms(statement: &str) -> Option<bool> {
    let mut tokens = lex(statement).filter(|token| !token.is_blank()).peekable();
    let resets = match tokens.next()? {
        first if first.is_word(statement, "set") => false,
        first if first.is_word(statement, "reset") => true,
        _ => return None,
    };
    tokens.next_if(|token| ["session", "local"].iter().any(|scope| token.is_word(statement, scope)));
    let name = tokens.next()?;
    if resets && name.is_word(statement, "all") {
        return Some(true);
    }
    if name.identifier(statement).is_none_or(|name| name.as_str() != "standard_conforming_strings") {
        return None;
    }
    let value = tokens.nth(1).map(|value| value.text(statement).trim_matches('\'').to_ascii_lowercase());
    Some(resets || !matches!(value.as_deref(), Some("off" | "false" | "no" | "0")))
}

impl Current {
    fn starting(at: usize) -> Self {
        Self { span: at..at, parentheses: 0, copy: CopyClause::Unknown, body: AtomicBody::default() }
    }

    fn may_end(&self) -> bool {
        self.parentheses == 0 && self.body.depth == 0
    }

    fn take(&mut self, script: &Script, token: &Token) {
        self.span.end = token.span.end;
        match token.kind {
            TokenKind::Open => self.parentheses += 1,
            TokenKind::Close => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        self.body.head = self.body.head.after(script.text(), token);
        if self.parentheses == 0 {
            self.copy = self.copy.after(script.text(), token);
            self.body.take(script.text(), token);
        }
    }
}

/// How much of `COPY … FROM STDIN` has been read, outside of parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyClause {
    Unknown,
    Copy,
    From,
    FromStdin,
    No,
}

impl CopyClause {
    fn after(self, source: &str, token: &Token) -> Self {
        match self {
            Self::Unknown if token.is_word(source, "copy") => Self::Copy,
            Self::Unknown => Self::No,
            Self::Copy if token.is_word(source, "from") => Self::From,
            Self::From if token.is_word(source, "stdin") => Self::FromStdin,
            Self::From => Self::No,
            other => other,
        }
    }

    fn is_from_stdin(self) -> bool {
        self == Self::FromStdin
    }
}

/// The body of a routine in SQL's own form, `BEGIN ATOMIC … END`, whose semicolons do not end the statement. psql's
/// heuristic, made stricter: `BEGIN` counts only before `ATOMIC`, and a label (`AS end`, `t.end`) does not count.
#[derive(Default)]
struct AtomicBody {
    head: Head,
    depth: usize,
    before: Before,
}

/// How much of `CREATE [OR REPLACE] FUNCTION` has been read.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Head {
    #[default]
    Start,
    Create,
    Or,
    Replace,
    Routine,
    Other,
}

impl Head {
    fn after(self, source: &str, token: &Token) -> Self {
        let is = |word: &str| token.is_word(source, word);
        match self {
            // As in psql, only bare words count: what else stands there, the server may refuse.
            _ if token.kind != TokenKind::Word => self,
            Self::Start if is("create") => Self::Create,
            Self::Create if is("or") => Self::Or,
            Self::Or if is("replace") => Self::Replace,
            Self::Create | Self::Replace if is("function") || is("procedure") => Self::Routine,
            Self::Routine => Self::Routine,
            _ => Self::Other,
        }
    }
}

/// What the former token means for the next word.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    Begin,
    Label,
}

impl AtomicBody {
    fn take(&mut self, source: &str, token: &Token) {
        let before = std::mem::take(&mut self.before);
        if self.head != Head::Routine {
            return;
        }
        let is = |word: &str| token.is_word(source, word);
        match before {
            Before::Label => {}
            _ if token.kind == TokenKind::Dot || is("as") => self.before = Before::Label,
            _ if is("begin") => self.before = Before::Begin,
            Before::Begin if is("atomic") => self.depth += 1,
            _ if is("case") && self.depth > 0 => self.depth += 1,
            _ if is("end") => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

fn unclosed(script: &Script, what: Unclosed, token: &Token) -> Error {
    let (what, end) = match what {
        Unclosed::String => ("string", "'"),
        Unclosed::QuotedName => ("quoted name", "\""),
        Unclosed::Comment => ("comment", "*/"),
        Unclosed::DollarString => ("dollar-quoted string", tag_of(token.text(script.text()))),
    };
    let line_end = script.line_start(script.place(token.span.start).line + 1);
    Error::config(format!("this {what} is never closed"))
        .at(script.place(token.span.start))
        .excerpt(script.excerpt(token.span.start..line_end.min(token.span.end)))
        .hint(format!("Close it with {end}"))
}

fn tag_of(dollar_string: &str) -> &str {
    let length = dollar_string[1..].find('$').map_or(dollar_string.len(), |length| length + 2);
    &dollar_string[..length]
}

#[cfg(test)]
mod tests;
