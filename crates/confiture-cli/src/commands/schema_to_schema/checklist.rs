//! `confiture migrate schema-to-schema checklist` and `runbook`.

use confiture::Result;
use confiture::project::Project;
use confiture::schema_to_schema::{Names, Standard, read_checklist, read_runbook};
use serde_json::json;

use super::ends::lasting;
use super::flags::{Asked, Which};
use super::options::{SchemaToSchemaOptions, Step};
use super::run::Prepared;
use crate::args::Format;
use crate::invocation::Invocation;
use crate::output::{Reply, checklist as page, runbook as list};

/// Looks at everything that has to be so before the cutover: lag, comparison, capture, keys, writers, grants, the way back.
///
/// Exit status 7 where something is not so, or where people have not confirmed what only they know. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Checklist {
    #[command(flatten)]
    looking: Looking,
}

/// Prints the production checklist of this migration: its commands, its figures, ticked where the servers show it.
///
/// Changes nothing. `--format markdown` is for a wiki or a change request.
#[derive(Debug, clap::Args)]
pub(super) struct Runbook {
    #[command(flatten)]
    looking: Looking,
}

/// What is looked at.
#[derive(Debug, clap::Args)]
struct Looking {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    asked: Asked,

    /// The cutover will be one without a way back.
    #[arg(long)]
    no_way_back: bool,
}

impl Looking {
    fn options(self, step: Step) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(step);
        self.which.fill(&mut options);
        self.asked.fill(&mut options);
        options.no_way_back = self.no_way_back;
        options
    }
}

impl Checklist {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        self.looking.options(Step::Checklist)
    }
}

impl Runbook {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        self.looking.options(Step::Runbook)
    }
}

pub(super) fn standard(options: &SchemaToSchemaOptions) -> Standard {
    Standard {
        confirmed: options.confirmed.clone(),
        max_stall: options.max_stall,
        no_way_back: options.no_way_back,
        ..Standard::default()
    }
}

/// Looks at every point.
pub(super) async fn check(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
) -> Result<Reply> {
    let checks = Box::pin(read_checklist(&prepared.migration, &standard(options))).await?;
    let verdict = page::verdict(&checks);
    let text = page::render(invocation.terminal.stdout, &checks);
    Ok(Reply::new(&json!({ "ok": verdict.is_none(), "checks": checks }), text)?.but(verdict))
}

/// Prints the list.
pub(super) async fn runbook(
    invocation: &Invocation,
    project: &Project,
    options: &SchemaToSchemaOptions,
    prepared: &Prepared,
) -> Result<Reply> {
    let ends = prepared.migration.options();
    let target =
        options.target.as_deref().or_else(|| prepared.mapping.target.as_ref().map(|to| to.value.as_str()));
    let names = Names {
        from: ends.source_name.clone().unwrap_or_else(|| ends.source.to_dsn()),
        to: target.and_then(lasting).unwrap_or_else(|| ends.target.to_dsn()),
        mapping: ends.mapping_file.as_deref().map(|file| shown(project, file)),
    };
    let runbook = Box::pin(read_runbook(&prepared.migration, &names, &standard(options))).await?;
    let text = match invocation.terminal.format {
        Format::Markdown => list::markdown(&runbook),
        _ => list::text(invocation.terminal.stdout, &runbook),
    };
    Reply::new(&runbook, text)
}

/// A file of the project as it is named there.
fn shown(project: &Project, file: &str) -> String {
    let path = std::path::Path::new(file);
    path.strip_prefix(&project.root).unwrap_or(path).display().to_string()
}
