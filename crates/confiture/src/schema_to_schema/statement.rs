//! A table that a whole statement of the user's fills: `INSERT INTO users (…) SELECT … FROM old_schema.users`. Pure.
//!
//! The statement is taken apart after its head, so that the rows it selects can be verified like any others.

use crate::catalog::{Catalog, Column, Relation};
use crate::error::{Error, Result};
use crate::schema_to_schema::check::located;
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan, Topology};
use crate::schema_to_schema::transfer::{assigned, compared};
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// `INSERT INTO schema.name (columns) rest`.
struct Head {
    schema: Option<Identifier>,
    name: Identifier,
    columns: Option<Vec<Identifier>>,
    /// The query: from `SELECT`, `WITH` or `VALUES` on.
    query: String,
}

/// Checks the statement of `table` against the target, and plans its columns.
pub(crate) fn resolve(
    table: &mut TablePlan,
    foreign_schema: &Identifier,
    topology: Topology,
    source: &Catalog,
    relation: &Relation,
    target: &Catalog,
) -> Result<()> {
    let text = table.query.statement.as_ref().map(|sql| sql.as_str().to_owned()).unwrap_or_default();
    let place = table.place.clone();
    let wrong = |message: String| located(Error::config(message), place.as_ref());
    let head = parse(&text).ok_or_else(|| {
        wrong(format!("the statement for {} is not `INSERT INTO … SELECT …`", table.target.short()))
            .hint("write one statement that begins with INSERT INTO and the target table's name")
    })?;
    check_target(&head, table, target).map_err(|error| located(error, place.as_ref()))?;
    let columns = match &head.columns {
        None => relation.columns.iter().filter(|column| column.is_writable()).collect(),
        Some(names) => named_columns(names, relation).map_err(|error| located(error, place.as_ref()))?,
    };
    let missing = relation
        .columns
        .iter()
        .find(|column| !column.may_be_left_out() && !columns.iter().any(|filled| filled.name == column.name));
    if let Some(column) = missing {
        return Err(wrong(format!(
            "{}.{} is NOT NULL, has no default, and the statement does not fill it",
            table.target.short(),
            column.name
        )));
    }
    if topology == Topology::TwoDatabases {
        check_foreign_tables(&head.query, foreign_schema, source)
            .map_err(|error| located(error, place.as_ref()))?;
    }
    table.columns = columns.iter().map(|column| plan_column(column, target)).collect();
    let filled = |name: &Identifier| columns.iter().any(|column| &column.name == name);
    table.key = relation.key().filter(|key| key.iter().all(filled)).unwrap_or_default();
    table.query.statement = Some(Sql::from_user(head.query));
    Ok(())
}

impl TablePlan {
    /// The user's statement, with the target's name and columns as the plan has them.
    pub(crate) fn insert_statement(&self, query: &Sql) -> Sql {
        sql!("INSERT INTO {} OVERRIDING SYSTEM VALUE\n{}", self.target_columns(), query)
    }
}

fn plan_column(column: &Column, target: &Catalog) -> ColumnPlan {
    let (wanted, encoding) = (&column.data_type, target.encoding.as_str());
    let read = match assigned(&sql!("s.{}", column.name), None, wanted, target) {
        Some((value, of)) => compared(&value, &of, target, encoding),
        None => {
            let read = sql!("CAST(s.{} AS {})", column.name, Sql::from_server(wanted.text.clone()));
            compared(&read, wanted, target, encoding)
        }
    };
    let selected = sql!("s.{}", column.name);
    ColumnPlan {
        target: column.name.clone(),
        shown: "(statement)".to_owned(),
        expression: selected.clone(),
        source_column: None,
        sent: selected.clone(),
        inserted: selected,
        compared_source: read,
        compared_target: compared(&sql!("t.{}", column.name), wanted, target, encoding),
        data_type: wanted.text.clone(),
        place: None,
    }
}

fn check_target(head: &Head, table: &mut TablePlan, target: &Catalog) -> Result<()> {
    let shown = match &head.schema {
        Some(schema) => QualifiedName::new(schema.clone(), head.name.clone()).to_string(),
        None => head.name.to_string(),
    };
    if head.name != table.target.name {
        let message =
            format!("the statement fills {shown}, but the mapping has it under {}", table.target.short());
        return Err(Error::config(message).hint("make both name the same table"));
    }
    match &head.schema {
        Some(schema) if schema == &table.target.schema => Ok(()),
        Some(schema) if target.schemas.contains(schema) => {
            let message = format!("the statement fills {shown}, but the mapping means {}", table.target);
            Err(Error::config(message).hint("make both name the same schema"))
        }
        Some(schema) => {
            table.remark(format!(
                "{schema} is not a schema of the target; {} is filled instead of {shown}",
                table.target
            ));
            Ok(())
        }
        None => Ok(()),
    }
}

