//! A mapping put together with both catalogs: which table fills which, column by column. Pure.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Column, Relation, RelationKind};
use crate::config::Spanned;
use crate::config::mapping::{
    ColumnMapping, ColumnValue, Dependency, FromClause, Mapping, Strategy, TableMapping, TableName,
    UnnamedColumns,
};
use crate::error::did_you_mean;
use crate::error::{Error, Place, Result};
use crate::schema_to_schema::plan::{Remark, RowQuery, Storage};
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// A target table with what fills it, before the server has said whether the expressions hold.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) target: &'a Relation,
    pub(crate) driving: Option<&'a Relation>,
    pub(crate) query: RowQuery,
    pub(crate) filter: Option<Spanned<String>>,
    pub(crate) columns: Vec<DraftColumn<'a>>,
    pub(crate) skipped: Vec<(Identifier, String)>,
    pub(crate) strategy: Option<Strategy>,
    pub(crate) depends: Vec<Dependency>,
    pub(crate) reverse: Vec<ColumnMapping>,
    pub(crate) place: Option<Place>,
    pub(crate) from_place: Option<Place>,
    pub(crate) remarks: Vec<Remark>,
}

/// A target column with the expression that fills it.
#[derive(Debug)]
pub(crate) struct DraftColumn<'a> {
    pub(crate) target: &'a Column,
    pub(crate) expression: Sql,
    pub(crate) shown: String,
    pub(crate) source_column: Option<&'a Column>,
    pub(crate) place: Option<Place>,
}

/// Resolves the tables that `mapping` names, or all of the same name where it is empty; `only` narrows them.
pub(crate) fn resolve<'a>(
    mapping: &Mapping,
    only: &[TableName],
    source: &'a Catalog,
    target: &'a Catalog,
    same_database: bool,
) -> Result<(Vec<Draft<'a>>, Vec<Remark>)> {
    let mut remarks = Vec::new();
    let mut mappings = mapping.tables.clone();
    mappings.extend(crate::schema_to_schema::transformation::tables(
        &mapping.transformations,
        source,
        target,
    )?);
    let by_name = mapping.others_by_name || mappings.is_empty();
    if by_name && same_database && mappings.is_empty() {
        return Err(Error::config(
            "source and target are one database, and no mapping says what becomes of which table",
        )
        .hint("name a mapping with `--mapping FILE`; `analyze --write-mapping FILE` writes a scaffold"));
    }
    let mut drafts = Vec::new();
    for table in &mappings {
        drafts.push(resolve_table(table, source, target, same_database)?);
    }
    if by_name && !same_database {
        add_tables_of_same_name(&mut drafts, source, target, &mut remarks)?;
    }
    if let Some(twice) = first_duplicate(drafts.iter().map(|draft| &draft.target.name)) {
        let message = format!("the target table {} is mapped twice", twice.short());
        return Err(
            Error::config(message).hint("a target table is filled by one entry; use a join, or two tables")
        );
    }
    narrow(&mut drafts, only, target)?;
    if drafts.is_empty() {
        return Err(Error::config("no table of the target has a table of the same name in the source")
            .hint("write a mapping: `analyze --write-mapping FILE` makes a scaffold"));
    }
    for relation in source.relations.values().filter(|relation| relation.is_table() && !relation.is_partition)
    {
        let read = |draft: &Draft<'_>| draft.driving.is_some_and(|driving| driving.name == relation.name);
        let elsewhere = same_database && drafts.iter().any(|draft| draft.target.name == relation.name);
        if only.is_empty() && !drafts.iter().any(read) && !elsewhere && !same_database && !is_ours(relation) {
            remarks.push(Remark {
                message: format!(
                    "the source table {} is not migrated: nothing maps it",
                    relation.name.short()
                ),
                place: None,
                warning: true,
            });
        }
    }
    Ok((drafts, remarks))
}

