//! Random people, with their data hidden in comments, documents and arrays, under random rules: either nothing of them arrives,
//! or nothing changes. A failure says its seed; `CONFITURE_SOAK_SEED` has it come again.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use confiture::event::Execution;
use confiture::sync::{Options, Report, Sync};

use crate::seed::{Random, Seeds};
use crate::world::{World, told};

const SCHEMA: &str = "
    CREATE TABLE team (a int, b text, PRIMARY KEY (a, b));
    CREATE TABLE person (id bigint PRIMARY KEY, team_a int, team_b text, boss bigint REFERENCES person,
        email text UNIQUE, name text, phone text, ssn text, FOREIGN KEY (team_a, team_b) REFERENCES team);
    CREATE TABLE account (id uuid PRIMARY KEY, owner bigint NOT NULL REFERENCES person, last_entry int);
    CREATE TABLE entry (id int PRIMARY KEY, account uuid NOT NULL REFERENCES account);
    ALTER TABLE account ADD FOREIGN KEY (last_entry) REFERENCES entry;
    CREATE TABLE ticket (id int PRIMARY KEY, person bigint REFERENCES person, body text, about varchar(400), meta jsonb, doc json, tags text[]);
    CREATE TABLE audit (id int PRIMARY KEY, kind text, entity bigint);";

const PEOPLE: u64 = 120;

/// What a person must not be known by: e-mail address, name, telephone, number.
type Secrets = [String; 4];

struct Scene {
    rows: String,
    rules: String,
    originals: Vec<Secrets>,
    /// An original stands where nothing masks it.
    leaks: bool,
    /// One stands where a rule may or may not find it.
    may_leak: bool,
}

/// What is done with a place for comments: the rule, and whether it removes everything, or only some things.
const PLACES: [(&str, &[(&str, Removes)]); 5] = [
    ("body", &[("keep", Removes::Nothing), ("free_text", Removes::All), ("{redact: all}", Removes::Some)]),
    ("about", &[("keep", Removes::Nothing), ("{hash: 40}", Removes::All), ("null", Removes::All)]),
    (
        "meta",
        &[
            ("keep", Removes::Nothing),
            ("{json: {\"$.who\": hash, \"$.list[*].mail\": email}}", Removes::Some),
            ("null", Removes::All),
        ],
    ),
    (
        "doc",
        &[
            ("keep", Removes::Nothing),
            ("{json: {\"$.who\": {redact: all}}}", Removes::Some),
            ("null", Removes::All),
        ],
    ),
    ("tags", &[("keep", Removes::Nothing), ("{hash: 16}", Removes::All), ("null", Removes::All)]),
];

