//! Lint: scripts to remarks.
//!
//! A script is split into statements, each is read as far as rules ask (`shape/`), and every rule (`rules/`, one file
//! each) looks at every statement, knowing what stood before it in its file, what all files together say, and, where a
//! database was given, how large its tables are. A comment with a reason takes a remark back (`allow.rs`).
//!
//! Nothing here runs SQL or opens a file, and nothing here is fatal: what cannot be read is listed as unread.

mod allow;
mod cursor;
mod ground;
mod remark;
pub mod rules;
pub mod shape;
mod subject;

pub use cursor::Name;
pub(crate) use ground::size_in_words;
pub use ground::{Ground, Table};
pub use remark::{Allowed, LintReport, Remark, Severity, Unread};
pub use rules::{Concern, RULES, Rule};

use std::borrow::Cow;
use std::ops::Range;

use crate::sql::{Script, SplitScript, Statement, split};
use allow::{Allowance, parse_allowances};
use shape::{Shape, parse_shape};
use subject::{Before, Subject, Whole, in_script};

/// Where rules are explained.
pub const DOCS: &str = "docs/lint.md";

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It runs against a database in use: locks, rewrites and losses matter.
    Migration,
    /// It makes an empty database: only what the schema will be matters.
    Schema,
}

/// One script to look at.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Its text and statements.
    pub script: Cow<'a, SplitScript>,
    /// What it is for.
    pub purpose: Purpose,
}

/// How to look.
#[derive(Debug, Clone, Default)]
pub struct LintOptions {
    /// Only these rules, by code; empty: all.
    pub rules: Vec<String>,
    /// Not these rules.
    pub exclude: Vec<String>,
    /// What is known of the database.
    pub ground: Option<Ground>,
    /// Whoever runs migrations limits how long a statement waits for a lock, as `confiture migrate up` does.
    pub lock_timeout: bool,
}

/// Looks at scripts. Those that cannot be split are listed as unread.
#[must_use]
pub fn lint(scripts: Vec<(Script, Purpose)>, options: &LintOptions) -> LintReport {
    let mut report = LintReport { files: scripts.len(), ..LintReport::default() };
    let mut inputs = Vec::new();
    for (script, purpose) in scripts {
        let start = script.place(0);
        match split(script) {
            Ok(script) => inputs.push(Input { script: Cow::Owned(script), purpose }),
            Err(error) => report.unread.push(Unread {
                place: error.place().cloned().unwrap_or(start),
                why: error.message().to_owned(),
            }),
        }
    }
    look_at(&inputs, |_| true, options, &mut report);
    report
}

