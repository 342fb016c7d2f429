//! Whoever may read and write the old tables may read and write the new ones.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::schema_to_schema::checklist::{Check, Ground, fail, pass, some};
use crate::sql::{Identifier, Sql};

/// What a role may do with an old table.
struct Grant {
    table: u32,
    role: String,
    privilege: String,
    of_columns: bool,
}

pub(super) async fn look(ground: &Ground<'_>) -> Result<Check> {
    const WHAT: &str = "Roles that use the old tables may use the new ones";
    let held = held(ground).await?;
    let (mut roles, mut oids, mut privileges, mut of_columns) = (vec![], vec![], vec![], vec![]);
    for table in &ground.migration.plan.tables {
        let Some(from) =
            table.source.as_ref().and_then(|name| ground.migration.source_catalog.relations.get(name))
        else {
            continue;
        };
        let Some(to) = ground.catalog.relations.get(&table.target) else { continue };
        for grant in held.iter().filter(|grant| grant.table == from.oid) {
            roles.push(grant.role.as_str());
            oids.push(to.oid);
            privileges.push(grant.privilege.as_str());
            of_columns.push(grant.of_columns);
        }
    }
    let names: BTreeSet<&str> = roles.iter().copied().collect();
    let query = Sql::literal(include_str!("../../postgres/queries/lacking_grants.sql"));
    let rows = ground.target.query(&query, &[&roles, &oids, &privileges, &of_columns]).await?;
    let Some(first) = rows.first() else {
        return Ok(pass("grants", WHAT, format!("{} roles looked at", names.len())));
    };
    let shown: Vec<String> = rows
        .iter()
        .map(|row| match (row.get::<_, &str>(0), row.get::<_, &str>(1)) {
            (role, "") => format!("there is no role {role}"),
            (role, what) => format!("{role} lacks {what}"),
        })
        .collect();
    let hint = match (first.get::<_, &str>(0), first.get::<_, &str>(1)) {
        (role, "") => {
            format!("on the target: CREATE ROLE {} LOGIN, and grant it what it may do", Identifier::new(role))
        }
        ("public", what) => format!("on the target: GRANT {what} TO PUBLIC"),
        (role, what) => format!("on the target: GRANT {what} TO {}", Identifier::new(role)),
    };
    Ok(fail("grants", WHAT, some(&shown), hint))
}

/// What roles may do with the old tables. The tool's own role is none of the application's, unless the tables are its own.
async fn held(ground: &Ground<'_>) -> Result<Vec<Grant>> {
    let migration = ground.migration;
    let source = &migration.source_catalog;
    let driving: Vec<_> = migration
        .plan
        .tables
        .iter()
        .filter_map(|table| source.relations.get(table.source.as_ref()?))
        .collect();
    let oids: Vec<u32> = driving.iter().map(|relation| relation.oid).collect();
    let ours = migration.options.source.user.as_str();
    let is_owner = driving.iter().any(|relation| relation.owner.as_str() == ours);
    let query = Sql::literal(include_str!("../../postgres/queries/table_grants.sql"));
    let rows = ground.source.query(&query, &[&oids]).await?;
    let held = rows.iter().map(|row| Grant {
        table: row.get(0),
        role: row.get(1),
        privilege: row.get(2),
        of_columns: row.get(3),
    });
    Ok(held.filter(|grant| is_owner || grant.role != ours).collect())
}