#[derive(Clone, Copy, PartialEq)]
enum Removes {
    Nothing,
    Some,
    All,
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Scene {
    fn random(random: &mut Random) -> Self {
        let chosen: Vec<(&str, Removes)> = PLACES.iter().map(|(_, rules)| *random.pick(rules)).collect();
        let rules = rules(random, &chosen);
        let originals: Vec<Secrets> = (0..PEOPLE).map(|n| secrets(n, random)).collect();
        let mut rows = String::from(
            "SET standard_conforming_strings = on; INSERT INTO team SELECT n, 'the team ' || n FROM generate_series(0, 9) n;\n",
        );
        for (n, [email, name, phone, ssn]) in originals.iter().enumerate() {
            let boss = if n == 0 { "NULL".to_owned() } else { (7 * random.below(n as u64)).to_string() };
            let [email, name, phone, ssn] = [email, name, phone, ssn].map(|text| quoted(text));
            let _ = writeln!(
                rows,
                "INSERT INTO person VALUES ({}, {t}, 'the team {t}', {boss}, {email}, {name}, {phone}, {ssn});",
                7 * n,
                t = n % 10
            );
        }
        rows.push_str(
            "INSERT INTO account SELECT gen_random_uuid(), id FROM person; INSERT INTO entry SELECT row_number() OVER (), id FROM account;
             UPDATE account SET last_entry = entry.id FROM entry WHERE entry.account = account.id;
             INSERT INTO audit SELECT id, CASE WHEN id % 2 = 0 THEN 'person' ELSE 'else' END, id FROM person;\n",
        );
        let (mut leaks, mut may_leak) = (false, false);
        // Half of the scenes hide nothing: what is found in them is found wrongly.
        let hides = random.one_in(2);
        for id in 0..PEOPLE {
            let at = usize::try_from(random.below(5)).unwrap();
            let secret = (hides && random.one_in(40))
                .then(|| random.pick(&originals)[usize::try_from(random.below(4)).unwrap()].clone());
            if secret.is_some() {
                leaks |= chosen[at].1 == Removes::Nothing;
                may_leak |= chosen[at].1 == Removes::Some;
            }
            rows.push_str(&ticket(id, at, secret.as_deref(), random));
        }
        Self { rows, rules, originals, leaks, may_leak }
    }
}

fn rules(random: &mut Random, chosen: &[(&str, Removes)]) -> String {
    let name = random.pick(&["{hash: 24}", "{fake: name}", "\"{first1}. {hash(12)}\""]);
    let phone = random.pick(&["{fpe: digits}", "\"+99-{random(6)}\"", "{hash: 20}"]);
    let ssn = random.pick(&["\"***-**-{last4}\"", "{hash: 20}", "{fpe: digits}", "null"]);
    let places: Vec<String> =
        PLACES.iter().zip(chosen).map(|((column, _), (rule, _))| format!("{column}: {rule}")).collect();
    format!(
        "anonymize:
  team: {{a: keep, b: {{hash: 24}}}}
  person: {{id: fpe, team_a: keep, email: email, name: {name}, phone: {phone}, ssn: {ssn}}}
  account: {{id: fpe, last_entry: keep}}
  entry: {{id: keep}}
  ticket: {{id: keep, {}}}
  audit: {{id: keep, kind: keep}}
virtual_fks: [{{from: audit.entity, to: person.id, when: \"kind = 'person'\"}}]
",
        places.join(", ")
    )
}

/// Names with everything in them that somebody must escape.
fn secrets(n: u64, random: &mut Random) -> Secrets {
    const SYLLABLES: [&str; 12] =
        ["bal", "dor", "fen", "gri", "kul", "mor", "nit", "pel", "ras", "sov", "tum", "ven"];
    const BETWEEN: [&str; 12] = [" ", "-", "'", "\"", "\\", ", ", "{", "} ", "\t", "\n", "é", "日"];
    let mut word = || (0..4).map(|_| *random.pick(&SYLLABLES)).collect::<String>();
    let (first, last, third) = (word(), word(), word());
    let name = format!("{first}{}{last}{}{third}", random.pick(&BETWEEN), random.pick(&BETWEEN));
    let number = 1_000_000_000 + random.below(9_000_000_000 - 1);
    [
        format!("{first}.{n}@{last}.test"),
        name,
        format!("+{} {} {}", number % 97 + 1, number / 10_000, number % 10_000),
        format!("{}-{}-{}", 100 + number % 900, 10 + number % 89, number),
    ]
}

/// A ticket; `secret` stands at one of its five places.
fn ticket(id: u64, at: usize, secret: Option<&str>, random: &mut Random) -> String {
    const AROUND: [(&str, &str); 6] =
        [("", ""), ("ask ", " again"), ("(", ")"), ("<b>", "</b>"), ("x: ", ";"), ("\"", "\"")];
    let (before, after) = random.pick(&AROUND);
    // What is masked at one place must not stand at another.
    let put = |place: usize| match secret {
        Some(secret) if place == at => quoted(&format!("{before}{secret}{after}")),
        _ => format!("'place{place} of {id}'"),
    };
    format!(
        "INSERT INTO ticket VALUES ({id}, {}, {}, {}, jsonb_build_object('who', {}, 'list', jsonb_build_array(jsonb_build_object('mail', {}))),
            json_build_object('who', {}), ARRAY['vip', {}]);\n",
        7 * random.below(PEOPLE),
        put(0),
        put(1),
        if id.is_multiple_of(2) { put(2) } else { "'nobody'".to_owned() },
        if id.is_multiple_of(2) { "'nothing'".to_owned() } else { put(2) },
        put(3),
        put(4)
    )
}

/// Everything in the target that may hold words, decoded by others than us.
const WORDS: &str = "
    SELECT b FROM team; SELECT team_b, email, name, phone, ssn FROM person; SELECT body, about FROM ticket; SELECT unnest(tags) FROM ticket;
    SELECT leaf #>> '{}' FROM ticket, jsonb_path_query(meta, 'strict $.**') AS leaf; SELECT leaf #>> '{}' FROM ticket, jsonb_path_query(doc::jsonb, 'strict $.**') AS leaf;";

/// Everything that must be so of keys, zero of each kind of fault; and how many rows there are.
const KEYS: &str = "SELECT
    (SELECT count(*) - count(DISTINCT email) FROM person), (SELECT count(*) - count(DISTINCT id) FROM person),
    (SELECT count(*) FROM person p LEFT JOIN person b ON p.boss = b.id WHERE p.boss IS NOT NULL AND b.id IS NULL),
    (SELECT count(*) FROM person LEFT JOIN team ON (a, b) = (team_a, team_b) WHERE a IS NULL),
    (SELECT count(*) FROM account LEFT JOIN person ON owner = person.id WHERE person.id IS NULL),
    (SELECT count(*) FROM account JOIN entry ON last_entry = entry.id WHERE entry.account <> account.id),
    (SELECT count(*) FROM audit LEFT JOIN person ON entity = person.id WHERE kind = 'person' AND person.id IS NULL),
    (SELECT count(*) FROM pg_constraint WHERE contype IN ('f', 'p', 'u') AND NOT convalidated),
    (SELECT count(*) FROM person), (SELECT count(*) FROM ticket)";

const DIGEST: &str = "SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM person p; SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM ticket t;
    SELECT md5(string_agg(a::text, ',' ORDER BY id)) FROM account a; SELECT md5(string_agg(a::text, ',' ORDER BY id)) FROM audit a;";

async fn sync_in_chunks(options: Options, pages: u32) -> confiture::Result<Report> {
    Arc::new(Sync::plan(options).await?.with_parts_of(pages)).execute(&Execution::unattended()).await
}

struct Says(u64, String);

impl Drop for Says {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("to have it again: CONFITURE_SOAK_SEED={}\n{}\n", self.0, self.1).as_bytes(),
            );
        }
    }
}

