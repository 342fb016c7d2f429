//! Does what a plan says, and leaves nothing behind when it fails.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::build::aside;
use crate::build::need::{Ran, run_by_need, tails};
use crate::build::order::TreeFile;
use crate::build::plan::{BuildPlan, Content, OutsideTransaction, Run, Target, Way, arrange, look_into};
use crate::build::template;
use crate::config::{BuildOrder, Connection};
use crate::error::{Error, Result};
use crate::event::{Event, Execution};
use crate::postgres::scratch::Scratch;
use crate::postgres::{Session, database, roles, run_pieces};
use crate::sql::{Identifier, Sql};

/// What a build has done.
#[derive(Debug, Clone, Serialize)]
pub struct BuildReport {
    /// The database that was built.
    pub database: Identifier,
    /// It was made by this build.
    pub created: bool,
    /// It took the place of one that was dropped.
    pub replaced: bool,
    /// It is a copy of a template database that was there: no file was run.
    pub cloned: bool,
    /// The template database that holds the same.
    pub template: Option<Identifier>,
    /// Why there is none.
    pub not_cached: Option<String>,
    /// How many files there are.
    pub files: usize,
    /// How many statements there are.
    pub statements: usize,
    /// Statements that ran outside of the transaction.
    pub outside_transaction: Vec<OutsideTransaction>,
    /// In which order files ran, where that was found out by trying.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Ran>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// How long it took.
    #[serde(rename = "elapsed_ms", serialize_with = "crate::event::as_milliseconds")]
    pub elapsed: Duration,
}

/// Does what the plan says.
pub(super) async fn execute(plan: BuildPlan, execution: &Execution) -> Result<BuildReport> {
    let start = Instant::now();
    if let Some(loss) = plan.loses().filter(|_| !plan.loss_confirmed) {
        return Err(Error::refused(format!("{loss}, needs a yes that nobody has given"))
            .hint("agree at the prompt, or with --yes, after a look at what is there"));
    }
    let mut order = Vec::new();
    let cloned = match &plan.way {
        Way::InPlace => {
            let mut work = async || {
                let ran = run_tree(&plan.connection, &plan, execution).await;
                order = ran.map_err(|failure| failure.in_place(&plan))?;
                Ok(())
            };
            // Where only the database itself can be reached, nobody else can be seen.
            match database::connect_to_maintenance(&plan.connection).await {
                Ok(maintenance) => in_turn(&maintenance, &plan, execution, work).await?,
                Err(_) => work().await?,
            }
            false
        }
        Way::Create => {
            let maintenance = database::connect_to_maintenance(&plan.connection).await?;
            replacing(&maintenance, &plan, execution, async || {
                database::create(&maintenance, &plan.database, None).await?;
                order = run_or_drop(&maintenance, &plan, execution).await?;
                Ok(())
            })
            .await?;
            false
        }
        Way::Template { template, tree } => clone(&plan, template, tree, &mut order, execution).await?,
    };
    Ok(BuildReport {
        created: plan.way != Way::InPlace,
        replaced: plan.replaces,
        cloned,
        template: if let Way::Template { template, .. } = plan.way { Some(template) } else { None },
        database: plan.database,
        not_cached: plan.not_cached,
        files: plan.files,
        statements: plan.statements,
        outside_transaction: plan.outside_transaction,
        order,
        notes: plan.notes,
        elapsed: start.elapsed(),
    })
}

/// Copies the template, which is built first where it is missing. True where it was there.
async fn clone(
    plan: &BuildPlan,
    template: &Identifier,
    tree: &str,
    order: &mut Vec<Ran>,
    execution: &Execution,
) -> Result<bool> {
    let maintenance = database::connect_to_maintenance(&plan.connection).await?;
    let was_there = template::secure(&maintenance, template, tree, execution, async || {
        let connection = plan.connection.with_database(template.as_str());
        *order = run_tree(&connection, plan, execution).await.map_err(|failure| failure.error)?;
        database::wait_until_unused(&maintenance, template).await
    })
    .await?;
    if execution.is_interrupted() {
        return Err(Error::interrupted(format!(
            "interrupted before the database {} was made",
            plan.database
        )));
    }
    replacing(&maintenance, plan, execution, async || {
        database::create(&maintenance, &plan.database, Some(template)).await
    })
    .await?;
    Ok(was_there)
}

