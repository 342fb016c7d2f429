//! States of a database compared by what the server says of their objects: quickly, and missing nothing.
//!
//! Where two digests are the same, so are the states. Where they are not, [`crate::diff`] says whether anything differs.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::postgres::{Row, Session, Statement, rare_objects};
use crate::sql::{QualifiedName, Sql};

/// The objects of a database that users have made, and the server's own words for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest {
    objects: BTreeMap<String, Vec<String>>,
}

impl Digest {
    /// They have no name of an object in common.
    fn is_apart_from(&self, other: &Self) -> bool {
        !self.objects.keys().any(|object| other.objects.contains_key(object))
    }

    fn extend(&mut self, more: &Self) {
        for (object, definitions) in &more.objects {
            let all = self.objects.entry(object.clone()).or_default();
            all.extend(definitions.iter().cloned());
            all.sort();
        }
    }
}

/// Reads the digest of a database, without the table `without` (the history, which no migration makes).
///
/// # Errors
///
/// A lost connection.
pub async fn read_digest(session: &Session, without: Option<&QualifiedName>) -> Result<Digest> {
    Reader::new(session.clone(), without).await?.digest(None).await
}

const DIGEST: &str = include_str!("../postgres/queries/digest.sql");

fn collect(rows: impl IntoIterator<Item = Row>) -> Digest {
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let definition: Option<String> = row.get("definition");
        objects.entry(row.get("object")).or_default().push(definition.unwrap_or_default());
    }
    objects.values_mut().for_each(|definitions| definitions.sort());
    Digest { objects }
}

/// What a database holds after a change.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// All of it.
    Whole(Digest),
    /// What it held before, and this.
    More(Digest),
}

impl State {
    /// What `base` has become.
    fn after(&self, base: &Digest) -> Digest {
        let added = match self {
            Self::Whole(digest) => return digest.clone(),
            Self::More(added) => added,
        };
        let mut digest = base.clone();
        digest.extend(added);
        digest
    }

    /// True where two states are not the same in every word that `base` has become.
    pub(super) fn differs(&self, other: &Self, base: &Digest) -> bool {
        if let (Self::More(one), Self::More(other)) = (self, other)
            && one.is_apart_from(base)
            && other.is_apart_from(base)
        {
            return one != other;
        }
        self.after(base) != other.after(base)
    }

    /// Turns `base` into what it has become.
    pub(super) fn turn(self, base: &mut Digest) {
        match self {
            Self::Whole(digest) => *base = digest,
            Self::More(added) => base.extend(&added),
        }
    }
}

/// Reads one state of a database after the other: of what only became more, no more than that.
pub(super) struct Reader {
    pub(super) session: Session,
    without: String,
    digest: Statement,
    rare: Statement,
    since: Statement,
    base: Option<Mark>,
}

/// When a state was read, and what has to be the same for its digest to hold.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    now: String,
    rows: i64,
    others: String,
    settings: String,
}

/// The rows of the catalogs that are as old as the base, and those that are not.
struct Counted {
    kept: i64,
    made: i64,
    is_apart: bool,
    mark: Mark,
}

impl Reader {
    /// Reads without the table `without`.
    ///
    /// # Errors
    ///
    /// A lost connection.
    pub(super) async fn new(session: Session, without: Option<&QualifiedName>) -> Result<Self> {
        session.batch(&Sql::literal("SET search_path = ''; SET jit = off")).await?;
        let digest = session.prepare(&Sql::literal(DIGEST)).await?;
        let rare = session.prepare(&rare_objects(session.server_version())).await?;
        let since = include_str!("../postgres/queries/digest_since.sql");
        let since = session.prepare(&Sql::literal(since)).await?;
        let without = without.map(ToString::to_string).unwrap_or_default();
        Ok(Self { session, without, digest, rare, since, base: None })
    }

    /// All, or what transactions from `from` on have made. Of rare kinds, none can be among the latter.
    async fn digest(&self, from: Option<&str>) -> Result<Digest> {
        let mut rows = self.session.query_prepared(&self.digest, &[&self.without, &from]).await?;
        if from.is_none() {
            rows.extend(self.session.query_prepared(&self.rare, &[]).await?);
        }
        Ok(collect(rows))
    }

    /// What the database holds now, and the mark of that.
    pub(super) async fn read(&self) -> Result<(State, Mark)> {
        let counted = self.count().await?;
        let mark = counted.mark;
        let holds =
            |base: &&Mark| base.rows == counted.kept && base.others == mark.others && counted.is_apart;
        let from = match self.base.as_ref().filter(holds) {
            Some(_) if counted.made == 0 => return Ok((State::More(Digest::default()), mark)),
            Some(base) => Some(base.now.as_str()),
            None => None,
        };
        let digest = self.digest(from).await?;
        Ok((if from.is_some() { State::More(digest) } else { State::Whole(digest) }, mark))
    }

    /// The mark of what the database holds now.
    pub(super) async fn mark(&self) -> Result<Mark> {
        Ok(self.count().await?.mark)
    }

    async fn count(&self) -> Result<Counted> {
        let from = self.base.as_ref().map(|base| base.now.as_str());
        let rows = self.session.query_prepared(&self.since, &[&from]).await?;
        let row = rows.first().ok_or_else(|| Error::unexpected("the catalogs were not counted"))?;
        let (kept, made): (i64, i64) = (row.get("kept"), row.get("made"));
        let mark = Mark {
            now: row.get("now"),
            rows: kept + made,
            others: row.get("others"),
            settings: row.get("settings"),
        };
        Ok(Counted { kept, made, is_apart: row.get("is_apart"), mark })
    }

    /// From now on, what comes is told beside the state of `mark`; `None`: all of it is read the next time.
    pub(super) fn go_on_from(&mut self, mark: Option<Mark>) {
        self.base = mark;
    }
}

impl Mark {
    /// True where sessions that begin now have the settings of those that began then.
    pub(super) fn has_settings_of(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}
