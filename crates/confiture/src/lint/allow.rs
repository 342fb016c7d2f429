//! Comments that take a remark back: `-- confiture: allow RULE because …`.

use std::ops::Range;

use crate::sql::lex::lex;
use crate::sql::{SplitScript, Statement};

/// One such comment, for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowance {
    /// The rule's code, as it is written.
    pub(super) code: String,
    /// Why.
    pub(super) reason: Option<String>,
    /// The statement that it is about, by its number; `None`: the whole file.
    pub(super) statement: Option<usize>,
    /// Where the comment stands.
    pub(super) span: Range<usize>,
}

/// The allowances of a script. One that stands on a statement's line is about that statement, one on a line of its own
/// about the next; `allow-file` is about the whole file.
pub(super) fn parse_allowances(script: &SplitScript) -> Vec<Allowance> {
    let text = script.script.text();
    if !text.contains("confiture:") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, statement) in script.statements.iter().enumerate() {
        for range in [statement.lead.clone(), statement.span.clone()] {
            read_range(text, range, number, &script.statements, &mut found);
        }
    }
    let rest =
        script.statements.last().map_or(0, |last| last.data.as_ref().map_or(last.span.end, |data| data.end));
    read_range(text, rest..text.len(), script.statements.len(), &script.statements, &mut found);
    found
}

fn read_range(
    text: &str,
    range: Range<usize>,
    number: usize,
    statements: &[Statement],
    found: &mut Vec<Allowance>,
) {
    for token in lex(&text[range.clone()])
        .filter(|token| token.is_blank() && token.text(&text[range.clone()]).starts_with(['-', '/']))
    {
        let span = range.start + token.span.start..range.start + token.span.end;
        let comment =
            text[span.clone()].trim_start_matches(['-', '/', '*', ' ']).trim_end_matches(['/', '*', ' ']);
        let Some(said) = comment.strip_prefix("confiture:") else { continue };
        let said = said.trim();
        let (whole_file, said) = match (said.strip_prefix("allow-file "), said.strip_prefix("allow ")) {
            (Some(said), _) => (true, said),
            (_, Some(said)) => (false, said),
            _ => continue,
        };
        let (codes, reason) = match said.split_once(" because") {
            Some((codes, reason)) => {
                (codes, Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
            }
            None => (said, None),
        };
        let about = if behind_code(text, span.start) { last_before(statements, span.start) } else { number };
        for code in codes.split([',', ' ']).filter(|code| !code.is_empty()) {
            found.push(Allowance {
                code: code.to_owned(),
                reason: reason.clone(),
                statement: (!whole_file).then_some(about),
                span: span.clone(),
            });
        }
    }
}

/// True where something else than blanks stands before `at` on its line.
fn behind_code(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    !text[line..at].trim().is_empty()
}

fn last_before(statements: &[Statement], at: usize) -> usize {
    statements.partition_point(|statement| statement.span.start < at).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Script, split};

    #[test]
    fn a_comment_is_about_its_own_line_or_the_next_statement() {
        let text = "-- confiture: allow-file char-type because it is old\n\
                    -- confiture: allow drop-column, drop-table because nobody reads it\nselect 1;\n\
                    select 2; -- confiture: allow rename-table\n\
                    select /* confiture: allow truncate because x */ 3;\n-- confiture: allow y because z\n";
        let script = split(Script::new("a.sql", text)).unwrap();
        let said: Vec<_> = parse_allowances(&script)
            .into_iter()
            .map(|one| (one.code, one.reason.unwrap_or_default(), one.statement))
            .collect();
        let expected = [
            ("char-type", "it is old", None),
            ("drop-column", "nobody reads it", Some(0)),
            ("drop-table", "nobody reads it", Some(0)),
            ("rename-table", "", Some(1)),
            ("truncate", "x", Some(2)),
            ("y", "z", Some(3)),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), *c)).collect();
        assert_eq!(said, expected);
    }
}
