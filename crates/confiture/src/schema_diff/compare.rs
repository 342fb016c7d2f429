//! Compares what two sources make, both ways.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::RwLock;

use crate::catalog::Objects;
use crate::config::Connection;
use crate::config::mapping::TableName;
use crate::diff::rename::{self, Asked, Rename};
use crate::diff::{self, Step};
use crate::error::{Error, Result};
use crate::postgres::scratch::{self, Scratch};
use crate::schema_diff::base_type;
use crate::schema_diff::prove::converge;
use crate::schema_diff::side::{Owners, Side};
use crate::schema_diff::watch::watch;
use crate::sql::SplitScript;

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

    /// Builds what is not valid in the live database where the plan begins, and what it relies on.
    fn build_broken(&mut self, side: &Side<'_>, online: bool) {
        let Some(live) = &side.live else { return };
        self.steps = diff::build_broken(std::mem::take(&mut self.steps), &live.objects, online);
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
    let (back, locks) = (rename::reversed(&renames), RwLock::default());
    let (to_new, to_old) = (hosting(&before, &after, &renames), hosting(&after, &before, &back));
    let (forward, backward) = tokio::join!(
        converge(left.session(), (&before, &to_new), &renames, owners, &locks),
        converge(right.session(), (&after, &to_old), &back, owners, &locks)
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
    // What is not quite as it was may be altered otherwise.
    let mut exact = (true, true);
    for others in [diff::other_extensions, diff::other_inheritance] {
        let (of_after, of_before) = (others(&reached, &after), others(&restored, &before));
        exact = (exact.0 && of_before.is_empty(), exact.1 && of_after.is_empty());
        remarks.extend(of_after);
        remarks.extend(of_before.into_iter().map(on_the_way_back));
    }
    if options.online {
        up.go_online();
        down.go_online();
    }
    up.build_broken(&old_side, options.online);
    down.build_broken(&new_side, options.online);
    let (up_reshaped, down_reshaped) = (up.rewrite_once(), down.rewrite_once());
    // By now the right one is what the left one was, and the other way round.
    let live = old_side.live.as_ref().or(new_side.live.as_ref());
    let mut sizes = live.map(|live| live.sizes.clone()).unwrap_or_default();
    sizes.know(&renames);
    let (forward, backward) = tokio::join!(
        async {
            let fresh = fresh(connection, exact.0, owners, &old_side, &new_side).await?;
            let there = fresh.as_ref().unwrap_or(right);
            let seen = watch(there.session(), (&mut up, up_reshaped), &sizes, &to_new, owners).await;
            close(fresh).await.and(seen)
        },
        async {
            let fresh = fresh(connection, exact.1, owners, &new_side, &old_side).await?;
            let there = fresh.as_ref().unwrap_or(left);
            let seen = watch(there.session(), (&mut down, down_reshaped), &sizes, &to_old, owners).await;
            close(fresh).await.and(seen)
        }
    );
    forward?;
    backward.map_err(|error| error.context("on the way back"))?;
    // Nobody waits until so many small pieces are given back.
    drop(tokio::task::spawn_blocking(move || drop((before, after, to_old, to_new, reached, restored))));
    Ok(Difference { up, down, remarks, uncovered })
}

/// `new`, with what `old` has and cannot lose.
fn hosting(old: &Objects, new: &Arc<Objects>, renames: &[Rename]) -> Arc<Objects> {
    diff::with_hosts(old, new, renames).map_or_else(|| Arc::clone(new), Arc::new)
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