/// Makes the database with `make`. The one that is to be replaced is only set aside meanwhile: when `make` fails, it
/// comes back.
async fn replacing(
    maintenance: &Session,
    plan: &BuildPlan,
    execution: &Execution,
    make: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    in_turn(maintenance, plan, execution, async || {
        if plan.replaces { replace(maintenance, plan, make).await } else { make().await }
    })
    .await
}

/// Does `work` when no other build of the same name is at it, which puts a database back, drops or fills it.
async fn in_turn(
    maintenance: &Session,
    plan: &BuildPlan,
    execution: &Execution,
    work: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let aside = aside::name_of(&plan.database);
    let why = format!("another build of the database {} is at work; this one waits for it", plan.database);
    template::lock(maintenance, &aside::lock(&aside), execution, &why).await?;
    let outcome = match refuse_another(maintenance, plan).await {
        Ok(()) => work().await,
        Err(error) => Err(error),
    };
    aside::unlock(maintenance, &aside).await?;
    outcome
}

/// A database that another build has made or filled since this one has looked is not one that anybody has agreed to lose.
async fn refuse_another(maintenance: &Session, plan: &BuildPlan) -> Result<()> {
    let is_as_planned = match plan.target {
        Target::Missing if !plan.replaces => !database::exists(maintenance, &plan.database).await?,
        Target::Empty => look_into(&plan.connection).await? == Target::Empty,
        _ => true,
    };
    if is_as_planned {
        return Ok(());
    }
    Err(Error::refused(format!("another build has made the database {} meanwhile", plan.database))
        .hint("look at what it holds; `--drop-existing` builds it anew"))
}

async fn replace(
    maintenance: &Session,
    plan: &BuildPlan,
    make: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let aside = &aside::name_of(&plan.database);
    aside::settle(maintenance, &plan.database, aside).await?;
    if !database::exists(maintenance, &plan.database).await? {
        return make().await;
    }
    refuse_subscriptions(maintenance, &plan.database).await?;
    if plan.disconnect {
        database::end_users_of(maintenance, &plan.database).await?;
    }
    refuse_users(maintenance, &plan.database).await?;
    aside::set(maintenance, &plan.database, aside).await?;
    match make().await {
        Ok(()) => database::drop_ours(maintenance, aside).await,
        Err(error) => {
            aside::put_back(maintenance, aside, &plan.database).await.map_err(|rename| {
                rename
                    .context(format!(
                        "the build failed ({error}), and the old database could not be put back"
                    ))
                    .hint(format!("put it back with: ALTER DATABASE {aside} RENAME TO {};", plan.database))
            })?;
            Err(error)
        }
    }
}

/// A subscription has a slot on another server, which nobody has agreed to drop.
async fn refuse_subscriptions(maintenance: &Session, name: &Identifier) -> Result<()> {
    let subscriptions = database::read_subscriptions_of(maintenance, name).await?;
    let Some(first) = subscriptions.first() else { return Ok(()) };
    let first = Identifier::new(first);
    Err(Error::refused(format!("the database {name} has the subscription {first}, and cannot be replaced")).hint(format!(
        "there, ALTER SUBSCRIPTION {first} DISABLE; DROP SUBSCRIPTION {first}; where its publisher is gone, \
         ALTER SUBSCRIPTION {first} SET (slot_name = NONE) between the two"
    )))
}

async fn refuse_users(maintenance: &Session, name: &Identifier) -> Result<()> {
    // Who has just left, such as an earlier build, is not somebody to wait for or to complain about.
    database::wait_until_unused(maintenance, name).await?;
    let users = database::read_users_of(maintenance, name).await?;
    if users.is_empty() {
        return Ok(());
    }
    let refusal = Error::refused(format!("the database {name} is in use and cannot be replaced"));
    let refusal = users.iter().fold(refusal, |refusal, who| refusal.hint(format!("connected: {who}")));
    Err(refusal.hint("stop what uses it, or have its connections ended: --disconnect"))
}

