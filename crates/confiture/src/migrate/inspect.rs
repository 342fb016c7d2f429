//! What lint says of migrations before they run, judged with the sizes and types of the database that they are for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::error::Result;
use crate::lint::{Ground, Input, LintOptions, Purpose, Remark, lint_wanted};
use crate::migrate::assess::{Standing, assess};
use crate::migrate::folder::Folder;
use crate::migrate::migrator::Migrator;
use crate::migrate::plan::Plan;
use crate::postgres::read_lint_ground;

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

impl Migrator {
    /// Adds to each migration of a plan what lint says of it on this ground. What is in Rust is not looked at.
    pub(super) fn inspect(&self, plan: &mut Plan, ground: Option<Ground>) {
        let Some(ground) = ground else { return };
        let planned = plan.migrations.iter_mut();
        let mut by_file: HashMap<_, _> =
            planned.filter_map(|planned| Some((planned.file.clone()?, &mut planned.remarks))).collect();
        let is_planned = |file: &Path| by_file.contains_key(file);
        for remark in lint_folder(&self.folder, is_planned, Some(ground), self.limits_locks()) {
            if let Some(remarks) = by_file.get_mut(&remark.place.file) {
                remarks.push(remark);
            }
        }
    }

    fn limits_locks(&self) -> bool {
        !self.options.lock_timeout.is_zero()
    }

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
        Ok(lint_folder(&self.folder, is_pending, Some(ground), self.limits_locks()))
    }
}
