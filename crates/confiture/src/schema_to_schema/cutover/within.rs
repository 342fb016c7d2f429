//! One try to switch within one database: the last batch, and the tables exchange their schemas, in one transaction. Statements
//! that waited find the new tables under the schema that they name.

use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::{sleep_until, timeout};

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::postgres::Session;
use crate::postgres::database::drop_empty_schema;
use crate::postgres::feed::{CapturedTable, KeyColumn};
use crate::schema_to_schema::cutover::between::{Done, GivenUp, Order, Plan, give_up};
use crate::schema_to_schema::cutover::decision::{self, Failure};
use crate::schema_to_schema::cutover::{arm, fence, locks, record};
use crate::schema_to_schema::live::feed;
use crate::schema_to_schema::live::follower::Follower;
use crate::schema_to_schema::live::ledger::Direction;
use crate::schema_to_schema::planner::Migration;
use crate::schema_to_schema::{failpoint, journal, sequences};
use crate::sql::{Identifier, Literal, QualifiedName, Sql, sql};

/// What our schemas say about themselves.
const COMMENT: &str = "Confiture: tables as they were before the cutover";

/// Which tables change their schemas, and what the other direction needs that no plan tells while they are elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Exchange {
    /// In this order: those first that make room.
    pub(crate) moves: Vec<Move>,
    /// The tables that the direction which ends has captured, with the names that they will have.
    pub(crate) captured: Vec<StoredTable>,
    /// The tables into which it has carried changes, with the names that they had.
    pub(crate) targets: Vec<(String, String)>,
}

/// A table, and the schema that it goes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Move {
    schema: String,
    name: String,
    to: String,
}

/// A captured table as the ledger keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredTable {
    name: (String, String),
    oid: u32,
    /// Name, and schema and name of the type.
    key: Vec<(String, String, String)>,
    partitions: Vec<(String, String, u32)>,
}

impl Move {
    fn from(&self) -> QualifiedName {
        QualifiedName::new(self.schema.as_str(), self.name.as_str())
    }

    fn moved(&self) -> QualifiedName {
        QualifiedName::new(self.to.as_str(), self.name.as_str())
    }
}

impl StoredTable {
    fn new(table: &CapturedTable) -> Self {
        let key = |column: &KeyColumn| {
            let data_type = &column.data_type;
            let [name, schema, of] = [&column.name, &data_type.schema, &data_type.name];
            (name.as_str().to_owned(), schema.as_str().to_owned(), of.as_str().to_owned())
        };
        let partition = |(name, oid): &(QualifiedName, u32)| {
            let (schema, name) = pair(name);
            (schema, name, *oid)
        };
        Self {
            name: pair(&table.name),
            oid: table.oid,
            key: table.key.iter().map(key).collect(),
            partitions: table.partitions.iter().map(partition).collect(),
        }
    }

    fn restore(&self) -> CapturedTable {
        let name = |schema: &String, name: &String| QualifiedName::new(schema.as_str(), name.as_str());
        let key = |(column, schema, of): &(String, String, String)| KeyColumn {
            name: Identifier::new(column.as_str()),
            data_type: name(schema, of),
        };
        CapturedTable {
            name: name(&self.name.0, &self.name.1),
            oid: self.oid,
            key: self.key.iter().map(key).collect(),
            partitions: self.partitions.iter().map(|(schema, of, oid)| (name(schema, of), *oid)).collect(),
        }
    }
}

/// A name as it is stored.
fn pair(name: &QualifiedName) -> (String, String) {
    (name.schema.as_str().to_owned(), name.name.as_str().to_owned())
}

/// A captured table under the names that it has, or will have.
fn renamed(table: &CapturedTable, rename: impl Fn(&QualifiedName) -> QualifiedName) -> CapturedTable {
    let partitions = table.partitions.iter().map(|(name, oid)| (rename(name), *oid)).collect();
    CapturedTable { name: rename(&table.name), partitions, ..table.clone() }
}

