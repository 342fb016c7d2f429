//! An application that is led by the user's commands, and several that are led together.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::config::{Hooks, Moment};
use crate::error::Result;
use crate::event::Execution;
use crate::hook;
use crate::schema_to_schema::cutover::application::{Application, Occasion, Pooler};

/// The user's commands at the moments of a switch: `pre_fence`, `fenced`, `switched`, `rolled_back`.
///
/// They read `{"event": "fenced", "kind": "cutover", "from": …, "to": …, "to_host": …, "to_port": …, "to_database": …}`, and the
/// same in variables. `fenced` has what is left of the longest stall, but for the moment that ending it takes, and all of them have their own timeout.
pub struct Commands {
    hooks: Hooks,
    folder: PathBuf,
    execution: Execution,
    /// Whether `fenced` has been called since writers were held; unknown in a process that ends what another began.
    led_over: Mutex<Option<bool>>,
}

impl Commands {
    /// Those of `hooks`, run in `folder`; what they say goes to `execution`.
    #[must_use]
    pub fn new(hooks: Hooks, folder: PathBuf, execution: Execution) -> Self {
        Self { hooks, folder, execution, led_over: Mutex::new(None) }
    }

    async fn run(&self, moment: Moment, occasion: &Occasion, at_most: Duration) -> Result<()> {
        let first = |connection: &crate::config::Connection| {
            let endpoint = connection.endpoints.first();
            (endpoint.map(|endpoint| endpoint.host.clone()), endpoint.map(|endpoint| endpoint.port))
        };
        let ((from_host, from_port), (to_host, to_port)) =
            (first(&occasion.leaving), first(&occasion.entering));
        let event = json!({
            "event": moment.key(),
            "kind": occasion.kind,
            "from": occasion.from,
            "to": occasion.to,
            "from_host": from_host,
            "from_port": from_port,
            "from_database": occasion.leaving.database,
            "to_host": to_host,
            "to_port": to_port,
            "to_database": occasion.entering.database,
        });
        let occasion =
            hook::Occasion { hooks: &self.hooks, moment, event: &event, at_most, folder: &self.folder };
        match moment {
            Moment::PreFence | Moment::Fenced => hook::run(&occasion, &self.execution).await,
            // What is decided is brought to its end.
            _ => hook::run(&occasion, &self.execution.uninterrupted()).await,
        }
    }

    fn note_led(&self, led: bool) -> Option<bool> {
        self.led_over.lock().unwrap_or_else(PoisonError::into_inner).replace(led)
    }
}

/// What ending a command takes that does not want to.
const END_OF_A_COMMAND: Duration = Duration::from_millis(800);

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl Application for Commands {
    fn pre_fence<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.run(Moment::PreFence, occasion, left(deadline)))
    }

    fn hold<'a>(&'a self, _: &'a Occasion, _: Instant) -> BoxFuture<'a, Result<()>> {
        self.note_led(false);
        Box::pin(async { Ok(()) })
    }

    fn fenced<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        self.note_led(true);
        // So that it is this command that is named, and not the whole switch that is out of time, and tried again.
        let left = left(deadline);
        let at_most = left.saturating_sub(END_OF_A_COMMAND).max(left / 2);
        Box::pin(self.run(Moment::Fenced, occasion, at_most))
    }

    fn switched<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.run(Moment::Switched, occasion, Duration::MAX))
    }

    /// Not where the try was given up before the application was led anywhere: somebody held a lock, and the next try comes.
    fn rolled_back<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            match self.note_led(false) {
                Some(false) => Ok(()),
                Some(true) | None => self.run(Moment::RolledBack, occasion, Duration::MAX).await,
            }
        })
    }
}

/// Applications that are led together, in this order: clients behind PgBouncer, and commands that tell the rest.
pub struct Several(pub Vec<Arc<dyn Application>>);

impl Application for Several {
    fn pooler(&self) -> Option<Pooler> {
        self.0.iter().find_map(|application| application.pooler())
    }

    fn pre_fence<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for application in &self.0 {
                application.pre_fence(occasion, deadline).await?;
            }
            Ok(())
        })
    }

    fn hold<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for application in &self.0 {
                application.hold(occasion, deadline).await?;
            }
            Ok(())
        })
    }

    fn fenced<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for application in &self.0 {
                application.fenced(occasion, deadline).await?;
            }
            Ok(())
        })
    }

    /// Each, whatever becomes of the others; the first error is the one to tell.
    fn switched<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut outcome = Ok(());
            for application in &self.0 {
                outcome = outcome.and(application.switched(occasion).await);
            }
            outcome
        })
    }

    /// As [`switched`](Self::switched).
    fn rolled_back<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut outcome = Ok(());
            for application in &self.0 {
                outcome = outcome.and(application.rolled_back(occasion).await);
            }
            outcome
        })
    }
}
