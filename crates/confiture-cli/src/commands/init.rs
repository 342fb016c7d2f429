//! `confiture init`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use confiture::config::Flags;
use confiture::init::{self, Report, SchemaFiles};
use confiture::migrate::next_version;
use confiture::postgres::{DumpOptions, Session, dump_schema, find_mere_ledgers};
use confiture::project::{Naming, Project};
use confiture::{Error, ErrorKind, Result, disk};
use local_postgres::Binaries;

use crate::invocation::Invocation;
use crate::output::{Reply, as_value, numbers};
use crate::{database, runtime};

/// Makes a project's folders and a first schema; keeps every file that is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The project's folder; made where it does not exist.
    #[arg(default_value = ".", hide_default_value = true, value_hint = clap::ValueHint::DirPath)]
    path: PathBuf,

    /// Make only a folder of DDL files, here: a second schema beside the first. Relative to the project's folder.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    schema_dir: Option<PathBuf>,

    /// Write the schema of this database instead of the example: a PostgreSQL URL or DSN, an environment's name, its
    /// file.
    #[arg(long, value_name = "DATABASE")]
    from_database: Option<String>,

    /// With --from-database: say who owns what.
    #[arg(long, requires = "from_database")]
    with_owners: bool,

    /// With --from-database: say who may do what.
    #[arg(long, requires = "from_database")]
    with_privileges: bool,

    /// With --from-database: write passwords of user mappings and foreign servers into the files, too.
    #[arg(long, requires = "from_database")]
    secrets: bool,
}

impl Init {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        // From an empty path on, what is said is as short as the user would write it.
        let root = if self.path == Path::new(".") { Path::new("") } else { &self.path };
        let schema = self.schema_dir.as_deref();
        let existing = init::read_existing(root, schema.unwrap_or(Path::new("db/schema")))?;
        let mut plan = match schema {
            Some(folder) => init::plan_schema(folder, &existing),
            None => init::plan_project(&name(root)?, &existing),
        };
        let Some(database) = &self.from_database else {
            if schema.is_none() {
                plan.add_first_migration(&next_version(None, SystemTime::now()), &existing);
            }
            let report = init::execute(&plan, root)?;
            return Reply::new(&report, self.render(root, &report));
        };
        // A folder that is in the way is said before a server is asked.
        let folder = schema.unwrap_or(Path::new("db/schema"));
        plan.replace_schema(folder, Vec::new(), &existing)?;
        let files = self.read_schema(invocation, database)?;
        let (pieces, notes) = (files.pieces, files.notes.clone());
        plan.replace_schema(folder, files.files, &existing)?;
        let report = init::execute(&plan, root)?;
        let mut result = as_value(&report)?;
        result["pieces"] = pieces.into();
        result["notes"] = notes.clone().into();
        let mut text = self.render(root, &report);
        for note in notes {
            let _ = writeln!(text, "note: {note}");
        }
        Reply::new(&result, text)
    }

    /// The schema of the database, laid out in files.
    fn read_schema(&self, invocation: &Invocation, database: &str) -> Result<SchemaFiles> {
        let project = Project::open(&invocation.surroundings())?;
        let naming = Naming { named: Some(("--from-database", database)), database_url: None };
        runtime::run(invocation, async |execution| {
            let found = database::find(&project, naming, &Flags::default()).await?;
            let session = Session::connect(&found.connection).await?;
            let program = pg_dump(session.server_version() / 10_000)?;
            let ledgers = find_mere_ledgers(&session).await?;
            drop(session);
            let notes = ledgers.iter().map(|ledger| {
                format!(
                    "{ledger} is left out: `confiture migrate baseline --adopt` reads what it says is applied"
                )
            });
            let notes: Vec<_> = notes.collect();
            let options = DumpOptions {
                history_table: Some(found.settings.history_table.value.clone()),
                ledgers,
                owners: self.with_owners,
                privileges: self.with_privileges,
            };
            let dumped =
                execution.step("Reading the schema", dump_schema(&program, &found.connection, options));
            let text = tokio::select! {
                text = dumped => text?,
                () = execution.interrupted() => return Err(Error::interrupted("interrupted; nothing was written")),
            };
            let mut files = init::plan_files(&text, self.secrets)?;
            files.notes.extend(notes);
            Ok(files)
        })
    }

    fn render(&self, root: &Path, report: &Report) -> String {
        let mut text = String::new();
        for path in &report.created {
            let _ = writeln!(text, "  created  {}", root.join(path).display());
        }
        if report.gitignore_extended {
            let _ = writeln!(text, "  extended {}", root.join(".gitignore").display());
        }
        if !report.kept.is_empty() {
            let _ = writeln!(text, "  kept     {} as they were", numbers::count(report.kept.len(), "file"));
        }
        if report.is_unchanged() {
            text.push_str("Everything is there already.\n");
        } else if self.schema_dir.is_none() {
            let into = if self.path == Path::new(".") {
                String::new()
            } else {
                format!("cd {}, ", self.path.display())
            };
            let _ = writeln!(text, "\nNext: {into}edit db/schema, then `confiture build --env local`.");
        }
        text
    }
}

/// The newest `pg_dump` of this machine; an older one does not read a newer server.
fn pg_dump(server: u32) -> Result<PathBuf> {
    // Not what `Binaries::program` gives: without a pg_dump of its own that is the one in PATH, of any version.
    let own = |binaries: &Binaries| binaries.dir().join("pg_dump");
    let mut found = Binaries::all();
    found.retain(|binaries| binaries.version().major >= server && disk::is_file(&own(binaries)));
    found.sort_by_key(Binaries::version);
    let program = found.last().map(own);
    match program.or_else(|| client_alone(server)) {
        Some(program) => Ok(program),
        None => Err(Error::new(
            ErrorKind::Unexpected,
            format!("no pg_dump of version {server} or newer is on this machine"),
        )
        .hint(format!(
            "install it: postgresql-client-{server} on Debian and its kin, postgresql@{server} with Homebrew"
        ))),
    }
}

/// The `pg_dump` of a machine without a server's programs, where it is in `PATH` and new enough.
fn client_alone(server: u32) -> Option<PathBuf> {
    let said = std::process::Command::new("pg_dump").arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    let major: u32 = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (major >= server).then(|| PathBuf::from("pg_dump"))
}

/// What the project's folder is called.
fn name(path: &Path) -> Result<String> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_string_lossy().into_owned());
    }
    let whole = disk::canonical(path)?;
    Ok(whole.file_name().map_or("app".to_owned(), |name| name.to_string_lossy().into_owned()))
}
