//! Nobody holds a lock on the source's tables for longer than a cutover may wait.

use crate::error::Result;
use crate::schema_to_schema::checklist::{Check, Ground, ago, fail, pass, some};
use crate::sql::{Literal, Sql};

pub(super) async fn look(ground: &Ground<'_>) -> Result<Vec<Check>> {
    let oids = ground.written();
    Ok(vec![prepared(ground, &oids).await?, open(ground, &oids).await?])
}

async fn prepared(ground: &Ground<'_>, oids: &[u32]) -> Result<Check> {
    const WHAT: &str = "No prepared transaction holds one of the tables";
    let query = Sql::literal(include_str!("../../postgres/queries/prepared_transactions.sql"));
    let rows = ground.source.query(&query, &[&oids]).await?;
    let Some(first) = rows.first() else {
        return Ok(pass("prepared", WHAT, "none does"));
    };
    let names: Vec<String> = rows
        .iter()
        .map(|row| {
            let (gid, table, seconds): (&str, &str, f64) = (row.get(0), row.get(1), row.get(2));
            format!("{gid}, which holds {table}, is {} old", ago(seconds))
        })
        .collect();
    let gid = crate::sql::sql!("{}", Literal(first.get(0)));
    let hint = format!(
        "on the source, whichever it was meant to be: COMMIT PREPARED {gid}, or ROLLBACK PREPARED {gid}"
    );
    Ok(fail("prepared", WHAT, some(&names), hint))
}

async fn open(ground: &Ground<'_>, oids: &[u32]) -> Result<Check> {
    const WHAT: &str = "No writer is open for longer than writes may wait";
    let budget = ground.standard.max_stall.as_secs_f64();
    let query = Sql::literal(include_str!("../../postgres/queries/long_writers.sql"));
    let rows = ground.source.query(&query, &[&oids, &budget]).await?;
    let Some(first) = rows.first() else {
        return Ok(pass("writers", WHAT, format!("none for {}", ago(budget))));
    };
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            let (pid, seconds, table): (i32, f64, &str) = (row.get(0), row.get(1), row.get(2));
            let (role, program, state): (&str, &str, &str) = (row.get(3), row.get(4), row.get(5));
            let program = if program.is_empty() { String::new() } else { format!(" ({program})") };
            format!("pid {pid} of {role}{program} holds {table} since {}, {state}", ago(seconds))
        })
        .collect();
    let pid: i32 = first.get(0);
    let hint = format!(
        "let it end, or end it on the source: SELECT pg_terminate_backend({pid}); idle_in_transaction_session_timeout keeps others from it"
    );
    Ok(fail("writers", WHAT, some(&shown), hint))
}
