//! `confiture build`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use confiture::build::{BuildOptions, BuildReport, SchemaBuilder, Seeds, Tree};
use confiture::config::{BuildOrder, Flags, Origin, Settings};
use confiture::event::Execution;
use confiture::migrate::{self, Migrator, read_folder};
use confiture::project::{Naming, Project};
use confiture::sql::Sql;
use confiture::{Error, ErrorKind, Result, disk};
use serde_json::json;

use crate::confirm::confirm;
use crate::database::{self, Database};
use crate::invocation::Invocation;
use crate::output::style::Style;
use crate::output::{self, Reply, as_value, numbers, sentence};
use crate::runtime;

/// Builds an empty database, or one SQL file, or both, from the DDL files.
///
/// Every `.sql` file of the schema folders runs, in the order of its path, all in one transaction. With `--output`
/// the same is only written to a file; with `--output` and `--execute` it is written and run. The migrations of the
/// project count as applied in such a database: the files contain them.
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The database: an environment's name, an environment file, a PostgreSQL URL or DSN, or `embedded`.
    #[arg(short, short_alias = 'c', long, alias = "config", value_name = "DATABASE")]
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

    /// Only files that match this pattern; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,

    /// No files that match this pattern; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,

    /// Build into the database of this name on the server that --env means: `app_test_$N`.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The order of the files: `names`, or `dependencies`, which is found out by trying.
    #[arg(long, value_name = "ORDER")]
    pub(crate) order: Option<String>,

    /// Run the seeds after the schema: db/seeds/*.sql, then those of the environment, db/seeds/ENV.
    #[arg(long)]
    pub(crate) seed: bool,

    /// Do not run seeds, whatever the configuration says.
    #[arg(long, conflicts_with = "seed")]
    pub(crate) no_seed: bool,

    /// Build again whenever a file changes, until Ctrl-C. Every build takes the place of the one before.
    #[arg(long, conflicts_with_all = ["output", "execute"])]
    pub(crate) watch: bool,

    /// Drop the database first, with everything in it.
    #[arg(long)]
    pub(crate) drop_existing: bool,

    /// With --drop-existing or --watch: end the connections of others to the database that is replaced.
    #[arg(long)]
    pub(crate) disconnect: bool,

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
        let flags = Flags {
            schema_dirs: self.schema_dir.clone(),
            build_order: self.order.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            ..Flags::default()
        };
        match &self.output {
            Some(file) if !self.execute => self.write(invocation, &project, &flags, file),
            _ if self.watch => self.watch(invocation, &project, &flags),
            _ => self.build(invocation, &project, &flags),
        }
    }

    /// A flag that asks for a database where none is touched would be a wish that is not heard.
    fn refuse_flags_of_a_build(&self) -> Result<()> {
        let flags = [
            ("--drop-existing", self.drop_existing),
            ("--no-cache", self.no_cache),
            ("--name", self.name.is_some()),
            ("--disconnect", self.disconnect),
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
    fn write(
        &self,
        invocation: &Invocation,
        project: &Project,
        flags: &Flags,
        file: &PathBuf,
    ) -> Result<Reply> {
        self.refuse_flags_of_a_build()?;
        let (settings, environment) = match &self.env {
            Some(_) => {
                let target = project.target(self.naming(), flags)?;
                (target.settings, target.environment.map(|environment| environment.name.value))
            }
            None => (project.settings(flags)?, None),
        };
        let builder = SchemaBuilder::new(self.tree(project, &settings, environment));
        let files = builder.files()?;
        match settings.build_order.value {
            BuildOrder::Names => builder.write(file)?,
            BuildOrder::Dependencies => runtime::run(invocation, async |execution| {
                write_by_need(project, &settings, &builder, file, &execution).await
            })?,
        }
        let statements: usize = files.iter().map(|file| file.script.statements.len()).sum();
        let text = wrote(file, statements, files.len());
        Reply::new(&json!({ "output": file, "files": files.len(), "statements": statements }), text)
    }

    fn build(&self, invocation: &Invocation, project: &Project, flags: &Flags) -> Result<Reply> {
        runtime::run(invocation, async |execution| {
            let found = self.find(project, flags).await?;
            let options = self.options(&found.settings);
            let builder = SchemaBuilder::new(self.tree(project, &found.settings, found.environment.clone()));
            let contained = self.contained(&found, &execution)?;
            let builder = builder.with_record(contained.record.clone());
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
                match found.settings.build_order.value {
                    BuildOrder::Names => builder.write(file)?,
                    BuildOrder::Dependencies => {
                        write_by_need(project, &found.settings, &builder, file, &execution).await?;
                    }
                }
                text = wrote(file, plan.statements, plan.files);
            }
            let is_vacant = options.drop_existing && !plan.replaces;
            let report = match plan.execute(&execution).await {
                // Another build has made the database meanwhile: that one is replaced.
                Err(error) if is_vacant && error.kind() == ErrorKind::Unsafe => {
                    let plan = builder.plan(&found.connection, options).await?;
                    if let Some(loss) = plan.loses() {
                        confirm(&invocation.terminal, &execution, self.yes, &loss).await?;
                    }
                    plan.execute(&execution).await?
                }
                report => report?,
            };
            text.push_str(&render(&report));
            text.push_str(&contained.render());
            let mut result = as_value(&report)?;
            result["migrations"] = json!(contained.migrations);
            if let Some(file) = &self.output {
                result["output"] = json!(file);
            }
            Reply::new(&result, text)
        })
    }
}

