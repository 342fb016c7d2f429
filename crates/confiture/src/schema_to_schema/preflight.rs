//! What the roles may do, looked at before anything is written, so that nothing fails half-way for want of a privilege.

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::Session;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::{ledger, sequences};
use crate::sql::{Identifier, Sql};

/// Checks both sides. Reading every table is checked where its snapshot is taken.
pub(crate) async fn check_privileges(migration: &Migration) -> Result<()> {
    check_source(migration).await?;
    check_target(migration).await?;
    sequences::check_privileges(
        &migration.plan,
        &migration.source_catalog,
        &migration.target_catalog,
        &migration.source,
        &migration.target,
    )
    .await
}

async fn check_source(migration: &Migration) -> Result<()> {
    let tables = &migration.plan.tables;
    let oids: Vec<u32> =
        tables.iter().flat_map(|table| &table.query.storage).map(|storage| storage.oid).collect();
    let query = Sql::literal(include_str!("../postgres/queries/source_privileges.sql"));
    let Some(row) = migration.source.query(&query, &[&oids]).await?.into_iter().next() else {
        return Ok(());
    };
    let user = &migration.options.source.user;
    let (relation, lacks): (&str, &str) = (row.get(0), row.get(1));
    if lacks == "row security" {
        return Err(denied(format!(
            "row security of the source hides rows of {relation} from role {user}: less than the table would arrive"
        ))
        .hint("connect to the source as the table's owner, or as a role with BYPASSRLS"));
    }
    let grantee = Identifier::new(user.as_str());
    Err(denied(format!("the source's role {user} may not read {relation}"))
        .hint(format!("as its owner, on the source: GRANT {lacks} TO {grantee}")))
}

async fn check_target(migration: &Migration) -> Result<()> {
    let user = &migration.options.target.user;
    if !ledger::may_create(&migration.target).await? {
        let (database, grantee) =
            (Identifier::new(migration.options.target.database.as_str()), Identifier::new(user.as_str()));
        return Err(denied(format!(
            "the target's role {user} may not make the schema confiture, which remembers how far a migration is"
        ))
        .hint(format!("as the database's owner, on the target: GRANT CREATE ON DATABASE {database} TO {grantee}"))
        .hint(format!("or give it that one schema: CREATE SCHEMA confiture AUTHORIZATION {grantee}")));
    }
    let oid = |name| migration.target_catalog.relations.get(name).map(|relation| relation.oid);
    let oids: Vec<u32> = migration.plan.tables.iter().filter_map(|table| oid(&table.target)).collect();
    if migration.is_partial() {
        return check_portions(migration, &oids).await;
    }
    let query = Sql::literal(include_str!("../postgres/queries/target_privileges.sql"));
    let Some(row) = migration.target.query(&query, &[&oids]).await?.into_iter().next() else {
        return Ok(());
    };
    let (relation, lacks): (&str, &str) = (row.get(0), row.get(1));
    Err(match lacks {
        "ownership" => denied(format!("the target's role {user} does not own {relation}")).hint(
            "its keys, indexes and triggers are taken off for the load and put back, which only the owner may do",
        ),
        "row security" => {
            denied(format!("row security of {relation} in the target binds role {user} too (FORCE)"))
                .hint(format!(
                    "for the time of the migration: ALTER TABLE {relation} NO FORCE ROW LEVEL SECURITY"
                ))
                .hint("or connect to the target as a role with BYPASSRLS")
        }
        lacks => denied(format!(
            "the target's role {user} lacks what putting keys and indexes of {relation} back takes"
        ))
        .hint(format!("on the target: GRANT {lacks} TO {}", Identifier::new(user.as_str()))),
    })
}

/// Of tables that others use too, nothing is taken off: writing past their triggers and foreign keys takes a privilege.
async fn check_portions(migration: &Migration, oids: &[u32]) -> Result<()> {
    let (user, target) = (&migration.options.target.user, &migration.target);
    let grantee = Identifier::new(user.as_str());
    let passes = bypasses(target).await?;
    let query = Sql::literal(include_str!("../postgres/queries/portion_privileges.sql"));
    let Some(row) = target.query(&query, &[&oids, &passes]).await?.into_iter().next() else {
        return Ok(());
    };
    let (relation, lacks, step): (&str, &str, i32) = (row.get(0), row.get(1), row.get(2));
    Err(match step {
        1 | 2 => denied(format!("the target's role {user} may not write to {relation}"))
            .hint(format!("as its owner, on the target: GRANT {lacks} TO {grantee}")),
        3 => denied(format!("row security of {relation} in the target binds role {user} too"))
            .hint("connect to the target as the table's owner, or as a role with BYPASSRLS"),
        _ => denied(format!(
            "{relation} has {lacks}, which would act on rows that are only brought over, and the target's role {user} may not write past that"
        ))
        .hint(format!(
            "as a superuser, on the target, from PostgreSQL 15 on: GRANT SET ON PARAMETER session_replication_role TO {grantee}"
        ))
        .hint("or connect to the target as a superuser"),
    })
}

/// Whether the session may write past triggers and foreign keys.
pub(crate) async fn bypasses(session: &Session) -> Result<bool> {
    let attempt = Sql::literal("BEGIN; SET LOCAL session_replication_role = replica");
    let attempted = session.batch(&attempt).await;
    session.batch(&Sql::literal("ROLLBACK")).await?;
    match attempted {
        Err(error) if error.sqlstate_code() == Some("42501") => Ok(false),
        attempted => attempted.map(|()| true),
    }
}

fn denied(message: String) -> Error {
    Error::new(ErrorKind::Server, message).sqlstate("42501")
}
