//! Databases from DDL files: `confiture build`.
//!
//! The story: the `.sql` files of a folder are the truth about a schema. They are read in a fixed order ([`Tree`]),
//! split into statements, and run in a new or empty database, all in one transaction, in as few round trips as there
//! can be. What fails leaves nothing behind, and names its file, line and column.
//!
//! ```no_run
//! # async fn example(connection: confiture::config::Connection) -> confiture::Result<()> {
//! use confiture::build::{BuildOptions, SchemaBuilder, Tree};
//! use confiture::event::Execution;
//!
//! let builder = SchemaBuilder::new(Tree::new("."));
//! let sql = builder.build()?; // one text that psql can run
//! let report = builder.execute(&connection, BuildOptions::default(), &Execution::unattended()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The second build of the same files on the same server takes a few hundredths of a second: it is a copy of a *template
//! database* that the first has left there (see `template.rs` for what keeps that honest).

mod aside;
mod execute;
mod guess;
mod need;
mod order;
mod plan;
mod template;

pub use execute::BuildReport;
pub use need::Ran;
pub use order::{Seeds, Tree, TreeFile};
use plan::Content;
pub use plan::{BuildOptions, BuildPlan, OutsideTransaction, Target, Way};

use std::fmt::Write as _;
use std::path::Path;

use crate::config::Connection;
use crate::disk;
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::sql::{SplitScript, Sql};

/// What files look like from outside: names, sizes, times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps(Vec<disk::Stamp>);

/// Builds databases from a tree of DDL files.
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    tree: Tree,
    record: Option<Sql>,
}

impl SchemaBuilder {
    /// A builder for the files of `tree`; nothing is read yet.
    #[must_use]
    pub fn new(tree: Tree) -> Self {
        Self { tree, record: None }
    }

    /// SQL that runs behind the files, in their last transaction and with the settings of the role: what a database says of itself
    /// that is built from them. A template holds it too. [`build`](Self::build) leaves it out.
    #[must_use]
    pub fn with_record(mut self, record: Option<Sql>) -> Self {
        self.record = record;
        self
    }

    /// The files, in the order in which they run, split into statements.
    ///
    /// # Errors
    ///
    /// A file or folder that cannot be read, is not UTF-8 or cannot be split, at its place.
    pub fn files(&self) -> Result<Vec<TreeFile>> {
        order::read_tree(&self.tree)
    }

    /// All files as one SQL text, each under a comment that names it. What psql makes of it is what
    /// [`execute`](Self::execute) makes.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files).
    pub fn build(&self) -> Result<String> {
        let mut text = String::new();
        for file in self.files()? {
            push_file(&mut text, &file);
        }
        Ok(text)
    }

    /// As [`build`](Self::build), for [`BuildOrder::Dependencies`](crate::config::BuildOrder::Dependencies): the order
    /// is found out by running the files in a database of their own on the server of `connection`, which is dropped
    /// again.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub async fn build_by_need(&self, connection: &Connection, execution: &Execution) -> Result<String> {
        let files = self.files()?;
        let ran = execute::find_order(&files, connection, execution).await?;
        let mut text = String::new();
        need::render(&mut text, &files, &ran)?;
        for file in files.iter().filter(|file| file.is_seed) {
            push_file(&mut text, file);
        }
        Ok(text)
    }

    /// The scripts in the order in which they can run, found out as in [`build_by_need`](Self::build_by_need): a file that ran in parts is
    /// there in parts, and every statement knows its place. Seeds are left out.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute).
    pub async fn files_by_need(
        &self,
        connection: &Connection,
        execution: &Execution,
    ) -> Result<Vec<SplitScript>> {
        let files = self.files()?;
        let ran = execute::find_order(&files, connection, execution).await?;
        need::in_order(&files, &ran)
    }

    /// Writes [`build`](Self::build)'s text into a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files), and whatever the disk says.
    pub fn write(&self, output: &Path) -> Result<()> {
        self.refuse_output(output)?;
        disk::write_atomically(output, &self.build()?)
    }

    /// Refuses a file that the next build would run, beside those that it was made of.
    ///
    /// # Errors
    ///
    /// That it lies in a schema folder.
    pub fn refuse_output(&self, output: &Path) -> Result<()> {
        if !order::takes_in(&self.tree, output)? {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{} lies in a schema folder: the next build would run it too",
            output.display()
        ))
        .hint("write it somewhere else, or leave it out by `exclude` in confiture.yaml"))
    }

    /// Looks at the files and the server and says what [`BuildPlan::execute`] would do.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files); a server that cannot be reached; a database that is not empty
    /// ([`ErrorKind::Unsafe`](crate::ErrorKind::Unsafe)), without `drop_existing`.
    pub async fn plan(&self, connection: &Connection, options: BuildOptions) -> Result<BuildPlan> {
        let identity = self.identity()?;
        let content = Content { tree: self.files()?, order: self.tree.order, record: self.record.clone() };
        plan::plan_build(content, &identity, connection, options).await
    }

    /// Plans and executes.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan) and [`BuildPlan::execute`].
    pub async fn execute(
        &self,
        connection: &Connection,
        options: BuildOptions,
        execution: &Execution,
    ) -> Result<BuildReport> {
        self.plan(connection, options).await?.execute(execution).await
    }

    /// What the files look like from outside: to tell later whether one has changed. What cannot be read counts as not
    /// there.
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        let Tree { root, schema_dirs, seeds, .. } = &self.tree;
        let folders = schema_dirs.iter().chain(seeds.iter().map(|seeds| &seeds.folder));
        Stamps(folders.flat_map(|folder| disk::stamps_below(&root.join(folder))).collect())
    }

    /// Resolves once a file is not as it was in `seen`, and the files have been quiet for a moment. Files are looked at
    /// ten times a second: this works on every disk, also on those that tell nobody of changes.
    pub async fn changed(&self, seen: &mut Stamps) {
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
        loop {
            tokio::time::sleep(PAUSE).await;
            let mut now = self.stamps();
            if now == *seen {
                continue;
            }
            // An editor, or a checkout, writes more than one file.
            loop {
                tokio::time::sleep(PAUSE).await;
                let later = self.stamps();
                if later == now {
                    break;
                }
                now = later;
            }
            *seen = now;
            return;
        }
    }

    /// What stands for this tree, whatever its files hold: where it lies and which part of it is meant.
    fn identity(&self) -> Result<String> {
        let Tree { root, schema_dirs, anywhere: _, include, exclude, order, seeds } = &self.tree;
        let seeded = seeds.as_ref().map(|seeds| (&seeds.folder, &seeds.environment));
        Ok(format!("{:?}", (disk::canonical(root)?, schema_dirs, include, exclude, order, seeded)))
    }
}

impl BuildPlan {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the server refused, at its place in the user's file; then nothing of the build stays. A loss that nobody has
    /// agreed to.
    pub async fn execute(self, execution: &Execution) -> Result<BuildReport> {
        execute::execute(self, execution).await
    }
}

fn push_file(text: &mut String, file: &TreeFile) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "-- File: {}\n", file.path);
    text.push_str(file.script.script.text());
    end_last_statement(text, file);
    text.push('\n');
}

/// A last statement without a semicolon would run on into the next file.
fn end_last_statement(text: &mut String, file: &TreeFile) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if file.script.statements.last().is_some_and(|last| !last.is_terminated) {
        text.push_str(";\n");
    }
}
