//! Every column of every chosen table gets its rule, or the run stops here. Pure.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Column, Relation};
use crate::config::Spanned;
use crate::config::mapping::TableName;
use crate::config::sync_rules::{
    ColumnName, Method, PersonalKind, Rule, TableRules, Truncation, Unclassified,
};
use crate::error::{Error, Result};
use crate::sql::{Identifier, QualifiedName};
use crate::sync::kind::kind_of_name;
use crate::sync::options::Options;
use crate::sync::types::{Family, family};

/// A table and the rules of the columns that are written.
#[derive(Debug, Clone)]
pub(crate) struct Classified<'a> {
    pub(crate) source: &'a Relation,
    pub(crate) target: &'a Relation,
    pub(crate) columns: Vec<Chosen>,
}

/// A column and its rule.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) name: Identifier,
    pub(crate) rule: Spanned<Rule>,
    pub(crate) origin: Origin,
}

/// Who chose a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The column's own line in the rules.
    Rules,
    /// `--anonymize`.
    CommandLine,
    /// `"*"` of the table, or `defaults.unclassified`.
    Others,
    /// A column that it refers to, or that refers to it.
    Key,
    /// Nobody yet.
    Nobody,
}

/// The tables that are synced.
pub(crate) fn choose_tables<'a>(
    options: &Options,
    source: &'a Catalog,
    target: &'a Catalog,
    notes: &mut Vec<String>,
) -> Result<Vec<Classified<'a>>> {
    let mut chosen: BTreeMap<&QualifiedName, &Relation> = BTreeMap::new();
    for name in &options.tables {
        let relation = find_table(name, source, "the source")?;
        chosen.insert(&relation.name, relation);
    }
    if options.tables.is_empty() {
        for relation in source.relations.values().filter(|relation| is_whole_table(relation)) {
            if !target.relations.contains_key(&relation.name) {
                notes.push(format!("{} is not in the target, and not synced", relation.name.short()));
            } else if is_ours(&relation.name) {
                notes.push(format!(
                    "{} belongs to each database's own history, and is not synced",
                    relation.name.short()
                ));
            } else {
                chosen.insert(&relation.name, relation);
            }
        }
    }
    if chosen.is_empty() {
        return Err(Error::config("there is no table to sync").hint(
            "both databases must have it: `confiture build` or a migration makes the target's tables",
        ));
    }
    let mut tables = Vec::new();
    for (name, relation) in chosen {
        let twin = target.relations.get(name).filter(|twin| twin.is_table()).ok_or_else(|| {
            Error::config(format!("the target has no table {}", name.short()))
                .did_you_mean(&name.to_string(), names(target).iter().map(String::as_str))
                .hint("make it first: `confiture build` or a migration does")
        })?;
        tables.push(Classified { source: relation, target: twin, columns: columns(relation, twin, notes)? });
    }
    Ok(tables)
}

pub(crate) fn is_whole_table(relation: &Relation) -> bool {
    relation.is_table() && !relation.is_partition
}

/// What this program and others remember about a database itself.
pub(crate) fn is_ours(name: &QualifiedName) -> bool {
    let histories = ["confiture_migrations", "tb_confiture", "schema_migrations", "_sqlx_migrations"];
    name.schema.as_str().starts_with("confiture") || histories.contains(&name.name.as_str())
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog
        .relations
        .values()
        .filter(|relation| is_whole_table(relation))
        .map(|relation| relation.name.short())
        .collect()
}

/// The table that a user means.
pub(crate) fn find_table<'a>(name: &TableName, catalog: &'a Catalog, side: &str) -> Result<&'a Relation> {
    let found = catalog.find(name.schema.as_ref(), &name.name);
    match found {
        Some(relation) if is_whole_table(relation) => Ok(relation),
        Some(relation) if relation.is_partition => Err(Error::config(format!("{name} is a partition"))
            .hint("name the partitioned table: its partitions come with it")),
        Some(_) => Err(Error::config(format!("{name} is no table that can be written"))),
        None => Err(Error::config(format!("{side} has no table {name}"))
            .did_you_mean(&name.to_string(), names(catalog).iter().map(String::as_str))),
    }
}

