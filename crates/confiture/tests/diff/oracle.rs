//! What judges a plan: `pg_dump` of a database that took it, against one that was built from the other files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use confiture::config::{Connection, Endpoint};
use confiture::diff::Hazard;
use confiture::migrate::{Digest, read_digest};
use confiture::postgres::{Row, Session};
use confiture::schema_diff::{self, DiffOptions, Difference, Plan, Source};
use confiture::sql::{Script, Sql, cannot_run_in_transaction, split};
use local_postgres::Server;
use local_postgres::testing::{Database, Witness};

use crate::case::Case;
use crate::contents::Contents;
use crate::locks::Locks;

/// Why a case is not right.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The plan said that rows may stop it, and they did.
    Rows(String),
    /// It is wrong.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(why) => write!(f, "rows are in the way: {why}"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

/// The remarks of a plan that does what it says.
pub(crate) async fn judge(server: &'static Server, case: &Case) -> Result<Vec<String>, Failure> {
    let said = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let old = Database::create_on(server).await.map_err(|error| said("create", &error))?;
    let new = Database::create_on(server).await.map_err(|error| said("create", &error))?;
    let connection = connection(server, old.name());
    let session = Session::connect(&connection).await.map_err(|error| said("connect", &error))?;
    run(&session, &case.old).await.map_err(|error| said("old", &error))?;
    run(&session, &case.rows).await.map_err(|error| said("rows", &error))?;
    let other = Session::connect(&connection.with_database(new.name()))
        .await
        .map_err(|error| said("connect", &error))?;
    run(&other, &case.new).await.map_err(|error| said("new", &error))?;

    let source = |name: &str, text: &str| {
        let script = split(Script::new(name, text)).map_err(|error| said(name, &error))?;
        Ok::<_, String>(Source::Scripts(vec![script]))
    };
    let (from, to) = (source("old.sql", &case.old)?, source("new.sql", &case.new)?);
    let options = DiffOptions {
        renames: case.renames.clone(),
        no_renames: case.no_renames.clone(),
        online: case.online,
        ..DiffOptions::default()
    };
    let found = schema_diff::diff(&connection, &from, &to, &options)
        .await
        .map_err(|error| format!("diff: {error}\n  {}", error.hints().join("\n  ")))?;
    let text = format!("{}\n{}{}", found.remarks.join("\n"), hazards(&found.up), listing(&found.up));
    for expected in &case.expected {
        if !text.contains(expected) {
            return Err(format!("`{expected}` is not in\n{text}").into());
        }
    }
    if let Some(never) = case.never.iter().find(|never| text.contains(*never)) {
        return Err(format!("`{never}` is in\n{text}").into());
    }
    // What is said to be passed over may differ.
    let has_privileges = !found.uncovered.iter().any(|line| line.contains(" privilege"));
    let before = Shape { dump: dump(&old), declared: declared(&session).await?, has_privileges };
    let goal = Shape { dump: dump(&new), declared: declared(&other).await?, has_privileges };
    if before.dump != goal.dump && found.up.steps.is_empty() {
        return Err("a silent miss: no step, and the schemas differ".to_owned().into());
    }
    // What `migrate validate` looks at first.
    let same_digest = digest(&connection).await? == digest(&connection.with_database(new.name())).await?;
    if same_digest && !found.up.steps.is_empty() {
        return Err(format!("a silent miss: two digests are the same\n{}", listing(&found.up)).into());
    }
    go(&session, &old, &found.up, &goal, "up").await?;
    let live = Source::Live(Box::new(connection.clone()));
    let again = DiffOptions { renames: Vec::new(), no_renames: Vec::new(), ..options };
    let again = schema_diff::diff(&connection, &live, &to, &again).await;
    let again = again.map_err(|error| format!("diff again: {error}\n  {}", error.hints().join("\n  ")))?;
    if !again.up.steps.is_empty() {
        let (first, second) = (listing(&found.up), listing(&again.up));
        return Err(format!("a second plan is not empty:\n{second}after\n{first}").into());
    }
    go(&session, &old, &found.down, &before, "down").await?;
    if case.from_nothing {
        from_nothing(server, &connection.with_database(new.name()), &goal).await?;
    }
    Ok(found.remarks)
}

