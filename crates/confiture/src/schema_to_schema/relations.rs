//! Names of source relations in the user's SQL, turned into the names of their foreign tables. Pure.

use crate::catalog::Catalog;
use crate::sql::lex::{Token, TokenKind, lex};
use crate::sql::{Identifier, QualifiedName, Sql};

/// `text` with every relation of its `FROM` clauses replaced by its foreign table, and those relations. References to
/// columns are left as they are: they go through aliases, and a relation without one keeps its name; only a schema in
/// front of that goes. `in_from` says that the text begins inside of a `FROM` clause.
pub(crate) fn to_foreign(
    text: &str,
    in_from: bool,
    source: &Catalog,
    foreign_schema: &Identifier,
) -> (Sql, Vec<QualifiedName>) {
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let mut clauses = vec![if in_from { Clause::From } else { Clause::Other }];
    let mut replaced = String::with_capacity(text.len());
    let (mut found, mut copied, mut index) = (Vec::new(), 0, 0);
    while let Some(token) = tokens.get(index) {
        let is_relation = follow(text, &tokens, index, &mut clauses);
        let name = qualified_name(text, &tokens[index..]);
        index += 1;
        let Some((name, length)) = name else { continue };
        let after = tokens.get(index - 1 + length);
        let last = &tokens[index + length - 2];
        let relation = source.find(name.0.as_ref(), &name.1);
        match relation {
            Some(relation) if is_relation && !is_local(text, &tokens, &name, after) => {
                let foreign = QualifiedName::new(foreign_schema.clone(), relation.name.name.clone());
                replaced.push_str(&text[copied..token.span.start]);
                replaced.push_str(&foreign.to_string());
                found.push(relation.name.clone());
            }
            // `old.orders.id`
            Some(_) if name.0.is_some() && after.is_some_and(|after| after.kind == TokenKind::Dot) => {
                replaced.push_str(&text[copied..token.span.start]);
                replaced.push_str(last.text(text));
            }
            _ => continue,
        }
        copied = last.span.end;
        index += length - 1;
    }
    replaced.push_str(&text[copied..]);
    (Sql::from_user(replaced), found)
}

/// What the words between two brackets are part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    From,
    /// `extract(year FROM …)` and its like, whose FROM names no relation.
    Argument,
    Other,
}

/// Follows the clauses up to the token at `index`; true where a relation may stand there.
fn follow(text: &str, tokens: &[Token], index: usize, clauses: &mut Vec<Clause>) -> bool {
    let token = &tokens[index];
    let before = |steps: usize| index.checked_sub(steps).map(|before| &tokens[before]);
    let is_before = |steps, word: &str| before(steps).is_some_and(|token| token.is_word(text, word));
    let clause = clauses.last().copied().unwrap_or(Clause::Other);
    let comma = before(1).is_none_or(|token| token.kind == TokenKind::Comma);
    let introduced = comma || ["from", "join", "only", "lateral"].iter().any(|word| is_before(1, word));
    match token.kind {
        TokenKind::Open => {
            const WITH_FROM: [&str; 4] = ["extract", "substring", "trim", "overlay"];
            clauses.push(match clause {
                _ if WITH_FROM.iter().any(|word| is_before(1, word)) => Clause::Argument,
                Clause::From if introduced => Clause::From,
                _ => Clause::Other,
            });
        }
        TokenKind::Close if clauses.len() > 1 => {
            clauses.pop();
        }
        TokenKind::Word => {
            const ENDS: [&str; 11] = [
                "select",
                "where",
                "group",
                "having",
                "order",
                "limit",
                "offset",
                "window",
                "union",
                "except",
                "intersect",
            ];
            let distinct = is_before(1, "distinct") && (is_before(2, "is") || is_before(2, "not"));
            let current = clauses.last_mut().expect("the outermost clause is never closed");
            if token.is_word(text, "from") && clause != Clause::Argument && !distinct {
                *current = Clause::From;
            } else if ENDS.iter().any(|word| token.is_word(text, word)) {
                *current = Clause::Other;
            }
        }
        _ => {}
    }
    let opened = before(1).is_some_and(|token| token.kind == TokenKind::Open);
    clause == Clause::From && (introduced || opened)
}

/// True for what reads like a relation of the source and is none: a function, or a query that `WITH` names.
fn is_local(text: &str, tokens: &[Token], name: &Name, after: Option<&Token>) -> bool {
    let is_query = |three: &[Token]| {
        three[0].identifier(text).as_ref() == Some(&name.1)
            && three[1].is_word(text, "as")
            && (three[2].kind == TokenKind::Open
                || three[2].is_word(text, "materialized")
                || three[2].is_word(text, "not"))
    };
    after.is_some_and(|token| token.kind == TokenKind::Open)
        || (name.0.is_none() && tokens.windows(3).any(is_query))
}

type Name = (Option<Identifier>, Identifier);

/// The name that begins at the first token, and how many tokens it has.
fn qualified_name(text: &str, tokens: &[Token]) -> Option<(Name, usize)> {
    let first = tokens.first()?.identifier(text)?;
    let dotted = tokens.get(1).is_some_and(|token| token.kind == TokenKind::Dot);
    match tokens.get(2).filter(|_| dotted) {
        Some(token) => Some(((Some(first), token.identifier(text)?), 3)),
        None => Some(((None, first), 1)),
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
        let (sql, found) = to_foreign(text, true, &catalog(), &Identifier::new("old_schema"));
        assert_eq!(
            sql.as_str(),
            "left join old_schema.customers c on c.id = o.x and extract(year from o.at) = (select max(y) from old_schema.\"Orders\" z)"
        );
        assert_eq!(found.len(), 2);
        let (same, none) =
            to_foreign("trim('from customers'), customers.id", false, &catalog(), &Identifier::new("f"));
        assert_eq!(same.as_str(), "trim('from customers'), customers.id");
        assert!(none.is_empty());
    }

    #[test]
    fn only_relations_of_from_clauses_are_replaced() {
        let cases = [
            (true, ", customers c where x", ", f.customers c where x"),
            (true, ", old.\"Orders\" o, customers", ", f.\"Orders\" o, f.customers"),
            (
                true,
                "join (customers c join old.\"Orders\" o on true) on 1 in (1, customers.id)",
                "join (f.customers c join f.\"Orders\" o on true) on 1 in (1, customers.id)",
            ),
            (false, "extract(year from customers)", "extract(year from customers)"),
            (false, "a is not distinct from customers", "a is not distinct from customers"),
            (false, "coalesce(a, customers)", "coalesce(a, customers)"),
            (false, "old.\"Orders\".id", "\"Orders\".id"),
            (
                false,
                "(select max(x), customers from customers group by a, customers)",
                "(select max(x), customers from f.customers group by a, customers)",
            ),
            (
                false,
                "(with customers as (select 1) select * from customers)",
                "(with customers as (select 1) select * from customers)",
            ),
            (false, "(select x from customers(1))", "(select x from customers(1))"),
            (false, "(select x from only (customers))", "(select x from only (f.customers))"),
        ];
        for (in_from, text, expected) in cases {
            assert_eq!(to_foreign(text, in_from, &catalog(), &Identifier::new("f")).0.as_str(), expected);
        }
    }
}
