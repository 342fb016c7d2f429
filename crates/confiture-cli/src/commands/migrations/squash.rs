//! `confiture migrate squash`.

use confiture::migrate::{Assessment, Standing, Status, plan_squash};
use confiture::project::Project;
use confiture::{Error, ErrorKind, Result};
use serde_json::json;

use super::version;
use super::whereabouts::{Whereabouts, read};
use crate::confirm::confirm;
use crate::database;
use crate::invocation::Invocation;
use crate::output::Reply;
use crate::output::numbers::count;
use crate::runtime;

/// Makes one migration of many: the same statements in one pair of files, proven to do the same.
///
/// Databases that have all of them take the new one as applied; new databases run it alone. The former files are moved
/// into the folder `squashed`. A database that is named must have all of them, or none.
#[derive(Debug, clap::Args)]
pub(crate) struct Squash {
    /// The last version in it; all, where none is named.
    #[arg(value_name = "VERSION")]
    version: Option<String>,

    #[command(flatten)]
    whereabouts: Whereabouts,

    /// What the new migration is called.
    #[arg(long, value_name = "NAME", default_value = "squashed")]
    name: String,

    /// Only prove it, and say what would be written.
    #[arg(long)]
    dry_run: bool,

    /// The server for scratch databases; the embedded one, where none is named.
    #[arg(long, value_name = "URL")]
    scratch_url: Option<String>,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    yes: bool,
}

impl Squash {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let to = self.version.as_deref().map(version).transpose()?;
        runtime::run(invocation, async |execution| {
            let mut flags = self.whereabouts.flags(None);
            flags.scratch_url.clone_from(&self.scratch_url);
            let settings = match project.target(self.whereabouts.naming(), &flags) {
                Ok(target) => target.settings,
                Err(error) if error.kind() == ErrorKind::Usage => project.settings(&flags)?,
                Err(error) => return Err(error),
            };
            let squash = plan_squash(&read(&settings)?, to.as_ref(), &self.name)?;
            if self.whereabouts.naming().named.is_some() || self.whereabouts.database_url.is_some() {
                let found = self.whereabouts.find_with(&project, &flags, None).await?;
                refuse_half(&squash.migrations, &found.migrator.status().await?)?;
            }
            // Each has its own, for what makes roles makes them once.
            let scratch = || database::scratch_for(&project, &settings, squash.former_texts());
            let (former, new) = (scratch().await?, scratch().await?);
            let differences = squash.prove(&former.connection, &new.connection, &execution).await?;
            if let Some(first) = differences.first() {
                return Err(Error::unexpected(format!(
                    "the one migration would not make what the {} make: {} and {} others are different",
                    squash.migrations.len(),
                    first.object(),
                    differences.len() - 1
                ))
                .hint("nothing was written; squash up to an earlier version"));
            }
            let migrations = count(squash.migrations.len(), "migration");
            let files: Vec<_> = squash.files.iter().map(|file| file.display().to_string()).collect();
            let files = files.join(" and ");
            if self.dry_run {
                let text = format!("Proven: {migrations} as one would be {files}.\nNothing was written.");
                return Reply::new(&json!({ "dry_run": true, "squash": squash }), text);
            }
            let what = format!("replacing {migrations} by {files}");
            confirm(&invocation.terminal, &execution, self.yes, &what).await?;
            squash.write()?;
            let back =
                if squash.reversible { "" } else { " It has no way back, for not all of them have one." };
            let moved = count(squash.moved.len(), "former file");
            let text = format!("Wrote {files}; {moved} moved into squashed/.{back}");
            Reply::new(&json!({ "dry_run": false, "squash": squash }), text)
        })
    }
}

/// A database that has only some of the migrations would be stuck: once their files are away, nothing can apply the rest.
fn refuse_half(squashed: &[String], status: &Status) -> Result<()> {
    let concerned: Vec<_> = status.migrations.iter().filter(|one| squashed.contains(&one.called())).collect();
    let done = |one: &&&Assessment| matches!(one.state, Standing::Applied | Standing::Changed);
    let applied = concerned.iter().filter(done).count();
    let is_begun = concerned.iter().any(|one| {
        matches!(one.state, Standing::Interrupted | Standing::RevertInterrupted | Standing::HalfSquashed)
    });
    if !is_begun && (applied == 0 || applied == concerned.len()) {
        return Ok(());
    }
    let last = concerned.iter().filter(done).map(|one| one.version.as_str()).next_back();
    let refusal = Error::refused(format!(
        "{} has {applied} of the {} migrations that would become one, and would have neither the whole nor a way to it",
        status.database,
        concerned.len()
    ))
    .hint("nothing was written; apply the rest there first, with `confiture migrate up`");
    Err(match last {
        Some(last) => refusal.hint(format!("or squash only what it has: confiture migrate squash {last}")),
        None => refusal,
    })
}
