//! `confiture init`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use confiture::init::{self, Report};
use confiture::{Result, disk};

use crate::invocation::Invocation;
use crate::output::{Reply, numbers};

/// Makes a project's folders and a first schema; keeps every file that is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The project's folder; made where it does not exist.
    #[arg(default_value = ".", hide_default_value = true, value_hint = clap::ValueHint::DirPath)]
    path: PathBuf,

    /// Make only a folder of DDL files, here: a second schema beside the first. Relative to the project's folder.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    schema_dir: Option<PathBuf>,
}

impl Init {
    /// Does it.
    pub(crate) fn run(self, _invocation: &Invocation) -> Result<Reply> {
        // From an empty path on, what is said is as short as the user would write it.
        let root = if self.path == Path::new(".") { Path::new("") } else { &self.path };
        let schema = self.schema_dir.as_deref();
        let existing = init::read_existing(root, schema.unwrap_or(Path::new("db/schema")))?;
        let plan = match schema {
            Some(folder) => init::plan_schema(folder, &existing),
            None => init::plan_project(&name(root)?, &existing),
        };
        let report = init::execute(&plan, root)?;
        Reply::new(&report, self.render(root, &report))
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

/// What the project's folder is called.
fn name(path: &Path) -> Result<String> {
    if let Some(name) = path.file_name() {
        return Ok(name.to_string_lossy().into_owned());
    }
    let whole = disk::canonical(path)?;
    Ok(whole.file_name().map_or("app".to_owned(), |name| name.to_string_lossy().into_owned()))
}
