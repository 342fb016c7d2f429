//! The production checklist of one migration, from the backup before it to the old tables' end: what has to be done, by what
//! command, and what of it the servers show to be done.
//!
//! The steps are those that teams write into their own lists. Where such a list is usually wrong (a share of rows that may
//! differ, a maintenance window, a schema dropped with all that is in it), this one says what is right.

mod after;
mod before;
mod during;
mod figures;

use serde::Serialize;

use crate::error::Result;
use crate::schema_to_schema::checklist::{self, Check, Outcome, Standard};
use crate::schema_to_schema::planner::Migration;

pub use figures::{Figures, SwitchFigures};

/// A whole list.
#[derive(Debug, Clone, Serialize)]
pub struct Runbook {
    /// `migration.name` of the mapping.
    pub name: Option<String>,
    /// The old database, without its password.
    pub source: String,
    /// The new database, without its password.
    pub target: String,
    /// How far it is.
    pub figures: Figures,
    /// What the shell has to know for the commands.
    pub names: Vec<String>,
    /// The steps, in the order of their time.
    pub groups: Vec<Group>,
}

/// Steps of one time.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// A word that stays the same.
    pub id: &'static str,
    /// When that is.
    pub title: &'static str,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What is to be so.
    pub what: String,
    /// Whether it is.
    pub state: State,
    /// What was seen, or what is not so yet.
    pub evidence: Option<String>,
    /// What lists like this one often say instead, and what is right.
    pub instead: Option<String>,
    /// What to type.
    pub commands: Vec<String>,
}

/// Whether a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The servers show it, or people have confirmed it.
    Done,
    /// The servers show that it is not.
    Open,
    /// Only people know.
    People,
}

/// How the commands name things.
#[derive(Debug, Clone)]
pub struct Names {
    /// What `--from` is given: an environment's name, a connection string.
    pub from: String,
    /// What `--to` is given.
    pub to: String,
    /// What `--mapping` is given.
    pub mapping: Option<String>,
}

/// Reads how far a migration is, and writes its list. Changes nothing.
///
/// # Errors
///
/// [`crate::ErrorKind::Connect`], and where a server cannot be asked.
pub async fn read(migration: &Migration, names: &Names, standard: &Standard) -> Result<Runbook> {
    let figures = figures::read(migration).await?;
    let checks = Box::pin(checklist::read(migration, standard)).await?;
    let commands = Commands(names.clone());
    let ground = Ground { migration, standard, commands, figures: &figures, checks: &checks };
    let groups = vec![
        before::steps(&ground),
        during::steps(&ground),
        during::before_the_cutover(&ground),
        after::after_the_cutover(&ground),
        after::afterwards(&ground),
    ];
    Ok(Runbook {
        name: migration.options.mapping.name.clone(),
        source: migration.plan.source.clone(),
        target: migration.plan.target.clone(),
        names: vec![
            format!("export OLD=\"{}\"", in_quotes(&migration.options.source.to_dsn())),
            format!("export NEW=\"{}\"", in_quotes(&migration.options.target.to_dsn())),
        ],
        groups,
        figures,
    })
}

/// What the steps are written from.
struct Ground<'a> {
    migration: &'a Migration,
    standard: &'a Standard,
    commands: Commands,
    figures: &'a Figures,
    checks: &'a [Check],
}

impl Ground<'_> {
    /// The cutover, or its rehearsal, as it was asked for.
    fn cutover(&self, flag: &str) -> String {
        let without = if self.standard.no_way_back { " --no-way-back" } else { "" };
        let longest = self.standard.max_stall.as_millis();
        let longest = match longest % 1000 {
            0 => format!("{}s", longest / 1000),
            _ => format!("{longest}ms"),
        };
        self.commands.with_mapping(&format!("cutover{flag}{without} --max-stall {longest}"))
    }

    fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }

    /// A step that is what a point of the checklist is. Once the application has moved, the cutover has seen to it.
    fn by_check(&self, what: &str, id: &str) -> Step {
        if let Some(switch) = self.figures.switched.as_ref().filter(|_| !PEOPLE.contains(&id)) {
            let seen = switch.seen.get(id).map(|seen| format!(": {seen}")).unwrap_or_default();
            return Step::done(what, format!("the cutover of {} saw to it{seen}", switch.at));
        }
        let Some(check) = self.check(id) else { return Step::people(what) };
        let state = match check.outcome {
            Outcome::Pass | Outcome::Warn => State::Done,
            Outcome::Fail => State::Open,
            Outcome::Ask => State::People,
        };
        let evidence =
            (check.outcome != Outcome::Ask || !PEOPLE.contains(&id)).then(|| check.evidence.clone());
        Step { state, evidence, ..Step::people(what) }
    }
}

/// Points that only people know.
const PEOPLE: [&str; 4] = ["backup", "application", "team", "rollback-plan"];

impl Step {
    fn people(what: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::People, evidence: None, instead: None, commands: Vec::new() }
    }

    fn done(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { state: State::Done, evidence: Some(evidence.into()), ..Self::people(what) }
    }

    fn open(what: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { state: State::Open, evidence: Some(evidence.into()), ..Self::people(what) }
    }

    fn instead(self, instead: impl Into<String>) -> Self {
        Self { instead: Some(instead.into()), ..self }
    }

    fn run(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// Commands of this migration.
struct Commands(Names);

impl Commands {
    /// One that needs both sides and the mapping.
    fn with_mapping(&self, step: &str) -> String {
        let mapping = self.0.mapping.as_ref().map(|file| format!(" --mapping {}", word(file)));
        format!("{}{}", self.with_ends(step), mapping.unwrap_or_default())
    }

    /// One that needs both sides.
    fn with_ends(&self, step: &str) -> String {
        let (name, flags) = step.split_once(' ').unwrap_or((step, ""));
        let flags = if flags.is_empty() { String::new() } else { format!(" {flags}") };
        format!(
            "confiture migrate schema-to-schema {name} --from {} --to {}{flags}",
            word(&self.0.from),
            word(&self.0.to)
        )
    }

    /// One that the target is enough for.
    fn with_target(&self, step: &str) -> String {
        let (name, flags) = step.split_once(' ').unwrap_or((step, ""));
        let flags = if flags.is_empty() { String::new() } else { format!(" {flags}") };
        format!("confiture migrate schema-to-schema {name} --to {}{flags}", word(&self.0.to))
    }
}

/// A word for the shell.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Text within double quotes of the shell.
fn in_quotes(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '"' | '$' | '`' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_of_the_shell() {
        let names = Names {
            from: "production".into(),
            to: "postgres://app@db/new shop".into(),
            mapping: Some("db/it's.yaml".into()),
        };
        assert_eq!(
            Commands(names).with_mapping("cutover --dry-run"),
            r"confiture migrate schema-to-schema cutover --from production --to 'postgres://app@db/new shop' --dry-run --mapping 'db/it'\''s.yaml'"
        );
        assert_eq!(in_quotes("dbname='a$b\"c\\'"), r#"dbname='a\$b\"c\\'"#);
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