/// What a live database holds is made anew from nothing but its catalog, in a scratch database and by a plan.
async fn from_nothing(server: &'static Server, live: &Connection, goal: &Shape) -> Result<(), Failure> {
    let nothing = Source::Scripts(Vec::new());
    let live = Source::Live(Box::new(live.clone()));
    let found = schema_diff::diff(&connection(server, "postgres"), &nothing, &live, &DiffOptions::default())
        .await
        .map_err(|error| format!("diff from nothing: {error}\n  {}", error.hints().join("\n  ")))?;
    let made = Database::create_on(server).await.map_err(|error| format!("create: {error}"))?;
    let session = Session::connect(&connection(server, made.name())).await;
    let session = session.map_err(|error| format!("connect: {error}"))?;
    go(&session, &made, &found.up, goal, "from nothing").await
}

async fn digest(connection: &Connection) -> Result<Digest, String> {
    let session = Session::connect(connection).await.map_err(|error| error.to_string())?;
    read_digest(&session, None).await.map_err(|error| error.to_string())
}

/// The difference between two scripts.
pub(crate) async fn differ(server: &Server, old: &str, new: &str) -> confiture::Result<Difference> {
    differ_with(server, old, new, &DiffOptions::default()).await
}

pub(crate) async fn differ_with(
    server: &Server,
    old: &str,
    new: &str,
    options: &DiffOptions,
) -> confiture::Result<Difference> {
    let source = |text: &str| Ok(Source::Scripts(vec![split(Script::new("schema.sql", text))?]));
    schema_diff::diff(&connection(server, "postgres"), &source(old)?, &source(new)?, options).await
}

/// Carries a plan out, and looks at what it makes of schema and rows.
async fn go(
    session: &Session,
    database: &Database<'_>,
    plan: &Plan,
    goal: &Shape,
    way: &str,
) -> Result<(), Failure> {
    let listed = |why: String| format!("{way}: {why}\nplan:\n{}", listing(plan));
    let rows = Contents::of(session).await?;
    if let Err(error) = apply(session, plan).await {
        let by_rows =
            error.sqlstate_code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
        let foreseen = plan.steps.iter().flat_map(|step| &step.hazards);
        let foreseen = foreseen
            .into_iter()
            .any(|hazard| matches!(hazard, Hazard::MayFail(_)) || hazard.why().contains(" stops it"));
        let why = listed(error.to_string());
        return Err(if by_rows && foreseen { Failure::Rows(why) } else { Failure::Wrong(why) });
    }
    let mut got = dump(database);
    let mut wanted = goal.dump.clone();
    for entries in [&mut got, &mut wanted].into_iter().filter(|_| !goal.has_privileges) {
        entries.retain(|entry| !entry.contains("; Type: ACL; "));
    }
    for (table, columns) in declared(session).await? {
        if goal.declared.get(&table).is_some_and(|others| *others != columns) {
            got.retain(|entry| !is_about(entry, &table));
            wanted.retain(|entry| !is_about(entry, &table));
        }
    }
    same(&got, &wanted).map_err(|why| listed(format!("\n{why}")))?;
    let after = Contents::of(session).await?;
    rows.survive_in(&after).map_err(listed)?;
    match rows.lost_in(&after).into_iter().find(|lost| !is_said_of(plan, *lost)) {
        Some(lost) => Err(listed(format!("nobody says that {lost:?} loses rows or values")).into()),
        None => Ok(()),
    }
}

/// True where a plan says that a table loses something, or a column above it, or gives new names, under which it may be.
fn is_said_of(plan: &Plan, (table, column): (&str, Option<&str>)) -> bool {
    let is_about = |title: &str| {
        let column = column.map(|column| column.replace('"', "\"\""));
        let column = column.is_some_and(|column| title.trim_end_matches('"').ends_with(&column));
        title.contains(table) || column
    };
    plan.steps.iter().any(|step| {
        let loses = step.hazards.iter().any(|hazard| matches!(hazard, Hazard::DataLoss(_)));
        let is_renamed = [" becomes ", " moves to "].iter().any(|words| step.title.contains(words))
            && ["table ", "column ", "attribute ", "schema "].iter().any(|kind| step.title.starts_with(kind));
        loses && is_about(&step.title) || is_renamed
    })
}

