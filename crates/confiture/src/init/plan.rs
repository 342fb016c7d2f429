//! What `init` would write, as data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What is there already. Paths are relative to the project's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// The files of the folders that `init` writes to.
    pub files: BTreeSet<PathBuf>,
    /// What is in `.gitignore`, where there is one.
    pub gitignore: Option<String>,
}

/// What is written and what is kept. Paths are relative to the project's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// New files.
    pub files: Vec<NewFile>,
    /// New folders with nothing in them yet.
    pub folders: Vec<PathBuf>,
    /// Files that are there and stay as they are.
    pub kept: Vec<PathBuf>,
    /// What is added at the end of `.gitignore`.
    pub gitignore: Option<String>,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path.
    pub path: PathBuf,
    /// What is in it.
    pub contents: String,
}

/// The example schema. Files run in the order of their paths, which is the order of what needs what.
const SCHEMA: [(&str, &str); 7] = [
    ("00_common/extensions.sql", include_str!("files/extensions.sql")),
    ("00_common/types.sql", include_str!("files/types.sql")),
    ("10_tables/10_users.sql", include_str!("files/users.sql")),
    ("10_tables/20_posts.sql", include_str!("files/posts.sql")),
    ("15_functions/display_name.sql", include_str!("files/display_name.sql")),
    ("20_views/user_stats.sql", include_str!("files/user_stats.sql")),
    ("30_functions/calculate_score.sql", include_str!("files/calculate_score.sql")),
];

/// The migration that makes the example schema, which goes where SCHEMA stands. Its version goes where VERSION stands.
const FIRST_MIGRATION: [(&str, &str); 2] = [
    ("first.up.sql", include_str!("files/first.up.sql")),
    ("first.down.sql", include_str!("files/first.down.sql")),
];

const MIGRATIONS: &str = "db/migrations";

const ENVIRONMENTS: [(&str, &str); 3] = [
    ("local.yaml", include_str!("files/local.yaml")),
    ("test.yaml", include_str!("files/test.yaml")),
    ("production.yaml", include_str!("files/production.yaml")),
];

/// The line of `.gitignore`: the embedded server's data and the build cache are nobody's source.
const IGNORED: &str = ".confiture/";

/// A whole project, whose databases are called after `name`.
#[must_use]
pub fn plan_project(name: &str, existing: &Existing) -> Plan {
    let name = database_name(name);
    let mut plan = plan_schema(Path::new("db/schema"), existing);

    let environments = Path::new("db/environments");
    let theirs = plan.add_examples(environments, "yaml", &ENVIRONMENTS, existing);
    for file in &mut plan.files {
        if file.path.starts_with(environments) {
            file.contents = file.contents.replace("PROJECT", &name);
        }
    }
    let mut project_file = include_str!("files/confiture.yaml").to_owned();
    if theirs && !existing.files.contains(&environments.join("local.yaml")) {
        project_file = project_file.replace("default_environment: local", "# default_environment: NAME");
    }
    plan.add("confiture.yaml".into(), project_file, existing);

    let migrations = Path::new(MIGRATIONS);
    if !existing.files.iter().any(|file| file.starts_with(migrations)) {
        plan.folders.push(migrations.to_owned());
    }
    plan.gitignore = missing_ignore(existing.gitignore.as_deref());
    plan
}

/// Only a tree of DDL: `init --schema-dir DIR`.
#[must_use]
pub fn plan_schema(folder: &Path, existing: &Existing) -> Plan {
    let mut plan = Plan::default();
    plan.add_examples(folder, "sql", &SCHEMA, existing);
    plan
}

impl Plan {
    /// Adds the migration that makes the example schema, where the example is written and there are no migrations yet: with it the
    /// next one holds no more than what has changed.
    pub fn add_first_migration(&mut self, version: &str, existing: &Existing) {
        let is_planned =
            |path: &str| self.files.iter().any(|file| file.path == Path::new("db/schema").join(path));
        let migrations = Path::new(MIGRATIONS);
        // The folder itself, and what git keeps it by, are none.
        let is_file = |file: &PathBuf| {
            file.starts_with(migrations) && file != migrations && !file.ends_with(".gitkeep")
        };
        if existing.files.iter().any(is_file) || !SCHEMA.iter().all(|(path, _)| is_planned(path)) {
            return;
        }
        self.folders.retain(|folder| folder != migrations);
        for (name, text) in FIRST_MIGRATION {
            let path = migrations.join(format!("{version}_{name}"));
            let contents = text.replace("VERSION", version).replace("SCHEMA", &schema_in_one());
            self.files.push(NewFile { path, contents });
        }
    }

