//! What a rule looks at: one statement, and what came before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::cursor::{Cursor, Name};
use super::ground::Ground;
use super::shape::{Constraint, ConstraintKind, Shape, What};
use super::{Input, Purpose};
use crate::sql::{Identifier, Statement, cannot_run_in_transaction};

/// One statement before a rule.
pub(super) struct Subject<'a> {
    /// The file.
    pub(super) input: &'a Input<'a>,
    /// The statement's text.
    pub(super) text: &'a str,
    /// What it is.
    pub(super) shape: &'a Shape,
    /// What stood before it in its file.
    pub(super) before: &'a Before,
    /// What all the files together say.
    pub(super) whole: &'a Whole,
    /// What is known of the database.
    pub(super) ground: Option<&'a Ground>,
    /// Whoever runs it limits how long a statement waits for a lock.
    pub(super) lock_timeout: bool,
}

impl<'a> Subject<'a> {
    pub(super) fn words(&self) -> Cursor<'a> {
        Cursor::new(self.text)
    }

    /// From the first byte to the last.
    pub(super) fn all(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// The actions of an `ALTER TABLE`, with the table.
    pub(super) fn alterations(&self) -> impl Iterator<Item = (&'a Name, &'a What, Range<usize>)> {
        let alter = match self.shape {
            Shape::AlterTable(alter) if matches!(alter.kind, "table" | "foreign table") => Some(alter),
            _ => None,
        };
        let of = |alter: &'a super::shape::AlterTable| {
            alter.actions.iter().map(|action| (&alter.name, &action.what, action.span.clone()))
        };
        alter.into_iter().flat_map(of)
    }

    /// The constraints that an `ALTER TABLE` adds, by themselves or with a column, with the table and the place of the action.
    pub(super) fn added_constraints(&self) -> impl Iterator<Item = (&'a Name, &'a Constraint, Range<usize>)> {
        self.alterations().flat_map(|(table, what, span)| {
            let constraints = match what {
                What::AddConstraint(constraint) => std::slice::from_ref(&**constraint),
                What::AddColumn(column) => &column.constraints,
                _ => &[],
            };
            constraints.iter().map(move |constraint| (table, constraint, span.clone()))
        })
    }

    /// True where this file goes back: `….down.sql`, `…/down.sql`. What it drops was made by the file that it takes back.
    pub(super) fn goes_back(&self) -> bool {
        let file = self.input.script.script.file();
        file.ends_with("down.sql") || file.to_string_lossy().ends_with(".down.sql")
    }

    pub(super) fn is_migration(&self) -> bool {
        self.input.purpose == Purpose::Migration
    }
}

/// What all files together say: a key may stand in another file than its table.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// Tables with a primary key.
    pub(super) keyed: BTreeSet<(String, String)>,
    /// Tables whose row security is enabled.
    pub(super) secured: BTreeSet<(String, String)>,
    /// Columns of which a check that is valid says that they are not null.
    pub(super) checked: BTreeSet<((String, String), String)>,
    /// Tables of which a constraint is validated.
    pub(super) validated: BTreeSet<(String, String)>,
    /// Indexes and keys to which those of partitions are attached.
    pub(super) attached_to: BTreeSet<(String, String)>,
    /// Foreign keys that are validated.
    pub(super) proved: BTreeSet<ForeignKey>,
    /// The first column of every index and key.
    pub(super) indexed: BTreeSet<((String, String), String)>,
}

/// The name of a foreign key, its columns, and the table that it leads to.
pub(super) type ForeignKey = (Option<String>, Vec<String>, (String, String));

/// A constraint as a foreign key, where it is one.
pub(super) fn foreign_key(constraint: &Constraint) -> Option<ForeignKey> {
    let ConstraintKind::ForeignKey(to) = &constraint.kind else { return None };
    let text = |name: &Identifier| name.as_str().to_owned();
    Some((constraint.name.as_ref().map(text), constraint.columns.iter().map(text).collect(), to.key()))
}

impl Whole {
    /// What these statements, each with its text, say.
    pub(super) fn of<'a>(statements: impl Iterator<Item = (&'a str, &'a Shape)>) -> Self {
        let mut whole = Self::default();
        let (mut checks, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for (text, shape) in statements {
            whole.take(shape);
            whole.take_checks(text, shape, &mut checks);
            whole.take_foreign_keys(shape, &mut keys);
        }
        whole
    }

