//! Types and how columns use them.

use crate::sql::{Identifier, QualifiedName};

/// An object identifier of the server.
pub type Oid = u32;

/// A type as a column uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeUse {
    /// The type.
    pub oid: Oid,
    /// The modifier (`pg_attribute.atttypmod`), -1 for none.
    pub modifier: i32,
    /// `format_type` with the modifier: `numeric(12,2)`, `app.status`. Schema-qualified unless built in.
    pub text: String,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataType {
    /// `pg_type.oid`, which differs from database to database for what is not built in.
    pub oid: Oid,
    /// Schema and name (`pg_catalog.int4`).
    pub name: QualifiedName,
    /// `format_type` without a modifier: `integer`, `app.status`, `text[]`. Schema-qualified unless built in.
    pub text: String,
    /// What it is made of.
    pub kind: TypeKind,
    /// The extension that it belongs to.
    pub extension: Option<Identifier>,
    /// True where it has both a binary send and a binary receive function, and so has all that it is made of: those of
    /// arrays and composites fail where a part has none (`aclitem[]`).
    pub has_binary: bool,
    /// True where `hash_record_extended` takes it: it has a default hash operator class with an extended hash function, or
    /// is made of such types (a domain over a range is not, which PostgreSQL does not see through).
    pub hashable: bool,
}

impl DataType {
    /// True for what `pg_catalog` holds: the same type, by the same OID, in every database.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.name.schema.as_str() == "pg_catalog"
    }
}

/// What a type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeKind {
    /// A base type.
    Base,
    /// An array of `element` (a true array, `typelem` with `array_subscript_handler`).
    Array {
        /// The element's type.
        element: Oid,
    },
    /// An enumeration; labels in their order.
    Enum {
        /// The labels.
        labels: Vec<String>,
    },
    /// A domain over `base`.
    Domain {
        /// The base type and modifier.
        base: TypeUse,
        /// `NOT NULL` on the domain.
        not_null: bool,
        /// `CHECK` constraints, as `pg_get_constraintdef` renders them.
        checks: Vec<String>,
    },
    /// A composite type (a table's row type too).
    Composite {
        /// Names and types of the fields.
        fields: Vec<(Identifier, TypeUse)>,
    },
    /// A range over `subtype`.
    Range {
        /// The subtype.
        subtype: Oid,
    },
    /// A multirange over `range`.
    Multirange {
        /// The range type.
        range: Oid,
    },
    /// A pseudo-type (`record`, `unknown`, `void`).
    Pseudo,
}