/// Looks at those of the scripts that are `wanted`; what they mean together with the others is known.
#[must_use]
pub fn lint_wanted(
    inputs: &[Input<'_>],
    wanted: impl Fn(&Input<'_>) -> bool,
    options: &LintOptions,
) -> LintReport {
    let mut report = LintReport::default();
    look_at(inputs, &wanted, options, &mut report);
    report.files = inputs.iter().filter(|input| wanted(input)).count();
    report
}

fn look_at(
    inputs: &[Input<'_>],
    wanted: impl Fn(&Input<'_>) -> bool,
    options: &LintOptions,
    report: &mut LintReport,
) {
    let shapes: Vec<Vec<Shape>> = inputs.iter().map(shapes_of).collect();
    let texts = inputs
        .iter()
        .flat_map(|input| input.script.statements.iter().map(|statement| input.script.text_of(statement)));
    let whole = Whole::of(texts.zip(shapes.iter().flatten()));
    for (input, shapes) in inputs.iter().zip(&shapes).filter(|(input, _)| wanted(input)) {
        report.statements += shapes.len();
        File { input, shapes, whole: &whole, options }.look(report);
    }
    report.remarks.sort_by(|one, other| {
        (&one.place, std::cmp::Reverse(one.severity), one.rule).cmp(&(
            &other.place,
            std::cmp::Reverse(other.severity),
            other.rule,
        ))
    });
}

fn shapes_of(input: &Input<'_>) -> Vec<Shape> {
    let statements = input.script.statements.iter();
    statements.map(|statement| parse_shape(input.script.text_of(statement))).collect()
}

/// One file that is looked at.
struct File<'a> {
    input: &'a Input<'a>,
    shapes: &'a [Shape],
    whole: &'a Whole,
    options: &'a LintOptions,
}

/// True where the comments in front of the first statement say, in our words or another tool's, that each is a transaction of its own.
fn says_no_transaction(script: &SplitScript) -> bool {
    const WORDS: [&str; 5] = [
        "-- confiture: no-transaction",
        "-- no-transaction",
        "transaction:false",
        "-- +goose NO TRANSACTION",
        "-- +migrate Up notransaction",
    ];
    let lead = script.statements.first().map_or("", |first| &script.script.text()[first.lead.clone()]);
    let mut comments = lead.lines().map(str::trim).filter(|line| line.starts_with("--"));
    comments.any(|line| WORDS.iter().any(|words| line.contains(words)))
}

impl File<'_> {
    fn look(&self, report: &mut LintReport) {
        let rules: Vec<&'static Rule> = RULES.iter().copied().filter(|rule| self.is_on(rule)).collect();
        let allowances = parse_allowances(&self.input.script);
        let mut used = vec![false; allowances.len()];
        let mut before =
            Before { no_transaction: says_no_transaction(&self.input.script), ..Before::default() };
        for (number, (statement, shape)) in self.input.script.statements.iter().zip(self.shapes).enumerate() {
            let text = self.input.script.text_of(statement);
            if matches!(shape, Shape::Unread) {
                let place = self.input.script.script.place(statement.span.start);
                report.unread.push(Unread { place, why: "the statement could not be read".to_owned() });
            }
            let subject = Subject {
                input: self.input,
                text,
                shape,
                before: &before,
                whole: self.whole,
                ground: self.options.ground.as_ref(),
                lock_timeout: self.options.lock_timeout,
            };
            for rule in &rules {
                let mut found = Found { rule, subject: &subject, statement, remarks: Vec::new() };
                (rule.check)(&subject, &mut found);
                for remark in found.remarks {
                    keep_or_allow(remark, number, &allowances, &mut used, report);
                }
            }
            before.take(text, shape, self.input.purpose);
        }
        self.judge_allowances(&allowances, &used, report);
    }

    fn is_on(&self, rule: &Rule) -> bool {
        let named = |list: &[String]| list.iter().any(|code| code == rule.code);
        let LintOptions { rules, exclude, .. } = self.options;
        let concerns = rule.concern == Concern::Design || self.input.purpose == Purpose::Migration;
        concerns && (rules.is_empty() || named(rules)) && !named(exclude)
    }

    /// Allowances are looked at as well: each needs a rule that exists, a reason, and something to allow.
    fn judge_allowances(&self, allowances: &[Allowance], used: &[bool], report: &mut LintReport) {
        for (allowance, used) in allowances.iter().zip(used) {
            let (rule, message) = match (rules::find(&allowance.code), &allowance.reason) {
                (None, _) => {
                    let known = RULES.iter().map(|rule| rule.code);
                    let meant = crate::error::did_you_mean(&allowance.code, known);
                    let meant = meant.map_or(String::new(), |code| format!("; did you mean {code}?"));
                    (&rules::allow_unknown::RULE, format!("there is no rule `{}`{meant}", allowance.code))
                }
                (Some(rule), None) => {
                    (&rules::allow_without_reason::RULE, format!("{} is allowed without a reason", rule.code))
                }
                (Some(rule), Some(_)) if !used && self.is_on(rule) => (
                    &rules::allow_unused::RULE,
                    format!("there is nothing here that {} would find", rule.code),
                ),
                _ => continue,
            };
            if self.is_on(rule) {
                report.remarks.push(rule.remark(&self.input.script.script, &allowance.span, message));
            }
        }
    }
}

/// A comment with a reason takes the remark back; one without does not.
fn keep_or_allow(
    remark: Remark,
    statement: usize,
    allowances: &[Allowance],
    used: &mut [bool],
    report: &mut LintReport,
) {
    let about =
        |one: &Allowance| one.code == remark.rule && one.statement.is_none_or(|about| about == statement);
    let Some(index) = allowances.iter().position(about) else {
        report.remarks.push(remark);
        return;
    };
    used[index] = true;
    match &allowances[index].reason {
        Some(reason) => {
            report.allowed.push(Allowed { rule: remark.rule, reason: reason.clone(), place: remark.place });
        }
        None => report.remarks.push(remark),
    }
}

/// Takes what a rule finds in one statement.
pub(crate) struct Found<'a> {
    rule: &'static Rule,
    subject: &'a Subject<'a>,
    statement: &'a Statement,
    remarks: Vec<Remark>,
}

impl Found<'_> {
    /// Something at these bytes of the statement.
    fn at(&mut self, span: Range<usize>, message: impl Into<String>) {
        let span = in_script(self.statement, &span);
        self.remarks.push(self.rule.remark(&self.subject.input.script.script, &span, message.into()));
    }

    /// Something that matters because `table` is in use. A table that this very file has made is not; one that is known
    /// to be small is over before anybody notices.
    fn on(&mut self, table: &Name, span: Range<usize>, message: impl Into<String>) {
        if self.subject.before.created.contains(&table.key()) {
            return;
        }
        self.at(span, message);
        let (Some(ground), Some(remark)) = (self.subject.ground, self.remarks.last_mut()) else { return };
        let (is_small, weighed) = match ground.table(table) {
            Some(live) if live.is_small() => (true, format!("{table} is small ({})", live.size())),
            Some(live) => (false, format!("{table} has {}", live.size())),
            None if ground.lacks(table) => (true, format!("{table} is not in this database yet")),
            None => return,
        };
        remark.weighed = Some(weighed);
        if is_small {
            remark.severity = Severity::Note;
        }
    }

    /// The remark that was added last, less bad.
    fn less(&mut self, severity: Severity) {
        if let Some(remark) = self.remarks.last_mut() {
            remark.severity = remark.severity.min(severity);
        }
    }
}

#[cfg(test)]
mod tests;
