//! One snapshot of the source, and the sessions that read it.

use crate::error::{Error, Result};
use crate::postgres::{Session, WorkerThread};
use crate::sql::{Literal, Sql, sql};
use crate::sync::planner::Sync;
use crate::sync::stream::Reader;

/// The source as it was at one moment.
pub(crate) struct Snapshot {
    /// Holds the snapshot and the locks; short questions may be asked in between.
    pub(crate) holder: Session,
    /// `pg_current_snapshot()`.
    pub(crate) name: String,
    pub(crate) readers: Vec<Reader>,
}

impl Sync {
    /// One snapshot of the source, and readers that share it. Tables are locked against ALTER and TRUNCATE first, which do
    /// not wait for snapshots.
    pub(crate) async fn freeze_source(&self) -> Result<Snapshot> {
        let holder = Session::connect(&self.options.source).await?;
        holder.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
        let relations =
            self.plan.tables.iter().map(|table| &self.source_catalog.relations[&table.table].name);
        let lock = sql!("LOCK TABLE {} IN ACCESS SHARE MODE", Sql::join(", ", relations));
        holder
            .batch(&lock)
            .await
            .map_err(|error| error.context("locking the source's tables against changes of their form"))?;
        let export = "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_export_snapshot()";
        let row = holder.query_one(&Sql::literal(export), &[]).await?;
        let (shown, exported): (String, String) = (row.get(0), row.get(1));
        self.check_unchanged(&holder).await?;
        let mut readers = Vec::new();
        for _ in 0..self.plan.workers {
            let thread = WorkerThread::start()?;
            let connection = self.options.source.clone();
            let open = thread.spawn(async move { Session::connect(&connection).await });
            let opened = open
                .await
                .map_err(|panic| Error::unexpected("connecting a reader panicked").because(panic))?;
            let session = match opened {
                Ok(session) => session,
                // The server has no connection left: fewer readers do.
                Err(error) if error.sqlstate_code() == Some("53300") && !readers.is_empty() => break,
                Err(error) => return Err(error),
            };
            session.batch(&Sql::literal("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")).await?;
            session.batch(&sql!("SET TRANSACTION SNAPSHOT {}", Literal(&exported))).await?;
            readers.push(Reader { session, thread });
        }
        Ok(Snapshot { holder, name: shown, readers })
    }

    /// The plan is that of the tables as they are now: a column that came since is not classified.
    async fn check_unchanged(&self, holder: &Session) -> Result<()> {
        let now = crate::postgres::read_catalog_in_transaction(holder).await?;
        for table in &self.plan.tables {
            let form = |catalog: &crate::catalog::Catalog| {
                catalog.relations.get(&table.table).map(|relation| {
                    let column = |column: &crate::catalog::Column| {
                        (column.name.clone(), column.data_type.text.clone())
                    };
                    relation.columns.iter().map(column).collect::<Vec<_>>()
                })
            };
            if form(&now) != form(&self.source_catalog) {
                return Err(Error::refused(format!(
                    "{} was altered since the plan was made: nothing was changed",
                    table.table.short()
                ))
                .hint("plan again: a new column must be classified first"));
            }
        }
        Ok(())
    }
}
