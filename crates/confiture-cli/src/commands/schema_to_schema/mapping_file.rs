//! Where the mapping comes from.

use std::path::{Path, PathBuf};

use confiture::config::Mapping;
use confiture::config::Spanned;
use confiture::config::mapping::{
    ColumnMapping, ColumnValue, FromClause, TableMapping, TableName, UnnamedColumns,
};
use confiture::project::Project;
use confiture::sql::Identifier;
use confiture::{Error, Result, disk};

use super::options::MappingFrom;

/// Where a project keeps its mappings, one folder for each migration.
const FOLDER: &str = "db/migrations/schema_to_schema";

/// The mapping, and the file that it was read from.
pub(super) fn read(project: &Project, from: &MappingFrom) -> Result<(Mapping, Option<PathBuf>)> {
    let file = match from {
        MappingFrom::Table { source, target, columns } => {
            return Ok((of_table(source, target, columns), None));
        }
        MappingFrom::File(file) => Some(file.clone()),
        MappingFrom::Project => find(project)?,
    };
    match file {
        Some(file) => Ok((Mapping::parse(&disk::read_text(&file)?, &file)?, Some(file))),
        None => Ok((by_name(), None)),
    }
}

/// Tables and columns of the same name.
fn by_name() -> Mapping {
    Mapping { others_by_name: true, ..Mapping::default() }
}

/// The project's only mapping; none where it has none.
fn find(project: &Project) -> Result<Option<PathBuf>> {
    let folder = project.root.join(FOLDER);
    let is_mapping = |file: &PathBuf| {
        file.components().count() == 2 && file.file_name().is_some_and(|name| name == "config.yaml")
    };
    let mut found: Vec<PathBuf> = disk::files_below(&folder)?.into_iter().filter(is_mapping).collect();
    if found.len() > 1 {
        let error = Error::config(format!("{} holds {} mappings", folder.display(), found.len()));
        return Err(found.iter().fold(error, |error, file| {
            error.hint(format!("name the one that is meant: --mapping {}", folder.join(file).display()))
        }));
    }
    Ok(found.pop().map(|file| folder.join(file)))
}

fn of_table(source: &TableName, target: &TableName, columns: &[(Identifier, Identifier)]) -> Mapping {
    let unnamed_columns = if columns.is_empty() { UnnamedColumns::SameName } else { UnnamedColumns::Default };
    let renamed = columns.iter().map(|(source, target)| ColumnMapping {
        column: Spanned::nowhere(target.clone()),
        value: Spanned::nowhere(ColumnValue::Column(source.clone())),
    });
    let table = TableMapping {
        from: Spanned::nowhere(FromClause::table(source.clone())),
        columns: renamed.collect(),
        unnamed_columns,
        ..TableMapping::same_name(Spanned::nowhere(target.clone()))
    };
    Mapping { tables: vec![table], ..Mapping::default() }
}

/// Writes a mapping's text to a file that is not there yet.
pub(super) fn write(text: &str, file: &Path) -> Result<()> {
    if disk::write_new_file(file, text)? {
        return Ok(());
    }
    Err(Error::refused(format!("{} is there already, and a mapping is never overwritten", file.display()))
        .hint("name another file, or move this one away"))
}

#[cfg(test)]
mod tests {
    use confiture::config::Surroundings;

    use super::*;

    fn project(mappings: &[&str]) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        for name in mappings {
            let folder = folder.path().join(FOLDER).join(name);
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join("config.yaml"), "tables:\n  users:\n    from: people\n").unwrap();
        }
        fs_err::write(folder.path().join("confiture.yaml"), "").unwrap();
        let surroundings = Surroundings { folder: folder.path().to_owned(), ..Surroundings::default() };
        let project = Project::open(&surroundings).unwrap();
        (folder, project)
    }

    #[test]
    fn the_only_one_is_found() {
        let (_folder, one) = project(&["v1_to_v2"]);
        let (mapping, file) = read(&one, &MappingFrom::Project).unwrap();
        assert_eq!(mapping.tables.len(), 1);
        assert!(file.unwrap().ends_with("v1_to_v2/config.yaml"));
    }

    #[test]
    fn without_one_names_stay() {
        let (_folder, none) = project(&[]);
        let (mapping, file) = read(&none, &MappingFrom::Project).unwrap();
        assert!(mapping.others_by_name && mapping.tables.is_empty() && file.is_none());
    }

    #[test]
    fn several_are_listed() {
        let (_folder, two) = project(&["v1_to_v2", "v2_to_v3"]);
        let error = read(&two, &MappingFrom::Project).unwrap_err();
        assert_eq!((error.kind(), error.hints().len()), (confiture::ErrorKind::Config, 2));
        assert!(error.hints()[1].ends_with("v2_to_v3/config.yaml"), "{error:?}");
    }
}
