//! Before the migration.

use crate::schema_to_schema::checklist::Outcome;
use crate::schema_to_schema::reverse::Severity;
use crate::schema_to_schema::runbook::figures::{bytes, milliseconds};
use crate::schema_to_schema::runbook::{Ground, Group, State, Step, thousands};

pub(super) fn steps(ground: &Ground<'_>) -> Group {
    let steps = vec![
        backup(ground),
        verification(ground),
        rollback(ground),
        Step::people("On-call team briefed"),
        monitoring(ground),
        stakeholders(ground),
        Step::people("Runbook reviewed by team")
            .run(ground.commands.with_mapping("runbook --format markdown")),
        Step::people("Emergency contacts updated"),
    ];
    Group { id: "pre-migration", title: "Pre-Migration", steps }
}

fn backup(ground: &Ground<'_>) -> Step {
    let size = format!("about {} rows, {}", thousands(ground.figures.rows), bytes(ground.figures.bytes));
    let step = ground.by_check("Database backup completed", "backup");
    let step = Step {
        evidence: Some(step.evidence.map_or_else(|| size.clone(), |said| format!("{said}; {size}"))),
        ..step
    };
    step.instead("listing a dump shows that there is one: only restoring it shows that it is a backup")
        .run("pg_dump -Fc -d \"$OLD\" -f \"backup_before_migration_$(date +%Y%m%d_%H%M%S).dump\"")
        .run("pg_restore --exit-on-error --no-owner -d \"$SCRATCH\" backup_before_migration_*.dump")
}

fn verification(ground: &Ground<'_>) -> Step {
    const WHAT: &str = "Verification tested";
    let step = match &ground.figures.last_comparison {
        Some(last) => Step::done(
            WHAT,
            format!("{} so far; the last: {last}", count(ground.figures.comparisons, "comparison")),
        ),
        None => Step::open(WHAT, "nothing was compared yet"),
    };
    step.instead("no scripts to write: every row and every value is compared, on both servers")
        .run(ground.commands.with_mapping("verify"))
}

fn rollback(ground: &Ground<'_>) -> Step {
    let reverse = ground.migration.reversed();
    let of = |severity| reverse.findings.iter().filter(|found| found.severity == severity).count();
    let (blocks, loses) = (of(Severity::Blocks), of(Severity::Loses));
    let evidence = match (blocks, loses) {
        (0, 0) => {
            format!("{} can be carried back without loss", count(reverse.mapping.tables.len(), "table"))
        }
        (0, loses) => {
            format!("{} would be lost on the way back: write `reverse:`, or accept it", count(loses, "thing"))
        }
        (blocks, _) => format!("there is no way back yet: {}", count(blocks, "obstacle")),
    };
    let confirmed = ground.check("rollback-plan").is_some_and(|check| check.outcome == Outcome::Pass);
    let state = match (blocks, confirmed) {
        (0, true) => State::Done,
        (0, false) => State::People,
        _ => State::Open,
    };
    Step { state, evidence: Some(evidence), ..Step::people("Rollback procedure documented and tested") }
        .instead("try both on clones, with writers at work; until the cutover, going back changes nothing on the old side")
        .run(ground.cutover(" --dry-run"))
        .run(ground.commands.with_mapping("rollback"))
}

fn monitoring(ground: &Ground<'_>) -> Step {
    Step::people("Monitoring dashboards configured")
        .instead("lag is the round trip of a marker, not the age of the last update")
        .run(ground.commands.with_ends("monitor --listen 127.0.0.1:8787"))
        .run(ground.commands.with_target("status --watch"))
        .run(ground.commands.with_target("status --format json"))
}

fn stakeholders(ground: &Ground<'_>) -> Step {
    let measured = ground.figures.last_switch.as_ref().and_then(|switch| switch.stall_ms);
    let measured = measured.map(|stall| format!("; the last one took {}", milliseconds(stall)));
    Step::people("Stakeholders notified of the cutover").instead(format!(
        "there is no maintenance window: reads go on, and writes wait once, for less than --max-stall (5 s){}",
        measured.unwrap_or_default()
    ))
}

/// `1 table`, `3 tables`
pub(super) fn count(number: impl TryInto<u64>, one: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{} {one}{}", thousands(number), if number == 1 { "" } else { "s" })
}
