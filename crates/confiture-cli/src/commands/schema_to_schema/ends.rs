//! The two databases of a migration: named, in the mapping, or remembered by the target.

use std::path::PathBuf;

use confiture::config::{DatabaseName, Flags, Mapping, Spanned};
use confiture::project::{Naming, Project};
use confiture::schema_to_schema::remembered_source;
use confiture::{Error, Result};

use super::options::SchemaToSchemaOptions;
use crate::database::{self, Database};

/// The target.
pub(super) async fn target(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
) -> Result<Database> {
    // DATABASE_URL is not asked: it names the database that the application uses, which is rarely the new one.
    find(project, "--to", options.target.as_deref(), mapping.target.as_ref()).await?.ok_or_else(|| {
        Error::usage("no target database is named")
            .hint("name it with --to (or --target), or write `target:` into the mapping")
    })
}

/// The mapping that an earlier run used, where the command and the project name none.
pub(super) async fn remembered_mapping(target: &Database) -> Result<Option<PathBuf>> {
    let remembered = remembered_source(&target.connection).await?;
    Ok(remembered.and_then(|remembered| remembered.mapping_file).map(PathBuf::from))
}

/// The source, and the name by which the target may remember it.
pub(super) async fn source(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
    target: &Database,
) -> Result<(Database, Option<String>)> {
    let named = options.source.clone().or_else(|| mapping.source.as_ref().map(|source| source.value.clone()));
    if let Some(found) = find(project, "--from", options.source.as_deref(), mapping.source.as_ref()).await? {
        return Ok((found, named.as_deref().and_then(lasting)));
    }
    let Some(remembered) = remembered_source(&target.connection).await? else {
        return Err(Error::usage("no source database is named, and the target remembers none").hint(
            "name it with --from (or --source), or let `confiture migrate schema-to-schema setup` record it",
        ));
    };
    let name = remembered.name.clone().unwrap_or(remembered.dsn);
    let naming = Naming { named: Some(("the source that the target remembers", &name)), database_url: None };
    let found = database::find(project, naming, &Flags::default()).await?;
    Ok((found, remembered.name))
}

async fn find(
    project: &Project,
    flag: &'static str,
    named: Option<&str>,
    written: Option<&Spanned<String>>,
) -> Result<Option<Database>> {
    let flags = Flags::default();
    if let Some(name) = named {
        let naming = Naming { named: Some((flag, name)), database_url: None };
        return database::find(project, naming, &flags).await.map(Some);
    }
    let Some(written) = written else { return Ok(None) };
    let naming = Naming { named: Some(("the mapping", &written.value)), database_url: None };
    database::find(project, naming, &flags).await.map(Some).map_err(|error| written.locate(error))
}

/// A name that leads to the same database tomorrow, from another folder of the project: an environment, `embedded`.
pub(super) fn lasting(name: &str) -> Option<String> {
    match DatabaseName::parse(name).ok()? {
        name @ (DatabaseName::Environment(_) | DatabaseName::Embedded(_)) => Some(name.to_string()),
        DatabaseName::File(_) | DatabaseName::Connection(_) => None,
    }
}
