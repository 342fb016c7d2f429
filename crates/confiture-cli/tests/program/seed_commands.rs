//! Every form of a command that the project's first documents show, run as a program between real databases: its exit
//! status, and what it did, by psql. What they show of commands that are not there yet is listed too, so that the list
//! is complete and can only shrink.

use local_postgres::testing::Database;
use serde_json::Value;

use crate::schema_to_schema::psql;
use crate::support::{Project, Said};

/// The old database of the document about strategies.
const OLD: &str = "
    create table users (id bigint primary key, full_name text not null, created_at timestamptz not null);
    create table posts (id bigint primary key, user_id bigint not null references users, created_at timestamptz not null);
    create table events (id bigint primary key, event_type text, data jsonb, created_at timestamptz not null);
    create table page_views (id bigint primary key, path text, created_at timestamptz not null);
    insert into users select i, 'user ' || i, date '2023-07-01' + i from generate_series(1, 365) i;
    insert into posts select i, 1 + i % 365, date '2023-07-01' + i % 365 from generate_series(1, 1000) i;
    insert into events select i, 'click', jsonb_build_object('i', i), date '2023-07-01' + i % 365 from generate_series(1, 2000) i;
    insert into page_views select i, '/' || i, date '2023-07-01' + i % 365 from generate_series(1, 3000) i;
    analyze;
";

const NEW: &str = "
    create table users (id bigint primary key, display_name text not null, created_at timestamptz not null);
    create table posts (id bigint primary key, user_id bigint not null references users, created_at timestamptz not null);
    create table events (id bigint primary key, event_name text, payload jsonb, created_at timestamptz not null);
    create table page_views (id bigint primary key, path text, created_at timestamptz not null);
";

/// The configuration file of that document, with the two ends that its shortest commands leave to it.
const CONFIG: &str = r#"
source: production
target: production_new
migration:
  name: "Migrate 100M events with zero downtime"
  from_version: "1.5.3"
  to_version: "1.6.0"
  auto_strategy: true
strategy_config:
  threshold_rows: 10_000_000
  fdw_throughput: 500_000
  copy_throughput: 6_000_000
table_overrides:
  posts:
    strategy: copy
fdw_tables:
  users:
    columns:
      full_name: display_name
copy_tables:
  events:
    columns:
      event_type: event_name
      data: payload
  page_views:
"#;

const CONFIG_FILE: &str = "db/migrations/schema_to_schema/v1.5.3_to_v1.6.0/config.yaml";

/// Two databases, and a project whose environments are named as the documents name them.
struct Ground {
    project: Project,
    old: Database<'static>,
    new: Database<'static>,
}

impl Ground {
    async fn new(old_schema: &str, new_schema: &str) -> Self {
        let old = Database::create().await.expect("a database");
        let new = Database::create().await.expect("a database");
        psql(&old, old_schema);
        psql(&new, new_schema);
        let project = Project::new();
        for (names, database) in
            [(["production", "old_production"], &old), (["production_new", "new_production"], &new)]
        {
            for name in names {
                let text = format!("database_url: {}\n", database.url());
                project.write(&format!("db/environments/{name}.yaml"), &text);
            }
        }
        Self { project, old, new }
    }

