//! Foreign keys, keys, indexes and triggers of the target's tables: taken off for the load, remembered, put back.
//!
//! Taking an object off and remembering how to put it back are one transaction, and so are putting it back and
//! forgetting it: whenever a process dies, the journal and the catalog agree.

use crate::catalog::{Catalog, Constraint, ConstraintKind, Index, Oid};
use crate::error::{Error, Result};
use crate::event::Execution;
use crate::postgres::{Parameter, Session};
use crate::schema_to_schema::failpoint;
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// What the journal holds of one object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) table: QualifiedName,
    pub(crate) kind: EntryKind,
    pub(crate) name: String,
    pub(crate) restore: Vec<String>,
    /// Of a unique index over plain columns and all rows.
    pub(crate) key: Option<UniqueKey>,
}

/// What a unique index that was taken off keeps apart.
#[derive(Debug, Clone)]
pub(crate) struct UniqueKey {
    columns: Vec<Identifier>,
    primary: bool,
    immediate: bool,
}

/// The kinds of object, in the order in which they are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    Index,
    Constraint,
    ForeignKey,
    Trigger,
}

/// Takes everything off `tables` that slows their load or fires in it, in the caller's transaction. Returns how many
/// objects.
pub(crate) async fn take_off(session: &Session, tables: &[Oid], execution: &Execution) -> Result<usize> {
    session.batch(&Sql::literal("SET LOCAL search_path = ''")).await?;
    let rows =
        session.query(&Sql::literal(include_str!("../postgres/queries/journal.sql")), &[&tables]).await?;
    let remember = Sql::literal(include_str!("../postgres/queries/remember.sql"));
    let mut taken = 0;
    for row in &rows {
        let (schema, table, kind, name): (&str, &str, &str, &str) =
            (row.get(1), row.get(2), row.get(3), row.get(4));
        let restore: Vec<String> = row.get(6);
        session.batch(&Sql::literal("SAVEPOINT one")).await?;
        match session.batch(&Sql::from_server(row.get::<_, &str>(5))).await {
            Ok(()) => {
                let (key, primary, immediate): (Option<Vec<&str>>, bool, bool) =
                    (row.get(8), row.get(9), row.get(10));
                let parameters: [Parameter<'_>; 8] =
                    [&schema, &table, &kind, &name, &restore, &key, &primary, &immediate];
                session.execute(&remember, &parameters).await?;
                session.batch(&Sql::literal("RELEASE SAVEPOINT one")).await?;
                taken += 1;
            }
            // Something depends on it: a view that groups by the primary key, say. It stays.
            Err(error) if error.sqlstate_code() == Some("2BP01") => {
                session.batch(&Sql::literal("ROLLBACK TO SAVEPOINT one")).await?;
                execution
                    .note(format!("{name} on {table} stays during the load: other objects depend on it"));
            }
            Err(error) => return Err(error.context(format!("taking {name} off {table}"))),
        }
        failpoint::reached("taken one off");
    }
    Ok(taken)
}

/// Forgets an object that is no longer there to be put right.
pub(crate) async fn forget(session: &Session, entry: &Entry) -> Result<()> {
    session.batch(&sql!("DELETE FROM confiture.journal WHERE id = {}", entry.id)).await
}

/// Everything that is still to be put back, in order.
pub(crate) async fn entries(session: &Session) -> Result<Vec<Entry>> {
    read(session, None).await
}

/// What is still to be put back on one table, in order.
pub(crate) async fn entries_of(session: &Session, table: &QualifiedName) -> Result<Vec<Entry>> {
    read(session, Some(table)).await
}

async fn read(session: &Session, table: Option<&QualifiedName>) -> Result<Vec<Entry>> {
    let query = Sql::literal(
        "SELECT id, table_schema, table_name, kind, name, restore, key, is_primary, is_immediate
         FROM confiture.journal WHERE $1::text IS NULL OR (table_schema = $1 AND table_name = $2) ORDER BY id",
    );
    let schema = table.map(|table| table.schema.as_str());
    let name = table.map(|table| table.name.as_str());
    let entry = |row: &crate::postgres::Row| {
        let kind = match row.get::<_, &str>(3) {
            "index" => EntryKind::Index,
            "constraint" => EntryKind::Constraint,
            "foreign_key" => EntryKind::ForeignKey,
            _ => EntryKind::Trigger,
        };
        let table = QualifiedName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        let columns: Option<Vec<String>> = row.get(6);
        let key = columns.map(|columns| UniqueKey {
            columns: columns.into_iter().map(Identifier::new).collect(),
            primary: row.get(7),
            immediate: row.get(8),
        });
        Entry { id: row.get(0), table, kind, name: row.get(4), restore: row.get(5), key }
    };
    let mut entries: Vec<Entry> = session.query(&query, &[&schema, &name]).await?.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.kind);
    Ok(entries)
}