fn resolve_table<'a>(
    table: &TableMapping,
    source: &'a Catalog,
    target: &'a Catalog,
    same_database: bool,
) -> Result<Draft<'a>> {
    let target_relation = find_target(&table.target, target)?;
    let place = table.target.place.clone();
    if let Some(statement) = &table.statement {
        return Ok(draft_of_statement(table, statement, source, target_relation));
    }
    let from = &table.from.value;
    let driving = source.find(from.driving.schema.as_ref(), &from.driving.name).ok_or_else(|| {
        let shown = from.driving.to_string();
        table.from.locate(unknown_table(&shown, &from.driving, source, "source"))
    })?;
    if same_database && driving.name == target_relation.name {
        return Err(table
            .from
            .locate(Error::config(format!("{} would be copied into itself", driving.name.short()))));
    }
    refuse_outer_driving(table)?;
    let columns = resolve_columns(table, driving, target_relation)?;
    check_reverse(table, driving)?;
    let skipped = skipped_columns(table, &columns, target_relation);
    Ok(Draft {
        target: target_relation,
        driving: Some(driving),
        query: RowQuery {
            alias: from.alias.clone(),
            storage: storage_of(source, driving, false),
            joins: Sql::from_user(from.rest.trim()),
            filters: Vec::new(),
            statement: None,
        },
        filter: table.filter.clone(),
        columns,
        skipped,
        strategy: table.strategy.as_ref().map(|strategy| strategy.value),
        depends: table.depends.clone(),
        reverse: table.reverse.clone(),
        place,
        from_place: table.from.place.clone(),
        remarks: Vec::new(),
    })
}

fn draft_of_statement<'a>(
    table: &TableMapping,
    statement: &Spanned<String>,
    source: &'a Catalog,
    target: &'a Relation,
) -> Draft<'a> {
    let driving = &table.from.value.driving;
    Draft {
        target,
        driving: source.find(driving.schema.as_ref(), &driving.name),
        query: RowQuery { statement: Some(Sql::from_user(statement.value.trim())), ..RowQuery::default() },
        filter: None,
        columns: Vec::new(),
        skipped: Vec::new(),
        strategy: table.strategy.as_ref().map(|strategy| strategy.value),
        depends: table.depends.clone(),
        reverse: table.reverse.clone(),
        place: statement.place.clone(),
        from_place: table.from.place.clone(),
        remarks: Vec::new(),
    }
}

/// The columns under `reverse` are those of the driving table.
fn check_reverse(table: &TableMapping, driving: &Relation) -> Result<()> {
    for written in &table.reverse {
        let name = &written.column.value;
        match driving.column(name) {
            None => {
                let candidates = driving.columns.iter().map(|column| column.name.as_str());
                return Err(written.column.locate(unknown_column(name, &driving.name, "source", candidates)));
            }
            Some(column) if column.generated.is_some() && written.value.value != ColumnValue::Default => {
                let message =
                    format!("{}.{name} is a generated column: the source computes it", driving.name.short());
                return Err(written.column.locate(Error::config(message).hint("leave it out of `reverse`")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Rows that no driving row stands behind belong to no chunk and no key: they cannot be moved.
fn refuse_outer_driving(table: &TableMapping) -> Result<()> {
    let text = table.from.value.rest.as_str();
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth -= 1,
            _ => {}
        }
        let outer = depth == 0 && (token.is_word(text, "right") || token.is_word(text, "full"));
        let mut after = tokens[index + 1..].iter().filter(|token| !token.is_word(text, "outer"));
        if outer && after.next().is_some_and(|token| token.is_word(text, "join")) {
            let error = Error::config(
                "RIGHT and FULL joins give rows that no row of the driving table stands behind",
            );
            return Err(table.from.locate(
                error.hint("begin `from` with the table whose key the target has, and join with LEFT JOIN"),
            ));
        }
    }
    Ok(())
}

fn resolve_columns<'a>(
    table: &TableMapping,
    driving: &'a Relation,
    target: &'a Relation,
) -> Result<Vec<DraftColumn<'a>>> {
    let alias = &table.from.value.alias;
    let mut columns = Vec::new();
    let mut named: BTreeSet<&Identifier> = BTreeSet::new();
    let mut renamed: BTreeSet<&Identifier> = BTreeSet::new();
    for mapped in table.columns.iter().chain(&table.key) {
        let name = &mapped.column.value;
        let Some(column) = target.column(name) else {
            let candidates = target.columns.iter().map(|column| column.name.as_str());
            return Err(mapped.column.locate(unknown_column(name, &target.name, "target", candidates)));
        };
        if !named.insert(name) {
            continue; // `key` may repeat what `columns` says.
        }
        if column.generated.is_some() {
            if matches!(mapped.value.value, ColumnValue::Default) {
                continue;
            }
            let message =
                format!("{}.{name} is a generated column: the target computes it", target.name.short());
            return Err(mapped.column.locate(Error::config(message).hint("leave it out of `columns`")));
        }
        if let ColumnValue::Column(from) = &mapped.value.value {
            renamed.insert(from);
        }
        columns.extend(resolve_column(mapped, column, alias, driving)?);
    }
    if table.unnamed_columns == UnnamedColumns::SameName {
        let rest =
            target.columns.iter().filter(|column| column.is_writable() && !named.contains(&column.name));
        for column in rest {
            if let Some(from) = driving.column(&column.name) {
                columns.push(plain_column(column, from, alias, table.target.place.clone()));
            }
        }
    }
    columns.sort_by_key(|column| column.target.number);
    // A table without columns has rows too.
    if columns.is_empty() && target.columns.iter().any(Column::is_writable) {
        let message = format!("no column of {} would be filled", target.name.short());
        return Err(table
            .target
            .locate(Error::config(message).hint("map at least one column under `columns`")));
    }
    Ok(columns)
}

fn resolve_column<'a>(
    mapped: &ColumnMapping,
    column: &'a Column,
    alias: &Identifier,
    driving: &'a Relation,
) -> Result<Option<DraftColumn<'a>>> {
    let place = mapped.value.place.clone().or_else(|| mapped.column.place.clone());
    match &mapped.value.value {
        ColumnValue::Default => Ok(None),
        ColumnValue::Column(name) => match driving.column(name) {
            Some(from) => Ok(Some(plain_column(column, from, alias, place))),
            None => {
                let candidates = driving.columns.iter().map(|column| column.name.as_str());
                Err(mapped.value.locate(unknown_column(name, &driving.name, "source", candidates)))
            }
        },
        ColumnValue::Expression(text) => {
            let text = text.trim();
            let source_column = plain_reference(text, alias).and_then(|name| driving.column(&name));
            let expression = match source_column {
                Some(from) => sql!("{}.{}", alias, from.name),
                None => sql!("({}\n)", Sql::from_user(text)),
            };
            Ok(Some(DraftColumn { target: column, expression, shown: text.to_owned(), source_column, place }))
        }
    }
}

