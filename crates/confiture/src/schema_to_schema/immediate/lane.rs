//! Lanes: which rows of one side's table are which rows of the other's, by the plan of either direction. What cannot be carried
//! row by row, exactly, in the transaction that writes it, is refused with its place in the mapping.

use crate::catalog::{Catalog, ConstraintKind, Identity, Oid, Relation, TypeKind};
use crate::error::{Error, Result};
use crate::schema_to_schema::check::located;
use crate::schema_to_schema::live::capture::{
    Captured, Dependent, Followed, columns_in, key_type, plan_capture,
};
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::relations;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Carries the rows of one table into one of the other side.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    /// The table whose rows are carried.
    pub(super) from: QualifiedName,
    pub(super) from_oid: Oid,
    /// The table that they are carried into.
    pub(super) to: QualifiedName,
    pub(super) to_oid: Oid,
    /// How a row of the one is found by a row of the other.
    pub(super) key: Vec<Key>,
    /// The columns that are written, those of the key too.
    pub(super) columns: Vec<Carried>,
    /// `FROM … WHERE …` of the mapping.
    pub(super) rows: Sql,
    /// What the mapping calls a row of `from`.
    pub(super) alias: Identifier,
    /// The columns of `from` by which rows are left out; `None` where all are carried.
    pub(super) filter: Option<Vec<Identifier>>,
    /// Another table of the same side of which values are looked up.
    pub(super) lookups: Vec<Lookup>,
    /// True where the key of a row that is there cannot be altered: it is GENERATED ALWAYS AS IDENTITY.
    pub(super) has_fixed_key: bool,
    /// True where values go as they are, so that no setting of a session plays a part.
    pub(super) is_plain: bool,
}

/// A column of the key on both sides.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) from: Side,
    pub(super) to: Side,
}

/// It on one side.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) column: Identifier,
    /// Its type, without what a domain or a modifier adds.
    pub(super) data_type: QualifiedName,
    /// The operator that its index knows.
    pub(super) equals: Sql,
}

/// A column that is written.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    pub(super) column: Identifier,
    /// What fills it, over [`Lane::rows`].
    pub(super) value: Sql,
    /// Its type, without what a domain or a modifier adds.
    pub(super) data_type: QualifiedName,
    /// The columns of `from` that it may be made of.
    pub(super) of: Vec<Identifier>,
    /// Which of [`Lane::lookups`] it is made of, and the columns there.
    pub(super) looked_up: Option<(usize, Vec<Identifier>)>,
}

/// A table of the carried side of which values are looked up.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) table: QualifiedName,
    pub(super) oid: Oid,
    /// Its key, which is that of the row it is looked up for.
    pub(super) key: Identifier,
}

impl Lane {
    /// True of a column that finds the row.
    pub(super) fn is_key(&self, column: &Identifier) -> bool {
        self.key.iter().any(|key| &key.to.column == column)
    }

    /// The columns of `from` by which something may change on the other side.
    pub(super) fn used(&self) -> Vec<Identifier> {
        let of = self.columns.iter().flat_map(|column| &column.of);
        let mut used: Vec<Identifier> = of.chain(self.filter.iter().flatten()).cloned().collect();
        used.extend(self.key.iter().map(|key| key.from.column.clone()));
        used.sort();
        used.dedup();
        used
    }

    /// The columns of a looked-up table by which something may change.
    pub(super) fn used_of(&self, lookup: usize) -> Vec<Identifier> {
        let of = |column: &Carried| match &column.looked_up {
            Some((index, of)) if *index == lookup => of.clone(),
            _ => Vec::new(),
        };
        let mut used: Vec<Identifier> = self.columns.iter().flat_map(of).collect();
        used.push(self.lookups[lookup].key.clone());
        used.sort();
        used.dedup();
        used
    }
}

