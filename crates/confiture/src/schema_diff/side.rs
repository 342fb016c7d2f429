//! One side of a comparison: where it comes from, and how a scratch database becomes what it is.

use std::sync::Arc;

use tokio::sync::RwLock;

use crate::catalog::{Key, Kind, Object, Objects};
use crate::config::mapping::TableName;
use crate::diff::{self, Sizes};
use crate::error::{Error, Result};
use crate::postgres::outlasting::{is_about_databases, makes_subscription};
use crate::postgres::scratch::Scratch;
use crate::postgres::{Reading, Session, find_mere_ledgers, read_lint_ground, read_objects, roles};
use crate::schema_diff::compare::Source;
use crate::schema_diff::prove::converge;
use crate::schema_diff::version;
use crate::sql::{Identifier, QualifiedName, SplitScript, Sql};

/// A source, and what is read of it before anything is made.
pub(super) struct Side<'a> {
    pub(super) source: &'a Source,
    /// What a live database holds.
    pub(super) live: Option<Live>,
}

/// What a live database holds.
pub(super) struct Live {
    pub(super) objects: Arc<Objects>,
    pub(super) sizes: Sizes,
    /// The schemas that the history stands in, which stay where it stays.
    hosts: Vec<Key>,
    /// The ledgers of other tools, and nothing else.
    ledgers: Vec<QualifiedName>,
}

impl<'a> Side<'a> {
    /// Reads a database; files are made later.
    pub(super) async fn read(source: &'a Source, history_table: Option<&TableName>) -> Result<Self> {
        let Source::Live(connection) = source else { return Ok(Self { source, live: None }) };
        let session = Session::connect(connection).await?;
        let objects = read_objects(&session, Reading::Once).await?;
        let sizes = Sizes::of(&read_lint_ground(&session).await?);
        let of_history = objects.all.iter().filter(|object| is_history(object, history_table));
        let hosts = of_history.filter_map(|object| {
            Some((Kind::Schema, Identifier::new(object.schema.as_deref()?).to_string()))
        });
        let hosts = hosts.filter(|key| objects.find(key).is_some()).collect();
        let objects = Arc::new(objects.without(|object| is_ours(object, history_table)));
        let ledgers = find_mere_ledgers(&session).await?;
        Ok(Self { source, live: Some(Live { objects, sizes, hosts, ledgers }) })
    }

    /// True where a live database has a ledger of another tool.
    pub(super) fn has_ledgers(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.ledgers.is_empty())
    }

    /// Leaves out the ledgers that `other` lacks: as with the history, what lacks them does not say that they go.
    pub(super) fn leave_ledgers(&mut self, other: &Objects) {
        let Some(live) = &mut self.live else { return };
        let is_table = |object: &Object, table: &QualifiedName| {
            object.kind == Kind::Table
                && object.schema.as_deref() == Some(table.schema.as_str())
                && object.name == table.name.as_str()
        };
        let lone = |table: &&QualifiedName| !other.all.iter().any(|object| is_table(object, table));
        let lone: Vec<_> = live.ledgers.iter().filter(lone).collect();
        if lone.is_empty() {
            return;
        }
        let hosts = lone.iter().map(|table| (Kind::Schema, table.schema.to_string()));
        live.hosts.extend(hosts.filter(|key| live.objects.find(key).is_some()));
        let rest = live.objects.without(|object| lone.iter().any(|table| is_table(object, table)));
        live.objects = Arc::new(rest);
    }

    /// Reads a live database as a server of `version` would have it; a remark where it is on another.
    pub(super) fn translate(&mut self, version: u32) -> Option<String> {
        let (Source::Live(connection), Some(live)) = (self.source, &mut self.live) else { return None };
        let remark = version::remark(&connection.database, live.objects.server_version, version)?;
        version::translate(Arc::make_mut(&mut live.objects), version);
        Some(remark)
    }

    /// What it holds and is not compared: a copy of a database lacks it, and subscriptions are not made in any.
    pub(super) fn uncovered(&self, made: &Objects) -> Vec<(String, u64)> {
        if let Some(live) = &self.live {
            return live.objects.uncovered.clone();
        }
        let mut uncovered = made.uncovered.clone();
        let mut count = |what: &str, is_one: fn(&str) -> bool| {
            let scripts = self.scripts().iter();
            let statements =
                scripts.flat_map(|one| one.statements.iter().map(|statement| one.text_of(statement)));
            match statements.filter(|text| is_one(text)).count() {
                0 => {}
                count => uncovered.push((what.to_owned(), count as u64)),
            }
        };
        count("subscription", makes_subscription);
        count("statement on a database", is_about_databases);
        uncovered
    }

    /// What a copy of the database cannot have.
    pub(super) fn unlike(&self, made: &Objects) -> Vec<String> {
        let Some(live) = &self.live else { return Vec::new() };
        let mut unlike = diff::of_no_toast(made, &live.objects, "keeps");
        unlike.extend(diff::broken_indexes(&live.objects).map(|index| {
            let name = &index.identity;
            format!("the index {name} is not valid, and is compared as if it were: REINDEX INDEX CONCURRENTLY {name} builds it")
        }));
        unlike
    }

    /// The files' texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.scripts().iter().map(|script| script.script.text())
    }

    /// `objects`, with the schemas that the history of this side stands in: what lacks them does not say that they go.
    fn host_in(&self, objects: &Arc<Objects>) -> Arc<Objects> {
        let mut hosting = Arc::clone(objects);
        let Some(live) = &self.live else { return hosting };
        for (_, host) in live.hosts.iter().filter_map(|key| live.objects.find(key)) {
            if objects.find(&host.key()).is_none() {
                Arc::make_mut(&mut hosting).take_in(host);
            }
        }
        hosting
    }

    fn scripts(&self) -> &[SplitScript] {
        match self.source {
            Source::Scripts(scripts) => scripts,
            Source::Live(_) => &[],
        }
    }
}

