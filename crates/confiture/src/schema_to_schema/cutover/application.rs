//! The application, as far as a cutover speaks to it.

use std::time::Instant;

use futures_util::future::BoxFuture;

use crate::config::Connection;
use crate::error::Result;
use crate::schema_to_schema::cutover::SwitchKind;
use crate::schema_to_schema::options::Options;

/// What a switch is about, for whoever leads the application to the other side.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Occasion {
    /// A cutover or a rollback.
    pub kind: SwitchKind,
    /// The side that the application leaves, without its password.
    pub from: String,
    /// The side that it goes to, without its password.
    pub to: String,
    /// How to reach the one.
    #[serde(skip)]
    pub leaving: Connection,
    /// And the other.
    #[serde(skip)]
    pub entering: Connection,
}

impl Occasion {
    /// A switch of the migration whose way forward has these options.
    #[must_use]
    pub fn of(kind: SwitchKind, forward: &Options) -> Self {
        let (old, new) = (&forward.source, &forward.target);
        let (leaving, entering) = match kind {
            SwitchKind::Cutover => (old, new),
            SwitchKind::Rollback => (new, old),
        };
        let (from, to) = (leaving.to_string(), entering.to_string());
        Self { kind, from, to, leaving: leaving.clone(), entering: entering.clone() }
    }
}

/// A PgBouncer whose clients are held back during a switch, as the ledger remembers it: for whoever has to let them go on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pooler {
    /// Its admin console, without a password.
    pub console: String,
    /// The database, as clients name it.
    pub database: String,
    /// Its configuration file.
    pub file: Option<std::path::PathBuf>,
}

/// Leads the application to the other side. Everything must be over by `deadline`, or fail.
pub trait Application: Send + Sync {
    /// The PgBouncer whose clients it holds back.
    fn pooler(&self) -> Option<Pooler> {
        None
    }

    /// Once, before anything is fenced. An error ends the switch, and nothing has happened.
    fn pre_fence<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        let _ = (occasion, deadline);
        Box::pin(async { Ok(()) })
    }

    /// At each attempt, before the fence: holds writers back where they need not fail.
    fn hold<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        let _ = (occasion, deadline);
        Box::pin(async { Ok(()) })
    }

    /// Both sides are fenced and equal: leads the application over. An error takes everything back.
    fn fenced<'a>(&'a self, occasion: &'a Occasion, deadline: Instant) -> BoxFuture<'a, Result<()>> {
        let _ = (occasion, deadline);
        Box::pin(async { Ok(()) })
    }

    /// The other side takes writes. What fails here is told, and cannot be taken back.
    fn switched<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        let _ = occasion;
        Box::pin(async { Ok(()) })
    }

    /// An attempt was given up: leads back whoever was led over, and lets everybody go on. Also after a process died.
    fn rolled_back<'a>(&'a self, occasion: &'a Occasion) -> BoxFuture<'a, Result<()>> {
        let _ = occasion;
        Box::pin(async { Ok(()) })
    }
}

/// An application that finds the other side by itself.
impl Application for () {}
