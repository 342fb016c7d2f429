//! What stands in the database while both sides are written: for each lane a view that is the mapping's own SELECT, for each
//! table a function that makes the other side's rows what the view says, and the triggers that call it. Data and SQL; no I/O.
//!
//! A view is bound when it is made: whatever a session's `search_path` holds, its names mean what they meant then, and PostgreSQL
//! refuses to alter the columns under it. A function reads rows again instead of trusting NEW, so that what the application's
//! own triggers did meanwhile counts too; and of a changed row it writes only what was made of changed columns, so that a value
//! which does not come back letter by letter is left alone while nobody touches it.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Oid};
use crate::schema_to_schema::immediate::lane::{Carried, Key, Lane, Side, with_children};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The schema that holds views and functions.
const SCHEMA: &str = "confiture";

/// What the functions run with. Those of the mapping's expressions are what our own sessions have, see `pin_settings.sql`.
const PATH: &str = "SET search_path = pg_catalog, pg_temp";
const SETTINGS: &str =
    " SET \"TimeZone\" = 'UTC' SET \"DateStyle\" = 'ISO, YMD' SET \"IntervalStyle\" = 'postgres'
    SET extra_float_digits = 1 SET bytea_output = 'hex' SET xmloption = 'content'";

/// Both directions.
#[derive(Debug, Clone)]
pub(super) struct Bridge {
    /// From the old side to the new one; parents first.
    pub(super) forward: Vec<Lane>,
    /// From the new side to the old one; parents first.
    pub(super) reverse: Vec<Lane>,
}

/// A table whose writes are carried, with its partitions.
#[derive(Debug, Clone)]
pub(super) struct Carrying {
    pub(super) oid: Oid,
    pub(super) name: QualifiedName,
    pub(super) partitions: Vec<QualifiedName>,
}

/// What is done of one table.
struct Function<'a> {
    /// Its direction's lanes, and those of the other one.
    lanes: &'a [Lane],
    others: &'a [Lane],
    table: &'a Carrying,
    catalog: &'a Catalog,
}

impl Bridge {
    /// The tables whose writes are carried, each once.
    pub(super) fn tables(&self, catalog: &Catalog) -> Vec<Carrying> {
        let mut tables = BTreeMap::new();
        for lane in self.forward.iter().chain(&self.reverse) {
            tables.insert(lane.from_oid, &lane.from);
            tables.extend(lane.lookups.iter().map(|lookup| (lookup.oid, &lookup.table)));
        }
        let carrying = |(oid, name): (Oid, &QualifiedName)| {
            let partitions = catalog.with_descendants(name).into_iter().filter(|other| other != name);
            Carrying { oid, name: name.clone(), partitions: partitions.collect() }
        };
        tables.into_iter().map(carrying).collect()
    }

    /// Everything that makes the writes of the migration `id` be carried from now on. Takes SHARE ROW EXCLUSIVE locks.
    pub(super) fn statements(&self, id: &str, catalog: &Catalog) -> Vec<Sql> {
        let mut statements: Vec<Sql> =
            self.forward.iter().chain(&self.reverse).flat_map(Lane::create_view).collect();
        for table in &self.tables(catalog) {
            let is_old = self.forward.iter().any(|lane| lane.from_oid == table.oid);
            let (lanes, others) = match is_old {
                true => (&self.forward, &self.reverse),
                false => (&self.reverse, &self.forward),
            };
            let function = Function { lanes, others, table, catalog };
            statements.extend(function.statements(id));
        }
        statements
    }
}

impl Lane {
    /// The mapping's SELECT, by the columns `k1 …` (the key of `from`) and `c1 …` (what is written).
    pub(super) fn view(&self) -> QualifiedName {
        QualifiedName::new(SCHEMA, format!("immediate_{}", self.to_oid))
    }

    fn create_view(&self) -> [Sql; 2] {
        let keys = self.key.iter().enumerate();
        let keys = keys.map(|(at, key)| sql!("{}.{} AS k{}", self.alias, key.from.column, at + 1));
        let columns = self.columns.iter().enumerate();
        let columns = columns
            .map(|(at, column)| sql!("CAST({}\n AS {}) AS c{}", column.value, column.data_type, at + 1));
        let view = self.view();
        [
            sql!("DROP VIEW IF EXISTS {}", view),
            sql!("CREATE VIEW {} AS SELECT {} {}", view, Sql::join(", ", keys.chain(columns)), self.rows),
        ]
    }

    /// The view's column for one that is written.
    fn given(&self, column: &Identifier) -> Sql {
        let at = self.columns.iter().position(|carried| &carried.column == column).unwrap_or_default();
        sql!("v.c{}", at + 1)
    }

