//! How long tables will take: at the throughput that was configured, else at the one that a short copy measures.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;

use crate::error::Result;
use crate::event::Execution;
use crate::postgres::Session;
use crate::schema_to_schema::plan::{CopyFormat, PageRange, Route, TablePlan};
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::sessions::unless_interrupted;
use crate::sql::{Sql, sql};

/// Pages that the calibration copies: 8 MiB of heap.
const PAGES: u32 = 1024;
/// Rows a second over a foreign table, where nothing else is known.
const ASSUMED_FDW: f64 = 500_000.0;

/// Rows a second of one worker, and how we know.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Throughput {
    /// COPY, in rows a second of the calibrated table; `None` where nothing could be measured.
    pub copy_rows: Option<f64>,
    /// COPY, in heap bytes a second.
    pub copy_bytes: Option<f64>,
    /// A foreign table, in rows a second.
    pub fdw_rows: f64,
    /// How the figure for COPY is known.
    pub copy_basis: Basis,
    /// How the figure for FDW is known.
    pub fdw_basis: Basis,
}

/// How a figure is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// By a short copy between these two servers, just now.
    Measured,
    /// From the mapping's `strategy_config`.
    Configured,
    /// From nowhere.
    Assumed,
}

impl Migration {
    /// Copies some pages of the largest table into a temporary table of the target, which is gone at once, and writes an
    /// estimate to every table of the plan. Estimates count rows alone; keys and indexes come on top.
    ///
    /// # Errors
    ///
    /// Where a server is lost. A role that may not make temporary tables is no error: then only reading is measured.
    pub async fn estimate(&mut self, execution: &Execution) -> Result<Throughput> {
        const STOPPED: &str = "stopped while measuring; nothing was changed";
        let (source, target) = (self.source.clone(), self.target.clone());
        unless_interrupted(execution, &[&source, &target], STOPPED, Box::pin(self.estimate_to_the_end()))
            .await
    }

    async fn estimate_to_the_end(&mut self) -> Result<Throughput> {
        let mapping = &self.options.mapping;
        let mut throughput = Throughput {
            copy_rows: mapping.copy_throughput,
            copy_bytes: None,
            fdw_rows: mapping.fdw_throughput.unwrap_or(ASSUMED_FDW),
            copy_basis: if mapping.copy_throughput.is_some() { Basis::Configured } else { Basis::Assumed },
            fdw_basis: if mapping.fdw_throughput.is_some() { Basis::Configured } else { Basis::Assumed },
        };
        let calibrated = self
            .plan
            .tables
            .iter()
            .filter(|table| table.route != Route::Fdw && table.query.statement.is_none())
            .filter(|table| {
                table
                    .query
                    .storage
                    .first()
                    .is_some_and(|storage| storage.pages.is_some_and(|pages| pages > 0))
            })
            .max_by_key(|table| table.bytes);
        if let (Some(table), Basis::Assumed) = (calibrated, throughput.copy_basis) {
            let (rows, bytes) = calibrate(table, &self.source, &self.target).await?;
            throughput = Throughput {
                copy_rows: Some(rows),
                copy_bytes: Some(bytes),
                copy_basis: Basis::Measured,
                ..throughput
            };
        }
        let workers = self.plan.workers;
        for table in &mut self.plan.tables {
            table.estimated_seconds = estimate(table, &throughput, workers);
        }
        Ok(throughput)
    }
}

fn estimate(table: &TablePlan, throughput: &Throughput, workers: usize) -> Option<f64> {
    let one = match (table.route, throughput.copy_bytes) {
        (Route::Fdw, _) => return Some(rows(table) / throughput.fdw_rows),
        (_, Some(bytes)) => table.bytes as f64 / bytes,
        (_, None) => rows(table) / throughput.copy_rows?,
    };
    let chunks = crate::schema_to_schema::chunk::cut(&table.query.storage, workers).len();
    Some(one / chunks.clamp(1, workers) as f64)
}

fn rows(table: &TablePlan) -> f64 {
    table.rows as f64
}

/// Rows and heap bytes a second of one short copy.
async fn calibrate(table: &TablePlan, source: &Session, target: &Session) -> Result<(f64, f64)> {
    let pages = table.query.storage[0].pages.unwrap_or(PAGES).clamp(1, PAGES);
    let range = PageRange { storage: 0, pages: Some((0, pages)) };
    let format = Sql::literal(if table.format == CopyFormat::Binary { "(FORMAT binary)" } else { "" });
    target.batch(&Sql::literal("BEGIN")).await?;
    let like = sql!("CREATE TEMPORARY TABLE confiture_calibration (LIKE {}) ON COMMIT DROP", table.target);
    let writes = target.batch(&like).await.is_ok();
    let started = Instant::now();
    let stream = source.copy_out(&sql!("COPY ({}) TO STDOUT {}", table.select_sent(&range), format)).await?;
    tokio::pin!(stream);
    let mut rows = 0_u32;
    if writes {
        let into = sql!("COPY pg_temp.confiture_calibration ({}) FROM STDIN {}", table.column_list(), format);
        let sink = target.copy_in(&into).await?;
        tokio::pin!(sink);
        while let Some(message) = stream.next().await {
            let message: Bytes = message.map_err(|error| source.refused(error))?;
            rows += 1;
            sink.feed(message).await.map_err(|error| target.refused(error))?;
        }
        // A value that the target refuses is told by the migration, with its column; here it only ends the measuring.
        sink.finish().await.ok();
    } else {
        while let Some(message) = stream.next().await {
            message.map_err(|error| source.refused(error))?;
            rows += 1;
        }
    }
    let seconds = started.elapsed().as_secs_f64().max(0.001);
    target.batch(&Sql::literal("ROLLBACK")).await?;
    Ok((f64::from(rows.max(1)) / seconds, f64::from(pages) * 8192.0 / seconds))
}
