//! One table from the source through the masks into the target: many readers of one snapshot; one writer in the target's
//! transaction, or several where the table waits in quarantine.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::event::{Event, Execution};
use crate::postgres::{CopyInSink, DriverError, Session, WorkerThread};
use crate::sql::{QualifiedName, Sql, sql};
use crate::sync::fingerprint::Fingerprints;
use crate::sync::plan::{CopyFormat, PageRange, TablePlan};
use crate::sync::planner::Sync;
use crate::sync::shuffle::Window;
use crate::sync::snapshot::Snapshot;
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
    /// The source's, in which they were read.
    pub(crate) snapshot: String,
    /// By a run before this one.
    pub(crate) earlier: bool,
}

/// Some rows, ready to be written.
struct Frame {
    rows: u64,
    data: Bytes,
}

/// One table on its way.
pub(crate) struct Filling<'a> {
    pub(crate) sync: &'a Arc<Sync>,
    /// Which of the plan's tables.
    pub(crate) index: usize,
    /// The statements that read it, where not all rows travel.
    pub(crate) chosen: Option<Vec<Sql>>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) fingerprints: &'a Arc<Fingerprints>,
}

/// Readers at work.
type Reading = JoinSet<Result<Vec<Count>>>;

impl Filling<'_> {
    fn table(&self) -> &TablePlan {
        &self.sync.plan.tables[self.index]
    }

    /// Fills a table, by as many writers as there are sessions.
    pub(crate) async fn fill(
        self,
        into: &QualifiedName,
        writers: &[&Session],
        execution: &Execution,
    ) -> Result<Moved> {
        let started = Instant::now();
        let table = self.table();
        execution.emit(&Event::TableStarted { table: table.table.clone() });
        let (mut reading, frames) = self.read(writers.len());
        let writing = frames.into_iter().zip(writers).map(|(frames, writer)| {
            let writing = Writing { table, into, writer };
            writing.pump(frames, execution)
        });
        let pumped = try_join_all(writing).await?;
        // The readers first: where one failed, nothing may be finished.
        let counts = self.counts(&mut reading).await?;
        let (mut rows, mut bytes) = (0, 0);
        for (sink, sent) in pumped {
            rows += sink.finish(sent.rows).await?;
            bytes += sent.bytes;
        }
        let elapsed = started.elapsed();
        execution.emit(&Event::TableFinished { table: table.table.clone(), rows, bytes, elapsed });
        let snapshot = self.snapshot.name.clone();
        Ok(Moved { rows, bytes, counts, elapsed, snapshot, earlier: false })
    }

    /// Reads a table for its originals alone: what an earlier run has written is searched by this one.
    pub(crate) async fn look_again(self) -> Result<()> {
        let program = &self.sync.programs[self.index];
        if program.columns.iter().all(|column| column.mask.is_none() && column.sent_raw) {
            return Ok(());
        }
        self.read_all(|_| ()).await
    }

    /// Reads a table and writes nothing: `take` gets some masked rows at a time.
    pub(crate) async fn read_all(self, mut take: impl FnMut(&[u8])) -> Result<()> {
        let (mut reading, receivers) = self.read(1);
        for mut frames in receivers {
            while let Some(frame) = frames.recv().await {
                take(&frame.data);
            }
        }
        self.counts(&mut reading).await.map(drop)
    }

    /// Starts readers for so many writers.
    fn read(&self, writers: usize) -> (Reading, Vec<mpsc::Receiver<Frame>>) {
        let readers = &self.snapshot.readers;
        let selects = self.chosen.clone().unwrap_or_else(|| {
            let ranges = self.table().ranges(readers.len());
            ranges.iter().map(|range: &PageRange| self.table().select_range(range)).collect()
        });
        let busy = selects.len().clamp(1, readers.len());
        let writers = writers.clamp(1, busy);
        let queue = Arc::new(Mutex::new(VecDeque::from(selects)));
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..writers).map(|_| mpsc::channel::<Frame>((WAITING * busy).div_ceil(writers))).unzip();
        let mut reading = JoinSet::new();
        for (reader, frames) in readers[..busy].iter().zip(senders.iter().cycle().cloned()) {
            let (sync, index, queue) = (Arc::clone(self.sync), self.index, Arc::clone(&queue));
            let (session, fingerprints) = (reader.session.clone(), Arc::clone(self.fingerprints));
            let work = async move { read(&sync, index, &queue, &session, &frames, &fingerprints).await };
            reading.spawn_on(work, reader.thread.handle());
        }
        (reading, receivers)
    }

    /// Waits for the readers.
    async fn counts(&self, reading: &mut Reading) -> Result<Vec<Count>> {
        let mut counts = vec![Count::default(); self.table().columns.len()];
        while let Some(ended) = reading.join_next().await {
            let read = ended.map_err(|panic| Error::unexpected("a reader panicked").because(panic))??;
            for (sum, more) in counts.iter_mut().zip(read) {
                sum.masked += more.masked;
                sum.unchanged += more.unchanged;
            }
        }
        Ok(counts)
    }
}

