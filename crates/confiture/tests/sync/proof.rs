//! Nothing of a person arrives, and nothing is half done.

use std::sync::Arc;

use confiture::event::{Event, Execution, Observer};
use confiture::sync::{Manifest, Signature, Sync};
use tokio_util::sync::CancellationToken;

use crate::database::connection;
use crate::world::{World, sync, told};

const SCHEMA: &str = "
    CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE, phone text, full_name text, ssn text);
    CREATE TABLE ticket (id int PRIMARY KEY, person_id int REFERENCES person, body text, meta jsonb, tags text[], extra json);
    CREATE INDEX ON ticket (body);";

/// Personal data where the rules say so.
const PEOPLE: &str = "
    INSERT INTO person SELECT n, 'ann' || n || '@corp.com', '+33 6 12 34 ' || lpad((n / 100)::text, 2, '0') || ' ' || lpad((n % 100)::text, 2, '0'),
        'Anneliese Person' || n, lpad(n::text, 3, '1') || '-22-' || lpad(n::text, 4, '3') FROM generate_series(1, 500) n;
    INSERT INTO ticket SELECT n, n, 'nothing to see ' || n, '{\"k\": 1}', '{}', '{}' FROM generate_series(1, 500) n;";

fn rules(ticket: &str) -> String {
    format!(
        "anonymize:\n  person: {{id: keep, email: email, phone: \"+33-{{random(6)}}\", full_name: {{hash: 24}}, ssn: \"***-**-{{last4}}\"}}\n  ticket: {{id: keep, person_id: keep, {ticket}}}\n"
    )
}

const KEPT: &str = "body: keep, meta: keep, tags: keep, extra: keep";

