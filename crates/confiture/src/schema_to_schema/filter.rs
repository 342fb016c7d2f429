//! Which source rows take part: the mapping's `where`, and `--where` for the tables that have its columns.

use crate::catalog::{Catalog, ConstraintKind};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::schema_to_schema::plan::{PageRange, Remark, RowQuery, Storage};
use crate::schema_to_schema::resolve::Draft;
use crate::sql::{Identifier, Sql, sql};

/// Puts every draft's conditions in place. A table whose rows refer to rows that `--where` leaves out keeps only those
/// that refer to rows that stay.
pub(crate) async fn add_filters(
    drafts: &mut [Draft<'_>],
    everywhere: Option<&str>,
    session: &Session,
    source: &Catalog,
    remarks: &mut Vec<Remark>,
) -> Result<()> {
    for draft in drafts.iter_mut() {
        draft.query.filters.extend(draft.filter.as_ref().map(|filter| Sql::from_user(filter.value.trim())));
    }
    let Some(everywhere) = everywhere else { return Ok(()) };
    let condition = Sql::from_user(everywhere.trim());
    let mut filtered = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        if draft.query.statement.is_none() && has_columns_of(draft, &condition, session).await? {
            filtered.push(index);
        }
    }
    if filtered.is_empty() {
        return Err(Error::config(format!("--where: no table has the columns that `{everywhere}` names")));
    }
    let family = Family { drafts, filtered: &filtered, condition: &condition, source };
    let mut conditions = Vec::with_capacity(drafts.len());
    for index in 0..drafts.len() {
        conditions.push(family.survives(index, &mut Vec::new())?);
    }
    let applies = |index: &usize| filtered.contains(index);
    let names = |wanted: &dyn Fn(&usize) -> bool| {
        let affected = (0..drafts.len()).filter(|index| !conditions[*index].is_empty() && wanted(index));
        affected.map(|index| drafts[index].target.name.short()).collect::<Vec<_>>().join(", ")
    };
    remarks.push(remark(format!("--where applies to {}", names(&applies))));
    let children = names(&|index| !applies(index));
    if !children.is_empty() {
        remarks.push(remark(format!(
            "so that foreign keys hold, rows of {children} that refer to what --where leaves out are left out too"
        )));
    }
    for (draft, conditions) in drafts.iter_mut().zip(conditions) {
        if draft.query.statement.is_some() {
            let name = draft.target.name.short();
            remarks.push(Remark {
                message: format!("--where does not reach {name}, which a statement of its own fills"),
                place: draft.place.clone(),
                warning: true,
            });
            continue;
        }
        draft.query.filters.extend(conditions);
    }
    Ok(())
}

fn remark(message: String) -> Remark {
    Remark { message, place: None, warning: false }
}

/// True where the condition holds as SQL over this table; an error where it is wrong for another reason than a column.
async fn has_columns_of(draft: &Draft<'_>, condition: &Sql, session: &Session) -> Result<bool> {
    let from = draft.query.from_where(&PageRange { storage: 0, pages: None });
    match session.prepare(&sql!("SELECT ({}\n) IS TRUE {}", condition, from)).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.sqlstate_code(), Some("42703" | "42P01")) => Ok(false),
        Err(error) if error.sqlstate_code().is_some() => {
            let name = draft.target.name.short();
            Err(Error::config(format!("--where, for {name}: {}", error.message()))
                .hint("write the condition for single tables in the mapping, as `where:`"))
        }
        Err(error) => Err(error),
    }
}

/// The tables of a migration, as parents and children by the source's foreign keys.
struct Family<'a> {
    drafts: &'a [Draft<'a>],
    filtered: &'a [usize],
    condition: &'a Sql,
    source: &'a Catalog,
}

impl Family<'_> {
    /// The conditions that the rows of one table satisfy which stay; none where all stay.
    fn survives(&self, index: usize, open: &mut Vec<usize>) -> Result<Vec<Sql>> {
        let mut conditions = Vec::new();
        if self.filtered.contains(&index) {
            conditions.push(self.condition.clone());
        }
        open.push(index);
        for (parent, draft) in self.drafts.iter().enumerate() {
            let references = references(&self.drafts[index], draft, self.source);
            if references.is_empty() {
                continue;
            }
            if open.contains(&parent) {
                if self.filtered.is_empty() || !self.is_affected(index, &mut Vec::new()) {
                    continue;
                }
                let name = self.drafts[index].target.name.short();
                return Err(Error::refused(format!("--where: {name} refers to itself, directly or in a circle, so rows could lose what they refer to"))
                    .hint("write the condition for this table in the mapping, as `where:`"));
            }
            let survives = self.survives(parent, open)?;
            if !survives.is_empty() {
                let kept = |reference| is_in_parent(&self.drafts[index], draft, reference, &survives);
                conditions.extend(references.iter().map(kept));
            }
        }
        open.pop();
        Ok(conditions)
    }

    /// True where the table, or one that it refers to, is filtered.
    fn is_affected(&self, index: usize, seen: &mut Vec<usize>) -> bool {
        if self.filtered.contains(&index) {
            return true;
        }
        seen.push(index);
        (0..self.drafts.len()).any(|parent| {
            !seen.contains(&parent)
                && !references(&self.drafts[index], &self.drafts[parent], self.source).is_empty()
                && self.is_affected(parent, seen)
        })
    }
}

/// The columns of a foreign key: those that refer, and those they refer to.
type Reference = (Vec<Identifier>, Vec<Identifier>);

/// The foreign keys from `child`'s driving table to `parent`'s: an order may refer to two addresses.
fn references(child: &Draft<'_>, parent: &Draft<'_>, source: &Catalog) -> Vec<Reference> {
    let (Some(child), Some(parent)) = (child.driving, parent.driving) else { return Vec::new() };
    let Some(driving) = source.relations.get(&child.name) else { return Vec::new() };
    let keys = driving.constraints.iter().filter(|key| key.kind == ConstraintKind::ForeignKey);
    keys.filter_map(|key| {
        let (table, columns) = key.references.as_ref()?;
        (table == &parent.name).then(|| (key.columns.clone(), columns.clone()))
    })
    .collect()
}

/// The child's columns stand outside of the subquery: inside of it the parent's alias may hide the child's.
fn is_in_parent(child: &Draft<'_>, parent: &Draft<'_>, (from, to): &Reference, survives: &[Sql]) -> Sql {
    let (alias, parent_alias) = (&child.query.alias, &parent.query.alias);
    let null = Sql::join(" OR ", from.iter().map(|column| sql!("{}.{} IS NULL", alias, column)));
    let given = Sql::join(", ", from.iter().map(|column| sql!("{}.{}", alias, column)));
    let keys = Sql::join(", ", to.iter().map(|column| sql!("{}.{}", parent_alias, column)));
    let driving = parent.driving.expect("a parent has a driving table");
    let whole = Storage { relation: driving.name.clone(), oid: driving.oid, pages: None, only: false };
    let rows = RowQuery {
        alias: parent_alias.clone(),
        storage: vec![whole],
        joins: parent.query.joins.clone(),
        filters: survives.to_vec(),
        statement: None,
    };
    let rows = rows.from_where(&PageRange { storage: 0, pages: None });
    sql!("{} OR ({}) IN (SELECT {} {})", null, given, keys, rows)
}
