//! Module names that say nothing, and files that end in the middle of a line.

use super::Remark;
use super::code::{blank_non_code, line_of};
use super::tree::Tree;

const EMPTY_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared", "stuff"];

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (path, text) in tree.ending(".rs") {
        for part in path.trim_end_matches(".rs").split('/').filter(|part| EMPTY_NAMES.contains(part)) {
            remarks.push(Remark::fault(path, 1, format!("`{part}` is no name: say what is in it")));
        }
        let code = blank_non_code(text);
        for (at, _) in code.match_indices("mod ") {
            let name =
                code[at + 4..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            if EMPTY_NAMES.contains(&name) {
                let message = format!("`mod {name}` is no name: say what is in it");
                remarks.push(Remark::fault(path, line_of(&code, at), message));
            }
        }
    }
    for suffix in [".sql", ".rs", ".md", ".toml"] {
        for (path, text) in tree.ending(suffix) {
            if !text.is_empty() && !text.ends_with('\n') {
                remarks.push(Remark::fault(path, text.lines().count(), "the last line does not end"));
            }
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        check(&Tree::from([(path, text)])).len()
    }

    #[test]
    fn names_that_say_nothing_are_faults() {
        assert_eq!(faults("crates/a/src/utils.rs", ""), 1);
        assert_eq!(faults("crates/a/tests/common/mod.rs", ""), 1);
        assert_eq!(faults("crates/a/src/lib.rs", "mod helpers {}\n"), 1);
        assert_eq!(faults("crates/a/src/lib.rs", "mod commonly; // mod utils\n"), 0);
    }

    #[test]
    fn a_file_ends_with_its_line() {
        assert_eq!(faults("a.sql", "SELECT 1"), 1);
        assert_eq!(faults("a.sql", "SELECT 1\n"), 0);
    }
}
