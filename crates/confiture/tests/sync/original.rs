//! What the program that this one replaces got wrong, one test each.

use crate::world::{World, sync, told};

const SHOP: &str = "
    CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE, phone text, name text NOT NULL, created_at timestamptz DEFAULT now());
    CREATE TABLE posts (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, title text);
    CREATE TABLE comments (id serial PRIMARY KEY, post_id int NOT NULL REFERENCES posts, user_id int REFERENCES users, body text);";

const ROWS: &str = "
    INSERT INTO users (email, phone, name) SELECT 'person' || n || '@corp.com', '+1-202-555-' || lpad(n::text, 4, '0'), 'Person Number ' || n FROM generate_series(1, 1000) n;
    INSERT INTO posts (user_id, title) SELECT n, 'title ' || n FROM generate_series(1, 1000) n;
    INSERT INTO comments (post_id, user_id, body) SELECT n, n, 'body ' || n FROM generate_series(1, 1000) n;";

const RULES: &str = "
anonymize:
  users: {id: keep, email: \"user_{id}@example.com\", phone: \"+1-555-{random(4)}\", name: {fake: name}, created_at: keep}
  posts: {\"*\": keep}
  comments: {\"*\": keep}
";

#[tokio::test]
async fn tables_that_refer_to_each_other_all_arrive() {
    let world = World::new(SHOP, ROWS).await;
    world
        .stage("INSERT INTO users (id, name) VALUES (7, 'old'); INSERT INTO posts (user_id) VALUES (7);")
        .await;
    let report = world.sync(RULES).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(report.tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [1000, 1000, 1000]);
    let counts =
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM posts), (SELECT count(*) FROM comments)";
    assert_eq!(world.stage(counts).await, "1000|1000|1000\n");
    let kept = "SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM posts p";
    assert_eq!(world.stage(kept).await, world.produce(kept).await);
    let masked = world.stage("SELECT email, phone FROM users WHERE id = 17").await;
    assert!(masked.starts_with("user_17@example.com|+1-555-"), "{masked}");
    assert_eq!(
        world.stage("SELECT count(*) FROM users WHERE email LIKE '%corp%' OR name LIKE 'Person%'").await,
        "0\n"
    );
    assert_eq!(
        world.stage("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated").await,
        "3\n"
    );
    assert_eq!(world.staging.schema("confiture"), world.production.schema("confiture"));
    assert_eq!(world.stage("SELECT nextval('users_id_seq')").await, "1001\n");
}

#[tokio::test]
async fn a_database_is_not_synced_into_itself() {
    let world = World::new(SHOP, ROWS).await;
    let mut options = world.options(RULES);
    options.target = options.source.clone();
    let error = sync(options).await.unwrap_err();
    assert_eq!(error.kind(), confiture::ErrorKind::Unsafe);
    assert_eq!(world.produce("SELECT count(*) FROM users").await, "1000\n");
    let mut options = world.options(RULES);
    options.target_is_production = true;
    insta::assert_snapshot!(world.refusal(options).await.replace(world.staging.name(), "staging").split_once("production database").unwrap().1, @"
    : a sync would replace its rows
    - its environment says `production: true`; sync into another one
    ");
}

#[tokio::test]
async fn misspelt_columns_and_tables_are_errors() {
    let world = World::new(SHOP, ROWS).await;
    insta::assert_snapshot!(world.refusal(world.options("anonymize:\n  users:\n    emial: email\n")).await, @"
    Config 3:5 users has no column emial
    - did you mean `email`?
    ");
    insta::assert_snapshot!(world.refusal(world.options("anonymize:\n  user:\n    email: email\n")).await, @r#"
    Config 2:3 the source has no table "user"
    - did you mean `users`?
    "#);
    let mut options = world.options("anonymize: {}\n");
    options.tables = vec![confiture::config::mapping::TableName::read("uesrs").unwrap()];
    insta::assert_snapshot!(world.refusal(options).await, @"
    Config the source has no table uesrs
    - did you mean `users`?
    ");
    insta::assert_snapshot!(world.refusal(world.options("anonymize:\n  users: {email: \"user_{idd}@example.com\", \"*\": keep}\n  posts: {\"*\": keep}\n  comments: {\"*\": keep}\n")).await, @"
    Config 2:18 users.email: the template names the column idd, which users has not
    - did you mean `id`?
    ");
}

#[tokio::test]
async fn a_column_that_nobody_classified_stops_the_run() {
    let world = World::new(SHOP, ROWS).await;
    insta::assert_snapshot!(world.refusal(world.options("anonymize:\n  users: {id: keep, email: email, created_at: keep}\n  posts: {\"*\": keep}\n")).await, @"
    Unsafe 6 columns are not classified, comments.id the first: nothing was changed
    anonymize:
      comments:
        id: keep  # integer
        post_id: keep  # integer
        user_id: keep  # integer
        body: free_text  # text
      users:
        phone: phone  # text
        name: name  # text
    - read the proposals above, correct them, and add them to db/sync_config.yaml
    - `confiture sync suggest` writes a whole file by looking at names, types and values
    - `--unclassified keep` copies such columns as they are; `--unclassified mask` masks them by type
    ");
    world.produce("ALTER TABLE users ADD COLUMN ssn text").await;
    world.stage("ALTER TABLE users ADD COLUMN ssn text").await;
    assert!(world.refusal(world.options(RULES)).await.contains("ssn: national_id"));
}

#[tokio::test]
async fn a_unique_column_stays_unique_or_the_plan_refuses() {
    let world = World::new(SHOP, ROWS).await;
    let rules = |email: &str| RULES.replace("\"user_{id}@example.com\"", email);
    for email in ["\"u{hash(8)}@example.com\"", "{fake: name}", "\"x@example.com\"", "\"{random(4)}\""] {
        let told = world.refusal(world.options(&rules(email))).await;
        assert!(told.contains("users.email is unique"), "{told}");
    }
    world.sync(&rules("email")).await.unwrap();
    assert_eq!(world.stage("SELECT count(DISTINCT email) FROM users").await, "1000\n");
}

#[tokio::test]
async fn a_missing_key_is_noticed_before_anything_is_emptied() {
    let world = World::new(SHOP, ROWS).await;
    world.stage("INSERT INTO users (name) VALUES ('old')").await;
    let mut options = world.options(RULES);
    options.key = None;
    let told = world.refusal(options).await;
    assert!(told.contains("needs a key, and there is none"), "{told}");
}

#[tokio::test]
async fn columns_in_another_order_keep_their_values() {
    let world = World::new(
        "",
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'a', 'b')",
    )
    .await;
    world.stage("CREATE TABLE t (b text, a text, id int PRIMARY KEY)").await;
    world.sync("anonymize: {t: {\"*\": keep}}").await.unwrap();
    assert_eq!(world.stage("SELECT id, a, b FROM t").await, "1|a|b\n");
}

#[tokio::test]
async fn json_identity_generated_columns_arrays_and_other_schemas_work() {
    let schema = "
        CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'ok');
        CREATE TABLE app.person (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, first text, last text,
            whole text GENERATED ALWAYS AS (first || ' ' || last) STORED,
            prefs jsonb, tags text[], mood app.mood, net inet, uid uuid UNIQUE, born date, salary numeric(10, 2), raw bytea);";
    let rows = r#"
        INSERT INTO app.person (first, last, prefs, tags, mood, net, uid, born, salary, raw)
        SELECT 'Firstname' || n, 'Lastname' || n, jsonb_build_object('contact', jsonb_build_object('email', 'p' || n || '@corp.com'), 'n', 12345678901234567890.12),
               ARRAY['tag ' || n, NULL, 'with "quotes"', ''], 'ok', ('10.0.0.' || n)::inet, gen_random_uuid(), '1980-05-17', 1234.56, '\x00ff'
        FROM generate_series(1, 200) n;"#;
    let world = World::new(schema, rows).await;
    world
        .sync(
            r#"
anonymize:
  app.person:
    first: {fake: first_name}
    last: {hash: 20}
    prefs: {json: {"$.contact.email": "{hash(12)}@example.com"}}
    tags: {hash: 16}
    net: ip
    uid: fpe
    born: {date: year}
    salary: {bucket: 1000}
    "*": keep
"#,
        )
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    let said = world
        .stage("SELECT count(*), count(DISTINCT uid), bool_and(whole = first || ' ' || last), bool_and(prefs #>> '{contact,email}' LIKE '%@example.com'),
                       min(prefs ->> 'n'), bool_and(array_length(tags, 1) = 4 AND tags[2] IS NULL AND tags[4] = ''), bool_and(net << '198.18.0.0/15'),
                       min(born), max(salary), bool_and(raw = '\\x00ff'), min(mood) FROM app.person")
        .await;
    assert_eq!(said, "200|200|t|t|12345678901234567890.12|t|t|1980-01-01|1000.00|t|ok\n");
    assert_eq!(world.stage("INSERT INTO app.person (first) VALUES ('new') RETURNING id").await, "201\n");
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_may_sync() {
    let world = World::new("", "").await;
    let role = format!("owner_{}", world.staging.name());
    world.stage(&format!("CREATE ROLE {role} LOGIN")).await;
    for database in [&world.production, &world.staging] {
        let script = format!(
            "SET ROLE {role}; RESET ROLE; CREATE SCHEMA s AUTHORIZATION {role}; SET ROLE {role}; SET search_path = s; {SHOP}"
        );
        crate::database::psql(database, &script).await;
    }
    world.produce(&format!("SET search_path = s; {ROWS}")).await;
    world.stage("CREATE FUNCTION s.boom() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'fired'; END$$; CREATE TRIGGER boom BEFORE INSERT ON s.users FOR EACH ROW EXECUTE FUNCTION s.boom()").await;
    let mut options = world.options(
        &RULES
            .replace("  users:", "  s.users:")
            .replace("  posts:", "  s.posts:")
            .replace("  comments:", "  s.comments:"),
    );
    options.source.user.clone_from(&role);
    options.target.user.clone_from(&role);
    let report = sync(options).await;
    let counts = world
        .stage("SELECT count(*) FROM s.users; SELECT tgenabled FROM pg_trigger WHERE tgname = 'boom'")
        .await;
    world.stage(&format!("DROP OWNED BY {role} CASCADE")).await;
    world.produce(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    report.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(counts, "1000\nO\n");
}
