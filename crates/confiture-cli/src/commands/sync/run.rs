//! The steps, done: flags in, what the library reports out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use confiture::config::mapping::TableName;
use confiture::config::{Flags, SyncRules};
use confiture::project::{Naming, Project};
use confiture::sql::Identifier;
use confiture::sync::{self, Manifest, MasterKey, Options, RiskQuestion};
use confiture::{Error, Result, disk};
use serde_json::json;

use super::flags::SyncFlags;
use super::{Risk, key};
use crate::confirm::confirm;
use crate::database::{self, Database};
use crate::invocation::Invocation;
use crate::output::{Reply, as_value, numbers, sentence, sync as page};
use crate::runtime;

/// The rules of a project.
const RULES: &str = "db/sync_config.yaml";
/// Where the last run's manifest is.
const MANIFEST: &str = ".confiture/sync-manifest.json";

/// A plan, and the databases: a local server runs as long as they are held.
struct Prepared {
    sync: Arc<sync::Sync>,
    key: Option<MasterKey>,
    _ends: (Database, Database),
}

/// Does it all.
pub(super) fn sync(invocation: &Invocation, flags: &SyncFlags) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    runtime::run(invocation, async |execution| {
        let prepared = prepare(invocation, &project, flags).await?;
        let plan = prepared.sync.as_plan();
        for note in &plan.notes {
            execution.note(sentence(note));
        }
        let what = format!(
            "replacing the rows of {} in {} with those of {}, {} masked",
            numbers::count(plan.tables.len(), "table"),
            plan.target,
            plan.source,
            numbers::count(plan.masked_columns(), "column"),
        );
        confirm(&invocation.terminal, &execution, flags.yes, &what).await?;
        let file = manifest_file(&project, flags);
        prepare_folder(&file)?;
        let report = prepared.sync.execute(&execution).await?;
        let manifest = Manifest::of(plan, &report, prepared.key.as_ref());
        disk::write_atomically(&file, &manifest.render())
            .map_err(|error| error.context("the sync is done, but its manifest cannot be written"))?;
        for warning in &report.warnings {
            execution.warn(sentence(warning));
        }
        let result = json!({ "report": report, "manifest": file });
        Reply::new(&result, page::report(&report, plan, &file, invocation.terminal.stdout))
    })
}

/// Shows what would be done.
pub(super) fn plan(invocation: &Invocation, flags: &SyncFlags) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    runtime::run(invocation, async |_| {
        let prepared = prepare(invocation, &project, flags).await?;
        let (plan, preview) = (prepared.sync.as_plan(), prepared.sync.preview().await?);
        let result = json!({ "plan": plan, "preview": preview });
        Reply::new(&result, page::plan(plan, &preview, invocation.terminal.stdout))
    })
}

/// Writes a first rules file.
pub(super) fn suggest(invocation: &Invocation, flags: &SyncFlags, output: Option<&Path>) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    runtime::run(invocation, async |_| {
        let source = find(&project, "--from", flags.from.as_deref()).await?;
        let suggestion = sync::suggest(&source.connection, &tables(flags)).await?;
        let Some(file) = output else { return Reply::new(&suggestion, suggestion.text.clone()) };
        prepare_folder(file)?;
        if !disk::write_new_file(file, &suggestion.text)? {
            return Err(Error::refused(format!("{} is there already", file.display()))
                .hint("move it away, or write into another file and compare"));
        }
        let masked = suggestion.columns.iter().filter(|column| column.rule != "keep").count();
        let text = format!(
            "Wrote {}: {} classified, {masked} of them masked. Read every line before you rely on it.\n",
            file.display(),
            numbers::count(suggestion.columns.len(), "column")
        );
        let mut result = as_value(&suggestion)?;
        result["output"] = json!(file);
        Reply::new(&result, text)
    })
}

/// Compares a database with a manifest.
pub(super) fn verify(invocation: &Invocation, flags: &SyncFlags) -> Result<Reply> {
    let surroundings = invocation.surroundings();
    let project = Project::open(&surroundings)?;
    let file = manifest_file(&project, flags);
    let manifest =
        Manifest::parse(&disk::read_text(&file)?).map_err(|error| error.context(file.display()))?;
    let key = key::read(&rules(&project, flags)?, &project, &surroundings)?;
    runtime::run(invocation, async |_| {
        let target = find(&project, "--to", flags.to.as_deref()).await?;
        let check = manifest.check(&target.connection, key.as_ref()).await?;
        Ok(Reply::new(&check, page::check(&check, &manifest, invocation.terminal.stdout))?
            .but(check.verdict()))
    })
}