async fn run_or_drop(maintenance: &Session, plan: &BuildPlan, execution: &Execution) -> Result<Vec<Ran>> {
    match run_tree(&plan.connection, plan, execution).await {
        Ok(order) => Ok(order),
        Err(failure) => {
            database::drop_ours(maintenance, &plan.database).await.map_err(|drop| {
                drop.context(format!(
                    "the build failed ({}), and the half-built database stays",
                    failure.error
                ))
            })?;
            Err(failure.error)
        }
    }
}

/// An error, and whether something was committed before it.
struct Failure {
    error: Error,
    committed: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, committed: false }
    }
}

impl Failure {
    /// The error of a build in a database that is not ours to drop.
    fn in_place(self, plan: &BuildPlan) -> Error {
        match plan.outside_transaction.first() {
            Some(first) if self.committed => self.error.hint(format!(
                "what ran before is committed, because {} at {} cannot run in a transaction: drop the database {} before you build again",
                first.statement, first.place, plan.database
            )),
            _ => self.error,
        }
    }
}

/// Runs all statements in the database of `connection`.
async fn run_tree(
    connection: &Connection,
    plan: &BuildPlan,
    execution: &Execution,
) -> Result<Vec<Ran>, Failure> {
    let session = Session::connect(connection).await?;
    // The files are read as psql would read them: with the settings of the server, the role and the database.
    session.batch(&Sql::literal("RESET ALL; SET client_min_messages = 'warning'")).await?;
    let count = |number, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let step = format!("Running {} of {}", count(plan.statements, "statement"), count(plan.files, "file"));
    let start = Instant::now();
    execution.emit(&Event::StepStarted { step: step.clone() });
    let mut committed = false;
    // What was said at the login is about no file.
    drop(session.take_warnings());
    let outcome = tokio::select! {
        outcome = run_with_roles(&session, plan, &mut committed, execution) => Some(outcome),
        () = execution.interrupted() => None,
    };
    for warning in session.take_warnings() {
        execution.warn(format!("the server warns: {warning}"));
    }
    execution.emit(&match outcome {
        Some(Ok(_)) => Event::StepFinished { step, elapsed: start.elapsed() },
        _ => Event::StepFailed { step },
    });
    match outcome {
        Some(Ok(order)) => Ok(order),
        Some(Err(error)) => {
            roll_back(&session).await;
            Err(Failure { error: roles::advise(&session, say_size(error)), committed })
        }
        None => {
            // Should the request not arrive, the server still rolls back: once its statement ends and nobody is there.
            drop(session.cancel().await);
            roll_back(&session).await;
            let undone = if committed { "" } else { "; nothing of it stays" };
            let error = Error::interrupted(format!("the build of {} was interrupted{undone}", plan.database));
            Err(Failure { error, committed })
        }
    }
}

/// Runs all; again where a role is missing that no file makes, and the server is our own.
async fn run_with_roles(
    session: &Session,
    plan: &BuildPlan,
    committed: &mut bool,
    execution: &Execution,
) -> Result<Vec<Ran>> {
    let texts = plan.content.tree.iter().map(|file| file.script.script.text());
    let mut known: Vec<String> = texts.flat_map(roles::made_in).collect();
    loop {
        let error = match run_all(session, plan, committed, execution).await {
            Err(error) if !*committed => error,
            outcome => return outcome,
        };
        let role = roles::missing_role(&error);
        if role.as_ref().is_some_and(|role| known.contains(role)) {
            return Err(error);
        }
        roll_back(session).await;
        if !roles::make_missing(session, &error).await? {
            return Err(error);
        }
        known.extend(role);
    }
}

async fn run_all(
    session: &Session,
    plan: &BuildPlan,
    committed: &mut bool,
    execution: &Execution,
) -> Result<Vec<Ran>> {
    let Content { tree, order, record } = &plan.content;
    let record = record.as_ref();
    if *order == BuildOrder::Names {
        run_in_order(session, arrange(tree)?.runs, record, committed).await.map_err(say_order)?;
        return Ok(Vec::new());
    }
    session.batch(&Sql::literal("BEGIN")).await?;
    let ran = run_by_need(session, tree, execution).await?;
    let mut behind = tails(tree)?;
    let seeds = tree.iter().position(|file| file.is_seed).unwrap_or(tree.len());
    let mut seeds = arrange(&tree[seeds..])?.runs;
    // Seeds are part of the transaction, unless something that is not comes between.
    if behind.is_empty()
        && let Some(Run::Together(pieces)) = seeds.first()
    {
        run_pieces(session, pieces).await?;
        seeds.remove(0);
    }
    behind.extend(seeds);
    if behind.is_empty() {
        write_record(session, record).await?;
    }
    commit(session, plan.statements).await?;
    *committed = true;
    if !behind.is_empty() {
        run_in_order(session, behind, record, committed).await?;
    }
    Ok(ran)
}

