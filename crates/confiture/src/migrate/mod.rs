//! Incremental migrations: `confiture migrate up`, `down`, `status` and their kin.
//!
//! The story: a folder holds migrations, each a way up and a way back ([`read_folder`]; the layouts of other tools are read too). A
//! table in the database, the *history*, says which are applied. Both are held against each other ([`Assessment`]); what is pending
//! becomes a [`Plan`]; a run takes a lock that names its holder, reads the history again, and applies the plan. Each migration and
//! its row in the history are one transaction; where a statement cannot be in one, each step is recorded, so that a run that died
//! is gone on with at the right place.
//!
//! ```no_run
//! # async fn example(connection: confiture::config::Connection) -> confiture::Result<()> {
//! use confiture::event::Execution;
//! use confiture::migrate::{Migrator, Options, UpOptions, read_folder};
//!
//! let folder = read_folder("db/migrations".as_ref())?;
//! let migrator = Migrator::new(connection, folder, Options::default());
//! let plan = migrator.plan_up(&UpOptions::default()).await?; // touches nothing
//! let report = migrator.up(&UpOptions::default(), &Execution::unattended()).await?;
//! # Ok(())
//! # }
//! ```

mod apply;
mod assess;
mod baseline;
mod beside;
mod checksum;
mod code;
mod destroys;
mod digest;
mod file_name;
mod folder;
mod generate;
mod history;
mod hooks;
mod inspect;
mod ledger;
mod leftover;
mod migrator;
mod options;
mod part;
mod plan;
mod python;
mod rehearse;
mod run;
mod squash;
mod steps;
mod trial;
mod unit;
mod validate;
mod version;
mod watch;

pub use crate::diff::Difference;
pub use assess::{Assessment, Standing};
pub use baseline::Baseline;
pub use checksum::Checksum;
pub use code::{Migration, Work};
pub use digest::{Digest, read_digest};
pub use folder::{Folder, Layout, MigrationFile, holds_migrations, read_folder, read_way_up};
pub use generate::{Generated, generate, write_pair};
pub use history::{History, Record, State};
pub use inspect::lint_folder;
pub use ledger::Unadopted;
pub use migrator::{Migrator, Status};
pub use options::{DownOptions, Extent, Interrupted, Options, UpOptions};
pub use part::{Directives, Part};
pub use plan::{Direction, Plan, Planned, PlannedStatement};
pub use rehearse::{Rehearsal, Rehearsed, rehearse, say_empty};
pub use run::{Done, Report};
pub use squash::{Squash, plan_squash};
pub use trial::WayBack;
pub use validate::{Finding, check_folder};
pub use version::{Version, next_version};
