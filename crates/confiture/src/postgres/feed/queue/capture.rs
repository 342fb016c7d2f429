//! What stands on the source to capture one table: its queue, its functions, its triggers. Data and SQL; no I/O.
//!
//! All names hold the table's OID, so that they cannot clash, whatever the table is called. The functions run as their owner,
//! so that the application needs no privilege on the queue; every name in them is qualified, so that no setting of the
//! application's session changes what they do.

use super::relation::Relation;
use crate::catalog::Oid;
use crate::postgres::feed::{CapturedTable, KeyColumn};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The schema that holds everything but the triggers.
pub(super) const SCHEMA: &str = "confiture";

/// The setting of a transaction that carries changes of the other side here: nothing of what it writes is to be carried back.
pub(super) const LEAVE_OUT: &str = "confiture.carries";

/// What `pg_trigger.tgtype` says of a trigger.
mod event {
    pub(super) const ROW: i16 = 1;
    pub(super) const INSERT: i16 = 4;
    pub(super) const DELETE: i16 = 8;
    pub(super) const UPDATE: i16 = 16;
    pub(super) const TRUNCATE: i16 = 32;
}

/// The kind of the trigger that writes the key that a row had.
const KEY: i16 = event::ROW | event::UPDATE;

/// A table, and how its changes are captured.
#[derive(Debug, Clone)]
pub(super) struct Capture<'a> {
    pub(super) table: &'a CapturedTable,
    /// The table itself, then its partitions.
    pub(super) relations: Vec<Relation>,
    /// True where triggers fire for each row: statement triggers do not fire for what reaches a relation through the root of
    /// its partitions, through the parent it inherits from, or through a subscription.
    pub(super) by_row: bool,
}

/// A trigger that has to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) relation: Oid,
    pub(super) name: String,
    pub(super) kind: i16,
    pub(super) function: String,
    /// True where it must fire whatever columns a statement names.
    pub(super) any_column: bool,
}

/// A function that has to be there.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) body: Sql,
}

impl<'a> Capture<'a> {
    /// A capture of `table`, whose relations are those of the server, the table's own first.
    pub(super) fn new(table: &'a CapturedTable, relations: Vec<Relation>) -> Self {
        let by_row =
            relations.first().is_some_and(|root| root.kind == "p" || root.is_partition || root.is_child)
                || relations.iter().any(|relation| relation.is_subscribed);
        Self { table, relations, by_row }
    }

    /// The names of the queue's two segments.
    pub(super) fn segments(&self) -> [String; 2] {
        segments(self.table.oid)
    }

    /// The sequence that says which segment is written to.
    pub(super) fn sequence(&self) -> String {
        sequence(self.table.oid)
    }

    /// What the queue holds, as the comment of its tables: a queue of other columns is none of this capture.
    pub(super) fn comment(&self) -> String {
        let column = |column: &KeyColumn| format!("{} {}", column.name, column.data_type);
        let columns: Vec<String> = self.table.key.iter().map(column).collect();
        format!("Confiture: keys of changed and of new rows ({})", columns.join(", "))
    }

