//! One try to switch between two databases, from the first lock to the second commit.

use std::time::{Duration, Instant, SystemTime};

use tokio::time::{sleep, sleep_until, timeout};

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::schema_to_schema::cutover::application::Occasion;
use crate::schema_to_schema::cutover::arm::{self, Armed, Carrier};
use crate::schema_to_schema::cutover::decision::{self, Failure};
use crate::schema_to_schema::cutover::{Switching, fence, locks, record, settle};
use crate::schema_to_schema::live::batch::BatchReport;
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::FeedKind;
use crate::schema_to_schema::options::Options;
use crate::schema_to_schema::sequences::AdvancedSequence;
use crate::schema_to_schema::{failpoint, journal};
use crate::sql::{QualifiedName, Sql};

/// What all tries have in common.
pub(super) struct Plan<'a> {
    /// Those of the way forward.
    pub(super) forward: &'a Options,
    pub(super) switching: &'a Switching,
    pub(super) occasion: &'a Occasion,
    /// The number of this switch.
    pub(super) epoch: i64,
    /// Its record in the ledger of the new side.
    pub(super) record: i64,
}

/// How long the side that the application goes to is held longer than the one that it leaves: nobody waits there before.
const AFTERWARDS: Duration = Duration::from_secs(2);

impl Plan<'_> {
    /// When everything has to be done that began at `held`, so that giving up too is over before writes have waited for too long.
    pub(super) fn deadline(&self, held: Instant) -> Instant {
        const GIVING_UP: Duration = Duration::from_millis(300);
        let longest = self.switching.max_stall;
        held + longest - GIVING_UP.min(longest / 10)
    }

    /// Writers would have waited for too long, `doing` something.
    pub(super) fn spent(&self, doing: Option<&str>) -> Error {
        let longest = self.switching.max_stall;
        let message = format!("writes would have waited for more than {longest:?}, so nothing was switched");
        let message = doing.map_or_else(|| message.clone(), |doing| format!("{doing}: {message}"));
        Error::new(ErrorKind::Server, message)
            .hint("writers go on where they were; --max-stall allows for more")
    }
}

/// A try that went well.
pub(super) struct Done {
    pub(super) stall: Duration,
    pub(super) fenced_at: SystemTime,
    pub(super) rows: u64,
    pub(super) sequences: Vec<AdvancedSequence>,
    pub(super) afterwards: Vec<String>,
}

/// A try that was given up.
pub(super) struct GivenUp {
    pub(super) error: Error,
    /// How long writers had waited.
    pub(super) stall: Duration,
    /// True where nobody knows whether it was decided.
    pub(super) is_unknown: bool,
}

/// The error where the answer of the deciding commit was lost, and nobody answers since.
pub(super) fn unknown(error: Error) -> Error {
    error
        .context("nobody knows yet whether the switch was decided")
        .hint("run the command again as soon as both servers answer: it finds out, and goes on from there")
}

/// The order in which tables are locked, which learns from what was in the way.
pub(super) struct Order(pub(super) Vec<QualifiedName>);

impl Order {
    /// A transaction that writes to several tables may hold one that we come to late while it waits for one that we hold.
    /// Another order at each try finds the one in which nobody waits for us.
    pub(super) fn next(&mut self) {
        self.0.rotate_left(1);
    }
}

