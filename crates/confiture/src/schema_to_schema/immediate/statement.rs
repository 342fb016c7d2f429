//! The statements of one lane: its view, and how a row of the other side becomes what the view says. Pure.

use crate::schema_to_schema::immediate::function::SCHEMA;
use crate::schema_to_schema::immediate::lane::{Carried, Key, Lane, Side};
use crate::sql::{Identifier, QualifiedName, Sql, sql};

impl Lane {
    /// The mapping's SELECT, by the columns `k1 …` (the key of `from`) and `c1 …` (what is written).
    pub(super) fn view(&self) -> QualifiedName {
        QualifiedName::new(SCHEMA, format!("immediate_{}", self.to_oid))
    }

    pub(super) fn create_view(&self) -> [Sql; 2] {
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
    pub(super) fn insert_new(&self) -> Sql {
        let held = Sql::join(
            ", ",
            self.columns.iter().map(|column| sql!("CAST(t.{} AS {})", column.column, column.data_type)),
        );
        let given = Sql::join(", ", self.columns.iter().map(|column| self.given(&column.column)));
        self.insert("NEW", &sql!(" AND ROW({})::record *= ROW({})::record", held, given))
    }

    /// A row that the mapping takes in from now on.
    pub(super) fn insert_missing(&self) -> Sql {
        self.insert("NEW", &Sql::default())
    }

    /// Takes the row of OLD away, unless the mapping still gives it.
    pub(super) fn delete_gone(&self) -> Sql {
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
    pub(super) fn update_changed(&self) -> Option<Sql> {
        let changed = |column: &'_ Carried| Some(differ(&column.of));
        let columns: Vec<_> = self
            .values()
            .filter(|column| !column.of.is_empty())
            .map(|column| (column, changed(column)))
            .collect();
        self.update(&columns, &sql!("{} AND {}", self.made_of("NEW"), self.found_by("NEW")))
    }

    /// Of a row that was deleted and is there: it has gone from one partition to another.
    pub(super) fn update_moved(&self) -> Option<Sql> {
        let columns: Vec<_> = self.values().map(|column| (column, None)).collect();
        self.update(&columns, &sql!("{} AND {}", self.made_of("OLD"), self.found_by("OLD")))
    }

    /// Of the row that `record` of a looked-up table belongs to, what is looked up there. `whole` for every row.
    pub(super) fn update_looked_up(
        &self,
        lookup: usize,
        record: Option<&'static str>,
        changed: bool,
    ) -> Option<Sql> {
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

    /// Takes the row that `record` of a looked-up table belongs to before anything is looked up for it. A transaction that sees what
    /// was when it began meets here whoever has written that row since, and not, as two, the value that was and its own.
    pub(super) fn take_looked_up(&self, lookup: usize, record: &'static str) -> Sql {
        let (record, found) = (Sql::literal(record), &self.lookups[lookup].key);
        let same = |Key { to, .. }: &Key| {
            sql!("t.{} {} CAST({}.{} AS {})", to.column, to.equals, record, found, to.data_type)
        };
        let same = Sql::join(" AND ", self.key.iter().map(same));
        sql!("PERFORM FROM {} AS t WHERE {} FOR NO KEY UPDATE;\n", self.to, same)
    }

    /// Gives the row its new key, where it goes with it: the columns that only that side has go too.
    pub(super) fn move_key(&self) -> Option<Sql> {
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
    pub(super) fn gives_again(&self, record: &'static str) -> Sql {
        let record = Sql::literal(record);
        let same = |(at, Key { from, to }): (usize, &Key)| {
            sql!("v.k{} {} CAST({}.{} AS {})", at + 1, from.equals, record, to.column, from.data_type)
        };
        Sql::join(" AND ", self.key.iter().enumerate().map(same))
    }

    pub(super) fn key_changed(&self) -> Sql {
        let names: Vec<_> = self.key.iter().map(|key| key.from.column.clone()).collect();
        differ(&names)
    }

    /// Takes away all rows that the mapping no longer gives, as far as they are its own.
    pub(super) fn delete_all_gone(&self, back: Option<&Lane>) -> Sql {
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

/// True where an UPDATE has changed one of the columns, byte by byte.
pub(super) fn differ(columns: &[Identifier]) -> Sql {
    let row = |record: &'static str| {
        let record = Sql::literal(record);
        Sql::join(", ", columns.iter().map(|column| sql!("{}.{}", record, column)))
    };
    sql!("ROW({})::record *<> ROW({})::record", row("OLD"), row("NEW"))
}