#[tokio::test]
async fn an_original_value_is_found_wherever_it_hides() {
    // Where, and whether the source sends the value at all (the email) or only a hash of it (phone, ssn).
    for hiding in [
        "UPDATE ticket SET body = 'please write to ann17@corp.com today' WHERE id = 3",
        "UPDATE ticket SET meta = '{\"contact\": {\"mail\": [\"ann17@corp.com\"]}}' WHERE id = 3",
        "UPDATE ticket SET tags = ARRAY['vip', 'Anneliese Person17'] WHERE id = 3",
        "UPDATE ticket SET extra = '{\"p\": \"+33 6 12 34 00 17\"}' WHERE id = 3",
        "UPDATE ticket SET body = '(' || (SELECT ssn FROM person WHERE id = 17) || ')' WHERE id = 499",
    ] {
        let world = World::new(SCHEMA, &format!("{PEOPLE}{hiding};")).await;
        world.stage("INSERT INTO person (id) VALUES (1)").await;
        let refused = world.refusal(world.options(&rules(KEPT))).await;
        assert!(
            refused.contains("Found original values of masked columns") && refused.contains("1 values"),
            "{hiding}: {refused}"
        );
        assert!(!refused.contains("ann17") && !refused.contains("Anneliese"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_clean_is_published_and_what_is_allowed_to_meet_may() {
    let world =
        World::new(SCHEMA, &format!("{PEOPLE} UPDATE ticket SET body = 'ann17@corp.com' WHERE id = 3;"))
            .await;
    world.sync(&rules("body: {redact: all}, meta: keep, tags: keep, extra: keep")).await.unwrap();
    assert_eq!(world.stage("SELECT body FROM ticket WHERE id = 3").await, "[email]\n");
    let ignoring = format!("{}scan: {{ignore: [ticket.body]}}\n", rules(KEPT));
    world.sync(&ignoring).await.unwrap();
}

#[tokio::test]
async fn no_original_of_six_characters_is_anywhere() {
    let world = World::new(SCHEMA, PEOPLE).await;
    world
        .sync(
            &rules("body: free_text, meta: \"null\", tags: {hash: 16}, extra: keep")
                .replace("\"null\"", "null"),
        )
        .await
        .unwrap();
    let originals = world.produce("SELECT email FROM person UNION SELECT phone FROM person UNION SELECT full_name FROM person UNION SELECT ssn FROM person").await;
    let dump = world.stage("SELECT p::text FROM person p; SELECT t::text FROM ticket t").await;
    assert_eq!(originals.lines().count(), 2000);
    assert!(originals.lines().filter(|value| value.len() >= 6).all(|value| !dump.contains(value)));
}

#[tokio::test]
async fn a_mask_that_changes_nothing_is_caught() {
    // A user's SQL that says it masks; and values that are masked already.
    let world = World::new(SCHEMA, PEOPLE).await;
    let identity = rules(KEPT).replace("full_name: {hash: 24}", "full_name: {sql: \"full_name\"}");
    let refused = world.refusal(world.options(&identity)).await;
    assert!(refused.contains("public.person.full_name: 500 values"), "{refused}");
}

#[tokio::test]
async fn equal_keys_give_equal_masks_whatever_the_workers() {
    let rows = "INSERT INTO person SELECT n, 'ann' || n || '@corp.com', '+33612' || n, repeat('Name' || n, 20), 'x' FROM generate_series(1, 120000) n; ANALYZE person;";
    let world = World::new(
        "CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE, phone text, full_name text, ssn text)",
        rows,
    )
    .await;
    let rules = "anonymize:\n  person: {id: fpe, email: email, phone: \"+33-{random(6)}\", full_name: {hash: 24}, ssn: keep}\n";
    let digest = "SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM person p";
    let mut digests = Vec::new();
    for workers in [1, 4] {
        let mut options = world.options(rules);
        options.workers = workers;
        sync(options).await.unwrap_or_else(|error| panic!("{}", told(&error)));
        digests.push(world.stage(digest).await);
    }
    assert_eq!(digests[0], digests[1]);
    let mut options = world.options(rules);
    options.key = Some(confiture::sync::MasterKey::ephemeral().unwrap());
    sync(options).await.unwrap();
    assert_ne!(world.stage(digest).await, digests[0]);
    assert_eq!(world.stage("SELECT count(DISTINCT id) FROM person").await, "120000\n");
}

#[tokio::test]
async fn foreign_keys_hold_when_keys_are_masked() {
    let world = World::new(SCHEMA, PEOPLE).await;
    let rules = rules(KEPT).replacen("id: keep", "id: fpe", 1).replace("person_id: keep, ", "");
    let report = world.sync(&rules).await;
    report.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(
        world.stage("SELECT count(*) FROM ticket JOIN person ON person.id = person_id").await,
        "500\n"
    );
    assert_eq!(
        world
            .stage("SELECT count(*) FROM person WHERE id BETWEEN 1 AND 500")
            .await
            .trim()
            .parse::<u32>()
            .unwrap_or(500)
            / 50,
        0
    );
    let halves = rules.replace("ticket: {id: keep,", "ticket: {id: keep, person_id: keep,");
    let refused = world.refusal(world.options(&halves)).await;
    assert!(
        refused.contains("have different rules") || refused.contains("joined by a foreign key"),
        "{refused}"
    );
}

/// Interrupts at the first event that `when` says.
struct At(fn(&Event) -> bool, CancellationToken);

impl Observer for At {
    fn observe(&self, event: &Event) {
        if (self.0)(event) {
            self.1.cancel();
        }
    }
}

#[tokio::test]
async fn interrupted_anywhere_the_target_is_as_it_was() {
    let world = World::new(SCHEMA, PEOPLE).await;
    world.stage("INSERT INTO person (id, email) VALUES (9, 'old'); INSERT INTO ticket (id, person_id) VALUES (1, 9)").await;
    let before = world.contents().await;
    let moments: [fn(&Event) -> bool; 6] = [
        |event| matches!(event, Event::StepStarted { step } if step.starts_with("Freezing")),
        |event| matches!(event, Event::StepFinished { step, .. } if step.starts_with("Freezing")),
        |event| matches!(event, Event::TableStarted { .. }),
        |event| matches!(event, Event::TableFinished { .. }),
        |event| matches!(event, Event::StepStarted { step } if step.starts_with("Building")),
        |event| matches!(event, Event::StepStarted { step } if step.starts_with("Scanning")),
    ];
    for (moment, quarantine) in moments.iter().flat_map(|moment| [(moment, false), (moment, true)]) {
        let token = CancellationToken::new();
        let execution = Execution::new(Arc::new(At(*moment, token.clone())), token);
        let mut options = world.options(&rules(KEPT));
        options.quarantine = quarantine;
        let planned = Arc::new(Sync::plan(options).await.unwrap());
        let error = planned.execute(&execution).await.unwrap_err();
        assert_eq!(error.kind(), confiture::ErrorKind::Interrupted);
        assert_eq!(world.contents_outside().await, before);
        confiture::sync::repair(&connection(&world.staging)).await.unwrap();
    }
    // And the next run is not in anybody's way.
    world.sync(&rules(KEPT)).await.unwrap();
}

#[tokio::test]
async fn the_manifest_proves_what_was_done_and_that_it_still_holds() {
    let world = World::new(SCHEMA, PEOPLE).await;
    let options = world.options(&rules(KEPT));
    let key = options.key.clone();
    let planned = Arc::new(Sync::plan(options).await.unwrap());
    let report = planned.execute(&Execution::unattended()).await.unwrap();
    let text = Manifest::of(planned.as_plan(), &report, key.as_ref()).render();
    for value in ["ann17", "Anneliese", "+33 6", crate::world::KEY] {
        assert!(!text.contains(value), "{text}");
    }
    let staging = connection(&world.staging);
    let manifest = Manifest::parse(&text).unwrap();
    let check = manifest.check(&staging, key.as_ref()).await.unwrap();
    assert_eq!(check.signature, Signature::Valid);
    assert!(check.verdict().is_none(), "{check:?}");
    let forged = Manifest::parse(&text.replace("\"hash 24\"", "\"hash 64\"")).unwrap();
    assert_eq!(forged.check(&staging, key.as_ref()).await.unwrap().signature, Signature::Invalid);
    world.stage("UPDATE ticket SET body = 'changed' WHERE id = 5").await;
    let check = manifest.check(&staging, key.as_ref()).await.unwrap();
    assert!(check.verdict().unwrap().message().contains("ticket"));
}

#[tokio::test]
async fn what_the_source_sends_is_no_more_than_it_must() {
    let world = World::new(SCHEMA, PEOPLE).await;
    let planned = Sync::plan(world.options(&rules(KEPT))).await.unwrap();
    let person =
        &planned.as_plan().tables.iter().find(|table| table.table.name.as_str() == "person").unwrap();
    let sent = world.produce(&format!("{} LIMIT 5", person.select)).await;
    assert!(sent.contains("ann1@corp.com"), "a hash needs its value: {sent}");
    for value in ["33 6 12", "-22-"] {
        assert!(!sent.contains(value), "{sent}");
    }
    let preview = format!("{:?}", planned.preview().await.unwrap());
    assert!(preview.contains("xxx9@xxxx.xxx") && !preview.contains("ann1@"), "{preview}");
}

#[tokio::test]
async fn the_rules_that_suggest_writes_are_complete() {
    let world = World::new(SCHEMA, &format!("{PEOPLE} UPDATE ticket SET meta = '{{\"contact\": {{\"mail\": \"a@corp.com\"}}}}', body = 'mail me at ann@corp.com or so, thank you so much' WHERE id < 300;")).await;
    let suggestion = confiture::sync::suggest(&connection(&world.production), &[]).await.unwrap();
    assert!(!suggestion.text.contains("corp.com"));
    insta::assert_snapshot!(suggestion.text, @"
    # Written by `confiture sync suggest`: read every line before you rely on it.
    # A column that is not listed stops a sync, so new columns cannot slip through.
    anonymize:
      person:
        id: keep  # integer
        email: email  # text: email seen in 500 of 500 values
        phone: phone  # text: phone seen in 500 of 500 values
        full_name: name  # text: by its name
        ssn: national_id  # text: national_id seen in 500 of 500 values
      ticket:
        id: keep  # integer
        person_id: keep  # integer
        body: {redact: all}  # text: email seen in 299 of 500 values
        meta: {json: {'$.contact.mail': email}}  # jsonb: personal data seen at these places
        tags: keep  # text[]
        extra: null  # json: nothing seen, and a document may hold anything
    ");
    world.sync(&suggestion.text).await.unwrap_or_else(|error| panic!("{}", told(&error)));
}

/// A mask of a column, each of which is found out where it does nothing.
const MASKS: [(&str, &str); 32] = [
    ("a", "{hash: 24}"),
    ("a", "email"),
    ("a", "{fake: name}"),
    ("a", "{fpe: digits}"),
    ("a", "\"{first1}-{hash(12)}\""),
    ("a", "\"{fake.city} {random(4)}\""),
    ("a", "{redact: all}"),
    ("a", "{redact: [email]}"),
    ("a", "null"),
    ("a", "\"gone\""),
    ("a", "\"user_{id}@example.com\""),
    ("a", "\"{id|hash(8)} {fresh(4)}\""),
    ("a", "\"{unique(9)}\""),
    ("a", "\"somebody@{domain}\""),
    ("a", "{sql: \"left(a, 1)\"}"),
    ("card", "card"),
    ("card", "\"**** **** **** {last4}\""),
    ("born", "{date: year}"),
    ("born", "null"),
    ("seen", "{date: day}"),
    ("pay", "{bucket: 100}"),
    ("n", "{bucket: 1000}"),
    ("a", "{hash: 20, domain: column, when: \"id > 1100\"}"),
    ("n", "{fpe: digits}"),
    ("n", "{noise: 7}"),
    ("n", "shuffle"),
    ("a", "shuffle"),
    ("u", "shuffle"),
    ("u", "fpe"),
    ("j", "{json: {\"$.mail\": email}}"),
    ("tags", "{hash: 16}"),
    ("net", "ip"),
];

async fn find_out(part: usize) {
    let schema = "CREATE TABLE t (id int PRIMARY KEY, a text, n int, u uuid, j jsonb, tags text[], net inet, card text, born date, seen timestamptz, pay numeric)";
    let rows = "INSERT INTO t SELECT 1000 + n, 'ann' || n || '@corp.com', 10000 + n, gen_random_uuid(), jsonb_build_object('mail', 'bob' || n || '@corp.com'),
        ARRAY['tag of ann' || n], ('10.0.1.' || n)::inet, '4111 1111 1111 ' || 1000 + n, date '1980-01-02' + n, timestamptz '2020-01-01 10:11:12' + n * interval '1 h', 1000.5 + n FROM generate_series(1, 200) n";
    let world = World::new(schema, rows).await;
    for (column, rule) in MASKS.iter().skip(part).step_by(4) {
        let rules = format!("anonymize: {{t: {{{column}: {rule}, \"*\": keep}}}}");
        world.sync(&rules).await.unwrap_or_else(|error| panic!("{column}: {rule}: {}", told(&error)));
        let before = world.contents().await;
        let broken = Sync::plan(world.options(&rules)).await.unwrap().with_broken_masks();
        let error = Arc::new(broken).execute(&Execution::unattended()).await.expect_err(rule);
        assert_eq!(error.kind(), confiture::ErrorKind::Found, "{column}: {rule}: {error}");
        assert_eq!(world.contents().await, before, "{column}: {rule}");
    }
}

#[tokio::test]
async fn every_mask_that_does_nothing_is_found_out_part_1_of_4() {
    find_out(0).await;
}

#[tokio::test]
async fn every_mask_that_does_nothing_is_found_out_part_2_of_4() {
    find_out(1).await;
}

#[tokio::test]
async fn every_mask_that_does_nothing_is_found_out_part_3_of_4() {
    find_out(2).await;
}

#[tokio::test]
async fn every_mask_that_does_nothing_is_found_out_part_4_of_4() {
    find_out(3).await;
}

#[tokio::test]
async fn the_risk_that_is_forecast_is_the_risk_that_arrives() {
    let rows = "INSERT INTO person SELECT n, 'ann' || n || '@corp.com', date '1960-01-01' + n, 20000 + n * 7, CASE WHEN n % 9 > 0 THEN n % 3 END, 'ill ' || n % 5 FROM generate_series(1, 5000) n";
    let schema =
        "CREATE TABLE person (id int PRIMARY KEY, email text, born date, zip int, sex int, illness text)";
    let world = World::new(schema, rows).await;
    let rules = "anonymize: {person: {email: email, born: {date: decade}, zip: {bucket: 10000}, sex: shuffle, \"*\": keep}}";
    let question = confiture::sync::RiskQuestion {
        table: confiture::config::mapping::TableName::read("person").unwrap(),
        quasi: ["born", "zip", "sex"].map(confiture::sql::Identifier::new).to_vec(),
        sensitive: Some(confiture::sql::Identifier::new("illness")),
        k: 5,
    };
    let planned = Arc::new(Sync::plan(world.options(rules)).await.unwrap());
    let forecast = planned.assess_risk(&question, &Execution::unattended()).await.unwrap();
    assert_eq!(world.stage("SELECT count(*) FROM person").await, "0\n");
    planned.execute(&Execution::unattended()).await.unwrap();
    let arrived = confiture::sync::assess_risk(&connection(&world.staging), &question).await.unwrap();
    let original = confiture::sync::assess_risk(&connection(&world.production), &question).await.unwrap();
    let shown = |report: &confiture::sync::RiskReport| serde_json::to_value(&report.combinations).unwrap();
    assert_eq!(shown(&forecast), shown(&arrived));
    assert!(forecast.forecast && !arrived.forecast);
    assert_eq!(original.whole.rows_at_risk, 5000);
    assert!(arrived.whole.rows_at_risk < 100 && arrived.whole.smallest > 0, "{arrived:?}");
}

/// Among many million texts, some share a tag with an original.
#[tokio::test]
async fn what_is_suspected_is_looked_up_in_the_source() {
    let world = World::new(SCHEMA, PEOPLE).await;
    let kept = rules(KEPT).replace("{hash: 24}", "{hash: 18}");
    // As long as the originals and with their first letter, and none of them.
    world
        .produce(
            "UPDATE ticket SET body = 'Anneliese Qerson' || id, extra = to_json('ann' || id || '@corp.org')",
        )
        .await;
    for quarantine in [false, true] {
        let mut options = world.options(&kept);
        options.quarantine = quarantine;
        let coarse = Arc::new(Sync::plan(options).await.unwrap().with_coarse_search());
        coarse.execute(&Execution::unattended()).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    }
    world
        .produce("UPDATE ticket SET body = 'ann17@corp.com, or Anneliese Person18' WHERE id IN (3, 4)")
        .await;
    let coarse = Arc::new(Sync::plan(world.options(&kept)).await.unwrap().with_coarse_search());
    let refused = coarse.execute(&Execution::unattended()).await.unwrap_err();
    assert!(told(&refused).contains("public.ticket.body: 2 values"), "{}", told(&refused));
}
