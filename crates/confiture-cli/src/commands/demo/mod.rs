//! `confiture demo`.

mod shoppers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confiture::build::{BuildOptions, SchemaBuilder, Tree};
use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::postgres::Session;
use confiture::schema_to_schema::cutover::{Application, Pooled, Switching, active, cut_over, roll_back};
use confiture::schema_to_schema::{
    Capture, FeedKind, FollowReport, Following, Migration, Options, Until, VerificationReport, Verifying,
};
use confiture::sql::{Literal, Sql, sql};
use confiture::{Error, ErrorKind, Result, disk};
use local_postgres::{PgBouncer, PgBouncerOptions, Server};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::shoppers::{Bought, Listener, Shoppers};

use crate::database::{on_server, server_error};
use crate::invocation::Invocation;
use crate::output::{Reply, following, numbers, plan};
use crate::runtime;

/// Shows the main job on two servers of its own: a shop of two million rows moves to a new schema while people go on
/// buying, is cut over and rolled back, with proof.
///
/// Nothing of yours is touched: both servers are made for the occasion and gone afterwards.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Users of the shop; each brings about 120 rows.
    #[arg(long, default_value_t = 16_500, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(50..))]
    users: u32,
}

/// The example that the demo runs, as it stands in `examples/shop`.
const OLD_SCHEMA: &str = include_str!("../../../../../examples/shop/old/schema.sql");
const OLD_ROWS: &str = include_str!("../../../../../examples/shop/old/rows.sql");
const MAPPING: &str = include_str!("../../../../../examples/shop/mapping.yaml");
const NEW_SCHEMA: [(&str, &str); 6] = [
    ("00_types/types.sql", include_str!("../../../../../examples/shop/new/00_types/types.sql")),
    (
        "10_tables/10_customers.sql",
        include_str!("../../../../../examples/shop/new/10_tables/10_customers.sql"),
    ),
    ("10_tables/20_products.sql", include_str!("../../../../../examples/shop/new/10_tables/20_products.sql")),
    ("10_tables/30_orders.sql", include_str!("../../../../../examples/shop/new/10_tables/30_orders.sql")),
    (
        "10_tables/40_page_views.sql",
        include_str!("../../../../../examples/shop/new/10_tables/40_page_views.sql"),
    ),
    ("20_views/revenue.sql", include_str!("../../../../../examples/shop/new/20_views/revenue.sql")),
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
        let logical = || local_postgres::Options {
            settings: vec![("wal_level".into(), "logical".into())],
            ..local_postgres::Options::default()
        };
        let starting = async {
            tokio::try_join!(Server::throwaway(logical()), Server::throwaway(logical())).map_err(server_error)
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
        let options = Options::new(old.clone(), new.clone(), mapping);
        let mut migration = Migration::plan(options.clone(), execution).await?;
        migration.estimate(execution).await?;
        execution.note(plan::boxed(invocation.terminal.stderr, migration.as_plan()));
        execution.note(
            "4. Opening the doors: shoppers buy through PgBouncer from here on, and remember every order they were told of",
        );
        let pool = Pool::start(&old_server).await?;
        let shoppers = Shoppers::start(&pool.shop, self.users).await?;
        let listener = Arc::new(Listener::new(execution.clone()));
        execution
            .note("5. Moving every row meanwhile, as examples/shop/mapping.yaml says, and what changes too");
        let compared = follow(&options, Until::CaughtUp, &listener, execution).await?;
        execution.note("6. Following for two seconds");
        follow(&options, Until::Interrupted, &listener, execution).await?;

        // What the new shop knows more than the old one is not carried back: a product's name on each line, for one.
        let switching =
            Switching { application: pool.application(), accept_losses: true, ..Switching::default() };
        let quiet = execution.unwatched();
        let cutting = cut_over(options.clone(), &switching, &quiet);
        let over = execution.step("7. Cutting over: the shoppers are led to the new shop", cutting).await?;
        execution.note(format!(
            "   Writes waited for {}. From here on the new shop sells, and its changes go back to the old one.",
            numbers::milliseconds(over.stall)
        ));
        follow(&options, Until::Interrupted, &listener, execution).await?;
        let rolling = roll_back(options.clone(), &switching, &quiet);
        let back =
            execution.step("8. Rolling back: the shoppers are led to the old shop again", rolling).await?;
        execution.note(format!("   Writes waited for {}.", numbers::milliseconds(back.stall)));
        follow(&options, Until::Interrupted, &listener, execution).await?;

        let bought = execution.step("9. Closing the doors", shoppers.stop()).await?;
        let moved = follow(&options, Until::CaughtUp, &listener, execution).await?;
        let (Some(during), Some(verified)) = (&compared.verification, &moved.verification) else {
            return Err(Error::unexpected("the two sides were not compared"));
        };
        if !during.ok || !verified.ok {
            return Err(Error::new(
                ErrorKind::Found,
                "the demo's two sides differ: this is a fault of Confiture",
            ));
        }
        let missing = missing_orders(&new, &bought).await? + missing_orders(&old, &bought).await?;
        let damage = execution
            .step(
                "10. Changing one price by a cent, to see whether it is noticed",
                damage(&new, &migration, execution),
            )
            .await?;
        drop(pool);
        let (old_server, new_server) = (old_server.stop(), new_server.stop());
        tokio::try_join!(old_server, new_server).map_err(server_error)?;
        let told = Told {
            compared: &compared,
            during,
            verified,
            bought: &bought,
            missing,
            damage: &damage,
            stalls: [over.stall, back.stall],
        };
        let text = format!("{}\n{}", following::render(style, &moved), told.story(&listener));
        let result = json!({
            "following": moved,
            "compared_while_writing": during,
            "confirmed_transactions": bought.transactions,
            "failed_transactions": bought.failed,
            "confirmed_orders": bought.orders.len(),
            "missing_orders": missing,
            "cutover_stall_ms": milliseconds(over.stall),
            "rollback_stall_ms": milliseconds(back.stall),
            "longest_lag_ms": milliseconds(listener.longest_lag()),
            "longest_wait_ms": milliseconds(bought.longest),
            "damage_found": damage,
        });
        let verdict = (missing > 0 || bought.failed > 0).then(|| {
            let failed = bought.failed;
            let what = format!("{missing} confirmed orders are missing, and {failed} transactions failed");
            Error::new(ErrorKind::Found, what)
        });
        Ok(Reply::new(&result, text)?.but(verdict))
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

/// The PgBouncer in front of the shop.
struct Pool {
    bouncer: PgBouncer,
    /// What the shoppers connect to, whichever server is behind it.
    shop: Connection,
}

impl Pool {
    async fn start(server: &Server) -> Result<Self> {
        let databases = vec![("shop".to_owned(), PgBouncer::leads_to(server, "shop"))];
        let options = PgBouncerOptions { databases, ..PgBouncerOptions::default() };
        let bouncer = PgBouncer::start(options).await.map_err(server_error)?;
        let shop = Self::connection(&bouncer, "shop");
        Ok(Self { bouncer, shop })
    }

    fn connection(bouncer: &PgBouncer, database: &str) -> Connection {
        let endpoint = Endpoint::new(bouncer.folder().display().to_string(), bouncer.port());
        Connection::new(endpoint, "postgres", database)
    }

    /// Who leads the shoppers.
    fn application(&self) -> Arc<dyn Application> {
        let console = Self::connection(&self.bouncer, "pgbouncer");
        Arc::new(Pooled::new(console, "shop".to_owned(), Some(self.bouncer.ini())))
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
    let options = BuildOptions { cache: false, ..BuildOptions::default() };
    SchemaBuilder::new(tree).execute(new, options, execution).await?;
    Ok(())
}

/// Changes one value of the new side, verifies again, and says what was found.
async fn damage(new: &Connection, migration: &Migration, execution: &Execution) -> Result<String> {
    let session = Session::connect(new).await?;
    session
        .batch(&Sql::literal(
            // Only who may take the fence down can write to the side that is not in use.
            "ALTER TABLE order_lines DISABLE TRIGGER confiture_fence;
             UPDATE order_lines SET unit_price = unit_price + 0.01 WHERE id = 42;
             ALTER TABLE order_lines ENABLE ALWAYS TRIGGER confiture_fence",
        ))
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

/// Follows the shop that sells: until the other one equals it and was compared with it, or for two seconds.
async fn follow(
    options: &Options,
    until: Until,
    listener: &Arc<Listener>,
    execution: &Execution,
) -> Result<FollowReport> {
    let enough = CancellationToken::new();
    let watched = Execution::new(Arc::clone(listener) as _, enough.clone());
    let told = Following {
        capture: Capture::Only(FeedKind::Wal),
        until,
        verify: until == Until::CaughtUp,
        // All rows each time, though what nobody touched was found equal before.
        verification: Verifying { complete: true, ..Verifying::default() },
        ..Following::default()
    };
    let (options, _) = active(options.clone()).await?;
    let migration = Arc::new(Migration::plan(options, &execution.unwatched()).await?);
    let work = migration.follow(&told, &watched);
    tokio::pin!(work);
    let stop = async {
        match until {
            Until::CaughtUp => execution.interrupted().await,
            Until::Interrupted => sleep(Duration::from_secs(2)).await,
        }
        enough.cancel();
    };
    tokio::select! {
        done = &mut work => return done,
        () = stop => {}
    }
    work.await
}

/// Orders that the old shop confirmed and that the new one has not exactly once.
async fn missing_orders(new: &Connection, bought: &Bought) -> Result<i64> {
    let query = Sql::literal(
        "SELECT count(*) FROM unnest($1::bigint[]) AS told (id)
         WHERE (SELECT count(*) FROM orders WHERE orders.id = told.id) <> 1",
    );
    Ok(Session::connect(new).await?.query_one(&query, &[&bought.orders]).await?.get(0))
}

fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}

/// All that is told of a demo.
struct Told<'a> {
    compared: &'a FollowReport,
    during: &'a VerificationReport,
    verified: &'a VerificationReport,
    bought: &'a Bought,
    missing: i64,
    damage: &'a str,
    /// Of the cutover and of the rollback.
    stalls: [Duration; 2],
}

impl Told<'_> {
    /// What happened, for someone who sees it for the first time.
    fn story(&self, listener: &Listener) -> String {
        let rows: i64 = self.during.tables.iter().map(|table| table.target_rows).sum();
        let (batches, applied) = listener.applied();
        let orders = self.bought.orders.len() as u64;
        let lost = if self.missing == 0 {
            "not one is missing".to_owned()
        } else {
            format!("{} are MISSING", self.missing)
        };
        format!(
            "What happened\n\
             - Shoppers went on buying all the time: {} transactions were\n  \
               confirmed to them, {} of them orders, and {} failed.\n  \
               The longest wait was {}.\n\
             - They were led to the new shop (writes waited for {}), bought\n  \
               there, and were led back ({}), with everything they had bought.\n\
             - Meanwhile {} rows went from the old shop to the new one and all\n  \
               that changed was applied: {} until both were equal, then {} batches\n  \
               of {} rows in all. The new shop was never further behind than {}.\n\
             - On the way, users became customers, one name became two, prices became\n  \
               numbers, a bio moved to a table of its own, and each order line got its\n  \
               product's name by a join. The mapping says so in SQL.\n\
             - While they were buying, both servers were frozen in one picture, hashed every\n  \
               row of it, and compared the sums: equal. And once more at the end, in {}.\n\
             - Of the orders that were confirmed, {lost} on either side.\n\
             - To see that comparing means something, one price was changed by a cent.\n  \
               It was found: {}.\n\n\
             Next: `confiture init`, and README.md.\n",
            numbers::thousands(self.bought.transactions),
            numbers::thousands(orders),
            numbers::thousands(self.bought.failed),
            numbers::milliseconds(self.bought.longest),
            numbers::milliseconds(self.stalls[0]),
            numbers::milliseconds(self.stalls[1]),
            numbers::thousands(rows.unsigned_abs()),
            numbers::duration(self.compared.elapsed),
            numbers::thousands(batches),
            numbers::thousands(applied),
            numbers::milliseconds(listener.longest_lag()),
            numbers::duration(self.verified.elapsed),
            self.damage,
        )
    }
}
