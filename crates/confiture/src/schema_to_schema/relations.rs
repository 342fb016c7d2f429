//! Names of source relations in the user's SQL, turned into the names of their foreign tables. Pure.

use crate::catalog::Catalog;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql};

/// `text` with every relation after `FROM`, `JOIN` or a comma between relations replaced by its foreign table, and those
/// relations. Column references are left as they are: they go through aliases, and a relation without one gets its name.
pub(crate) fn to_foreign(
    text: &str,
    source: &Catalog,
    foreign_schema: &Identifier,
) -> (Sql, Vec<QualifiedName>) {
    let tokens: Vec<Token> = lex(text).collect();
    let code: Vec<usize> = (0..tokens.len()).filter(|index| !tokens[*index].is_blank()).collect();
    let mut replaced = String::with_capacity(text.len());
    let mut found = Vec::new();
    let mut copied = 0;
    for (position, index) in code.iter().enumerate() {
        let before = position.checked_sub(1).map(|before| &tokens[code[before]]);
        let introduces = before.is_some_and(|token| {
            ["from", "join", "only"].iter().any(|word| token.is_word(text, word))
                || token.kind == TokenKind::Comma
        });
        if !introduces {
            continue;
        }
        let Some((name, last)) = qualified_name(text, &tokens, &code[position..]) else { continue };
        let Some(relation) = source.find(name.0.as_ref(), &name.1) else { continue };
        let comma = before.is_some_and(|token| token.kind == TokenKind::Comma);
        // After a comma a bare name is more likely a column.
        if comma && name.0.is_none() {
            continue;
        }
        replaced.push_str(&text[copied..tokens[*index].span.start]);
        replaced
            .push_str(&QualifiedName::new(foreign_schema.clone(), relation.name.name.clone()).to_string());
        copied = tokens[last].span.end;
        found.push(relation.name.clone());
    }
    replaced.push_str(&text[copied..]);
    (Sql::from_user(replaced), found)
}

type Name = (Option<Identifier>, Identifier);

/// The name that begins at the first of `code`, and the index of its last token.
fn qualified_name(text: &str, tokens: &[Token], code: &[usize]) -> Option<(Name, usize)> {
    let first = tokens[*code.first()?].identifier(text)?;
    let dotted = code.get(1).is_some_and(|index| tokens[*index].kind == TokenKind::Dot);
    match code.get(2).filter(|_| dotted) {
        Some(index) => Some(((Some(first), tokens[*index].identifier(text)?), *index)),
        None => Some(((None, first), code[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Relation, RelationKind};

    fn catalog() -> Catalog {
        let relation = |schema: &str, name: &str| {
            let name = QualifiedName::new(schema, name);
            let relation = Relation {
                name: name.clone(),
                oid: 1,
                kind: RelationKind::Table,
                unlogged: false,
                owner: "o".into(),
                columns: vec![],
                constraints: vec![],
                indexes: vec![],
                triggers: vec![],
                parents: vec![],
                is_partition: false,
                partition_bound: None,
                partition_key: None,
                row_security: false,
                force_row_security: false,
                replica_identity: 'd',
                row_estimate: None,
                pages: 0,
                bytes: 0,
                index_bytes: 0,
            };
            (name, relation)
        };
        Catalog {
            search_path: vec!["public".into()],
            relations: [relation("public", "customers"), relation("old", "Orders")].into(),
            ..Catalog::default()
        }
    }

    #[test]
    fn relations_are_replaced_and_columns_are_not() {
        let text = "left join customers c on c.id = o.x and extract(year from o.at) = (select max(y) from old.\"Orders\" z)";
        let (sql, found) = to_foreign(text, &catalog(), &Identifier::new("old_schema"));
        assert_eq!(
            sql.as_str(),
            "left join old_schema.customers c on c.id = o.x and extract(year from o.at) = (select max(y) from old_schema.\"Orders\" z)"
        );
        assert_eq!(found.len(), 2);
        let (same, none) =
            to_foreign("trim('from customers'), customers.id", &catalog(), &Identifier::new("f"));
        assert_eq!(same.as_str(), "trim('from customers'), customers.id");
        assert!(none.is_empty());
    }
}
