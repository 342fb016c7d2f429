//! What is kept of a migration: the audit trail, the events of a run, the report, and the queries of docs/monitoring.md.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::following::until;
use crate::json::holds;
use crate::schema_to_schema::{Shop, psql};
use crate::watched::{ENDS, Monitor, headline, sync};

/// Every command that changes something says so, with who it was.
#[tokio::test]
async fn the_ledger_tells_who_did_what_until_cleanup_gives_it_away() {
    let shop = Shop::new().await;
    let call = |line: &str| {
        let said = shop.call(line);
        assert_eq!(said.status, 0, "{line}: {said}");
        said
    };
    call("setup --from production --to production_new --mapping db/mapping.yaml");
    call(&format!("sync {ENDS} --yes -q --until-caught-up"));
    call("pause --to production_new");
    call("resume --to production_new");
    call("throttle --to production_new --rows 100000");
    psql(&shop.new, "update users set display_name = 'damaged' where id = 5");
    let found = shop.call(&format!("verify {ENDS} -q --full"));
    assert_eq!(found.status, 7, "{found}");
    call(&format!("verify {ENDS} -q --full --repair"));
    // A run that fails says why.
    let before = psql(&shop.new, "select now()");
    let run = sync(&shop, &[]);
    until(&shop, &format!("select beat_at > '{before}' from confiture.follow"), "t");
    psql(&shop.new, "alter table users rename display_name to called");
    psql(&shop.old, "update users set full_name = 'x' where id = 1");
    until(&shop, "select stopped_because is null from confiture.follow", "f");
    drop(run);
    psql(&shop.new, "alter table users rename called to display_name");
    let trail = psql(&shop.new, "select string_agg(what, chr(10) order by id) from confiture.event");
    let mut lines = trail.lines();
    for wanted in [
        "set up: the source is ",
        "began: 2 tables of ",
        "phase: copying",
        "run began after batch 0",
        "phase: catching_up",
        "phase: following",
        "compared after batch ",
        "stopped after batch ",
        "paused",
        "resumed",
        "throttled to 100000 rows a second",
        "compared after batch ",
        "users differs from its source: repaired",
        "compared after batch ",
        "stopped: ",
    ] {
        assert!(lines.any(|line| line.starts_with(wanted)), "{wanted} comes next in\n{trail}");
    }
    let unnamed = "select count(*) from confiture.event where actor not like '%_@_%' or actor is null or by <> current_user";
    assert_eq!(psql(&shop.new, unnamed), "0");
    assert!(!trail.contains("damaged") && !trail.contains("user 5"), "no values: {trail}");

    let short = call("status --to production_new --events 2");
    let events = |text: &str| text.split("Last events (UTC):\n").nth(1).expect("events").lines().count();
    assert_eq!(events(&short.stdout), 2, "{short}");
    assert!(events(&call("status --to production_new --events 100").stdout) > 15);

    call(&format!("sync {ENDS} --yes -q --until-caught-up"));
    let gone = call("cleanup --to production_new --format json").json();
    let last = gone["result"]["trail"].as_array().and_then(|trail| trail.last().cloned()).expect("a trail");
    assert_eq!(last["what"], json!("cleanup began"), "{gone:#}");
}

#[tokio::test]
async fn a_copy_without_capture_has_its_trail_too() {
    let shop = Shop::new().await;
    let said = shop.call(&format!("migrate {ENDS} --yes -q"));
    assert_eq!(said.status, 0, "{said}");
    let trail = psql(&shop.new, "select string_agg(what, chr(10) order by id) from confiture.event");
    let lines: Vec<&str> = trail.lines().collect();
    assert!(
        matches!(lines.as_slice(), [began, "migrated 2 tables", "compared: equal (2 tables, 6234 rows compared)"]
        if began.starts_with("began: 2 tables of ") && began.ends_with("changes not captured")),
        "{trail}"
    );
    let said = shop.call("report --to production_new --output copy.html");
    assert_eq!(said.status, 0, "{said}");
    let page = std::fs::read_to_string(shop.project.path().join("copy.html")).expect("the report");
    assert!(page.contains("compared: equal (2 tables, 6234 rows compared)"), "{page}");
}

