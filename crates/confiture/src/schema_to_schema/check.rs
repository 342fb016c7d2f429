//! What only the source's server can say of a draft: whether each expression holds, and what type it has.

use crate::catalog::{Catalog, Oid};
use crate::config::Mapping;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::postgres::{ServerError, Session};
use crate::schema_to_schema::plan::{ColumnPlan, PageRange, RowQuery};
use crate::schema_to_schema::resolve::{Draft, DraftColumn};
use crate::schema_to_schema::transfer::{Transfer, assigned, by_name, compared, text_type, transfer};
use crate::sql::lex::{TokenKind, lex};
use crate::sql::{Sql, sql};

/// The columns of one draft, checked, and why the binary format cannot be used, if so.
pub(crate) struct Checked {
    pub(crate) columns: Vec<ColumnPlan>,
    pub(crate) text_because: Option<String>,
}

/// Checks the `from` clause, the conditions, every expression and every type of `draft`.
pub(crate) async fn check(
    draft: &Draft<'_>,
    mapping: &Mapping,
    session: &Session,
    source: &Catalog,
    target: &Catalog,
) -> Result<Checked> {
    refuse_unfilled(draft)?;
    let types = check_expressions(draft, mapping, session).await?;
    let transfers: Vec<_> =
        draft.columns.iter().map(|column| transfer(&column.target.data_type, source, target)).collect();
    let wanted: Vec<String> = transfers
        .iter()
        .map(|transfer| transfer.cast.as_ref().map_or_else(|| text_type().to_string(), ToString::to_string))
        .collect();
    let contexts = cast_contexts(session, &types, &wanted).await?;
    let mut columns = Vec::with_capacity(types.len());
    for ((column, transfer), (given, context)) in draft.columns.iter().zip(&transfers).zip(contexts) {
        let planned = plan_column(column, transfer, &given, &context, source, target);
        columns.push(planned.map_err(|error| error.context(draft.target.name.short()))?);
    }
    for (column, draft) in columns.iter().zip(&draft.columns).filter(|(_, draft)| is_literal(&draft.shown)) {
        if let Err(error) = session.prepare(&sql!("SELECT {}", column.sent)).await {
            return Err(in_mapping(error, &column.target.to_string(), draft.place.as_ref()));
        }
    }
    let text_because = draft.columns.iter().zip(transfers).find_map(|(column, transfer)| {
        transfer.text_because.map(|reason| format!("{}: {reason}", column.target.name))
    });
    Ok(Checked { columns, text_because })
}

fn plan_column(
    column: &DraftColumn<'_>,
    transfer: &Transfer,
    given: &str,
    context: &str,
    source: &Catalog,
    target: &Catalog,
) -> Result<ColumnPlan> {
    let expression = &column.expression;
    let wanted = &column.target.data_type;
    // The server gives a lone literal the type text, though it would read it as any type.
    let context = if is_literal(&column.shown) { "i" } else { context };
    let sent = match (&transfer.cast, context) {
        (None, _) | (_, "same") => expression.clone(),
        (Some(cast), "i" | "a") => sql!("CAST({} AS {})", expression, cast),
        (Some(_), _) => return Err(no_assignment(column, given, context)),
    };
    let sent = match target.data_type(wanted.oid) {
        Some(data_type) => by_name(&sent, data_type),
        None => sent,
    };
    let inserted = match (transfer.through_text, target.data_type(wanted.oid)) {
        (true, Some(data_type)) => {
            sql!("CAST(CAST({} AS pg_catalog.text) AS {})", expression, data_type.name)
        }
        _ => expression.clone(),
    };
    let text = || sql!("CAST({} AS pg_catalog.text) COLLATE pg_catalog.\"C\"", expression);
    let given_type = column.source_column.map(|column| &column.data_type);
    let compared_source = match assigned(expression, given_type, wanted, target) {
        Some((value, of)) => compared(&value, &of, target, &source.encoding),
        None => compared(&text(), &column.target.data_type, &Catalog::default(), &source.encoding),
    };
    Ok(ColumnPlan {
        target: column.target.name.clone(),
        shown: column.shown.clone(),
        expression: expression.clone(),
        source_column: column.source_column.map(|column| column.name.clone()),
        sent,
        inserted,
        compared_source,
        compared_target: compared(&sql!("t.{}", column.target.name), wanted, target, &target.encoding),
        data_type: wanted.text.clone(),
        place: column.place.clone(),
    })
}

