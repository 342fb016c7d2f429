//! Runs one migration, in one transaction or step by step, and records it.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::failpoint::reached;
use crate::migrate::assess::as_count;
use crate::migrate::history::{Entry, State, record, record_end, record_step, record_text};
use crate::migrate::leftover::{Deed, Fate, clear, find_fate, parse_deed, waits_harmlessly};
use crate::migrate::options::Interrupted;
use crate::migrate::part::Part;
use crate::migrate::plan::Direction;
use crate::migrate::run::Run;
use crate::migrate::steps::{Step, Steps, first_words};
use crate::migrate::unit::{Source, Unit};
use crate::migrate::watch::{Failure, Watch};
use crate::postgres::{Piece, run_pieces, run_pieces_between, session_end};
use crate::sql::{Sql, sql};

/// Runs a migration, and says how often it was tried.
pub(super) async fn apply(run: &Run<'_>, unit: &Unit<'_>, direction: Direction) -> Result<u32> {
    let part = unit.part(direction == Direction::Up);
    let steps = part.map(Steps::of).transpose()?;
    let is_whole = match unit.source {
        Source::Code(code) => code.in_transaction(),
        Source::File(_) => steps.as_ref().is_some_and(|steps| steps.in_transaction),
    };
    let (called, version) = (unit.called(), run.version_in_history(&unit.version));
    let one = One { run, unit, direction, called, version, is_whole };
    match (unit.source, part.zip(steps.as_ref())) {
        (Source::Code(_), _) if !is_whole => one.code_alone().await,
        (Source::File(_), None) => Err(Error::config(format!("{} has no way back", one.called))),
        (Source::File(_), Some((part, steps))) if !is_whole => one.in_steps(part, steps).await,
        _ => one.whole(steps.as_ref()).await,
    }
}

/// What ends a session, so that what comes next begins as in a new one: `DISCARD ALL`, which cannot stand beside other
/// statements in a message, in its parts. It ends the message before: what is set decides how the next one is read
/// (`client_encoding`), and how its transaction begins (`default_transaction_read_only`).
fn forget(unit: &Unit<'_>) -> Vec<Sql> {
    let mut parts = session_end();
    // In Rust, the driver has statements of its own there, which it goes on using.
    if let Source::File(_) = unit.source {
        parts.push(Sql::literal("DEALLOCATE ALL"));
    }
    parts
}

/// One migration, on its way.
struct One<'r, 'a> {
    run: &'r Run<'a>,
    unit: &'r Unit<'r>,
    direction: Direction,
    called: String,
    version: String,
    /// All of it is one transaction, of which nothing is left where it fails.
    is_whole: bool,
}

/// What the transaction took so far, as the server measures it.
const ELAPSED: &str = "1000 * extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp())::pg_catalog.float8";

