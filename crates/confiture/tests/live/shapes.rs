//! The application alters its tables while the migration follows them: it goes on where nothing is lost, else it stops, says
//! why, copies no wrong row, and goes on when the cause is gone.

use std::time::Duration;

use confiture::ErrorKind;
use confiture::schema_to_schema::{FeedKind, Options};

use crate::oracle::Same;
use crate::running::{MAPPING, NEW, OLD, Running, assert_exact, same};
use crate::world::{World, psql};

const PATIENCE: Duration = Duration::from_secs(30);
const FEEDS: [FeedKind; 2] = [FeedKind::Queue, FeedKind::Wal];

async fn world() -> (World, Options) {
    let world = World::new(OLD, NEW).await;
    let options = world.options(MAPPING).await;
    (world, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_stops_nobody() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
        run.compared(1).await;
        psql(&world.old, "UPDATE app.people SET name = 'before' WHERE id = 1; ALTER TABLE app.people ADD extra int DEFAULT 7; UPDATE app.people SET name = 'after', extra = 8 WHERE id = 2").await;
        run.compared(3).await;
        run.until(|| run.said.has("has `extra integer` now")).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_renamed_or_gone_stops_the_run() {
    for feed in FEEDS {
        for (alter, back) in [
            ("RENAME name TO fullname", "RENAME fullname TO name"),
            ("DROP name", "ADD name text DEFAULT 'again'"),
        ] {
            let (world, options) = world().await;
            let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
            run.compared(1).await;
            let held =
                psql(&world.new, "SELECT md5(string_agg(u::text, ' ' ORDER BY id)) FROM new.users u").await;
            psql(
                &world.old,
                &format!("ALTER TABLE app.people {alter}; UPDATE app.people SET age = 1 WHERE id < 10"),
            )
            .await;
            let error = run.fails().await;
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            let now =
                psql(&world.new, "SELECT md5(string_agg(u::text, ' ' ORDER BY id)) FROM new.users u").await;
            assert_eq!(now, held, "{alter}");
            psql(&world.old, &format!("ALTER TABLE app.people {back}")).await;
            assert_exact(&world, &options, &same()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_change_their_names_change_no_row_and_yet_all() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let run = Running::start(&options, feed, Duration::ZERO, Some(same())).await;
        run.compared(1).await;
        psql(&world.old, "ALTER TABLE app.people RENAME name TO x; ALTER TABLE app.people RENAME nick TO name; ALTER TABLE app.people RENAME x TO nick").await;
        let error = run.fails().await;
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
        assert!(error.message().contains("altered while the migration follows"), "{error}");
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_has_all_rows_read_again() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let run = Running::start(&options, feed, PATIENCE, None).await;
        run.until(|| run.said.has("Changes are captured")).await;
        psql(&world.old, "ALTER TABLE app.people ALTER age TYPE bigint USING age + 1000").await;
        run.stop().await.ok();
        assert_exact(&world, &options, &same()).await;
        let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
        run.compared(1).await;
        psql(&world.old, "ALTER TABLE app.people ALTER nick TYPE varchar(6) USING left(nick, 6)").await;
        run.compared(2).await;
        // The same type, and other values.
        psql(&world.old, "ALTER TABLE app.people ALTER name TYPE text USING name || ' rewritten'; ALTER TABLE app.events ALTER what TYPE text USING 'all'").await;
        run.compared(2).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_come_and_go() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
        run.compared(1).await;
        psql(&world.old, "CREATE TABLE app.events_3 PARTITION OF app.events FOR VALUES FROM (2000) TO (3000); INSERT INTO app.events SELECT i, 'new' FROM generate_series(2000, 2100) i").await;
        run.compared(3).await;
        psql(&world.old, "CREATE TABLE app.more (id int PRIMARY KEY, what text); INSERT INTO app.more SELECT i, 'attached' FROM generate_series(3000, 3100) i; ALTER TABLE app.events ATTACH PARTITION app.more FOR VALUES FROM (3000) TO (4000)").await;
        psql(&world.old, "UPDATE app.events SET what = 'changed' WHERE id IN (5, 2005, 3005)").await;
        run.compared(3).await;
        psql(&world.old, "ALTER TABLE app.events DETACH PARTITION app.events_1").await;
        run.compared(3).await;
        psql(&world.old, "DROP TABLE app.events_2; TRUNCATE app.events_3").await;
        run.compared(3).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_replaced_is_read_again() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
        run.compared(1).await;
        // As tools do that rewrite tables: another table takes the name.
        psql(&world.old, "CREATE TABLE app.copy (LIKE app.people INCLUDING ALL); INSERT INTO app.copy SELECT id, 'other', nick, age FROM app.people WHERE id % 2 = 0; DROP TABLE app.people; ALTER TABLE app.copy RENAME TO people").await;
        run.compared(3).await;
        psql(
            &world.old,
            "UPDATE app.people SET nick = 'later' WHERE id < 100; DELETE FROM app.people WHERE id = 200",
        )
        .await;
        run.compared(3).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_stops_the_run() {
    for feed in FEEDS {
        let (world, options) = world().await;
        assert_exact(&world, &options, &same()).await;
        let run = Running::start(&options, feed, PATIENCE, None).await;
        psql(&world.old, "ALTER TABLE app.people RENAME TO persons").await;
        let error = run.fails().await;
        assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsafe), "{error:?}");
        psql(&world.old, "UPDATE app.persons SET nick = 'meanwhile' WHERE id = 77; ALTER TABLE app.persons RENAME TO people").await;
        assert_exact(&world, &options, &same()).await;
    }
}

/// What captures changes is taken away by hand, changes are made, and it is put back: nobody can say which they were.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_was_off_for_a_moment_is_noticed() {
    for running in [true, false] {
        let (world, options) = world().await;
        let run = Running::start(&options, FeedKind::Queue, PATIENCE, Some(same())).await;
        run.compared(1).await;
        let missed = "ALTER TABLE app.people DISABLE TRIGGER ALL; UPDATE app.people SET name = 'missed' WHERE id < 50; DELETE FROM app.people WHERE id = 60; ALTER TABLE app.people ENABLE TRIGGER ALL";
        if running {
            psql(&world.old, missed).await;
            run.compared(3).await;
            run.until(|| run.said.has("what captures")).await;
            run.stop().await.unwrap();
        } else {
            run.stop().await.unwrap();
            psql(&world.old, missed).await;
        }
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_is_off_is_set_up_again() {
    for missed in [
        "ALTER TABLE app.people DISABLE TRIGGER ALL",
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'app.people'::regclass AND NOT tgisinternal LOOP EXECUTE format('DROP TRIGGER %I ON app.people', t); END LOOP; END $$",
        "DROP SCHEMA confiture CASCADE",
    ] {
        let (world, options) = world().await;
        let run = Running::start(&options, FeedKind::Queue, PATIENCE, Some(same())).await;
        run.compared(1).await;
        run.stop().await.unwrap();
        psql(&world.old, missed).await;
        psql(
            &world.old,
            "UPDATE app.people SET name = 'missed' WHERE id < 50; DELETE FROM app.people WHERE id = 60",
        )
        .await;
        assert_exact(&world, &options, &same()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_taken_out_of_the_publication_is_noticed() {
    let (world, options) = world().await;
    let run = Running::start(&options, FeedKind::Wal, PATIENCE, Some(same())).await;
    run.compared(1).await;
    let publication = psql(&world.old, "SELECT quote_ident(pubname) FROM pg_publication").await;
    let publication = publication.trim();
    for (out, back) in [
        (format!("ALTER PUBLICATION {publication} DROP TABLE app.people"), String::new()),
        (
            format!("ALTER PUBLICATION {publication} DROP TABLE app.people"),
            format!("ALTER PUBLICATION {publication} ADD TABLE app.people"),
        ),
    ] {
        psql(&world.old, &out).await;
        psql(&world.old, "UPDATE app.people SET name = name || ' missed' WHERE id < 50; DELETE FROM app.people WHERE id = 60").await;
        psql(&world.old, &back).await;
        run.compared(4).await;
    }
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

/// While rows are copied, slowly: what gives them other pages, or none.
#[tokio::test(flavor = "multi_thread")]
async fn rewritten_and_emptied_while_it_is_copied() {
    for feed in FEEDS {
        let (world, options) = world().await;
        let options = Options { parallel: Some(1), ..options };
        let run = Running::start(&options, feed, PATIENCE, Some(same())).await;
        run.until(|| run.said.has("Changes are captured")).await;
        for rewrite in [
            "VACUUM FULL app.people",
            "CLUSTER app.people USING people_pkey",
            "TRUNCATE app.people",
            "INSERT INTO app.people SELECT i, 'again ' || i, 'nick', 5 FROM generate_series(1, 3000) i",
            "ALTER TABLE app.people SET (fillfactor = 100)",
            "VACUUM FULL app.people",
        ] {
            crate::world::run(&world.old, world.old.name(), &[rewrite]);
        }
        run.compared(2).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same()).await;
    }
}

/// A row that changes from a key to one that is equal and looks different.
#[tokio::test(flavor = "multi_thread")]
async fn equal_keys_that_differ() {
    for feed in FEEDS {
        let old = "CREATE SCHEMA app; CREATE TABLE app.t (id numeric PRIMARY KEY, name text); INSERT INTO app.t VALUES (1.0, 'one'), (2, 'two');";
        let new = "CREATE SCHEMA new; CREATE TABLE new.t (id numeric PRIMARY KEY, name text);";
        let world = World::new(old, new).await;
        let options = world.options("tables:\n  new.t: { from: app.t }").await;
        let same = vec![crate::oracle::Same {
            given: "SELECT * FROM app.t".into(),
            held: "SELECT * FROM new.t".into(),
        }];
        assert_exact(&world, &options, &same).await;
        let run = Running::start(&options, feed, PATIENCE, Some(same.clone())).await;
        run.compared(1).await;
        psql(
            &world.old,
            "UPDATE app.t SET id = 1.00 WHERE id = 1; UPDATE app.t SET id = 2.0, name = 'zwei' WHERE id = 2",
        )
        .await;
        run.compared(2).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same).await;
    }
}

/// Names that have to be quoted are the same names on both sides of a run.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_any_name() {
    for feed in FEEDS {
        let old = "CREATE SCHEMA app; CREATE TABLE app.\"order\" (id int PRIMARY KEY, \"Name x\" text); INSERT INTO app.\"order\" SELECT i, i FROM generate_series(1, 50) i;";
        let new = "CREATE SCHEMA new; CREATE TABLE new.\"User\" (id int PRIMARY KEY, \"select\" text);";
        let world = World::new(old, new).await;
        let options = world.options("tables:\n  'new.\"User\"': { from: 'app.\"order\" t', columns: { id: t.id, select: 't.\"Name x\"' } }").await;
        let given = "SELECT id, \"Name x\" FROM app.\"order\"".into();
        let same = vec![crate::oracle::Same { given, held: "SELECT * FROM new.\"User\"".into() }];
        assert_exact(&world, &options, &same).await;
        let run = Running::start(&options, feed, PATIENCE, Some(same.clone())).await;
        run.compared(1).await;
        psql(
            &world.old,
            "ALTER TABLE app.\"order\" ALTER \"Name x\" TYPE varchar(1) USING left(\"Name x\", 1)",
        )
        .await;
        run.compared(2).await;
        run.stop().await.unwrap();
        assert_exact(&world, &options, &same).await;
    }
}

/// Anybody pauses a run with a statement, and lets it go on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_paused_goes_on() {
    let (world, options) = world().await;
    let run = Running::start(&options, FeedKind::Queue, PATIENCE, Some(same())).await;
    run.compared(1).await;
    psql(&world.new, "UPDATE confiture.control SET paused = true").await;
    // It looks once a second; then nothing comes any more.
    let seen = "SELECT (SELECT paused FROM confiture.control) AND (SELECT beat_at FROM confiture.follow) > (SELECT changed_at FROM confiture.control)";
    psql(&world.new, "UPDATE confiture.control SET changed_at = clock_timestamp() + interval '1500 ms'")
        .await;
    while psql(&world.new, seen).await.trim() != "t" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    psql(&world.old, "UPDATE app.people SET name = 'paused' WHERE id < 50").await;
    let held = psql(&world.new, "SELECT count(*) FROM new.users WHERE display = 'PAUSED'").await;
    assert_eq!(held.trim(), "0");
    psql(&world.new, "UPDATE confiture.control SET paused = false").await;
    run.compared(2).await;
    // What keeps the copy waiting does not keep changes waiting.
    psql(&world.new, "UPDATE confiture.control SET max_retained_bytes = 0").await;
    for n in 0..30 {
        psql(&world.old, &format!("UPDATE app.people SET name = 'held {n}' WHERE id < 50")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run.compared(3).await;
    run.stop().await.unwrap();
    assert_exact(&world, &options, &same()).await;
}

/// A function that the mapping calls, and one that only that function calls, are replaced: every row is another.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_replaced_has_all_rows_read_again() {
    const FUNCTIONS: &str = "CREATE FUNCTION app.styled(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper(x) $$;
         CREATE FUNCTION app.shown(p app.people) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN app.styled(p.name); END $$;
         CREATE FUNCTION app.bystander(x text) RETURNS text LANGUAGE sql AS $$ SELECT x $$";
    let given = |function: &str| Same {
        given: format!("SELECT id, {function}, nick, age FROM app.people AS p"),
        held: "SELECT id, display, nick, age FROM new.users".into(),
    };
    for feed in FEEDS {
        let (world, _) = world().await;
        psql(&world.old, FUNCTIONS).await;
        let mapping = MAPPING.replace("upper(p.name)", "app.shown(p)");
        let options = world.options(&mapping).await;
        let run = Running::start(&options, feed, PATIENCE, Some(vec![given("upper(p.name)")])).await;
        run.compared(2).await;
        // What is none of its business changes nothing.
        psql(&world.old, "CREATE OR REPLACE FUNCTION app.bystander(x text) RETURNS text LANGUAGE sql AS $$ SELECT x || x $$; ALTER FUNCTION app.styled(text) COST 7").await;
        run.compared(2).await;
        assert!(!run.said.has("was replaced"), "{:?}", run.said.all());
        run.stop().await.unwrap();
        // Nobody compares: a function is of no snapshot.
        let run = Running::start(&options, feed, PATIENCE, None).await;
        run.until(|| run.said.has("planned")).await;
        psql(&world.old, "CREATE OR REPLACE FUNCTION app.styled(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(x) $$").await;
        run.until(|| run.said.has("the function app.styled(x text) was replaced")).await;
        let unlike = "SELECT count(*) FROM new.users WHERE display <> lower(display)";
        while psql(&world.new, unlike).await.trim() != "0" {
            run.goes_on();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        run.stop().await.unwrap();
        // While nobody is at work.
        psql(&world.old, "CREATE OR REPLACE FUNCTION app.shown(p app.people) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT app.styled(p.nick); END").await;
        assert_exact(&world, &options, &[given("lower(p.nick)")]).await;
    }
}