/// To whom the things on both sides belong.
pub(super) struct Owners {
    /// Whom a live database mostly belongs to, where the role of the scratch server stands for it.
    main: Option<String>,
    /// Both sides are databases, and every owner is told by name.
    by_name: bool,
}

impl Owners {
    /// Makes the roles that databases name, where the server is our own. Where they name the role of the scratch server itself, that is
    /// who it is, and the others are told by their names.
    pub(super) async fn of(old: &mut Side<'_>, new: &mut Side<'_>, session: &Session) -> Result<Self> {
        let role = &session.connection().user;
        let mut all = Vec::new();
        for live in [&old.live, &new.live].into_iter().flatten() {
            all.extend(diff::roles(&live.objects));
        }
        if session.connection().own_server {
            roles::make_roles(session, &all).await?;
        }
        let first = old.live.as_ref().or(new.live.as_ref());
        let main = first.and_then(|live| diff::main_owner(&live.objects)).filter(|_| !all.contains(role));
        let are_both = old.live.is_some() && new.live.is_some();
        let by_name = are_both && roles::absent(session, main.iter().cloned().collect()).await?.is_empty();
        let main = main.filter(|_| !by_name);
        for live in [&mut old.live, &mut new.live].into_iter().flatten() {
            let objects = Arc::make_mut(&mut live.objects);
            objects.role = match by_name {
                true => String::new(),
                false => main.clone().unwrap_or_else(|| role.clone()),
            };
            objects.stand_for(None);
        }
        Ok(Self { main, by_name })
    }

    /// What a scratch database holds, by the names that its roles stand for.
    pub(super) async fn read(&self, session: &Session, reading: Reading) -> Result<Arc<Objects>> {
        let mut objects = read_objects(session, reading).await?;
        if self.by_name {
            objects.role.clear();
        }
        objects.stand_for(self.main.as_deref());
        Ok(Arc::new(objects))
    }

    /// Makes two scratch databases what the two sides are, at the same time; where one side has ledgers of other tools, the other one first.
    pub(super) async fn build_both(
        &self,
        (left, right): (&Scratch, &Scratch),
        (old, new): (&mut Side<'_>, &mut Side<'_>),
    ) -> Result<(Arc<Objects>, Arc<Objects>)> {
        if let (Some(of_old), Some(of_new)) = (&old.live, &new.live) {
            let (of_old, of_new) = (Arc::clone(&of_old.objects), Arc::clone(&of_new.objects));
            old.leave_ledgers(&of_new);
            new.leave_ledgers(&of_old);
        } else if old.has_ledgers() {
            let after = self.build(right, new, old).await?;
            old.leave_ledgers(&after);
            return Ok((self.build(left, old, new).await?, after));
        } else if new.has_ledgers() {
            let before = self.build(left, old, new).await?;
            new.leave_ledgers(&before);
            return Ok((before, self.build(right, new, old).await?));
        }
        tokio::try_join!(self.build(left, old, new), self.build(right, new, old))
    }

    /// Makes a scratch database what `side` is beside `other`.
    pub(super) async fn build(
        &self,
        scratch: &Scratch,
        side: &Side<'_>,
        other: &Side<'_>,
    ) -> Result<Arc<Objects>> {
        let session = scratch.session();
        match (side.source, &side.live) {
            (Source::Live(connection), Some(live)) => {
                let empty = self.read(session, Reading::Once).await?;
                let all = other.host_in(&live.objects);
                let made = converge(session, (&empty, &all), &[], self, &RwLock::default()).await;
                made.map(|(_, copy)| copy).map_err(|error| {
                    let what = format!(
                        "the schema of {} cannot be copied into a scratch database",
                        connection.database
                    );
                    roles::advise(session, error).context(what)
                })
            }
            (Source::Scripts(scripts), _) => {
                scratch.run(scripts).await?;
                let made = self.read(session, Reading::Repeated).await?;
                let all = other.host_in(&made);
                let made = match Arc::ptr_eq(&made, &all) {
                    true => made,
                    false => converge(session, (&made, &all), &[], self, &RwLock::default()).await?.1,
                };
                let Some(live) = &other.live else { return Ok(made) };
                let given = diff::adopt(&made, &live.objects);
                if given.is_empty() {
                    return Ok(made);
                }
                session.batch(&Sql::join("; ", given)).await.map_err(|error| {
                    roles::advise(session, error)
                        .context("what the files make cannot be given to its owners in the database")
                })?;
                self.read(session, Reading::Repeated).await
            }
            (Source::Live(_), None) => Err(Error::unexpected("a database was not read")),
        }
    }
}

/// What Confiture itself keeps in a database.
fn is_ours(object: &Object, history_table: Option<&TableName>) -> bool {
    let schema = object.schema.as_deref().unwrap_or_default();
    let in_schema = schema == "confiture" || object.kind == Kind::Schema && object.name == "confiture";
    in_schema || is_history(object, history_table)
}

fn is_history(object: &Object, history_table: Option<&TableName>) -> bool {
    let schema = object.schema.as_deref().unwrap_or_default();
    let is_it = |table: &TableName| {
        table.name.as_str() == object.name
            && table.schema.as_ref().is_none_or(|within| within.as_str() == schema)
    };
    object.kind == Kind::Table && history_table.is_some_and(is_it)
}
