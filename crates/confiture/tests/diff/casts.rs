//! What values have against another type, by what the server says to some.

use std::collections::BTreeMap;

use confiture::diff::Hazard;
use confiture::postgres::Session;
use confiture::sql::Sql;
use local_postgres::testing::{Database, shared_server};

use crate::oracle;

/// Values of each type, as unlike each other as they can be.
const VALUES: [(&str, &[&str]); 17] = [
    ("smallint", &["0", "1", "-7", "2024"]),
    ("integer", &["0", "1", "20240101", "-7", "120000"]),
    ("bigint", &["0", "1", "20240101", "-7", "1234567890123456789"]),
    ("numeric", &["0", "1.5", "20240101", "NaN", "12345678123456781234567812345678"]),
    ("double precision", &["0", "1.5", "20240101", "Infinity"]),
    ("boolean", &["true", "false"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "12345678-1234-5678-1234-567812345678"]),
    ("date", &["2024-01-01", "0001-01-01 BC", "infinity", "-infinity"]),
    ("timestamp", &["2024-01-01 12:00:00.5", "0001-01-01 BC", "infinity"]),
    ("timestamptz", &["2024-01-01 12:00:00.5+2", "infinity"]),
    ("time", &["00:00:00", "12:00:00.5"]),
    ("timetz", &["00:00:00+0", "12:00:00.5+2"]),
    ("interval", &["0", "1 day", "1 mon -3 days 12:00:00", "-1 year"]),
    ("inet", &["10.0.0.1", "10.0.0.1/8", "::1"]),
    ("cidr", &["10.0.0.0/8", "::/0"]),
    ("macaddr", &["08:00:2b:01:02:03", "00:00:00:00:00:00"]),
    ("jsonb", &["1", "true", "\"2024-01-01\"", "{}", "[1]", "null"]),
];

/// What the plan says of a column, and whether the server takes its values one by one in the way of the plan.
struct Seen {
    pair: String,
    hazards: Vec<Hazard>,
    taken: Vec<bool>,
}

async fn seen() -> Vec<Seen> {
    let pairs: Vec<(usize, &str, &str)> = (VALUES.iter())
        .flat_map(|(from, _)| VALUES.iter().map(move |(to, _)| (*from, *to)))
        .filter(|(from, to)| from != to)
        .enumerate()
        .map(|(at, (from, to))| (at, from, to))
        .collect();
    let side = |of: fn(&(usize, &'static str, &'static str)) -> &'static str| -> String {
        pairs.iter().map(|pair| format!("CREATE TABLE t{} (c {});\n", pair.0, of(pair))).collect()
    };
    let server = shared_server().await;
    let found = oracle::differ(server, &side(|pair| pair.1), &side(|pair| pair.2)).await.unwrap();
    let database = Database::create_on(server).await.unwrap();
    let session = Session::connect(&oracle::connection(server, database.name())).await.unwrap();
    let values: BTreeMap<&str, &[&str]> = VALUES.into_iter().collect();
    let mut all = Vec::new();
    for (at, from, to) in pairs {
        let alter = format!("ALTER TABLE public.t{at} ");
        let steps = || found.up.steps.iter().filter(|step| step.statements[0].as_str().starts_with(&alter));
        let hazards = steps().flat_map(|step| step.hazards.clone()).collect();
        let mut taken = Vec::new();
        for value in values[from] {
            let text = steps().flat_map(|step| &step.statements).map(|sql| format!("{};", sql.as_str()));
            let tried = format!(
                "BEGIN; CREATE TABLE public.t{at} (c {from}); INSERT INTO public.t{at} VALUES ('{value}'); {}",
                text.collect::<String>()
            );
            taken.push(session.batch(&Sql::from_server(tried)).await.is_ok());
            session.batch(&Sql::literal("ROLLBACK")).await.unwrap();
        }
        all.push(Seen { pair: format!("{from} to {to}"), hazards, taken });
    }
    all
}

/// What is said to stop at any value does, and what is said to take all, does.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_value_can_become_is_said() {
    let mut never = Vec::new();
    for Seen { pair, hazards, taken } in seen().await {
        let why = |hazard: &Hazard| match hazard {
            Hazard::MayFail(why) => Some(why.to_string()),
            Hazard::DataLoss(why) => Some(why.to_string()),
            _ => None,
        };
        let said = hazards.iter().find_map(why);
        if said.as_deref().is_some_and(|why| why.starts_with("no value goes from ")) {
            assert!(!taken.contains(&true), "{pair}: {said:?}, {taken:?}");
            never.push(pair);
        } else if said.is_none() {
            assert!(!taken.contains(&false), "{pair}: nothing is said, {taken:?}");
        }
    }
    for pair in ["uuid to integer", "bigint to uuid", "date to integer", "boolean to date", "inet to boolean"]
    {
        assert!(never.iter().any(|one| one == pair), "{pair} is not among {never:?}");
    }
}
