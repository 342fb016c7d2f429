//! `monitor`: what it says over HTTP, to whom, and when a server is away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::json::holds;
use crate::schema_to_schema::{Shop, psql};
use crate::watched::{ENDS, Monitor, TOKEN, headline, psql_beside, sync};

/// Stands in rows and in a statement, and nowhere in what the monitor says.
const SECRET: &str = "geheimnis4711";

#[tokio::test]
async fn it_shows_a_migration_from_before_it_begins_until_after_it_is_gone() {
    let shop = Shop::new().await;
    psql(&shop.old, &format!("update users set full_name = '{SECRET}' where id % 7 = 0"));
    let monitor = Monitor::start(&shop, &[]);
    let before = monitor.until("empty", |status| headline(status) == "No migration yet");
    assert_eq!(before["sight"], Value::Null);
    holds(&before, "monitor-status.json");
    assert_eq!(before["servers"].as_array().map(Vec::len), Some(2), "{before:#}");
    let run = sync(&shop, &[]);
    // Of this one nobody asks but for metrics: it does not look at the list before a cutover.
    let unwatched = Monitor::start(&shop, &[]);
    let began = Instant::now();
    while !unwatched.get("/metrics").body.contains("confiture_phase{phase=\"following\"} 1") {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not follow");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(2));
    let first: Value = serde_json::from_str(&unwatched.get("/status.json").body).expect("JSON");
    assert_eq!(first["checked_at"], Value::Null, "{first:#}");
    let status = unwatched.until("checked", |status| status["checked_at"].is_f64());
    assert_eq!(status["checks_failed"], Value::Null, "{status:#}");
    drop(unwatched);
    let status = monitor.until("compared", |status| {
        headline(status).starts_with("Following") && status["sight"]["comparisons"][0]["ok"] == json!(true)
    });
    assert_eq!(status["sight"]["copied_rows"], json!(6234));
    let table = |status: &Value, name: &str| {
        let tables = status["sight"]["status"]["tables"].as_array().expect("tables").clone();
        tables.into_iter().find(|table| table["table"] == json!(name)).expect("the table")
    };
    assert_eq!(table(&status, "public.users")["rows"], json!(1234));
    assert_eq!(table(&status, "public.posts")["state"], json!("following"));
    psql(&shop.old, "update users set full_name = 'a' where id <= 10");
    let status = monitor.until("told", |status| {
        let points = status["points"].as_array().expect("points");
        points.iter().filter_map(|point| point[2].as_i64()).sum::<i64>() >= 10
    });
    let batches = psql(&shop.new, "select batches >= 1 from confiture.follow");
    assert_eq!(batches, "t", "{status:#}");

    // A session that waits for another, and a statement that takes long.
    let holder = psql_beside(&shop.old, "begin; lock table posts; select pg_sleep(100)");
    let holding = "select count(*) from pg_locks where relation = 'posts'::regclass and granted and mode = 'AccessExclusiveLock'";
    let began = Instant::now();
    while psql(&shop.old, holding) != "1" {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody holds the lock");
    }
    let waiter = psql_beside(&shop.old, &format!("delete from posts where title = '{SECRET}'"));
    let status = monitor.until("waiting", |status| status["servers"][0]["lock_waits"][0]["pid"].is_i64());
    let wait = &status["servers"][0]["lock_waits"][0];
    assert!(wait["blocked_by"].as_str().is_some_and(|by| by.starts_with("pid ")), "{wait}");
    assert!(wait["wants"].as_str().is_some_and(|wants| wants.contains("posts")), "{wait}");
    let status = monitor.until("slow", |status| status["servers"][0]["slow_statements"][0]["pid"].is_i64());
    holds(&status, "monitor-status.json");
    for path in ["/status.json", "/metrics", "/"] {
        assert!(!monitor.get(path).body.contains(SECRET), "{path}");
    }
    assert!(!status.to_string().contains("pg_sleep"), "the text of a statement may hold values");
    drop((holder, waiter));

    drop(run);
    monitor.until("alone", |status| headline(status) == "No run is at work");
    psql(
        &shop.old,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(100)%' and pid <> pg_backend_pid()",
    );
    let said = shop.call(&format!("sync {ENDS} --yes -q --until-caught-up"));
    assert_eq!(said.status, 0, "{said}");
    let said = shop.call("cleanup --to production_new");
    assert_eq!(said.status, 0, "{said}");
    monitor.until("gone", |status| headline(status) == "No migration yet" && status["points"] == json!([]));
}

/// Neither database can be reached for a while; the monitor says so, keeps what it saw, and goes on by itself.
#[tokio::test]
async fn a_server_that_is_away_is_shown_and_comes_back() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let monitor = Monitor::start(&shop, &[]);
    monitor.until("seen", |status| headline(status) == "No run is at work");
    let maintenance = shop.old.server().url("postgres");
    let away = |name: &str, allowed: bool| {
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        let allow = format!("alter database {name} allow_connections {allowed}");
        let program = shop.old.server().program("psql");
        for sql in [&allow, &end] {
            let done = std::process::Command::new(&program).args(["-XAtq", "-c", sql, &maintenance]).output();
            assert!(done.expect("psql starts").status.success(), "{sql}");
        }
    };
    away(shop.old.name(), false);
    let status =
        monitor.until("source away", |status| headline(status) == "The old database does not answer");
    assert_eq!(status["is_fresh"], json!(true));
    away(shop.old.name(), true);
    monitor.until("source back", |status| headline(status) == "No run is at work");
    away(shop.new.name(), false);
    let status = monitor
        .until("target away", |status| headline(status).starts_with("The new database does not answer"));
    assert_eq!(status["is_fresh"], json!(false));
    assert_eq!(status["sight"]["copied_rows"], json!(6234), "what was seen last is kept");
    assert!(monitor.get("/metrics").body.contains("confiture_server_up{side=\"target\"} 0\n"));
    away(shop.new.name(), true);
    monitor.until("target back", |status| {
        headline(status) == "No run is at work" && status["is_fresh"] == json!(true)
    });
}

