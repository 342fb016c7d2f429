//! While changes are followed, and right before the cutover.

use crate::schema_to_schema::live::{FeedKind, Phase};
use crate::schema_to_schema::plan::{Route, Topology};
use crate::schema_to_schema::runbook::before::count;
use crate::schema_to_schema::runbook::figures::{bytes, milliseconds};
use crate::schema_to_schema::runbook::{Ground, Group, State, Step, thousands};

pub(super) fn steps(ground: &Ground<'_>) -> Group {
    let steps = vec![
        set_up(ground),
        foreign(ground),
        transformations(ground),
        capture(ground),
        copied(ground),
        ground
            .by_check("Verification passes", "verified")
            .instead("not \">99.9 % accuracy\": one row that differs is a failure, and the report names it")
            .run(ground.commands.with_mapping("verify")),
        impact(ground),
        stable(ground),
    ];
    Group { id: "during-migration", title: "During Migration", steps }
}

fn set_up(ground: &Ground<'_>) -> Step {
    const WHAT: &str = "Initial setup completed";
    match &ground.figures.set_up {
        Some(since) => Step::done(WHAT, format!("the target remembers its source since {since}")),
        None => Step::open(WHAT, "the target remembers no migration"),
    }
    .run(ground.commands.with_mapping("analyze"))
    .run(ground.commands.with_mapping("sync"))
}

fn foreign(ground: &Ground<'_>) -> Step {
    let plan = &ground.migration.plan;
    let through: Vec<String> = plan
        .tables
        .iter()
        .filter(|table| table.route == Route::Fdw)
        .map(|table| table.target.short())
        .collect();
    match (through.is_empty(), plan.topology) {
        (false, _) => Step::people("FDW configured and tested")
            .run(ground.commands.with_mapping("setup"))
            .instead(format!("only for {}: rows of the others do not go through it", through.join(", "))),
        (true, Topology::OneDatabase) => {
            Step::done("FDW configured and tested", "not needed: both schemas are in one database")
        }
        (true, Topology::TwoDatabases) => {
            Step::done("FDW configured and tested", "not needed: rows travel by COPY, keys by the feed")
        }
    }
}

fn transformations(ground: &Ground<'_>) -> Step {
    let plan = &ground.migration.plan;
    let columns = || plan.tables.iter().flat_map(|table| &table.columns);
    let expressions = columns().filter(|column| column.source_column.is_none()).count();
    let evidence = format!(
        "{}, {} of them expressions, all of which the source's server takes; {} of your own",
        count(columns().count(), "column"),
        thousands(expressions as u64),
        count(plan.validations.len(), "validation")
    );
    Step::done("Transformation functions verified", evidence)
}

fn capture(ground: &Ground<'_>) -> Step {
    let step = ground.by_check("Capture of changes deployed and tested", "capture");
    let feed = ground.figures.status.as_ref().and_then(|status| Some(status.following.as_ref()?.feed));
    match feed {
        Some(FeedKind::Wal) => {
            step.instead("no triggers: changes are read from the write-ahead log, through a slot")
        }
        Some(FeedKind::Queue) => step.instead(
            "triggers write keys alone, and never rows to the other side, which would deadlock and loop",
        ),
        None => step,
    }
}

fn copied(ground: &Ground<'_>) -> Step {
    const WHAT: &str = "Initial data migration completed";
    let Some(status) = &ground.figures.status else {
        return Step::open(WHAT, "nothing is copied yet").run(ground.commands.with_mapping("sync"));
    };
    let rows: i64 = status.tables.iter().map(|table| table.rows).sum();
    let open: Vec<String> = status
        .tables
        .iter()
        .filter(|table| !matches!(table.state.as_str(), "following" | "finished"))
        .map(|table| format!("{} is {}", table.table.short(), table.state.replace('_', " ")))
        .collect();
    let rows = format!(
        "{} rows copied into {}",
        thousands(rows.unsigned_abs()),
        count(status.tables.len(), "table")
    );
    match (open.is_empty(), &ground.figures.switched) {
        (_, Some(switch)) => Step::done(WHAT, format!("before the cutover of {}", switch.at)),
        (true, None) => Step::done(WHAT, rows),
        (false, None) => {
            Step::open(WHAT, format!("{rows}; {}", open.join(", "))).run(ground.commands.with_mapping("sync"))
        }
    }
}

