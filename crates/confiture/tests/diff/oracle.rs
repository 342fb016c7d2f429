//! What judges a plan: `pg_dump` of a database that took it, against one that was built from the other files.

use std::collections::BTreeSet;
use std::fmt;

use confiture::config::{Connection, Endpoint};
use confiture::diff::Hazard;
use confiture::postgres::Session;
use confiture::schema_diff::{self, DiffOptions, Difference, Plan, Source};
use confiture::sql::{Script, Sql, split};
use local_postgres::Server;
use local_postgres::testing::{Database, Witness};

use crate::case::Case;
use crate::contents::Contents;

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

pub(crate) async fn judge(server: &'static Server, case: &Case) -> Result<(), Failure> {
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
        make_roles: true,
        renames: case.renames.clone(),
        online: case.online,
        ..DiffOptions::default()
    };
    let found = schema_diff::diff(&connection, &from, &to, &options)
        .await
        .map_err(|error| format!("diff: {error}\n  {}", error.hints().join("\n  ")))?;
    let text = format!("{}{}", found.remarks.join("\n"), listing(&found.up));
    for expected in &case.expected {
        if !text.contains(expected) {
            return Err(format!("`{expected}` is not in\n{text}").into());
        }
    }
    if let Some(never) = case.never.iter().find(|never| text.contains(*never)) {
        return Err(format!("`{never}` is in\n{text}").into());
    }
    let (before, goal) = (dump(&old), dump(&new));
    if before != goal && found.up.steps.is_empty() {
        return Err("a silent miss: no step, and the schemas differ".to_owned().into());
    }
    go(&session, &old, &found.up, &goal, "up").await?;
    go(&session, &old, &found.down, &before, "down").await
}

/// The difference between two scripts.
pub(crate) async fn differ(server: &Server, old: &str, new: &str) -> confiture::Result<Difference> {
    let source = |text: &str| Ok(Source::Scripts(vec![split(Script::new("schema.sql", text))?]));
    let options = DiffOptions { make_roles: true, ..DiffOptions::default() };
    schema_diff::diff(&connection(server, "postgres"), &source(old)?, &source(new)?, &options).await
}

/// Carries a plan out, and looks at what it makes of schema and rows.
async fn go(
    session: &Session,
    database: &Database<'_>,
    plan: &Plan,
    goal: &BTreeSet<String>,
    way: &str,
) -> Result<(), Failure> {
    let listed = |why: String| format!("{way}: {why}\nplan:\n{}", listing(plan));
    let rows = Contents::of(session).await?;
    if let Err(error) = apply(session, plan).await {
        let by_rows =
            error.sqlstate_code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
        let foreseen = plan.steps.iter().flat_map(|step| &step.hazards);
        let foreseen = foreseen.into_iter().any(|hazard| matches!(hazard, Hazard::MayFail(_)));
        let why = listed(error.to_string());
        return Err(if by_rows && foreseen { Failure::Rows(why) } else { Failure::Wrong(why) });
    }
    same(&dump(database), goal).map_err(|why| listed(format!("\n{why}")))?;
    rows.survive_in(&Contents::of(session).await?).map_err(listed)?;
    Ok(())
}

pub(crate) fn connection(server: &Server, database: &str) -> Connection {
    Connection::new(
        Endpoint::new(server.socket_dir().display().to_string(), server.port()),
        server.user(),
        database,
    )
}

async fn run(session: &Session, text: &str) -> confiture::Result<()> {
    session.batch(&Sql::from_user(format!("RESET ALL; SET client_min_messages = 'error'; {text}"))).await
}

async fn apply(session: &Session, plan: &Plan) -> confiture::Result<()> {
    session.batch(&Sql::literal("SET check_function_bodies = off")).await?;
    if plan.steps.iter().any(|step| step.alone) {
        for statement in plan.statements() {
            session.batch(statement).await.map_err(|error| error.context(statement))?;
        }
        return Ok(());
    }
    session.batch(&Sql::literal("BEGIN")).await?;
    for step in &plan.steps {
        for statement in &step.statements {
            session.batch(statement).await.map_err(|error| error.context(statement))?;
        }
        if step.commits {
            session.batch(&Sql::literal("COMMIT; BEGIN")).await?;
        }
    }
    session.batch(&Sql::literal("COMMIT")).await
}

fn listing(plan: &Plan) -> String {
    let statements = plan.steps.iter().flat_map(|step| &step.statements);
    statements.map(|statement| format!("    {};\n", statement.as_str().replace('\n', "\n    "))).collect()
}

/// The dump as a set of entries; the columns of a table in the order of their names, for that of the table cannot be changed.
fn dump(database: &Database<'_>) -> BTreeSet<String> {
    let text = database.schema("");
    if Witness::of(database.server()) == Witness::Catalog {
        return text.lines().map(without_position).collect();
    }
    let mut entries = BTreeSet::new();
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
    let mut lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches(',')).collect();
    if is_table {
        lines.sort_unstable();
    }
    lines.into_iter().map(with_sorted_statistics).collect::<Vec<_>>().join("\n")
}

/// `CREATE STATISTICS … ON b, a FROM t` has the columns in the order of the table.
fn with_sorted_statistics(line: &str) -> String {
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