/// Tries once. Whatever fails before the deciding commit leaves writers where they were.
pub(super) async fn attempt(
    follower: &mut Follower,
    plan: &Plan<'_>,
    armed: &Armed,
    order: &Order,
) -> std::result::Result<Done, GivenUp> {
    let began = Instant::now();
    let stalled = |error: Error| GivenUp { error, stall: began.elapsed(), is_unknown: false };
    let longest = plan.switching.max_stall;
    let (from, to) = (&follower.migration.options.source, &follower.migration.options.target);
    let connected = tokio::try_join!(locks::connect(from, longest), locks::connect(to, longest + AFTERWARDS));
    let (leaving, entering) = connected.map_err(stalled)?;
    let held = Instant::now();
    let (deadline, end) = (plan.deadline(held), held + longest);
    let application = plan.switching.application.as_ref();
    let mut attempt = Attempt { plan, armed, leaving, entering, deadline, end, fenced_at: None };
    let prepared = match attempt.run(follower, order).await {
        Ok(prepared) => prepared,
        Err(failure) => {
            return Err(give_up(failure, attempt.roll_back(), plan, held).await);
        }
    };
    let mut afterwards = attempt.open().await;
    let stall = held.elapsed();
    if let Err(error) = application.switched(plan.occasion).await {
        afterwards.push(error.to_string());
    }
    failpoint::reached("switch: application told");
    Ok(Done {
        stall,
        fenced_at: attempt.fenced_at.unwrap_or_else(SystemTime::now),
        rows: prepared.batch.applied.rows_written + prepared.batch.applied.rows_deleted,
        sequences: prepared.sequences,
        afterwards,
    })
}

/// Gives a try up: `roll_back` lets writers go on, and the application is led back, whatever it was told; neither waits for the
/// other. Where nobody knows what was decided, it is led nowhere.
pub(super) async fn give_up(
    failure: Failure,
    roll_back: impl Future<Output = ()>,
    plan: &Plan<'_>,
    began: Instant,
) -> GivenUp {
    let (error, is_unknown) = match failure {
        Failure::Unknown(error) => {
            roll_back.await;
            (error, true)
        }
        Failure::NotMade(error) => {
            match tokio::join!(plan.switching.application.rolled_back(plan.occasion), roll_back).0 {
                Ok(()) => (error, false),
                Err(second) => {
                    (error.hint(format!("and leading the application back failed: {second}")), false)
                }
            }
        }
    };
    GivenUp { error, stall: began.elapsed(), is_unknown }
}

struct Attempt<'a> {
    plan: &'a Plan<'a>,
    armed: &'a Armed,
    /// Its transaction holds the tables that the application leaves; its commit decides.
    leaving: Session,
    /// Its transaction holds those that the application goes to.
    entering: Session,
    /// When everything has to be done.
    deadline: Instant,
    /// When the server itself lets writers go on.
    end: Instant,
    fenced_at: Option<SystemTime>,
}

struct Prepared {
    batch: BatchReport,
    sequences: Vec<AdvancedSequence>,
}

