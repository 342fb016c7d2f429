//! Databases from DDL files: `confiture build`.
//!
//! The story: the `.sql` files of a folder are the truth about a schema. They are read in a fixed order ([`Tree`]), split into
//! statements, and run in a new or empty database, all in one transaction, in as few round trips as there can be. What fails
//! leaves nothing behind, and names its file, line and column.
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

mod execute;
mod order;
mod plan;
mod template;

pub use execute::BuildReport;
pub use order::{Tree, TreeFile};
pub use plan::{BuildOptions, BuildPlan, OutsideTransaction, Target, Way};

use std::fmt::Write as _;
use std::path::Path;

use crate::config::Connection;
use crate::disk;
use crate::error::Result;
use crate::event::Execution;

/// Builds databases from a tree of DDL files.
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    tree: Tree,
}

impl SchemaBuilder {
    /// A builder for the files of `tree`; nothing is read yet.
    #[must_use]
    pub fn new(tree: Tree) -> Self {
        Self { tree }
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
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "-- File: {}\n", file.path);
            text.push_str(file.script.script.text());
            end_last_statement(&mut text, &file);
            text.push('\n');
        }
        Ok(text)
    }

    /// Writes [`build`](Self::build)'s text into a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files), and whatever the disk says.
    pub fn write(&self, output: &Path) -> Result<()> {
        disk::write_atomically(output, &self.build()?)
    }

    /// Looks at the files and the server and says what [`BuildPlan::execute`] would do.
    ///
    /// # Errors
    ///
    /// As [`files`](Self::files); a server that cannot be reached; a database that is not empty
    /// ([`ErrorKind::Unsafe`](crate::ErrorKind::Unsafe)), without `drop_existing`.
    pub async fn plan(&self, connection: &Connection, options: BuildOptions) -> Result<BuildPlan> {
        let identity = self.identity()?;
        plan::plan_build(self.files()?, &identity, connection, options).await
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

    /// What stands for this tree, whatever its files hold: where it lies and which part of it is meant.
    fn identity(&self) -> Result<String> {
        let Tree { root, schema_dirs, anywhere: _, include, exclude } = &self.tree;
        Ok(format!("{:?}", (disk::canonical(root)?, schema_dirs, include, exclude)))
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

/// A last statement without a semicolon would run on into the next file.
fn end_last_statement(text: &mut String, file: &TreeFile) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if file.script.statements.last().is_some_and(|last| !last.is_terminated) {
        text.push_str(";\n");
    }
}