fn impact(ground: &Ground<'_>) -> Step {
    let figures = ground.figures;
    let step = Step::people("Performance impact acceptable")
        .instead("agree on a number before: the application's p95, replica lag, bytes kept on the source")
        .run(ground.commands.with_target("throttle --rows 20000"))
        .run(ground.commands.with_target("pause"));
    let Some(following) = figures.status.as_ref().and_then(|status| status.following.as_ref()) else {
        return step;
    };
    let oldest = following.oldest_snapshot_seconds.map_or_else(
        || "no snapshot held".to_owned(),
        |seconds| format!("the oldest snapshot held is {seconds:.0} s old"),
    );
    let evidence = format!(
        "{} rows/s written in the last minute; the source keeps {} for the feed; {oldest}",
        thousands(following.rows_per_second as u64),
        bytes(following.retained_bytes.unsigned_abs())
    );
    Step { evidence: Some(evidence), ..step }
}

fn stable(ground: &Ground<'_>) -> Step {
    const WHAT: &str = "Following is stable";
    const INSTEAD: &str =
        "no dual write: the application writes to one side, and only that; how long this lasts is up to you";
    let Some(following) = ground.figures.status.as_ref().and_then(|status| status.following.as_ref()) else {
        return Step::open(WHAT, "nothing is followed yet").instead(INSTEAD);
    };
    let longest =
        ground.figures.longest_lag_ms.map(|lag| format!(", never more than {} behind", milliseconds(lag)));
    let evidence = format!(
        "{}{}",
        count(following.batches.unsigned_abs(), "batch").replace("batchs", "batches"),
        longest.unwrap_or_default()
    );
    let state = match (&following.stopped_because, following.phase) {
        (Some(_), _) => State::Open,
        (None, Phase::Following | Phase::CutOver) => State::People,
        _ => State::Open,
    };
    let evidence = match &following.stopped_because {
        Some(because) => format!("{evidence}; the last run stopped: {because}"),
        None => evidence,
    };
    Step { state, evidence: Some(evidence), ..Step::people(WHAT) }
        .instead(INSTEAD)
        .run(ground.commands.with_mapping("sync --verify-every 15min"))
}

pub(super) fn before_the_cutover(ground: &Ground<'_>) -> Group {
    let lag = ground
        .by_check("Replication lag under one second", "lag")
        .instead("measured by a marker's round trip; now() - max(updated_at) says when somebody last wrote, not how far behind it is")
        .run(ground.commands.with_target("status"));
    let mut steps = vec![
        ground
            .by_check("All verification checks pass", "verified")
            .run(ground.commands.with_mapping("verify")),
        lag,
        ground.by_check("Application tested against new schema", "application"),
        ground.by_check("Rollback plan ready", "way-back"),
        ground.by_check("What a rollback would lose is accepted", "losses"),
        ground.by_check("Team on standby", "team"),
    ];
    const SAID: [&str; 8] =
        ["verified", "lag", "application", "way-back", "losses", "team", "backup", "rollback-plan"];
    steps.extend(ground.checks.iter().filter(|check| !SAID.contains(&check.id)).map(|check| {
        let step = ground.by_check(check.what, check.id);
        match (&check.hint, step.state) {
            (Some(hint), State::Open) => step.instead(hint.clone()),
            _ => step,
        }
    }));
    let dry = Step::people("The cutover rehearsed, up to the fence")
        .instead("waiting two seconds and counting rows proves nothing: the last batch ends with a marker")
        .run(ground.cutover(" --dry-run"));
    steps.push(dry);
    let cutover = match &ground.figures.switched {
        Some(switch) => Step::done("Cutover", said_of(switch)),
        None => Step::open("Cutover", last_try(ground)),
    };
    steps.push(cutover.run(ground.cutover("")));
    Group { id: "pre-cutover", title: "Pre-Cutover", steps }
}

fn last_try(ground: &Ground<'_>) -> String {
    match &ground.figures.last_switch {
        None => "the application writes to the old side".to_owned(),
        Some(switch) => {
            let found = switch.found.as_ref().map(|found| format!(": {found}")).unwrap_or_default();
            format!(
                "the application writes to the old side; the {} of {} was {}{found}",
                switch.kind,
                switch.at,
                switch.outcome.replace('_', " ")
            )
        }
    }
}

/// `2031-05-14 08:30 UTC; writes waited for 84 ms`
pub(super) fn said_of(switch: &crate::schema_to_schema::runbook::SwitchFigures) -> String {
    let parts = [Some(switch.at.clone()), switch.stall(), switch.found.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
