//! What a mapping may say, and where it is told that it may not.

use confiture::ErrorKind;
use confiture::config::mapping::Strategy;
use confiture::schema_to_schema::{Route, ValidationResult};

use crate::world::{World, psql};

const OLD: &str = "
CREATE SCHEMA old;
CREATE TABLE old.customers (id int PRIMARY KEY, name text NOT NULL, city text, email text, tags text[]);
CREATE TABLE old.addresses (id int PRIMARY KEY, customer int REFERENCES old.customers, street text);
CREATE TABLE old.orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES old.customers, billing int REFERENCES old.addresses, shipping int REFERENCES old.addresses, at timestamptz NOT NULL, total numeric NOT NULL);
CREATE TABLE old.items (order_id int REFERENCES old.orders, n int, price numeric, PRIMARY KEY (order_id, n));
INSERT INTO old.customers SELECT i, 'name ' || i, CASE WHEN i % 4 > 0 THEN 'city ' || i % 4 END, 'e' || i, ARRAY['t' || i] FROM generate_series(1, 100) AS i;
INSERT INTO old.addresses SELECT i, i, 'street ' || i FROM generate_series(1, 90) AS i;
INSERT INTO old.orders SELECT i, 1 + i % 100, nullif((i + 1) % 88, 0), nullif((i + CASE WHEN i % 8 = 0 THEN 9 ELSE 2 END) % 88, 0), '2020-01-01Z'::timestamptz + i * interval '1 h', i FROM generate_series(1, 400) AS i;
INSERT INTO old.items SELECT i, n, i + n FROM generate_series(1, 400) AS i, generate_series(1, 2) AS n;
";

const NEW: &str = "
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, source text DEFAULT 'import');
CREATE TABLE places (person int PRIMARY KEY REFERENCES people, city text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, person int NOT NULL REFERENCES people, name text, street text, ship_to text, total numeric, items int, items_total numeric, seen boolean);
-- A table of the target by the name of one of the source's: foreign tables are not it.
CREATE TABLE customers (id int, name text); INSERT INTO customers VALUES (1, 'not this one');
";

const MAPPING: &str = r#"
tables:
  people:
    from: old.customers c
    columns: { source: null }
  places:
    from: old.customers c
    unnamed: default
    columns: { person: c.id, city: c.city }
    where: c.city is not null
  orders:
    from: |
      old.orders o
        inner join old.customers c on c.id = o.customer -- right?
        left join old.addresses on old.addresses.id = o.billing and 'right' <> 'full'
        left join (select a.id, max(a.street) as street from old.addresses a group by a.id) s on s.id = o.shipping
    columns:
      person: o.customer
      name: c.name
      street: right(left(old.addresses.street, 100), 100)
      ship_to: s.street
      items: (select count(*) from old.items i where i.order_id = o.id)
      items_total: "(with items as (select price from old.items i where i.order_id = o.id) select sum(price) from items)"
      seen: "extract(year from o.at) is not distinct from 2020"
"#;

#[tokio::test]
async fn joins_splits_and_subqueries_give_the_same_by_both_ways() {
    for strategy in [Strategy::Copy, Strategy::Fdw] {
        let world = World::new(OLD, NEW).await;
        let mut options = world.options(MAPPING).await;
        options.strategy = Some(strategy);
        let plan = crate::world::plan(options.clone()).await;
        let route = if strategy == Strategy::Copy { Route::Copy } else { Route::Fdw };
        assert!(plan.tables.iter().all(|table| table.route == route));
        world.migrate(options.clone()).await.unwrap();
        world
            .assert_same("SELECT id, name, email, 'import' FROM old.customers", "SELECT * FROM people")
            .await;
        world
            .assert_same("SELECT id, city FROM old.customers WHERE city IS NOT NULL", "SELECT * FROM places")
            .await;
        world
            .assert_same(
                "SELECT o.id, o.customer, c.name, b.street, s.street, o.total, 2, 2 * o.id + 3, true
                 FROM old.orders o JOIN old.customers c ON c.id = o.customer LEFT JOIN old.addresses b ON b.id = billing
                 LEFT JOIN old.addresses s ON s.id = shipping",
                "SELECT * FROM orders",
            )
            .await;
        let verified = world.verify(options).await;
        assert!(verified.ok, "{verified:#?}");
    }
}

