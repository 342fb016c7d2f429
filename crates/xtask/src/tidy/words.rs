//! Words that do not belong into this repository.
//!
//! The list here is public. A checkout may hold a second one, `.forbidden-words`, one a line, which is never committed:
//! for what must not even be listed, such as the names of private machines.

use super::Remark;
use super::tree::Tree;

/// Claims that nothing here measures.
const FORBIDDEN: &[&str] = &["blazing", "battle-tested", "production-proven", "lightning-fast"];

const THIS_FILE: &str = "crates/xtask/src/tidy/words.rs";
const LOCAL_LIST: &str = ".forbidden-words";

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let local = tree.text(LOCAL_LIST).unwrap_or_default().lines().map(str::trim);
    let forbidden: Vec<String> = FORBIDDEN
        .iter()
        .copied()
        .chain(local)
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut remarks = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !matches!(*path, THIS_FILE | LOCAL_LIST)) {
        for (index, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for word in forbidden.iter().filter(|word| line.contains(word.as_str())) {
                remarks.push(Remark::fault(path, index + 1, format!("says `{word}`")));
            }
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_word_is_a_fault_wherever_it_is_listed() {
        let tree = Tree::from([
            ("README.md", "Blazing fast.\n\nBuilt on host7.\n"),
            (LOCAL_LIST, "host7\n\n"),
            (THIS_FILE, "blazing"),
        ]);
        let remarks: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(remarks, ["README.md:1: fault: says `blazing`", "README.md:3: fault: says `host7`"]);
    }
}
