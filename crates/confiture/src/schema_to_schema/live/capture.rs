//! What is captured: which columns of which source tables make a change known, and how it finds the rows of the target.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Relation, RelationKind, TypeKind};
use crate::config::mapping::Dependency;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, KeyColumn, KeySet};
use crate::schema_to_schema::check::located;
use crate::schema_to_schema::plan::{Plan, TablePlan};
use crate::schema_to_schema::relations;
use crate::sql::lex::{Token, lex};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// What is captured, and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    /// The source tables, each once.
    pub(crate) tables: Vec<CapturedTable>,
    /// The target tables, in the plan's order.
    pub(crate) followed: Vec<Followed>,
}

/// A target table that follows its source.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// Which of [`Captured::tables`] drives it.
    pub(crate) driving: usize,
    /// Which columns of the driving table's captured key its own key is made of.
    pub(crate) key: Vec<usize>,
    /// Whether a key gives one row at most.
    pub(crate) unique: bool,
    /// Other tables whose changes touch its rows.
    pub(crate) depends: Vec<Dependent>,
}

impl Followed {
    /// True where a table of which its rows are made was changed, so that a batch reads it.
    pub(crate) fn is_touched(&self, changed: &[KeySet]) -> bool {
        let made_of = std::iter::once(self.driving).chain(self.depends.iter().map(|one| one.table));
        made_of.into_iter().any(|table| !changed[table].is_empty())
    }
}

/// Another table whose changes touch rows of a target table.
#[derive(Debug, Clone)]
pub(crate) struct Dependent {
    /// Which of [`Captured::tables`].
    pub(crate) table: usize,
    /// Which column of its captured key the query takes.
    pub(crate) position: usize,
    /// Gives the keys of driving rows; `$1` is an array of this table's keys.
    pub(crate) query: Sql,
    /// Where the mapping has it.
    pub(crate) written: Dependency,
}

impl Captured {
    /// The key columns of the driving table that `followed` uses.
    pub(crate) fn key_columns(&self, followed: &Followed) -> Vec<&KeyColumn> {
        followed.key.iter().map(|position| &self.tables[followed.driving].key[*position]).collect()
    }
}

/// Decides what is captured for `plan`.
///
/// # Errors
///
/// [`crate::ErrorKind::Config`], with the place in the mapping, for what cannot be followed: a table without a key, a join
/// of which nothing says which rows follow from it.
pub(crate) async fn plan_capture(plan: &Plan, source: &Session, catalog: &Catalog) -> Result<Captured> {
    let mut wanted: BTreeMap<QualifiedName, BTreeSet<i16>> = BTreeMap::new();
    let mut keys = Vec::new();
    for table in &plan.tables {
        let place = |error: Error| located(error, table.place.as_ref());
        let driving = driving(table, catalog).map_err(place)?;
        let (columns, unique) = key_columns(table, driving, catalog, source).await.map_err(place)?;
        wanted.entry(driving.name.clone()).or_default().extend(&columns);
        let mut dependents = Vec::new();
        for written in &table.depends {
            let (relation, column) =
                dependent(written, catalog).map_err(|error| written.table.locate(error))?;
            wanted.entry(relation.name.clone()).or_default().insert(column);
            dependents.push((relation, column, written));
        }
        refuse_unwatched(table, driving, &dependents, catalog).map_err(place)?;
        // What is joined may give the row several times.
        keys.push((driving, columns, unique && table.query.joins.as_str().trim().is_empty(), dependents));
    }
    let order: Vec<&QualifiedName> = wanted.keys().collect();
    let index = |name: &QualifiedName| order.iter().position(|known| *known == name).unwrap_or_default();
    let position = |name: &QualifiedName, number: &i16| {
        wanted[name].iter().position(|known| known == number).unwrap_or_default()
    };
    let followed = keys.iter().map(|(driving, columns, unique, dependents)| {
        let depends = dependents.iter().map(|(relation, column, written)| {
            let (table, position) = (index(&relation.name), position(&relation.name, column));
            let column = relation.columns.iter().find(|known| known.number == *column);
            let data_type = column.map(|column| key_type(column.data_type.oid, catalog));
            let array = data_type
                .map_or_else(Sql::default, |of| sql!("CAST(CAST($1 AS pg_catalog.text[]) AS {}[])", of));
            let query = with_keys(&written.driving.value, &array);
            Dependent { table, position, query, written: (*written).clone() }
        });
        let key = columns.iter().map(|number| position(&driving.name, number)).collect();
        Followed { driving: index(&driving.name), key, unique: *unique, depends: depends.collect() }
    });
    let followed: Vec<Followed> = followed.collect();
    for (followed, table) in followed.iter().zip(&plan.tables) {
        for dependent in &followed.depends {
            let found = source.prepare(&dependent.query).await;
            let place = |error: Error| dependent.written.driving.locate(error);
            let columns = found.map_err(place)?.columns().len();
            if columns != followed.key.len() {
                let message = format!(
                    "the query gives {columns} columns, and the key of {} is made of {}",
                    table.target.short(),
                    followed.key.len()
                );
                return Err(place(Error::config(message)));
            }
        }
    }
    let tables = order.iter().map(|name| captured(&catalog.relations[*name], &wanted[*name], catalog));
    Ok(Captured { tables: tables.collect(), followed })
}

