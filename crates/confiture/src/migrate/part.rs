//! One direction of a migration: its statements, and what its comments say about them.

use crate::error::{Error, Result};
use crate::migrate::checksum::Checksum;
use crate::migrate::folder::Layout;
use crate::migrate::version::Version;
use crate::sql::lex::{TokenKind, lex};
use crate::sql::{Script, SplitScript, Statement, split};

/// The statements of one direction, and how they are to be run.
#[derive(Debug, Clone)]
pub struct Part {
    /// The statements, in their file.
    pub script: SplitScript,
    /// What the comments ask for.
    pub directives: Directives,
    /// What stands for the statements.
    pub checksum: Checksum,
}

/// What comments in front of the first statement ask for: `-- confiture: no-transaction`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-transaction`: each statement is a transaction of its own.
    pub no_transaction: bool,
    /// `loses-data`, with what is said behind it: somebody is asked first.
    pub loses_data: Option<String>,
    /// What looks like a placeholder of Flyway's is meant as it stands.
    pub(super) as_written: bool,
    /// `squashes 001, 002`: the migrations that this one takes the place of.
    pub squashes: Vec<Version>,
}

const DIRECTIVES: [&str; 3] = ["no-transaction", "loses-data", "squashes"];

impl Part {
    /// Reads a file that holds one direction.
    pub(super) fn parse(script: Script) -> Result<Self> {
        let directives = read_directives(&script)?;
        Self::new(script, directives)
    }

    /// A text whose directives are known.
    pub(super) fn new(script: Script, directives: Directives) -> Result<Self> {
        let script = split(script)?;
        refuse_late_directives(&script)?;
        let checksum = Checksum::of(&script);
        Ok(Self { script, directives, checksum })
    }

    /// True where there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.script.statements.is_empty()
    }
}

/// Reads the comments in front of the first statement. sqlx's `-- no-transaction`, in the first line, and Atlas' `-- atlas:txmode none` say
/// the same as ours.
fn read_directives(script: &Script) -> Result<Directives> {
    let text = script.text();
    let mut directives = Directives {
        no_transaction: text.lines().next().is_some_and(|line| line.trim_end() == "-- no-transaction"),
        ..Directives::default()
    };
    for token in lex(text).take_while(crate::sql::lex::Token::is_blank) {
        if token.kind == TokenKind::Whitespace {
            continue;
        }
        let wrong = |message: String| {
            Error::config(message)
                .at(script.place(token.span.start))
                .excerpt(script.excerpt(token.span.clone()))
        };
        let comment = token.text(text).trim_start_matches('-').trim();
        if comment.to_lowercase().starts_with("liquibase formatted sql") {
            return Err(wrong("Liquibase's changelogs are not read".to_owned()).hint(
                "write a migration for each change: its conditions and its ways back are comments here, and would count for nothing",
            ));
        }
        if let Some(said) = comment.strip_prefix("atlas:") {
            match said.split_whitespace().next().unwrap_or_default() {
                "txmode" => directives.no_transaction |= said.ends_with(" none"),
                "nolint" | "delimiter" => {}
                _ => {
                    return Err(wrong(format!("Atlas would heed `{said}`, and Confiture does not"))
                        .hint("write the migration without it"));
                }
            }
        }
        let Some(said) = said(token.text(text)) else {
            match nearly_said(token.text(text)) {
                Some(word) => {
                    return Err(wrong(format!(
                        "this comment is not read: it is not written as `-- confiture: {word}`"
                    )));
                }
                None => continue,
            }
        };
        let (word, rest) = said.split_once([' ', ':']).unwrap_or((said, ""));
        let rest = rest.trim_start_matches([':', ' ']).trim();
        match word {
            "no-transaction" => directives.no_transaction = true,
            "loses-data" => directives.loses_data = Some(rest.to_owned()),
            "squashes" => {
                for version in rest.split([',', ' ']).filter(|version| !version.is_empty()) {
                    let version = Version::parse(version)
                        .ok_or_else(|| wrong(format!("`{version}` is not a migration's version")))?;
                    directives.squashes.push(version);
                }
            }
            // Other features have directives too: only what was probably meant to be one of these is wrong.
            _ => {
                let error = wrong(format!("`{word}` is no directive of a migration"));
                if crate::error::did_you_mean(word, DIRECTIVES).is_some() {
                    return Err(error.did_you_mean(word, DIRECTIVES));
                }
            }
        }
    }
    Ok(directives)
}

