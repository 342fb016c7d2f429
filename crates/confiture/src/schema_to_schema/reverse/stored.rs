//! The way back as the ledger keeps it: after a cutover no plan can derive it again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Mapping;
use crate::error::{Error, Result};
use crate::schema_to_schema::portion::Portion;
use crate::schema_to_schema::reverse::ReverseMapping;
use crate::sql::{Identifier, QualifiedName, Sql};

#[derive(Serialize, Deserialize)]
struct Stored {
    /// In its canonical form.
    mapping: String,
    portions: Vec<StoredPortion>,
}

#[derive(Serialize, Deserialize)]
struct StoredPortion {
    schema: String,
    table: String,
    alias: String,
    joins: String,
    filters: Vec<String>,
}

impl ReverseMapping {
    /// As JSON.
    pub(crate) fn store(&self) -> Result<String> {
        let portion = |(name, portion): (&QualifiedName, &Portion)| StoredPortion {
            schema: name.schema.as_str().to_owned(),
            table: name.name.as_str().to_owned(),
            alias: portion.alias.as_str().to_owned(),
            joins: portion.joins.as_str().to_owned(),
            filters: portion.filters.iter().map(|filter| filter.as_str().to_owned()).collect(),
        };
        let stored =
            Stored { mapping: self.mapping.render(), portions: self.portions.iter().map(portion).collect() };
        serde_json::to_string(&stored)
            .map_err(|error| Error::unexpected("the way back cannot be written down").because(error))
    }

    /// Out of JSON.
    pub(crate) fn restore(text: &str) -> Result<Self> {
        let stored: Stored = serde_json::from_str(text).map_err(|error| {
            Error::unexpected("the ledger's way back is of another version").because(error)
        })?;
        let portion = |stored: StoredPortion| {
            let portion = Portion {
                alias: Identifier::new(stored.alias),
                joins: Sql::from_user(stored.joins),
                filters: stored.filters.into_iter().map(Sql::from_user).collect(),
            };
            (QualifiedName::new(stored.schema, stored.table), portion)
        };
        Ok(Self {
            mapping: Mapping::parse(&stored.mapping, Path::new("the way back"))?,
            portions: stored.portions.into_iter().map(portion).collect(),
            findings: Vec::new(),
        })
    }
}
