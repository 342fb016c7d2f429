//! A first mapping from two catalogs: what is alike is filled in, what is not is asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::catalog::{Catalog, Column, Relation};
use crate::config::Connection;
use crate::config::yaml::render_key;
use crate::error::Result;
use crate::postgres::{Session, read_catalog};
use crate::schema_to_schema::resolve::is_ours;

/// Reads both catalogs and writes a mapping in the canonical form, as text with comments at what is open.
///
/// # Errors
///
/// Where a server cannot be reached.
pub async fn scaffold(source: &Connection, target: &Connection) -> Result<String> {
    let (old, new) = tokio::try_join!(Session::connect(source), Session::connect(target))?;
    let (old, new) = tokio::try_join!(read_catalog(&old), read_catalog(&new))?;
    Ok(render(&old, &new))
}

fn render(source: &Catalog, target: &Catalog) -> String {
    let mut text = String::from(
        "# A scaffold: target tables and columns on the left, SQL over the source on the right.\n\
         # Lines marked OPEN need an answer; everything else was found under the same name.\n\ntables:\n",
    );
    let mut used = BTreeSet::new();
    for table in
        target.relations.values().filter(|table| table.is_table() && !table.is_partition && !is_ours(table))
    {
        let twin = find_twin(table, source);
        used.extend(twin.map(|twin| twin.name.clone()));
        render_table(&mut text, table, twin, source);
    }
    let unused = source.relations.values().filter(|table| {
        table.is_table() && !table.is_partition && !used.contains(&table.name) && !is_ours(table)
    });
    for table in unused {
        writeln!(
            text,
            "\n  # OPEN: the source table {} ({} rows or so) is read by nothing.",
            table.name,
            table.row_estimate.unwrap_or(0)
        )
        .ok();
    }
    text
}

fn find_twin<'a>(table: &Relation, source: &'a Catalog) -> Option<&'a Relation> {
    let same = source.relations.get(&table.name).filter(|twin| twin.is_table());
    same.or_else(|| {
        source.relations.values().find(|twin| twin.is_table() && twin.name.name == table.name.name)
    })
}

fn render_table(text: &mut String, table: &Relation, twin: Option<&Relation>, source: &Catalog) {
    let name = render_key(&table.name.to_string());
    let Some(twin) = twin else {
        let similar: Vec<String> =
            similar_tables(table, source).into_iter().map(|table| table.name.to_string()).collect();
        writeln!(
            text,
            "  # OPEN: {name} has no source table of its name; alike by columns: {}",
            or_none(&similar)
        )
        .ok();
        return;
    };
    writeln!(text, "  {name}:\n    from: {}\n    columns:", render_key(&twin.name.to_string())).ok();
    let unread: Vec<&Column> =
        twin.columns.iter().filter(|column| table.column(&column.name).is_none()).collect();
    for column in &table.columns {
        render_column(text, column, twin, &unread);
    }
    if !unread.is_empty() {
        let names: Vec<String> = unread.iter().map(|column| column.name.to_string()).collect();
        writeln!(text, "      # source columns that nothing reads: {}", names.join(", ")).ok();
    }
}

fn render_column(text: &mut String, column: &Column, twin: &Relation, unread: &[&Column]) {
    let name = render_key(&column.name.to_string());
    if column.generated.is_some() {
        writeln!(text, "      # {name}: generated, the target computes it").ok();
    } else if let Some(from) = twin.column(&column.name) {
        let kinds = match from.data_type.text == column.data_type.text {
            true => String::new(),
            false => format!("   # {} -> {}", from.data_type.text, column.data_type.text),
        };
        writeln!(text, "      {name}: {}{kinds}", render_key(&from.name.to_string())).ok();
    } else {
        let candidates: Vec<String> =
            candidates(column, unread).into_iter().map(|column| column.name.to_string()).collect();
        let kind = &column.data_type.text;
        match column.may_be_left_out() {
            true => writeln!(
                text,
                "      {name}: null   # OPEN: {kind}, left to its default; candidates: {}",
                or_none(&candidates)
            ),
            false => writeln!(
                text,
                "      # OPEN: {name} ({kind}) must be filled; candidates: {}",
                or_none(&candidates)
            ),
        }
        .ok();
    }
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Unread source columns, the likeliest first: by name, and by type.
fn candidates<'a>(column: &Column, unread: &[&'a Column]) -> Vec<&'a Column> {
    let likeness = |other: &Column| {
        let same_type = if other.data_type.text == column.data_type.text { 0.3 } else { 0.0 };
        strsim::jaro_winkler(other.name.as_str(), column.name.as_str()) + same_type
    };
    let mut sorted: Vec<&Column> = unread.iter().copied().filter(|other| likeness(other) > 0.6).collect();
    sorted.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    sorted.truncate(3);
    sorted
}

/// Source tables that share the most column names.
fn similar_tables<'a>(table: &Relation, source: &'a Catalog) -> Vec<&'a Relation> {
    let shared =
        |other: &Relation| other.columns.iter().filter(|column| table.column(&column.name).is_some()).count();
    let mut similar: Vec<&Relation> = source
        .relations
        .values()
        .filter(|other| other.is_table() && shared(other) * 2 >= table.columns.len())
        .collect();
    similar.sort_by_key(|other| std::cmp::Reverse(shared(other)));
    similar.truncate(3);
    similar
}
