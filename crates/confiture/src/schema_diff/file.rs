//! A plan as a migration file: statements under comments that say what there is to be known.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::diff::{Hazard, Lock, Step, holds_secret, masked};
use crate::schema_diff::Plan;

/// The text of a migration's file, without the header that all of them have.
#[must_use]
pub fn render(plan: &Plan, remarks: &[String]) -> String {
    let mut text = String::new();
    if !plan.one_transaction || plan.steps.iter().any(|step| step.alone) {
        text.push_str("-- confiture: no-transaction\n");
    }
    let losses = plan.losses();
    if !losses.is_empty() {
        comment(&mut text, &format!("confiture: loses-data {}", losses.join("; ")));
    }
    for remark in remarks {
        comment(&mut text, remark);
    }
    if plan.one_transaction && plan.steps.iter().any(|step| !step.locks.is_empty()) {
        text.push_str("-- One transaction: what is locked stays locked until its end.\n");
    }
    if plan.steps.is_empty() {
        text.push_str("\n-- There is nothing to do.\n");
    }
    if plan.steps.iter().any(makes_routine) {
        text.push_str("\nSET check_function_bodies = off;\n");
    }
    text.push_str(&render_steps(plan, true));
    text
}

/// The statements under what there is to be known of them. Passwords in them are only written where that was asked for.
#[must_use]
pub fn render_steps(plan: &Plan, secrets: bool) -> String {
    let mut text = String::new();
    for (step, (begins, ends)) in plan.steps.iter().zip(plan.transactions()) {
        text.push('\n');
        if begins {
            text.push_str("BEGIN;\n");
        }
        let hazards: BTreeSet<&Hazard> = step.hazards.iter().collect();
        for hazard in hazards {
            comment(&mut text, &format!("{}: {}", hazard.class(), hazard.why()));
        }
        for (at, statement) in step.statements.iter().enumerate() {
            for line in lock_lines(step, at) {
                comment(&mut text, &line);
            }
            let statement = statement.as_str();
            let shown = if secrets { Cow::Borrowed(statement) } else { masked(statement) };
            let _ = writeln!(text, "{shown};");
        }
        if ends {
            text.push_str("COMMIT;\n");
        }
    }
    text
}

/// A line of comment, also of a name with a line break in it.
fn comment(text: &mut String, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "-- {}", words.replace(['\n', '\r'], " "));
}

/// What a statement locks, one line for each table; of many that are locked alike, one for all.
fn lock_lines(step: &Step, at: usize) -> Vec<String> {
    const MANY: usize = 4;
    let locks: Vec<&Lock> = step.locks.iter().filter(|lock| lock.statement == at).collect();
    let alike = |one: &Lock, other: &Lock| {
        (one.mode, one.reads, one.rewrites) == (other.mode, other.reads, other.rewrites)
    };
    let mut lines = Vec::new();
    for (number, lock) in locks.iter().enumerate() {
        let before = locks[..number].iter().filter(|other| alike(lock, other)).count();
        let all = locks.iter().filter(|other| alike(lock, other)).count();
        if all <= MANY {
            lines.push(lock.in_words());
        } else if before == 0 {
            let sum = |of: fn(&Lock) -> Option<u64>| {
                locks
                    .iter()
                    .filter(|other| alike(lock, other))
                    .filter_map(|lock| of(lock))
                    .reduce(|a, b| a + b)
            };
            let relation = format!("{} and {} more", lock.relation, all - 1);
            let (rows, bytes) = (sum(|lock| lock.rows), sum(|lock| lock.bytes));
            lines.push(Lock { relation, rows, bytes, ..(*lock).clone() }.in_words());
        }
    }
    lines
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
            let lost = step.hazards.iter().filter(|hazard| matches!(hazard, Hazard::DataLoss(_)));
            let lost: Vec<&str> = lost.map(Hazard::why).collect();
            (!lost.is_empty()).then(|| format!("{}: {}", step.title, lost.join(", ")))
        };
        self.steps.iter().filter_map(of_step).collect()
    }

    /// The statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &crate::sql::Sql> {
        self.steps.iter().flat_map(|step| &step.statements)
    }

    /// What holds a password: the titles of its steps.
    #[must_use]
    pub fn secrets(&self) -> Vec<&str> {
        let holds = |step: &&Step| step.statements.iter().any(|sql| holds_secret(sql.as_str()));
        self.steps.iter().filter(holds).map(|step| step.title.as_str()).collect()
    }
}
