//! There is a way back, and what is lost on it is known.

use crate::error::{ErrorKind, Result};
use crate::event::Execution;
use crate::schema_to_schema::checklist::{Check, Ground, ask, fail, pass, some, warn};
use crate::schema_to_schema::live::Capture;
use crate::schema_to_schema::reverse::{Finding, ReverseMapping, Severity};

pub(super) async fn look(ground: &Ground<'_>) -> Result<Vec<Check>> {
    if ground.standard.no_way_back {
        const NONE: &str =
            "there will be none, as --no-way-back says: a rollback would lose what is written since";
        let accepted = ground.standard.confirmed.contains("losses");
        let losses = ask("losses", LOSSES, accepted, "everything that is written after the cutover", "");
        return Ok(vec![pass("way-back", READY, NONE), losses]);
    }
    let derived;
    let reverse = match &ground.standard.way_back {
        Some(reverse) => reverse,
        None => {
            derived = Box::pin(ground.migration.reversed_and_tried()).await?;
            &derived
        }
    };
    Ok(vec![ready(ground, reverse).await?, losses(ground, reverse)])
}

const READY: &str = "The way back stands ready";

const LOSSES: &str = "What would be lost on the way back is accepted";

/// For whom there can be none.
const WITHOUT: &str = "or go without one: cutover --no-way-back";

async fn ready(ground: &Ground<'_>, reverse: &ReverseMapping) -> Result<Check> {
    let not = |evidence: String, hint: String| {
        let hint = if hint.is_empty() { WITHOUT.to_owned() } else { format!("{hint}; {WITHOUT}") };
        fail("way-back", READY, evidence, hint)
    };
    if let Some(blocked) = reverse.findings.iter().find(|found| found.severity == Severity::Blocks) {
        return Ok(not(described(blocked), blocked.hint.clone().unwrap_or_default()));
    }
    match &ground.standard.way_back_ready {
        Some(Ok(evidence)) => return Ok(pass("way-back", READY, evidence.clone())),
        Some(Err(why)) => return Ok(not(why.clone(), String::new())),
        None => {}
    }
    let planned = match ground.migration.plan_reverse(reverse, &Execution::unattended()).await {
        Ok(planned) => planned,
        Err(error) if error.kind() == ErrorKind::Connect => return Err(error),
        Err(error) => {
            let place = error.place().map(|place| format!("{place}: ")).unwrap_or_default();
            let hint = error.hints().first().map(ToString::to_string).unwrap_or_default();
            return Ok(not(format!("{place}{error}"), hint));
        }
    };
    let obstacles = planned.obstacles_of_following(Capture::Auto).await?;
    Ok(match obstacles.into_iter().find(|obstacle| obstacle.fatal) {
        Some(obstacle) => not(obstacle.message, obstacle.hint),
        None => {
            let count = reverse.mapping.tables.len();
            pass(
                "way-back",
                READY,
                format!("{} can be carried back, armed at the cutover", super::tables(count)),
            )
        }
    })
}

fn losses(ground: &Ground<'_>, reverse: &ReverseMapping) -> Check {
    let lost: Vec<&Finding> =
        reverse.findings.iter().filter(|found| found.severity == Severity::Loses).collect();
    if lost.is_empty() {
        // Of rows that were tried.
        let is_lossy = |found: &&Finding| found.severity == Severity::Lossy;
        let lossy: Vec<String> = reverse.findings.iter().filter(is_lossy).map(described).collect();
        return match lossy.is_empty() {
            true => pass("losses", LOSSES, "nothing would be"),
            false => warn(
                "losses",
                LOSSES,
                some(&lossy),
                "write `reverse` so that it gives back what was there, where that matters",
            ),
        };
    }
    let names: Vec<String> = lost.iter().map(|found| described(found)).collect();
    let hint = lost.iter().find_map(|found| found.hint.clone()).unwrap_or_default();
    ask("losses", LOSSES, ground.standard.confirmed.contains("losses"), &some(&names), &hint)
}

/// `mapping.yaml:5:3 app.users.name: …`
fn described(found: &Finding) -> String {
    let place = found.place.as_ref().map(|place| format!("{place} ")).unwrap_or_default();
    let column = found.column.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
    format!("{place}{}{column}: {}", found.table.short(), found.message)
}
