//! The target follows, is not behind, and was compared.

use crate::error::Result;
use crate::postgres::AdvisoryLock;
use crate::schema_to_schema::checklist::{Check, Ground, ago, fail, pass, some, tables};
use crate::schema_to_schema::ledger::{self as records, TableState};
use crate::schema_to_schema::live::ledger::{self, FollowRecord, Phase};
use crate::schema_to_schema::live::{coverage, feed};
use crate::sql::Sql;

const SYNC: &str = "confiture migrate schema-to-schema sync";

pub(super) async fn look(ground: &Ground<'_>) -> Result<Vec<Check>> {
    let record = ledger::read(&ground.target).await?;
    Ok(vec![
        follows(ground, record.as_ref()).await?,
        lag(ground, record.as_ref()).await?,
        verified(ground, record.as_ref()).await?,
        capture(ground, record.as_ref()).await?,
    ])
}

async fn follows(ground: &Ground<'_>, record: Option<&FollowRecord>) -> Result<Check> {
    const WHAT: &str = "Every batch leaves the target equal to the source";
    let not = |evidence: String, hint: &str| Ok(fail("following", WHAT, evidence, hint));
    let Some(record) = record else {
        return not("the target follows no source".into(), SYNC);
    };
    if record.phase == Phase::Immediate {
        return not(
            "both sides are written at once".into(),
            "end that first: confiture migrate schema-to-schema bidirectional --stop",
        );
    }
    if record.phase != Phase::Following {
        let hint = format!("let it catch up: {SYNC}");
        return not(format!("it is {}", record.phase.word().replace('_', " ")), &hint);
    }
    let known = records::read(&ground.target).await?;
    let plan = &ground.migration.plan.tables;
    let behind = plan
        .iter()
        .filter(|table| known.get(&table.target).is_none_or(|record| record.state != TableState::Following));
    let behind: Vec<String> = behind.map(|table| table.target.short()).collect();
    if !behind.is_empty() {
        return not(format!("not yet: {}", some(&behind)), &format!("let it catch up: {SYNC}"));
    }
    let others = plan.iter().filter(|table| {
        // After a switch, the first run takes fingerprints as it finds them.
        let print = known.get(&table.target).map(|record| record.fingerprint.as_str());
        print.is_some_and(|print| !print.is_empty() && print != table.fingerprint())
    });
    let others: Vec<String> = others.map(|table| table.target.short()).collect();
    if !others.is_empty() {
        return not(
            format!("{} follows by another mapping than this one", some(&others)),
            "name the mapping that the run has: --mapping FILE",
        );
    }
    Ok(pass("following", WHAT, format!("{}, by the {}", tables(plan.len()), record.feed.word())))
}

async fn lag(ground: &Ground<'_>, record: Option<&FollowRecord>) -> Result<Check> {
    const WHAT: &str = "The target is less than a second behind";
    /// A run at work says each second that it is.
    const FRESH: f64 = 10.0;
    let not = |evidence: String, hint: &str| Ok(fail("lag", WHAT, evidence, hint));
    if record.is_none() {
        return not("nothing is measured".into(), SYNC);
    }
    if AdvisoryLock::holder(&ground.target).await?.is_none() {
        return not("no run is at work, so the target falls behind".into(), &format!("let it run: {SYNC}"));
    }
    let query = Sql::literal(
        "SELECT lag_ms, extract(epoch FROM pg_catalog.clock_timestamp() - seen_at)::pg_catalog.float8,
                (SELECT coalesce(bool_or(paused), false) FROM confiture.control)
         FROM confiture.follow",
    );
    let row = ground.target.query_one(&query, &[]).await?;
    let (lag, seen, paused): (Option<f64>, Option<f64>, bool) = (row.get(0), row.get(1), row.get(2));
    if paused {
        return not("it is paused".into(), "confiture migrate schema-to-schema resume");
    }
    let (Some(lag), Some(seen)) = (lag, seen) else {
        return not("nothing is measured yet".into(), "wait for the first batch");
    };
    let evidence = format!("the last marker came back after {}, measured {} ago", ago(lag / 1e3), ago(seen));
    let most = ground.standard.max_lag.as_secs_f64();
    match lag / 1e3 < most && seen < FRESH {
        true => Ok(pass("lag", WHAT, evidence)),
        false => not(evidence, "see what keeps it: confiture migrate schema-to-schema status"),
    }
}

