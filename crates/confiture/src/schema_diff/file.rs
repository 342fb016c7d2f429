//! A plan as a migration file: statements under comments that say what there is to be known.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::diff::{Hazard, Step};
use crate::schema_diff::Plan;

/// Which way a file leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Forward.
    Up,
    /// Back.
    Down,
}

/// The text of a migration's file.
#[must_use]
pub fn render(plan: &Plan, name: &str, version: &str, direction: Direction, remarks: &[String]) -> String {
    let mut text = String::new();
    let way = if direction == Direction::Up { "" } else { " (the way back)" };
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "-- Migration: {name}{way}\n-- Version: {version}");
    if !plan.one_transaction || plan.steps.iter().any(|step| step.alone) {
        text.push_str("-- confiture: no-transaction\n");
    }
    let losses = plan.losses();
    if !losses.is_empty() {
        let _ = writeln!(text, "-- confiture: loses-data {}", losses.join("; "));
    }
    for remark in remarks {
        let _ = writeln!(text, "-- {remark}");
    }
    if plan.steps.is_empty() {
        text.push_str("\n-- There is nothing to do.\n");
    }
    if plan.steps.iter().any(makes_routine) {
        text.push_str("\nSET check_function_bodies = off;\n");
    }
    text.push_str(&render_steps(plan));
    text
}

/// The statements under what there is to be known of them.
#[must_use]
pub fn render_steps(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        text.push('\n');
        let hazards: BTreeSet<&Hazard> = step.hazards.iter().collect();
        for hazard in hazards {
            let _ = writeln!(text, "-- {}: {}", hazard.class(), hazard.why());
        }
        for statement in &step.statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    text
}

fn makes_routine(step: &Step) -> bool {
    step.statements.iter().any(|statement| {
        let text = statement.as_str();
        ["CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", "CREATE PROCEDURE", "CREATE OR REPLACE PROCEDURE"]
            .iter()
            .any(|start| text.starts_with(start))
    })
}

impl Plan {
    /// What is lost, one phrase for each step that loses something.
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        let of_step = |step: &Step| {
            let lost = step.hazards.iter().find(|hazard| matches!(hazard, Hazard::DataLoss(_)))?;
            Some(format!("{}: {}", step.title, lost.why()))
        };
        self.steps.iter().filter_map(of_step).collect()
    }

    /// The statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &crate::sql::Sql> {
        self.steps.iter().flat_map(|step| &step.statements)
    }
}
