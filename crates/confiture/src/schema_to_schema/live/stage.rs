//! The statements of one target table: a stage for the rows that are read again, and what makes the table equal to it.

use crate::catalog::{ConstraintKind, Identity, Relation};
use crate::postgres::feed::{KeyColumn, KeySet};
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

/// Keys that one query reads at most where pieces will do.
pub(crate) const KEYS_AT_ONCE: usize = if cfg!(feature = "failpoints") { 40 } else { 50_000 };

/// Types of which equal values are the same: smallint, integer, bigint, oid, bytea, date, timestamp, timestamptz, uuid.
const PLAIN: [u32; 9] = [21, 23, 20, 26, 17, 1082, 1114, 1184, 2950];

/// The statements of one target table.
#[derive(Debug)]
pub(crate) struct Stage {
    rows: QualifiedName,
    keys: QualifiedName,
    target: QualifiedName,
    /// All columns that are written, with commas.
    columns: Sql,
    /// Those of the key.
    key: Vec<Identifier>,
    /// What is written of a row that is there; `None` where only a new row can take the values.
    updated: Option<Vec<Identifier>>,
    names: Vec<Identifier>,
    /// Whether COPY may write into the table: it refuses where row-level security applies.
    pub(crate) takes_copy: bool,
}

/// Which rows of the target a stage speaks of.
#[derive(Debug, Clone)]
pub(crate) enum Share {
    /// All of them.
    All,
    /// Those of the staged keys.
    Keys,
    /// Those of which this is true; `t` is the row.
    Where(Sql),
}

/// Two queries of the source: which target rows are concerned, and what they are now.
pub(crate) struct Reading {
    /// How many keys of the source.
    pub(crate) count: u64,
    /// The target's keys.
    pub(crate) keys: Sql,
    /// The rows.
    pub(crate) rows: Sql,
}

impl Stage {
    /// The stage of the table at `index` of the plan.
    pub(crate) fn new(index: usize, table: &TablePlan, relation: &Relation) -> Self {
        let stage = |what: &str| QualifiedName::new("pg_temp", format!("confiture_{what}_{index}"));
        let names: Vec<Identifier> = table.columns.iter().map(|column| column.target.clone()).collect();
        // Of the key what may be equal and yet differ: `1.0` and `1.00`, or text under some collations.
        let differs = |name: &&Identifier| {
            !table.key.contains(name)
                || relation.column(name).is_some_and(|column| {
                    column.identity != Some(Identity::Always) && !PLAIN.contains(&column.data_type.oid)
                })
        };
        let updated: Vec<Identifier> = names.iter().filter(differs).cloned().collect();
        // An identity that is GENERATED ALWAYS takes a value in a new row, never in one that is there; and a constraint that
        // may be deferred tells no conflict.
        let fixed = |name: &Identifier| {
            relation.column(name).is_some_and(|column| column.identity == Some(Identity::Always))
        };
        let deferrable = relation.constraints.iter().any(|constraint| {
            matches!(constraint.kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique)
                && constraint.deferrable
                && constraint.columns == table.key
        });
        let can_update = !deferrable && !updated.iter().any(fixed);
        Self {
            rows: stage("rows"),
            keys: stage("keys"),
            target: table.target.clone(),
            columns: table.column_list(),
            key: table.key.clone(),
            updated: can_update.then_some(updated),
            names,
            takes_copy: !relation.row_security,
        }
    }