/// The lanes of one direction.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`], with the place in the mapping, for a table that cannot be carried at once.
pub(super) async fn lanes(migration: &Migration) -> Result<Vec<Lane>> {
    let captured = plan_capture(&migration.plan, &migration.source, &migration.source_catalog).await?;
    let tables = migration.plan.tables.iter().zip(&captured.followed);
    tables
        .map(|(table, followed)| {
            Planned { migration, captured: &captured, table, followed }
                .lane()
                .map_err(|error| located(error, table.place.as_ref()))
        })
        .collect()
}

/// A table of a plan, about to become a lane.
struct Planned<'a> {
    migration: &'a Migration,
    captured: &'a Captured,
    table: &'a TablePlan,
    followed: &'a Followed,
}

impl Planned<'_> {
    fn source(&self) -> &Catalog {
        &self.migration.source_catalog
    }

    fn lane(&self) -> Result<Lane> {
        let driving = &self.captured.tables[self.followed.driving];
        let (from, to) = (
            relation(self.source(), &driving.name)?,
            relation(&self.migration.target_catalog, &self.table.target)?,
        );
        self.refuse_others(from)?;
        self.refuse_own_actions(from, to)?;
        let lookups = self.followed.depends.iter().map(|one| self.lookup(one, from));
        let lookups = lookups.collect::<Result<Vec<_>>>()?;
        let key = self.key(from, to)?;
        let columns = self.table.columns.iter().map(|column| self.carried(column, from, to, &lookups));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let query = &self.table.query;
        let filter = (!query.filters.is_empty()).then(|| {
            let all = query.filters.iter().flat_map(|filter| mentioned(filter.as_str(), from, &query.alias));
            all.collect()
        });
        let is_fixed = |key: &Key| {
            to.column(&key.to.column).is_some_and(|column| column.identity == Some(Identity::Always))
        };
        Ok(Lane {
            from: from.name.clone(),
            from_oid: from.oid,
            to: to.name.clone(),
            to_oid: to.oid,
            is_plain: filter.is_none()
                && self.table.columns.iter().all(|column| self.is_plain(column, from, to)),
            has_fixed_key: key.iter().any(is_fixed),
            rows: query.from_relation(&sql!("{}", from.name), &[]),
            alias: query.alias.clone(),
            key,
            columns,
            filter,
            lookups,
        })
    }

    fn refused(&self, why: &str) -> Error {
        Error::config(format!("{} cannot be kept equal at once: {why}", self.table.target.short())).hint(
            "`sync: immediate` carries one row of a table as one row of another; batches carry the rest",
        )
    }

    /// What one row alone does not tell.
    fn refuse_others(&self, from: &Relation) -> Result<()> {
        let name = from.name.short();
        if !self.table.query.joins.as_str().trim().is_empty() {
            return Err(self.refused(&format!("it joins other tables to {name}")));
        }
        if !self.followed.unique {
            return Err(self.refused(&format!("its key is not unique in {name}")));
        }
        let query = &self.table.query;
        let expressions = self.table.columns.iter().map(|column| &column.expression);
        for text in expressions.chain(&query.filters) {
            let read = self.reads(text);
            let looked_up =
                |name: &QualifiedName| self.followed.depends.iter().any(|one| self.is_of(one, name));
            if let Some(other) = read.iter().find(|name| !looked_up(name)) {
                return Err(self.refused(&format!("it reads {}", other.short())));
            }
        }
        match self.followed.depends.iter().find(|one| !is_own_key(one)) {
            Some(other) => Err(other.written.table.locate(self.refused(&format!(
                "which of its rows follow from {} takes a query",
                other.written.table.value
            )))),
            None => Ok(()),
        }
    }

    /// A foreign key of the written table to itself takes rows of it along; where the other side has none that does the same, they
    /// would stay there.
    fn refuse_own_actions(&self, from: &Relation, to: &Relation) -> Result<()> {
        let actions = |relation: &Relation| -> Vec<String> {
            let own = relation.constraints.iter().filter(|constraint| {
                constraint.references.as_ref().is_some_and(|(of, _)| *of == relation.name)
            });
            let action =
                own.filter_map(|constraint| Some(constraint.definition.split_once(") ON ")?.1.to_owned()));
            action.collect()
        };
        let there = actions(from);
        match actions(to).into_iter().find(|action| !there.contains(action)) {
            Some(action) => Err(self.refused(&format!(
                "its foreign key to itself is ON {action}, and {} has none like it",
                from.name.short()
            ))),
            None => Ok(()),
        }
    }

    fn reads(&self, text: &Sql) -> Vec<QualifiedName> {
        relations::to_foreign(text.as_str(), false, self.source(), &Identifier::new("")).1
    }

    fn is_of(&self, dependent: &Dependent, name: &QualifiedName) -> bool {
        &self.captured.tables[dependent.table].name == name
    }

    /// A table that shares the key. Without a foreign key between the two, two transactions could make one row of each
    /// without seeing the other's.
    fn lookup(&self, dependent: &Dependent, main: &Relation) -> Result<Lookup> {
        let table = &self.captured.tables[dependent.table];
        let part = relation(self.source(), &table.name)?;
        let key = table.key[dependent.position].name.clone();
        let refers = part.constraints.iter().any(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey
                && constraint.columns == [key.clone()]
                && constraint.references.as_ref().is_some_and(|(of, _)| *of == main.name)
        });
        if !refers {
            let why = format!(
                "{} and {} hold one row's values, and no foreign key of {} refers to {}",
                main.name.short(),
                part.name.short(),
                part.name.short(),
                main.name.short()
            );
            return Err(self.refused(&why).hint(format!(
                "ALTER TABLE {} ADD FOREIGN KEY ({key}) REFERENCES {} ON DELETE CASCADE",
                part.name, main.name
            )));
        }
        Ok(Lookup { table: part.name.clone(), oid: part.oid, key })
    }

    fn key(&self, from: &Relation, to: &Relation) -> Result<Vec<Key>> {
        let key = |name: &Identifier| {
            let planned = self.table.columns.iter().find(|column| &column.target == name);
            let source = planned.and_then(|column| column.source_column.as_ref());
            let Some((source, to)) = source.and_then(|name| from.column(name)).zip(to.column(name)) else {
                let why = format!("its key column {name} is made by an expression");
                return Err(located(self.refused(&why), planned.and_then(|column| column.place.as_ref())));
            };
            Ok(Key {
                from: Side::new(&source.name, source.data_type.oid, self.source()),
                to: Side::new(name, to.data_type.oid, &self.migration.target_catalog),
            })
        };
        self.table.key.iter().map(key).collect()
    }

    fn carried(
        &self,
        column: &ColumnPlan,
        from: &Relation,
        to: &Relation,
        lookups: &[Lookup],
    ) -> Result<Carried> {
        let written = to.column(&column.target).ok_or_else(|| self.refused("one of its columns is gone"))?;
        if written.identity == Some(Identity::Always) && !self.table.key.contains(&column.target) {
            let why = format!(
                "{} is GENERATED ALWAYS AS IDENTITY, and PostgreSQL changes no such column",
                column.target
            );
            return Err(located(self.refused(&why), column.place.as_ref()));
        }
        let text = column.expression.as_str();
        let of = match &column.source_column {
            Some(name) if from.column(name).is_some_and(|column| column.generated.is_none()) => {
                vec![name.clone()]
            }
            _ => mentioned(text, from, &self.table.query.alias),
        };
        let read = self.reads(&column.expression);
        let lookup = lookups.iter().position(|lookup| read.contains(&lookup.table));
        let looked_up = match lookup {
            Some(index) => {
                let part = relation(self.source(), &lookups[index].table)?;
                Some((index, mentioned(text, part, &part.name.name)))
            }
            None => None,
        };
        Ok(Carried {
            column: column.target.clone(),
            value: column.inserted.clone(),
            data_type: key_type(written.data_type.oid, &self.migration.target_catalog),
            of,
            looked_up,
        })
    }

    fn is_plain(&self, column: &ColumnPlan, from: &Relation, to: &Relation) -> bool {
        let source = column.source_column.as_ref().and_then(|name| from.column(name));
        let oid = |column: &crate::catalog::Column| column.data_type.oid;
        source.is_some_and(|source| to.column(&column.target).map(oid) == Some(oid(source)))
    }
}