/// What a comment of ours says.
fn said(comment: &str) -> Option<&str> {
    Some(comment.strip_prefix("--")?.trim_start_matches('-').trim_start().strip_prefix("confiture:")?.trim())
}

/// The directive in a comment that is written in another way than ours are. (`squashes` is a word that a comment may well use.)
fn nearly_said(comment: &str) -> Option<&'static str> {
    let text = comment.trim_start_matches(['-', '/', '*']).trim_start();
    let (start, rest) = text.split_at_checked("confiture".len())?;
    let rest = rest.trim_start_matches([':', ' ']).to_lowercase();
    DIRECTIVES[..2]
        .iter()
        .copied()
        .find(|word| start.eq_ignore_ascii_case("confiture") && rest.starts_with(word))
}

/// Behind the first statement a directive would count for nothing, and nobody would know.
fn refuse_late_directives(script: &SplitScript) -> Result<()> {
    let text = script.script.text();
    let end = |statement: &Statement| statement.data.as_ref().map_or(statement.span.end, |data| data.end);
    let leads = script.statements.iter().skip(1).map(|statement| statement.lead.clone());
    let tail = script.statements.last().map(|last| end(last)..text.len());
    for part in leads.chain(tail) {
        for token in lex(&text[part.clone()]).filter(|token| token.kind == TokenKind::LineComment) {
            let words = said(token.text(&text[part.clone()])).unwrap_or_default();
            let word = words.split([' ', ':']).next().unwrap_or_default();
            if DIRECTIVES.contains(&word) {
                let span = part.start + token.span.start..part.start + token.span.end;
                return Err(Error::config(format!(
                    "`{word}` stands in front of the first statement, or counts for nothing"
                ))
                .at(script.script.place(span.start))
                .excerpt(script.script.excerpt(span))
                .hint("put the comment at the top of the file"));
            }
        }
    }
    Ok(())
}

/// A file with both directions, each below a line that says so. Each is the whole text with the other one blanked, so that
/// every statement stays where it is.
pub(super) fn parse_both_ways(script: &Script) -> Result<(Part, Option<Part>)> {
    let text = script.text();
    let mut sections: Vec<(bool, bool, std::ops::Range<usize>)> = Vec::new();
    let mut at = 0;
    let alone = text.lines().any(|line| line.trim_end() == "-- +goose NO TRANSACTION");
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        if is_filled_in(line) {
            return Err(Error::config(
                "goose would put values of the environment into this file, and Confiture does not",
            )
            .at(script.place(start))
            .hint("write the values, and remove this line"));
        }
        let Some((_, up, options)) = section(line) else { continue };
        if sections.is_empty() {
            refuse_above(script, start, line)?;
        }
        if let Some((_, _, section)) = sections.last_mut() {
            section.end = start;
        }
        if sections.iter().any(|(known, _, _)| *known == up) {
            return Err(Error::config(format!("the file has two sections `{}`", line.trim()))
                .at(script.place(start))
                .hint("keep one of them"));
        }
        let mut options = options.split_whitespace();
        let no_transaction =
            alone || options.any(|option| matches!(option, "transaction:false" | "notransaction"));
        sections.push((up, no_transaction, end..text.len()));
    }
    let part = |wanted: bool| -> Result<Option<Part>> {
        let Some((_, no_transaction, section)) = sections.iter().find(|(up, _, _)| *up == wanted) else {
            return Ok(None);
        };
        let kept = Script::new(script.file(), only(text, section.clone()));
        let said = read_directives(&kept)?;
        let directives = Directives { no_transaction: said.no_transaction || *no_transaction, ..said };
        Part::new(kept, directives).map(Some)
    };
    let up = part(true)?.ok_or_else(|| {
        Error::config("the file says how to go back, and has no section for the way up")
            .at(script.place(0))
            .hint("the way up begins with a line of its own: `-- migrate:up` for dbmate, `-- +goose Up` for goose, `-- Up Migration` for node-pg-migrate")
    })?;
    Ok((up, part(false)?))
}

