//! Some rows instead of all, and every reference whole.

use crate::world::{World, told};

const SCHEMA: &str = "
    CREATE TABLE country (code text PRIMARY KEY);
    CREATE TABLE users (id int PRIMARY KEY, country text REFERENCES country, referrer int REFERENCES users, email text);
    CREATE TABLE orders (a int, b int, user_id int NOT NULL REFERENCES users, PRIMARY KEY (a, b));
    CREATE TABLE item (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES orders);
    CREATE TABLE audit (id int PRIMARY KEY, entity_type text, entity_id text);
    CREATE TABLE setting (id int PRIMARY KEY, v text);";

const ROWS: &str = "
    INSERT INTO country SELECT 'c' || n FROM generate_series(0, 9) n;
    INSERT INTO users SELECT n, 'c' || n % 10, CASE WHEN n > 50 THEN n - 50 END, 'u' || n || '@corp.com' FROM generate_series(1, 100) n;
    INSERT INTO orders (a, b, user_id) SELECT n, n % 3, 1 + n % 100 FROM generate_series(1, 300) n;
    INSERT INTO item SELECT n, 1 + n % 300, (1 + n % 300) % 3 FROM generate_series(1, 900) n;
    INSERT INTO audit SELECT n, CASE WHEN n % 2 = 0 THEN 'user' ELSE 'order' END, (1 + n % 100)::text FROM generate_series(1, 200) n;
    INSERT INTO setting SELECT n, 'v' FROM generate_series(1, 5) n;";

fn rules(subset: &str) -> String {
    let tables =
        ["country", "orders", "item", "audit", "setting"].map(|name| format!("  {name}: {{\"*\": keep}}\n"));
    format!("anonymize:\n  users: {{email: email, \"*\": keep}}\n{}{subset}", tables.concat())
}

const COUNTS: &str = "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM users), (SELECT string_agg(code, ',' ORDER BY code) FROM country),
    (SELECT string_agg(a::text, ',' ORDER BY a) FROM orders), (SELECT count(*) FROM item), (SELECT count(*) FROM audit), (SELECT count(*) FROM setting)";

#[tokio::test]
async fn parents_always_children_where_listed() {
    let world = World::new(SCHEMA, ROWS).await;
    let told = |error: confiture::Error| panic!("{}", told(&error));
    // 57 was referred by 7; each lives somewhere.
    world.sync(&rules("subset: {users: {where: \"id = 57\"}}\n")).await.unwrap_or_else(told);
    assert_eq!(world.stage(COUNTS).await, "7,57|c7||0|0|0\n");
    // Orders of 57 alone, not those of 7, which is there as a parent only; items of those orders; settings whole.
    let subset =
        "subset: {users: {where: \"id = 57\", children: [orders, item], parents: always}, setting: {}}\n";
    world.sync(&rules(subset)).await.unwrap_or_else(told);
    assert_eq!(world.stage(COUNTS).await, "7,57|c7|56,156,256|9|0|5\n");
    // Chosen the other way round, through a composite key, and with a reference that the database does not know.
    let subset = "subset: {item: {where: \"id = 55\"}, users: {where: \"id = 57\", children: [audit]}}\n\
                  virtual_fks: [{from: audit.entity_id, to: users.id, when: \"entity_type = 'user'\"}]\n";
    world.sync(&rules(subset)).await.unwrap_or_else(told);
    assert_eq!(
        world.stage("SELECT count(*), min(entity_id), min(entity_type) FROM audit").await,
        "2|57|user\n"
    );
    assert_eq!(world.stage(COUNTS).await, "7,57|c7|56|1|2|0\n");
}

#[tokio::test]
async fn a_subset_that_explodes_is_refused_and_one_that_cannot_be_is_explained() {
    let world = World::new(SCHEMA, ROWS).await;
    let mut options = world.options(&rules("subset: {users: {children: [orders]}}\n"));
    options.max_rows = Some(150);
    let refused = world.refusal(options).await;
    assert!(
        refused.contains("grows beyond 150 rows") && refused.contains("users: 100 rows (100 asked for)"),
        "{refused}"
    );
    let refused = world.refusal(world.options(&rules("subset: {users: {children: [setting]}}\n"))).await;
    assert!(refused.contains("setting refers to no table"), "{refused}");
    let refused = world.refusal(world.options(&rules("subset: {user: {}}\n"))).await;
    assert!(refused.contains("did you mean `users`"), "{refused}");
}
