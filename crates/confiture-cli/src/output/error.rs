//! An error on stderr: what, where, what to do next. Printed once.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use confiture::Error;
use confiture::error::Excerpt;

use super::style::Style;
use crate::args::Format;
use crate::terminal::Terminal;

/// Prints the error where the user looks for it: stderr, or the JSON object on stdout.
pub(crate) fn print(terminal: &Terminal, error: &Error) {
    match terminal.format {
        Format::Json => super::json::print(&super::json::object("confiture", None, Some(error))),
        Format::Text | Format::Sarif | Format::Github | Format::Markdown => {
            let _ =
                io::stderr().lock().write_all(render(terminal.stderr, terminal.verbose, error).as_bytes());
        }
    }
}

/// The error as text; `verbose` adds the errors underneath.
pub(crate) fn render(style: Style, verbose: bool, error: &Error) -> String {
    let mut text = headline(style, error);
    if let Some(detail) = error.server_detail() {
        labelled(&mut text, &style.bold("detail"), detail);
    }
    if verbose {
        if let Some(code) = error.sqlstate_code() {
            labelled(&mut text, &style.dim("sqlstate"), code);
        }
        for cause in causes(error) {
            labelled(&mut text, &style.dim("because"), &cause);
        }
    }
    for hint in error.hints() {
        labelled(&mut text, &style.cyan("hint"), hint);
    }
    text
}

/// `error: message`, the place, and the user's lines with a caret.
fn headline(style: Style, error: &Error) -> String {
    let Some(place) = error.place() else {
        return format!("{}: {}\n", style.red("error"), error.message());
    };
    let file = place.file.to_string_lossy();
    let title = Level::ERROR.primary_title(error.message());
    let group: Group<'_> = match error.excerpt_of() {
        Some(excerpt) if marks(excerpt, place.line) => title.element(
            Snippet::source(excerpt.text.as_str())
                .line_start(excerpt.first_line)
                .path(file.as_ref())
                .annotation(AnnotationKind::Primary.span(excerpt.mark.clone())),
        ),
        // An excerpt of something else, of a COPY and not of its row, would lead to the wrong line.
        _ => title.element(Origin::path(file.as_ref()).line(place.line).char_column(place.column)),
    };
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    let width = style.width.map_or(140, usize::from);
    let mut text = renderer.decor_style(DecorStyle::Ascii).term_width(width).render(&[group]);
    text.push('\n');
    text
}

/// True where the excerpt's caret stands in `line`.
fn marks(excerpt: &Excerpt, line: usize) -> bool {
    let above = excerpt.text.get(..excerpt.mark.start).unwrap_or_default();
    excerpt.first_line + above.matches('\n').count() == line
}

/// `label: text`, with further lines of the text below its first.
fn labelled(page: &mut String, label: &str, text: &str) {
    let mut lines = text.lines();
    let _ = writeln!(page, "{label}: {}", lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(page, "  {line}");
    }
}

/// The errors underneath, as far as they cannot hold a row's values: a server's message can, so it is not among them.
fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<io::Error>() || cause.is::<Error>() || cause.is::<local_postgres::Error>() {
            causes.push(cause.to_string());
        }
        source = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use confiture::Place;

    use super::*;

    fn misspelt() -> Error {
        Error::config("unknown key databse_url")
            .at(Place { file: "db/environments/local.yaml".into(), line: 2, column: 1 })
            .excerpt(Excerpt {
                text: "databse_url: postgresql://localhost/app".into(),
                first_line: 2,
                mark: 0..11,
            })
            .hint("did you mean database_url?")
    }

    #[test]
    fn an_error_shows_the_line_under_a_caret() {
        insta::assert_snapshot!(render(Style::default(), false, &misspelt()), @"
        error: unknown key databse_url
         --> db/environments/local.yaml:2:1
          |
        2 | databse_url: postgresql://localhost/app
          | ^^^^^^^^^^^
        hint: did you mean database_url?
        ");
    }

    #[test]
    fn a_place_without_an_excerpt_is_one_line() {
        let place = Place { file: "db/schema/users.sql".into(), line: 3, column: 7 };
        let error = Error::new(confiture::ErrorKind::Server, "type \"citext\" does not exist")
            .at(place)
            .detail("two\nlines")
            .sqlstate("42704");
        insta::assert_snapshot!(render(Style::default(), false, &error), @r#"
        error: type "citext" does not exist
        --> db/schema/users.sql:3:7
        detail: two
          lines
        "#);
    }

    #[test]
    fn a_place_that_the_excerpt_does_not_show_is_the_one_that_is_said() {
        let place = Place { file: "db/schema/users.sql".into(), line: 6, column: 1 };
        let excerpt = Excerpt { text: "COPY users FROM stdin;".into(), first_line: 3, mark: 0..21 };
        let error = Error::new(confiture::ErrorKind::Server, "invalid input").at(place).excerpt(excerpt);
        insta::assert_snapshot!(render(Style::default(), false, &error), @"
        error: invalid input
        --> db/schema/users.sql:6:1
        ");
    }

    #[test]
    fn colour_is_only_where_it_is_allowed() {
        let colored = render(Style { color: true, ..Style::default() }, false, &misspelt());
        assert!(colored.contains("\u{1b}["), "{colored:?}");
        assert!(!render(Style::default(), false, &misspelt()).contains('\u{1b}'));
    }

    #[derive(Debug)]
    struct FromServer;

    impl fmt::Display for FromServer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Key (email)=(ada@example.com) already exists")
        }
    }

    impl StdError for FromServer {}

    #[test]
    fn the_errors_underneath_are_shown_only_on_demand_and_only_where_they_hold_no_values() {
        let file = Error::unexpected("cannot read it").because(io::Error::other("the disk is gone"));
        assert!(!render(Style::default(), false, &file).contains("the disk is gone"));
        assert!(render(Style::default(), true, &file).contains("because: the disk is gone"));
        let server = Error::unexpected("the server refused").because(FromServer);
        assert!(!render(Style::default(), true, &server).contains("ada@"));
    }
}