    /// The functions that the triggers call.
    pub(super) fn functions(&self) -> Vec<Function> {
        let key = |row: &'static str| {
            let row = Sql::literal(row);
            Sql::join(", ", self.table.key.iter().map(|column| sql!("{}.{}", row, column.name)))
        };
        let keys = Sql::join(", ", (1..=self.table.key.len()).map(key_column));
        let with_inserted = sql!("{}, inserted", keys);
        // By the name of the function: the table may have a column that is called like this.
        let inserted = |name: &str| {
            let function = Identifier::new(function_name(self.table.oid, name));
            sql!("{}.TG_OP OPERATOR(pg_catalog.=) 'INSERT'", function)
        };
        let mut functions = vec![
            self.function("old", &keys, &sql!("VALUES ({})", key("OLD"))),
            self.function("truncate", &Sql::literal("whole"), &Sql::literal("VALUES (true)")),
        ];
        functions.push(if self.by_row {
            let row = sql!("VALUES ({}, {})", key("NEW"), inserted("new"));
            self.function("new", &with_inserted, &row)
        } else {
            // A transition table goes before every other relation of its name.
            let rows = sql!("SELECT {}, {} FROM changed", key("changed"), inserted("statement"));
            self.function("statement", &with_inserted, &rows)
        });
        functions
    }

    fn function(&self, name: &str, columns: &Sql, rows: &Sql) -> Function {
        let [first, second] = self.segments().map(qualified);
        let sequence = qualified(self.sequence()).to_string();
        // Reading the sequence costs a tenth of a query, and says at once, to all, what the feed has set.
        let body = sql!(
            "
#variable_conflict use_column
BEGIN
    IF pg_catalog.current_setting({}, true) OPERATOR(pg_catalog.=) 'yes' THEN
        RETURN NULL;
    ELSIF pg_catalog.pg_sequence_last_value({}::pg_catalog.regclass) OPERATOR(pg_catalog.=) 1 THEN
        INSERT INTO {} ({}) {};
    ELSE
        INSERT INTO {} ({}) {};
    END IF;
    RETURN NULL;
END",
            Literal(LEAVE_OUT),
            Literal(&sequence),
            second,
            columns,
            rows,
            first,
            columns,
            rows
        );
        Function { name: function_name(self.table.oid, name), body }
    }

    /// The triggers that have to be there, with those that partitions have of their root.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        let before_update = self.relations.iter().any(|relation| relation.has_before_update);
        let mut triggers = Vec::new();
        for (index, relation) in self.relations.iter().enumerate() {
            let mut add = |name: String, kind: i16, function: &str| {
                let function = function_name(self.table.oid, function);
                let any_column = kind != KEY || before_update;
                triggers.push(Trigger { relation: relation.oid, name, kind, function, any_column });
            };
            let own = |name: &str| format!("confiture_capture_{name}_{}", self.table.oid);
            if self.by_row {
                // Clones on the partitions have the names of the root's.
                add(own("row"), event::ROW | event::INSERT | event::UPDATE, "new");
                add(own("row_delete"), event::ROW | event::DELETE, "old");
            } else if index == 0 {
                add(own("insert"), event::INSERT, "statement");
                add(own("update"), event::UPDATE, "statement");
                add(own("delete"), event::DELETE, "statement");
            }
            if self.by_row || index == 0 {
                add(own("key"), KEY, "old");
            }
            add(own("truncate"), event::TRUNCATE, "truncate");
        }
        triggers
    }

    /// The statements that make the queue and the functions. They wait for nobody.
    pub(super) fn queue_statements(&self) -> Vec<Sql> {
        let columns = self.table.key.iter().enumerate();
        let columns = columns.map(|(index, column)| sql!("{} {}, ", key_column(index + 1), column.data_type));
        let columns = Sql::join("", columns);
        let comment = self.comment();
        let mut statements = Vec::new();
        for segment in self.segments().map(qualified) {
            // What is emptied as a whole needs no vacuum.
            statements.push(sql!(
                "CREATE TABLE {} ({}whole boolean NOT NULL DEFAULT false, inserted boolean NOT NULL DEFAULT false, \
                 transaction xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id()) \
                 WITH (autovacuum_enabled = off)",
                segment,
                columns
            ));
            statements.push(sql!("CREATE INDEX ON {} (transaction)", segment));
            statements.push(sql!("COMMENT ON TABLE {} IS {}", segment, Literal(&comment)));
        }
        let sequence = qualified(self.sequence());
        statements.push(sql!("CREATE SEQUENCE {} AS smallint MINVALUE 0 MAXVALUE 1 CYCLE", sequence));
        for function in self.functions() {
            let name = qualified(function.name);
            statements.push(sql!(
                "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS {}",
                name,
                Literal(function.body.as_str())
            ));
            // Whoever could call it could write keys that are none.
            statements.push(sql!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", name));
        }
        statements
    }

    /// The statements that make the triggers. They wait for all who are writing to the table.
    pub(super) fn trigger_statements(&self) -> Vec<Sql> {
        let names = |relation: Oid| {
            self.relations.iter().find(|known| known.oid == relation).map(|known| known.name.clone())
        };
        let mut statements = Vec::new();
        for trigger in self.triggers() {
            let Some(relation) = names(trigger.relation) else { continue };
            let name = Identifier::new(trigger.name.as_str());
            let is_clone = trigger.relation != self.table.oid && trigger.kind & event::ROW != 0;
            if !is_clone {
                statements.push(self.create(&trigger, &name, &relation));
            }
            // Also for what a session writes that stands in for another server.
            statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", relation, name));
        }
        statements
    }

    fn create(&self, trigger: &Trigger, name: &Identifier, relation: &QualifiedName) -> Sql {
        const ROW: i16 = event::ROW | event::INSERT | event::UPDATE;
        const ROW_DELETE: i16 = event::ROW | event::DELETE;
        let when = match trigger.kind {
            event::INSERT => Sql::literal("INSERT"),
            event::DELETE | ROW_DELETE => Sql::literal("DELETE"),
            event::TRUNCATE => Sql::literal("TRUNCATE"),
            ROW => Sql::literal("INSERT OR UPDATE"),
            // Its condition is parsed for every statement that it fires for; most do not name the key.
            KEY if !trigger.any_column => {
                sql!("UPDATE OF {}", Sql::join(", ", self.table.key.iter().map(|column| &column.name)))
            }
            _ => Sql::literal("UPDATE"),
        };
        let each = match trigger.kind {
            event::INSERT | event::UPDATE => {
                Sql::literal("REFERENCING NEW TABLE AS changed FOR EACH STATEMENT")
            }
            event::DELETE => Sql::literal("REFERENCING OLD TABLE AS changed FOR EACH STATEMENT"),
            event::TRUNCATE => Sql::literal("FOR EACH STATEMENT"),
            KEY => sql!("FOR EACH ROW WHEN ({})", self.key_differs()),
            _ => Sql::literal("FOR EACH ROW"),
        };
        let function = qualified(trigger.function.clone());
        sql!(
            "CREATE OR REPLACE TRIGGER {} AFTER {} ON {} {} EXECUTE FUNCTION {}()",
            name,
            when,
            relation,
            each,
            function
        )
    }

    /// True where an UPDATE has changed the key: byte by byte, as two keys that a collation calls the same may be two on the
    /// other side.
    fn key_differs(&self) -> Sql {
        let is_plain = |column: &KeyColumn| {
            column.data_type.schema.as_str() == "pg_catalog"
                && ["int2", "int4", "int8", "uuid"].contains(&column.data_type.name.as_str())
        };
        if self.table.key.iter().all(is_plain) {
            let differs = |column: &KeyColumn| {
                let (name, data_type) = (&column.name, &column.data_type);
                sql!(
                    "CAST(OLD.{} AS {}) OPERATOR(pg_catalog.<>) CAST(NEW.{} AS {})",
                    name,
                    data_type,
                    name,
                    data_type
                )
            };
            return Sql::join(" OR ", self.table.key.iter().map(differs));
        }
        let row = |row: &'static str| {
            let row = Sql::literal(row);
            Sql::join(", ", self.table.key.iter().map(|column| sql!("{}.{}", row, column.name)))
        };
        sql!(
            "ROW({})::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW({})::pg_catalog.record",
            row("OLD"),
            row("NEW")
        )
    }
}

