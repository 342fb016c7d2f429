//! What a database holds, and what chance picks of it.

use confiture::postgres::Session;
use confiture::sql::Sql;

use crate::random::dice::Random;

const SIGHT: &str = include_str!("sight.sql");

/// An object, with its names as statements have them.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// What it belongs to: a column's table, an enumeration of a label, the arguments of a routine.
    pub(crate) of: String,
    /// A column's type, a view's query, a routine's result.
    pub(crate) extra: String,
}

/// All objects that are there now.
pub(crate) struct Sight(Vec<Thing>);

impl Sight {
    pub(crate) async fn of(session: &Session) -> Result<Self, String> {
        let rows = session.query(&Sql::literal(SIGHT), &[]).await.map_err(|error| error.to_string())?;
        let thing = |row: &confiture::postgres::Row| Thing {
            kind: row.get(0),
            name: row.get(1),
            of: row.get(2),
            extra: row.get(3),
        };
        Ok(Self(rows.iter().map(thing).collect()))
    }
}

/// A sight of them, and the chance that picks.
pub(crate) struct Scene<'a> {
    pub(crate) sight: &'a Sight,
    pub(crate) random: &'a mut Random,
}

/// Names that are easily got wrong, and some that come again.
const NAMES: &[&str] = &[
    "n1",
    "n2",
    "n3",
    "total",
    "status",
    "created_at",
    "\"order\"",
    "\"user\"",
    "\"Mixed Case\"",
    "\"we\"\"ird\"",
    "\"Üser\"",
    "\"select\"",
];

const TYPES: &[&str] = &[
    "integer",
    "bigint",
    "smallint",
    "text",
    "varchar(20)",
    "char(3)",
    "numeric",
    "numeric(10,2)",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "timestamptz(3)",
    "interval",
    "time",
    "uuid",
    "jsonb",
    "json",
    "bytea",
    "inet",
    "text[]",
    "integer[]",
    "int4range",
    "double precision",
    "real",
    "bit(4)",
    "point",
    "name",
    "\"char\"",
    "tsvector",
    "money",
    "xml",
    "oid",
];

const RELATIONS: &[&str] = &["table", "view", "materialized view"];

