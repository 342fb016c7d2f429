//! What judges a plan: `pg_dump` of a database that took it, against one that was built from the other files.

use std::collections::{BTreeMap, BTreeSet};

use confiture::config::{Connection, Endpoint};
use confiture::postgres::Session;
use confiture::schema_diff::{self, DiffOptions, Plan, Source};
use confiture::sql::{Script, Sql, split};
use local_postgres::Server;
use local_postgres::testing::{Database, Witness};

use crate::case::Case;

pub(crate) async fn judge(server: &'static Server, case: &Case) -> Result<(), String> {
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
    let options = DiffOptions { make_roles: true, renames: case.renames.clone(), ..DiffOptions::default() };
    let found = schema_diff::diff(&connection, &from, &to, &options)
        .await
        .map_err(|error| format!("diff: {error}\n  {}", error.hints().join("\n  ")))?;
    let said = format!("{}{}", found.remarks.join("\n"), listing(&found.up));
    for text in &case.expected {
        if !said.contains(text) {
            return Err(format!("`{text}` is not in\n{said}"));
        }
    }
    if let Some(text) = case.never.iter().find(|text| said.contains(*text)) {
        return Err(format!("`{text}` is in\n{said}"));
    }
    let (before, goal) = (dump(&old), dump(&new));
    if before != goal && found.up.steps.is_empty() {
        return Err("a silent miss: no step, and the schemas differ".to_owned());
    }
    let rows = rows_of(&session).await?;
    apply(&session, &found.up).await.map_err(|error| format!("up: {error}\n{}", listing(&found.up)))?;
    same(&dump(&old), &goal).map_err(|why| format!("up:\n{why}\nplan:\n{}", listing(&found.up)))?;
    survive(&rows, &rows_of(&session).await?)
        .map_err(|why| format!("{why}\nplan:\n{}", listing(&found.up)))?;
    apply(&session, &found.down).await.map_err(|error| format!("down: {error}\n{}", listing(&found.down)))?;
    same(&dump(&old), &before).map_err(|why| format!("down:\n{why}\nplan:\n{}", listing(&found.down)))?;
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
    session.batch(&Sql::literal("SET check_function_bodies = off; BEGIN")).await?;
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
    let is_table =
        lines.first().is_some_and(|line| line.contains("Type: TABLE;") || line.contains("TABLE; "));
    let mut lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches(',')).collect();
    if is_table {
        lines.sort_unstable();
    }
    lines.join("\n")
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

type Rows = BTreeMap<String, (i64, BTreeSet<String>)>;

/// How many rows each table has, and its columns.
async fn rows_of(session: &Session) -> Result<Rows, String> {
    let query = "SELECT format('%I.%I', schemaname, tablename), (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', schemaname, tablename), false, true, '')))[1]::text::bigint \
        FROM pg_tables t JOIN pg_class c ON c.oid = format('%I.%I', schemaname, tablename)::regclass WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND c.relkind = 'r'";
    let rows = session.query(&Sql::literal(query), &[]).await.map_err(|error| error.to_string())?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), BTreeSet::new()))).collect())
}

fn survive(before: &Rows, after: &Rows) -> Result<(), String> {
    for (table, (count, _)) in before {
        if let Some((now, _)) = after.get(table)
            && now < count
        {
            return Err(format!("{table} had {count} rows and has {now}"));
        }
    }
    Ok(())
}
