//! One range of one table, from the source through the client into the target.

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};

use crate::error::Result;
use crate::event::{Event, Execution};
use crate::postgres::Session;
use crate::schema_to_schema::plan::{CopyFormat, PageRange, TablePlan};
use crate::sql::{Sql, sql};

/// Bytes gathered before they are sent on: a server gives one message a row, and a message a row is slow to take.
const GATHERED: usize = 128 * 1024;

/// What one range held.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Streams one range with COPY into `into`, a table with its columns. The target's transaction is the caller's.
pub(crate) async fn copy_range(
    table: &TablePlan,
    range: &PageRange,
    into: &Sql,
    source: &Session,
    target: &Session,
    execution: &Execution,
) -> Result<Moved> {
    let progress = |rows, bytes| {
        execution.emit(&Event::TableProgress { table: table.target.clone(), rows, bytes });
    };
    stream(table, &table.select_sent(range), into, [source, target], progress).await
}

/// Streams with COPY what `select` gives into `into`, a table with its columns; never holds more than some messages of it.
/// `sent` hears of rows and bytes that go on.
pub(crate) async fn stream(
    table: &TablePlan,
    select: &Sql,
    into: &Sql,
    [source, target]: [&Session; 2],
    sent: impl Fn(u64, u64),
) -> Result<Moved> {
    let format = format_option(table.format);
    let (out, into) =
        (sql!("COPY ({}) TO STDOUT {}", select, format), sql!("COPY {} FROM STDIN {}", into, format));
    let (stream, sink) = tokio::try_join!(source.copy_out(&out), async {
        target.copy_in(&into).await.map_err(|error| error.context(table.target.short()))
    })?;
    tokio::pin!(stream, sink);
    let reading = |error| source.refused(error).context(format!("reading for {}", table.target.short()));
    let writing = |error| target.refused(error).context(format!("writing {}", table.target.short()));
    let (mut gathered, mut messages, mut bytes) = (BytesMut::new(), 0, 0);
    while let Some(message) = stream.next().await {
        gathered.extend_from_slice(&message.map_err(reading)?);
        messages += 1;
        if gathered.len() >= GATHERED {
            let full = std::mem::replace(&mut gathered, BytesMut::with_capacity(GATHERED + 8192)).freeze();
            bytes += full.len() as u64;
            sent(messages, full.len() as u64);
            messages = 0;
            sink.feed(full).await.map_err(writing)?;
        }
    }
    if !gathered.is_empty() {
        bytes += gathered.len() as u64;
        // The trailer of the binary format is a message, but no row.
        sent(messages - u64::from(table.format == CopyFormat::Binary), gathered.len() as u64);
        sink.feed(gathered.freeze()).await.map_err(writing)?;
    }
    let rows = sink.finish().await.map_err(writing)?;
    Ok(Moved { rows, bytes })
}

/// The format of a table's COPY.
fn format_option(format: CopyFormat) -> Sql {
    Sql::literal(match format {
        CopyFormat::Binary => "(FORMAT binary)",
        CopyFormat::Text => "",
    })
}

/// Fills a table with one statement within one database; the rows and their order of columns are the plan's.
/// `pass_over` the rows that are there already.
pub(crate) async fn insert_range(
    table: &TablePlan,
    range: &PageRange,
    pass_over: bool,
    target: &Session,
) -> Result<Moved> {
    let insert = sql!(
        "INSERT INTO {} OVERRIDING SYSTEM VALUE {}{}",
        table.target_columns(),
        table.select_inserted(range),
        Sql::literal(if pass_over { " ON CONFLICT DO NOTHING" } else { "" })
    );
    let rows = target.execute(&insert, &[]).await.map_err(|error| error.context(table.target.short()))?;
    Ok(Moved { rows, bytes: 0 })
}
