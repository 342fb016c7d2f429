//! `confiture.yaml`: what holds for every environment of a project.

use std::path::Path;

use crate::config::settings::{Layer, Origin};
use crate::config::settings_file::{fields_of, finish, read_layer};
use crate::config::{Spanned, yaml};
use crate::error::Result;

/// The file at the project's root. Without one, this is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFile {
    /// `default_environment`: what a command works with that names no database.
    pub default_environment: Option<Spanned<String>>,
    /// The settings that it decides.
    pub settings: Layer,
}

impl ProjectFile {
    /// Reads the file's text. `file` is what errors call it; relative paths in it start from `root`, its folder.
    ///
    /// # Errors
    ///
    /// What is not YAML, a key that is not known, a value that cannot be read: with file, line and column.
    pub fn parse(text: &str, file: &Path, root: &Path) -> Result<Self> {
        let document = yaml::parse(text, file)?;
        let mut fields = fields_of(&document, "default_environment: local")?;
        let project = Self {
            default_environment: fields
                .take("default_environment")
                .map(|node| match node.as_text()? {
                    "" => Err(node.must_be("an environment's name")),
                    _ => node.as_spanned_text(),
                })
                .transpose()?,
            settings: read_layer(&mut fields, root, Origin::ProjectFile)?,
        };
        finish(fields, |entry| {
            matches!(entry.key.as_str(), "name" | "database_url" | "database")
                .then_some("each environment has its own: write it into db/environments/NAME.yaml")
        })?;
        Ok(project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProjectFile> {
        ProjectFile::parse(text, "confiture.yaml".as_ref(), "/shop".as_ref())
    }

    #[test]
    fn an_empty_file_decides_nothing() {
        assert_eq!(parse("").unwrap(), ProjectFile::default());
        assert_eq!(parse("# later\n").unwrap(), ProjectFile::default());
    }

    #[test]
    fn reads_the_default_environment_and_settings() {
        let project = parse("default_environment: local\nlock_timeout: 3s\n").unwrap();
        assert_eq!(project.default_environment.unwrap().value, "local");
        assert_eq!(project.settings.lock_timeout.unwrap().origin.to_string(), "confiture.yaml:2:15");
    }

    #[test]
    fn a_database_belongs_to_an_environment() {
        let error = parse("lock_timeout: 3s\ndatabase_url: postgresql://me:hunter2@h/x\n").unwrap_err();
        assert_eq!(error.message(), "unknown key `database_url`");
        assert_eq!(error.place().unwrap().to_string(), "confiture.yaml:2:1");
        assert_eq!(error.hints(), ["each environment has its own: write it into db/environments/NAME.yaml"]);
    }
}