#[tokio::test]
async fn only_whoever_has_the_token_tells_a_run_something_and_the_ledger_says_who() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let monitor = Monitor::start(&shop, &["--allow-control"]);
    let paused = || psql(&shop.new, "select paused from confiture.control");
    let json_body = "Content-Type: application/json";
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let tell = |head: &[&str]| monitor.ask("POST /control", head, r#"{"order":"pause"}"#).status;
    assert_eq!(tell(&[json_body]), 401);
    assert_eq!(tell(&[json_body, "Authorization: Bearer 0123456789abcdef-a-tesT"]), 401);
    assert_eq!(tell(&["Content-Type: text/plain", &bearer]), 415);
    assert_eq!(tell(&[json_body, &bearer, "Origin: https://elsewhere.example"]), 403);
    assert_eq!(tell(&[json_body, &bearer, "Sec-Fetch-Site: cross-site"]), 403);
    assert_eq!(tell(&[json_body, &bearer, "Host: rebound.example"]), 403);
    assert_eq!(monitor.ask("GET /control", &[&bearer], "").status, 404);
    assert_eq!(monitor.ask("POST /control", &[json_body, &bearer], "{\"order\":\"drop\"}").status, 400);
    assert_eq!(monitor.ask("POST /control", &[json_body, &bearer], &" ".repeat(100_000)).status, 400);
    assert_eq!(paused(), "f");
    assert_eq!(tell(&[json_body, &bearer, &format!("Origin: http://{}", monitor.address)]), 200);
    assert_eq!(paused(), "t");
    let throttle = r#"{"order":"throttle","rows_per_second":5000,"bytes_per_second":null}"#;
    assert_eq!(monitor.ask("POST /control", &[json_body, &bearer], throttle).status, 200);
    assert_eq!(psql(&shop.new, "select max_rows_per_second from confiture.control"), "5000");
    let trail = psql(
        &shop.new,
        "select string_agg(what || ' ' || (actor like '%@%, by the monitor'), ', ' order by id) from confiture.event where actor like '%monitor'",
    );
    assert_eq!(trail, "paused true, throttled to 5000 rows a second true");

    let head = monitor.get("/").head.to_lowercase();
    for line in [
        "content-security-policy: default-src 'none'",
        "x-frame-options: deny",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(line), "{line}\n{head}");
    }
    assert_eq!(monitor.ask("GET /status.json", &["Host: rebound.example"], "").status, 403);
    assert_eq!(monitor.get("/etc/passwd").status, 404);
    assert_eq!(monitor.ask("DELETE /", &[], "").status, 405);

    let looking = Monitor::start(&shop, &[]);
    assert_eq!(looking.ask("POST /control", &[json_body, &bearer], r#"{"order":"resume"}"#).status, 403);
    assert_eq!(paused(), "t");
}

#[tokio::test]
async fn a_token_is_needed_and_long() {
    let shop = Shop::new().await;
    let said = shop.call("monitor --to production_new --allow-control --listen 127.0.0.1:0");
    assert_eq!(said.status, 2, "{said}");
    assert!(said.stderr.contains("--token-file FILE, or CONFITURE_MONITOR_TOKEN"), "{said}");
    shop.project.write("short.token", "abc\n");
    let said = shop
        .call("monitor --to production_new --allow-control --token-file short.token --listen 127.0.0.1:0");
    assert_eq!(said.status, 2, "{said}");
    assert!(said.stderr.contains("shorter than 16 characters") && !said.stderr.contains("abc\n"), "{said}");
    let monitor = Monitor::start(&shop, &[]);
    let said = shop.call(&format!("monitor --to production_new --listen {}", monitor.address));
    assert_eq!(said.status, 2, "{said}");
    assert!(said.stderr.contains("somebody listens there already"), "{said}");
}

#[tokio::test]
async fn metrics_are_as_prometheus_reads_them_and_true() {
    let shop = Shop::new().await;
    let run = sync(&shop, &[]);
    let monitor = Monitor::start(&shop, &[]);
    monitor.until("compared", |status| status["sight"]["comparisons"][0]["ok"] == json!(true));
    let answer = monitor.get("/metrics");
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{answer:?}");
    let samples = parse(&answer.body);
    let of = |key: &str| *samples.get(key).unwrap_or_else(|| panic!("{key} is not in\n{}", answer.body));
    for (key, value) in [
        ("confiture_server_up{side=\"source\"}", 1.0),
        ("confiture_server_up{side=\"target\"}", 1.0),
        ("confiture_copied_rows_total", 6234.0),
        ("confiture_table_copied_rows{table=\"public.users\"}", 1234.0),
        ("confiture_table_state{table=\"public.posts\",state=\"following\"}", 1.0),
        ("confiture_table_state{table=\"public.posts\",state=\"copying\"}", 0.0),
        ("confiture_phase{phase=\"following\"}", 1.0),
        ("confiture_comparison_equal", 1.0),
        ("confiture_run_at_work", 1.0),
        ("confiture_paused", 0.0),
    ] {
        assert!((of(key) - value).abs() < 1e-9, "{key} is {}", of(key));
    }
    let lag = of("confiture_marker_lag_seconds");
    assert!((0.0..60.0).contains(&lag), "{lag}");
    drop(run);
}

/// A strict reader of the text format 0.0.4: the samples by name and labels. It refuses what Prometheus, or promtool, would.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_')
    };
    let (mut samples, mut ended) = (BTreeMap::new(), BTreeSet::new());
    let (mut family, mut kind) = (String::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(is_name(name) && name.starts_with("confiture_") && help.ends_with('.'), "{line}");
            assert!(ended.insert(name.to_owned()), "{name} comes twice");
            (family, kind) = (name.to_owned(), String::new());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect("a type");
            assert!(name == family && matches!(of, "gauge" | "counter"), "{line}");
            assert_eq!(of == "counter", name.ends_with("_total"), "{line}");
            assert!(!name.ends_with("_ms") && !name.ends_with("_milliseconds"), "base units: {line}");
            kind = of.to_owned();
        } else {
            let (key, value) = line.rsplit_once(' ').expect("a value");
            let value: f64 = value.parse().expect("a number");
            assert!(value.is_finite() && (kind != "counter" || value >= 0.0), "{line}");
            let (name, labels) = key.split_once('{').map_or((key, None), |(name, rest)| (name, Some(rest)));
            assert!(name == family && !kind.is_empty(), "{line}");
            if let Some(labels) = labels {
                check_labels(labels.strip_suffix('}').expect("an end"), is_name);
            }
            assert!(samples.insert(key.to_owned(), value).is_none(), "{key} comes twice");
        }
    }
    samples
}

fn check_labels(mut text: &str, is_name: impl Fn(&str) -> bool) {
    let mut seen = BTreeSet::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name) && seen.insert(name), "{text}");
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, each)| {
            let is_end = *each == '"' && !escaped;
            escaped = *each == '\\' && !escaped;
            is_end
        });
        let (end, _) = end.expect("the label's end");
        text = rest[end + 1..].strip_prefix(',').unwrap_or(&rest[end + 1..]);
        assert!(text.is_empty() || rest[end + 1..].starts_with(','), "{rest}");
    }
}