pub(crate) fn connection(server: &Server, database: &str) -> Connection {
    let endpoint = Endpoint::new(server.socket_dir().display().to_string(), server.port());
    Connection { own_server: true, ..Connection::new(endpoint, server.user(), database) }
}

pub(crate) async fn run(session: &Session, text: &str) -> confiture::Result<()> {
    let settings = "RESET ALL; SET client_min_messages = 'error'";
    if !text.contains(" ADD VALUE ") {
        return session.batch(&Sql::from_user(format!("{settings}; {text}"))).await;
    }
    // A label is there after a commit.
    session.batch(&Sql::literal(settings)).await?;
    for statement in split(Script::new("side.sql", text))?.statements {
        session.batch(&Sql::from_user(&text[statement.span])).await?;
    }
    Ok(())
}

pub(crate) async fn apply(session: &Session, plan: &Plan) -> confiture::Result<()> {
    session.batch(&Sql::literal("SET check_function_bodies = off")).await?;
    let mut locks = Locks::begin(session).await?;
    let each_alone = plan.steps.iter().any(|step| step.alone);
    if !each_alone {
        session.batch(&Sql::literal("BEGIN")).await?;
    }
    let mut open = false;
    for step in &plan.steps {
        for (at, statement) in step.statements.iter().enumerate() {
            let bare = each_alone && cannot_run_in_transaction(statement.as_str()).is_some();
            if each_alone && !bare && !open {
                session.batch(&Sql::literal("BEGIN")).await?;
                open = true;
            }
            session.batch(statement).await.map_err(|error| error.context(statement))?;
            if !bare {
                locks.check(session, step, at).await.map_err(|error| error.context(statement))?;
            }
            let goes_on = step.joined || !step.alone && at + 1 < step.statements.len();
            if open && !goes_on {
                session.batch(&Sql::literal("COMMIT")).await?;
                locks.held.clear();
                open = false;
            }
        }
        if step.commits && !each_alone {
            session.batch(&Sql::literal("COMMIT; BEGIN")).await?;
            locks.held.clear();
        }
    }
    session.batch(&Sql::literal("COMMIT")).await
}

fn hazards(plan: &Plan) -> String {
    let hazards = plan.steps.iter().flat_map(|step| &step.hazards);
    hazards.map(|hazard| format!("    -- {}: {}\n", hazard.class(), hazard.why())).collect()
}

fn listing(plan: &Plan) -> String {
    let statements = plan.steps.iter().flat_map(|step| &step.statements);
    statements.map(|statement| format!("    {};\n", statement.as_str().replace('\n', "\n    "))).collect()
}

/// What a schema is.
struct Shape {
    dump: BTreeSet<String>,
    declared: Declared,
    /// All of them are compared.
    has_privileges: bool,
}

/// Which columns and checks each child table declares itself, by schema and table. No statement changes that afterwards.
type Declared = BTreeMap<(String, String), Vec<String>>;

const DECLARED: &str = "
    SELECT n.nspname::text, c.relname::text, array_agg(p.name::text ORDER BY p.name) FILTER (WHERE p.is_local)
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      JOIN LATERAL (SELECT attname, attislocal FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attinhcount > 0
          UNION ALL SELECT conname, conislocal FROM pg_catalog.pg_constraint WHERE conrelid = c.oid AND coninhcount > 0) AS p(name, is_local) ON true
     GROUP BY 1, 2";

async fn declared(session: &Session) -> Result<Declared, String> {
    let rows = session.query(&Sql::literal(DECLARED), &[]).await.map_err(|error| error.to_string())?;
    let one = |row: &Row| ((row.get(0), row.get(1)), row.get::<_, Option<Vec<_>>>(2).unwrap_or_default());
    Ok(rows.iter().map(one).collect())
}