#[tokio::test]
async fn a_whole_statement_fills_its_table() {
    let world = World::new(OLD, NEW).await;
    let mapping = "
tables:
  people:
    from: old.customers
    custom_sql: |
      INSERT INTO people (id, name, email)
      SELECT c.id, upper(c.name), c.email FROM old_schema.customers c; -- done
";
    let options = world.options(mapping).await;
    world.migrate(options.clone()).await.unwrap();
    world
        .assert_same("SELECT id, upper(name), email, 'import' FROM old.customers", "SELECT * FROM people")
        .await;
    assert!(world.verify(options.clone()).await.ok);
    psql(&world.new, "UPDATE people SET name = 'x' WHERE id = 7").await;
    assert_eq!(world.verify(options).await.tables[0].differences.as_ref().unwrap().different, 1);
}

#[tokio::test]
async fn a_condition_on_all_tables_leaves_no_row_without_what_it_refers_to() {
    // Every alias is the same, and an order refers to two addresses.
    let mapping = "
tables:
  people: { from: old.customers t }
  addresses: { from: old.addresses t }
  orders: { from: old.orders t, columns: { person: t.customer } }
";
    let new = format!(
        "{NEW} CREATE TABLE addresses (id int PRIMARY KEY, customer int REFERENCES people, street text);
         ALTER TABLE orders ADD billing int REFERENCES addresses, ADD shipping int REFERENCES addresses;"
    );
    for strategy in [Strategy::Copy, Strategy::Fdw] {
        let world = World::new(OLD, &new).await;
        let mut options = world.options(mapping).await;
        options.strategy = Some(strategy);
        options.filter = Some("city = 'city 1'".to_owned());
        let report = world.migrate(options.clone()).await.unwrap();
        assert!(report.violated.is_empty(), "{:?}", report.violated);
        let (customers, addresses) = (
            "SELECT id FROM old.customers WHERE city = 'city 1'",
            "SELECT id FROM old.addresses WHERE customer % 4 = 1 OR customer IS NULL",
        );
        world.assert_same(customers, "SELECT id FROM people").await;
        world.assert_same(addresses, "SELECT id FROM addresses").await;
        let orders = format!(
            "SELECT id FROM old.orders WHERE customer IN ({customers})
             AND (billing IS NULL OR billing IN ({addresses})) AND (shipping IS NULL OR shipping IN ({addresses}))"
        );
        world.assert_same(&orders, "SELECT id FROM orders").await;
        assert!(world.verify(options).await.ok);
    }
}

#[tokio::test]
async fn a_condition_on_a_table_that_refers_to_itself_is_refused() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t, x int);";
    let world = World::new(table, table).await;
    let mut options = world.options("others: same-name").await;
    options.filter = Some("x > 1".to_owned());
    let error = world.migrate(options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    options.filter = Some("nothing > 1".to_owned());
    assert_eq!(world.migrate(options.clone()).await.unwrap_err().kind(), ErrorKind::Config);
    options.filter = Some("x >".to_owned());
    let error = world.migrate(options).await.unwrap_err();
    assert!(error.message().contains("--where"), "{error:?}");
}

