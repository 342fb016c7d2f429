//! `confiture migrate validate`.

use std::fmt::Write as _;

use confiture::build::{BuildOptions, SchemaBuilder, Tree};
use confiture::config::{Origin, Settings};
use confiture::diff::not_shared;
use confiture::event::Execution;
use confiture::migrate::{Finding, Folder, Rehearsal, check_folder, lint_folder, rehearse};
use confiture::postgres::outlasting::refuse_what_outlasts;
use confiture::postgres::scratch::in_scratch;
use confiture::postgres::{Reading, Session, read_objects};
use confiture::project::Project;
use confiture::{Error, ErrorKind, Result};
use serde_json::json;

use super::whereabouts::{Whereabouts, read_there};
use crate::database;
use crate::invocation::Invocation;
use crate::output::numbers::count;
use crate::output::style::Style;
use crate::output::{Reply, sentence};
use crate::runtime;

/// Checks the migrations: the files, the database's history, and both directions in a scratch database.
///
/// The files: versions, pairs, gaps, what cannot be run, what lint says. The history, where a database is named: changed files,
/// files that are gone, what is out of order; what is pending is held against the sizes of its tables. Then all migrations run in a scratch database: up, down, up again; what they make
/// is compared with the schema files.
#[derive(Debug, clap::Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    whereabouts: Whereabouts,

    /// Run nothing: only look at the files and the history.
    #[arg(long)]
    no_run: bool,

    /// Do not look at the migrations with the rules of `confiture lint`.
    #[arg(long)]
    no_lint: bool,

    /// Do not compare with the schema files.
    #[arg(long)]
    no_schema: bool,

    /// The server for scratch databases; the embedded one, where none is named.
    #[arg(long, value_name = "URL")]
    scratch_url: Option<String>,
}

impl Validate {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        runtime::run(invocation, async |execution| {
            let mut flags = self.whereabouts.flags(None);
            flags.scratch_url.clone_from(&self.scratch_url);
            let mut notes = Vec::new();
            let (settings, of_history) = match self.whereabouts.find_with(&project, &flags, None).await {
                Ok(found) => {
                    let mut findings = Finding::of_status(&found.migrator.status().await?);
                    if !self.no_lint {
                        findings.extend(Finding::of_lint(&found.migrator.lint_pending().await?, true));
                    }
                    (found.database.settings.clone(), Some(findings))
                }
                Err(error) if error.kind() == ErrorKind::Usage => {
                    notes.push("no database is named, so no history was compared".to_owned());
                    (project.settings(&flags)?, None)
                }
                Err(error) => return Err(error),
            };
            let folder = read_there(&settings)?;
            let mut findings = check_folder(&folder);
            match of_history {
                Some(of_history) => findings.extend(of_history),
                // Nobody knows which of them are applied everywhere: those are as they are.
                None if !self.no_lint => {
                    let waits = !settings.lock_timeout.value.is_zero();
                    findings.extend(Finding::of_lint(&lint_folder(&folder, |_| true, None, waits), false));
                }
                None => {}
            }
            let is_fit = !findings.iter().any(|finding| matches!(finding.code, "empty" | "unfit"));
            let mut rehearsal = None;
            if !self.no_run && is_fit && !folder.migrations.is_empty() {
                let scratch = database::scratch_for(&project, &settings, folder.texts()).await?;
                let rehearsed = rehearse(&scratch.connection, &folder, &execution).await?;
                findings.extend(Finding::of_rehearsal(&rehearsed));
                if !self.no_schema {
                    match compare(&project, &settings, &rehearsed, &execution).await? {
                        Compared::With(finding) => findings.extend(finding),
                        Compared::NoFiles => {
                            notes.push("there are no schema files to compare with".to_owned());
                        }
                    }
                }
                rehearsal = Some(rehearsed);
            }
            reply(invocation.terminal.stdout, &folder, &findings, &notes, rehearsal.as_ref())
        })
    }
}

/// The schema folders, without rows.
fn tree(project: &Project, settings: &Settings) -> Tree {
    Tree {
        schema_dirs: project.schema_dirs(settings),
        anywhere: matches!(settings.schema_dirs.origin, Origin::Flag(_) | Origin::Variable(_)),
        include: settings.include.value.clone(),
        exclude: settings.exclude.value.clone(),
        order: settings.build_order.value,
        ..Tree::new(project.root.clone())
    }
}

enum Compared {
    With(Option<Finding>),
    NoFiles,
}

/// What the schema files make, beside what the migrations make.
async fn compare(
    project: &Project,
    settings: &Settings,
    rehearsal: &Rehearsal,
    execution: &Execution,
) -> Result<Compared> {
    let builder = SchemaBuilder::new(tree(project, settings));
    let files = builder.files().unwrap_or_default();
    if files.is_empty() {
        return Ok(Compared::NoFiles);
    }
    refuse_what_outlasts(files.iter().map(|file| &file.script))?;
    let texts = || files.iter().map(|file| file.script.script.text());
    let scratch = database::scratch_for(project, settings, texts()).await?;
    in_scratch(&scratch.connection, texts(), async |scratch| {
        let connection = scratch.session().connection();
        let options = BuildOptions { cache: false, ..BuildOptions::default() };
        let built = builder.execute(connection, options, execution).await;
        built.map_err(|error| error.context("building the schema files"))?;
        let built = read_objects(&Session::connect(connection).await?, Reading::Once).await?;
        Ok(Compared::With(Finding::of_schema(&not_shared(&built, &rehearsal.result))))
    })
    .await
}

fn reply(
    style: Style,
    folder: &Folder,
    findings: &[Finding],
    notes: &[String],
    rehearsal: Option<&Rehearsal>,
) -> Result<Reply> {
    let mut text = String::new();
    for finding in findings {
        let mark = if finding.is_error { style.failed() } else { "  " };
        let name = finding.migration.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let _ = writeln!(text, "{mark} {name}{} [{}]", finding.message, finding.code);
    }
    for note in notes {
        let _ = writeln!(text, "{}", sentence(note));
    }
    let run = match rehearsal {
        Some(rehearsal) => {
            let both = rehearsal.migrations.iter().filter(|one| one.is_redone()).count();
            format!("run in a scratch database, {both} of them up, down and up again")
        }
        None => "not run".to_owned(),
    };
    let migrations = count(folder.migrations.len(), "migration");
    let _ = writeln!(text, "{migrations} in {} ({}), {run}", folder.path.display(), folder.layout);
    let errors = findings.iter().filter(|finding| finding.is_error).count();
    let verdict = (errors > 0)
        .then(|| Error::new(ErrorKind::Found, format!("{} found in the migrations", count(errors, "fault"))));
    let result = json!({
        "folder": folder.path,
        "layout": folder.layout,
        "migrations": folder.migrations.len(),
        "findings": findings,
        "notes": notes,
        "rehearsal": rehearsal,
    });
    Ok(Reply::new(&result, text)?.but(verdict))
}