impl One<'_, '_> {
    /// All of it in one transaction, with the history's row.
    async fn whole(&self, steps: Option<&Steps<'_>>) -> Result<u32> {
        let pieces: Vec<Piece<'_>> =
            steps.into_iter().flat_map(|steps| &steps.steps).flat_map(Step::pieces).copied().collect();
        let mut begin = self.settings();
        begin.push(Sql::literal("BEGIN"));
        let mut end = self.end_of(&self.record_whole());
        end.extend(forget(self.unit));
        self.try_often(|| async {
            reached("migration begun");
            match self.unit.source {
                Source::File(_) => self.run_between(&begin, &pieces, &end).await?,
                Source::Code(_) => {
                    self.run_between(&begin, &[], &[]).await?;
                    self.call_code().await?;
                    self.run_between(&[], &[], &end).await?;
                }
            }
            reached("migration committed");
            Ok(())
        })
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Connect => error.hint(format!(
                "{} is there as a whole or not at all: `confiture migrate status` says which, and the same command goes on",
                self.called
            )),
            _ => error,
        })
    }

    /// Statements of the user's between statements of ours, in one message where that can be.
    async fn run_between(&self, begin: &[Sql], pieces: &[Piece<'_>], end: &[Sql]) -> Result<()> {
        let outcome = run_pieces_between(&self.run.worker, begin, pieces, end).await;
        let commits = |statement: &Sql| statement.as_str() == "COMMIT";
        outcome.map_err(|(error, at)| match at {
            None => advise(error),
            Some(at) if !end[..=at].iter().any(commits) => {
                let error = error.context(format!("recording {} in {}", self.called, self.run.history.table));
                match error.sqlstate_code() {
                    Some("25006") => error.hint(
                        "where the file itself makes its transaction read-only, leave that out: nothing can be recorded in it",
                    ),
                    _ => error,
                }
            }
            Some(_) => {
                let error = error.context(format!("at the commit of {}", self.called));
                match error.sqlstate_code() {
                    Some(code) if code.starts_with("23") => error.hint("a deferred constraint is violated"),
                    _ => error,
                }
            }
        })
    }

    /// The record and the end of the transaction. The file may have taken another role, which may not write the history, or have
    /// left itself too little time.
    fn end_of(&self, record: &Sql) -> Vec<Sql> {
        let [lock_timeout, statement_timeout] = self.time_limits("LOCAL ");
        vec![
            Sql::literal("RESET SESSION AUTHORIZATION"),
            Sql::literal("RESET ROLE"),
            lock_timeout,
            statement_timeout,
            record.clone(),
            Sql::literal("COMMIT"),
        ]
    }

    async fn call_code(&self) -> Result<()> {
        let Source::Code(code) = self.unit.source else { return Ok(()) };
        let called = &self.called;
        match self.direction {
            Direction::Up => code.up(&self.run.worker).await,
            Direction::Down => match code.down(&self.run.worker) {
                Some(work) => work.await,
                None => Err(Error::config(format!("{called} has no way back"))),
            },
        }
    }

    async fn code_alone(&self) -> Result<u32> {
        self.run_between(&self.settings(), &[], &[]).await?;
        let attempts = self.try_often(|| self.call_code()).await?;
        self.run.lock.session().batch(&self.record_whole()).await?;
        self.run_between(&forget(self.unit), &[], &[]).await?;
        Ok(attempts)
    }

    /// The session as psql would have it, with our time limits. What an earlier migration has set is gone since its end.
    fn settings(&self) -> Vec<Sql> {
        let [lock_timeout, statement_timeout] = self.time_limits("");
        vec![Sql::literal("SET client_min_messages = 'warning'"), lock_timeout, statement_timeout]
    }

    fn time_limits(&self, how: &'static str) -> [Sql; 2] {
        let (options, how) = (self.run.options, Sql::literal(how));
        [
            sql!("SET {}lock_timeout = {}", how, milliseconds(options.lock_timeout)),
            sql!("SET {}statement_timeout = {}", how, milliseconds(options.statement_timeout)),
        ]
    }

    fn record_whole(&self) -> Sql {
        let table = &self.run.history.table;
        if self.direction == Direction::Up {
            let entry = self.entry();
            return record(table, &entry, State::Applied, &Sql::literal(ELAPSED));
        }
        let mut all = record_end(table, &self.version, State::Reverted, &Sql::literal(ELAPSED));
        // A squash stands for others: with it, they are reverted too.
        for version in self.unit.squashes().iter().filter(|version| **version != self.unit.version) {
            if let Some(part) = self.run.history.record(version) {
                all.push(&Sql::literal(";"));
                all.push(&record_end(table, part.version.as_str(), State::Reverted, &Sql::literal("NULL")));
            }
        }
        all
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            version: &self.version,
            name: &self.unit.name,
            checksum: Some(&self.unit.checksum),
            source: None,
            applied_at: None,
            is_new: self.run.history.record(&self.unit.version).is_none(),
        }
    }

    /// Tries until locks are to be had: everything is let go in between, so that nobody queues behind us.
    async fn try_often<F: Future<Output = Result<()>>>(&self, work: impl Fn() -> F) -> Result<u32> {
        self.try_for(self.run.options.lock_timeout, work).await
    }

    async fn try_for<F: Future<Output = Result<()>>>(
        &self,
        patience: Duration,
        work: impl Fn() -> F,
    ) -> Result<u32> {
        let run = self.run;
        let watch = Watch { worker: &run.worker, lock: &run.lock, execution: run.execution };
        let mut pause = Duration::from_millis(250);
        for attempt in 1.. {
            let failure = match watch.over(&self.called, patience, work()).await {
                Ok(()) => return Ok(attempt),
                Err(failure) => failure,
            };
            self.roll_back().await;
            let last = attempt >= run.options.lock_attempts.max(1);
            let why = match failure {
                Failure::Interrupted => return Err(self.interrupted()),
                Failure::Lock { error, by, queued } if last => {
                    return Err(self.no_lock(error, &by, queued, attempt));
                }
                Failure::Conflict(error) | Failure::Other(error) if last => return Err(error),
                Failure::Other(error) => return Err(error),
                Failure::Lock { by, queued, .. } => {
                    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join("; ")) };
                    let why = if queued {
                        ", and others queued behind it".to_owned()
                    } else {
                        format!(" within {:?}", run.options.lock_timeout)
                    };
                    format!("got no lock{why}{by}")
                }
                Failure::Conflict(_) => "was in another transaction's way".to_owned(),
            };
            run.execution.note(format!(
                "{} {why}; everything is let go, and tried again in {:.1} s ({attempt} of {})",
                self.called,
                pause.as_secs_f64(),
                run.options.lock_attempts
            ));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = run.execution.interrupted() => return Err(self.interrupted()),
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
        Ok(0)
    }

    /// In vain where the connection is lost, and then there is nothing to wait for.
    async fn roll_back(&self) {
        let mut statements = vec![Sql::literal("ROLLBACK")];
        if self.is_whole {
            statements.extend(forget(self.unit));
        }
        let all = Sql::join("; ", statements);
        drop(tokio::time::timeout(Duration::from_secs(5), self.run.worker.batch(&all)).await);
    }

    fn interrupted(&self) -> Error {
        let what = if self.direction == Direction::Up { "applied" } else { "reverted" };
        Error::interrupted(format!("{} was interrupted, and is not {what}", self.called))
            .hint("the same command goes on")
    }

    fn no_lock(&self, error: Error, by: &[String], queued: bool, attempts: u32) -> Error {
        let error = error.context(format!("{} got no lock, {attempts} times", self.called));
        let error = by.iter().fold(error, |error, who| error.hint(format!("in the way: {who}")));
        let more = if queued {
            "others queued behind it, so it never waited for long; --lock-attempts lets it try more often"
        } else {
            "--lock-timeout gives it more time"
        };
        error.hint(format!(
            "end what is in the way, SELECT pg_terminate_backend(pid), or try when it is quieter; {more}"
        ))
    }

    /// Step by step, each recorded.
    async fn in_steps(&self, part: &Part, steps: &Steps<'_>) -> Result<u32> {
        let from = self.begin_steps(part, steps).await?;
        let mut attempts = 1;
        for (index, step) in steps.steps.iter().enumerate().skip(from) {
            reached("step begins");
            let tried = match step {
                Step::Together(pieces) => self.step_together(steps, index, pieces).await,
                Step::Alone(what, piece) => self.step_alone(index, what, *piece).await,
            };
            let tried = tried.map_err(|error| {
                let done =
                    format!("{index} of {} steps of {} are done and stay", steps.steps.len(), self.called);
                match error.kind() {
                    ErrorKind::Interrupted => error.hint(done),
                    _ => error
                        .hint(format!("{done}; when this is mended, the same command goes on behind them")),
                }
            })?;
            attempts = attempts.max(tried);
        }
        reached("steps done");
        let state = if self.direction == Direction::Up { State::Applied } else { State::Reverted };
        let since =
            sql!("1000 * extract(epoch FROM pg_catalog.clock_timestamp() - applied_at)::pg_catalog.float8");
        let end = record_end(&self.run.history.table, &self.version, state, &since);
        self.run.lock.session().batch(&end).await?;
        self.run_between(&forget(self.unit), &[], &[]).await?;
        Ok(attempts)
    }

    fn state_between(&self) -> State {
        if self.direction == Direction::Up { State::Applying } else { State::Reverting }
    }

    async fn note_step(&self, step: usize, running: bool) -> Result<()> {
        let table = &self.run.history.table;
        let statement = record_step(table, &self.version, self.state_between(), step, running);
        self.run.lock.session().batch(&statement).await
    }

    /// Says that the steps begin, or where they go on.
    async fn begin_steps(&self, part: &Part, steps: &Steps<'_>) -> Result<usize> {
        let run = self.run;
        let (table, control) = (&run.history.table, run.lock.session());
        // An earlier try may have left what it has set: that is made again.
        self.run_between(&[forget(self.unit), self.settings()].concat(), &[], &[]).await?;
        let former =
            run.history.record(&self.unit.version).filter(|former| former.state == self.state_between());
        let Some(former) = former else {
            let begin = match self.direction {
                Direction::Up => record(table, &self.entry(), State::Applying, &Sql::literal("NULL")),
                Direction::Down => sql!(
                    "{}; UPDATE {} SET applied_at = pg_catalog.clock_timestamp() WHERE version = {}",
                    record_step(table, &self.version, State::Reverting, 0, false),
                    table,
                    crate::sql::Literal(&self.version)
                ),
            };
            control.batch(&begin).await?;
            reached("steps begun");
            return Ok(0);
        };
        let from = as_count(former.step);
        if self.direction == Direction::Up {
            let applied =
                former.checksum.as_ref().map(|checksum| checksum.statements.as_slice()).unwrap_or_default();
            let done = steps.statements_in(from);
            let now = &part.checksum.statements;
            if applied.get(..done) != now.get(..done) {
                return Err(Error::config(format!(
                    "{} has changed in what was done of it: its first {done} statements are applied already",
                    self.called
                ))
                .at(part.script.script.place(0))
                .hint("put these statements back as they were; those behind them may change"));
            }
            control.batch(&record_text(table, &self.version, &part.checksum)).await?;
        }
        run_pieces(&run.worker, &steps.settings_before(from)).await?;
        let from = if former.running { self.resolve(steps, from).await? } else { from };
        let count = steps.steps.len();
        run.execution.note(match from < count {
            true => format!("{} goes on at step {} of {count}", self.called, from + 1),
            false => format!("{}: all steps were done, and only the record was missing", self.called),
        });
        Ok(from)
    }

    /// A statement was running when the run before ended: finds out what became of it. Gives the step to go on with.
    async fn resolve(&self, steps: &Steps<'_>, at: usize) -> Result<usize> {
        let Some(Step::Alone(what, piece)) = steps.steps.get(at) else { return Ok(at) };
        let worker = &self.run.worker;
        let fate = find_fate(worker, &parse_deed(piece.text())).await?;
        let is_done = match (fate, self.run.interrupted) {
            (Fate::Done, _) | (Fate::Unknown, Some(Interrupted::Done)) => true,
            (Fate::Again, _) | (Fate::Unknown, Some(Interrupted::Again)) => false,
            (Fate::Finish(statement), _) => {
                worker.batch(&statement).await?;
                true
            }
            (Fate::Unknown, None) => {
                let script = &piece.script.script;
                return Err(Error::refused(format!(
                    "{what} was running when the run before this one ended, and nobody can tell whether it is done"
                ))
                .at(script.place(piece.statement.span.start))
                .excerpt(script.excerpt(piece.statement.span.clone()))
                .hint("look at what it should have done; where it is done: --interrupted-step done")
                .hint("where it is not, or may run twice: --interrupted-step again"));
            }
        };
        let next = at + usize::from(is_done);
        self.note_step(next, false).await?;
        Ok(next)
    }

    /// Some statements in a transaction, with the record that they are done.
    async fn step_together(&self, steps: &Steps<'_>, index: usize, pieces: &[Piece<'_>]) -> Result<u32> {
        let table = &self.run.history.table;
        let done = record_step(table, &self.version, self.state_between(), index + 1, false);
        let worker = &self.run.worker;
        let tried = self
            .try_often(|| async {
                self.run_between(&[Sql::literal("BEGIN")], pieces, &self.end_of(&done)).await?;
                reached("step done");
                Ok(())
            })
            .await?;
        // The record was made as ourselves: a role that the file has taken is taken again.
        let settings = steps.settings_before(index + 1);
        if settings.iter().any(|piece| takes_role(piece.text())) {
            run_pieces(worker, &settings).await?;
        }
        Ok(tried)
    }

    /// One statement outside of transactions, with a record before and after.
    async fn step_alone(&self, index: usize, what: &str, piece: Piece<'_>) -> Result<u32> {
        let (worker, deed) = (&self.run.worker, parse_deed(piece.text()));
        let is_harmless = waits_harmlessly(what);
        let patience = if is_harmless { Duration::ZERO } else { self.run.options.lock_timeout };
        let outcome = self
            .try_for(patience, || async {
                if let Some(index) = clear(worker, &deed).await? {
                    self.run
                        .execution
                        .note(format!("dropped the invalid index {index}, which an earlier try had left"));
                }
                if let (Deed::Detach { .. }, Fate::Finish(statement)) =
                    (&deed, find_fate(worker, &deed).await?)
                {
                    return worker.batch(&statement).await;
                }
                if is_harmless {
                    worker.batch(&Sql::literal("SET lock_timeout = 0")).await?;
                }
                self.note_step(index, true).await?;
                reached("step recorded");
                let outcome = run_pieces(worker, &[piece]).await.map_err(advise);
                if outcome.is_ok() {
                    reached("step done");
                }
                if is_harmless {
                    let limit = milliseconds(self.run.options.lock_timeout);
                    drop(worker.batch(&sql!("SET lock_timeout = {}", limit)).await);
                }
                outcome
            })
            .await;
        match outcome {
            Ok(tried) => {
                self.note_step(index + 1, false).await?;
                Ok(tried)
            }
            Err(error) => {
                // It failed, so it is known not to be done. What it has left is dropped now, or else by the next run.
                if !worker.is_closed() {
                    drop(clear(worker, &deed).await);
                    drop(self.note_step(index, false).await);
                }
                Err(leftover_hint(what, &deed).into_iter().fold(error, Error::hint))
            }
        }
    }
}

/// What a failed statement may have left that nobody can know by its name.
fn leftover_hint(what: &str, deed: &Deed) -> Option<&'static str> {
    match (what, deed) {
        ("CREATE INDEX CONCURRENTLY", Deed::Unknown) => Some(
            "it may have left an invalid index, which \\d shows: drop it; one with a name would be found and dropped by itself",
        ),
        ("REINDEX CONCURRENTLY", _) => {
            Some("it may have left an invalid index whose name ends in _ccnew, which \\d shows: drop it")
        }
        _ => None,
    }
}

fn takes_role(statement: &str) -> bool {
    let words = first_words(statement);
    words.iter().skip(1).any(|word| matches!(word.as_str(), "ROLE" | "AUTHORIZATION"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or_default()
}

/// What is true of migrations, and not of every script.
fn advise(error: Error) -> Error {
    match error.sqlstate_code() {
        Some("42P01" | "42704" | "42883" | "3F000") => {
            error.hint("what a migration uses must have been made by one before it, or higher up in its file")
        }
        Some("53200") => error.hint(
            "a migration is one transaction: raise max_locks_per_transaction on the server, or split it",
        ),
        _ => error,
    }
}
