//! The e-commerce shop: renames, casts, a split, a join, foreign keys in a cycle, identities.

use confiture::ErrorKind;
use confiture::schema_to_schema::Outcome;

use crate::world::{World, dump, psql};

const OLD: &str = r#"
CREATE SCHEMA old;
CREATE TABLE old.users (id bigserial PRIMARY KEY, full_name text NOT NULL, email varchar(200) UNIQUE, bio text, age text,
    balance numeric(10,3), created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz);
CREATE TABLE old.orders (id bigserial PRIMARY KEY, customer_id bigint REFERENCES old.users, total numeric NOT NULL, note json);
INSERT INTO old.users (full_name, email, bio, age, balance, created_at, deleted_at)
SELECT 'First' || i || ' Last' || i, 'u' || i || '@example.com', CASE WHEN i % 3 = 0 THEN repeat('bio ', i % 50) END, (i % 90)::text,
       i / 7.0, '2020-01-01Z'::timestamptz + i * interval '1 min', CASE WHEN i % 10 = 0 THEN now() END
FROM generate_series(1, 20000) AS i;
INSERT INTO old.orders (customer_id, total, note) SELECT 1 + i % 20000, i * 1.10, json_build_object('n', i) FROM generate_series(1, 30000) AS i;
"#;

const NEW: &str = r#"
CREATE TYPE tier AS ENUM ('small', 'large');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL,
    email email, age smallint, balance numeric(12,2), created_at timestamp NOT NULL, favourite_order bigint,
    name_length integer GENERATED ALWAYS AS (length(first_name)) STORED, source text DEFAULT 'migrated');
CREATE TABLE user_profiles (user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE, bio text NOT NULL);
CREATE TABLE orders_wide (id bigint PRIMARY KEY, customer_id bigint NOT NULL, customer_name text, total numeric(14,2), tier tier, note jsonb);
ALTER TABLE orders_wide ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES users DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT orders_customer ON orders_wide IS 'who pays';
ALTER TABLE users ADD FOREIGN KEY (favourite_order) REFERENCES orders_wide;
CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX orders_note ON orders_wide USING gin (note) WITH (fastupdate = off);
CREATE INDEX orders_total ON orders_wide (total DESC NULLS LAST) INCLUDE (tier);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.source := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();
"#;

const MAPPING: &str = r#"
tables:
  users:
    from: old.users u
    columns:
      first_name: split_part(u.full_name, ' ', 1)
      last_name: split_part(u.full_name, ' ', 2)
      age: u.age::smallint
    where: u.deleted_at is null
  user_profiles:
    from: old.users u
    where: u.bio is not null and u.deleted_at is null
    columns: { user_id: u.id, bio: u.bio }
  orders_wide:
    from: old.orders o join old.users c on c.id = o.customer_id and c.deleted_at is null
    columns:
      customer_name: c.full_name
      tier: "case when o.total > 1000 then 'large' else 'small' end"
"#;

#[tokio::test]
async fn every_row_arrives_as_the_mapping_says_and_the_schema_is_as_it_was() {
    let world = World::new(OLD, NEW).await;
    let before = dump(&world.new).await;
    let report = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert!(report.violated.is_empty() && !report.already_done);
    assert_eq!(dump(&world.new).await, before);
    world.assert_same(
        "SELECT id, split_part(full_name, ' ', 1), split_part(full_name, ' ', 2), email, age::int, round(balance, 2), created_at AT TIME ZONE 'UTC', NULL, length(split_part(full_name, ' ', 1)), 'migrated' FROM old.users WHERE deleted_at IS NULL",
        "SELECT id, first_name, last_name, email, age, balance, created_at, favourite_order, name_length, source FROM users",
    ).await;
    world
        .assert_same(
            "SELECT id, bio FROM old.users WHERE bio IS NOT NULL AND deleted_at IS NULL",
            "SELECT * FROM user_profiles",
        )
        .await;
    world.assert_same(
        "SELECT o.id, customer_id, full_name, round(total, 2), CASE WHEN total > 1000 THEN 'large' ELSE 'small' END, note::jsonb FROM old.orders o JOIN old.users u ON u.id = customer_id WHERE deleted_at IS NULL",
        "SELECT * FROM orders_wide",
    ).await;
    let verified = world.verify(world.options(MAPPING).await).await;
    assert!(verified.ok, "{verified:#?}");
    assert_eq!(verified.foreign_keys.len(), 3);
    // The next number is free.
    let id = psql(
        &world.new,
        "INSERT INTO users (first_name, last_name, created_at) VALUES ('a', 'b', now()) RETURNING id",
    )
    .await;
    assert_eq!(id.trim(), "20001");
}

#[tokio::test]
async fn a_second_run_says_so_and_changes_nothing() {
    let world = World::new(OLD, NEW).await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    psql(&world.new, "UPDATE users SET first_name = 'changed' WHERE id = 1").await;
    let again = world.migrate(world.options(MAPPING).await).await.unwrap();
    assert!(again.already_done && again.tables.iter().all(|table| table.outcome == Outcome::AlreadyDone));
    assert_eq!(psql(&world.new, "SELECT first_name FROM users WHERE id = 1").await.trim(), "changed");
}

#[tokio::test]
async fn a_changed_a_missing_and_an_extra_row_are_found_by_key() {
    let world = World::new(OLD, NEW).await;
    world.migrate(world.options(MAPPING).await).await.unwrap();
    psql(
        &world.new,
        "SET session_replication_role = replica; UPDATE users SET last_name = 'x' WHERE id = 7;
        DELETE FROM users WHERE id = 8; INSERT INTO orders_wide (id, customer_id) VALUES (99999, 12345678)",
    )
    .await;
    let verified = world.verify(world.options(MAPPING).await).await;
    assert!(!verified.ok);
    let users = verified.tables[0].differences.as_ref().unwrap();
    assert_eq!((users.missing, users.extra, users.different, users.complete), (1, 0, 1, true));
    let mut keys: Vec<&str> = users.rows.iter().map(|row| row.key[0].1.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["7", "8"]);
    let changed = users.rows.iter().find(|row| row.key[0].1 == "7").unwrap();
    assert_eq!(changed.columns.len(), 1);
    assert_eq!(changed.columns[0].column.as_str(), "last_name");
    assert_eq!(changed.columns[0].source, None, "values are masked unless asked for");
    assert_eq!(verified.tables[2].differences.as_ref().unwrap().extra, 1);
    let orphans: i64 = verified.foreign_keys.iter().map(|key| key.orphans).sum();
    assert!(orphans >= 2, "{:?}", verified.foreign_keys);
}

#[tokio::test]
async fn a_target_with_rows_is_refused_and_left_alone() {
    let world = World::new(OLD, NEW).await;
    psql(&world.new, "INSERT INTO users (first_name, last_name, created_at) VALUES ('a', 'b', now())").await;
    let before = dump(&world.new).await;
    let error = world.migrate(world.options(MAPPING).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert_eq!(dump(&world.new).await, before);
    assert_eq!(psql(&world.new, "SELECT count(*) FROM users").await.trim(), "1");
    let mut options = world.options(MAPPING).await;
    options.truncate = true;
    world.migrate(options).await.unwrap();
    assert!(world.verify(world.options(MAPPING).await).await.ok);
}
