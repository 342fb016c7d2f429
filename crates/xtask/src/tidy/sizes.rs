//! How long files and functions are.

use super::Remark;
use super::code::{blank_non_code, closing_brace, line_of};
use super::tree::Tree;

const FILE_LOOK: usize = 500;
const FILE_FAULT: usize = 800;
const FUNCTION_LOOK: usize = 70;

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let lines = text.lines().count();
        if lines > FILE_FAULT {
            remarks.push(Remark::fault(path, 1, format!("{lines} lines; {FILE_FAULT} is the end: split it")));
        } else if lines > FILE_LOOK {
            remarks.push(Remark::look(path, 1, format!("{lines} lines")));
        }
        for function in functions(&blank_non_code(text)) {
            if function.lines > FUNCTION_LOOK {
                let message = format!("`{}` has {} lines", function.name, function.lines);
                remarks.push(Remark::look(path, function.line, message));
            }
        }
    }
    remarks
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

/// The functions that have a body, in blanked code.
fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let begins_word =
            code[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        let rest = &code[at + 3..];
        let name = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())];
        if !begins_word || name.is_empty() {
            continue;
        }
        let Some(open) = body_start(code, at) else { continue };
        let Some(close) = closing_brace(code, open) else { continue };
        let line = line_of(code, at);
        found.push(Function { name, line, lines: line_of(code, close) - line + 1 });
    }
    found
}

/// The brace that opens a function's body, or nothing where a `;` outside brackets ends the signature first.
fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in code.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at + offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(text: &str) -> Vec<String> {
        check(&Tree::from([("a.rs", text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn long_files_are_listed_and_very_long_ones_are_faults() {
        assert_eq!(remarks(&"\n".repeat(501)), ["a.rs:1: look again: 501 lines"]);
        assert_eq!(remarks(&"\n".repeat(801)), ["a.rs:1: fault: 801 lines; 800 is the end: split it"]);
        assert_eq!(remarks(&"\n".repeat(500)), [""; 0]);
    }

    #[test]
    fn long_functions_are_listed() {
        let body = "    // a brace in a comment: {\n".repeat(70);
        let text = format!(
            "trait T {{ fn short(&self, x: [u8; 3]); }}\n\nfn long(x: &str) -> u8 {{\n{body}}}\nfn other() {{}}\n"
        );
        assert_eq!(remarks(&text), ["a.rs:3: look again: `long` has 72 lines"]);
    }
}