    /// The line as a shell would cut it, after `confiture`.
    fn call(&self, line: &str) -> Said {
        self.project.call(&words(line).iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Calls it with a yes, asserts that it succeeds and returns its result.
    fn result(&self, line: &str) -> Value {
        let said = self.call(&format!("{line} --format json"));
        assert_eq!(said.status, 0, "{line}\n{said}");
        said.json()["result"].clone()
    }

    /// Asserts that each of the new tables holds what `given` says of the old database.
    fn assert_same(&self, line: &str, pairs: &[(&str, &str)]) {
        for (given, held) in pairs {
            let all = |query: &str| format!("select string_agg(q::text, ';' order by q) from ({query}) as q");
            assert_eq!(psql(&self.old, &all(given)), psql(&self.new, &all(held)), "{line}: {held}");
        }
    }
}

/// Words, of which those in double quotes may hold spaces.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let word = |(index, part): (usize, &str)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    };
    parts.flat_map(word).collect()
}

/// Table and route of everything that a run moved.
fn routes(result: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").trim_start_matches("public.").to_owned();
    let tables = result["migration"]["tables"].as_array().expect("tables");
    let mut routes: Vec<_> =
        tables.iter().map(|table| (text(&table["table"]), text(&table["route"]))).collect();
    routes.sort();
    routes
}

/// What each new table holds where all of the old one moved.
const PAIRS: [(&str, &str, &str); 4] = [
    (
        "events",
        "select id, event_type, data, created_at from events",
        "select id, event_name, payload, created_at from events",
    ),
    ("page_views", "select * from page_views", "select * from page_views"),
    ("posts", "select * from posts", "select * from posts"),
    (
        "users",
        "select id, full_name, created_at from users",
        "select id, display_name, created_at from users",
    ),
];

/// Runs one form that copies: every table of `expected` goes the way that it names, and no other table has rows.
async fn moves(line: &str, config: &str, expected: &[(&str, &str)]) {
    let ground = Ground::new(OLD, NEW).await;
    ground.project.write(CONFIG_FILE, config);
    let line = &format!("migrate schema-to-schema {line}");
    let result = ground.result(&format!("{line} --yes"));
    let routes = routes(&result);
    let found: Vec<(&str, &str)> = routes.iter().map(|(table, route)| (&**table, &**route)).collect();
    assert_eq!(found, expected, "{line}");
    assert_eq!(result["verification"]["ok"], true, "{line}");
    for (table, given, held) in PAIRS {
        if expected.iter().any(|(name, _)| *name == table) {
            ground.assert_same(line, &[(given, held)]);
        } else {
            assert_eq!(psql(&ground.new, &format!("select count(*) from {table}")), "0", "{line}: {table}");
        }
    }
    // Where foreign tables were made, they are the source's.
    let foreign: Vec<_> =
        expected.iter().filter(|(_, route)| *route == "fdw").map(|(table, _)| *table).collect();
    let query = "select coalesce(string_agg(foreign_table_name, ',' order by foreign_table_name), '') from information_schema.foreign_tables";
    assert_eq!(psql(&ground.new, query), foreign.join(","), "{line}");
}

const COPY: [(&str, &str); 4] =
    [("events", "copy"), ("page_views", "copy"), ("posts", "copy"), ("users", "copy")];
const FDW: [(&str, &str); 4] = [("events", "fdw"), ("page_views", "fdw"), ("posts", "fdw"), ("users", "fdw")];
/// As the configuration file says.
const CONFIGURED: [(&str, &str); 4] =
    [("events", "copy"), ("page_views", "copy"), ("posts", "copy"), ("users", "fdw")];

#[tokio::test]
async fn strategies_between_two_named_databases() {
    let ends = "--from production --to production_new";
    moves(&format!("{ends} --strategy fdw"), CONFIG, &FDW).await;
    moves(&format!("{ends} --strategy copy"), CONFIG, &COPY).await;
    moves(&format!("{ends} --copy-tables events,page_views"), CONFIG, &CONFIGURED).await;
    moves(&format!("{ends} --auto-strategy"), CONFIG, &CONFIGURED).await;
}

#[tokio::test]
async fn strategies_with_the_ends_from_the_configuration() {
    moves("--auto-strategy", CONFIG, &CONFIGURED).await;
    moves("--strategy fdw", CONFIG, &FDW).await;
    moves("--strategy copy", CONFIG, &COPY).await;
    moves("--strategy hybrid", CONFIG, &CONFIGURED).await;
    let by_hand = [("events", "copy"), ("page_views", "copy"), ("posts", "fdw"), ("users", "fdw")];
    moves("--fdw-tables users,posts --copy-tables events,page_views", CONFIG, &by_hand).await;
    moves("--auto-strategy --threshold 5000000", CONFIG, &CONFIGURED).await;
}

#[tokio::test]
async fn strategies_with_fewer_tables_or_more_workers() {
    moves("--strategy copy --parallel 4", CONFIG, &COPY).await;
    moves("--strategy copy --streaming", CONFIG, &COPY).await;
    moves("--strategy copy --tables events", CONFIG, &COPY[..1]).await;
    moves("--strategy copy --tables events,page_views", CONFIG, &COPY[..2]).await;
    // The configuration of the chapter about parallel COPY.
    let parallel = CONFIG.replace("  events:\n", "  events:\n    strategy: copy\n    parallel: 4\n");
    moves("--auto-strategy", &parallel, &CONFIGURED).await;
}

#[tokio::test]
async fn a_dry_run_a_subset_and_what_is_said_at_length() {
    let ground = Ground::new(OLD, NEW).await;
    ground.project.write(CONFIG_FILE, CONFIG);
    let dry = ground.result("migrate schema-to-schema --auto-strategy --dry-run");
    assert_eq!((&dry["dry_run"], dry["plan"]["tables"].as_array().map(Vec::len)), (&true.into(), Some(4)));
    let untouched = "select count(*) from pg_namespace where nspname in ('confiture', 'old_schema')";
    assert_eq!(psql(&ground.new, untouched), "0");
    assert_eq!(psql(&ground.new, "select count(*) from users"), "0");

    let subset = "migrate schema-to-schema --auto-strategy --where \"created_at > '2024-01-01'\"";
    let said = ground.call(&format!("{subset} --yes"));
    assert_eq!(said.status, 0, "{said}");
    // A post of a user who stays behind stays behind too.
    let (recent, posts) = (
        "where created_at > '2024-01-01'",
        "select p.* from posts p join users u on u.id = p.user_id where least(p.created_at, u.created_at) > '2024-01-01'",
    );
    for (table, given, held) in PAIRS {
        let given = if table == "posts" { posts.to_owned() } else { format!("{given} {recent}") };
        ground.assert_same(subset, &[(&given, held)]);
        let left_out = format!("select count(*) < (select count(*) from ({given}) as q) + 1 from {table}");
        assert_eq!(psql(&ground.old, &left_out), "f", "{table}: nothing was left out");
    }

    let ground = Ground::new(OLD, NEW).await;
    ground.project.write(CONFIG_FILE, CONFIG);
    let verbose = ground.call("migrate schema-to-schema --auto-strategy --verbose --yes");
    assert_eq!(verbose.status, 0, "{verbose}");
    for wanted in
        ["📊 Analyzing tables...", "users (365 rows) → FDW", "Starting migration...", "✅ users migrated ("]
    {
        assert!(
            verbose.stderr.lines().any(|line| line.get(11..).is_some_and(|line| line.starts_with(wanted))),
            "{wanted}: {verbose}"
        );
    }
}

#[tokio::test]
async fn verify_says_what_the_document_says() {
    let ground = Ground::new(OLD, NEW).await;
    ground.project.write(
        CONFIG_FILE,
        &format!("{CONFIG}validations:\n  - name: nobody is nameless\n    sql: select 1 from users where display_name = ''\n"),
    );
    ground.result("migrate schema-to-schema --auto-strategy --no-verify --yes");
    let said = ground.call("migrate schema-to-schema --verify");
    assert_eq!(said.status, 0, "{said}");
    for line in [
        "✅ users: 365 (old) = 365 (new)",
        "✅ events: 2,000 (old) = 2,000 (new)",
        "✅ Foreign key integrity verified",
        "✅ Custom validations passed",
    ] {
        assert!(said.stdout.lines().any(|said| said == line), "{line}: {said}");
    }
    psql(&ground.new, "delete from events where id = 7");
    assert_eq!(ground.call("migrate schema-to-schema --verify").status, 7);
}

#[tokio::test]
async fn a_change_of_type_through_a_statement_of_its_own() {
    let ground = Ground::new(
        "create table users (id bigint primary key, age text); insert into users select i, i::text from generate_series(1, 99) i",
        "create table users (id bigint primary key, age integer)",
    )
    .await;
    let config = "source: production\ntarget: production_new\nfdw_tables:\n  users:\n    transform: |\n      INSERT INTO users (id, age)\n      SELECT id, age::int  -- Cast text to int\n      FROM old_schema.users\n";
    ground.project.write(CONFIG_FILE, config);
    let line = "migrate schema-to-schema --auto-strategy";
    let result = ground.result(&format!("{line} --yes"));
    assert_eq!(result["verification"]["ok"], true);
    ground.assert_same(line, &[("select id, age::integer from users", "select id, age from users")]);
}

/// The mapping file of the guide, which leaves the keys to the target.
const GUIDE: &str = "users:
  source_table: old_users
  target_table: users
  columns:
    full_name: display_name  # Renamed
    email: email             # Same

posts:
  source_table: blog_posts
  target_table: posts
  columns:
    post_title: title
    post_body: content
    author_id: user_id
";

const GUIDE_OLD: &str = "
    create table old_users (id bigint primary key, full_name text, email text);
    create table blog_posts (id bigint primary key, post_title text, post_body text, author_id bigint not null);
    create table comments (id bigint primary key, body text);
    insert into old_users select i, 'user ' || i, i || '@example.com' from generate_series(1, 300) i;
    insert into blog_posts select i, 'title ' || i, 'body', 1 + i % 300 from generate_series(1, 700) i;
";

const GUIDE_NEW: &str = "
    create table users (id bigint generated always as identity primary key, display_name text, email text);
    create table posts (id bigint generated always as identity primary key, title text, content text, user_id bigint not null);
    create table comments (id bigint primary key, body text);
";

/// The steps of the guide, one after the other, as it writes them: what one said, the later ones know.
#[tokio::test]
async fn the_guide_from_build_to_cleanup() {
    let ground = Ground::new(GUIDE_OLD, "").await;
    ground.project.write("db/schema/10_tables.sql", GUIDE_NEW);
    ground.project.write("db/migration/column_mapping.yaml", GUIDE);
    ground.result("build --env new_production --from-ddl");
    assert_eq!(psql(&ground.new, "select count(*) from pg_tables where schemaname = 'public'"), "3");

    let command = "migrate schema-to-schema";
    let setup = ground.result(&format!("{command} setup --source old_production --target new_production"));
    assert!(setup["source"].as_str().is_some_and(|source| source.contains(ground.old.name())), "{setup}");
    let analyzed = ground.result(&format!("{command} analyze --target new_production"));
    assert_eq!(analyzed["plan"]["tables"].as_array().map(Vec::len), Some(1), "{analyzed}");
    let migrate = "migrate --target new_production --mapping db/migration/column_mapping.yaml";
    let migrated = ground.result(&format!("{command} {migrate} --yes"));
    assert_eq!(migrated["verification"]["ok"], true, "{migrated}");
    ground.assert_same(
        migrate,
        &[
            ("select full_name, email from old_users", "select display_name, email from users"),
            (
                "select post_title, post_body, author_id from blog_posts",
                "select title, content, user_id from posts",
            ),
        ],
    );
    for line in ["verify --target new_production", "verify --target new_production --tables users,posts"] {
        let verified = ground.result(&format!("{command} {line}"));
        let found = (&verified["ok"], verified["tables"].as_array().map(Vec::len));
        assert_eq!(found, (&true.into(), Some(2)), "{line}");
    }
    let cleaned = ground.result(&format!("{command} cleanup --target new_production"));
    assert_eq!(cleaned["ledger"], true);
    let left = "select count(*) from pg_namespace where nspname in ('confiture', 'old_schema')";
    assert_eq!(psql(&ground.new, left), "0");
    assert_eq!(psql(&ground.new, "select count(*) from users"), "300");
}

#[tokio::test]
async fn the_guide_s_single_table() {
    let ground = Ground::new(GUIDE_OLD, GUIDE_NEW).await;
    ground.result("migrate schema-to-schema setup --source old_production --target new_production");
    let line = "migrate schema-to-schema migrate-table --target new_production --source-table old_users \
                --target-table users --mapping \"full_name:display_name,email:email\"";
    let result = ground.result(&format!("{line} --yes"));
    assert_eq!(result["verification"]["ok"], true);
    ground.assert_same(
        line,
        &[("select full_name, email from old_users", "select display_name, email from users")],
    );
    assert_eq!(psql(&ground.new, "select count(*) from posts"), "0");
}

/// The mapping of the document about the four mediums, renames and a statement beside them.
#[tokio::test]
async fn a_mapping_that_the_command_names() {
    let ground = Ground::new(
        "create table users (id bigint primary key, full_name text, created_at timestamp, deleted_at timestamp);
         create table tags (id bigint primary key, name text);
         insert into users select i, 'user ' || i, '2024-01-01', case when i % 3 = 0 then now() end from generate_series(1, 90) i;
         insert into tags values (1, 'a')",
        "create table users (id bigint primary key, display_name text, created_timestamp timestamptz)",
    )
    .await;
    let columns = "tables:\n  users:\n    columns:\n      full_name: display_name\n      created_at:\n        target: created_timestamp\n        transform: \"created_at AT TIME ZONE 'UTC'\"\n";
    let statement = "    custom_sql: |\n      INSERT INTO production_new.users (id, display_name, created_timestamp)\n      SELECT id, full_name, created_at AT TIME ZONE 'UTC'\n      FROM old_schema.users\n      WHERE deleted_at IS NULL\n";
    let line = "migrate schema-to-schema --from production --to production_new --strategy fdw --mapping db/migration_map.yaml";
    let held = "select id, display_name, created_timestamp from users";
    let given = "select id, full_name, created_at at time zone 'UTC' from users";

    ground.project.write("db/migration_map.yaml", &format!("{columns}      id: id\n"));
    assert_eq!(routes(&ground.result(&format!("{line} --yes"))), [("users".to_owned(), "fdw".to_owned())]);
    ground.assert_same(line, &[(given, held)]);

    ground.project.write("db/migration_map.yaml", &format!("tables:\n  users:\n{statement}"));
    ground.result(&format!("{line} --yes --restart"));
    ground.assert_same(line, &[(&format!("{given} where deleted_at is null"), held)]);
}

#[tokio::test]
async fn a_fresh_database_from_ddl() {
    let ground = Ground::new("", "").await;
    for name in ["local", "test"] {
        let text = format!("database_url: {}\n", ground.new.url());
        ground.project.write(&format!("db/environments/{name}.yaml"), &text);
    }
    let files = [
        ("00_common/extensions.sql", "create extension pg_trgm;"),
        ("00_common/custom_types.sql", "create type mood as enum ('calm');"),
        ("10_tables/users.sql", "create table users (id bigint primary key, name text, mood mood);"),
        ("20_views/user_stats.sql", "create view user_stats as select count(*) from users;"),
        (
            "30_functions/calculate_score.sql",
            "create function calculate_score() returns int language sql as 'select 1';",
        ),
    ];
    for (path, text) in files {
        ground.project.write(&format!("db/schema/{path}"), &format!("{text}\n"));
    }
    let output = "build --env test --output db/generated/schema_test.sql";
    ground.result(output);
    let generated = std::fs::read_to_string(ground.project.path().join("db/generated/schema_test.sql"));
    let generated = generated.expect("the file");
    let places: Vec<_> =
        files.iter().map(|(_, text)| generated.find(text).expect("every file's text")).collect();
    // In alphabetical order: custom types before extensions.
    assert!(places[1] < places[0] && places[0] < places[2] && places[2..].is_sorted(), "{generated}");
    assert_eq!(psql(&ground.new, "select to_regclass('users') is null"), "t", "{output} touches no database");

    ground.result("build --env local");
    assert_eq!(psql(&ground.new, "select count, calculate_score() from user_stats"), "0|1");
    let again = ground.call("build --env local");
    assert_eq!(again.status, 8, "{again}");
}

#[test]
fn a_migration_from_the_difference_of_two_files() {
    let project = Project::new();
    project.write("old.sql", "create table users (id bigint primary key);\n");
    project.write("new.sql", "create table users (id bigint primary key, bio text);\n");
    let line = "migrate diff old.sql new.sql --generate --name add_user_bio";
    let said = project.call(&words(line).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(said.status, 0, "{said}");
    let folder = std::fs::read_dir(project.path().join("db/migrations")).expect("a folder");
    let files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    let up = files.iter().find(|file| file.to_string_lossy().ends_with("_add_user_bio.up.sql"));
    let text = std::fs::read_to_string(up.expect("a migration")).expect("its text");
    assert!(text.to_lowercase().contains("add column bio"), "{text}");
}

/// What the documents show of commands that are not there yet. Who adds one finds it here, and moves it to a test that
/// runs it.
#[test]
fn what_is_not_there_yet_is_refused() {
    const NOT_YET: [&str; 1] = [
        // A form that the documents show as wrong.
        "migrate schema-to-schema --add-column bio",
    ];
    let project = Project::new();
    for line in NOT_YET {
        let words = words(line);
        let said = project.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(said.status, 2, "{line}: {said}");
    }
}