/// The table whose rows drive `table`, where it can be followed.
fn driving<'a>(table: &TablePlan, catalog: &'a Catalog) -> Result<&'a Relation> {
    let name = table.target.short();
    let unfollowed = |why: String| {
        Error::config(format!("{name} cannot follow its source: {why}")).hint(
            "to copy it once, without what changes meanwhile: confiture migrate schema-to-schema migrate",
        )
    };
    if table.query.statement.is_some() {
        return Err(unfollowed("a whole statement fills it, so that no change can be told its rows".into()));
    }
    let relation = table.source.as_ref().and_then(|name| catalog.relations.get(name));
    let Some(relation) = relation else { return Err(unfollowed("no table drives it".into())) };
    let source = relation.name.short();
    if !relation.is_table() {
        return Err(unfollowed(format!("{source} is no table")));
    }
    if relation.kind == RelationKind::Table && catalog.children(&relation.name).next().is_some() {
        return Err(unfollowed(format!("{source} has inheritance children, and no key holds across them")));
    }
    if table.key.is_empty() {
        return Err(unfollowed("the mapping fills no primary key or unique NOT NULL columns of it".into())
            .hint("or give both tables a key: a change is known by the key of its row"));
    }
    Ok(relation)
}

/// The columns of the driving table that the target's key is made of, and whether they are unique there.
async fn key_columns(
    table: &TablePlan,
    driving: &Relation,
    catalog: &Catalog,
    source: &Session,
) -> Result<(BTreeSet<i16>, bool)> {
    let mut numbers = BTreeSet::new();
    let keys = table.columns.iter().filter(|column| table.key.contains(&column.target));
    let mut expressions = Vec::new();
    for column in keys {
        expressions.push(&column.sent);
        match &column.source_column {
            Some(name) => numbers.extend(driving.column(name).map(|column| column.number)),
            None => numbers.extend(columns_in(column.expression.as_str(), driving)),
        }
    }
    let (target, from) = (table.target.short(), driving.name.short());
    let columns: Vec<_> = driving.columns.iter().filter(|column| numbers.contains(&column.number)).collect();
    if columns.is_empty() {
        return Err(Error::config(format!("the key of {target} does not come from {from}, which drives it"))
            .hint("`key: { column: expression }` says how, in columns of the driving table"));
    }
    if let Some(column) = columns.iter().find(|column| !column.not_null) {
        return Err(Error::config(format!(
            "the key of {target} comes from {from}.{}, which may be null",
            column.name
        ))
        .hint("a change is known by its key: only NOT NULL columns will do"));
    }
    let names: BTreeSet<&Identifier> = columns.iter().map(|column| &column.name).collect();
    let finds = |index: &&crate::catalog::Index| {
        let leading = index.key_columns.as_ref().map(|keys| keys.iter().take(names.len()).collect());
        index.valid
            && !index.partial
            && leading.is_some_and(|leading: BTreeSet<&Identifier>| leading == names)
    };
    let list = Sql::join(", ", names.iter());
    if !driving.indexes.iter().any(|index| finds(&index)) {
        return Err(Error::config(format!(
            "no index of {from} finds the rows that changed, by {}",
            list.as_str()
        ))
        .hint(format!(
            "on the source: CREATE INDEX CONCURRENTLY ON {} ({})",
            driving.name,
            list.as_str()
        )));
    }
    // Over nothing but these columns, because a deleted row leaves nothing else.
    let nulls = columns
        .iter()
        .map(|column| sql!("CAST(NULL AS {}) AS {}", key_type(column.data_type.oid, catalog), column.name));
    let alone = sql!(
        "SELECT {} FROM (SELECT {}) AS {}",
        Sql::join(", ", expressions),
        Sql::join(", ", nulls),
        table.query.alias
    );
    source.prepare(&alone).await.map_err(|error| {
        error
            .context(format!("the key of {target}, from nothing but the key of {from}"))
            .hint("a deleted row leaves only its key: the target's key must follow from it alone")
    })?;
    Ok((numbers, is_unique(driving, &names)))
}

/// Whether two rows of `relation` differ in these columns. An index of a constraint has the columns' own collations.
fn is_unique(relation: &Relation, columns: &BTreeSet<&Identifier>) -> bool {
    let within = |keys: &Vec<Identifier>| keys.iter().all(|key| columns.contains(key));
    relation.indexes.iter().any(|index| {
        let is_whole = index.unique && index.valid && index.constraint.is_some();
        is_whole && index.key_columns.as_ref().is_some_and(within)
    })
}

