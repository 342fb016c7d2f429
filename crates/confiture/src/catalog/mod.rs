//! Database objects as data: what `pg_catalog` says, in the manual's words.
//!
//! A [`Catalog`] is a plain value. Reading one from a server is the business of [`crate::postgres`].

mod column;
mod constraint;
mod data_type;
mod index;
mod object;
mod relation;
mod sequence;
mod settle;
mod trigger;

pub use column::{Column, Generated, Identity};
pub use constraint::{Constraint, ConstraintKind};
pub use data_type::{DataType, Oid, TypeKind, TypeUse};
pub use index::Index;
pub use object::{Facet, Key, Kind, Object, Objects};
pub use relation::{Relation, RelationKind};
pub use sequence::Sequence;
pub(crate) use settle::parts_of_time;
pub use trigger::{Trigger, TriggerEnabled};

use std::collections::BTreeMap;

use crate::sql::{Identifier, QualifiedName};

/// What one database holds, as far as the role may see it. System schemas, extension members and temporary objects are left out.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `server_version_num`: 150018 is 15.18.
    pub server_version: u32,
    /// The database's name.
    pub database: String,
    /// The database's encoding, `UTF8`.
    pub encoding: String,
    /// The schemas that unqualified names are looked up in (`current_schemas(false)`).
    pub search_path: Vec<Identifier>,
    /// Every schema that is not a system schema, extension members included.
    pub schemas: Vec<Identifier>,
    /// Tables, views, materialized views and foreign tables.
    pub relations: BTreeMap<QualifiedName, Relation>,
    /// Sequences.
    pub sequences: BTreeMap<QualifiedName, Sequence>,
    /// Types that a column or another type here uses, built-in ones included, by OID.
    pub types: BTreeMap<Oid, DataType>,
    /// Extensions and their versions.
    pub extensions: BTreeMap<Identifier, String>,
}

impl Catalog {
    /// Finds a relation by a name as a user writes it: with its schema, or through the search path.
    #[must_use]
    pub fn find(&self, schema: Option<&Identifier>, name: &Identifier) -> Option<&Relation> {
        let look =
            |schema: &Identifier| self.relations.get(&QualifiedName::new(schema.clone(), name.clone()));
        match schema {
            Some(schema) => look(schema),
            None => self.search_path.iter().find_map(look),
        }
    }

    /// The type with this OID. Every OID that the catalog itself mentions is there.
    #[must_use]
    pub fn data_type(&self, oid: Oid) -> Option<&DataType> {
        self.types.get(&oid)
    }

    /// The partitions or inheritance children directly below `parent`, in name order.
    pub fn children<'a>(&'a self, parent: &'a QualifiedName) -> impl Iterator<Item = &'a Relation> {
        self.relations.values().filter(move |relation| relation.parents.contains(parent))
    }

    /// `root` and everything below it, at any depth.
    #[must_use]
    pub fn with_descendants(&self, root: &QualifiedName) -> Vec<QualifiedName> {
        let (mut all, mut open) = (Vec::new(), vec![root.clone()]);
        while let Some(name) = open.pop() {
            open.extend(self.children(&name).map(|child| child.name.clone()));
            all.push(name);
        }
        all
    }

    /// `root` and everything below it that has rows of its own, in name order: the leaves of a partitioned table, a
    /// table and its inheritance children, or the relation alone.
    #[must_use]
    pub fn storage_of<'a>(&'a self, root: &'a Relation) -> Vec<&'a Relation> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(relation) = open.pop() {
            if relation.kind != RelationKind::PartitionedTable {
                found.push(relation);
            }
            open.extend(self.children(&relation.name));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        found
    }
}
