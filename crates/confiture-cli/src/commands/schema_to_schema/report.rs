//! `confiture migrate schema-to-schema report`.

use std::path::PathBuf;

use clap::ValueHint;
use confiture::Result;
use confiture::config::Mapping;
use confiture::disk;
use confiture::event::Execution;
use confiture::project::Project;
use confiture::schema_to_schema::Plan;
use confiture::schema_to_schema::watch::{Look, Record, record};
use serde_json::json;

use super::ends;
use super::flags::Which;
use super::options::{SchemaToSchemaOptions, Step};
use crate::monitor::headline;
use crate::output::Reply;
use crate::report::{self, Told};

/// Writes the whole migration into one HTML file: plan, timeline, figures, proofs.
///
/// It reads what the target remembers, so make it before `cleanup`. The file needs nothing from elsewhere, prints well, and holds
/// no value of a row.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    #[command(flatten)]
    which: Which,

    /// The file; one that is there is replaced.
    #[arg(short, long, value_name = "FILE", default_value = "migration.html", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

impl Report {
    pub(super) fn options(self) -> SchemaToSchemaOptions {
        let mut options = SchemaToSchemaOptions::new(Step::Report);
        self.which.fill(&mut options);
        options.report = Some(self.output);
        options
    }
}

/// All that the target remembers.
pub(super) async fn read(
    project: &Project,
    options: &SchemaToSchemaOptions,
    mapping: &Mapping,
) -> Result<Record> {
    let target = ends::target(project, options, mapping).await?;
    let source = ends::source(project, options, mapping, &target).await.ok();
    record(source.as_ref().map(|(source, _)| &source.connection), &target.connection).await
}

/// Writes the file. `plan` is what it was made from, or why nobody can say.
pub(super) fn write(
    options: &SchemaToSchemaOptions,
    record: &Record,
    plan: Result<&Plan, String>,
    execution: &Execution,
) -> Result<Reply> {
    if let Err(why) = &plan {
        execution.warn(format!("the report says nothing of columns: {why}"));
    }
    let look = Look { sight: Some(record.sight.clone()), servers: Vec::new() };
    let headline = headline(&look, None, None);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let page = report::render(&Told { record, plan, headline: &headline, now });
    let file = options.report.clone().unwrap_or_else(|| "migration.html".into());
    disk::write_atomically(&file, &page)?;
    let text = format!("Wrote {}: {}.", file.display(), headline.text);
    Reply::new(&json!({ "file": file, "headline": headline.text }), text)
}
