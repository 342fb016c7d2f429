//! `~/.pgpass`: `host:port:database:user:password`, one a line.

/// The password of the first line that fits. `host` is `localhost` for the default folder of Unix sockets.
pub(super) fn find_password(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let port = port.to_string();
    text.lines().find_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.starts_with('#') {
            return None;
        }
        let mut rest = line;
        for wanted in [host, &port, database, user] {
            let (field, after) = take_field(rest)?;
            if field != "*" && unescape(field) != wanted {
                return None;
            }
            rest = after;
        }
        // The password goes to the line's end; a colon in it may be escaped or not.
        let password = unescape(rest);
        (!password.is_empty()).then_some(password)
    })
}

/// A field, still escaped, and what follows its colon.
fn take_field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::find_password;

    #[test]
    fn finds_the_first_line_that_fits() {
        let text = "# a comment: db:5432:*:*:no\n\
                    db:5432:app:alice:first\n\
                    db:5432:app:alice:second\n\
                    db:*:*:bob:p\\:a\\\\s:s\n\
                    we\\:ird:5432:a\\\\b:carol:x\n\
                    too:few:fields\n\
                    db:5432:app:dave:\r\n\
                    *:*:*:eve:any\r\n";
        let cases = [
            ("db", 5432, "app", "alice", Some("first")),
            ("db", 5433, "app", "alice", None),
            ("db", 1, "other", "bob", Some("p:a\\s:s")),
            ("we:ird", 5432, "a\\b", "carol", Some("x")),
            ("db", 5432, "app", "dave", None),
            ("anything", 9, "at", "eve", Some("any")),
            ("DB", 5432, "app", "alice", None),
        ];
        for (host, port, database, user, expected) in cases {
            assert_eq!(find_password(text, host, port, database, user).as_deref(), expected, "{user}@{host}");
        }
    }
}