impl Build {
    async fn find(&self, project: &Project, flags: &Flags) -> Result<Database> {
        if let Some(name) = &self.name {
            database::refuse_long_name(name)?;
        }
        let mut found = database::find(project, self.naming(), flags).await?;
        if let Some(name) = &self.name {
            if name.is_empty() {
                return Err(Error::usage("--name is empty")
                    .hint("a variable in it may not be set, as in --name app_test_$N"));
            }
            found.connection = found.connection.with_database(name);
        }
        database::refuse_long_name(&found.connection.database)?;
        Ok(found)
    }

    /// The migrations that the schema files contain, and the record of them: files and migrations are committed together, so that a
    /// database of these files needs none of them. Of another folder that a flag names, nobody knows what it contains.
    fn contained(&self, found: &Database, execution: &Execution) -> Result<Contained> {
        if !self.schema_dir.is_empty() {
            return Ok(Contained::default());
        }
        let mut folder = match read_folder(&found.settings.migrations_dir.value) {
            Ok(folder) => folder,
            // It is the schema that is built, and it is whole.
            Err(error) => {
                let place = error.place().map(|place| format!("{place}: ")).unwrap_or_default();
                execution.warn(format!("the migrations are not recorded as applied: {place}{error}"));
                return Ok(Contained::default());
            }
        };
        // One that is still to be written is in no schema.
        folder.migrations.retain(|one| !one.up.is_empty());
        let migrations = folder.migrations.len();
        let options = migrate::Options::from_settings(&found.settings);
        let table = options.history_table.to_string();
        let record = Migrator::new(found.connection.clone(), folder, options).record_of_build()?;
        Ok(Contained { record, migrations, table })
    }

    fn options(&self, settings: &Settings) -> BuildOptions {
        BuildOptions {
            drop_existing: self.drop_existing,
            // Nothing happens before the question is answered.
            loss_confirmed: true,
            cache: !self.no_cache,
            disconnect: self.disconnect,
            production: settings.production.value,
        }
    }

    /// The schema folders and seeds, as the library takes them.
    fn tree(&self, project: &Project, settings: &Settings, environment: Option<String>) -> Tree {
        let with_seeds = self.seed || (settings.build_seed.value && !self.no_seed);
        let folder = &settings.seeds_dir.value;
        Tree {
            root: project.root.clone(),
            schema_dirs: project.schema_dirs(settings),
            // A file of the project may not lead out of it; whoever calls the program may.
            anywhere: matches!(settings.schema_dirs.origin, Origin::Flag(_) | Origin::Variable(_)),
            include: settings.include.value.clone(),
            exclude: settings.exclude.value.clone(),
            order: settings.build_order.value,
            seeds: with_seeds.then(|| Seeds {
                folder: project.below_root(folder).unwrap_or_else(|_| folder.clone()),
                environment,
            }),
        }
    }