impl<'a> Scene<'a> {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.random.one_in(times)
    }

    pub(crate) fn one<'b>(&mut self, of: &[&'b str]) -> &'b str {
        of[self.random.below(of.len())]
    }

    fn some(&mut self, fits: impl Fn(&Thing) -> bool) -> Option<&'a Thing> {
        let all: Vec<&Thing> = self.sight.0.iter().filter(|thing| fits(thing)).collect();
        if all.is_empty() { None } else { Some(all[self.random.below(all.len())]) }
    }

    /// One of these kinds.
    pub(crate) fn any(&mut self, kinds: &[&str]) -> Option<&'a Thing> {
        self.some(|thing| kinds.contains(&thing.kind.as_str()))
    }

    /// One of this kind that belongs to `owner`.
    pub(crate) fn of(&mut self, kind: &str, owner: &str) -> Option<&'a Thing> {
        self.some(|thing| thing.kind == kind && thing.of == owner)
    }

    pub(crate) fn table(&mut self) -> Option<&'a Thing> {
        self.any(&["table"])
    }

    pub(crate) fn relation(&mut self) -> Option<&'a Thing> {
        self.any(RELATIONS)
    }

    /// Tables that have something special about them: `of` or `extra`.
    pub(crate) fn partitioned(&mut self) -> Option<&'a Thing> {
        self.some(|thing| thing.kind == "table" && !thing.extra.is_empty())
    }

    pub(crate) fn column(&mut self, of: &str) -> Option<&'a Thing> {
        self.some(|thing| {
            thing.of == of && ["column", "identity", "generated", "attribute"].contains(&thing.kind.as_str())
        })
    }

    /// Columns that can stand in a list.
    pub(crate) fn columns(&self, of: &str) -> Vec<&'a str> {
        let is_one = |thing: &&Thing| {
            thing.of == of && ["column", "identity", "generated"].contains(&thing.kind.as_str())
        };
        self.sight.0.iter().filter(is_one).map(|thing| thing.name.as_str()).collect()
    }

    pub(crate) fn schema(&mut self) -> String {
        self.any(&["schema"]).map_or_else(|| "public".to_owned(), |thing| thing.name.clone())
    }

    pub(crate) fn role(&mut self) -> &'static str {
        self.one(&["random_a", "random_b", "\"random C\"", "random_d"])
    }

    /// A name: mostly one of a few, at times that of something that is there or was.
    pub(crate) fn name(&mut self) -> String {
        if self.one_in(4)
            && let Some(thing) = self.any(&["table", "view", "column", "enum", "sequence", "index"])
        {
            return bare(&thing.name).to_owned();
        }
        self.one(NAMES).to_owned()
    }

    /// The same in one of the schemas.
    pub(crate) fn full_name(&mut self) -> String {
        let schema = self.schema();
        format!("{schema}.{}", self.name())
    }

    /// A type that the server has, or one of the user's.
    pub(crate) fn a_type(&mut self) -> String {
        if self.one_in(3)
            && let Some(thing) =
                self.any(&["enum", "domain", "composite", "range", "enum", "domain", "table"])
        {
            return format!("{}{}", thing.name, self.one(&["", "", "", "[]"]));
        }
        self.one(TYPES).to_owned()
    }

    /// Something that some types take.
    pub(crate) fn value(&mut self) -> String {
        match self.below(12) {
            0 => {
                // What only a trigger can call is a default that fails on the first row.
                let gives = |thing: &Thing| thing.of.is_empty() && !thing.extra.ends_with("trigger");
                if let Some(function) = self.some(|thing| thing.kind == "function" && gives(thing)) {
                    return format!("{}()", function.name);
                }
            }
            1 => {
                if let Some(sequence) = self.any(&["sequence"]) {
                    return format!("nextval('{}')", sequence.name.replace('\'', "''"));
                }
            }
            2 => {
                if let Some(label) = self.any(&["label"]) {
                    return format!("{}::{}", label.name, label.of);
                }
            }
            _ => {}
        }
        self.one(&[
            "1",
            "0",
            "'a'",
            "''",
            "NULL",
            "true",
            "now()",
            "'{}'",
            "'1'",
            "CURRENT_USER",
            "gen_random_uuid()",
            "'2020-01-01'",
            "2 * 3",
            "random()",
            "'it''s'",
        ])
        .to_owned()
    }

    /// What may be said of rows of `relation`.
    pub(crate) fn condition(&mut self, relation: &str) -> Option<String> {
        let column = &self.column(relation)?.name;
        let other = &self.column(relation)?.name;
        if self.one_in(6)
            && let Some(function) = self
                .some(|thing| thing.kind == "function" && thing.extra == "boolean" && !thing.of.is_empty())
        {
            return Some(format!("{}({column})", function.name));
        }
        let value = self.value();
        Some(match self.below(9) {
            0 => format!("{column} IS NOT NULL"),
            1 => format!("{column} > 0"),
            2 => format!("{column}::text <> 'bad'"),
            3 => format!("{column} = {value}"),
            4 => format!("{column} IN ('1', '2', 'a')"),
            5 => format!("length({column}::text) < 90 OR {other} IS NULL"),
            6 => format!("{column} IS NOT NULL OR {other} IS NOT NULL"),
            7 => format!("{column} IS DISTINCT FROM {value}"),
            _ => format!("{column}::text = ANY (ARRAY['1', {other}::text])"),
        })
    }

    /// What can be computed from a row of `relation`.
    pub(crate) fn expression(&mut self, relation: &str) -> Option<String> {
        let column = &self.column(relation)?.name;
        let other = &self.column(relation)?.name;
        if self.one_in(5)
            && let Some(function) = self
                .some(|thing| thing.kind == "function" && !thing.of.is_empty() && thing.extra != "trigger")
        {
            return Some(format!("{}({column})", function.name));
        }
        let named = self.a_type();
        Some(match self.below(10) {
            0 => format!("lower({column})"),
            1 => format!("{column} + 1"),
            2 => format!("{column}::text"),
            3 => format!("coalesce({column}, {other})"),
            4 => format!("CASE WHEN {column} IS NULL THEN 1 ELSE 2 END"),
            5 => format!("{column}::{named}"),
            6 => format!("{column} || 'x'"),
            7 => format!("{column} * {other}"),
            8 => format!("({column})::text || ({other})::text"),
            _ => column.clone(),
        })
    }
}

/// A name without its schema.
pub(crate) fn bare(name: &str) -> &str {
    let mut quoted = false;
    for (at, c) in name.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => return &name[at + 1..],
            _ => {}
        }
    }
    name
}
