//! From a YAML file to [`SyncRules`].

use std::path::Path;

use super::function::PersonalKind;
use super::rule::{choice, entry_rule, rule};
use super::{ColumnName, KeySource, SubsetRule, SyncRules, TableRules, Unclassified, VirtualKey};
use crate::config::Spanned;
use crate::config::mapping::TableName;
use crate::config::yaml::{self, Entry, Node};
use crate::error::{Error, Result};
use crate::sql::Identifier;

impl Unclassified {
    /// All of them, as they are written.
    pub const ALL: &'static [(&'static str, Self)] =
        &[("fail", Self::Fail), ("null", Self::Null), ("mask", Self::Mask), ("keep", Self::Keep)];
}

impl SyncRules {
    /// Reads a file's text; `file` is only the name that errors show.
    ///
    /// # Errors
    ///
    /// Whatever is unknown, misspelt or contradicts itself, with its place.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let root = yaml::parse(text, file)?;
        let mut rules = Self::default();
        let mut fields = root.fields()?;
        if let Some(node) = fields.take("anonymize") {
            rules.tables = tables(node)?;
        }
        if let Some(node) = fields.take("defaults") {
            let mut defaults = node.fields()?;
            if let Some(node) = defaults.take("kinds") {
                rules.kinds = kinds(node)?;
            }
            if let Some(node) = defaults.take("unclassified") {
                // `null` is a word here, and YAML's nothing.
                rules.unclassified =
                    Some(if node.is_null() { Unclassified::Null } else { choice(node, Unclassified::ALL)? });
            }
            defaults.finish()?;
        }
        rules.key = fields.take("key").map(key).transpose()?;
        if let Some(node) = fields.take("subset") {
            rules.subset = node.as_map()?.iter().map(subset).collect::<Result<_>>()?;
        }
        if let Some(node) = fields.take("virtual_fks") {
            rules.virtual_keys = node.as_list()?.iter().map(virtual_key).collect::<Result<_>>()?;
        }
        if let Some(node) = fields.take("row_keys") {
            rules.row_keys = node.as_map()?.iter().map(row_key).collect::<Result<_>>()?;
        }
        if let Some(node) = fields.take("allowed_targets") {
            let hosts = node.as_list()?.iter().map(|host| host.as_text().map(str::to_owned));
            rules.allowed_targets = hosts.collect::<Result<_>>()?;
        }
        if let Some(node) = fields.take("scan") {
            let mut scan = node.fields()?;
            if let Some(node) = scan.take("ignore") {
                rules.scan_ignore = node.as_list()?.iter().map(column).collect::<Result<_>>()?;
            }
            scan.finish()?;
        }
        rules.max_rows = fields.take("max_rows").map(Node::as_u64).transpose()?;
        fields.finish()?;
        Ok(rules)
    }
}

/// `users`, `app.users`, as SQL writes names.
fn table(text: &str, node: &Node) -> Result<Spanned<TableName>> {
    named_table(text, &node.place)
}

fn named_table(text: &str, place: &crate::error::Place) -> Result<Spanned<TableName>> {
    let name = TableName::read(text).map_err(|error| error.at(place.clone()))?;
    Ok(Spanned::at(place.clone(), name))
}

fn column_key(entry: &Entry) -> Result<Spanned<Identifier>> {
    let name = TableName::read(&entry.key).map_err(|error| error.at(entry.place.clone()))?;
    if name.schema.is_some() {
        return Err(Error::config(format!("`{}` is not the name of a column", entry.key))
            .at(entry.place.clone())
            .hint("a name with a dot in it stands in double quotes"));
    }
    Ok(Spanned::at(entry.place.clone(), name.name))
}

fn tables(node: &Node) -> Result<Vec<TableRules>> {
    let mut tables: Vec<TableRules> = Vec::new();
    for entry in node.as_map()? {
        let name = named_table(&entry.key, &entry.place)?;
        if tables.iter().any(|table| table.name.value == name.value) {
            return Err(name.locate(Error::config(format!("the table {} is written twice", name.value))));
        }
        let mut rules = TableRules { name, columns: Vec::new(), others: None };
        if entry.value.is_null() {
            return Err(Error::config(format!("`{}` has no columns", entry.key))
                .at(entry.place.clone())
                .hint("to copy the table as it is, write `\"*\": keep` below it"));
        }
        for column in entry.value.as_map()? {
            if column.key == "*" {
                rules.others = Some(entry_rule(column)?);
                continue;
            }
            let name = column_key(column)?;
            if rules.columns.iter().any(|(other, _)| other.value == name.value) {
                let error = Error::config(format!("the column {} is written twice", name.value));
                return Err(name.locate(error));
            }
            rules.columns.push((name, entry_rule(column)?));
        }
        tables.push(rules);
    }
    Ok(tables)
}

