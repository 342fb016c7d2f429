//! A plan, carried out as its file will be: statement by statement, with an eye on the locks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::Objects;
use crate::diff::{self, Hazard, Lock, Sizes, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{LockWatch, SeenLock, Session};
use crate::schema_diff::Plan;
use crate::schema_diff::prove::differences;
use crate::schema_diff::side::Owners;
use crate::sql::{LockMode, Sql};

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
    // In one transaction, what is locked stays so.
    let mut held: HashMap<u32, LockMode> = HashMap::new();
    let mut together = plan.one_transaction;
    let transactions = plan.transactions();
    for (step, (begins, ends)) in plan.steps.iter_mut().zip(transactions) {
        if begins {
            watch.begin_transaction().await?;
            together = true;
        }
        for (at, statement) in step.statements.iter().enumerate() {
            let seen = watch.run(statement).await.map_err(|error| refused(&error, &step.title, statement))?;
            let on_tables: HashSet<u32> = seen
                .iter()
                .filter(|lock| lock.mode >= LockMode::ShareUpdateExclusive)
                .map(|lock| lock.relation)
                .collect();
            for lock in seen {
                // Whoever locks an index locks its table, save where only the index is altered.
                if watch.table_of(lock.relation).is_some_and(|table| on_tables.contains(&table)) {
                    continue;
                }
                let is_news = held.get(&lock.relation).is_none_or(|mode| *mode < lock.mode);
                if together && is_news {
                    held.insert(lock.relation, lock.mode);
                }
                let is_felt = is_news && lock.mode >= LockMode::ShareUpdateExclusive;
                if is_felt || lock.mode >= LockMode::ShareUpdateExclusive && (lock.reads || lock.rewrites) {
                    step.locks.push(noted(at, lock, sizes));
                }
            }
        }
        if ends {
            let refused_at_end = |error| refused(&error, &step.title, &Sql::literal("COMMIT"));
            watch.commit().await.map_err(refused_at_end)?;
            together = false;
            held.clear();
        }
        correct(step);
    }
    if !has_other_forms {
        return Ok(());
    }
    let reached = owners.read(session, false).await?;
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

fn noted(at: usize, seen: SeenLock, sizes: &Sizes) -> Lock {
    let (rows, bytes) = sizes.get(&seen.first_name);
    Lock {
        statement: at,
        relation: seen.name,
        mode: seen.mode,
        reads: seen.reads,
        rewrites: seen.rewrites,
        rows,
        bytes,
    }
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
