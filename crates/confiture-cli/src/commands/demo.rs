//! `confiture demo`.

use std::path::Path;
use std::sync::Arc;

use confiture::build::{BuildOptions, SchemaBuilder, Tree};
use confiture::config::{Connection, Mapping};
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::{Migration, MigrationReport, Options, VerificationReport};
use confiture::sql::{Literal, Sql, sql};
use confiture::{Error, ErrorKind, Result, disk};
use local_postgres::Server;
use serde_json::json;

use crate::database::{on_server, server_error};
use crate::invocation::Invocation;
use crate::output::{Reply, migration, numbers, plan, verification};
use crate::progress::COMPARING;
use crate::runtime;

/// Shows the main job on two servers of its own: a shop of two million rows moves to a new schema, with proof.
///
/// Nothing of yours is touched: both servers are made for the occasion and gone afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Users of the shop; each brings about 120 rows.
    #[arg(long, default_value_t = 16_500, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(50..))]
    users: u32,
}

/// The example that the demo runs, as it stands in `examples/shop`.
const OLD_SCHEMA: &str = include_str!("../../../../examples/shop/old/schema.sql");
const OLD_ROWS: &str = include_str!("../../../../examples/shop/old/rows.sql");
const MAPPING: &str = include_str!("../../../../examples/shop/mapping.yaml");
const NEW_SCHEMA: [(&str, &str); 6] = [
    ("00_types/types.sql", include_str!("../../../../examples/shop/new/00_types/types.sql")),
    ("10_tables/10_customers.sql", include_str!("../../../../examples/shop/new/10_tables/10_customers.sql")),
    ("10_tables/20_products.sql", include_str!("../../../../examples/shop/new/10_tables/20_products.sql")),
    ("10_tables/30_orders.sql", include_str!("../../../../examples/shop/new/10_tables/30_orders.sql")),
    (
        "10_tables/40_page_views.sql",
        include_str!("../../../../examples/shop/new/10_tables/40_page_views.sql"),
    ),
    ("20_views/revenue.sql", include_str!("../../../../examples/shop/new/20_views/revenue.sql")),
];

impl Demo {
    /// Does it.
    pub(crate) fn run(self, invocation: &Invocation) -> Result<Reply> {
        runtime::run(invocation, async |execution| {
            tokio::select! {
                done = self.show(invocation, &execution) => done,
                () = execution.interrupted() => Err(Error::interrupted("the demo was stopped; its servers are gone")),
            }
        })
    }

    async fn show(&self, invocation: &Invocation, execution: &Execution) -> Result<Reply> {
        let style = invocation.terminal.stdout;
        let starting = async {
            tokio::try_join!(
                Server::throwaway(local_postgres::Options::default()),
                Server::throwaway(local_postgres::Options::default())
            )
            .map_err(server_error)
        };
        let (old_server, new_server) =
            execution.step("1. Starting two PostgreSQL servers, an old one and a new one", starting).await?;
        let (old, new) = (on_server(&old_server, "shop"), on_server(&new_server, "shop"));
        execution
            .step(
                "2. Filling the old shop: users, products, orders, order items, page views",
                self.fill(&old),
            )
            .await?;
        execution.step("3. Building the new schema from its DDL files", build(&new, execution)).await?;

        let mapping = Mapping::parse(MAPPING, Path::new("examples/shop/mapping.yaml"))?;
        let mut migration = Migration::plan(Options::new(old, new.clone(), mapping), execution).await?;
        migration.estimate(execution).await?;
        let migration = Arc::new(migration);
        execution.note(plan::boxed(invocation.terminal.stderr, migration.as_plan()));
        let moving = migration.migrate(execution);
        let moved = execution.step("4. Moving every row, as examples/shop/mapping.yaml says", moving).await?;
        execution.note("5. Comparing every row of both sides");
        let verified = execution.step(COMPARING, migration.verify(execution)).await?;
        if !verified.ok {
            return Err(Error::new(
                ErrorKind::Found,
                "the demo's two sides differ: this is a fault of Confiture",
            ));
        }
        let damage = execution
            .step(
                "6. Changing one price by a cent, to see whether it is noticed",
                damage(&new, &migration, execution),
            )
            .await?;
        let (old_server, new_server) = (old_server.stop(), new_server.stop());
        tokio::try_join!(old_server, new_server).map_err(server_error)?;
        let text = format!(
            "{}\n{}\n{}",
            migration::render(style, &moved),
            verification::render(style, &verified),
            story(&moved, &verified, &damage)
        );
        Reply::new(&json!({ "migration": moved, "verification": verified, "damage_found": damage }), text)
    }

