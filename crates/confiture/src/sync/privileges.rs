//! What the two roles must be allowed to do, asked before anybody agrees to anything.

use crate::catalog::{Catalog, Oid};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Refuses where a table may not be read there, or not be emptied and rebuilt here.
pub(crate) async fn check(
    tables: &[QualifiedName],
    quarantine: bool,
    catalogs: (&Catalog, &Catalog),
    source: &Session,
    target: &Session,
) -> Result<()> {
    let oids = |catalog: &Catalog| -> Vec<Oid> {
        tables.iter().filter_map(|name| Some(catalog.relations.get(name)?.oid)).collect()
    };
    let unreadable = "SELECT pg_catalog.format('%I.%I', nspname, relname)
        FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE class.oid = ANY($1) AND NOT (pg_catalog.has_schema_privilege(relnamespace, 'USAGE') AND pg_catalog.has_table_privilege(class.oid, 'SELECT'))
        ORDER BY 1";
    let foreign = "SELECT pg_catalog.format('%I.%I', nspname, relname), pg_catalog.pg_get_userbyid(relowner)::text
        FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE class.oid = ANY($1) AND NOT pg_catalog.pg_has_role(relowner, 'USAGE')
        ORDER BY 1";
    let unreadable = source.query(&Sql::literal(unreadable), &[&oids(catalogs.0)]).await?;
    let foreign = target.query(&Sql::literal(foreign), &[&oids(catalogs.1)]).await?;
    if let Some(first) = unreadable.first() {
        let (name, role) = (first.get::<_, &str>(0), Identifier::new(&*source.connection().user));
        let grant = sql!("GRANT SELECT ON {} TO {}", Sql::from_server(name), role);
        return Err(Error::refused(format!(
            "the source's role {role} may not read {name}{}",
            others(unreadable.len())
        ))
        .hint(format!("as the owner, on the source: {} (and USAGE on the schema)", grant.as_str())));
    }
    if let Some(first) = foreign.first() {
        let (name, owner) = (first.get::<_, &str>(0), first.get::<_, &str>(1));
        let role = &target.connection().user;
        return Err(Error::refused(format!(
            "{name} of the target belongs to {owner}{}, and {role} may not empty and rebuild it",
            others(foreign.len())
        ))
        .hint("connect to the target as the owner of its tables, or as a member of that role"));
    }
    let may_create = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
        OR pg_catalog.to_regnamespace('confiture_quarantine') IS NOT NULL";
    if quarantine && !target.query_one(&Sql::literal(may_create), &[]).await?.get::<_, bool>(0) {
        return Err(Error::refused(format!(
            "--quarantine makes a schema, and {} may not CREATE in the target's database",
            target.connection().user
        ))
        .hint("GRANT CREATE ON DATABASE to the role, or sync without --quarantine"));
    }
    Ok(())
}

fn others(count: usize) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}
