//! Which servers a migration follows between: after one of them was promoted or restored, it may lack commits that the other
//! has, and positions in its changes mean nothing.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::sql::Sql;

/// A cluster, its timeline, and how far its transactions were when it was looked at; `?` for what the role may not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    cluster: String,
    timeline: String,
    /// The next transaction.
    next: u64,
}

impl Identity {
    /// Of the session's server.
    pub(crate) async fn read(session: &Session) -> Result<Self> {
        let query = Sql::literal(include_str!("../../postgres/queries/server_identity.sql"));
        let row = session.query_one(&query, &[]).await?;
        let next: &str = row.get(2);
        Ok(Self { cluster: row.get(0), timeline: row.get(1), next: next.parse().unwrap_or_default() })
    }

    /// Why `now` may lack commits that this one had; `None` where it is the same server, further on.
    pub(crate) fn broken_by(&self, now: &Self) -> Option<&'static str> {
        let differs = |then: &str, now: &str| then != now && then != "?" && now != "?";
        if differs(&self.cluster, &now.cluster) {
            return Some("it is another cluster");
        }
        if differs(&self.timeline, &now.timeline) {
            return Some("a standby was promoted, or a backup restored");
        }
        (now.next < self.next)
            .then_some("its transactions are not as far as they were: a backup was restored")
    }

    /// The same, known to have been as far as transaction `next`.
    pub(crate) fn at_least(self, next: u64) -> Self {
        Self { next: self.next.max(next), ..self }
    }

    /// True where the role may not ask which cluster or timeline it is.
    pub(crate) fn is_vague(&self) -> bool {
        self.cluster == "?" && self.timeline == "?"
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.timeline, self.next)
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or("?").to_owned();
        let (cluster, timeline) = (part(), part());
        Ok(Self { cluster, timeline, next: part().parse().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_on_both_sides_is_compared() {
        let broken = |then: &str, now: &str| {
            let (then, now): (Identity, Identity) = (then.parse().unwrap(), now.parse().unwrap());
            then.broken_by(&now).is_some()
        };
        assert!(!broken("77/00000001/900", "77/00000001/900"));
        assert!(!broken("77/00000001/900", "77/00000001/1000"));
        assert!(broken("77/00000001/900", "78/00000001/900"));
        assert!(broken("77/00000001/900", "77/00000002/900"));
        assert!(broken("77/00000001/900", "77/00000001/899"));
        assert!(!broken("?/?/900", "77/00000001/901"));
        assert!(broken("?/00000001/900", "?/00000002/900"));
        assert_eq!("77/00000001/900".parse::<Identity>().unwrap().to_string(), "77/00000001/900");
    }
}