#[tokio::test]
async fn nothing_of_anybody_arrives_or_nothing_changes() {
    for seed in Seeds::with_share(Duration::from_secs(3), 3) {
        let mut random = Random::new(seed);
        let scene = Scene::random(&mut random);
        let _says = Says(seed, scene.rules.clone());
        let world = World::new(SCHEMA, &scene.rows).await;
        world.stage("INSERT INTO team VALUES (1, 'old'); INSERT INTO person (id, team_a, team_b) VALUES (1, 1, 'old')").await;
        let before = world.contents().await;
        let mut digests = Vec::new();
        for (workers, quarantine, pages) in [(1, false, 1_000_000), (3, false, 1), (4, true, 1), (2, true, 2)]
        {
            let mut options = world.options(&scene.rules);
            (options.workers, options.quarantine) = (workers, quarantine);
            match sync_in_chunks(options, pages).await {
                Ok(_) => {
                    assert!(!scene.leaks, "an original stands where nothing masks it");
                    assert_nothing_arrived(&world, &scene).await;
                    digests.push(world.stage(DIGEST).await);
                }
                Err(error) => {
                    assert_eq!(error.kind(), confiture::ErrorKind::Found, "{}", told(&error));
                    assert!(scene.leaks || scene.may_leak, "found wrongly: {}", told(&error));
                    assert_eq!(world.contents().await, before);
                    let secrets =
                        scene.originals.iter().flatten().find(|secret| told(&error).contains(*secret));
                    assert_eq!(secrets, None);
                    digests.push(String::new());
                }
            }
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "the same, whatever the workers and parts");
    }
}

async fn assert_nothing_arrived(world: &World, scene: &Scene) {
    let words = world.stage(WORDS).await;
    assert!(words.lines().count() > 240);
    for original in scene.originals.iter().flatten().filter(|original| original.chars().count() >= 6) {
        assert!(!words.contains(original), "{original:?} has arrived");
    }
    assert_eq!(world.stage(KEYS).await, format!("0|0|0|0|0|0|0|0|{PEOPLE}|{PEOPLE}\n"));
}
