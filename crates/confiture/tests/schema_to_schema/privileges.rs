//! Roles that may do less: what they lack is said before anything is written, and a reader needs no more than reading.

use std::sync::Arc;

use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, MigrationReport, Options};
use confiture::{Error, ErrorKind};

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::world::{World, dump, psql};

/// Options as one role on each side.
async fn options(world: &World, source: &str, target: &str) -> Options {
    let mut options = world.options(MAPPING).await;
    options.source.user = source.into();
    options.target.user = target.into();
    options
}

/// A role of this test alone: roles are the whole server's.
async fn role(world: &World, what: &str) -> String {
    let name = format!("{what}_{}", world.new.name());
    psql(&world.new, &format!("CREATE ROLE {name} LOGIN")).await;
    name
}

async fn drop_role(world: World, name: &str) {
    for database in [&world.old, &world.new] {
        psql(database, &format!("REASSIGN OWNED BY {name} TO postgres; DROP OWNED BY {name}")).await;
    }
    psql(&world.old, &format!("DROP ROLE {name}")).await;
}

async fn migrate(options: Options) -> Result<MigrationReport, Error> {
    let execution = Execution::unattended();
    Arc::new(Migration::plan(options, &execution).await?).migrate(&execution).await
}

/// Asserts that it is refused for want of a privilege, with words of ours, and that nothing at all was written.
async fn refused(world: &World, options: Options, words: &[&str]) {
    let before = dump_all(world).await;
    let error = migrate(options).await.unwrap_err();
    // While planning, with the place in the mapping; after that, of the server.
    assert!(matches!(error.kind(), ErrorKind::Server | ErrorKind::Config), "{error:?}");
    assert_eq!(error.sqlstate_code(), Some("42501"), "{error:?}");
    let said = format!("{} {}", error.message(), error.hints().join(" "));
    for word in words {
        assert!(said.contains(word), "{word}: {error:?}");
    }
    assert_eq!(dump_all(world).await, before, "{error:?}");
}

/// The target's schema, and whether there is a ledger.
async fn dump_all(world: &World) -> String {
    let ledger = psql(&world.new, "SELECT to_regnamespace('confiture')").await;
    format!("{}\n{ledger}", dump(&world.new).await)
}

#[tokio::test]
async fn a_role_that_may_only_read_the_source_is_enough_and_writes_nothing() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let reader = role(&world, "reader").await;
    psql(
        &world.old,
        &format!(
            "GRANT USAGE ON SCHEMA app TO {reader}; GRANT SELECT ON ALL TABLES IN SCHEMA app TO {reader};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA app TO {reader};
             ALTER ROLE {reader} SET default_transaction_read_only = on;
             ALTER ROLE {reader} SET default_transaction_isolation = serializable"
        ),
    )
    .await;
    let state = "SELECT (SELECT sum(hashtext(p::text || xmin::text || xmax::text)) FROM app.people p),
        (SELECT sum(hashtext(p::text || xmin::text || xmax::text)) FROM app.pets p),
        (SELECT count(*) FROM pg_class), (SELECT max(oid::bigint) FROM pg_class), (SELECT last_value FROM app.people_id_seq)";
    let (rows, schema) = (psql(&world.old, state).await, dump(&world.old).await);
    migrate(options(&world, &reader, "postgres").await).await.unwrap();
    assert_eq!((psql(&world.old, state).await, dump(&world.old).await), (rows, schema));
    assert_exact(&world, &before).await;
    drop_role(world, &reader).await;
}