/// Says how well rows hide among each other.
pub(super) fn risk(invocation: &Invocation, flags: &SyncFlags, asked: &Risk) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    let wrong = || {
        Error::usage(format!("`{}` is not TABLE:COLUMN,COLUMN", asked.quasi))
            .hint("as in --quasi users:dob,zip,gender")
    };
    let (table, columns) = asked.quasi.split_once(':').ok_or_else(wrong)?;
    let question = RiskQuestion {
        table: TableName::read(table.trim())?,
        quasi: columns.split(',').map(|name| Identifier::new(name.trim())).collect(),
        sensitive: asked.sensitive.as_deref().map(Identifier::new),
        k: asked.k,
    };
    runtime::run(invocation, async |execution| {
        let report = match (&flags.from, &flags.to) {
            // Both: what a sync would bring from the one to the other.
            (Some(_), Some(_)) => {
                let prepared = prepare(invocation, &project, flags).await?;
                prepared.sync.assess_risk(&question, &execution).await?
            }
            (from, None) => {
                let database = find(&project, "--from", from.as_deref()).await?;
                sync::assess_risk(&database.connection, &question).await?
            }
            (None, to) => {
                let database = find(&project, "--to", to.as_deref()).await?;
                sync::assess_risk(&database.connection, &question).await?
            }
        };
        Ok(Reply::new(&report, page::risk(&report, invocation.terminal.stdout))?.but(report.verdict()))
    })
}

/// Throws away what a run that was stopped has left.
pub(super) fn repair(invocation: &Invocation, flags: &SyncFlags) -> Result<Reply> {
    let project = Project::open(&invocation.surroundings())?;
    runtime::run(invocation, async |_| {
        let target = find(&project, "--to", flags.to.as_deref()).await?;
        let text = match sync::repair(&target.connection).await? {
            None => "There is nothing to repair: no run has left anything. A sync changes what others see in one transaction.\n"
                .to_owned(),
            Some(remains) => {
                let text = format!(
                    "Threw away the quarantine of the run of {}, with {}. The tables outside of it are as they were.\n",
                    remains.since,
                    numbers::count(remains.tables.len(), "table")
                );
                return Reply::new(&json!({ "removed": remains }), text);
            }
        };
        Reply::new(&json!({ "removed": null }), text)
    })
}

async fn prepare(invocation: &Invocation, project: &Project, flags: &SyncFlags) -> Result<Prepared> {
    let rules = rules(project, flags)?;
    let source = find(project, "--from", flags.from.as_deref()).await?;
    let target = find(project, "--to", flags.to.as_deref()).await?;
    let key = if flags.ephemeral_key {
        Some(MasterKey::ephemeral()?)
    } else {
        key::read(&rules, project, &invocation.surroundings())?
    };
    let defaults = Options::new(source.connection.clone(), target.connection.clone(), rules);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let options = Options {
        target_is_production: target.settings.production.value,
        tables: tables(flags),
        anonymize: flags.anonymize.iter().flat_map(|columns| columns.0.clone()).collect(),
        key: key.clone(),
        ephemeral: flags.ephemeral_key,
        unclassified: flags.unclassified,
        workers: flags.jobs.map_or(processors.min(4), usize::from),
        quarantine: flags.quarantine,
        resume: flags.resume,
        lock_timeout: target.settings.lock_timeout.value,
        max_rows: flags.max_rows.or(defaults.rules.max_rows),
        ..defaults
    };
    let sync = Arc::new(sync::Sync::plan(options).await?);
    Ok(Prepared { sync, key, _ends: (source, target) })
}

fn tables(flags: &SyncFlags) -> Vec<TableName> {
    flags.tables.iter().flat_map(|tables| tables.0.clone()).collect()
}

fn rules(project: &Project, flags: &SyncFlags) -> Result<SyncRules> {
    match &flags.config {
        Some(file) => SyncRules::parse(&disk::read_text(file)?, file),
        None => {
            let file = project.root.join(RULES);
            match disk::read_text_if_present(&file)? {
                Some(text) => SyncRules::parse(&text, &file),
                None => Ok(SyncRules::default()),
            }
        }
    }
}

async fn find(project: &Project, flag: &'static str, named: Option<&str>) -> Result<Database> {
    // DATABASE_URL is not asked: what is copied where is said, or nothing is done.
    let Some(name) = named else {
        return Err(Error::usage(format!("{flag} is missing"))
            .hint("as in `confiture sync --from production --to local`"));
    };
    database::find(project, Naming { named: Some((flag, name)), database_url: None }, &Flags::default()).await
}

fn manifest_file(project: &Project, flags: &SyncFlags) -> PathBuf {
    flags.manifest.clone().unwrap_or_else(|| project.root.join(MANIFEST))
}

fn prepare_folder(file: &Path) -> Result<()> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => disk::create_folder(folder),
        None => Ok(()),
    }
}
