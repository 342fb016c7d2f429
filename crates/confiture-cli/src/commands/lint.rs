//! `confiture lint`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use confiture::config::{Flags, Settings};
use confiture::lint::{Ground, LintOptions, Purpose, RULES, lint, rules};
use confiture::postgres::{Session, read_lint_ground};
use confiture::project::{Naming, Project};
use confiture::sql::Script;
use confiture::{Error, Result, disk};

use crate::args::Format;
use crate::database;
use crate::invocation::Invocation;
use crate::output::{self, Reply, as_value};
use crate::runtime;

/// Says what in migrations and schema files would block an application, break it, lose data, or be regretted.
///
/// Without FILES, the migrations and the schema of the project. Nothing is run; exit status 7 where there is an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Lint {
    /// Files, or folders of .sql files; without any, the project's migrations and schema folders.
    #[arg(value_name = "FILES", value_hint = clap::ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// What the named files are for; without this, what lies in the schema folders is a schema, all else a migration.
    #[arg(long = "as", value_name = "PURPOSE", value_enum)]
    purpose: Option<As>,

    /// Judge with this database, its sizes and types: an environment's name, its file, a PostgreSQL URL or DSN.
    #[arg(short, short_alias = 'c', long, alias = "config", value_name = "DATABASE")]
    env: Option<String>,

    /// As --env; beside it, this database with that environment's settings.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,

    /// Only this rule; may be repeated.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    rule: Vec<String>,

    /// Not this rule; may be repeated.
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    exclude: Vec<String>,

    /// Warnings fail the check as errors do.
    #[arg(long)]
    deny_warnings: bool,

    /// Say what a rule finds, why, and what to do instead; without its name, list all rules.
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["files", "env", "database_url"])]
    explain: Option<String>,
}

/// What files are for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum As {
    /// They run against a database in use.
    Migration,
    /// They build an empty database.
    Schema,
}

impl Lint {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        self.refuse_unknown_rules()?;
        if let Some(code) = &self.explain {
            return explain(code);
        }
        let project = Project::open(&invocation.surroundings())?;
        let (settings, ground) = self.look_around(invocation, &project)?;
        let options = LintOptions {
            rules: self.rule.clone(),
            exclude: self.exclude.clone(),
            ground,
            lock_timeout: !settings.lock_timeout.value.is_zero(),
        };
        let report = lint(self.read(&project, &settings)?, &options);
        let terminal = &invocation.terminal;
        let text = match terminal.format {
            Format::Sarif => output::lint_formats::sarif(&report),
            Format::Github => output::lint_formats::github(&report),
            Format::Text | Format::Json | Format::Markdown => output::lint::render(terminal.stdout, &report),
        };
        let verdict = output::lint::verdict(&report, self.deny_warnings);
        Ok(Reply::new(&as_value(&report)?, text)?.but(verdict))
    }

    fn refuse_unknown_rules(&self) -> Result<()> {
        let codes = || RULES.iter().map(|rule| rule.code);
        let named =
            self.rule.iter().chain(&self.exclude).chain(self.explain.iter().filter(|code| !code.is_empty()));
        for code in named {
            if rules::find(code).is_none() {
                return Err(Error::usage(format!("there is no rule `{code}`"))
                    .did_you_mean(code, codes())
                    .hint("`confiture lint --explain` lists the rules"));
            }
        }
        Ok(())
    }

    /// The settings, and the database where one is named. An environment that is only the default is not connected to:
    /// lint works without a server unless it is told otherwise.
    fn look_around(&self, invocation: &Invocation, project: &Project) -> Result<(Settings, Option<Ground>)> {
        let flags = Flags::default();
        if self.env.is_none() && self.database_url.is_none() {
            return Ok((project.settings(&flags)?, None));
        }
        let named = self.env.as_deref().map(|name| ("--env", name));
        let naming = Naming { named, database_url: self.database_url.as_deref() };
        runtime::run(invocation, async |_| {
            let found = database::find(project, naming, &flags).await?;
            let session = Session::connect(&found.connection).await?;
            Ok((found.settings, Some(read_lint_ground(&session).await?)))
        })
    }

    fn read(&self, project: &Project, settings: &Settings) -> Result<Vec<(Script, Purpose)>> {
        let schema_dirs = &settings.schema_dirs.value;
        let mut named: Vec<(PathBuf, Option<Purpose>)> = Vec::new();
        if self.files.is_empty() {
            let migrations = &settings.migrations_dir.value;
            named.extend(disk::is_folder(migrations).then(|| (migrations.clone(), Some(Purpose::Migration))));
            let folders = schema_dirs.iter().filter(|folder| disk::exists(folder));
            named.extend(folders.map(|folder| (folder.clone(), Some(Purpose::Schema))));
            if named.is_empty() {
                return Err(Error::usage("there is nothing to look at: neither migrations nor schema files")
                    .hint(format!(
                        "name files or folders, or start this in a project's folder; this one is {}",
                        shown(&project.root)
                    )));
            }
        } else {
            let purpose = self.purpose.map(|purpose| match purpose {
                As::Migration => Purpose::Migration,
                As::Schema => Purpose::Schema,
            });
            named.extend(self.files.iter().map(|file| (file.clone(), purpose)));
        }
        let mut scripts = Vec::new();
        for (path, purpose) in named {
            for file in sql_files(&path)? {
                let purpose = purpose.unwrap_or_else(|| purpose_of(&file, schema_dirs));
                scripts.push((disk::read_script(&file)?, purpose));
            }
        }
        Ok(scripts)
    }
}

fn shown(root: &Path) -> String {
    if root.as_os_str().is_empty() { "the project's root".to_owned() } else { root.display().to_string() }
}

/// A file itself, or the .sql files of a folder, in order.
fn sql_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !disk::try_exists(path)? {
        return Err(Error::usage(format!("there is no file {}", path.display())));
    }
    if !disk::is_folder(path) {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = disk::list_files(path, path, "sql")?;
    files.sort();
    Ok(files.into_iter().map(|file| path.join(file)).collect())
}

fn purpose_of(file: &Path, schema_dirs: &[PathBuf]) -> Purpose {
    let real = disk::canonical(file).ok();
    let inside = |folder: &PathBuf| {
        disk::canonical(folder).is_ok_and(|folder| real.as_ref().is_some_and(|file| file.starts_with(folder)))
    };
    if schema_dirs.iter().any(inside) { Purpose::Schema } else { Purpose::Migration }
}

fn explain(code: &str) -> Result<Reply> {
    let mut text = String::new();
    let chosen = RULES.iter().filter(|rule| code.is_empty() || rule.code == code);
    let mut listed = Vec::new();
    for rule in chosen {
        listed.push(serde_json::json!({
            "rule": rule.code,
            "severity": rule.severity.word(),
            "summary": rule.summary,
            "why": rule.why,
            "fix": rule.fix,
            "docs": rule.docs(),
        }));
        // Writing to a `String` cannot fail.
        let _ = if code.is_empty() {
            writeln!(text, "{:<32} {:<8} {}", rule.code, rule.severity.word(), rule.summary)
        } else {
            writeln!(
                text,
                "{} ({}): {}\n\n{}\n\nInstead: {}.",
                rule.code,
                rule.severity.word(),
                rule.summary,
                rule.why,
                rule.fix
            )
        };
    }
    Reply::new(&serde_json::json!({ "rules": listed }), text)
}
