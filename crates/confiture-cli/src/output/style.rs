//! Marks, arrows and colours, with plain words where a terminal cannot show them.

use std::fmt::Display;

use anstyle::{AnsiColor, Style as Ansi};

/// What may be used on one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// ASCII only, words instead of symbols.
    pub(crate) plain: bool,
    /// ANSI colours.
    pub(crate) color: bool,
    /// Columns, where they are known.
    pub(crate) width: Option<u16>,
}

impl Style {
    /// Something is done or right.
    pub(crate) fn done(self) -> &'static str {
        if self.plain { "ok  " } else { "✅" }
    }

    /// Something is wrong.
    pub(crate) fn failed(self) -> &'static str {
        if self.plain { "FAIL" } else { "❌" }
    }

    /// A table that travels by COPY.
    pub(crate) fn fast(self) -> &'static str {
        if self.plain { "fast" } else { "⚡" }
    }

    /// In front of an analysis.
    pub(crate) fn chart(self) -> &'static str {
        if self.plain { "" } else { "📊 " }
    }

    /// From here to there.
    pub(crate) fn arrow(self) -> &'static str {
        if self.plain { "->" } else { "→" }
    }

    /// Into this, from there.
    pub(crate) fn from(self) -> &'static str {
        if self.plain { "<-" } else { "←" }
    }

    /// A heading.
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    /// Beside the point.
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint(Ansi::new().dimmed(), text)
    }

    /// The word `error`.
    pub(crate) fn red(self, text: impl Display) -> String {
        self.paint(AnsiColor::BrightRed.on_default().bold(), text)
    }

    /// The word `warning`.
    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.paint(AnsiColor::Yellow.on_default().bold(), text)
    }

    /// Something that is as it should be.
    pub(crate) fn green(self, text: impl Display) -> String {
        self.paint(AnsiColor::Green.on_default().bold(), text)
    }

    /// The word `hint`.
    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.paint(AnsiColor::Cyan.on_default().bold(), text)
    }

    fn paint(self, ansi: Ansi, text: impl Display) -> String {
        if self.color { format!("{ansi}{text}{ansi:#}") } else { text.to_string() }
    }
}
