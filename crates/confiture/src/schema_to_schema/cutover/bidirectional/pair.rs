//! The two directions, and a batch of either.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Execution;
use crate::postgres::feed::queue::QueueFeed;
use crate::postgres::feed::{Changes, KeySet, WalFeed};
use crate::schema_to_schema::cutover::bidirectional::conflict::{self, Conflict, Watched};
use crate::schema_to_schema::cutover::bidirectional::{Policy, reference};
use crate::schema_to_schema::cutover::locks;
use crate::schema_to_schema::failpoint;
use crate::schema_to_schema::ledger::TableState;
use crate::schema_to_schema::live::batch::BatchReport;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::{Direction, FeedKind};
use crate::sql::{Sql, sql};

/// Conflicts that were met after the rows were written: how often the batch is made again before the other side's writers
/// have to wait for it.
const FREE_TRIES: u32 = 4;

/// How often in all.
const TRIES: u32 = 8;

/// How long the batch may wait for its turn then, and those writers behind it.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long rows may stay held while the other feed is asked: it may have a large transaction to read first.
const ANSWER: Duration = Duration::from_secs(2);

/// Both directions.
pub(super) struct Pair {
    /// From the old side to the new one.
    pub(super) forward: Follower,
    /// From the new side to the old one.
    pub(super) back: Follower,
    pub(super) policy: Policy,
    /// How the new tables' conflicts are known.
    watched: Vec<Watched>,
    /// Rows that were contested so far.
    pub(super) conflicts: u64,
}

/// What became of a batch.
pub(super) enum Carried {
    Done(BatchReport),
    /// The other direction has to go first: this one would overwrite what wins.
    Later,
}

/// Conflicts, and who wins; what the batch leaves alone is withheld already.
struct Settled {
    conflicts: Vec<Conflict>,
    /// Whether the other direction has to go first.
    later: bool,
}

impl Pair {
    /// Two directions that are open. What either writes is left out by the other one's feed from now on.
    pub(super) async fn new(mut forward: Follower, mut back: Follower, policy: Policy) -> Result<Self> {
        let tables = 0..forward.migration.plan.tables.len();
        let watched = tables.map(|index| Watched::of(&forward, &back.captured, index, &policy));
        let watched = watched.collect::<Result<Vec<_>>>()?;
        if let Policy::Latest(by) = &policy
            && !watched.iter().any(|watched| watched.is_decided(&policy))
        {
            let what = format!(
                "no new table has a column {by} that the mapping fills, so nobody could tell which row is the latest"
            );
            return Err(Error::config(what)
                .hint("--latest-by names a column such as updated_at; or choose another --conflicts"));
        }
        mark(&mut forward, &back).await?;
        mark(&mut back, &forward).await?;
        Ok(Self { forward, back, policy, watched, conflicts: 0 })
    }

    pub(super) fn one(&mut self, way: Direction) -> &mut Follower {
        match way {
            Direction::Forward => &mut self.forward,
            Direction::Reverse => &mut self.back,
        }
    }

