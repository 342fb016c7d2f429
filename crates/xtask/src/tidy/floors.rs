//! The library's floors: an arrow exists only downwards, and features never import each other.

use super::Remark;
use super::code::{blank_non_code, blank_tests, paths};
use super::tree::Tree;

/// The modules of the library, each on its floor.
pub(super) const FLOORS: &[(usize, &[&str])] = &[
    (0, &["sql", "error", "event", "report", "failpoint"]),
    (1, &["catalog", "config"]),
    (2, &["diff", "lint"]),
    (3, &["postgres", "disk", "hook", "project"]),
    (FEATURES, &["init", "build", "migrate", "schema_diff", "sync", "schema_to_schema"]),
];

const FEATURES: usize = 4;

/// The floor of a top-level module, where it has one.
pub(super) fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// The module path of a file below `src/`: `sql/mod.rs` is `["sql"]`.
pub(super) fn module_path(inner: &str) -> Vec<&str> {
    inner.trim_end_matches(".rs").split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
}

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (path, inner, text) in tree.library() {
        let own = module_path(inner);
        let Some(module) = own.first() else { continue };
        let Some(own_floor) = floor(module) else {
            remarks.push(Remark::fault(
                path,
                1,
                format!("`{module}` is on no floor: add it to the table of floors"),
            ));
            continue;
        };
        for (line, other) in modules_named(text, own.len()) {
            let Some(other_floor) = floor(&other).filter(|_| other != *module) else { continue };
            if other_floor > own_floor {
                let message = format!("`{module}` (floor {own_floor}) knows `{other}` (floor {other_floor})");
                remarks.push(Remark::fault(path, line, message));
            } else if other_floor == FEATURES {
                remarks.push(Remark::fault(
                    path,
                    line,
                    format!("the feature `{module}` knows the feature `{other}`"),
                ));
            }
        }
    }
    remarks
}

/// The top-level modules that a file at module depth `depth` names by `crate::` or by `super::`.
fn modules_named(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = blank_non_code(text);
    let by_crate = paths(&code).into_iter().filter_map(|(line, path)| {
        let rest = path.strip_prefix("crate::")?;
        Some((line, rest.split("::").next()?.to_owned()))
    });
    // Inside a module of tests `super` is one step shorter; tests are held to `crate::` alone.
    let by_super = paths(&blank_tests(&code)).into_iter().filter_map(|(line, path)| {
        let mut parts = path.split("::").peekable();
        let mut steps = 0;
        while parts.next_if_eq(&"super").is_some() {
            steps += 1;
        }
        (steps == depth).then(|| parts.next().map(|name| (line, name.to_owned())))?
    });
    by_crate.chain(by_super).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Tree::from([(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_upwards_is_a_fault() {
        assert_eq!(
            messages(
                "crates/confiture/src/sql/split.rs",
                "use crate::error::Error;\nuse crate::{postgres::Session};"
            ),
            ["crates/confiture/src/sql/split.rs:2: fault: `sql` (floor 0) knows `postgres` (floor 3)"]
        );
        assert_eq!(messages("crates/confiture/src/config/mod.rs", "fn f() { super::disk::read() }").len(), 1);
        assert_eq!(
            messages("crates/confiture/src/config/secret.rs", "use super::super::build::plan;").len(),
            1
        );
        assert_eq!(messages("crates/confiture/src/event.rs", "use super::build::plan;").len(), 1);
    }

    #[test]
    fn features_do_not_know_each_other() {
        assert_eq!(
            messages("crates/confiture/src/build/mod.rs", "crate::schema_to_schema::plan()"),
            [
                "crates/confiture/src/build/mod.rs:1: fault: the feature `build` knows the feature `schema_to_schema`"
            ]
        );
    }

    #[test]
    fn tests_of_a_feature_are_held_to_it_too() {
        let text = "#[cfg(test)]\nmod tests { use crate::sync::plan; }";
        assert_eq!(messages("crates/confiture/src/build/mod.rs", text).len(), 1);
    }

    #[test]
    fn a_module_on_no_floor_is_a_fault() {
        assert_eq!(messages("crates/confiture/src/extras.rs", "").len(), 1);
    }

    #[test]
    fn downwards_and_within_a_module_is_fine() {
        let text = "use crate::{postgres, disk, sql::Sql, Error};\nuse super::plan;\n// crate::sync\n";
        assert_eq!(messages("crates/confiture/src/build/order.rs", text), [""; 0]);
    }
}
