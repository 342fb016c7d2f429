//! Which crate may know which.

use super::Remark;
use super::tree::Tree;

/// Crate, what it never depends on, and why.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("local-postgres", &["confiture", "confiture-cli", "xtask"], "local servers know nothing of Confiture"),
    (
        "recording-clients",
        &["confiture", "confiture-cli", "xtask"],
        "the judge knows nothing of what it judges",
    ),
    ("confiture", &["confiture-cli", "xtask"], "the library knows nothing of who uses it"),
    (
        "confiture",
        &["clap", "indicatif", "comfy-table", "annotate-snippets", "crossterm", "console", "anstream"],
        "the library knows no terminal",
    ),
    ("confiture-cli", &["xtask", "tokio-postgres"], "the program reaches the server through the library"),
    ("xtask", &["confiture", "confiture-cli"], "chores use the program as a user does"),
];

/// What only tests may use, per crate.
const ONLY_IN_TESTS: &[(&str, &[&str])] =
    &[("confiture", &["local-postgres", "recording-clients", "insta", "proptest", "tempfile"])];

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (path, text) in tree.ending("/Cargo.toml") {
        let Some(name) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        else {
            continue;
        };
        for dependency in dependencies(text) {
            for (_, refused, why) in REFUSED.iter().filter(|(of, _, _)| *of == name) {
                // A dev-dependency on a terminal crate is as wrong as any other.
                if refused.contains(&dependency.name) {
                    let message = format!("`{name}` depends on `{}`: {why}", dependency.name);
                    remarks.push(Remark::fault(path, dependency.line, message));
                }
            }
            let only_in_tests =
                ONLY_IN_TESTS.iter().any(|(of, tests)| *of == name && tests.contains(&dependency.name));
            if only_in_tests && dependency.section != "dev-dependencies" {
                let message = format!("`{name}` ships `{}`, which is for tests", dependency.name);
                remarks.push(Remark::fault(path, dependency.line, message));
            }
        }
    }
    remarks
}

struct Dependency<'a> {
    section: &'a str,
    name: &'a str,
    line: usize,
}

/// The dependencies of a manifest in the forms that this workspace uses: `name = …`, `name.workspace = true`, and
/// `[dependencies.name]`.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in manifest.lines().map(str::trim).enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let header = header.rsplit_once("'.").map_or(header, |(_, section)| section);
            let (kind, name) = header.split_once('.').unwrap_or((header, ""));
            section = kind;
            if kind.ends_with("dependencies") && !name.is_empty() {
                found.push(Dependency { section, name, line: index + 1 });
                section = "";
            }
        } else if section.ends_with("dependencies")
            && let Some((key, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            let name = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
            found.push(Dependency { section, name, line: index + 1 });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, manifest: &str) -> Vec<String> {
        check(&Tree::from([(path, manifest)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn refused_directions_are_faults() {
        assert_eq!(
            faults("crates/local-postgres/Cargo.toml", "[dependencies]\nconfiture.workspace = true\n"),
            [
                "crates/local-postgres/Cargo.toml:2: fault: `local-postgres` depends on `confiture`: local servers know \
              nothing of Confiture"
            ]
        );
        assert_eq!(faults("crates/confiture/Cargo.toml", "[dev-dependencies]\nclap = \"4\"\n").len(), 1);
        assert_eq!(
            faults("crates/confiture-cli/Cargo.toml", "[dependencies.xtask]\npath = \"../xtask\"\n").len(),
            1
        );
        assert_eq!(
            faults(
                "crates/xtask/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nconfiture.workspace = true"
            )
            .len(),
            1
        );
    }

    #[test]
    fn what_is_for_tests_does_not_ship() {
        let manifest = |section: &str| format!("[{section}]\nlocal-postgres.workspace = true\n");
        assert_eq!(faults("crates/confiture/Cargo.toml", &manifest("dependencies")).len(), 1);
        assert_eq!(faults("crates/confiture/Cargo.toml", &manifest("dev-dependencies")), [""; 0]);
    }

    #[test]
    fn names_outside_dependency_sections_do_not_count() {
        assert_eq!(
            faults("crates/confiture/Cargo.toml", "[features]\nclap = []\n[package]\nname = \"confiture\"\n"),
            [""; 0]
        );
    }
}
