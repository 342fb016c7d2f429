//! Event triggers that are off while a schema changes: their functions read what was there before, or what comes, and cannot run in between.

use crate::catalog::{Kind, Object, Objects};
use crate::diff::{Hazard, Step};
use crate::sql::Sql;

/// What turns off those that are on; that they are on in the end is then a difference as others are.
#[must_use]
pub fn quiet(state: &Objects) -> Vec<Step> {
    let is_on = |object: &&Object| {
        object.kind == Kind::EventTrigger && object.facet("enabled").is_some_and(|facet| facet.0 != "D")
    };
    let disable = |object: &Object| Step {
        hazards: vec![Hazard::Note(
            "it is off until all else is done, for its function cannot run in between".into(),
        )],
        ..Step::plain(object.title(), vec![Sql::from_server(format!("ALTER {} DISABLE", object.phrase))])
    };
    state.all.iter().filter(is_on).map(disable).collect()
}