/// The names of the two segments of a table's queue.
pub(super) fn segments(table: Oid) -> [String; 2] {
    [format!("queue_{table}_0"), format!("queue_{table}_1")]
}

/// The sequence that says which of them is written to.
pub(super) fn sequence(table: Oid) -> String {
    format!("queue_{table}_segment")
}

/// All functions that captures of a table have had.
pub(super) fn function_names(table: Oid) -> Vec<String> {
    ["statement", "new", "old", "truncate"].map(|name| function_name(table, name)).into()
}

fn function_name(table: Oid, name: &str) -> String {
    match name {
        "statement" => format!("capture_{table}"),
        _ => format!("capture_{table}_{name}"),
    }
}

/// A name in the schema `confiture`.
pub(super) fn qualified(name: impl Into<String>) -> QualifiedName {
    QualifiedName::new(SCHEMA, name.into())
}

/// The statements that remove the queue and the functions.
pub(super) fn drop_statements(table: Oid) -> Vec<Sql> {
    let mut statements: Vec<Sql> = function_names(table)
        .into_iter()
        .map(|name| sql!("DROP FUNCTION IF EXISTS {}()", qualified(name)))
        .collect();
    statements.extend(segments(table).map(|name| sql!("DROP TABLE IF EXISTS {}", qualified(name))));
    statements.push(sql!("DROP SEQUENCE IF EXISTS {}", qualified(sequence(table))));
    statements
}

/// `k1`, `k2` …
pub(super) fn key_column(number: usize) -> Sql {
    sql!("k{}", number)
}