    /// True of the row `t` of `to` that belongs to `record` of `from`.
    fn found_by(&self, record: &'static str) -> Sql {
        self.found_as("t", record)
    }

    fn found_as(&self, row: &'static str, record: &'static str) -> Sql {
        let (row, record) = (Sql::literal(row), Sql::literal(record));
        let same = |Key { from, to }: &Key| {
            sql!("{}.{} {} CAST({}.{} AS {})", row, to.column, to.equals, record, from.column, to.data_type)
        };
        Sql::join(" AND ", self.key.iter().map(same))
    }

    /// True of the view's row `v` that is made of `record` of `from`.
    fn made_of(&self, record: &'static str) -> Sql {
        let record = Sql::literal(record);
        let same = |(at, Key { from, .. }): (usize, &Key)| {
            sql!("v.k{} {} {}.{}", at + 1, from.equals, record, from.column)
        };
        Sql::join(" AND ", self.key.iter().enumerate().map(same))
    }

    /// True of a row `t` of `to` and a row `v` of the view that are one.
    fn same_row(&self) -> Sql {
        let same = |Key { to, .. }: &Key| sql!("t.{} {} {}", to.column, to.equals, self.given(&to.column));
        Sql::join(" AND ", self.key.iter().map(same))
    }

    /// The columns that are written of a row that is there.
    fn values(&self) -> impl Iterator<Item = &Carried> {
        self.columns.iter().filter(|column| !self.is_key(&column.column))
    }

    /// True where `t` and `v` differ in a column, byte by byte: some types know no equality.
    fn differs(&self, column: &Carried) -> Sql {
        let given = self.given(&column.column);
        sql!("ROW(CAST(t.{} AS {}))::record *<> ROW({})::record", column.column, column.data_type, given)
    }