/// goose's `-- +goose ENVSUB ON`.
fn is_filled_in(line: &str) -> bool {
    let said = line.trim_start().strip_prefix("--").unwrap_or_default();
    let mut words = said.split_whitespace();
    words.next() == Some("+goose") && words.next() == Some("ENVSUB") && words.next() == Some("ON")
}

/// A statement above the first section is in neither, and would never be run.
fn refuse_above(script: &Script, end: usize, section: &str) -> Result<()> {
    let Some(token) = lex(&script.text()[..end]).find(|token| !token.is_blank()) else { return Ok(()) };
    Err(Error::config(format!("what stands above `{}` belongs to no direction", section.trim()))
        .at(script.place(token.span.start))
        .excerpt(script.excerpt(token.span))
        .hint("move it below that line, or remove it"))
}

/// A file in which the way back begins at a mark of a tool that is not known would be run as a whole: tern's
/// `---- create above / drop below ----`, `-- //@UNDO`, Play's `-- !Downs`, `-- rambler down`, or a plain `-- Down`.
pub(super) fn refuse_unknown_marks(script: &Script) -> Result<()> {
    let text = script.text();
    let is_mark = |comment: &str| {
        let comment = comment.to_lowercase();
        let words: Vec<_> =
            comment.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        matches!(
            words.as_slice(),
            ["down" | "downs" | "undo"]
                | ["rambler" | "micrate" | "migrate" | "migration", "down"]
                | ["create", "above", "drop", "below"]
        )
    };
    let mut marks =
        lex(text).filter(|token| token.kind == TokenKind::LineComment && is_mark(token.text(text)));
    let Some(mark) = marks.next() else { return Ok(()) };
    Err(Error::config("a way back seems to begin here, and would be run with the rest")
        .at(script.place(mark.span.start))
        .excerpt(script.excerpt(mark.span))
        .hint("move it into a file of its own, VERSION_name.down.sql beside VERSION_name.up.sql; where the comment means something else, say it in other words"))
}

/// Whose file with both directions a text is.
pub(super) fn layout_of_both_ways(text: &str) -> Option<Layout> {
    text.lines().find_map(section).map(|(layout, ..)| layout)
}

/// `-- migrate:up transaction:false`, `-- +goose Up`: whose line it is, whether the way up begins there, and its options.
fn section(line: &str) -> Option<(Layout, bool, &str)> {
    let said = line.trim_start().strip_prefix("--")?.trim_start();
    let words = || said.trim_start_matches('-').split_whitespace().map(str::to_lowercase);
    if let (Some(way @ ("up" | "down")), Some("migration")) =
        (words().next().as_deref(), words().nth(1).as_deref())
    {
        return Some((Layout::NodePgMigrate, way == "up", ""));
    }
    let goose = |said: &'_ str| ["+goose ", "+migrate "].iter().any(|mark| said.starts_with(mark));
    let (layout, word) = match said.strip_prefix("migrate:") {
        Some(rest) => (Layout::Dbmate, rest),
        None if goose(said) => (Layout::Goose, said.split_once(' ')?.1.trim_start()),
        None => return None,
    };
    let (word, options) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
    match word {
        "up" | "Up" => Some((layout, true, options)),
        "down" | "Down" => Some((layout, false, options)),
        _ => None,
    }
}

