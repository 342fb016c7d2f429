//! Makes a plan and carries it out where nobody minds.

use std::sync::Arc;

use tokio::sync::RwLock;

use crate::catalog::{Key, Objects};
use crate::diff::rename::{self, Rename, Stage};
use crate::diff::{self, PlanOptions, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::scratch;
use crate::postgres::{Piece, Reading, Session, run_pieces};
use crate::schema_diff::compare::Plan;
use crate::schema_diff::side::Owners;
use crate::sql::{Script, Sql, split};

/// How often a plan is looked at again for what its statements have brought along.
const ROUNDS: usize = 5;

/// How many objects that could not be altered are made anew instead.
const CHANCES: usize = 12;
/// What stopped an attempt.
struct Failure {
    error: Error,
    /// The object whose alteration was refused.
    alters: Option<Key>,
    /// What partitions get with the whole is called otherwise, or is otherwise.
    by_parts: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, alters: None, by_parts: false }
    }
}

/// Plans and carries out until nothing differs. Everything is one transaction, so that another attempt starts afresh.
pub(super) async fn converge(
    session: &Session,
    (from, to): (&Arc<Objects>, &Arc<Objects>),
    renames: &[Rename],
    owners: &Owners,
    locks: &RwLock<()>,
) -> Result<(Plan, Arc<Objects>)> {
    // All databases of a server share its place for locks: who does not find enough tries again when the other way is done.
    let mut beside = Some(locks.read().await);
    let mut alone = None;
    let mut options = PlanOptions::default();
    let (mut one_transaction, mut too_many_locks) = (true, false);
    if are_same(from, to).await? && diff::inherit_again(from, to).is_empty() {
        return Ok((Plan { steps: Vec::new(), one_transaction }, Arc::clone(from)));
    }
    loop {
        begin(session).await?;
        match attempt(session, (from, to), renames, owners, &options, one_transaction).await {
            // A scratch copy has no rows, which might use them.
            Ok((steps, _)) if one_transaction && diff::rows_take_new_labels(&steps) => {
                session.batch(&Sql::literal("ROLLBACK")).await?;
                one_transaction = false;
            }
            Ok((mut steps, reached)) => {
                session
                    .batch(&Sql::literal("COMMIT"))
                    .await
                    .map_err(|error| error.context("the plan fails at its commit"))?;
                if one_transaction {
                    steps.iter_mut().for_each(|step| step.commits = false);
                } else {
                    diff::take_apart(&mut steps, too_many_locks);
                }
                return Ok((Plan { steps, one_transaction }, reached));
            }
            Err(failure) => {
                // Where something was committed, this is all that there is.
                session.batch(&Sql::literal("ROLLBACK")).await?;
                let code = failure.error.sqlstate_code();
                match failure.alters {
                    _ if failure.by_parts => options.by_parts = true,
                    _ if one_transaction && alone.is_none() && code == Some("53200") => {
                        drop(beside.take());
                        alone = Some(locks.write().await);
                    }
                    // A label that was added is used, or the server has no place for so many locks.
                    _ if one_transaction && matches!(code, Some("55P04" | "53200")) => {
                        one_transaction = false;
                        too_many_locks = code == Some("53200");
                    }
                    Some(key)
                        if one_transaction
                            && options.rebuild.len() < CHANCES
                            && !options.rebuild.contains(&key) =>
                    {
                        options.rebuild.push(key);
                    }
                    _ if one_transaction && !options.quiet && !diff::quiet(from).is_empty() => {
                        options = PlanOptions { quiet: true, ..PlanOptions::default() };
                    }
                    _ => return Err(failure.error),
                }
            }
        }
    }
}

async fn begin(session: &Session) -> Result<()> {
    session
        .batch(&Sql::literal(
            "BEGIN; SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = 'error'",
        ))
        .await
}