/// The columns of `relation` that a text may speak of.
pub(crate) fn columns_in(text: &str, relation: &Relation) -> Vec<i16> {
    let names = lex(text).filter(|token| !token.is_blank()).filter_map(|token| token.identifier(text));
    names.filter_map(|name| relation.column(&name).map(|column| column.number)).collect()
}

/// The relation of a `depends`, and the number of its key column.
fn dependent<'a>(written: &Dependency, catalog: &'a Catalog) -> Result<(&'a Relation, i16)> {
    let name = &written.table.value;
    let found = catalog.find(name.schema.as_ref(), &name.name).filter(|relation| relation.is_table());
    let Some(relation) = found else {
        let candidates = catalog.relations.keys().map(|relation| relation.name.as_str());
        return Err(Error::config(format!("the source has no table {name}"))
            .did_you_mean(name.name.as_str(), candidates));
    };
    let key = relation.key().unwrap_or_default();
    match key.as_slice() {
        [column] => Ok((relation, relation.column(column).map_or(0, |column| column.number))),
        _ => Err(Error::config(format!(
            "{name} has no key of one column, so `$keys` cannot say which of its rows changed"
        ))),
    }
}

/// A table that is joined, or read by a subquery, must be watched too.
fn refuse_unwatched(
    table: &TablePlan,
    driving: &Relation,
    dependents: &[(&Relation, i16, &Dependency)],
    catalog: &Catalog,
) -> Result<()> {
    let nowhere = Identifier::new("");
    let read = |text: &Sql, in_from| relations::to_foreign(text.as_str(), in_from, catalog, &nowhere).1;
    let mut found = read(&table.query.joins, true);
    found.extend(table.query.filters.iter().flat_map(|filter| read(filter, false)));
    found.extend(table.columns.iter().flat_map(|column| read(&column.expression, false)));
    let Some(unwatched) =
        found.iter().find(|name| !dependents.iter().any(|(relation, ..)| &&relation.name == name))
    else {
        return Ok(());
    };
    let key = driving.key().and_then(|key| key.first().cloned()).unwrap_or_default();
    Err(Error::config(format!(
        "{} reads {unwatched}, and nothing says which of its rows follow from a change there",
        table.target.short()
    ))
    .hint(format!(
        "say so: depends: [{{ table: {unwatched}, driving: \"select d.{key} from {} d where d.… = any($keys)\" }}]",
        driving.name
    )))
}

fn captured(relation: &Relation, numbers: &BTreeSet<i16>, catalog: &Catalog) -> CapturedTable {
    let columns = relation.columns.iter().filter(|column| numbers.contains(&column.number));
    let key = columns.map(|column| KeyColumn {
        name: column.name.clone(),
        data_type: key_type(column.data_type.oid, catalog),
    });
    let mut partitions = Vec::new();
    if relation.kind == RelationKind::PartitionedTable {
        let mut open = vec![relation];
        while let Some(parent) = open.pop() {
            for child in catalog.children(&parent.name) {
                partitions.push((child.name.clone(), child.oid));
                open.push(child);
            }
        }
    }
    CapturedTable { name: relation.name.clone(), oid: relation.oid, key: key.collect(), partitions }
}

/// A type without what a domain adds to it.
pub(crate) fn key_type(oid: u32, catalog: &Catalog) -> QualifiedName {
    match catalog.data_type(oid) {
        Some(data_type) => match &data_type.kind {
            TypeKind::Domain { base, .. } => key_type(base.oid, catalog),
            _ => data_type.name.clone(),
        },
        None => QualifiedName::new("pg_catalog", "text"),
    }
}

/// `query` with `$keys` replaced, wherever it stands outside of strings and comments.
fn with_keys(query: &str, array: &Sql) -> Sql {
    let tokens: Vec<Token> = lex(query).collect();
    let mut replaced = String::with_capacity(query.len() + array.as_str().len());
    let mut copied = 0;
    for two in tokens.windows(2) {
        if two[0].text(query) == "$" && two[1].is_word(query, "keys") {
            replaced.push_str(&query[copied..two[0].span.start]);
            replaced.push_str(array.as_str());
            copied = two[1].span.end;
        }
    }
    replaced.push_str(&query[copied..]);
    Sql::from_user(replaced.trim().trim_end_matches(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_put_where_the_query_says() {
        let query = "select '$keys', o.id from o where c = any($keys) or d = ANY ( $KEYS ) -- $keys\n;";
        assert_eq!(
            with_keys(query, &Sql::literal("ARRAY[1]")).as_str(),
            "select '$keys', o.id from o where c = any(ARRAY[1]) or d = ANY ( ARRAY[1] ) -- $keys\n"
        );
    }
}