/// True for one string or NULL and nothing else. `B'1'` and `X'1'` are bit strings.
fn is_literal(text: &str) -> bool {
    let mut tokens = lex(text).filter(|token| !token.is_blank());
    let first = tokens.next().is_some_and(|token| match token.kind {
        TokenKind::String => !token.text(text).starts_with(['b', 'B', 'x', 'X']),
        kind => kind == TokenKind::DollarString || token.is_word(text, "null"),
    });
    first && tokens.next().is_none()
}

fn no_assignment(column: &DraftColumn<'_>, given: &str, context: &str) -> Error {
    let (name, wanted) = (&column.target.name, &column.target.data_type.text);
    let message = format!("{name} is {wanted}, and PostgreSQL does not assign {given} to it");
    // Where there is no cast at all, a text may still read as the other type.
    let through = if context == "e" { "" } else { "::text" };
    let error = Error::config(message).hint(format!(
        "if every value reads as {wanted}, say so: `{name}: \"({}){through}::{wanted}\"`",
        column.shown
    ));
    located(error, column.place.as_ref())
}

/// Target columns that need a value and get none.
fn refuse_unfilled(draft: &Draft<'_>) -> Result<()> {
    if draft.query.statement.is_some() {
        return Ok(());
    }
    let filled =
        |name: &crate::sql::Identifier| draft.columns.iter().any(|column| &column.target.name == name);
    let missing = |column: &&crate::catalog::Column| !column.may_be_left_out() && !filled(&column.name);
    let Some(column) = draft.target.columns.iter().find(missing) else { return Ok(()) };
    let message = format!(
        "{}.{} is NOT NULL, has no default, and nothing fills it",
        draft.target.name.short(),
        column.name
    );
    let error = Error::config(message)
        .hint(format!("map it under `columns`: `{}: <column or expression>`", column.name));
    Err(located(error, draft.place.as_ref()))
}

/// Has the server analyse the query; returns the type of each column's expression.
async fn check_expressions(draft: &Draft<'_>, mapping: &Mapping, session: &Session) -> Result<Vec<Oid>> {
    let paged = draft.query.storage[0].pages.is_some();
    // A range of pages, because its condition must find its place behind the `from` clause.
    let range = PageRange { storage: 0, pages: paged.then_some((0, u32::MAX)) };
    // The row's address takes part, so that aggregates and grouping, which no chunk could give, do not pass.
    let address = if paged { sql!("{}.ctid", draft.query.alias) } else { Sql::literal("1") };
    let all_rows = RowQuery { filters: Vec::new(), ..draft.query.clone() };
    let from = all_rows.from_where(&range);
    if let Err(error) = session.prepare(&sql!("SELECT {} {}", address, from)).await {
        return Err(in_mapping(error, "the `from` clause", draft.from_place.as_ref()));
    }
    if let Some(filter) = &draft.filter {
        let filters = vec![Sql::from_user(filter.value.trim())];
        let condition = RowQuery { filters, ..draft.query.clone() }.from_where(&range);
        let query = sql!("SELECT {} {}", address, condition);
        if let Err(error) = session.prepare(&query).await {
            let at = query.as_str().rfind(filter.value.trim());
            let place = exact_place(&error, &query, at, filter.value.trim(), filter.place.as_ref(), mapping);
            return Err(in_mapping(error, "the `where` condition", place.as_ref()));
        }
    }
    let types = check_together(draft, mapping, session, &address, &from).await?;
    // Conditions refuse what gives more or fewer rows than one: set-returning and window functions.
    let alone = |column: &DraftColumn<'_>| {
        let rows = RowQuery { filters: vec![sql!("{} IS NULL", column.expression)], ..all_rows.clone() };
        sql!("SELECT {} {}", address, rows.from_where(&range))
    };
    for column in draft.columns.iter().filter(|column| column.source_column.is_none()) {
        if let Err(error) = session.prepare(&alone(column)).await {
            return Err(not_one_value(error, column, column.place.as_ref()));
        }
    }
    Ok(types)
}