fn plain_column<'a>(
    target: &'a Column,
    from: &'a Column,
    alias: &Identifier,
    place: Option<Place>,
) -> DraftColumn<'a> {
    let expression = sql!("{}.{}", alias, from.name);
    DraftColumn { target, shown: expression.to_string(), expression, source_column: Some(from), place }
}

/// `u.name` or `name`, written without quotes: the driving table's column of that name.
fn plain_reference(text: &str, alias: &Identifier) -> Option<Identifier> {
    let name = match text.split_once('.') {
        Some((before, name)) if before.trim().to_ascii_lowercase() == alias.as_str() => name.trim(),
        Some(_) => return None,
        None => text,
    };
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && !name.as_bytes()[0].is_ascii_digit()).then(|| Identifier::new(name.to_ascii_lowercase()))
}

/// Why each target column that nothing fills may stay so; where it may not, plan-time checks refuse.
fn skipped_columns(
    table: &TableMapping,
    columns: &[DraftColumn<'_>],
    target: &Relation,
) -> Vec<(Identifier, String)> {
    let filled = |name: &Identifier| columns.iter().any(|column| &column.target.name == name);
    let reason = |column: &Column| match column {
        Column { generated: Some(_), .. } => "generated: the target computes it".to_owned(),
        Column { identity: Some(_), .. } => "identity: the target numbers it".to_owned(),
        Column { default: Some(default), .. } => format!("default: {default}"),
        _ if table.unnamed_columns == UnnamedColumns::Default => "not in the mapping".to_owned(),
        _ => "no source column of this name".to_owned(),
    };
    let left = target.columns.iter().filter(|column| !filled(&column.name));
    left.map(|column| (column.name.clone(), reason(column))).collect()
}

/// Adds a draft for every target table that nothing maps yet and that the source has by the same name.
fn add_tables_of_same_name<'a>(
    drafts: &mut Vec<Draft<'a>>,
    source: &'a Catalog,
    target: &'a Catalog,
    remarks: &mut Vec<Remark>,
) -> Result<()> {
    let taken: BTreeSet<QualifiedName> = drafts.iter().map(|draft| draft.target.name.clone()).collect();
    for relation in target.relations.values() {
        // A partition is filled through its root.
        if !relation.is_table()
            || relation.is_partition
            || taken.contains(&relation.name)
            || is_ours(relation)
        {
            continue;
        }
        let Some(from) = source.relations.get(&relation.name).filter(|from| from.kind != RelationKind::View)
        else {
            remarks.push(Remark {
                message: format!(
                    "the target table {} stays empty: nothing maps to it",
                    relation.name.short()
                ),
                place: None,
                warning: false,
            });
            continue;
        };
        let name = TableName { schema: Some(from.name.schema.clone()), name: from.name.name.clone() };
        let mut table = TableMapping::same_name(Spanned::nowhere(name.clone()));
        table.from = Spanned::nowhere(FromClause::table(name));
        let mut draft = resolve_table(&table, source, target, false)?;
        // Children of an inheritance tree are mapped by their own names.
        draft.query.storage = storage_of(source, from, true);
        drafts.push(draft);
    }
    Ok(())
}

