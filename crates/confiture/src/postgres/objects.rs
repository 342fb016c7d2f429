//! Reading every object of a database, in one round trip.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, mpsc};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::{SimpleColumn, SimpleQueryMessage, SimpleQueryRow};

use crate::catalog::{Kind, Object, Objects};
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::labelled::Labels;
use crate::sql::{Sql, sql};

/// The queries, each of which runs in psql where `search_path` is empty. An object comes as JSON in the column `body`, or in
/// columns that say what they are ([`Labels`]).
const COMMON: [&str; 17] = [
    include_str!("queries/objects/schemas.sql"),
    include_str!("queries/objects/extensions.sql"),
    include_str!("queries/objects/types.sql"),
    include_str!("queries/objects/sequences.sql"),
    include_str!("queries/objects/tables.sql"),
    include_str!("queries/objects/columns.sql"),
    include_str!("queries/objects/system_columns.sql"),
    include_str!("queries/objects/defaults.sql"),
    include_str!("queries/objects/inheritance.sql"),
    include_str!("queries/objects/constraints.sql"),
    include_str!("queries/objects/indexes.sql"),
    include_str!("queries/objects/statistics.sql"),
    include_str!("queries/objects/routines.sql"),
    include_str!("queries/objects/views.sql"),
    include_str!("queries/objects/rules.sql"),
    include_str!("queries/objects/triggers.sql"),
    include_str!("queries/objects/policies.sql"),
];

/// The same of the kinds that few databases have; none is in a schema whose name begins with `pg_`.
const RARE: [&str; 8] = [
    include_str!("queries/objects/operators.sql"),
    include_str!("queries/objects/casts.sql"),
    include_str!("queries/objects/collations.sql"),
    include_str!("queries/objects/text_search.sql"),
    include_str!("queries/objects/foreign_data.sql"),
    include_str!("queries/objects/publications.sql"),
    include_str!("queries/objects/event_triggers.sql"),
    include_str!("queries/objects/default_privileges.sql"),
];

/// What is said of all of these.
const MORE: [&str; 4] = [
    include_str!("queries/objects/assignments.sql"),
    include_str!("queries/objects/descriptions.sql"),
    include_str!("queries/objects/depends.sql"),
    "SELECT 'role' AS kind, '' AS class, 0 AS oid, 0 AS sub, pg_catalog.to_json(current_user) AS body",
];

/// Reads objects of rare kinds: what each is called, and all that is said of it, but for OIDs.
pub(crate) fn rare_objects(server_version: u32) -> Sql {
    let all = RARE.into_iter().chain([publication_members(server_version)]);
    let one = |query| {
        sql!(
            "SELECT concat(kind, ' ', body ->> 'identity') AS object, (body::jsonb - 'parent' - 'depends')::text AS definition FROM ({}\n) AS rare",
            Sql::literal(query)
        )
    };
    Sql::join("\nUNION ALL\n", all.map(one))
}

fn publication_members(server_version: u32) -> &'static str {
    if server_version >= 150_000 {
        include_str!("queries/objects/publication_members.sql")
    } else {
        include_str!("queries/objects/publication_members_14.sql")
    }
}

/// How the names of prepared queries begin.
const PREPARED: &str = "confiture_catalog_";

/// An object as the system catalogs address it: catalog, by its place in [`Reader::classes`], OID, part.
type Address = (usize, u32, i64);

/// When and where the catalog is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Once on this session, in a transaction of its own.
    Once,
    /// Again and again on this session, each time in a transaction of its own. The server keeps the queries prepared: to parse
    /// and to plan them is four fifths of the work where a database is small. They are planned for what it holds at first, so
    /// an empty one is better read [once](Self::Once).
    Repeated,
    /// The same in the transaction that is open: this is how a plan's outcome is seen before it is committed.
    InTransaction,
}

/// Reads everything that the database of `session` holds.
///
/// # Errors
///
/// What the server refuses.
pub async fn read_objects(session: &Session, reading: Reading) -> Result<Objects> {
    let prepared = if reading == Reading::Once { None } else { Some(read_prepared(session).await?) };
    let texts = texts(reading, session.server_version(), prepared.as_ref());
    // What has come is read on a thread of its own while the server goes on.
    let (sender, rows) = mpsc::channel();
    let server_version = session.server_version();
    let read = tokio::task::spawn_blocking(move || read(&rows, server_version));
    let received = receive(session, &texts, sender).await;
    if received.is_err() && reading != Reading::InTransaction {
        let _ = session.client().simple_query("ROLLBACK").await;
    }
    let read = read.await;
    received?;
    read.map_err(|error| Error::unexpected("reading the catalog has ended early").because(error))?
}

