//! The thread that reads the stream, which has a runtime of its own.
//!
//! The server sends every row by itself. Whoever waits for the socket is woken for each, and that costs both sides more than
//! the row; a task that has looked away does not help, because the runtime waits in its place. So the stream's runtime has
//! nothing else to do, and is put to sleep as a whole while much is coming.

use std::thread::Builder as ThreadBuilder;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::context::TokioContext;

use super::stream::{self, Stream};
use crate::error::{Error, Result};

/// A thread that waits for a stream; it ends where it gets none, or with it.
pub(super) struct Thread {
    handle: Handle,
    stream: oneshot::Sender<Stream>,
}

impl Thread {
    pub(super) fn start() -> Result<Self> {
        let failed = |error| Error::unexpected("the thread that reads the WAL does not start").because(error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stream, given) = oneshot::channel();
        let work = async {
            if let Ok(stream) = given.await {
                stream::run(stream).await;
            }
        };
        ThreadBuilder::new().name("wal".into()).spawn(move || runtime.block_on(work)).map_err(failed)?;
        Ok(Self { handle, stream })
    }

    /// Does `work` with the thread's runtime, to which the sockets belong that it opens.
    pub(super) fn within<F: Future>(&self, work: F) -> TokioContext<F> {
        TokioContext::new(work, self.handle.clone())
    }

    /// Has the thread read.
    pub(super) fn read(self, stream: Stream) {
        // The thread is there: it waits for this.
        let _ = self.stream.send(stream);
    }
}