/// Adds to a catalog the unique keys that are off and will be put back: a run that goes on must know what it knew at the
/// beginning.
pub(crate) fn complete(catalog: &mut Catalog, entries: &[Entry]) {
    for entry in entries {
        let (Some(key), Some(relation)) = (&entry.key, catalog.relations.get_mut(&entry.table)) else {
            continue;
        };
        let name = Identifier::new(entry.name.as_str());
        let constraint = (entry.kind == EntryKind::Constraint).then(|| name.clone());
        // One that was put back in part may be there without its constraint.
        relation.indexes.retain(|index| index.name != name);
        relation.indexes.push(Index {
            name: name.clone(),
            definition: String::new(),
            key_columns: Some(key.columns.clone()),
            unique: true,
            primary: key.primary,
            partial: false,
            immediate: key.immediate,
            valid: true,
            clustered: false,
            replica_identity: false,
            constraint: constraint.clone(),
            parent: None,
            bytes: 0,
            statistics: Vec::new(),
            comment: None,
        });
        if constraint.is_some() && !relation.constraints.iter().any(|found| found.name == name) {
            relation.constraints.push(Constraint {
                name: name.clone(),
                kind: if key.primary { ConstraintKind::PrimaryKey } else { ConstraintKind::Unique },
                definition: String::new(),
                columns: key.columns.clone(),
                references: None,
                index: Some(name),
                validated: true,
                enforced: true,
                deferrable: !key.immediate,
                inherited: false,
                comment: None,
            });
        }
    }
}

/// Puts one object back and forgets it: each statement in a transaction of its own, with what is left in the journal.
///
/// Together, two unique constraints of one table would deadlock: `CREATE UNIQUE INDEX` holds SHARE on the table, which
/// both have when both want ACCESS EXCLUSIVE for their `ADD CONSTRAINT … USING INDEX`.
pub(crate) async fn restore(session: &Session, entry: &Entry) -> Result<()> {
    match restore_one_by_one(session, entry).await {
        Err(error) if error.sqlstate_code() == Some("23505") => {
            let message = format!("{}: two rows have the same key of {}", entry.table.short(), entry.name);
            Err(Error::new(error.kind(), message).sqlstate("23505").hint(
                "the mapping gives rows that the target's unique constraint refuses: a join that multiplies rows, or an expression that makes values equal",
            ))
        }
        result => result
            .map_err(|error| error.context(format!("building {} on {}", entry.name, entry.table.short()))),
    }
}

/// Statements that put foreign keys and triggers back at once, of tables that may change their names with it: what has to look
/// at rows, validating, stays in the journal.
pub(crate) fn restore_at_once(entries: &[Entry], rename: impl Fn(&QualifiedName) -> QualifiedName) -> Sql {
    let mut all = Sql::default();
    for entry in entries.iter().filter(|entry| entry.kind >= EntryKind::ForeignKey) {
        let validates = |statement: &&String| statement.contains(" VALIDATE CONSTRAINT ");
        for statement in entry.restore.iter().filter(|statement| !validates(statement)) {
            all.push(&sql!("{};\n", Sql::from_server(statement)));
        }
        if entry.kind == EntryKind::ForeignKey && entry.restore.iter().any(|statement| validates(&statement))
        {
            let table = rename(&entry.table);
            let later =
                sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, Identifier::new(entry.name.as_str()));
            all.push(&sql!(
                "UPDATE confiture.journal SET table_schema = {}, table_name = {}, restore = ARRAY[{}] WHERE id = {};\n",
                Literal(table.schema.as_str()),
                Literal(table.name.as_str()),
                Literal(later.as_str()),
                entry.id
            ));
        } else {
            all.push(&sql!("DELETE FROM confiture.journal WHERE id = {};\n", entry.id));
        }
    }
    all
}

async fn restore_one_by_one(session: &Session, entry: &Entry) -> Result<()> {
    let mut left = entry.restore.as_slice();
    while let [statement, later @ ..] = left {
        restore_statements(session, std::slice::from_ref(statement), entry.id, later).await?;
        failpoint::reached("one statement put back");
        left = later;
    }
    Ok(())
}

/// Puts a foreign key back without looking at the rows, where the server can. Returns what is left to do: to validate it,
/// or, where that cannot wait and rows violate it, all of it.
pub(crate) async fn restore_unvalidated(session: &Session, entry: &Entry) -> Result<Option<Entry>> {
    let validates = |statement: &String| statement.contains(" VALIDATE CONSTRAINT ");
    let (later, now): (Vec<String>, Vec<String>) = entry.restore.iter().cloned().partition(validates);
    match restore_statements(session, &now, entry.id, &later).await {
        Ok(()) => Ok((!later.is_empty()).then(|| Entry { restore: later, ..entry.clone() })),
        Err(error) if error.sqlstate_code() == Some("23503") => Ok(Some(entry.clone())),
        Err(error) => Err(error.context(format!("adding {} to {}", entry.name, entry.table.short()))),
    }
}

async fn restore_statements(session: &Session, now: &[String], id: i64, later: &[String]) -> Result<()> {
    // Every name is qualified, so the search path stays the role's: before PostgreSQL 17, functions that an index calls are
    // run with it, and many need it.
    let mut all = Sql::default();
    for statement in now {
        all.push(&sql!("{};\n", Sql::from_server(statement)));
    }
    if later.is_empty() {
        all.push(&sql!("DELETE FROM confiture.journal WHERE id = {}", id));
    } else {
        let later = Sql::join(", ", later.iter().map(|statement| crate::sql::Literal(statement)));
        all.push(&sql!("UPDATE confiture.journal SET restore = ARRAY[{}] WHERE id = {}", later, id));
    }
    session.transaction(session.batch(&all)).await
}
