//! What an application does, step by step: sessions whose transactions begin in one order and commit in another, on purpose.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use confiture::config::Connection;
use confiture::postgres::Session;
use confiture::sql::Sql;
use futures_util::SinkExt as _;

use crate::scene::{Key, Table};
use crate::seed::Random;

/// Rows that the steps are about: few, so that they meet.
const ROWS: u64 = 120;

/// Several sessions of an application, driven one step at a time.
pub(crate) struct Workload {
    source: Connection,
    sessions: Vec<Session>,
    open: Vec<bool>,
    tables: Vec<Table>,
    random: Random,
    /// Names of this workload's prepared transactions.
    name: String,
    prepared: BTreeSet<u64>,
    step: u64,
    /// What was done, for whoever looks at a failure.
    pub(crate) steps: Arc<AtomicU64>,
}

impl Workload {
    pub(crate) async fn new(source: &Connection, tables: &[Table], seed: u64, sessions: usize) -> Self {
        let mut connected = Vec::new();
        for _ in 0..sessions {
            connected.push(connect(source).await);
        }
        Self {
            source: source.clone(),
            open: vec![false; connected.len()],
            sessions: connected,
            tables: tables.to_vec(),
            random: Random::new(seed),
            name: format!("{}-{seed}", source.database),
            prepared: BTreeSet::new(),
            step: 0,
            steps: Arc::default(),
        }
    }

    /// Works until told to stop, then ends whatever is open.
    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            self.step().await;
            // At a pace that a machine with other work can follow.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        self.end().await;
    }

    pub(crate) async fn end(&mut self) {
        for at in 0..self.sessions.len() {
            self.finish(at).await;
        }
        while self.end_prepared(true).await {}
    }

    /// One step of one session.
    pub(crate) async fn step(&mut self) {
        self.step += 1;
        self.steps.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(self.random.below(self.sessions.len() as u64)).unwrap();
        if self.open[at] {
            match self.random.below(6) {
                0..=2 => self.write(at).await,
                _ => self.finish(at).await,
            }
        } else if self.random.one_in(3) {
            self.write(at).await;
        } else {
            self.sessions[at].batch(&Sql::literal("BEGIN")).await.unwrap();
            self.open[at] = true;
            self.write(at).await;
        }
        if self.random.one_in(4) {
            self.end_prepared(false).await;
        }
    }

    async fn finish(&mut self, at: usize) {
        if !std::mem::take(&mut self.open[at]) {
            return;
        }
        let session = &self.sessions[at];
        match self.random.below(8) {
            0 => session.batch(&Sql::literal("ROLLBACK")).await.unwrap(),
            1 if self.prepared.len() < 3 => {
                let prepare = format!("PREPARE TRANSACTION '{}-{}'", self.name, self.step);
                // After a refused statement this rolls back.
                if session.batch(&Sql::from_user(prepare)).await.is_ok() {
                    self.prepared.insert(self.step);
                }
            }
            _ => session.batch(&Sql::literal("COMMIT")).await.unwrap(),
        }
    }

    /// Ends one prepared transaction; false where there is none.
    async fn end_prepared(&mut self, all: bool) -> bool {
        let chosen: Vec<u64> = self.prepared.iter().copied().collect();
        if chosen.is_empty() {
            return false;
        }
        let number = *self.random.pick(&chosen);
        let Some(at) = (0..self.open.len()).find(|at| !self.open[*at]) else { return all };
        let verb = if self.random.one_in(4) { "ROLLBACK" } else { "COMMIT" };
        let end = format!("{verb} PREPARED '{}-{number}'", self.name);
        self.prepared.remove(&number);
        // Of a transaction that had failed nothing was prepared.
        self.sessions[at].batch(&Sql::from_user(end)).await.ok();
        true
    }

    async fn write(&mut self, at: usize) {
        let table = self.random.pick(&self.tables).clone();
        let (n, other) = (1 + self.random.below(ROWS), 1 + self.random.below(ROWS));
        let salt = 2 + self.step;
        if self.random.one_in(25) {
            return self.copy(at, &table, n, salt).await;
        }
        let statement = statement(&table, n, other, salt, &mut self.random);
        self.run_on(at, statement).await;
    }

    async fn run_on(&mut self, at: usize, statement: String) {
        let session = &self.sessions[at];
        // Many a statement is refused: a duplicate, a lock.
        if session.batch(&Sql::from_user(statement)).await.is_err() {
            session.batch(&Sql::literal("ROLLBACK")).await.unwrap();
            self.open[at] = false;
        }
    }

    /// `COPY app.t (…) FROM STDIN`
    async fn copy(&mut self, at: usize, table: &Table, n: u64, salt: u64) {
        let session = &self.sessions[at];
        let columns = table.key_columns().join(", ");
        let copy = format!("COPY app.{} ({columns}, name) FROM STDIN", table.name);
        let line = |n: u64| {
            let key = match table.key {
                Key::Int | Key::Identity | Key::Numeric => format!("{n}"),
                Key::Uuid => format!("00000000-0000-0000-0000-{n:012}"),
                Key::Text => format!("copied {n}"),
                Key::Composite => format!("{}\tcopied {n}", n % 7),
                Key::Dated => format!("2021-03-04\t{n}"),
            };
            format!("{key}\tcopied {n} {salt}\n")
        };
        let lines: String = (0..5).map(|more| line(200 + n + more * 17)).collect();
        let done = async {
            let sink = session.copy_in(&Sql::from_user(copy)).await?;
            let mut sink = std::pin::pin!(sink);
            let refused = |error| session.refused(error);
            sink.send(Bytes::from(lines)).await.map_err(refused)?;
            sink.finish().await.map_err(refused)
        };
        if done.await.is_err() {
            // The driver may lose count of answers where a COPY is refused at once.
            self.sessions[at] = connect(&self.source).await;
            self.open[at] = false;
        }
    }
}

