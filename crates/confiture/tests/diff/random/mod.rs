//! Random schemas, random edits, random statements, random rows. A failure says its seed and is made small before it is told:
//! `CONFITURE_SEED` has it come again, `CONFITURE_SECONDS` says how long to look.

mod amid;
mod ddl;
mod dice;
mod others;
mod pair;
mod refused;
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

/// How long to look where nothing else is said.
const BUDGET: Duration = Duration::from_secs(4);

/// How many are judged at a time.
const AT_A_TIME: u64 = 6;

/// What inserts some rows into every table.
const FILL: &str = include_str!("fill.sql");

/// A smaller one, where the change that makes it so can still be made.
type Candidate<T> = Box<dyn Fn(&T) -> Option<T> + Send>;

/// An old and a new side that chance has made.
trait Trial: Clone + Send + Sync + 'static {
    fn random(server: &'static Server, seed: u64) -> impl Future<Output = Result<Self, String>> + Send;

    /// What the server takes of it, as a case.
    fn case(
        &self,
        server: &'static Server,
        name: String,
    ) -> impl Future<Output = Result<Case, String>> + Send;

    /// In which ways it could be smaller.
    fn candidates(&self) -> Vec<Candidate<Self>>;
}

/// How trials went, in numbers.
#[derive(Debug, Default)]
struct Count {
    judged: u64,
    /// Rows were not in the way.
    with_rows: u64,
    with_remark: u64,
    /// PostgreSQL itself has no way.
    refused: u64,
    failures: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.with_rows += other.with_rows;
        self.with_remark += other.with_remark;
        self.refused += other.refused;
        self.failures.extend(other.failures);
    }
}

/// Judges it with rows, and again without where rows are in the way.
async fn judge<T: Trial>(trial: &T, server: &'static Server, name: String) -> Result<Count, String> {
    let mut case = trial.case(server, name).await?;
    let (mut judged, mut with_rows) = (oracle::judge(server, &case).await, 1);
    if let Err(Failure::Rows(_)) = judged {
        case.rows.clear();
        (judged, with_rows) = (oracle::judge(server, &case).await, 0);
    }
    let count = Count { judged: 1, with_rows, ..Count::default() };
    match judged.map_err(|failure| failure.to_string()) {
        Ok(remarks) => Ok(Count { with_remark: u64::from(!remarks.is_empty()), ..count }),
        Err(why) if refused::reason(&why).is_some() => Ok(Count { refused: 1, ..count }),
        Err(why) => Err(why),
    }
}

async fn scratch(server: &'static Server) -> Result<Database<'static>, String> {
    Database::create_on(server).await.map_err(|error| error.to_string())
}

async fn begin(database: &Database<'static>) -> Result<Session, String> {
    let connection = oracle::connection(database.server(), database.name());
    let session = Session::connect(&connection).await.map_err(|error| error.to_string())?;
    let settings = "RESET ALL; SET client_min_messages = 'error'; SET synchronous_commit = off";
    session.batch(&Sql::literal(settings)).await.map_err(|error| error.to_string())?;
    Ok(session)
}

/// Those of the statements that a server takes.
async fn accepted(server: &'static Server, statements: &[String]) -> Result<String, String> {
    let database = scratch(server).await?;
    let session = begin(&database).await?;
    let mut text = String::new();
    for statement in statements {
        if session.batch(&Sql::from_user(statement.as_str())).await.is_ok() {
            text.push_str(statement);
            text.push_str(";\n");
        }
    }
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_edits_of_random_schemas() {
    search::<pair::Pair>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_statements_amid_the_cases() {
    search::<amid::Amid>().await;
}

/// Says how many trials were right, or the smallest of what is wrong.
#[expect(clippy::print_stderr, reason = "how far it got is worth knowing, also where all is well")]
async fn search<T: Trial>() {
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
    let places = if budget.is_zero() { 1 } else { AT_A_TIME };
    let running: Vec<_> =
        (0..places).map(|place| tokio::spawn(look::<T>(server, first + place, places, until))).collect();
    let mut count = Count::default();
    for one in running {
        count.add(one.await.unwrap());
    }
    let Count { judged, with_rows, with_remark, refused, failures } = count;
    eprintln!(
        "{judged} pairs, {with_rows} of them with rows, {with_remark} with a remark, {refused} that the server refuses, from seed {first}; {} wrong",
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {judged} pairs fail\n{}", failures.len(), failures.join("\n"));
}

/// Judges every `step`th trial from a seed on, until the time is up.
#[expect(clippy::print_stderr, reason = "a search tells what it finds when it finds it")]
async fn look<T: Trial>(server: &'static Server, mut seed: u64, step: u64, until: Instant) -> Count {
    let mut count = Count::default();
    loop {
        let trial = T::random(server, seed).await.unwrap();
        match judge(&trial, server, format!("seed {seed}")).await {
            Ok(one) => count.add(one),
            Err(why) => {
                let first: Vec<&str> = why.lines().take(9).collect();
                eprintln!("== CONFITURE_SEED={seed}\n{}", first.join("\n"));
                // Where there are many, each is looked at with its seed.
                let is_hunt = std::env::var_os("CONFITURE_HUNT").is_some();
                let small = match count.failures.is_empty() && !is_hunt {
                    true => shrink::shrink(server, trial, why).await,
                    false => why,
                };
                count.judged += 1;
                count.failures.push(format!("== CONFITURE_SEED={seed}\n{small}"));
            }
        }
        seed += step;
        if Instant::now() >= until {
            return count;
        }
    }
}