#[tokio::test]
async fn events_are_lines_of_json_that_say_when() {
    let shop = Shop::new().await;
    let line = format!("sync {ENDS} --yes -q --until-caught-up --events events.jsonl");
    assert_eq!(shop.call(&line).status, 0);
    psql(&shop.old, "update users set full_name = 'geheim' where id < 100");
    assert_eq!(shop.call(&line).status, 0, "it is appended to");
    let text = std::fs::read_to_string(shop.project.path().join("events.jsonl")).expect("the file");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for event in &events {
        let at = event["at"].as_str().expect("a time");
        assert!(at.len() == 27 && at.starts_with("20") && at.ends_with('Z'), "{event}");
        assert!(event["pid"].is_u64() && event["event"].is_string(), "{event}");
    }
    let of = |kind: &str| events.iter().filter(|event| event["event"] == json!(kind)).count();
    assert_eq!((of("began"), of("ended")), (2, 2), "{text}");
    assert_eq!(events.first().expect("one")["command"], json!("migrate schema-to-schema sync"));
    let last = events.last().expect("one");
    assert_eq!((&last["ok"], &last["exit_status"]), (&json!(true), &json!(0)), "{last}");
    let written = events.iter().filter(|event| event["event"] == json!("batch_applied"));
    let written: u64 = written.filter_map(|event| event["rows_written"].as_u64()).sum();
    assert_eq!(written, 99, "{text}");
    let rows: u64 = events
        .iter()
        .filter(|event| event["event"] == json!("table_finished"))
        .filter_map(|event| event["rows"].as_u64())
        .sum();
    assert!(rows >= 6234 && !text.contains("geheim"), "{text}");
    let said =
        shop.call(&format!("sync {ENDS} --yes --until-caught-up --events no/such/folder/events.jsonl"));
    assert_eq!(said.status, 2, "{said}");
}

/// The end of a run that did not do what it was to do is an event too.
#[tokio::test]
async fn a_run_that_fails_ends_with_why() {
    let shop = Shop::new().await;
    psql(&shop.new, "insert into users values (1, 'somebody else')");
    let said = shop.call(&format!("migrate {ENDS} --yes -q --events events.jsonl"));
    assert_eq!(said.status, 8, "{said}");
    let text = std::fs::read_to_string(shop.project.path().join("events.jsonl")).expect("the file");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&last["event"], &last["ok"], &last["exit_status"]),
        (&json!("ended"), &json!(false), &json!(8))
    );
    assert!(last["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{last}");
}

#[tokio::test]
async fn the_report_tells_the_whole_migration_without_a_value() {
    let shop = Shop::new().await;
    let nothing = shop.call("report --from production --to production_new");
    assert_eq!(nothing.status, 5, "{nothing}");
    psql(&shop.old, "update users set full_name = 'geheimnis' where id = 9");
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    psql(
        &shop.new,
        r#"insert into confiture.cutover (kind, started_at, fenced_at, committed_at, ended_at, outcome, stall_ms, checklist) values
               ('cutover', '2026-01-01 10:00:00Z', '2026-01-01 10:00:01Z', '2026-01-01 10:00:01.24Z', '2026-01-01 10:00:02Z', 'done', 240,
                '[{"id": "lag", "outcome": "pass", "what": "The lag is <small>", "evidence": "3 ms", "hint": null}]')"#,
    );
    let said = shop.call("report --to production_new --output migration.html --format json");
    assert_eq!(said.status, 0, "{said}");
    let page = std::fs::read_to_string(shop.project.path().join("migration.html")).expect("the report");
    for wanted in [
        "migration report",
        "<code>display_name</code></td><td><code>u.full_name</code>",
        "phase: following",
        "both sides equal (2 tables, 6,234 rows compared)",
        "PostgreSQL ",
        "writes waited 240 ms",
        "2026-01-01 10:00:01",
        "The lag is &lt;small&gt;",
        "&#10003; PASS",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    for unwanted in ["geheimnis", "http://", "https://", "<script", "<link", "@import", "<img"] {
        assert!(!page.contains(unwanted), "{unwanted} is in the report");
    }
    // The source is gone: what the target remembers is told all the same.
    let (from, to) = ("postgresql:///nowhere?host=/nonexistent", shop.new.url());
    let said = shop.project.call(&[
        "migrate",
        "schema-to-schema",
        "report",
        "--from",
        from,
        "--to",
        &to,
        "--output",
        "late.html",
    ]);
    assert_eq!(said.status, 0, "{said}");
    let page = std::fs::read_to_string(shop.project.path().join("late.html")).expect("the report");
    assert!(page.contains("Which column becomes what cannot be said here: cannot connect"), "{page}");
}

/// A real cutover and its way back: in the trail, in the events, on the page, in the report.
#[tokio::test]
async fn a_cutover_is_seen_and_told() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let monitor = Monitor::start(&shop, &[]);
    monitor.until("alone", |status| headline(status) == "No run is at work");
    let said = shop.call(&format!(
        "cutover {ENDS} --yes -q --confirm backup,application,team,rollback-plan --events cutover.jsonl"
    ));
    assert_eq!(said.status, 0, "{said}");
    let status = monitor.until("cut over", |status| headline(status) == "Cut over");
    let stall = status["sight"]["cutovers"][0]["stall_ms"].as_f64().expect("a stall");
    assert!(stall > 0.0 && status["sight"]["cutovers"][0]["outcome"] == json!("done"), "{status:#}");
    holds(&status, "monitor-status.json");
    let metrics = monitor.get("/metrics").body;
    assert!(
        metrics.contains("confiture_cutover_stall_seconds 0.")
            && metrics.contains("confiture_phase{phase=\"cut_over\"} 1\n"),
        "{metrics}"
    );
    let trail = psql(&shop.new, "select string_agg(what, ', ' order by id) from confiture.event");
    assert!(trail.contains("cutover begun") && trail.contains("cutover done"), "{trail}");
    let text = std::fs::read_to_string(shop.project.path().join("cutover.jsonl")).expect("the file");
    assert!(
        text.contains("\"event\":\"began\"")
            && text.lines().last().is_some_and(|line| line.contains("\"ok\":true")),
        "{text}"
    );
    let said = shop.call("report --from production --to production_new --output cutover.html");
    assert_eq!(said.status, 0, "{said}");
    let page = std::fs::read_to_string(shop.project.path().join("cutover.html")).expect("the report");
    for wanted in ["Cutover, 20", ": done</h3>", "writes waited ", "&#10003; PASS", "Writes fenced off"] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
}