/// What the server is told, one text after the other. `prepared` is what it keeps prepared, where it is to keep the queries.
fn texts(reading: Reading, server_version: u32, prepared: Option<&HashSet<String>>) -> Vec<String> {
    let (begin, commit) = match reading {
        Reading::InTransaction => ("", ""),
        _ => ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ", "COMMIT"),
    };
    // Joins are made as they are written: to look for a better order is a third of the work of planning.
    let settings = "SET LOCAL search_path = ''; SET LOCAL jit = off; SET LOCAL join_collapse_limit = 1";
    // What is not compared does not matter for a plan's outcome.
    let uncovered =
        (reading != Reading::InTransaction).then_some(include_str!("queries/objects/uncovered.sql"));
    let members = publication_members(server_version);
    let queries = COMMON.into_iter().chain(RARE).chain(MORE).chain([members]).chain(uncovered);
    let mut texts = vec![format!("{begin}{settings}")];
    let mut text = String::new();
    for (number, query) in queries.enumerate() {
        let Some(prepared) = prepared else {
            text.extend([query, ";\n"]);
            continue;
        };
        let name = format!("{PREPARED}{number}");
        // In a text of its own: the server keeps with each query all that it came with.
        if !prepared.contains(&name) {
            texts.push(format!("PREPARE {name} AS {query}"));
        }
        text.extend(["EXECUTE ", &name, ";\n"]);
    }
    text.push_str(commit);
    texts.push(text);
    texts
}

/// Which of the queries the session keeps prepared; scripts of users may have discarded them.
async fn read_prepared(session: &Session) -> Result<HashSet<String>> {
    let query = Sql::literal("SELECT name FROM pg_catalog.pg_prepared_statements");
    Ok(session.query(&query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// A part of what the server answers.
enum Answer {
    Columns(Arc<[SimpleColumn]>),
    Rows(Vec<SimpleQueryRow>),
}

/// Hands on what the server answers, many rows at a time. It need not have answered one text to get the next.
async fn receive(session: &Session, texts: &[String], sender: mpsc::Sender<Answer>) -> Result<()> {
    const MANY: usize = 250;
    let refused = |error| session.refused(error);
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        all.push(session.client().simple_query_raw(text).await.map_err(refused)?);
    }
    let mut answers = pin!(stream::iter(all).flatten());
    let mut rows = Vec::new();
    while let Some(answer) = answers.try_next().await.map_err(refused)? {
        let columns = match answer {
            SimpleQueryMessage::Row(row) => {
                rows.push(row);
                None
            }
            SimpleQueryMessage::RowDescription(columns) => Some(columns),
            _ => None,
        };
        // Who has stopped reading says why itself.
        if rows.len() == MANY || columns.is_some() {
            let _ = sender.send(Answer::Rows(std::mem::take(&mut rows)));
        }
        if let Some(columns) = columns {
            let _ = sender.send(Answer::Columns(columns));
        }
    }
    let _ = sender.send(Answer::Rows(rows));
    Ok(())
}

fn read(answers: &mpsc::Receiver<Answer>, server_version: u32) -> Result<Objects> {
    let mut reader = Reader::default();
    reader.found.server_version = server_version;
    // None where the rows hold JSON.
    let mut labels = None;
    for answer in answers {
        let rows = match answer {
            Answer::Columns(columns) => {
                reader.add_in_order();
                labels = (columns.get(4).is_none_or(|column| column.name() != "body"))
                    .then(|| Labels::of(&columns));
                continue;
            }
            Answer::Rows(rows) => rows,
        };
        for row in rows {
            let field = |index: usize| row.get(index).unwrap_or_default();
            let address = (reader.class(field(1)), parse(field(2))?, parse(field(3))?);
            if field(0) == "depends" {
                let on = (reader.class(field(4)), parse(field(5))?, parse(field(6))?);
                reader.edges.push((address, on, parse(field(7))?));
                continue;
            }
            match &labels {
                Some(labels) => reader.take(field(0), address, &labels.object(&row))?,
                None => reader.take(field(0), address, field(4))?,
            }
        }
    }
    reader.add_in_order();
    Ok(reader.finish())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::unexpected("a number of the catalog cannot be read"))
}

fn body<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::unexpected("an object of the catalog cannot be read").because(error))
}

#[derive(Deserialize)]
struct Pointers<'a> {
    #[serde(borrow)]
    parent: Option<Pointer<'a>>,
    #[serde(borrow)]
    depends: Option<Vec<Pointer<'a>>>,
}

/// An address in JSON.
type Pointer<'a> = (&'a str, Number, Number);

/// JSON has OIDs as text and other numbers as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Text(String),
}

