//! `confiture sync`, between two real databases.

use local_postgres::testing::Database;

use crate::schema_to_schema::psql;
use crate::support::{Project, Said};

const SCHEMA: &str = "
    create table users (id int primary key, email text unique, phone text, ssn text, dob date);
    create table posts (id int primary key, user_id int not null references users, title text);
    create table comments (id int primary key, post_id int not null references posts, body text);
    create table payments (id int primary key, credit_card text);
";

const ROWS: &str = "
    insert into users select i, 'ann' || i || '@corp.com', '+1 202 555 01' || i, '123-45-67' || i, date '1980-01-01' + i from generate_series(10, 59) i;
    insert into posts select i, i, 'title ' || i from generate_series(10, 59) i;
    insert into comments select i, i, 'body ' || i from generate_series(10, 59) i;
    insert into payments select i, '4111 1111 1111 11' || i from generate_series(10, 59) i;
    analyze;
";

/// The rules of the guide, with the columns that are kept.
const RULES: &str = "\
anonymize:
  users:
    email: \"user_{id}@example.com\"
    phone: \"+1-555-{random(4)}\"
    ssn: \"XXX-XX-{random(4)}\"
    \"*\": keep
  payments:
    credit_card: \"**** **** **** {last4}\"
    id: keep
  posts: {\"*\": keep}
  comments: {\"*\": keep}
";

const KEY: &str = "0123456789abcdef0123456789abcdef";

struct Shop {
    project: Project,
    production: Database<'static>,
    local: Database<'static>,
}

impl Shop {
    async fn new() -> Self {
        let production = Database::create().await.expect("a database");
        let local = Database::create().await.expect("a database");
        psql(&production, &format!("{SCHEMA}{ROWS}"));
        psql(&local, SCHEMA);
        let project = Project::new();
        project.write(
            "db/environments/production.yaml",
            &format!("database_url: {}\nproduction: true\n", production.url()),
        );
        project.write("db/environments/local.yaml", &format!("database_url: {}\n", local.url()));
        Self { project, production, local }
    }

    /// `confiture sync WORDS`, with the key in the environment.
    fn call(&self, line: &str) -> Said {
        let words: Vec<&str> = std::iter::once("sync").chain(line.split_whitespace()).collect();
        let mut command = self.project.command(&words);
        command.env("CONFITURE_SYNC_KEY", KEY);
        let said = self.project.finish(command);
        let socket = self.local.server().socket_dir().display().to_string();
        let port = format!(":{}", self.local.server().port());
        said.steady(&[
            (&socket, "SOCKET"),
            (&port, ":PORT"),
            (self.production.name(), "PRODUCTION"),
            (self.local.name(), "LOCAL"),
        ])
    }
}

#[tokio::test]
async fn the_rules_of_the_guide_do_what_it_says() {
    let shop = Shop::new().await;
    shop.project.write("db/sync_config.yaml", RULES);
    insta::assert_snapshot!(shop.call("--from production --to local --yes -q"), @"
    status 0
    --- stdout
    ✅ comments: 50 rows, 0 columns masked (TIME)
    ✅ payments: 50 rows, 1 column masked (TIME)
    ✅ posts: 50 rows, 0 columns masked (TIME)
    ✅ users: 50 rows, 3 columns masked (TIME)
    Synced 200 rows to postgres@SOCKET:PORT/LOCAL in TIME.
    Searched 200 texts for 200 original values: none arrived.
    Manifest: .confiture/sync-manifest.json
    --- stderr
    warning: Masks follow from the key: this is pseudonymised data, which is still personal data in law.
    ");
    let masked =
        "select email, phone ~ '^\\+1-555-\\d{4}$', ssn ~ '^XXX-XX-\\d{4}$' from users where id = 17";
    assert_eq!(psql(&shop.local, masked), "user_17@example.com|t|t");
    assert_eq!(psql(&shop.local, "select credit_card from payments where id = 17"), "**** **** **** 1117");
    insta::assert_snapshot!(shop.call("verify --to local"), @"
    status 0
    --- stdout
    From postgres@SOCKET:PORT/PRODUCTION (pseudonymised: whoever has the key can link values to persons)
    Signature: valid
    ✅ comments: 50 rows recorded, 50 rows found
    ✅ payments: 50 rows recorded, 50 rows found
    ✅ posts: 50 rows recorded, 50 rows found
    ✅ users: 50 rows recorded, 50 rows found
    --- stderr
    ");
    psql(&shop.local, "delete from comments where id = 20");
    let said = shop.call("verify --to local --format json");
    assert_eq!((said.status, said.json()["error"]["code"].as_str()), (7, Some("check_failed")));
}

#[tokio::test]
async fn the_command_line_of_the_guide_works_as_written() {
    let shop = Shop::new().await;
    let line =
        "--from production --to local --anonymize users.email,users.phone --tables users,posts,comments";
    insta::assert_snapshot!(shop.call(line), @"
    status 8
    --- stdout
    --- stderr
    error: 9 columns are not classified, comments.id the first: nothing was changed
    detail: anonymize:
        comments:
          id: keep  # integer
          post_id: keep  # integer
          body: free_text  # text
        posts:
          id: keep  # integer
          user_id: keep  # integer
          title: keep  # text: look at its values first
        users:
          id: keep  # integer
          ssn: national_id  # text
          dob: {date: year}  # date
    hint: read the proposals above, correct them, and add them to db/sync_config.yaml
    hint: `confiture sync suggest` writes a whole file by looking at names, types and values
    hint: `--unclassified keep` copies such columns as they are; `--unclassified mask` masks them by type
    ");
    let said = shop.call(&format!("{line} --unclassified keep --yes --format json"));
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(said.json()["result"]["report"]["tables"][0]["rows"], 50);
    assert_eq!(
        psql(&shop.local, "select count(*) from users where email like '%@example.com' and phone like '+%'"),
        "50"
    );
    assert_eq!(
        psql(
            &shop.local,
            "select count(*) from users join posts on user_id = users.id join comments on post_id = posts.id"
        ),
        "50"
    );
    assert_eq!(psql(&shop.local, "select count(*) from payments"), "0");
}

#[tokio::test]
async fn a_plan_shows_what_will_leave_production_and_no_original() {
    let shop = Shop::new().await;
    shop.project.write("db/sync_config.yaml", RULES);
    let said = shop.call("plan --from production --to local --tables payments");
    assert!(!said.stdout.contains("4111 1111"), "{said}");
    insta::assert_snapshot!(said.stdout.lines().filter(|line| !line.contains("hashtext")).collect::<Vec<_>>().join("\n"), @"
    Sync plan
    postgres@SOCKET:PORT/PRODUCTION → postgres@SOCKET:PORT/LOCAL

    payments (about 50 rows, 16 kB)
      id           keep                    copied as it is (rules)
      credit_card  **** **** **** {last4}  made without the value: the source sends a fragment or a mark (rules)
      runs on the source:
      credit_card: 9999 → **** **** **** 1110
      credit_card: 9999 → **** **** **** 1111
      credit_card: 9999 → **** **** **** 1112

    Notes
      the rules for comments wait: it is not synced
      the rules for posts wait: it is not synced
      the rules for users wait: it is not synced

    1 table, 1 column masked. Nothing was changed.
    ");
    assert_eq!(psql(&shop.local, "select count(*) from payments"), "0");
}

#[tokio::test]
async fn production_is_never_a_target_and_silence_no_consent() {
    let shop = Shop::new().await;
    shop.project.write("db/sync_config.yaml", RULES);
    assert_eq!(shop.call("--from local --to production --yes").status, 8);
    assert_eq!(shop.call("--from production --to production --yes").status, 8);
    assert_eq!(shop.call("--from production --to local").status, 8);
    assert_eq!(shop.call("--from production --yes").status, 2);
    assert_eq!(shop.call("--from production --to elsewhere --yes").status, 5);
    assert_eq!(shop.call("--repair --to local").status, 0);
    assert_eq!(psql(&shop.local, "select count(*) from users"), "0");
}

#[tokio::test]
async fn suggestions_become_a_file_that_runs() {
    let shop = Shop::new().await;
    let said = shop.call("suggest --from production --output db/sync_config.yaml");
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(shop.call("suggest --from production --output db/sync_config.yaml").status, 8);
    let said = shop.call("--from production --to local --yes");
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(
        psql(&shop.local, "select count(*) from users where email like '%corp%' or phone like '%202%'"),
        "0"
    );
}

/// The key comes from where the rules say, is never short, and is never shown.
#[tokio::test]
async fn keys_come_from_files_and_commands_and_are_never_shown() {
    let shop = Shop::new().await;
    let sync = |key: &str| {
        shop.project.write("db/sync_config.yaml", &format!("{RULES}key: {key}\n"));
        shop.project.call(&["sync", "plan", "--from", "production", "--to", "local", "--format", "json"])
    };
    let id = |said: &Said| said.json()["result"]["plan"]["key_id"].as_str().map(str::to_owned);
    shop.project.write("db/key", &format!("{KEY}\n"));
    let of_file = sync("{file: db/key}");
    let of_command = sync("{command: \"cat db/key\"}");
    assert!(id(&of_file).is_some() && id(&of_file) == id(&of_command), "{of_file}{of_command}");
    shop.project.write("db/key", "hunter2hunter2");
    for said in [
        sync("{file: db/key}"),
        sync("{env: NO_SUCH_VARIABLE}"),
        sync("{command: \"false\"}"),
        sync("{file: db/none}"),
    ] {
        assert_eq!(said.status, 5, "{said}");
        assert!(said.json()["error"]["place"]["line"].is_u64(), "{said}");
        assert!(!said.stdout.contains("hunter2"), "{said}");
    }
    shop.project.write("db/sync_config.yaml", RULES);
    let said = shop.project.call(&["sync", "--from", "production", "--to", "local", "--yes"]);
    assert!(said.status == 5 && said.stderr.contains("CONFITURE_SYNC_KEY"), "{said}");
    let said =
        shop.project.call(&["sync", "--from", "production", "--to", "local", "--yes", "--ephemeral-key"]);
    assert_eq!(said.status, 0, "{said}");
    assert!(shop.project.call(&["sync", "verify", "--to", "local"]).stdout.contains("that run's alone"));
}

#[tokio::test]
async fn risk_names_columns_and_no_values() {
    let shop = Shop::new().await;
    let said = shop.call("risk --from production --quasi users:dob,ssn --k 3 --sensitive email");
    insta::assert_snapshot!(said, @"
    status 7
    --- stdout
    users: 50 rows in 50 groups, the smallest of 1 row
    The least diverse group has 1 sensitive value.
    Rows in groups of fewer than 3:
                50  dob
                50  ssn
                50  dob, ssn
    --- stderr
    error: 50 of 50 rows of users are alike with fewer than 3 in all
    hint: generalise the columns: `{date: year}`, `{bucket: 10}`, or drop one of them
    ");
}

#[tokio::test]
async fn quarantine_is_published_repaired_and_told() {
    let shop = Shop::new().await;
    shop.project.write("db/sync_config.yaml", RULES);
    insta::assert_snapshot!(shop.call("--from production --to local --yes --quarantine --jobs 1").stderr, @"
    Freezing the source...
    ✅ comments copied (50 rows, TIME actual)
    ✅ payments copied (50 rows, TIME actual)
    ✅ posts copied (50 rows, TIME actual)
    ✅ users copied (50 rows, TIME actual)
    Scanning for leaks...
    Publishing...
    Building comments_pkey on comments...
    Building payments_pkey on payments...
    Building posts_pkey on posts...
    Building users_email_key on users...
    Building users_pkey on users...
    warning: Masks follow from the key: this is pseudonymised data, which is still personal data in law.
    ");
    assert_eq!(psql(&shop.local, "select count(*) from users where email like 'user_%'"), "50");
    insta::assert_snapshot!(shop.call("--repair --to local"), @"
    status 0
    --- stdout
    There is nothing to repair: no run has left anything. A sync changes what others see in one transaction.
    --- stderr
    ");
    psql(
        &shop.production,
        "insert into posts select i, 10, repeat('x', 100) from generate_series(100, 150000) i; analyze posts",
    );
    // A load that fails in the middle leaves what is whole.
    psql(&shop.local, "alter table users add check (id < 50) not valid");
    let place = format!("t{}", psql(&shop.local, "select 'users'::regclass::oid"));
    let said = shop.call("--from production --to local --yes -q --quarantine --jobs 1");
    let said = said.steady(&[(&place, "PLACE")]);
    insta::assert_snapshot!(said, @r#"
    status 4
    --- stdout
    --- stderr
    error: writing users: new row for relation "PLACE" violates check constraint "users_id_check"
    detail: table confiture_quarantine.PLACE, constraint users_id_check
      COPY PLACE, line 41
    hint: a row breaks the rule of the constraint: mend the data, or loosen the rule
    hint: 3 of 4 tables wait in quarantine, where only their owner may look: `--resume` goes on with the next, `--repair` throws them away
    "#);
    insta::assert_snapshot!(shop.call("plan --from production --to local --tables comments").stdout.lines().filter(|line| line.contains("quarantine")).collect::<String>(), @"  the target holds the quarantine of a run that was stopped: `confiture sync --repair` throws it away");
    psql(&shop.local, "alter table users drop constraint users_id_check");
    let said = shop.call("--from production --to local --yes -q --resume --format json");
    assert_eq!(said.status, 0, "{said}");
    assert!(
        said.json()["result"]["report"]["warnings"].to_string().contains("earlier run's snapshot"),
        "{said}"
    );
    assert!(shop.call("verify --to local").status == 0);
    let said = shop.call("--from production --to local --yes --resume --ephemeral-key");
    assert_eq!(said.status, 2, "{said}");
}

#[tokio::test]
async fn risk_is_forecast_before_there_is_one() {
    let shop = Shop::new().await;
    shop.project.write(
        "db/sync_config.yaml",
        &RULES.replace("    \"*\": keep\n  payments", "    dob: {date: decade}\n    \"*\": keep\n  payments"),
    );
    insta::assert_snapshot!(shop.call("risk --from production --to local --quasi users:dob --k 3"), @"
    status 0
    --- stdout
    users as a sync would bring it: 50 rows in 1 group, the smallest of 50 rows
    Rows in groups of fewer than 3:
                 0  dob
    --- stderr
    ");
    assert_eq!(psql(&shop.local, "select count(*) from users"), "0");
}

/// Killed with no chance to clean up, whenever: what was there is there, and the next run works.
#[cfg(unix)]
#[tokio::test]
async fn killed_at_any_moment_the_target_is_as_it_was_or_done() {
    let shop = Shop::new().await;
    shop.project.write("db/sync_config.yaml", RULES);
    psql(
        &shop.production,
        "insert into users select i, 'ann' || i || '@corp.com', '+1 202 555 ' || i, 'x', null from generate_series(100, 60000) i",
    );
    psql(&shop.local, "insert into users (id, email) values (1, 'old')");
    let state = "select (select count(*) from users), (select count(*) from posts), (select count(*) from pg_constraint where contype in ('f', 'p', 'u') and convalidated and connamespace = 'public'::regnamespace)";
    let before = psql(&shop.local, state);
    let mut finished = false;
    for milliseconds in [20, 60, 100, 150, 200, 300, 450, 700] {
        let mut command =
            shop.project.command(&["sync", "--from", "production", "--to", "local", "--yes", "-q"]);
        let mut child = command
            .env("CONFITURE_SYNC_KEY", KEY)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        let after = psql(&shop.local, state);
        finished |= after != before;
        assert!(after == before || after == "59951|50|7", "half done after {milliseconds} ms: {after}");
        assert_eq!(psql(&shop.local, "select count(*) from users where email like '%corp%'"), "0");
        if finished {
            break;
        }
    }
    assert_eq!(shop.call("--from production --to local --yes").status, 0);
    assert_eq!(psql(&shop.local, state), "59951|50|7");
}
