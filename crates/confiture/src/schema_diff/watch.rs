//! A plan, carried out as its file will be: statement by statement, with an eye on the locks.

use std::sync::Arc;

use crate::catalog::Objects;
use crate::diff::{self, Hazard, Sizes, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{LockWatch, Reading, Session};
use crate::schema_diff::Plan;
use crate::schema_diff::prove::differences;
use crate::schema_diff::side::Owners;
use crate::sql::Sql;

/// Carries `plan` out on a database that is as the plan finds it, and notes what each step locks. The forms that let others go
/// on working, and several rewrites in one, are proved by this: where there are some, what comes out has to be `goal`.
pub(super) async fn watch(
    session: &Session,
    (plan, is_reshaped): (&mut Plan, bool),
    sizes: &Sizes,
    goal: &Arc<Objects>,
    owners: &Owners,
) -> Result<()> {
    let has_other_forms = is_reshaped || plan.steps.iter().any(|step| step.alone);
    let mut watch = LockWatch::begin(session).await?;
    if plan.steps.is_empty() || watch.is_empty() && !has_other_forms {
        return Ok(());
    }
    session.batch(&Sql::literal("SET check_function_bodies = off; SET synchronous_commit = off")).await?;
    if plan.one_transaction {
        watch.hold();
    }
    let transactions = plan.transactions();
    for (step, (begins, ends)) in plan.steps.iter_mut().zip(transactions) {
        if begins {
            watch.begin_transaction().await?;
        }
        for (at, statement) in step.statements.iter().enumerate() {
            let seen = watch.run(statement).await.map_err(|error| refused(&error, &step.title, statement))?;
            step.locks.extend(watch.felt(seen).into_iter().map(|lock| lock.in_plan(at, sizes)));
        }
        if ends {
            let refused_at_end = |error| refused(&error, &step.title, &Sql::literal("COMMIT"));
            watch.commit().await.map_err(refused_at_end)?;
        }
        correct(step);
    }
    if !has_other_forms {
        return Ok(());
    }
    let reached = owners.read(session, Reading::Repeated).await?;
    let rest = differences(&reached, goal).await?;
    if rest.is_empty() {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Unexpected,
        "the plan, in the forms that its file has, does not lead to the new schema",
    )
    .hint("`--online off` gives the plain forms");
    Err(rest.iter().take(5).fold(error, |error, line| error.hint(line.clone())))
}

/// Whether a table is written anew was foretold by what changes; the server knows better.
fn correct(step: &mut Step) {
    let is_rewritten = step.locks.iter().any(|lock| lock.rewrites);
    let is_foretold = step.hazards.iter().any(|hazard| matches!(hazard, Hazard::Rewrites(_)));
    if is_foretold && !is_rewritten && step.alters.is_some() {
        step.hazards.retain(|hazard| !matches!(hazard, Hazard::Rewrites(_)));
    }
    if is_rewritten && !is_foretold {
        step.hazards
            .push(Hazard::Rewrites("every row is written anew, and nobody uses the table meanwhile".into()));
    }
}

fn refused(error: &Error, title: &str, statement: &Sql) -> Error {
    let refused = Error::new(error.kind(), format!("the plan fails at {title}: {}", error.message()));
    refused.hint(diff::masked(statement.as_str()))
}