impl Exchange {
    /// The exchange of a cutover: old tables go to a schema of their own, new ones take their place. Only mapped tables move.
    ///
    /// # Errors
    ///
    /// Where a name is taken, and where a foreign key of a table that stays refers to one that goes.
    pub(crate) fn of_cutover(migration: &Migration, captured: &[CapturedTable]) -> Result<Self> {
        let catalog = &migration.source_catalog;
        let mut moves: Vec<Move> = Vec::new();
        for source in migration.plan.tables.iter().filter_map(|table| table.source.as_ref()) {
            for name in catalog.with_descendants(source) {
                let to = set_aside(&name.schema);
                add(&mut moves, &name, &to);
            }
        }
        for table in &migration.plan.tables {
            let Some(source) = &table.source else { continue };
            for name in catalog.with_descendants(&table.target) {
                add(&mut moves, &name, &source.schema);
            }
        }
        let exchange = Self { moves, captured: Vec::new(), targets: Vec::new() };
        exchange.check(catalog)?;
        let captured = captured.iter().map(|table| StoredTable::new(&exchange.renamed(table)));
        let targets = migration.plan.tables.iter().map(|table| pair(&table.target)).collect();
        Ok(Self { captured: captured.collect(), targets, ..exchange })
    }

    /// The exchange that takes this one back.
    pub(crate) fn back(&self) -> Self {
        let back =
            |one: &Move| Move { schema: one.to.clone(), name: one.name.clone(), to: one.schema.clone() };
        let moves: Vec<Move> = self.moves.iter().rev().map(back).collect();
        let mut exchange = Self { moves, captured: Vec::new(), targets: self.targets.clone() };
        let captured =
            self.captured.iter().map(|table| StoredTable::new(&exchange.renamed(&table.restore())));
        exchange.captured = captured.collect();
        exchange
    }

    /// What a table is called afterwards.
    pub(crate) fn rename(&self, name: &QualifiedName) -> QualifiedName {
        self.moves.iter().find(|one| one.from() == *name).map_or_else(|| name.clone(), Move::moved)
    }

    fn renamed(&self, table: &CapturedTable) -> CapturedTable {
        renamed(table, |name| self.rename(name))
    }

    /// All tables that move.
    pub(crate) fn tables(&self) -> Vec<QualifiedName> {
        self.moves.iter().map(Move::from).collect()
    }

    /// The captured tables with the names that they have before the exchange.
    fn captured_now(&self) -> Vec<CapturedTable> {
        let undo = |name: &QualifiedName| {
            self.moves.iter().find(|one| one.moved() == *name).map_or_else(|| name.clone(), Move::from)
        };
        self.captured.iter().map(|table| renamed(&table.restore(), undo)).collect()
    }

    fn check(&self, catalog: &Catalog) -> Result<()> {
        let moves_away = |name: &QualifiedName| self.moves.iter().any(|one| one.from() == *name);
        for one in &self.moves {
            let to = one.moved();
            let others = self.moves.iter().filter(|other| other.moved() == to).count();
            if others > 1 || (catalog.relations.contains_key(&to) && !moves_away(&to)) {
                return Err(Error::refused(format!(
                    "{} cannot take its place in the cutover: {to} is there already, and is not part of the migration",
                    one.from()
                ))
                .hint("rename one of them, or map that table too"));
            }
        }
        for relation in catalog.relations.values().filter(|relation| !moves_away(&relation.name)) {
            let refers = relation.constraints.iter().find(|constraint| {
                constraint
                    .references
                    .as_ref()
                    .is_some_and(|(of, _)| self.moves.iter().any(|one| one.from() == *of))
            });
            if let Some(key) = refers {
                return Err(Error::refused(format!(
                    "the foreign key {} of {}, which stays, refers to a table that goes",
                    key.name, relation.name
                ))
                .hint("map that table too, or drop the foreign key and make it anew after the cutover"));
            }
        }
        Ok(())
    }

    fn statements(&self) -> Sql {
        let mut all = Sql::default();
        let mut schemas: Vec<&str> = Vec::new();
        for one in &self.moves {
            if !schemas.contains(&one.to.as_str()) {
                schemas.push(&one.to);
                let schema = Identifier::new(one.to.as_str());
                all.push(&sql!(
                    "DO $do$ BEGIN IF pg_catalog.to_regnamespace({}) IS NULL THEN
                         CREATE SCHEMA {}; COMMENT ON SCHEMA {} IS {};
                     END IF; END $do$;\n",
                    Literal(&schema.to_string()),
                    schema,
                    schema,
                    Literal(COMMENT)
                ));
            }
        }
        for one in &self.moves {
            all.push(&sql!("ALTER TABLE {} SET SCHEMA {};\n", one.from(), Identifier::new(one.to.as_str())));
        }
        all
    }
}

