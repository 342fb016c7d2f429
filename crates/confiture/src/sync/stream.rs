//! One table from the source through the masks into the target: many readers of one snapshot, one writer in the target's
//! transaction.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::event::{Event, Execution};
use crate::postgres::{Session, WorkerThread};
use crate::sql::{Sql, sql};
use crate::sync::fingerprint::Fingerprints;
use crate::sync::plan::{CopyFormat, PageRange, TablePlan};
use crate::sync::planner::Sync;
use crate::sync::tuple::{Count, HEADER, Masker, SIGNATURE};

/// Bytes that are sent at once.
const FRAME: usize = 128 * 1024;
/// Frames that may wait between a reader and the writer.
const WAITING: usize = 4;

/// A reader of the snapshot, on a thread of its own.
pub(crate) struct Reader {
    pub(crate) session: Session,
    pub(crate) thread: WorkerThread,
}

/// What a table's rows came to.
pub(crate) struct Moved {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) counts: Vec<Count>,
    pub(crate) elapsed: Duration,
}

/// Some rows, ready to be written.
struct Frame {
    rows: u64,
    data: Bytes,
}

/// Fills a table.
pub(crate) async fn fill(
    sync: &Arc<Sync>,
    index: usize,
    chosen: Option<Vec<Sql>>,
    readers: &[Reader],
    writer: &Session,
    fingerprints: &Arc<Fingerprints>,
    execution: &Execution,
) -> Result<Moved> {
    let started = Instant::now();
    let table = &sync.plan.tables[index];
    execution.emit(&Event::TableStarted { table: table.table.clone() });
    let selects = chosen.unwrap_or_else(|| {
        table.ranges(readers.len()).iter().map(|range: &PageRange| table.select_range(range)).collect()
    });
    let queue = Arc::new(Mutex::new(VecDeque::from(selects)));
    let (frames, mut ready) = mpsc::channel::<Frame>(WAITING * readers.len());
    let mut reading = JoinSet::new();
    let busy = queue.lock().map_or(1, |queue| queue.len()).clamp(1, readers.len());
    for reader in &readers[..busy] {
        let (sync, queue, frames) = (Arc::clone(sync), Arc::clone(&queue), frames.clone());
        let (session, fingerprints) = (reader.session.clone(), Arc::clone(fingerprints));
        let work = async move { read(&sync, index, &queue, &session, &frames, &fingerprints).await };
        reading.spawn_on(work, reader.thread.handle());
    }
    drop(frames);
    let copy = sql!("COPY {} FROM STDIN {}", table.target_columns(), table.format_option());
    let writing = |error| writer.refused(error).context(format!("writing {}", table.table.short()));
    let sink = writer.copy_in(&copy).await.map_err(|error| error.context(table.table.short()))?;
    tokio::pin!(sink);
    let (mut rows, mut bytes) = (0, 0);
    if table.format == CopyFormat::Binary {
        sink.feed(Bytes::from([SIGNATURE, &[0; 8]].concat())).await.map_err(writing)?;
    }
    while let Some(frame) = ready.recv().await {
        rows += frame.rows;
        bytes += frame.data.len() as u64;
        let (name, more) = (table.table.clone(), frame.data.len() as u64);
        execution.emit(&Event::TableProgress { table: name, rows: frame.rows, bytes: more });
        sink.feed(frame.data).await.map_err(writing)?;
    }
    // The readers first: where one failed, nothing may be finished.
    let mut counts = vec![Count::default(); table.columns.len()];
    while let Some(ended) = reading.join_next().await {
        let read = ended.map_err(|panic| Error::unexpected("a reader panicked").because(panic))??;
        for (sum, more) in counts.iter_mut().zip(read) {
            sum.masked += more.masked;
            sum.unchanged += more.unchanged;
        }
    }
    if table.format == CopyFormat::Binary {
        sink.feed(Bytes::from_static(&[0xff, 0xff])).await.map_err(writing)?;
    }
    let written = sink.finish().await.map_err(writing)?;
    if written != rows {
        return Err(Error::unexpected(format!(
            "{rows} rows of {} were sent, and {written} arrived",
            table.table.short()
        )));
    }
    let elapsed = started.elapsed();
    execution.emit(&Event::TableFinished { table: table.table.clone(), rows, bytes, elapsed });
    Ok(Moved { rows, bytes, counts, elapsed })
}

/// Reads parts of the table until none is left.
async fn read(
    sync: &Sync,
    index: usize,
    queue: &Mutex<VecDeque<Sql>>,
    source: &Session,
    frames: &mpsc::Sender<Frame>,
    fingerprints: &Fingerprints,
) -> Result<Vec<Count>> {
    let (table, program) = (&sync.plan.tables[index], &sync.programs[index]);
    let mut masker = Masker::new(table, program, Some(sync.seed), sync.hashes[index].len());
    loop {
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
        let Some(select) = next else {
            fingerprints.add(&mut masker.fingerprints);
            return Ok(masker.counts);
        };
        if !read_part(table, &mut masker, &select, source, frames, fingerprints).await? {
            // The writer has gone, and says why.
            return Ok(masker.counts);
        }
    }
}

/// Reads one part; false where nobody takes it any more.
async fn read_part(
    table: &TablePlan,
    masker: &mut Masker<'_>,
    select: &Sql,
    source: &Session,
    frames: &mpsc::Sender<Frame>,
    fingerprints: &Fingerprints,
) -> Result<bool> {
    let reading = |error| source.refused(error).context(format!("reading {}", table.table.short()));
    let copy = sql!("COPY ({}) TO STDOUT {}", select, table.format_option());
    let stream = source
        .copy_out(&copy)
        .await
        .map_err(|error| error.context(format!("reading {}", table.table.short())))?;
    tokio::pin!(stream);
    let passes = masker.passes();
    let mut first = table.format == CopyFormat::Binary;
    let (mut data, mut rows) = (Vec::with_capacity(FRAME + 8192), 0);
    while let Some(message) = stream.next().await {
        let message: Bytes = message.map_err(reading)?;
        let mut row = &message[..];
        if first {
            // The header comes in one message with the first row.
            row = row.get(HEADER..).filter(|_| row.starts_with(SIGNATURE)).ok_or_else(|| {
                Error::unexpected(format!("the source's COPY of {} begins otherwise", table.table.short()))
            })?;
            first = false;
        }
        let is_end = table.format == CopyFormat::Binary && row.starts_with(&[0xff, 0xff]);
        if row.is_empty() || is_end {
            continue;
        }
        match table.format {
            _ if passes => data.extend_from_slice(row),
            CopyFormat::Binary => masker.binary(row, &mut data)?,
            CopyFormat::Text => masker.line(row, &mut data)?,
        }
        rows += 1;
        if data.len() >= FRAME {
            let full = std::mem::replace(&mut data, Vec::with_capacity(FRAME + 8192));
            if masker.fingerprints.len() > 4096 {
                fingerprints.add(&mut masker.fingerprints);
            }
            if frames.send(Frame { rows, data: full.into() }).await.is_err() {
                return Ok(false);
            }
            rows = 0;
        }
    }
    Ok(data.is_empty() || frames.send(Frame { rows, data: data.into() }).await.is_ok())
}