fn storage_of(source: &Catalog, driving: &Relation, alone: bool) -> Vec<Storage> {
    let relations =
        if alone && driving.kind == RelationKind::Table { vec![driving] } else { source.storage_of(driving) };
    let storage = |relation: &Relation| {
        let paged = matches!(relation.kind, RelationKind::Table | RelationKind::MaterializedView);
        Storage {
            relation: relation.name.clone(),
            oid: relation.oid,
            pages: paged.then_some(relation.pages),
            only: relation.kind == RelationKind::Table,
        }
    };
    let storage: Vec<Storage> = relations.into_iter().map(storage).collect();
    if !storage.is_empty() {
        return storage;
    }
    // A partitioned table without partitions: nothing to cut, and nothing to read.
    vec![Storage { relation: driving.name.clone(), oid: driving.oid, pages: None, only: false }]
}

fn narrow(drafts: &mut Vec<Draft<'_>>, only: &[TableName], target: &Catalog) -> Result<()> {
    if only.is_empty() {
        return Ok(());
    }
    for name in only {
        if !drafts.iter().any(|draft| name.names(&draft.target.name)) {
            let shown = name.to_string();
            let error = match target.find(name.schema.as_ref(), &name.name) {
                Some(_) => Error::config(format!("nothing maps to the target table {shown}"))
                    .hint("name it in the mapping (--mapping), with the source table that it comes `from`"),
                None => unknown_table(&shown, name, target, "target"),
            };
            return Err(error);
        }
    }
    drafts.retain(|draft| only.iter().any(|name| name.names(&draft.target.name)));
    Ok(())
}

fn find_target<'a>(name: &Spanned<TableName>, target: &'a Catalog) -> Result<&'a Relation> {
    let shown = name.value.to_string();
    let relation = target
        .find(name.value.schema.as_ref(), &name.value.name)
        .ok_or_else(|| name.locate(unknown_table(&shown, &name.value, target, "target")))?;
    if !relation.is_table() {
        return Err(name.locate(Error::config(format!("the target {shown} is not a table"))));
    }
    if is_ours(relation) {
        return Err(name.locate(Error::config(format!("{shown} belongs to Confiture itself"))));
    }
    Ok(relation)
}

/// True for Confiture's own tables.
pub(crate) fn is_ours(relation: &Relation) -> bool {
    relation.name.schema.as_str() == "confiture" || relation.is_migration_history()
}

fn unknown_table(shown: &str, name: &TableName, catalog: &Catalog, side: &str) -> Error {
    let tables = || catalog.relations.values().filter(|table| !is_ours(table)).map(|table| &table.name);
    let error = Error::config(format!("the {side} has no table {shown}"));
    let elsewhere = tables().find(|found| found.name == name.name);
    match (elsewhere, did_you_mean(name.name.as_str(), tables().map(|found| found.name.as_str()))) {
        (Some(found), _) => error.hint(format!("there is {found}: name it with its schema")),
        (None, Some(similar)) => {
            let full = tables().find(|found| found.name.as_str() == similar).map(QualifiedName::short);
            error.hint(format!("did you mean {}?", full.unwrap_or_else(|| similar.to_owned())))
        }
        (None, None) => {
            error.hint(format!("the {side} is {}; is that the right database?", catalog.database))
        }
    }
}

fn unknown_column<'a>(
    name: &Identifier,
    table: &QualifiedName,
    side: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Error {
    let error = Error::config(format!("the {side} table {} has no column {name}", table.short()));
    match did_you_mean(name.as_str(), candidates) {
        Some(similar) => error.hint(format!("did you mean {similar}?")),
        None => error,
    }
}

fn first_duplicate<'a>(names: impl Iterator<Item = &'a QualifiedName>) -> Option<&'a QualifiedName> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
