//! Many tables: what each of them costs does not grow with how many there are.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use confiture::postgres::Session;
use confiture::schema_to_schema::FeedKind;
use confiture::sql::Sql;

use crate::oracle::Same;
use crate::running::{assert_exact, follow_exact_by};
use crate::world::{World, psql};

const TABLES: usize = 100;

/// Sessions that a run has at most: workers, builders, and some that are always there; well below one for each table.
const SESSIONS: i64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn few_sessions_serve_many_tables() {
    let (mut old, mut new) = ("CREATE SCHEMA app;\n".to_owned(), "CREATE SCHEMA new;\n".to_owned());
    let (mut mapping, mut same) = ("tables:\n".to_owned(), Vec::new());
    for table in 0..TABLES {
        let _ = writeln!(
            old,
            "CREATE TABLE app.t{table} (id int PRIMARY KEY, name text);
             INSERT INTO app.t{table} SELECT n, 'name ' || n FROM generate_series(1, 20) AS n;"
        );
        let _ = writeln!(new, "CREATE TABLE new.t{table} (id int PRIMARY KEY, name text UNIQUE);");
        let _ = writeln!(
            mapping,
            "  new.t{table}: {{ from: app.t{table} t, columns: {{ id: t.id, name: upper(t.name) }} }}"
        );
        same.push(Same {
            given: format!("SELECT id, upper(name) FROM app.t{table}"),
            held: format!("SELECT id, name FROM new.t{table}"),
        });
    }
    for feed in [FeedKind::Queue, FeedKind::Wal] {
        let world = World::new(&old, &new).await;
        let options = world.options(&mapping).await;
        let done = Arc::<AtomicBool>::default();
        let most = tokio::spawn({
            let (source, done, target) =
                (options.source.clone(), Arc::clone(&done), world.new.name().to_owned());
            async move {
                let session = Session::connect(&source).await.unwrap();
                let count = format!(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname IN (current_database(), '{target}') AND application_name = 'confiture'"
                );
                let mut most = 0;
                while !done.load(Ordering::SeqCst) {
                    let count = session.query_one(&Sql::from_user(count.clone()), &[]).await.unwrap();
                    most = most.max(count.get::<_, i64>(0));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                most
            }
        });
        follow_exact_by(&options, feed, &same[..3]).await;
        done.store(true, Ordering::SeqCst);
        let most = most.await.unwrap();
        assert!((2..SESSIONS).contains(&most), "{most} sessions");
        let change = "DO $$ BEGIN FOR i IN 0..99 LOOP EXECUTE format('UPDATE app.t%s SET name = ''changed'' WHERE id = 3; DELETE FROM app.t%s WHERE id = 4', i, i); END LOOP; END $$";
        psql(&world.old, change).await;
        assert_exact(&world, &options, &same).await;
    }
}