    /// Builds, and builds again whenever a file changes.
    fn watch(&self, invocation: &Invocation, project: &Project, flags: &Flags) -> Result<Reply> {
        let (mut builds, mut failures) = (0_u64, 0_u64);
        runtime::run(invocation, async |execution| {
            let found = self.find(project, flags).await?;
            if found.settings.production.value {
                return Err(Error::refused(
                    "--watch drops and builds the database again and again, and this one is marked as production",
                ));
            }
            let builder = SchemaBuilder::new(self.tree(project, &found.settings, found.environment.clone()));
            let mut options = self.options(&found.settings);
            let mut agreed = self.yes;
            let mut seen = builder.stamps();
            // What stood in the way of the last build, where that may go away by itself.
            let mut in_the_way: Option<String> = None;
            loop {
                match self.build_once(invocation, &builder, &found, options, agreed, &execution).await {
                    Ok(report) => {
                        builds += 1;
                        in_the_way = None;
                        execution.note(report);
                        // What this has made, it may drop.
                        (options.drop_existing, agreed) = (true, true);
                    }
                    Err(Stop::For(error)) if options.drop_existing || error.place().is_some() => {
                        if error.kind() == ErrorKind::Interrupted {
                            break;
                        }
                        let was = in_the_way.take();
                        if error.kind() == ErrorKind::Unsafe {
                            in_the_way = Some(error.message().to_owned());
                        }
                        if was.is_none() || was != in_the_way {
                            failures += 1;
                            let said = output::error::render(Style::default(), false, &error);
                            execution.warn(format!(
                                "not built, and the database is as it was\n{}",
                                said.trim_end()
                            ));
                            if in_the_way.is_some() {
                                execution.note(waiting_for(true));
                            }
                        }
                    }
                    Err(Stop::For(error) | Stop::Altogether(error)) => return Err(error),
                }
                if in_the_way.is_none() {
                    execution.note(waiting_for(false));
                }
                tokio::select! {
                    () = builder.changed(&mut seen) => {}
                    () = tokio::time::sleep(AGAIN), if in_the_way.is_some() => {}
                    () = execution.interrupted() => break,
                }
            }
            Ok(())
        })?;
        Reply::new(&json!({ "builds": builds, "failed": failures }), "")
    }

    async fn build_once(
        &self,
        invocation: &Invocation,
        builder: &SchemaBuilder,
        found: &Database,
        options: BuildOptions,
        agreed: bool,
        execution: &Execution,
    ) -> std::result::Result<String, Stop> {
        let contained = self.contained(found, execution).map_err(Stop::For)?;
        let builder = builder.clone().with_record(contained.record.clone());
        let plan = builder.plan(&found.connection, options).await.map_err(Stop::For)?;
        if let Some(loss) = plan.loses() {
            confirm(&invocation.terminal, execution, agreed, &loss).await.map_err(Stop::Altogether)?;
        }
        let report = plan.execute(execution).await.map_err(Stop::For)?;
        let text = render(&report) + &contained.render();
        Ok(text.trim_end().to_owned())
    }
}

/// The migrations that the schema files contain.
#[derive(Default)]
struct Contained {
    record: Option<Sql>,
    migrations: usize,
    table: String,
}

impl Contained {
    fn render(&self) -> String {
        if self.record.is_none() {
            return String::new();
        }
        let migrations = numbers::count(self.migrations, "migration");
        let (verb, they) = if self.migrations == 1 { ("counts", "it") } else { ("count", "them") };
        format!(
            "  {migrations} {verb} as applied, for the files contain {they} (recorded in {})\n",
            self.table
        )
    }
}

/// How often a watching build looks whether a database that was in use is free.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a watching build has not built.
enum Stop {
    /// A change, of the files or of the server, may help.
    For(Error),
    /// Nobody agrees.
    Altogether(Error),
}

fn waiting_for(in_the_way: bool) -> &'static str {
    if in_the_way {
        "Waiting until nothing is in the way, or for a change; Ctrl-C ends"
    } else {
        "Waiting for a change; Ctrl-C ends"
    }
}

/// The file in an order that has to be found out, in a scratch database.
async fn write_by_need(
    project: &Project,
    settings: &Settings,
    builder: &SchemaBuilder,
    file: &Path,
    execution: &Execution,
) -> Result<()> {
    builder.refuse_output(file)?;
    let files = builder.files()?;
    let texts = files.iter().map(|file| file.script.script.text());
    let scratch = database::scratch_for(project, settings, texts).await?;
    let text = builder.build_by_need(&scratch.connection, execution).await?;
    disk::write_atomically(file, &text)
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