    /// Notes checks that prove a column not to be null, from the moment on at which they are valid.
    fn take_checks(
        &mut self,
        text: &str,
        shape: &Shape,
        checks: &mut BTreeMap<((String, String), String), String>,
    ) {
        let Shape::AlterTable(alter) = shape else { return };
        let key = alter.name.key();
        for action in &alter.actions {
            match &action.what {
                What::AddConstraint(one) => {
                    let column = match one.kind {
                        ConstraintKind::Check => column_not_null(&text[one.inside.clone()]),
                        ConstraintKind::NotNull => one.columns.first().map(|name| name.as_str().to_owned()),
                        _ => None,
                    };
                    let Some(column) = column else { continue };
                    if one.not_valid {
                        let name = one.name.as_ref().map_or("", Identifier::as_str);
                        checks.insert((key.clone(), name.to_owned()), column);
                    } else {
                        self.checked.insert((key.clone(), column));
                    }
                }
                What::Validate(name) => {
                    self.validated.insert(key.clone());
                    let column = checks.get(&(key.clone(), name.as_str().to_owned()));
                    self.checked.extend(column.map(|column| (key.clone(), column.clone())));
                }
                _ => {}
            }
        }
    }

    /// Notes foreign keys from the moment on at which they are validated.
    fn take_foreign_keys(
        &mut self,
        shape: &Shape,
        keys: &mut BTreeMap<((String, String), String), ForeignKey>,
    ) {
        let Shape::AlterTable(alter) = shape else { return };
        for action in &alter.actions {
            match &action.what {
                What::AddConstraint(one) => {
                    let key = foreign_key(one).filter(|_| one.not_valid);
                    let name = one.name.as_ref().map_or("", Identifier::as_str);
                    keys.extend(key.map(|key| ((alter.name.key(), name.to_owned()), key)));
                }
                What::Validate(name) => {
                    self.proved.extend(keys.remove(&(alter.name.key(), name.as_str().to_owned())));
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, shape: &Shape) {
        match shape {
            Shape::CreateTable(table) => {
                let key = table.name.key();
                for column in &table.columns {
                    for constraint in &column.constraints {
                        self.take_constraint(&key, &constraint.kind, Some(&column.name));
                    }
                }
                for constraint in &table.constraints {
                    self.take_constraint(&key, &constraint.kind, constraint.columns.first());
                }
            }
            Shape::AlterTable(alter) => {
                let key = alter.name.key();
                for action in &alter.actions {
                    match &action.what {
                        What::AddConstraint(one) => {
                            self.take_constraint(&key, &one.kind, one.columns.first());
                        }
                        What::AddColumn(column) => {
                            for one in &column.constraints {
                                self.take_constraint(&key, &one.kind, Some(&column.name));
                            }
                        }
                        What::RowSecurity(true) => {
                            self.secured.insert(key.clone());
                        }
                        What::AttachPartition(_) if alter.kind == "index" => {
                            self.attached_to.insert(key.clone());
                        }
                        _ => {}
                    }
                }
            }
            Shape::CreateIndex(index) if !index.partial => {
                if let Some(first) = index.columns.first() {
                    self.indexed.insert((index.table.key(), first.as_str().to_owned()));
                }
            }
            _ => {}
        }
    }

    fn take_constraint(
        &mut self,
        table: &(String, String),
        kind: &ConstraintKind,
        first: Option<&Identifier>,
    ) {
        if *kind == ConstraintKind::PrimaryKey {
            self.keyed.insert(table.clone());
        }
        if let (ConstraintKind::PrimaryKey | ConstraintKind::Unique, Some(first)) = (kind, first) {
            self.indexed.insert((table.clone(), first.as_str().to_owned()));
        }
    }
}

/// `(email IS NOT NULL)`: `email`.
fn column_not_null(check: &str) -> Option<String> {
    let mut words = Cursor::new(check);
    while words.eat_kind(crate::sql::lex::TokenKind::Open) {}
    let column = words.identifier()?;
    let proves = words.eat("is not null")
        && words.rest().iter().all(|token| token.kind == crate::sql::lex::TokenKind::Close);
    proves.then(|| column.as_str().to_owned())
}

/// What a file's earlier statements have done.
#[derive(Debug, Default, Clone)]
pub(super) struct Before {
    /// Tables made in this file: nobody uses them yet.
    pub(super) created: BTreeSet<(String, String)>,
    /// The file says that each statement is a transaction of its own, save those between `BEGIN` and `COMMIT`.
    pub(super) no_transaction: bool,
    /// `BEGIN` stands open.
    pub(super) in_block: bool,
    /// `SET lock_timeout` was seen.
    pub(super) lock_timeout: bool,
    /// Tables that this file has altered, and how often.
    pub(super) altered: BTreeMap<(String, String), usize>,
    /// The table of the statement before, where that was an `ALTER TABLE`.
    pub(super) last_altered: Option<(String, String)>,
    /// That statement could have held more actions.
    pub(super) last_joinable: bool,
    /// Constraints added `NOT VALID` since the last commit.
    pub(super) not_valid: BTreeSet<((String, String), String)>,
    /// Enum values added since the last commit.
    pub(super) enum_values: Vec<String>,
    /// Types made in this file.
    pub(super) created_types: BTreeSet<(String, String)>,
}

impl Before {
    pub(super) fn take(&mut self, text: &str, shape: &Shape, purpose: Purpose) {
        self.last_altered = None;
        match shape {
            Shape::CreateTable(table) => {
                self.created.insert(table.name.key());
            }
            Shape::AlterTable(alter) => self.take_alter(alter),
            Shape::Begin => self.in_block = true,
            Shape::EndTransaction => {
                self.in_block = false;
                self.committed();
            }
            _ => self.take_words(text),
        }
        // A migration is one transaction, except for what cannot run in one, or where it says otherwise.
        let commits = self.no_transaction && !self.in_block || cannot_run_in_transaction(text).is_some();
        if purpose == Purpose::Migration && commits {
            self.committed();
        }
    }

    fn committed(&mut self) {
        self.not_valid.clear();
        self.enum_values.clear();
    }

    fn take_alter(&mut self, alter: &super::shape::AlterTable) {
        let key = alter.name.key();
        for action in &alter.actions {
            match &action.what {
                What::AddConstraint(constraint) if constraint.not_valid => {
                    if let Some(name) = &constraint.name {
                        self.not_valid.insert((key.clone(), name.as_str().to_owned()));
                    }
                }
                What::Rename(to) => {
                    self.created.insert((key.0.clone(), to.as_str().to_owned()));
                }
                _ => {}
            }
        }
        let alone = |what: &What| {
            matches!(
                what,
                What::Rename(_)
                    | What::RenameColumn(_)
                    | What::SetSchema(_)
                    | What::Validate(_)
                    | What::Other
            )
        };
        self.last_joinable = !alter.actions.iter().any(|action| alone(&action.what));
        *self.altered.entry(key.clone()).or_default() += 1;
        self.last_altered = Some(key);
    }

    fn take_words(&mut self, text: &str) {
        let mut words = Cursor::new(text);
        if words.eat("set") {
            words.eat("local");
            words.eat("session");
            self.lock_timeout |= words.sees("lock_timeout");
        } else if words.eat("create type") || words.eat("create domain") {
            self.created_types.extend(words.name().map(|name| name.key()));
        } else if let Some((name, value)) = added_enum_value(words)
            && !self.created_types.contains(&name.key())
        {
            self.enum_values.push(value);
        }
    }
}

/// `ALTER TYPE … ADD VALUE 'x'`.
fn added_enum_value(mut words: Cursor<'_>) -> Option<(Name, String)> {
    if !words.eat("alter type") {
        return None;
    }
    let name = words.name()?;
    if !words.eat("add value") {
        return None;
    }
    words.eat("if not exists");
    let value = super::cursor::string_value(words.peek()?, words.source())?;
    Some((name, value))
}

/// Where a statement's own text lies in its script.
pub(super) fn in_script(statement: &Statement, span: &Range<usize>) -> Range<usize> {
    statement.span.start + span.start..statement.span.start + span.end.max(span.start)
}
