//! `confiture diff`, `confiture migrate diff`, and `confiture drift`.

mod sides;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use confiture::config::Flags;
use confiture::diff::Hazard;
use confiture::event::Execution;
use confiture::migrate;
use confiture::project::Project;
use confiture::schema_diff::{self, DiffOptions, Difference, Plan};
use confiture::{Error, ErrorKind, Result};
use serde_json::json;

use crate::invocation::Invocation;
use crate::output::{Reply, as_value, numbers, sentence};
use crate::runtime;
use sides::{Ends, Place};

/// What takes longer says what it is at.
const SOON: Duration = Duration::from_secs(2);

/// Shows the SQL that turns one schema into another, and back; with --generate, writes it as a migration.
///
/// A schema is a `.sql` file, a folder of DDL files, a folder of migrations, an environment, or a database. Without any, the
/// migrations are compared with the DDL files. Both schemas are built in scratch databases, and the SQL is proved there, both
/// ways, before it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// What is there: a file, a folder, an environment, a PostgreSQL URL.
    #[arg(value_name = "OLD")]
    old: Option<String>,

    /// What it is to become.
    #[arg(value_name = "NEW", requires = "old")]
    new: Option<String>,

    /// As OLD.
    #[arg(long, visible_alias = "source", value_name = "OLD", conflicts_with = "old")]
    from: Option<String>,

    /// As NEW.
    #[arg(long, visible_alias = "target", value_name = "NEW", conflicts_with = "new")]
    to: Option<String>,

    /// Write the migration's two files into the migrations folder.
    #[arg(long, requires = "name")]
    generate: bool,

    /// The migration's name.
    #[arg(long, value_name = "NAME", requires = "generate")]
    name: Option<String>,

    /// A table, column, type or other thing has a new name: `users.full_name=display_name`. May be repeated.
    #[arg(long, value_name = "OLD=NEW")]
    rename: Vec<String>,

    /// One goes and the other comes, though it may seem to have a new name. May be repeated.
    #[arg(long, value_name = "OLD=NEW")]
    no_rename: Vec<String>,

    /// `on`: indexes and constraints in forms that let others go on working; `off`: the plain forms, in one transaction.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    online: Online,

    /// Write passwords of user mappings and foreign servers into the files, too.
    #[arg(long, requires = "generate")]
    secrets: bool,

    /// What cannot be compared is an error, and not only a remark.
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    folders: Folders,
}

/// Which forms generated statements have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Online {
    /// Others go on working.
    #[default]
    On,
    /// The plain forms.
    Off,
}

/// Where things are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Folders {
    /// A folder of DDL files, instead of those that are configured; may be repeated.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    schema_dir: Vec<PathBuf>,

    /// The folder of the migrations.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    migrations_dir: Option<PathBuf>,

    /// The server on which scratch databases are made; without it, one of Confiture's own.
    #[arg(long, value_name = "URL")]
    scratch_url: Option<String>,
}

impl Folders {
    fn flags(&self) -> Flags {
        Flags {
            schema_dirs: self.schema_dir.clone(),
            migrations_dir: self.migrations_dir.clone(),
            scratch_url: self.scratch_url.clone(),
            ..Flags::default()
        }
    }
}

impl Diff {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let flags = self.folders.flags();
        let settings = project.settings(&flags)?;
        let given = |argument: (&'static str, &Option<String>), flag: (&'static str, &Option<String>)| {
            [argument, flag].into_iter().find_map(|(with, name)| Some(Place::Named(with, name.clone()?)))
        };
        let old = given(("OLD", &self.old), ("--from", &self.from)).unwrap_or(Place::Migrations);
        let new = given(("NEW", &self.new), ("--to", &self.to)).unwrap_or(Place::Schema);
        let options = DiffOptions {
            renames: self.rename.clone(),
            no_renames: self.no_rename.clone(),
            online: self.online == Online::On,
            ..DiffOptions::default()
        };
        let migrations = &settings.migrations_dir.value;
        let mut difference = runtime::run(invocation, async |execution| {
            let ends = Ends { project: &project, flags: &flags, settings: &settings };
            compare(&ends, &old, &new, options, &execution).await
        })
        .map_err(|error| match error.place() {
            Some(place) if place.file.starts_with(migrations) => migrate::say_empty(error),
            _ => error,
        })?;
        let is_first =
            matches!(old, Place::Migrations) && migrate::read_folder(migrations)?.migrations.is_empty();
        if is_first && !difference.up.steps.is_empty() {
            difference.remarks.push(format!(
                "there are no migrations in {}, so this makes the whole schema; a database that was built from the files has it already, and \
                 `confiture migrate baseline` records that",
                migrations.display()
            ));
        }
        if self.strict && !difference.uncovered.is_empty() {
            let error = Error::new(ErrorKind::Found, "something is there that is not compared");
            return Err(difference.uncovered.iter().fold(error, |error, line| error.hint(line.clone())));
        }
        match &self.name {
            Some(name) if self.generate => {
                write(&settings.migrations_dir.value, name, &difference, self.secrets)
            }
            _ => Reply::new(&difference, show(&difference)),
        }
    }
}

