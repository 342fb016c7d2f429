//! From opening to the cutover: clients of both sides meanwhile, kills, and what other commands say.

use std::env;
use std::process::{self, Command, Stdio};
use std::sync::Arc;

use confiture::ErrorKind;
use confiture::config::{Connection, Endpoint, Mapping};
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{Switching, active, cut_over, roll_back};
use confiture::schema_to_schema::immediate::{Opening, propose, stop};
use confiture::schema_to_schema::{
    Cleaning, FeedKind, Following, Migration, Options, Phase, Until, clean_up, failpoint, status,
};
use confiture::sql::Identifier;

use crate::between::{assert_all_there, follow};
use crate::clients::{Clients, Side};
use crate::immediate::scene::{MAPPING, Scene};
use crate::world::connection;

const OLD: &str = r#"BEGIN; INSERT INTO app.orders (number, "user", cents) VALUES ($, 1 + $ % 300, 5);
    UPDATE app.users SET full_name = 'By $ Old', rank = rank + 1 WHERE id = 1 + $ % 300;
    UPDATE app.users SET bio = CASE WHEN $ % 2 = 0 THEN 'old $' END WHERE id = 1 + ($ * 7) % 300;
    DELETE FROM app.orders WHERE number = -($ % 1000); COMMIT"#;

const NEW: &str = r#"BEGIN; INSERT INTO fresh.orders (number, customer, cents) VALUES ($, 1 + $ % 300, 6);
    UPDATE fresh.users SET first_name = 'New', last_name = 'by $', rank = rank + 1 WHERE id = 1 + ($ * 3) % 300;
    INSERT INTO fresh.bios (user_id, bio) VALUES (1 + ($ * 11) % 300, 'new $') ON CONFLICT (user_id) DO UPDATE SET bio = excluded.bio;
    DELETE FROM fresh.bios WHERE user_id = 1 + ($ * 13) % 300;
    INSERT INTO fresh."Odd ""Table""" VALUES (100000 + $, 'n', $); COMMIT"#;

