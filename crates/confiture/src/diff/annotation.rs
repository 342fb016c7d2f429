//! `-- confiture: renamed from full_name` in the new DDL.

use std::ops::Range;

use crate::diff::asked::{Asked, parts};
use crate::error::{Error, Result};
use crate::sql::SplitScript;
use crate::sql::lex::{TokenKind, lex};

/// What the comments of scripts say of new names: above a statement, of what it makes; within one, of the column in front, or of the
/// next one where the comment stands alone in its line.
///
/// # Errors
///
/// A comment of ours about a new name that cannot be read, or of which it is not clear what it is about: passed over, it would cost the
/// column's values.
pub fn annotations(scripts: &[SplitScript]) -> Result<Vec<Asked>> {
    let mut found = Vec::new();
    for script in scripts {
        let text = script.script.text();
        let mut end = 0;
        for statement in &script.statements {
            let name = made_by(script.text_of(statement));
            for (at, Said { old, denied }) in said_in(script, statement.lead.start..statement.span.end)? {
                let is_above = at < statement.span.start && (end == 0 || text[end..at].contains('\n'));
                let asked = name.clone().and_then(|mut path| {
                    let to = match is_above {
                        true => path.pop()?,
                        false => column_at(text, statement.span.start.min(at)..at)?,
                    };
                    let to_path = path.clone();
                    // Where it was may be said, too: that is perhaps another schema.
                    match is_above && old.len() > 1 {
                        true => path = old,
                        false => path.extend(old.into_iter().next_back()),
                    }
                    let reason = format!("said at {}", script.script.place(at));
                    Some(Asked { path, to, to_path, in_new: true, reason, denied })
                });
                found.push(asked.ok_or_else(|| unclear(script, at))?);
            }
            end = statement.data.as_ref().map_or(statement.span.end, |data| data.end);
        }
        if let Some((at, _)) = said_in(script, end..text.len())?.first() {
            return Err(unclear(script, *at));
        }
    }
    Ok(found)
}

/// The old names in the comments of a part of a script, each with its place.
fn said_in(script: &SplitScript, part: Range<usize>) -> Result<Vec<(usize, Said)>> {
    let whole = &script.script.text()[part.clone()];
    let mut found = Vec::new();
    for token in lex(whole) {
        let at = part.start + token.span.start;
        let old = match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment => said(token.text(whole)),
            _ => continue,
        };
        found.extend(old.map_err(|error| error.at(script.script.place(at)))?.map(|old| (at, old)));
    }
    Ok(found)
}

fn unclear(script: &SplitScript, at: usize) -> Error {
    Error::usage("it is not clear what has a new name here")
        .at(script.script.place(at))
        .hint("for a column, write the comment behind it in its line, or alone in the line above")
        .hint("for a table or another object, write it in a line above its CREATE")
}

/// The old name in a comment, with what stands in front of it, and that this is not what had it.
struct Said {
    old: Vec<String>,
    denied: bool,
}

/// What a comment says of a new name.
fn said(comment: &str) -> Result<Option<Said>> {
    let text = comment.trim_start_matches(['-', '/', '*']).trim_start();
    let words = text.get(.."confiture".len()).filter(|word| word.eq_ignore_ascii_case("confiture"));
    let Some(words) = words.map(|word| text[word.len()..].trim_start_matches(':').trim()) else {
        return Ok(None);
    };
    // `allow rename-column` is for lint.
    let lower = words.to_lowercase();
    let denied = lower
        .strip_prefix("not")
        .is_some_and(|rest| rest.trim_start_matches([' ', '-']).starts_with("rename"));
    if !denied && !lower.starts_with("rename") {
        return Ok(None);
    }
    let words = comment.trim_start_matches('-').trim_start().strip_prefix("confiture:");
    let start = if denied { "not renamed from " } else { "renamed from " };
    let old = words.and_then(|words| {
        let name = words.trim_start().strip_prefix(start)?.trim();
        label(name).map(|label| vec![label]).or_else(|| parts(name))
    });
    match old.filter(|old| old.iter().all(|part| !part.is_empty())) {
        Some(old) => Ok(Some(Said { old, denied })),
        None => Err(Error::usage(format!("`{}` does not say what has a new name", comment.trim()))
            .hint(format!("write it as: -- confiture: {start}OLD_NAME"))),
    }
}

/// The column, attribute or label that a comment is about: the one that stands in front of it, in the list between brackets, or the first one in the next
/// line, where the comment stands alone. `before` goes from the statement's begin to the comment.
fn column_at(text: &str, before: Range<usize>) -> Option<String> {
    let is_alone = text[..before.end].rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
    let list = match is_alone {
        true => {
            let next = text[before.end..].find('\n')? + before.end + 1;
            let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("--");
            text[next..].lines().find(is_code)?
        }
        false => item_before(&text[before]),
    };
    let token = lex(list).find(|token| !token.is_blank())?;
    const NO_COLUMN: [&str; 7] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE"];
    if NO_COLUMN.iter().any(|word| token.is_word(list, word)) {
        return None;
    }
    label(token.text(list)).or_else(|| Some(token.identifier(list)?.as_str().to_owned()))
}