/// One COPY into a table.
#[derive(Clone, Copy)]
struct Writing<'a> {
    table: &'a TablePlan,
    into: &'a QualifiedName,
    writer: &'a Session,
}

/// A COPY that has got all its rows.
struct Pumped<'a> {
    writing: Writing<'a>,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

/// What was sent.
#[derive(Default)]
struct Sent {
    rows: u64,
    bytes: u64,
}

impl<'a> Writing<'a> {
    fn refused(self, error: DriverError) -> Error {
        self.writer.refused(error).context(format!("writing {}", self.table.table.short()))
    }

    /// Sends frames until there are none.
    async fn pump(
        self,
        mut frames: mpsc::Receiver<Frame>,
        execution: &Execution,
    ) -> Result<(Pumped<'a>, Sent)> {
        let table = self.table;
        let copy = sql!("COPY {} FROM STDIN {}", table.columns_of(self.into), table.format_option());
        let sink = self.writer.copy_in(&copy).await.map_err(|error| error.context(table.table.short()))?;
        let mut sink = Box::pin(sink);
        if table.format == CopyFormat::Binary {
            let header = Bytes::from([SIGNATURE, &[0; 8]].concat());
            sink.feed(header).await.map_err(|error| self.refused(error))?;
        }
        let mut sent = Sent::default();
        while let Some(frame) = frames.recv().await {
            let (rows, bytes) = (frame.rows, frame.data.len() as u64);
            sent.rows += rows;
            sent.bytes += bytes;
            execution.emit(&Event::TableProgress { table: table.table.clone(), rows, bytes });
            sink.feed(frame.data).await.map_err(|error| self.refused(error))?;
        }
        Ok((Pumped { writing: self, sink }, sent))
    }
}

impl Pumped<'_> {
    /// Ends the COPY; all of its rows must have arrived.
    async fn finish(mut self, rows: u64) -> Result<u64> {
        let writing = self.writing;
        if writing.table.format == CopyFormat::Binary {
            let trailer = Bytes::from_static(&[0xff, 0xff]);
            self.sink.feed(trailer).await.map_err(|error| writing.refused(error))?;
        }
        let written = self.sink.as_mut().finish().await.map_err(|error| writing.refused(error))?;
        if written == rows {
            return Ok(written);
        }
        Err(Error::unexpected(format!(
            "{rows} rows of {} were sent, and {written} arrived",
            writing.table.table.short()
        )))
    }
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
    let mut window = Window::of(masker, table.format);
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
        let mut tuple = Vec::new();
        let to = if window.is_some() { &mut tuple } else { &mut data };
        match table.format {
            _ if passes => to.extend_from_slice(row),
            CopyFormat::Binary => masker.binary(row, to)?,
            CopyFormat::Text => masker.line(row, to)?,
        }
        rows += match &mut window {
            None => 1,
            Some(window) => match window.take(tuple, masker) {
                true => window.flush(masker, &mut data)?,
                false => 0,
            },
        };
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
    if let Some(window) = &mut window {
        rows += window.flush(masker, &mut data)?;
    }
    Ok(data.is_empty() || frames.send(Frame { rows, data: data.into() }).await.is_ok())
}
