//! What lint says of migrations before they run, judged with the sizes and types of the database that they are for.

use std::borrow::Cow;
use std::path::Path;

use crate::error::Result;
use crate::lint::{Ground, Input, LintOptions, Purpose, Remark, lint_wanted};
use crate::migrate::assess::{Standing, assess};
use crate::migrate::folder::Folder;
use crate::migrate::migrator::Migrator;
use crate::migrate::options::Options;
use crate::migrate::plan::{Direction, Plan};
use crate::postgres::{Session, read_lint_ground};

/// What lint says of the ways up of those files that are wanted; what all files of the folder mean together is known.
#[must_use]
pub fn lint_folder(
    folder: &Folder,
    is_wanted: impl Fn(&Path) -> bool,
    ground: Option<Ground>,
    lock_timeout: bool,
) -> Vec<Remark> {
    let inputs: Vec<_> = folder
        .migrations
        .iter()
        .map(|file| Input { script: Cow::Borrowed(&file.up.script), purpose: Purpose::Migration })
        .collect();
    let options = LintOptions { ground, lock_timeout, ..LintOptions::default() };
    lint_wanted(&inputs, |input| is_wanted(input.script.script.file()), &options).remarks
}

/// Adds to each migration of a plan what lint says of it. What runs on the way back, and what is in Rust, is not looked at.
pub(super) async fn inspect(
    plan: &mut Plan,
    folder: &Folder,
    options: &Options,
    session: &Session,
) -> Result<()> {
    if !options.lint || plan.direction == Direction::Down || plan.migrations.is_empty() {
        return Ok(());
    }
    let is_planned =
        |file: &Path| plan.migrations.iter().any(|planned| planned.file.as_deref() == Some(file));
    let ground = read_lint_ground(session).await?;
    for remark in lint_folder(folder, is_planned, Some(ground), !options.lock_timeout.is_zero()) {
        let mut of_file =
            plan.migrations.iter_mut().filter(|planned| planned.file.as_ref() == Some(&remark.place.file));
        if let Some(planned) = of_file.next() {
            planned.remarks.push(remark);
        }
    }
    Ok(())
}

impl Migrator {
    /// What lint says of the migrations that are pending.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub async fn lint_pending(&self) -> Result<Vec<Remark>> {
        let units = self.units()?;
        let (session, history) = self.connect().await?;
        let assessed = assess(&units, &history);
        let is_pending = |file: &Path| {
            assessed.iter().any(|one| {
                matches!(one.state, Standing::Pending | Standing::OutOfOrder)
                    && one.file.as_deref() == Some(file)
            })
        };
        let ground = read_lint_ground(&session).await?;
        Ok(lint_folder(&self.folder, is_pending, Some(ground), !self.options.lock_timeout.is_zero()))
    }
}
