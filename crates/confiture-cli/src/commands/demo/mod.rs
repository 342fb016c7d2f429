//! `confiture demo`.

use std::path::Path;
use std::sync::Arc;

use confiture::Result;
use confiture::config::{Connection, Mapping};
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::{Migration, Options};
use confiture::sql::Sql;
use local_postgres::Server;
use serde_json::json;

use crate::args;
use crate::database::{on_server, server_error};
use crate::invocation::Invocation;
use crate::output::{Reply, migration, plan, verification};
use crate::progress::COMPARING;
use crate::runtime;

const OLD: &str = include_str!("old.sql");
const NEW: &str = include_str!("new.sql");
const ROWS: &str = include_str!("rows.sql");
const MAPPING: &str = include_str!("mapping.yaml");

/// Shows a migration to a new schema, live, on a PostgreSQL of its own that leaves nothing behind.
///
/// Makes a small shop with an old schema, an empty database with a new one, and a mapping; then plans, copies, and
/// compares every row.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Orders of the shop.
    #[arg(long, value_name = "ROWS", default_value = "200_000", value_parser = args::rows)]
    rows: u64,
}

impl Demo {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        runtime::run(invocation, async |execution| {
            let starting =
                async { Server::throwaway(local_postgres::Options::default()).await.map_err(server_error) };
            let server = execution.step("Starting a PostgreSQL for the demo", starting).await?;
            let old = on_server(&server, "shop_old");
            let new = on_server(&server, "shop_new");
            let making = self.make(&server, &old, &new);
            execution.step(&format!("Making a shop with {} orders", self.rows), making).await?;
            execution.note(format!("\nThe mapping from the old schema to the new one:\n\n{MAPPING}"));
            let reply = migrate(invocation, old, new, &execution).await;
            server.stop().await.map_err(server_error)?;
            reply
        })
    }

    async fn make(&self, server: &Server, old: &Connection, new: &Connection) -> Result<()> {
        let maintenance = Session::connect(&on_server(server, "postgres")).await?;
        maintenance.batch(&Sql::literal("CREATE DATABASE shop_old")).await?;
        maintenance.batch(&Sql::literal("CREATE DATABASE shop_new")).await?;
        let shop = Session::connect(old).await?;
        shop.batch(&Sql::literal(OLD)).await?;
        shop.execute(&Sql::literal(ROWS), &[&self.rows.cast_signed()]).await?;
        shop.batch(&Sql::literal("ANALYZE")).await?;
        Session::connect(new).await?.batch(&Sql::literal(NEW)).await
    }
}

async fn migrate(
    invocation: &Invocation,
    old: Connection,
    new: Connection,
    execution: &Execution,
) -> Result<Reply> {
    let mapping = Mapping::parse(MAPPING, Path::new("mapping.yaml"))?;
    let planned = Arc::new(Migration::plan(Options::new(old, new, mapping), execution).await?);
    execution.note(plan::groups(invocation.terminal.stderr, planned.as_plan()));
    let migrated = planned.migrate(execution).await?;
    let verified = execution.step(COMPARING, planned.verify(execution)).await?;
    let style = invocation.terminal.stdout;
    let text = format!("{}\n{}", migration::render(style, &migrated), verification::render(style, &verified));
    let verdict = verification::verdict(&verified);
    Ok(Reply::new(&json!({ "migration": migrated, "verification": verified }), text)?.but(verdict))
}
