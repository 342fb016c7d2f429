//! Within one database: the tables exchange their schemas, and whoever waited goes on under the same names.

use std::time::Duration;

use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Switching, active, cut_over, roll_back};
use confiture::schema_to_schema::{CheckOutcome, Cleaning, Direction, Options, clean_up};
use confiture::sql::Identifier;

use crate::between::{assert_all_there, assert_switched, follow};
use crate::clients::{Clients, Side};
use crate::world::{World, assert_same, connection, psql};
use confiture::schema_to_schema::FeedKind;

pub(crate) const BOTH: &str = r#"
CREATE SCHEMA app; CREATE SCHEMA new;
CREATE TABLE app.people (id bigserial PRIMARY KEY, name text NOT NULL, secret text DEFAULT 'kept');
CREATE TABLE app."we""ird" (number bigint PRIMARY KEY, note varchar(20)) PARTITION BY RANGE (number);
CREATE TABLE app.weird_1 PARTITION OF app."we""ird" FOR VALUES FROM (MINVALUE) TO (1000000);
CREATE TABLE app.weird_2 PARTITION OF app."we""ird" FOR VALUES FROM (1000000) TO (MAXVALUE);
CREATE TABLE app.orders (
    id bigserial PRIMARY KEY, number bigint NOT NULL UNIQUE, person bigint NOT NULL REFERENCES app.people, cents int);
CREATE TABLE app.bystander (id int PRIMARY KEY, note text);
INSERT INTO app.people (name, secret) SELECT 'person ' || i, 'secret ' || i FROM generate_series(1, 300) i;
INSERT INTO app.orders (number, person, cents) SELECT -i, 1 + i % 300, i FROM generate_series(1, 2000) i;
INSERT INTO app.bystander VALUES (1, 'stays');
CREATE TABLE new.people (id bigserial PRIMARY KEY, name text NOT NULL, shout text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE new."we""ird" (number bigint PRIMARY KEY, note text);
CREATE TABLE new.orders (id bigserial PRIMARY KEY, number bigint NOT NULL UNIQUE,
    person bigint NOT NULL REFERENCES new.people, cents bigint);
CREATE FUNCTION public.order_it(n bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO app.orders (number, person, cents) VALUES (n, 1 + n % 300, 5);
    UPDATE app.people SET name = 'changed by ' || n WHERE id = 1 + n % 300;
    INSERT INTO app."we""ird" (number, note) VALUES (n, 'n') ON CONFLICT DO NOTHING;
END $$;
ANALYZE;"#;

pub(crate) const WRITE: &str = "BEGIN; SELECT public.order_it($); COMMIT";

pub(crate) const MAPPING: &str = r#"
tables:
  new.people: { from: app.people p }
  new.orders: { from: app.orders o }
  new."we""ird": { from: app."we""ird" w, columns: { note: w.note } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn over_and_back() {
    let world = World::new(BOTH, "").await;
    let options = world.options(MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    follow(&options, FeedKind::Queue).await;
    let switching = Switching { accept_losses: true, ..Switching::default() };
    let execution = Execution::unattended();
    let side = || Side { connection: connection(&world.old), statement: WRITE };
    let clients = Clients::start(8, &[side(), side()]);
    tokio::time::sleep(Duration::from_millis(300)).await;

    assert_switched(&cut_over(options.clone(), &switching, &execution).await.unwrap());
    assert_eq!(active(options.clone()).await.unwrap().1, Direction::Reverse);
    let shapes = psql(&world.old, "SELECT shout = upper(name) FROM app.people LIMIT 1").await;
    assert_eq!(shapes.trim(), "t", "the new table has taken the old one's place");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (back, _) = active(options.clone()).await.unwrap();
    follow(&back, FeedKind::Queue).await;

    assert_switched(&roll_back(options.clone(), &switching, &execution).await.unwrap());
    assert_eq!(active(options.clone()).await.unwrap().1, Direction::Forward);
    let kept = psql(&world.old, "SELECT count(*) FROM app.people WHERE secret = 'secret ' || id").await;
    assert_eq!(kept.trim(), "300", "what only the old table has is still there");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_switched(&cut_over(options.clone(), &switching, &execution).await.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;

    let seen = clients.stop().await;
    println!("{} writes, longest {:?}", seen.acknowledged.len(), seen.longest);
    assert_eq!(seen.moved, 0, "no client has met the fence");
    assert_eq!(seen.deadlocks, 0);
    assert_all_there(&world.old, "app.orders", &seen).await;
    let (back, direction) = active(options.clone()).await.unwrap();
    assert_eq!(direction, Direction::Reverse);
    follow(&back, FeedKind::Queue).await;
    assert_all_there(&world.old, "app_old.orders", &seen).await;
    let old = &world.old;
    assert_same(old, "SELECT id, name FROM app_old.people", old, "SELECT id, name FROM app.people").await;
    assert_same(old, "SELECT * FROM app_old.\"we\"\"ird\"", old, "SELECT * FROM app.\"we\"\"ird\"").await;
    let stays = psql(old, "SELECT note FROM app.bystander").await;
    assert_eq!(stays.trim(), "stays");

    let cleaning = Cleaning { drop_old: true, ..Cleaning::default() };
    let schema = Identifier::new("old_schema");
    let cleaned =
        clean_up(Some(&options.source), &options.target, &schema, cleaning, &execution).await.unwrap();
    assert!(cleaned.way_back && cleaned.dropped.len() == 3, "{cleaned:?}");
    let left = psql(
        old,
        "SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^(pg_|information)'",
    )
    .await;
    assert_eq!(left.trim(), "app,new,public", "nothing of ours is left");
    let triggers = psql(old, "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'confiture'").await;
    assert_eq!(triggers.trim(), "0");
    assert_all_there(old, "app.orders", &seen).await;
}

/// What refers to tables that change places is named before, with where it will point.
#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_the_tables_is_named() {
    const REFERRING: &str = "CREATE VIEW app.rich AS SELECT person FROM app.orders WHERE cents > 1000;
        CREATE FUNCTION app.people_left() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app.people; END;";
    let world = World::new(&format!("{BOTH}{REFERRING}"), "").await;
    let options = world.options(MAPPING).await;
    let options = Options { target: options.source.clone(), ..options };
    follow(&options, FeedKind::Queue).await;
    let switching = Switching { accept_losses: true, rehearse: true, ..Switching::default() };
    let report = cut_over(options.clone(), &switching, &Execution::unattended()).await.unwrap();
    let check = report.checklist.iter().find(|check| check.id == "exchange").unwrap();
    assert_eq!(check.outcome, CheckOutcome::Warn);
    assert_eq!(
        check.evidence,
        "the function app.people_left refers to app.people, which will be app_old.people, \
         the view app.rich refers to app.orders, which will be app_old.orders"
    );
    psql(&world.old, "ALTER TABLE app.bystander ADD FOREIGN KEY (id) REFERENCES app.people NOT VALID").await;
    let error = cut_over(options, &switching, &Execution::unattended()).await.unwrap_err();
    assert!(error.message().contains("refers to a table that goes"), "{error:?}");
}