    /// Carries what has changed one way, in one transaction of the side that it goes to. A failure leaves that side as it was.
    pub(super) async fn carry(&mut self, way: Direction) -> Result<Carried> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Box::pin(self.try_to_carry(way, tries > FREE_TRIES)).await {
                Ok(Some(carried)) => return Ok(carried),
                // A row was changed on the other side while it was being written.
                Ok(None) => {
                    self.one(way).applier.roll_back().await;
                    if tries >= TRIES {
                        return Ok(Carried::Later);
                    }
                }
                Err(error) => {
                    self.one(way).applier.roll_back().await;
                    self.one(way.opposite()).applier.roll_back().await;
                    return Err(self.one(way).explain_altered(error).await);
                }
            }
        }
    }

    /// `None` where a conflict came up after the rows were written. `held`: where the other side's writers have to wait.
    async fn try_to_carry(&mut self, way: Direction, held: bool) -> Result<Option<Carried>> {
        let started = Instant::now();
        let this = self.one(way);
        this.withheld.clear();
        let (snapshot, mut changes) = this.changes().await?;
        widen(this, &mut changes);
        failpoint::reached("carry: changes told");
        let mut report = BatchReport::new(this.batches + 1, &changes, snapshot);
        if changes.is_empty() && !this.is_catching_up() {
            this.end_quiet(&mut report, started).await?;
            this.seen(&report).await?;
            return Ok(Some(Carried::Done(report)));
        }
        let begun = this.begin().await?;
        if held {
            hold(this).await?;
        }
        let other = match held {
            true => self.peek_soon(way.opposite()).await?,
            false => self.peek(way.opposite()).await?,
        };
        let Settled { conflicts, later } = self.settle(way, &changes, &other).await?;
        if later {
            self.one(way).applier.roll_back().await;
            return Ok(Some(Carried::Later));
        }
        failpoint::reached("carry: settled");
        let this = self.one(way);
        let written = this.write_all(Some(begun), &changes, &mut report, started).await?;
        reference::check(self.one(way), &changes).await?;
        failpoint::reached("carry: rows written");
        let other = self.peek_soon(way.opposite()).await?;
        let late = self.find(way, &changes, &other).await?;
        if late.iter().any(|late| is_new(late, &conflicts)) {
            return Ok(None);
        }
        self.conflicts += conflicts.iter().map(|conflict| conflict.contested().count() as u64).sum::<u64>();
        let this = self.one(way);
        failpoint::reached("carry: recorded, not committed");
        this.commit(written, &mut report, started).await?;
        failpoint::reached("carry: committed");
        this.seen(&report).await?;
        Ok(Some(Carried::Done(report)))
    }

    /// What the other direction has to carry, as far as it has come by now; nothing of it counts as carried.
    async fn peek(&mut self, way: Direction) -> Result<Changes> {
        let Follower { applier, feed, .. } = self.one(way);
        let snapshot = applier.freeze().await?;
        feed.begin().await?;
        let mut changes = feed.changes(&applier.source, &snapshot).await?;
        applier.thaw().await?;
        widen(self.one(way), &mut changes);
        Ok(changes)
    }

    /// The same while the other direction's batch holds rows, for which the application may be waiting.
    async fn peek_soon(&mut self, way: Direction) -> Result<Changes> {
        if let Ok(changes) = timeout(ANSWER, self.peek(way)).await {
            return changes;
        }
        self.one(way.opposite()).applier.roll_back().await;
        self.one(way).applier.source.cancel().await.ok();
        let what = format!(
            "{} has not said within {ANSWER:?} what has changed there",
            self.one(way).migration.plan.source
        );
        Err(Error::new(ErrorKind::Server, what)
            .sqlstate("55P03")
            .hint("it may have a very large transaction to read: wait until that is done, then run the command again"))
    }

    async fn find(&self, way: Direction, this: &Changes, other: &Changes) -> Result<Vec<Conflict>> {
        let (this, other) = (this.keys.as_slice(), other.keys.as_slice());
        let sides = match way {
            Direction::Forward => [this, other],
            Direction::Reverse => [other, this],
        };
        conflict::find(&self.watched, &self.forward, sides).await
    }

    /// Finds what both sides have changed, says who wins, writes it into the log, and withholds what loses.
    async fn settle(&mut self, way: Direction, changes: &Changes, other: &Changes) -> Result<Settled> {
        let mut conflicts = self.find(way, changes, other).await?;
        let (forward, back) = (&self.forward, &self.back);
        // Who writes holds the rows; the other side's are those of the batch's snapshot.
        let (sides, log) = match way {
            Direction::Forward => {
                ([&forward.applier.source, &forward.applier.target], &forward.applier.target)
            }
            Direction::Reverse => ([&back.applier.target, &back.applier.source], &back.applier.target),
        };
        for conflict in &mut conflicts {
            let watched = &self.watched[conflict.table];
            conflict.look(watched, forward, way, sides).await?;
            conflict.settle(&self.policy, watched, log).await?;
        }
        let is_undecided = |conflict: &&Conflict| {
            conflict.is_open() && !self.watched[conflict.table].is_decided(&self.policy)
        };
        let undecided: Vec<&Conflict> = conflicts.iter().filter(is_undecided).collect();
        if !undecided.is_empty() {
            for conflict in &undecided {
                let watched = &self.watched[conflict.table];
                conflict.log(&self.policy, watched, forward, &forward.side).await?;
            }
            return Err(conflict::undecided(&undecided, forward));
        }
        let is_whole = conflicts.iter().any(|conflict| conflict.is_whole);
        let is_first = match is_whole {
            true => self.policy.wins_whole() == Some(way),
            // Back goes a whole old row, whichever of the new ones that it makes was changed: what else the old side has
            // changed of it has to be over there first.
            false => {
                way == Direction::Forward || !conflicts.iter().any(|conflict| self.is_split(conflict.table))
            }
        };
        if !is_first {
            return Ok(Settled { conflicts, later: true });
        }
        for conflict in &conflicts {
            conflict.log(&self.policy, &self.watched[conflict.table], forward, log).await?;
        }
        let withheld = self.withheld(way, &conflicts, changes).await?;
        self.one(way).withheld = withheld;
        Ok(Settled { conflicts, later: false })
    }

    /// True where the old rows that make those of a new table make rows of another one too.
    fn is_split(&self, table: usize) -> bool {
        let followed = &self.forward.captured.followed;
        followed.iter().filter(|other| other.driving == followed[table].driving).count() > 1
    }

    /// Of every table of this direction, the driving keys of what the other side wins.
    async fn withheld(
        &self,
        way: Direction,
        conflicts: &[Conflict],
        changes: &Changes,
    ) -> Result<Vec<KeySet>> {
        let lost: Vec<(usize, [KeySet; 2])> = conflicts
            .iter()
            .filter(|conflict| !conflict.is_whole)
            .map(|conflict| (conflict.table, conflict.lost_by(way)))
            .filter(|(_, [_, keys])| !keys.is_empty())
            .collect();
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        if way == Direction::Forward {
            let mut withheld = vec![KeySet::default(); self.forward.migration.plan.tables.len()];
            lost.into_iter().for_each(|(table, [driving, _])| withheld[table] = driving);
            return Ok(withheld);
        }
        let mut captured = vec![KeySet::default(); self.back.captured.tables.len()];
        for (table, [_, keys]) in lost {
            let (at, found) = self.watched[table].captured_of(&changes.keys, &keys);
            captured[at].extend(&found);
        }
        let mut withheld = Vec::new();
        for index in 0..self.back.migration.plan.tables.len() {
            withheld.push(self.back.applier.keys_of(index, &captured).await?.into_owned());
        }
        Ok(withheld)
    }

    /// Says how it went, as a run that follows one way does.
    pub(super) fn hands_over(&self) -> bool {
        self.forward.hands_over || self.back.hands_over
    }

    pub(super) fn execution(&self) -> &Execution {
        &self.forward.execution
    }
}

