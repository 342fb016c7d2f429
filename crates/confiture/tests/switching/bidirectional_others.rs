//! Both sides take writes, and others have set limits: row security, transactions that are prepared and not ended.

use std::sync::Arc;
use std::time::Duration;

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::schema_to_schema::cutover::{
    Policy, Switching, both_ways, cut_over, is_bidirectional, roll_back,
};
use confiture::schema_to_schema::{FeedKind, Options};
use local_postgres::testing::Database;
use tokio_util::sync::CancellationToken;

use crate::between::{MAPPING, NEW, OLD, assert_equal_sides, assert_switched, follow};
use crate::bidirectional::{carry, policy};
use crate::others::Heard;
use crate::world::{World, psql};

/// A role that owns everything and is no superuser, in a world whose tables have row security.
async fn owned() -> (World, Options, String) {
    const SECURED: &str = "
        ALTER TABLE {schema}.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON {schema}.orders USING (cents < 100);";
    let world = World::new(
        &format!("{OLD}{}", SECURED.replace("{schema}", "app")),
        &format!("{NEW}{}", SECURED.replace("{schema}", "new")),
    )
    .await;
    let role = format!("mover_{}", world.new.name());
    psql(
        &world.old,
        &format!("CREATE ROLE {role} LOGIN; GRANT SET ON PARAMETER session_replication_role TO {role}"),
    )
    .await;
    for (side, schema) in [(&world.old, "app"), (&world.new, "new")] {
        let own = format!(
            "GRANT CREATE ON DATABASE {} TO {role}; ALTER SCHEMA {schema} OWNER TO {role};
             DO $$ DECLARE found text; BEGIN
                 FOR found IN SELECT oid::regclass FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r' LOOP
                     EXECUTE format('ALTER TABLE %s OWNER TO {role}', found);
                 END LOOP; END $$",
            side.name()
        );
        psql(side, &own).await;
    }
    let mut options = world.options(MAPPING).await;
    options.source.user = role.clone();
    options.target.user = role.clone();
    (world, options, role)
}

async fn drop_role(world: World, role: &str) {
    for side in [&world.old, &world.new] {
        psql(side, &format!("DROP OWNED BY {role} CASCADE")).await;
    }
    psql(
        &world.old,
        &format!("REVOKE ALL ON PARAMETER session_replication_role FROM {role}; DROP ROLE {role}"),
    )
    .await;
}

