//! The production checklist of a migration, as text and as Markdown.

use std::fmt::Write as _;

use confiture::schema_to_schema::{FollowingStatus, Phase, Runbook, Step, StepState};

use super::numbers::{bytes, thousands};
use super::style::Style;

/// For a terminal.
pub(crate) fn text(style: Style, runbook: &Runbook) -> String {
    let mut page = format!("{}\n", style.bold(title(runbook)));
    for line in summary(runbook) {
        let _ = writeln!(page, "{line}");
    }
    page.push_str("\nThe commands use these names:\n");
    for name in &runbook.names {
        let _ = writeln!(page, "  {name}");
    }
    for group in &runbook.groups {
        let _ = writeln!(page, "\n{}", style.bold(group.title));
        for step in &group.steps {
            let evidence =
                step.evidence.as_ref().map(|said| style.dim(format!(": {said}"))).unwrap_or_default();
            let _ = writeln!(page, "  {} {}{evidence}", tick(step), step.what);
            if let Some(instead) = &step.instead {
                let _ = writeln!(page, "      {instead}");
            }
            for command in &step.commands {
                let _ = writeln!(page, "      {}", style.cyan(format!("$ {command}")));
            }
        }
    }
    let _ = writeln!(page, "\n{}", legend(runbook));
    page
}

/// For a wiki or a change request.
pub(crate) fn markdown(runbook: &Runbook) -> String {
    let mut page = format!("# {}\n\n", title(runbook));
    for line in summary(runbook) {
        let _ = writeln!(page, "- {}", escaped(&line));
    }
    page.push_str("\n```sh\n");
    for name in &runbook.names {
        let _ = writeln!(page, "{name}");
    }
    page.push_str("```\n");
    for group in &runbook.groups {
        let _ = writeln!(page, "\n## {}\n", group.title);
        for step in &group.steps {
            let evidence =
                step.evidence.as_ref().map(|said| format!(": {}", escaped(said))).unwrap_or_default();
            let _ = writeln!(page, "- {} **{}**{evidence}", tick(step), escaped(&step.what));
            if let Some(instead) = &step.instead {
                let _ = writeln!(page, "  <br>{}", escaped(instead));
            }
            if !step.commands.is_empty() {
                page.push_str("\n  ```sh\n");
                for command in &step.commands {
                    let _ = writeln!(page, "  {command}");
                }
                page.push_str("  ```\n");
            }
        }
    }
    let _ = writeln!(page, "\n{}", legend(runbook));
    page
}

fn title(runbook: &Runbook) -> String {
    match &runbook.name {
        Some(name) => format!("Runbook: {name}"),
        None => "Runbook of the migration".to_owned(),
    }
}

fn tick(step: &Step) -> &'static str {
    if step.state == StepState::Done { "[x]" } else { "[ ]" }
}

fn summary(runbook: &Runbook) -> Vec<String> {
    let figures = &runbook.figures;
    let following = figures.status.as_ref().and_then(|status| status.following.as_ref());
    let phase = match (following.map(|following| following.phase), &figures.status) {
        (Some(Phase::CutOver), _) => "cut over: the application writes to the new side",
        (Some(Phase::Following), _) => "following: every batch leaves the new side equal to the old one",
        (Some(Phase::Bidirectional), _) => "bidirectional: both sides take writes",
        (Some(Phase::CatchingUp), _) => "catching up",
        (Some(Phase::Copying), _) => "copying",
        (Some(Phase::Armed), _) => "ready to follow again",
        (Some(Phase::Preparing), _) => "preparing",
        (Some(Phase::Immediate), _) => "immediate: both sides are written at once",
        (None, Some(_)) => "copied once, without following",
        (None, None) => "not begun",
    };
    let mut lines = vec![
        format!("From {} to {}", runbook.source, runbook.target),
        format!(
            "{} tables, about {} rows, {}",
            figures.tables,
            thousands(figures.rows),
            bytes(figures.bytes)
        ),
        format!("It is {phase}"),
    ];
    if let Some(lag) = following.and_then(FollowingStatus::marker_lag) {
        lines.push(format!("Last lag of a marker: {}", super::numbers::milliseconds(lag)));
    }
    if let Some(last) = &figures.last_comparison {
        lines.push(format!("Last comparison: {last}"));
    }
    if let Some(switch) = &figures.last_switch {
        let stall =
            switch.stall_ms.map(|stall| format!(", writes waited for {stall:.0} ms")).unwrap_or_default();
        let outcome = switch.outcome.replace('_', " ");
        lines.push(format!("Last {}: {}, {outcome}{stall}", switch.kind, switch.at));
    }
    lines
}

fn legend(runbook: &Runbook) -> String {
    let steps = || runbook.groups.iter().flat_map(|group| &group.steps);
    let of = |state| steps().filter(|step| step.state == state).count();
    format!(
        "{} of {} steps are ticked, because the servers show them or people have confirmed them; {} are open, {} only people know.",
        of(StepState::Done),
        steps().count(),
        of(StepState::Open),
        of(StepState::People)
    )
}

/// Text that Markdown leaves as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '|' | '#') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_names_as_they_are() {
        assert_eq!(escaped("`a_b` <x> [1]"), "\\`a\\_b\\` \\<x\\> \\[1\\]");
    }
}