fn add(moves: &mut Vec<Move>, name: &QualifiedName, to: &Identifier) {
    let one = Move {
        schema: name.schema.as_str().to_owned(),
        name: name.name.as_str().to_owned(),
        to: to.as_str().to_owned(),
    };
    if name.schema != *to && !moves.iter().any(|known| known.from() == *name) {
        moves.push(one);
    }
}

/// Where the tables of a schema wait after the cutover.
fn set_aside(schema: &Identifier) -> Identifier {
    const LONGEST: usize = 59;
    match schema.as_str().len() <= LONGEST {
        true => Identifier::new(format!("{}_old", schema.as_str())),
        false => Identifier::new("confiture_old"),
    }
}

/// Drops schemas that we have made for old tables, once nothing is in them.
pub(crate) async fn drop_empty_schemas(session: &Session, tables: &[QualifiedName]) -> Result<()> {
    let ours = Sql::literal(
        "SELECT pg_catalog.obj_description(oid, 'pg_namespace') = $2 FROM pg_catalog.pg_namespace WHERE nspname = $1",
    );
    let mut schemas: Vec<&Identifier> = tables.iter().map(|table| &table.schema).collect();
    schemas.sort();
    schemas.dedup();
    for schema in schemas {
        let row = session.query_opt(&ours, &[&schema.as_str(), &COMMENT]).await?;
        if row.and_then(|row| row.get::<_, Option<bool>>(0)) != Some(true) {
            continue;
        }
        drop_empty_schema(session, schema).await?;
    }
    Ok(())
}

/// Tries once. Whatever fails before the commit leaves everything as it was.
pub(super) async fn attempt(
    follower: &mut Follower,
    plan: &Plan<'_>,
    turn: &Turn,
    order: &Order,
) -> std::result::Result<Done, GivenUp> {
    let began = Instant::now();
    let application = plan.switching.application.as_ref();
    let (fenced_at, rows, sequences) = match decide(follower, plan, turn, order, began).await {
        Ok(done) => done,
        Err(failure) => {
            let target = follower.applier.target.clone();
            let roll_back = async {
                if timeout(locks::AT_ONCE, follower.applier.roll_back()).await.is_err() {
                    locks::let_go(&target).await;
                }
            };
            return Err(give_up(failure, roll_back, plan, began).await);
        }
    };
    let stall = began.elapsed();
    let mut afterwards = Vec::new();
    if let Err(error) = application.switched(plan.occasion).await {
        afterwards.push(error.to_string());
    }
    failpoint::reached("switch: application told");
    Ok(Done { stall, fenced_at, rows, sequences, afterwards })
}

type Made = (SystemTime, u64, Vec<sequences::AdvancedSequence>);

/// Everything up to the commit, and that.
async fn decide(
    follower: &mut Follower,
    plan: &Plan<'_>,
    turn: &Turn,
    order: &Order,
    began: Instant,
) -> std::result::Result<Made, Failure> {
    let (deadline, target) = (plan.deadline(began), follower.applier.target.clone());
    let prepared = async {
        locks::give_way(&target).await?;
        plan.switching.application.hold(plan.occasion, deadline).await?;
        prepare(follower, plan, turn, order, began).await
    };
    let made = tokio::select! {
        made = prepared => made?,
        () = sleep_until(deadline.into()) => {
            locks::let_go(&target).await;
            return Err(plan.spent(None).into());
        }
    };
    decision::commit(&target, plan, deadline).await?;
    Ok(made)
}

