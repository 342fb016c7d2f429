//! Bars on a terminal: one for all tables, one for each that is being worked on.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::line;
use super::meter::Figures;
use crate::output::numbers;
use crate::output::style::Style;

/// Bars beyond these would push each other off the screen.
const MOST: usize = 8;

/// What is drawn.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    total: Option<ProgressBar>,
    tables: HashMap<String, ProgressBar>,
    step: Option<ProgressBar>,
    look: Style,
}

impl Bars {
    pub(super) fn new(look: Style) -> Self {
        Self { screen: MultiProgress::new(), total: None, tables: HashMap::new(), step: None, look }
    }

    /// A line above the bars.
    pub(super) fn say(&self, text: &str) {
        let _ = self.screen.println(text);
    }

    /// A step begins: a spinner with its words.
    pub(super) fn step(&mut self, step: &str) {
        self.end_step();
        let spinner = self.screen.add(ProgressBar::new_spinner());
        let template = if self.look.plain { "{msg}... {elapsed}" } else { "{spinner} {msg}… {elapsed}" };
        spinner.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        spinner.set_message(step.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(120));
        self.step = Some(spinner);
    }

    /// What batches did: one line, always the last one.
    pub(super) fn follow(&mut self, words: String) {
        if self.step.is_none() {
            self.step("Following");
        }
        self.reword(words);
    }

    /// The running step is said in other words.
    pub(super) fn reword(&self, words: String) {
        if let Some(spinner) = &self.step {
            spinner.set_message(words);
        }
    }

    /// The step is done.
    pub(super) fn end_step(&mut self) {
        if let Some(spinner) = self.step.take() {
            spinner.finish_and_clear();
        }
    }

    /// A table's figures.
    pub(super) fn table(&mut self, name: &str, figures: &Figures) {
        if !self.tables.contains_key(name) {
            if self.tables.len() >= MOST {
                return;
            }
            let bar = match &self.total {
                Some(total) => self.screen.insert_before(total, self.bar()),
                None => self.screen.add(self.bar()),
            };
            bar.set_prefix(name.to_owned());
            self.tables.insert(name.to_owned(), bar);
        }
        if let Some(bar) = self.tables.get(name) {
            draw(bar, figures);
        }
    }

    /// A table's bar goes.
    pub(super) fn end_table(&mut self, name: &str) {
        if let Some(bar) = self.tables.remove(name) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// All tables' figures.
    pub(super) fn total(&mut self, figures: &Figures, (done, all): (usize, usize)) {
        if self.total.is_none() {
            self.total = Some(self.screen.add(self.bar()));
        }
        if let Some(bar) = &self.total {
            bar.set_prefix(format!("{done} of {}", numbers::count(all, "table")));
            draw(bar, figures);
        }
    }

    /// Every bar goes.
    pub(super) fn clear(&mut self) {
        self.end_step();
        for (_, bar) in self.tables.drain() {
            bar.finish_and_clear();
        }
        if let Some(bar) = self.total.take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self) -> ProgressBar {
        // A line that wraps cannot be drawn over.
        let template = match self.look.width {
            Some(width) if width < 60 => "{prefix:14!} {percent:>3}%",
            Some(width) if width < 100 => "{prefix:20!} [{bar:12}] {percent:>3}% {msg}",
            _ => "{prefix:24!} [{bar:24}] {percent:>3}% {msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(1).with_style(style.progress_chars(if self.look.plain { "=> " } else { "█▌ " }))
    }
}

fn draw(bar: &ProgressBar, figures: &Figures) {
    bar.set_length(figures.expected_rows.max(1));
    bar.set_position(figures.rows);
    bar.set_message(line::speed(figures));
}
