//! `hooks`: commands and SQL that run before and after migrations, and while a cutover is under way.

use std::time::Duration;

use crate::config::settings_file::parse_timeout;
use crate::config::yaml::{Node, Value};
use crate::error::{Error, Place, Result};

/// How long a hook may run where nobody says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// When a hook runs, in the order of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// Before the first migration is applied.
    BeforeUp,
    /// Before the first migration is reverted.
    BeforeDown,
    /// Before each migration.
    BeforeMigration,
    /// After each migration.
    AfterMigration,
    /// After the last one was applied.
    AfterUp,
    /// After the last one was reverted.
    AfterDown,
    /// After a run that failed.
    OnFailure,
    /// Of a cutover or its rollback: before the fence, while everybody still writes.
    PreFence,
    /// Of the same: nobody writes, and both sides are equal. The application is led over here.
    Fenced,
    /// Of the same: the other side takes the writes.
    Switched,
    /// Of the same, where it was given up after `fenced`: the application is led back to where it was.
    RolledBack,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::BeforeUp,
        Self::BeforeDown,
        Self::BeforeMigration,
        Self::AfterMigration,
        Self::AfterUp,
        Self::AfterDown,
        Self::OnFailure,
        Self::PreFence,
        Self::Fenced,
        Self::Switched,
        Self::RolledBack,
    ];

    /// The key under `hooks`, and the event's name.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::BeforeUp => "before_up",
            Self::BeforeDown => "before_down",
            Self::BeforeMigration => "before_migration",
            Self::AfterMigration => "after_migration",
            Self::AfterUp => "after_up",
            Self::AfterDown => "after_down",
            Self::OnFailure => "on_failure",
            Self::PreFence => "pre_fence",
            Self::Fenced => "fenced",
            Self::Switched => "switched",
            Self::RolledBack => "rolled_back",
        }
    }

    /// True for those of a cutover or its rollback, which are between two databases: SQL has none to run in.
    #[must_use]
    pub fn is_of_cutover(self) -> bool {
        matches!(self, Self::PreFence | Self::Fenced | Self::Switched | Self::RolledBack)
    }
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A command line for `sh`.
    Command(String),
    /// Statements for the database.
    Sql(String),
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub moment: Moment,
    /// What.
    pub action: Action,
    /// How long it may take.
    pub timeout: Duration,
    /// Where it stands, where it stands in a file.
    pub place: Option<Place>,
}

impl Hook {
    /// A command that was named on the command line.
    pub fn command(moment: Moment, command: impl Into<String>) -> Self {
        Self { moment, action: Action::Command(command.into()), timeout: DEFAULT_TIMEOUT, place: None }
    }
}

/// All hooks of an environment, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    hooks: Vec<Hook>,
}

impl Hooks {
    /// The hooks of a moment.
    pub fn of(&self, moment: Moment) -> impl Iterator<Item = &Hook> {
        self.hooks.iter().filter(move |hook| hook.moment == moment)
    }

    /// The same, and one more, after those of its moment.
    #[must_use]
    pub fn with(mut self, hook: Hook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// These, then those of `more`.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.hooks.extend(more.hooks);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hooks.len()
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Reads `hooks`.
    pub(super) fn read(node: &Node) -> Result<Self> {
        let mut fields = node.fields()?;
        let timeout = fields.take("timeout").map(read_timeout).transpose()?.unwrap_or(DEFAULT_TIMEOUT);
        let mut hooks = Vec::new();
        for moment in Moment::ALL {
            let Some(said) = fields.take(moment.key()) else { continue };
            let items = match &said.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(said),
            };
            for item in items {
                hooks.push(read_hook(item, moment, timeout)?);
            }
        }
        fields.finish()?;
        Ok(Self { hooks })
    }
}

fn read_hook(node: &Node, moment: Moment, timeout: Duration) -> Result<Hook> {
    let place = Some(node.place.clone());
    let Value::Map(_) = node.value else {
        let command = node.as_text()?.to_owned();
        return Ok(Hook { moment, action: Action::Command(command), timeout, place });
    };
    let mut fields = node.fields()?;
    let command = fields.take("command").map(|node| node.as_text().map(str::to_owned)).transpose()?;
    let sql = fields.take("sql").map(|node| node.as_text().map(str::to_owned)).transpose()?;
    let timeout = fields.take("timeout").map(read_timeout).transpose()?.unwrap_or(timeout);
    fields.finish()?;
    let action = match (command, sql) {
        (None, Some(_)) if moment.is_of_cutover() => {
            return Err(
                node.must_be("a command: a cutover is between two databases, and SQL has none to run in")
            );
        }
        (Some(command), None) => Action::Command(command),
        (None, Some(sql)) => Action::Sql(sql),
        _ => return Err(node.must_be("a command, or a map with either `command` or `sql`")),
    };
    Ok(Hook { moment, action, timeout, place })
}

fn read_timeout(node: &Node) -> Result<Duration> {
    let timeout =
        node.as_text().and_then(|text| parse_timeout(text).map_err(|error| error.context(node.called())));
    match timeout {
        Ok(Duration::ZERO) => {
            Err(Error::config(format!("{} is zero: no hook would be done in time", node.called())))
        }
        timeout => timeout,
    }
    .map_err(|error| error.or_at(&node.place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn read(text: &str) -> Result<Hooks> {
        Hooks::read(yaml::parse(text, "x.yaml".as_ref())?.get("hooks").unwrap())
    }

    #[test]
    fn commands_sql_and_deadlines() {
        let hooks = read(
            "hooks:\n  timeout: 5s\n  before_up: ./a\n  after_up:\n    - ./b\n    - { sql: SELECT 1, timeout: 1s }\n",
        )
        .unwrap();
        let of = |moment| {
            hooks.of(moment).map(|hook| (hook.action.clone(), hook.timeout.as_secs())).collect::<Vec<_>>()
        };
        assert_eq!(of(Moment::BeforeUp), [(Action::Command("./a".into()), 5)]);
        assert_eq!(
            of(Moment::AfterUp),
            [(Action::Command("./b".into()), 5), (Action::Sql("SELECT 1".into()), 1)]
        );
        assert_eq!(hooks.len(), 3);
    }

    #[test]
    fn what_is_no_hook_is_refused_at_its_place() {
        for (text, place) in [
            ("hooks:\n  before: x\n", "x.yaml:2:3"),
            ("hooks:\n  before_up: { timeout: 1s }\n", "x.yaml:2:14"),
            ("hooks:\n  timeout: soon\n", "x.yaml:2:12"),
            ("hooks:\n  timeout: 0s\n", "x.yaml:2:12"),
            ("hooks:\n  fenced: { sql: SELECT 1 }\n", "x.yaml:2:11"),
        ] {
            assert_eq!(read(text).unwrap_err().place().unwrap().to_string(), place, "{text}");
        }
    }
}
