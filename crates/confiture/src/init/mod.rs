//! `confiture init`: a new project that works at once.
//!
//! Existing files are read ([`read_existing`]), the plan says what is missing ([`plan_project`], [`plan_schema`]), and
//! [`execute`] writes that and never overwrites anything.

mod execute;
mod plan;

pub use execute::{Report, execute, read_existing};
pub use plan::{Existing, NewFile, Plan, plan_project, plan_schema};