impl Number {
    fn value<T: std::str::FromStr + TryFrom<i64>>(&self) -> Result<T> {
        match self {
            Self::Plain(number) => {
                (*number).try_into().map_err(|_| Error::unexpected("a number of the catalog cannot be read"))
            }
            Self::Text(text) => parse(text),
        }
    }
}

/// The parent of an object, and what it depends on beside what `pg_depend` says.
type Links = (Option<Address>, Vec<Address>);

#[derive(Default)]
struct Reader {
    found: Objects,
    addresses: Vec<Address>,
    links: Vec<Links>,
    /// What the query that is being answered has found.
    pending: Vec<(Address, Object, Links)>,
    /// Who depends on whom, and how (`pg_depend.deptype`).
    edges: Vec<(Address, Address, char)>,
    comments: HashMap<Address, String>,
    /// The names of catalogs.
    classes: Vec<String>,
}

impl Reader {
    /// The place of a catalog's name.
    fn class(&mut self, name: &str) -> usize {
        match self.classes.iter().position(|class| class == name) {
            Some(at) => at,
            None => {
                self.classes.push(name.to_owned());
                self.classes.len() - 1
            }
        }
    }

    fn address_of(&mut self, (class, oid, sub): &Pointer<'_>) -> Result<Address> {
        Ok((self.class(class), oid.value()?, sub.value()?))
    }

    fn take(&mut self, kind: &str, address: Address, text: &str) -> Result<()> {
        match kind {
            "role" => self.found.role = body(text)?,
            "assignment" => {
                let (source, target, context): (String, String, char) = body(text)?;
                let casts = if context == 'e' { &mut self.found.casts } else { &mut self.found.assignments };
                casts.insert((source, target));
            }
            "uncovered" => {
                let row: Value = body(text)?;
                let what = row["what"].as_str().unwrap_or_default().to_owned();
                self.found.uncovered.push((what, row["count"].as_u64().unwrap_or_default()));
            }
            "description" => {
                let row: Value = body(text)?;
                self.comments.insert(address, row["comment"].as_str().unwrap_or_default().to_owned());
            }
            "security label" => {}
            _ => {
                let kind = Kind::parse(kind)
                    .ok_or_else(|| Error::unexpected(format!("`{kind}` is no kind of object")))?;
                let mut object: Object = body(text)?;
                object.kind = kind;
                object.settle();
                let Pointers { parent, depends } = body(text)?;
                let parent = parent.map(|on| self.address_of(&on)).transpose()?;
                let depends = depends.unwrap_or_default();
                let depends = depends.iter().map(|on| self.address_of(on)).collect::<Result<_>>()?;
                self.pending.push((address, object, (parent, depends)));
            }
        }
        Ok(())
    }

    /// In the order in which they were made, whatever the order in which the server came upon them.
    fn add_in_order(&mut self) {
        self.pending.sort_by_key(|((_, oid, sub), ..)| (*oid, *sub));
        for (address, object, links) in self.pending.drain(..) {
            self.addresses.push(address);
            self.found.all.push(object);
            self.links.push(links);
        }
    }

    fn finish(mut self) -> Objects {
        self.leave_out_members();
        let at: HashMap<Address, usize> =
            self.addresses.iter().copied().enumerate().map(|(index, address)| (address, index)).collect();
        let places = Places::new(&at, &self.edges);
        for (from, to, how) in &self.edges {
            if *how == 'e' {
                continue;
            }
            if let (Some(from), Some(to)) = (places.of(from), places.of(to))
                && from != to
                && !is_told_otherwise(&self.found.all[from], &self.found.all[to])
            {
                self.found.all[from].depends.insert(to);
            }
        }
        for (index, (parent, depends)) in self.links.iter().enumerate() {
            let parent = parent.as_ref().and_then(|address| places.of(address));
            self.found.all[index].parent = parent.filter(|parent| *parent != index);
            let more = depends.iter().filter_map(|address| places.of(address));
            let more: Vec<_> = more.chain(parent).filter(|on| *on != index).collect();
            self.found.all[index].depends.extend(more);
            self.found.all[index].comment = self.comments.remove(&self.addresses[index]);
        }
        self.lift();
        self.found.by_key =
            self.found.all.iter().enumerate().map(|(index, object)| (object.key(), index)).collect();
        self.found
    }

