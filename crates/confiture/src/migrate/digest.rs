//! Two databases compared by what the server says of their objects: enough to prove that one run made what another did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::postgres::Session;
use crate::sql::{QualifiedName, Sql};

/// The objects of a database that users have made, and the server's own words for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    objects: BTreeMap<String, Vec<String>>,
}

/// An object that two databases do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "object", rename_all = "snake_case")]
pub enum Difference {
    /// Only the first has it.
    OnlyFirst(String),
    /// Only the second has it.
    OnlySecond(String),
    /// Both have it, and it is not the same.
    Other(String),
}

impl Digest {
    /// What the two do not share.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (object, definition) in &self.objects {
            match other.objects.get(object) {
                None => found.push(Difference::OnlyFirst(object.clone())),
                Some(theirs) if theirs != definition => found.push(Difference::Other(object.clone())),
                Some(_) => {}
            }
        }
        let new = other.objects.keys().filter(|object| !self.objects.contains_key(*object));
        found.extend(new.map(|object| Difference::OnlySecond(object.clone())));
        found
    }
}

/// Reads the digest of a database, without the table `without` (the history, which no migration makes).
///
/// # Errors
///
/// A lost connection.
pub async fn read_digest(session: &Session, without: Option<&QualifiedName>) -> Result<Digest> {
    session.batch(&Sql::literal("SET search_path = ''")).await?;
    let find = Sql::literal("SELECT coalesce(pg_catalog.to_regclass($1)::pg_catalog.oid, 0::pg_catalog.oid)");
    let name = without.map(ToString::to_string).unwrap_or_default();
    let without: u32 = match name.as_str() {
        "" => 0,
        name => session.query_one(&find, &[&name]).await?.get(0),
    };
    let query = Sql::literal(include_str!("../postgres/queries/digest.sql"));
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.query(&query, &[&without]).await? {
        let definition: Option<String> = row.get("definition");
        objects.entry(row.get("object")).or_default().push(definition.unwrap_or_default());
    }
    Ok(Digest { objects })
}