    fn insert(&self, record: &'static str, unless: &Sql) -> Sql {
        let names = Sql::join(", ", self.columns.iter().map(|column| &column.column));
        let given = Sql::join(", ", self.columns.iter().map(|column| self.given(&column.column)));
        sql!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS v WHERE {}
            AND NOT EXISTS (SELECT FROM {} AS t WHERE {}{});\n",
            self.to,
            names,
            given,
            self.view(),
            self.made_of(record),
            self.to,
            self.found_by(record),
            unless
        )
    }

    /// A new row. One that is there, just so, was written when a trigger of the application changed the row; any other is
    /// somebody else's, and collides.
    fn insert_new(&self) -> Sql {
        let held = Sql::join(
            ", ",
            self.columns.iter().map(|column| sql!("CAST(t.{} AS {})", column.column, column.data_type)),
        );
        let given = Sql::join(", ", self.columns.iter().map(|column| self.given(&column.column)));
        self.insert("NEW", &sql!(" AND ROW({})::record *= ROW({})::record", held, given))
    }

    /// A row that the mapping takes in from now on.
    fn insert_missing(&self) -> Sql {
        self.insert("NEW", &Sql::default())
    }

    /// Takes the row of OLD away, unless the mapping still gives it.
    fn delete_gone(&self) -> Sql {
        sql!(
            "DELETE FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS v WHERE {});\n",
            self.to,
            self.found_by("OLD"),
            self.view(),
            self.made_of("OLD")
        )
    }

    /// Makes a row that is there what the view gives, in `columns`, where `condition` holds.
    fn update(&self, columns: &[(&Carried, Option<Sql>)], condition: &Sql) -> Option<Sql> {
        if columns.is_empty() {
            return None;
        }
        let set = |(column, changed): &(&Carried, Option<Sql>)| {
            let given = self.given(&column.column);
            match changed {
                Some(changed) => {
                    sql!(
                        "{} = CASE WHEN {} THEN {} ELSE t.{} END",
                        column.column,
                        changed,
                        given,
                        column.column
                    )
                }
                None => sql!("{} = {}", column.column, given),
            }
        };
        let differs = |(column, changed): &(&Carried, Option<Sql>)| match changed {
            Some(changed) => sql!("({} AND {})", changed, self.differs(column)),
            None => self.differs(column),
        };
        Some(sql!(
            "UPDATE {} AS t SET {} FROM {} AS v WHERE {} AND ({});\n",
            self.to,
            Sql::join(", ", columns.iter().map(set)),
            self.view(),
            condition,
            Sql::join(" OR ", columns.iter().map(differs))
        ))
    }

    /// Of a changed row, what was made of changed columns.
    fn update_changed(&self) -> Option<Sql> {
        let changed = |column: &'_ Carried| Some(differ(&column.of));
        let columns: Vec<_> = self
            .values()
            .filter(|column| !column.of.is_empty())
            .map(|column| (column, changed(column)))
            .collect();
        self.update(&columns, &sql!("{} AND {}", self.made_of("NEW"), self.found_by("NEW")))
    }

    /// Of a row that was deleted and is there: it has gone from one partition to another.
    fn update_moved(&self) -> Option<Sql> {
        let columns: Vec<_> = self.values().map(|column| (column, None)).collect();
        self.update(&columns, &sql!("{} AND {}", self.made_of("OLD"), self.found_by("OLD")))
    }

    /// Of the row that `record` of a looked-up table belongs to, what is looked up there. `whole` for every row.
    fn update_looked_up(&self, lookup: usize, record: Option<&'static str>, changed: bool) -> Option<Sql> {
        let part = |column: &Carried| match &column.looked_up {
            Some((index, of)) if *index == lookup => Some(changed.then(|| differ(of))),
            _ => None,
        };
        let columns: Vec<_> = self.values().filter_map(|column| Some((column, part(column)?))).collect();
        let condition = match (record, self.key.as_slice()) {
            (Some(record), [Key { from: Side { data_type, equals, .. }, .. }]) => {
                let (record, key) = (Sql::literal(record), &self.lookups[lookup].key);
                sql!("v.k1 {} CAST({}.{} AS {}) AND {}", equals, record, key, data_type, self.same_row())
            }
            _ => self.same_row(),
        };
        self.update(&columns, &condition)
    }

    /// Gives the row its new key, where it goes with it: the columns that only that side has go too.
    fn move_key(&self) -> Option<Sql> {
        if self.has_fixed_key {
            return None;
        }
        let set = self.key.iter().map(|key| sql!("{} = {}", key.to.column, self.given(&key.to.column)));
        let same = |Key { from, .. }: &Key| sql!("OLD.{} {} NEW.{}", from.column, from.equals, from.column);
        Some(sql!(
            "UPDATE {} AS t SET {} FROM {} AS v WHERE {} AND {} AND (({}) OR (
            NOT EXISTS (SELECT FROM {} AS v WHERE {}) AND NOT EXISTS (SELECT FROM {} AS o WHERE {})));\n",
            self.to,
            Sql::join(", ", set),
            self.view(),
            self.found_by("OLD"),
            self.made_of("NEW"),
            Sql::join(" AND ", self.key.iter().map(same)),
            self.view(),
            self.made_of("OLD"),
            self.to,
            self.found_as("o", "NEW")
        ))
    }

    /// True of the view's row `v` that gives the row `record` of `to`.
    fn gives_again(&self, record: &'static str) -> Sql {
        let record = Sql::literal(record);
        let same = |(at, Key { from, to }): (usize, &Key)| {
            sql!("v.k{} {} CAST({}.{} AS {})", at + 1, from.equals, record, to.column, from.data_type)
        };
        Sql::join(" AND ", self.key.iter().enumerate().map(same))
    }

    fn key_changed(&self) -> Sql {
        let names: Vec<_> = self.key.iter().map(|key| key.from.column.clone()).collect();
        differ(&names)
    }

    /// Takes away all rows that the mapping no longer gives, as far as they are its own.
    fn delete_all_gone(&self, back: Option<&Lane>) -> Sql {
        let own = match back {
            Some(back) => {
                sql!(" AND EXISTS (SELECT FROM {} AS v WHERE {})", back.view(), back.gives(&self.key))
            }
            None => Sql::default(),
        };
        sql!(
            "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT FROM {} AS v WHERE {}){};\n",
            self.to,
            self.view(),
            self.same_row(),
            own
        )
    }

    /// Of the lane that leads back: true of its view's row `v` that is made of the row `t`.
    fn gives(&self, key: &[Key]) -> Sql {
        let same = |(at, back): (usize, &Key)| {
            let there = key.iter().find(|one| one.to.column == back.from.column);
            there.map(|there| sql!("v.k{} {} t.{}", at + 1, back.from.equals, there.to.column))
        };
        Sql::join(" AND ", self.key.iter().enumerate().filter_map(same))
    }
}

