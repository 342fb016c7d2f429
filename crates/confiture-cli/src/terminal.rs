//! What the program writes to, and how: decided once, from the flags and the process's surroundings.

use std::env;
use std::io::{self, IsTerminal as _};

use crate::args::{Format, Global};
use crate::output::style::Style;

/// Where output goes and what may be used there.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// Text or JSON on stdout.
    pub(crate) format: Format,
    /// No progress and no talk.
    pub(crate) quiet: bool,
    /// A line for everything that happens.
    pub(crate) verbose: bool,
    /// How text on stdout is marked.
    pub(crate) stdout: Style,
    /// How text on stderr is marked.
    pub(crate) stderr: Style,
    /// True where stderr can draw bars.
    pub(crate) draws: bool,
    /// True where stdout can be drawn on anew.
    pub(crate) redraws: bool,
    /// True where a question can be asked and answered.
    pub(crate) interactive: bool,
}

impl Terminal {
    /// Looks at the flags, `NO_COLOR`, `TERM`, the locale, and what the streams are connected to.
    pub(crate) fn new(global: &Global) -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let colorless = global.no_color || variable("NO_COLOR").is_some();
        let plain = colorless || !speaks_utf8();
        let style = |terminal: bool| Style {
            plain,
            color: terminal && !colorless && !dumb,
            width: terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0),
        };
        Self {
            format: global.format,
            quiet: global.quiet,
            verbose: global.verbose,
            stdout: style(stdout),
            stderr: style(stderr),
            draws: stderr && !dumb,
            redraws: stdout && !dumb,
            interactive: stderr && io::stdin().is_terminal(),
        }
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The locale's character set, as the C library would choose it.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.ends_with("utf-8") || locale.ends_with("utf8") || locale.contains("utf-8@")
    })
}
