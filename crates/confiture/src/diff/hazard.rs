//! What there is to be known before a step runs.

use std::borrow::Cow;

use serde::Serialize;

use crate::diff::listed;

/// A reason to look twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "hazard", content = "why", rename_all = "snake_case")]
pub enum Hazard {
    /// Rows or values are lost.
    DataLoss(Cow<'static, str>),
    /// The table is rewritten or read as a whole under a lock that keeps everybody out.
    Rewrites(Cow<'static, str>),
    /// Nobody can write meanwhile.
    BlocksWrites(Cow<'static, str>),
    /// Rows that are there can make it fail.
    MayFail(Cow<'static, str>),
    /// Worth knowing.
    Note(Cow<'static, str>),
}

impl Hazard {
    /// The class, as a comment in a migration says it.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::DataLoss(_) => "data loss",
            Self::Rewrites(_) => "rewrites the table",
            Self::BlocksWrites(_) => "blocks writes",
            Self::MayFail(_) => "may fail on existing rows",
            Self::Note(_) => "note",
        }
    }

    /// Why.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::DataLoss(why)
            | Self::Rewrites(why)
            | Self::BlocksWrites(why)
            | Self::MayFail(why)
            | Self::Note(why) => why,
        }
    }

    /// The values of columns or attributes of these names are lost, where there are any.
    pub(super) fn values_lost(what: &str, names: &[String]) -> Option<Self> {
        let several = if names.len() > 1 { "s" } else { "" };
        let why = || format!("the values of the {what}{several} {} are lost", listed(names));
        (!names.is_empty()).then(|| Self::DataLoss(why().into()))
    }
}
