//! `confiture migrate schema-to-schema bidirectional --sync immediate`, and `--stop`.

use confiture::Result;
use confiture::event::Execution;
use confiture::schema_to_schema::Options;
use confiture::schema_to_schema::immediate::{Opening, propose, stop};
use serde_json::json;

use super::options::{BothOptions, SchemaToSchemaOptions};
use crate::confirm::confirm;
use crate::invocation::Invocation;
use crate::output::{Reply, immediate as output};

/// Opens both sides, after a confirmation, or ends that.
pub(super) async fn run(
    invocation: &Invocation,
    options: &SchemaToSchemaOptions,
    both: &BothOptions,
    told: Options,
    execution: &Execution,
) -> Result<Reply> {
    let opening =
        Opening { accept_losses: both.accept_losses, patience: both.patience, ..Opening::default() };
    let style = invocation.terminal.stdout;
    if both.stop {
        confirm(&invocation.terminal, execution, options.yes, "ending that both sides are written").await?;
        let stopped = stop(&told.target, &opening, execution).await?;
        return Reply::new(&json!({ "stopped": stopped }), output::stopped(style, &stopped));
    }
    let proposal = propose(told, execution).await?;
    let plan = output::proposal(style, &proposal);
    if options.dry_run {
        let text = format!("{plan}Nothing was changed (--dry-run).\n");
        return Reply::new(&json!({ "proposal": proposal, "dry_run": true }), text);
    }
    execution.note(plan.trim_end().to_owned());
    confirm(&invocation.terminal, execution, options.yes, "letting both sides be written at once")
        .await
        .map_err(|error| error.hint("--dry-run shows the plan and changes nothing"))?;
    let opened = proposal.open(&opening, execution).await?;
    Reply::new(&json!({ "proposal": proposal, "opened": opened }), output::opened(style, &opened))
}