    /// A composite type depends on what its attributes depend on; who depends on a view's column depends on the view. What a
    /// domain depends on beside types, its default does.
    fn lift(&mut self) {
        for index in 0..self.found.all.len() {
            let object = &self.found.all[index];
            if let Some(domain) = object.parent.filter(|on| self.found.all[*on].kind == Kind::Domain)
                && object.kind == Kind::Default
            {
                // The table whose row type the domain is of stays what it depends on.
                let base = self.found.all[domain].defined().trim_end_matches(" -").trim_end_matches("[]");
                let is_called = |on: &usize| {
                    let object = &self.found.all[*on];
                    matches!(
                        object.kind,
                        Kind::Function | Kind::Sequence | Kind::Operator | Kind::Table | Kind::View
                    ) && object.identity != base
                };
                let all = &self.found.all[domain].depends;
                let called: BTreeSet<usize> = all.iter().copied().filter(is_called).collect();
                self.found.all[domain].depends.retain(|on| !called.contains(on));
                self.found.all[index].depends.extend(called);
            }
            let object = &self.found.all[index];
            if let Some(parent) = object.parent.filter(|_| object.kind == Kind::Attribute) {
                let on: Vec<usize> = object.depends.iter().copied().filter(|on| *on != parent).collect();
                self.found.all[parent].depends.extend(on);
            }
            let views = self.found.all[index].depends.iter().filter_map(|on| {
                let on = &self.found.all[*on];
                on.parent.filter(|_| on.kind == Kind::ViewColumn)
            });
            let views: Vec<usize> = views.filter(|view| *view != index).collect();
            self.found.all[index].depends.extend(views);
        }
    }

    /// What belongs to an extension comes and goes with it.
    fn leave_out_members(&mut self) {
        let of_extension = |edge: &&(Address, Address, char)| edge.2 == 'e';
        let mut members: HashSet<(usize, u32)> =
            self.edges.iter().filter(of_extension).map(|(from, ..)| (from.0, from.1)).collect();
        // The members of an operator family or class, the constraints of a domain: with what they are part of. In PostgreSQL 14 a generated
        // column goes so with each function that it calls, and its table does not.
        loop {
            let more: Vec<_> = (self.edges.iter())
                .filter(|(from, to, how)| {
                    matches!(how, 'i' | 'a')
                        && from.2 == 0
                        && members.contains(&(to.0, to.1))
                        && !members.contains(&(from.0, from.1))
                })
                .map(|(from, ..)| (from.0, from.1))
                .collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        let mut keep = self.addresses.iter().map(|address| !members.contains(&(address.0, address.1)));
        let keep: Vec<bool> = keep.by_ref().collect();
        let mut flags = keep.iter();
        self.found.all.retain(|_| *flags.next().unwrap_or(&true));
        let mut flags = keep.iter();
        self.addresses.retain(|_| *flags.next().unwrap_or(&true));
        let mut flags = keep.iter();
        self.links.retain(|_| *flags.next().unwrap_or(&true));
    }
}

/// Edges that another object stands for: a table in its parent, a sequence of its column, columns of their parents' columns,
/// the shell of a base type for its functions.
fn is_told_otherwise(from: &Object, to: &Object) -> bool {
    let table = |object: &Object| matches!(object.kind, Kind::Table | Kind::ForeignTable);
    table(from) && (table(to) || to.kind == Kind::Column)
        || from.kind == Kind::Sequence && matches!(to.kind, Kind::Column | Kind::Table)
        || from.kind == Kind::Index && to.kind == Kind::Index
        || from.kind == Kind::Constraint
            && to.kind == Kind::Index
            && from.detail("index_parent") == to.identity
        || from.kind == Kind::Constraint && from.inherited && to.kind == Kind::Constraint
        || from.kind == Kind::Trigger && from.inherited && to.kind == Kind::Trigger
        || matches!(to.kind, Kind::BaseType | Kind::Range) && from.detail("base_type") == to.identity
}

/// Which object an address means: what is internal stands for what it is internal to, a member for its extension.
struct Places<'a> {
    at: &'a HashMap<Address, usize>,
    owners: HashMap<(usize, u32), &'a Address>,
}

impl<'a> Places<'a> {
    fn new(at: &'a HashMap<Address, usize>, edges: &'a [(Address, Address, char)]) -> Self {
        let mut owners = HashMap::new();
        // What an index is attached to says less about it than the constraint that it is of.
        for kinds in [['i', 'e'], ['P', 'P']] {
            for (from, to, _) in edges.iter().filter(|(.., how)| kinds.contains(how)) {
                owners.entry((from.0, from.1)).or_insert(to);
            }
        }
        Self { at, owners }
    }

    fn of(&self, address: &Address) -> Option<usize> {
        let mut address = address;
        let mut seen = BTreeSet::new();
        loop {
            if let Some(at) = self.at.get(address) {
                return Some(*at);
            }
            if address.2 != 0
                && let Some(at) = self.at.get(&(address.0, address.1, 0))
            {
                return Some(*at);
            }
            if !seen.insert(address) {
                return None;
            }
            address = self.owners.get(&(address.0, address.1))?;
        }
    }
}
