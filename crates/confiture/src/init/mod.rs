//! `confiture init`: a new project that works at once.
//!
//! With [`plan_files`] the schema is not an example but that of a live database.
//!
//! Existing files are read ([`read_existing`]), the plan says what is missing ([`plan_project`], [`plan_schema`]), and
//! [`execute`] writes that and never overwrites anything.

mod execute;
mod from_dump;
mod plan;

pub use execute::{Report, execute, read_existing};
pub use from_dump::{SchemaFiles, plan_files};
pub use plan::{Existing, NewFile, Plan, plan_project, plan_schema};
