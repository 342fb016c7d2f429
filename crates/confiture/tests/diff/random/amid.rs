//! Statements amid what is there: a schema that somebody wrote, and the same after some statements about what it holds.

use std::path::Path;
use std::sync::OnceLock;

use confiture::postgres::Session;
use confiture::sql::{Script, Sql, split};
use local_postgres::Server;

use crate::case::{self, Case};
use crate::random::ddl::{self, Sight};
use crate::random::dice::Random;
use crate::random::world::World;
use crate::random::{Candidate, FILL, Trial, accepted, begin, scratch};
use crate::seed;

/// How many statements are tried at most.
const TRIES: usize = 90;

#[derive(Debug, Clone)]
pub(crate) struct Amid {
    base: Vec<String>,
    more: Vec<String>,
    /// From the longer to the shorter.
    back: bool,
    /// In the forms that let others go on working.
    online: bool,
}

impl Trial for Amid {
    async fn random(server: &'static Server, seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let parts = [0, 1, 1, 1, 1, 2, 2, 3][random.below(8)];
        let mut base = match parts {
            0 => World::random(&mut random, 3).statements(),
            _ => Vec::new(),
        };
        for part in 0..parts {
            base.extend(side_of_a_case(server, &mut random, part));
        }
        let more = more(server, &base, &mut random).await?;
        Ok(Self { base, more, back: random.one_in(2), online: random.one_in(3) })
    }

    async fn case(&self, server: &'static Server, name: String) -> Result<Case, String> {
        let all: Vec<String> = self.base.iter().chain(&self.more).cloned().collect();
        let (old, new) = tokio::join!(accepted(server, &self.base), accepted(server, &all));
        let (mut old, mut new) = (old?, new?);
        if self.back {
            std::mem::swap(&mut old, &mut new);
        }
        Ok(Case { name, old, new, rows: FILL.to_owned(), online: self.online, ..Case::default() })
    }

    fn candidates(&self) -> Vec<Candidate<Self>> {
        let mut all: Vec<Candidate<Self>> = Vec::new();
        let parts: [fn(&mut Self) -> &mut Vec<String>; 2] =
            [|trial| &mut trial.more, |trial| &mut trial.base];
        for part in parts {
            let statements = part(&mut self.clone()).clone();
            for size in [32, 16, 8, 4, 2, 1] {
                for some in statements.chunks(size).rev().map(<[_]>::to_vec) {
                    all.push(Box::new(move |trial| {
                        let mut next = trial.clone();
                        let rest = part(&mut next);
                        let before = rest.len();
                        rest.retain(|statement| !some.contains(statement));
                        (rest.len() < before).then_some(next)
                    }));
                }
            }
        }
        all.push(Box::new(|trial| trial.online.then(|| Self { online: false, ..trial.clone() })));
        all
    }
}

/// One of the cases' sides, statement by statement; all but the first are in a schema of their own.
fn side_of_a_case(server: &Server, random: &mut Random, part: usize) -> Vec<String> {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    let major = server.binaries().version().major;
    let cases = CASES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/diff");
        case::read_all(&folder).into_iter().filter(|case| case.is_for(major)).collect()
    });
    // By its name: with a case more, nearly every seed is what it was.
    let draw = random.below(usize::MAX) as u64;
    let lot = |case: &&Case| {
        let name = case.name.bytes().fold(draw, |sum, byte| sum.rotate_left(5) ^ u64::from(byte));
        seed::Random::new(name).next()
    };
    let case = cases.iter().min_by_key(lot).unwrap();
    let text = if random.one_in(2) { &case.old } else { &case.new };
    let mut all = Vec::new();
    if part > 0 {
        all.push(format!("CREATE SCHEMA part{part}"));
        all.push(format!("SET search_path = part{part}, public"));
    }
    for statement in split(Script::new("case", text.as_str())).unwrap().statements {
        let statement = &text[statement.span];
        // Rows, transactions, who speaks and how text is read are no part of a schema.
        let upper = statement.trim_start().to_uppercase();
        let others =
            ["BEGIN", "COMMIT", "INSERT", "SELECT", "UPDATE", "COPY", "SET ROLE", "SET SES", "SET STAND"];
        if !others.iter().any(|other| upper.starts_with(other)) {
            all.push(statement.trim_end_matches(';').to_owned());
        }
    }
    all.push("RESET search_path".to_owned());
    all
}

/// Statements about what `base` holds that the server takes, one after the other.
async fn more(server: &'static Server, base: &[String], random: &mut Random) -> Result<Vec<String>, String> {
    let database = scratch(server).await?;
    let session = begin(&database).await?;
    for statement in base {
        // One that is refused here is left out later as well.
        let _ = session.batch(&Sql::from_user(statement.as_str())).await;
    }
    // So that names are read with their schemas.
    session.batch(&Sql::literal("SET search_path = ''")).await.map_err(|error| error.to_string())?;
    let wanted = 2 + random.below(14);
    let mut more = Vec::new();
    let mut sight = Sight::of(&session).await?;
    for _ in 0..TRIES {
        let Some(statement) = ddl::statement(&sight, random) else { continue };
        if takes(&session, &statement).await {
            more.push(statement);
            sight = Sight::of(&session).await?;
        }
        if more.len() == wanted {
            break;
        }
    }
    Ok(more)
}

async fn takes(session: &Session, statement: &str) -> bool {
    session.batch(&Sql::from_user(statement)).await.is_ok()
}