async fn connect(source: &Connection) -> Session {
    let session = Session::connect(source).await.unwrap();
    // What meets another's lock gives up, so that one step never waits for another session's.
    let settings = "SET lock_timeout = '40ms'; SET deadlock_timeout = '10s'; SET client_min_messages = error;
                    SET synchronous_commit = off";
    session.batch(&Sql::literal(settings)).await.unwrap();
    session
}

/// A statement, or several, about the row `n`.
fn statement(table: &Table, n: u64, other: u64, salt: u64, random: &mut Random) -> String {
    let name = format!("app.{}", table.name);
    let (is_n, is_other) = (table.is(&n.to_string()), table.is(&other.to_string()));
    let insert = |from: u64, to: u64| table.insert(&format!("generate_series({from}, {to})"), salt);
    let conflict = table.key_columns().join(", ");
    let range = format!("ref BETWEEN {} AND {}", n % 40, n % 40 + 3);
    match random.below(24) {
        0 | 1 => format!("{} ON CONFLICT DO NOTHING", insert(n, n + 3)),
        2 => format!(
            "{} ON CONFLICT ({conflict}) DO UPDATE SET name = excluded.name, big = excluded.big",
            insert(n, n)
        ),
        3 | 4 => format!("UPDATE {name} SET name = 'renamed {salt}' WHERE {is_n}"),
        5 => format!("UPDATE {name} SET amount = amount + 0.5, flag = NOT flag WHERE {is_n} OR {is_other}"),
        // Nothing changes.
        6 => format!("UPDATE {name} SET name = name WHERE {is_n}"),
        7 | 8 => format!("DELETE FROM {name} WHERE {is_n}"),
        9 => format!("DELETE FROM {name} WHERE {range}"),
        // The key changes, to one that may be there.
        10 | 11 => format!("UPDATE {name} SET {} WHERE {is_n}", table.set_key(&other.to_string())),
        // Two rows exchange their keys.
        12 | 13 => {
            let third = (1_000_000 + salt).to_string();
            format!(
                "UPDATE {name} SET {} WHERE {is_n}; UPDATE {name} SET {} WHERE {is_other}; UPDATE {name} SET {} WHERE {}",
                table.set_key(&third),
                table.set_key(&n.to_string()),
                table.set_key(&other.to_string()),
                table.is(&third)
            )
        }
        // Two rows exchange another unique value.
        14 | 15 if table.unique => format!(
            "UPDATE {name} SET u = 'swap {salt}' WHERE {is_n};
             WITH freed AS (SELECT 'u' || {other} || '-1' AS u)
             UPDATE {name} SET u = freed.u FROM freed WHERE {is_n} AND NOT EXISTS (SELECT FROM {name} AS x WHERE x.u = freed.u);
             UPDATE {name} SET u = NULL WHERE {is_other};
             UPDATE {name} SET u = 'u{other}-1' WHERE {is_n} AND u = 'swap {salt}' AND NOT EXISTS (SELECT FROM {name} WHERE u = 'u{other}-1');
             UPDATE {name} SET u = 'swap {salt}' WHERE {is_other} AND NOT EXISTS (SELECT FROM {name} WHERE u = 'swap {salt}')"
        ),
        14 | 15 => format!("UPDATE {name} SET doc = NULL WHERE {is_n}"),
        16 => format!(
            "SAVEPOINT s; DELETE FROM {name} WHERE {is_n}; {} ON CONFLICT DO NOTHING; ROLLBACK TO s; UPDATE {name} SET name = 'kept {salt}' WHERE {is_other}; RELEASE s",
            insert(n + 300, n + 302)
        ),
        // Stored out of line, changed and left alone.
        17 => format!("UPDATE {name} SET big = repeat('{salt} ', 4000) WHERE {is_n}"),
        18 => format!("UPDATE {name} SET doc = doc || '{{\"more\": {salt}}}' WHERE {is_n}"),
        19 => format!("UPDATE {name} SET tags = tags || {other}, amount = 1.50 WHERE {range}"),
        20 => format!("UPDATE {name} SET ref = {} WHERE {is_n}", other % 50),
        // Much at once.
        21 if random.one_in(3) => format!("UPDATE {name} SET amount = amount + 1"),
        21 => format!("{} ON CONFLICT DO NOTHING", insert(400, 700)),
        22 if random.one_in(6) => format!("TRUNCATE {name}"),
        22 if random.one_in(6) => format!("TRUNCATE {name}; {}", insert(1, 60)),
        // Where a key has two ways to be written.
        _ if table.key == Key::Numeric => format!("UPDATE {name} SET id = id + 0.0 WHERE {is_n}"),
        _ => format!("UPDATE {name} SET name = NULL WHERE {is_n}"),
    }
}
