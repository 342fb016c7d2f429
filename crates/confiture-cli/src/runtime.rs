//! The asynchronous runtime, made only by commands that need one, and Ctrl-C.

use std::process;
use std::sync::Arc;
use std::time::Duration;

use confiture::event::Execution;
use confiture::{Error, Result};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::confirm;
use crate::invocation::Invocation;
use crate::output;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Runs `work`, watched by the progress display.
///
/// The first Ctrl-C (or SIGTERM) asks it to stop cleanly, the second ends the process at once.
pub(crate) fn run<T>(invocation: &Invocation, work: impl AsyncFnOnce(Execution) -> Result<T>) -> Result<T> {
    run_on(&mut Builder::new_multi_thread(), invocation, work)
}

/// As [`run`], for work that is one question to a server after the other: on one thread, no answer has to wake another.
pub(crate) fn run_in_turn<T>(
    invocation: &Invocation,
    work: impl AsyncFnOnce(Execution) -> Result<T>,
) -> Result<T> {
    run_on(&mut Builder::new_current_thread(), invocation, work)
}

fn run_on<T>(
    builder: &mut Builder,
    invocation: &Invocation,
    work: impl AsyncFnOnce(Execution) -> Result<T>,
) -> Result<T> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Error::unexpected("the asynchronous runtime does not start").because(error))?;
    let progress = Arc::new(Progress::new(&invocation.terminal, invocation.command));
    let interrupt = CancellationToken::new();
    let result = runtime.block_on(async {
        let (terminal, command) = (invocation.terminal.clone(), invocation.command);
        // Registered before there is anything to stop.
        if let Ok(signals) = Signals::new() {
            let listening = listen(signals, interrupt.clone(), Arc::clone(&progress));
            tokio::spawn(async move {
                listening.await;
                process::exit(end_at_once(&terminal, command));
            });
        }
        work(Execution::new(Arc::clone(&progress) as _, interrupt)).await
    });
    progress.close();
    // A question that nobody answers any more may still wait on stdin.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Returns when the process is to end at once.
async fn listen(mut signals: Signals, interrupt: CancellationToken, progress: Arc<Progress>) {
    signals.next().await;
    if !confirm::is_asking() {
        progress.say("Stopping cleanly; Ctrl-C again ends at once.");
    }
    interrupt.cancel();
    signals.next().await;
    progress.close();
}

/// Says that nothing was waited for, as whoever reads the output expects it, and gives the exit status.
fn end_at_once(terminal: &Terminal, command: &str) -> i32 {
    let error = Error::interrupted("ended at once: what the servers were doing ends with the connections")
        .hint("run the same command again: it looks at what is there");
    output::show(terminal, command, Err(error));
    130
}

/// Ctrl-C, and what `kill` sends. Registered once, so that none between two waits is missed.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