fn kinds(node: &Node) -> Result<Vec<(PersonalKind, super::Rule)>> {
    let one = |entry: &Entry| {
        let kind = PersonalKind::from_word(&entry.key).ok_or_else(|| {
            Error::config(format!("there is no kind `{}` of personal data", entry.key))
                .at(entry.place.clone())
                .did_you_mean(&entry.key, PersonalKind::words())
        })?;
        let rule = rule(&entry.value)?;
        if matches!(rule.method, super::Method::Kind(_)) {
            return Err(entry.value.error("a kind cannot stand for a kind: say how it is masked"));
        }
        Ok((kind, rule))
    };
    node.as_map()?.iter().map(one).collect()
}

fn key(node: &Node) -> Result<Spanned<KeySource>> {
    if !matches!(node.value, yaml::Value::Map(_)) {
        return Err(node.error("the key itself is not written into this file").hint(
            "write where it is: `key: {env: CONFITURE_SYNC_KEY}`, `{file: path}` or `{command: program}`",
        ));
    }
    let mut fields = node.fields()?;
    let mut sources = Vec::new();
    if let Some(node) = fields.take("env") {
        sources.push(KeySource::Variable(node.as_text()?.to_owned()));
    }
    if let Some(node) = fields.take("file") {
        sources.push(KeySource::File(node.as_text()?.into()));
    }
    if let Some(node) = fields.take("command") {
        sources.push(KeySource::Command(node.as_text()?.to_owned()));
    }
    fields.finish()?;
    match <[KeySource; 1]>::try_from(sources) {
        Ok([source]) => Ok(Spanned::at(node.place.clone(), source)),
        Err(_) => Err(node.error("the key has one place: `env`, `file` or `command`")),
    }
}

fn subset(entry: &Entry) -> Result<SubsetRule> {
    let mut fields = entry.value.fields()?;
    let filter = fields.take("where").map(Node::as_spanned_text).transpose()?;
    let children = match fields.take("children") {
        None => Vec::new(),
        Some(node) => {
            node.as_list()?.iter().map(|node| table(node.as_text()?, node)).collect::<Result<_>>()?
        }
    };
    if let Some(node) = fields.take("parents") {
        // The only answer that keeps references whole; it may be said, and not be unsaid.
        choice(node, &[("always", ())])?;
    }
    fields.finish()?;
    Ok(SubsetRule { table: named_table(&entry.key, &entry.place)?, filter, children })
}

fn virtual_key(node: &Node) -> Result<VirtualKey> {
    let mut fields = node.fields()?;
    let from = column(fields.take_required("from")?)?;
    let to = column(fields.take_required("to")?)?;
    let when = fields.take("when").map(Node::as_spanned_text).transpose()?;
    fields.finish()?;
    Ok(VirtualKey { from, to, when })
}

fn row_key(entry: &Entry) -> Result<(Spanned<TableName>, Vec<Spanned<Identifier>>)> {
    let one = |node: &Node| Ok(Spanned::at(node.place.clone(), Identifier::new(node.as_text()?)));
    let columns = match &entry.value.value {
        yaml::Value::Scalar(_) => vec![one(&entry.value)?],
        _ => entry.value.as_list()?.iter().map(one).collect::<Result<_>>()?,
    };
    Ok((named_table(&entry.key, &entry.place)?, columns))
}

/// `table.column` as a value.
fn column(node: &Node) -> Result<Spanned<ColumnName>> {
    let column = ColumnName::parse(node.as_text()?).map_err(|error| error.at(node.place.clone()))?;
    Ok(Spanned::at(node.place.clone(), column))
}

impl ColumnName {
    /// Reads `users.email`, `app.users.email`, `app."Weird.Table".email`.
    ///
    /// # Errors
    ///
    /// Where it is no such name.
    pub fn parse(text: &str) -> Result<Self> {
        let mut in_quotes = false;
        let dots = text.char_indices().filter(|(_, c)| {
            in_quotes ^= *c == '"';
            *c == '.' && !in_quotes
        });
        let wrong = || Error::config(format!("`{text}` is not table.column"));
        let (dot, _) = dots.last().ok_or_else(wrong)?;
        let column = TableName::read(&text[dot + 1..])?;
        if column.schema.is_some() {
            return Err(wrong());
        }
        Ok(Self { table: TableName::read(&text[..dot])?, column: column.name })
    }
}
