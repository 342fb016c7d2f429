//! What stands in the way of following the WAL.

use crate::error::Result;
use crate::postgres::Session;
use crate::postgres::feed::{CapturedTable, Obstacle};
use crate::sql::Sql;

/// Less than this many megabytes of WAL for a slot are soon used up.
const SMALL: i64 = 1024;

/// Reads what the server, the role and the tables are like.
pub(super) async fn read(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
    let mut obstacles = of_server(session, tables).await?;
    obstacles.extend(of_tables(session, tables).await?);
    let query = Sql::literal(include_str!("../../queries/open_writers.sql"));
    let writers = session.query(&query, &[&None::<Vec<String>>, &0_i32]).await?;
    if !writers.is_empty() {
        let shown: Vec<String> = writers.iter().map(|row| row.get(0)).collect();
        obstacles.push(Obstacle {
            message: format!("making a replication slot waits for transactions that are open: {}", shown.join("; ")),
            hint: "usual ones end by themselves; end those that are forgotten, and commit or roll back prepared ones".into(),
            fatal: false,
        });
    }
    Ok(obstacles)
}

fn fatal(message: impl Into<String>, hint: impl Into<String>) -> Obstacle {
    Obstacle { message: message.into(), hint: hint.into(), fatal: true }
}

async fn of_server(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    let row = session.query_one(&Sql::literal("SELECT pg_catalog.pg_is_in_recovery()"), &[]).await?;
    if row.get(0) {
        obstacles.push(fatal(
            "the source is a standby, on which nothing can be published",
            "connect to its primary",
        ));
    }
    let row = session.query_one(&Sql::literal(include_str!("../../queries/wal_server.sql")), &[]).await?;
    let (role, database): (&str, &str) = (row.get("role"), row.get("database"));
    let level: &str = row.get("wal_level");
    if level != "logical" {
        obstacles.push(fatal(
            format!("the source's wal_level is {level}"),
            "set wal_level = logical and restart the server (managed servers: rds.logical_replication, cloudsql.logical_decoding), or capture changes by triggers",
        ));
    }
    if !row.get::<_, bool>("may_replicate") {
        obstacles.push(fatal(
            format!("the role {role} may not follow the WAL"),
            format!("ALTER ROLE {role} REPLICATION (on Amazon RDS: GRANT rds_replication TO {role}), or capture changes by triggers"),
        ));
    }
    if !row.get::<_, bool>("may_publish") && !tables.is_empty() {
        obstacles.push(fatal(
            format!("the role {role} may not create a publication in the database {database}"),
            format!("GRANT CREATE ON DATABASE {database} TO {role}"),
        ));
    }
    if row.get("anyone_is_standby") {
        obstacles.push(fatal(
            "synchronous_standby_names has a `*`: the server would take this feed for a standby, and commits as safe that are not",
            "name the standbys in synchronous_standby_names, and reload the configuration",
        ));
    }
    let used_up = [
        ("slots_used", "slots", "replication slot", "max_replication_slots"),
        ("senders_used", "senders", "process that sends WAL", "max_wal_senders"),
    ];
    for (used, most, what, setting) in used_up {
        let (used, most): (i64, i64) = (row.get(used), row.get(most));
        if used >= most {
            obstacles.push(fatal(
                format!("the source has no {what} left: {used} of {most} are used ({setting})"),
                format!("drop those that nobody needs, or raise {setting} and restart the server"),
            ));
        }
    }
    let keep: i64 = row.get::<_, Option<i64>>("keep_megabytes").unwrap_or(-1);
    if (0..SMALL).contains(&keep) {
        obstacles.push(Obstacle {
            message: format!("the source keeps at most {keep} MB of WAL for a slot (max_slot_wal_keep_size)"),
            hint: "a slot that falls behind further is lost, and both sides have to be compared again: raise it, or set it to -1"
                .into(),
            fatal: false,
        });
    }
    Ok(obstacles)
}

async fn of_tables(session: &Session, tables: &[CapturedTable]) -> Result<Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    let (mut oids, mut indexes) = (Vec::new(), Vec::new());
    for (index, table) in tables.iter().enumerate() {
        let index = i64::try_from(index).unwrap_or_default();
        for oid in std::iter::once(table.oid).chain(table.partitions.iter().map(|(_, oid)| *oid)) {
            oids.push(oid);
            indexes.push(index);
        }
    }
    let query = Sql::literal(include_str!("../../queries/wal_tables.sql"));
    for row in session.query(&query, &[&oids, &indexes]).await? {
        let Some(table) = tables.get(usize::try_from(row.get::<_, i64>("index")).unwrap_or_default()) else {
            continue;
        };
        let (shown, kind): (&str, &str) = (row.get("shown"), row.get("kind"));
        // Partitions are published along with their root, whoever owns them.
        if !row.get::<_, bool>("owned") && row.get::<_, u32>("oid") == table.oid {
            obstacles.push(fatal(
                format!("{shown} belongs to another role, and only its owner may publish it"),
                format!("run this as the owner of {shown}, or GRANT that role"),
            ));
        }
        match (kind, row.get::<_, &str>("persistence")) {
            // It holds no rows itself.
            ("p", _) => continue,
            ("f", _) => obstacles.push(fatal(
                format!("{shown} is a foreign table: its changes are not in the WAL"),
                "leave the table out, or detach the partition",
            )),
            (_, "u") => obstacles.push(fatal(
                format!("{shown} is unlogged: its changes are not in the WAL"),
                format!("ALTER TABLE {shown} SET LOGGED, or capture changes by triggers"),
            )),
            (_, "t") => obstacles.push(fatal(
                format!("{shown} is temporary: its changes are not in the WAL"),
                "leave it out: a temporary table belongs to its session",
            )),
            _ => obstacles.extend(of_identity(table, &row)),
        }
    }
    Ok(obstacles)
}

fn of_identity(table: &CapturedTable, row: &tokio_postgres::Row) -> Option<Obstacle> {
    let shown: &str = row.get("shown");
    let Some(columns) = row.get::<_, Option<Vec<String>>>("columns") else {
        return Some(fatal(
            format!(
                "{shown} has no replica identity: once it is published, the server refuses every UPDATE and DELETE on it"
            ),
            format!(
                "add a primary key, or ALTER TABLE {shown} REPLICA IDENTITY FULL, or capture changes by triggers"
            ),
        ));
    };
    let missing: Vec<&str> = table
        .key
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| !columns.iter().any(|column| column == name))
        .collect();
    (!missing.is_empty()).then(|| {
        fatal(
            format!("the replica identity of {shown} lacks the key column {}", missing.join(", ")),
            format!("ALTER TABLE {shown} REPLICA IDENTITY FULL, or one USING INDEX that has all columns of the key"),
        )
    })
}
