//! Rust text without what is not code, and the paths that it names.
//!
//! Not a parser: comments, strings and characters are blanked, which is enough to count braces and to find paths.

/// `text` with comments, strings and character literals turned to blanks; every line stays where it was.
pub(super) fn blank_non_code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !is_word(bytes, at.wrapping_sub(1)) || bytes.get(at.wrapping_sub(1)) == Some(&b'b') => {
                raw_string_end(bytes, at).unwrap_or(at)
            }
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = bytes[open + 1..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// The end of a character literal, or nothing where the quote begins a lifetime.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        let length = bytes.get(start + 3..)?.iter().position(|byte| *byte == b'\'')?;
        return Some(start + 3 + length + 1);
    }
    let character = std::str::from_utf8(&bytes[start + 1..bytes.len().min(start + 5)])
        .or_else(|error| std::str::from_utf8(&bytes[start + 1..start + 1 + error.valid_up_to()]))
        .ok()?
        .chars()
        .next()?;
    let close = start + 1 + character.len_utf8();
    (bytes.get(close) == Some(&b'\'')).then_some(close + 1)
}

/// Blanked code without the items under `#[cfg(test)]`.
pub(super) fn blank_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let after = start + "#[cfg(test)]".len();
        let end = match (out[after..].find('{'), out[after..].find(';')) {
            (Some(brace), Some(stop)) if stop < brace => after + stop + 1,
            (Some(brace), _) => closing_brace(&out, after + brace).map_or(out.len(), |close| close + 1),
            (None, Some(stop)) => after + stop + 1,
            (None, None) => out.len(),
        };
        let blank: String =
            out[start..end].chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// Where the brace that opens at `open` closes.
pub(super) fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code.as_bytes()[open..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(open + offset);
                }
            }
            _ => {}
        }
    }
    None
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Every path of at least two parts in blanked code, groups expanded: `use a::{b, c::d}` names `a::b` and `a::c::d`.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let byte = code.as_bytes()[at];
        if byte.is_ascii_alphabetic() || byte == b'_' {
            let start = at;
            at = read_path(code, at, "", &mut found);
            debug_assert!(at > start);
        } else {
            at += 1;
        }
    }
    let line_ends: Vec<usize> = code.match_indices('\n').map(|(end, _)| end).collect();
    let line_at = |at: usize| line_ends.partition_point(|end| *end < at) + 1;
    found.into_iter().filter(|(_, path)| path.contains("::")).map(|(at, path)| (line_at(at), path)).collect()
}

/// Reads one path at `at`, behind `prefix`, and gives the place after it.
fn read_path(code: &str, mut at: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    let start = at;
    let bytes = code.as_bytes();
    let mut path = prefix.to_owned();
    loop {
        let word = at;
        while is_word(bytes, at) {
            at += 1;
        }
        path.push_str(&code[word..at]);
        if !code[at..].starts_with("::") {
            break;
        }
        at += 2;
        if bytes.get(at) == Some(&b'{') {
            return read_group(code, at + 1, &format!("{path}::"), found);
        }
        if !is_word(bytes, at) {
            break;
        }
        path.push_str("::");
    }
    found.push((start, path));
    at.max(start + 1)
}

fn read_group(code: &str, mut at: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'}' => return at + 1,
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => {
                at = read_path(code, at, prefix, found);
                // The name after `as` is not a path.
                if code[at..].starts_with(" as ") {
                    at += 4;
                    while is_word(code.as_bytes(), at) {
                        at += 1;
                    }
                }
            }
            b'*' => {
                found.push((at, format!("{prefix}*")));
                at += 1;
            }
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked_and_lines_stay() {
        let text = "a // { \"x\"\nb /* { /* } */ */ c \"{ \\\" {\" r#\"{ \" {\"# '{' '\\'' '\\u{7b}' 'é' d<'a>(x: &'a str) {}\n";
        let code = blank_non_code(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), "a b c d<'a>(x: &'a str) {}");
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn a_raw_identifier_is_not_a_raw_string() {
        assert_eq!(blank_non_code("r#type for x"), "r#type for x");
        assert_eq!(blank_non_code("for\"x\""), "for   ");
    }

    #[test]
    fn tests_are_blanked_and_what_follows_is_kept() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { } }\nfn c() {}\n#[cfg(test)]\nuse x;\nfn d() {}";
        let left = blank_tests(code);
        assert!(left.contains("fn a") && left.contains("fn c") && left.contains("fn d"));
        assert!(!left.contains("fn b") && !left.contains("use x"));
    }

    #[test]
    fn groups_are_expanded() {
        let code = "use crate::{sql::{Sql, Identifier as Name}, disk};\nuse std::fs;\nstd::env::var()";
        let paths: Vec<String> =
            paths(code).into_iter().map(|(line, path)| format!("{line} {path}")).collect();
        assert_eq!(
            paths,
            [
                "1 crate::sql::Sql",
                "1 crate::sql::Identifier",
                "1 crate::disk",
                "2 std::fs",
                "3 std::env::var"
            ]
        );
    }
}