impl Side {
    fn new(column: &Identifier, oid: Oid, catalog: &Catalog) -> Self {
        Self { column: column.clone(), data_type: key_type(oid, catalog), equals: equals(oid, catalog) }
    }
}

/// The operator by which an index finds values of a type: that of the type's own extension, where it is of one.
fn equals(oid: Oid, catalog: &Catalog) -> Sql {
    match catalog.data_type(oid).map(|of| (&of.kind, of)) {
        Some((TypeKind::Domain { base, .. }, _)) => equals(base.oid, catalog),
        Some((TypeKind::Base, of)) => sql!("OPERATOR({}.=)", of.name.schema),
        _ => Sql::literal("OPERATOR(pg_catalog.=)"),
    }
}

/// True where the key of the other table is the driving key itself, as derived ways back say it.
fn is_own_key(dependent: &Dependent) -> bool {
    dependent.written.driving.value == "SELECT k FROM unnest($keys) AS k"
}

fn relation<'a>(catalog: &'a Catalog, name: &QualifiedName) -> Result<&'a Relation> {
    catalog.relations.get(name).ok_or_else(|| Error::config(format!("there is no table {}", name.short())))
}

/// The columns of `relation`, called `alias`, that a text may speak of: rather too many than too few.
fn mentioned(text: &str, relation: &Relation, alias: &Identifier) -> Vec<Identifier> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let is_whole = tokens.iter().enumerate().any(|(index, token)| {
        let dotted = tokens.get(index + 1).is_some_and(|next| next.kind == TokenKind::Dot);
        let star = dotted && tokens.get(index + 2).is_some_and(|next| next.text(text) == "*");
        token.identifier(text).as_ref() == Some(alias) && (!dotted || star)
    });
    let numbers = columns_in(text, relation);
    let mentioned = || relation.columns.iter().filter(|column| numbers.contains(&column.number));
    // What is generated changes with any other column, and a trigger does not always see it.
    let is_generated = mentioned().any(|column| column.generated.is_some());
    match is_whole || is_generated {
        true => relation
            .columns
            .iter()
            .filter(|column| column.is_writable())
            .map(|column| column.name.clone())
            .collect(),
        false => mentioned().map(|column| column.name.clone()).collect(),
    }
}

