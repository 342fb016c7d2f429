//! `confiture migrate generate`.

use std::time::SystemTime;

use confiture::Result;
use confiture::config::Flags;
use confiture::migrate::generate;
use confiture::project::Project;

use super::whereabouts::{Files, read};
use crate::invocation::Invocation;
use crate::output::Reply;

/// Writes an empty migration: a pair of files, numbered in the style of the folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// What it does, as in add_email_index.
    name: String,

    #[command(flatten)]
    files: Files,
}

impl Generate {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        let project = Project::open(&invocation.surroundings())?;
        let flags = Flags { migrations_dir: self.files.migrations_dir.clone(), ..Flags::default() };
        let folder = read(&project.settings(&flags)?)?;
        let generated = generate(&folder, &self.name, SystemTime::now())?;
        let files: Vec<_> = generated.files.iter().map(|file| format!("Wrote {}", file.display())).collect();
        Reply::new(&generated, files.join("\n"))
    }
}