/// An entry for `people` with one thing wrong, its line and column, and a word of the message.
const REFUSED: &[(&str, (usize, usize), &str)] = &[
    ("    columns:\n      email: random()::text", (5, 14), "random"),
    ("    columns:\n      email: \"'x' || nextval('s')\"", (5, 15), "nextval"),
    ("    columns:\n      email: pg_catalog.gen_random_uuid ()::text", (5, 14), "gen_random_uuid"),
    ("    columns:\n      email: clock_timestamp()::text", (5, 14), "clock_timestamp"),
    ("    columns:\n      email: timeofday()", (5, 14), "timeofday"),
    ("    where: random() < 0.5", (4, 12), "random"),
    ("    columns:\n      email: (row_number() over (order by c.id))::text", (5, 14), "window"),
    ("    columns:\n      email: unnest(c.tags)", (5, 14), "returns rows"),
    ("    columns:\n      email: max(c.email)", (5, 14), "GROUP BY"),
    ("    columns:\n      email: c.nothing", (5, 14), "nothing"),
    ("    columns:\n      email: c.email, c.name", (5, 21), "expression"),
    ("    columns:\n      email: upper(c.email", (5, 19), ""),
    ("    columns:\n      nowhere: c.email", (5, 7), "nowhere"),
    ("    columns:\n      id: \"'x'\"", (5, 12), "integer"),
    ("    columns:\n      id: c.tags", (5, 11), "integer"),
    ("    where: c.nothing > 1", (4, 12), "nothing"),
    ("    where: c.id", (4, 12), "boolean"),
    ("    where: sum(c.id) > 1", (4, 12), "aggregate"),
];

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place_before_anything_is_written() {
    let world = World::new(&format!("{OLD} CREATE SEQUENCE s;"), NEW).await;
    for (wrong, (line, column), word) in REFUSED {
        let mapping = format!("tables:\n  people:\n    from: old.customers c\n{wrong}\n");
        let mapping = confiture::config::Mapping::parse(&mapping, std::path::Path::new("m.yaml"));
        let error = match mapping {
            Err(error) => error,
            Ok(mapping) => {
                let mut options = world.options("others: same-name").await;
                options.mapping = mapping;
                world.migrate(options).await.expect_err(wrong)
            }
        };
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}: {error:?}");
        assert!(error.message().contains(word), "{wrong}: {error:?}");
        let place = error.place().unwrap_or_else(|| panic!("{wrong}: no place in {error:?}"));
        assert_eq!((place.line, place.column), (*line, *column), "{wrong}: {error:?}");
    }
    let froms = [
        ("old.customers c full join old.orders o on true", "FULL"),
        ("old.customers c natural right outer join old.orders", "RIGHT"),
        ("old.customers c group by c.ctid", "from"),
        ("old.customers c order by 1 limit 3", "from"),
        ("old.customers c where c.id > 3", "from"),
        ("old.customers c join nowhere n on true", "nowhere"),
        ("old.customer c", "old.customers"),
        ("old.customers c join old.orders o on random() < 0.5", "random"),
    ];
    for (from, word) in froms {
        let mapping = format!("tables:\n  people:\n    from: {from}\n");
        let Ok(mapping) = confiture::config::Mapping::parse(&mapping, std::path::Path::new("m.yaml")) else {
            continue;
        };
        let mut options = world.options("others: same-name").await;
        options.mapping = mapping;
        let error = world.migrate(options).await.expect_err(from);
        assert_eq!(error.kind(), ErrorKind::Config, "{from}: {error:?}");
        let told = format!("{} {}", error.message(), error.hints().join(" "));
        assert!(told.contains(word), "{from}: {error:?}");
        assert_eq!(error.place().expect(from).line, 3, "{from}: {error:?}");
    }
    assert_eq!(
        psql(&world.new, "SELECT count(*) FROM pg_namespace WHERE nspname = 'confiture'").await,
        "0\n"
    );
}