fn clients(scene: &Scene, count: usize, statement: &'static str) -> Clients {
    let side = || Side { connection: connection(&scene.world.old), statement };
    Clients::start(count, &[side(), side()])
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_sides_while_it_is_opened_and_stopped() {
    let scene = Scene::new().await;
    let old = clients(&scene, 4, OLD);
    old.until_more(50).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let opened = scene.open().await.unwrap();
        println!("opened: {:?}, {} tries", opened.stall, opened.tries);
        old.until_more(20).await;
        // Also transactions that see what was when they began.
        let frozen = |statement: &str| {
            &*Box::leak(
                statement.replacen("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", 1).into_boxed_str(),
            )
        };
        let more = [clients(&scene, 2, frozen(OLD)), clients(&scene, 2, frozen(NEW))];
        let new = clients(&scene, 3, NEW);
        for _ in 0..5 {
            new.until_more(30).await;
            // Every snapshot has both sides equal, while all write.
            scene.assert_equal().await;
        }
        let report = Migration::plan(scene.options.clone(), &Execution::unattended()).await.unwrap();
        assert!(report.verify(&Execution::unattended()).await.unwrap().ok);
        seen.push(new.stop().await);
        for more in more {
            seen.push(more.stop().await);
        }
        old.until_more(20).await;
        scene.stop().await;
        old.until_more(50).await;
        follow(&scene.options, FeedKind::Queue).await;
    }
    seen.push(old.stop().await);
    follow(&scene.options, FeedKind::Queue).await;
    scene.assert_equal().await;
    let mut all = crate::clients::Seen::default();
    for one in seen {
        all.acknowledged.extend(one.acknowledged);
        all.unknown.extend(one.unknown);
        all.deadlocks += one.deadlocks;
    }
    println!("{} writes, {} deadlocks", all.acknowledged.len(), all.deadlocks);
    assert_all_there(&scene.world.old, "app.orders", &all).await;
    assert_all_there(&scene.world.old, "fresh.orders", &all).await;
    assert_eq!(scene.run("SELECT count(*) FROM pg_trigger WHERE tgname ~ 'immediate'").await, "0");
    // Nothing was read again but what had changed: the position was that of the stop.
    let again = "SELECT count(*) FROM confiture.event WHERE what ~ 'read again'";
    assert_eq!(scene.run(again).await, "0");

    let switching = Switching { accept_losses: true, ..Switching::default() };
    let execution = Execution::unattended();
    assert!(cut_over(scene.options.clone(), &switching, &execution).await.unwrap().switched);
    scene.run("INSERT INTO app.users (email, first_name, last_name) VALUES ('cut@x', 'Cut', 'Over')").await;
    let (back, _) = active(scene.options.clone()).await.unwrap();
    follow(&back, FeedKind::Queue).await;
    assert!(roll_back(scene.options.clone(), &switching, &execution).await.unwrap().switched);
    follow(&scene.options, FeedKind::Queue).await;
    scene.assert_equal().await;
    assert_eq!(scene.run("SELECT full_name FROM app.users WHERE email = 'cut@x'").await, "Cut Over");
    // And opened again, after all that.
    scene.open().await.unwrap();
    scene.run("UPDATE fresh.users SET last_name = 'Again' WHERE email = 'cut@x'").await;
    scene.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_commands_say_meanwhile() {
    let scene = Scene::opened().await;
    let execution = Execution::unattended();
    let migration = Arc::new(Migration::plan(scene.options.clone(), &execution).await.unwrap());
    let following = Following { until: Until::CaughtUp, ..Following::default() };
    let report = migration.follow(&following, &execution).await.unwrap();
    assert_eq!(report.phase, Phase::Immediate);
    let shown = status(None, &scene.options.target).await.unwrap();
    assert_eq!(shown.following.unwrap().phase, Phase::Immediate);
    let verified = migration.verify_following(Default::default(), &execution).await.unwrap();
    assert!(verified.ok);
    let refused = [
        cut_over(scene.options.clone(), &Switching::default(), &execution).await.unwrap_err(),
        roll_back(scene.options.clone(), &Switching::default(), &execution).await.unwrap_err(),
        propose(scene.options.clone(), &execution).await.err().unwrap(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
        assert!(error.hints().iter().any(|hint| hint.to_string().contains("--stop")), "{error:?}");
    }
    // PostgreSQL itself keeps the columns under the mapping as they are.
    assert_eq!(scene.refused("ALTER TABLE app.users ALTER rank TYPE bigint").await, "0A000");
    assert_eq!(scene.refused("ALTER TABLE fresh.bios DROP bio").await, "2BP01");

    // Giving it up empties the new side, and leaves the old one alone.
    let before = scene.run("SELECT count(*) FROM app.users").await;
    let cleaning = Cleaning { abandon: true, ..Cleaning::default() };
    let schema = Identifier::new("old_schema");
    let (source, target) = (&scene.options.source, &scene.options.target);
    clean_up(Some(source), target, &schema, cleaning, &execution).await.unwrap();
    assert_eq!(scene.run("SELECT count(*) FROM app.users").await, before);
    assert_eq!(scene.run("SELECT count(*) FROM fresh.users").await, "0");
    assert_nothing_left(&scene).await;

    follow(&scene.options, FeedKind::Queue).await;
    scene.open().await.unwrap();
    clean_up(Some(source), target, &schema, Cleaning::default(), &execution).await.unwrap();
    scene.assert_equal().await;
    assert_nothing_left(&scene).await;
}

async fn assert_nothing_left(scene: &Scene) {
    let left = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname ~ 'confiture') || ' '
        || (SELECT count(*) FROM pg_namespace WHERE nspname = 'confiture') || ' '
        || (SELECT count(*) FROM pg_sequences WHERE schemaname IN ('app', 'fresh') AND increment_by <> 1)";
    assert_eq!(scene.run(left).await, "0 0 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_at_once_is_refused_with_its_place() {
    let scene = Scene::with(
        "CREATE TABLE fresh.wide (id bigint PRIMARY KEY, number bigint, email text);
         CREATE TABLE fresh.keyed (id bigint PRIMARY KEY, note text);",
        MAPPING,
    )
    .await;
    let joined = "
  fresh.wide:
    from: app.orders o join app.users u on u.id = o.\"user\"
    key: { id: o.id }
    columns: { id: o.id, number: o.number, email: u.email }
    depends:
      - table: app.users
        driving: select o.id from app.orders o where o.\"user\" = any($keys)
";
    let expression = "
  fresh.keyed:
    from: app.bystander b
    columns: { id: b.id + 1000 }
    reverse: { id: (id - 1000)::int }
";
    for (more, why) in [(joined, "joins other tables"), (expression, "made by an expression")] {
        let mapping = Mapping::parse(&format!("{MAPPING}{more}"), "mapping.yaml".as_ref()).unwrap();
        let options = Options { mapping, ..scene.options.clone() };
        let error = propose(options, &Execution::unattended()).await.err().unwrap();
        assert!(error.message().contains(why) && error.place().is_some(), "{error:?}");
    }
    // A part that no foreign key holds to its main table.
    scene.run("ALTER TABLE fresh.bios DROP CONSTRAINT bios_user_id_fkey").await;
    let error = scene.open().await.unwrap_err();
    assert!(error.message().contains("no foreign key") && error.place().is_some(), "{error:?}");
    // And what is lost on the way back wants to be accepted.
    let lossy = MAPPING.replace("    reverse:\n      full_name: first_name || ' ' || last_name\n", "");
    let mapping = Mapping::parse(&lossy, "mapping.yaml".as_ref()).unwrap();
    let error =
        propose(Options { mapping, ..scene.options.clone() }, &Execution::unattended()).await.err().unwrap();
    assert!(error.message().contains("full_name") || error.message().contains("NOT NULL"), "{error:?}");
}

/// Where opening passes, in order, and where stopping does before it is decided.
const OPENING: [&str; 5] = [
    "immediate: last batch",
    "immediate: sequences take turns",
    "immediate: triggers made",
    "immediate: about to be opened",
    "immediate: opened",
];
const STOPPING: [&str; 2] = ["immediate: triggers exchanged", "immediate: about to be stopped"];

const CHILD: &str = "CONFITURE_TEST_IMMEDIATE";

#[test]
fn the_process_that_is_killed() {
    // Without the variable this is a test of itself: that it would run at all.
    let Ok(what) = env::var(CHILD) else {
        assert!(env::current_exe().unwrap().exists());
        return;
    };
    let what: Vec<&str> = what.split('\n').collect();
    let [folder, database, command, at] = what[..] else { panic!("{what:?}") };
    let at = at.to_owned();
    failpoint::on_reached(Box::new(move |name| {
        if name == at {
            process::abort();
        }
    }));
    let connect = || Connection::new(Endpoint::new(folder, 5432), "postgres", database);
    let mapping = Mapping::parse(MAPPING, "mapping.yaml".as_ref()).unwrap();
    let options = Options::new(connect(), connect(), mapping);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (opening, execution) = (Opening::default(), Execution::unattended());
    runtime.block_on(async {
        match command {
            "open" => {
                drop(propose(options, &execution).await.unwrap().open(&opening, &execution).await.unwrap());
            }
            _ => drop(stop(&options.target, &opening, &execution).await.unwrap()),
        }
    });
}

async fn die(scene: &Scene, command: &str, at: &str) {
    let folder = scene.world.old.server().socket_dir().to_str().unwrap().to_owned();
    let told = [folder.as_str(), scene.world.old.name(), command, at].join("\n");
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", "immediate::life::the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD, told)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.code().is_none(), "{at}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_it_is_one_or_the_other() {
    let scene = Scene::new().await;
    let old = clients(&scene, 3, OLD);
    for at in OPENING {
        die(&scene, "open", at).await;
        old.until_more(20).await;
        let is_open = at == "immediate: opened";
        let phase = scene.run("SELECT phase FROM confiture.follow").await;
        assert_eq!(phase, if is_open { "immediate" } else { "following" }, "{at}");
        if !is_open {
            let made = "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'immediate'";
            assert_eq!(scene.run(made).await, "0", "{at}");
        }
    }
    scene.assert_equal().await;
    let new = clients(&scene, 3, NEW);
    for at in STOPPING {
        die(&scene, "stop", at).await;
        old.until_more(20).await;
        new.until_more(20).await;
        scene.assert_equal().await;
    }
    let seen = new.stop().await;
    assert!(!seen.acknowledged.is_empty());
    die(&scene, "stop", "immediate: stopped").await;
    assert_eq!(scene.run("SELECT phase FROM confiture.follow").await, "following");
    old.until_more(50).await;
    // What is left of it is done again by the next command, and does no harm until then.
    follow(&scene.options, FeedKind::Queue).await;
    scene.open().await.unwrap();
    old.until_more(20).await;
    scene.assert_equal().await;
    scene.stop().await;
    old.stop().await;
    follow(&scene.options, FeedKind::Queue).await;
    scene.assert_equal().await;
}