/// The text of a label of an enumeration.
fn label(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

/// The last item of a list between brackets that has begun; nothing behind the list, or where there is none.
fn item_before(text: &str) -> &str {
    let (mut depth, mut begins, mut item) = (0_usize, false, None);
    for token in lex(text).filter(|token| !token.is_blank()) {
        match token.kind {
            TokenKind::Open => {
                depth += 1;
                begins |= depth == 1;
                continue;
            }
            TokenKind::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    item = None;
                }
            }
            TokenKind::Comma if depth == 1 => {
                begins = true;
                continue;
            }
            _ => {}
        }
        if begins && depth > 0 {
            item = Some(token.span.start);
            begins = false;
        }
    }
    item.map_or("", |start| &text[start..])
}

/// The name of what a statement makes: `CREATE TABLE app.users` makes `app`, `users`.
pub(crate) fn made_by(statement: &str) -> Option<Vec<String>> {
    const BEFORE: [&str; 16] = [
        "CREATE",
        "OR",
        "REPLACE",
        "UNLOGGED",
        "FOREIGN",
        "TABLE",
        "VIEW",
        "MATERIALIZED",
        "TYPE",
        "DOMAIN",
        "SEQUENCE",
        "FUNCTION",
        "PROCEDURE",
        "SCHEMA",
        "COLLATION",
        "IF",
    ];
    let mut tokens = lex(statement).filter(|token| !token.is_blank());
    let mut name: Vec<String> = Vec::new();
    let first = tokens.next()?;
    if !first.is_word(statement, "CREATE") {
        return None;
    }
    let mut open = true;
    for token in tokens {
        let text = token.text(statement);
        let keyword = BEFORE.iter().chain(&["NOT", "EXISTS"]).any(|word| token.is_word(statement, word));
        if name.is_empty() && keyword {
            continue;
        }
        if text == "." && !open {
            open = true;
        } else if let Some(part) = token.identifier(statement).filter(|_| open) {
            name.push(part.as_str().to_owned());
            open = false;
        } else {
            break;
        }
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Script, split};

    #[test]
    fn a_comment_says_what_it_stands_at() {
        let text = "-- confiture: renamed from people\nCREATE TABLE app.users (\n  id int,\n  display_name text, -- confiture: renamed from full_name\n\
            \x20 -- confiture: renamed from \"E Mail\"\n  email text\n);\n-- renamed from x\nCREATE TABLE y ();";
        let scripts = [split(Script::new("a.sql", text)).unwrap()];
        let found: Vec<_> = annotations(&scripts)
            .unwrap()
            .iter()
            .map(|asked| format!("{} -> {}", asked.path.join("."), asked.to))
            .collect();
        assert_eq!(
            found,
            ["app.people -> users", "app.users.full_name -> display_name", "app.users.E Mail -> email"]
        );
    }

    #[test]
    fn the_column_is_the_one_in_front() {
        let of = |text: &str| {
            let found = annotations(&[split(Script::new("a.sql", text)).unwrap()]).unwrap();
            found
                .iter()
                .map(|asked| format!("{}={}", asked.path.join("."), asked.to))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let said = "-- confiture: renamed from a";
        assert_eq!(of(&format!("CREATE TABLE t (id int PRIMARY KEY, b text {said}\n);")), "t.a=b");
        assert_eq!(of(&format!("CREATE TABLE t (id int, b text, {said}\n c int);")), "t.a=b");
        assert_eq!(
            of(&format!("CREATE TABLE t (id int,\n b numeric(10, 2)\n DEFAULT (1), {said}\n c int);")),
            "t.a=b"
        );
        assert_eq!(of(&format!("CREATE TABLE t (id int, b int CHECK (b > 0 {said}\n));")), "t.a=b");
        assert_eq!(of(&format!("CREATE TABLE t (id int,\n {said}\n\n -- of what\n b int);")), "t.a=b");
        assert_eq!(of(&format!("SELECT 1;\n{said}\nCREATE FOREIGN TABLE t (id int) SERVER s;")), "a=t");
    }

    #[test]
    fn a_comment_about_nothing_is_not_passed_over() {
        let said = "-- confiture: renamed from a";
        for text in [
            format!("CREATE TABLE t (b int); {said}"),
            format!("CREATE TABLE t (b int); {said}\nCREATE TABLE u ();"),
            format!("CREATE TABLE t (b int {said}\n)\n;").replace("b int", "CHECK (true)"),
            format!("CREATE TABLE t (b int) {said}\n;"),
            format!("{said}\nALTER TABLE t ADD COLUMN b int;"),
            format!("CREATE TABLE t ();\n{said}\n"),
            format!("{said}\n"),
        ] {
            let error = annotations(&[split(Script::new("a.sql", &text)).unwrap()]).expect_err(&text);
            assert_eq!(error.message(), "it is not clear what has a new name here", "{text}");
            assert!(error.place().is_some());
        }
    }

    #[test]
    fn a_comment_that_says_it_otherwise_is_no_comment_to_pass_over() {
        for comment in [
            "-- confiture: rename from a",
            "-- confiture: renamed-from a",
            "-- confiture: Renamed from a",
            "-- confiture: renamed from",
            "-- confiture: renamed from \"a",
            "-- confiture: not rename from a",
            "-- confiture: not-renamed from a",
            "/* confiture: not renamed from a */",
            "-- Confiture: renamed from a",
            "-- confiture renamed from a",
            "/* confiture: renamed from a */",
        ] {
            let text = format!("CREATE TABLE t (\n  b int {comment}\n);");
            let error = annotations(&[split(Script::new("a.sql", text)).unwrap()]).unwrap_err();
            assert_eq!(
                error.place().map(|place| (place.line, place.column)),
                Some((2, 9)),
                "{comment}: {error}"
            );
        }
    }
}
