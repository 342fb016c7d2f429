//! Two servers, of two versions where the machine has them: `CONFITURE_TEST_BIN_DIRS` names folders with `postgres`.

use confiture::config::mapping::Strategy;
use local_postgres::testing::{Database, options};
use local_postgres::{Options, Server};

use crate::shapes::{HANGING_ROWS, hanging};
use crate::types;
use crate::world::{WorldOn, dump, psql};

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

#[tokio::test]
async fn what_hangs_on_tables_is_put_back_on_every_version() {
    let servers = servers().await;
    for (from, to) in pairs(&servers) {
        let world = WorldOn::on(from, to, HANGING_ROWS, &hanging(to)).await;
        let before = dump(&world.new).await;
        let options = world.options("others: same-name").await;
        world.migrate(options.clone()).await.unwrap();
        assert_eq!(dump(&world.new).await, before, "{:?}", to.binaries().version());
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
        let before = dump(&world.new).await;
        let options = world.options("others: same-name").await;
        let report = world.migrate(options.clone()).await.unwrap();
        assert!(report.violated.is_empty());
        assert_eq!(dump(&world.new).await, before);
        assert_eq!(psql(&world.new, "SELECT sum(twice) FROM s.rooms").await, "22\n");
        let verified = world.verify(options.clone()).await;
        assert!(verified.ok, "{verified:#?}");
        psql(&world.new, "SET session_replication_role = replica; DELETE FROM s.rooms WHERE price = 6").await;
        assert_eq!(world.verify(options).await.foreign_keys[0].orphans, 1);
    }
}

/// Bytes beyond ASCII of the type "char", which versions put in words differently.
#[tokio::test]
async fn a_byte_that_is_no_text_is_compared_as_it_is() {
    let servers = servers().await;
    for (from, to) in pairs(&servers) {
        let table = "CREATE TABLE t (id int PRIMARY KEY, byte \"char\");";
        let rows = "INSERT INTO t SELECT i, (i - 128)::\"char\" FROM generate_series(0, 255) AS i";
        let world = WorldOn::on(from, to, &format!("{table}{rows}"), table).await;
        let options = world.options("others: same-name").await;
        world.migrate(options.clone()).await.unwrap();
        world.assert_same("SELECT id, byte::int FROM t", "SELECT id, byte::int FROM t").await;
        assert!(world.verify(options.clone()).await.ok);
        psql(&world.new, "UPDATE t SET byte = (-3)::\"char\" WHERE id = 77").await;
        let differences = world.verify(options).await.tables.remove(0).differences.unwrap();
        assert_eq!((differences.rows.len(), differences.rows[0].key[0].1.as_str()), (1, "77"));
    }
}

const OLD: &str = "
CREATE TABLE room (id int, valid_in daterange, note text NOT NULL);
CREATE TABLE booking (id int PRIMARY KEY, room int, during daterange);
CREATE TABLE guest (id bigint PRIMARY KEY, booking int, name text, span interval);
CREATE TABLE visit (id int NOT NULL, at date, guest bigint);
INSERT INTO room SELECT i, daterange('2020-01-01', '2021-01-01'), 'n' || i FROM generate_series(1, 400) AS i;
INSERT INTO room SELECT i, daterange('2021-01-01', '2022-01-01'), 'n' || i FROM generate_series(1, 400) AS i;
INSERT INTO booking SELECT i, i, daterange('2020-06-01', '2021-06-01') FROM generate_series(1, 400) AS i;
INSERT INTO guest SELECT i, i * 100, 'g' || i, i * interval '1 h' FROM generate_series(1, 500) AS i;
INSERT INTO visit SELECT i, '2019-12-31'::date + i, i FROM generate_series(1, 500) AS i;";

/// What only PostgreSQL 18 has: temporal keys, NOT NULL with names, NOT ENFORCED, virtual columns, and keys of partitioned
/// tables that were not validated.
const NEW_ON_18: &str = "
CREATE EXTENSION btree_gist;
CREATE TABLE room (id int, valid_in daterange, note text CONSTRAINT has_note NOT NULL,
    twice int GENERATED ALWAYS AS (id * 2) VIRTUAL, thrice int GENERATED ALWAYS AS (id * 3) STORED,
    CONSTRAINT room_key PRIMARY KEY (id, valid_in WITHOUT OVERLAPS), CONSTRAINT checked CHECK (id < 0) NOT ENFORCED);
CREATE TABLE booking (id int PRIMARY KEY, room int, during daterange, CONSTRAINT once UNIQUE (room, during WITHOUT OVERLAPS),
    CONSTRAINT booked FOREIGN KEY (room, PERIOD during) REFERENCES room (id, PERIOD valid_in));
CREATE TABLE guest (id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT guest_key PRIMARY KEY,
    booking int CONSTRAINT loose REFERENCES booking NOT ENFORCED, name text, span interval, CONSTRAINT named NOT NULL name);
ALTER TABLE guest ADD CONSTRAINT lasts NOT NULL span NOT VALID;
CREATE TABLE visit (id int CONSTRAINT numbered NOT NULL, at date, guest bigint) PARTITION BY RANGE (at);
CREATE TABLE visit_2020 PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE visit_others PARTITION OF visit DEFAULT;
ALTER TABLE visit ADD CONSTRAINT visitor FOREIGN KEY (guest) REFERENCES guest NOT VALID;
CREATE VIEW grouped AS SELECT id, name FROM guest GROUP BY id;";

#[tokio::test]
async fn what_18_brought_is_put_back_and_read() {
    let servers = servers().await;
    let is_new = |server: &Server| server.binaries().version().major >= 18;
    for (from, to) in pairs(&servers).filter(|(_, to)| is_new(to)) {
        let world = WorldOn::on(from, to, OLD, NEW_ON_18).await;
        let before = dump(&world.new).await;
        let options = world.options("others: same-name").await;
        world.migrate(options.clone()).await.unwrap();
        assert_eq!(dump(&world.new).await, before);
        let verified = world.verify(options).await;
        assert!(verified.ok, "{verified:#?}");
        for (table, columns) in
            [("room", "id, valid_in, note"), ("booking", "*"), ("guest", "*"), ("visit", "*")]
        {
            let query = format!("SELECT {columns} FROM {table}");
            world.assert_same(&query, &query).await;
        }
        // And back, to a version that knows none of it, where virtual columns become plain ones.
        let plain =
            OLD.split_once("INSERT").unwrap().0.replace("note text", "note text, twice int, thrice int");
        for strategy in [Strategy::Copy, Strategy::Fdw] {
            let back = WorldOn {
                old: Database::create_from(to, world.new.name()).await.unwrap(),
                new: Database::create_on(from).await.unwrap(),
            };
            psql(&back.new, &plain).await;
            let mut options = back.options("others: same-name").await;
            options.strategy = Some(strategy);
            back.migrate(options.clone()).await.unwrap();
            assert!(back.verify(options).await.ok);
            let query = "SELECT id, valid_in, note, twice, thrice FROM room";
            back.assert_same(query, query).await;
        }
    }
}