impl<'a> Function<'a> {
    fn own(&self) -> impl Iterator<Item = &'a Lane> {
        let oid = self.table.oid;
        self.lanes.iter().filter(move |lane| lane.from_oid == oid)
    }

    /// Lanes that look values up in this table.
    fn looking(&self) -> impl Iterator<Item = (&'a Lane, usize)> {
        let oid = self.table.oid;
        self.lanes
            .iter()
            .filter_map(move |lane| Some((lane, lane.lookups.iter().position(|lookup| lookup.oid == oid)?)))
    }

    /// The columns by which something may change on the other side.
    fn used(&self) -> Vec<Identifier> {
        let own = self.own().flat_map(Lane::used);
        let mut used: Vec<_> = own.chain(self.looking().flat_map(|(lane, at)| lane.used_of(at))).collect();
        used.sort();
        used.dedup();
        used
    }

    fn inserted(&self) -> Sql {
        let mut all = Sql::default();
        self.own().for_each(|lane| all.push(&lane.insert_new()));
        for (lane, at) in self.looking() {
            lane.update_looked_up(at, Some("NEW"), false).iter().for_each(|update| all.push(update));
        }
        all
    }

    fn deleted(&self, id: &str) -> Sql {
        let mut all = self.kept(id);
        for lane in self.own().collect::<Vec<_>>().into_iter().rev() {
            all.push(&lane.delete_gone());
            if let Some(moved) = lane.update_moved() {
                all.push(&sql!("IF NOT FOUND THEN\n{}END IF;\n", moved));
            }
        }
        for (lane, at) in self.looking() {
            lane.update_looked_up(at, Some("OLD"), false).iter().for_each(|update| all.push(update));
        }
        all
    }

    /// Refuses that a foreign key or a trigger of this side takes a row along, after a write of ours, that the other side keeps:
    /// nobody has asked to delete it there.
    fn kept(&self, id: &str) -> Sql {
        let mut all = Sql::default();
        for back in self.others.iter().filter(|back| back.to_oid == self.table.oid) {
            let message = format!(
                "a foreign key or trigger of {} takes rows along that {} keeps",
                back.to.short(),
                back.from.short()
            );
            all.push(&sql!(
                "IF before LIKE {} AND EXISTS (SELECT FROM {} AS v WHERE {}) THEN
    RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', MESSAGE = {}, SCHEMA = {}, TABLE = {},
        HINT = 'Delete those first, on the side that you write to.';
END IF;\n",
                Literal(&format!("{id}/%")),
                back.view(),
                back.gives_again("OLD"),
                Literal(&message),
                Literal(back.to.schema.as_str()),
                Literal(back.to.name.as_str())
            ));
        }
        all
    }

    fn updated(&self) -> Sql {
        let mut all = Sql::default();
        for lane in self.own() {
            if let Some(moved) = lane.move_key() {
                all.push(&sql!("IF {} THEN\n{}END IF;\n", lane.key_changed(), moved));
            }
            match lane.update_changed() {
                Some(update) => {
                    all.push(&sql!("{}IF NOT FOUND THEN\n{}END IF;\n", update, lane.insert_missing()));
                }
                None => all.push(&lane.insert_missing()),
            }
        }
        for lane in self.own().collect::<Vec<_>>().into_iter().rev() {
            let leaves = match &lane.filter {
                Some(filter) if !filter.is_empty() => sql!("{} OR {}", lane.key_changed(), differ(filter)),
                _ => lane.key_changed(),
            };
            all.push(&sql!("IF {} THEN\n{}END IF;\n", leaves, lane.delete_gone()));
        }
        for (lane, at) in self.looking() {
            let key = [lane.lookups[at].key.clone()];
            let both = ["OLD", "NEW"].map(|record| lane.update_looked_up(at, Some(record), false));
            let [Some(old), Some(new)] = both else { continue };
            let Some(changed) = lane.update_looked_up(at, Some("NEW"), true) else { continue };
            all.push(&sql!("IF {} THEN\n{}{}ELSE\n{}END IF;\n", differ(&key), old, new, changed));
        }
        all
    }

    /// Refuses a row that the mapping would not give: it would have no place on the other side.
    fn checked(&self) -> Sql {
        let mut all = Sql::default();
        for back in self.others.iter().filter(|back| back.to_oid == self.table.oid && back.filter.is_some()) {
            let message = format!(
                "the mapping leaves this row of {} out, so that the other side has no place for it",
                back.to.short()
            );
            all.push(&sql!(
                "IF NOT EXISTS (SELECT FROM {} AS v WHERE {}) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = {}, SCHEMA = {}, TABLE = {},
        HINT = 'Both sides are kept equal at once; write it on the side where it belongs, or delete it.';
END IF;\n",
                back.view(),
                back.gives_again("NEW"),
                Literal(&message),
                Literal(back.to.schema.as_str()),
                Literal(back.to.name.as_str())
            ));
        }
        all
    }

    fn truncated(&self) -> Sql {
        let mut all = Sql::default();
        for lane in self.own() {
            for lane in with_children(self.lanes, &lane.to, self.catalog).into_iter().rev() {
                let leads_back = |back: &&Lane| back.to_oid == lane.from_oid && back.filter.is_some();
                all.push(&lane.delete_all_gone(self.others.iter().find(leads_back)));
            }
        }
        for (lane, at) in self.looking() {
            lane.update_looked_up(at, None, false).iter().for_each(|update| all.push(update));
        }
        all
    }

    fn statements(&self, id: &str) -> Vec<Sql> {
        let used = self.used();
        let row = sql!(
            "IF TG_OP = 'DELETE' THEN\n{}ELSIF TG_OP = 'INSERT' THEN\n{}{}ELSE\n{}{}END IF;\n",
            self.deleted(id),
            self.inserted(),
            self.checked(),
            self.updated(),
            self.checked()
        );
        let unchanged =
            sql!("IF TG_OP = 'UPDATE' THEN IF NOT {} THEN RETURN NULL; END IF; END IF;\n", differ(&used));
        let names = [function_name(self.table.oid, ""), function_name(self.table.oid, "_truncate")];
        let is_plain = self.own().chain(self.looking().map(|(lane, _)| lane)).all(|lane| lane.is_plain);
        let settings = if is_plain { Sql::default() } else { Sql::literal(SETTINGS) };
        let mut statements = Vec::new();
        let written = self.own().chain(self.looking().map(|(lane, _)| lane)).map(|lane| lane.to_oid);
        let written: Vec<Oid> = written.collect();
        let bodies = [
            guarded(id, self.table.oid, &written, &unchanged, &row),
            guarded(id, self.table.oid, &written, &Sql::default(), &self.truncated()),
        ];
        for (name, body) in names.iter().zip(bodies) {
            statements.push(sql!(
                "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {}{} AS {}",
                name,
                Sql::literal(PATH),
                settings,
                Literal(body.as_str())
            ));
            statements.push(sql!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", name));
        }
        statements.extend(self.triggers(&names));
        statements
    }

    /// The row trigger of the table, which its partitions inherit, and a TRUNCATE trigger of each.
    fn triggers(&self, [row, truncate]: &[QualifiedName; 2]) -> Vec<Sql> {
        let name = Identifier::new(format!("confiture_immediate_{}", self.table.oid));
        let truncate_name = Identifier::new(format!("confiture_immediate_{}_truncate", self.table.oid));
        let mut statements = vec![sql!(
            "CREATE OR REPLACE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
            name,
            self.table.name,
            row
        )];
        for relation in std::iter::once(&self.table.name).chain(&self.table.partitions) {
            statements.push(sql!(
                "CREATE OR REPLACE TRIGGER {} AFTER TRUNCATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION {}()",
                truncate_name,
                relation,
                truncate
            ));
            // Also for what a session writes that stands in for another server.
            for trigger in [&name, &truncate_name] {
                statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", relation, trigger));
            }
        }
        statements
    }
}

