//! Random schemas, random edits, random rows. A failure says its seed and is made small before it is told:
//! `CONFITURE_SEED` has it come again, `CONFITURE_SECONDS` says how long to look.

mod dice;
mod others;
mod shrink;
mod tables;
mod world;

use std::time::{Duration, Instant};

use confiture::postgres::Session;
use confiture::sql::Sql;
use local_postgres::Server;
use local_postgres::testing::{Database, shared_server};

use crate::case::Case;
use crate::oracle::{self, Failure};
use dice::Random;
pub(crate) use world::World;

/// How long to look where nothing else is said.
const BUDGET: Duration = Duration::from_secs(4);

/// How many are judged at a time.
const AT_A_TIME: usize = 6;

/// What inserts some rows into every table.
const FILL: &str = include_str!("fill.sql");

/// Two worlds: the second is the first with some edits.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) old: World,
    pub(crate) new: World,
    /// In the forms that let others go on working.
    pub(crate) online: bool,
}

impl Pair {
    fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let thickness = 1 + random.below(8);
        let mut old = World::random(&mut random, thickness);
        let mut new = old.clone();
        if random.one_in(12) {
            new = World::random(&mut random, thickness);
        }
        for _ in 0..=random.below(12) {
            new.edit(&mut random);
        }
        if random.one_in(2) {
            std::mem::swap(&mut old, &mut new);
        }
        Self { old, new, online: random.one_in(3) }
    }

    /// What the server takes of it, as a case.
    pub(crate) async fn case(&self, server: &'static Server, name: String) -> Result<Case, String> {
        let (old, new) = tokio::join!(accepted(server, &self.old), accepted(server, &self.new));
        Ok(Case { name, old: old?, new: new?, rows: FILL.to_owned(), ..Case::default() })
    }

    /// Judges it with rows, and again without where rows are in the way.
    pub(crate) async fn judge(&self, server: &'static Server, name: String) -> Result<bool, String> {
        let mut case = self.case(server, name).await?;
        case.online = self.online;
        match oracle::judge(server, &case).await {
            Ok(()) => Ok(true),
            Err(Failure::Rows(_)) => {
                case.rows.clear();
                oracle::judge(server, &case).await.map(|()| false).map_err(|failure| failure.to_string())
            }
            Err(Failure::Wrong(why)) => Err(why),
        }
    }
}

/// The statements of a world that a server takes.
async fn accepted(server: &'static Server, world: &World) -> Result<String, String> {
    let database = Database::create_on(server).await.map_err(|error| error.to_string())?;
    let connection = oracle::connection(server, database.name());
    let session = Session::connect(&connection).await.map_err(|error| error.to_string())?;
    session
        .batch(&Sql::literal("RESET ALL; SET client_min_messages = 'error'; SET synchronous_commit = off"))
        .await
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for statement in world.statements() {
        if session.batch(&Sql::from_user(statement.as_str())).await.is_ok() {
            text.push_str(&statement);
            text.push_str(";\n");
        }
    }
    Ok(text)
}

/// Says `count` pairs were right, or the smallest of what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::print_stderr, reason = "how far it got is worth knowing, also where all is well")]
async fn random_edits_of_random_schemas() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let server = shared_server().await;
    let maintenance = Session::connect(&oracle::connection(server, "postgres")).await.unwrap();
    for role in ["random_a", "random_b", "random C", "random_d"] {
        // It may be there: the server is for all tests.
        let _ = maintenance.batch(&Sql::from_user(format!("CREATE ROLE \"{role}\""))).await;
    }
    let (seed, seconds) = (number("CONFITURE_SEED"), number("CONFITURE_SECONDS"));
    let budget = match (seconds, seed) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(_)) => Duration::ZERO,
        (None, None) => BUDGET,
    };
    let until = Instant::now() + budget;
    // The same each time, so that a change is judged by what it changes; a search begins elsewhere.
    let first = seed.unwrap_or(5_000);
    let places: u64 = if budget.is_zero() { 1 } else { AT_A_TIME as u64 };
    let running: Vec<_> = (0..places)
        .map(|place| {
            tokio::spawn(async move {
                let mut failures: Vec<String> = Vec::new();
                let (mut judged, mut with_rows) = (0, 0);
                let mut seed = first + place;
                loop {
                    let pair = Pair::random(seed);
                    match pair.judge(server, format!("seed {seed}")).await {
                        Ok(rows) => with_rows += u64::from(rows),
                        Err(why) => {
                            let first: Vec<&str> = why.lines().take(9).collect();
                            eprintln!("== CONFITURE_SEED={seed}\n{}", first.join("\n"));
                            // Where there are many, each is looked at with its seed.
                            let small = if failures.is_empty() && std::env::var_os("CONFITURE_HUNT").is_none()
                            {
                                shrink::shrink(server, pair, why).await
                            } else {
                                why
                            };
                            failures.push(format!("== CONFITURE_SEED={seed}\n{small}"));
                        }
                    }
                    judged += 1;
                    seed += places;
                    if Instant::now() >= until {
                        return (judged, with_rows, failures);
                    }
                }
            })
        })
        .collect();
    let (mut judged, mut with_rows, mut failures) = (0, 0, Vec::new());
    for one in running {
        let (count, rows, wrong) = one.await.unwrap();
        judged += count;
        with_rows += rows;
        failures.extend(wrong);
    }
    eprintln!("{judged} pairs, {with_rows} of them with rows, from seed {first}; {} wrong", failures.len());
    assert!(failures.is_empty(), "{} of {judged} pairs fail\n{}", failures.len(), failures.join("\n"));
}
