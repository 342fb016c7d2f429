//! Values of composite types, and rows of tables that are values elsewhere, taken over to another type of that name: attribute by attribute.

use serde_json::Value;

use crate::catalog::{Kind, Object, Objects};
use crate::diff::compare::{Sides, quoted};
use crate::diff::hazard::Hazard;
use crate::diff::{aside, column};
use crate::sql::{Literal, Sql};

/// How a value goes over.
#[derive(Default)]
pub(super) struct Passage {
    /// What it becomes.
    pub(super) expression: String,
    /// An attribute goes.
    loses: bool,
    /// Functions that are made for it, and dropped when it is done: nothing else reaches into an array.
    functions: Vec<Function>,
}

struct Function {
    takes: String,
    name: String,
    create: Sql,
}

impl Passage {
    pub(super) fn of(sides: Sides<'_>, value: &str, kind: &str) -> Self {
        let mut passage = Self::default();
        passage.expression = passage.over(sides, value, kind);
        passage
    }

    /// The statements between what makes the functions, and what drops them.
    pub(super) fn around(self, statements: Vec<Sql>) -> Vec<Sql> {
        let drops: Vec<Sql> = (self.functions.iter().rev())
            .map(|function| Sql::from_server(format!("DROP FUNCTION {}(anyarray)", function.name)))
            .collect();
        let creates = self.functions.into_iter().map(|function| function.create);
        creates.chain(statements).chain(drops).collect()
    }

    pub(super) fn hazards(&self) -> Vec<Hazard> {
        let loses = self.loses.then(|| Hazard::DataLoss("the values of attributes that go are lost".into()));
        let stops = (!self.functions.is_empty())
            .then(|| Hazard::MayFail("an array of several dimensions stops it".into()));
        loses.into_iter().chain(stops).collect()
    }

    /// What a value becomes whose type has kept its name.
    fn over(&mut self, sides: Sides<'_>, value: &str, kind: &str) -> String {
        let is_array = kind.ends_with("[]");
        match changed(sides, kind) {
            Some((_, new)) if is_array => format!("{}({value})", self.each(sides, new, kind)),
            Some((old, new)) => {
                let row = self.row(sides, value, (old, new));
                if kind == new.identity { row } else { format!("({row})::{kind}") }
            }
            // What has no schema in its name is PostgreSQL's own, and stays.
            None if !kind.contains('.') => value.to_owned(),
            None if is_array => format!("{value}::text[]::{kind}"),
            None => format!("{value}::text::{kind}"),
        }
    }

    fn row(&mut self, sides: Sides<'_>, value: &str, (old, new): (&Object, &Object)) -> String {
        let (before, after) = (attributes(sides.old, old), attributes(sides.new, new));
        self.loses |= before.iter().any(|(name, _)| !after.iter().any(|(other, _)| name == other));
        let mut all = Vec::new();
        for (attribute, kind) in &after {
            let Some((_, was)) = before.iter().find(|(other, _)| other == attribute) else {
                all.push("NULL".to_owned());
                continue;
            };
            let value = format!("({value}).{}", quoted(attribute));
            let (was, kind) = (without_collation(was), without_collation(kind));
            all.push(if was == kind {
                self.over(sides, &value, kind)
            } else {
                let cast = column::cast(sides, &value, (&plain(was), &plain(kind)), kind);
                cast.unwrap_or_else(|| format!("{value}::{kind}"))
            });
        }
        format!("CASE WHEN {value} IS DISTINCT FROM NULL THEN ROW({})::{} END", all.join(", "), new.identity)
    }

    /// The function that takes an array over, element by element.
    fn each(&mut self, sides: Sides<'_>, composite: &Object, kind: &str) -> String {
        if let Some(function) = self.functions.iter().find(|function| function.takes == kind) {
            return function.name.clone();
        }
        let element = self.over(sides, "$1[i]", kind.trim_end_matches("[]"));
        // One of several dimensions is not taken apart: what they look like is no array, and stops it.
        let body = format!(
            "SELECT CASE WHEN pg_catalog.array_ndims($1) > 1 THEN pg_catalog.array_dims($1)::{kind} \
             WHEN $1 IS NOT NULL THEN ARRAY(SELECT {element} FROM pg_catalog.generate_subscripts($1, 1) AS i ORDER BY i) END"
        );
        let schema = quoted(composite.schema.as_deref().unwrap_or_default());
        let behind = format!("__each{}", self.functions.len() + 1);
        let name = format!("{schema}.{}", quoted(&aside::passing(sides, &composite.name, &behind)));
        let create = Sql::from_server(format!(
            "CREATE FUNCTION {name}(anyarray) RETURNS {kind} LANGUAGE sql AS {}",
            Literal(&body).to_string().trim_start()
        ));
        self.functions.push(Function { takes: kind.to_owned(), name: name.clone(), create });
        name
    }
}

fn without_collation(kind: &str) -> &str {
    kind.split(" COLLATE ").next().unwrap_or(kind)
}

/// A composite type's attributes, or a table's columns: names and types.
pub(super) fn attributes(objects: &Objects, object: &Object) -> Vec<(String, String)> {
    if object.kind == Kind::CompositeType {
        let rows = object.details["attributes"].as_array().into_iter().flatten();
        let text = |row: &Value, at: usize| row[at].as_str().unwrap_or_default().to_owned();
        return rows.map(|row| (text(row, 0), text(row, 1))).collect();
    }
    let Some(table) = objects.by_key.get(&object.key()) else { return Vec::new() };
    let mut columns: Vec<_> = (objects.all.iter())
        .filter(|column| column.kind == Kind::Column && column.parent == Some(*table))
        .collect();
    columns.sort_by_key(|column| column.details["number"].as_i64());
    columns.iter().map(|column| (column.name.clone(), column.detail("type").to_owned())).collect()
}

/// The composite type, or the table, of which something is, maybe by way of domains.
fn composite<'a>(objects: &'a Objects, name: &str) -> Option<&'a Object> {
    let find = |kind: Kind| objects.find(&(kind, name.to_owned())).map(|(_, object)| object);
    let below = |domain: &'a Object| composite(objects, domain.defined().strip_suffix(" -")?);
    let rows = [Kind::CompositeType, Kind::Table, Kind::ForeignTable].into_iter().find_map(find);
    rows.or_else(|| find(Kind::Domain).and_then(below))
}

/// The composite types that an array, or a single value, is of before and after, where its attributes differ.
fn changed<'a>(sides: Sides<'a>, name: &str) -> Option<(&'a Object, &'a Object)> {
    let element = name.trim_end_matches("[]");
    let (old, new) = (composite(sides.old, element)?, composite(sides.new, element)?);
    let (before, after) = (attributes(sides.old, old), attributes(sides.new, new));
    let within = || before.iter().any(|(_, kind)| changed(sides, kind).is_some());
    (before != after || within()).then_some((old, new))
}

/// The name of a type without the numbers behind it: `numeric(10,2)[]` is `numeric[]`.
fn plain(kind: &str) -> String {
    match (kind.find('('), kind.rfind(')')) {
        (Some(from), Some(to)) if !kind.contains('"') => format!("{}{}", &kind[..from], &kind[to + 1..]),
        _ => kind.to_owned(),
    }
}