fn named_columns<'a>(names: &[Identifier], relation: &'a Relation) -> Result<Vec<&'a Column>> {
    let mut columns = Vec::new();
    for name in names {
        let Some(column) = relation.column(name) else {
            let message = format!("the target table {} has no column {name}", relation.name.short());
            let candidates = relation.columns.iter().map(|column| column.name.as_str());
            return Err(Error::config(message).did_you_mean(name.as_str(), candidates));
        };
        columns.push(column);
    }
    Ok(columns)
}

fn check_foreign_tables(query: &str, foreign_schema: &Identifier, source: &Catalog) -> Result<()> {
    for name in foreign_tables(query, foreign_schema) {
        if !source.relations.keys().any(|relation| relation.name == name) {
            let message =
                format!("the statement reads {foreign_schema}.{name}, but the source has no table {name}");
            let candidates = source.relations.keys().map(|relation| relation.name.as_str());
            return Err(Error::config(message).did_you_mean(name.as_str(), candidates));
        }
    }
    Ok(())
}

/// The tables that a text names as `foreign_schema.table`.
pub(crate) fn foreign_tables(text: &str, foreign_schema: &Identifier) -> Vec<Identifier> {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut found = Vec::new();
    for three in tokens.windows(3) {
        if three[0].identifier(text).as_ref() == Some(foreign_schema)
            && three[1].kind == TokenKind::Dot
            && let Some(name) = three[2].identifier(text)
            && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

fn parse(text: &str) -> Option<Head> {
    let mut tokens = lex(text).filter(|token| !token.is_blank()).peekable();
    tokens.next_if(|token| token.is_word(text, "insert"))?;
    tokens.next_if(|token| token.is_word(text, "into"))?;
    let mut name = tokens.next()?.identifier(text)?;
    let mut schema = None;
    if tokens.next_if(|token| token.kind == TokenKind::Dot).is_some() {
        schema = Some(name);
        name = tokens.next()?.identifier(text)?;
    }
    let mut columns = None;
    if tokens.next_if(|token| token.kind == TokenKind::Open).is_some() {
        let mut names = Vec::new();
        loop {
            names.push(tokens.next()?.identifier(text)?);
            match tokens.next()?.kind {
                TokenKind::Comma => {}
                TokenKind::Close => break,
                _ => return None,
            }
        }
        columns = Some(names);
    }
    if tokens.next_if(|token| token.is_word(text, "overriding")).is_some() {
        tokens.next()?;
        tokens.next()?;
    }
    let first = tokens.next()?;
    let begins_query = ["select", "with", "values", "table"].iter().any(|word| first.is_word(text, word));
    if !begins_query && first.kind != TokenKind::Open {
        return None;
    }
    let mut end = first.span.end;
    for token in tokens.by_ref() {
        if token.kind == TokenKind::Semicolon {
            break;
        }
        end = token.span.end;
    }
    if tokens.next().is_some() {
        return None; // A second statement.
    }
    Some(Head { schema, name, columns, query: text[first.span.start..end].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_apart() {
        let head =
            parse("insert into production_new.\"Users\" (id, \"Full name\")\n-- why\nSELECT 1, ';' FROM x;")
                .unwrap();
        assert_eq!(head.schema.unwrap().as_str(), "production_new");
        assert_eq!(head.name.as_str(), "Users");
        assert_eq!(head.columns.unwrap()[1].as_str(), "Full name");
        assert_eq!(head.query, "SELECT 1, ';' FROM x");
    }

    #[test]
    fn what_is_not_one_insert_is_refused() {
        for text in [
            "",
            "select 1",
            "insert into t",
            "insert into t (a",
            "delete from t",
            "insert into t select 1; drop table t",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn foreign_tables_are_found_in_code_only() {
        let text =
            "select old_schema.a.x, 'old_schema.b' from old_schema.a, OLD_SCHEMA . \"C\" -- old_schema.d";
        let found = foreign_tables(text, &Identifier::new("old_schema"));
        assert_eq!(found, [Identifier::new("a"), Identifier::new("C")]);
    }
}