#[tokio::test]
async fn a_function_of_the_users_own_is_trusted_and_remarked_on() {
    let function = "CREATE FUNCTION slug(text) RETURNS text LANGUAGE sql AS 'SELECT lower($1)';
        CREATE FUNCTION fixed(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';";
    let world = World::new(&format!("{OLD}{function}"), NEW).await;
    let mapping = "
tables:
  people:
    from: old.customers c
    columns: { name: slug(c.name), email: fixed(c.email), source: \"case when now() > '2000-01-01' then 'a' end\" }
";
    let options = world.options(mapping).await;
    let plan = crate::world::plan(options.clone()).await;
    let remarks: Vec<&str> = plan.tables[0]
        .remarks
        .iter()
        .filter(|remark| remark.warning)
        .map(|remark| remark.message.as_str())
        .collect();
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(
        remarks.iter().any(|remark| remark.contains("slug"))
            && remarks.iter().any(|remark| remark.contains("now"))
    );
    world.migrate(options.clone()).await.unwrap();
    assert!(world.verify(options).await.ok);
}

#[tokio::test]
async fn assertions_are_held_against_both_sides() {
    let world = World::new(OLD, NEW).await;
    let mapping = "
tables:
  people: { from: old.customers c }
validations:
  - { name: number, sql: SELECT count(*) AS result FROM people, expect: '100' }
  - { name: quoted, sql: \"SELECT 'a \\\"b\\\", c'\", expect: 'a \"b\", c' }
  - { name: wrong number, sql: SELECT 99, expect: '100' }
  - { name: nothing, sql: 'SELECT NULL::text', expect: '' }
  - { name: two columns, sql: 'SELECT 1, 2', expect: '1' }
  - { name: two rows, sql: 'SELECT 1 UNION ALL SELECT 1', expect: '1' }
  - { name: none, sql: SELECT id FROM people WHERE name = '', expect: no-rows }
  - { name: some, sql: SELECT id FROM people, expect: no-rows }
  - name: same
    sql: SELECT sum(id), min(name) FROM people
    source_sql: SELECT sum(id), min(name) FROM old.customers
  - name: not same
    sql: SELECT count(*) FROM people
    source_sql: SELECT count(*) + 1 FROM old.customers
";
    let options = world.options(mapping).await;
    world.migrate(options.clone()).await.unwrap();
    let verified = world.verify(options).await;
    let ok = |result: &&ValidationResult| result.ok;
    let names: Vec<&str> =
        verified.validations.iter().filter(ok).map(|result| result.name.as_str()).collect();
    assert_eq!(names, ["number", "quoted", "none", "same"], "{:#?}", verified.validations);
    assert!(!verified.ok);
}

#[tokio::test]
async fn the_same_mapping_moves_rows_within_one_database() {
    let world = World::new(&format!("{OLD}{NEW}"), "").await;
    let mut options = world.options(MAPPING).await;
    options.target = options.source.clone();
    let report = crate::world::migrate(options.clone()).await.unwrap();
    assert!(report.tables.iter().all(|table| table.route == Route::Local));
    let compared = [
        ("SELECT id, name, email, 'import' FROM old.customers", "SELECT * FROM people"),
        ("SELECT id, city FROM old.customers WHERE city IS NOT NULL", "SELECT * FROM places"),
        (
            "SELECT o.id, o.customer, c.name, b.street, s.street, o.total, 2, 2 * o.id + 3, true
             FROM old.orders o JOIN old.customers c ON c.id = o.customer LEFT JOIN old.addresses b ON b.id = billing
             LEFT JOIN old.addresses s ON s.id = shipping",
            "SELECT * FROM orders",
        ),
    ];
    for (given, held) in compared {
        let unlike = format!("(({given} EXCEPT ALL {held}) UNION ALL ({held} EXCEPT ALL {given}))");
        assert_eq!(psql(&world.old, &format!("SELECT count(*) FROM {unlike} AS unlike")).await, "0\n");
        assert_ne!(psql(&world.old, &format!("SELECT count(*) FROM ({held}) AS held")).await, "0\n");
    }
    let verified = crate::world::verify(options).await;
    assert!(verified.ok, "{verified:#?}");
}

#[tokio::test]
async fn the_older_shapes_arrive() {
    let old = "CREATE TABLE users (id int PRIMARY KEY, full_name text, created timestamptz); INSERT INTO users VALUES (1, 'Ada Lovelace', '2020-01-01Z'), (2, 'Bo', '2021-01-01Z');
        CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others VALUES (7);
        CREATE TYPE name AS (first_name text, last_name text);
        CREATE FUNCTION split_name(text) RETURNS public.name LANGUAGE sql IMMUTABLE AS $$ SELECT ROW(split_part($1, ' ', 1), nullif(split_part($1, ' ', 2), ''))::public.name $$;";
    let new = "CREATE TABLE users (id int PRIMARY KEY, display_name text, first_name text, last_name text, created timestamptz); CREATE TABLE others (id int PRIMARY KEY);";
    let split = "SELECT id, (split_name(full_name)).first_name, (split_name(full_name)).last_name, created FROM users";
    let cases = [
        (
            "tables:\n  users:\n    columns:\n      full_name: display_name\n      created:\n        transform: \"created + interval '1 day'\"\n",
            "SELECT id, full_name, created + interval '1 day' FROM users",
            "SELECT id, display_name, created FROM users",
        ),
        (
            "users:\n  source_table: users\n  target_table: users\n  columns:\n    full_name: display_name\n    id: id\n",
            "SELECT id, full_name FROM users",
            "SELECT id, display_name FROM users",
        ),
        (
            "transformations:\n  old_to_new:\n    full_name:\n      target_columns: [first_name, last_name]\n      function: split_name\n",
            split,
            "SELECT id, first_name, last_name, created FROM users",
        ),
        (
            "fdw_tables:\n  users:\n    transform: |\n      INSERT INTO users (id, display_name)\n      SELECT id, upper(full_name) -- loud\n      FROM old_schema.users\ncopy_tables:\n  others:\n    columns: { id: id }\n",
            "SELECT id, upper(full_name) FROM users UNION ALL SELECT id, 'other' FROM others",
            "SELECT id, display_name FROM users UNION ALL SELECT id, 'other' FROM others",
        ),
    ];
    for (mapping, given, held) in cases {
        let world = World::new(old, new).await;
        let options = world.options(mapping).await;
        world.migrate(options.clone()).await.unwrap();
        world.assert_same(given, held).await;
        assert!(world.verify(options).await.ok);
    }
}