/// While row security binds the role, carrying both ways is refused.
async fn assert_bound(options: &Options, (side, table): (&Database<'_>, &str), when: &str) {
    psql(side, &format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY")).await;
    let error =
        both_ways(options.clone(), &policy(Policy::Fail), &Execution::unattended()).await.unwrap_err();
    assert!(error.to_string().contains("row"), "{table}, {when}: {error:#?}");
    assert!(!error.hints().is_empty(), "{table}, {when}: {error:#?}");
    psql(side, &format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")).await;
}

/// Row security from which the role is exempt is none of its business; one that binds it stops it, and no row that it hides
/// counts as deleted.
#[tokio::test(flavor = "multi_thread")]
async fn row_security() {
    let version = psql(&Database::create().await.unwrap(), "SHOW server_version_num").await;
    if version.trim().parse::<u32>().unwrap() < 150_000 {
        // Only a superuser may carry both ways there, whom no row security binds.
        return;
    }
    let (world, options, role) = owned().await;
    follow(&options, FeedKind::Queue).await;
    for (side, table) in [(&world.old, "app.orders"), (&world.new, "new.orders")] {
        assert_bound(&options, (side, table), "before").await;
    }
    assert!(carry(&options, &policy(Policy::Fail)).await.opened);
    for (side, table) in [(&world.old, "app.orders"), (&world.new, "new.orders")] {
        psql(&world.old, "UPDATE app.orders SET cents = cents + 1 WHERE number = -1").await;
        psql(&world.new, "UPDATE new.orders SET cents = cents + 1 WHERE number = -500").await;
        assert_bound(&options, (side, table), "meanwhile").await;
        let report = carry(&options, &policy(Policy::Fail)).await;
        assert_eq!(report.conflicts, 0);
        assert_equal_sides(&world).await;
    }
    drop_role(world, &role).await;
}

/// A prepared transaction that has drawn a number, on either side, when the new side is opened: it is named, and waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_when_it_is_opened() {
    // What is unlogged is captured by a queue, which waits for nobody but those that write there.
    let world = World::new(OLD, &NEW.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")).await;
    let options = world.options(MAPPING).await;
    follow(&options, FeedKind::Queue).await;
    // One that writes, and draws no number, may go on.
    let name = world.old.name();
    psql(
        &world.old,
        &format!(
            "BEGIN; UPDATE app.people SET name = 'late' WHERE id = 7; PREPARE TRANSACTION 'quiet {name}'"
        ),
    )
    .await;
    for (side, draws) in [
        (&world.old, "INSERT INTO app.orders (number, person, cents) VALUES (7, 7, 7)"),
        (&world.new, "SELECT nextval('new.orders_id_seq')"),
    ] {
        psql(side, &format!("BEGIN; {draws}; PREPARE TRANSACTION 'draws {name}'")).await;
        let (notes, mut told) = tokio::sync::mpsc::unbounded_channel();
        let interrupt = CancellationToken::new();
        let execution = Execution::new(Arc::new(Heard(notes)), interrupt.clone());
        let opening = tokio::spawn({
            let options = options.clone();
            async move { both_ways(options, &policy(Policy::Fail), &execution).await }
        });
        let who = format!("prepared transaction 'draws {name}' (role postgres, since ");
        while !told.recv().await.expect("it says for whom it waits").starts_with(&who) {}
        interrupt.cancel();
        assert_eq!(opening.await.unwrap().unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(!is_bidirectional(&options).await.unwrap());
        psql(side, &format!("COMMIT; COMMIT PREPARED 'draws {name}'")).await;
    }
    assert!(carry(&options, &policy(Policy::Fail)).await.opened);
    psql(&world.old, &format!("COMMIT; COMMIT PREPARED 'quiet {name}'")).await;
    carry(&options, &policy(Policy::Fail)).await;
    assert_equal_sides(&world).await;
    let seven = psql(&world.new, "SELECT display_name FROM new.users WHERE id = 7").await;
    assert_eq!(seven.trim(), "late");
}

/// A prepared transaction that has written, on either side, when one of them is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_when_it_is_closed() {
    for over in [true, false] {
        let world = World::new(OLD, NEW).await;
        let options = world.options(MAPPING).await;
        follow(&options, FeedKind::Queue).await;
        carry(&options, &policy(Policy::Fail)).await;
        let switching = Switching { patience: Duration::from_secs(3), ..Switching::default() };
        let close = async || match over {
            true => cut_over(options.clone(), &switching, &Execution::unattended()).await,
            false => roll_back(options.clone(), &switching, &Execution::unattended()).await,
        };
        let (old, new) = (
            "UPDATE app.people SET name = 'prepared' WHERE id = 7",
            "UPDATE new.users SET display_name = 'prepared' WHERE id = 7",
        );
        let (left, write) = if over { (&world.old, old) } else { (&world.new, new) };
        let gid = format!("kept {}", left.name());
        psql(left, &format!("BEGIN; {write}; PREPARE TRANSACTION '{gid}'")).await;
        let error = close().await.unwrap_err();
        println!("{error:#?}");
        assert!(matches!(error.kind(), ErrorKind::Unsafe | ErrorKind::Found | ErrorKind::Server));
        assert!(error.to_string().contains("prepared"), "{error:#?}");
        assert!(is_bidirectional(&options).await.unwrap());
        psql(left, &format!("COMMIT; COMMIT PREPARED '{gid}'")).await;
        carry(&options, &policy(Policy::Fail)).await;
        // On the side that stays, it holds up nobody who needs none of its rows, and what it has written is carried later.
        let (stays, write) = if over { (&world.new, new) } else { (&world.old, old) };
        psql(stays, &format!("BEGIN; {}; PREPARE TRANSACTION '{gid}'", write.replace("= 7", "= 8"))).await;
        assert_switched(&close().await.unwrap());
        psql(stays, &format!("COMMIT; COMMIT PREPARED '{gid}'")).await;
        follow(
            &confiture::schema_to_schema::cutover::active(options.clone()).await.unwrap().0,
            FeedKind::Queue,
        )
        .await;
        assert_equal_sides(&world).await;
        let both = "SELECT string_agg(name, ', ') FROM app.people WHERE id IN (7, 8)";
        assert_eq!(psql(&world.old, both).await.trim(), "prepared, prepared");
    }
}
