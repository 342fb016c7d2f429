//! Makes a plan and carries it out where nobody minds.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::RwLock;

use crate::catalog::{Key, Objects};
use crate::config::Connection;
use crate::config::mapping::TableName;
use crate::diff::rename::{self, Asked, Rename, Stage};
use crate::diff::{self, PlanOptions, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::scratch::{self, Scratch};
use crate::postgres::{Piece, Reading, Session, run_pieces};
use crate::schema_diff::base_type;
use crate::schema_diff::side::{Owners, Side};
use crate::schema_diff::watch::watch;
use crate::sql::{Script, SplitScript, Sql, split};

/// How often a plan is looked at again for what its statements have brought along.
const ROUNDS: usize = 5;

/// How many objects that could not be altered are made anew instead.
const CHANCES: usize = 12;

/// One side of a comparison.
#[derive(Debug, Clone)]
pub enum Source {
    /// The files that make it, in order.
    Scripts(Vec<SplitScript>),
    /// A database that is there. It is only read.
    Live(Box<Connection>),
}

/// How schemas are compared.
#[derive(Debug, Clone, Default)]
pub struct DiffOptions {
    /// What has a new name: `users.full_name=display_name`.
    pub renames: Vec<String>,
    /// What has none, though it may seem so, in the same words.
    pub no_renames: Vec<String>,
    /// Forms that let others go on working.
    pub online: bool,
    /// The history table, which no file has: its name, with a schema or without.
    pub history_table: Option<TableName>,
}

/// Steps from one schema to the other, proved.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// It can run in one transaction.
    pub one_transaction: bool,
}

impl Plan {
    /// Takes the forms that let others go on working.
    fn go_online(&mut self) {
        self.steps = diff::go_online(std::mem::take(&mut self.steps));
        self.one_transaction &= self.steps.iter().all(|step| !step.alone);
    }

    /// Takes what writes the same rows anew together; false where there is nothing of the kind.
    fn rewrite_once(&mut self) -> bool {
        let before = self.steps.len();
        self.steps = diff::rewrite_once(std::mem::take(&mut self.steps));
        self.steps.len() < before
    }

    /// Where a transaction of the steps' own begins, and where it ends, unless all are one: at what belongs together, and at
    /// several statements about one thing.
    pub(super) fn transactions(&self) -> Vec<(bool, bool)> {
        let mut inside = false;
        let own = |step: &Step| {
            let several = step.statements.len() > 1 && !step.alone;
            let begins = !self.one_transaction && !inside && (step.joined || several);
            inside |= begins;
            let ends = inside && !step.joined;
            inside &= !ends;
            (begins, ends)
        };
        self.steps.iter().map(own).collect()
    }
}

/// The difference between two schemas, both ways.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// From the old one to the new one.
    pub up: Plan,
    /// And back.
    pub down: Plan,
    /// What is worth knowing.
    pub remarks: Vec<String>,
    /// What is there and not compared.
    pub uncovered: Vec<String>,
}

/// Compares what two sources make, and proves the steps between them on the server of `connection`, in scratch databases.
///
/// # Errors
///
/// A source that cannot be built, at its place; a plan that does not lead where it should, with what would still differ.
pub async fn diff(
    connection: &Connection,
    old: &Source,
    new: &Source,
    options: &DiffOptions,
) -> Result<Difference> {
    diff_until(connection, old, new, options, std::future::pending()).await
}

/// As [`diff`], until `stop` says that somebody has given up waiting; then nothing is left behind either.
///
/// # Errors
///
/// As [`diff`]; that it was stopped.
pub async fn diff_until(
    connection: &Connection,
    old: &Source,
    new: &Source,
    options: &DiffOptions,
    stop: impl Future<Output = ()>,
) -> Result<Difference> {
    // Databases that a killed process has left; where they cannot be dropped, that is no reason to stop.
    let sweep = async { Ok(scratch::sweep(connection).await.ok()) };
    let (left, right, _) = tokio::try_join!(Scratch::create(connection), Scratch::create(connection), sweep)?;
    let outcome = tokio::select! {
        outcome = diff_in(connection, &left, &right, old, new, options) => outcome,
        () = stop => Err(Error::interrupted("interrupted; nothing was changed")),
    };
    let closed = tokio::try_join!(left.close(), right.close());
    let difference = outcome?;
    closed?;
    Ok(difference)
}

async fn diff_in(
    connection: &Connection,
    left: &Scratch,
    right: &Scratch,
    old: &Source,
    new: &Source,
    options: &DiffOptions,
) -> Result<Difference> {
    let history_table = options.history_table.as_ref();
    let mut sides = tokio::try_join!(Side::read(old, history_table), Side::read(new, history_table))?;
    let mut remarks = Vec::new();
    for side in [&mut sides.0, &mut sides.1] {
        remarks.extend(side.translate(left.session().server_version()));
    }
    let difference = compare(connection, (left, right), sides, options).await;
    let mut difference = difference.map_err(|error| remarks.iter().fold(error, Error::hint))?;
    difference.remarks.splice(0..0, remarks);
    Ok(difference)
}