    /// Puts these files, relative to `folder`, in the place of the example schema.
    ///
    /// # Errors
    ///
    /// A folder that holds SQL files: two schemas in one folder would be neither.
    pub fn replace_schema(&mut self, folder: &Path, files: Vec<NewFile>, existing: &Existing) -> Result<()> {
        let is_sql = |file: &&PathBuf| {
            file.starts_with(folder)
                && file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sql"))
        };
        if let Some(file) = existing.files.iter().find(is_sql) {
            return Err(Error::refused(format!(
                "{} holds a schema already: {}",
                folder.display(),
                file.display()
            ))
            .hint("name another folder with --schema-dir, or move these files away"));
        }
        self.files.retain(|file| !file.path.starts_with(folder));
        self.folders.retain(|known| known != folder);
        if files.is_empty() {
            self.folders.push(folder.to_owned());
        }
        let below = files.into_iter().map(|file| NewFile { path: folder.join(file.path), ..file });
        self.files.splice(0..0, below);
        Ok(())
    }

    /// Plans files for `folder`, unless somebody has put files of their own there: examples would only disturb them.
    /// Returns whether that is so.
    fn add_examples(
        &mut self,
        folder: &Path,
        ending: &str,
        examples: &[(&str, &str)],
        existing: &Existing,
    ) -> bool {
        let present = || {
            let inside = existing.files.iter().filter(|file| file.starts_with(folder));
            inside.filter(|file| file.extension().is_some_and(|found| found == ending))
        };
        let ours = |file: &Path| examples.iter().any(|(path, _)| folder.join(path) == file);
        if present().any(|file| !ours(file)) {
            self.kept.extend(present().cloned());
            return true;
        }
        for (path, contents) in examples {
            self.add(folder.join(path), (*contents).to_owned(), existing);
        }
        false
    }

    fn add(&mut self, path: PathBuf, contents: String, existing: &Existing) {
        if existing.files.contains(&path) {
            self.kept.push(path);
        } else {
            self.files.push(NewFile { path, contents });
        }
    }

    /// True where there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty() && self.gitignore.is_none()
    }
}

