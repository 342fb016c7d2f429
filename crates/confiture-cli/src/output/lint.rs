//! What lint found: each remark with the user's lines and a mark.

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use confiture::lint::{LintReport, Remark, Severity};
use confiture::{Error, ErrorKind};

use super::numbers::count;
use super::style::Style;

/// The whole report.
pub(crate) fn render(style: Style, report: &LintReport) -> String {
    let mut text = String::new();
    for remark in &report.remarks {
        text.push_str(&one(style, remark));
        // Writing to a `String` cannot fail.
        if let Some(weighed) = &remark.weighed {
            let _ = writeln!(text, "{}: {weighed}", style.dim("note"));
        }
        let _ = writeln!(text, "{}: {} ({})\n", style.cyan("fix"), remark.fix, remark.docs);
    }
    for unread in &report.unread {
        let _ = writeln!(text, "{}: not judged: {}", unread.place, unread.why);
    }
    let _ = writeln!(
        text,
        "{} in {}: {}, {}, {}{}",
        count(report.statements, "statement"),
        count(report.files, "file"),
        count(report.count(Severity::Error), "error"),
        count(report.count(Severity::Warning), "warning"),
        count(report.count(Severity::Note), "note"),
        if report.allowed.is_empty() { String::new() } else { format!(", {} allowed", report.allowed.len()) },
    );
    text
}

fn one(style: Style, remark: &Remark) -> String {
    let level = match remark.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let file = remark.place.file.to_string_lossy();
    let group: Group<'_> = level.primary_title(remark.message.as_str()).id(remark.rule).element(
        Snippet::source(remark.excerpt.text.as_str())
            .line_start(remark.excerpt.first_line)
            .path(file.as_ref())
            .annotation(AnnotationKind::Primary.span(remark.excerpt.mark.clone())),
    );
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let width = style.width.map_or(140, usize::from);
    let mut text = renderer.decor_style(DecorStyle::Ascii).term_width(width).render(&[group]);
    text.push('\n');
    text
}

/// "No", where an error was found, or a warning that is denied.
pub(crate) fn verdict(report: &LintReport, deny_warnings: bool) -> Option<Error> {
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let found = match (errors, warnings) {
        (0, warnings) if !deny_warnings || warnings == 0 => return None,
        (errors, warnings) if deny_warnings && warnings > 0 => {
            format!("{} and {}", count(errors, "error"), count(warnings, "warning"))
        }
        (errors, _) => count(errors, "error"),
    };
    Some(
        Error::new(ErrorKind::Found, format!("lint found {found}"))
            .hint("where it is meant so, say why: -- confiture: allow RULE because …"),
    )
}
