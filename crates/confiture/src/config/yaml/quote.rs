//! From text to YAML that reads back as this very text.

/// Text as a value behind `key: `; a text of several lines becomes a block whose lines are indented by `indent` blanks.
#[must_use]
pub fn render_text(text: &str, indent: usize) -> String {
    if let Some(block) = block(text, indent) {
        return block;
    }
    render_key(text)
}

/// Text as a key, or as a value in one line.
#[must_use]
pub fn render_key(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().any(needs_escape) {
        double_quoted(text)
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// True where no YAML reader, of version 1.1 or 1.2, could take the bare text for anything else.
fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '(' | '/' | '$'));
    let other_meaning = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    starts_well
        && !text.chars().any(needs_escape)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !other_meaning.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What a person cannot see, or what would end a line.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || (c.is_whitespace() && c != ' ')
}

fn block(text: &str, indent: usize) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(|line| {
            !line.chars().any(needs_escape) && (line.is_empty() || !line.trim_start().is_empty())
        });
    if !fits {
        return None;
    }
    let header = if body.len() == text.len() { "|-" } else { "|" };
    let mut block = header.to_owned();
    for line in body.split('\n') {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&" ".repeat(indent));
            block.push_str(line);
        }
    }
    Some(block)
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if needs_escape(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;
    use proptest::prelude::*;

    #[test]
    fn texts_are_quoted_only_where_they_must_be() {
        for (text, yaml) in [
            ("split_part(trim(u.full_name), ' ', 1)", "split_part(trim(u.full_name), ' ', 1)"),
            ("", "''"),
            ("null", "'null'"),
            ("'x'", "'''x'''"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("\"Weird\"", "'\"Weird\"'"),
            ("tab\t", "\"tab\\t\""),
            ("*", "'*'"),
        ] {
            assert_eq!(render_text(text, 2), yaml);
        }
        assert_eq!(
            render_text("select 1\n  from t\n\nwhere x", 2),
            "|-\n  select 1\n    from t\n\n  where x"
        );
    }

    proptest! {
        #[test]
        fn rendered_text_reads_back(text in "(\\PC|[ \\n\\r\\t'\"\\\\:#|>\u{85}\u{a0}\u{2028}\u{feff}]|[a-c]){0,20}") {
            let yaml = format!("top:\n  {}: {}\n  list:\n    - {}\n", render_key(&text), render_text(&text, 4), render_text(&text, 6));
            let file = parse(&yaml, "f.yaml".as_ref()).map_err(|e| TestCaseError::fail(format!("{e:?}\n{yaml}")))?;
            let entry = &file.get("top").unwrap().as_map().unwrap()[0];
            prop_assert_eq!(&entry.key, &text);
            prop_assert_eq!(entry.value.as_text().unwrap(), &text);
            prop_assert_eq!(file.get("top").unwrap().get("list").unwrap().as_list().unwrap()[0].as_text().unwrap(), &text);
        }
    }
}