/// The example schema as one text, without what is said in front of each file.
fn schema_in_one() -> String {
    let is_said = |line: &&str| line.is_empty() || line.starts_with("--");
    let texts = SCHEMA.map(|(_, text)| text.lines().skip_while(is_said).collect::<Vec<_>>().join("\n"));
    let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

/// What `.gitignore` lacks, with the line end that it may lack too.
fn missing_ignore(gitignore: Option<&str>) -> Option<String> {
    let text = gitignore.unwrap_or_default();
    if text.lines().any(|line| line.trim().trim_matches('/') == ".confiture") {
        return None;
    }
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Some(format!("{line_end}{IGNORED}\n"))
}

/// A folder's name as the name of a database that needs no quotes anywhere: in a URL, in SQL, in a shell.
fn database_name(folder: &str) -> String {
    let mut name = String::new();
    for character in folder.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => name.push(character),
            _ if name.is_empty() || name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    // PostgreSQL cuts names after 63 bytes, and "_local" comes after this.
    name.truncate(50);
    let name = name.trim_end_matches('_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.to_owned() } else { format!("app{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn existing(files: &[&str], gitignore: Option<&str>) -> Existing {
        Existing { files: files.iter().map(PathBuf::from).collect(), gitignore: gitignore.map(str::to_owned) }
    }

    fn paths(plan: &Plan) -> Vec<&str> {
        plan.files.iter().map(|file| file.path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_new_project_gets_everything_in_the_order_of_the_build() {
        let plan = plan_project("My Shop", &Existing::default());
        assert_eq!(
            paths(&plan),
            [
                "db/schema/00_common/extensions.sql",
                "db/schema/00_common/types.sql",
                "db/schema/10_tables/10_users.sql",
                "db/schema/10_tables/20_posts.sql",
                "db/schema/15_functions/display_name.sql",
                "db/schema/20_views/user_stats.sql",
                "db/schema/30_functions/calculate_score.sql",
                "db/environments/local.yaml",
                "db/environments/test.yaml",
                "db/environments/production.yaml",
                "confiture.yaml",
            ]
        );
        assert!(paths(&plan)[..7].is_sorted());
        assert_eq!(plan.folders, [PathBuf::from("db/migrations")]);
        assert_eq!(plan.gitignore.as_deref(), Some(".confiture/\n"));
        assert!(plan.kept.is_empty());
        assert!(plan.files[7].contents.contains("postgresql:///my_shop_local}"));
        assert!(plan.files.iter().all(|file| !file.contents.contains("PROJECT}")));
    }

    #[test]
    fn the_first_migration_comes_with_the_example_schema_only() {
        let planned = |existing: &Existing| {
            let mut plan = plan_project("shop", existing);
            plan.add_first_migration("20260101120000", existing);
            let migrations = plan.files.iter().filter(|file| file.path.starts_with("db/migrations"));
            let migrations: Vec<_> = migrations.map(|file| file.path.display().to_string()).collect();
            (migrations.join(" "), plan.folders.len())
        };
        let both = "db/migrations/20260101120000_first.up.sql db/migrations/20260101120000_first.down.sql";
        assert_eq!(planned(&Existing::default()), (both.to_owned(), 0));
        for empty in [&["db/migrations"][..], &["db/migrations", "db/migrations/.gitkeep"]] {
            assert_eq!(planned(&existing(empty, None)), (both.to_owned(), 0), "{empty:?}");
        }
        assert_eq!(planned(&existing(&["db/schema/own.sql"], None)), (String::new(), 1));
        assert_eq!(planned(&existing(&["db/migrations/001_x.up.sql"], None)), (String::new(), 0));
    }

    #[test]
    fn what_is_there_is_kept_and_the_rest_is_written() {
        let plan = plan_project("shop", &existing(&["confiture.yaml", "db/environments/local.yaml"], None));
        assert_eq!(plan.kept, [PathBuf::from("db/environments/local.yaml"), "confiture.yaml".into()]);
        assert!(paths(&plan).contains(&"db/environments/test.yaml"));
    }

    #[test]
    fn examples_do_not_mix_with_files_of_somebodys_own() {
        let plan = plan_project(
            "shop",
            &existing(
                &["db/environments/dev.yaml", "db/schema/tables.sql", "db/migrations/001_x.up.sql"],
                None,
            ),
        );
        assert_eq!(paths(&plan), ["confiture.yaml"]);
        assert!(plan.files[0].contents.contains("\n# default_environment: NAME\n"));
        assert_eq!(plan.kept, [PathBuf::from("db/schema/tables.sql"), "db/environments/dev.yaml".into()]);
        assert!(plan.folders.is_empty());
    }

    #[test]
    fn a_schema_alone_is_only_its_tree() {
        let plan = plan_schema(Path::new("db/new_schema"), &existing(&["db/schema/a.sql"], None));
        assert!(paths(&plan).iter().all(|path| path.starts_with("db/new_schema/")));
        assert_eq!((plan.files.len(), plan.folders.len(), plan.gitignore), (7, 0, None));
    }

    #[test]
    fn gitignore_gets_its_line_once() {
        for (text, expected) in [
            (None, Some(".confiture/\n")),
            (Some(""), Some(".confiture/\n")),
            (Some("/target\n"), Some(".confiture/\n")),
            (Some("/target"), Some("\n.confiture/\n")),
            (Some("# .confiture/\n"), Some(".confiture/\n")),
            (Some("a\n.confiture/\nb\n"), None),
            (Some("/.confiture\r\n"), None),
        ] {
            assert_eq!(missing_ignore(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_database_is_called_after_the_folder() {
        for (folder, expected) in [
            ("shop", "shop"),
            ("My Shop", "my_shop"),
            ("web-shop.git", "web_shop_git"),
            ("--x--", "x"),
            ("2024", "app2024"),
            ("Łódź", "d"),
            ("", "app"),
        ] {
            assert_eq!(database_name(folder), expected, "{folder}");
        }
        assert!(database_name(&"a_".repeat(60)).len() <= 50);
    }
}