async fn compare(
    ends: &Ends<'_>,
    old: &Place,
    new: &Place,
    options: DiffOptions,
    execution: &Execution,
) -> Result<Difference> {
    let (from, to) = (ends.source(old).await?, ends.source(new).await?);
    let scratches = ends.scratches([&from, &to]).await?;
    let history_table = Some(ends.settings.history_table.value.clone());
    let options = DiffOptions { history_table, ..options };
    let (connection, stop) = (scratches.connection(), execution.interrupted());
    let work = schema_diff::diff_until(connection, &from.source, &to.source, &options, stop);
    let found = tell_of_long(execution, "Comparing the schemas, and trying the SQL both ways", work).await;
    from.leave();
    to.leave();
    scratches.leave();
    found
}

/// Does `work`, a step that is told of once it takes longer.
async fn tell_of_long<T>(
    execution: &Execution,
    step: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    match tokio::time::timeout(SOON, &mut work).await {
        Ok(done) => done,
        Err(_) => execution.step(step, work).await,
    }
}

fn show(difference: &Difference) -> String {
    let mut text = String::new();
    if difference.up.steps.is_empty() {
        text.push_str("-- The schemas are the same.\n");
    }
    for line in untold(difference) {
        text.push_str(&format!("-- {}\n", line.replace(['\n', '\r'], " ")));
    }
    text.push_str(&schema_diff::render_steps(&difference.up, false));
    text
}

/// What is remarked on, but for what a note says where it is done.
fn untold(difference: &Difference) -> Vec<String> {
    let notes = difference.up.steps.iter().flat_map(|step| &step.hazards);
    let notes: Vec<&str> = notes.map(Hazard::why).filter(|why| !why.is_empty()).collect();
    let is_told = |line: &&String| notes.iter().any(|why| line.contains(why));
    let remarks = difference.remarks.iter().filter(|line| !is_told(line));
    remarks.chain(&difference.uncovered).cloned().collect()
}

fn write(folder: &Path, name: &str, difference: &Difference, secrets: bool) -> Result<Reply> {
    if difference.up.steps.is_empty() {
        return Reply::new(
            &json!({ "files": [], "difference": difference }),
            "The schemas are the same; nothing is written.\n",
        );
    }
    let holding: Vec<&str> = difference.up.secrets().into_iter().chain(difference.down.secrets()).collect();
    if let Some(title) = holding.first().filter(|_| !secrets) {
        return Err(Error::config(format!(
            "{title} has a password, which a migration would hold for all to read"
        ))
        .hint("write it all the same with --secrets, or leave the password out of the DDL files"));
    }
    let remarks: Vec<String> = difference.remarks.iter().chain(&difference.uncovered).cloned().collect();
    let up = schema_diff::render(&difference.up, &untold(difference));
    let down = schema_diff::render(&difference.down, &[]);
    let read = migrate::read_folder(folder)?;
    let made = migrate::write_pair(&read, name, SystemTime::now(), &up, &down)?;
    let wrote = |file: &PathBuf, plan: &Plan| {
        format!("Wrote {}: {}\n", file.display(), numbers::count(plan.steps.len(), "step"))
    };
    let plans = [&difference.up, &difference.down];
    let mut text: String = made.files.iter().zip(plans).map(|(file, plan)| wrote(file, plan)).collect();
    for remark in &remarks {
        text.push_str(&format!("{}\n", sentence(remark)));
    }
    Reply::new(&json!({ "files": made.files, "difference": as_value(difference)? }), text)
}

/// Compares a live database with the DDL files, or with another schema; exit status 7 where they differ.
#[derive(Debug, clap::Args)]
pub(crate) struct Drift {
    /// The database: an environment's name, an environment file, a PostgreSQL URL.
    #[arg(short, short_alias = 'c', long, alias = "config", visible_alias = "from", value_name = "DATABASE")]
    env: Option<String>,

    /// As --env.
    #[arg(long, value_name = "URL", conflicts_with = "env")]
    database_url: Option<String>,

    /// What it should be, instead of the DDL files: a file, a folder, migrations, an environment, a PostgreSQL URL.
    #[arg(long, visible_alias = "to", value_name = "SCHEMA")]
    against: Option<String>,

    #[command(flatten)]
    folders: Folders,
}

impl Drift {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let flags = self.folders.flags();
        let settings = project.settings(&flags)?;
        let old = match (&self.env, &self.database_url) {
            (None, Some(url)) => Place::Database("--database-url", Some(url.clone())),
            (name, _) => Place::Database("--env", name.clone()),
        };
        let new = self.against.clone().map_or(Place::Schema, |name| Place::Named("--against", name));
        let difference = runtime::run(invocation, async |execution| {
            let ends = Ends { project: &project, flags: &flags, settings: &settings };
            compare(&ends, &old, &new, DiffOptions::default(), &execution).await
        })?;
        if difference.up.steps.is_empty() {
            return Reply::new(&difference, "The database is as it should be.\n");
        }
        let count = difference.up.steps.len();
        let text = format!("-- What would make the database as it should be:\n{}", show(&difference));
        let verdict =
            Error::new(ErrorKind::Found, format!("the database differs: {}", numbers::count(count, "step")));
        Ok(Reply::new(&difference, text)?.but(Some(verdict)))
    }
}