async fn verified(ground: &Ground<'_>, record: Option<&FollowRecord>) -> Result<Check> {
    const WHAT: &str = "All rows were compared, and nothing differed";
    const VERIFY: &str = "confiture migrate schema-to-schema verify";
    let not = |evidence: String, hint: &str| Ok(fail("verified", WHAT, evidence, hint));
    if record.is_none() {
        return not("nothing was compared".into(), VERIFY);
    }
    let last =
        Sql::literal("SELECT ok, coalesce(found, '') FROM confiture.verification ORDER BY id DESC LIMIT 1");
    let last = ground.target.query_opt(&last, &[]).await?;
    if let Some(last) = last.filter(|last| !last.get::<_, bool>(0)) {
        let found: &str = last.get(1);
        return not(
            format!("the last comparison found: {found}"),
            "confiture migrate schema-to-schema verify --repair reads rows that differ again",
        );
    }
    let known = coverage::status(&ground.target).await?;
    let plan = &ground.migration.plan.tables;
    let never = plan.iter().filter(|table| !known.contains_key(&table.target));
    let never: Vec<String> = never.map(|table| table.target.short()).collect();
    if !never.is_empty() {
        return not(format!("not known to be equal: {}", some(&never)), VERIFY);
    }
    let covered = || plan.iter().filter_map(|table| known.get(&table.target));
    let oldest = covered().map(|known| known.complete_seconds_ago).fold(0.0, f64::max);
    let touched: i64 = covered().map(|known| known.touched_keys).sum();
    let evidence = format!(
        "{} found equal, all rows of each at most {} ago; {touched} keys touched since",
        tables(plan.len()),
        ago(oldest)
    );
    match ground.standard.verified_within {
        Some(within) if oldest > within.as_secs_f64() => {
            not(evidence, "confiture migrate schema-to-schema verify --full")
        }
        _ => Ok(pass("verified", WHAT, evidence)),
    }
}

async fn capture(ground: &Ground<'_>, record: Option<&FollowRecord>) -> Result<Check> {
    const WHAT: &str = "Every change is captured";
    let mend = format!("run it again, which mends that and reads again what may have been missed: {SYNC}");
    let Some(record) = record else {
        return Ok(fail("capture", WHAT, "nothing is captured", SYNC));
    };
    let captured = match &ground.captured {
        Ok(captured) => captured,
        Err(error) => {
            let hint = error.hints().first().map(ToString::to_string).unwrap_or_default();
            return Ok(fail("capture", WHAT, error.to_string(), hint));
        }
    };
    let gaps = match feed::gaps(record.feed, &record.id, &ground.source, captured).await {
        Ok(gaps) => gaps,
        // Its slot or its publication is gone.
        Err(error) if error.sqlstate_code().is_some() => vec![error.to_string()],
        Err(error) => return Err(error),
    };
    if !gaps.is_empty() {
        return Ok(fail("capture", WHAT, some(&gaps), mend));
    }
    let stopped = Sql::literal("SELECT stopped_because FROM confiture.follow");
    let stopped: Option<String> = ground.target.query_one(&stopped, &[]).await?.get(0);
    if let Some(because) = stopped {
        return Ok(fail("capture", WHAT, format!("the last run stopped: {because}"), mend));
    }
    Ok(pass("capture", WHAT, format!("{} watched, without a gap", tables(captured.tables.len()))))
}