/// What is read again, because a feed has missed changes, may have changed as a whole.
fn widen(this: &Follower, changes: &mut Changes) {
    for index in this.tables_in(TableState::CatchingUp) {
        changes.keys[this.captured.followed[index].driving].insert_whole();
    }
}

/// Marks what `this` writes, so that the feed of `other`, which reads there, leaves it out.
async fn mark(this: &mut Follower, other: &Follower) -> Result<()> {
    this.applier.opening = match other.kind {
        FeedKind::Queue => QueueFeed::leave_out(),
        FeedKind::Wal => WalFeed::leave_out(&WalFeed::name(&other.id)),
    };
    // Rows that the application holds are waited for, but not for long, for it may wait for those that are held here.
    this.applier.target.batch(&Sql::literal("SET lock_timeout = '1s'")).await?;
    locks::give_way(&this.applier.target).await
}

/// Has the writers of the side that `this` writes to wait until its batch is done.
async fn hold(this: &Follower) -> Result<()> {
    let tables: Vec<_> = this.migration.plan.tables.iter().map(|table| table.target.clone()).collect();
    let patience = format!("{}ms", PATIENCE.as_millis());
    let hold = sql!(
        "SET LOCAL lock_timeout = {}; {}",
        crate::sql::Literal(&patience),
        locks::statement(&tables, "SHARE ROW EXCLUSIVE")
    );
    this.applier.target.batch(&hold).await
}

/// True where a row of `late` was not known to be contested when the batch was written.
fn is_new(late: &Conflict, known: &[Conflict]) -> bool {
    let known = known.iter().find(|known| known.table == late.table);
    known.is_none_or(|known| {
        !known.is_whole && (late.is_whole || late.rows.keys().any(|key| !known.rows.contains_key(key)))
    })
}