    /// Makes the stage, where this session has none. Of a table that was never analyzed the planner expects ten pages and
    /// more, and would rather read a target of some thousand rows than look a single key up in its index.
    pub(crate) fn create(&self) -> Sql {
        let key = Sql::join(", ", &self.key);
        sql!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA;
             CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA;
             ANALYZE {}; ANALYZE {}",
            self.rows,
            self.columns,
            self.target,
            self.keys,
            key,
            self.target,
            self.rows,
            self.keys
        )
    }

    /// Empties the stage before the transaction ends.
    pub(crate) fn clear(&self) -> Sql {
        sql!("TRUNCATE {}, {}", self.rows, self.keys)
    }

    /// `pg_temp.confiture_rows_1 (a, b)`
    pub(crate) fn row_columns(&self) -> Sql {
        sql!("{} ({})", self.rows, self.columns)
    }

    /// `pg_temp.confiture_keys_1 (a)`
    pub(crate) fn key_columns(&self) -> Sql {
        sql!("{} ({})", self.keys, Sql::join(", ", &self.key))
    }

    /// Tells the planner how many rows the stage has.
    pub(crate) fn analyze(&self) -> Sql {
        sql!("ANALYZE {}; ANALYZE {}", self.rows, self.keys)
    }

    /// Deletes the rows of all staged keys, however often each is there.
    pub(crate) fn delete_keys(&self) -> Sql {
        sql!("DELETE FROM {} AS t USING {} AS k WHERE {}", self.target, self.keys, self.same_key("t", "k"))
    }

    /// Deletes the rows of all keys that are there more than once.
    pub(crate) fn delete_twice(&self) -> Sql {
        let key = Sql::join(", ", &self.key);
        sql!(
            "DELETE FROM {} AS t USING (SELECT {} FROM {} GROUP BY {} HAVING pg_catalog.count(*) > 1) AS k WHERE {}",
            self.target,
            key,
            self.target,
            key,
            self.same_key("t", "k")
        )
    }

    /// What has the planner delete as it should: keys are looked up one by one, of however many rows, and all rows are
    /// compared with what is staged at once.
    pub(crate) fn before_deleting(&self, share: &Share) -> Sql {
        match share {
            Share::All | Share::Where(_) => self.analyze(),
            Share::Keys => sql!(
                "DELETE FROM {} AS k USING {} AS s WHERE {}; \
                 SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
                self.keys,
                self.rows,
                self.same_key("k", "s")
            ),
        }
    }

    /// Deletes the rows of `share` that are not staged.
    pub(crate) fn delete_missing(&self, share: &Share) -> Sql {
        let gone = sql!("NOT EXISTS (SELECT FROM {} AS s WHERE {})", self.rows, self.same_key("s", "t"));
        match share {
            Share::All => sql!("DELETE FROM {} AS t WHERE {}", self.target, gone),
            Share::Where(condition) => {
                sql!("DELETE FROM {} AS t WHERE {} AND {}", self.target, condition, gone)
            }
            Share::Keys => self.delete_keys(),
        }
    }

    /// Writes the staged rows: new ones, and those that differ. `None` where that takes deleting first.
    pub(crate) fn upsert(&self) -> Option<Sql> {
        let updated = self.updated.as_ref()?;
        let insert = sql!(
            "INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT ({})",
            self.target,
            self.columns,
            self.columns,
            self.rows,
            Sql::join(", ", &self.key)
        );
        if updated.is_empty() {
            return Some(sql!("{} DO NOTHING", insert));
        }
        let set = Sql::join(", ", updated.iter().map(|name| sql!("{} = excluded.{}", name, name)));
        // By their bytes: equal is not the same (`1.0` and `1.00`), and some types know no equality.
        let row = |of: &'static str| {
            let of = Sql::literal(of);
            Sql::join(", ", updated.iter().map(|name| sql!("{}.{}", of, name)))
        };
        Some(sql!(
            "{} DO UPDATE SET {} WHERE ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record",
            insert,
            set,
            row("t"),
            row("excluded")
        ))
    }

    /// Writes the staged rows where none of their keys is there.
    pub(crate) fn insert(&self) -> Sql {
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
            self.target,
            self.columns,
            self.columns,
            self.rows
        )
    }

    /// Writes the staged rows of which none is there yet.
    pub(crate) fn insert_new(&self) -> Sql {
        sql!("{} ON CONFLICT DO NOTHING", self.insert())
    }

    /// Deletes the rows that the staged ones replace.
    pub(crate) fn delete_staged(&self) -> Sql {
        sql!("DELETE FROM {} AS t USING {} AS s WHERE {}", self.target, self.rows, self.same_key("t", "s"))
    }

    fn same_key(&self, left: &'static str, right: &'static str) -> Sql {
        let (left, right) = (Sql::literal(left), Sql::literal(right));
        Sql::join(" AND ", self.key.iter().map(|name| sql!("{}.{} = {}.{}", left, name, right, name)))
    }

    /// What the source gives for every column of the stage.
    pub(crate) fn selected_rows(&self, table: &TablePlan, local: bool) -> Sql {
        selected(table, &self.names, local)
    }

    /// What is read of the source for a list of keys, in pieces of at most `most`. Two that read differently may be one row:
    /// then several pieces have it. `local` where both sides are one database.
    pub(crate) fn readings<'a>(
        &'a self,
        table: &'a TablePlan,
        keys: &'a KeySet,
        columns: &'a [&'a KeyColumn],
        most: usize,
        local: bool,
    ) -> Box<dyn Iterator<Item = Reading> + Send + 'a> {
        let Some(source) = table.source.as_ref().map(|source| sql!("{}", source)) else {
            return Box::new(std::iter::empty());
        };
        let query = &table.query;
        let rows = self.selected_rows(table, local);
        let names = Sql::join(", ", columns.iter().map(|column| &column.name));
        let reading = move |(piece, arrays): (usize, Vec<Sql>)| {
            let unnest = Sql::join(", ", arrays.iter().map(|array| sql!("pg_catalog.unnest({})", array)));
            let all = sql!("ROWS FROM ({}) AS {} ({})", unnest, query.alias, names);
            let condition = is_among(&query.alias, columns, &arrays);
            Reading {
                count: most.min(keys.len() - piece * most) as u64,
                keys: sql!("SELECT {} FROM {}", selected(table, &self.key, local), all),
                rows: sql!("SELECT {} {}", rows, query.from_relation(&source, &[condition])),
            }
        };
        Box::new(keys.arrays(columns, most).enumerate().map(reading))
    }
}

/// What the source gives for the columns `names`, in their order.
pub(crate) fn selected(table: &TablePlan, names: &[Identifier], local: bool) -> Sql {
    let position = |name: &Identifier| names.iter().position(|known| known == name);
    let mut columns: Vec<_> =
        table.columns.iter().filter(|column| position(&column.target).is_some()).collect();
    columns.sort_by_key(|column| position(&column.target));
    let value = |column: &ColumnPlan| if local { column.inserted.clone() } else { column.sent.clone() };
    Sql::join(", ", columns.into_iter().map(value))
}

/// True of rows whose key is one of those in `arrays`, of which there is one for each column.
pub(crate) fn is_among(alias: &Identifier, columns: &[&KeyColumn], arrays: &[Sql]) -> Sql {
    match (columns, arrays) {
        ([column], [array]) => sql!("{}.{} = ANY ({})", alias, column.name, array),
        _ => {
            let own = columns.iter().map(|column| sql!("{}.{}", alias, column.name));
            let unnest = Sql::join(", ", arrays.iter().map(|array| sql!("pg_catalog.unnest({})", array)));
            sql!("({}) IN (SELECT * FROM ROWS FROM ({}))", Sql::join(", ", own), unnest)
        }
    }
}