#[tokio::test]
async fn what_the_sources_role_lacks_is_said_first() {
    let world = World::new(OLD, NEW).await;
    let reader = role(&world, "reader").await;
    let as_reader = async || options(&world, &reader, "postgres").await;
    refused(&world, as_reader().await, &["app"]).await;
    psql(
        &world.old,
        &format!("GRANT USAGE ON SCHEMA app TO {reader}; GRANT SELECT ON app.people, app.kinds TO {reader}"),
    )
    .await;
    refused(&world, as_reader().await, &["may not read app.pets", "GRANT SELECT ON app.pets"]).await;
    psql(&world.old, &format!("GRANT SELECT ON app.pets TO {reader}")).await;
    refused(&world, as_reader().await, &["_id_seq", "SELECT on the sequence"]).await;
    psql(&world.old, &format!("GRANT SELECT ON ALL SEQUENCES IN SCHEMA app TO {reader}; ALTER TABLE app.pets ENABLE ROW LEVEL SECURITY")).await;
    refused(&world, as_reader().await, &["row-level security", "pets", "BYPASSRLS"]).await;
    psql(&world.old, "ALTER TABLE app.pets DISABLE ROW LEVEL SECURITY").await;
    migrate(as_reader().await).await.unwrap();
    drop_role(world, &reader).await;
}

#[tokio::test]
async fn what_the_targets_role_lacks_is_said_first() {
    let world = World::new(OLD, NEW).await;
    // Until PostgreSQL 14 everybody may.
    psql(&world.new, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let before = dump(&world.new).await;
    let writer = role(&world, "writer").await;
    let as_writer = async || options(&world, "postgres", &writer).await;
    let database = world.new.name();
    refused(&world, as_writer().await, &["schema confiture", "GRANT CREATE ON DATABASE"]).await;
    psql(&world.new, &format!("GRANT CREATE ON DATABASE {database} TO {writer}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {writer}")).await;
    refused(&world, as_writer().await, &["does not own public.kinds"]).await;
    let own = |table| format!("ALTER TABLE {table} OWNER TO {writer}");
    psql(&world.new, &[own("people"), own("kinds")].join(";")).await;
    refused(&world, as_writer().await, &["does not own public.pets"]).await;
    psql(&world.new, &own("pets")).await;
    refused(&world, as_writer().await, &["GRANT USAGE, CREATE ON SCHEMA public"]).await;
    psql(&world.new, &format!("GRANT CREATE ON SCHEMA public TO {writer}; ALTER TABLE people ENABLE ROW LEVEL SECURITY; ALTER TABLE people FORCE ROW LEVEL SECURITY")).await;
    refused(&world, as_writer().await, &["people", "NO FORCE ROW LEVEL SECURITY"]).await;
    psql(
        &world.new,
        "ALTER TABLE people NO FORCE ROW LEVEL SECURITY; ALTER TABLE people DISABLE ROW LEVEL SECURITY",
    )
    .await;
    // Without CREATE on the database, a schema that was made for it does.
    psql(&world.new, &format!("REVOKE CREATE ON DATABASE {database} FROM {writer}; CREATE SCHEMA confiture AUTHORIZATION {writer}")).await;
    migrate(as_writer().await).await.unwrap();
    assert!(migrate(as_writer().await).await.unwrap().already_done);
    drop_role_keeping_owner(&world, &writer).await;
    psql(&world.new, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC").await;
    let now = dump(&world.new).await;
    assert_eq!(now, before);
    assert_exact(&world, &before).await;
}

async fn drop_role_keeping_owner(world: &World, name: &str) {
    psql(
        &world.new,
        &format!("REASSIGN OWNED BY {name} TO postgres; DROP OWNED BY {name}; DROP ROLE {name}"),
    )
    .await;
}

#[tokio::test]
async fn without_postgres_fdw_the_way_around_is_named() {
    let world = World::new(OLD, NEW).await;
    let writer = role(&world, "writer").await;
    psql(
        &world.new,
        &format!(
            "GRANT CREATE ON DATABASE {} TO {writer}; GRANT CREATE ON SCHEMA public TO {writer};
             ALTER TABLE people OWNER TO {writer}; ALTER TABLE pets OWNER TO {writer}; ALTER TABLE kinds OWNER TO {writer}",
            world.new.name()
        ),
    )
    .await;
    let before = dump(&world.new).await;
    let mut options = options(&world, "postgres", &writer).await;
    options.strategy = Some(confiture::config::mapping::Strategy::Fdw);
    let error = migrate(options.clone()).await.unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.contains("--strategy copy")), "{error:?}");
    assert_eq!(dump(&world.new).await, before, "no key was taken off");
    options.strategy = None;
    migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
    drop_role(world, &writer).await;
}
