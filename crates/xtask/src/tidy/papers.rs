//! The papers tell the truth about paths, and ARCHITECTURE.md stays readable in one sitting.

use super::Remark;
use super::tree::Tree;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ARCHITECTURE_LINES: usize = 200;

/// Papers whose paths must exist.
const PAPERS: &[&str] = &[ARCHITECTURE, "CONTRIBUTING.md", "README.md"];

/// Folders of this repository: a word that begins with one of them is a path.
const FOLDERS: &[&str] = &["crates/", "docs/", ".ci/", ".cargo/"];

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let mut remarks = Vec::new();
    match tree.text(ARCHITECTURE).map(|text| text.lines().count()) {
        None => remarks.push(Remark::fault(ARCHITECTURE, 1, "is missing")),
        Some(lines) if lines > ARCHITECTURE_LINES => {
            let message = format!("{lines} lines; {ARCHITECTURE_LINES} is the end: say less");
            remarks.push(Remark::fault(ARCHITECTURE, ARCHITECTURE_LINES + 1, message));
        }
        Some(_) => {}
    }
    for paper in PAPERS {
        for (index, line) in tree.text(paper).unwrap_or_default().lines().enumerate() {
            for path in paths_in(line).filter(|path| !tree.exists(path)) {
                remarks.push(Remark::fault(
                    paper,
                    index + 1,
                    format!("names `{path}`, which does not exist"),
                ));
            }
        }
    }
    remarks
}

/// The paths of this repository that a line names: words that begin with one of its folders, and links between papers.
fn paths_in(line: &str) -> impl Iterator<Item = &str> {
    let words = line
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':')))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    let links = line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    });
    words.chain(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(architecture: &str) -> Vec<String> {
        let tree =
            Tree::from([(ARCHITECTURE, architecture), ("crates/a/src/lib.rs", ""), ("LICENSE-MIT", "")]);
        check(&tree).into_iter().map(|remark| remark.message).collect()
    }

    #[test]
    fn a_path_that_does_not_exist_is_a_fault() {
        assert_eq!(
            faults("see `crates/a/src/gone.rs`."),
            ["names `crates/a/src/gone.rs`, which does not exist"]
        );
        assert_eq!(faults("see [there](docs/gone.md#part)").len(), 2);
        assert_eq!(
            faults("`crates/a/src/lib.rs`, crates/a/, [MIT](LICENSE-MIT), <https://x.org/crates/b>"),
            [""; 0]
        );
    }

    #[test]
    fn a_long_or_missing_architecture_is_a_fault() {
        assert_eq!(faults(&"\n".repeat(201)).len(), 1);
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
