//! What stands in the database while both sides are written: for each lane a view that is the mapping's own SELECT, for each
//! table a function that makes the other side's rows what the view says, and the triggers that call it. Data and SQL; no I/O.
//!
//! A view is bound when it is made: whatever a session's `search_path` holds, its names mean what they meant then, and PostgreSQL
//! refuses to alter the columns under it. A function reads rows again instead of trusting NEW, so that what the application's
//! own triggers did meanwhile counts too; and of a changed row it writes only what was made of changed columns, so that a value
//! which does not come back letter by letter is left alone while nobody touches it.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Oid};
use crate::schema_to_schema::immediate::lane::{Lane, with_children};
use crate::schema_to_schema::immediate::statement::differ;
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// The schema that holds views and functions.
pub(super) const SCHEMA: &str = "confiture";

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
            all.push(&lane.take_looked_up(at, "NEW"));
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
            all.push(&lane.take_looked_up(at, "NEW"));
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

fn function_name(table: Oid, what: &str) -> QualifiedName {
    QualifiedName::new(SCHEMA, format!("immediate_{table}{what}"))
}
