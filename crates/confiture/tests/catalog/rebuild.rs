//! Definitions that were read, run again: what they make is what was read, as `pg_dump` sees it.

use confiture::catalog::{Catalog, Column, Constraint, ConstraintKind, Index, Relation};
use confiture::postgres::Session;
use confiture::sql::{Sql, sql};

use crate::fixture::rich;

#[tokio::test]
async fn definitions_run_again_make_the_same_schema() {
    let (database, session, catalog) = rich().await;
    // The definitions name everything with its schema: they need no search path.
    session.batch(&Sql::literal("SET search_path = ''; SET client_min_messages = error")).await.unwrap();
    let before = database.schema("");
    let mut drops = Vec::new();
    let mut creations = Vec::new();
    for relation in catalog.relations.values() {
        for column in &relation.columns {
            replace_default(relation, column, &mut drops, &mut creations);
        }
        for trigger in relation.triggers.iter().filter(|trigger| !trigger.inherited) {
            drops.push(sql!("DROP TRIGGER {} ON {}", trigger.name, relation.name));
            creations.push(Sql::from_server(&trigger.definition));
        }
    }
    run(&session, drops, creations).await;
    // What dropping a trigger forgets, and the definition does not say.
    let enabled = "ALTER TABLE app.everything DISABLE TRIGGER off, ENABLE ALWAYS TRIGGER always";
    session.batch(&Sql::literal(enabled)).await.unwrap();
    assert_eq!(before, database.schema(""), "defaults and triggers");

    let (mut drops, mut creations) = (Vec::new(), Vec::new());
    replace_indexes(&catalog, &mut drops, &mut creations);
    replace_constraints(&catalog, &mut drops, &mut creations);
    run(&session, drops, creations).await;
    assert_eq!(before, database.schema(""), "indexes and constraints");
}

async fn run(session: &Session, drops: Vec<Sql>, creations: Vec<Sql>) {
    assert!(drops.len() > 4, "{drops:?}");
    for sql in drops.iter().chain(&creations) {
        session.batch(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn replace_default(relation: &Relation, column: &Column, drops: &mut Vec<Sql>, creations: &mut Vec<Sql>) {
    let (Some(default), None) = (&column.default, column.generated) else { return };
    drops.push(sql!("ALTER TABLE ONLY {} ALTER {} DROP DEFAULT", relation.name, column.name));
    let default = Sql::from_server(default);
    creations.push(sql!("ALTER TABLE ONLY {} ALTER {} SET DEFAULT {}", relation.name, column.name, default));
}

/// Indexes of no constraint and of no partitioned table, with what hangs on them.
fn replace_indexes(catalog: &Catalog, drops: &mut Vec<Sql>, creations: &mut Vec<Sql>) {
    let is_free = |index: &&Index| index.constraint.is_none() && index.parent.is_none() && index.valid;
    for relation in catalog.relations.values() {
        let is_parent = |index: &Index| {
            catalog.relations.values().flat_map(|other| &other.indexes).any(|other| {
                other
                    .parent
                    .as_ref()
                    .is_some_and(|parent| parent.schema == relation.name.schema && parent.name == index.name)
            })
        };
        for index in relation.indexes.iter().filter(is_free).filter(|index| !is_parent(index)) {
            let name = confiture::sql::QualifiedName::new(relation.name.schema.clone(), index.name.clone());
            drops.push(sql!("DROP INDEX {}", name));
            creations.push(Sql::from_server(&index.definition));
            for (number, target) in &index.statistics {
                creations.push(sql!("ALTER INDEX {} ALTER {} SET STATISTICS {}", name, *number, *target));
            }
            if let Some(comment) = &index.comment {
                creations.push(sql!("COMMENT ON INDEX {} IS {}", name, confiture::sql::Literal(comment)));
            }
            if index.clustered {
                creations.push(sql!("ALTER TABLE {} CLUSTER ON {}", relation.name, index.name));
            }
            if index.replica_identity {
                creations.push(sql!(
                    "ALTER TABLE {} REPLICA IDENTITY USING INDEX {}",
                    relation.name,
                    index.name
                ));
            }
        }
    }
}

/// Constraints: foreign keys go first and come back last.
fn replace_constraints(catalog: &Catalog, drops: &mut Vec<Sql>, creations: &mut Vec<Sql>) {
    let is_own =
        |constraint: &&Constraint| !constraint.inherited && constraint.kind != ConstraintKind::Trigger;
    for of_keys in [true, false] {
        let chosen = |constraint: &&Constraint| {
            is_own(constraint) && (constraint.kind == ConstraintKind::ForeignKey) == of_keys
        };
        for relation in catalog.relations.values() {
            for constraint in relation.constraints.iter().filter(chosen) {
                drops.push(sql!("ALTER TABLE {} DROP CONSTRAINT {}", relation.name, constraint.name));
            }
        }
    }
    let mut keys = Vec::new();
    for relation in catalog.relations.values() {
        for constraint in relation.constraints.iter().filter(is_own) {
            let definition = Sql::from_server(&constraint.definition);
            let add = sql!("ALTER TABLE {} ADD CONSTRAINT {} {}", relation.name, constraint.name, definition);
            let comment = constraint.comment.iter().map(|comment| {
                let comment = confiture::sql::Literal(comment);
                sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", constraint.name, relation.name, comment)
            });
            let later =
                if constraint.kind == ConstraintKind::ForeignKey { &mut keys } else { &mut *creations };
            later.push(add);
            later.extend(comment);
        }
    }
    creations.extend(keys);
}
