//! Two servers, of two versions where the machine has them: `CONFITURE_TEST_BIN_DIRS` names folders with `postgres`.

use confiture::config::mapping::Strategy;
use local_postgres::testing::{Database, options};
use local_postgres::{Options, Server};

use crate::shapes::{HANGING, HANGING_ROWS};
use crate::types;
use crate::world::{WorldOn, psql};

/// A server for each named folder; two of the default version where fewer are named.
async fn servers() -> Vec<Server> {
    let named = std::env::var_os("CONFITURE_TEST_BIN_DIRS").unwrap_or_default();
    let mut dirs: Vec<_> =
        std::env::split_paths(&named).map(|dir| Some(dir).filter(|dir| dir.is_dir())).collect();
    dirs.resize(dirs.len().max(2), None);
    let mut servers = Vec::new();
    for bin_dir in dirs {
        servers.push(Server::throwaway(Options { bin_dir, ..options() }).await.unwrap());
    }
    servers
}

fn pairs(servers: &[Server]) -> impl Iterator<Item = (&Server, &Server)> {
    let others = |from: usize| (0..servers.len()).filter(move |to| *to != from);
    (0..servers.len()).flat_map(move |from| others(from).map(move |to| (&servers[from], &servers[to])))
}

#[tokio::test]
async fn every_type_crosses_between_servers() {
    let servers = servers().await;
    for (from, to) in pairs(&servers) {
        types::between(from, to, Strategy::Copy).await;
        types::between(from, to, Strategy::Fdw).await;
    }
}

/// What hangs on tables, as the server itself describes it.
async fn described(database: &Database<'_>) -> String {
    psql(
        database,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 's' ORDER BY 1;
         SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'), condeferrable, condeferred FROM pg_constraint WHERE connamespace = 's'::regnamespace AND contype <> 'n' ORDER BY 1, 2;
         SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
         SELECT indexrelid::regclass::text, indisclustered, indisreplident, obj_description(indexrelid, 'pg_class'), reloptions FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 's'::regnamespace ORDER BY 1;
         SELECT attrelid::regclass::text, attname, nullif(attstattarget, -1) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 's'::regnamespace AND attnum > 0 ORDER BY 1, 2",
    )
    .await
}

#[tokio::test]
async fn what_hangs_on_tables_is_put_back_on_every_version() {
    let servers = servers().await;
    for (from, to) in pairs(&servers) {
        let hanging = match to.binaries().version().major {
            14 => HANGING.replace(" NULLS NOT DISTINCT", ""),
            _ => HANGING.to_owned(),
        };
        let world = WorldOn::on(from, to, HANGING_ROWS, &hanging).await;
        let before = described(&world.new).await;
        let options = world.options("others: same-name").await;
        world.migrate(options.clone()).await.unwrap();
        assert_eq!(described(&world.new).await, before, "{:?}", to.binaries().version());
        assert!(before.contains("USING brin") && before.contains("cycle"));
        assert!(world.verify(options).await.ok);
    }
}

const OF_18: &str = "
CREATE EXTENSION btree_gist;
CREATE SCHEMA s;
CREATE TABLE s.rooms (id int, during daterange, price int, twice int GENERATED ALWAYS AS (price * 2) VIRTUAL, CONSTRAINT rooms_key PRIMARY KEY (id, during WITHOUT OVERLAPS));
CREATE TABLE s.stays (id int PRIMARY KEY, room int, during daterange, CONSTRAINT stays_room FOREIGN KEY (room, PERIOD during) REFERENCES s.rooms (id, PERIOD during));
CREATE TABLE s.loose (id int PRIMARY KEY, stay int CONSTRAINT loose_stay REFERENCES s.stays NOT ENFORCED);
ALTER TABLE s.loose ADD CONSTRAINT stay_given NOT NULL stay NOT VALID;
";
const ROWS_OF_18: &str = "
CREATE SCHEMA s;
CREATE TABLE s.rooms (id int, during daterange, price int); CREATE TABLE s.stays (id int, room int, during daterange); CREATE TABLE s.loose (id int, stay int);
INSERT INTO s.rooms VALUES (1, '[2020-01-01,2020-02-01)', 5), (1, '[2020-02-01,2020-03-01)', 6);
INSERT INTO s.stays VALUES (1, 1, '[2020-01-10,2020-02-10)'), (2, NULL, '[2020-01-10,2020-02-10)');
INSERT INTO s.loose VALUES (1, 77);
";

#[tokio::test]
async fn what_came_with_18_arrives_and_is_put_back() {
    let servers = servers().await;
    for (from, to) in pairs(&servers).filter(|(_, to)| to.binaries().version().major >= 18) {
        let world = WorldOn::on(from, to, ROWS_OF_18, OF_18).await;
        let before = described(&world.new).await;
        let options = world.options("others: same-name").await;
        let report = world.migrate(options.clone()).await.unwrap();
        assert!(report.violated.is_empty());
        assert_eq!(described(&world.new).await, before);
        assert_eq!(psql(&world.new, "SELECT sum(twice) FROM s.rooms").await, "22\n");
        let verified = world.verify(options.clone()).await;
        assert!(verified.ok, "{verified:#?}");
        psql(&world.new, "SET session_replication_role = replica; DELETE FROM s.rooms WHERE price = 6").await;
        assert_eq!(world.verify(options).await.foreign_keys[0].orphans, 1);
    }
}