async fn attempt(
    session: &Session,
    (from, to): (&Arc<Objects>, &Arc<Objects>),
    renames: &[Rename],
    owners: &Owners,
    options: &PlanOptions,
    one_transaction: bool,
) -> Result<(Vec<Step>, Arc<Objects>), Failure> {
    let mut state = Arc::clone(from);
    let mut steps = Vec::new();
    let can_be_by_parts =
        |steps: &[Step]| one_transaction && !options.by_parts && steps.iter().any(|step| step.by_parts);
    for turn in 0..8 {
        let more = match turn {
            0 if options.quiet => diff::quiet(&state),
            0 => Vec::new(),
            1 => rename::steps(&state, renames, Stage::Schemas),
            2 => rename::moved_extensions(&state, to),
            3 => rename::steps(&state, renames, Stage::Objects),
            4 => rename::ranges(&state, to),
            5 => rename::steps(&state, renames, Stage::Parts),
            6 => rename::label_steps(&state, renames),
            _ => rename::owned_sequences(&state, to),
        };
        if !more.is_empty() {
            carry_out(session, &more).await?;
            steps.extend(more);
            state = look_again(session, owners).await?;
        }
    }
    for round in 0..ROUNDS {
        let options = PlanOptions { after_first: round > 0, ..options.clone() };
        if round > 0 && are_same(&state, to).await? {
            return inherit_again(session, steps, state, to, owners).await;
        }
        let exchanged = rename::exchanged(&state, to);
        let by_parts = round > 0 && can_be_by_parts(&steps);
        if by_parts && !exchanged.is_empty() {
            return Err(needs_parts());
        }
        if !exchanged.is_empty() {
            carry_out(session, &exchanged).await?;
            steps.extend(exchanged);
            state = look_again(session, owners).await?;
        }
        let more = compute(&state, to, move |state, to| diff::plan(state, to, &options)).await?;
        // What a child has of its own is only seen after the first.
        if more.is_empty() && round > 0 {
            break;
        }
        if more.is_empty() {
            continue;
        }
        if by_parts && more.iter().any(Step::alters_index) {
            return Err(needs_parts());
        }
        if one_transaction {
            carry_out(session, &more).await?;
        } else {
            let parts = more.split_inclusive(|step| step.commits);
            for together in parts.flat_map(|part| part.chunks(scratch::PART)) {
                carry_out(session, together).await?;
                session.batch(&Sql::literal("COMMIT")).await?;
                begin(session).await?;
            }
        }
        steps.extend(more);
        state = look_again(session, owners).await?;
    }
    let rest = differences(&state, to).await?;
    if rest.is_empty() {
        return inherit_again(session, steps, state, to, owners).await;
    }
    Err(Failure { by_parts: can_be_by_parts(&steps), ..misses(&rest).into() })
}

/// What stands in no definition: once all else is done, it is easily told.
async fn inherit_again(
    session: &Session,
    mut steps: Vec<Step>,
    state: Arc<Objects>,
    to: &Arc<Objects>,
    owners: &Owners,
) -> Result<(Vec<Step>, Arc<Objects>), Failure> {
    let more = diff::inherit_again(&state, to);
    if more.is_empty() {
        return Ok((steps, state));
    }
    carry_out(session, &more).await?;
    steps.extend(more);
    let state = look_again(session, owners).await?;
    let rest = differences(&state, to).await?;
    if rest.is_empty() { Ok((steps, state)) } else { Err(misses(&rest).into()) }
}

/// What came along with the whole is otherwise, which the form that is made partition by partition could not know.
fn needs_parts() -> Failure {
    Failure { error: misses(&[]), alters: None, by_parts: true }
}

fn misses(rest: &[String]) -> Error {
    let error =
        Error::new(ErrorKind::Unexpected, "the plan does not lead to the new schema, so it is not shown");
    rest.iter().take(5).fold(error, |error, line| error.hint(line.clone()))
}

/// What the open transaction has made of the database.
async fn look_again(session: &Session, owners: &Owners) -> Result<Arc<Objects>> {
    let state = owners.read(session, Reading::InTransaction).await?;
    session.batch(&Sql::literal("SET LOCAL search_path = DEFAULT; SET LOCAL jit = DEFAULT; SET LOCAL join_collapse_limit = DEFAULT")).await?;
    Ok(state)
}

async fn are_same(one: &Arc<Objects>, other: &Arc<Objects>) -> Result<bool> {
    compute(one, other, diff::are_same).await
}

/// What differs between two catalogs.
pub(super) async fn differences(one: &Arc<Objects>, other: &Arc<Objects>) -> Result<Vec<String>> {
    compute(one, other, diff::differences).await
}

/// Compares on a thread of its own, so that both ways are thought out at the same time.
async fn compute<T: Send + 'static>(
    one: &Arc<Objects>,
    other: &Arc<Objects>,
    work: impl FnOnce(&Objects, &Objects) -> T + Send + 'static,
) -> Result<T> {
    let (one, other) = (Arc::clone(one), Arc::clone(other));
    let done = tokio::task::spawn_blocking(move || work(&one, &other)).await;
    done.map_err(|error| Error::new(ErrorKind::Unexpected, "a comparison has ended early").because(error))
}

/// Runs steps in as few round trips as there can be; an error still knows its step.
async fn carry_out(session: &Session, steps: &[Step]) -> Result<(), Failure> {
    let mut text = String::new();
    // The first line of each step.
    let mut lines = Vec::new();
    let mut line = 1;
    for step in steps {
        lines.push(line);
        for statement in &step.statements {
            line += statement.as_str().matches('\n').count() + 1;
            text.push_str(statement.as_str());
            text.push_str(";\n");
        }
    }
    let script = split(Script::new("the plan", text))?;
    let pieces: Vec<_> =
        script.statements.iter().map(|statement| Piece { script: &script, statement }).collect();
    run_pieces(session, &pieces).await.map_err(|error| {
        let at = error.place().map_or(1, |place| place.line);
        let step = &steps[lines.partition_point(|line| *line <= at).saturating_sub(1)];
        let refused =
            Error::new(error.kind(), format!("the plan fails at {}: {}", step.title, error.message()));
        let refused = match error.sqlstate_code() {
            Some(code) => refused.sqlstate(code),
            None => refused,
        };
        let statements =
            step.statements.iter().fold(refused, |error, sql| error.hint(diff::masked(sql.as_str())));
        Failure { error: statements, alters: step.alters.clone(), by_parts: false }
    })
}
