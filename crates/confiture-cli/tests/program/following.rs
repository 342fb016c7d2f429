//! A migration that follows, in a terminal: what it says, what others tell it, and how it stops.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::schema_to_schema::{Shop, psql};
use crate::support::{Project, Said};

const ENDS: &str = "--from production --to production_new --mapping db/mapping.yaml";

/// A run at work; it ends with the test.
struct Run(Child);

impl Run {
    fn sync(shop: &Shop, more: &[&str]) -> Self {
        let words: Vec<&str> =
            ["migrate", "schema-to-schema", "sync", "--yes"].into_iter().chain(ENDS.split(' ')).collect();
        let mut command = shop.project.command(&[&words, more].concat());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    /// Ctrl-C, and what it said then.
    fn interrupt(mut self) -> (i32, String) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill starts").success());
        let status = self.0.wait().expect("it ends").code().expect("an exit status");
        let mut text = String::new();
        self.0.stdout.take().expect("stdout").read_to_string(&mut text).expect("UTF-8");
        self.0.stderr.take().expect("stderr").read_to_string(&mut text).expect("UTF-8");
        (status, text)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until `query` on the new database says `wanted`.
#[track_caller]
pub(crate) fn until(shop: &Shop, query: &str, wanted: &str) {
    let began = Instant::now();
    loop {
        let found = psql_or_nothing(shop, query);
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{query}: {found}, not {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The ledger's tables are made on the way.
fn psql_or_nothing(shop: &Shop, query: &str) -> String {
    let psql = shop.new.server().program("psql");
    let output = Command::new(psql).args(["-XAt", "-c", query, &shop.new.url()]).output();
    String::from_utf8(output.expect("psql starts").stdout).expect("UTF-8").trim().to_owned()
}

const PHASE: &str = "select phase from confiture.follow";

fn caught_up(shop: &Shop) -> Said {
    shop.call(&format!("sync {ENDS} --yes -q --until-caught-up"))
}

#[tokio::test]
async fn it_follows_until_ctrl_c_and_goes_on() {
    let shop = Shop::new().await;
    let run = Run::sync(&shop, &["-q"]);
    until(&shop, PHASE, "following");
    until(&shop, "select count(*) from confiture.verification where ok", "1");
    psql(&shop.old, "update users set full_name = 'Ada' where id = 1; delete from posts where id = 5");
    until(&shop, "select display_name from users where id = 1", "Ada");
    let status = shop.call("status --to production_new");
    assert!(status.stdout.contains("At work: pid "), "{status}");
    let second = caught_up(&shop);
    assert_eq!(second.status, 6, "{second}");
    let cleanup = shop.call("cleanup --to production_new");
    assert_eq!(cleanup.status, 6, "{cleanup}");
    let (status, said) = run.interrupt();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("The target equals the source in a snapshot"), "{said}");
    assert!(said.contains("Changes go on being captured"), "{said}");

    psql(&shop.old, "update users set full_name = 'Grace' where id = 2");
    let again = caught_up(&shop);
    assert_eq!(again.status, 0, "{again}");
    // Only what changed since it was found equal.
    assert!(again.stdout.contains("✅ users: 2 (old) = 2 (new), of 2 keys that changed"), "{again}");
    assert_eq!(psql(&shop.new, "select display_name from users where id = 2"), "Grace");

    let plain = shop.call(&format!("migrate {ENDS} --yes -q"));
    assert_eq!(plain.status, 8, "{plain}");
    assert!(plain.stderr.contains("the target follows a source"), "{plain}");
    let cleaned = shop.call("cleanup --to production_new");
    insta::assert_snapshot!(cleaned, @"
    status 0
    --- stdout
    Removed the migration's records. What captured changes on the source is gone too.
    --- stderr
    ");
    assert_eq!(psql(&shop.old, "select count(*) from pg_trigger where not tgisinternal"), "0");
    assert_eq!(shop.call("cleanup --to production_new").stdout, "There was nothing to clean up.\n");
}

#[tokio::test]
async fn a_run_is_paused_and_let_go_by_others() {
    let shop = Shop::new().await;
    assert_eq!(caught_up(&shop).status, 0);
    assert!(shop.call("pause --to production_new").stdout.starts_with("Paused:"));
    let before = psql(&shop.new, "select now()");
    let run = Run::sync(&shop, &[]);
    until(&shop, &format!("select beat_at > '{before}' from confiture.follow"), "t");
    psql(&shop.old, "update users set full_name = 'late' where id = 3");
    let status = shop.call("status --to production_new");
    assert!(status.stdout.contains("(paused)"), "{status}");
    assert_ne!(psql(&shop.new, "select display_name from users where id = 3"), "late");
    assert_eq!(shop.call("resume --to production_new").stdout, "Resumed.\n");
    until(&shop, "select display_name from users where id = 3", "late");
    // By SQL, as any client may.
    psql(&shop.new, "update confiture.control set paused = true, max_rows_per_second = 100000");
    let status = shop.call("status --to production_new");
    assert!(status.stdout.contains("Throttled to 100,000 rows/s"), "{status}");
    let (status, said) = run.interrupt();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("Paused, as somebody told it"), "{said}");
    assert_eq!(shop.call("throttle --to production_new").stdout, "As fast as it can.\n");
}

/// Killed at once, where nothing could be said any more: the next run goes on.
#[tokio::test]
async fn a_killed_run_is_continued() {
    let shop = Shop::new().await;
    psql(
        &shop.old,
        "insert into posts select i, 1 + i % 1234, repeat('x', 200) from generate_series(5001, 60000) i",
    );
    for phase in ["copying", "catching_up", "following"] {
        let run = Run::sync(&shop, &["-q"]);
        let order = "array_position(array['preparing', 'copying', 'catching_up', 'following'], phase)";
        until(
            &shop,
            &format!(
                "select {order} >= array_position(array['preparing', 'copying', 'catching_up', 'following'], '{phase}') from confiture.follow"
            ),
            "t",
        );
        drop(run);
    }
    psql(&shop.old, "delete from posts where id % 10 = 0");
    let said = caught_up(&shop);
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(psql(&shop.new, "select count(*) from posts"), psql(&shop.old, "select count(*) from posts"));
}

#[tokio::test]
async fn what_cannot_follow_is_said_with_what_to_do() {
    let shop = Shop::new().await;
    psql(&shop.old, "create table bare (x int); create view listed as select * from users");
    psql(
        &shop.new,
        "create table bare (x int); create table listed (id bigint primary key, full_name text); create table wide (id bigint primary key, name text)",
    );
    let call = |mapping: &str| {
        shop.project.write("db/mapping.yaml", mapping);
        caught_up(&shop)
    };
    let bare = call("tables: { bare: { from: bare } }\n");
    assert_eq!(bare.status, 5, "{bare}");
    assert!(bare.stderr.contains("give both tables a key"), "{bare}");
    let listed = call("tables: { listed: { from: listed } }\n");
    assert_eq!(listed.status, 5, "{listed}");
    assert!(listed.stderr.contains("listed is no table\n--> db/mapping.yaml:1:"), "{listed}");
    let wide = call(
        "tables:\n  wide:\n    from: posts o join users u on u.id = o.user_id\n    columns: { id: o.id, name: u.full_name }\n",
    );
    assert_eq!(wide.status, 5, "{wide}");
    assert!(wide.stderr.contains("hint: say so: depends: [{ table: public.users,"), "{wide}");
    let none = shop.call(&format!("sync {ENDS} --yes --capture none"));
    assert_eq!(none.status, 2, "{none}");
    let nothing = shop.call("pause --to production_new");
    assert_eq!(nothing.status, 5, "{nothing}");
    assert_eq!(psql(&shop.new, "select to_regnamespace('confiture') is null"), "t");
}

/// An ordinary owner of the tables on both sides: no WAL, no superuser.
#[tokio::test]
async fn an_ordinary_owner_follows_and_foreign_keys_wait() {
    let shop = Shop::new().await;
    let role = format!("{}_owner", shop.old.name());
    psql(&shop.old, &format!("create role {role} login"));
    for database in [&shop.old, &shop.new] {
        psql(
            database,
            &format!(
                "alter table users owner to {role}; alter table posts owner to {role};
            grant create on database {} to {role}; grant all on schema public to {role}",
                database.name()
            ),
        );
    }
    let url = |database: &str, shop: &Shop| {
        format!(
            "host={} port={} user={role} dbname={database}",
            shop.old.server().socket_dir().display(),
            shop.old.server().port()
        )
    };
    let project = Project::new();
    project.write("mapping.yaml", "tables:\n  users:\n    from: users u\n    columns:\n      display_name: u.full_name\nothers: same-name\n");
    let (from, to) = (url(shop.old.name(), &shop), url(shop.new.name(), &shop));
    let call = |step: &str, more: &[&str]| {
        project.call(
            &[&["migrate", "schema-to-schema", step, "--from", &from, "--to", &to, "--yes", "-q"], more]
                .concat(),
        )
    };
    let said = call("sync", &["--mapping", "mapping.yaml", "--until-caught-up"]);
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stdout.contains("captured by the queue"), "{said}");
    assert!(said.stdout.contains("stay off until `cleanup` puts them back"), "{said}");
    psql(&shop.old, "delete from posts where user_id = 7; delete from users where id = 7");
    let again = call("sync", &["--mapping", "mapping.yaml", "--until-caught-up"]);
    assert_eq!(again.status, 0, "{again}");
    assert_eq!(psql(&shop.new, "select count(*) from pg_constraint where contype = 'f'"), "0");
    let cleaned = call("cleanup", &[]);
    assert_eq!(cleaned.status, 0, "{cleaned}");
    assert_eq!(
        psql(&shop.new, "select count(*) from pg_constraint where contype = 'f' and convalidated"),
        "1"
    );
    for database in [&shop.old, &shop.new] {
        psql(database, &format!("reassign owned by {role} to current_user; drop owned by {role}"));
    }
    psql(&shop.old, &format!("drop role {role}"));
}
