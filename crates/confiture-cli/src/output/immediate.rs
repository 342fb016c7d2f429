//! Both sides written at once, as text: what it would mean, and what was done.

use std::fmt::Write as _;

use confiture::schema_to_schema::immediate::{Opened, Proposal, Stopped};
use confiture::schema_to_schema::{Finding, Severity};

use super::numbers::{count, milliseconds};
use super::style::Style;

/// What it costs, as it was measured: docs/both-sides.md says where.
const COSTS: &str = "What it costs
  A write takes some 15 to 25 microseconds longer for each row, which is written twice; the queue's triggers take 3 to 5.
  Two transactions that write the two twins of one row wait for each other, and one of them is the victim of a deadlock, after
  deadlock_timeout. With rows that both sides write all the time that is nearly all they do: measured, 44,000 transactions a
  second on three rows became 11.
  An error of the other side's constraints is the application's own error.
";

/// The plan, before the question.
pub(crate) fn proposal(style: Style, proposal: &Proposal) -> String {
    let mut text = format!("{}\n", style.bold("Both sides will be written at once, by triggers"));
    for (old, new) in &proposal.tables {
        let _ = writeln!(text, "  {} <-> {}", old.short(), new.short());
    }
    for group in &proposal.sequences {
        let names: Vec<String> = group.iter().map(confiture::sql::QualifiedName::short).collect();
        let _ = writeln!(text, "  {} take turns, so that no number is given twice", names.join(" and "));
    }
    text.push_str(COSTS);
    let known = proposal.findings.iter().map(|finding| line(style, finding));
    let remarks: Vec<String> = known.chain(proposal.remarks.iter().cloned()).collect();
    if !remarks.is_empty() {
        text.push_str("What else to know\n");
        remarks.iter().for_each(|remark| {
            let _ = writeln!(text, "  {remark}");
        });
    }
    text
}

fn line(style: Style, finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Note => style.dim("note"),
        Severity::Lossy => style.yellow("lossy"),
        Severity::Loses | Severity::Blocks => style.yellow("lost"),
    };
    let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let column = finding.column.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
    format!("{word} {place}{}{column}: {}", finding.table.short(), finding.message)
}

/// What opening did.
pub(crate) fn opened(style: Style, opened: &Opened) -> String {
    format!(
        "{} Both sides are written at once: {} of either side. Writes waited for {}{}; {} crossed meanwhile.\n  \
         No run is needed. `verify` compares both sides at any moment; `bidirectional --stop` ends it, before a cutover too.\n",
        style.done(),
        count(opened.tables.len(), "table"),
        style.bold(milliseconds(opened.stall)),
        tries(opened.tries),
        count(opened.last_rows, "row"),
    )
}

/// What stopping did.
pub(crate) fn stopped(style: Style, stopped: &Stopped) -> String {
    let mut text = format!(
        "{} The new side follows again; writes waited for {}{}.\n  Go on: confiture migrate schema-to-schema sync\n",
        style.done(),
        style.bold(milliseconds(stopped.stall)),
        tries(stopped.tries),
    );
    if let Some(left) = &stopped.left {
        let _ = writeln!(text, "{} {left}", style.failed());
    }
    text
}

fn tries(tries: u32) -> String {
    match tries {
        0 => String::new(),
        tries => format!(", after {} that met a lock", count(tries, "try").replace("trys", "tries")),
    }
}
