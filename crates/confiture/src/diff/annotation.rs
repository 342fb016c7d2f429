//! `-- confiture: renamed from full_name` in the new DDL.

use crate::diff::rename::{Asked, parts};
use crate::error::{Error, Result};
use crate::sql::SplitScript;
use crate::sql::lex::{TokenKind, lex};

/// What the comments of scripts say of new names: above a statement, of what it makes; within one, of the column in the same
/// line, or in the next where the comment stands alone.
///
/// # Errors
///
/// A comment of ours about a new name that cannot be read.
pub fn annotations(scripts: &[SplitScript]) -> Result<Vec<Asked>> {
    let mut found = Vec::new();
    for script in scripts {
        let text = script.script.text();
        for statement in &script.statements {
            let Some(name) = made_by(script.text_of(statement)) else { continue };
            let place = |at: usize| script.script.place(at).to_string();
            let whole = &text[statement.lead.start..statement.span.end];
            for token in lex(whole).filter(|token| token.kind == TokenKind::LineComment) {
                let at = statement.lead.start + token.span.start;
                let Some(old) = said(token.text(whole)).map_err(|error| error.at(script.script.place(at)))?
                else {
                    continue;
                };
                let reason = format!("said at {}", place(at));
                if at < statement.span.start {
                    let mut path = name.clone();
                    let to = path.pop().unwrap_or_default();
                    path.push(old);
                    found.push(Asked { path, to, in_new: true, reason });
                    continue;
                }
                if let Some(to) = column_at(text, at) {
                    let mut path = name.clone();
                    path.push(old);
                    found.push(Asked { path, to, in_new: true, reason });
                }
            }
        }
    }
    Ok(found)
}

/// The old name in a comment.
fn said(comment: &str) -> Result<Option<String>> {
    let text = comment.trim_start_matches('-').trim();
    let Some(words) = text.strip_prefix("confiture:").map(str::trim_start) else { return Ok(None) };
    // `allow rename-column` is for lint.
    if !words.to_lowercase().starts_with("rename") {
        return Ok(None);
    }
    let name = words.strip_prefix("renamed from ").and_then(|name| parts(name.trim())?.pop());
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(name)),
        None => Err(Error::usage(format!("`{words}` does not say what has a new name"))
            .hint("write it as: -- confiture: renamed from OLD_NAME")),
    }
}

/// The first name in the line of `at`, or in the next line where the comment stands alone.
fn column_at(text: &str, at: usize) -> Option<String> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = &text[start..at];
    let line = if line.trim().is_empty() {
        let next = text[at..].find('\n')? + at + 1;
        text[next..].lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with("--"))?
    } else {
        line
    };
    let token = lex(line).find(|token| !token.is_blank() && token.identifier(line).is_some())?;
    Some(token.identifier(line)?.as_str().to_owned())
}

/// The name of what a statement makes: `CREATE TABLE app.users` makes `app`, `users`.
pub(crate) fn made_by(statement: &str) -> Option<Vec<String>> {
    const BEFORE: [&str; 14] = [
        "CREATE",
        "OR",
        "REPLACE",
        "UNLOGGED",
        "TABLE",
        "VIEW",
        "MATERIALIZED",
        "TYPE",
        "DOMAIN",
        "SEQUENCE",
        "FUNCTION",
        "PROCEDURE",
        "SCHEMA",
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
    fn a_comment_that_says_it_otherwise_is_no_comment_to_pass_over() {
        for words in ["rename from a", "renamed-from a", "Renamed from a", "renamed from", "renamed from \"a"]
        {
            let text = format!("CREATE TABLE t (\n  b int -- confiture: {words}\n);");
            let error = annotations(&[split(Script::new("a.sql", text)).unwrap()]).unwrap_err();
            assert_eq!(
                error.place().map(|place| (place.line, place.column)),
                Some((2, 9)),
                "{words}: {error}"
            );
        }
    }
}