/// On a pipe: a line a look, and no control characters.
#[tokio::test]
async fn watching_on_a_pipe_is_a_line_each_second() {
    let shop = Shop::new().await;
    let none = shop.call("status --watch --to production_new");
    assert_eq!(none.status, 5, "{none}");
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let _run = sync(&shop, &[]);
    let mut command =
        shop.project.command(&["migrate", "schema-to-schema", "status", "--watch", "--to", "production_new"]);
    let mut watching = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watching.stdout.take().expect("stdout")));
    let line = loop {
        let line = lines.next().expect("a line").expect("UTF-8");
        if line.contains(" Following") {
            break line;
        }
    };
    watching.kill().expect("kill");
    watching.wait().expect("wait");
    assert!(line.contains(" behind; ") && line.contains(" rows/s, ") && line.contains(", batch "), "{line}");
    assert!(!line.contains('\x1b'), "{line:?}");
}

/// The queries of the documentation are those that the monitor asks, and psql runs them.
#[tokio::test]
async fn the_queries_of_the_documentation_work() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/monitoring.md")).expect("the page");
    let queries: Vec<&str> =
        page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(rest)).collect();
    assert!(queries.len() >= 10, "{}", queries.len());
    let ours = root.join("crates/confiture/src/postgres/queries/monitoring");
    let mut texts: Vec<String> = Vec::new();
    for file in std::fs::read_dir(ours).expect("the folder") {
        texts.push(std::fs::read_to_string(file.expect("a file").path()).expect("text"));
    }
    for query in &queries {
        assert!(texts.iter().any(|text| text == query), "this is not what the monitor asks:\n{query}");
        let sides: &[&_] = match query {
            query if query.starts_with("-- On the target: ") => &[&shop.new],
            query if query.starts_with("-- On the source: ") => &[&shop.old],
            query if query.starts_with("-- On either side: ") => &[&shop.old, &shop.new],
            _ => panic!("where does this run?\n{query}"),
        };
        for database in sides {
            let psql = database.server().program("psql");
            let output = Command::new(psql)
                .args(["-XAt", "-v", "ON_ERROR_STOP=1", "-c", query, &database.url()])
                .output();
            let output = output.expect("psql starts");
            assert!(output.status.success(), "{query}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let lag = psql(&shop.new, queries[0]);
    assert!(lag.starts_with("following|0."), "{lag}");
}
