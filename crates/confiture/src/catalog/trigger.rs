//! Triggers.

use crate::sql::Identifier;

/// A user's trigger.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name.
    pub name: Identifier,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// When it fires.
    pub enabled: TriggerEnabled,
    /// True where a partitioned parent's trigger made it.
    pub inherited: bool,
}

/// `pg_trigger.tgenabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerEnabled {
    /// `O`: fires in ordinary sessions.
    Origin,
    /// `D`: never fires.
    Disabled,
    /// `R`: fires in replica sessions.
    Replica,
    /// `A`: fires always.
    Always,
}
