//! A migration watched in a browser: a page, its figures as JSON, metrics for Prometheus.
//!
//! One task looks once a second; however many watch, the servers are asked once. The list before a cutover takes longer to look
//! at: that is done while somebody watches. What is shown is what the ledger and the
//! servers' own statistics say: never a row, never a statement's text.

mod control;
mod guard;
mod headline;
mod history;
mod metrics;
mod page;
mod rail;
mod server;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use confiture::config::{Connection, Secret};
use confiture::event::Execution;
use confiture::schema_to_schema::Check;
use confiture::schema_to_schema::watch::Watch;
use confiture::{Error, ErrorKind, Result};
use tokio::time::{sleep, timeout};

pub(crate) use self::headline::{Headline, Tone, headline};
pub(crate) use self::history::History;
pub(crate) use self::rail::{Stop, StopState, rail};
use self::state::State;

/// How often it is looked, where looking is quick.
const EVERY: Duration = Duration::from_secs(1);

/// A look may take a tenth of the time: where the ledger is large, it is looked less often.
const SHARE: u32 = 9;

/// How often the list before a cutover is looked at, where that is quick.
const LIST: Duration = Duration::from_secs(5);

/// How long that may take.
const LONGEST: Duration = Duration::from_secs(60);

/// How often it is asked where the source is, while nobody knows.
const SOURCE: Duration = Duration::from_secs(3);

/// What a monitor is started with.
pub(crate) struct Monitor {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The token without which nothing is told to a run; `None` where nothing is to be told.
    pub(crate) token: Option<Secret>,
    /// The new database.
    pub(crate) target: Connection,
}

/// Serves until the execution is interrupted. `source` says where the source is, as soon as that can be said; `ready` hears the
/// address once it is listened on. `list` looks at the list before a cutover.
pub(crate) async fn serve(
    monitor: Monitor,
    source: impl AsyncFn() -> Option<Connection>,
    list: impl AsyncFn() -> Result<Vec<Check>>,
    ready: impl FnOnce(SocketAddr),
    execution: &Execution,
) -> Result<()> {
    let Monitor { listen, token, target } = monitor;
    let listener = server::bind(listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| confiture::Error::unexpected("the address is not known").because(error))?;
    let state = Arc::new(State::new(token.is_some()));
    let door = guard::Door { loopback: address.ip().is_loopback(), token };
    let mut watch = Watch::new(target.clone());
    ready(address);
    let serving = server::run(listener, Arc::clone(&state), door, target);
    let looking = look_on(&mut watch, &state, source);
    tokio::select! {
        () = serving => {}
        () = looking => {}
        () = check(&state, list) => {}
        () = execution.interrupted() => {}
    }
    Ok(())
}

/// Looks at the list before a cutover, again and again while somebody watches.
async fn check(state: &State, list: impl AsyncFn() -> Result<Vec<Check>>) {
    loop {
        if !state.wants_list() {
            sleep(EVERY).await;
            continue;
        }
        let began = Instant::now();
        let found = timeout(LONGEST, Box::pin(list())).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Connect, format!("it is not done within {LONGEST:?}")))
        });
        let took = began.elapsed();
        state.take_in_list(found);
        sleep(LIST.saturating_sub(took).max(took * SHARE)).await;
    }
}

async fn look_on(watch: &mut Watch, state: &State, source: impl AsyncFn() -> Option<Connection>) {
    let mut asked: Option<Instant> = None;
    loop {
        let began = Instant::now();
        if !watch.has_source() && asked.is_none_or(|asked| asked.elapsed() >= SOURCE) {
            asked = Some(began);
            if let Some(source) = source().await {
                watch.set_source(source);
            }
        }
        let look = watch.look(state.since()).await;
        let took = began.elapsed();
        state.take_in(look, took);
        sleep(EVERY.saturating_sub(took).max(took * SHARE)).await;
    }
}
