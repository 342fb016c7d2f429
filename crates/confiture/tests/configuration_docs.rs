//! `docs/configuration.md` says what is true: its examples can be read, and no key is missing.

use std::path::Path;

use confiture::config::{Environment, ProjectFile};

const DOCS: &str = include_str!("../../../docs/configuration.md");

#[test]
fn the_examples_can_be_read() {
    let mut count = 0;
    for example in DOCS.split("```yaml\n").skip(1) {
        let (example, _) = example.split_once("```").unwrap();
        let (file, root) = (Path::new("example.yaml"), Path::new(""));
        let read = if example.contains("default_environment") {
            ProjectFile::parse(example, file, root).map(drop)
        } else {
            Environment::parse(example, file, root).map(drop)
        };
        read.unwrap_or_else(|error| panic!("{error:?}\n{example}"));
        count += 1;
    }
    assert_eq!(count, 3);
}

/// The readers list the keys that they know when they meet one that they do not.
#[test]
fn every_key_is_described() {
    let (file, root) = (Path::new("example.yaml"), Path::new(""));
    let errors = [
        Environment::parse("zzz: 1", file, root).unwrap_err(),
        Environment::parse("database: {zzz: 1}", file, root).unwrap_err(),
        ProjectFile::parse("zzz: 1", file, root).unwrap_err(),
    ];
    for error in errors {
        let known = error.hints().iter().find_map(|hint| hint.strip_prefix("known keys: ")).unwrap();
        for key in known.split(", ") {
            assert!(DOCS.contains(&format!("`{key}`")), "{key} is not described");
        }
    }
}