async fn prepare(
    follower: &mut Follower,
    plan: &Plan<'_>,
    turn: &Turn,
    order: &Order,
    began: Instant,
) -> Result<Made> {
    let (deadline, end) = (plan.deadline(began), began + plan.switching.max_stall);
    let patience = format!("{}ms", plan.switching.lock_patience.as_millis().max(1));
    // Against readers too: whoever has read and wants to write would wait for us, and we for him.
    let lock = sql!(
        "SET LOCAL statement_timeout = {}; {}; SET LOCAL statement_timeout = 0; {}",
        Literal(&patience),
        locks::statement(&order.0, "ACCESS EXCLUSIVE"),
        locks::not_beyond(end)
    );
    let batch = follower.open_batch(&lock).await?;
    let fenced_at = SystemTime::now();
    let rows = batch.applied.rows_written + batch.applied.rows_deleted;
    failpoint::reached("switch: last batch");
    let migration = &follower.migration;
    let session = &follower.applier.target;
    let advanced = sequences::advance_by(
        &migration.plan,
        &migration.source_catalog,
        &migration.target_catalog,
        session,
        session,
        plan.switching.sequence_gap,
    )
    .await?;
    let entries = journal::entries(session).await?;
    session.batch(&journal::restore_at_once(&entries, |name| turn.exchange.rename(name))).await?;
    let down = fence::take_down(session, &follower.id).await?;
    session.batch(&Sql::join(";\n", down)).await?;
    session.batch(&turn.exchange.statements()).await?;
    failpoint::reached("switch: tables exchanged");
    open_other_way(session, follower, plan, turn).await?;
    session.batch(&locks::not_beyond(end)).await?;
    failpoint::reached("switch: other side ready");
    plan.switching.application.fenced(plan.occasion, deadline).await?;
    failpoint::reached("switch: application led over");
    Ok((fenced_at, rows, advanced))
}

/// Captures the tables that the application has now, fences those that it has left, and turns the ledger round.
async fn open_other_way(session: &Session, follower: &Follower, plan: &Plan<'_>, turn: &Turn) -> Result<()> {
    let exchange = &turn.exchange;
    let captured: Vec<CapturedTable> = turn.captured.iter().map(|table| exchange.renamed(table)).collect();
    let options = &follower.migration.options;
    let mut all = feed::queue_statements(session, &captured, &turn.id, options).await?;
    let left: Vec<CapturedTable> =
        follower.captured.tables.iter().map(|table| exchange.renamed(table)).collect();
    let has_moved = |name: &QualifiedName| exchange.moves.iter().any(|one| one.moved() == *name);
    let left: Vec<QualifiedName> = fence::writable(&left).into_iter().filter(has_moved).collect();
    let database = options.target.to_string();
    all.push(&sql!("{};\n", Sql::join(";\n", fence::put_up(&left, &turn.id, &database))));
    all.push(&turn.ledger(&follower.migration.plan.target, plan.epoch)?);
    all.push(&record::committed(plan.record));
    session.batch(&all).await
}

/// What one database needs to be followed the other way round.
pub(crate) struct Turn {
    /// The other direction's name.
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) exchange: Exchange,
    /// The tables that it captures, with the names that they have before.
    pub(crate) captured: Vec<CapturedTable>,
    /// The tables into which it carries changes, with the names that they have afterwards.
    pub(crate) targets: Vec<QualifiedName>,
    /// Its mapping, where it is the way back.
    pub(crate) way_back: Option<String>,
}

impl Turn {
    /// The ledger of one direction, made that of the other.
    fn ledger(&self, source: &str, epoch: i64) -> Result<Sql> {
        let back = match self.direction {
            Direction::Forward => Sql::literal("NULL"),
            Direction::Reverse => {
                let back = serde_json::to_string(&self.exchange.back())
                    .map_err(|error| Error::unexpected("an exchange is no JSON").because(error))?;
                sql!("{}", Literal(&back))
            }
        };
        let way_back = match &self.way_back {
            Some(way_back) => sql!("{}", Literal(way_back)),
            None => Sql::literal("NULL"),
        };
        let mut all = arm::activate(&self.targets, source, self.direction, epoch);
        all.push(&sql!(
            ";\nUPDATE confiture.follow SET id = {}, direction = {}, way_back = {}, exchange = {};\n",
            Literal(&self.id),
            Literal(self.direction.word()),
            way_back,
            back
        ));
        Ok(all)
    }

    /// The way back from an exchange that was made, as the ledger has it.
    pub(crate) fn back(id: String, stored: &str) -> Result<Self> {
        let exchange: Exchange = serde_json::from_str(stored).map_err(|error| {
            Error::unexpected("the ledger's exchange is of another version").because(error)
        })?;
        let name = |(schema, name): &(String, String)| QualifiedName::new(schema.as_str(), name.as_str());
        Ok(Self {
            id,
            direction: Direction::Forward,
            captured: exchange.captured_now(),
            targets: exchange.targets.iter().map(name).collect(),
            exchange,
            way_back: None,
        })
    }
}
