//! `verify` of a target that follows, while `sync` runs in another process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::schema_to_schema::{Shop, psql};

/// Waits until a query of the new database says so.
fn until(shop: &Shop, query: &str, wanted: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while psql(&shop.new, query) != wanted {
        assert!(Instant::now() < patience, "{query}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A process whose progress somebody reads.
fn start(shop: &Shop, line: &str) -> Child {
    let words: Vec<&str> = ["migrate", "schema-to-schema"].into_iter().chain(line.split(' ')).collect();
    let mut command = shop.project.command(&words);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    std::thread::spawn(move || stderr.lines().for_each(drop));
    child
}

fn interrupt(child: &mut Child) -> Option<i32> {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
    child.wait().expect("it ends").code()
}

#[cfg(unix)]
#[tokio::test]
async fn verify_asks_the_run_that_is_at_work() {
    let shop = Shop::new().await;
    let line = "sync --from production --to production_new --mapping db/mapping.yaml --capture queue --yes";
    let mut run = start(&shop, line);
    until(&shop, "select to_regclass('confiture.verification') is not null", "t");
    until(&shop, "select count(*) from confiture.verification where ok", "1");

    // Only what changed since.
    psql(&shop.old, "update users set full_name = 'other' where id in (3, 4)");
    until(&shop, "select count(*) from users where display_name = 'other'", "2");
    let said = shop.call("verify --to production_new --format json");
    assert_eq!(said.status, 0, "{said}");
    let keys: Vec<_> = said.json()["result"]["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .map(|table| (table["table"].to_string(), table["keys"].as_u64()))
        .collect();
    assert_eq!(keys, [("\"public.users\"".into(), Some(2)), ("\"public.posts\"".into(), Some(0))]);
    let said = shop.call("status --to production_new");
    assert!(said.stdout.contains("0 keys touched since"), "{said}");

    // Somebody writes to the target by hand.
    psql(&shop.new, "update posts set title = 'WRONG' where id = 77");
    assert_eq!(shop.call("verify --to production_new").status, 0);
    let said = shop.call("verify --to production_new --full");
    assert_eq!(said.status, 7, "{said}");
    assert!(said.stdout.contains("different id=77: title") && !said.to_string().contains("WRONG"), "{said}");
    assert!(said.stderr.contains("verify --repair reads those rows again"), "{said}");
    let said = shop.call("verify --to production_new --full --repair");
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stdout.contains("repaired:") && said.stdout.contains("different id=77"), "{said}");
    assert_eq!(psql(&shop.new, "select title from posts where id = 77"), "post 77");

    // Whoever stops waiting leaves no work behind.
    assert_eq!(shop.call("pause --to production_new").status, 0);
    // Once it is paused, it says that it is there, and no more that it has seen the source.
    until(&shop, "select beat_at > seen_at + interval '0.3 seconds' from confiture.follow", "t");
    let mut waits = start(&shop, "verify --to production_new");
    until(&shop, "select count(*) from confiture.request where state = 'waiting'", "1");
    assert_eq!(interrupt(&mut waits), Some(130));
    assert_eq!(psql(&shop.new, "select state from confiture.request order by id desc limit 1"), "cancelled");
    assert_eq!(shop.call("resume --to production_new").status, 0);

    assert_eq!(interrupt(&mut run), Some(0));
    assert_eq!(psql(&shop.new, "select count(*) from confiture.request where answer is not null"), "0");

    // Nobody is at work: the command applies a batch itself.
    psql(&shop.old, "delete from posts where id < 10");
    let said = shop.call("verify --to production_new");
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(psql(&shop.new, "select count(*) from posts where id < 10"), "0");
    psql(&shop.new, "delete from posts where id = 99");
    assert_eq!(shop.call("verify --to production_new --full").status, 7);
    assert_eq!(shop.call("verify --to production_new --repair").status, 0);
    assert_eq!(psql(&shop.new, "select count(*) from posts where id = 99"), "1");
}

#[tokio::test]
async fn what_does_not_follow_is_not_repaired() {
    let shop = Shop::new().await;
    let ends = "--from production --to production_new --mapping db/mapping.yaml";
    assert_eq!(shop.call(&format!("{ends} --yes")).status, 0);
    let said = shop.call("verify --to production_new --repair");
    assert_eq!(said.status, 8, "{said}");
    assert!(said.stderr.contains("does not follow its source"), "{said}");
}
