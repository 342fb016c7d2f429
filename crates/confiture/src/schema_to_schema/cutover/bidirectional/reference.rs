//! Foreign keys, which a batch writes past: each side may have kept its own, and both together break one. One side takes an order
//! of a customer whom the other one deletes.
//!
//! Whatever a batch has written is looked at before it commits: its rows' parents are there, and held, and nothing refers to
//! its rows that are gone.

use crate::catalog::{Catalog, Constraint, ConstraintKind};
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::feed::{Changes, KeyColumn, KeySet};
use crate::schema_to_schema::cutover::bidirectional::conflict::{keys_of_both, typed};
use crate::schema_to_schema::live::follower::Follower;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// A foreign key of the side that is written to.
struct Reference<'a> {
    child: &'a QualifiedName,
    columns: &'a [Identifier],
    parent: &'a QualifiedName,
    referred: &'a [Identifier],
}

impl<'a> Reference<'a> {
    fn all(catalog: &'a Catalog) -> impl Iterator<Item = Self> {
        let of = |child: &'a QualifiedName, constraint: &'a Constraint| {
            let (parent, referred) = constraint.references.as_ref()?;
            let is_kept = constraint.kind == ConstraintKind::ForeignKey && constraint.enforced;
            is_kept.then_some(Self { child, columns: &constraint.columns, parent, referred })
        };
        catalog.relations.values().flat_map(move |relation| {
            relation.constraints.iter().filter_map(move |constraint| of(&relation.name, constraint))
        })
    }

    /// `c.a = p.x AND …`
    fn joins(&self) -> Sql {
        let both = self.columns.iter().zip(self.referred);
        Sql::join(" AND ", both.map(|(column, referred)| sql!("c.{} = p.{}", column, referred)))
    }

    /// True where a row `c` refers to something.
    fn refers(&self) -> Sql {
        Sql::join(" AND ", self.columns.iter().map(|column| sql!("c.{} IS NOT NULL", column)))
    }

    /// Keeps the parents of those rows of the child where they are, until the transaction ends.
    fn hold(&self, among: &Sql) -> Sql {
        sql!(
            "SELECT FROM {} AS c JOIN {} AS p ON {} WHERE {} FOR KEY SHARE OF p",
            self.child,
            self.parent,
            self.joins(),
            among
        )
    }

    /// Whether a row of the child, as far as `among` says, refers to nothing.
    fn is_broken(&self, among: &Sql) -> Sql {
        sql!(
            "SELECT EXISTS (SELECT FROM {} AS c WHERE {} AND {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}))",
            self.child,
            among,
            self.refers(),
            self.parent,
            self.joins()
        )
    }
}

/// Looks at the rows that a batch has written, in its transaction.
///
/// # Errors
///
/// [`ErrorKind::Found`] where a foreign key would be broken.
pub(super) async fn check(follower: &Follower, changes: &Changes) -> Result<()> {
    let migration = &follower.migration;
    let catalog = &migration.target_catalog;
    let target = &follower.applier.target;
    for (index, table) in migration.plan.tables.iter().enumerate() {
        let is_near =
            |reference: &Reference<'_>| [reference.child, reference.parent].contains(&&table.target);
        let references: Vec<Reference<'_>> = Reference::all(catalog).filter(is_near).collect();
        let keys = match references.is_empty() {
            true => continue,
            false => follower.applier.keys_of(index, &changes.keys).await?,
        };
        if keys.is_empty() {
            continue;
        }
        let written = match keys.is_whole() {
            true => None,
            false => Some(written(follower, index, &keys).await?),
        };
        let key: Vec<KeyColumn> = table.key.iter().filter_map(|name| typed(follower, index, name)).collect();
        for reference in &references {
            if *reference.child == table.target {
                let among = among(written.as_ref(), Some(&key));
                target.query(&reference.hold(&among), &[]).await?;
                look(reference, &among, follower).await?;
            }
            if *reference.parent == table.target {
                let referring = reference.of_key(&key);
                look(reference, &among(written.as_ref(), referring.as_deref()), follower).await?;
            }
        }
    }
    Ok(())
}

/// True of rows `c` of the child that have one of these keys in `columns`; of all, where nobody knows which.
fn among(keys: Option<&KeySet>, columns: Option<&[KeyColumn]>) -> Sql {
    let all = Sql::literal("true");
    let (Some(keys), Some(columns)) = (keys, columns) else { return all };
    let columns: Vec<&KeyColumn> = columns.iter().collect();
    let piece = keys.pieces(&columns, usize::MAX).next();
    piece.map_or(all, |piece| piece.has_key_of(&Identifier::new("c")))
}

async fn look(reference: &Reference<'_>, among: &Sql, follower: &Follower) -> Result<()> {
    match follower.applier.target.query_one(&reference.is_broken(among), &[]).await?.get(0) {
        true => Err(broken(reference, follower)),
        false => Ok(()),
    }
}

impl Reference<'_> {
    /// The child's columns that refer to the parent's key, in the key's order; `None` where others are referred to.
    fn of_key(&self, key: &[KeyColumn]) -> Option<Vec<KeyColumn>> {
        let same = |column: &KeyColumn| {
            let at = self.referred.iter().position(|name| *name == column.name)?;
            Some(KeyColumn { name: self.columns[at].clone(), data_type: column.data_type.clone() })
        };
        if key.len() != self.referred.len() {
            return None;
        }
        key.iter().map(same).collect()
    }
}

/// The keys that the rows of a batch have on the side that is written to.
async fn written(follower: &Follower, index: usize, keys: &KeySet) -> Result<KeySet> {
    let mut written = KeySet::default();
    for (_, key) in keys_of_both(follower, index, keys).await? {
        written.insert(&key.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok(written)
}

fn broken(reference: &Reference<'_>, follower: &Follower) -> Error {
    Error::new(
        ErrorKind::Found,
        format!(
            "a row of {} refers to a row of {} that the other side has deleted",
            reference.child.short(),
            reference.parent.short()
        ),
    )
    .hint(format!(
        "on {}, or on the other side: put the one back, or remove the other; then run the command again",
        follower.migration.plan.target
    ))
    .hint("nothing was carried since; both sides go on taking writes")
}
