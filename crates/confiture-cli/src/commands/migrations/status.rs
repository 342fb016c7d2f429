//! `confiture migrate status`.

use std::fmt::Write as _;

use confiture::migrate::{Assessment, Standing};
use confiture::project::Project;
use confiture::{Error, ErrorKind, Result};

use super::whereabouts::Whereabouts;
use crate::invocation::Invocation;
use crate::output::numbers::count;
use crate::output::style::Style;
use crate::output::{Reply, sentence};
use crate::runtime;

/// Says which migrations are applied, and which are pending.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    whereabouts: Whereabouts,

    /// End with exit status 7 where not everything is applied as the files say.
    #[arg(long)]
    check: bool,
}

impl Status {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        runtime::run_in_turn(invocation, async |_| {
            let found = self.whereabouts.find(&project, None).await?;
            let status = found.migrator.status().await?;
            let verdict = verdict(&status).filter(|_| self.check);
            let text = render(invocation.terminal.stdout, &status);
            Ok(Reply::new(&status, text)?.but(verdict))
        })
    }
}

fn render(style: Style, status: &confiture::migrate::Status) -> String {
    let name_width =
        status.migrations.iter().map(|one| one.called().chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for one in &status.migrations {
        let details = details(one);
        let line = format!("{:<name_width$}  {:<11}{details}", one.called(), word(one.state));
        let _ = writeln!(text, "{} {}", mark(style, one.state), line.trim_end());
        for change in &one.changes {
            let _ = writeln!(text, "     {change}");
        }
    }
    for note in &status.notes {
        let _ = writeln!(text, "{}", sentence(note));
    }
    let table = if status.history_exists {
        format!("recorded in {}", status.history_table)
    } else {
        "nothing was ever recorded".to_owned()
    };
    let _ = writeln!(
        text,
        "{}: {} applied, {} pending; {table}",
        status.database, status.applied, status.pending
    );
    text
}

fn mark(style: Style, state: Standing) -> &'static str {
    match state {
        Standing::Applied => style.done(),
        Standing::Pending => "  ",
        _ => style.failed(),
    }
}

fn word(state: Standing) -> &'static str {
    match state {
        Standing::Applied => "applied",
        Standing::Pending => "pending",
        Standing::OutOfOrder => "pending",
        Standing::Changed => "changed",
        Standing::Missing => "file gone",
        Standing::Interrupted | Standing::RevertInterrupted => "interrupted",
        Standing::HalfSquashed => "half there",
    }
}

fn details(one: &Assessment) -> String {
    let when = || {
        let at = one.applied_at.as_deref().unwrap_or_default();
        let at = at.split('.').next().unwrap_or(at).replace('T', " ");
        let source = one.source.as_deref().map(|source| format!(", from {source}")).unwrap_or_default();
        format!("  {at} UTC by {}{source}", one.applied_by.as_deref().unwrap_or("?"))
    };
    match one.state {
        Standing::Applied | Standing::Changed | Standing::Missing => when(),
        Standing::OutOfOrder => "  below the last applied one".to_owned(),
        Standing::Interrupted => format!("  after {}; `migrate up` goes on", steps(one)),
        Standing::RevertInterrupted => {
            format!("  while reverted, after {}; `migrate down` goes on", steps(one))
        }
        Standing::HalfSquashed => "  some of what it was made of is applied".to_owned(),
        Standing::Pending => String::new(),
    }
}

fn steps(one: &Assessment) -> String {
    count(one.steps_done.unwrap_or_default(), "step")
}

/// What keeps the database from being where the files are.
fn verdict(status: &confiture::migrate::Status) -> Option<Error> {
    let of = |wanted: &[Standing]| status.migrations.iter().filter(|one| wanted.contains(&one.state)).count();
    let parts = [
        (of(&[Standing::Pending, Standing::OutOfOrder]), "pending"),
        (of(&[Standing::Changed]), "changed since they were applied"),
        (of(&[Standing::Interrupted, Standing::RevertInterrupted]), "interrupted"),
        (of(&[Standing::HalfSquashed]), "there in part"),
    ];
    let said: Vec<_> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let hint = match &status.unadopted {
        Some(unadopted) => unadopted.way_out(),
        None if of(&[Standing::Changed]) > 0 => {
            "undo the change, and write a new migration for what it was meant to do; or `confiture migrate up --repair`".to_owned()
        }
        None => "`confiture migrate up` applies what is pending".to_owned(),
    };
    (!said.is_empty()).then(|| {
        Error::new(ErrorKind::Found, format!("not all migrations are applied: {}", said.join(", ")))
            .hint(hint)
    })
}