impl Attempt<'_> {
    /// Everything up to the commit that decides.
    async fn run(
        &mut self,
        follower: &mut Follower,
        order: &Order,
    ) -> std::result::Result<Prepared, Failure> {
        self.plan.switching.application.hold(self.plan.occasion, self.deadline).await?;
        let prepared = self.prepare(follower, order).await?;
        self.decide().await?;
        Ok(prepared)
    }

    /// Everything before the deciding commit.
    async fn prepare(&mut self, follower: &mut Follower, order: &Order) -> Result<Prepared> {
        let patience = self.plan.switching.lock_patience;
        self.within("locking writers out", locks::begin(&self.leaving, &order.0, patience, self.end)).await?;
        self.fenced_at = Some(SystemTime::now());
        failpoint::reached("switch: writers locked out");
        let batch = self.last_batches(follower).await?;
        failpoint::reached("switch: last batch");
        self.within(
            "locking the other side",
            arm::hold_target(&follower.migration, &self.entering, patience, self.end + AFTERWARDS),
        )
        .await?;
        let sequences = self
            .within("advancing sequences", follower.advance_sequences_by(self.plan.switching.sequence_gap))
            .await?;
        let armed = self.armed;
        if let Some(Carrier { migration, feed: FeedKind::Wal, .. }) = &armed.carrier {
            // What was carried over until now is none of the application's.
            self.within("advancing the other side's slot", feed::skip(&armed.id, &migration.source)).await?;
        }
        let entries = self.within("reading what is left off", journal::entries(&follower.side)).await?;
        let put_back = journal::restore_at_once(&entries, Clone::clone);
        self.within("putting foreign keys and triggers back", self.entering.batch(&put_back)).await?;
        let open_up = async {
            let statements = armed.open_up(&self.entering, &follower.id).await?;
            self.entering.batch(&statements).await
        };
        self.within("opening the other side", open_up).await?;
        let (epoch, record) = (self.plan.epoch, self.plan.record);
        let mut handed = arm::hand_over(epoch);
        handed.push(&Sql::literal("; "));
        if self.home_is_entered(follower) {
            handed.push(&record::committed(record));
        }
        self.within("recording the switch", self.entering.batch(&handed)).await?;
        failpoint::reached("switch: other side ready");
        let application = &self.plan.switching.application;
        self.within("leading the application over", application.fenced(self.plan.occasion, self.deadline))
            .await?;
        failpoint::reached("switch: application led over");
        let mut closed = locks::not_beyond(self.end);
        closed.push(&Sql::literal("; "));
        closed.push(&armed.close_off(&fence::writable(&follower.captured.tables), epoch));
        if !self.home_is_entered(follower) {
            closed.push(&Sql::literal("; "));
            closed.push(&record::committed(record));
        }
        self.within("fencing the side that is left", self.leaving.batch(&closed)).await?;
        Ok(Prepared { batch, sequences })
    }

    /// True where the new side, whose ledger has the records, is the one that the application goes to.
    fn home_is_entered(&self, follower: &Follower) -> bool {
        follower.migration.options.target.to_string() == self.plan.forward.target.to_string()
    }

    /// Batches, until there is nothing left. Where they take too long, writers go on first.
    async fn last_batches(&self, follower: &mut Follower) -> Result<BatchReport> {
        let mut sum: Option<BatchReport> = None;
        loop {
            let mut report = tokio::select! {
                report = follower.batch() => report?,
                () = sleep_until(self.deadline.into()) => {
                    // Whoever reads or writes rows may not answer: first of all writers go on.
                    locks::let_go(&self.leaving).await;
                    return Err(self.plan.spent(Some("applying the last changes")));
                }
            };
            let is_last = !report.more && report.carried == 0;
            if let Some(before) = &sum {
                report.applied += before.applied;
            }
            if is_last {
                return Ok(report);
            }
            sum = Some(report);
        }
    }

    /// The commit that decides.
    async fn decide(&self) -> std::result::Result<(), Failure> {
        // A commit that begins in time may end a little late; one that begins late is not begun.
        if Instant::now() >= self.deadline {
            return Err(self.plan.spent(Some("committing")).into());
        }
        // While commands led the application over, nobody spoke to the other side: it has to be there to be opened.
        self.within("asking whether the other side is there", self.entering.batch(&Sql::default())).await?;
        decision::commit(&self.leaving, self.plan, self.deadline).await
    }

    /// Opens the side that the application goes to, now that it is decided; what went wrong meanwhile. Both sides are fenced until
    /// then, so this goes on for as long as somebody may answer.
    async fn open(&self) -> Vec<String> {
        let opened = timeout(locks::SOON, self.entering.batch(&Sql::literal("COMMIT"))).await;
        failpoint::reached("switch: opened");
        let why = match opened {
            Ok(Ok(())) => return Vec::new(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{} does not answer", self.entering.connection()),
        };
        let mut afterwards = vec![format!("the other side was not opened at once: {why}")];
        let until = Instant::now() + self.plan.switching.patience;
        while let Err(error) = self.open_again().await {
            if Instant::now() >= until {
                afterwards.push(format!("the other side is still fenced: {error}; run the command again"));
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        afterwards
    }

    async fn open_again(&self) -> Result<()> {
        const LONG: Duration = Duration::from_secs(30);
        let again = async {
            // What is left of the first try would be in the way.
            locks::end(&Session::connect(self.entering.connection()).await?, &self.entering).await?;
            settle::open_up_again(self.plan.forward).await
        };
        let late = |_| Error::new(ErrorKind::Connect, "a server does not answer");
        timeout(LONG, again).await.map_err(late)?
    }

    /// Work that has to be done in time.
    async fn within<T>(&self, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.deadline.into(), work).await {
            Ok(done) => done,
            Err(_) => Err(self.plan.spent(Some(doing))),
        }
    }

    /// Lets everybody go on.
    async fn roll_back(&self) {
        tokio::join!(locks::let_go(&self.leaving), locks::let_go(&self.entering));
    }
}