/// The columns that are written: those that both sides have and that the target does not compute.
fn columns(source: &Relation, target: &Relation, notes: &mut Vec<String>) -> Result<Vec<Chosen>> {
    let mut columns = Vec::new();
    for column in &target.columns {
        let full = format!("{}.{}", target.name.short(), column.name);
        if column.generated.is_some() {
            notes.push(format!("{full} is generated: the target computes it from what arrives"));
            continue;
        }
        if source.column(&column.name).is_none() {
            if !column.may_be_left_out() {
                return Err(Error::config(format!(
                    "the source has no column {full}, and the target cannot do without"
                ))
                .hint("give it a default in the target, or bring both to one schema"));
            }
            notes.push(format!("{full} is not in the source: its default fills it"));
            continue;
        }
        columns.push(Chosen {
            name: column.name.clone(),
            rule: Spanned::nowhere(Rule::of(Method::Keep)),
            origin: Origin::Nobody,
        });
    }
    for column in &source.columns {
        if target.column(&column.name).is_none() {
            notes.push(format!(
                "{}.{} is not in the target, and stays where it is",
                source.name.short(),
                column.name
            ));
        }
    }
    Ok(columns)
}

/// Gives every column the rule that the file or the command line has for it.
pub(crate) fn apply_rules(
    tables: &mut [Classified<'_>],
    options: &Options,
    source: &Catalog,
    notes: &mut Vec<String>,
) -> Result<()> {
    for rules in &options.rules.tables {
        let relation =
            find_table(&rules.name.value, source, "the source").map_err(|error| rules.name.locate(error))?;
        for (column, _) in &rules.columns {
            if relation.column(&column.value).is_none() {
                let known = relation.columns.iter().map(|column| column.name.as_str());
                let error =
                    Error::config(format!("{} has no column {}", relation.name.short(), column.value))
                        .did_you_mean(column.value.as_str(), known);
                return Err(column.locate(error));
            }
        }
        match tables.iter_mut().find(|table| table.source.name == relation.name) {
            Some(table) => apply_table(table, rules, options)?,
            None => notes.push(format!("the rules for {} wait: it is not synced", relation.name.short())),
        }
    }
    for name in &options.anonymize {
        apply_name(tables, name, options, source)?;
    }
    Ok(())
}

fn apply_table(table: &mut Classified<'_>, rules: &TableRules, options: &Options) -> Result<()> {
    for (column, rule) in &rules.columns {
        match table.columns.iter_mut().find(|chosen| chosen.name == column.value) {
            Some(chosen) => {
                chosen.rule = resolved(rule, options);
                chosen.origin = Origin::Rules;
            }
            None if rule.value.method == Method::Keep => {}
            None => {
                let name = format!("{}.{}", table.target.name.short(), column.value);
                let error = Error::config(format!("{name} is not written, so the rule matches nothing"))
                    .hint("the target computes it or does not have it: remove the rule");
                return Err(column.locate(error));
            }
        }
    }
    if let Some(rule) = &rules.others {
        for chosen in table.columns.iter_mut().filter(|chosen| chosen.origin == Origin::Nobody) {
            chosen.rule = resolved(rule, options);
            chosen.origin = Origin::Others;
        }
    }
    Ok(())
}

/// A rule with what a kind stands for in its place.
fn resolved(rule: &Spanned<Rule>, options: &Options) -> Spanned<Rule> {
    let Method::Kind(kind) = rule.value.method else { return rule.clone() };
    let meant = options.rules.rule_of(kind);
    let domain = match (&rule.value.domain, meant.domain) {
        (crate::config::sync_rules::Domain::Shared, of_kind) => of_kind,
        (own, _) => own.clone(),
    };
    rule.clone().map(|own| Rule {
        method: meant.method,
        when: own.when.or(meant.when),
        fill_nulls: own.fill_nulls || meant.fill_nulls,
        domain,
        normalize: own.normalize || meant.normalize,
        allow_duplicates: own.allow_duplicates || meant.allow_duplicates,
    })
}

/// `--anonymize users.email`: the file's own rule for the column stays, where there is one that masks.
fn apply_name(
    tables: &mut [Classified<'_>],
    name: &ColumnName,
    options: &Options,
    source: &Catalog,
) -> Result<()> {
    let relation =
        find_table(&name.table, source, "the source").map_err(|error| error.context("--anonymize"))?;
    let known = || relation.columns.iter().map(|column| column.name.as_str());
    let column = relation.column(&name.column).ok_or_else(|| {
        Error::config(format!("--anonymize: {} has no column {}", relation.name.short(), name.column))
            .did_you_mean(name.column.as_str(), known())
    })?;
    let table = tables.iter_mut().find(|table| table.source.name == relation.name).ok_or_else(|| {
        Error::config(format!("--anonymize: {} is not among the synced tables", relation.name.short()))
            .hint("add it to --tables")
    })?;
    let chosen = table.columns.iter_mut().find(|chosen| chosen.name == name.column).ok_or_else(|| {
        Error::config(format!("--anonymize: {name} is not written, so there is nothing to mask"))
    })?;
    if chosen.origin == Origin::Rules && chosen.rule.value.method != Method::Keep {
        return Ok(());
    }
    if chosen.origin == Origin::Rules {
        return Err(chosen.rule.locate(
            Error::config(format!("--anonymize names {name}, and the rules keep it"))
                .hint("remove the line, or say there how it is masked"),
        ));
    }
    chosen.rule = Spanned::nowhere(by_type(column, source, options).ok_or_else(|| {
        Error::config(format!("--anonymize: there is no mask for {name} of type {}", column.data_type.text))
            .hint("write a rule for it: `null`, or `{sql: \"…\"}`")
    })?);
    chosen.origin = Origin::CommandLine;
    Ok(())
}

/// What masks a column by its name and type.
pub(crate) fn by_type(column: &Column, catalog: &Catalog, options: &Options) -> Option<Rule> {
    let (family, _) = family(&column.data_type, catalog);
    let kind = kind_of_name(column.name.as_str());
    let method = match (family, kind) {
        (Family::Text(_), Some(kind)) if kind != PersonalKind::Birthday => {
            return Some(options.rules.rule_of(kind));
        }
        (Family::Address, _) => return Some(options.rules.rule_of(PersonalKind::Ip)),
        (Family::Date, _) => Method::Date(Truncation::Year),
        (Family::Text(length), _) => Method::Hash(length.unwrap_or(24).clamp(4, 24) as u8),
        (Family::TextArray, _) => Method::Hash(24),
        (Family::Integer(_) | Family::Uuid, _) => Method::Fpe,
        _ if !column.not_null => Method::Null,
        _ => return None,
    };
    Some(Rule::of(method))
}

/// What becomes of the columns that nobody has classified.
pub(crate) fn settle_rest(
    tables: &mut [Classified<'_>],
    options: &Options,
    source: &Catalog,
    notes: &mut Vec<String>,
) -> Result<()> {
    let choice = options.unclassified.or(options.rules.unclassified).unwrap_or(Unclassified::Fail);
    let mut missing = Vec::new();
    for table in tables {
        let name = table.source.name.clone();
        for chosen in table.columns.iter_mut().filter(|chosen| chosen.origin == Origin::Nobody) {
            let Some(column) = table.source.column(&chosen.name) else { continue };
            let full = format!("{}.{}", name.short(), chosen.name);
            let rule = match choice {
                Unclassified::Fail => None,
                Unclassified::Keep => {
                    notes.push(format!("{full} is copied as it is: nobody has classified it"));
                    Some(Rule::of(Method::Keep))
                }
                Unclassified::Null if !column.not_null => Some(Rule::of(Method::Null)),
                Unclassified::Null | Unclassified::Mask => by_type(column, source, options),
            };
            match rule {
                Some(rule) => {
                    chosen.rule = Spanned::nowhere(rule);
                    chosen.origin = Origin::Others;
                }
                None => missing.push((name.clone(), column.clone())),
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(unclassified(&missing, source)) }
}

/// The error that columns are not classified, with the lines to add.
fn unclassified(missing: &[(QualifiedName, Column)], source: &Catalog) -> Error {
    const MOST: usize = 40;
    let mut lines = String::from("anonymize:\n");
    let mut last = None;
    for (table, column) in missing.iter().take(MOST) {
        if last != Some(table) {
            lines.push_str(&format!("  {}:\n", crate::config::yaml::render_key(&table.short())));
            last = Some(table);
        }
        let (word, remark) = crate::sync::kind::proposal(column, source);
        let name = crate::config::yaml::render_key(&column.name.to_string());
        lines.push_str(&format!("    {name}: {word}{remark}\n"));
    }
    if missing.len() > MOST {
        lines.push_str(&format!("  # and {} more\n", missing.len() - MOST));
    }
    let (table, column) = &missing[0];
    let message = match missing.len() {
        1 => format!("{}.{} is not classified: nothing was changed", table.short(), column.name),
        count => format!(
            "{count} columns are not classified, {}.{} the first: nothing was changed",
            table.short(),
            column.name
        ),
    };
    Error::refused(message)
        .detail(lines.trim_end().to_owned())
        .hint("read the proposals above, correct them, and add them to db/sync_config.yaml")
        .hint("`confiture sync suggest` writes a whole file by looking at names, types and values")
        .hint(
            "`--unclassified keep` copies such columns as they are; `--unclassified mask` masks them by type",
        )
}
