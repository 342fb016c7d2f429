//! What stands in the way of capturing changes by a queue.

use super::capture::Capture;
use super::relation::{Relation, read_captures};
use crate::catalog::Oid;
use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, Obstacle};
use crate::sql::{Identifier, Sql};

/// Transactions that are younger than this many seconds are no obstacle.
const LONG: f64 = 5.0;

/// What stands in the way of a queue for `tables`: server, privileges, tables that cannot be captured, and who is writing.
///
/// # Errors
///
/// Where the connection is lost.
pub async fn obstacles(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    if session.server_version() < 140_000 {
        obstacles.push(fatal(
            "the source's server is older than PostgreSQL 14",
            "copy without capturing changes, or upgrade the server",
        ));
        return Ok(obstacles);
    }
    find_missing_privileges(session, &mut obstacles).await?;
    let captures = read_captures(session, tables).await?;
    for capture in &captures {
        find_table_faults(capture, &mut obstacles);
    }
    find_writers(session, &captures, &mut obstacles).await?;
    Ok(obstacles)
}

fn fatal(message: impl Into<String>, hint: impl Into<String>) -> Obstacle {
    Obstacle { message: message.into(), hint: hint.into(), fatal: true }
}

async fn find_missing_privileges(session: &Session, obstacles: &mut Vec<Obstacle>) -> Result<()> {
    let query = Sql::literal(include_str!("../../queries/queue/privileges.sql"));
    let row = session.query_one(&query, &[]).await?;
    let (role, database) = (row.get::<_, String>("role"), row.get::<_, String>("database"));
    let (role, database) = (Identifier::new(role), Identifier::new(database));
    if row.get("is_standby") {
        obstacles.push(fatal(
            "the source is a standby, where no trigger can be made",
            "name the primary as the source (target_session_attrs=read-write)",
        ));
    }
    if !row.get::<_, bool>("may_create") {
        obstacles.push(if row.get("has_schema") {
            fatal(
                format!("the source's role {role} may not make tables in the schema confiture"),
                format!("on the source: GRANT USAGE, CREATE ON SCHEMA confiture TO {role}"),
            )
        } else {
            fatal(
                format!("the source's role {role} may not make the schema confiture for the queue"),
                format!("on the source: GRANT CREATE ON DATABASE {database} TO {role}"),
            )
        });
    }
    if !row.get::<_, bool>("has_language") {
        obstacles.push(fatal(
            format!(
                "the source's role {role} may not use the language plpgsql, in which triggers are written"
            ),
            format!("on the source: CREATE EXTENSION plpgsql, or GRANT USAGE ON LANGUAGE plpgsql TO {role}"),
        ));
    }
    if let Some(publication) = row.get::<_, Option<String>>("publication") {
        // The subscriber stops at the first row of a table that it does not have.
        obstacles.push(fatal(
            format!("publication {} is FOR ALL TABLES: its subscribers would stop at the queue, which they do not have", Identifier::new(publication)),
            "publish the tables by name, or capture changes from the WAL instead",
        ));
    }
    Ok(())
}

fn find_table_faults(capture: &Capture<'_>, obstacles: &mut Vec<Obstacle>) {
    let name = &capture.table.name;
    let Some(root) = capture.relations.first() else {
        obstacles.push(fatal(
            format!("table {name} is not on the source"),
            "check the spelling, or whether somebody has dropped it",
        ));
        return;
    };
    let what = match root.kind.as_str() {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        _ => Some("no table"),
    };
    if let Some(what) = what {
        let hint = "name the tables under it in the mapping, or copy it without capturing changes";
        obstacles.push(fatal(format!("{name} is {what}: its changes cannot be captured"), hint));
        return;
    }
    if root.is_parent {
        obstacles.push(fatal(
            format!("tables inherit from {name}: no key says which of its rows is which"),
            "map the tables one by one with ONLY, or turn them into partitions",
        ));
    }
    if capture.table.key.is_empty() {
        obstacles.push(fatal(
            format!("table {name} has no key by which its changes could be known"),
            "add a primary key, or a unique index on columns that are NOT NULL",
        ));
    }
    for relation in &capture.relations {
        find_relation_faults(relation, obstacles);
    }
}

fn find_relation_faults(relation: &Relation, obstacles: &mut Vec<Obstacle>) {
    let Relation { name, owner, .. } = relation;
    if relation.kind == "f" {
        obstacles.push(fatal(
            format!("partition {name} is a foreign table: changes made on its server cannot be captured"),
            "detach it, or copy the table without capturing changes",
        ));
    }
    if !relation.is_ours {
        let owner = Identifier::new(owner.as_str());
        obstacles.push(fatal(
            format!("the source's role does not own {name}, whose triggers it has to make and enable"),
            format!("connect to the source as {owner}, or as a member: GRANT {owner} TO …"),
        ));
    }
}

async fn find_writers(
    session: &Session,
    captures: &[Capture<'_>],
    obstacles: &mut Vec<Obstacle>,
) -> Result<()> {
    let oids: Vec<Oid> =
        captures.iter().flat_map(|capture| &capture.relations).map(|relation| relation.oid).collect();
    let query = Sql::literal(include_str!("../../queries/queue/lock_holders.sql"));
    let mut seen: Vec<String> = Vec::new();
    for row in session.query(&query, &[&oids, &false]).await? {
        let shown: String = row.get(0);
        if row.get::<_, f64>(2) < LONG || seen.contains(&shown) {
            continue;
        }
        obstacles.push(Obstacle {
            message: format!(
                "{shown} has {} locked for writing: making triggers waits for it",
                row.get::<_, &str>(1)
            ),
            hint: "wait until that transaction is done, or end it: SELECT pg_terminate_backend(pid)"
                .to_owned(),
            fatal: false,
        });
        seen.push(shown);
    }
    Ok(())
}