async fn check_together(
    draft: &Draft<'_>,
    mapping: &Mapping,
    session: &Session,
    address: &Sql,
    from: &Sql,
) -> Result<Vec<Oid>> {
    let all = std::iter::once(address).chain(draft.columns.iter().map(|column| &column.expression));
    let all = sql!("SELECT {} {}", Sql::join(", ", all), from);
    if let Ok(statement) = session.prepare(&all).await
        && statement.columns().len() == draft.columns.len() + 1
    {
        return Ok(statement.columns().iter().skip(1).map(|column| column.type_().oid()).collect());
    }
    for column in &draft.columns {
        let one = sql!("SELECT {}, {} {}", column.expression, address, from);
        match session.prepare(&one).await {
            Ok(statement) if statement.columns().len() == 2 => {}
            Ok(_) => {
                let error = Error::config(format!("{}: this is not one expression", column.target.name));
                return Err(located(error, column.place.as_ref()));
            }
            Err(error) => {
                let at = one.as_str().find(column.shown.as_str());
                let place = exact_place(&error, &one, at, &column.shown, column.place.as_ref(), mapping);
                return Err(not_one_value(error, column, place.as_ref()));
            }
        }
    }
    let message = format!("the columns of {} cannot be read together", draft.target.name.short());
    Err(located(Error::config(message), draft.place.as_ref()))
}

/// An expression that the server refuses, or that does not give one value for each row by itself.
fn not_one_value(error: Error, column: &DraftColumn<'_>, place: Option<&Place>) -> Error {
    let name = &column.target.name;
    let (what, instead) = match error.sqlstate_code() {
        Some("42803") => {
            return in_mapping(error, &name.to_string(), place)
                .hint("an expression gives one value for each row of `from`; for an aggregate use a subquery: `(SELECT sum(i.price) FROM items i WHERE i.order_id = o.id)`");
        }
        Some("42P20") => {
            ("a window function", "a subquery: `(SELECT count(*) FROM orders p WHERE p.id <= o.id)`")
        }
        Some("0A000") => {
            ("a function that returns rows", "a join in `from`: `JOIN LATERAL unnest(o.tags) AS tag ON true`")
        }
        _ => return in_mapping(error, &name.to_string(), place),
    };
    let message = format!("{name}: {what} does not give one value for each row of `from`");
    located(Error::config(message).hint(format!("use {instead}")), place)
}

async fn cast_contexts(session: &Session, given: &[Oid], wanted: &[String]) -> Result<Vec<(String, String)>> {
    let sql = Sql::literal(include_str!("../postgres/queries/casts.sql"));
    let rows = session.query(&sql, &[&given, &wanted]).await?;
    Ok(rows.iter().map(|row| (row.get(1), row.get(2))).collect())
}

/// Where in the mapping the server points: into `text`, a piece that starts at `place` and stands in the statement `sent`
/// from the byte `at` on. Where the server points nowhere or elsewhere, the beginning of the piece.
fn exact_place(
    error: &Error,
    sent: &Sql,
    at: Option<usize>,
    text: &str,
    place: Option<&Place>,
    mapping: &Mapping,
) -> Option<Place> {
    let place = place?;
    let position = ServerError::of(error).and_then(|server| server.position);
    let byte = position.and_then(|position| sent.as_str().char_indices().nth(position.checked_sub(1)?));
    let offset = byte.zip(at).and_then(|((byte, _), at)| byte.checked_sub(at));
    Some(match offset.filter(|offset| *offset < text.len()) {
        Some(offset) => mapping.place_in(place, offset),
        None => place.clone(),
    })
}

/// A server's refusal of a piece of the mapping, as an error of the mapping.
fn in_mapping(error: Error, what: &str, place: Option<&Place>) -> Error {
    if error.kind() != ErrorKind::Server {
        return error;
    }
    let mut told = Error::config(format!("{what}: {}", error.message()));
    if let Some(code) = error.sqlstate_code() {
        told = told.sqlstate(code);
    }
    for hint in error.hints() {
        told = told.hint(hint);
    }
    located(told, place)
}

pub(crate) fn located(error: Error, place: Option<&Place>) -> Error {
    match place {
        Some(place) => error.or_at(place),
        None => error,
    }
}
