//! The difference between two schemas as a plan that is proved before it is shown.
//!
//! Both schemas are built in scratch databases. The plan is made from their catalogs ([`crate::diff`]), carried out on the old
//! one, and what comes out is compared with the new one; then back. What statements bring along, such as the indexes of a
//! new partition, is seen in between and set right in another round. A plan that does not lead where it should is an error.

mod base_type;
mod compare;
mod copy;
mod file;
mod prove;
mod side;
mod version;
mod watch;

pub use compare::{DiffOptions, Difference, Plan, Source, diff, diff_until};
pub use copy::{Copy, with_copy};
pub use file::{render, render_steps};
