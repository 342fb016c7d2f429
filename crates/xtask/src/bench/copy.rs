//! One large table, beside `psql | psql`.

use anyhow::Result;

use super::measure::{in_turns, time};
use super::stage::{BARE, Stage, TARGET};
use super::table::{Row, Unit};

/// The stream alone beside the bare pipe; and the whole command, which also plans, beside the pipe with the ANALYZE that a
/// loaded table needs and that the command includes.
pub(super) fn measure(stage: &Stage<'_>) -> Result<Vec<Row>> {
    const ONE_STREAM: [&str; 5] = ["--strategy", "copy", "--parallel", "1", "--no-verify"];
    let arguments = [ONE_STREAM.as_slice(), &["--yes", "--format", "json"]].concat();
    let (stream, pipe) = in_turns(stage.runs, || stage.timed_stream(&arguments), || stage.timed_pipe(BARE))?;
    let analysed =
        || Ok(stage.timed_pipe(BARE)? + time(stage.psql.on(TARGET).args(["--command", "ANALYZE account"]))?);
    let whole =
        || stage.timed_migration(BARE, ["--strategy", "copy", "--parallel", "1", "--no-verify", "--yes"]);
    let (whole, analysed) = in_turns(stage.runs, whole, analysed)?;
    Ok(vec![
        Row::new("copy: its stream / psql COPY | psql COPY (binary)", stream, pipe, Unit::Seconds, 1.0),
        Row::new("copy: the command / psql | psql, then ANALYZE", whole, analysed, Unit::Seconds, 1.0),
    ])
}
