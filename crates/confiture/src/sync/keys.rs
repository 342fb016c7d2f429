//! Columns joined by foreign keys: a rule on one is a rule on all, or references would break. Pure.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, ConstraintKind, Relation};
use crate::config::SyncRules;
use crate::config::sync_rules::Method;
use crate::error::{Error, Result};
use crate::sql::{Identifier, QualifiedName};
use crate::sync::classify::{Classified, Origin, find_table};

/// A column of the source.
pub(crate) type Member = (QualifiedName, Identifier);

/// A reference from some columns to others.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// The referring table and its columns.
    pub(crate) from: (QualifiedName, Vec<Identifier>),
    /// The table and columns that are referred to.
    pub(crate) to: (QualifiedName, Vec<Identifier>),
    /// An SQL condition on the referring row.
    pub(crate) when: Option<String>,
}

/// Every reference of a database: its foreign keys, and those that the rules add.
pub(crate) fn references(catalog: &Catalog, rules: &SyncRules) -> Result<Vec<Reference>> {
    let mut references = Vec::new();
    for relation in catalog.relations.values().filter(|relation| !relation.is_partition) {
        references.extend(foreign_keys(relation));
    }
    for key in &rules.virtual_keys {
        let side = |name: &crate::config::Spanned<crate::config::sync_rules::ColumnName>| {
            let relation =
                find_table(&name.value.table, catalog, "the source").map_err(|error| name.locate(error))?;
            if relation.column(&name.value.column).is_none() {
                let known = relation.columns.iter().map(|column| column.name.as_str());
                let message = format!("{} has no column {}", relation.name.short(), name.value.column);
                return Err(
                    name.locate(Error::config(message).did_you_mean(name.value.column.as_str(), known))
                );
            }
            Ok((relation.name.clone(), vec![name.value.column.clone()]))
        };
        references.push(Reference {
            from: side(&key.from)?,
            to: side(&key.to)?,
            when: key.when.as_ref().map(|when| when.value.clone()),
        });
    }
    Ok(references)
}

fn foreign_keys(relation: &Relation) -> impl Iterator<Item = Reference> {
    let keys = relation.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::ForeignKey);
    keys.filter_map(|constraint| {
        let (table, columns) = constraint.references.clone()?;
        Some(Reference {
            from: (relation.name.clone(), constraint.columns.clone()),
            to: (table, columns),
            when: None,
        })
    })
}

/// Which columns belong together: each with the name of its component.
#[derive(Debug, Default)]
pub(crate) struct Components(BTreeMap<Member, Member>);

impl Components {
    pub(crate) fn of(references: &[Reference]) -> Self {
        let mut components = Self::default();
        for reference in references {
            let pairs = reference.from.1.iter().zip(&reference.to.1);
            for (from, to) in pairs {
                let from = (reference.from.0.clone(), from.clone());
                let to = (reference.to.0.clone(), to.clone());
                let (a, b) = (components.root(&from), components.root(&to));
                let (first, second) = if a <= b { (a, b) } else { (b, a) };
                components.0.entry(from).or_insert_with(|| first.clone());
                components.0.entry(to).or_insert_with(|| first.clone());
                for root in components.0.values_mut().filter(|root| **root == second) {
                    *root = first.clone();
                }
            }
        }
        components
    }

    fn root(&self, member: &Member) -> Member {
        self.0.get(member).unwrap_or(member).clone()
    }

    /// The component of a column, where it has one.
    pub(crate) fn component(&self, table: &QualifiedName, column: &Identifier) -> Option<&Member> {
        self.0.get(&(table.clone(), column.clone()))
    }

    fn members<'a>(&'a self, component: &'a Member) -> impl Iterator<Item = &'a Member> {
        self.0.iter().filter(move |(_, root)| *root == component).map(|(member, _)| member)
    }
}

/// Spreads rules on key columns to everything that they refer to or that refers to them.
pub(crate) fn propagate(
    tables: &mut [Classified<'_>],
    components: &Components,
    target: &Catalog,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut ruled = Vec::new();
    for table in tables.iter() {
        for chosen in &table.columns {
            let Some(component) = components.component(&table.source.name, &chosen.name) else { continue };
            match &chosen.rule.value.method {
                Method::Keep => continue,
                // Nobody refers to NULL: a reference that may be missing can be cut off.
                Method::Null if !is_referred_to(&table.source.name, &chosen.name, target) => continue,
                Method::Fpe | Method::Hash(_) if chosen.rule.value.when.is_none() => {}
                _ => {
                    let name = format!("{}.{}", table.source.name.short(), chosen.name);
                    let error = Error::config(format!("{name} takes part in a foreign key: its rule must keep values apart"))
                        .hint("`{fpe: digits}`, `{hash: 24}` and `keep` do, without `when`; a referring column may also be `null`");
                    return Err(chosen.rule.locate(error));
                }
            }
            ruled.push((component.clone(), table.source.name.clone(), chosen.clone()));
        }
    }
    for (component, from, chosen) in ruled {
        for (table, column) in components.members(&component) {
            let Some(other) = tables.iter_mut().find(|other| other.source.name == *table) else {
                if target.relations.contains_key(table) {
                    let error = Error::config(format!(
                        "{}.{} is masked, and {}.{column}, which a foreign key joins to it, is not synced",
                        from.short(),
                        chosen.name,
                        table.short()
                    ))
                    .hint(format!("add {} to the tables, or keep the column", table.short()));
                    return Err(chosen.rule.locate(error));
                }
                continue;
            };
            let Some(twin) = other.columns.iter_mut().find(|twin| twin.name == *column) else { continue };
            if twin.rule.value.method == chosen.rule.value.method || twin.rule.value.method == Method::Null {
                continue;
            }
            if twin.origin == Origin::Rules {
                let error = Error::config(format!(
                    "{}.{column} and {}.{} are joined by a foreign key and have different rules",
                    table.short(),
                    from.short(),
                    chosen.name
                ))
                .hint("say it once: the rule of one of them is that of both");
                return Err(twin.rule.locate(error));
            }
            notes.push(format!(
                "{}.{column} is masked like {}.{}, which a foreign key joins to it",
                table.short(),
                from.short(),
                chosen.name
            ));
            twin.rule = chosen.rule.clone();
            twin.origin = Origin::Key;
        }
    }
    Ok(())
}

fn is_referred_to(table: &QualifiedName, column: &Identifier, catalog: &Catalog) -> bool {
    catalog
        .relations
        .values()
        .flat_map(foreign_keys)
        .any(|key| key.to.0 == *table && key.to.1.contains(column))
}