/// The text with everything but `kept` turned to blanks; every line and every character stays where it is.
pub(super) fn only(text: &str, kept: std::ops::Range<usize>) -> String {
    let blank = |text: &str| text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
    [blank(&text[..kept.start]), text[kept.clone()].to_owned(), blank(&text[kept.end..])].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Part> {
        Part::parse(Script::new("a.sql", text))
    }

    #[test]
    fn directives_stand_in_front() {
        let directives = |text| parse(text).unwrap().directives;
        assert!(directives("-- Migration: x\n--confiture: no-transaction\nSELECT 1;").no_transaction);
        assert!(directives("-- no-transaction\nSELECT 1;").no_transaction, "sqlx's");
        assert!(directives("-- atlas:txmode none\n\nSELECT 1;").no_transaction, "Atlas'");
        assert!(!directives("-- atlas:txmode file\n-- atlas:nolint\nSELECT 1;").no_transaction, "Atlas'");
        assert!(!directives("-- confiture: renamed from a\nSELECT 1;").no_transaction, "another feature's");
        let lost = directives("-- confiture: loses-data the column bio\nSELECT 1").loses_data;
        assert_eq!(lost.as_deref(), Some("the column bio"));
        let squashes = directives("-- confiture: squashes 001, 002\nSELECT 1").squashes;
        assert_eq!(squashes, ["1", "2"].map(|version| Version::parse(version).unwrap()));
    }

    #[test]
    fn a_slip_in_a_directive_is_found() {
        let error = parse("\n-- confiture: no-transacton\nSELECT 1").unwrap_err();
        assert_eq!(error.place().unwrap().to_string(), "a.sql:2:1");
        assert_eq!(error.hints(), ["did you mean `no-transaction`?"]);
    }

    #[test]
    fn a_directive_that_would_count_for_nothing_is_found() {
        for comment in
            ["-- Confiture: no-transaction", "-- confiture no-transaction", "/* confiture: loses-data x */"]
        {
            let error = parse(&format!("{comment}\nSELECT 1;")).expect_err(comment);
            assert!(error.message().starts_with("this comment is not read"), "{error}");
        }
        for text in
            ["SELECT 1;\n-- confiture: loses-data x\nSELECT 2;", "SELECT 1;\n-- confiture: loses-data x\n"]
        {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error.message(),
                "`loses-data` stands in front of the first statement, or counts for nothing"
            );
            assert_eq!(error.place().map(|place| place.line), Some(2));
        }
        parse("-- Confiture squashes nothing here\nSELECT 1;\n-- confiture: allow drop-table because x\nSELECT 2;").unwrap();
    }

    #[test]
    fn both_directions_in_one_file() {
        let text =
            "-- é\n-- migrate:up transaction:false\nCREATE TABLE t ();\n\n-- migrate:down\nDROP TABLE t;\n";
        let (up, down) = parse_both_ways(&Script::new("a.sql", text)).unwrap();
        let down = down.unwrap();
        assert!(up.directives.no_transaction && !down.directives.no_transaction);
        assert_eq!(up.script.text_of(&up.script.statements[0]), "CREATE TABLE t ()");
        assert_eq!(down.script.script.place(down.script.statements[0].span.start).to_string(), "a.sql:6:1");
        let text = "-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n\n-- +goose Down\nSELECT 2;\nSELECT 3;\n";
        let (up, down) = parse_both_ways(&Script::new("a.sql", text)).unwrap();
        assert_eq!((up.script.statements.len(), down.unwrap().script.statements.len()), (1, 2), "goose's");
        assert!(up.directives.no_transaction);
        let (up, down) =
            parse_both_ways(&Script::new("a.sql", "-- +migrate Up notransaction\nSELECT 1;")).unwrap();
        assert!(up.directives.no_transaction && down.is_none(), "sql-migrate's");
        let error = parse_both_ways(&Script::new("a.sql", "-- migrate:down\nDROP TABLE t;")).unwrap_err();
        assert_eq!(error.message(), "the file says how to go back, and has no section for the way up");
    }
}