/// True for the entry of a table, and for those of its defaults and checks; where the catalog is the witness, for its columns.
fn is_about(entry: &str, (schema, table): &(String, String)) -> bool {
    if ["column", "inheritance"].iter().any(|of| entry.starts_with(&format!("({of},{schema}.{table},"))) {
        return true;
    }
    entry.lines().filter_map(|line| line.strip_prefix(table.as_str())).any(|rest| {
        let of_type = |kind: &str| format!("; Type: {kind}; Schema: {schema};");
        rest.starts_with(&of_type("TABLE"))
            || rest.starts_with(' ')
                && ["DEFAULT", "CHECK CONSTRAINT"].iter().any(|kind| rest.contains(&of_type(kind)))
    })
}

/// The dump as a set of entries; the columns of a table in the order of their names, for that of the table cannot be changed.
fn dump(database: &Database<'_>) -> BTreeSet<String> {
    // A natural join of what has nothing in common is printed so, and read again otherwise.
    let text = database.schema("").replace(" ON TRUE", " ON (true)");
    if Witness::of(database.server()) == Witness::Catalog {
        return text.lines().map(without_position).collect();
    }
    let mut entries = BTreeSet::new();
    let text = text.split("\n--\n-- PostgreSQL database dump complete").next().unwrap_or_default();
    for entry in text.split("\n--\n-- Name: ") {
        let lines: Vec<&str> = entry
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .collect();
        entries.insert(with_sorted_columns(&lines).trim().to_owned());
    }
    entries
}

/// `(column,public.t,2,b,…` without its position: new columns come last.
fn without_position(line: &str) -> String {
    let Some(column) = line.strip_prefix("(column,") else { return line.to_owned() };
    let mut parts: Vec<&str> = column.split(',').collect();
    if let Some(at) = parts.iter().position(|part| part.parse::<u32>().is_ok()) {
        parts.remove(at);
    }
    format!("(column,{}", parts.join(","))
}

/// Lines of a table's entry in an order of their own.
fn with_sorted_columns(lines: &[&str]) -> String {
    // So do privileges: the order in which they were granted means nothing.
    let kinds = ["Type: TABLE;", "TABLE; ", "Type: ACL;"];
    let is_table = lines.first().is_some_and(|line| kinds.iter().any(|kind| line.contains(kind)));
    // What keeps no rows itself is neither logged nor unlogged.
    let is_partitioned = lines.iter().any(|line| line.starts_with("PARTITION BY "));
    let unlogged: String;
    let mut lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches(',')).collect();
    if let Some(line) = lines.iter_mut().find(|line| is_partitioned && line.starts_with("CREATE UNLOGGED ")) {
        unlogged = line.replacen("UNLOGGED ", "", 1);
        *line = &unlogged;
    }
    if is_table {
        lines.sort_unstable();
    }
    lines.into_iter().map(with_sorted_list).collect::<Vec<_>>().join("\n")
}

/// `CREATE STATISTICS … ON b, a FROM t` has the columns in the order of the table, and so has `ALTER PUBLICATION … ADD TABLE ONLY t (b, a)`.
fn with_sorted_list(line: &str) -> String {
    if line.starts_with("ALTER PUBLICATION ")
        && let Some((head, rest)) = line.split_once(" (")
        && let Some((columns, end)) = rest.split_once(')')
        && !head.contains(" WHERE")
    {
        let mut columns: Vec<&str> = columns.split(", ").collect();
        columns.sort_unstable();
        return format!("{head} ({}){end}", columns.join(", "));
    }
    let parts = || {
        let (head, rest) = line.strip_prefix("CREATE STATISTICS ")?.split_once(" ON ")?;
        let (columns, table) = rest.split_once(" FROM ")?;
        Some((head, columns, table))
    };
    let Some((head, columns, table)) = parts() else { return line.to_owned() };
    let mut columns: Vec<&str> = columns.split(", ").collect();
    columns.sort_unstable();
    format!("CREATE STATISTICS {head} ON {} FROM {table}", columns.join(", "))
}

fn same(got: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    let missing: Vec<_> =
        wanted.difference(got).map(|entry| format!("  missing: {}", entry.replace('\n', "\n    "))).collect();
    let extra: Vec<_> =
        got.difference(wanted).map(|entry| format!("  extra: {}", entry.replace('\n', "\n    "))).collect();
    Err(format!("{}\n{}", missing.join("\n"), extra.join("\n")))
}