/// The order in which tables are written: those that others refer to first. Tables that refer to each other keep theirs.
pub(super) fn parents_first(lanes: Vec<Lane>, catalog: &Catalog) -> Vec<Lane> {
    let refers = |child: &Lane, parent: &Lane| {
        child.to != parent.to
            && catalog.relations.get(&child.to).is_some_and(|relation| references(relation, &parent.to))
    };
    let (mut left, mut ordered) = (lanes, Vec::new());
    while !left.is_empty() {
        let free = |lane: &Lane| !left.iter().any(|other| refers(lane, other));
        let next = left.iter().position(free).unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

/// True where a foreign key of `relation` refers to `table`.
fn references(relation: &Relation, table: &QualifiedName) -> bool {
    let of = relation.constraints.iter().filter_map(|constraint| constraint.references.as_ref());
    of.into_iter().any(|(to, _)| to == table)
}

/// The lanes into `table`, and those into tables that refer to it, at any depth: what a TRUNCATE may touch.
pub(super) fn with_children<'a>(
    lanes: &'a [Lane],
    table: &QualifiedName,
    catalog: &Catalog,
) -> Vec<&'a Lane> {
    let mut found: Vec<&QualifiedName> = vec![table];
    loop {
        let more = lanes.iter().map(|lane| &lane.to).filter(|to| {
            let relation = catalog.relations.get(to);
            !found.contains(to)
                && relation.is_some_and(|relation| found.iter().any(|known| references(relation, known)))
        });
        let more: Vec<&QualifiedName> = more.collect();
        if more.is_empty() {
            return lanes.iter().filter(|lane| found.contains(&&lane.to)).collect();
        }
        found.extend(more);
    }
}
