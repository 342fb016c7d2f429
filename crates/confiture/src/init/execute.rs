//! Reading what is there and writing what is missing.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::Result;
use crate::init::{Existing, Plan};

/// What `init` did. Paths are relative to the project's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Files and folders that are new.
    pub created: Vec<PathBuf>,
    /// Files that were there and are as they were.
    pub kept: Vec<PathBuf>,
    /// True where `.gitignore` got its line.
    pub gitignore_extended: bool,
}

impl Report {
    /// True where everything was there already.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.created.is_empty() && !self.gitignore_extended
    }
}

/// Reads what is there already. `schema_folder` is relative to `root`: `db/schema`, or the value of `--schema-dir`.
///
/// # Errors
///
/// A folder or a file that cannot be read.
pub fn read_existing(root: &Path, schema_folder: &Path) -> Result<Existing> {
    let mut existing = Existing::default();
    for folder in [schema_folder, Path::new("db/environments"), Path::new("db/migrations")] {
        let files = disk::files_below(&root.join(folder))?;
        existing.files.extend(files.into_iter().map(|file| folder.join(file)));
        // A folder with nothing in it is there too.
        if disk::is_folder(&root.join(folder)) {
            existing.files.insert(folder.to_owned());
        }
    }
    if disk::is_file(&root.join("confiture.yaml")) {
        existing.files.insert("confiture.yaml".into());
    }
    existing.gitignore = disk::read_text_if_present(&root.join(".gitignore"))?;
    Ok(existing)
}

/// Writes what is planned. A file that has appeared since the plan was made is kept.
///
/// # Errors
///
/// A folder or a file that cannot be written. What was written until then stays; `init` again goes on from there.
pub fn execute(plan: &Plan, root: &Path) -> Result<Report> {
    let mut report = Report { kept: plan.kept.clone(), ..Report::default() };
    for file in &plan.files {
        let list = if disk::write_new_file(&root.join(&file.path), &file.contents)? {
            &mut report.created
        } else {
            &mut report.kept
        };
        list.push(file.path.clone());
    }
    for folder in &plan.folders {
        disk::create_folder(&root.join(folder))?;
        // Git does not keep an empty folder, and a missing one is an error for those who read it.
        disk::write_new_file(&root.join(folder).join(".gitkeep"), "")?;
        report.created.push(folder.clone());
    }
    if let Some(text) = &plan.gitignore {
        disk::append_text(&root.join(".gitignore"), text)?;
        report.gitignore_extended = true;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::{plan_project, plan_schema};

    fn init(root: &Path) -> Result<Report> {
        let existing = read_existing(root, Path::new("db/schema"))?;
        execute(&plan_project("shop", &existing), root)
    }

    #[test]
    fn twice_changes_nothing_the_second_time() {
        let folder = tempfile::tempdir().unwrap();
        // A project's folder that does not exist yet is made.
        let root = folder.path().join("new/shop");
        let first = init(&root).unwrap();
        assert_eq!((first.created.len(), first.kept.len()), (12, 0));
        assert!(first.gitignore_extended);
        assert!(first.created.iter().all(|path| root.join(path).exists()));

        let users = root.join("db/schema/10_tables/10_users.sql");
        std::fs::write(&users, "-- mine").unwrap();
        let second = init(&root).unwrap();
        assert!(second.is_unchanged(), "{second:?}");
        assert_eq!(second.kept.len(), 11);
        assert_eq!(std::fs::read_to_string(&users).unwrap(), "-- mine");
        assert_eq!(std::fs::read_to_string(root.join(".gitignore")).unwrap(), ".confiture/\n");
    }

    #[test]
    fn a_file_that_appears_after_the_plan_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let plan = plan_schema(Path::new("ddl"), &Existing::default());
        let late = root.path().join("ddl/00_common/types.sql");
        std::fs::create_dir_all(late.parent().unwrap()).unwrap();
        std::fs::write(&late, "-- mine").unwrap();
        let report = execute(&plan, root.path()).unwrap();
        assert_eq!(report.kept, [PathBuf::from("ddl/00_common/types.sql")]);
        assert_eq!(report.created.len(), 6);
        assert_eq!(std::fs::read_to_string(&late).unwrap(), "-- mine");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_one_clear_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("db"), "a file where the folder should be").unwrap();
        let error = init(root.path()).unwrap_err();
        let shown = error.message().replace(root.path().to_str().unwrap(), "ROOT");
        insta::assert_snapshot!(shown, @"cannot create the folder ROOT/db/schema/00_common: it is not a folder");
    }
}