    async fn fill(&self, old: &Connection) -> Result<()> {
        let maintenance = Session::connect(&old.with_database("postgres")).await?;
        maintenance.batch(&Sql::literal("CREATE DATABASE shop")).await?;
        let session = Session::connect(old).await?;
        session.batch(&Sql::from_user(OLD_SCHEMA)).await?;
        session.batch(&sql!("SET shop.users = {}", Literal(&self.users.to_string()))).await?;
        session.batch(&Sql::from_user(OLD_ROWS)).await
    }
}

/// Writes the DDL files to a folder, as a project has them, and builds the database from there.
async fn build(new: &Connection, execution: &Execution) -> Result<()> {
    let folder = tempfile::tempdir()
        .map_err(|error| Error::unexpected("no temporary folder can be made").because(error))?;
    for (path, text) in NEW_SCHEMA {
        disk::write_new_file(&folder.path().join("schema").join(path), text)?;
    }
    let root = folder.path().to_path_buf();
    let tree = Tree { schema_dirs: vec!["schema".into()], ..Tree::new(root) };
    let options =
        BuildOptions { drop_existing: false, loss_confirmed: false, cache: false, production: false };
    SchemaBuilder::new(tree).execute(new, options, execution).await?;
    Ok(())
}

/// Changes one value of the new side, verifies again, and says what was found.
async fn damage(new: &Connection, migration: &Migration, execution: &Execution) -> Result<String> {
    let session = Session::connect(new).await?;
    session
        .batch(&Sql::literal("UPDATE order_lines SET unit_price = unit_price + 0.01 WHERE id = 42"))
        .await?;
    let again = migration.verify(execution).await?;
    let found = again.tables.iter().find_map(|table| {
        let row = table.differences.as_ref()?.rows.first()?;
        let key = row
            .key
            .iter()
            .map(|(column, value)| format!("{column} = {value}"))
            .collect::<Vec<_>>()
            .join(", ");
        let columns =
            row.columns.iter().map(|column| column.column.to_string()).collect::<Vec<_>>().join(", ");
        Some(format!("{}, {key}: {columns}", table.table.short()))
    });
    found.ok_or_else(|| {
        Error::new(ErrorKind::Found, "a changed price was not noticed: this is a fault of Confiture")
    })
}

/// What happened, for someone who sees it for the first time.
fn story(moved: &MigrationReport, verified: &VerificationReport, damage: &str) -> String {
    let rows: u64 = moved.tables.iter().map(|table| table.rows).sum();
    let seconds = moved.elapsed.as_secs_f64().max(0.001);
    format!(
        "What happened\n\
         - {} rows went from the old shop to the new one in {}: {} rows\n  \
           a second, all of one snapshot, streamed by COPY through this program, never\n  \
           through a file.\n\
         - On the way, users became customers, one name became two, prices became\n  \
           numbers, a bio moved to a table of its own, and each order line got its\n  \
           product's name by a join. The mapping says so in SQL.\n\
         - Keys and indexes were taken off before and built again after ({}); sequences\n  \
           go on where they were.\n\
         - Then both servers hashed every row and the sums were compared, in {}: equal.\n\
         - To see that this means something, one price was changed by a cent.\n  \
           It was found: {damage}.\n\n\
         Next: `confiture init`, and README.md.\n",
        numbers::thousands(rows),
        numbers::duration(moved.elapsed),
        numbers::magnitude((rows as f64 / seconds) as u64),
        moved.rebuilt,
        numbers::duration(verified.elapsed),
    )
}