/// A function that does `work`, unless the write is one that a function of ours has just made.
///
/// The mark names the depth at which it was set, and the tables that are written: a write of ours fires triggers at the next
/// depth. What those of the application write in turn is deeper, and what a foreign key takes along is of other tables, so both
/// are carried; and a session that sets the mark itself, at no depth, turns nothing off.
fn guarded(id: &str, table: Oid, writes: &[Oid], first: &Sql, work: &Sql) -> Sql {
    let writes: String = writes.iter().map(|oid| format!("{oid},")).collect();
    sql!(
        "
DECLARE
    before text := current_setting('confiture.applier', true);
BEGIN
IF pg_trigger_depth() > 1 AND before LIKE {} || pg_trigger_depth() - 1 || {} THEN RETURN NULL; END IF;
{}PERFORM set_config('confiture.applier', {} || pg_trigger_depth() || {}, true);
{}PERFORM set_config('confiture.applier', coalesce(before, ''), true);
RETURN NULL;
END",
        Literal(&format!("{id}/")),
        Literal(&format!("/%,{table},%")),
        first,
        Literal(&format!("{id}/")),
        Literal(&format!("/,{writes}")),
        work
    )
}

/// True where an UPDATE has changed one of the columns, byte by byte.
fn differ(columns: &[Identifier]) -> Sql {
    let row = |record: &'static str| {
        let record = Sql::literal(record);
        Sql::join(", ", columns.iter().map(|column| sql!("{}.{}", record, column)))
    };
    sql!("ROW({})::record *<> ROW({})::record", row("OLD"), row("NEW"))
}

fn function_name(table: Oid, what: &str) -> QualifiedName {
    QualifiedName::new(SCHEMA, format!("immediate_{table}{what}"))
}
