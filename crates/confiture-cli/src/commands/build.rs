//! `confiture build`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use confiture::build::{BuildOptions, BuildReport, SchemaBuilder, Tree};
use confiture::config::{Flags, Origin, Settings};
use confiture::project::{Naming, Project};
use confiture::{Error, Result};
use serde_json::json;

use crate::confirm::confirm;
use crate::database;
use crate::invocation::Invocation;
use crate::output::{Reply, as_value, numbers, sentence};
use crate::runtime;

/// Builds an empty database, or one SQL file, or both, from the DDL files.
///
/// Every `.sql` file of the schema folders runs, in the order of its path, all in one transaction. With `--output`
/// the same is only written to a file; with `--output` and `--execute` it is written and run.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The database: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    #[arg(short, long, value_name = "DATABASE")]
    pub(crate) env: Option<String>,

    /// As --env; beside it, this database with that environment's settings.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// From the DDL files and not from the migrations: this is what `build` always does.
    #[arg(long)]
    pub(crate) from_ddl: bool,

    /// Write the whole schema to this file, and touch no database. --env then says only which folders are meant.
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// With --output: build the database as well.
    #[arg(long, requires = "output")]
    pub(crate) execute: bool,

    /// A folder of DDL files, instead of those that are configured; may be repeated.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) schema_dir: Vec<PathBuf>,

    /// Drop the database first, with everything in it.
    #[arg(long)]
    pub(crate) drop_existing: bool,

    /// Execute the files even where a template database of the same files is at hand, and leave none.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Answer the confirmation with yes.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Build {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let flags = Flags { schema_dirs: self.schema_dir.clone(), ..Flags::default() };
        match &self.output {
            Some(file) if !self.execute => self.write(&project, &flags, file),
            _ => self.build(invocation, &project, &flags),
        }
    }

    /// A flag that asks for a database where none is touched would be a wish that is not heard.
    fn refuse_flags_of_a_build(&self) -> Result<()> {
        let flags = [
            ("--drop-existing", self.drop_existing),
            ("--no-cache", self.no_cache),
            ("--database-url", self.database_url.is_some()),
        ];
        match flags.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => {
                Err(Error::usage(format!("--output only writes a file, so {flag} means nothing beside it"))
                    .hint("add --execute to build the database as well, or leave one of the two out"))
            }
        }
    }

    fn naming(&self) -> Naming<'_> {
        let named = self.env.as_deref().map(|name| ("--env", name));
        Naming { named, database_url: self.database_url.as_deref() }
    }

    /// The file alone. The environment says no more than which folders are meant.
    fn write(&self, project: &Project, flags: &Flags, file: &PathBuf) -> Result<Reply> {
        self.refuse_flags_of_a_build()?;
        let settings = match &self.env {
            Some(_) => project.target(self.naming(), flags)?.settings,
            None => project.settings(flags)?,
        };
        let builder = SchemaBuilder::new(tree(project, &settings));
        let files = builder.files()?;
        builder.write(file)?;
        let statements: usize = files.iter().map(|file| file.script.statements.len()).sum();
        let text = wrote(file, statements, files.len());
        Reply::new(&json!({ "output": file, "files": files.len(), "statements": statements }), text)
    }

    fn build(&self, invocation: &Invocation, project: &Project, flags: &Flags) -> Result<Reply> {
        runtime::run(invocation, async |execution| {
            let found = database::find(project, self.naming(), flags).await?;
            let options = BuildOptions {
                drop_existing: self.drop_existing,
                // Nothing happens before the question below.
                loss_confirmed: true,
                cache: !self.no_cache,
                production: found.settings.production.value,
            };
            let builder = SchemaBuilder::new(tree(project, &found.settings));
            let plan = builder.plan(&found.connection, options).await?;
            for note in &plan.notes {
                execution.note(sentence(note));
            }
            if let Some(loss) = plan.loses() {
                confirm(&invocation.terminal, &execution, self.yes, &loss).await?;
            }
            // First what can be done again: a file that cannot be written leaves the database as it was.
            let mut text = String::new();
            if let Some(file) = &self.output {
                builder.write(file)?;
                text = wrote(file, plan.statements, plan.files);
            }
            let report = plan.execute(&execution).await?;
            text.push_str(&render(&report));
            let mut result = as_value(&report)?;
            if let Some(file) = &self.output {
                result["output"] = json!(file);
            }
            Reply::new(&result, text)
        })
    }
}

/// The schema folders, as the library takes them.
pub(crate) fn tree(project: &Project, settings: &Settings) -> Tree {
    Tree {
        root: project.root.clone(),
        schema_dirs: project.schema_dirs(settings),
        // A file of the project may not lead out of it; whoever calls the program may.
        anywhere: matches!(settings.schema_dirs.origin, Origin::Flag(_) | Origin::Variable(_)),
        include: settings.include.value.clone(),
        exclude: settings.exclude.value.clone(),
    }
}

fn wrote(file: &Path, statements: usize, files: usize) -> String {
    let (statements, files) = (numbers::count(statements, "statement"), numbers::count(files, "file"));
    format!("Wrote {}: {statements} from {files}\n", file.display())
}

fn render(report: &BuildReport) -> String {
    let how = match (report.cloned, report.replaced) {
        (true, true) => "Replaced from its template",
        (true, false) => "Built from its template",
        (false, true) => "Replaced",
        (false, false) => "Built",
    };
    let mut text = format!(
        "{how}: {} ({} from {}) in {}\n",
        report.database,
        numbers::count(report.statements, "statement"),
        numbers::count(report.files, "file"),
        numbers::duration(report.elapsed)
    );
    for outside in &report.outside_transaction {
        let _ = writeln!(text, "  {} ran outside of the transaction ({})", outside.statement, outside.place);
    }
    text
}
