//! The statements of one target table: a stage for the rows that are read again, and what makes the table equal to it.

use crate::catalog::{ConstraintKind, Identity, Relation};
use crate::postgres::feed::{KeyColumn, KeyPiece, KeySet};
use crate::schema_to_schema::plan::{ColumnPlan, TablePlan};
use crate::schema_to_schema::portion::Keeper;
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
    /// Where others have rows or columns in the target too.
    partial: Option<Partial>,
}

/// What a stage needs to leave alone what is not the migration's.
#[derive(Debug)]
struct Partial {
    /// Rows that are replaced, with all of their columns.
    kept: QualifiedName,
    /// Columns that the mapping does not write, and that can be written.
    others: Vec<Identifier>,
    /// Keeps to the portion; `None` where that is all rows.
    keeper: Option<Keeper>,
    /// False where a constraint that may be deferred tells no conflict.
    tells_conflicts: bool,
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
        let is_other =
            |column: &&crate::catalog::Column| column.is_writable() && !names.contains(&column.name);
        let partial = table.portion.is_some().then(|| Partial {
            kept: stage("kept"),
            others: relation.columns.iter().filter(is_other).map(|column| column.name.clone()).collect(),
            keeper: Keeper::new(table, relation),
            tells_conflicts: !deferrable,
        });
        Self {
            rows: stage("rows"),
            keys: stage("keys"),
            target: table.target.clone(),
            columns: table.column_list(),
            key: table.key.clone(),
            updated: (can_update || partial.is_some()).then_some(updated),
            names,
            takes_copy: !relation.row_security,
            partial,
        }
    }

    /// Makes the stage, where this session has none. Of a table that was never analyzed the planner expects ten pages and
    /// more, and would rather read a target of some thousand rows than look a single key up in its index.
    pub(crate) fn create(&self) -> Sql {
        let key = Sql::join(", ", &self.key);
        let mut create = sql!(
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
        );
        if let Some(partial) = &self.partial {
            create.push(&sql!(
                "; CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT * FROM {} WITH NO DATA",
                partial.kept,
                self.target
            ));
        }
        create
    }

    /// Removes the stage.
    pub(crate) fn drop(&self) -> Sql {
        sql!("DROP TABLE {}, {}", self.rows, self.keys)
    }

    /// Whether others have rows or columns in the target too.
    pub(crate) fn is_shared(&self) -> bool {
        self.partial.is_some()
    }

    /// Empties the stage before the transaction ends.
    pub(crate) fn clear(&self) -> Sql {
        let kept = self.partial.as_ref().map(|partial| sql!(", {}", partial.kept)).unwrap_or_default();
        sql!("TRUNCATE {}, {}{}", self.rows, self.keys, kept)
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
            Share::Keys if !self.is_shared() => sql!(
                "DELETE FROM {} AS k USING {} AS s WHERE {}; \
                 SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
                self.keys,
                self.rows,
                self.same_key("k", "s")
            ),
            _ => self.analyze(),
        }
    }

    /// Deletes the rows of `share` that are not staged.
    pub(crate) fn delete_missing(&self, share: &Share) -> Sql {
        let mut gone = sql!("NOT EXISTS (SELECT FROM {} AS s WHERE {})", self.rows, self.same_key("s", "t"));
        if let Some(keeper) = self.keeper() {
            gone.push(&sql!(" AND {}", keeper.owns()));
        }
        match share {
            Share::All => sql!("DELETE FROM {} AS t WHERE {}", self.target, gone),
            Share::Where(condition) => {
                sql!("DELETE FROM {} AS t WHERE {} AND {}", self.target, condition, gone)
            }
            Share::Keys if !self.is_shared() => self.delete_keys(),
            Share::Keys => sql!("{} AND {}", self.delete_keys(), gone),
        }
    }

    /// Writes the staged rows: new ones, and those that differ. `None` where that takes deleting first.
    pub(crate) fn upsert(&self) -> Option<Sql> {
        let updated = self.updated.as_ref()?;
        if self.partial.as_ref().is_some_and(|partial| !partial.tells_conflicts) {
            return Some(self.update_and_insert(updated));
        }
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
        Some(sql!("{} DO UPDATE SET {} WHERE {}", insert, set, differ(updated, "t", "excluded")))
    }

    /// The same where the key's constraint may be deferred, so that it tells no conflict.
    fn update_and_insert(&self, updated: &[Identifier]) -> Sql {
        let same = self.same_key("t", "s");
        let set = match updated.is_empty() {
            // Of a row that has nothing but its key nothing can differ.
            true => {
                return sql!(
                    "{} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})",
                    self.insert_as("s"),
                    self.target,
                    same
                );
            }
            false => Sql::join(", ", updated.iter().map(|name| sql!("{} = s.{}", name, name))),
        };
        sql!(
            "WITH changed AS (UPDATE {} AS t SET {} FROM {} AS s WHERE {} AND {} RETURNING 1),
                  made AS ({} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {}) RETURNING 1)
             SELECT 1 FROM changed UNION ALL SELECT 1 FROM made",
            self.target,
            set,
            self.rows,
            same,
            differ(updated, "t", "s"),
            self.insert_as("s"),
            self.target,
            same
        )
    }

    /// Whether a staged row has the key of a row that is not the migration's; `None` where all are.
    pub(crate) fn meets_others(&self) -> Option<Sql> {
        Some(self.keeper()?.meets_others(&self.target, &self.rows, &self.same_key("t", "s")))
    }

    /// After the rows were written: remembers which of them are the migration's though their values say otherwise.
    pub(crate) fn remember_outside(&self, share: &Share) -> Option<Sql> {
        let keys = match share {
            Share::Keys => &self.keys,
            Share::All | Share::Where(_) => &self.rows,
        };
        Some(self.keeper()?.remember(&self.target, keys, &self.rows, &self.same_key("t", "s")))
    }

    fn keeper(&self) -> Option<&Keeper> {
        self.partial.as_ref()?.keeper.as_ref()
    }

    /// Writes the staged rows where colliding ones have to be deleted first: before that, and after. What the mapping does
    /// not write is kept.
    pub(crate) fn replace(&self, delete_missing: &Sql) -> Sql {
        let Some(partial) = &self.partial else {
            return sql!("{}; {}; {}", self.delete_staged(), delete_missing, self.insert());
        };
        let same = self.same_key("k", "s");
        let keep = sql!(
            "INSERT INTO {} SELECT t.* FROM {} AS t JOIN {} AS s ON {}",
            partial.kept,
            self.target,
            self.rows,
            self.same_key("t", "s")
        );
        let others = Sql::join("", partial.others.iter().map(|name| sql!(", {}", name)));
        let kept = Sql::join("", partial.others.iter().map(|name| sql!(", k.{}", name)));
        let named = Sql::join(", ", self.names.iter().map(|name| sql!("s.{}", name)));
        sql!(
            "{}; {}; {};
             WITH again AS (
                 INSERT INTO {} ({}{}) OVERRIDING SYSTEM VALUE SELECT {}{} FROM {} AS s JOIN {} AS k ON {} RETURNING 1
             ), made AS ({} WHERE NOT EXISTS (SELECT FROM {} AS k WHERE {}) RETURNING 1)
             SELECT 1 FROM again UNION ALL SELECT 1 FROM made",
            keep,
            self.delete_staged(),
            delete_missing,
            self.target,
            self.columns,
            others,
            named,
            kept,
            self.rows,
            partial.kept,
            same,
            self.insert_as("s"),
            partial.kept,
            same
        )
    }

    fn insert_as(&self, alias: &'static str) -> Sql {
        sql!("{} AS {}", self.insert(), Sql::literal(alias))
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
        let reading = move |piece: KeyPiece<'_>| Reading {
            count: piece.len() as u64,
            keys: sql!(
                "SELECT {} FROM {} AS {} ({})",
                selected(table, &self.key, local),
                piece.rows(),
                query.alias,
                names
            ),
            rows: sql!("SELECT {} {}", rows, query.from_relation(&source, &[piece.has_key_of(&query.alias)])),
        };
        Box::new(keys.pieces(columns, most).map(reading))
    }
}

/// True where two rows differ, by their bytes: equal is not the same (`1.0` and `1.00`), and some types know no equality.
fn differ(columns: &[Identifier], left: &'static str, right: &'static str) -> Sql {
    let row = |of: &'static str| {
        let of = Sql::literal(of);
        Sql::join(", ", columns.iter().map(|name| sql!("{}.{}", of, name)))
    };
    sql!("ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record", row(left), row(right))
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