async fn compare(
    connection: &Connection,
    (left, right): (&Scratch, &Scratch),
    (mut old_side, mut new_side): (Side<'_>, Side<'_>),
    options: &DiffOptions,
) -> Result<Difference> {
    for scratch in [left, right] {
        scratch.note_roles(old_side.texts().chain(new_side.texts())).await?;
    }
    let new = new_side.source;
    let owners = &Owners::of(&mut old_side, &mut new_side, left.session()).await?;
    let (before, after) = owners.build_both((left, right), (&mut old_side, &mut new_side)).await?;
    base_type::refuse(&before, (&after, new))?;
    let mut remarks = [old_side.unlike(&before), new_side.unlike(&after)].concat();
    let uncovered = uncovered(&old_side.uncovered(&before), &new_side.uncovered(&after));
    let mut asked = Vec::new();
    for text in &options.renames {
        asked.push(Asked::parse(text)?);
    }
    for text in &options.no_renames {
        asked.push(Asked::parse_denied(text)?);
    }
    if let Source::Scripts(scripts) = new {
        asked.extend(diff::annotations(scripts)?);
    }
    let renames = rename::renames(&before, &after, &asked)?;
    remarks.extend(renames.iter().map(|rename| format!("{} ({})", rename.title(), rename.reason())));
    remarks.extend(diff::questions(&before, &after, &renames, &asked));
    // Both ways at the same time: the old database goes forward, the new one back.
    let (back, locks) = (rename::reversed(&renames), RwLock::default());
    let (forward, backward) = tokio::join!(
        converge(left.session(), (&before, &after), &renames, owners, &locks),
        converge(right.session(), (&after, &before), &back, owners, &locks)
    );
    let ((mut up, reached), (mut down, restored)) =
        (forward?, backward.map_err(|error| error.context("on the way back"))?);
    let tables = diff::other_column_order(&reached, &after);
    if !tables.is_empty() {
        remarks.push(format!(
            "the columns of {} stand in another order than in the files: new ones come last",
            diff::listed(&tables)
        ));
    }
    let on_the_way_back = |remark| format!("on the way back, {remark}");
    remarks.extend(diff::by_place(&reached, &after));
    remarks.extend(diff::by_place(&restored, &before).into_iter().map(on_the_way_back));
    remarks.extend(diff::of_no_toast(&reached, &after, "is without"));
    remarks.extend(diff::of_no_toast(&restored, &before, "is without").into_iter().map(on_the_way_back));
    remarks.extend(diff::other_extensions(&reached, &after));
    remarks.extend(diff::other_extensions(&restored, &before).into_iter().map(on_the_way_back));
    let (other_after, other_before) =
        (diff::other_inheritance(&reached, &after), diff::other_inheritance(&restored, &before));
    // What is not quite as it was may be altered otherwise.
    let exact = (other_before.is_empty(), other_after.is_empty());
    remarks.extend(other_after);
    remarks.extend(other_before.into_iter().map(on_the_way_back));
    if options.online {
        up.go_online();
        down.go_online();
    }
    let (up_reshaped, down_reshaped) = (up.rewrite_once(), down.rewrite_once());
    // By now the right one is what the left one was, and the other way round.
    let live = old_side.live.as_ref().or(new_side.live.as_ref());
    let mut sizes = live.map(|live| live.sizes.clone()).unwrap_or_default();
    sizes.know(&renames);
    let (forward, backward) = tokio::join!(
        async {
            let fresh = fresh(connection, exact.0, owners, &old_side, &new_side).await?;
            let there = fresh.as_ref().unwrap_or(right);
            let seen = watch(there.session(), (&mut up, up_reshaped), &sizes, &after, owners).await;
            close(fresh).await.and(seen)
        },
        async {
            let fresh = fresh(connection, exact.1, owners, &new_side, &old_side).await?;
            let there = fresh.as_ref().unwrap_or(left);
            let seen = watch(there.session(), (&mut down, down_reshaped), &sizes, &before, owners).await;
            close(fresh).await.and(seen)
        }
    );
    forward?;
    backward.map_err(|error| error.context("on the way back"))?;
    // Nobody waits until so many small pieces are given back.
    drop(tokio::task::spawn_blocking(move || drop((before, after, reached, restored))));
    Ok(Difference { up, down, remarks, uncovered })
}

/// Another scratch database that is what `side` is, where the one that a plan has made so is not `exact`.
async fn fresh(
    connection: &Connection,
    exact: bool,
    owners: &Owners,
    side: &Side<'_>,
    other: &Side<'_>,
) -> Result<Option<Scratch>> {
    if exact {
        return Ok(None);
    }
    let scratch = Scratch::create(connection).await?;
    match owners.build(&scratch, side, other).await {
        Ok(_) => Ok(Some(scratch)),
        Err(error) => scratch.close().await.and(Err(error)),
    }
}

async fn close(scratch: Option<Scratch>) -> Result<()> {
    match scratch {
        Some(scratch) => scratch.close().await,
        None => Ok(()),
    }
}

/// What is there and not compared.
fn uncovered(before: &[(String, u64)], after: &[(String, u64)]) -> Vec<String> {
    let of = |side, all| left_out(all, &format!("of the {side} schema"), "not compared");
    [of("old", before), of("new", after)].concat()
}

/// `2 settings of the database of the old schema are not compared`.
pub(super) fn left_out(all: &[(String, u64)], whose: &str, from_what: &str) -> Vec<String> {
    let one = |(what, count): &(String, u64)| {
        let (plural, are) = if *count == 1 { ("", "is") } else { ("s", "are") };
        // `settings of the database`
        let end = [" of ", " on ", " without "].iter().filter_map(|word| what.find(word)).min();
        let (noun, rest) = what.split_at(end.unwrap_or(what.len()));
        format!("{count} {noun}{plural}{rest} {whose} {are} {from_what}")
    };
    all.iter().map(one).collect()
}

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
    for turn in 0..7 {
        let more = match turn {
            0 if options.quiet => diff::quiet(&state),
            0 => Vec::new(),
            1 => rename::steps(&state, renames, Stage::Schemas),
            2 => rename::moved_extensions(&state, to),
            3 => rename::steps(&state, renames, Stage::Objects),
            4 => rename::steps(&state, renames, Stage::Parts),
            5 => rename::label_steps(&state, renames),
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
    session.batch(&Sql::literal("SET LOCAL search_path = DEFAULT")).await?;
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