/// What the database says of itself is part of the last transaction.
async fn run_in_order<'a>(
    session: &Session,
    mut runs: Vec<Run<'a>>,
    record: Option<&Sql>,
    committed: &mut bool,
) -> Result<()> {
    if record.is_some() && !matches!(runs.last(), Some(Run::Together(_))) {
        runs.push(Run::Together(Vec::new()));
    }
    let count = runs.len();
    for (index, run) in runs.into_iter().enumerate() {
        match run {
            Run::Together(pieces) => {
                session.batch(&Sql::literal("BEGIN")).await?;
                run_pieces(session, &pieces).await?;
                if index + 1 == count {
                    write_record(session, record).await?;
                }
                commit(session, pieces.len()).await?;
            }
            Run::Alone(_, piece) => run_pieces(session, &[piece]).await?,
        }
        *committed = true;
    }
    Ok(())
}

/// The record is not the files': what they have set does not hold for it.
async fn write_record(session: &Session, record: Option<&Sql>) -> Result<()> {
    let Some(record) = record else { return Ok(()) };
    let mut statements = Sql::literal(
        "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET LOCAL client_min_messages = 'warning';",
    );
    statements.push(record);
    session.batch(&statements).await.map_err(|error| {
        let hint = match error.sqlstate_code() {
            Some("3F000") => "history_table names a schema: have the schema files make it",
            _ => "set history_table to schema.name, in a schema where this role may create tables",
        };
        error.context("recording the migrations as applied, which the files contain").hint(hint)
    })
}

/// One transaction holds about 22 locks for each table that it makes.
fn say_size(error: Error) -> Error {
    match error.sqlstate_code() {
        Some("53200") => {
            error.hint("the build is one transaction: raise max_locks_per_transaction on the server")
        }
        _ => error,
    }
}

/// Where something is missing, the order of the files may be why.
fn say_order(error: Error) -> Error {
    match error.sqlstate_code() {
        _ if roles::missing_role(&error).is_some() => error,
        Some("42P01" | "42704" | "42883" | "3F000") if error.place().is_some() => error
            .hint("what a file uses must stand above, or in a file that runs earlier: files run in alphabetical order")
            .hint("or write `build: {order: dependencies}` into confiture.yaml: then the order is found out"),
        _ => error,
    }
}

/// In which order the files could run: found out in a database of their own, which is dropped again.
pub(super) async fn find_order(
    tree: &[TreeFile],
    connection: &Connection,
    execution: &Execution,
) -> Result<Vec<Ran>> {
    // As a build is: with what the server's template holds.
    let scratch = Scratch::create_from(connection, &Identifier::new("template1")).await?;
    let tried = async {
        scratch.session().batch(&Sql::literal("BEGIN")).await?;
        let order = run_by_need(scratch.session(), tree, execution).await;
        roll_back(scratch.session()).await;
        order
    };
    let order = tried.await;
    let dropped = scratch.close().await;
    let order = order?;
    dropped.map(|()| order)
}

/// The server tells an error first and releases the transaction's locks afterwards: this waits until it has. In vain
/// where the connection is lost, and then there is nothing to wait for.
async fn roll_back(session: &Session) {
    let statement = Sql::literal("ROLLBACK");
    drop(tokio::time::timeout(Duration::from_secs(5), session.batch(&statement)).await);
}

/// Deferred constraints are only checked here, and no statement can be blamed for them.
async fn commit(session: &Session, statements: usize) -> Result<()> {
    session.batch(&Sql::literal("COMMIT")).await.map_err(|error| {
        let error = error.context(format!("at the commit of {statements} statements"));
        match error.sqlstate_code() {
            Some(code) if code.starts_with("23") => {
                error.hint("A deferred constraint is violated by rows of these files")
            }
            _ => error,
        }
    })
}
